"""Copying: say the tokens that stood among blanks, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from minihyena.tasks.base import IGNORED, Batch, Task, choice, distinct, letters

__all__ = ["SelectiveCopying"]


@dataclass(frozen=True)
class SelectiveCopying(Task):
    """Tokens among blanks, then COPY and as many blanks: say the tokens there.

    With `interleaved` False the tokens stand together at the start, which one fixed
    delay solves: the control. `vocab_size` includes BLANK and COPY.
    Source: Gu and Dao 2023 (arXiv 2312.00752), 4.1.1, at the sizes of Poli et al. 2024
    (arXiv 2403.17844); places and blanks are drawn here from the one generator.
    """

    vocab_size: int = 16
    length: int = 256
    tokens: int = 16
    interleaved: bool = True
    definition: ClassVar[str] = "as in MAD, but reproducible"

    def __post_init__(self) -> None:
        if self.vocab_size < 3 or self.tokens < 1:
            raise ValueError(
                "selective copying needs vocab_size >= 3 and tokens >= 1; "
                f"got {self.vocab_size} and {self.tokens}"
            )
        if self.length < 2 * self.tokens + 1:
            raise ValueError(
                f"{self.tokens} tokens, COPY and {self.tokens} answers need length >= "
                f"{2 * self.tokens + 1}; got {self.length}"
            )

    @property
    def input_length(self) -> int:
        return self.length

    @property
    def chance(self) -> float:
        return 1 / (self.vocab_size - 2)

    @property
    def words(self) -> Sequence[str]:
        return [*letters(self.vocab_size - 2), ".", "COPY"]

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        blank, shape = self.vocab_size - 2, (size, self.tokens)
        data = choice(blank, shape, generator)
        places = torch.arange(self.tokens).expand(shape)
        if self.interleaved:
            room = self.length - self.tokens - 1
            places = distinct(room, shape, generator).sort(1).values
        inputs = torch.full((size, self.length), blank).scatter_(1, places, data)
        inputs[:, -self.tokens - 1] = blank + 1
        labels = torch.full_like(inputs, IGNORED)
        labels[:, -self.tokens :] = data
        return Batch(inputs, labels)

    def solve(self, inputs: Tensor) -> Tensor:
        """The tokens that are no blanks, in their order."""
        empty = (inputs == self.vocab_size - 2).int()
        order = empty.argsort(stable=True)[:, : self.tokens]
        answers = torch.full_like(inputs, IGNORED)
        answers[:, -self.tokens :] = inputs.gather(1, order)
        return answers
