"""The loss plot says what the recorded curves say, and no more."""

import json
import math
import statistics
from dataclasses import replace
from itertools import pairwise

import pytest
from made_texts import COSTS, TEXTS, made_texts

from minihyena import experiments, records
from minihyena.experiments.curves import saving
from minihyena.explore import EvidencePlot, LossPlot
from minihyena.explore.loss_plot_words import AXES, amount

OURS, OTHER, THIRD = COSTS
PLAY, SHORT, MANUAL = TEXTS
pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "made_up.json"
    made_texts().save(path)
    return path


@pytest.fixture
def plot(file):
    return LossPlot(experiments.load(file))


def curves_of(file, model, text, axis):
    """Seed -> its curve, worked out from the file alone; diverged ones left out."""
    rows = [
        row
        for row in json.loads(file.read_text())["rows"]
        if (row["model"], row["corpus"], row["length"]) == (model, *text)
    ]
    if not rows:
        return {}
    best = min((r for r in rows if r["seed"] == 0), key=lambda r: r["loss"])
    return {
        row["seed"]: [
            (seconds if axis == "seconds" else step * row[axis], loss)
            for step, seconds, loss in row["curve"]
        ]
        for row in rows
        if row["learning_rate"] == best["learning_rate"] and row["loss"] is not None
    }


def between(curve, spent):
    """The loss after so much, straight in the logarithm; None where nothing is."""
    for (a, before), (b, after) in pairwise(curve):
        if a <= spent <= b:
            way = math.log(spent / a) / math.log(b / a)
            return before * (1 - way) + after * way
    return None


def first_below(curve, loss):
    """By halving: what is spent when the curve first is as low; None if never."""
    for (a, _), (b, after) in pairwise(curve):
        if after <= loss:
            for _ in range(60):
                middle = math.sqrt(a * b)
                a, b = (a, middle) if between(curve, middle) <= loss else (middle, b)
            return b
    return None


def near(numbers):
    found = statistics.fmean(numbers), min(numbers), max(numbers), len(numbers)
    return pytest.approx(found, rel=1e-9)


# The facts


def test_every_state_agrees_with_the_file(plot, file):
    for state, facts in plot.sweep():
        shown = [m for m in COSTS if state["models"] in ("all", m) or m == OURS]
        found = {m: curves_of(file, m, state["text"], state["axis"]) for m in shown}
        assert facts["not_run"] == tuple(m for m in shown if not found[m])
        assert list(facts["lines"]) == [m for m in shown if found[m]]
        rival = next((m for m in shown[1:] if found[m]), OURS)
        end = min(curve[-1][0] for curve in found[rival].values())
        assert facts["at"] == pytest.approx(state["share"] * end)
        for model in facts["lines"]:
            losses = [between(c, facts["at"]) for c in found[model].values()]
            if None in losses:
                assert model not in facts["reads"]
            else:
                assert facts["reads"][model] == near(losses)
            if model == OURS:
                continue
            goal, pairs = facts["goals"][model], found[model].keys() & found[OURS]
            ends = [found[model][seed][-1] for seed in sorted(pairs)]
            assert goal.loss == near([loss for _, loss in ends])
            there = [first_below(found[OURS][seed], found[model][seed][-1][1])
                     for seed in sorted(pairs)]  # fmt: skip
            assert goal.spent == near(there)
            shares = [x / end for x, (end, _) in zip(there, ends, strict=True)]
            assert goal.share == near(shares)


def test_the_share_is_what_the_saving_leaves(plot):
    runs = plot.twins.texts[PLAY]
    for axis in plot.controls["axis"]:
        plot.set("axis", axis)
        for rival in (OTHER, THIRD):
            saved = saving(runs[OURS], runs[rival], axis)
            mean, low, high, seeds = plot.facts()["goals"][rival].share
            left = 1 - saved.mean, 1 - saved.high, 1 - saved.low, len(saved.shares)
            assert (mean, low, high, seeds) == pytest.approx(left)


