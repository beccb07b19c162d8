"""10.fit_exponent: how fast time grows with length, as one number."""

import math
from collections.abc import Callable

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick, show
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def fit_exponent(lengths: list[int], seconds: list[float]) -> float:
    """The p of the line that fits log(seconds) = p log(lengths) + c best.

    Best: the squares of what is left over add up to the least. At least two lengths.
    """
    x, y = torch.tensor([lengths, seconds], dtype=torch.float64).log()
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / (x @ x))


def exponent_by_search(lengths: list[int], seconds: list[float]) -> float:
    """The slope with the least sum of squares, found by trying ever finer steps."""
    x: list[float] = torch.tensor(lengths).double().log2().tolist()
    y: list[float] = torch.tensor(seconds, dtype=torch.float64).log2().tolist()

    def misfit(slope: float) -> float:
        rest = [b - slope * a for a, b in zip(x, y, strict=True)]
        middle = sum(rest) / len(rest)
        return sum((r - middle) * (r - middle) for r in rest)

    best, step = 0.0, 4.0
    while step > 1e-7:
        best = min((best - step, best, best + step), key=misfit)
        step *= 0.75
    return best


Numbers = list[float]


def logs(values: Numbers) -> Numbers:
    logarithms: Numbers = torch.tensor(values, dtype=torch.float64).log().tolist()
    return logarithms


def slope(x: Numbers, y: Numbers) -> float:
    a, b = sum(x) / len(x), sum(y) / len(y)
    above = sum((s - a) * (t - b) for s, t in zip(x, y, strict=True))
    return above / sum((s - a) ** 2 for s in x)


def constant(x: Numbers, y: Numbers) -> float:
    return sum(y) / len(y) - slope(x, y) * sum(x) / len(x)


def between_ends(x: Numbers, y: Numbers) -> float:
    return (y[-1] - y[0]) / (x[-1] - x[0])


def between_neighbours(x: Numbers, y: Numbers) -> float:
    """The mean of the slopes from each length to the next."""
    pairs = zip(x[1:], x, y[1:], y, strict=False)
    return sum((d - c) / (b - a) for b, a, d, c in pairs) / (len(x) - 1)


def ratio(x: Numbers, y: Numbers) -> float:
    return sum(b / a for a, b in zip(x, y, strict=True)) / len(x)


def through_the_origin(x: Numbers, y: Numbers) -> float:
    above = sum(a * b for a, b in zip(x, y, strict=True))
    return above / sum(a * a for a in x)


def correlation(x: Numbers, y: Numbers) -> float:
    """The root of the slope of y on x times that of x on y, with their sign."""
    one, other = slope(x, y), slope(y, x)
    size = math.sqrt(max(0.0, one * other))
    return size if one > 0 else -size


def of_logs(join: Callable[[Numbers, Numbers], float]) -> Function:
    return lambda lengths, seconds: join(logs(lengths), logs(seconds))


def scaled_by(factor: float) -> Callable[[Numbers, Numbers], float]:
    return lambda x, y: factor * slope(x, y)


BASE = "Does it matter which base you take, if you take it twice?"

EXPONENT_MISTAKES = (
    Mistake(
        "a straight line through raw times is not an exponent",
        slope,
        "What does a power law look like after a logarithm on both axes?",
    ),
    Mistake(
        "both axes need a logarithm: only the times have one",
        lambda lengths, seconds: slope(lengths, logs(seconds)),
        "What becomes of L in log(L^p)?",
    ),
    Mistake(
        "both axes need a logarithm: only the lengths have one",
        lambda lengths, seconds: slope(logs(lengths), seconds),
        "What becomes of the seconds if they double with every doubling of L?",
    ),
    Mistake(
        "one noisy end moved the slope: use all the points, not two",
        of_logs(between_ends),
        "Which of the points did you use?",
    ),
    Mistake(
        "this is the mean of the slopes between neighbours: one noisy end moves it",
        of_logs(between_neighbours),
        "What is left of the points in the middle when neighbours' slopes are added?",
    ),
    Mistake(
        "log(seconds) / log(L) depends on the unit: in milliseconds it is another",
        of_logs(ratio),
        "What happens to your answer if all times are given in milliseconds?",
    ),
    Mistake(
        "the line was forced through the origin: it has a constant c of its own",
        of_logs(through_the_origin),
        "What happens to your answer if all times are given in milliseconds?",
    ),
    Mistake(
        "the axes are exchanged: the time depends on the length",
        of_logs(lambda x, y: slope(y, x)),
        "Which of the two did you choose, and which did the machine answer?",
    ),
    Mistake(
        "an exponent need not be whole: do not round it",
        of_logs(lambda x, y: float(round(slope(x, y)))),
        "Which whole number would L log L have?",
    ),
    Mistake(
        "this is the constant c, not the exponent",
        of_logs(constant),
        "Which of the two numbers of a line tells how steep it is?",
    ),
    *(
        Mistake(
            "two different logarithms: the base must be the same on both axes",
            of_logs(scaled_by(factor)),
            BASE,
        )
        for factor in (math.log(2), 1 / math.log(2))
    ),
    Mistake(
        "this is how well a line fits (the correlation), not how steep it is",
        of_logs(correlation),
        "Would a flat line and a steep one get different numbers from you?",
    ),
)


def check_fit_exponent(fn: Function, *, generator: torch.Generator) -> None:
    """Exact powers first, then noise, lengths that do not double, other units."""
    cases = []
    for count, power, noise, doubling in (
        (2, 1.0, 0.0, True),
        (3, 2.0, 0.0, True),
        (3, 1.5, 0.3, True),
        (5, 1.1, 0.2, True),
        (6, 2.0, 0.2, False),
        (7, pick(8, 24, generator) / 8, 0.4, False),
    ):
        steps = range(count)
        lengths = [128 << i for i in steps]
        if not doubling:
            lengths = [100 + 137 * i * i + pick(0, 60, generator) for i in steps]
        factors = 1 + noise * torch.rand(count, generator=generator).double()
        unit = pick(1, 9, generator) / 4  # no slope is so small that it looks like 0
        seconds = [
            float(f"{unit * (n / 128) ** power * f:.4g}")
            for n, f in zip(lengths, factors.tolist(), strict=True)
        ]
        given = f"lengths {show(lengths)}, seconds {show(seconds)}"
        expected = exponent_by_search(lengths, seconds)
        cases.append(Case((lengths, seconds), expected, given))
    question = "What is the slope for L = 128 and 256 if the time doubles, by hand?"
    examine(fn, cases, EXPONENT_MISTAKES, question=question)


EXERCISE = Exercise(
    id="10.fit_exponent",
    objective="Fit the exponent with which time grows with length.",
    answer=fit_exponent,
    hints=(
        "If the seconds are c times L to the power p, what are their logarithms?",
        "Take the logarithm of both. Subtract from each its mean: then the slope is "
        "the sum of the products x y over the sum of the squares x x.",
    ),
    checker=check_fit_exponent,
    points=8,
    minutes=8,
    stars=1,
)
