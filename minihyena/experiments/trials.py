"""One model on one task from one seed: trained from scratch, then tested."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import distributed

from minihyena.experiments.recipes import builder
from minihyena.experiments.results import Run
from minihyena.experiments.sizes import parameter_count
from minihyena.model import LanguageModel, LMConfig
from minihyena.options import to_fields
from minihyena.tasks import Batch, Examples, Task
from minihyena.training import Diverged, Record, TrainConfig, over_processes, train

__all__ = ["Lessons", "Stages", "Trial", "Watch", "plain", "run_trial"]

TEST_SEED = 2**31 + 1  # of test rows; the held-out rows have a seed of their own
TEST_TOKENS, HELD_OUT_TOKENS = 2**18, 2**14  # about so many ...
TEST_ROWS, HELD_OUT_ROWS = (128, 1024), (32, 128)  # ... at least and at most

ROUNDS = 100  # of drawing rows again that are kept for the test

# (share of the steps, length, rows): up to there prompts are so short, see Lessons
Stages = tuple[tuple[float, int, int], ...]


@dataclass(frozen=True)
class Trial:
    """One model on one task, from one seed: everything that decides what comes out."""

    model: str  # its name in the experiment
    task: Task
    width: int  # of the model that sets the size
    config: LMConfig
    training: TrainConfig
    stages: Stages
    goal: float
    seed: int

    @property
    def key(self) -> str:
        """The same for trials that differ in start, learning rate, seed or device."""
        settings = [
            self.model,
            *map(plain, (self.task, self.config, self.training)),
            self.width,
            self.stages,
            self.goal,
        ]
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def setting(self) -> tuple[str, float | None, float]:
        """Key, start and learning rate: the same for trials that differ in the seed."""
        return self.key, self.config.std, self.training.learning_rate

    def build(self, generator: torch.Generator) -> LanguageModel:
        """The untrained model."""
        return builder(self.task, generator)(self.config)

    @property
    def parameters(self) -> int:
        """Trained numbers of the model."""
        return parameter_count(self.config, builder(self.task))


NO_PART = {
    ("LMConfig", "std"),
    ("TrainConfig", "learning_rate"),
    ("TrainConfig", "device"),
}
# Fields younger than some record: at their default they play no part in the key, so
# that older runs stay what they are. (Class, field.)
LATER: set[tuple[str, str]] = set()


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


Watch = Callable[[Trial, Record, float | None], None]


class Lessons:
    """The examples of a trial: none that it is tested on, and short ones first.

    One prompt shows one map from keys to values, however long it is; many short ones
    show many for the same number of tokens. So up to each share of the steps in the
    trial's `stages` prompts are only so long, and more of them. (Length warm-up:
    Nguyen et al. 2023, arXiv 2306.15794, 3.2.)
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
        std=trial.config.std,
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


def _rows(length: int, tokens: int, limits: tuple[int, int]) -> int:
    return min(max(tokens // length, limits[0]), limits[1])
