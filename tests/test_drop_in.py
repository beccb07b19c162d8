"""A mixer inside somebody else's model, and Hyena in both directions."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from minihyena import HyenaConfig, HyenaOperator, ImplicitConfig, mixers
from minihyena.bidirectional import (
    BidirectionalHyena,
    two_sided_conv,
    two_sided_toeplitz,
)
from minihyena.drop_in import MixerAttention, replace_attention
from minihyena.model import drawing_from

WIDTH, LONGEST, HEADS = 8, 24, 2
LIVELY = ImplicitConfig(bands=4, width=16, depth=1, sine_frequency=10.0)
HYENA = HyenaConfig(filter=LIVELY)
# (mixer, causal): every mixer forwards in time, Hyena both ways.
CASES: dict[str, tuple[Any, bool]] = {
    **{name: (name, True) for name in mixers},
    "hyena-3": (HyenaConfig(3, "paper", filter=LIVELY), True),
    "two-sided": (HYENA, False),
    "two-sided-3": (HyenaConfig(3, filter="fir"), False),
}
every_case = pytest.mark.parametrize("case", CASES)
a_few = pytest.mark.parametrize("case", ["hyena", "attention", "two-sided"])
TWO_SIDED = [
    HyenaConfig(n, c, 3, LIVELY) for c in ("reference", "paper") for n in (1, 3)
]
TWO_SIDED += [HyenaConfig(filter="fir"), HyenaConfig(short_taps=5)]
TWO_SIDED += [HyenaConfig(3, gated=False, filter=LIVELY)]
every_two_sided = pytest.mark.parametrize("config", TWO_SIDED)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def attention(**options: Any) -> nn.MultiheadAttention:
    options = {"batch_first": True, "dtype": torch.float64} | options
    return nn.MultiheadAttention(WIDTH, HEADS, **options)


def adapter(case: str, **options: Any) -> MixerAttention:
    mixer, causal = CASES[case]
    made = replace_attention(
        attention(**options),
        mixer,
        max_length=LONGEST,
        causal=causal,
        generator=seeded(),
    )
    assert isinstance(made, MixerAttention)
    return made


def encoder(depth: int = 2, **options: Any) -> nn.TransformerEncoder:
    options = {"batch_first": True, "dtype": torch.float64, "dropout": 0.0} | options
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, **options)
    return nn.TransformerEncoder(layer, depth)


def causal_mask(length: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return nn.Transformer.generate_square_subsequent_mask(length, dtype=dtype)


def assert_equal(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


# Two-sided convolution


def by_definition(u: Tensor, past: Tensor, future: Tensor) -> Tensor:
    """y_t = sum_{s<=t} past_{t-s} u_s + sum_{s>t} future_{s-t} u_s, term by term."""
    y = torch.zeros_like(u)
    length, taps = u.shape[-1], past.shape[-1]
    for t in range(length):
        for s in range(length):
            if abs(t - s) < taps:
                h = past[:, t - s] if s <= t else future[:, s - t]
                y[..., t] += h * u[..., s]
    return y


@given(length=st.integers(1, 30), share=st.floats(0, 1), batch=st.integers(1, 3))
def test_the_two_sided_convolution_is_its_definition(
    length: int, share: float, batch: int
) -> None:
    taps = max(1, round(share * length))
    u, past, future = (
        draw(batch, 3, length),
        draw(3, taps, seed=1),
        draw(3, taps, seed=2),
    )
    expected = by_definition(u, past, future)
    assert_equal(two_sided_conv(u, past, future), expected)
    matrix = two_sided_toeplitz(past, future, length)
    assert_equal((matrix @ u[..., None])[..., 0], expected)
    skip = draw(3, seed=3)
    with_skip = two_sided_conv(u, past, future, skip)
    assert_equal(with_skip, expected + skip[:, None] * u)


def test_it_is_one_circular_convolution_of_twice_the_length() -> None:
    u, past, future = draw(2, 3, 20), draw(3, 20, seed=1), draw(3, 20, seed=2)
    kernel = torch.cat([past, torch.zeros(3, 1), future[:, 1:].flip(-1)], dim=-1)
    spectrum = torch.fft.rfft(kernel) * torch.fft.rfft(u, 40)
    assert_equal(two_sided_conv(u, past, future), torch.fft.irfft(spectrum)[..., :20])


def test_nothing_wraps_around_the_ends() -> None:
    past, future = torch.zeros(1, 5), torch.zeros(1, 5)
    past[0, 2], future[0, 1] = 1, 10
    u = torch.tensor([[[1.0, 2, 3, 4, 5]]])
    found = two_sided_conv(u, past, future)
    torch.testing.assert_close(found, torch.tensor([[[20.0, 30, 41, 52, 3]]]))


def test_the_present_belongs_to_the_past() -> None:
    u, past, future = draw(2, 3, 9), draw(3, 9, seed=1), draw(3, 9, seed=2)
    other = future.clone()
    other[:, 0] = 100
    assert_equal(two_sided_conv(u, past, future), two_sided_conv(u, past, other))


# Hyena in both directions


def two_sided(config: HyenaConfig, seed: int = 0) -> BidirectionalHyena:
    with drawing_from(seeded(seed)):
        return BidirectionalHyena(WIDTH, LONGEST, config).double()


@every_two_sided
@pytest.mark.parametrize("length", [1, 2, 11, LONGEST])
def test_the_two_views_of_two_sided_hyena_agree(
    config: HyenaConfig, length: int
) -> None:
    mixer, u = two_sided(config), draw(2, length, WIDTH)
    assert_equal(mixer.output(mixer.matrix(u) @ mixer.values(u)), mixer(u))


@every_two_sided
def test_its_matrix_is_full_and_its_outputs_read_both_sides(
    config: HyenaConfig,
) -> None:
    mixer, u = two_sided(config), draw(1, 11, WIDTH).requires_grad_()
    reach = 11 if config.long_filters else config.short_taps // 2 + 1
    for t in (0, 5, 10):
        (gradient,) = torch.autograd.grad(mixer(u)[:, t].sum(), u)
        read = gradient.abs().amax((0, 2)) > 1e-12
        assert read.tolist() == [abs(t - s) < reach for s in range(11)]
    if config.long_filters:
        assert (mixer.matrix(u).abs() > 1e-13).all()


@every_two_sided
def test_reversed_time_exchanges_past_and_future(config: HyenaConfig) -> None:
    mixer, u = two_sided(config), draw(2, 11, WIDTH)
    mirrored = copy.deepcopy(mixer)
    mirrored.filter, mirrored.future = mirrored.future, mirrored.filter
    weight = mirrored.short_filter.weight
    weight.data = weight.data.flip(-1)
    if mixer.filter is not None:  # the present is the past's: hand it over
        present = mixer.filter(1)[..., 0] - mirrored.filter(1)[..., 0]
        if mirrored.skips is None:
            mirrored.skips = nn.Parameter(torch.zeros_like(present))
        mirrored.skips.data += present
    assert_equal(mirrored(u.flip(1)).flip(1), mixer(u))


def test_without_a_future_and_with_one_tap_it_is_the_causal_operator() -> None:
    config = HyenaConfig(3, short_taps=1, filter=LIVELY)
    mixer, u = two_sided(config), draw(2, 11, WIDTH)
    causal = HyenaOperator(WIDTH, LONGEST, config).double()
    causal.load_state_dict(mixer.state_dict(), strict=False)
    assert not torch.allclose(mixer(u), causal(u))
    nn.init.zeros_(mixer.future.readout.weight)  # type: ignore[union-attr,arg-type]
    assert_equal(mixer(u), causal(u))


def test_the_short_convolution_is_centred() -> None:
    for taps, read in ((1, [5]), (2, [4, 5]), (3, [4, 5, 6]), (4, [3, 4, 5, 6])):
        mixer = two_sided(HyenaConfig(1, short_taps=taps))
        u = draw(1, 11, WIDTH).requires_grad_()
        (gradient,) = torch.autograd.grad(mixer(u)[:, 5].sum(), u)
        assert gradient.abs().amax((0, 2)).nonzero()[:, 0].tolist() == read


def test_a_two_sided_operator_takes_no_steps() -> None:
    mixer = two_sided(HYENA)
    for call in (
        lambda: mixer.start(draw(2, 5, WIDTH)),
        lambda: mixer.step(draw(2, WIDTH), None),
    ):
        with pytest.raises(
            NotImplementedError, match=r"reads the future.*HyenaOperator"
        ):
            call()


def test_a_two_sided_operator_refuses_what_the_causal_one_does() -> None:
    mixer = two_sided(HYENA)
    for run in (mixer, mixer.matrix):
        with pytest.raises(
            ValueError, match=f"25 is outside 1 .. max_length = {LONGEST}"
        ):
            run(draw(2, 25, WIDTH))
        with pytest.raises(TypeError, match="float32"):
            run(draw(2, 5, WIDTH).float())


def test_a_second_filter_and_convolution_are_counted() -> None:
    causal, both = HyenaOperator(WIDTH, LONGEST, HYENA), two_sided(HYENA)
    one, two = causal.flops(16, batch=2), both.flops(16, batch=2)
    long = sum(
        m.weight.numel() for m in both.filter.modules() if hasattr(m, "in_features")
    )  # type: ignore[union-attr]
    convolutions = WIDTH * (3 * 2.5 * 32 * 5 + 6 * 16)
    assert two - one == 2 * convolutions + 2 * 16 * long
    plain = HyenaConfig(1)
    assert two_sided(plain).flops(16) == HyenaOperator(WIDTH, LONGEST, plain).flops(16)


# Replacing


def test_every_attention_is_replaced_by_a_mixer_of_its_kind() -> None:
    model = encoder(3, dtype=torch.float32).eval()
    assert replace_attention(model, max_length=LONGEST, causal=False) is model
    assert not any(isinstance(m, nn.MultiheadAttention) for m in model.modules())
    made = [layer.self_attn for layer in model.layers]
    assert all(isinstance(a.mixer, BidirectionalHyena) for a in made)
    assert all(a.mixer.width == WIDTH and not a.mixer.training for a in made)
    weights = [a.mixer.in_proj.weight for a in made]
    assert not torch.equal(weights[0], weights[1])  # drawn one by one
    assert all(p.dtype == torch.float32 and p.requires_grad for p in model.parameters())


@every_case
def test_device_dtype_mode_and_layout_are_taken_over(case: str) -> None:
    mixer, causal = CASES[case]
    for device, dtype, mode in (
        ("meta", torch.float32, True),
        ("cpu", torch.float64, False),
    ):
        plain = attention(device=device, dtype=dtype, batch_first=mode).train(mode)
        made = replace_attention(plain, mixer, max_length=LONGEST, causal=causal)
        assert {(p.device.type, p.dtype) for p in made.parameters()} == {
            (device, dtype)
        }
        assert all(m.training is mode for m in made.modules())
        assert made.batch_first is mode
        assert made.mixer.max_length == LONGEST  # type: ignore[union-attr]


def test_the_generator_draws_every_weight_and_nothing_else_does() -> None:
    before = torch.get_rng_state()
    first, second, other = (
        replace_attention(attention(), max_length=9, causal=True, generator=seeded(s))
        for s in (1, 1, 2)
    )
    torch.set_rng_state(before)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.mixer.out_proj.weight, other.mixer.out_proj.weight)  # type: ignore[union-attr]


class Twice(nn.Module):
    """One attention in two places, another deep inside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = attention()
        self.rest = nn.ModuleList([nn.ModuleDict({"deep": attention()})])


