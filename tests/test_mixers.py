"""Laws of every mixer and every long filter: three views, nothing from the future."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from torch import Tensor
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minihyena import (
    AttentionConfig,
    HyenaConfig,
    ImplicitConfig,
    SoftmaxAttention,
    errors,
    filter_families,
    mixers,
)
from minihyena.mixer import Mixer
from minihyena.model import drawing_from
from minihyena.rivals.attention import SlidingWindowConfig
from minihyena.rivals.gated import GSSConfig, H3Config, MultiHeadHyenaConfig
from minihyena.rivals.linear_attention import LinearAttentionConfig
from minihyena.rivals.recurrent import AFTConfig

WIDTH, LONGEST = 8, 70
CONVENTIONS = ["reference", "paper"]
LIVELY = ImplicitConfig(bands=4, width=16, depth=1, sine_frequency=10.0)
HYENAS = [HyenaConfig(n, c, filter=LIVELY) for c in CONVENTIONS for n in range(1, 5)]

# Every mixer with its default options, Hyena with every filter, and more of each kind.
CASES: dict[str, Any] = {
    **{name: kind() for name, kind in mixers.items()},
    **{f"hyena-{name}": HyenaConfig(3, filter=name) for name in filter_families},
    **{f"hyena-{c.convention}-{c.order}": c for c in HYENAS},
    "hyena-short-1": HyenaConfig(short_taps=1),
    "hyena-ungated": HyenaConfig(gated=False),
    "hyena-paper-3-ungated": HyenaConfig(3, "paper", filter=LIVELY, gated=False),
    "hyena-short-5": HyenaConfig(3, short_taps=5),
    "hyena-rough": HyenaConfig(3, filter=ImplicitConfig(16, 8, 1, 14.0)),
    "attention-1": AttentionConfig(heads=1),
    "attention-no-positions": AttentionConfig(heads=8, rotary=False),
    **{f"window-{w}": SlidingWindowConfig(window=w) for w in (1, 2, 7, 35, 70)},
    "attention-short-3": AttentionConfig(short_taps=3),
    "attention-no-positions-short-2": AttentionConfig(rotary=False, short_taps=2),
    "window-7-short-5": SlidingWindowConfig(window=7, short_taps=5),
    "linear-attention-1": LinearAttentionConfig(heads=1),
    "h3-implicit": H3Config(filter="implicit"),
    "gss-mixing": GSSConfig(channel_mixing=True),
    "multihead-1": MultiHeadHyenaConfig(heads=1),
    "multihead-8-fir": MultiHeadHyenaConfig(heads=8, filter="fir"),
    "aft-short": AFTConfig(taps=5),
}
WITHOUT_MATRIX = {"gru", "gss-mixing"}  # no L x L matrix per channel; they say so
# What output 69 cannot read of input 0.
SHORT_SIGHTED = {
    "hyena-transfer",
    "hyena-reference-1",
    "multihead-8-fir",
    "sliding_window",
}
SHORT_SIGHTED |= {f"window-{w}" for w in (1, 2, 7, 35)} | {"window-7-short-5"}
ORDER_BLIND = {"attention-no-positions", "linear_attention", "linear-attention-1"}

every_mixer = pytest.mark.parametrize("case", CASES)
with_matrix = pytest.mark.parametrize(
    "case", [c for c in CASES if c not in WITHOUT_MATRIX]
)


def build(case: str, seed: int = 0) -> Any:
    with drawing_from(torch.Generator().manual_seed(seed)):
        return CASES[case].build(WIDTH, LONGEST).double()


def draw(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def assert_equal(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def seen(mixer: Any, u: Tensor) -> Tensor:
    """The matrix view."""
    y: Tensor = mixer.output(mixer.matrix(u) @ mixer.values(u))
    return y


def stepped(mixer: Any, u: Tensor, prompt: int) -> Tensor:
    """The step view: y_t for every t from `prompt` on."""
    state, ys = mixer.start(u[:, :prompt]), [u[:, :0]]
    for token in u[:, prompt:].unbind(1):
        y, state = mixer.step(token, state)
        ys.append(y[:, None])
    return torch.cat(ys, dim=1)


def test_every_mixer_is_named_and_builds_a_mixer() -> None:
    assert set(mixers) == {
        "hyena", "attention", "sliding_window", "linear_attention", "aft", "h3", "gss",
        "rwkv", "gru", "multihead_hyena",
    }  # fmt: skip
    assert set(filter_families) == {
        "implicit", "fir", "fourier", "s4d", "transfer", "ckconv", "modal",
    }  # fmt: skip
    assert all(isinstance(build(case), Mixer) for case in CASES)


# Three views.


@torch.no_grad()
@with_matrix
def test_the_matrix_view_is_the_parallel_view_at_every_length(case: str) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    for length in range(1, LONGEST + 1):
        y = mixer(u[:, :length])
        assert y.shape == (2, length, WIDTH)
        assert_equal(seen(mixer, u[:, :length]), y)


@torch.no_grad()
@every_mixer
@pytest.mark.parametrize("prompt", [0, 1, 33, LONGEST])
def test_the_step_view_is_the_parallel_view(case: str, prompt: int) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    assert_equal(stepped(mixer, u, prompt), mixer(u)[:, prompt:])


@torch.no_grad()
@every_mixer
def test_the_views_agree_in_float32(case: str) -> None:
    mixer, u = build(case).float(), draw(2, LONGEST, WIDTH).float()
    y = mixer(u)
    assert_equal(stepped(mixer, u, 5), y[:, 5:], 1e-5)
    if case not in WITHOUT_MATRIX:
        assert_equal(seen(mixer, u), y, 1e-5)


@torch.no_grad()
@every_mixer
def test_an_empty_batch_has_every_view_too(case: str) -> None:
    mixer, u = build(case), draw(0, 9, WIDTH)
    assert mixer(u).shape == stepped(mixer, u, 0).shape == (0, 9, WIDTH)
    if case not in WITHOUT_MATRIX:
        assert mixer.matrix(u).shape[0] == 0
        assert mixer.matrix(u).shape[2:] == (9, 9)
        assert seen(mixer, u).shape == (0, 9, WIDTH)


@examples(4)
@every_mixer
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, LONGEST),
    share=st.floats(0, 1),
    single=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_views_agree_for_any_weights_and_shapes(
    case: str, batch: int, length: int, share: float, single: bool, seed: int
) -> None:
    mixer, u = build(case, seed), 2 * draw(batch, length, WIDTH, seed=seed)
    prompt, tolerance = round(share * length), 1e-10
    if single:
        mixer, u, tolerance = mixer.float(), u.float(), 1e-4
    with torch.no_grad():
        y = mixer(u)
        assert_equal(stepped(mixer, u, prompt), y[:, prompt:], tolerance)
        if case not in WITHOUT_MATRIX:
            assert_equal(seen(mixer, u), y, tolerance)
        u[:, prompt:] = draw(batch, length - prompt, WIDTH, seed=seed + 1)
        assert_equal(mixer(u)[:, :prompt], y[:, :prompt], tolerance)


@pytest.mark.parametrize("case", sorted(WITHOUT_MATRIX))
@pytest.mark.parametrize("view", ["matrix", "values"])
def test_a_mixer_without_a_matrix_says_so(case: str, view: str) -> None:
    with pytest.raises(NotImplementedError, match="matrix"):
        getattr(build(case), view)(draw(1, 4, WIDTH))


@with_matrix
def test_the_matrix_of_too_long_a_sequence_says_what_it_would_need(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    channels = mixer.matrix(u).shape[1]
    monkeypatch.setattr(errors, "free_bytes", lambda device: 2**15)
    with pytest.raises(MemoryError, match=f"2 x {channels} matrices of 70 x 70.* GiB"):
        mixer.matrix(u)


# Steps.


@torch.no_grad()
@every_mixer
def test_a_state_can_be_branched(case: str) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    state = mixer.start(u[:, :9])
    elsewhere = state
    for token in draw(5, 2, WIDTH, seed=1):
        _, elsewhere = mixer.step(token, elsewhere)
    y, _ = mixer.step(u[:, 9], state)
    assert_equal(y, mixer(u)[:, 9])


@torch.no_grad()
@every_mixer
def test_sequences_stepped_in_turn_do_not_disturb_each_other(case: str) -> None:
    mixer, (u, w) = build(case), draw(2, 1, 20, WIDTH)
    one, other = mixer.start(u[:, :3]), mixer.start(w[:, :0])
    for t in range(17):
        y, one = mixer.step(u[:, 3 + t], one)
        z, other = mixer.step(w[:, t], other)
    assert_equal(y, mixer(u)[:, -1])
    assert_equal(z, mixer(w)[:, 16])


@every_mixer
def test_no_step_after_the_last(case: str) -> None:
    mixer, u = build(case), draw(1, LONGEST, WIDTH)
    with pytest.raises(ValueError, match="all max_length = 4 steps are taken"):
        mixer.step(u[:, 4], mixer.start(u[:, :4], max_length=4))
    for prompt, most in ((5, 4), (5, LONGEST + 1)):
        with pytest.raises(ValueError, match=rf"<= 70; got \(1, 5, 8\) and {most}"):
            mixer.start(u[:, :prompt], most)
    with pytest.raises(
        ValueError, match=r"a step takes u_t \(B, D\), .* got \(1, 70, 8\)"
    ):
        mixer.step(u, mixer.start(u[:, :0]))
    with pytest.raises(ValueError, match="D = 8"):
        mixer.step(u[:, 0, :3], mixer.start(u[:, :0]))


# Causality.


@torch.no_grad()
@every_mixer
def test_future_tokens_cannot_change_the_past_at_any_length(case: str) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    for length in range(1, LONGEST + 1):
        now = length // 2
        changed = u[:, :length].clone()
        changed[:, now:] = draw(2, length - now, WIDTH, seed=1)
        before, after = mixer(u[:, :length]), mixer(changed)
        assert_equal(before[:, :now], after[:, :now])
        assert (before[:, now:] - after[:, now:]).abs().amax((0, 2)).min() > 1e-7


@with_matrix
def test_the_matrix_is_exactly_zero_above_the_diagonal(case: str) -> None:
    matrix = build(case).matrix(draw(2, LONGEST, WIDTH))
    assert matrix.shape[-2:] == (LONGEST, LONGEST)
    assert torch.equal(matrix.triu(1), torch.zeros_like(matrix))
    assert matrix.diagonal(dim1=-2, dim2=-1).any()


@every_mixer
def test_gradients_flow_from_an_output_back_in_time_only(case: str) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH).requires_grad_()
    (gradient,) = torch.autograd.grad((mixer(u)[:, 11] * draw(2, WIDTH)).sum(), u)
    reach = gradient.abs().amax((0, 2))
    assert reach[12:].max() < 1e-12
    assert reach[11] > 1e-4


@every_mixer
def test_what_reaches_far_sees_the_first_token(case: str) -> None:
    mixer, u = build(case), draw(1, LONGEST, WIDTH).requires_grad_()
    (gradient,) = torch.autograd.grad((mixer(u)[:, -1] * draw(WIDTH)).sum(), u)
    assert bool(gradient[0, 0].abs().max() > 1e-14) is (case not in SHORT_SIGHTED)


@torch.no_grad()
@every_mixer
def test_the_output_of_a_prefix_is_the_prefix_of_the_output(case: str) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    y = mixer(u)
    for k in range(1, LONGEST + 1):
        assert_equal(mixer(u[:, :k]), y[:, :k])


@torch.no_grad()
@every_mixer
def test_mixers_know_the_order_of_the_past_unless_they_have_no_positions(
    case: str,
) -> None:
    mixer, u = build(case), draw(1, 20, WIDTH)
    shuffled = torch.cat([u[:, :-1].flip(1), u[:, -1:]], dim=1)
    change = (mixer(u)[:, -1] - mixer(shuffled)[:, -1]).abs().max()
    assert bool(change > 1e-7) is (case not in ORDER_BLIND | {"window-1"})


@torch.no_grad()
@every_mixer
def test_the_rows_of_a_batch_do_not_know_each_other(case: str) -> None:
    mixer, u = build(case), draw(3, LONGEST, WIDTH)
    assert_equal(mixer(u), torch.cat([mixer(row[None]) for row in u]))
    if case not in WITHOUT_MATRIX:
        alone = torch.cat([mixer.matrix(row[None]) for row in u])
        assert_equal(mixer.matrix(u), alone)


# Gradients and precisions.


@every_mixer
def test_gradients_are_those_of_finite_differences(case: str) -> None:
    mixer = build(case)
    u = draw(1, 6, WIDTH).requires_grad_()
    names = [name for name, _ in mixer.named_parameters()]

    def run(u: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        y: Tensor = functional_call(mixer, state, (u,))
        return y

    assert gradcheck(run, (u, *mixer.parameters()), fast_mode=True, atol=1e-6)


@every_mixer
def test_outputs_and_gradients_are_finite_and_reach_every_parameter(case: str) -> None:
    mixer, u = build(case).float(), draw(2, LONGEST, WIDTH).float().requires_grad_()
    y = mixer(u)
    (y * draw(*y.shape, seed=1)).sum().backward()
    gradients = {name: p.grad for name, p in mixer.named_parameters()} | {"u": u.grad}
    assert all(g is not None and g.isfinite().all() for g in [*gradients.values(), y])
    assert [name for name, g in gradients.items() if not g.any()] == []


@every_mixer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_mixer_works_in_every_precision(case: str, dtype: torch.dtype) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    exact = mixer(u)
    y = mixer.to(dtype)(u.to(dtype))
    assert y.dtype == dtype
    tolerance = {torch.float32: 1e-5, torch.float16: 0.03, torch.bfloat16: 0.2}[dtype]
    assert (y.double() - exact).abs().max() < tolerance * exact.abs().max()


@every_mixer
def test_a_mixer_works_under_autocast(case: str) -> None:
    mixer, u = build(case).float(), draw(2, LONGEST, WIDTH).float().requires_grad_()
    exact = mixer(u)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = [mixer(u), stepped(mixer, u, 0)]
        if case not in WITHOUT_MATRIX:
            results.append(seen(mixer, u))
    results[0].float().sum().backward()
    assert u.grad is not None
    assert u.grad.isfinite().all()
    for result in results:
        assert (result.float() - exact).abs().max() < 0.2 * exact.abs().max()


# What is refused.


@every_mixer
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, LONGEST + 1, WIDTH), f"length {LONGEST + 1} .* max_length = {LONGEST};"),
        ((1, 0, WIDTH), f"length 0 .* max_length = {LONGEST};"),
        ((1, 4, WIDTH + 1), rf"D = {WIDTH}; got \(1, 4, {WIDTH + 1}\)"),
        ((4, WIDTH), rf"\(B, L, D\) .* got \(4, {WIDTH}\)"),
    ],
)
def test_a_mixer_refuses_a_wrong_shape(
    case: str, shape: tuple[int, ...], words: str
) -> None:
    mixer = build(case)
    views = [mixer] if case in WITHOUT_MATRIX else [mixer, mixer.matrix, mixer.values]
    for view in views:
        with pytest.raises(ValueError, match=words):
            view(draw(*shape))


@every_mixer
def test_another_dtype_or_device_is_refused_by_name(case: str) -> None:
    mixer = build(case).float()
    with pytest.raises(TypeError, match=r"u is torch\.float64, .* torch\.float32"):
        mixer(draw(1, 4, WIDTH).double())
    with pytest.raises(TypeError, match=r"u is torch\.int64"):
        mixer(torch.ones(1, 4, WIDTH, dtype=torch.int64))
    with pytest.raises(ValueError, match="u is on meta, the weights on cpu"):
        mixer(torch.ones(1, 4, WIDTH, device="meta"))


# What it costs.


@every_mixer
@pytest.mark.parametrize("length", [10, LONGEST])
def test_flops_count_the_products_torch_counts(case: str, length: int) -> None:
    mixer, u = build(case), draw(3, length, WIDTH)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        mixer(u)
    counted, said = counter.get_total_flops(), mixer.flops(length, batch=3)
    if isinstance(mixer, SoftmaxAttention) or "linear" in case:
        taps = getattr(mixer.config, "short_taps", 1)  # torch does not count its sums
        short = 2 * taps * 3 * WIDTH * length * 3 * (taps > 1)
        assert said == counted + short  # nothing else in them is worth counting
    elif case != "gru":  # torch does not look into a GRU
        assert counted <= said < 100 * counted


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AttentionConfig(heads=0), "heads must be at least 1; got 0"),
        (lambda: SlidingWindowConfig(window=0), "window must be at least 1; got 0"),
        (lambda: AttentionConfig(short_taps=0), "short_taps must be at least 1; got 0"),
        (lambda: LinearAttentionConfig(heads=0), "heads must be at least 1; got 0"),
        (lambda: AttentionConfig(heads=4).build(10, 8), "width 10 .* heads = 4"),
        (lambda: AttentionConfig(heads=4).build(12, 8), "even head width"),
        (lambda: LinearAttentionConfig(heads=4).build(10, 8), "width 10 .* heads = 4"),
    ],
)
def test_an_impossible_mixer_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


# Attention.


@pytest.mark.parametrize(
    "case", ["attention", "window-7", "linear_attention", "sliding_window"]
)
def test_rows_of_attention_are_distributions(case: str) -> None:
    matrix = build(case).matrix(draw(2, LONGEST, WIDTH))
    assert (matrix >= 0).all()
    assert_equal(matrix.sum(-1), torch.ones(matrix.shape[:-1], dtype=torch.float64))


@pytest.mark.parametrize("window", [1, 2, 7, 35, 70])
def test_a_window_reads_that_many_inputs(window: int) -> None:
    matrix = build(f"window-{window}").matrix(draw(2, LONGEST, WIDTH))
    read = (matrix > 0).sum(-1)
    reach = torch.arange(1, LONGEST + 1).clamp(max=window)
    assert torch.equal(read, reach.expand_as(read))


@pytest.mark.parametrize("case", ["attention", "window-1", "window-7", "window-70"])
def test_flops_that_are_masked_are_those_of_entries_nothing_reads(case: str) -> None:
    mixer = build(case)
    for length in (1, 7, 8, 33, LONGEST):
        matrix = mixer.matrix(draw(1, length, WIDTH))[0, 0]
        entry = 4 * WIDTH  # a score and a mixing, of all heads
        unread = mixer.entries(length) - int((matrix > 0).sum())
        assert mixer.masked_flops(length, batch=3) == 3 * entry * unread
        assert mixer.masked_flops(length) < mixer.flops(length)


@torch.no_grad()
def test_a_short_convolution_that_looks_at_the_present_alone_changes_nothing() -> None:
    plain, mixer, u = build("attention"), build("attention-short-3"), draw(2, 9, WIDTH)
    weights = plain.state_dict()
    assert not any("short" in name for name in weights)
    weights["short_filter.weight"] = torch.tensor([0.0, 0.0, 1.0]).expand(24, 1, 3)
    weights["short_filter.bias"] = torch.zeros(24)
    mixer.load_state_dict(weights)
    assert_equal(mixer(u), plain(u))


@torch.no_grad()
def test_the_short_convolution_comes_before_the_positions() -> None:
    mixer, u = build("attention-short-3"), draw(2, 9, WIDTH)
    p, weight = mixer.in_proj(u), mixer.short_filter.weight[:, 0]  # (24, 3)
    late = [torch.cat([torch.zeros_like(p[:, :n]), p[:, : 9 - n]], 1) for n in range(3)]
    p = sum(weight[:, 2 - n] * x for n, x in enumerate(late)) + mixer.short_filter.bias
    q, k, v = p.view(2, 9, 3, 4, 2).permute(2, 0, 3, 1, 4)
    for found, wanted in zip(mixer.heads(u), (q, k, v), strict=True):
        turned = wanted is not v
        assert_equal(found, mixer.turn(wanted, 0) if turned else wanted)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    mixer = build("attention")
    q, k = draw(2, 1, 4, 1, 2).expand(-1, -1, -1, LONGEST, -1)
    scores = mixer.turn(q, 0) @ mixer.turn(k, 0).transpose(-1, -2)
    for distance in range(LONGEST):
        diagonal = scores.diagonal(-distance, -2, -1)
        assert_equal(diagonal, diagonal[..., :1].expand_as(diagonal), 1e-5)


@every_mixer
def test_a_state_belongs_to_as_many_sequences_as_it_began_with(case: str) -> None:
    mixer = build(case)
    state = mixer.start(draw(1, 3, WIDTH))
    with pytest.raises(ValueError, match=r"here with B = 1; got \(2, 8\)"):
        mixer.step(draw(2, WIDTH), state)
    _, none = mixer.step(draw(0, WIDTH), mixer.start(draw(0, 3, WIDTH)))
    assert none.time == 4


@every_mixer
def test_an_empty_prompt_is_looked_at_too(case: str) -> None:
    mixer = build(case)
    with pytest.raises(ValueError, match=rf"D = {WIDTH}; got"):
        mixer.start(draw(1, 0, WIDTH + 1))
    with pytest.raises(ValueError, match="1 <= max_length <= 70"):
        mixer.start(draw(1, 0, WIDTH), max_length=0)


@every_mixer
@pytest.mark.parametrize("size", [(WIDTH, 0), (WIDTH, -1), (0, LONGEST)])
def test_a_mixer_without_width_or_length_cannot_be_built(
    case: str, size: tuple[int, int]
) -> None:
    config = CASES[case]
    with pytest.raises(ValueError, match=r"must be at least 1; got"):
        config.build(*size)


@torch.no_grad()
@every_mixer
def test_large_inputs_give_finite_outputs_in_all_views(case: str) -> None:
    mixer, u = build(case).float(), 100 * draw(4, 61, WIDTH).float()
    y = mixer(u)
    assert y.isfinite().all()
    if case in WITHOUT_MATRIX:
        return
    views = mixer.output(mixer.matrix(u) @ mixer.values(u))
    # Scores of attention are in the thousands here, and so is their rounding.
    assert (views - y).abs().max() <= 1e-4 * y.abs().max()
