"""The scaling plot says what was recorded, and times what a learner brings."""

import json
import math
import statistics
import threading
import time
from pathlib import Path

import pytest
import torch
from plotly.basedatatypes import Undefined
from torch import nn

from minihyena import records
from minihyena.benchmark import Row, Run, save
from minihyena.explore import ScalingPlot, scaling_measure
from minihyena.explore.scaling_data import AUTHORS, Comparison, ahead_from, exponent
from minihyena.explore.scaling_subjects import subjects_of
from minihyena.explore.scaling_words import spoken
from minihyena.explore.training_loop import Phase

ROOT = Path(__file__).resolve().parents[1]
LENGTHS = [64, 128, 256, 512, 1024]
ROUNDS = (1.0, 1.25, 0.9, 1.1, 3.0)  # factors; one round was disturbed
BATCH, WIDTH = 2, 8


def recorded(suite, task, laws, note=""):
    """name -> (factor, power): rows of five rounds; with a note, the last one fails."""
    rows = []
    for name, (factor, power) in laws.items():
        for length in LENGTHS:
            seconds = tuple(factor * length**power * r for r in ROUNDS)
            failed = note and length == LENGTHS[-1] and name == list(laws)[-1]
            rows.append(
                Row(suite, task, name, BATCH, WIDTH, length, () if failed else seconds,
                    None if failed else 2**10 * length, 3.0 * length**power,
                    note if failed else "")
            )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    rows = {
        "conv": recorded(
            "conv", "forward", {"minihyena": (4e-6, 1), "textbook": (1e-6, 1.3)}
        )
        + recorded("conv", "forward+backward", {"minihyena": (9e-6, 1)}),
        "layer": recorded(
            "layer",
            "forward",
            {"attention": (1e-8, 2), "minihyena": (2e-6, 1), "slow": (1e-6, 3)},
            note="more than a minute",
        )
        + recorded("layer", "mixing", {"minihyena": (1e-6, 1), "attention": (1e-8, 2)}),
    }
    for name, them in rows.items():
        run = Run(tuple(them), "a command", "2026-11-25", {}, {}, threads=2)
        save(run, folder / f"{name}.json")
    file = "authors_figure_4_3.json"
    (folder / file).write_text((ROOT / "data" / "results" / file).read_text())
    return folder


@pytest.fixture
def plot(results):
    plot = ScalingPlot(results=results, threads=1)
    yield plot
    plot.stop()


pytestmark = pytest.mark.usefixtures("widget_errors_fail")


class Student(nn.Module):
    """A learner's own operator: no base class, nothing but the shape."""

    def __init__(self, width=WIDTH, at_most=10**6):
        super().__init__()
        self.gate, self.at_most = nn.Linear(width, width), at_most

    def forward(self, u):
        if u.shape[1] > self.at_most:
            raise ValueError(f"my operator takes {self.at_most} steps")
        return self.gate(u) * u.cumsum(1)


def near(wanted):
    """A file keeps four digits of a second."""
    return pytest.approx(wanted, rel=1e-3)


def press(button):
    message = {"method": "custom", "content": {"event": "click"}}
    button._handle_msg({"content": {"data": message}, "buffers": []})


# ---- what was recorded


def test_the_exponent_is_that_of_the_law_behind_the_numbers(plot):
    exponents = plot.facts()["exponents"]
    assert exponents == near({"minihyena": 1.0, "textbook": 1.3})
    plot.set("comparison", "layer")
    exponents = plot.facts()["exponents"]
    assert exponents == near({"minihyena": 1.0, "attention": 2.0, "slow": 3.0})


def test_an_exponent_fits_all_points_by_least_squares():
    points = {100: 3.0, 200: 5.0, 800: 40.0, 900: 31.0}
    x, y = [math.log(n) for n in points], [math.log(t) for t in points.values()]
    a, b = statistics.fmean(x), statistics.fmean(y)
    wanted = sum((s - a) * (t - b) for s, t in zip(x, y, strict=True))
    wanted /= sum((s - a) ** 2 for s in x)
    power, constant = exponent({n: (t, t, t) for n, t in points.items()})
    assert power == pytest.approx(wanted)
    assert constant == pytest.approx(b - wanted * a)
    assert exponent({100: (1.0, 1.0, 1.0)}) is None


