"""An experiment as data: what is compared, and in which order it is run."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from minihyena.experiments.recipes import ONE_CYCLE, RECIPES, builder, fitted
from minihyena.experiments.results import Run
from minihyena.experiments.sizes import equal_parameters
from minihyena.experiments.trials import Stages, Trial
from minihyena.model import LMConfig
from minihyena.tasks import AssociativeRecall, Task
from minihyena.training import TrainConfig

__all__ = ["Experiment"]

_TESTED_SELDOM = replace(ONE_CYCLE, evaluate_every=50)


@dataclass(frozen=True)
class Experiment:
    """Every model on every task, at its best learning rate, from several seeds.

    The first model of a task sets the size; the others get as many parameters. All get
    the same batches, `tokens` a step (one row at least), for as many steps; a run ends
    early once it has reached `goal` twice in a row on held-out rows. The learning rates
    are tried from the first on with seed 0, as long as none has reached the goal; the
    best one on held-out rows is used for the other seeds. Up to each share of the steps
    in `stages` prompts are only so long: see trials.Lessons.
    """

    name: str
    question: str
    tasks: tuple[Task, ...]
    models: Mapping[str, Any]  # name -> a mixer, or a function of an LMConfig
    widths: tuple[int, ...] = (64,)
    base: LMConfig = RECIPES["quick"].model
    learning_rates: tuple[float, ...] = (5e-3, 1.5e-3)
    steps: int = 400
    tokens: int = 2048
    goal: float = 0.99
    training: TrainConfig = _TESTED_SELDOM
    stages: tuple[tuple[float, int], ...] = ()  # (share of the steps, length)

    def __post_init__(self) -> None:
        for name in ("tasks", "models", "widths", "learning_rates"):
            if not getattr(self, name):
                raise ValueError(f"experiment {self.name} has no {name}")
        if self.stages and not all(
            isinstance(t, AssociativeRecall) for t in self.tasks
        ):
            raise ValueError(
                f"experiment {self.name} has stages of length: its tasks must be recall"
            )

    def configs(self, task: Task, width: int) -> dict[str, LMConfig]:
        """Name -> the models' configurations for this task, all as large."""
        base = fitted(replace(self.base, width=width), task)
        found = [
            made(base) if callable(made) else replace(base, mixer=made)
            for made in self.models.values()
        ]
        build = builder(task)
        return dict(zip(self.models, equal_parameters(found, build=build), strict=True))

    @cached_property
    def trials(self) -> list[Trial]:
        """One for each task, width and model: seed 0, the first learning rate."""
        return [
            Trial(
                name,
                task,
                width,
                config,
                self.train_config(task),
                self.warm_up(task),
                self.goal,
                seed=0,
            )
            for task in self.tasks
            for width in self.widths
            for name, config in self.configs(task, width).items()
        ]

    def train_config(self, task: Task) -> TrainConfig:
        """How all models are trained on this task."""
        return replace(
            self.training,
            steps=self.steps,
            length=task.input_length,
            batch_size=self.rows(task),
            learning_rate=self.learning_rates[0],
        )

    def rows(self, task: Task) -> int:
        """How many rows of this task are `tokens`: one at least."""
        return max(1, self.tokens // task.input_length)

    def warm_up(self, task: Task) -> Stages:
        """The stages that are shorter than the task, with their rows."""
        return tuple(
            (share, length, self.rows(replace(task, length=length)))
            for share, length in self.stages
            if isinstance(task, AssociativeRecall) and length < task.length
        )

    def plan(self, seeds: int) -> Generator[Trial, Run, None]:
        """Trials in the order they are run, task after task; each wants to be sent the
        run that came out of it.
        """
        for _, firsts in groupby(self.trials, key=lambda trial: trial.task):
            best: list[Trial] = []
            for first in firsts:
                tried: list[tuple[Run, Trial]] = []
                for rate in self.learning_rates:
                    training = replace(first.training, learning_rate=rate)
                    trial = replace(first, training=training)
                    tried.append(((yield trial), trial))
                    if tried[-1][0].held_out >= self.goal:
                        break
                best.append(max(tried, key=lambda pair: pair[0].merit)[1])
            for seed in range(1, seeds):
                for trial in best:
                    yield replace(trial, seed=seed)
