"""What came out of an experiment, as it is kept in data/results."""

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minihyena import records
from minihyena.experiments.rows import Run, TaskRun, as_run
from minihyena.options import from_fields

__all__ = ["Results", "Summary", "load", "rescue"]

FOLDER = Path("data/results")


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

    def chosen(self) -> list[list[Run]]:
        """For each key, in the order of the file, the runs at the setting that did
        best: one a seed, seed 0 first.
        """
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.key, []).append(run)
        return [_best(group) for group in groups.values()]

    def summary(self) -> list[Summary]:
        """One line for each model and task, in the order of the file.

        Raises ValueError for runs on texts, which have no scores: see curves.
        """
        if any(not isinstance(run, TaskRun) for run in self.runs):
            raise ValueError(f"{self.experiment} is of texts, which have no scores")
        chosen = ([r for r in g if isinstance(r, TaskRun)] for g in self.chosen())
        return [_summary(runs) for runs in chosen]

    def save(self, path: Path | str) -> None:
        """Write JSON; the old file stays whole until the new one is."""
        head = asdict(self)
        rows = head.pop("runs")
        records.write(path, head, rows)


def _best(runs: Sequence[Run]) -> list[Run]:
    tried = min(run.seed for run in runs)  # 0, where nothing was lost
    first = max((run for run in runs if run.seed == tried), key=lambda run: run.merit)
    same = (run for run in runs if run.setting == first.setting)
    return sorted(same, key=lambda run: run.seed)


def _summary(chosen: Sequence[TaskRun]) -> Summary:
    first = chosen[0]
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
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no experiment: {error}") from None


def rescue(path: Path | str) -> list[Run]:
    """The runs that are whole in a file that is not; maybe none."""
    runs = []
    for row in records.rescue(path):
        with suppress(ValueError, TypeError):
            runs.append(as_run(row))
    return runs
