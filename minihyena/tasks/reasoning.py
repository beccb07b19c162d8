"""Majority, counting, addition and functions in context, as this project defines them.

Poli et al. 2023 (4.1 and Table 4.1) name them and show a row of each, but no generator
of them was released.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from minihyena.tasks.base import IGNORED, Batch, Task, choice, is_scored, letters

__all__ = ["Addition", "Counting", "LinearFunctions", "Majority"]

ROUNDS = 1000  # of redrawing, before a wish is called hopeless


@dataclass(frozen=True)
class Majority(Task):
    """Random symbols, then "?": which occurs most often?

    Drawn again until one leads by at least `margin`.
    """

    symbols: int = 4
    length: int = 32
    margin: int = 1
    definition: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        if self.symbols < 2 or not 1 <= self.margin <= self.length:
            raise ValueError(
                "majority needs symbols >= 2 and 1 <= margin <= length; "
                f"got {self.symbols}, {self.margin} and {self.length}"
            )

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        return self.symbols + 1

    @property
    def input_length(self) -> int:
        return self.length + 1

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def words(self) -> Sequence[str]:
        return [*letters(self.symbols), "?"]

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        """Raises ValueError for a margin that hardly ever occurs."""
        prompt = torch.empty(size, self.length, dtype=torch.int64)
        missing = torch.arange(size)
        for _ in range(ROUNDS):
            shape = (len(missing), self.length)
            prompt[missing] = choice(self.symbols, shape, generator)
            first, second = self._counts(prompt[missing]).topk(2).values.T
            missing = missing[first - second < self.margin]
            if not len(missing):
                break
        else:
            raise ValueError(
                f"a lead of {self.margin} among {self.length} of {self.symbols} symbols"
                " hardly ever occurs; take a smaller margin"
            )
        question = torch.full((size, 1), self.symbols)
        inputs = torch.cat([prompt, question], dim=1)
        return Batch(inputs, self.solve(inputs))

    def solve(self, inputs: Tensor) -> Tensor:
        """Count."""
        answers = torch.full_like(inputs, IGNORED)
        answers[:, -1] = self._counts(inputs[:, :-1]).argmax(1)
        return answers

    def _counts(self, prompt: Tensor) -> Tensor:
        """(B, symbols): how often each occurs."""
        counts = prompt.new_zeros(len(prompt), self.symbols)
        return counts.scatter_add_(1, prompt, torch.ones_like(prompt))


@dataclass(frozen=True)
class Counting(Task):
    """How often does the last symbol occur, itself included?

    1 .. `most` times, each as likely. The answers have ids of their own.
    """

    symbols: int = 4
    length: int = 32
    most: int = 8
    definition: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        if self.symbols < 2 or not 1 <= self.most <= self.length:
            raise ValueError(
                "counting needs symbols >= 2 and 1 <= most <= length; "
                f"got {self.symbols}, {self.most} and {self.length}"
            )

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        return self.symbols + self.most

    @property
    def input_length(self) -> int:
        return self.length

    @property
    def chance(self) -> float:
        return 1 / self.most

    @property
    def words(self) -> Sequence[str]:
        return [*letters(self.symbols), *map(str, range(1, self.most + 1))]

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        last = choice(self.symbols, (size, 1), generator)
        copies = choice(self.most, (size, 1), generator)  # besides the last
        others = choice(self.symbols - 1, (size, self.length - 1), generator)
        others += others >= last
        order = torch.rand(size, self.length - 1, generator=generator).argsort(1)
        rank = torch.arange(self.length - 1)
        is_copy = torch.empty_like(order, dtype=torch.bool)
        is_copy.scatter_(1, order, rank < copies)
        inputs = torch.cat([torch.where(is_copy, last, others), last], dim=1)
        labels = torch.full_like(inputs, IGNORED)
        labels[:, -1:] = self.symbols + copies
        return Batch(inputs, labels)

    def solve(self, inputs: Tensor) -> Tensor:
        """Count."""
        answers = torch.full_like(inputs, IGNORED)
        answers[:, -1] = self.symbols - 1 + (inputs == inputs[:, -1:]).sum(1)
        return answers


@dataclass(frozen=True)
class Addition(Task):
    """Two numbers of so many digits, then their sum, digit after digit.

    A label is the next token; the digits of the sum are scored, and an answer counts
    only if all of them are right (each said after the right ones before it). With
    `reverse` the sum comes lowest digit first, the way the carries run.
    """

    digits: int = 2
    reverse: bool = False
    definition: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        if self.digits < 1:
            raise ValueError(f"digits must be at least 1; got {self.digits}")

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        return 10

    @property
    def input_length(self) -> int:
        return 3 * self.digits

    @property
    def chance(self) -> float:
        return 10.0**-self.digits  # 99...9, the likeliest sum

    @property
    def words(self) -> Sequence[str]:
        return "0123456789"

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        numbers = choice(10, (size, 2 * self.digits), generator)
        rows = torch.cat([numbers, self._sum(numbers)], dim=1)
        labels = rows[:, 1:].clone()
        labels[:, : 2 * self.digits - 1] = IGNORED
        return Batch(rows[:, :-1], labels)

    def solve(self, inputs: Tensor) -> Tensor:
        """Add on paper."""
        answers = torch.full_like(inputs, IGNORED)
        answers[:, 2 * self.digits - 1 :] = self._sum(inputs[:, : 2 * self.digits])
        return answers

    def score(self, answers: Tensor, labels: Tensor) -> float:
        """Share of the rows whose sum is right in every digit."""
        right = (answers == labels) | ~is_scored(labels)
        return float(right.all(1).double().mean())

    def _sum(self, numbers: Tensor) -> Tensor:
        """Both numbers (B, 2 digits) -> the digits of their sum (B, digits + 1)."""
        total = numbers[:, : self.digits] + numbers[:, self.digits :]
        carry, found = torch.zeros_like(total[:, 0]), []
        for column in total.T.flip(0):  # from the lowest
            found.append((column + carry) % 10)
            carry = (column + carry) // 10
        found.append(carry)
        return torch.stack(found if self.reverse else found[::-1], dim=1)


@dataclass(frozen=True)
class LinearFunctions(Task):
    """x, w . x for one hidden w, again and again: what is w . x for the next x?

    Inputs are vectors (B, 2 pairs - 1, dimension + 1): x in the first entries, or w . x
    in the last; w and all x are standard normal. Labels are numbers, asked for at each
    x after the `dimension`-th, from where on they are determined (`scored` "all": at
    each x). Score: 1 - squared error / dimension, so that saying 0 scores 0.
    Source: Garg et al. 2022 (arXiv 2208.01066), in the form of this project.
    """

    dimension: int = 3
    pairs: int = 12
    scored: str = "answerable"
    definition: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        if self.dimension < 1 or self.pairs <= self.dimension:
            raise ValueError(
                "a function of `dimension` numbers needs more than as many pairs; "
                f"got {self.dimension} and {self.pairs}"
            )
        if self.scored not in ("answerable", "all"):
            raise ValueError(f'scored is "answerable" or "all"; got {self.scored!r}')

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        return 0  # vectors, not tokens

    @property
    def input_length(self) -> int:
        return 2 * self.pairs - 1

    @property
    def features(self) -> int:
        """Numbers in one input vector."""
        return self.dimension + 1

    @property
    def chance(self) -> float:
        return 0.0

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        w = torch.randn(size, self.dimension, 1, generator=generator)
        x = torch.randn(size, self.pairs, self.dimension, generator=generator)
        y = x @ w
        inputs = torch.zeros(size, 2 * self.pairs, self.features)
        inputs[:, ::2, :-1] = x
        inputs[:, 1::2, -1:] = y
        labels = torch.full((size, self.input_length), torch.nan)
        first = 0 if self.scored == "all" else self.dimension
        labels[:, 2 * first :: 2] = y[:, first:, 0]
        return Batch(inputs[:, :-1], labels)

    def solve(self, inputs: Tensor) -> Tensor:
        """Least squares on the pairs seen so far (the smallest w where many fit)."""
        x, y = inputs[:, ::2, :-1].double(), inputs[:, 1::2, -1:].double()
        answers = torch.full(inputs.shape[:2], torch.nan)
        for k in range(0 if self.scored == "all" else self.dimension, self.pairs):
            w = torch.linalg.pinv(x[:, :k]) @ y[:, :k]
            answers[:, 2 * k] = (x[:, k, None] @ w)[:, 0, 0]
        return answers

    def answers(self, outputs: Tensor) -> Tensor:
        """A model's numbers (B, L) are its answers."""
        return outputs

    def score(self, answers: Tensor, labels: Tensor) -> float:
        """1 - squared error / dimension: 1 if exact, 0 for saying 0, below if worse."""
        error = (answers - labels)[is_scored(labels)].double().square().mean()
        return 1 - float(error) / self.dimension

    def example(self, *, generator: torch.Generator) -> str:
        """One example as text, a pair on each line."""
        [inputs], [labels] = self.batch(1, generator=generator)
        lines = []
        for vector, label in zip(inputs.tolist(), labels.tolist(), strict=True):
            asked = "" if label != label else f"   w . x = {label:6.2f}, asked for"
            lines.append(" ".join(f"{number:6.2f}" for number in vector) + asked)
        return "\n".join(lines)
