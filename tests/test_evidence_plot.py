"""The evidence plot says what is in the file: no more, and not a cell that is not."""

import json
import re
import statistics
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from made_results import LEFT_OUT, MODELS, RECALLS, made_results

from minihyena import experiments, records
from minihyena.explore import EvidencePlot
from minihyena.tasks import MQAR, Addition, Counting, Majority

VOCABULARIES, LENGTHS = (10, 20, 30), (64, 2048)

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "made_up.json"
    made_results().save(path)
    return path


@pytest.fixture
def plot(file):
    return EvidencePlot(experiments.load(file))


def from_json(file, model, vocabulary, length):
    """(mean, lowest, highest, seeds, chance), worked out from the file alone."""
    rows = [
        row
        for row in json.loads(file.read_text())["rows"]
        if row["model"] == model
        and row["sizes"]["vocab_size"] == vocabulary
        and row["sizes"]["length"] == length
    ]
    if not rows:
        return None
    best = max((r for r in rows if r["seed"] == 0), key=lambda r: r["held_out"])
    scores = [r["score"] for r in rows if r["learning_rate"] == best["learning_rate"]]
    mean = statistics.fmean(scores)
    return mean, min(scores), max(scores), len(scores), rows[0]["chance"]


# ---- the facts


def test_every_state_agrees_with_the_file(plot, file):
    states = 0
    for state, facts in plot.sweep():
        states += 1
        here = {"vocab_size": state["vocab_size"], "length": state["length"]}
        assert facts["place"] == {"task": "recall"} | here
        across = state["across"]
        values = VOCABULARIES if across == "vocab_size" else LENGTHS
        assert facts["values"] == values
        assert facts["at"] == state[across]
        shown = [m for m in MODELS if state["models"] in ("all", m) or m == MODELS[0]]
        assert list(facts["scores"]) == shown
        for model in shown:
            wanted = {
                value: from_json(file, model, *(here | {across: value}).values())
                for value in values
            }
            gone = tuple(value for value in values if wanted[value] is None)
            assert facts["not_run"][model] == gone
            assert facts["scores"][model] == {
                value: pytest.approx(w[:4]) for value, w in wanted.items() if w
            }
            chances = {value: w[4] for value, w in wanted.items() if w}
            assert chances.items() <= facts["chance"].items()
    assert states == 2 * 3 * 2 * 3 * 2


def test_it_begins_at_the_largest_sizes(plot):
    assert plot.state() == {
        "across": "vocab_size", "vocab_size": 30, "length": 2048,
        "models": "all", "spread": True,
    }  # fmt: skip


def test_what_was_not_run_is_no_zero(plot):
    facts = plot.facts()
    assert facts["not_run"] == {"ours": (), "other": (), "third, slow": (30,)}
    assert 30 not in facts["scores"]["third, slow"]
    plot.set("length", 64)
    assert not any(plot.facts()["not_run"].values())


def test_the_title_says_what_is_held(plot):
    assert plot.figure.layout.annotations[0].text == "At length 2,048"
    plot.set("across", "length")
    assert plot.figure.layout.annotations[0].text == "At vocabulary 30"
    one = EvidencePlot(made_results(RECALLS[::2]))  # of one length
    assert one.figure.layout.annotations[0].text == "By vocabulary"


def test_the_sizes_that_vary_are_found():
    task = MQAR(256, 128, 4)
    tasks = [replace(task, pairs=pairs) for pairs in (16, 4, 8)]
    plot = EvidencePlot(made_results(tasks, widths=(32, 16)))
    assert plot.controls["across"] == ("pairs", "width")
    assert plot.controls["pairs"] == (4, 8, 16)
    assert plot.controls["width"] == (16, 32)
    assert plot.describe().startswith("On mqar, at 16 pairs and width 32, ours scores")


def test_different_tasks_stand_side_by_side():
    tasks = [Majority(4, 64), Counting(4, 32), Addition(3)]
    plot = EvidencePlot(made_results(tasks))
    assert plot.controls["task"] == ("majority", "counting", "addition")
    assert "across" not in plot.controls
    chance = {"majority": 1 / 4, "counting": 1 / 8, "addition": 1 / 1000}
    assert plot.facts()["chance"] == chance
    assert plot.describe().startswith("On majority, ours scores")
    modes = {trace.name: trace.mode for trace in plot.figure.data}
    assert modes["ours"] == "markers"  # tasks have no order to draw a line along
    plot.set("task", "addition")
    assert plot.describe().startswith("On addition, ours scores")


