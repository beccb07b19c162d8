"""02.toeplitz: the matrix that a causal convolution is."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def toeplitz(h: Tensor) -> Tensor:
    """h: (L,) -> (L, L): row t is what output t reads, T[t, s] = h[t - s].

    For a causal filter: nothing right of the diagonal.
    """
    lag = torch.arange(len(h))[:, None] - torch.arange(len(h))
    return h[lag] * (lag >= 0)


def matrix_by_loops(h: Tensor) -> Tensor:
    T = torch.zeros(len(h), len(h), dtype=h.dtype)
    for t in range(len(h)):
        for s in range(t + 1):
            T[t, s] = h[t - s]
    return T


def lags(h: Tensor) -> Tensor:
    """(L, L): t - s."""
    steps = torch.arange(len(h))
    return steps[:, None] - steps


def anti(h: Tensor) -> Tensor:
    """(L, L): h[t + s] where there is one, else 0."""
    total = lags(h).flip(1) + len(h) - 1
    return h[total.clamp(max=len(h) - 1)] * (total < len(h))


ROW = "Which inputs may output 0 read, and where do they stand in row 0?"
IMPULSE = "The answer to an impulse at step 1 is column 1: what is it?"
MATRIX_MISTAKES = (
    Mistake(
        "row 0 uses inputs 1…: the triangle points to the future, rows and columns "
        "are exchanged",
        lambda h: matrix_by_loops(h).T,
        ROW,
    ),
    Mistake(
        "entries above the diagonal are not zero: a symmetric table reads the future "
        "as much as the past; a causal filter has no taps for the future",
        lambda h: h[lags(h).abs()],
        ROW,
    ),
    Mistake(
        "top-right corner is h[1], not 0: the signal wraps, this is a circulant",
        lambda h: h[lags(h) % len(h)],
        ROW,
    ),
    Mistake(
        "the triangle is there, and each row runs backwards: the newest input meets "
        "tap 0",
        lambda h: (h * torch.ones_like(lags(h))).tril(),
        IMPULSE,
    ),
    Mistake(
        "every column is the whole filter: an impulse that comes later is answered "
        "later",
        lambda h: (h[:, None] * torch.ones_like(lags(h))).to(h.dtype),
        IMPULSE,
    ),
    Mistake(
        "every column begins with its own tap: an impulse is answered by h[0] first, "
        "whenever it comes",
        lambda h: (h[:, None] * torch.ones_like(lags(h))).tril(),
        IMPULSE,
    ),
    Mistake(
        "only the diagonal is filled: that multiplies each input by a tap of its own",
        lambda h: h.diag(),
        IMPULSE,
    ),
    Mistake(
        "only the diagonal is filled, with h[0]: this filter has no memory",
        lambda h: h[0] * torch.eye(len(h), dtype=h.dtype),
        IMPULSE,
    ),
    Mistake(
        "constant along the other diagonals, from top right to bottom left: the index "
        "is t − s, not t + s",
        anti,
        "By how much is output 3 later than input 1?",
    ),
    Mistake(
        "the diagonal is empty: the present counts, and its tap is h[0]",
        lambda h: matrix_by_loops(h).roll(1, 0).tril(-1),
        "Which tap does an output put on its own input?",
    ),
    Mistake(
        "the diagonal is empty: tap 0 is missing",
        lambda h: matrix_by_loops(h).tril(-1),
        "Which tap does an output put on its own input?",
    ),
    Mistake(
        "the filter is turned round: the newest input should meet tap 0",
        lambda h: matrix_by_loops(h.flip(0)),
        IMPULSE,
    ),
)


def reads_the_future(fn: Function, failures: Failures) -> str | None:
    """The first entry above the diagonal that is not 0."""
    for case, got in failures:
        if isinstance(got, Tensor) and got.shape == case.expected.shape:  # type: ignore[union-attr]
            above = got.triu(1).nonzero()
            if len(above):
                t, s = above[0].tolist()
                return f"output {t} reads input {s}, which comes later"
    return None


def check_toeplitz(fn: Function, *, generator: torch.Generator) -> None:
    """Small lengths and a larger one, both precisions, against a double loop."""
    cases = []
    for length in (1, 2, 3, 4, pick(5, 9, generator)):
        h = short(length, generator=generator)
        given = f"h = {show(h)}; shown row by row"
        cases += in_both_precisions(matrix_by_loops, (h,), given)
    question = "What does output 1 read of input 0, and what of input 1?"
    examine(fn, cases, MATRIX_MISTAKES, (reads_the_future,), question)
    made = [(case, case.outcome(fn)) for case in cases]
    if said := reads_the_future(fn, made):
        sentence = f"{said}: by very little, rounding perhaps; .tril() makes it 0"
        raise Incorrect(sentence, cases[2].given, question=ROW)


EXERCISE = Exercise(
    id="02.toeplitz",
    objective="Write the matrix that a causal convolution is.",
    answer=toeplitz,
    hints=(
        "Which tap stands in row 3, column 1: how much later is output 3 than input 1?",
        "torch.arange(L)[:, None] - torch.arange(L) is a table of all lags. Use it as "
        "an index into h, and multiply by (lag >= 0), which is 0 where the input is "
        "the later one.",
    ),
    checker=check_toeplitz,
    points=8,
    minutes=8,
    stars=1,
)
