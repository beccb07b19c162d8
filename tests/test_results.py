"""The recorded measurements, and what the README says of them."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from minihyena import benchmark, experiments, race
from minihyena.benchmark import OURS, Row
from minihyena.experiments import EXPERIMENTS, Summary, TextRun
from minihyena.experiments.curves import by_text, saving

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data/results"
LINES = {  # of README's table: suite, task, peer
    "causal convolution": ("conv", "forward", "textbook"),
    "… and its gradients": ("conv", "forward+backward", "textbook"),
    "Hyena layer and its gradients": ("layer", "forward+backward", "textbook"),
    "Hyena layer": ("layer", "forward", "attention"),
    "its mixing alone": ("layer", "mixing", "attention"),
}


ANSWERS: dict[str, Any] = {"right answers": {}}
VOCABULARIES = {f"{n} symbols": {"vocab_size": n} for n in (10, 20, 30, 40)}
EVIDENCE: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    # README's tables: corner -> experiment, column -> its task and sizes
    "five keys, 128 tokens, 400 steps": ("ablation", ANSWERS),
    "14 keys, 2,048 tokens, 600 steps": (
        "recall_rivals",
        {"right answers": {"length": 2048}},
    ),
    "128 tokens, 400 steps": (
        "recall_filters",
        {head: size | {"length": 128} for head, size in VOCABULARIES.items()},
    ),
    "keys asked for at once, 400 steps": (
        "mqar",
        {
            f"{pairs} keys, width {width}": {"pairs": pairs, "width": width}
            for pairs in (2, 4)
            for width in (16, 32, 64)
        },
    ),
    "2 keys, width 64, 1200 steps": ("plateau", ANSWERS),
    "other tasks, 400 steps": (
        "reasoning",
        {
            "majority": {"task": "Majority"},
            "counting": {"task": "Counting"},
            "addition": {"task": "Addition"},
            "functions": {"task": "LinearFunctions"},
        },
    ),
}


def evidence(name: str, columns: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Model -> its mean score in each column, with its worst and its best seed."""
    summary = experiments.load(name).summary()
    lines: dict[str, list[str]] = {line.model: [] for line in summary}
    for wanted in columns:
        for model, cells in lines.items():
            found = [
                cell(line)
                for line in summary
                if line.model == model
                and wanted.items() <= (line.sizes | {"task": line.task}).items()
            ]
            assert len(found) < 2, f"{model} has {len(found)} scores for {wanted}"
            cells.extend(found or ["–"])
    return lines


def cell(line: Summary) -> str:
    """Three seeds, unless it says something else."""
    count, ends = len(line.scores), [f"{100 * x:.0f}" for x in (line.low, line.high)]
    told = [" to ".join(ends)] * (ends[0] != ends[1])
    told += [f"{count} seed{'s' * (count > 1)}"] * (count != 3)
    return f"{line.mean:.0%}" + f" ({', '.join(told)})" * bool(told)


def recorded(suite: str) -> tuple[Row, ...]:
    return benchmark.load(RESULTS / f"{suite}.json").rows


