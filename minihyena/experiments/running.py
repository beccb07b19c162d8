"""Runs experiments: one trial after another, each kept as soon as it is done."""

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
from minihyena.experiments.results import FOLDER, Results, Run, as_run, load
from minihyena.options import to_fields
from minihyena.tasks import Batch, Examples
from minihyena.training import Diverged, Record, over_processes, train

__all__ = ["processes", "run", "run_trial"]

TEST_SEED = 2**31 + 1  # of test rows; the held-out rows have a seed of their own
TEST_TOKENS, HELD_OUT_TOKENS = 2**18, 2**14  # about so many ...
TEST_ROWS, HELD_OUT_ROWS = (128, 1024), (32, 128)  # ... at least and at most

ROUNDS = 100  # of drawing rows again that are kept for the test

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
    name = experiment.name.removesuffix(f"_{experiment.steps}_steps")
    command = f"python -m minihyena experiment {name} --seeds {seeds}"
    command += f" --steps {experiment.steps}"
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
            found = known.pop(trial.identity, None)
            done.append(found or run_trial(trial, watch))
            if found is None:
                keep()
            yield done[-1]
            try:
                trial = plan.send(done[-1])
            except StopIteration:
                trial = None


class Lessons:
    """The examples of a trial: none that it is tested on, and short ones first.

    One prompt shows one map from keys to values, however long it is; many short ones
    show many for the same number of tokens. So up to each share of the steps in the
    trial's `stages` prompts are only so long, and as many more of them. (Length
    warm-up: Nguyen et al. 2023, arXiv 2306.15794, 3.2.)
    """

    def __init__(self, trial: Trial) -> None:
        self.trial, self.drawn = trial, 0
        task = self.task = trial.task.for_training
        length = task.input_length
        rows = _rows(length, HELD_OUT_TOKENS, HELD_OUT_ROWS)
        self.held_out = Examples(trial.task, rows).windows("validation", length)
        self.whole = Examples(task, rows)
        rows = _rows(length, TEST_TOKENS, TEST_ROWS)
        generator = torch.Generator().manual_seed(TEST_SEED)
        self.test = trial.task.batch(rows, generator=generator)
        kept = torch.cat([self.held_out.inputs, self.test.inputs])
        self.kept = {row.numpy().tobytes() for row in kept}

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
        task: Any = self.task
        for share, shorter in self.trial.stages[::-1]:
            enough = share * (self.trial.training.steps or 0)
            if self.drawn <= enough and shorter < self.task.input_length:
                task = replace(task, length=shorter)
        rows, length = batch_size * length // task.input_length, task.input_length
        batch = Examples(task).batch(split, rows, length, generator=generator)
        for _ in range(ROUNDS):
            if not (clash := self._tested(batch)):
                return batch
            new = Examples(task).batch(split, len(clash), length, generator=generator)
            batch.inputs[clash], batch.labels[clash] = new
        raise ValueError(
            f"{self.trial.task} has too few different rows to keep {len(self.kept)} of "
            "them for the test; take larger sizes"
        )

    def _tested(self, batch: Batch) -> list[int]:
        """The rows that are kept for the test."""
        rows = batch.inputs
        return [i for i, row in enumerate(rows) if row.numpy().tobytes() in self.kept]

    def windows(self, split: str, length: int) -> Batch:
        """The held-out rows, of whole length."""
        return self.whole.windows(split, length)


def run_trial(trial: Trial, watch: Watch | None = None) -> Run:
    """Train from scratch, then score on test rows that were never trained on.

    It ends early after two scores in a row on held-out rows that reach the goal. A
    model that diverges is scored as it was at its last finite loss.
    """
    task, lessons = trial.task, Lessons(trial)
    model = trial.build(torch.Generator().manual_seed(trial.seed))
    batches = torch.Generator().manual_seed(trial.seed)
    curve: list[tuple[int, float]] = []
    step, loss, seconds = 0, None, 0.0
    try:
        for record in train(model, lessons, trial.training, generator=batches):
            step, seconds, score = record.step, record.seconds, None
            if record.validation_loss is not None:
                loss = round(record.validation_loss, 4)
                score = over_processes(task.test(model, lessons.held_out))
                curve.append((step, round(score, 4)))
            if watch:
                watch(trial, record, score)
            if len(curve) > 1 and min(curve[-2][1], curve[-1][1]) >= trial.goal:
                break
    except Diverged:
        loss = None
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
        score=round(over_processes(task.test(model, lessons.test)), 4),
        held_out=curve[-1][1] if curve else 0.0,
        loss=loss,
        seconds=round(seconds, 1),
        curve=tuple(curve),
        device=trial.training.device.partition(":")[0],
        processes=distributed.get_world_size() if distributed.is_initialized() else 1,
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
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield f"cuda:{os.environ['LOCAL_RANK']}" if gpu else device
    finally:
        distributed.destroy_process_group()


def _rows(length: int, tokens: int, limits: tuple[int, int]) -> int:
    return min(max(tokens // length, limits[0]), limits[1])


def _known(
    path: Path, experiment: Experiment, say: Callable[[str], None]
) -> tuple[dict[tuple[str, float, int], Run], bool]:
    """The runs in the file that belong to the experiment as it is now, and whether
    they are all there is.
    """
    if not path.exists():
        return {}, True
    damaged, others, found = 0, 0, dict[tuple[str, float, int], Run]()
    try:
        load(path)
        rows = records.read(path)[1]
    except ValueError:
        rows, damaged = records.rescue(path), 1
    keys = {trial.key for trial in experiment.trials}
    for row in rows:
        try:
            run = as_run(row)
        except (ValueError, TypeError, KeyError):
            damaged += 1
            continue
        if run.key in keys and run.learning_rate in experiment.learning_rates:
            found.setdefault(run.identity, run)
        else:
            others += 1
    if damaged:
        say(f"{path} is damaged: {len(found)} of its runs could be read")
    if others:
        say(f"{others} runs in {path} had other settings")
    whole = len(found) == len(rows) and not damaged
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


def _is_first() -> bool:
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _from_first(act: Callable[[], Result]) -> Result:
    """What the first process finds by `act`, or its error, in all of them."""
    found: list[Any] = [None, None]
    if _is_first():
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
