"""Several models in training, a step each in turn, on the same batches. No widgets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import nn

from minihyena.explore.training_loop import Loop, Turns
from minihyena.explore.training_run import smoothed
from minihyena.tasks import Examples, Task
from minihyena.training import Diverged, Record, TrainConfig, train

__all__ = ["GOAL", "Lane", "Race", "Round", "Test"]

GOAL = 0.99  # of the test, and a model has learnt the task


class Test(NamedTuple):
    """What a model could do after `step` steps, or `seconds` of training."""

    step: int
    seconds: float
    score: float


class Round(NamedTuple):
    """One step of every model."""

    step: int


@dataclass
class Lane:
    """One model, and all that is known of its run."""

    model: nn.Module
    records: list[Record] = field(default_factory=list)
    smooth: list[float] = field(default_factory=list)  # as long as records
    tests: list[Test] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @property
    def reached(self) -> Test | None:
        """The first test that met the goal."""
        return next((test for test in self.tests if test.score >= GOAL), None)


class Race:
    """Models by name, and the loop that trains them: every model sees the same batches.

    The test is `size` rows drawn apart from the batches, the same in every race of this
    seed. `on_round` and `on_change` are called as a Loop's `on_record` and
    `on_change`. A model that ends early, by config.patience, waits for the others.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        task: Task,
        config: TrainConfig,
        size: int,
        seed: int,
        on_round: Callable[[object], None],
        on_change: Callable[[], None],
        turns: Turns,
    ) -> None:
        self.task, self.config = task, config
        self.lanes = {name: Lane(model) for name, model in models.items()}
        self.test = task.batch(size, generator=torch.Generator().manual_seed(seed + 1))
        source = Examples(task.for_training, held_out=size)
        quiet = config  # the test says more than the loss on held-out rows
        if config.patience is None:
            quiet = replace(config, evaluate_every=config.steps or 1)
        steps = {
            name: train(
                lane.model, source, quiet,
                generator=torch.Generator().manual_seed(seed),
            )
            for name, lane in self.lanes.items()
        }  # fmt: skip
        rounds = self._rounds(steps)
        self.loop = Loop(rounds, config.steps, on_round, on_change, turns)

    def _rounds(self, steps: Mapping[str, Iterator[Record]]) -> Iterator[Round]:
        """One step of each model that still trains; a test where one is due."""
        number = 0
        while True:
            took = False
            for name, lane in self.lanes.items():
                try:
                    record = next(steps[name], None)
                except Diverged as error:
                    raise Diverged(f"{name}: {error}") from error
                if record is None:
                    continue
                took = True
                lane.records.append(record)
                lane.smooth.append(smoothed(lane.records))
                last = record.step == self.config.steps
                if last or record.step % self.config.evaluate_every == 0:
                    score = self.task.test(lane.model, self.test)
                    lane.tests.append(Test(record.step, record.seconds, score))
            if not took:
                return
            number += 1
            yield Round(number)
