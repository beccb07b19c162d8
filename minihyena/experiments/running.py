"""Runs experiments: one trial after another, each kept as soon as it is done."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from minihyena.benchmark import provenance
from minihyena.experiments.plans import Comparison
from minihyena.experiments.results import FOLDER, Results, load, rescue
from minihyena.experiments.rows import Run
from minihyena.experiments.trials import Watch
from minihyena.processes import from_first, is_first, only_ours

__all__ = ["run"]

Identity = tuple[tuple[str, float | None, float], int]  # a run's setting and seed


def run(
    experiment: Comparison,
    seeds: int = 3,
    folder: Path | str = FOLDER,
    *,
    watch: Watch | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Run]:
    """Run what is not yet in folder/NAME.json; yields every run, also those from there.

    The file is written after each trial, so that at most the one in hand can be lost;
    a run that is known is not made again. Damaged files and runs of other settings are
    laid aside, which `say` tells. `watch` sees every step: trial, record, and the score
    on held-out rows where it was taken. Where torch.distributed has begun, processes
    share every batch and the first one writes.
    Raises ValueError for seeds below 1, RuntimeError if another run is at this file.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1; got {seeds}")
    path = Path(folder) / f"{experiment.name}.json"
    name = experiment.name.removesuffix(f"_{experiment.steps}_steps")
    command = f"python -m minihyena experiment {name} --seeds {seeds}"
    command += f" --steps {experiment.steps}"
    done: list[Run] = []
    with only_ours(path):
        known, whole = from_first(lambda: _known(path, experiment, say))

        def keep() -> None:
            if is_first():
                about = experiment.name, experiment.question, command
                runs = (*done, *known.values())
                Results(*about, **provenance(), runs=runs).save(path)

        if not whole:
            keep()
        plan = experiment.plan(seeds)
        trial = next(plan, None)
        while trial is not None:
            found = known.pop((trial.setting, trial.seed), None)
            done.append(found or trial.run(watch))
            if found is None:
                keep()
            yield done[-1]
            try:
                trial = plan.send(done[-1])
            except StopIteration:
                trial = None
        finished = experiment.finished(done)
        if finished != done:
            done[:] = finished
            keep()


def _known(
    path: Path, experiment: Comparison, say: Callable[[str], None]
) -> tuple[dict[Identity, Run], bool]:
    """The runs in the file that belong to the experiment as it is now, and whether
    they are all there is.
    """
    if not path.exists():
        return {}, True
    try:
        runs, damaged = [*load(path).runs], False
    except ValueError:
        runs, damaged = rescue(path), True
    tries = {t.setting for first in experiment.trials for t in experiment.tries(first)}
    ours = [run for run in runs if run.setting in tries]
    found: dict[Identity, Run] = {}
    for run in ours:
        found.setdefault((run.setting, run.seed), run)
    if damaged:
        say(f"{path} is damaged: {len(found)} of its runs could be read")
    if others := len(runs) - len(ours):
        say(f"{others} runs in {path} had other settings")
    whole = len(found) == len(runs) and not damaged
    if not whole:
        say(_aside(path))
    return found, whole


def _aside(path: Path) -> str:
    """Copies the file before it is written anew, and says where."""
    number = 1
    while (copy := path.with_suffix(f".{number}.json.old")).exists():
        number += 1
    shutil.copy2(path, copy)
    return f"the file as it was is kept as {copy}"
