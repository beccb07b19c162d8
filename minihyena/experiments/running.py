"""Runs experiments: one trial after another, each kept as soon as it is done."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout
from torch import distributed

from minihyena.benchmark import provenance
from minihyena.experiments.plans import Experiment
from minihyena.experiments.results import FOLDER, Results, Run, load, rescue
from minihyena.experiments.trials import Watch, run_trial

__all__ = ["is_first", "processes", "run"]

Identity = tuple[tuple[str, float | None, float], int]  # a run's setting and seed
Result = TypeVar("Result")


def run(
    experiment: Experiment,
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
    with _alone(path):
        known, whole = _from_first(lambda: _known(path, experiment, say))

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
            done.append(found or run_trial(trial, watch))
            if found is None:
                keep()
            yield done[-1]
            try:
                trial = plan.send(done[-1])
            except StopIteration:
                trial = None


@contextmanager
def processes(device: str) -> Iterator[str]:
    """Under torchrun: join the other processes, and leave them at the end.

    Yields the device this process should use.
    """
    if not torch.distributed.is_torchelastic_launched():
        yield device
        return
    gpu = device.startswith("cuda")
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield f"cuda:{os.environ['LOCAL_RANK']}" if gpu else device
    finally:
        distributed.destroy_process_group()


def _known(
    path: Path, experiment: Experiment, say: Callable[[str], None]
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


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else writes this file meanwhile; the system lets go of a killed run's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)

    def take() -> None:
        try:
            lock.acquire()
        except Timeout:
            raise RuntimeError(
                f"another run is writing {path}; let it end, or choose another --out"
            ) from None

    _from_first(take)
    try:
        yield
    finally:
        lock.release()


def is_first() -> bool:
    """Whether this process writes and speaks for all."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _from_first(act: Callable[[], Result]) -> Result:
    """What the first process finds by `act`, or its error, in all of them."""
    found: list[Any] = [None, None]
    if is_first():
        try:
            found[0] = act()
        except Exception as error:  # the others wait for it
            found[1] = error
    if distributed.is_initialized():
        distributed.broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    result: Result = found[0]
    return result
