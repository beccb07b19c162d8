"""The recorded measurements, and what the README says of them."""

from pathlib import Path

import pytest

from minihyena import benchmark
from minihyena.benchmark import OURS, Row

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data/results"
LINES = {  # of README's table: suite, task, peer
    "causal convolution": ("conv", "forward", "textbook"),
    "… and its gradients": ("conv", "forward+backward", "textbook"),
    "Hyena layer and its gradients": ("layer", "forward+backward", "textbook"),
    "Hyena layer": ("layer", "forward", "attention"),
    "its mixing alone": ("layer", "mixing", "attention"),
}


def recorded(suite: str) -> tuple[Row, ...]:
    return benchmark.load(RESULTS / f"{suite}.json").rows


def told() -> dict[str, list[str]]:
    """README's table "How fast": first cell -> the cells after it, head included."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## How fast\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if "|" in line]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in lines}


def test_the_table_has_every_line_that_is_checked_and_no_other() -> None:
    assert set(told()) == {"", "---", *LINES}


@pytest.mark.parametrize("line", LINES)
def test_every_number_in_the_readme_is_the_recorded_one(line: str) -> None:
    suite, task, peer = LINES[line]
    lengths = [
        int(cell.removeprefix("L = ").replace(",", "")) for cell in told()[""][1:]
    ]
    rows = {(r.task, r.name, r.length): r for r in recorded(suite)}
    pairs = [(rows[task, peer, n], rows[task, OURS, n]) for n in lengths]
    ratios = [benchmark.ratio(*pair)[0] for pair in pairs]
    assert told()[line][1:] == [f"{x:.{int(x < 10)}f}" for x in ratios]


@pytest.mark.parametrize("suite", ["conv", "layer"])
def test_recorded_runs_say_what_is_needed_to_judge_them(suite: str) -> None:
    run = benchmark.load(RESULTS / f"{suite}.json")
    assert run.command.startswith(f"python -m minihyena bench {suite}")
    assert run.threads == run.machine["cores"]
    assert run.versions["torch"]
    assert all(len(row.seconds) >= 5 for row in run.rows)
