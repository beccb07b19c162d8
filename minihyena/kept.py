"""What is made once in evaluation, and again when what it was made of has changed."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Kept"]


class Kept:
    """What is made of some tensors, kept until a number in one of them changes.

    They are compared with a copy, so that a change is noticed whatever makes it: a
    step of training, a loaded state, a hand. A copy of a Kept is empty.
    """

    def __init__(self) -> None:
        self.state: tuple[Hashable, list[Tensor], Any] = (None, [], None)

    def __reduce__(self) -> tuple[type["Kept"], tuple[()]]:
        return Kept, ()

    def __call__(
        self, tensors: Iterable[Tensor], key: Hashable, make: Callable[[], Any]
    ) -> Any:
        """make(), or what it gave when tensors and key were the same."""
        now = [*tensors]
        known, seen, made = self.state  # all at once: another thread may replace it
        if key != known or not _equal(now, seen):
            seen = [tensor.detach().clone() for tensor in now]
            made = make()
            self.state = key, seen, made
        return made


def _equal(now: list[Tensor], seen: list[Tensor]) -> bool:
    try:
        return len(now) == len(seen) and all(
            a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
            for a, b in zip(now, seen, strict=True)
        )
    except RuntimeError:  # under vmap no two tensors can be compared
        return False
