"""Errors that teach: what was wrong, the numbers, and what to do."""

from collections.abc import Iterable
from difflib import SequenceMatcher

import torch
from torch import Tensor

__all__ = ["check_input", "check_length", "choose"]


def choose(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is among `known`; else say which names are, nearest first.

    Raises ValueError: f"unknown {kind} ...; known, nearest first: ...".
    """
    names = list(known)
    if name in names:
        return name

    def likeness(candidate: str) -> float:
        return SequenceMatcher(None, str(name).lower(), candidate.lower()).ratio()

    nearest = ", ".join(sorted(names, key=likeness, reverse=True))
    raise ValueError(f"unknown {kind} {name!r}; known, nearest first: {nearest}")


def check_length(length: int, max_length: int) -> None:
    """ValueError unless 1 <= length <= max_length: never a silent truncation."""
    if not 1 <= length <= max_length:
        raise ValueError(
            f"length {length} is outside 1 .. max_length = {max_length}; "
            "shorten the input or build with a larger max_length"
        )


def check_input(u: Tensor, weight: Tensor, max_length: int) -> None:
    """Whether a mixer whose first matrix is `weight` (streams, D) can take u (B, L, D).

    Raises ValueError for a wrong shape, length or device, TypeError for a dtype other
    than the weights' (under autocast any floating point number will do).
    """
    width = weight.shape[-1]
    if u.dim() != 3 or u.shape[-1] != width:
        raise ValueError(f"u must be (B, L, D) with D = {width}; got {tuple(u.shape)}")
    check_length(u.shape[1], max_length)
    if u.device != weight.device:
        raise ValueError(
            f"u is on {u.device}, the weights on {weight.device}; "
            "move one of them with .to(device)"
        )
    casting = torch.is_autocast_enabled(u.device.type) and u.is_floating_point()
    if u.dtype != weight.dtype and not casting:
        raise TypeError(
            f"u is {u.dtype}, the weights are {weight.dtype}; "
            "convert one of them with .to(dtype)"
        )
