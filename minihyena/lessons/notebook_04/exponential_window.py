"""04.exponential_window: how fast each channel forgets."""

import math

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def exponential_window(length: int, decays: Tensor, floor: float = 0.0) -> Tensor:
    """length L, decays (D,), each above 0 -> (D, L): exp(-decay * time) + floor.

    Time goes from 0 to 1 in L equal steps, i / (L - 1). For L = 1 the time is 0. Each
    channel has its own decay.
    """
    time = torch.linspace(0, 1, length, dtype=decays.dtype)
    return torch.exp(-decays[:, None] * time) + floor


def window_by_loops(length: int, decays: Tensor, floor: float) -> Tensor:
    rows = [
        [math.exp(-a * i / max(length - 1, 1)) + floor for i in range(length)]
        for a in decays.tolist()
    ]
    return torch.tensor(rows, dtype=decays.dtype)


def times(length: int, decays: Tensor) -> Tensor:
    steps = torch.arange(length, dtype=decays.dtype)
    return steps / max(length - 1, 1)


def fading(length: int, decays: Tensor) -> Tensor:
    return torch.exp(-decays[:, None] * times(length, decays))


TOLERANCE = 2e-6  # a time in float32 is right to seven digits
TAIL = "What is left of an input that is very old?"
WINDOW_MISTAKES = (
    Mistake(
        "the window rises: the oldest input counts most",
        lambda length, decays, floor: 1 / fading(length, decays) + floor,
        "Should an input count more, or less, the older it is?",
    ),
    Mistake(
        "all channels are equal; each has its own decay",
        lambda length, decays, floor: (
            fading(length, decays.mean().expand(len(decays))) + floor
        ),
        "Which of the decays belongs to channel 0?",
    ),
    Mistake(
        "the tail falls below `floor`: nothing was added to it",
        lambda length, decays, floor: fading(length, decays),
        TAIL,
    ),
    Mistake(
        "this cuts the tail off at the floor; the floor is added, at every time",
        lambda length, decays, floor: fading(length, decays).clamp(min=floor),
        "What is the window at time 0, with a floor of 0.5?",
    ),
    Mistake(
        "this squeezes the window between the floor and 1; the floor is added on top",
        lambda length, decays, floor: floor + (1 - floor) * fading(length, decays),
        "What is the window at time 0, with a floor of 0.5?",
    ),
    Mistake(
        "the time counts steps, 0 to L−1, and not from 0 to 1: a longer filter would "
        "forget all of its past",
        lambda length, decays, floor: (
            torch.exp(-decays[:, None] * torch.arange(length)) + floor
        ),
        "What is the time of the last step, whatever the length?",
    ),
    Mistake(
        "the time ends before 1: divide by L−1, the number of gaps",
        lambda length, decays, floor: (
            torch.exp(-decays[:, None] * torch.arange(length) / length) + floor
        ),
        "Between L posts, how many gaps are there?",
    ),
    Mistake(
        "a straight line, not an exponential: it falls below zero",
        lambda length, decays, floor: (
            1 - decays[:, None] * times(length, decays) + floor
        ),
        "Which share is lost in the first half, and which in the second?",
    ),
    Mistake(
        "the decay is divided by: a large one now forgets slowly",
        lambda length, decays, floor: (
            torch.exp(-times(length, decays) / decays[:, None]) + floor
        ),
        "Which channel should forget first, the one of decay 3 or of decay 15?",
    ),
    Mistake(
        "the window multiplies by the decay where it should raise to a power",
        lambda length, decays, floor: (
            decays[:, None] * torch.exp(-times(length, decays)) + floor
        ),
        "What is every window at time 0?",
    ),
)


def turned(fn: Function, failures: Failures) -> str | None:
    """Are rows and columns exchanged, every time that it is wrong?"""
    shapes = [
        (tuple(got.shape), tuple(case.expected.shape))
        for case, got in failures
        if isinstance(got, Tensor) and isinstance(case.expected, Tensor)
    ]
    if len(shapes) == len(failures) and all(a == b[::-1] != b for a, b in shapes):
        return "time runs down the columns: channels are rows here, (D, L)"
    return None


def check_exponential_window(fn: Function, *, generator: torch.Generator) -> None:
    """One channel and several, with and without a floor, in both precisions."""
    cases = []
    for width, length, floor in (
        (1, 2, 0.0),
        (1, 3, 0.5),
        (2, 3, 0.25),
        (3, 1, 0.0),
        (3, pick(5, 9, generator), 0.1),
        (pick(4, 6, generator), 3, 0.0),
    ):
        drawn = torch.rand(width, generator=generator, dtype=torch.float64)
        decays = (drawn * 60).round() / 10 + 0.5
        given = f"length = {length}, decays = {show(decays)}, floor = {floor}"
        cases += in_both_precisions(
            window_by_loops, (length, decays, floor), given, TOLERANCE
        )
    question = "What is the window at time 0, and what at time 1?"
    examine(fn, cases, WINDOW_MISTAKES, (turned,), question)


EXERCISE = Exercise(
    id="04.exponential_window",
    objective="Let every channel forget at its own rate, down to a floor.",
    answer=exponential_window,
    hints=(
        "How much of itself does a window of decay 3 lose from time 0 to time 1?",
        "torch.linspace(0, 1, length) is the time; decays[:, None] stands the decays "
        "upright, so that their product with it is a table (D, L).",
    ),
    checker=check_exponential_window,
    points=8,
    minutes=8,
    stars=1,
)
