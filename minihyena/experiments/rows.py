"""One trial that is done, as a row of the file: on a task, or on a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minihyena.options import from_fields

__all__ = ["Run", "TaskRun", "TextRun", "as_run"]


class Run:
    """What is known of every trial that is done, whatever it learned."""

    key: str  # of everything that decided it, but for start, learning rate and seed
    model: str
    parameters: int
    std: float | None  # of matrices at the start: see LMConfig
    learning_rate: float
    seed: int
    steps: int
    loss: float | None  # on what was held out; None if it diverged
    seconds: float  # of training
    curve: tuple[tuple[float, ...], ...]
    device: str
    processes: int

    @property
    def setting(self) -> tuple[str, float | None, float]:
        """That of its trial."""
        return self.key, self.std, self.learning_rate

    @property
    def start(self) -> str:
        """The standard deviation of matrices at the start, in words."""
        return "1/sqrt(inputs)" if self.std is None else f"{self.std:g}"

    @property
    def merit(self) -> tuple[float, ...]:
        """By which settings are chosen; the higher, the better."""
        raise NotImplementedError

    @property
    def told(self) -> str:
        """What came out, of which model, on what."""
        raise NotImplementedError


@dataclass(frozen=True)
class TaskRun(Run):
    """A model on a task."""

    key: str
    model: str
    task: str
    sizes: dict[str, Any]  # of task and model: vocab_size, length, width ...
    chance: float
    parameters: int
    std: float | None
    learning_rate: float
    seed: int
    steps: int
    score: float  # on test rows
    held_out: float  # on held-out rows, by which start and learning rate are chosen
    loss: float | None
    seconds: float
    curve: tuple[tuple[int, float], ...]  # step, score on held-out rows
    device: str = "cpu"
    processes: int = 1

    @property
    def merit(self) -> tuple[float, ...]:
        """Not diverged, held-out score and loss."""
        return self.loss is not None, self.held_out, -(self.loss or 0.0)

    @property
    def told(self) -> str:
        sizes = ", ".join(f"{name} {size}" for name, size in self.sizes.items())
        return f"{self.score:6.1%} {self.model}: {sizes}"


@dataclass(frozen=True)
class TextRun(Run):
    """A language model on a text. Losses are in nats a token of the held-out part."""

    key: str
    model: str
    corpus: str
    sha256: str  # of the corpus: alphabet and ids
    length: int  # of a window
    width: int  # of this model; models are as large, not as wide
    depth: int
    parameters: int
    flops: float  # of a step: three forward passes, LanguageModel.flops
    flops_causal: float  # without what attention computes above its diagonal
    std: float | None
    learning_rate: float
    seed: int
    steps: int
    tokens: int  # in a step
    loss: float | None  # after the last step, of the whole held-out text
    seconds: float
    curve: tuple[tuple[int, float, float], ...]  # step, seconds of training, loss of ..
    # some windows, the same every time: see TrainConfig.evaluate_windows
    device: str = "cpu"
    processes: int = 1
    pace: float | None = None  # seconds of a step, the models of a text in turn

    @property
    def merit(self) -> tuple[float, ...]:
        """Not diverged, and the loss."""
        return self.loss is not None, -(self.loss or 0.0)

    @property
    def told(self) -> str:
        loss = "diverged" if self.loss is None else f"{self.loss:.4f}"
        return f"{loss} {self.model}: {self.corpus}, length {self.length}"


def as_run(values: Mapping[str, Any]) -> Run:
    """A row of the file; ValueError or TypeError if it is none."""
    return from_fields(TextRun if "corpus" in values else TaskRun, values)