def test_it_begins_where_every_line_can_be_read(plot):
    assert plot.state() == {
        "text": PLAY, "models": "all", "axis": "flops", "spread": True, "share": 0.25,
    }  # fmt: skip
    assert list(plot.facts()["reads"]) == list(COSTS)
    plot.set("share", 0.3)  # 120 of 400 GFLOP, and ours ends at 100
    assert list(plot.facts()["reads"]) == [OTHER, THIRD]


def test_two_models_need_no_choice_of_models():
    plot = LossPlot(made_texts(models=(OURS, OTHER)))
    assert set(plot.controls) == {"text", "axis", "spread", "share"}


# What is said


SAID = (
    "On a play, windows of 2,048, held-out nats a character after 100 GFLOP: ours 1.64 "
    "(1.59 to 1.69, 3 seeds), other 3.20 (3.15 to 3.25, 3 seeds) and third (slow) 2.69 "
    "(2.64 to 2.74, 3 seeds); ours gets as low as other ends, 2.44, with 3 % (3 to 3, "
    "3 seeds) of the FLOPs and as low as third (slow) ends, 1.96, with 8 % (8 to 8, 3 "
    "seeds) of the FLOPs."
)


def test_the_sentence_of_the_first_picture(plot):
    assert plot.describe() == SAID
    plot.set("spread", False)
    plot.set("models", OTHER)
    assert plot.describe() == (
        "On a play, windows of 2,048, held-out nats a character after 100 GFLOP: ours "
        "1.64 and other 3.20; ours gets as low as other ends, 2.44, with 3 % of the "
        "FLOPs."
    )


@pytest.mark.parametrize(
    ("axis", "after", "unit"),
    [
        ("flops_causal", "75 GFLOP", "4 % of the FLOPs (causal half)"),
        ("tokens", "102,000 characters", "13 % of the characters"),
        ("seconds", "37.5 s", "9 % of the seconds"),
    ],
)
def test_every_axis_has_its_unit(plot, axis, after, unit):
    plot.set("axis", axis)
    plot.set("models", OTHER)
    plot.set("spread", False)
    assert f" after {after}: " in plot.describe()
    assert plot.describe().endswith(f"with {unit}.")
    assert plot.figure.layout.xaxis.title.text == AXES[axis][1]


def test_a_line_that_does_not_reach_so_far_is_told_by_its_end(plot):
    plot.set("models", OTHER)
    plot.set("share", 0.5)
    assert (
        "; the line of ours ends at 100 GFLOP, with 1.64 (1.59 to 1.69, 3 seeds); "
        in plot.describe()
    )
    plot.set("share", 0.05)
    assert plot.describe().startswith(
        "On a play, windows of 2,048, held-out nats a character after 20 GFLOP: ours "
        "2.25 (2.20 to 2.30, 3 seeds); the line of other begins only at 40 GFLOP, with "
    )
    plot.set("axis", "tokens")
    assert ", no loss was taken after 20,500 characters; " in plot.describe()


def test_what_was_not_run_is_named(plot):
    plot.set("text", MANUAL)
    assert plot.describe().endswith(" of the FLOPs; not run: third (slow).")
    plot.set("models", THIRD)  # so ours is read at shares of its own run
    assert plot.facts()["at"] == pytest.approx(0.25 * 100e9)
    assert plot.describe() == (
        "On a manual, windows of 256, held-out nats a character after 25 GFLOP: ours "
        "2.15 (2.10 to 2.20, 3 seeds); not run: third (slow)."
    )


def test_a_run_that_diverged_is_counted_and_not_drawn(plot):
    plot.set("text", SHORT)
    facts, said = plot.facts(), plot.describe()
    assert facts["diverged"] == {OURS: (1, 3)}
    assert {s.seeds for _, s in facts["lines"][OURS]} == {2}
    assert facts["goals"][OTHER].share.seeds == 2
    assert ": ours 1.62 (1.59 to 1.64, 2 seeds), other 3.20 (3.15 to 3.25, 3" in said
    assert said.endswith("; ours diverged from 1 of 3 seeds.")


