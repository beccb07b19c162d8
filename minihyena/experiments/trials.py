"""One model from one seed, trained from scratch; on a task: then tested."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch

from minihyena.experiments.recipes import builder
from minihyena.experiments.rows import Run, TaskRun
from minihyena.experiments.sizes import parameter_count
from minihyena.losses import Source
from minihyena.model import LanguageModel, LMConfig
from minihyena.options import to_fields
from minihyena.processes import count, over_processes
from minihyena.tasks import Batch, Examples, Task
from minihyena.training import Diverged, Record, TrainConfig, train

__all__ = ["Lessons", "Stages", "TaskTrial", "Trial", "Watch", "plain"]

TEST_SEED = 2**31 + 1  # of test rows; the held-out rows have a seed of their own
TEST_TOKENS, HELD_OUT_TOKENS = 2**18, 2**14  # about so many ...
TEST_ROWS, HELD_OUT_ROWS = (128, 1024), (32, 128)  # ... at least and at most

ROUNDS = 100  # of drawing rows again that are kept for the test

# (share of the steps, length, rows): up to there prompts are so short, see Lessons
Stages = tuple[tuple[float, int, int], ...]


@dataclass(frozen=True)
class Trial:
    """One model from one seed, and everything that decides what comes out of it."""

    model: str  # its name in the experiment
    config: LMConfig
    training: TrainConfig
    seed: int

    @property
    def subject(self) -> Any:
        """What it learns: trials of the same one are compared."""
        raise NotImplementedError

    @property
    def settings(self) -> list[Any]:
        """Plain values: what the key is made of."""
        raise NotImplementedError

    def build(self, generator: torch.Generator) -> LanguageModel:
        """The untrained model."""
        raise NotImplementedError

    def run(self, watch: "Watch | None" = None) -> Run:
        """Train from scratch, then look how good it is."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The same for trials that differ in start, learning rate, seed or device."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def setting(self) -> tuple[str, float | None, float]:
        """Key, start and learning rate: the same for trials that differ in the seed."""
        return self.key, self.config.std, self.training.learning_rate

    @property
    def parameters(self) -> int:
        """Trained numbers of the model."""
        return parameter_count(self.config, lambda _: self.build(torch.Generator()))

    def begun(self, source: Source) -> tuple[LanguageModel, Iterator[Record]]:
        """A new model, and its steps: weights and batches of the trial's seed."""
        model = self.build(torch.Generator().manual_seed(self.seed))
        batches = torch.Generator().manual_seed(self.seed)
        return model, train(model, source, self.training, generator=batches)

    def common(self, model: LanguageModel) -> dict[str, Any]:
        """What every run says of its trial."""
        return {
            "key": self.key,
            "model": self.model,
            "parameters": model.parameter_count(),
            "learning_rate": self.training.learning_rate,
            "std": self.config.std,
            "seed": self.seed,
            "device": self.training.device.partition(":")[0],
            "processes": count(),
        }


NO_PART = {
    ("LMConfig", "std"),
    ("TrainConfig", "learning_rate"),
    ("TrainConfig", "device"),
}
# Fields younger than some record: at their default they play no part in the key, so
# that older runs stay what they are. (Class, field.)
LATER = {
    (attention, "short_taps")
    for attention in ("AttentionConfig", "SlidingWindowConfig")
}


def plain(config: Any) -> Any:
    """Every value of a configuration that decides what comes out, for the key."""
    if not is_dataclass(config):
        return config
    kind = type(config).__name__
    values = {f.name: (getattr(config, f.name), f.default) for f in fields(config)}
    return {"kind": kind} | {
        name: plain(value)
        for name, (value, default) in values.items()
        if (kind, name) not in NO_PART
        and not ((kind, name) in LATER and value == default)
    }


# Sees every step, and the score on what is held out where it was taken.
Watch = Callable[[Trial, Record, float | None], None]


@dataclass(frozen=True)
class TaskTrial(Trial):
    """One model on one task."""

    task: Task
    width: int  # of the model that sets the size
    stages: Stages
    goal: float

    @property
    def subject(self) -> Task:
        return self.task

    @property
    def settings(self) -> list[Any]:
        configs = map(plain, (self.task, self.config, self.training))
        return [self.model, *configs, self.width, self.stages, self.goal]

    def build(self, generator: torch.Generator) -> LanguageModel:
        return builder(self.task, generator)(self.config)

    def run(self, watch: Watch | None = None) -> TaskRun:
        """Train from scratch, then score on test rows that were never trained on.

        It ends early after two scores in a row on held-out rows that reach the goal. A
        model that diverges is scored as it was at its last finite loss.
        """
        task, lessons = self.task, Lessons(self)
        model, steps = self.begun(lessons)
        curve: list[tuple[int, float]] = []
        step, loss, seconds = 0, None, 0.0
        try:
            for record in steps:
                step, seconds, score = record.step, record.seconds, None
                if record.validation_loss is not None:
                    loss = round(record.validation_loss, 4)
                    score = over_processes(task.test(model, lessons.held_out))
                    curve.append((step, round(score, 4)))
                if watch:
                    watch(self, record, score)
                if len(curve) > 1 and min(curve[-2][1], curve[-1][1]) >= self.goal:
                    break
        except Diverged:
            loss = None
        sizes = {"width": self.width, "depth": self.config.depth}
        return TaskRun(
            **self.common(model),
            task=type(task).__name__,
            sizes=to_fields(task, {}) | sizes,
            chance=task.chance,
            steps=step,
            score=round(over_processes(task.test(model, lessons.test)), 4),
            held_out=curve[-1][1] if curve else 0.0,
            loss=loss,
            seconds=round(seconds, 1),
            curve=tuple(curve),
        )


class Lessons:
    """The examples of a trial: none that it is tested on, and short ones first.

    One prompt shows one map from keys to values, however long it is; many short ones
    show many for the same number of tokens. So up to each share of the steps in the
    trial's `stages` prompts are only so long, and more of them. (Length warm-up:
    Nguyen et al. 2023, arXiv 2306.15794, 3.2.)
    """

    def __init__(self, trial: TaskTrial) -> None:
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
        """The next batch of the trial."""
        self.drawn += 1
        task: Any = self.task
        rows, steps = batch_size, self.trial.training.steps or 0
        for share, shorter, more in self.trial.stages[::-1]:
            if self.drawn <= share * steps:
                task, rows = replace(task, length=shorter), more
        length = task.input_length
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


def _rows(length: int, tokens: int, limits: tuple[int, int]) -> int:
    return min(max(tokens // length, limits[0]), limits[1])
