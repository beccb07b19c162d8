"""How a model is made and trained for a task of any size."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from minihyena.filters import ImplicitConfig
from minihyena.hyena import HyenaConfig
from minihyena.model import LanguageModel, LMConfig
from minihyena.tasks import LinearFunctions, Task
from minihyena.training import TrainConfig
from minihyena.vector_model import VectorModel

__all__ = ["ONE_CYCLE", "RECIPES", "ROUGH", "SMOOTH", "Recipe", "builder", "fitted"]

SMOOTH = ImplicitConfig()  # bands=4, sine_frequency=1
ROUGH = ImplicitConfig(bands=2, sine_frequency=10.0)


@dataclass(frozen=True)
class Recipe:
    """A model and its training, for a task of any size."""

    model: LMConfig  # vocab_size and max_length come from the task
    training: TrainConfig  # length too

    def config(self, task: Task) -> LMConfig:
        """The model's configuration for this task."""
        return fitted(self.model, task)

    def build(self, task: Task, generator: torch.Generator) -> LanguageModel:
        """A fresh, untrained model for this task."""
        return builder(task, generator)(self.config(task))

    def train_config(self, task: Task, **changes: Any) -> TrainConfig:
        """The training for this task, with some fields changed."""
        return replace(self.training, length=task.input_length, **changes)


def fitted(model: LMConfig, task: Task) -> LMConfig:
    """The same model with the task's vocabulary and length."""
    vocab_size = max(task.vocab_size, 1)
    return replace(model, vocab_size=vocab_size, max_length=task.input_length)


def builder(
    task: Task, generator: torch.Generator | None = None
) -> Callable[[LMConfig], LanguageModel]:
    """What makes a model for this task: one of ids, or one of vectors."""
    if isinstance(task, LinearFunctions):
        return lambda config: VectorModel(config, task.features, generator)
    return lambda config: LanguageModel(config, generator)


# One architecture, one optimiser; only how the weights start is different. A layer's
# answer is a product of three projections (two gates, one value), and a filter that
# reaches back evenly is what lets it gather pairs from anywhere:
# - std 0.02 makes that product about 1e-4 of its input, so that its gradient, too, is
#   next to nothing until the weights have grown: a long plateau. 1 / sqrt(inputs)
#   keeps the size of what comes in.
# - sine_frequency 10 starts with filters that wiggle about 0, which add up pairs from
#   far back with random signs; frequency 1 starts with nearly even ones.
_TWO_LAYERS = LMConfig(1, width=64, depth=2)
ONE_CYCLE = TrainConfig(
    steps=600,
    batch_size=32,
    learning_rate=5e-3,
    warmup=0.1,
    final_rate=0.0,
    evaluate_every=25,
)
RECIPES: dict[str, Recipe] = {
    "quick": Recipe(
        replace(_TWO_LAYERS, std=None, mixer=HyenaConfig(filter=SMOOTH)), ONE_CYCLE
    ),
    "textbook": Recipe(
        replace(_TWO_LAYERS, mixer=HyenaConfig(filter=ROUGH)), ONE_CYCLE
    ),
}