def told(heading: str = "How fast", head: str = "") -> dict[str, list[str]]:
    """A table of the README: first cell -> the cells after it, head included."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    section = section[max(section.find(f"| {head} |"), 0) :] if head else section
    section = section.partition("|\n\n")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if "|" in line]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in lines}


PLACES = {"beside": "", "beside, on a GPU": "_cuda"}  # README's table -> the record


@pytest.mark.parametrize("corner", PLACES)
def test_the_table_has_every_line_that_is_checked_and_no_other(corner: str) -> None:
    assert set(told(head=f"| {corner}")) == {"", "---", *LINES}


@pytest.mark.parametrize("corner", PLACES)
@pytest.mark.parametrize("line", LINES)
def test_every_number_in_the_readme_is_the_recorded_one(line: str, corner: str) -> None:
    suite, task, peer = LINES[line]
    table = told(head=f"| {corner}")
    lengths = [
        int(cell.removeprefix("L = ").replace(",", "")) for cell in table[""][1:]
    ]
    where = suite + PLACES[corner]
    rows = {(r.task, r.name, r.length): r for r in recorded(where)}
    pairs = [(rows[task, peer, n], rows[task, OURS, n]) for n in lengths]
    ratios = [benchmark.ratio(*pair)[0] for pair in pairs]
    assert table[line][1:] == [f"{x:.{int(x < 10)}f}" for x in ratios]


def test_what_was_recorded_on_a_gpu_names_it() -> None:
    for suite in ("conv", "layer", "train", "generate"):
        run = benchmark.load(RESULTS / f"{suite}_cuda.json")
        assert run.machine["gpu"] in (ROOT / "README.md").read_text(encoding="utf-8")
        assert "--device cuda" in run.command
        assert all(len(row.seconds) >= 5 for row in run.rows)


def test_what_the_readme_says_of_writing_is_what_was_recorded() -> None:
    rows = {(r.task, r.name, r.length): r for r in recorded("generate")}
    table = told("How fast it writes")
    lengths = [8192, 16384]
    assert table.pop("") == [f"after {n:,} tokens" for n in lengths]
    table.pop("---")
    expected = {
        "a token, in the mean": [
            f"{1000 * rows['a token', OURS, n].median:.1f} ms" for n in lengths
        ],
        "the slowest token": [
            f"{1000 * rows['slowest token', OURS, n].median:.1f} ms" for n in lengths
        ],
        "memory at the peak": [
            f"{rows['a token', OURS, n].peak_bytes / 2**20:.0f} MiB" for n in lengths
        ],
    }
    for name in ("recomputed", "recurrent, 16 modes", "attention, KV cache"):
        pairs = [(rows["a token", name, n], rows["a token", OURS, n]) for n in lengths]
        slow = [1000 * rows["slowest token", name, n].median for n in lengths]
        times = [benchmark.ratio(*pair)[0] for pair in pairs]
        expected[name] = [
            f"{x:.{int(x < 10)}f} times as long, slowest {s:.{int(s < 100)}f} ms, "
            f"{pair[0].peak_bytes / 2**20:.0f} MiB"
            for x, s, pair in zip(times, slow, pairs, strict=True)
        ]
    assert table == expected
    whole = [rows["all tokens", OURS, n].median for n in lengths]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{whole[1] / whole[0]:.2f} times as long for 16,384 tokens" in text


@pytest.mark.parametrize("suite", ["conv", "layer", "generate"])
def test_recorded_runs_say_what_is_needed_to_judge_them(suite: str) -> None:
    run = benchmark.load(RESULTS / f"{suite}.json")
    assert run.command.startswith(f"python -m minihyena bench {suite}")
    assert run.threads == run.machine["cores"]
    assert run.versions["torch"]
    assert all(len(row.seconds) >= 5 for row in run.rows)


@pytest.mark.parametrize("head", EVIDENCE)
def test_what_the_readme_says_of_recall_is_what_was_recorded(head: str) -> None:
    name, columns = EVIDENCE[head]
    assert head.endswith(f"{EXPERIMENTS[name].steps} steps")
    assert told("What it remembers", head) == {
        head: list(columns),
        "---": ["---"] * len(columns),
        **evidence(name, columns.values()),
    }


# Language models on text

TWINS = ("hyena", "transformer", "transformer, short convolution")
NANOGPT = 1.88  # what karpathy/nanoGPT's README tells of its CPU recipe
COSTS = {
    "FLOPs": "flops",
    "FLOPs, causal half": "flops_causal",
    "characters": "tokens",
    "seconds": "seconds",
}


def twin_losses() -> dict[str, list[str]]:
    """README's first table: text -> the final loss of each model."""
    lines = {}
    for text, models in by_text(experiments.load("lm-twins")).items():
        lines[text_of(text)] = [loss_of(models.get(model, [])) for model in TWINS]
    return lines


def text_of(text: tuple[str, int]) -> str:
    corpus, length = text
    return f"{corpus}, windows of {length:,}"


def loss_of(runs: list[TextRun]) -> str:
    losses = [run.loss for run in runs]
    if not losses or None in losses:
        return "–"
    return spread([x for x in losses if x is not None], ".2f")


def spread(numbers: list[float], form: str) -> str:
    """The mean; the range and the number of seeds where there is more than one."""
    mean, low, high = (
        format(x, form) for x in (statistics.mean(numbers), min(numbers), max(numbers))
    )
    count = len(numbers)
    return mean if count == 1 else f"{mean} ({low} to {high}, {count} seeds)"


def twin_savings() -> dict[str, list[str]]:
    """README's second table: text and rival -> what Hyena saves, by each cost."""
    lines = {}
    for text, models in by_text(experiments.load("lm-twins")).items():
        for rival in TWINS[1:]:
            if rival not in models:
                continue
            seeds = {run.seed for run in models[rival]}
            ours = [run for run in models["hyena"] if run.seed in seeds]
            found = [saving(ours, models[rival], cost) for cost in COSTS.values()]
            cells = [
                "never as good" if x is None else spread([*x.shares], ".0%")
                for x in found
            ]
            lines[f"{text_of(text)}; {rival}"] = cells
    return lines


def test_the_readme_tells_the_losses_of_the_twins_as_recorded() -> None:
    table = told("Language models of equal size", "nats a character")
    assert table.pop("nats a character") == [*TWINS]
    table.pop("---")
    assert table == twin_losses()


def test_the_readme_tells_what_hyena_saves_as_recorded() -> None:
    table = told("Language models of equal size", "saved on the way to")
    assert table.pop("saved on the way to") == [*COSTS]
    table.pop("---")
    assert table == twin_savings()


def test_the_readme_tells_the_race_as_recorded() -> None:
    rival, *ours = race.load(RESULTS / "race.json")
    table = told("Language models of equal size", "in turn, two threads")
    table.pop("in turn, two threads")
    table.pop("---")
    rows = {}
    for lane in (rival, *ours):
        _, seconds, loss = lane.curve[-1]
        there = lane.reached(NANOGPT)
        rows[lane.name] = [
            f"{lane.parameters:,}",
            f"{seconds:.0f} s",
            f"{loss:.2f}",
            "–" if there is None else f"{there:.0f} s",
        ]
    assert table == rows
