"""07.effective_distance: how far back a matrix reads, in one number."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, numbers, pick, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def effective_distance(M: Tensor) -> Tensor:
    """M: (L, L), M[t, s] = 0 for s > t -> one number: the mean lag t - s of |M|.

    Every entry counts by its size, whatever its sign and its row.
    """
    time = torch.arange(len(M))
    lag = time[:, None] - time
    return (M.abs() * lag).sum() / M.abs().sum()


def distance_by_loops(M: Tensor) -> float:
    far = weight = 0.0
    for t in range(len(M)):
        for s in range(t + 1):
            far += abs(float(M[t, s])) * (t - s)
            weight += abs(float(M[t, s]))
    return far / weight


def lags(M: Tensor) -> Tensor:
    time = torch.arange(len(M))
    return time[:, None] - time


def weighted(weigh: Callable[[Tensor], Tensor]) -> Function:
    """The mean lag by other weights than |M|."""
    return lambda M: (weigh(M) * lags(M)).sum() / weigh(M).sum()


def by_place(axis: int) -> Function:
    """The mean of the row or column number in place of the lag."""

    def mean(M: Tensor) -> Tensor:
        places = torch.arange(len(M))
        return (M.abs() * (places[:, None] if axis == 0 else places)).sum() / (
            M.abs().sum()
        )

    return mean


def mean_of_rows(M: Tensor) -> Tensor:
    return ((M.abs() * lags(M)).sum(1) / M.abs().sum(1)).mean()


INDEX = "What is the lag of an output that reads its own input?"
SIZE = "May an entry pull the mean the other way?"
DISTANCE_MISTAKES = (
    Mistake(
        "a + and a − cancelled; the distance left the range 0…L−1",
        weighted(lambda M: M),
        SIZE,
    ),
    Mistake(
        "a + and a − cancelled above the line: take sizes there, too",
        lambda M: (M * lags(M)).sum() / M.abs().sum(),
        SIZE,
    ),
    Mistake(
        "doubling M doubled the distance",
        lambda M: (M.abs() * lags(M)).sum(),
        "What must a weighted mean be divided by?",
    ),
    Mistake(
        "divided by the number of entries: doubling M doubles this distance",
        lambda M: (M.abs() * lags(M)).mean(),
        "What must a weighted mean be divided by?",
    ),
    Mistake("the lag is i − j; this is the mean row i", by_place(0), INDEX),
    Mistake("the lag is i − j; this is the mean column j", by_place(1), INDEX),
    Mistake(
        "the lag is i − j, not j − i: a distance is not negative",
        lambda M: (M.abs() * -lags(M)).sum() / M.abs().sum(),
        INDEX,
    ),
    Mistake(
        "the lag starts at 0: an output that reads itself reaches back 0 steps",
        lambda M: (M.abs() * (lags(M) + 1)).sum() / M.abs().sum(),
        INDEX,
    ),
    Mistake(
        "every row got the same say; weigh by |M|, over all rows at once",
        mean_of_rows,
        "Should a row of tiny entries count as much as a row of large ones?",
    ),
    Mistake(
        "squares let the largest entries speak for all: weigh by |M|",
        weighted(lambda M: M.square()),
        "By what does an entry count?",
    ),
    Mistake(
        "every entry that is not 0 counted the same: weigh by |M|",
        weighted(lambda M: (M != 0).to(M.dtype)),
        "By what does an entry count?",
    ),
    Mistake(
        "this is the lag of the largest entry; the others count, too",
        lambda M: lags(M).flatten()[M.abs().argmax()],
        "What is the mean of two lags with equal weight?",
    ),
)


def out_of_range(fn: Function, failures: Failures) -> str | None:
    """Is one of the distances below 0 or above L - 1?"""
    for case, got in failures:
        value, M = numbers(got), case.args[0]
        if value is None or len(value) != 1 or not isinstance(M, Tensor):
            return None
        if not 0 <= float(value[0]) <= len(M) - 1:
            return f"{float(value[0]):.4g} is no mean of lags from 0 to {len(M) - 1}"
    return None


def check_effective_distance(fn: Function, *, generator: torch.Generator) -> None:
    """Signed lower triangles, also with a row of zeros, in both precisions."""
    cases = []
    for length in (2, 3, 4, pick(5, 9, generator)):
        for dtype in (torch.float32, torch.float64):
            M = torch.randn(length, length, generator=generator).tril()
            M = ((M * 10).round() / 10).to(dtype) + 0.05 * torch.ones_like(M).tril()
            M[0, 0] = 2
            if length == 3:
                M[1] = 0
            given = f"M = {show(M, count=9)}, shape {tuple(M.shape)}"
            cases.append(Case((M,), distance_by_loops(M), given))
    question = "What should come out for a delay by one step, M[t, t-1] = 1?"
    examine(fn, cases, DISTANCE_MISTAKES, (out_of_range,), question)


EXERCISE = Exercise(
    id="07.effective_distance",
    objective="Measure how far back a causal matrix reads on average.",
    answer=effective_distance,
    hints=(
        "Output 5 reads input 2: how many steps back is that, and how much should it "
        "count?",
        "time = torch.arange(L); time[:, None] - time is the table of lags. A mean "
        "with weights is the sum of weight times value, over the sum of weights.",
    ),
    checker=check_effective_distance,
    points=8,
    minutes=8,
    stars=1,
)
