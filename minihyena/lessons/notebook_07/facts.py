"""07.facts: what can be said of a mixing matrix, without looking at it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]

NAMES = ("causal", "non_negative", "rows_sum_to_one", "rank")


def facts(M: Tensor) -> dict[str, bool | int]:
    """M: (L, L) -> {"causal", "non_negative", "rows_sum_to_one": bool, "rank": int}.

    Causal: nothing right of the diagonal. A sum within 1e-5 of 1 is 1.
    """
    causal, non_negative = not M.triu(1).any(), bool((M >= 0).all())
    ones = bool(((M.sum(1) - 1).abs() < 1e-5).all())
    rank = int(torch.linalg.matrix_rank(M))
    signs = {"causal": causal, "non_negative": non_negative}
    return signs | {"rows_sum_to_one": ones, "rank": rank}


def facts_by_loops(M: Tensor) -> list[int]:
    """In the order of NAMES, as whole numbers."""
    rows, places = M.double().tolist(), range(len(M))
    causal = all(rows[t][s] == 0 for t in places for s in places if s > t)
    non_negative = all(x >= 0 for row in rows for x in row)
    ones = all(abs(sum(row) - 1) < 1e-5 for row in rows)
    return [int(causal), int(non_negative), int(ones), rank_by_elimination(rows)]


def rank_by_elimination(rows: list[list[float]]) -> int:
    """How many rows can be taken, the largest entry first, until nothing is left."""
    rank = 0
    while rows:
        size, t, s = max(
            (abs(x), t, s) for t, row in enumerate(rows) for s, x in enumerate(row)
        )
        if size < 1e-5:
            break
        pivot, rank = rows.pop(t), rank + 1
        rows = [
            [x - row[s] / pivot[s] * p for x, p in zip(row, pivot, strict=True)]
            for row in rows
        ]
    return rank


def listed(value: object) -> list[int]:
    """The learner's dictionary in the order of NAMES; Incorrect if it is none."""
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise Incorrect(f"the answer is of type {kind}, not dict")
    missing = [name for name in NAMES if name not in value]
    if missing:
        raise Incorrect(f"the dictionary has no {', '.join(map(repr, missing))}")
    for name in NAMES:
        one = value[name]
        if isinstance(one, Tensor) and one.dim() > 0:
            raise Incorrect(f"{name!r} has shape {tuple(one.shape)}: one answer for M")
        if name == "rank" and (isinstance(one, bool) or int(one) != one):
            raise Incorrect(f"'rank' is {one!r:.20}: a rank is a whole number")
    return [int(value[name]) for name in NAMES]


def with_one_wrong(name: str, wrong: Callable[[Tensor], Any]) -> Function:
    """facts, one of them found by another rule."""
    return lambda M: {**facts(M), name: wrong(M)}


def of_another(change: Callable[[Tensor], Tensor]) -> Function:
    """The facts of a changed matrix."""
    return lambda M: facts(change(M))


HIDDEN = "a negative entry was hidden"
SIGN = "What does .abs() do to a -1?"
# The mistake that fails in fewer cases comes first.
FACTS_MISTAKES = (
    Mistake(
        "a row that sums to 1.0000001 counts: numbers are rounded",
        with_one_wrong("rows_sum_to_one", lambda M: (M.sum(1) == 1).all()),
        "How exact is a sum of float32 numbers?",
    ),
    Mistake(
        "all rows together sum to L, and yet a single one need not sum to 1",
        with_one_wrong("rows_sum_to_one", lambda M: ones(M.sum() / len(M))),
        "What if one row sums to 0 and another to 2?",
    ),
    Mistake(
        "one row sums to 1, not all",
        with_one_wrong("rows_sum_to_one", lambda M: bool(near(M.sum(1)).any())),
        "Is it enough if one row does?",
    ),
    Mistake(
        "these are the sums of the columns",
        with_one_wrong("rows_sum_to_one", lambda M: ones(M.sum(0))),
        "Along which axis does a row run?",
    ),
    Mistake(
        "an output may read its own input: the diagonal is no future",
        with_one_wrong("causal", lambda M: not M.triu().any()),
        "Which inputs come after output t?",
    ),
    Mistake(
        "causal looks left of the diagonal; the future stands right of it",
        with_one_wrong("causal", lambda M: not M.tril(-1).any()),
        "Which inputs come after output t?",
    ),
    Mistake(
        "every matrix has row sums 1 after softmax: test the matrix itself",
        of_another(lambda M: M.softmax(-1)),
        "Whose facts are these, M's or softmax's?",
    ),
    Mistake(
        "every matrix has row sums 1 after softmax: sum the matrix itself",
        with_one_wrong("rows_sum_to_one", lambda M: True),
        "Which rows would not sum to 1 then?",
    ),
    Mistake(HIDDEN, with_one_wrong("non_negative", lambda M: True), SIGN),
    Mistake(HIDDEN, of_another(lambda M: M.abs()), SIGN),
    Mistake(
        "two equal rows add one to the rank",
        with_one_wrong("rank", lambda M: M.any(-1).sum()),
        "What does a second copy of a row tell you?",
    ),
    Mistake(
        "the rank is not the number of rows",
        with_one_wrong("rank", len),
        "What does a second copy of a row tell you?",
    ),
    Mistake(
        "a delay has zeros on the diagonal, and yet a rank: count what the rows span",
        with_one_wrong("rank", lambda M: int((M.diagonal() != 0).sum())),
        "What is the rank of [[0, 0], [1, 0]]?",
    ),
    Mistake(
        "a 0 is not negative",
        with_one_wrong("non_negative", lambda M: (M > 0).all()),
        "Is 0 below 0?",
    ),
)


