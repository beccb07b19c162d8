"""03.dft_matrix: the table of turning hands that makes a spectrum."""

import cmath
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.notebook_03.answers import as_pairs, first_wrong_number, in_pairs

__all__ = ["EXERCISE"]


def dft_matrix(n: int) -> Tensor:
    """n -> (n, n) complex: row k is a hand that turns k times, backwards, in n steps.

    W[k, t] = exp(-2 pi i k t / n), rows and columns counted from 0.
    """
    steps = torch.arange(n, dtype=torch.float64)
    return torch.exp(-2j * torch.pi * steps[:, None] * steps / n)


def matrix_by_loops(n: int) -> Tensor:
    rows = [[cmath.exp(-2j * cmath.pi * k * t / n) for t in range(n)] for k in range(n)]
    return torch.tensor(rows, dtype=torch.complex128)


def hands(angle: Callable[[Tensor, Tensor, int], Any]) -> Callable[[int], Tensor]:
    """n -> exp(i angle(k, t, n))."""

    def matrix(n: int) -> Tensor:
        steps = torch.arange(n, dtype=torch.float64)
        return torch.exp(1j * torch.as_tensor(angle(steps[:, None], steps, n)))

    return matrix


TURN = 2 * torch.pi
right = hands(lambda k, t, n: -TURN * k * t / n)
CIRCLE = "After how many steps must the hand of row 1 be back where it began?"
MATRIX_MISTAKES = (
    Mistake(
        "this is the inverse direction: bins 1 and n−1 are swapped",
        hands(lambda k, t, n: TURN * k * t / n),
        "Which way do the hands of a spectrum turn?",
    ),
    Mistake(
        "row 0 must be all ones: here rows and columns are counted from one",
        hands(lambda k, t, n: -TURN * (k + 1) * (t + 1) / n),
        "How far has a hand turned that does not turn?",
    ),
    Mistake(
        "row 0 must be all ones: here the rows are counted from one",
        hands(lambda k, t, n: -TURN * (k + 1) * t / n),
        "How often does the hand of row 0 turn?",
    ),
    Mistake(
        "at step 0 no hand has moved yet: here the steps are counted from one",
        hands(lambda k, t, n: -TURN * k * (t + 1) / n),
        "What stands in column 0?",
    ),
    Mistake(
        "the round trip divides by n twice: the factor 1/n belongs to the way back",
        lambda n: right(n) / n,
        "How long is a hand?",
    ),
    Mistake(
        "the factor 1/√n shares the division between there and back; here the way "
        "there has none",
        lambda n: right(n) / n**0.5,
        "How long is a hand?",
    ),
    Mistake(
        "the circle does not close: a full turn is 2π, and the 2π is missing",
        hands(lambda k, t, n: -k * t / n),
        CIRCLE,
    ),
    Mistake(
        "half a turn: row 1 comes only half way round in n steps, as π is no full turn",
        hands(lambda k, t, n: -torch.pi * k * t / n),
        CIRCLE,
    ),
    Mistake(
        "back one step too early: divide by n, not by n−1",
        hands(lambda k, t, n: -TURN * k * t / max(n - 1, 1)),
        CIRCLE,
    ),
    Mistake(
        "k and t are multiplied, not added: a hand that turns k times as fast",
        hands(lambda k, t, n: -TURN * (k + t) / n),
        "How far has hand 2 come when hand 1 has gone three steps?",
    ),
    Mistake(
        "only the cosines are there: without the sines a hand moves on a line",
        lambda n: right(n).real + 0j,
        "How do you tell a quarter past from a quarter to?",
    ),
    Mistake(
        "n // 2 + 1 rows: that is the short form for real signals; here all n bins",
        lambda n: right(n)[: n // 2 + 1],
        "How many different speeds are there?",
    ),
    Mistake(
        "this is the matrix of the way back: it turns forwards, and divides by n",
        lambda n: right(n).conj() / n,
        "Which way do the hands of a spectrum turn?",
    ),
)


def check_dft_matrix(fn: Function, *, generator: torch.Generator) -> None:
    """Every size from 1 to 4 and a larger one, against the definition."""
    cases = []
    for n in (1, 2, 3, 4, pick(5, 9, generator)):
        expected = in_pairs(matrix_by_loops(n))

        def run(fn: Function, n: int = n) -> object:
            return as_pairs(attempt(fn, n), (n, n))

        given = f"n = {n}; shown row by row, for each number real and imaginary part"
        cases.append(Case((n,), expected, given, run, tolerance=2e-5))
    question = "For n = 4 the hand of row 1 points to 1, -i, -1, i: what does yours do?"
    examine(fn, cases, MATRIX_MISTAKES, (first_wrong_number,), question)


EXERCISE = Exercise(
    id="03.dft_matrix",
    objective="Write the matrix that turns a signal into its spectrum.",
    answer=dft_matrix,
    hints=(
        "Row k is a hand that makes k full turns in n steps: through which angle has "
        "it gone after t of them?",
        "Make the column of k and the row of t with torch.arange; their product is a "
        "table. torch.exp(1j * angle) is a hand of length 1, and -2j turns it back.",
    ),
    checker=check_dft_matrix,
    points=10,
    minutes=10,
    stars=2,
)
