"""Distillation: what few modes can say of a long filter, and what it costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from torch import Tensor, nn

from minihyena import (
    HyenaConfig,
    ImplicitConfig,
    LanguageModel,
    LMConfig,
    checkpoints,
    distillation,
    sample,
)
from minihyena.corpora import CharacterTokenizer
from minihyena.distillation import (
    filter_modes,
    fit_modes,
    hankel_singular_values,
    most_order,
    refine,
)
from minihyena.model import drawing_from
from minihyena.rivals.gated import GSSConfig, H3Config, MultiHeadHyenaConfig
from minihyena.rivals.modal import ModalConfig, ModalConv, Modes

ROUGH = ImplicitConfig(bands=16, sine_frequency=14.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def sum_of_modes(
    width: int, states: int, length: int, seed: int = 0, slowest: float = 0.98
) -> Tensor:
    """Filters (D, L) with exactly so many complex modes, written down term by term."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.3, slowest, (width, states, 1))
    angle = rng.uniform(0.1, 3.0, (width, states, 1))
    residues = rng.normal(size=(2, width, states, 1))
    t = np.arange(length - 1)
    terms = (residues[0] + 1j * residues[1]) * (size * np.exp(1j * angle)) ** t
    h = np.concatenate([rng.normal(size=(width, 1)), terms.sum(1).real], axis=1)
    return torch.from_numpy(h)


def smooth(width: int = 16, length: int = 256, config: Any = None) -> Tensor:
    with drawing_from(seeded()), torch.no_grad():
        f = (config or ImplicitConfig()).build(width, 1, length)
        return f(length)[0].double()


def errors(h: Tensor, modes: Modes) -> Tensor:
    return (modes.response(h.shape[-1]) - h).norm(dim=-1) / h.norm(dim=-1)


# Modes.


@examples(25)
@given(
    width=st.integers(1, 3),
    states=st.integers(1, 4),
    length=st.integers(40, 200),
    seed=st.integers(0, 99),
)
def test_a_filter_that_has_modes_gives_them_back(
    width: int, states: int, length: int, seed: int
) -> None:
    h = sum_of_modes(width, states, length, seed)
    modes = fit_modes(h, 2 * states)  # each with its conjugate
    assert errors(h, modes).max() < 1e-6
    assert torch.equal(modes.direct, h[:, 0])


def test_the_poles_are_found_to_ten_digits() -> None:
    poles = torch.from_numpy(np.array([0.9 * np.exp(0.3j), 0.7 * np.exp(1.5j), 0.5]))
    h = torch.cat([torch.ones(1), (poles[:, None] ** torch.arange(100)).sum(0).real])[
        None
    ]
    modes = fit_modes(h, 5)
    used = modes.residues[0] != 0
    found = modes.poles[0, used]
    for pole in poles:
        assert (found - pole).abs().min() < 1e-10
    assert used.sum() == 3  # of five: two are conjugates, and stand behind
    assert used.tolist() == sorted(used.tolist(), reverse=True)


@pytest.mark.parametrize("length", [256, 2048])
def test_errors_fall_with_the_order(length: int) -> None:
    h = smooth(8, length)
    found = torch.stack([errors(h, fit_modes(h, s)) for s in (2, 4, 8, 16, 32)])
    median = found.median(1).values
    assert (median[1:] < median[:-1]).all()
    assert median[1] < 0.05
    assert median[3] < 1e-4
    assert found[3].max() < 0.02


def test_a_rough_filter_does_not_compress() -> None:
    h = smooth(8, 256, ROUGH)
    assert errors(h, fit_modes(h, 8)).median() > 0.3
    assert errors(h, fit_modes(h, 64)).median() < 0.1


@examples(30)
@given(length=st.integers(4, 60), order=st.integers(1, 9), seed=st.integers(0, 999))
def test_every_pole_is_inside_the_unit_circle_whatever_the_filter(
    length: int, order: int, seed: int
) -> None:
    h = draw(3, length, seed=seed)
    h[1] = torch.linspace(0, 1, length).exp()  # grows
    h[2] = 0.0
    order = min(order, most_order(length))
    modes = fit_modes(h, order)
    assert (modes.poles.abs() < 1).all()
    assert (errors(h, modes)[:2] <= 1 + 1e-6).all()
    far = modes.response(4000)
    assert far.isfinite().all()
    assert (far[:, 3000:].abs() <= 10 * h.abs().max()).all()