def near(sums: Tensor) -> Tensor:
    return (sums - 1).abs() < 1e-5


def ones(sums: Tensor) -> bool:
    return bool(near(sums).all())


def first_wrong(fn: Function, failures: Failures) -> str | None:
    """Which of the facts differs first?"""
    case, got = failures[0]
    if not isinstance(got, list) or not isinstance(case.expected, list):
        return None
    for name, mine, right in zip(NAMES, got, case.expected, strict=True):
        if mine != right:
            kind = int if name == "rank" else bool
            return f"{name!r} is {kind(mine)} instead of {kind(right)}"
    return None


def example_matrices(generator: torch.Generator) -> list[Tensor]:
    """Small ones first, each of which some rule of thumb gets wrong."""
    size = pick(4, 6, generator)
    signed = torch.randint(-3, 4, (size, size), generator=generator)
    few = torch.randint(1, 3, (size, 1), generator=generator)
    scores = torch.randn(size, size, generator=generator)
    future = torch.ones(size, size).triu(1).bool()
    attention = scores.masked_fill(future, -torch.inf).softmax(1)
    rows: list[list[list[float]]]
    rows = [[[0, 0], [1, 0]], [[0, 1], [1, 0]], [[1, 0], [1, 0]], [[2, 0], [1, -1]]]
    rows += [[[1, -1], [1, 1]], [[1, 0], [0.5, 0.5 + 2**-23]]]  # a step of float32
    rows += [[[1, 0], [0.5, 0.50005]]]  # no sum of 1
    matrices = [torch.tensor(matrix) for matrix in rows]
    matrices += [signed.tril(), signed, few * signed[0], attention, attention.mT]
    return [matrix.float() for matrix in matrices]


def check_facts(fn: Function, *, generator: torch.Generator) -> None:
    """Delays, swaps, copies, signed and softmax matrices, both precisions."""
    cases = []
    for matrix in example_matrices(generator):
        for M in (matrix, matrix.double()):
            given = f"M = {show(M, count=9)}, shape {tuple(M.shape)}; in the order "
            given += ", ".join(NAMES)
            args = (M,)
            cases.append(
                Case(
                    args,
                    facts_by_loops(M),
                    given,
                    lambda fn, args=args: listed(attempt(fn, *args)),  # type: ignore[misc]
                )
            )
    question = "Can you tell the four facts of the first matrix by hand?"
    examine(fn, cases, FACTS_MISTAKES, (first_wrong,), question)


EXERCISE = Exercise(
    id="07.facts",
    objective="State four facts of a mixing matrix that tell attention from Hyena.",
    answer=facts,
    hints=(
        "Which of the four needs every entry, which needs sums, and which is a "
        "question about whole rows?",
        "M.triu(1) keeps what stands right of the diagonal; .any() and .all() turn "
        "entries into one answer; torch.linalg.matrix_rank counts the rows that no "
        "others make up.",
    ),
    checker=check_facts,
    points=10,
    minutes=10,
    stars=2,
)
