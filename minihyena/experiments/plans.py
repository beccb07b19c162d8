"""An experiment as data: what is compared, and in which order it is run."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from minihyena.experiments.recipes import ONE_CYCLE, RECIPES, builder, fitted
from minihyena.experiments.rows import Run, TaskRun
from minihyena.experiments.sizes import Build, equal_parameters
from minihyena.experiments.trials import Stages, TaskTrial, Trial
from minihyena.model import LanguageModel, LMConfig
from minihyena.tasks import AssociativeRecall, Task
from minihyena.training import TrainConfig

__all__ = ["Comparison", "Experiment"]

_TESTED_SELDOM = replace(ONE_CYCLE, evaluate_every=50)


class Comparison:
    """What is compared with what: every model on every subject, as it learns best.

    With seed 0 each is tried at every learning rate, from its own start (LMConfig.std)
    and from those in `stds`, until a run is good enough; what is best on held-out data
    is used for the other seeds.
    """

    name: str
    question: str
    models: Mapping[str, Any]  # name -> a mixer, or a function of an LMConfig
    learning_rates: tuple[float, ...]
    stds: tuple[float, ...]
    steps: int
    tokens: int  # a step
    training: TrainConfig

    @property
    def trials(self) -> Sequence[Trial]:
        """One for each subject and model: seed 0, the first learning rate."""
        raise NotImplementedError

    @property
    def sizes(self) -> int:
        """How many subjects there are, each size of it counted."""
        raise NotImplementedError

    def good_enough(self, run: Run) -> bool:
        """Whether its model need not be tried at other settings."""
        return False

    def seeds(self, trial: Trial, asked: int) -> int:
        """How many seeds a trial gets where so many are asked for."""
        return asked

    def finished(self, runs: Sequence[Run]) -> list[Run]:
        """All runs, with what can be said of them together once they are done."""
        return [*runs]

    def equally_large(
        self, base: LMConfig, build: Build = LanguageModel
    ) -> dict[str, LMConfig]:
        """Name -> configuration: the first model is as `base`, the others as large."""
        found = [
            made(base) if callable(made) else replace(base, mixer=made)
            for made in self.models.values()
        ]
        return dict(zip(self.models, equal_parameters(found, build=build), strict=True))

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
        """Trials in the order they are run, subject after subject; each wants to be
        sent the run that came out of it.
        """
        for _, firsts in groupby(self.trials, key=lambda trial: trial.subject):
            best: list[Trial] = []
            for first in firsts:
                tried: list[tuple[Run, Trial]] = []
                for trial in self.tries(first):
                    tried.append(((yield trial), trial))
                    if self.good_enough(tried[-1][0]):
                        break
                best.append(max(tried, key=lambda pair: pair[0].merit)[1])
            for seed in range(1, seeds):
                for trial in best:
                    if seed < self.seeds(trial, seeds):
                        yield replace(trial, seed=seed)


@dataclass(frozen=True)
class Experiment(Comparison):
    """Every model on every task, as it learns best, from several seeds.

    The first model of a task sets the size; the others get as many parameters. All get
    the same batches, `tokens` a step (one row at least), for as many steps; a run ends
    early once it has reached `goal` twice in a row on held-out rows, and then is good
    enough. Up to each share of the steps in `length_warmup` prompts are only so long:
    see trials.Lessons.
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
        return self.equally_large(base, builder(task))

    @property
    def sizes(self) -> int:
        return len(self.tasks) * len(self.widths)

    def good_enough(self, run: Run) -> bool:
        return isinstance(run, TaskRun) and run.held_out >= self.goal

    @cached_property
    def trials(self) -> list[TaskTrial]:
        """One for each task, width and model: seed 0, the first learning rate."""
        return [
            TaskTrial(
                name,
                config,
                self.train_config(task),
                0,
                task,
                width,
                self.stages(task),
                self.goal,
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
