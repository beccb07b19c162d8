"""12.context_span: how far back a stack of filters reads."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def context_span(filter_lengths: list[int]) -> int:
    """Taps of causal filters, one after the other -> how many inputs an output reads.

    The present counts: one filter of K taps reads K inputs, no filter at all reads 1.
    """
    return 1 + sum(taps - 1 for taps in filter_lengths)


def by_passing_on(filter_lengths: list[int]) -> int:
    """The oracle: which inputs are reached, filter after filter."""
    reached = {0}
    for taps in filter_lengths:
        reached = {lag + k for lag in reached for k in range(taps)}
    return len(reached)


def product(numbers: list[int]) -> int:
    made = 1
    for number in numbers:
        made *= number
    return made


PAPER = "Draw two filters of 3 taps on paper: which inputs does output 4 read?"
MISTAKES = (
    Mistake("spans add, they do not multiply", product, PAPER),
    Mistake(
        "stacking reaches further than the longest: each filter reads outputs that "
        "have read before",
        lambda lengths: max(lengths, default=1),
        PAPER,
    ),
    Mistake(
        "with no filter at all an output is its input, and reads that one",
        lambda lengths: by_passing_on(lengths) if lengths else 0,
        "What does an output read if nothing stands between it and the inputs?",
    ),
    Mistake(
        "the present is shared: 1 + Σ(K − 1), and this is the plain sum",
        lambda lengths: sum(lengths),
        "How far back does a filter with a single tap reach?",
    ),
    Mistake(
        "the present is missing: these are the steps back, without the step itself",
        lambda lengths: sum(taps - 1 for taps in lengths),
        "How many inputs does a filter with a single tap read?",
    ),
    Mistake(
        "one input too many: K taps reach K − 1 steps back",
        lambda lengths: 1 + sum(lengths),
        "How far back does a filter with a single tap reach?",
    ),
    Mistake(
        "only the last filter was counted",
        lambda lengths: lengths[-1] if lengths else 1,
        PAPER,
    ),
    Mistake(
        "only the first filter was counted",
        lambda lengths: lengths[0] if lengths else 1,
        PAPER,
    ),
    Mistake(
        "the filters may differ: all were taken for as long as the first",
        lambda lengths: 1 + len(lengths) * ((lengths or [1])[0] - 1),
        "What do 3 taps and 100 taps read together?",
    ),
)


def check_context_span(fn: Function, *, generator: torch.Generator) -> None:
    """No filter, one, equal ones, unequal ones in either order."""
    drawn = [pick(2, 9, generator) for _ in range(pick(3, 5, generator))]
    stacks = [[2, 2], [3, 2], [2, 3], [1], [5], [], [1, 1], [7, 7, 7], [3, 1, 4]]
    stacks += [[7, 64], drawn, drawn[::-1], [4, 128, 30 * pick(3, 9, generator)]]

    def run(fn: Function, lengths: list[int]) -> object:
        value = attempt(fn, lengths)
        if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
            return value.item()
        return value

    cases = [
        Case(
            (lengths,),
            by_passing_on(lengths),
            f"filter_lengths = {lengths}",
            lambda fn, lengths=lengths: run(fn, lengths),  # type: ignore[misc]
        )
        for lengths in stacks
    ]
    examine(fn, cases, MISTAKES, question=PAPER)


EXERCISE = Exercise(
    id="12.context_span",
    objective="Compute how many inputs an output of stacked causal filters reads.",
    answer=context_span,
    hints=(
        "Two filters of 2 taps: y[t] reads z[t] and z[t - 1]. Which inputs do those "
        "two read, and do they share one?",
        "Each filter adds its K - 1 steps back to what was reached before; begin with "
        "the one input that no filter reads.",
    ),
    checker=check_context_span,
    points=6,
    minutes=6,
    stars=1,
)
