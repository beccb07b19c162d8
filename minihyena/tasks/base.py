"""What every task is: a generator, the scored positions, chance, an exact solver.

B batch, L length, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from minihyena.options import to_fields

__all__ = ["IGNORED", "Batch", "Examples", "Task", "choice", "distinct", "letters"]

IGNORED = -100  # a label that is not scored, as in torch's cross_entropy


class Batch(NamedTuple):
    """What the model reads, and what it should say at each position.

    inputs (B, L) ids, or (B, L, E) vectors; labels (B, L), IGNORED where nothing is
    scored (NaN where labels are numbers, not ids).
    """

    inputs: Tensor
    labels: Tensor

    @property
    def mask(self) -> Tensor:
        """(B, L): the scored positions."""
        return is_scored(self.labels)


def is_scored(labels: Tensor) -> Tensor:
    """Which labels are asked for, of any shape."""
    return ~labels.isnan() if labels.is_floating_point() else labels != IGNORED


class Task:
    """The base of all tasks, which are frozen dataclasses of their sizes.

    A size that makes the task impossible is refused with a ValueError.
    """

    vocab_size: int
    definition: ClassVar[str]  # whose task this is

    @property
    def input_length(self) -> int:
        """Positions of an input: what a model's max_length must hold."""
        raise NotImplementedError

    @property
    def chance(self) -> float:
        """Score of the best guess that does not look at the input."""
        raise NotImplementedError

    @property
    def for_training(self) -> "Task":
        """The same task with every position scored where the answer can be known."""
        return self

    @property
    def words(self) -> Sequence[str]:
        """The token of every id, as people read it."""
        raise NotImplementedError

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        """`size` fresh examples; every draw comes from `generator`."""
        raise NotImplementedError

    def solve(self, inputs: Tensor) -> Tensor:
        """inputs -> answers (B, L) without having learnt anything, as labels are."""
        raise NotImplementedError

    def score(self, answers: Tensor, labels: Tensor) -> float:
        """Share of the scored positions that are answered rightly."""
        mask = is_scored(labels)
        return float((answers == labels)[mask].double().mean())

    @torch.no_grad()
    def test(self, model: nn.Module, batch: Batch, at_once: int = 8192) -> float:
        """Score of `model(inputs)` -> logits (B, L, V), `at_once` tokens at a time."""
        rows = max(1, at_once // batch.labels.shape[1])
        device = next((p.device for p in model.parameters()), batch.inputs.device)
        was_training = model.training
        model.eval()
        try:
            found = [
                self.answers(model(part.to(device))).to(batch.labels.device)
                for part in torch.split(batch.inputs, rows)
            ]
        finally:  # also when interrupted
            model.train(was_training)
        return self.score(torch.cat(found), batch.labels)

    def answers(self, outputs: Tensor) -> Tensor:
        """A model's outputs (B, L, V) -> what it says at each position (B, L)."""
        return outputs[..., : self.vocab_size].argmax(-1)

    def example(self, *, generator: torch.Generator) -> str:
        """One example as text: the tokens, and below them the answers asked for."""
        [inputs], [labels] = self.batch(1, generator=generator)
        rows = self.spell(inputs), self.spell(labels)
        widths = [max(map(len, pair)) for pair in zip(*rows, strict=True)]
        return "\n".join(
            name + " ".join(f"{w:>{n}}" for w, n in zip(row, widths, strict=True))
            for name, row in zip(("reads  ", "answers"), rows, strict=True)
        )

    def spell(self, ids: Tensor) -> list[str]:
        """ids (L,) -> their words; "" where nothing is scored."""
        words = self.words
        return ["" if i == IGNORED else words[i] for i in ids.tolist()]


@dataclass(frozen=True)
class Examples:
    """A task as something to train on (a training.Source): endless fresh batches.

    The held-out rows are always the same, drawn from a seed of their own.
    """

    task: Task
    held_out: int = 256
    seed: int = 2**31

    @property
    def about(self) -> dict[str, Any]:
        """What tells it from other sources."""
        task = {"kind": type(self.task).__name__} | to_fields(self.task, {})
        return {"task": task, "held out": self.held_out, "seed": self.seed}

    def batch(
        self,
        split: str,
        batch_size: int,
        length: int,
        *,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Fresh examples, whichever split; `length` must be the task's."""
        self._check(length)
        if generator is None:
            generator = torch.default_generator
        return self.task.batch(batch_size, generator=generator)

    def windows(self, split: str, length: int) -> Batch:
        """The held-out rows."""
        self._check(length)
        generator = torch.Generator().manual_seed(self.seed)
        return self.task.batch(self.held_out, generator=generator)

    def _check(self, length: int) -> None:
        if length != self.task.input_length:
            raise ValueError(
                f"{self.task} has inputs of {self.task.input_length} positions; "
                f"got length = {length}"
            )


def choice(high: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Numbers below `high`, each as likely."""
    return torch.randint(high, tuple(shape), generator=generator)


def distinct(high: int, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(B, k) numbers below `high`, no two of a row the same, every order as likely.

    Floyd's algorithm on all rows at once: k draws a row however large `high` is.
    """
    rows, count = shape
    drawn = torch.empty(rows, count, dtype=torch.int64)
    for i, last in enumerate(range(high - count, high)):
        new = choice(last + 1, (rows,), generator)
        taken = (drawn[:, :i] == new[:, None]).any(1)
        drawn[:, i] = new.masked_fill(taken, last)
    order = torch.rand(rows, count, generator=generator).argsort(1)
    return drawn.gather(1, order)


def letters(count: int) -> list[str]:
    """Names for so many symbols: a .. z, then a1 .. z1, and so on."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return [alphabet[i % 26] + (str(i // 26) if i >= 26 else "") for i in range(count)]
