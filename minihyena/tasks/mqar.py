"""Multi-query recall: many keys, each asked for once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from minihyena.tasks.base import IGNORED, Batch, Task, choice, distinct

__all__ = ["MQAR"]


@dataclass(frozen=True)
class MQAR(Task):
    """Multi-query recall: all pairs first, then every key once more, far or near.

    The label at the second sight of a key is its value, at that position. Most second
    sights come soon: the gap is drawn with probability ~ (1 + gap)^(power - 1).
    `filled`: between the questions tokens of the whole vocabulary, not 0 alone.
    Source: Arora et al. 2023 (arXiv 2312.04927); HazyResearch/zoology.
    """

    vocab_size: int = 8192
    length: int = 64
    pairs: int = 4
    power: float = 0.01
    filled: bool = False
    definition: ClassVar[str] = "as in zoology"

    def __post_init__(self) -> None:
        if self.length % 2 or self.pairs < 1 or 4 * self.pairs > self.length:
            raise ValueError(
                f"{self.pairs} pairs and their questions need an even length of at "
                f"least {4 * max(self.pairs, 1)}; got {self.length}"
            )
        if self.vocab_size <= self.length:
            raise ValueError(
                f"MQAR needs vocab_size > length; got {self.vocab_size} and "
                f"{self.length}"
            )
        if not 0 < self.power <= 10:
            raise ValueError(f"power must be above 0, and 10 at most; got {self.power}")

    @property
    def input_length(self) -> int:
        return self.length

    @property
    def chance(self) -> float:
        return 1 / (self.vocab_size - self.vocab_size // 2)

    @property
    def words(self) -> Sequence[str]:
        return list(map(str, range(self.vocab_size)))

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        half, shape = self.vocab_size // 2, (size, self.pairs)
        keys = distinct(half - 1, shape, generator) + 1
        values = distinct(self.vocab_size - half, shape, generator) + half
        race = torch.rand(size, len(self._gaps), generator=generator).log_()
        race /= torch.from_numpy(self._gaps)  # the k first to arrive, in their order
        gaps = race.topk(self.pairs).indices
        batch = self._asked(keys, values, gaps)
        if self.filled:
            noise = choice(self.vocab_size, (size, self.length), generator)
            empty = batch.inputs == 0
            batch.inputs[empty] = noise[empty]
        return batch

    def released(self, size: int, seed: int) -> Batch:
        """The released examples of this seed, draw by draw (without filling)."""
        rng = np.random.RandomState(seed)
        half, gaps = self.vocab_size // 2, np.arange(len(self._gaps))

        def draw(pool: np.ndarray, p: np.ndarray | None = None) -> Tensor:
            rows = [
                rng.choice(pool, size=self.pairs, replace=False, p=p)
                for _ in range(size)
            ]
            return torch.from_numpy(np.stack(rows))

        keys, values = draw(np.arange(1, half)), draw(np.arange(half, self.vocab_size))
        return self._asked(keys, values, draw(gaps, self._gaps))

    @cached_property
    def _gaps(self) -> np.ndarray:
        """The probability of every gap."""
        count = (self.length - 2 * self.pairs) // 2
        p = self.power * np.arange(1, count + 1) ** (self.power - 1)
        return np.asarray(p / p.sum())

    def _asked(self, keys: Tensor, values: Tensor, gaps: Tensor) -> Batch:
        inputs = torch.zeros(len(keys), self.length, dtype=torch.int64)
        inputs[:, : 2 * self.pairs : 2] = keys
        inputs[:, 1 : 2 * self.pairs : 2] = values
        at = 2 * self.pairs + 2 * gaps
        labels = torch.full_like(inputs, IGNORED)
        return Batch(inputs.scatter(1, at, keys), labels.scatter(1, at, values))

    def solve(self, inputs: Tensor) -> Tensor:
        """Look every second key up among the pairs; fillings may be keys by chance."""
        pairs, rest = inputs[:, : 2 * self.pairs], inputs[:, 2 * self.pairs :]
        same = rest[:, :, None] == pairs[:, None, ::2]  # (B, rest, pairs)
        found = pairs[:, 1::2].gather(1, same.int().argmax(2))
        answers = torch.full_like(inputs, IGNORED)
        answers[:, 2 * self.pairs :] = found.masked_fill(~same.any(2), IGNORED)
        return answers