def test_shared_attention_becomes_one_shared_mixer() -> None:
    model: Any = replace_attention(Twice(), max_length=LONGEST, causal=True)
    assert model.first is model.second
    assert isinstance(model.first, MixerAttention)
    assert isinstance(model.rest[0]["deep"], MixerAttention)
    assert model.rest[0]["deep"] is not model.first


def test_a_shared_layer_is_replaced_in_both_places() -> None:
    layer = encoder(1).layers[0]
    model: Any = replace_attention(
        nn.ModuleList([layer, layer]), max_length=9, causal=True
    )
    assert model[0] is model[1] is layer
    assert isinstance(layer.self_attn, MixerAttention)


def test_cross_attention_of_a_decoder_stays() -> None:
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 16, batch_first=True, dropout=0.0)
    model: Any = nn.TransformerDecoder(layer, 2).double().eval()
    replace_attention(model, HYENA, max_length=LONGEST, causal=True)
    for part in model.layers:
        assert isinstance(part.self_attn, MixerAttention)
        assert isinstance(part.multihead_attn, nn.MultiheadAttention)
    u, memory = draw(2, 9, WIDTH), draw(2, 5, WIDTH, seed=1)
    y = model(u, memory, tgt_mask=causal_mask(9), tgt_is_causal=True)
    changed = torch.cat([u[:, :6], 1 + u[:, 6:]], dim=1)
    after = model(changed, memory, tgt_mask=causal_mask(9))
    assert_equal(y[:, :6], after[:, :6])
    assert (y != after)[:, 6:].all()
    assert not torch.allclose(model(u, memory + 1), y)


