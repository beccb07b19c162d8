"""What came out of an experiment, as it is kept in data/results."""

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from minihyena import records
from minihyena.options import from_fields

__all__ = ["Results", "Run", "Summary", "load", "rescue"]

FOLDER = Path("data/results")


@dataclass(frozen=True)
class Run:
    """One trial that is done."""

    key: str  # of everything that decided it, but for start, learning rate and seed
    model: str
    task: str
    sizes: dict[str, Any]  # of task and model: vocab_size, length, width ...
    chance: float
    parameters: int
    std: float | None  # of matrices at the start: see LMConfig
    learning_rate: float
    seed: int
    steps: int
    score: float  # on test rows
    held_out: float  # on held-out rows, by which start and learning rate are chosen
    loss: float | None  # on held-out rows; None if it diverged
    seconds: float  # of training
    curve: tuple[tuple[int, float], ...]  # step, score on held-out rows
    device: str = "cpu"
    processes: int = 1

    @property
    def setting(self) -> tuple[str, float | None, float]:
        """That of its trial."""
        return self.key, self.std, self.learning_rate

    @property
    def start(self) -> str:
        """The standard deviation of matrices at the start, in words."""
        return "1/sqrt(inputs)" if self.std is None else f"{self.std:g}"

    @property
    def merit(self) -> tuple[bool, float, float]:
        """By which settings are chosen: not diverged, held-out score and loss."""
        return self.loss is not None, self.held_out, -(self.loss or 0.0)


@dataclass(frozen=True)
class Summary:
    """One model on one task as it learned best, over the seeds."""

    model: str
    task: str
    sizes: dict[str, Any]
    scores: tuple[float, ...]  # one a seed, seed 0 first
    start: str  # std of matrices, in words
    learning_rate: float
    parameters: int
    chance: float

    @property
    def mean(self) -> float:
        return statistics.mean(self.scores)

    @property
    def low(self) -> float:
        return min(self.scores)

    @property
    def high(self) -> float:
        return max(self.scores)


@dataclass(frozen=True)
class Results:
    """Runs, and all that is needed to judge or repeat them.

    Date, machine, versions and threads are those of the last run that was added.
    """

    experiment: str
    question: str
    command: str
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    threads: int
    runs: tuple[Run, ...]

    def summary(self) -> list[Summary]:
        """One line for each model and task, in the order of the file."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.key, []).append(run)
        return [_summary(group) for group in groups.values()]

    def save(self, path: Path | str) -> None:
        """Write JSON; the old file stays whole until the new one is."""
        head = asdict(self)
        rows = head.pop("runs")
        records.write(path, head, rows)


def _summary(runs: Sequence[Run]) -> Summary:
    tried = min(run.seed for run in runs)  # 0, where nothing was lost
    first = max((run for run in runs if run.seed == tried), key=lambda run: run.merit)
    chosen = sorted(
        (run for run in runs if run.setting == first.setting),
        key=lambda run: run.seed,
    )
    return Summary(
        first.model,
        first.task,
        first.sizes,
        tuple(run.score for run in chosen),
        first.start,
        first.learning_rate,
        first.parameters,
        first.chance,
    )


def as_run(fields: Mapping[str, Any]) -> Run:
    """A row of the file; ValueError, TypeError or KeyError if it is none."""
    run = from_fields(Run, fields)
    numbers = [run.chance, run.learning_rate, run.score, run.held_out, run.seconds]
    numbers += [n for n in (run.loss, run.std) if n is not None]
    curve = tuple((int(step), float(score)) for step, score in run.curve)
    if not (
        all(isinstance(text, str) for text in (run.key, run.model, run.task))
        and all(type(whole) is int for whole in (run.seed, run.steps, run.parameters))
        and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
        and isinstance(run.sizes, dict)
    ):
        raise ValueError(f"a run has values of the wrong kind: {dict(fields)}")
    return replace(run, curve=curve)


def load(name: Path | str) -> Results:
    """A recorded experiment: a name in data/results, or a file.

    Raises FileNotFoundError, and ValueError for a file that is something else or not
    whole.
    """
    path = Path(name)
    if not path.suffix:
        path = records.results_folder() / f"{name}.json"
        if not path.exists():
            raise FileNotFoundError(
                f"{name} is not recorded; python -m minihyena experiment {name} does it"
            )
    head, rows = records.read(path)
    try:
        return from_fields(Results, {**head, "runs": tuple(map(as_run, rows))})
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} holds no experiment: {error}") from None


def rescue(path: Path | str) -> list[Run]:
    """The runs that are whole in a file that is not; maybe none."""
    runs = []
    for row in records.rescue(path):
        with suppress(ValueError, TypeError, KeyError):
            runs.append(as_run(row))
    return runs