def test_a_single_cell_names_its_models_below_the_dots():
    plot = EvidencePlot(made_results(RECALLS[:1]))
    assert set(plot.controls) == {"models", "spread"}
    axis = plot.figure.layout.xaxis
    assert list(axis.ticktext) == ["ours", "other", "third,<br>slow"]
    dots = [trace.x[0] for trace in plot.figure.data[:3]]
    assert list(axis.tickvals) == dots
    assert plot.describe().startswith("On recall, ours scores")


# ---- what is said


def test_the_sentence_of_a_cell():
    models = ("ours", "other", "third", "fourth")
    left_out = {("fourth", RECALLS[-1])}
    plot = EvidencePlot(made_results(models=models, left_out=left_out))
    facts = plot.facts() | {
        "scores": {
            "ours": {30: (0.98, 0.97, 0.9904, 3)},
            "other": {30: (0.5, 0.5, 0.5, 1)},
            "third": {30: (0.25, 0.1, 0.7, 2)},  # its best seed is better
            "fourth": {},
        }
    }
    say = EvidencePlot.describe
    only_facts = SimpleNamespace(facts=lambda: facts)
    start = "On recall, at vocabulary 30 and length 2,048, "
    assert say(only_facts) == (
        f"{start}ours scores 0.98 (0.97 to 0.99, 3 seeds); the best other is other "
        "with 0.5 (1 seed); a blind guess scores 0.071; not run: fourth."
    )
    facts["spread"] = False
    assert "scores 0.98; the best other is other with 0.5; a" in say(only_facts)
    facts["scores"] = {"ours": {}, "other, kept": {30: (0.5, 0.4, 0.6, 2)}}
    assert say(only_facts) == (
        f"{start}ours was not run; beside it other (kept) with 0.5; a blind guess "
        "scores 0.071."
    )
    facts["scores"] = {"ours": {}, "other": {10: (0.5, 0.4, 0.6, 2)}}
    assert say(only_facts) == f"{start}none of these models was run."


def test_the_sentence_says_what_the_file_says(plot, file):
    for state, facts in plot.sweep():
        said = plot.describe()
        size = state["vocab_size"], state["length"]
        mine = from_json(file, "ours", *size)
        if state["spread"]:
            assert (
                f"ours scores {mine[0]:.3g} ({mine[1]:.3g} to {mine[2]:.3g}, 3" in said
            )
        else:
            assert f"ours scores {mine[0]:.3g};" in said
        others = {
            model: found[0]
            for model in facts["scores"]
            if model != "ours" and (found := from_json(file, model, *size))
        }
        if others:
            best = max(others, key=others.__getitem__)
            assert (
                f" {best.replace(', slow', ' (slow)')} with {others[best]:.3g}" in said
            )
        missing = state["models"] != "other" and size == (30, 2048)
        assert said.endswith("not run: third (slow).") == missing


# ---- what is drawn


def test_dots_bars_and_crosses_are_the_facts(plot):
    for state, facts in plot.sweep():
        *models, blind, absent = plot.figure.data
        assert [trace.name for trace in models] == list(MODELS)
        columns = {value: i for i, value in enumerate(facts["values"])}
        for trace in models:
            line = facts["scores"].get(trace.name, {})
            spots = facts["values"] if line else ()
            assert [round(x) for x in trace.x] == [columns[value] for value in spots]
            for i, value in enumerate(spots):
                mean, low, high, _ = line.get(value, (None, None, None, 0))
                assert trace.y[i] == mean  # a gap where it was not run
                if mean is not None and state["spread"]:
                    assert trace.y[i] + trace.error_y.array[i] == pytest.approx(high)
                    assert trace.y[i] - trace.error_y.arrayminus[i] == pytest.approx(
                        low
                    )
            assert len(trace.error_y.array) == len(spots) * state["spread"]
        chance = [(round((a + b) / 2), y) for a, b, y in zip(
            blind.x[::3], blind.x[1::3], blind.y[::3], strict=True)]  # fmt: skip
        assert chance == [(columns[v], y) for v, y in facts["chance"].items()]
        gone = [columns[v] for values in facts["not_run"].values() for v in values]
        assert [round(x) for x in absent.x] == gone
        assert all(y < 0 for y in absent.y)
        band = plot.figure.layout.shapes[0]
        assert (band.x0 + band.x1) / 2 == columns[facts["at"]]


