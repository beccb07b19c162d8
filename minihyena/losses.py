"""How wrong a model is: on a batch, and on held-out windows."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from minihyena.tasks.base import is_scored

__all__ = ["Source", "evaluate", "token_loss"]


class Source(Protocol):
    """What a model learns from; `corpora.Corpus` is one.

    All that it draws comes from `generator`. Where it has an `about`, a run that was
    kept notices that it has become another.
    """

    def batch(
        self,
        split: str,
        batch_size: int,
        length: int,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]: ...

    def windows(self, split: str, length: int) -> tuple[Tensor, Tensor]: ...


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

    `windows` of them, evenly spread over the split; None takes all. Raises ValueError
    for fewer than one.
    """
    if windows is not None and windows < 1:
        raise ValueError(f"a loss needs at least one window; got windows = {windows}")
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