def test_values_are_the_median_and_the_quartiles_of_the_rounds(plot):
    low, middle, high = statistics.quantiles(ROUNDS, n=4, method="inclusive")
    for length in LENGTHS:
        value = plot.facts()["values"]["minihyena"][length]
        unit = 1000 * 4e-6 * length
        assert value == near((unit * middle, unit * low, unit * high))
    plot.set("quantity", "memory")
    assert plot.facts()["values"]["textbook"][512] == (0.5, 0.5, 0.5)  # MiB
    plot.set("quantity", "operations")
    assert plot.facts()["values"]["minihyena"][512][0] == pytest.approx(1.536e-3)


def test_how_many_times_faster_is_asked_round_by_round(plot):
    """The disturbed round slowed both: it does not widen the ratio."""
    plot.set("quantity", "times faster")
    values = plot.facts()["values"]
    assert list(values) == ["textbook"]
    for length in LENGTHS:
        assert values["textbook"][length] == near((length**0.3 / 4,) * 3)
    assert plot.facts()["exponents"] == {}


def test_ours_is_ahead_from_the_length_from_which_it_stays_so(plot):
    plot.set("comparison", "layer")
    ahead = plot.facts()["ahead"]
    assert ahead["attention"]["median"] == ahead["attention"]["surely"] == 256
    assert ahead["slow"]["median"] == 64
    assert ahead_from({1: 2.0, 2: 0.5, 4: 2.0, 8: 3.0}) == 4
    assert ahead_from({1: 2.0, 2: 1.0}) is None
    assert ahead_from({}) is None


def test_halves_of_the_lengths_share_the_middle_one(plot):
    found = []
    for which in plot.controls["lengths"]:
        plot.set("lengths", which)
        found.append(list(plot.facts()["lengths"]))
    assert found == [LENGTHS, LENGTHS[:3], LENGTHS[2:]]


def test_quantities_that_were_not_recorded_are_not_offered(plot):
    plot.set("quantity", "memory")
    plot.set("comparison", AUTHORS)
    assert plot.controls["quantity"] == ("time", "times faster")
    assert plot.state()["quantity"] == "time"
    plot.set("comparison", "convolution")
    assert plot.controls["quantity"] == ("time", "memory", "operations", "times faster")


def test_the_authors_plotted_numbers_hold_eleven_and_no_hundred(plot):
    plot.set("comparison", AUTHORS)
    plot.set("quantity", "times faster")
    values = plot.facts()["values"]
    assert values["FlashAttention"][65536][0] == pytest.approx(129.07 / 11.32)
    assert round(values["FlashAttention"][65536][0], 1) == 11.4
    assert round(values["FlashAttention"][8192][0], 1) == 1.4
    assert round(values["attention"][8192][0], 1) == 4.1
    assert max(v[0] for points in values.values() for v in points.values()) < 17
    assert (
        "Hyena is, at L = 65,536, 11 times as fast as FlashAttention; at"
        in plot.describe()
    )
    assert "not run: attention from 65,536 on" in plot.describe()
    file = json.loads((ROOT / "data/results/authors_figure_4_3.json").read_text())
    assert "HazyResearch/safari/issues/10" in file["source"]


def test_comparisons_at_several_sizes_stand_apart(results, tmp_path):
    for file in results.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    rows = [
        Row("conv", "forward", "minihyena", batch, 8, n, (0.1,), None, None)
        for batch in (1, 4)
        for n in (64, 128)
    ]
    run = Run(tuple(rows), "a command", "2026-11-25", {}, {}, threads=1)
    save(run, tmp_path / "conv.json")
    names = list(ScalingPlot(results=tmp_path).comparisons)
    assert names[:2] == ["convolution, 1 × 8", "convolution, 4 × 8"]


def test_what_is_recorded_in_the_project_can_be_shown():
    plot = ScalingPlot()
    names = list(plot.comparisons)
    assert {"convolution", "layer", AUTHORS} <= {name.split(", ")[0] for name in names}
    assert plot.facts()["ours"] == "minihyena"
    for state, facts in plot.sweep():
        assert state["quantity"] == facts["quantity"]
        assert plot.describe().endswith(".")
        assert facts["values"]


def test_missing_recordings_are_named(tmp_path, results, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"conv\.json is missing.*bench"):
        ScalingPlot(results=tmp_path)
    monkeypatch.setattr(records, "shipped", lambda name: tmp_path / "gone" / name)
    with pytest.raises(FileNotFoundError, match=r"gone.* not there: install it"):
        ScalingPlot()


# ---- what is said and drawn