def test_no_line_leads_over_what_was_not_run():
    gone = {("other", task) for task in RECALLS if task.vocab_size == 20}
    plot = EvidencePlot(made_results(left_out=gone))
    other = next(trace for trace in plot.figure.data if trace.name == "other")
    assert [y is None for y in other.y] == [False, True, False]
    assert not other.connectgaps
    assert [round(x) for x in plot.figure.data[-1].x] == [1]


def test_equal_scores_do_not_hide_each_other():
    results = made_results(models=tuple("abcdefghi"), left_out=())
    same = tuple(replace(run, score=1.0) for run in results.runs)
    plot = EvidencePlot(replace(results, runs=same))
    places = [x for trace in plot.figure.data[:9] for x in trace.x]
    places.sort()
    assert len(places) == 9 * 3
    gaps = [b - a for a, b in pairwise(places)]
    assert min(gaps) > 0.01
    assert max(abs(x - round(x)) for x in places) < 0.061  # a line says where
    cues = {(t.line.dash, t.marker.symbol) for t in plot.figure.data[:9]}
    assert len(cues) == 9


def test_what_was_not_run_is_named_in_the_legend(plot):
    assert plot.figure.data[-1].name == "was not run: third (slow)"
    assert list(plot.figure.data[-1].customdata) == ["third (slow), 30"]
    plot.set("length", 64)
    assert not plot.figure.data[-1].x


def test_a_score_below_zero_is_in_the_picture():
    results = made_results()
    low = tuple(replace(run, score=run.score - 2) for run in results.runs)
    plot = EvidencePlot(replace(results, runs=low))
    worst = min(low for line in plot.facts()["scores"].values()
                for _, low, _, _ in line.values())  # fmt: skip
    assert worst < -1
    bottom = plot.figure.layout.yaxis.range[0]
    assert bottom < plot.figure.data[-1].y[0] < worst


def test_the_table_holds_every_cell_also_what_was_not_run(plot, file):
    header, rows = plot._numbers()
    assert len(rows) == 3 * len(RECALLS)
    assert all(len(row) == len(header) for row in rows)
    missing = 0
    for row in rows:
        line = dict(zip(header, row, strict=True))
        size = int(line["vocabulary"]), int(line["length"].replace(",", ""))
        wanted = from_json(file, line["Model"], *size)
        if wanted is None:
            missing += 1
            assert line["mean"] == "not run"
            assert set(row[5:]) == {"–"}
        else:
            found = [line[k] for k in ("mean", "lowest", "highest", "seeds", "chance")]
            assert found == pytest.approx(wanted)
    assert missing == len(LEFT_OUT)
    plot.set("models", "other")
    assert {row[0] for row in plot._numbers()[1]} == {"ours", "other"}


def test_the_learning_rate_that_is_told_is_the_better_one(plot, file):
    rows = json.loads(file.read_text())["rows"]
    here = [r for r in rows if r["model"] == "ours" and r["sizes"]["length"] == 2048
            and r["sizes"]["vocab_size"] == 30]  # fmt: skip
    best = max(here, key=lambda row: row["held_out"])["learning_rate"]
    assert plot._details()["its learning rate"] == f"{best:g}"
    assert plot._details()["Parameters of ours"] == "64,000"


# ---- what is refused, and what is recorded


def test_nothing_and_two_results_for_one_cell_are_refused():
    results = made_results()
    with pytest.raises(ValueError, match="made_up holds no runs"):
        EvidencePlot(replace(results, runs=()))
    again = tuple(replace(run, key=f"{run.key} again") for run in results.runs[:4])
    with pytest.raises(
        ValueError,
        match="two results of ours on recall, at vocabulary 20 and length 64",
    ):
        EvidencePlot(replace(results, runs=results.runs + again))


RECORDED = [
    name
    for name, made in experiments.EXPERIMENTS.items()
    if isinstance(made, experiments.Experiment)
    and (records.results_folder() / f"{name}.json").is_file()
]


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_in_the_project_can_be_shown(name):
    plot = EvidencePlot(experiments.load(name))
    for _, facts in plot.sweep():
        said = plot.describe()
        assert said.endswith(".")
        numbers = re.findall(r"(?:scores|with) (-?[\d.]+\d)", said)
        assert all(float(number) <= 1 for number in numbers)
        assert facts["scores"]
