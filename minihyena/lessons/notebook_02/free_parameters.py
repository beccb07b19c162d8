"""02.free_parameters: how many numbers one must know to write a matrix down."""

from collections.abc import Callable

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]

KINDS = ("dense", "lower triangular", "causal Toeplitz", "circulant")


def free_parameters(kind: str, length: int) -> int:
    """How many numbers one must know to write down a length x length matrix.

    kind: "dense", "lower triangular", "causal Toeplitz" or "circulant". Entries that
    are always 0 need not be known.
    """
    counts = {
        "dense": length**2,
        "lower triangular": length * (length + 1) // 2,
        "causal Toeplitz": length,
        "circulant": length,
    }
    return counts[kind]


NAMES: dict[str, Callable[[int, int, int], int | None]] = {
    "dense": lambda t, s, L: t * L + s,
    "lower triangular": lambda t, s, L: t * L + s if s <= t else None,
    "causal Toeplitz": lambda t, s, L: t - s if s <= t else None,
    "circulant": lambda t, s, L: (t - s) % L,
}


def count_by_naming(kind: str, length: int) -> int:
    """Give each entry the name of the number that stands there, and count the names."""
    steps = range(length)
    names = {NAMES[kind](t, s, length) for t in steps for s in steps}
    return len(names - {None})


def instead(formula: Callable[[int], int], *kinds: str) -> Function:
    """Right but for this formula, wrongly used for these kinds."""

    def count(kind: str, length: int) -> int:
        return formula(length) if kind in kinds else count_by_naming(kind, length)

    return count


def triangle(length: int) -> int:
    return length * (length + 1) // 2


DRAW = "Draw the matrix for length 3 with a letter for each number: how many letters?"
ALONG = "How many different numbers stand on one diagonal?"
COUNT_MISTAKES = (
    Mistake(
        "entries on one diagonal are the same number: a Toeplitz matrix has fewer "
        "numbers than entries",
        instead(triangle, "causal Toeplitz"),
        ALONG,
    ),
    Mistake(
        "a causal filter has no negative lags: those diagonals hold zeros",
        instead(lambda n: 2 * n - 1, "causal Toeplitz"),
        DRAW,
    ),
    Mistake(
        "the present counts: the main diagonal belongs to the triangle",
        instead(lambda n: n * (n - 1) // 2, "lower triangular"),
        DRAW,
    ),
    Mistake(
        "the present counts: a causal filter has a tap for lag 0",
        instead(lambda n: n - 1, "causal Toeplitz"),
        DRAW,
    ),
    Mistake(
        "a triangle is half of the square and half of the diagonal: L² / 2 cuts the "
        "diagonal through",
        instead(lambda n: n * n // 2, "lower triangular"),
        DRAW,
    ),
    Mistake(
        "on a ring a lag of −1 is a lag of L − 1: those diagonals hold the same number",
        instead(lambda n: 2 * n - 1, "circulant"),
        DRAW,
    ),
    Mistake(
        "2L − 1 diagonals, but those above the main one are zeros in a causal matrix, "
        "and on a ring they hold the same numbers again",
        instead(lambda n: 2 * n - 1, "causal Toeplitz", "circulant"),
        DRAW,
    ),
    Mistake(
        "a circulant is filled everywhere, with numbers that repeat: each row is the "
        "one above, one step on",
        instead(lambda n: n * n, "circulant"),
        ALONG,
    ),
    Mistake(
        "a Toeplitz matrix is more than its entries: they repeat along each diagonal",
        instead(lambda n: n * n, "causal Toeplitz", "circulant"),
        ALONG,
    ),
    Mistake(
        "the kind makes a difference: here every matrix counts as dense",
        lambda kind, length: length**2,
        ALONG,
    ),
    Mistake(
        "a dense matrix has a number of its own in every entry, L² of them",
        lambda kind, length: length,
        DRAW,
    ),
    Mistake(
        "a dense matrix has a number of its own in every entry, above the diagonal, "
        "too",
        instead(triangle, "dense"),
        DRAW,
    ),
)


def check_free_parameters(fn: Function, *, generator: torch.Generator) -> None:
    """Every kind at small lengths and two drawn ones, against a count of names."""
    lengths = [1, 2, 3, 4, *sorted(pick(5, 40, generator) for _ in range(2))]
    cases = [
        Case((kind, n), count_by_naming(kind, n), f"kind = {kind!r}, length = {n}")
        for n in lengths
        for kind in KINDS
    ]
    examine(fn, cases, COUNT_MISTAKES, question=DRAW)


EXERCISE = Exercise(
    id="02.free_parameters",
    objective="Count what is free in a matrix, and what its structure has settled.",
    answer=free_parameters,
    hints=(
        "If somebody read you the matrix over the telephone, how many numbers would "
        "you have to write down before you can fill in the rest?",
        "All L² of a dense one; 1 + 2 + … + L of a triangle; one for each diagonal "
        "that is not zero of a Toeplitz matrix; the first column of a circulant.",
    ),
    checker=check_free_parameters,
    points=5,
    minutes=5,
    stars=1,
)
