"""Recall: say what stood beside this key before."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import comb
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from minihyena.tasks.base import IGNORED, Batch, Task, choice

__all__ = ["AssociativeRecall", "InductionHeads"]


class Strings(Task):
    """Ids of the released tasks: strings sorted as strings, so "10" before "2"."""

    @cached_property
    def symbols(self) -> list[str]:
        """The plain symbols in the released order."""
        return sorted(str(i) for i in range(self.vocab_size - 2))

    @property
    def words(self) -> list[str]:
        """Token of every id: "." is 0 and "=>" the last."""
        return [".", *self.symbols, "=>"]

    @property
    def arrow(self) -> int:
        """Id of "=>", after which the question stands."""
        return self.vocab_size - 1


@dataclass(frozen=True)
class AssociativeRecall(Strings):
    """Key-value pairs, then one key again: name its value.

    `length` counts the prompt (length / 2 pairs, an odd token is left out); inputs have
    two tokens more: the prompt, "=>" and the query. `vocab_size` includes the two
    special tokens "." and "=>". A label is the next token. `scored` says which:
    "answer" the last alone (as the released test), "answerable" also each value whose
    key was seen before, "all" every label (as the released training; most of them
    nobody can know). A key comes again after `keys` pairs in the mean, however long the
    prompt: more length asks a model not to drown rather than not to forget; more keys
    ask for both.
    Source: Poli et al. 2023, 4.1; HazyResearch/safari, synthetics.py.
    """

    vocab_size: int = 10
    length: int = 16
    scored: str = "answer"
    definition: ClassVar[str] = "as released with Hyena"

    def __post_init__(self) -> None:
        if self.vocab_size < 4 or self.length < 2:
            raise ValueError(
                "associative recall needs vocab_size >= 4 and length >= 2; "
                f"got {self.vocab_size} and {self.length}"
            )
        if self.scored not in ("answer", "answerable", "all"):
            raise ValueError(
                f'scored is "answer", "answerable" or "all"; got {self.scored!r}'
            )

    @property
    def keys(self) -> list[str]:
        """The first half of the symbols; the others are values."""
        return self.symbols[: (self.vocab_size - 2) // 2]

    @property
    def pairs(self) -> int:
        """How many pairs the prompt has."""
        return self.length // 2

    @property
    def input_length(self) -> int:
        return 2 * self.pairs + 2

    @property
    def chance(self) -> float:
        return 1 / (self.vocab_size - 2 - len(self.keys))

    @property
    def for_training(self) -> "AssociativeRecall":
        return replace(self, scored="answerable")

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        keys = len(self.keys)
        values = choice(self.vocab_size - 2 - keys, (size, keys), generator) + keys + 1
        drawn = choice(keys, (size, self.pairs), generator)
        found = values.gather(1, drawn)
        absent = torch.ones(size, keys).scatter_(1, drawn, 0.0)
        lot = torch.rand(size, keys, generator=generator) - absent
        query = lot.argmax(1, keepdim=True)
        pairs = torch.stack([drawn + 1, found], dim=-1).flatten(1)
        arrow = torch.full((size, 1), self.arrow)
        rows = torch.cat([pairs, arrow, query + 1, values.gather(1, query)], dim=1)
        return self.ask(rows)

    def ask(self, rows: Tensor) -> Batch:
        """Rows (B, length + 3), the answer last -> inputs and the labels scored."""
        inputs, labels = rows[:, :-1], rows[:, 1:].clone()
        if self.scored != "all":
            asked = self._looked_up(inputs)[1]
            if self.scored == "answer":
                asked[:, :-1] = False
            labels[~asked] = IGNORED
        return Batch(inputs, labels)

    def solve(self, inputs: Tensor) -> Tensor:
        """Look every key up in what came before; with "all" most labels are IGNORED."""
        values, known = self._looked_up(inputs)
        if self.scored == "answer":
            known[:, :-1] = False
        return values.masked_fill(~known, IGNORED)

    def _looked_up(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L): the value of the key that stands here, and whether it is known."""
        keys = len(self.keys)
        value_of = torch.full((len(inputs), self.vocab_size), IGNORED)
        value_of.scatter_(1, inputs[:, :-2:2], inputs[:, 1:-2:2])
        time = torch.arange(inputs.shape[1]).expand_as(inputs)
        first = torch.full_like(value_of, inputs.shape[1])
        first.scatter_reduce_(1, inputs, time, "amin")
        seen = (first.gather(1, inputs) < time) & (inputs >= 1) & (inputs <= keys)
        return value_of.gather(1, inputs), seen

    def released(self, rng: np.random.Generator) -> Tensor:
        """One row (length + 3,), the answer last, draw by draw as the released code."""
        keys, values = self.keys, self.symbols[len(self.keys) :]
        pairs = {key: str(rng.choice(values)) for key in keys}
        tokens: list[str] = []
        seen: dict[str, None] = {}  # a set that keeps the order of first sight
        for _ in range(self.pairs):
            key = str(rng.choice(keys))
            tokens += [key, pairs[key]]
            seen[key] = None
        query = str(rng.choice(keys))
        while query not in seen:
            query = str(rng.choice(list(seen)))
        tokens += ["=>", query, pairs[query]]
        index = {token: i for i, token in enumerate(self.words)}
        return torch.tensor([index[token] for token in tokens])

    def released_split(self, size: int, rng: np.random.Generator) -> Tensor:
        """Rows (size, length + 3), the answer last, no two of them the same.

        The released data set is this for training, then for the test, from one rng (so
        a test row may also be a training row). Raises ValueError for more rows than
        there are.
        """
        if size > self.possible:
            raise ValueError(
                f"there are only {self.possible} different rows, not {size}; "
                "take a larger vocab_size or length"
            )
        rows = torch.empty(0, self.input_length + 1, dtype=torch.int64)
        while (missing := size - len(rows)) > 0:
            new = torch.stack([self.released(rng) for _ in range(missing)])
            rows = torch.unique(torch.cat([rows, new]), dim=0)
        order = list(rows)
        rng.shuffle(order)
        return torch.stack(order)

    @property
    def possible(self) -> int:
        """How many different rows (prompt, query, answer) there are."""
        keys, values = len(self.keys), self.vocab_size - 2 - len(self.keys)

        def prompts(d: int) -> int:  # orders of the pairs in which d keys all occur
            return sum((-1) ** j * comb(d, j) * (d - j) ** self.pairs for j in range(d))

        return sum(
            comb(keys, d) * prompts(d) * values**d * d for d in range(1, keys + 1)
        )


