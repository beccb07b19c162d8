"""Runs experiments: one trial after another, each kept as soon as it is done."""

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout
from torch import distributed

from minihyena import records
from minihyena.benchmark import provenance
from minihyena.experiments.plans import Experiment, Trial
from minihyena.experiments.results import FOLDER, Results, Run, as_run
from minihyena.options import to_fields
from minihyena.tasks import Batch, Examples
from minihyena.training import Diverged, Record, over_processes, train

__all__ = ["processes", "run", "run_trial"]

TEST_SEED = 2**31 + 1  # of test rows; the held-out rows have a seed of their own
TEST_TOKENS, HELD_OUT_TOKENS = 2**18, 2**14  # about so many ...
TEST_ROWS, HELD_OUT_ROWS = (128, 1024), (32, 128)  # ... at least and at most

Watch = Callable[[Trial, Record, float | None], None]
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
    command = (
        f"python -m minihyena experiment {experiment.name} --seeds {seeds} "
        f"--steps {experiment.steps}"
    )
    done: list[Run] = []
    with _alone(path):
        known, whole = _from_first(lambda: _known(path, experiment, say))

        def keep() -> None:
            if _is_first():
                about = experiment.name, experiment.question, command
                runs = (*done, *known.values())
                Results(*about, **provenance(), runs=runs).save(path)

        if not whole:
            keep()
        plan = experiment.plan(seeds)
        trial = next(plan, None)
        while trial is not None:
            found = known.pop(_identity(trial), None)
            done.append(found or run_trial(trial, watch))
            if found is None:
                keep()
            yield done[-1]
            try:
                trial = plan.send((done[-1].held_out, -done[-1].loss))
            except StopIteration:
                trial = None


class Lessons:
    """The examples of a trial, which begin with short prompts and end with long ones.

    One prompt shows one map from keys to values, however long it is; many short ones
    show many for the same number of tokens. So up to each share of the steps in the
    trial's `stages` prompts are only so long, and as many more of them. (Length
    warm-up: Nguyen et al. 2023, arXiv 2306.15794, 3.2.)
    """

    def __init__(self, trial: Trial, held_out: int) -> None:
        self.trial, self.drawn = trial, 0
        self.whole = Examples(trial.task.for_training, held_out)

    def batch(
        self,
        split: str,
        batch_size: int,
        length: int,
        *,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """The next batch of the trial, of as many tokens as a whole one."""
        self.drawn += 1
        task: Any = self.whole.task
        done = self.drawn / (self.trial.training.steps or math.inf)
        for share, shorter in self.trial.stages[::-1]:
            if done <= share and shorter < self.trial.task.input_length:
                task = replace(task, length=shorter)
        rows = batch_size * length // task.input_length
        return Examples(task).batch(split, rows, task.input_length, generator=generator)

    def windows(self, split: str, length: int) -> Batch:
        """The held-out rows, of whole length."""
        return self.whole.windows(split, length)


def run_trial(trial: Trial, watch: Watch | None = None) -> Run:
    """Train from scratch, then score on test rows that were never seen.

    It ends early after two scores in a row on held-out rows that reach the goal. A
    model that diverges is scored as it was at its last finite loss.
    """
    task = trial.task
    rows = _rows(task.input_length, HELD_OUT_TOKENS, HELD_OUT_ROWS)
    held_out = Examples(task, rows).windows("validation", task.input_length)
    lessons = Lessons(trial, rows)
    model = trial.build(torch.Generator().manual_seed(trial.seed))
    batches = torch.Generator().manual_seed(trial.seed)
    curve: list[tuple[int, float]] = []
    step, loss, seconds = 0, float("inf"), 0.0
    try:
        for record in train(model, lessons, trial.training, generator=batches):
            step, seconds, score = record.step, record.seconds, None
            if record.validation_loss is not None:
                loss = record.validation_loss
                score = over_processes(task.test(model, held_out))
                curve.append((step, round(score, 4)))
            if watch:
                watch(trial, record, score)
            if len(curve) > 1 and min(curve[-2][1], curve[-1][1]) >= trial.goal:
                break
    except Diverged:
        loss = float("inf")
    rows = _rows(task.input_length, TEST_TOKENS, TEST_ROWS)
    test = task.batch(rows, generator=torch.Generator().manual_seed(TEST_SEED))
    sizes = to_fields(task, {}) | {"width": trial.width, "depth": trial.config.depth}
    return Run(
        key=trial.key,
        model=trial.model,
        task=type(task).__name__,
        sizes=sizes,
        chance=task.chance,
        parameters=model.parameter_count(),
        learning_rate=trial.training.learning_rate,
        seed=trial.seed,
        steps=step,
        score=round(over_processes(task.test(model, test)), 4),
        held_out=curve[-1][1] if curve else 0.0,
        loss=round(loss, 4),
        seconds=round(seconds, 1),
        curve=tuple(curve),
    )


@contextmanager
def processes(device: str) -> Iterator[str]:
    """Under torchrun: join the other processes, and leave them at the end.

    Yields the device this process should use.
    """
    if not torch.distributed.is_torchelastic_launched():
        yield device
        return
    gpu = device.startswith("cuda")
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield f"cuda:{os.environ['LOCAL_RANK']}" if gpu else device
    finally:
        distributed.destroy_process_group()


def _rows(length: int, tokens: int, limits: tuple[int, int]) -> int:
    return min(max(tokens // length, limits[0]), limits[1])


def _identity(item: Trial | Run) -> tuple[str, float, int]:
    rate = item.training if isinstance(item, Trial) else item
    return item.key, rate.learning_rate, item.seed


def _known(
    path: Path, experiment: Experiment, say: Callable[[str], None]
) -> tuple[dict[tuple[str, float, int], Run], bool]:
    """The runs in the file that belong to the experiment as it is now, and whether
    they are all there is.
    """
    if not path.exists():
        return {}, True
    whole = True
    try:
        rows = records.read(path)[1]
    except ValueError:
        rows, whole = records.rescue(path), False
        say(f"{path} is damaged: {len(rows)} runs could be read; {_aside(path)}")
    keys = {trial.key for trial in experiment.trials()}
    ours = [as_run(row) for row in rows if row.get("key") in keys]
    if others := len(rows) - len(ours):
        whole = False
        say(f"{others} runs in {path} had other settings; {_aside(path)}")
    return {_identity(run): run for run in ours}, whole


def _aside(path: Path) -> str:
    """Copies the file before it is written anew, and says where."""
    number = 1
    while (copy := path.with_suffix(f".{number}.json.old")).exists():
        number += 1
    shutil.copy2(path, copy)
    return f"the file as it was is kept as {copy.name}"


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


def _is_first() -> bool:
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _from_first(act: Callable[[], Result]) -> Result:
    """What the first process finds by `act`, or its error, in all of them."""
    found: list[Any] = [None, None]
    if _is_first():
        try:
            found[0] = act()
        except (ValueError, OSError, RuntimeError) as error:
            found[1] = error
    if distributed.is_initialized():
        distributed.broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    result: Result = found[0]
    return result
