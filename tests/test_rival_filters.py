"""The long filters beside the implicit one, each against its own slow definition."""

import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from safetensors.torch import load_file, save_file
from scipy.signal import lfilter

from minihyena import HyenaConfig, LanguageModel, LMConfig
from minihyena.model import drawing_from
from minihyena.rivals.filters import (
    CKConvConfig,
    CKConvFilter,
    FIRConfig,
    FIRFilter,
    FourierConfig,
    FourierFilter,
    filter_families,
)
from minihyena.rivals.modal import ModalConfig, ModalFilter, diagonal_response
from minihyena.rivals.state_space import (
    S4DConfig,
    S4DFilter,
    TransferConfig,
    TransferFilter,
    rational_response,
)

RIVALS = [name for name in filter_families if name != "implicit"]
Array = np.ndarray


def build(
    config: Any, width: int = 3, orders: int = 2, max_length: int = 16, seed: int = 0
) -> Any:
    with drawing_from(torch.Generator().manual_seed(seed)):
        return config.build(width, orders, max_length)


def anywhere(f: Any, seed: int = 1) -> Any:
    """The same filter in float64 at weights that are not those of the start."""
    generator = torch.Generator().manual_seed(seed)
    f = f.double()
    with torch.no_grad():
        for p in f.parameters():
            p += 0.4 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return f


def weights(f: Any) -> dict[str, Array]:
    return {name: p.double().numpy() for name, p in f.state_dict().items()}


def fir_slowly(f: FIRFilter, length: int) -> Array:
    w, h = weights(f)["taps"], np.zeros((f.orders, f.width, length))
    for t in range(length):
        if t < w.shape[-1]:
            h[..., t] = w[..., t]
    return h


def fourier_slowly(f: FourierFilter, length: int) -> Array:
    """The sum of cosines and sines, term by term."""
    modes, n = weights(f)["modes"], f.max_length
    t, h = np.arange(length), np.zeros((f.orders, f.width, length))
    for k in range(modes.shape[-2]):
        factor = 1 if k == 0 or 2 * k == n else 2
        real, imaginary = modes[..., k, 0, None], modes[..., k, 1, None]
        angle = 2 * np.pi * k * t / n
        h += factor / n * (real * np.cos(angle) - imaginary * np.sin(angle))
    return h


def s4d_slowly(f: S4DFilter, length: int) -> Array:
    """x <- A x + B u with a complex state, y = 2 Re C x, on an impulse."""
    state = weights(f)
    poles = -np.exp(state["log_decay"]) + 1j * state["frequency"]
    a = np.exp(np.exp(state["log_step"])[..., None] * poles)
    b = (a - 1) / poles
    c = state["readout"][..., 0] + 1j * state["readout"][..., 1]
    x, h = np.zeros_like(a), []
    for t in range(length):
        x = a * x + b * (t == 0)
        h.append(2 * (c * x).sum(-1).real)
    return np.stack(h, -1)


def recurrence(b: Array, a: Array, length: int) -> Array:
    """h_t = b_t - sum_j a_j h_{t-j}, step by step."""
    h = np.zeros((*b.shape[:-1], length))
    for t in range(length):
        if t < b.shape[-1]:
            h[..., t] = b[..., t]
        for j in range(1, min(t, a.shape[-1]) + 1):
            h[..., t] -= a[..., j - 1] * h[..., t - j]
    return h


def transfer_slowly(f: TransferFilter, length: int) -> Array:
    a, b = weights(f)["a"], weights(f)["b"]
    if f.config.stable:
        a = a / np.maximum(1, np.abs(a).sum(-1, keepdims=True))
    return recurrence(b, a, length)


def ckconv_slowly(f: CKConvFilter, length: int) -> Array:
    """The network asked for one time after the other."""
    state, h = weights(f), []
    for i in range(length):
        x = np.array([2 * i / (f.max_length - 1) - 1 if f.max_length > 1 else -1.0])
        for m in range(f.config.depth + 1):
            x = state[f"layers.{m}.weight"] @ x + state[f"layers.{m}.bias"]
            x = np.sin(f.config.sine_frequency * x)
        h.append(state["readout.weight"] @ x + state["readout.bias"])
    return np.stack(h, -1).reshape(f.orders, f.width, length)


