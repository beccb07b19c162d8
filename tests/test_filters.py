"""The implicit filter: a function of time with few parameters and no hidden option."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from minihyena import ImplicitConfig, ImplicitFilter
from minihyena.filters import decay_window
from minihyena.model import drawing_from

DEFAULT = ImplicitConfig()
OFFICIAL = ImplicitConfig(bands=1, sine_frequency=1.0, init="torch", decays="flat")


def build(
    width: int = 4,
    orders: int = 1,
    max_length: int = 32,
    config: ImplicitConfig = DEFAULT,
    seed: int = 0,
) -> ImplicitFilter:
    with drawing_from(torch.Generator().manual_seed(seed)):
        return ImplicitFilter(width, orders, max_length, config)


def by_formula(f: ImplicitFilter, length: int) -> np.ndarray:
    """The official formulas again, in float64 numpy, from the weights alone."""
    config, state = f.config, {k: v.double().numpy() for k, v in f.state_dict().items()}
    i = np.arange(length)[:, None]
    t = i / max(f.max_length - 1, 1)
    theta = 2 * np.pi * i / f.max_length
    frequencies = np.linspace(1e-4, config.bands - 1, config.bands)
    a = np.hstack([t, np.cos(frequencies * theta), -np.sin(frequencies * theta)])
    for m in range(config.depth + 1):
        weight, bias = state[f"layers.{m}.weight"], state[f"layers.{m}.bias"]
        a = np.sin(state["frequency"] * (a @ weight.T + bias))
    rows = a @ state["readout.weight"].T  # (L, orders * D)
    if config.window:
        per_range = f.orders * f.width if config.decays == "flat" else f.width
        decay = np.linspace(
            np.log(config.target) / config.slow_decay,
            np.log(config.target) / config.fast_decay,
            per_range,
        )
        decay = np.tile(decay, f.orders * f.width // per_range)
        rows = rows * (np.exp(-t * np.abs(decay)) + config.shift)
    return rows.T.reshape(f.orders, f.width, length)


@pytest.mark.parametrize(
    "config",
    [
        ImplicitConfig(),
        OFFICIAL,
        ImplicitConfig(bands=16, sine_frequency=14.0, init="small", shift=0.05),
        ImplicitConfig(depth=0, width=3, window=False),
        ImplicitConfig(
            depth=4, decays="flat", fast_decay=0.1, slow_decay=2, target=0.3
        ),
    ],
)
@pytest.mark.parametrize(("orders", "max_length"), [(1, 32), (3, 33), (2, 1)])
def test_the_values_are_those_of_the_formula(
    config: ImplicitConfig, orders: int, max_length: int
) -> None:
    f = build(5, orders, max_length, config)
    for length in {max_length, (max_length + 1) // 2, 1}:
        h = f(length).detach().numpy()
        assert h.shape == (orders, 5, length)
        np.testing.assert_allclose(h, by_formula(f, length), atol=1e-5)


@pytest.mark.parametrize("config", [ImplicitConfig(), OFFICIAL])
def test_a_shorter_filter_is_a_prefix_of_a_longer_one(config: ImplicitConfig) -> None:
    f = build(orders=2, max_length=64, config=config)
    h = f(64)
    for length in range(1, 65):
        torch.testing.assert_close(f(length), h[..., :length], atol=1e-7, rtol=0)


def test_the_grid_belongs_to_max_length() -> None:
    short, long = build(max_length=32), build(max_length=64)
    long.layers.load_state_dict(short.layers.state_dict())
    long.readout.load_state_dict(short.readout.state_dict())
    assert (short(32)[..., 1:] - long(32)[..., 1:]).abs().max() > 1e-3


@pytest.mark.parametrize("length", [0, -1, 33])
def test_a_length_outside_the_grid_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=rf"length {length} .* max_length = 32"):
        build()(length)


def test_the_window_falls_from_one_to_its_target() -> None:
    f = build(width=7, max_length=11)  # times 0, .1, .. 1
    window = decay_window(f.times, f.decays)[0]
    torch.testing.assert_close(window[:, 0], torch.ones(7))
    torch.testing.assert_close(window[-1, 3], torch.tensor(0.01))  # fast, at t = .3
    torch.testing.assert_close(window[0, -1], torch.tensor(0.01 ** (1 / 1.5)))
    assert (window.diff(dim=-1) < 0).all()
    assert (window[:, 1:].diff(dim=0) < 0).all()  # the last channel is the fastest


def test_a_shift_is_the_floor_of_the_window() -> None:
    times, decays = torch.linspace(0, 1, 5), torch.tensor([-1e4, 3.0])
    window = decay_window(times, decays, shift=0.05)
    torch.testing.assert_close(window[:, 0], torch.full((2,), 1.05))
    torch.testing.assert_close(window[0, 1:], torch.full((4,), 0.05))
    torch.testing.assert_close(window - 0.05, decay_window(times, decays))


def test_spread_gives_every_order_the_full_range_of_decays() -> None:
    f = build(width=6, orders=3)
    slow, fast = np.log(0.01) / 1.5, np.log(0.01) / 0.3
    for order in f.decays:
        torch.testing.assert_close(order, torch.linspace(slow, fast, 6))


def test_flat_gives_the_first_order_the_slow_half_as_the_official_code_does() -> None:
    f = build(width=6, orders=2, config=OFFICIAL)
    slow, fast = np.log(0.01) / 1.5, np.log(0.01) / 0.3
    torch.testing.assert_close(f.decays.flatten(), torch.linspace(slow, fast, 12))
    assert f.decays[0].min() > f.decays[1].max()


# Means over eight seeds: init, features E, sine frequency; std, roughness, centroid.
STATISTICS = [
    ("torch", 3, 1, 0.092, 3e-7, 0.008),
    ("torch", 5, 10, 0.41, 0.067, 0.067),
    ("torch", 17, 10, 0.41, 1.46, 0.39),
    ("torch", 33, 14, 0.41, 2.00, 0.50),
    ("small", 5, 14, 0.112, 4e-5, 0.004),
    ("small", 33, 1, 3e-4, 0.003, 0.015),
    ("small", 33, 14, 0.114, 0.025, 0.039),
]


def statistics(h: Tensor) -> tuple[float, float, float]:
    """h (1, D, L): standard deviation, roughness (white noise: 2), centroid (0.5)."""
    power = torch.fft.rfft(h - h.mean(-1, keepdim=True)).abs().square()
    frequency = torch.linspace(0, 1, power.shape[-1])
    roughness = h.diff().square().mean() / h.square().mean()
    centroid = ((power * frequency).sum(-1) / power.sum(-1)).mean()
    return float(h.std()), float(roughness), float(centroid)


@torch.no_grad()
@pytest.mark.parametrize("row", STATISTICS, ids=lambda row: "-".join(map(str, row[:3])))
def test_untrained_filters_look_as_the_table_says(row: tuple[Any, ...]) -> None:
    init, features, sine, *expected = row
    config = ImplicitConfig(
        bands=(features - 1) // 2, sine_frequency=sine, init=init, window=False
    )
    each = [statistics(build(64, 1, 1024, config, seed)(1024)) for seed in range(8)]
    std, roughness, centroid = np.mean(each, axis=0)
    assert std == pytest.approx(expected[0], rel=0.15)
    assert roughness == pytest.approx(expected[1], rel=0.5)
    assert centroid == pytest.approx(expected[2], rel=0.2)


@torch.no_grad()
def test_with_the_official_defaults_filters_start_small() -> None:
    filters = [build(64, 1, 1024, OFFICIAL, seed)(1024) for seed in range(24)]
    assert np.mean([h.std() for h in filters]) == pytest.approx(0.023, rel=0.15)
    assert 0.17 < np.mean([h.abs().max() for h in filters]) < 0.30


@pytest.mark.parametrize(
    ("width", "orders", "max_length", "bands", "inner", "depth", "positions"),
    [
        (768, 1, 2048, 16, 64, 2, False),  # the paper's: 60,480
        (768, 1, 2048, 16, 64, 2, True),  # 128,064
        (5, 3, 17, 2, 7, 0, True),
        (1, 2, 9, 1, 1, 3, False),
    ],
)
def test_the_number_of_parameters_is_that_of_the_formula(
    width: int,
    orders: int,
    max_length: int,
    bands: int,
    inner: int,
    depth: int,
    positions: bool,
) -> None:
    f = ImplicitFilter(
        width,
        orders,
        max_length,
        ImplicitConfig(bands, inner, depth, train_positions=positions),
    )
    e, rows = 2 * bands + 1, width * orders
    network = (e * inner + inner) + depth * (inner**2 + inner) + inner * rows + inner
    expected = network + positions * e * max_length
    assert sum(p.numel() for p in f.parameters()) == expected
    if width == 768:
        assert expected == (128_064 if positions else 60_480) - width  # less the skips


# A knob and another value for it, where that alone is without effect with a base.
TRAINED = ImplicitConfig(train_positions=True, train_decay=True)
KNOBS: dict[str, tuple[Any, ImplicitConfig]] = {
    "bands": (5, ImplicitConfig()),
    "width": (16, ImplicitConfig()),
    "depth": (1, ImplicitConfig()),
    "sine_frequency": (2.0, ImplicitConfig()),
    "train_frequency": (False, ImplicitConfig()),
    "train_positions": (True, ImplicitConfig()),
    "window": (False, ImplicitConfig()),
    "fast_decay": (0.2, ImplicitConfig()),
    "slow_decay": (1.0, ImplicitConfig()),
    "target": (0.1, ImplicitConfig()),
    "shift": (0.1, ImplicitConfig()),
    "train_decay": (True, ImplicitConfig()),
    "decays": ("flat", ImplicitConfig()),
    "init": ("small", ImplicitConfig()),
    "learning_rate": (0.5, ImplicitConfig()),
    "weight_decay": (0.5, ImplicitConfig()),
    "position_learning_rate": (0.5, TRAINED),
    "decay_learning_rate": (0.5, TRAINED),
}


def test_every_knob_is_tried_below() -> None:
    assert [*KNOBS] == [field.name for field in fields(ImplicitConfig)]


def about_training(f: ImplicitFilter) -> list[tuple[Any, ...]]:
    names = {p: (name, p.shape) for name, p in f.named_parameters()}
    return [
        (*names[p], group["lr"], group["weight_decay"])
        for group in f.parameter_groups(0.01)
        for p in group["params"]
    ]


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_changes_the_filter_or_its_training(name: str) -> None:
    value, base = KNOBS[name]
    before = build(orders=2, config=base)
    after = build(orders=2, config=replace(base, **{name: value}))
    same_values = torch.equal(before(32), after(32))
    assert not (same_values and about_training(before) == about_training(after))


@pytest.mark.parametrize("config", [ImplicitConfig(), TRAINED, OFFICIAL])
def test_every_parameter_is_in_exactly_one_group(config: ImplicitConfig) -> None:
    f = build(config=config)
    grouped = [id(p) for group in f.parameter_groups(0.01) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in f.parameters())


def test_each_group_has_its_own_rate_and_decay() -> None:
    config = replace(
        TRAINED,
        learning_rate=0.1,
        weight_decay=0.2,
        position_learning_rate=0.3,
        decay_learning_rate=0.4,
    )
    found = {
        name: (rate, decay)
        for name, _, rate, decay in about_training(build(config=config))
    }
    assert found.pop("positions") == (0.3, 0.0)
    assert found.pop("decays") == (0.4, 0.0)
    assert len(found) == 8
    assert set(found.values()) == {(0.1, 0.2)}


def test_a_rate_left_open_is_the_models() -> None:
    rates = {name: rate for name, _, rate, _ in about_training(build(config=TRAINED))}
    assert rates.pop("positions") == 1e-5
    assert set(rates.values()) == {0.01}


def test_trained_parts_get_a_gradient_and_fixed_ones_are_no_parameters() -> None:
    f = build(orders=2, config=TRAINED)
    f(32).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in f.parameters())
    fixed = build(config=replace(ImplicitConfig(), train_frequency=False))
    assert {n.split(".")[0] for n, _ in fixed.named_parameters()} == {
        "layers",
        "readout",
    }


def test_the_decays_of_each_order_are_trained_on_their_own() -> None:
    f = build(orders=3, config=TRAINED)
    assert f.decays.is_contiguous()  # else the optimiser writes beyond its memory
    before = f.decays.detach().clone()
    optimizer = torch.optim.AdamW([f.decays], lr=0.1, weight_decay=0.0, fused=True)
    f(32)[1].square().sum().backward()
    optimizer.step()
    changed = (f.decays != before).any(dim=-1)
    assert changed.tolist() == [False, True, False]


@pytest.mark.parametrize("config", [ImplicitConfig(), TRAINED, OFFICIAL])
def test_a_state_is_loaded_into_every_order(config: ImplicitConfig) -> None:
    source, copy = (build(orders=3, config=config, seed=seed) for seed in (1, 2))
    with torch.no_grad():
        source.decays.mul_(torch.tensor([[1.0], [2.0], [3.0]]))
    copy.load_state_dict(source.state_dict())
    assert torch.equal(source(32), copy(32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_filter_moves_to_another_precision(dtype: torch.dtype) -> None:
    f = build(orders=2)
    expected = f(32)
    h = f.to(dtype)(32)
    assert h.dtype == dtype
    torch.testing.assert_close(h.float(), expected, atol=0.02, rtol=0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ImplicitConfig(bands=0), "bands must be at least 1; got 0"),
        (lambda: ImplicitConfig(width=0), "width must be at least 1; got 0"),
        (lambda: ImplicitConfig(depth=-1), "depth must be at least 0; got -1"),
        (lambda: ImplicitConfig(fast_decay=2.0), "got 2.0, 1.5 and 0.01"),
        (lambda: ImplicitConfig(fast_decay=0.0), "0 < fast_decay <= slow_decay"),
        (lambda: ImplicitConfig(target=1.0), "0 < target < 1"),
        (lambda: ImplicitConfig(target=0.0), "0 < target < 1"),
        (
            lambda: ImplicitConfig(shift=math.inf),
            "^shift and sine_frequency must be finite; got inf and 1.0",
        ),
        (lambda: ImplicitConfig(sine_frequency=math.nan), "got 0.0 and nan"),
        (
            lambda: ImplicitConfig(init="smal"),
            "unknown filter init 'smal'; known, nearest first: small",
        ),
        (
            lambda: ImplicitConfig(decays="spred"),
            "unknown layout of decays 'spred'; known, nearest first: spread",
        ),
    ],
)
def test_an_impossible_filter_is_refused(
    make: Callable[[], ImplicitConfig], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_all_channels_may_decay_alike() -> None:
    config = ImplicitConfig(fast_decay=0.5, slow_decay=0.5)
    decays = ImplicitFilter(3, 1, 8, config).decays
    assert decays.abs().tolist() == [[pytest.approx(math.log(100) / 0.5)] * 3]


def test_a_misspelt_knob_is_refused() -> None:
    with pytest.raises(TypeError, match="sine_freq"):
        ImplicitConfig(sine_freq=14.0)  # type: ignore[call-arg]