def test_the_first_sentence_is_of_the_record_alone(results):
    said = {ScalingPlot(results=results, threads=t).describe() for t in (1, 2)}
    assert said == {
        "Time of the convolution, as recorded, L = 64 to 1,024: the exponent is 1.0 "
        "for minihyena and 1.3 for textbook; minihyena is ahead of textbook from 128 "
        "on."
    }


def lead_of(median, surely):
    return {"median": median, "surely": surely, "first": 64, "last": 1024}


def test_the_sentence_follows_the_facts(plot, monkeypatch):
    facts = plot.facts()
    facts["exponents"] = {"minihyena": 1.43}
    facts["ahead"] = {"other": lead_of(128, 512)}
    monkeypatch.setattr(plot, "facts", lambda: facts)
    assert "the exponent is 1.4 for minihyena; minihyena is ahead" in plot.describe()
    assert (
        "ahead of other from 128 on (beyond the quartiles from 512)" in plot.describe()
    )
    facts["ahead"] = {"other": lead_of(None, None)}
    assert plot.describe().endswith("minihyena is ahead of other from no length on.")
    facts["ahead"] = {"other": lead_of(64, None)}
    assert "at every length measured (beyond the quartiles nowhere)" in plot.describe()


def trios(plot):
    """Recorded name -> its fit, its points and its marks in the figure."""
    traces = plot.figure.data
    names = [trace.hovertemplate.split(", L =")[0] for trace in traces[1:-2:3]]
    return {name: traces[3 * i : 3 * i + 3] for i, name in enumerate(names)}


def test_points_error_bars_and_fit_are_the_facts_in_every_state(plot):
    states = 0
    for _, facts in plot.sweep():
        states += 1
        assert set(facts["names"]) <= set(trios(plot))
        for name, (fit, points, here) in trios(plot).items():
            every = facts["all_values"].get(name, {})
            assert dict(zip(points.x, points.y, strict=True)) == pytest.approx(
                {length: value[0] for length, value in every.items()}
            )
            tops = [y + e for y, e in zip(points.y, points.error_y.array, strict=True)]
            assert tops == pytest.approx([v[2] for v in every.values()])
            power = facts["exponents"].get(name)
            assert len(fit.x) == (0 if power is None else 2)
            if power is not None:
                rise = math.log(fit.y[1] / fit.y[0]) / math.log(fit.x[1] / fit.x[0])
                assert rise == pytest.approx(power)
                assert points.name == f"{name}: L<sup>{power:.2f}</sup>"
            assert not here.x
    assert states > 30


@pytest.mark.parametrize("seconds", [1.0, 1e12])  # within the recorded, above
def test_a_redraw_leaves_no_trace_out(seconds, results, monkeypatch):
    """In the page a trace loses what a redraw sets for others and not for it."""
    monkeypatch.setattr(
        scaling_measure, "compare", lambda them, rounds: dict.fromkeys(them, (seconds,))
    )
    plot = ScalingPlot({"mine": Student()}, results=results, threads=1)
    left_out = set()

    def note(self, restyle_data, relayout_data, trace_indexes=None, **more):
        for key, values in restyle_data.items():
            for index, value in zip(trace_indexes, values, strict=True):
                if value is Undefined and self.data[index][key] is not None:
                    left_out.add((key, self.data[index].name))

    monkeypatch.setattr(type(plot.figure), "_send_update_msg", note)
    for _ in plot.sweep():
        pass
    plot.set("comparison", "layer")
    plot.measure((16,))
    assert left_out == set()
    assert plot.figure.data[-2].name == "measured here"


def test_every_subject_has_a_dash_and_a_marker_of_its_own(plot):
    points = [points for _, points, _ in trios(plot).values()]
    assert len(points) == 6
    assert len({trace.line.dash for trace in points}) == len(points)
    assert len({trace.marker.symbol for trace in points}) == len(points)


def test_a_comma_in_a_name_does_not_split_a_list(plot):
    assert spoken("minihyena, filter kept") == "minihyena (filter kept)"
    assert spoken("textbook") == "textbook"


def test_what_was_not_run_is_marked_with_its_reason(plot):
    plot.set("comparison", "layer")
    mark = plot.figure.data[-1]
    assert list(mark.x) == [1024]
    assert mark.text[0].strip() == "slow: more than a minute"
    plot.set("quantity", "times faster")
    assert "not run: slow from 1,024 on" in plot.describe()
    plot.set("lengths", "the shorter half")
    assert "not run" not in plot.describe()


