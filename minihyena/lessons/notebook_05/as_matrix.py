"""05.as_matrix: a gated convolution as one matrix, diag(x) S_h."""

import torch
from torch import Tensor

from minihyena.conv import toeplitz
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def as_matrix(x: Tensor, h: Tensor) -> Tensor:
    """x: (L,), h: (K <= L,) -> (L, L): the matrix of v -> x times (h convolved with v).

    Row t is what output t reads: diag(x) S, with S[t, s] = h[t - s].
    """
    return x[:, None] * toeplitz(h, len(x))


def matrix_by_loops(x: Tensor, h: Tensor) -> Tensor:
    matrix = torch.zeros(len(x), len(x), dtype=torch.float64)
    for t in range(len(x)):
        for s in range(t + 1):
            if t - s < len(h):
                matrix[t, s] = x[t].double() * h[t - s].double()
    return matrix.to(x.dtype)


def upper_triangle(fn: Function, failures: Failures) -> str | None:
    """Does output 0 read input 1?"""
    matrices = [got for _, got in failures if isinstance(got, Tensor)]
    if len(matrices) == len(failures) and all(
        got.dim() == 2 and got.triu(1).any() for got in matrices
    ):
        return "the upper triangle is not zero: some output reads a later input"
    return None


def filled(x: Tensor, h: Tensor) -> Tensor:
    """h at all L lags."""
    return torch.cat([h, h.new_zeros(len(x) - len(h))])


MATRIX_MISTAKES = (
    Mistake(
        "columns are scaled where rows should be: that is a pre-gate",
        lambda x, h: toeplitz(h, len(x)) * x,
        "Which outputs does x[0] belong to, and in which row do they stand?",
    ),
    Mistake(
        "still constant along diagonals: the filter was gated, and no data control "
        "is left",
        lambda x, h: toeplitz(x * filled(x, h), len(x)),
        "Should x[t] depend on the lag, or on the place?",
    ),
    Mistake(
        "the upper triangle is no longer zero: the gate was added, not multiplied",
        lambda x, h: x[:, None] + toeplitz(h, len(x)),
        "What does row t become if x[t] is zero?",
    ),
    Mistake(
        "rows and columns are exchanged: row t is what output t reads",
        lambda x, h: (x[:, None] * toeplitz(h, len(x))).T,
        "On which side of the diagonal is the past?",
    ),
    Mistake(
        "this is the filter alone: no gate has touched it",
        lambda x, h: toeplitz(h, len(x)),
        "What should change in the matrix when x does?",
    ),
    Mistake(
        "this is the gate alone: nothing moves from place to place",
        lambda x, h: torch.diag(x),
        "Where does the filter enter?",
    ),
    Mistake(
        "every row holds the same taps: the filter must start anew at each diagonal",
        lambda x, h: (x[:, None] * filled(x, h)).tril(),
        "At which column does h[0] stand in row 2?",
    ),
    Mistake(
        "gated on both sides: rows and columns are scaled",
        lambda x, h: x[:, None] * toeplitz(h, len(x)) * x,
        "How often does x stand in the formula?",
    ),
)


def check_as_matrix(fn: Function, *, generator: torch.Generator) -> None:
    """Random lengths, short and full filters, both precisions, against the loop."""
    cases = []
    long = pick(5, 9, generator)
    for length, taps in ((2, 2), (3, 3), (4, 2), (long, 3), (long, long)):
        x, h = (short(size, generator=generator) for size in (length, taps))
        given = f"x = {show(x)}, h = {show(h)}"
        cases += in_both_precisions(matrix_by_loops, (x, h), given)
    question = "Which two numbers should be multiplied at row 1, column 0?"
    examine(fn, cases, MATRIX_MISTAKES, (upper_triangle,), question)


EXERCISE = Exercise(
    id="05.as_matrix",
    objective="Write a gated convolution as one matrix.",
    answer=as_matrix,
    hints=(
        "The gate multiplies output t by x[t]: is that a row or a column?",
        "toeplitz(h, L) is the filter as a matrix; x[:, None] * ... scales its rows.",
    ),
    checker=check_as_matrix,
    points=8,
    minutes=8,
    stars=2,
)
