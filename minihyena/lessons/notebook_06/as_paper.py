"""06.as_paper: the operator of the authors' code, written as Def. 3.1."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import attempt, in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def as_paper(filters: Tensor, skips: Tensor) -> Tensor:
    """filters (N - 1, D, L) and skips (N - 1, D) of the authors' code -> (N, D, L).

    The N filters with which Def. 3.1 gives the same y from the same gates.
    """
    impulse = filters.new_zeros(1, *filters.shape[1:])
    impulse[..., 0] = 1
    return torch.cat([impulse, filters + skips[..., None] * impulse])


def filters_by_loops(filters: Tensor, skips: Tensor) -> Tensor:
    stages, width, length = filters.shape
    h = torch.zeros(stages + 1, width, length, dtype=torch.float64)
    for d in range(width):
        h[0, d, 0] = 1
        for n in range(stages):
            for t in range(length):
                h[n + 1, d, t] = filters[n, d, t] + (skips[n, d] if t == 0 else 0)
    return h.to(filters.dtype)


def impulse_like(filters: Tensor) -> Tensor:
    """One filter (1, D, L) that does nothing, also where there are no filters."""
    impulse = torch.zeros(1, *filters.shape[1:], dtype=filters.dtype)
    impulse[..., 0] = 1
    return impulse


def shifted(filters: Tensor, skips: Tensor) -> Tensor:
    return filters + skips[..., None] * impulse_like(filters)


PAPER_MISTAKES = (
    Mistake(
        "a filter of ones is a running sum, not the identity",
        lambda f, d: torch.cat([torch.ones_like(impulse_like(f)), shifted(f, d)]),
        "Which filter gives every signal back as it was?",
    ),
    Mistake(
        "a filter of zeros lets nothing through: it is not the identity",
        lambda f, d: torch.cat([0 * impulse_like(f), shifted(f, d)]),
        "Which filter gives every signal back as it was?",
    ),
    Mistake(
        "the identity belongs before the first gate, not behind the last",
        lambda f, d: torch.cat([shifted(f, d), impulse_like(f)]),
        "Which stage of the authors' code convolves nothing?",
    ),
    Mistake(
        "the skip acts at lag 0 only: it adds d · z[t] to output t, and nothing older",
        lambda f, d: torch.cat([impulse_like(f), f + d[..., None]]),
        "Which tap of a filter meets the newest input?",
    ),
    Mistake(
        "the skips are missing: each belongs to tap 0 of its filter",
        lambda f, d: torch.cat([impulse_like(f), f]),
        "Which tap of a filter meets the newest input?",
    ),
    Mistake(
        "the skip stands on the last tap, which meets the oldest input, not the newest",
        lambda f, d: torch.cat(
            [impulse_like(f), f + d[..., None] * impulse_like(f).flip(-1)]
        ),
        "Which tap of a filter meets the newest input?",
    ),
    Mistake(
        "the skip took the place of tap 0: it is added to what stands there",
        lambda f, d: torch.cat(
            [impulse_like(f), torch.cat([d[..., None], f[..., 1:]], -1)]
        ),
        "What do the filter's own tap 0 and the skip do together?",
    ),
    Mistake(
        "the skip is taken away where it should be added",
        lambda f, d: torch.cat([impulse_like(f), shifted(f, -d)]),
        "Is it h conv z plus d · z, or minus?",
    ),
    Mistake(
        "one filter is missing: Def. 3.1 convolves before the first gate, too",
        shifted,
        "Which filter does stage 1 of Def. 3.1 get?",
    ),
)


def answered(args: tuple[object, ...], fn: Function) -> object:
    """fn(*args); a list of N filters (D, L) is as good as one tensor (N, D, L)."""
    value = attempt(fn, *args)
    if isinstance(value, list | tuple) and value:
        parts = [part for part in value if isinstance(part, Tensor)]
        if len(parts) == len(value) and len({part.shape for part in parts}) == 1:
            return torch.stack(parts)
    return value


def check_as_paper(fn: Function, *, generator: torch.Generator) -> None:
    """Orders 2 to 4 against loops, small shapes first; at last order 1, no filters."""
    shapes = [(1, 1, 1), (1, 1, 2), (1, 1, 3), (2, 1, 3)]
    shapes += [(pick(2, 3, generator), pick(2, 3, generator), pick(4, 7, generator))]
    cases = []
    for shape in (*shapes, (0, 2, 3)):
        filters = short(*shape, generator=generator)
        skips = short(*shape[:2], generator=generator)
        given = f"filters {show(filters)}, shape {shape}, skips {show(skips)}"
        cases += [
            replace(case, run=partial(answered, case.args))
            for case in in_both_precisions(filters_by_loops, (filters, skips), given)
        ]
    question = "Which filter leaves a signal as it is, and what does the skip add?"
    examine(fn, cases, PAPER_MISTAKES, question=question)


EXERCISE = Exercise(
    id="06.as_paper",
    objective="Write the operator of the authors' code as one of Def. 3.1.",
    answer=as_paper,
    hints=(
        "Which filter, convolved with a signal, gives that very signal back?",
        "d · z[t] is what a filter of one tap d, at lag 0, makes of z. Two filters "
        "that work on the same z may be added. And the first stage convolves nothing.",
    ),
    checker=check_as_paper,
    points=15,
    minutes=15,
    stars=3,
)