def test_the_table_holds_every_row(plot):
    header, rows = plot._numbers()
    assert len(rows) == 2 * len(LENGTHS)
    _, middle, high = statistics.quantiles(ROUNDS, n=4, method="inclusive")
    first = dict(zip(header, rows[0], strict=True))
    assert first["Subject"] == "minihyena"
    assert first["L"] == "64"
    unit = 1000 * 4e-6 * 64
    assert first["ms, median"] == near(unit * middle)
    assert first["upper quartile"] == near(unit * high)
    plot.measure((16,))
    assert [row[1] for row in plot._numbers()[1][-2:]] == ["here", "here"]


# ---- measuring here


def test_the_subjects_that_are_timed_compute_the_same():
    rows = [
        Row("conv", "forward", name, BATCH, WIDTH, 32, (), None, None)
        for name in ("minihyena", "textbook", "F.conv1d", "scipy fftconvolve")
    ]
    comparison = Comparison("convolution", "", "minihyena", tuple(rows))
    made = subjects_of(comparison, {})(32)
    assert list(made) == [row.name for row in rows]
    results = [torch.as_tensor(subject()) for subject in made.values()]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-5)


def test_a_learners_operator_is_timed_beside_the_layers(results):
    plot = ScalingPlot({"my operator": Student()}, results=results, threads=1)
    before = plot.describe()
    plot.set("comparison", "layer")
    plot.measure((32, 64))
    facts = plot.facts()
    assert facts["phase"] == Phase.FINISHED
    assert set(facts["here"]) == {"minihyena", "attention", "my operator"}
    assert list(facts["here"]["my operator"]) == [32, 64]
    assert facts["own"] == ("my operator",)
    assert (
        ". Measured here on 1 thread, L = 32 to 64: the exponent is" in plot.describe()
    )
    assert "for my operator" in plot.describe()
    drawn, legend = plot.figure.data[-3:-1]
    assert list(drawn.x) == [32, 64]
    assert len(legend.x) == 1, "open marks are explained"
    assert drawn.marker.symbol.endswith("-open")
    assert drawn.name == "my operator, measured here"
    plot.set("quantity", "times faster")
    assert "for my operator at 64" in plot.describe()
    plot.reset()
    assert plot.describe() == before, "it belongs to the layers only"


def test_a_learners_convolution_is_timed_beside_the_convolutions(results):
    calls = []

    def mine(u, h):
        calls.append((tuple(u.shape), tuple(h.shape), u.requires_grad))
        return h[:, :1] * u

    plot = ScalingPlot(convs=mine, results=results, threads=1)
    plot.measure((16,))
    assert set(plot.facts()["here"]) == {"minihyena", "textbook", "yours"}
    assert calls[-1] == ((BATCH, WIDTH, 16), (WIDTH, 16), False)
    plot.set("comparison", "convolution with gradient")
    plot.measure((16,))
    assert calls[-1][-1], "its gradient is asked for, too"


def test_only_a_whole_layer_stands_beside_layers(results):
    plot = ScalingPlot(Student(), results=results, threads=1)
    plot.set("comparison", "mixing alone")
    plot.measure((16,))
    assert set(plot.facts()["here"]) == {"minihyena", "attention"}


@pytest.mark.parametrize(
    ("op", "complaint"),
    [
        (lambda u: u[0], r"\(2, 8, 8\) into \(8, 8\); it must keep .*\(B, L, D\)"),
        (lambda u: u.sum(1), r"'yours' turned \(2, 8, 8\) into \(2, 8\)"),
        (lambda u: None, "into None"),
        ({"attention": lambda u: u}, "'attention' is the name of a recorded subject"),
    ],
)
def test_an_operator_that_does_not_fit_is_refused(results, op, complaint):
    with pytest.raises(ValueError, match=complaint):
        ScalingPlot(op, results=results)


def test_an_operator_stands_where_its_width_was_recorded(results, tmp_path):
    """A module has one width; a function takes any."""
    for file in results.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    rows = [
        Row("layer", "forward", "minihyena", 1, width, n, (0.1,), None, None)
        for width in (WIDTH, 2 * WIDTH)
        for n in (64, 128)
    ]
    run = Run(tuple(rows), "a command", "2026-11-25", {}, {}, threads=1)
    save(run, tmp_path / "layer.json")
    mine = {"module": Student(), "function": lambda u: u.cumsum(1)}
    plot = ScalingPlot(mine, results=tmp_path, threads=1)
    assert set(plot.own["layer, 1 × 8"]) == {"module", "function"}
    assert set(plot.own["layer, 1 × 16"]) == {"function"}
    with pytest.raises(ValueError, match="'yours' takes no width that was recorded"):
        ScalingPlot(Student(5), results=tmp_path)


