"""Mixing matrices to look at: found in a model, asked for H(u), told as facts."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minihyena.explore.parts import to_numpy
from minihyena.hyena import HyenaOperator, hyena_matrix
from minihyena.matrices import (
    effective_distance,
    jacobian,
    numerical_rank,
    row_sums,
    sign_balance,
)

__all__ = [
    "Seen",
    "facts_of",
    "inputs_of",
    "look",
    "mixers_of",
    "orders_of",
    "said_of",
]

NOTHING = 1e-6  # of the largest entry: rounding, not reading


@dataclass(frozen=True)
class Seen:
    """The matrices of one mixer for one input: `matrix(channel)` is (L, L)."""

    matrix: Callable[[int], Tensor]
    channels: int
    unit: str  # "channel" or "head"
    kind: str  # "H(u)", "H(u) up to order 1 of 2", "the matrix", "the Jacobian"


def mixers_of(model: Any) -> list[Any]:
    """The mixers of a model with `.blocks`, in depth order; or the mixer itself."""
    return [b.mixer for b in model.blocks] if hasattr(model, "blocks") else [model]


@torch.no_grad()
def inputs_of(model: Any, ids: Tensor) -> list[Tensor]:
    """The u (1, L, D) that ids (1, L) become for each mixer of a model."""
    seen: list[Tensor] = []
    hooks = [
        mixer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for mixer in mixers_of(model)
    ]
    training = model.training
    model.eval()
    try:
        model(ids.to(next(model.parameters()).device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return seen


def orders_of(mixer: Any) -> int:
    """How many partial products there are: the order of a Hyena, 1 of any other."""
    return mixer.config.order if isinstance(mixer, HyenaOperator) else 1


def look(mixer: Any, u: Tensor, order: int = 0) -> Seen:
    """The matrices of a mixer for u (1, L, D), of a Hyena after `order` stages; 0: all.

    A mixer that has no matrix shows its Jacobian d y[t, channel] / d u[s, channel].
    Raises ValueError if `mixer.matrix(u)` is not (1, C, L, L).
    """
    length, width = u.shape[1:]
    found = None
    with torch.no_grad(), suppress(NotImplementedError):  # a GRU has none
        if callable(getattr(mixer, "matrix", None)):
            found = mixer.matrix(u)
        if found is not None and order:
            found = hyena_matrix(mixer.streams(u)[1][:order])
    if found is None:
        parts = (lambda channel: jacobian(mixer, u, channel)[0]), width
        return Seen(*parts, "channel", "the Jacobian")
    if found.dim() != 4 or len(found) != 1 or found.shape[2:] != (length, length):
        raise ValueError(
            f"matrix(u) of u {tuple(u.shape)} must be (1, C, {length}, {length}), a "
            f"square for each of C channels or heads; got {tuple(found.shape)}"
        )
    kind = "H(u)" if isinstance(mixer, HyenaOperator) else "the matrix"
    return Seen(
        lambda channel: found[0, channel],
        found.shape[1],
        "channel" if found.shape[1] == width else "head",
        f"{kind} up to order {order} of {orders_of(mixer)}" if order else kind,
    )


def facts_of(matrix: Tensor, row: int, column: int) -> dict[str, Any]:
    """What can be read off a matrix (L, L), and off one of its cells."""
    M = torch.from_numpy(to_numpy(matrix)).double()
    size = M.abs()
    noise = NOTHING * float(size.max())
    sums = row_sums(M)
    return {
        "lowest": float(M.min()),
        "highest": float(M.max()),
        "largest": float(size.max()),
        "causal": float(size.triu(1).max()) <= noise,
        "negative": float(M.min()) < -noise,
        "positive": float(M.max()) > noise,
        "rows_sum_to_one": bool(((sums - 1).abs() < 1e-4).all()),
        "distance": float(effective_distance(M)),
        "negative_share": float(sign_balance(M)),
        "rank": int(numerical_rank(M, NOTHING)),
        "cell": float(M[row, column]),
        "cell_share": float(size[row, column] / size[row].sum().clamp(min=1e-30)),
        "row_sum": float(sums[row]),
    }


def said_of(facts: dict[str, Any]) -> str:
    """Signs and sums of one matrix, in words."""
    signs = {
        (True, True): "has entries of both signs",
        (False, True): "has no negative entry",
        (True, False): "has no positive entry",
        (False, False): "is 0 everywhere",
    }[facts["negative"], facts["positive"]]
    sums = "all" if facts["rows_sum_to_one"] else "do not all"
    return f"{signs} and its rows {sums} sum to 1"
