"""Recall and reasoning tasks, each with an exact generator and an exact solver."""

from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from torch import Tensor

__all__ = ["IGNORED", "AssociativeRecall"]

IGNORED = -100  # a label that is not scored, as in torch's cross_entropy


@dataclass(frozen=True)
class AssociativeRecall:
    """Key-value pairs, then one key again: name its value.

    `length` counts the prompt (length / 2 pairs); inputs have length + 2 tokens: the
    prompt, "=>" and the query. `vocab_size` includes the two special tokens "." and
    "=>". Seed for seed the generator released with Hyena (safari, synthetics.py).
    """

    vocab_size: int = 10
    length: int = 16

    def __post_init__(self) -> None:
        if self.vocab_size < 4 or self.length < 2:
            raise ValueError(
                "associative recall needs vocab_size >= 4 and length >= 2; "
                f"got {self.vocab_size} and {self.length}"
            )

    @property
    def symbols(self) -> list[str]:
        """The plain symbols in the released order: as strings, "10" before "2"."""
        return sorted(str(i) for i in range(self.vocab_size - 2))

    @property
    def keys(self) -> list[str]:
        return self.symbols[: (self.vocab_size - 2) // 2]

    @property
    def vocabulary(self) -> list[str]:
        """Token of every id: "." is 0 and "=>" the last."""
        return sorted([*self.symbols, ".", "=>"])

    @property
    def chance(self) -> float:
        """Accuracy of a blind guess among the values."""
        return 1 / (self.vocab_size - 2 - len(self.keys))

    @property
    def possible(self) -> int:
        """How many different rows (prompt, query, answer) there are."""
        pairs, values = self.length // 2, self.vocab_size - 2 - len(self.keys)

        def prompts(d: int) -> int:  # orders of the pairs in which d keys all occur
            return sum((-1) ** j * comb(d, j) * (d - j) ** pairs for j in range(d))

        keys = len(self.keys)
        return sum(
            comb(keys, d) * prompts(d) * values**d * d for d in range(1, keys + 1)
        )

    def example(self, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """inputs, labels: (length + 2,) each, labels one step ahead; the last is the
        answer. Training scores all labels, a test the last alone.
        """
        keys, values = self.keys, self.symbols[len(self.keys) :]
        pairs = {key: str(generator.choice(values)) for key in keys}
        tokens: list[str] = []
        seen: dict[str, None] = {}  # a set that keeps the order of first sight
        for _ in range(self.length // 2):
            key = str(generator.choice(keys))
            tokens += [key, pairs[key]]
            seen[key] = None
        query = str(generator.choice(keys))
        while query not in seen:
            query = str(generator.choice(list(seen)))
        tokens += ["=>", query, pairs[query]]
        index = {token: i for i, token in enumerate(self.vocabulary)}
        ids = torch.tensor([index[token] for token in tokens])
        return ids[:-1], ids[1:]

    def batch(self, size: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """inputs, labels (size, L): every label IGNORED but the answer."""
        examples = [self.example(generator) for _ in range(size)]
        inputs, labels = (torch.stack(part) for part in zip(*examples, strict=True))
        labels[:, :-1] = IGNORED
        return inputs, labels

    def distinct(self, size: int, generator: np.random.Generator) -> Tensor:
        """Rows (size, length + 3) of ids, the answer last, no two of them the same.

        The released data set is `distinct` for training, then for the test, from one
        generator (so a test row may also be a training row). Raises ValueError for
        more rows than there are.
        """
        if size > self.possible:
            raise ValueError(
                f"there are only {self.possible} different rows, not {size}; "
                "take a larger vocab_size or length"
            )
        rows = self._rows(size, generator)
        while len(rows := torch.unique(rows, sorted=False, dim=0)) < size:
            rows = torch.cat([rows, self._rows(size - len(rows), generator)])
        order = list(rows)
        generator.shuffle(order)
        return torch.stack(order)

    def _rows(self, size: int, generator: np.random.Generator) -> Tensor:
        examples = [self.example(generator) for _ in range(size)]
        return torch.stack([torch.cat([x, y[-1:]]) for x, y in examples])

    def solve(self, inputs: Tensor) -> Tensor:
        """inputs (B, length + 2) -> answers (B,): look the query up in the prompt."""
        prompt, query = inputs[:, :-2], inputs[:, -1:]
        found = (prompt[:, ::2] == query).int().argmax(-1, keepdim=True)
        return prompt[:, 1::2].gather(-1, found)[:, 0]
