"""00.count_pairs: how many pairs a causal mixer may touch."""

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def count_pairs(length: int) -> int:
    """The number of pairs (output, input) with input <= output, both below `length`."""
    return length * (length + 1) // 2


def pairs_by_loops(length: int) -> int:
    return sum(1 for t in range(length) for s in range(length) if s <= t)


def divided(fn: Function, failures: Failures) -> str | None:
    """Is every answer right, but a float?"""
    if all(isinstance(x, float) and x == case.expected for case, x in failures):
        return "`/` gives a float; `//` divides whole numbers"
    return None


PAIRS_MISTAKES = (
    Mistake(
        "this counts pairs in which the input comes after the output",
        lambda length: length * length,
        "May output 0 read input 1?",
    ),
    Mistake(
        "each position also reads itself",
        lambda length: length * (length - 1) // 2,
        "Which inputs does output 0 read?",
    ),
    Mistake(
        "right for L = 1 and 2 only; draw L = 3 and count",
        lambda length: 2 * length - 1,
        "How many inputs does output 2 read?",
    ),
    Mistake(
        "this counts each position with itself, or one input for each output",
        lambda length: length,
        "How many inputs does output 1 read?",
    ),
)


def check_count_pairs(fn: Function, *, generator: torch.Generator) -> None:
    """Small lengths first, then random ones, against a double loop."""
    lengths = [1, 2, 3, 4, *sorted(pick(5, 60, generator) for _ in range(4))]
    cases = [Case((n,), pairs_by_loops(n), f"length = {n}") for n in lengths]
    question = "What do you get when you draw the square and tick the pairs?"
    examine(fn, cases, PAIRS_MISTAKES, (divided,), question)


EXERCISE = Exercise(
    id="00.count_pairs",
    objective="Count the pairs that a causal mixer of length L may touch.",
    answer=count_pairs,
    hints=(
        "How many inputs may output 0 read? Output 1? Output t?",
        "Add 1 + 2 + ... + L: two copies of that staircase fill L by L + 1.",
    ),
    checker=check_count_pairs,
    points=5,
    minutes=5,
    stars=1,
)