def test_a_transformer_takes_two_calls() -> None:
    model = (
        nn.Transformer(WIDTH, HEADS, 1, 1, 16, 0.0, batch_first=True).double().eval()
    )
    replace_attention(model.encoder, HYENA, max_length=LONGEST, causal=False)
    replace_attention(model.decoder, HYENA, max_length=LONGEST, causal=True)
    padding = torch.arange(7) >= torch.tensor([[7], [4]])
    y = model(
        draw(2, 7, WIDTH),
        draw(2, 9, WIDTH, seed=1),
        tgt_mask=causal_mask(9) != 0,
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    assert y.shape == (2, 9, WIDTH)
    assert y.isfinite().all()


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda: nn.Linear(3, 3), {}, "Linear holds no nn.MultiheadAttention"),
        (lambda: attention(kdim=4), {}, "the attention has kdim"),
        (
            lambda: nn.Sequential(attention(), attention(vdim=4)),
            {},
            "^1 has kdim, vdim",
        ),
        (lambda: attention(add_bias_kv=True), {}, "add_bias_kv"),
        (lambda: attention(add_zero_attn=True), {}, "add_zero_attn"),
        (attention, {"mixer": "attention", "causal": False}, "causal=True.*hyena"),
        (attention, {"mixer": "hyenna"}, "nearest first: hyena"),
        (attention, {"max_length": 0}, "max_length must be .* got 8 and 0"),
    ],
)
def test_what_cannot_be_replaced_is_refused_and_left_alone(
    make: Callable[[], nn.Module], options: dict[str, Any], words: str
) -> None:
    model = make()
    before = [*model.modules()]
    with pytest.raises(ValueError, match=words):
        replace_attention(model, **{"max_length": 9, "causal": True} | options)
    assert [*model.modules()] == before


