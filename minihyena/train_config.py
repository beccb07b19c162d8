"""How a model is trained, and what a step of it says."""

import math
from dataclasses import dataclass

__all__ = ["Record", "TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """AdamW, linear warm-up, cosine decay; ends after `steps` or `minutes`.

    `minutes` counts training alone, evaluations and pauses not. With `patience`,
    training also ends after that many evaluations without a better one, and the model
    is put back to the best.
    """

    steps: int | None = None
    minutes: float | None = None
    length: int = 256
    batch_size: int = 8
    learning_rate: float = 8e-3
    final_rate: float = 0.05  # the last learning rate, as a share of the highest
    warmup: float = 0.02  # share of the run
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0  # of the gradient's norm
    evaluate_every: int = 100
    evaluate_windows: int | None = 64  # None: all of the validation text
    patience: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))  # files hold lists
        if self.steps is None and self.minutes is None:
            raise ValueError("say when to end: steps=..., minutes=... or both")
        sizes = ("steps", "minutes", "length", "batch_size", "learning_rate", "clip")
        for name in (*sizes, "evaluate_every", "evaluate_windows", "patience"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0 and finite; got {value}")
        for name in ("final_rate", "warmup", "weight_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0 .. 1; got {getattr(self, name)}")

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that is done after `step` steps and `seconds`: 0 .. 1."""
        by_step = step / self.steps if self.steps else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_step, by_time))

    def schedule(self, progress: float) -> float:
        """The learning rate at this point, as a share of the highest."""
        if progress < self.warmup:
            return progress / self.warmup
        done = (progress - self.warmup) / max(1 - self.warmup, 1e-9)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.final_rate + (1 - self.final_rate) * cosine


@dataclass(frozen=True)
class Record:
    """What one step did. Losses are in nats a token; FLOPs by formula, not measured."""

    step: int  # from 1
    loss: float  # of this batch, before the update
    learning_rate: float
    gradient_norm: float  # before clipping
    tokens: int  # seen so far
    flops: float  # spent so far: three forward passes a step
    seconds: float  # training time so far, without evaluations and pauses
    validation_loss: float | None = None  # after the update, where evaluated