def test_a_filter_that_grows_is_fitted_all_the_same() -> None:
    """Reflected poles would leave an error of a tenth and more."""
    t = torch.arange(200, dtype=torch.float64)
    h = (t * torch.exp(-t / 150))[None]
    assert errors(h, fit_modes(h, 8)).max() < 0.05
    growing = torch.exp(t / 200)[None]
    assert errors(growing, fit_modes(growing, 16)).max() < 0.1


def test_a_larger_order_is_never_worse_even_where_poles_coincide() -> None:
    t = torch.arange(512, dtype=torch.float64)
    h = torch.stack(
        [t * torch.exp(-t / 20), t * torch.exp(-t / 150), t**2 * torch.exp(-t / 20)]
    )
    found = torch.stack([errors(h, fit_modes(h, 2**k)) for k in range(6)])
    assert (found[1:] <= found[:-1] + 1e-6).all()
    assert (found[1] < 0.1).all()
    odd = torch.stack([errors(h, fit_modes(h, s)) for s in (3, 5, 9)])
    assert (odd <= found[[1, 2, 3]] + 1e-6).all()


@pytest.mark.parametrize("size", [1e-150, 1e-30, 1e30, 1e150])
def test_a_filter_of_any_size_is_fitted_alike(size: float) -> None:
    h = smooth(4)
    small, large = errors(h, fit_modes(h, 8)), fit_modes(size * h, 8)
    again = Modes(large.rates, large.residues / size, large.direct / size)
    torch.testing.assert_close(errors(h, again), small, rtol=1e-3, atol=1e-9)


def test_the_leading_directions_of_a_rough_filter_are_found() -> None:
    h = smooth(4, 512, ROUGH)
    found = distillation._leading(h, 16)[1]
    exact = hankel_singular_values(h)[:, :16]
    assert ((found - exact).abs() < 0.1 * exact).all()


def test_no_more_modes_are_kept_than_say_something() -> None:
    h = sum_of_modes(4, 3, 120)
    assert filter_modes(lambda length: h[None], 120, 20).rates.shape == (1, 4, 3)


def test_steps_of_the_recurrence_are_the_fitted_filter() -> None:
    modes = fit_modes(smooth(4), 6)
    h, u = modes.response(100), draw(2, 4, 100)
    skip = draw(4, seed=1)
    for prompt in (0, 1, 40, 100):
        conv = ModalConv(modes, skip)
        ys = [conv.absorb(u[..., :prompt])] if prompt else []
        ys += [conv.step(now)[..., None] for now in u[..., prompt:].unbind(-1)]
        expected = torch.zeros_like(u)
        for t in range(100):
            for s in range(t + 1):
                expected[..., t] += h[:, t - s] * u[..., s]
        expected += skip[:, None] * u
        torch.testing.assert_close(torch.cat(ys, -1), expected, atol=1e-11, rtol=0)


def test_a_long_prompt_is_taken_in_pieces() -> None:
    modes, u = fit_modes(smooth(3), 6), draw(2, 3, 700)
    at_once, slowly = ModalConv(modes), ModalConv(modes)
    at_once.absorb(u)
    for now in u.unbind(-1):
        slowly.step(now)
    torch.testing.assert_close(at_once.x, slowly.x, atol=1e-10, rtol=1e-10)


def test_singular_values_are_those_of_the_written_out_matrix() -> None:
    for length in (3, 4, 31, 64):
        h = draw(2, length)
        rows = length // 2
        for row, values in zip(h, hankel_singular_values(h), strict=True):
            matrix = [
                [row[1 + i + j] for j in range(rows)] for i in range(length - rows)
            ]
            expected = np.linalg.svd(np.array(matrix), compute_uv=False)
            np.testing.assert_allclose(values, expected, atol=1e-12)


def test_singular_values_count_the_modes() -> None:
    values = hankel_singular_values(sum_of_modes(4, 3, 120))
    assert ((values > 1e-10 * values[:, :1]).sum(-1) == 6).all()


