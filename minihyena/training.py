"""One training loop, an iterator of steps: notebooks, terminal and tests all use it.

for record in train(model, corpus, TrainConfig(steps=1000)):
    ...                     # stop by leaving the loop, pause by not asking for more
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from minihyena.tasks.base import is_scored

__all__ = [
    "Diverged",
    "Record",
    "Source",
    "TrainConfig",
    "evaluate",
    "over_processes",
    "train",
]


class Source(Protocol):
    """What a model learns from; `corpora.Corpus` is one."""

    def batch(
        self,
        split: str,
        batch_size: int,
        length: int,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]: ...

    def windows(self, split: str, length: int) -> tuple[Tensor, Tensor]: ...


class Diverged(FloatingPointError):
    """Loss or gradient is not finite; the model is back at its last good state."""


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


def train(
    model: nn.Module,
    source: Source,
    config: TrainConfig,
    *,
    generator: torch.Generator | None = None,
) -> Iterator[Record]:
    """Train `model` (ids (B, L) -> logits (B, L, V)) in place, one record a step.

    The last record always has a validation loss. `generator` draws the batches.
    Where torch.distributed has begun, each process takes its rows of the same batches
    (so all must draw alike) and every record tells of all: the run is that of one
    process. Raises ValueError before the first step if the source is shorter than one
    window, the device is not here or there are more processes than rows; Diverged when
    a loss is no longer finite, naming the step, with the parameters of the last finite
    loss put back.
    """
    source.windows("train", config.length), source.windows("validation", config.length)
    _check_device(config.device)
    rank, world = _place(config)
    model.to(config.device)
    shared = DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.AdamW(
        _groups(model, config), betas=config.betas, eps=1e-8, fused=True
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    parameters = [p for p in model.parameters() if p.requires_grad]
    good, best = _Snapshot(parameters), _Snapshot(parameters)
    count = getattr(model, "flops", lambda length, batch: math.nan)
    cost = 3 * count(config.length, config.batch_size)
    lowest, waited, seconds, progress, step = math.inf, 0, 0.0, 0.0, 0
    while progress < 1:
        started = time.perf_counter()
        step += 1
        factor = config.schedule(config.progress(step, seconds))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        model.train()
        inputs, targets = source.batch(
            "train", config.batch_size, config.length, generator=generator
        )
        scored = is_scored(targets).sum() / world  # DDP takes the mean over processes
        if not scored:
            raise ValueError(f"step {step}: nothing is scored in this batch")
        x, y = (part[rank::world].to(config.device) for part in (inputs, targets))
        loss = token_loss(shared, x, y, scored)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(parameters, config.clip))
        mean = over_processes(loss.item())
        if not math.isfinite(mean):
            good.put_back()
        if not math.isfinite(mean + norm):
            found = f"loss {mean:.3g}, gradient norm {norm:.3g}"
            raise Diverged(_advice(step, found, config))
        good.take()
        optimizer.step()
        seconds = over_processes(seconds + time.perf_counter() - started)
        progress = config.progress(step, seconds)
        validation = None
        if step % config.evaluate_every == 0 or progress >= 1:
            held_out = evaluate(
                model, source, config.length, windows=config.evaluate_windows
            )
            validation = over_processes(held_out)
            if not math.isfinite(validation):  # this step's update spoilt the model
                good.put_back()
                found = f"validation loss {validation:.3g}"
                raise Diverged(_advice(step, found, config))
            waited += 1
            if validation < lowest:
                lowest, waited = validation, 0
                if config.patience is not None:
                    best.take()
            if config.patience is not None and waited >= config.patience:
                progress = 1.0
        tokens = step * config.batch_size * config.length
        yield Record(
            step,
            mean,
            config.learning_rate * factor,
            norm,
            tokens,
            cost * step,
            seconds,
            validation,
        )
    if config.patience is not None and lowest < math.inf:
        best.put_back()


def token_loss(
    model: nn.Module, inputs: Tensor, targets: Tensor, count: Tensor | None = None
) -> Tensor:
    """Cross-entropy, in nats, of the model's logits (B, L, V): the mean over what is
    scored, or the sum over `count`. Targets of -100 are not scored.

    Targets that are numbers, not ids, are compared with the model's numbers (B, L) by
    their squared error; those that are NaN are not scored.
    """
    outputs, asked = model(inputs), is_scored(targets)
    if targets.is_floating_point():
        total = (outputs - targets)[asked].square().sum()
    else:
        total = cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum")
    loss: Tensor = total / (asked.sum() if count is None else count)
    return loss


@torch.no_grad()
def evaluate(
    model: nn.Module,
    source: Source,
    length: int,
    *,
    split: str = "validation",
    windows: int | None = None,
    batch_size: int = 32,
) -> float:
    """Mean loss in nats a token over windows of `length` that do not overlap.

    `windows` of them, evenly spread over the split; None takes all.
    """
    inputs, targets = source.windows(split, length)
    if windows is not None and windows < len(inputs):
        chosen = torch.linspace(0, len(inputs) - 1, windows).round().long()
        inputs, targets = inputs[chosen], targets[chosen]
    device = next(model.parameters()).device
    was_training, total, count = model.training, 0.0, is_scored(targets).sum()
    model.eval()
    try:
        for i in range(0, len(inputs), batch_size):
            x, y = (part[i : i + batch_size].to(device) for part in (inputs, targets))
            total += token_loss(model, x, y, count).item()
    finally:  # also when interrupted
        model.train(was_training)
    return total


def _place(config: TrainConfig) -> tuple[int, int]:
    """This process's number, and how many share the work."""
    if not distributed.is_initialized():
        return 0, 1
    rank, world = distributed.get_rank(), distributed.get_world_size()
    if world > config.batch_size:
        raise ValueError(
            f"a batch of {config.batch_size} rows cannot be shared by {world} "
            "processes; take a larger batch_size"
        )
    return rank, world


def over_processes(number: float) -> float:
    """Its mean over all processes, the same in each."""
    if not distributed.is_initialized():
        return number
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(number, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total.item() / distributed.get_world_size()


class _Snapshot:
    """A copy of parameters, to be put back."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.copies = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def take(self) -> None:
        torch._foreach_copy_(self.copies, self.parameters)

    @torch.no_grad()
    def put_back(self) -> None:
        torch._foreach_copy_(self.parameters, self.copies)


def _advice(step: int, found: str, config: TrainConfig) -> str:
    return (
        f"step {step}: {found}; the model is back at its last good state; "
        f"try a learning rate below {config.learning_rate:g}"
    )


def _check_device(name: str) -> None:
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'device {name!r} cannot be used here: {reason}; "cpu" always can'
        ) from error


def _groups(model: nn.Module, config: TrainConfig) -> list[dict[str, object]]:
    if hasattr(model, "parameter_groups"):
        groups = model.parameter_groups(  # type: ignore[operator]
            config.learning_rate, config.weight_decay
        )
    else:
        everything = {"params": list(model.parameters()), "lr": config.learning_rate}
        groups = [everything | {"weight_decay": config.weight_decay}]
    return [group for group in groups if group["params"]]
