"""What is particular to each rival mixer; the laws of all are in test_mixers.py."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu
from torch.utils.flop_counter import FlopCounterMode

from minihyena import (
    HyenaConfig,
    ImplicitConfig,
    LanguageModel,
    LMConfig,
    causal_conv,
    filter_families,
)
from minihyena.matrices import jacobian
from minihyena.model import drawing_from
from minihyena.rivals.gated import GSSConfig, H3Config, MultiHeadHyenaConfig
from minihyena.rivals.linear_attention import LinearAttentionConfig, features
from minihyena.rivals.recurrent import (
    AFTConfig,
    GRUConfig,
    RWKVConfig,
    join,
    running,
    term,
    windowed,
)

WIDTH, LONGEST = 6, 40
ROUGH = ImplicitConfig(bands=4, width=8, depth=1, sine_frequency=10.0)
CASES: dict[str, Any] = {
    "h3": H3Config(),
    "h3-short": H3Config(ROUGH, shift_taps=5),
    "gss": GSSConfig(),
    "gss-mixing": GSSConfig(ROUGH, channel_mixing=True),
    "multihead": MultiHeadHyenaConfig(ROUGH, heads=2),
    "multihead-s4d": MultiHeadHyenaConfig("s4d", heads=1, short_taps=1),
    "aft": AFTConfig(),
    "aft-short": AFTConfig(taps=5),
    "aft-1": AFTConfig(taps=1),
    "rwkv": RWKVConfig(),
    "gru": GRUConfig(),
    "gru-2": GRUConfig(layers=2),
}
every_rival = pytest.mark.parametrize("case", CASES)


def make(
    config: Any, width: int = WIDTH, max_length: int = LONGEST, seed: int = 0
) -> Any:
    with drawing_from(torch.Generator().manual_seed(seed)):
        return config.build(width, max_length).double()


def anywhere(config: Any) -> Any:
    """The mixer at weights that are not those of the start."""
    mixer = make(config)
    with torch.no_grad():
        for seed, p in enumerate(mixer.parameters()):
            p += 0.3 * draw(*p.shape, seed=seed)
    return mixer


def draw(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def assert_equal(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def stepped(mixer: Any, u: Tensor) -> Tensor:
    state, ys = mixer.start(u[:, :0]), []
    for token in u.unbind(1):
        y, state = mixer.step(token, state)
        ys.append(y)
    return torch.stack(ys, dim=1)


# Each by its definition, term by term: what is summed over s <= t, written as loops.


def linear(layer: Any, u: Tensor) -> Tensor:
    y = u @ layer.weight.T
    return y if layer.bias is None else y + layer.bias


def summed(x: Tensor, h: Tensor) -> Tensor:
    """x (B, L, D), h (D, K): sum over s <= t of h_{t-s} x_s."""
    y = torch.zeros_like(x)
    for t in range(x.shape[1]):
        for s in range(max(0, t + 1 - h.shape[1]), t + 1):
            y[:, t] += h[:, t - s] * x[:, s]
    return y


def h3(m: Any, u: Tensor) -> Tensor:
    q, k, v = linear(m.in_proj, u).chunk(3, dim=-1)
    k = summed(k, m.shift) + m.skips[0] * k
    mixed = summed(k * v, m.filter(u.shape[1])[0]) + m.skips[1] * k * v
    return linear(m.out_proj, q * mixed)


def gss(m: Any, u: Tensor) -> Tensor:
    a, b = gelu(linear(m.in_proj, u)).chunk(2, dim=-1)
    mixed = summed(b, m.filter(u.shape[1])[0])
    if m.config.channel_mixing:
        mixed = linear(m.mix, mixed)
    return linear(m.out_proj, a * mixed)


def multihead(m: Any, u: Tensor) -> Tensor:
    """With the P x P state that the heads keep."""
    length, groups = u.shape[1], m.config.heads
    p = linear(m.in_proj, u)
    p = summed(p, m.short_filter.weight[:, 0].flip(-1)) + m.short_filter.bias
    q, k, v = (x.unflatten(-1, (groups, -1)) for x in p.chunk(3, dim=-1))
    h, y = m.filter(length)[0], torch.zeros_like(v)
    for t in range(length):
        z = m.skips[0, :, None, None] * k[:, t, :, :, None] * v[:, t, :, None]
        for s in range(t + 1):
            z = z + h[:, t - s, None, None] * k[:, s, :, :, None] * v[:, s, :, None]
        y[:, t] = (z * q[:, t, :, :, None]).sum(-2)
    return linear(m.out_proj, y.flatten(-2))


def aft(m: Any, u: Tensor) -> Tensor:
    q, k, v = linear(m.in_proj, u).chunk(3, dim=-1)
    y = torch.zeros_like(v)
    for t in range(u.shape[1]):
        above, below = torch.zeros_like(v[:, 0]), torch.zeros_like(v[:, 0])
        for s in range(t + 1):
            near = t - s < m.config.taps
            weight = (k[:, s] + (m.bias[:, t - s] if near else 0)).exp()
            above, below = above + weight * v[:, s], below + weight
        y[:, t] = q[:, t].sigmoid() * above / below
    return linear(m.out_proj, y)


def rwkv(m: Any, u: Tensor) -> Tensor:
    before = torch.cat([torch.zeros_like(u[:, :1]), u[:, :-1]], dim=1)
    r, k, v = (
        linear(layer, mu * u + (1 - mu) * before)
        for layer, mu in zip(m.projections, m.shift, strict=True)
    )
    w, y = m.log_decay.exp(), torch.zeros_like(v)
    for t in range(u.shape[1]):
        below = (m.bonus + k[:, t]).exp()
        above = below * v[:, t]
        for s in range(t):
            weight = (-(t - 1 - s) * w + k[:, s]).exp()
            above, below = above + weight * v[:, s], below + weight
        y[:, t] = r[:, t].sigmoid() * above / below
    return linear(m.out_proj, y)


def gru(m: Any, u: Tensor) -> Tensor:
    for layer in range(m.config.layers):
        w, x, b, c = (
            getattr(m.cell, f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        state, states = torch.zeros_like(u[:, 0]), []
        for t in range(u.shape[1]):
            now = (u[:, t] @ w.T + b).chunk(3, dim=-1)
            then = (state @ x.T + c).chunk(3, dim=-1)
            r, g = ((now[i] + then[i]).sigmoid() for i in (0, 1))
            state = (1 - g) * torch.tanh(now[2] + r * then[2]) + g * state
            states.append(state)
        u = torch.stack(states, dim=1)
    return linear(m.out_proj, u)


DEFINITIONS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    f.__name__: f for f in (h3, gss, multihead, aft, rwkv, gru)
}


@torch.no_grad()
@every_rival
@pytest.mark.parametrize("length", [1, 6, 29])
def test_the_fast_form_is_the_definition_term_by_term(case: str, length: int) -> None:
    mixer, u = anywhere(CASES[case]), draw(2, length, WIDTH)
    assert_equal(mixer(u), DEFINITIONS[case.split("-")[0]](mixer, u))


@torch.no_grad()
@every_rival
def test_a_thousand_steps_in_float32_stay_with_the_parallel_view(case: str) -> None:
    mixer = make(CASES[case], max_length=1000).float()
    u = draw(1, 1000, WIDTH).float()
    y = mixer(u)
    assert (stepped(mixer, u) - y).abs().max() < 1e-5 * y.abs().max()


# What each starts from, and what it is made of.


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # Projections, taps and skips; the filter; the way back.
        (H3Config("fir"), 3 * 6 * 7 + 6 * 40 + 2 * 6 + 6 * 40 + 6 * 7),
        (H3Config("fir", shift_taps=5), 3 * 6 * 7 + 6 * 5 + 2 * 6 + 6 * 40 + 6 * 7),
        (GSSConfig("fir"), 2 * 6 * 7 + 6 * 40 + 6 * 7),
        (GSSConfig("fir", channel_mixing=True), 2 * 6 * 7 + 6 * 40 + 2 * 6 * 7),
        (MultiHeadHyenaConfig("fir", 2), 3 * 6 * (7 + 4) + 2 + 2 * 40 + 6 * 7),
        (AFTConfig(5), 3 * 6 * 7 + 6 * 5 + 6 * 7),
        (RWKVConfig(), 4 * 6 * 6 + 5 * 6),
        (GRUConfig(), 6 * 6 * 7 + 6 * 7),
        (GRUConfig(2), 2 * 6 * 6 * 7 + 6 * 7),
    ],
)
def test_the_number_of_parameters_is_that_of_the_formula(
    config: Any, expected: int
) -> None:
    assert sum(p.numel() for p in make(config).parameters()) == expected


@torch.no_grad()
@every_rival
def test_an_untrained_mixer_neither_swells_nor_vanishes(case: str) -> None:
    y = make(CASES[case], 32, 512)(draw(2, 512, 32))
    early, late = y[:, 32:64].std(), y[:, -32:].std()
    assert 0.01 < late < 10
    assert 1 / 6 < late / early < 6


@every_rival
def test_a_language_model_of_it_starts_at_chance_and_trains_every_weight_once(
    case: str,
) -> None:
    # Tied, the head would favour the token that was just read.
    config = LMConfig(11, 32, width=12, depth=2, mixer=CASES[case], tied=False)
    model = LanguageModel(config, torch.Generator().manual_seed(0))
    ids = torch.randint(11, (4, 33), generator=torch.Generator().manual_seed(1))
    logits, targets = model(ids[:, :-1]), ids[:, 1:]
    loss = torch.nn.functional.cross_entropy(logits.mT, targets)
    assert loss.item() == pytest.approx(math.log(11), abs=0.05)
    groups = model.parameter_groups(1e-3, 0.1)
    grouped = [p for group in groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == set(model.parameters())
    assert len(model.filters()) == 2 * hasattr(model.blocks[0].mixer, "filter")


@pytest.mark.parametrize("name", filter_families)
@pytest.mark.parametrize("kind", [H3Config, GSSConfig, MultiHeadHyenaConfig])
def test_any_filter_family_is_one_word(kind: Any, name: str) -> None:
    config = kind(filter=name)
    assert config.filter == filter_families[name]()
    mixer, u = make(config, width=8), draw(1, 9, 8)
    rows = getattr(config, "heads", 8)
    assert mixer.filter(9).shape == (1, rows, 9)
    assert_equal(mixer.output(mixer.matrix(u) @ mixer.values(u)), mixer(u))


@torch.no_grad()
@pytest.mark.parametrize(
    ("config", "change"),
    [
        (H3Config(), {"filter": "implicit"}),
        (H3Config(), {"shift_taps": 3}),
        (GSSConfig(), {"channel_mixing": True}),
        (MultiHeadHyenaConfig(ROUGH, 2), {"heads": 3}),
        (MultiHeadHyenaConfig(ROUGH, 2), {"short_taps": 4}),
        (AFTConfig(), {"taps": 3}),
        (RWKVConfig(), {"slow_decay": 1.0}),
        (RWKVConfig(), {"fast_decay": 1.0}),
        (GRUConfig(), {"layers": 2}),
    ],
)
def test_an_option_changes_the_result(config: Any, change: dict[str, Any]) -> None:
    u = draw(1, LONGEST, WIDTH)
    change_of_y = make(replace(config, **change))(u) - make(config)(u)
    assert change_of_y.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: H3Config("s4"), "unknown long filter 's4'; .* nearest first: s4d"),
        (lambda: H3Config(shift_taps=0), "shift_taps must be at least 1; got 0"),
        (lambda: MultiHeadHyenaConfig(heads=0), "heads must be at least 1; got 0"),
        (lambda: MultiHeadHyenaConfig(short_taps=0), "short_taps must be .*; got 0"),
        (lambda: MultiHeadHyenaConfig(heads=4).build(6, 9), "width 6 .* heads = 4"),
        (lambda: AFTConfig(taps=0), "taps must be at least 1; got 0"),
        (lambda: RWKVConfig(slow_decay=0.0), "0 < slow_decay <= .* got 0.0 and 20"),
        (lambda: RWKVConfig(fast_decay=math.inf), "decays need .* and inf"),
        (lambda: RWKVConfig(2.0, 1.0), "decays need .* got 2.0 and 1.0"),
        (lambda: GRUConfig(layers=0), "layers must be at least 1; got 0"),
    ],
)
def test_an_impossible_option_is_refused(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@torch.no_grad()
@every_rival
def test_flops_are_the_products_torch_counts_and_what_is_listed(case: str) -> None:
    """Beside matrices: gates, and convolutions by three transforms of 2L points."""
    mixer, length = make(CASES[case]), LONGEST
    with FlopCounterMode(display=False) as counter:
        mixer(draw(3, length, WIDTH))
    if hasattr(mixer, "filter"):  # made once for the batch; only its layers count
        with FlopCounterMode(display=False) as made:
            mixer.filter(length)
        layers = [m for m in mixer.filter.modules() if hasattr(m, "in_features")]
        kept = 2 * length * sum(m.weight.numel() for m in layers)
        counted = counter.get_total_flops() - made.get_total_flops() + kept
    else:
        counted = counter.get_total_flops()
    one = 7.5 * 2 * length * math.log2(2 * length) + 6 * length
    head = WIDTH // getattr(mixer.config, "heads", 1)
    short = getattr(mixer.config, "short_taps", 0)
    beside = {
        "h3": 2 * length + 2 * one,
        "gss": length + one,
        "multihead": (3 * head - 1 + 6 * short) * length + head * one,
        "aft": 7 * length,
        "rwkv": (2 * 3 + 3 * 6 + 2) * length,
        "gru": 3 * length * getattr(mixer.config, "layers", 1),
    }[case.split("-")[0]]
    assert mixer.flops(length, batch=3) == pytest.approx(counted + 3 * WIDTH * beside)


# H3, GSS, multi-head Hyena.


def toeplitz(h: Tensor, skip: Tensor) -> Tensor:
    """h (D, L) -> (D, L, L), by its entries."""
    length = h.shape[-1]
    t = torch.zeros(len(h), length, length, dtype=h.dtype)
    for i in range(length):
        for j in range(i + 1):
            t[:, i, j] = h[:, i - j]
        t[:, i, i] += skip
    return t


@torch.no_grad()
def test_h3_is_also_linear_in_its_keys_by_the_matrix_of_the_paper() -> None:
    mixer, u = anywhere(H3Config(shift_taps=5)), draw(2, 20, WIDTH)
    q, k, v = mixer.in_proj(u).transpose(1, 2).chunk(3, dim=1)
    taps = torch.cat([mixer.shift, torch.zeros(WIDTH, 15, dtype=u.dtype)], dim=1)
    shift = toeplitz(taps, mixer.skips[0])
    long = toeplitz(mixer.filter(20)[0], mixer.skips[1])
    y = q * (long @ (v[..., None] * (shift @ k[..., None])))[..., 0]
    assert_equal(mixer.out_proj(y.transpose(1, 2)), mixer(u))


@torch.no_grad()
def test_h3_remembers_a_key_for_as_many_steps_as_it_has_taps() -> None:
    mixer = make(H3Config(shift_taps=5))
    k = torch.zeros(1, LONGEST, WIDTH, dtype=torch.float64)
    k[:, 3] = 1
    mixer.in_proj.weight.zero_()
    mixer.in_proj.bias.zero_()
    mixer.in_proj.weight[WIDTH : 2 * WIDTH] = torch.eye(WIDTH)  # keys are the input
    _, [(shifted, _, _), _] = mixer.streams(k)
    moved = (shifted - shifted[..., :1]).abs().amax((0, 1)) > 1e-9
    assert moved.nonzero().flatten().tolist() == [3, 4, 5, 6, 7]


def test_gss_with_channel_mixing_has_no_matrix_and_says_what_to_do() -> None:
    mixer, u = make(GSSConfig(channel_mixing=True)), draw(1, 4, WIDTH)
    for view in (mixer.matrix, mixer.values):
        with pytest.raises(
            NotImplementedError, match=r"channel_mixing=False.*jacobian"
        ):
            view(u)
    assert_equal(jacobian(mixer, u, 0)[0].triu(1), torch.zeros(4, 4).double())


@torch.no_grad()
def test_multihead_hyena_with_heads_of_width_1_is_hyena_of_order_2() -> None:
    hyena = anywhere(HyenaConfig(2, filter=ROUGH))
    ours = make(MultiHeadHyenaConfig(ROUGH, heads=WIDTH))
    ours.load_state_dict(hyena.state_dict())
    u = draw(2, LONGEST, WIDTH)
    assert_equal(ours(u), hyena(u))
    assert_equal(ours.matrix(u), hyena.matrix(u).transpose(-1, -2).mT)
    assert ours.flops(LONGEST, 3) == pytest.approx(hyena.flops(LONGEST, 3))


@torch.no_grad()
def test_multihead_hyena_with_a_flat_filter_is_linear_attention_not_normalised() -> (
    None
):
    mixer, u = anywhere(MultiHeadHyenaConfig("fir", heads=2)), draw(2, 30, WIDTH)
    mixer.filter.taps.fill_(1)
    mixer.skips.zero_()
    q, k, v = (x.transpose(-1, -2) for x in mixer.heads(u))
    state, ys = torch.zeros(2, 2, 3, 3, dtype=u.dtype), []
    for t in range(30):
        state = state + k[:, :, t, :, None] * v[:, :, t, None]
        ys.append((state * q[:, :, t, :, None]).sum(-2))
    y = torch.stack(ys, dim=1).flatten(-2)
    assert_equal(mixer(u), mixer.out_proj(y))


# AFT and RWKV: averages.

AVERAGES = ["aft", "aft-short", "aft-1", "rwkv"]
averages = pytest.mark.parametrize("case", AVERAGES)


@torch.no_grad()
@averages
def test_every_output_is_a_gated_average_of_the_past(case: str) -> None:
    mixer, u = anywhere(CASES[case]), draw(2, LONGEST, WIDTH)
    matrix, gate = mixer.matrix(u), mixer.streams(u)[0].transpose(1, 2)
    weights = matrix / gate[..., None]
    assert (weights >= 0).all()
    assert_equal(weights.sum(-1), torch.ones_like(gate))


def with_keys(case: str, keys: Tensor) -> tuple[Any, Tensor]:
    """A mixer in float32, and an input (1, L, 2) of which the first channel is keys."""
    mixer = make(CASES[case], width=2, max_length=200).float()
    with torch.no_grad():
        if case == "rwkv":
            mixer.shift.fill_(1)
            weight = mixer.projections[1].weight
        else:
            weight = mixer.in_proj.weight[2:4]
            mixer.in_proj.bias.zero_()
        weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    u = draw(1, len(keys), 2).float()
    u[0, :, 0] = keys
    return mixer, u


ALTERNATING = torch.tensor([100.0, -100.0]).repeat(75)
EXTREMES = {
    "high": torch.full((150,), 100.0),
    "low": torch.full((150,), -100.0),
    "rising": torch.linspace(-100, 100, 150),
    "falling": torch.linspace(100, -100, 150),
    "alternating": ALTERNATING,
    "one early": torch.cat([torch.tensor([100.0]), torch.full((149,), -100.0)]),
    "one late": torch.cat([torch.full((149,), -100.0), torch.tensor([100.0])]),
}


@averages
@pytest.mark.parametrize("keys", EXTREMES)
def test_extreme_keys_are_no_danger_early_or_late(case: str, keys: str) -> None:
    mixer, u = with_keys(case, EXTREMES[keys])
    u.requires_grad_()
    y = mixer(u)
    y.sum().backward()
    assert u.grad is not None
    assert all(p.grad.isfinite().all() for p in mixer.parameters())
    assert u.grad.isfinite().all()
    with torch.no_grad():
        dense = mixer.output(mixer.matrix(u) @ mixer.values(u))
        tolerance = 1e-5 * y.abs().max()
        assert (dense - y).abs().max() < tolerance
        assert (stepped(mixer, u) - y).abs().max() < tolerance


@torch.no_grad()
@averages
@pytest.mark.parametrize("later", [30.0, 100.0, 500.0])
def test_a_huge_later_key_leaves_the_past_as_it_was(case: str, later: float) -> None:
    mixer, u = with_keys(case, draw(150).float())
    y = mixer(u)
    u[0, 100, 0] = later
    changed = mixer(u)
    torch.testing.assert_close(changed[:, :100], y[:, :100], atol=1e-7, rtol=1e-6)
    assert (changed[:, 100] - y[:, 100]).abs().max() > 1e-3


@torch.no_grad()
def test_aft_with_flat_keys_and_biases_is_a_running_mean() -> None:
    mixer, u = make(AFTConfig(taps=5)), draw(1, LONGEST, WIDTH)
    mixer.bias.zero_()
    mixer.in_proj.weight[: 2 * WIDTH].zero_()  # queries and keys
    gate, _, v = mixer.streams(u)
    mean = v.cumsum(1) / torch.arange(1, LONGEST + 1)[:, None]
    assert_equal(mixer(u), mixer.out_proj(gate * mean))


@torch.no_grad()
def test_rwkv_forgets_an_input_by_its_decay_with_every_step() -> None:
    mixer, u = anywhere(RWKVConfig()), draw(1, LONGEST, WIDTH)
    logits = (mixer.matrix(u) / mixer.streams(u)[0].mT[..., None]).log()
    # The ratio of two rows is the same at all s; of two columns it loses w a step.
    lost = logits[:, :, 5, 0] - logits[:, :, 5, 1]
    key = mixer.streams(u)[1]
    assert_equal(lost, key[:, 0] - key[:, 1] - mixer.log_decay.exp(), 1e-8)


@torch.no_grad()
@pytest.mark.parametrize("length", [*range(1, 18), 31, 33])
def test_sums_joined_in_pairs_are_those_joined_one_by_one(length: int) -> None:
    k, v = draw(2, 2, length, WIDTH)
    decay = draw(WIDTH, seed=1).exp()
    sums = running(term(3 * k, v), decay)
    one = term(3 * k[:, :1], v[:, :1])
    for t in range(length):
        if t:
            now = slice(t, t + 1)
            one = join(one, term(3 * k[:, now], v[:, now]), decay)
        assert_equal(sums[:, :, t] * 1, torch.cat([one])[:, :, 0])


@pytest.mark.parametrize(("length", "taps"), [(1, 1), (7, 7), (20, 1), (20, 6)])
def test_a_convolution_in_blocks_is_the_direct_one(length: int, taps: int) -> None:
    x, h = draw(3, WIDTH, length), draw(WIDTH, taps, seed=1)
    assert_equal(windowed(x, h), causal_conv(x, h, method="direct"))


# GRU.


def test_a_gru_has_no_matrix_and_says_so_by_name() -> None:
    mixer, u = make(GRUConfig()), draw(1, 4, WIDTH)
    for view in (mixer.matrix, mixer.values):
        with pytest.raises(
            NotImplementedError, match=r"GRU has no matrix .*\.jacobian"
        ):
            view(u)
    assert_equal(jacobian(mixer, u, 0)[0].triu(1), torch.zeros(4, 4).double())


@torch.no_grad()
@pytest.mark.parametrize("seed", range(5))
def test_linear_attention_keeps_its_digits_where_features_are_small(seed: int) -> None:
    mixer = make(LinearAttentionConfig(), 16, 61, seed).float()
    for scale in (30.0, 100.0, 1000.0):
        u = scale * draw(1, 61, 16, seed=seed).float()
        y = mixer(u)
        assert y.isfinite().all()
        views = mixer.output(mixer.matrix(u) @ mixer.values(u))
        assert (views - y).abs().max() <= 1e-5 * y.abs().max()
    x = torch.linspace(-20, 5, 50)
    torch.testing.assert_close(
        features(x).double(), torch.nn.functional.elu(x.double()) + 1, rtol=1e-5, atol=0
    )


@torch.no_grad()
def test_aft_is_exact_for_keys_far_above_the_first() -> None:
    mixer = make(AFTConfig(taps=5))
    mixer.in_proj.weight[WIDTH : 2 * WIDTH] = torch.eye(WIDTH)
    u = draw(1, 20, WIDTH)
    u[:, 7], u[:, 12] = 2000.0, 1000.0  # two, whose distance counts as well
    assert_equal(mixer(u), mixer.output(mixer.matrix(u) @ mixer.values(u)))
    assert_equal(mixer(u), stepped(mixer, u))