def test_a_replaced_model_is_saved_and_loaded_like_any_other() -> None:
    model = replace_attention(encoder(), max_length=9, causal=False).eval()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = replace_attention(encoder(), max_length=9, causal=False).eval()
    u = draw(2, 9, WIDTH)
    assert not torch.allclose(other(u), model(u))
    other.load_state_dict(torch.load(file))
    assert torch.equal(other(u), model(u))
    assert torch.equal(copy.deepcopy(model)(u), model(u))


# Calling


@every_case
def test_it_is_called_like_attention_and_answers_like_the_mixer(case: str) -> None:
    u = draw(3, 11, WIDTH)
    made = adapter(case)
    y, weights = made(u, u, u, need_weights=True)
    assert weights is None
    assert torch.equal(y, made.mixer(u))
    assert torch.equal(made(u, u, u, None, False, None, False, False)[0], y)


@every_case
def test_batch_second_and_unbatched_calls_answer_the_same(case: str) -> None:
    u = draw(3, 11, WIDTH)
    y = adapter(case)(u, u, u)[0]
    turned = u.transpose(0, 1)
    assert_equal(
        adapter(case, batch_first=False)(turned, turned, turned)[0], y.transpose(0, 1)
    )
    padding = torch.arange(11) >= 7
    for first in (True, False):
        made = adapter(case, batch_first=first)
        one, short = u[1], u[1, :7]
        assert_equal(made(one, one, one)[0], y[1])
        padded = made(one, one, one, key_padding_mask=padding)[0]
        assert_equal(padded[:7], made(short, short, short)[0])


