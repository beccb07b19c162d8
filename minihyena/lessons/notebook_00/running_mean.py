"""00.running_mean: the mean of all values so far."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import leaks_the_future, not_linear

__all__ = ["EXERCISE"]


def running_mean(u: Tensor) -> Tensor:
    """u: (..., L) -> (..., L); output t is the mean of inputs 0..t."""
    seen = torch.arange(1, u.shape[-1] + 1)
    return u.cumsum(-1) / seen


def mean_by_loops(u: Tensor) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(u.shape[-1]):
        for s in range(t + 1):
            y[..., t] += u[..., s].double() / (t + 1)
    return y.to(u.dtype)


MEAN_MISTAKES = (
    Mistake(
        "y[0] moved when only a later input changed: the average sees the future",
        lambda u: u.mean(-1, keepdim=True).expand_as(u),
        "Which inputs has step 0 seen?",
    ),
    Mistake(
        "at t = 0 one value has been seen; divide by how many you have seen, not by L",
        lambda u: u.cumsum(-1) / u.shape[-1],
        "How many values has step t seen?",
    ),
    Mistake(
        "len(u) counts the first axis; time is the last, and t + 1 values were seen",
        lambda u: u.cumsum(-1) / len(u),
        "How many values has step t seen?",
    ),
    Mistake(
        "y[0] is not finite: step 0 has already seen one value",
        lambda u: u.cumsum(-1) / torch.arange(u.shape[-1]),
        "Where should the count start?",
    ),
    Mistake(
        "this is the sum so far; a mean divides it by how many values it holds",
        lambda u: u.cumsum(-1),
        "How many values has step t seen?",
    ),
    Mistake(
        "the output equals the input: nothing was averaged",
        lambda u: u,
        "What does step 1 know besides input 1?",
    ),
)


def check_running_mean(fn: Function, *, generator: torch.Generator) -> None:
    """Random shapes, both precisions, against the loop."""
    length = pick(4, 9, generator)
    cases = []
    for shape in ((1,), (2,), (3,), (length,), (2, length), (2, 3, length)):
        for dtype in (torch.float32, torch.float64):
            u = torch.randn(shape, generator=generator, dtype=dtype)
            u = (u * 10).round() / 10 + 0.05  # short to print, never zero
            given = f"u = {show(u)}, shape {shape}"
            cases.append(Case((u,), mean_by_loops(u), given))
    probes = (leaks_the_future, not_linear)
    question = "Can you work out y[0], y[1] and y[2] by hand?"
    examine(fn, cases, MEAN_MISTAKES, probes, question)


EXERCISE = Exercise(
    id="00.running_mean",
    objective="Compute the mean of all values so far, without looking ahead.",
    answer=running_mean,
    hints=(
        "How many values has step 0 seen, and how many has step t?",
        "u.cumsum(-1) sums what was seen; torch.arange(1, L + 1) counts it.",
    ),
    checker=check_running_mean,
    points=5,
    minutes=5,
    stars=1,
)