@dataclass(frozen=True)
class InductionHeads(Strings):
    """Random tokens with "=>" somewhere; after the last "=>" say what followed it.

    `length` tokens, then "=>". `triggers`: how often "=>" may stand before (an even
    chance of this number or of one; those too near each other are dropped), always
    followed by the same `answer` tokens.
    Source: Olsson et al. 2022 (arXiv 2209.11895); HazyResearch/safari, synthetics.py.
    """

    vocab_size: int = 20
    length: int = 40
    answer: int = 1
    triggers: int = 1
    definition: ClassVar[str] = "as released with Hyena"

    def __post_init__(self) -> None:
        if self.vocab_size < 3 or self.answer < 1 or self.triggers < 1:
            raise ValueError(
                "induction heads needs vocab_size >= 3, answer >= 1 and triggers >= 1; "
                f"got {self.vocab_size}, {self.answer} and {self.triggers}"
            )
        if self.triggers > self.length:
            raise ValueError(
                f"{self.triggers} triggers do not fit into length {self.length}"
            )
        if self.length < self.answer + 2:
            raise ValueError(
                f"a trigger and {self.answer} tokens after it need length >= "
                f"{self.answer + 2}; got {self.length}"
            )

    @property
    def input_length(self) -> int:
        return self.length + self.answer

    @property
    def chance(self) -> float:
        return 1 / (self.vocab_size - 2)

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        tokens = choice(self.vocab_size - 2, (size, self.length), generator) + 1
        many = torch.rand(size, generator=generator) >= 0.5
        where = (size, self.triggers)
        places = choice(self.length - 1 - self.answer, where, generator)
        used = torch.where(many, self.triggers, 1)
        return self.ask(self._triggered(tokens, places, used))

    def ask(self, rows: Tensor) -> Batch:
        """Rows (B, length + 1 + answer) -> inputs, and the answer alone as labels."""
        inputs, labels = rows[:, :-1], rows[:, 1:].clone()
        labels[:, : -self.answer] = IGNORED
        return Batch(inputs, labels)

    def solve(self, inputs: Tensor) -> Tensor:
        """What stood after the first "=>"."""
        first = (inputs == self.arrow).int().argmax(1, keepdim=True)
        answers = torch.full_like(inputs, IGNORED)
        after = first + 1 + torch.arange(self.answer)
        answers[:, -self.answer :] = inputs.gather(1, after)
        return answers

    def released(self, rng: np.random.Generator) -> Tensor:
        """One row (length + 1 + answer,), draw by draw as the released code."""
        p = np.full(self.vocab_size, 1 / (self.vocab_size - 2))
        p[[0, -1]] = 0
        tokens = torch.from_numpy(rng.choice(self.vocab_size, self.length, p=p))
        used = 1 if rng.uniform() < 0.5 else self.triggers
        places = rng.integers(self.length - 1 - self.answer, size=used)
        return self._triggered(
            tokens[None], torch.from_numpy(places)[None], torch.tensor([used])
        )[0]

    def _triggered(self, tokens: Tensor, places: Tensor, used: Tensor) -> Tensor:
        """tokens (B, length) with "=>" and the answer at the first `used` places that
        are far enough apart, and both once more at the end.
        """
        never = self.length
        rank = torch.arange(places.shape[1])
        places = places.masked_fill(rank >= used[:, None], never).sort(1).values
        first = places[:, :1] + 1 + torch.arange(self.answer)
        answer = tokens.gather(1, first)
        end = torch.cat([torch.full_like(answer[:, :1], self.arrow), answer], dim=1)
        rows = torch.cat([tokens, end], dim=1)
        last = places[:, 0] - never
        for place in places.T:
            keep = ((place - last) > self.answer) & (place < never)
            last = torch.where(keep, place, last)
            at = torch.where(keep, place, never)[:, None]  # else where it stands anyway
            rows.scatter_(1, at + torch.arange(self.answer + 1), end)
        return rows
