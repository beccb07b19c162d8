"""04.extend: a filter is a function of time, so it goes on."""

from typing import Protocol

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


class Drawn(Protocol):
    """A filter as a function of time, built for `length` points from time 0 to 1."""

    length: int

    def at(self, times: Tensor) -> Tensor:
        """times (n,) -> (D, n): its value at each of them, also beyond 1."""
        ...


def extend(filter: Drawn, length: int) -> Tensor:
    """A filter built for L taps -> (D, length): the same L first, and then on.

    filter.length: L, its taps stand at L equally spaced times from 0 to 1.
    filter.at(times): (n,) -> (D, n), its value at any times, also beyond 1.
    """
    steps = torch.arange(length)
    return filter.at(steps / (filter.length - 1))


class Fading:
    """Decaying waves: what `at` gives in closed form, in one precision."""

    def __init__(self, length: int, numbers: Tensor) -> None:
        self.length = length
        self.numbers = numbers  # (3, D): turns, phase, decay

    def __repr__(self) -> str:
        return f"the filter built for L = {self.length}"

    def at(self, times: Tensor) -> Tensor:
        turns, phase, decay = self.numbers[..., None]
        t = torch.as_tensor(times).to(self.numbers.dtype)
        return torch.cos(turns * t + phase) * torch.exp(-decay * t)


def taps_one_by_one(filter: Drawn, length: int) -> Tensor:
    gap = 1 / (filter.length - 1)
    taps = [
        filter.at(torch.tensor([i * gap], dtype=torch.float64)) for i in range(length)
    ]
    return torch.cat(taps, -1)


def own(filter: Drawn) -> Tensor:
    """The taps it was built for, (D, L)."""
    return taps_one_by_one(filter, filter.length)


def many(filter: Drawn, length: int) -> Tensor:
    """Its own taps, again and again, (D, length)."""
    copies = -(-length // filter.length)
    return own(filter).repeat(1, copies)[:, :length]


def there_and_back(filter: Drawn, length: int) -> Tensor:
    both = torch.cat([own(filter), own(filter).flip(-1)], -1)
    return both.repeat(1, length)[:, :length]


def one_time_twice(filter: Drawn, length: int) -> Tensor:
    late = length - filter.length
    more = 1 + torch.arange(late, dtype=torch.float64) / (filter.length - 1)
    return torch.cat([own(filter), filter.at(more)], -1)


PREFIX = "At which times did the first L taps stand?"
BEYOND = "What does the function say at time 2?"
EXTEND_MISTAKES = (
    Mistake(
        "the first L values changed: you stretched the filter instead of continuing it",
        lambda filter, length: filter.at(torch.linspace(0, 1, length).double()),
        PREFIX,
    ),
    Mistake(
        "values after L are all 0; evaluate the function there",
        lambda filter, length: torch.nn.functional.pad(
            own(filter), (0, length - filter.length)
        ),
        BEYOND,
    ),
    Mistake("values after L copy the start: the filter is no ring", many, BEYOND),
    Mistake(
        "values after L run back to the start, as in a mirror",
        there_and_back,
        BEYOND,
    ),
    Mistake(
        "values after L stand still at the last one; time goes on",
        lambda filter, length: filter.at(
            (torch.arange(length).double() / (filter.length - 1)).clamp(max=1)
        ),
        BEYOND,
    ),
    Mistake(
        "the first L values changed: the gap between two taps is 1/(L−1), not 1/L",
        lambda filter, length: filter.at(torch.arange(length).double() / filter.length),
        "Between L posts, how many gaps are there?",
    ),
    Mistake(
        "the first L values changed: the gap belongs to the old length, not to the new",
        lambda filter, length: filter.at(torch.arange(length).double() / length),
        PREFIX,
    ),
    Mistake(
        "time 1 comes twice: the first new tap repeats the last old one",
        one_time_twice,
        "Which time comes one gap after 1?",
    ),
    Mistake(
        "the times count steps, 0, 1, 2, …; the last of the L taps stands at time 1",
        lambda filter, length: filter.at(torch.arange(length).double()),
        PREFIX,
    ),
    Mistake(
        "these are the L taps it had: the new ones are missing",
        lambda filter, length: own(filter),
        "How many taps were asked for?",
    ),
    Mistake(
        "only the new taps are there; the first L belong in front of them",
        lambda filter, length: taps_one_by_one(filter, length)[:, filter.length :],
        "How many taps were asked for?",
    ),
)


def check_extend(fn: Function, *, generator: torch.Generator) -> None:
    """One channel and several, twice as long, then others, in both precisions."""
    cases = []
    drawn = pick(5, 9, generator)
    for width, built, length in (
        (1, 2, 4),
        (1, 3, 6),
        (2, 5, 10),
        (3, drawn, 2 * drawn),
        (1, 4, 5),
        (2, 4, 13),
    ):
        numbers = torch.rand(3, width, generator=generator, dtype=torch.float64)
        numbers = 0.3 + numbers * torch.tensor([[9.0], [1.0], [2.0]]).double()
        for dtype in (torch.float32, torch.float64):
            filter = Fading(built, numbers.to(dtype))

            def run(
                fn: Function, filter: Fading = filter, length: int = length
            ) -> object:
                return attempt(fn, filter, length)

            given = f"a filter of {width} channel(s), built for L = {built}; "
            given += f"length = {length}"
            expected = taps_one_by_one(filter, length)
            cases.append(Case((filter, length), expected, given, run, tolerance=2e-5))
    question = "For L = 3: at which times do its taps stand, and where is the fourth?"
    doubled, others = cases[:8], cases[8:]
    examine(fn, doubled, EXTEND_MISTAKES, question=question)
    examine(fn, others, EXTEND_MISTAKES, question="And if it is not twice as long?")


EXERCISE = Exercise(
    id="04.extend",
    objective="Continue a filter beyond its length without changing what it was.",
    answer=extend,
    hints=(
        "Its L taps stand at equally spaced times from 0 to 1: how far apart are two?",
        "The gap is 1 / (L - 1), of the length it was built for. Ask filter.at for the "
        "times torch.arange(length) * gap, past 1 as well.",
    ),
    checker=check_extend,
    points=12,
    minutes=12,
    stars=3,
)
