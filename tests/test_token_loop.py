"""The token loop runs four ways to step a convolution, and counts what they do."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import LanguageModel, LMConfig, lessons
from minihyena.explore import TokenLoop
from minihyena.explore.token_loop import MODES
from minihyena.explore.token_loop_figure import pairs_of
from minihyena.explore.token_loop_work import LENGTHS, METHODS, Multiplications

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def loop():
    return TokenLoop()


class Echo:
    """A learner's own: remembers one input, adds half of it. No base class."""

    def __init__(self, h=None):
        self.reset()

    def reset(self):
        self.last = 0.0

    def step(self, x_t):
        y = float(x_t) + self.last / 2
        self.last = float(x_t)
        return y

    def state_size(self):
        return 1


def tile_cost(w):
    return 2 * 2 * w * math.log2(2 * w) + 4 * (w + 1)


def tiles_by_hand(length):
    """Multiplications of every step: tap 0, the tile due, step 0's transforms."""
    counts = [1.0] * length
    sides = [n & -n for n in range(1, length)]
    for n, w in enumerate(sides, 1):
        counts[n - 1] += tile_cost(w)
    counts[0] += sum(2 * w * math.log2(2 * w) for w in set(sides))
    return [round(c) for c in counts]


# ---- the facts


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_counted_is_what_the_formulas_say(loop, length):
    loop.set("length", length)
    work = loop.facts()["work"]
    assert list(work["cached"]) == list(range(1, length + 1))
    assert list(work["tiles"]) == tiles_by_hand(length)
    assert set(work["recurrent"]) == {8 * loop.state()["modes"] + 1}
    for t in (0, length // 2, length - 1):
        n = 2 * (t + 1)
        assert work["recompute"][t] == round(3 * n * math.log2(n) + 4 * (t + 2))
    assert loop.facts()["total"]["cached"] == length * (length + 1) // 2


def test_exact_methods_are_exact_and_modes_are_as_near_as_their_fit(loop):
    for name in loop.controls["filter"]:
        loop.set("filter", name)
        h = loop.filters[name][0, :64].double().numpy()
        exact = np.convolve(loop.u[:64].double().numpy(), h)[:64]
        error = loop.facts()["error"]
        assert max(error[m] for m in METHODS[:3]) < 1e-5
        assert loop._once(("exact", 64, name), None).numpy() == pytest.approx(exact)
        modes = loop._fitted(name, 8).response(64)[0].numpy()
        off = np.convolve(loop.u[:64].double().numpy(), modes)[:64] - exact
        wanted = np.abs(off).max() / np.abs(exact).max()
        assert error["recurrent"] == pytest.approx(wanted, rel=1e-2, abs=1e-6)


def test_spikes_stand_where_inputs_make_a_power_of_two(loop):
    work = loop.facts()["work"]["tiles"]
    spikes = [work[2**q - 1] for q in range(1, 6)]
    assert spikes == sorted(spikes)
    assert work.index(max(work)) == 31
    for q in range(2, 6):
        assert work[2**q - 1] > 2 * work[2 ** (q - 1) - 1]


def test_rough_filters_need_many_modes_and_smooth_ones_few(loop):
    smooth = loop.facts()["fit"]
    loop.set("filter", "rough, untrained")
    rough = loop.facts()["fit"]
    assert smooth[8] < 0.01 < 0.3 < rough[8]
    assert rough[32] > 0.05


def test_modes_keep_the_same_however_late_it_is(loop):
    sizes = []
    for t in (3, 20, 63):
        loop.set("step", t)
        sizes.append(loop.facts()["kept"])
    assert {size["recurrent"] for size in sizes} == {16}
    assert [size["recompute"] for size in sizes] == [4, 21, 64]
    assert [size["cached"] for size in sizes] == [4, 21, 63]
    assert all(a["tiles"] >= a["cached"] for a in sizes)


def test_multiplications_are_those_of_real_numbers():
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    z = torch.complex(a, a)

    def count(made):
        with Multiplications() as work:
            made()
        return work.count

    assert count(lambda: a * a) == 12
    assert count(lambda: 2 * a) == 12
    assert count(lambda: z * a) == 24
    assert count(lambda: z * z) == 48
    assert count(lambda: a @ b) == 3 * 4 * 5
    assert count(lambda: torch.einsum("ij,jk->ik", a, b)) == 3 * 4 * 5
    assert count(lambda: torch.dot(a[0], a[1])) == 4
    assert count(lambda: torch.fft.rfft(a, 8)) == 3 * 8 * 3
    assert count(lambda: torch.fft.rfft(a, 5)) == pytest.approx(3 * 5 * math.log2(5))
    assert count(lambda: torch.fft.irfft(z, 8)) == 3 * 8 * 3
    assert count(lambda: a + a) == 0


# ---- what is said and drawn


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("t", [0, 5, 15])
def test_the_pairs_drawn_are_the_whole_triangle_each_once(method, t):
    seen = {}
    for what, boxes in zip(
        ("late", "early", "now"), pairs_of(method, t, 16), strict=True
    ):
        for left, right, top, bottom in boxes:
            for row in range(top, bottom):
                for s in range(left, min(right, 16)):
                    assert (row, s) not in seen
                    assert s <= row
                    seen[row, s] = what
    if method == "recurrent":
        assert seen == {(t, t): "now"}
        return
    assert set(seen) == {(row, s) for row in range(16) for s in range(row + 1)}
    now = {pair for pair, what in seen.items() if what == "now"}
    if method == "cached":
        assert now == {(t, s) for s in range(t + 1)}
    if method == "recompute":
        assert now == {(row, s) for row in range(t + 1) for s in range(row + 1)}
    assert all(seen[row, s] != "early" or s < t or s == t == row for row, s in seen)


def test_an_output_is_settled_when_its_step_comes():
    for t in range(16):
        late, early, now = pairs_of("tiles", t, 16)
        settled = [box for box in (*early, *now) if box[2] <= t < box[3]]
        assert sum(right - left for left, right, _, _ in settled) == t + 1
        assert not [box for box in late if box[2] <= t]


def test_the_sentence_is_made_of_the_facts(loop):
    assert loop.describe().startswith(
        "Step 31 of 0 to 63, in tiles (online): 901 multiplications; inputs 0 to 31 "
        "send to outputs 32 to 63. All 64 steps: 87,077 anew, 2,080 one by one, 4,414 "
        "in tiles, 4,160 from modes."
    )
    for _, facts in loop.sweep(cap=60):
        said = loop.describe()
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert TokenLoop.describe(only_facts) == said
        assert f"{facts['work'][facts['method']][facts['step']]:,} mult" in said
        assert f"{facts['total']['tiles']:,} in tiles" in said


def test_a_sweep_visits_every_step_and_every_length(loop):
    seen = {name: set() for name in loop.controls}
    for state, facts in loop.sweep():
        assert facts["step"] < state["length"]
        for name in seen:
            seen[name].add(state[name])
    assert set(range(64)) <= seen["step"]
    assert seen["length"] == set(LENGTHS)
    assert seen["modes"] == set(MODES)


def test_steps_follow_the_length_and_reset_brings_them_back(loop):
    first = loop.state()
    loop.set("length", 16)
    assert loop.state()["step"] == 15
    assert loop.play.max == 15
    loop.set("length", 128)
    loop.set("step", 100)
    assert loop.facts()["step"] == 100
    loop.reset()
    assert loop.state() == first
    assert loop.play.max == 63


def test_the_table_holds_every_count_and_every_tile(loop):
    header, rows = loop._numbers()
    assert all(len(row) == len(header) for row in rows)
    steps = rows[:64]
    column = header.index("in tiles (online)")
    assert [row[column] for row in steps] == list(loop.facts()["work"]["tiles"])
    assert steps[31][-2:] == ("0 to 31", "32 to 63")
    assert steps[63][-2:] == ("", "")
    assert [row[0] for row in rows[64:66]] == ["all", "largest error"]
    assert len(rows) == 66 + len(MODES)


def test_the_figure_draws_the_facts(loop):
    loop.set("method", "cached")
    traces = {trace.name: trace for trace in loop.figure.data}
    assert list(traces["one by one"].y) == list(range(1, 65))
    assert traces["one by one"].line.width > traces["in tiles"].line.width
    assert (list(traces["this step"].x), list(traces["this step"].y)) == ([31], [32])
    now = traces["pairs settled now"]
    assert (min(now.x[:5]), max(now.x[:5])) == (-0.5, 31.5)
    assert (min(now.y[:5]), max(now.y[:5])) == (30.5, 31.5)
    fit = loop.facts()["fit"]
    assert list(traces["error of the filter"].y) == list(fit.values())


# ---- a learner's own


def test_a_learners_object_is_run_beside_the_exact_convolution():
    mine = TokenLoop(yours=Echo())
    assert mine.facts()["yours"] == ("yours",)
    h = mine.filters["smooth, untrained"][0, :64].double().numpy()
    u = mine.u[:64].double().numpy()
    exact = np.convolve(u, h)[:64]
    echo = np.convolve(u, [1, 0.5])[:64]
    off = np.abs(echo - exact).max() / np.abs(exact).max()
    assert mine.facts()["error"]["yours"] == pytest.approx(off, rel=1e-4)
    assert mine.facts()["kept"]["yours"] == 1
    mine.set("method", "yours")
    assert "it differs from the convolution" in mine.describe()
    assert mine._details()["µs a step here"] > 0
    assert mine._details()["numbers kept"] == 1


def test_exercises_fit_in_as_they_stand():
    cache = lessons.exercise("11.ConvCache").answer
    mine = TokenLoop(yours={"cache": cache, "echo": Echo})
    assert mine.facts()["error"]["cache"] < 1e-5
    assert mine.facts()["kept"]["cache"] is None
    assert list(mine.facts()["work"]["cache"]) == list(range(1, 65))
    mine.set("method", "cache")
    assert "; it equals the convolution" in mine.describe()
    assert mine._details()["numbers kept"] == "it does not say"
    assert "cache" in [trace.name for trace in mine.figure.data]


def test_a_fresh_start_for_every_run():
    echo = Echo()
    first = TokenLoop(yours=echo)
    error = first.facts()["error"]["yours"]
    echo.last = 100.0
    assert TokenLoop(yours=echo).facts()["error"]["yours"] == error


def test_a_trained_filter_joins_the_others():
    config = LMConfig(11, max_length=40, width=6, depth=1)
    model = LanguageModel(config, torch.Generator().manual_seed(0))
    loop = TokenLoop(model, channel=2)
    assert "trained" in loop.controls["filter"]
    assert loop.controls["length"] == (16, 32)
    loop.set("filter", "trained")
    h = model.filters()[0](40)[0, 2].detach()
    assert torch.equal(loop.filters["trained"][0], h)
    assert loop.facts()["error"]["tiles"] < 1e-5


@pytest.mark.parametrize(
    ("yours", "error", "message"),
    [
        (3, TypeError, r"must have step\(x_t\) and reset\(\), .* got int"),
        ({"tiles": Echo}, TypeError, "a name of its own"),
        (lambda h: h, TypeError, r"a Tensor has no method step"),
        (
            lambda h: SimpleNamespace(step=lambda x: torch.ones(2)),
            ValueError,
            r"takes \(1,\) and gives one real number; yours gave \(2,\)",
        ),
        (
            lambda h: SimpleNamespace(step=lambda x: None),
            ValueError,
            "yours gave NoneType",
        ),
    ],
)
def test_what_cannot_be_stepped_is_refused(yours, error, message):
    with pytest.raises(error, match=message):
        TokenLoop(yours=yours)


def test_too_short_a_filter_is_refused():
    with pytest.raises(ValueError, match="12 taps leave little to see"):
        TokenLoop(torch.ones(1, 12))