def test_a_model_of_which_every_run_diverged_has_no_line():
    lost = {(OURS, text, seed) for text in TEXTS for seed in range(3)}
    results = made_texts(lost=lost)
    only = tuple(r for r in results.runs if r.model != OURS or r.loss is None)
    plot = LossPlot(replace(results, runs=only))
    assert list(plot.facts()["lines"]) == [OTHER, THIRD]
    assert not plot.facts()["goals"]
    assert plot.describe().endswith("; ours diverged from 3 of 3 seeds.")
    nobody = tuple(r for r in only if r.model == OURS)
    plot = LossPlot(replace(results, runs=nobody))
    assert plot.describe() == (
        "On a play, windows of 2,048, no run of ours came to its end; ours diverged "
        "from 3 of 3 seeds."
    )
    assert not any(trace.x for trace in plot.figure.data)


def test_one_seed_has_no_spread():
    plot = LossPlot(made_texts(seeds=1, lost=()))
    plot.set("models", OTHER)
    assert plot.describe() == (
        "On a play, windows of 2,048, held-out nats a character after 100 GFLOP: ours "
        "1.59 (1 seed) and other 3.15 (1 seed); ours gets as low as other ends, 2.39, "
        "with 3 % (1 seed) of the FLOPs."
    )


def test_only_seeds_that_both_have_are_compared():
    plot = LossPlot(made_texts(seeds={OURS: 3, OTHER: 2, THIRD: 1}, lost=()))
    goals = plot.facts()["goals"]
    assert [goal.share.seeds for goal in goals.values()] == [2, 1]
    assert "with 8 % (1 seed) of the FLOPs." in plot.describe()


def moved(results, by, seeds):
    """The curves of ours, from these seeds, are moved up or down."""
    runs = tuple(
        replace(r, curve=tuple((n, s, loss + by) for n, s, loss in r.curve))
        if r.model == OURS and r.seed in seeds
        else r
        for r in results.runs
    )
    return LossPlot(replace(results, runs=runs))


def test_who_never_gets_as_low_is_not_said_to():
    results = made_texts(lost=())
    plot = moved(results, 3, {2})
    goal = plot.facts()["goals"][OTHER]
    assert (goal.reached, goal.spent, goal.share) == (2, None, None)
    assert "; ours gets as low as other ends, 2.44, from only 2 of 3 seeds and as" in (
        plot.describe()
    )
    plot = moved(results, 3, range(3))
    assert plot.describe().endswith(
        "; ours never gets as low as other ends, 2.44 and as low as third (slow) ends, "
        "1.96."
    )
    assert not plot.figure.data[-1].x
    notes = [note.text for note in plot.figure.layout.annotations[1:]]
    assert notes == ["not reached"] * 2


def test_what_was_reached_at_the_first_look_is_told_as_a_bound():
    plot = moved(made_texts(lost=()), -0.2, {1})
    goals = plot.facts()["goals"]
    assert [goal.at_most for goal in goals.values()] == [True, False]
    assert "other ends, 2.44, with at most 3 % (2 to 3, 3 seeds) of " in plot.describe()
    assert plot.figure.layout.annotations[1].text == "at most 3 % of the FLOPs"


def test_amounts_are_told_to_three_digits():
    assert amount("flops", 3.1234e12) == "3.12 TFLOP"
    assert amount("flops_causal", 999.4e9) == "999 GFLOP"
    assert amount("tokens", 1_228_800) == "1,230,000 characters"
    assert amount("seconds", 5.04) == "5.04 s"
    assert amount("seconds", 1234.5) == "1,230 s"


# What is drawn


def test_lines_ranges_and_marks_are_the_facts(plot):
    for state, facts in plot.sweep():
        figure = plot.figure.data
        for slot, model in enumerate(COSTS):
            band, line = figure[2 * slot : 2 * slot + 2]
            points = facts["lines"].get(model, ())
            assert [*zip(line.x, line.y, strict=True)] == [
                (x, loss.mean) for x, loss in points
            ]
            edge = [(x, s.high) for x, s in points]
            edge += [(x, s.low) for x, s in reversed(points)]
            assert [*zip(band.x, band.y, strict=True)] == edge * state["spread"]
        here, rings, ways, stars = figure[-4:]
        reads, goals = facts["reads"], facts["goals"]
        assert [*here.x] == [facts["at"]] * 2 * bool(reads)
        assert [*rings.x] == [facts["at"]] * len(reads)
        assert [*rings.y] == [loss.mean for loss in reads.values()]
        assert [*ways.x[::3]] == [goal.whole for goal in goals.values()]
        assert [*ways.x[1::3]] == [*stars.x] == [g.spent.mean for g in goals.values()]
        assert [*ways.y[::3]] == [*stars.y] == [g.loss.mean for g in goals.values()]
        assert len(stars.error_x.array) == len(goals) * state["spread"]