def test_fitting_draws_nothing_and_gives_the_same_twice() -> None:
    before = torch.get_rng_state()
    one, two = fit_modes(smooth(), 6), fit_modes(smooth(), 6)
    torch.testing.assert_close(one.response(256), two.response(256))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("h", "order", "words"),
    [
        (torch.zeros(9), 1, r"must be \(D, L\); got \(9,\)"),
        (torch.zeros(2, 9), 0, "9 taps supports orders 1 to 3; got 0"),
        (torch.zeros(2, 9), 4, "9 taps supports orders 1 to 3; got 4"),
        (torch.zeros(2, 3), 1, "3 taps is too short"),
        (torch.full((2, 9), torch.nan), 1, "not finite"),
        (torch.full((2, 9), torch.inf), 1, "not finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(h: Tensor, order: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_modes(h, order)


def test_a_filter_of_one_value_has_no_hankel_matrix() -> None:
    for h in (torch.zeros(2, 2), torch.zeros(9)):
        with pytest.raises(ValueError, match=r"\(D, L\) with L >= 3; got"):
            hankel_singular_values(h)


# Refinement.


def modal_filter(h: Tensor, order: int) -> Any:
    modes = filter_modes(lambda length: h[None], h.shape[-1], order)
    with drawing_from(seeded()):
        f = ModalConfig(modes.rates.shape[-1] + 2).build(len(h), 1, h.shape[-1])
    f.double().set_modes(modes)
    torch.testing.assert_close(f(h.shape[-1])[0], modes.response(h.shape[-1])[0])
    return f


def test_refinement_never_leaves_a_channel_worse() -> None:
    h = smooth(12, 128, ImplicitConfig(bands=8, sine_frequency=10.0))
    f = modal_filter(h, 4)
    before = (f(128)[0] - h).norm(dim=-1).detach()
    refine(f, h[None], 0)
    assert torch.equal((f(128)[0] - h).norm(dim=-1), before)
    for rate in (1e-3, 10.0):  # the second can only harm
        refine(f, h[None], 60, rate)
        after = (f(128)[0] - h).norm(dim=-1).detach()
        assert (after <= before * (1 + 1e-12)).all()
        before = after
    start = (modal_filter(h, 4)(128)[0] - h).norm(dim=-1)
    assert before.sum() < 0.95 * start.sum()


# Models.


def model_of(mixer: Any, longest: int = 64, **options: Any) -> LanguageModel:
    config = LMConfig(13, longest, 16, 2, mixer=mixer, tied=False, **options)
    return LanguageModel(config, seeded()).eval()


LONG = {
    "hyena": HyenaConfig(),
    "hyena-3": HyenaConfig(3),
    "hyena-paper": HyenaConfig(2, "paper"),
    "h3": H3Config(filter="implicit"),
    "gss": GSSConfig(filter="implicit"),
    "multihead": MultiHeadHyenaConfig(),
}


@torch.no_grad()
@pytest.mark.parametrize("case", LONG)
def test_a_distilled_model_is_recurrent_and_near_its_teacher(case: str) -> None:
    model = model_of(LONG[case])
    before = {name: w.clone() for name, w in model.state_dict().items()}
    ids = torch.randint(13, (3, 65), generator=seeded(1))
    gaps = []
    for order in (1, 4, 16):
        small = model.distill(order)
        assert small.decoders == ("recurrent", "online")
        assert small.config.mixer.filter.states <= order
        gaps.append(float((small(ids[:, :64]) - model(ids[:, :64])).abs().max()))
        logits, state = small.prefill(ids[:, :30])
        for t in range(30, 64):
            logits, state = small.step(ids[:, t], state)
        torch.testing.assert_close(logits, small(ids[:, :64])[:, -1])
    assert gaps[2] < 0.02 * gaps[0]
    for name, w in model.state_dict().items():
        assert torch.equal(w, before[name])
    others = {name for name in before if ".mixer.filter." not in name}
    assert others < before.keys()
    assert all(torch.equal(small.state_dict()[n], before[n]) for n in others)


@torch.no_grad()
def test_the_report_is_what_one_finds_by_hand() -> None:
    model = model_of(HyenaConfig(3))
    small, ids = model.distill(2), torch.randint(13, (4, 65), generator=seeded(1))
    found = distillation.report(model, small, ids)
    seen: dict[str, list[Tensor]] = {"u": [], "y": []}
    hooks = [
        block.mixer.register_forward_hook(
            lambda _, given, y: (
                (seen["u"].append(given[0]), seen["y"].append(y))[:0] or None
            )
        )
        for block in model.blocks
    ]
    logits = model(ids[:, :-1])
    for hook in hooks:
        hook.remove()
    for layer in range(2):
        h, g = (m.blocks[layer].mixer.filter(64) for m in (model, small))
        expected = ((g - h) ** 2).sum(-1).sqrt() / (h**2).sum(-1).sqrt()
        torch.testing.assert_close(found.filters[layer], expected)
        y = seen["y"][layer]
        gap = small.blocks[layer].mixer(seen["u"][layer]) - y
        assert found.outputs[layer] == pytest.approx(float(gap.norm() / y.norm()))
    nll = nn.functional.cross_entropy
    for loss, said in (
        (found.loss, logits),
        (found.distilled_loss, small(ids[:, :-1])),
    ):
        expected_loss = nll(said.reshape(-1, 13), ids[:, 1:].reshape(-1))
        assert loss == pytest.approx(float(expected_loss), rel=1e-5)


def test_distilling_leaves_draws_modes_and_types_alone() -> None:
    before = torch.get_rng_state()
    model = model_of("hyena").double().train()
    small = model.distill(3)
    assert torch.equal(before, torch.get_rng_state())
    assert small.training
    assert {p.dtype for p in small.parameters()} == {torch.float64}
    assert model.distill(3).eval()(torch.zeros(1, 9).long()).dtype == torch.float64


def test_steps_of_gradient_bring_it_nearer() -> None:
    model, ids = model_of("hyena"), torch.randint(13, (2, 65), generator=seeded())
    plain, refined = model.distill(2), model.distill(2, steps=80)
    one, two = (distillation.report(model, m, ids).filters for m in (plain, refined))
    assert all((b <= a + 1e-6).all() for a, b in zip(one, two, strict=True))
    assert sum(b.sum() for b in two) < sum(a.sum() for a in one)


@pytest.mark.parametrize("mixer", ["attention", "gru", "rwkv", HyenaConfig(1)])
def test_without_long_filters_there_is_nothing_to_distill(mixer: Any) -> None:
    with pytest.raises(ValueError, match=r"nothing to distill: \w+ has no long filt"):
        model_of(mixer).distill(4)


@pytest.mark.parametrize("order", [0, -1, 32, 1000])
def test_an_order_that_the_filter_does_not_support_is_refused(order: int) -> None:
    with pytest.raises(
        ValueError, match=f"64 taps supports orders 1 to 31; got {order}"
    ):
        model_of("hyena").distill(order)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_bear_modes(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"the model is {dtype}; distill it in float32"):
        model_of("hyena").to(dtype).distill(4)


def test_layers_of_different_kinds_are_not_distilled() -> None:
    for other in (model_of("attention"), model_of(HyenaConfig(3))):
        model = model_of("hyena")
        model.blocks[1] = other.blocks[1]
        with pytest.raises(ValueError, match="every layer must be as the config says"):
            model.distill(4)


def test_a_model_for_a_few_tokens_is_too_short() -> None:
    for longest in (1, 2, 3):
        with pytest.raises(ValueError, match=f"of {longest} taps is too short"):
            model_of("hyena", longest).distill(1)


@torch.no_grad()
def test_a_filter_of_zeros_is_nothing_apart_from_itself() -> None:
    model = model_of(HyenaConfig(filter="fir"))
    model.blocks[0].mixer.filter.taps.zero_()
    ids = torch.zeros(1, 65).long()
    found = distillation.report(model, model.distill(3), ids)
    assert found.filters[0].max() == 0


@torch.no_grad()
def test_a_distilled_model_is_saved_and_trained_as_any_other(tmp_path: Path) -> None:
    small, ids = model_of("hyena").distill(5), torch.zeros(1, 9).long()
    path = tmp_path / "small.safetensors"
    checkpoints.save(path, small, CharacterTokenizer("abcdefghijklm"))
    again = checkpoints.load(path).model
    assert torch.equal(again(ids), small(ids))
    assert again.decoders == ("recurrent", "online")
    trained = {p for g in small.parameter_groups(1e-3, 0.1) for p in g["params"]}
    assert trained == set(small.parameters())


@torch.no_grad()
def test_a_trained_model_needs_few_modes() -> None:
    """The model that the notebooks open: at order 4 its loss does not rise by 0.01."""
    model, tokenizer, notes = checkpoints.load("python_docs")
    text, length = tokenizer.encode(notes["held_out"]), model.config.max_length
    ids = torch.stack([text[i : i + length + 1] for i in range(0, 16 * length, length)])
    small = model.distill(4)
    found = distillation.report(model, small, ids)
    assert found.loss < 1.5
    assert found.distilled_loss - found.loss < 0.01
    assert max(found.outputs) < 0.05
    assert found.filters[0].median() < 0.02
    written = [int(t) for t in sample(small, ids[:1, :50], 20, temperature=0)]
    assert written == [int(t) for t in sample(small, ids[:1, :50], 20, temperature=0,
                                              decoder="recompute")]  # fmt: skip
    assert tokenizer.decode(written)