@a_few
@pytest.mark.parametrize("dtype", [torch.bool, torch.float64, torch.float32])
@pytest.mark.parametrize("copies", [None, 1, 3 * HEADS])
def test_the_causal_mask_is_accepted_by_causal_mixers_only(
    case: str, dtype: torch.dtype, copies: int | None
) -> None:
    u, made = draw(3, 11, WIDTH), adapter(case)
    mask = causal_mask(11)
    mask = mask != 0 if dtype == torch.bool else mask.to(dtype)
    if copies:
        mask = mask.expand(copies, 11, 11)
    for hint in (False, True):
        if made.causal:
            y = made(u, u, u, attn_mask=mask, is_causal=hint)[0]
            assert torch.equal(y, made.mixer(u))
        else:
            with pytest.raises(ValueError, match=r"read the future.*causal=True"):
                made(u, u, u, attn_mask=mask, is_causal=hint)
    nothing = torch.zeros_like(mask)
    if made.causal:
        with pytest.raises(ValueError, match="the causal mask or None"):
            made(u, u, u, attn_mask=nothing)
    else:
        assert torch.equal(made(u, u, u, attn_mask=nothing)[0], made.mixer(u))


@a_few
def test_the_hint_alone_is_enough_for_a_causal_mixer(case: str) -> None:
    u, made = draw(3, 11, WIDTH), adapter(case)
    if made.causal:
        assert torch.equal(made(u, u, u, is_causal=True)[0], made.mixer(u))
    else:
        with pytest.raises(ValueError, match="read the future"):
            made(u, u, u, is_causal=True)


def spoilt(change: Callable[[Tensor], None], length: int = 11) -> Tensor:
    mask = causal_mask(length)
    change(mask)
    return mask


@a_few
@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (spoilt(lambda m: m[4, 2:3].fill_(-torch.inf)), "single pairs"),
        (spoilt(lambda m: m[4, 6:7].zero_()), "single pairs"),
        (spoilt(lambda m: m[4, 2:3].fill_(-1.5)), "0 and -inf only"),
        (spoilt(lambda m: m.nan_to_num_(neginf=-1e9)), "0 and -inf only"),
        (causal_mask(11).mT, "single pairs"),
        (torch.zeros(11, 11, dtype=torch.uint8), "torch.uint8"),
        (causal_mask(10), r"\(11, 11\); got \(10, 10\)"),
        (torch.stack([causal_mask(11), causal_mask(11).mT]), "single pairs"),
    ],
)
def test_any_other_mask_is_refused(case: str, mask: Tensor, words: str) -> None:
    u = draw(2, 11, WIDTH)
    with pytest.raises(ValueError, match=words):
        adapter(case)(u, u, u, attn_mask=mask)


