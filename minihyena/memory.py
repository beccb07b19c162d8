"""What a mixer remembers between two steps, where a plain tensor does not do."""

from copy import copy
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["Memory"]


class Memory:
    """Something that grows step by step; its fields are tensors, numbers and tuples.

    A copy costs no memory, and neither of the two disturbs the other.
    """

    @property
    def device(self) -> torch.device | None:
        """Where its tensors are; None before it has any."""
        raise NotImplementedError

    def copy(self) -> Self:
        """Another one, at the same point of the same signal."""
        return copy(self)

    def to(self, device: torch.device | str) -> Self:
        """A copy on another device."""
        moved = copy(self)
        for name, value in vars(self).items():
            setattr(moved, name, _to(value, device))
        return moved

    @classmethod
    def kinds(cls) -> list[type["Memory"]]:
        """All classes below this one."""
        return [k for sub in cls.__subclasses__() for k in (sub, *sub.kinds())]


def _to(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to(x, device) for key, x in value.items()}
    if isinstance(value, tuple):
        return tuple(_to(x, device) for x in value)
    return value
