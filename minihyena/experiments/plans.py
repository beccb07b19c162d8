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
    """Every model on every task, as it learns best, from several seeds.

    The first model of a task sets the size; the others get as many parameters. All get
    the same batches, `tokens` a step (one row at least), for as many steps; a run ends
    early once it has reached `goal` twice in a row on held-out rows. With seed 0 each
    is tried at every learning rate, from its own start (LMConfig.std) and from those in
    `stds`, as long as none has reached the goal; what is best on held-out rows is used
    for the other seeds. Up to each share of the steps in `length_warmup` prompts are
    only so long: see trials.Lessons.
    """

    name: str
    question: str
    tasks: tuple[Task, ...]
    models: Mapping[str, Any]  # name -> a mixer, or a function of an LMConfig
    widths: tuple[int, ...] = (64,)
    base: LMConfig = RECIPES["quick"].model
    learning_rates: tuple[float, ...] = (5e-3, 1.5e-3)
    stds: tuple[float, ...] = ()
    steps: int = 400
    tokens: int = 2048
    goal: float = 0.99
    training: TrainConfig = _TESTED_SELDOM
    length_warmup: tuple[tuple[float, int], ...] = ()  # (share of the steps, length)

    def __post_init__(self) -> None:
        for name in ("tasks", "models", "widths", "learning_rates"):
            if not getattr(self, name):
                raise ValueError(f"experiment {self.name} has no {name}")
        if self.length_warmup and not all(
            isinstance(t, AssociativeRecall) for t in self.tasks
        ):
            raise ValueError(
                f"experiment {self.name} has a length_warmup: its tasks must be recall"
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
                self.stages(task),
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

    def stages(self, task: Task) -> Stages:
        """The lengths of the warm-up that are shorter than the task, with rows."""
        return tuple(
            (share, length, self.rows(replace(task, length=length)))
            for share, length in self.length_warmup
            if isinstance(task, AssociativeRecall) and length < task.length
        )

    def tries(self, first: Trial) -> list[Trial]:
        """The trial from every start and at every learning rate."""
        return [
            replace(
                first,
                config=replace(first.config, std=std),
                training=replace(first.training, learning_rate=rate),
            )
            for std in dict.fromkeys((first.config.std, *self.stds))
            for rate in self.learning_rates
        ]

    def plan(self, seeds: int) -> Generator[Trial, Run, None]:
        """Trials in the order they are run, task after task; each wants to be sent the
        run that came out of it.
        """
        for _, firsts in groupby(self.trials, key=lambda trial: trial.task):
            best: list[Trial] = []
            for first in firsts:
                tried: list[tuple[Run, Trial]] = []
                for trial in self.tries(first):
                    tried.append(((yield trial), trial))
                    if tried[-1][0].held_out >= self.goal:
                        break
                best.append(max(tried, key=lambda pair: pair[0].merit)[1])
            for seed in range(1, seeds):
                for trial in best:
                    yield replace(trial, seed=seed)