@a_few
def test_cross_attention_and_nested_tensors_are_refused(case: str) -> None:
    u, made = draw(2, 11, WIDTH), adapter(case)
    for triple in ((u, u.clone(), u), (u, u, u.clone()), (u.clone(), u, u)):
        with pytest.raises(ValueError, match="cross attention"):
            made(*triple)
    nested = torch.nested.as_nested_tensor([u[0], u[1, :5]])
    with pytest.raises(ValueError, match="pad nested"):
        made(nested, nested, nested)
    with pytest.raises(ValueError, match="one sequence"):
        made(u[0, 0], u[0, 0], u[0, 0])


# Padding

RUNS = [(0, 11), (0, 4), (3, 9), (10, 11), (5, 11), (2, 6)]  # first and last + 1


def padding(runs: list[tuple[int, int]] = RUNS, length: int = 11) -> Tensor:
    time = torch.arange(length)
    first, last = torch.tensor(runs).T[..., None]
    return (time < first) | (time >= last)


@every_case
@pytest.mark.parametrize("floating", [False, True])
def test_a_padded_row_is_its_run_alone(case: str, floating: bool) -> None:
    u, made = draw(len(RUNS), 11, WIDTH), adapter(case)
    mask = padding()
    given_ = torch.zeros(mask.shape).masked_fill(mask, -torch.inf) if floating else mask
    y = made(u, u, u, key_padding_mask=given_)[0]
    for row, (first, last) in enumerate(RUNS):
        alone = u[row : row + 1, first:last]
        assert_equal(y[row, first:last], made.mixer(alone)[0])
    assert (y[mask] == 0).all()
    assert (y[~mask] != 0).all()


@every_case
@pytest.mark.parametrize("content", [1e30, float("inf"), float("nan")])
def test_padding_cannot_be_seen_whatever_it_holds(case: str, content: float) -> None:
    u, made, mask = draw(len(RUNS), 11, WIDTH), adapter(case), padding()
    y = made(u, u, u, key_padding_mask=mask)[0]
    spoiled = u.masked_fill(mask[..., None], content).requires_grad_()
    after = made(spoiled, spoiled, spoiled, key_padding_mask=mask)[0]
    assert torch.equal(after, y)
    after.square().sum().backward()
    assert (spoiled.grad[mask] == 0).all()  # type: ignore[index]
    assert (spoiled.grad[~mask] != 0).any(-1).all()  # type: ignore[index]
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


@a_few
def test_gradients_flow_through_padded_batches(case: str) -> None:
    made, mask = adapter(case), padding([(0, 5), (1, 4), (2, 5)], 5)

    def run(u: Tensor) -> Tensor:
        y: Tensor = made(u, u, u, key_padding_mask=mask)[0]
        return y

    assert torch.autograd.gradcheck(run, draw(3, 5, WIDTH).requires_grad_())


@a_few
def test_padding_and_the_causal_mask_go_together(case: str) -> None:
    u, made, mask = draw(len(RUNS), 11, WIDTH), adapter(case), padding()
    if made.causal:
        y = made(u, u, u, key_padding_mask=mask)[0]
        both = made(u, u, u, key_padding_mask=mask, attn_mask=causal_mask(11))[0]
        assert torch.equal(both, y)


def count_calls(module: nn.Module) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    module.register_forward_pre_hook(
        lambda _, args: shapes.append(tuple(args[0].shape))
    )
    return shapes


def test_a_causal_mixer_is_called_once_a_two_sided_one_once_for_every_length() -> None:
    u, mask = draw(len(RUNS), 11, WIDTH), padding()
    for case, expected in (
        ("hyena", [(6, 11, WIDTH)]),
        (
            "two-sided",
            [(n, run, WIDTH) for n, run in ((1, 1), (2, 4), (2, 6), (1, 11))],
        ),
    ):
        made = adapter(case)
        shapes = count_calls(made.mixer)
        made(u, u, u, key_padding_mask=mask)
        assert shapes == expected