def modal_slowly(f: ModalFilter, length: int) -> Array:
    """An impulse through the recurrence: read the state, then let it take the input."""
    state = weights(f)
    poles = np.exp(-np.exp(state["log_decay"]) + 1j * state["frequency"])
    residues = state["residues"][..., 0] + 1j * state["residues"][..., 1]
    x, h = np.zeros_like(poles), []
    for t in range(length):
        h.append((residues * x).sum(-1).real + state["direct"] * (t == 0))
        x = poles * x + (t == 0)
    return np.stack(h, -1)


SLOWLY: dict[str, Callable[[Any, int], Array]] = {
    "fir": fir_slowly,
    "fourier": fourier_slowly,
    "s4d": s4d_slowly,
    "transfer": transfer_slowly,
    "ckconv": ckconv_slowly,
    "modal": modal_slowly,
}
SIZED: dict[str, Callable[[int], Any]] = {
    "fir": FIRConfig,
    "fourier": FourierConfig,
    "s4d": lambda s: S4DConfig(2 * s, init="inv" if s % 2 else "lin"),
    "transfer": lambda s: TransferConfig(s, stable=s % 3 > 0),
    "ckconv": lambda s: CKConvConfig(s, depth=s % 3, sine_frequency=2.0 * s),
    "modal": ModalConfig,
}


