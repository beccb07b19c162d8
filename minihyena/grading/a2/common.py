"""What the parts of A2 share: the tolerance, sizes, and mistakes of other exercises."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from minihyena.grading.parts import (
    Parameters,
)
from minihyena.lessons.checking import Mistake
from minihyena.lessons.comparing import (
    Case,
    in_both_precisions,
    pick,
)
from minihyena.lessons.exercise import Function

__all__ = ["TOLERANCE", "dot", "handed", "in_both", "sizes"]


TOLERANCE = 1e-4  # rounding in float32 stays below it, an error of 1e-3 does not


def in_both(oracle: Function, args: tuple[object, ...], words: str) -> list[Case]:
    """The case in float32 and in float64."""
    return in_both_precisions(oracle, args, words, TOLERANCE)


def handed(mistakes: Sequence[Mistake], over: Callable[[Any], Function]) -> Any:
    """The mistakes of an exercise, their functions handed over to other arguments."""
    return tuple(replace(one, function=over(one.function)) for one in mistakes)


def sizes(
    given: Parameters, number: int, generator: torch.Generator, *names: str
) -> list[int]:
    """One of each thing in case 0, from two to the most there may be in the others."""
    most = [given[name] for name in names]
    return [1 if number == 0 else pick(2, count, generator) for count in most]


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """Number by number."""
    return sum(a * b for a, b in zip(one, other, strict=True))