@a_few
@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ([[0, 0, 0, 0], [0, 1, 0, 0]], r"row 1 .* \[0, 2, 3\], with a hole.*distance"),
        ([[0, 1, 1, 0], [0, 0, 0, 0]], r"row 0 .* \[0, 3\], with a hole"),
        ([[0, 0, 0, 0], [1, 1, 1, 1]], "row 1 .* no position at all"),
        ([[0, 0, 0], [0, 0, 0]], r"\(2, 4\); got \(2, 3\)"),
        ([[0, 0, 0, 0]], r"\(2, 4\); got \(1, 4\)"),
    ],
)
def test_holes_and_empty_rows_are_refused(
    case: str, mask: list[list[int]], words: str
) -> None:
    u = draw(2, 4, WIDTH)
    with pytest.raises(ValueError, match=words):
        adapter(case)(u, u, u, key_padding_mask=torch.tensor(mask, dtype=torch.bool))


def test_a_padding_mask_of_other_numbers_is_refused() -> None:
    u = draw(2, 4, WIDTH)
    with pytest.raises(ValueError, match="key_padding_mask must be boolean"):
        adapter("hyena")(u, u, u, key_padding_mask=torch.full((2, 4), -1.0))


# PyTorch's encoder


@every_case
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("masked", ["no mask", "padding", "causal", "both"])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_the_encoder_takes_the_same_path_in_evaluation_and_training(
    case: str, norm_first: bool, masked: str
) -> None:
    mixer, causal = CASES[case]
    if masked in ("causal", "both") and not causal:
        pytest.skip("a causal mask on a two-sided mixer is refused")
    model = encoder(norm_first=norm_first)
    replace_attention(model, mixer, max_length=LONGEST, causal=causal)
    u = draw(3, 11, WIDTH)
    masks: dict[str, Any] = {}
    if masked in ("padding", "both"):  # aligned to the left, which nested tensors need
        masks["src_key_padding_mask"] = padding([(0, 11), (0, 4), (0, 8)])
    if masked in ("causal", "both"):
        masks["mask"] = causal_mask(11) != 0
    calls = [count_calls(layer.self_attn) for layer in model.layers]  # type: ignore[arg-type]
    trained = model.train()(u, **masks)
    for freeze in (False, True):
        model.requires_grad_(not freeze)
        assert_equal(model.eval()(u, **masks), trained)
        with torch.no_grad():
            assert_equal(model.eval()(u, **masks), trained)
        with torch.inference_mode():
            assert_equal(model.eval()(u, **masks), trained)
    assert [len(shapes) for shapes in calls] == [7, 7]


def test_the_encoder_takes_it_without_hooks_too() -> None:
    model = encoder()  # a hook alone would keep PyTorch from its fused path
    replace_attention(model, HYENA, max_length=LONGEST, causal=False)
    u, mask = draw(3, 11, WIDTH), padding([(0, 11), (0, 4), (0, 8)])
    for options in ({}, {"src_key_padding_mask": mask}):
        trained = model.train()(u, **options)
        with torch.no_grad():
            assert_equal(model.eval()(u, **options), trained)
        alone = model(u[1:2, :4])
        if options:
            assert_equal(trained[1, :4], alone[0])


def test_one_layer_replaced_from_the_inside_keeps_the_encoder_whole() -> None:
    model: Any = encoder()
    replace_attention(model.layers[0], HYENA, max_length=LONGEST, causal=False)
    u, mask = draw(3, 11, WIDTH), padding([(0, 11), (0, 4), (0, 8)])
    trained = model.train()(u, src_key_padding_mask=mask)
    with torch.no_grad():
        found = model.eval()(u, src_key_padding_mask=mask)
    assert_equal(found[~mask], trained[~mask])