def test_a_convolution_that_grows_is_refused(results):
    def grows(u, h):
        return torch.nn.functional.pad(u, (0, 1))

    with pytest.raises(ValueError, match=r"\(2, 8, 8\) into \(2, 8, 9\).*\(B, D, L\)"):
        ScalingPlot(convs=grows, results=results)


def test_no_threads_are_refused(results):
    with pytest.raises(ValueError, match="at least 1; got 0"):
        ScalingPlot(results=results, threads=0)


def test_a_lengths_that_cannot_be_measured_is_refused(plot):
    with pytest.raises(ValueError, match=r"at lengths \[0\]"):
        plot.measure([0])
    plot.set("comparison", AUTHORS)
    assert plot._go.disabled
    with pytest.raises(ValueError, match="come from a GPU"):
        plot.measure()


def test_measuring_in_the_background_ends_its_thread(plot):
    threads = torch.get_num_threads()
    press(plot._go)
    plot.join(60)
    assert plot.phase == Phase.FINISHED
    assert plot.progress.value == 1.0
    assert "5 of 5 lengths of “convolution” measured on 1 thread" in (
        plot.progress_text.value
    )
    assert list(plot.facts()["here"]["minihyena"]) == LENGTHS
    assert "measuring" not in {t.name for t in threading.enumerate()}
    assert torch.get_num_threads() == threads
    assert not plot._go.disabled
    assert plot._halt.disabled


def test_it_measures_with_its_own_threads_and_gives_them_back(results):
    seen = []

    def counts(u):
        seen.append(torch.get_num_threads())
        return u

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        plot = ScalingPlot({"mine": counts}, results=results)
        assert plot.threads == 2, "one is left to the page"
        plot.set("comparison", "layer")
        plot.measure((16,))
        assert set(seen[1:]) == {2}  # the first call tried the shape
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert ". Measured here on 2 threads, L = 16: " in plot.describe()


def test_stop_ends_it_and_keeps_what_was_measured(results):
    reached = threading.Event()

    def waits(u):
        if u.shape[1] == LENGTHS[1]:
            reached.set()
            time.sleep(0.02)
        return u

    plot = ScalingPlot({"mine": waits}, results=results, threads=1)
    plot.set("comparison", "layer")
    press(plot._go)
    assert reached.wait(30)
    assert plot.phase == Phase.RUNNING
    assert plot._go.disabled
    with pytest.raises(RuntimeError, match="stop"):
        plot.measure((16,))
    press(plot._halt)
    assert plot.phase == Phase.STOPPED
    assert "measuring" not in {t.name for t in threading.enumerate()}
    assert list(plot.facts()["here"]["mine"]) == LENGTHS[:1]
    assert "stopped" in plot.progress_text.value


def test_an_error_while_measuring_is_shown_and_raised_by_join(results):
    plot = ScalingPlot(Student(at_most=128), results=results, threads=1)
    plot.set("comparison", "layer")
    plot.start()
    with pytest.raises(ValueError, match="takes 128 steps"):
        plot.join(60)
    assert plot.phase == Phase.FAILED
    assert "my operator takes 128 steps" in plot.status.value
    assert list(plot.facts()["here"]["yours"]) == [64, 128], "what came before stays"
    plot.measure((64,))
    assert plot.status.value == ""


def test_a_second_plot_of_the_same_name_stops_the_first(results):
    first = ScalingPlot(
        {"mine": lambda u: (time.sleep(0.05), u)[1]}, results=results, threads=1
    )
    first.set("comparison", "layer")
    first.start()
    ScalingPlot(results=results, threads=1)
    assert first.phase == Phase.STOPPED


def test_a_wait_that_is_too_short_says_where_it_stands(results):
    slow = {"mine": lambda u: (time.sleep(0.3), u)[1]}
    plot = ScalingPlot(slow, results=results, threads=1)
    plot.set("comparison", "layer")
    plot.start()
    with pytest.raises(TimeoutError, match=r"still measuring length 64 after 0\.1 s"):
        plot.join(0.1)
    plot.stop()