def test_a_ring_lies_on_its_line(plot):
    plot.set("share", 0.15)
    for model, loss in plot.facts()["reads"].items():
        line = next(trace for trace in plot.figure.data if trace.name == model)
        curve = [*zip(line.x, line.y, strict=True)]
        assert loss.mean == pytest.approx(between(curve, plot.facts()["at"]))
    assert plot.figure.layout.xaxis.type == "log"


def test_everything_is_inside_the_axes(plot):
    for _, facts in plot.sweep():
        (low, high), (left, right) = (
            plot.figure.layout[axis].range for axis in ("yaxis", "xaxis")
        )
        for line in facts["lines"].values():
            assert all(low < s.low <= s.high < high for _, s in line)
            assert all(left < math.log10(x) < right for x, _ in line)
        assert all(
            left < math.log10(x) < right for x in plot.figure.layout.xaxis.tickvals
        )


def test_words_do_not_cover_each_other():
    plot = LossPlot(made_texts(seeds=1, lost=()))
    for rise in (0.0, 0.5, 1.0):  # the ends of both rivals come close, and pass
        runs = tuple(
            replace(r, curve=tuple((n, s, x + rise) for n, s, x in r.curve))
            if r.model == THIRD
            else r
            for r in plot.results.runs
        )
        notes = LossPlot(replace(plot.results, runs=runs)).figure.layout.annotations
        places = sorted(note.y for note in notes[1:])
        assert places[1] - places[0] > 0.1  # of 2 nats in 350 pixels


def test_the_share_stands_at_its_star(plot):
    one, other = plot.figure.layout.annotations[1:]
    stars = plot.figure.data[-1]
    assert (one.text, other.text) == ("3 % of the FLOPs", "8 % of the FLOPs")
    assert [10**one.x, 10**other.x] == pytest.approx([*stars.x])
    plot.set("models", OTHER)
    assert (one.visible, other.visible) == (True, False)


def test_the_table_holds_every_point_and_the_whole_text(plot):
    header, rows = plot._numbers()
    assert all(len(row) == len(header) for row in rows)
    facts = plot.facts()
    for model, line in facts["lines"].items():
        mine = [row for row in rows if row[:2] == (model, "its line")]
        told = [(amount("flops", x), *loss) for x, loss in line]
        assert [row[2:] for row in mine] == told
    whole = [row for row in rows if row[1] == "whole held-out text"]
    ends = [plot.facts()["lines"][model][-1][1].mean for model in COSTS]
    assert [row[3] for row in whole] == pytest.approx([end + 0.01 for end in ends])
    there = [row[2] for row in rows if row[1].startswith("as low as")]
    spent = [goal.spent.mean for goal in facts["goals"].values()]
    assert there == [amount("flops", x) for x in spent]


# What is refused, and what is recorded


def test_results_without_texts_are_refused():
    results = made_texts()
    with pytest.raises(ValueError, match="made_up holds no runs on texts"):
        LossPlot(replace(results, runs=()))
    with pytest.raises(ValueError, match="made_up is of texts, which have no scores"):
        EvidencePlot(results)


RECORDED = [
    name
    for name, made in experiments.EXPERIMENTS.items()
    if isinstance(made, experiments.TextExperiment)
    and (records.results_folder() / f"{name}.json").is_file()
]


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_in_the_project_can_be_shown(name):
    plot = LossPlot(experiments.load(name))
    for _, facts in plot.sweep():
        assert plot.describe().startswith(f"On {facts['text'][0]}, windows of ")
        assert facts["lines"]