# Learning


class WhichFirst(nn.Module):
    """ids (B, L) -> logits (B, 2), from an encoder that is told no positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(32, 2)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(self.embedding(ids)).mean(1))
        return logits


def two_markers(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """ids (n, 16) with one 0 and one 1 among the others; label 1 if 1 comes first."""
    ids = torch.randint(2, 10, (n, 16), generator=g)
    places = torch.rand(n, 16, generator=g).argsort(-1)[:, :2]
    ids.scatter_(1, places, torch.tensor([0, 1]).expand(n, 2))
    return ids, (places[:, 0] > places[:, 1]).long()


def learn_order(model: nn.Module) -> tuple[float, float]:
    """Loss on sequences not trained on, before and after 200 steps."""
    g, test = seeded(1), two_markers(512, seeded(2))

    def loss() -> float:
        with torch.no_grad():
            return cross_entropy(model.eval()(test[0]), test[1]).item()

    before = loss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(200):
        ids, label = two_markers(64, g)
        optimizer.zero_grad()
        cross_entropy(model.train()(ids), label).backward()
        optimizer.step()
    return before, loss()


def test_attention_without_positions_never_learns_what_came_first() -> None:
    with drawing_from(seeded()):
        model = WhichFirst()
    _, after = learn_order(model)
    assert after > 0.65  # ln 2 = 0.69 is a coin


@pytest.mark.parametrize(
    ("mixer", "causal"), [("hyena", False), ("hyena", True), ("gru", True)]
)
def test_a_mixer_in_its_place_learns_what_came_first(mixer: str, causal: bool) -> None:
    with drawing_from(seeded()):
        model = WhichFirst()
    replace_attention(model, mixer, max_length=16, causal=causal, generator=seeded())
    before, after = learn_order(model)
    assert before > 0.6
    assert after < 0.1


class SmallViT(nn.Module):
    """Images (B, 1, 8, 8) -> logits (B, 10): 16 patches of 4 x 4 that overlap."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, kernel_size=4, stride=2, padding=1)
        self.positions = nn.Parameter(0.02 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, 2, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT + self.positions
        logits: Tensor = self.head(self.encoder(tokens).mean(1))
        return logits


def digits() -> list[Tensor]:
    """scikit-learn's 1797 digits: 1437 to train, 360 to test, classes in proportion."""
    datasets = pytest.importorskip("sklearn.datasets")
    model_selection = pytest.importorskip("sklearn.model_selection")
    images, labels = datasets.load_digits(return_X_y=True)
    parts = model_selection.train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=0
    )
    x_train, x_test, y_train, y_test = map(torch.tensor, parts)
    scale = [x.float().view(-1, 1, 8, 8) / 16 - 0.3 for x in (x_train, x_test)]
    return [*scale, y_train, y_test]


def learn_digits(
    model: nn.Module, x: Tensor, y: Tensor, g: torch.Generator, epochs: int = 15
) -> None:
    size = 64
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=4e-3, total_steps=epochs * (len(x) // size), pct_start=0.1
    )
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=g).split(size)[: len(x) // size]:
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


def test_a_vision_transformer_with_hyena_reads_digits() -> None:
    x_train, x_test, y_train, y_test = digits()
    g = seeded()
    with drawing_from(g):  # the model's weights, and its dropout while it learns
        model = replace_attention(SmallViT(), "hyena", max_length=16, causal=False)
        learn_digits(model, x_train, y_train, g)
    assert not any(isinstance(m, nn.MultiheadAttention) for m in model.modules())
    with torch.no_grad():
        found = model.eval()(x_test).argmax(-1)
    assert (found == y_test).double().mean() >= 0.97


def test_one_sided_official_weights_make_no_two_sided_operator() -> None:
    with pytest.raises(NotImplementedError, match=r"HyenaOperator\.from_official"):
        BidirectionalHyena.from_official({}, {})
