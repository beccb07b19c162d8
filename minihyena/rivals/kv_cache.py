"""What softmax attention remembers: the keys and values of all of its past."""

from typing import Self

import torch
from torch import Tensor

from minihyena.memory import Memory

__all__ = ["KVCache"]


class KVCache(Memory):
    """Keys and values of `length` steps to come; with a window w, of the last w.

    Copies share one buffer, of which each sees what it has written or was copied with.
    The first of them to go on writes into it, another takes a buffer of its own.
    """

    def __init__(self, length: int, window: int | None = None) -> None:
        self.window = length if window is None else min(window, length)
        # Twice the window, so that only every w-th step moves what is kept.
        self.room = length if window is None else min(2 * self.window, length)
        self.first = self.end = 0  # what is seen: buffer[..., first:end, :]
        self.buffer: Tensor | None = None  # (2, B, G, room, P)
        self.free = [0]  # where the buffer can be written; whoever goes on takes it

    @property
    def device(self) -> torch.device | None:
        return None if self.buffer is None else self.buffer.device

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """New keys and values (B, G, n, P) -> all that the newest query may read."""
        new = torch.stack([k, v])[..., -self.window :, :]
        steps = new.shape[-2]
        old, end = self.buffer, self.end
        fits = old is not None and end + steps <= self.room and not new.requires_grad
        if not (fits and self._take(end)):
            self.buffer = new.new_zeros(*new.shape[:-2], self.room, new.shape[-1])
            if old is not None:
                kept = old[..., max(self.first, end + steps - self.window) : end, :]
                end = kept.shape[-2]
                self.buffer[..., :end, :] = kept
            self.first, self.free = 0, []
        assert self.buffer is not None
        self.buffer[..., end : end + steps, :] = new
        self.end = end + steps
        self.free.append(self.end)
        self.first = max(self.first, self.end - self.window)
        k, v = self.buffer[..., self.first : self.end, :]
        return k, v

    def _take(self, end: int) -> bool:
        """Whether the place is free; of several threads that ask, one gets it."""
        try:
            self.free.remove(end)
        except ValueError:
            return False
        return True

    def to(self, device: torch.device | str) -> Self:
        moved = super().to(device)
        if moved.buffer is not self.buffer:
            moved.free = [moved.end]
        return moved