def close(h: Any, expected: Any, relative: float = 1e-11) -> None:
    """Equal up to rounding, measured by the largest value of the filter."""
    h, expected = torch.as_tensor(h).double(), torch.as_tensor(expected).double()
    assert h.shape == expected.shape
    assert (h - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("name", RIVALS)
@examples(30)
@given(
    width=st.integers(1, 3),
    orders=st.integers(1, 2),
    size=st.integers(1, 9),
    lengths=st.tuples(st.integers(1, 67), st.integers(1, 67)),
)
@torch.no_grad()
def test_the_values_are_those_of_the_slow_definition(
    name: str, width: int, orders: int, size: int, lengths: tuple[int, int]
) -> None:
    length, max_length = sorted(lengths)
    f = anywhere(build(SIZED[name](size), width, orders, max_length))
    close(f(length), SLOWLY[name](f, length), 1e-9)


@pytest.mark.parametrize("max_length", [1, 2, 31, 32, 127])
@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_the_defaults_work_at_any_length(name: str, max_length: int) -> None:
    f = anywhere(build(filter_families[name](), max_length=max_length))
    close(f(max_length), SLOWLY[name](f, max_length), 1e-9)


@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_a_shorter_filter_is_a_prefix_of_a_longer_one(name: str) -> None:
    f = anywhere(build(filter_families[name](), max_length=41))
    h = f(41)
    for length in range(1, 42):
        torch.testing.assert_close(f(length), h[..., :length], atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("length", [0, -1, 17])
@pytest.mark.parametrize("name", RIVALS)
def test_a_length_outside_the_grid_is_refused(name: str, length: int) -> None:
    with pytest.raises(ValueError, match=rf"length {length} .* max_length = 16"):
        build(filter_families[name]())(length)


@pytest.mark.parametrize("name", filter_families)
def test_a_word_names_a_family(name: str) -> None:
    f = build(filter_families[name](), width=4, orders=3, max_length=24)
    assert f(20).shape == (3, 4, 20)
    assert (f.width, f.orders, f.max_length) == (4, 3, 24)
    assert f.config == filter_families[name]()


# ---- precision ----------------------------------------------------------------------


@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_single_precision_is_as_good_as_it_can_be(name: str) -> None:
    f = build(filter_families[name](), max_length=1024)
    single = f(1024)
    assert single.dtype == torch.float32
    close(single, f.double()(1024), 1e-5)


@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_a_filter_moved_to_double_precision_has_all_its_digits(name: str) -> None:
    f = build(filter_families[name](), max_length=300).double()
    assert f(300).dtype == torch.float64
    close(f(300), SLOWLY[name](f, 300), 1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_half_precision_rounds_the_weights_and_the_result_alone(
    name: str, dtype: torch.dtype
) -> None:
    f = build(filter_families[name](), max_length=300).to(dtype)
    h = f(300)
    assert h.dtype == dtype
    assert torch.equal(h, f.float()(300).to(dtype))


@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_autocast_does_not_touch_a_filter(name: str) -> None:
    f = build(filter_families[name](), max_length=300)
    with torch.autocast("cpu", torch.bfloat16):
        h = f(300)
    assert torch.equal(h, f(300))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_a_filter_is_saved_and_read(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    source, copy = (build(filter_families[name](), seed=i).to(dtype) for i in (1, 2))
    assert not torch.equal(source(16), copy(16))
    save_file(source.state_dict(), tmp_path / "filter.safetensors")
    copy.load_state_dict(load_file(tmp_path / "filter.safetensors"))
    assert torch.equal(source(16), copy(16))


@torch.no_grad()
def test_small_steps_of_a_state_space_keep_their_digits() -> None:
    config = S4DConfig(4, min_step=1e-6, max_step=1e-6)
    f = build(config, max_length=4)
    close(f(4), s4d_slowly(f, 4), 1e-6)  # e^x - 1 has lost five of seven digits


# ---- gradients ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("name", RIVALS)
def test_gradients_are_those_of_the_formula(name: str, size: int) -> None:
    f = anywhere(build(SIZED[name](size), width=2, orders=1, max_length=11))
    names = [name for name, _ in f.named_parameters()]

    def h(*values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(f, dict(zip(names, values, strict=True)), 10)

    assert torch.autograd.gradcheck(h, tuple(f.parameters()))


@pytest.mark.parametrize("name", RIVALS)
def test_at_the_start_every_weight_has_a_finite_gradient(name: str) -> None:
    f = build(filter_families[name](), max_length=4096)
    h = f(4096)
    noise = torch.randn(h.shape, generator=torch.Generator().manual_seed(3))
    (h - noise).square().sum().backward()
    assert h.isfinite().all()
    for p in f.parameters():
        assert p.grad.isfinite().all()
        assert p.grad.any()


def test_a_transfer_function_grows_from_a_skip_into_a_decay() -> None:
    f = build(TransferConfig(2), width=1, orders=1, max_length=64)
    target = 0.9 ** torch.arange(64)
    optimizer = torch.optim.Adam(f.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        error = (f(64) - target).square().sum()
        error.backward()
        optimizer.step()
    assert error < 1e-3 * target.square().sum()


# ---- how many parameters, and how they start ----------------------------------------


@pytest.mark.parametrize(
    ("config", "one_channel", "shared"),
    [
        (FIRConfig(5), 5, 0),
        (FIRConfig(64), 20, 0),  # no tap beyond max_length = 20
        (FourierConfig(5), 2 * 5, 0),
        (FourierConfig(64), 2 * 11, 0),  # 20 points have 11 frequencies
        (S4DConfig(6), 2 * 6 + 1, 0),
        (S4DConfig(64), 2 * 64 + 1, 0),
        (TransferConfig(6), 2 * 6 + 1, 0),
        (TransferConfig(64), 2 * 19 + 1, 0),
        (ModalConfig(6), 4 * 6 + 1, 0),
        (CKConvConfig(7, depth=0), 7 + 1, 2 * 7),
        (CKConvConfig(7, depth=3), 7 + 1, 2 * 7 + 3 * (7**2 + 7)),
    ],
)
@pytest.mark.parametrize(("width", "orders"), [(1, 1), (3, 2)])
def test_the_number_of_parameters_is_that_of_the_formula(
    config: Any, one_channel: int, shared: int, width: int, orders: int
) -> None:
    f = build(config, width, orders, max_length=20)
    count = sum(p.numel() for p in f.parameters())
    assert count == orders * width * one_channel + shared


@pytest.mark.parametrize("max_length", [100, 1024])
@pytest.mark.parametrize("name", ["fir", "fourier", "transfer", "ckconv", "modal"])
@torch.no_grad()
def test_filters_start_with_about_unit_energy(name: str, max_length: int) -> None:
    config = filter_families[name]()
    energies = [
        build(config, 64, 2, max_length, seed)(max_length).square().sum(-1)
        for seed in range(16)
    ]
    assert torch.stack(energies).mean() == pytest.approx(1, rel=0.08)


@torch.no_grad()
def test_the_taps_start_normal_with_variance_one_over_their_number() -> None:
    w = build(FIRConfig(16), width=500, max_length=40)(40)
    assert not w[..., 16:].any()
    assert w[..., :16].var() == pytest.approx(1 / 16, rel=0.05)
    assert abs(w[..., :16].mean()) < 0.01
    shares = [(w[..., :16].abs() < z / 4).float().mean() for z in (1, 2)]
    assert shares == pytest.approx([0.683, 0.954], abs=0.01)


def test_steps_start_log_uniform_and_poles_where_the_paper_says() -> None:
    s = np.arange(8)
    for init, expected in {
        "lin": np.pi * s,
        "inv": 16 / np.pi * (16 / (2 * s + 1) - 1),
    }.items():
        f = build(S4DConfig(16, init), width=2000)
        step = f.log_step.detach().exp()
        assert 1e-3 <= step.min() < 1.02e-3
        assert 0.098 < step.max() <= 0.1
        assert ((step < 1e-2).float().mean(-1) - 0.5).abs().max() < 0.05
        np.testing.assert_allclose(-f.log_decay.detach().exp(), -0.5, rtol=1e-6)
        np.testing.assert_allclose(
            f.frequency.detach(), np.broadcast_to(expected, (2, 2000, 8)), rtol=1e-5
        )
        c = f.readout.detach()  # complex normal: half the variance to each part
        torch.testing.assert_close(
            c.var(dim=(0, 1, 2)), torch.full((2,), 0.5), rtol=0.05, atol=0
        )


@torch.no_grad()
def test_sine_networks_start_within_their_bounds() -> None:
    f = build(CKConvConfig(48, depth=2), width=64, max_length=400)
    hidden = (6 / 48) ** 0.5 / 30
    for layer, bound in zip(f.layers, [1.0, hidden, hidden], strict=True):
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.var() == pytest.approx(bound**2 / 3, rel=0.5)
        assert 0.9 < layer.bias.abs().max() <= 1
    bound = (6 / (48 * 400)) ** 0.5
    assert 0.99 * bound < f.readout.weight.abs().max() <= bound
    assert not f.readout.bias.any()


@torch.no_grad()
def test_a_transfer_function_starts_as_a_skip() -> None:
    h = build(TransferConfig(), width=2000)(16)
    assert not h[..., 1:].any()
    assert h[..., 0].std() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("name", RIVALS)
def test_draws_come_from_torch_and_calls_draw_nothing(name: str) -> None:
    config = filter_families[name]()
    others = random.getstate(), np.random.get_state()[1].tolist()
    torch.manual_seed(5)
    first = config.build(3, 2, 16)
    before = torch.get_rng_state()
    h = first(16)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    assert torch.equal(config.build(3, 2, 16)(16), h)
    assert not torch.equal(config.build(3, 2, 16)(16), h)
    assert others == (random.getstate(), np.random.get_state()[1].tolist())


# ---- what is particular to a family -------------------------------------------------


@pytest.mark.parametrize("n", [50, 51])
@torch.no_grad()
def test_no_energy_is_above_the_modes(n: int) -> None:
    f = anywhere(build(FourierConfig(7), max_length=n))
    spectrum = np.fft.rfft(f(n).numpy())
    c = weights(f)["modes"]
    c = c[..., 0] + 1j * c[..., 1]
    np.testing.assert_allclose(spectrum[..., 1:7], c[..., 1:], atol=1e-12)
    np.testing.assert_allclose(spectrum[..., 0], c[..., 0].real, atol=1e-12)
    assert np.abs(spectrum[..., 7:]).max() < 1e-12


@pytest.mark.parametrize("n", [2, 3, 8, 9])
@torch.no_grad()
def test_all_modes_are_the_inverse_transform(n: int) -> None:
    f = anywhere(build(FourierConfig(64), max_length=n))
    c = weights(f)["modes"]
    c = c[..., 0] + 1j * c[..., 1]
    np.testing.assert_allclose(f(n), np.fft.irfft(c, n), atol=1e-12)
    idle = [0, n // 2] if n % 2 == 0 else [0]  # the last: the Nyquist frequency
    h = f(n)
    f.modes[..., idle, 1] += 1.0
    torch.testing.assert_close(f(n), h)
    if n % 2 == 0:
        f.modes[..., -1, 0] += 1.0
        rise = torch.tensor((-1.0) ** np.arange(n) / n)  # factor 1, not 2
        torch.testing.assert_close(f(n) - h, rise.expand_as(h))


@torch.no_grad()
def test_a_state_space_decays_wherever_training_leads() -> None:
    f = build(S4DConfig(8), width=200, max_length=4096).double()
    generator = torch.Generator().manual_seed(7)
    for p in f.parameters():
        p += 2 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    step, decay = f.log_step.exp()[..., None], f.log_decay.exp()
    c = torch.view_as_complex(f.readout)
    rates = step * torch.complex(-decay, f.frequency)
    shares = 2 * (c * torch.expm1(rates) / (rates / step)).abs()
    envelope = shares[..., None] * torch.exp(
        -(step * decay)[..., None] * torch.arange(4096)
    )
    assert (envelope.diff() <= 0).all()
    assert (f(4096).abs() <= envelope.sum(-2) + 1e-12).all()


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1000])
def test_a_sum_of_exponentials_is_summed_in_blocks(length: int) -> None:
    generator = torch.Generator().manual_seed(0)
    gains, phases = torch.randn(2, 3, 5, 2, dtype=torch.float64, generator=generator)
    gains = torch.view_as_complex(gains)
    rates = torch.complex(-0.01 * phases[..., 0].abs(), phases[..., 1])
    powers = torch.exp(rates[..., None] * torch.arange(length))
    expected = 2 * (gains[..., None] * powers).sum(-2).real
    close(2 * diagonal_response(gains, rates, length), expected)


@pytest.mark.parametrize("length", [1, 4, 5, 6, 30, 31, 1009])
@pytest.mark.parametrize("states", [0, 1, 5, 40])
def test_a_rational_response_is_that_of_the_recurrence(
    states: int, length: int
) -> None:
    rng = np.random.default_rng(0)
    b = rng.normal(size=(2, 3, states + 1))
    a = rng.normal(size=(2, 3, states)) / (states + 1)
    h = rational_response(torch.tensor(b), torch.tensor(a), length)
    close(h, recurrence(b, a, length))
    impulse = np.eye(1, length)[0]
    for row, bs, a_s in zip(h[0], b[0], a[0], strict=True):
        close(row, lfilter(bs, [1.0, *a_s], impulse))


def test_a_slow_pole_is_not_wrapped_around_as_a_quotient_of_ffts_is() -> None:
    b, a, n = np.array([1.0, 0.0]), np.array([-0.98]), 74
    true = 0.98 ** np.arange(n)
    close(rational_response(torch.tensor(b), torch.tensor(a), n), true)
    wrapped = np.fft.irfft(np.fft.rfft(b, n) / np.fft.rfft([1, *a], n), n)
    assert np.abs(wrapped - true).max() > 0.25
    np.testing.assert_allclose(wrapped, true / (1 - 0.98**n))  # sum_m h_{t + mn}


@torch.no_grad()
def test_stable_transfer_functions_are_bounded_and_others_explode() -> None:
    for stable in (True, False):
        f = build(TransferConfig(8, stable), width=50, max_length=512)
        generator = torch.Generator().manual_seed(2)
        f.a.copy_(3 * torch.randn(f.a.shape, generator=generator))
        f.b.copy_(torch.randn(f.b.shape, generator=generator))
        bound = f.b.abs().sum(-1, keepdim=True)
        assert bool((f(512).abs() <= 1.0001 * bound).all()) == stable


@torch.no_grad()
def test_small_coefficients_are_taken_as_they_are() -> None:
    free, held = (build(TransferConfig(4, stable), seed=3) for stable in (False, True))
    for f in (free, held):
        f.a.copy_(torch.tensor([0.2, -0.3, 0.1, -0.35]))
    assert torch.equal(free(16), held(16))


# ---- training -----------------------------------------------------------------------


def about_training(f: Any) -> dict[str, tuple[float, float]]:
    """Rate and decay of every parameter inside a language model with rate .01."""
    config = LMConfig(5, 16, 3, 1, mixer=HyenaConfig(filter=f))
    model = LanguageModel(config, torch.Generator().manual_seed(0))
    (long,) = model.filters()
    names = {p: name for name, p in long.named_parameters()}
    found = [
        (names[p], group["lr"], group["weight_decay"])
        for group in model.parameter_groups(0.01, 0.1)
        for p in group["params"]
        if p in names
    ]
    assert len(found) == len(names)  # each in one group
    return {name: (rate, decay) for name, rate, decay in found}


@pytest.mark.parametrize("name", RIVALS)
def test_no_weight_of_a_filter_decays(name: str) -> None:
    assert {decay for _, decay in about_training(name).values()} == {0.0}


def test_the_dynamics_of_a_state_space_are_trained_slowly() -> None:
    slow = dict.fromkeys(["log_step", "log_decay", "frequency"], (1e-3, 0.0))
    assert about_training("s4d") == slow | {"readout": (0.01, 0.0)}
    assert set(about_training("ckconv").values()) == {(1e-3, 0.0)}
    for config in (S4DConfig(learning_rate=None), CKConvConfig(learning_rate=None)):
        assert set(about_training(config).values()) == {(0.01, 0.0)}


CHANGED: dict[str, dict[str, Any]] = {
    "fir": {"taps": 5},
    "fourier": {"modes": 5},
    "s4d": {
        "states": 6,
        "init": "inv",
        "min_step": 0.05,
        "max_step": 0.05,
        "learning_rate": 0.5,
    },
    "transfer": {"states": 6, "stable": False},
    "ckconv": {"width": 5, "depth": 2, "sine_frequency": 3.0, "learning_rate": 0.5},
    "modal": {"states": 6, "learning_rate": 0.5},
}


@pytest.mark.parametrize("name", RIVALS)
@torch.no_grad()
def test_every_option_changes_the_filter_or_its_training(name: str) -> None:
    default = filter_families[name]()
    assert [*CHANGED[name]] == [field.name for field in fields(default)]
    before = anywhere(build(default))
    for option, value in CHANGED[name].items():
        config = replace(default, **{option: value})
        same = torch.equal(before(16), anywhere(build(config))(16))
        assert not (same and about_training(default) == about_training(config)), option


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FIRConfig(taps=0), "taps must be at least 1; got 0"),
        (lambda: FourierConfig(modes=0), "modes must be at least 1; got 0"),
        (lambda: S4DConfig(states=0), "states must be at least 2; got 0"),
        (lambda: S4DConfig(states=7), "conjugate pairs.* even number.* got 7"),
        (lambda: S4DConfig(init="lim"), "'lim'; known, nearest first: lin"),
        (lambda: S4DConfig(min_step=0.0), "0 < min_step <= max_step; got 0.0 and 0.1"),
        (lambda: S4DConfig(max_step=1e-4), "min_step <= max_step; got 0.001 and"),
        (lambda: S4DConfig(max_step=float("inf")), "got 0.001 and inf"),
        (lambda: TransferConfig(states=0), "states must be at least 1; got 0"),
        (lambda: ModalConfig(states=0), "states must be at least 1; got 0"),
        (lambda: CKConvConfig(width=0), "width must be at least 1; got 0"),
        (lambda: CKConvConfig(depth=-1), "depth must be at least 0; got -1"),
        (lambda: CKConvConfig(sine_frequency=0.0), "finite and above 0; got 0.0"),
        (lambda: CKConvConfig(sine_frequency=float("nan")), "above 0; got nan"),
    ],
)
def test_an_impossible_filter_is_refused(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make()
