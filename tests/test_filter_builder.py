"""The filter builder draws what its choices make of a filter, and counts its cost."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from minihyena import ImplicitConfig, ImplicitFilter
from minihyena.explore import FilterBuilder, FilterStudio
from minihyena.model import drawing_from
from minihyena.rivals.state_space import S4DConfig

LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
SINE, RELU, SUMS, FREE = "sine network", "ReLU network", "exponentials", "free taps"


pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def builder():
    return FilterBuilder()


def press(builder, label):
    boxes = [builder]
    while boxes:
        box = boxes.pop()
        boxes += getattr(box, "children", ())
        if getattr(box, "description", None) == label:
            return box.click()
    raise AssertionError(f"no button {label!r}")


def curve(builder, name):
    return next(trace for trace in builder.figure.data if trace.name == name)


def seeded(seed=4):
    return drawing_from(torch.Generator().manual_seed(seed))


def by_numpy(state):
    """The taps (16, L) of a network in float64, from the weights of the same draw."""
    L, K, F = state["length"], state["bands"], state["size"]
    with seeded():  # the layers in the order in which the library makes them
        sizes = [2 * K + 1, F, F, F]
        layers = list(map(nn.Linear, sizes, sizes[1:]))
        readout = nn.Linear(F, 16, bias=False)
    i = np.arange(L)[:, None]
    angle = 2 * np.pi * i / L * np.linspace(1e-4, K - 1, K)
    a = np.hstack([i / (L - 1), np.cos(angle), -np.sin(angle)])
    for layer in layers:
        weight, bias = (p.detach().double().numpy() for p in layer.parameters())
        a = a @ weight.T + bias
        sine = state["family"] == SINE
        a = np.sin(state["omega"] * a) if sine else np.maximum(a, 0)
    h = (a @ readout.weight.detach().double().numpy().T).T
    if state["window"]:
        rates = np.linspace(1 / state["slow"], 1 / state["fast"], 16)
        h *= 0.01 ** (rates[:, None] * i.T / (L - 1)) + state["floor"]
    return h


def reach_by_loop(h):
    total, so_far = sum(map(abs, h)), 0.0
    for lag, tap in enumerate(h):
        so_far += abs(tap)
        if so_far >= 0.9 * total:
            return lag
    raise AssertionError


# ---- the facts


def test_networks_in_every_state_are_those_of_an_independent_formula(builder):
    seen = set()
    for state, facts in builder.sweep(cap=140):
        if state["family"] not in (SINE, RELU):
            continue
        seen.add(state["family"])
        h, channel = by_numpy(state), state["channel"]
        scale = np.abs(h[channel]).max()
        drawn = np.array(curve(builder, "filter").y)
        assert np.abs(drawn - h[channel]).max() < 1e-2 * scale  # float32, up to ω = 30
        found = np.array(facts["reaches"])
        exact = np.array([reach_by_loop(row) for row in h])
        assert np.abs(found - exact).max() <= max(2, 0.01 * state["length"])
        assert facts["reach"] == facts["reaches"][channel]
        K, F = state["bands"], state["size"]
        owned = (2 * K + 2) * F + 2 * (F + 1) * F + 16 * F
        owned += F * (state["family"] == SINE)  # the frequencies
        assert set(facts["counts"]) == {facts["parameters"]} == {owned}
    assert seen == {SINE, RELU}


@pytest.mark.parametrize("family", [SUMS, FREE])
def test_the_other_families_are_the_librarys(builder, family):
    builder.set("family", family)
    for length in LENGTHS[::3]:
        builder.set("length", length)
        with seeded():
            if family == SUMS:
                h = S4DConfig(64).build(16, 1, length)(length)[0, 8].detach()
            else:
                h = torch.randn(1, 16, length)[0, 8] / length**0.5
        np.testing.assert_allclose(curve(builder, "filter").y, h, atol=1e-6)
        assert builder.facts()["parameters"] == (16 * (129, length)[family == FREE])


def test_the_spectrum_and_its_band_are_those_of_numpy(builder):
    builder.set("omega", 10.0)
    h = np.array(curve(builder, "filter").y)
    gain = np.abs(np.fft.rfft(h, 2 * len(h)))
    spectrum = builder.figure.data[1]
    np.testing.assert_allclose(spectrum.y, gain, rtol=1e-3, atol=1e-4 * gain.max())
    power = np.cumsum(gain**2)
    band = np.argmax(power >= 0.9 * power[-1]) / (2 * len(h))
    assert builder.facts()["band"] == pytest.approx(band, abs=1e-3)
    assert builder.facts()["peak"] == pytest.approx(gain.argmax() / (2 * len(h)))


def test_the_counter_does_not_move_with_the_length_but_for_free_taps(builder):
    for family in (SINE, RELU, SUMS):
        builder.set("family", family)
        counts = set()
        for length in LENGTHS:
            builder.set("length", length)
            counts |= {builder.facts()["parameters"], *builder.facts()["counts"]}
        assert len(counts) == 1
    builder.set("family", FREE)
    assert builder.facts()["counts"] == tuple(16 * n for n in LENGTHS)
    assert list(curve(builder, "free taps").y) == [16 * n for n in LENGTHS]


def test_the_frequency_fills_the_spectrum(builder):
    bands = []
    for omega in (1.0, 5.0, 14.0):
        builder.set("omega", omega)
        bands.append(builder.facts()["band"])
    assert bands[0] < 0.01 < bands[1] < 0.1 < 0.35 < bands[2]


def test_the_window_makes_some_channels_short_sighted(builder):
    builder.set("omega", 14.0)
    near = builder.facts()["reaches"]
    assert near[0] > 500
    assert near[15] < 200
    builder.set("window", False)
    assert min(builder.facts()["reaches"]) > 800
    builder.reset()
    builder.set("fast", 0.02)
    assert builder.facts()["reaches"][15] < 20
    builder.set("floor", 0.2)
    assert builder.facts()["reaches"][15] > 200


# ---- what can be chosen


def test_choices_without_effect_are_closed(builder):
    always = {"family", "length", "channel"}
    window = {"window", "fast", "slow", "floor"}
    open_in = {
        SINE: always | window | {"bands", "omega", "size"},
        RELU: always | window | {"bands", "size"},
        SUMS: always | {"size"},
        FREE: always,
    }
    for family, names in open_in.items():
        builder.set("family", family)
        assert set(builder.controls) == names
    builder.set("family", SINE)
    builder.set("window", False)
    assert set(builder.controls) == open_in[SINE] - {"fast", "slow", "floor"}
    builder.reset()
    assert set(builder.controls) == open_in[SINE]


def test_every_open_choice_moves_something_that_is_drawn(builder):
    for family in (SINE, RELU, SUMS, FREE):
        builder.set("family", family)
        for name, values in builder.controls.items():
            before = builder.figure.to_json()
            now = builder.state()[name]
            builder.set(name, next(v for v in values if v != now))
            assert builder.figure.to_json() != before, (family, name)
            builder.set(name, now)
            builder.set("family", family)


@pytest.mark.parametrize(
    ("label", "settings"),
    [
        ("Official default", {"bands": 1, "omega": 1.0, "floor": 0.0}),
        ("Paper's language models", {"bands": 16, "omega": 14.0, "floor": 0.0}),
        ("HyenaDNA", {"bands": 2, "omega": 10.0, "floor": 0.05}),
    ],
)
def test_presets_are_the_published_settings(builder, label, settings):
    builder.set("family", FREE)
    press(builder, label)
    published = {"family": SINE, "size": 64, "window": True, "fast": 0.3, "slow": 1.5}
    assert builder.state().items() >= (published | settings).items()
    press(builder, "Reset")
    assert builder.state()["bands"] == ImplicitConfig().bands


def test_the_first_state_is_the_default_of_the_library(builder):
    state, default = builder.state(), ImplicitConfig()
    assert state["bands"] == default.bands
    assert state["size"] == default.width
    assert state["omega"] == default.sine_frequency
    assert (state["fast"], state["slow"]) == (default.fast_decay, default.slow_decay)
    assert state["floor"] == default.shift
    with seeded():
        library = ImplicitFilter(16, 1, 1024)
    drawn = library(1024)[0, 8].detach()
    np.testing.assert_allclose(curve(builder, "filter").y, drawn, atol=1e-7)


# ---- what is said and drawn


def test_the_sentence_counts_what_the_facts_count(builder):
    for _, facts in builder.sweep():
        said = builder.describe()
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert FilterBuilder.describe(only_facts) == said
        numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", said)]
        assert {facts["parameters"], facts["reach"], facts["channel"]} <= set(numbers)
        assert min(facts["reaches"]) in numbers
        assert f"below {facts['band']:.3f} cycles" in said


def test_the_sentence_says_what_the_length_costs(builder):
    assert builder.describe().startswith(
        "Sine network of 4 bands, ω = 1 and width 64: 10,048 parameters at any length; "
        "free taps need 16,384 at length 1,024. Its channels reach back "
    )
    builder.set("family", FREE)
    assert builder.describe().startswith(
        "Free taps: 16,384 parameters at length 1,024, 65,536 at length 4,096. Its "
    )


def test_the_dashed_lines_are_the_window_of_the_channel(builder):
    builder.set("channel", 15)
    over, under = (
        curve(builder, name) for name in ("window (its shape)", "window below")
    )
    top = np.abs(curve(builder, "filter").y).max()
    times = np.arange(1024) / 1023
    expected = top * np.exp(math.log(0.01) / 0.3 * times)
    np.testing.assert_allclose(over.y, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(under.y, -np.array(over.y))
    builder.set("window", False)
    assert not len(over.y)
    builder.set("family", FREE)
    assert not len(under.y)


def test_the_rings_mark_the_channel_and_the_length(builder):
    builder.set("channel", 3)
    builder.set("length", 256)
    facts, ring, here = (
        builder.facts(),
        curve(builder, "this one"),
        curve(builder, "here"),
    )
    assert (*ring.x, *ring.y) == (3, facts["reaches"][3])
    assert (*here.x, *here.y) == (256, 10_048)
    assert tuple(curve(builder, "reach").y) == facts["reaches"]
    assert tuple(curve(builder, "this family").y) == facts["counts"]


def test_the_table_holds_every_number_that_is_drawn(builder):
    builder.set("length", 64)
    header, rows = builder._numbers()
    assert len(rows) == 64
    assert all(len(row) == len(header) for row in rows)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    assert list(columns["h"]) == pytest.approx(list(curve(builder, "filter").y))
    assert columns["reach"][:16] == builder.facts()["reaches"]
    assert columns["parameters"][:7] == builder.facts()["counts"]
    window = list(curve(builder, "window (its shape)").y)
    assert list(columns["window"]) == pytest.approx(window)


# ---- a learner's filter


class Mine(nn.Module):
    """Ten lines, no base class: one number a channel, that fades."""

    def __init__(self, config, width, length):
        super().__init__()
        self.loud = nn.Parameter(torch.linspace(1, 2, width))
        self.times = torch.linspace(0, 1, length)
        self.rate = config.sine_frequency

    def forward(self, length):
        return self.loud[:, None] * torch.exp(-self.rate * self.times[:length])


def test_a_learners_filter_is_built_from_the_same_choices():
    mine = FilterBuilder(mine=Mine)
    assert mine.state()["family"] == "yours"
    assert mine.describe().startswith(
        "Your filter of 4 bands, ω = 1 and width 64: 16 parameters at any length"
    )
    mine.set("omega", 5.0)
    fading = (1 + 8 / 15) * np.exp(-5 * np.arange(1024) / 1023)
    np.testing.assert_allclose(curve(mine, "filter").y, fading, rtol=1e-4)
    assert not len(curve(mine, "window (its shape)").y)
    mine.set("family", SINE)
    assert mine.describe().split(":")[0] == (
        "Sine network of 4 bands, ω = 5 and width 64"
    )
    assert FilterStudio(Mine(ImplicitConfig(), 3, 256)).facts()["parameters"] == 3


def test_a_learners_window_is_shown_if_it_has_one():
    def built(config, width, length):
        made = Mine(config, width, length)
        made.window = torch.linspace(1, 0, length).repeat(width, 1)
        return made

    mine = FilterBuilder(mine=built)
    top = np.abs(curve(mine, "filter").y).max()
    shape = np.array(curve(mine, "window (its shape)").y)
    np.testing.assert_allclose(
        shape, top * np.linspace(1, 0, 1024), rtol=1e-4, atol=1e-6
    )


def test_a_plain_function_has_no_parameters():
    plain = FilterBuilder(mine=lambda config, width, length: torch.ones(width, length))
    assert plain.facts()["counts"] == (0,) * len(LENGTHS)
    assert plain.facts()["reach"] == math.ceil(0.9 * 1024) - 1


def test_what_cannot_be_shown_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match=r"has 3 channels; it was asked for 16"):
        FilterBuilder(mine=lambda config, width, length: torch.ones(3, length))
    with pytest.raises(ValueError, match=r"must give \(D, 1024\) .* got \(16, 9\)"):
        FilterBuilder(
            mine=lambda config, width, length: lambda n: torch.ones(width, min(n, 9))
        )


def test_the_world_stays_where_it_was(builder):
    before = torch.get_rng_state()
    FilterBuilder().set("omega", 5.0)
    assert torch.equal(before, torch.get_rng_state())
    again = FilterBuilder()
    assert again.describe() == builder.describe()
