"""01.undo_echo: get the sound back from a recording with an echo."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import leaks_the_future, not_linear

__all__ = ["EXERCISE"]


def undo_echo(y: Tensor, delay: int, gain: float) -> Tensor:
    """y: (..., L) with y[t] = u[t] + gain * u[t - delay] -> u: (..., L).

    delay is 1 or more; before step 0 there is silence.
    """
    u = y.clone()
    for t in range(delay, y.shape[-1]):
        u[..., t] -= gain * u[..., t - delay]
    return u


def with_echo(u: Tensor, delay: int, gain: float) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(u.shape[-1]):
        y[..., t] = u[..., t].double()
        if t >= delay:
            y[..., t] += gain * u[..., t - delay].double()
    return y


def late(y: Tensor, k: int) -> Tensor:
    return pad(y, (k, 0))[..., : y.shape[-1]]


def recursive(y: Tensor, delay: int, gain: float) -> Tensor:
    """Right for the delay and gain given, which need not be those of the echo."""
    u = torch.zeros_like(y)
    for t in range(y.shape[-1]):
        before = u[..., t - delay] if t >= delay else 0 * u[..., 0]
        u[..., t] = y[..., t] - gain * before
    return u


def wrapped(y: Tensor, delay: int, gain: float) -> Tensor:
    """u[t - delay] for t < delay: Python counts from the end."""
    u = y.clone()
    for t in range(y.shape[-1]):
        u[..., t] = y[..., t] - gain * u[..., t - delay]
    return u


LEFT = "Put your u through the echo again: do you get y?"
ECHO_MISTAKES = (
    Mistake(
        "a weaker echo of size g² remains at 2d: what you subtract has an echo itself",
        lambda y, d, g: y - g * late(y, d),
        LEFT,
    ),
    Mistake(
        "an echo of size g³ remains at 3d: two corrections are not enough",
        lambda y, d, g: y - g * late(y, d) + g * g * late(y, 2 * d),
        LEFT,
    ),
    Mistake(
        "the echo doubled: subtract it",
        lambda y, d, g: y + g * late(y, d),
        LEFT,
    ),
    Mistake(
        "the sign is wrong: an echo of the echo was added on",
        lambda y, d, g: recursive(y, d, -g),
        LEFT,
    ),
    Mistake(
        "the end of the signal was subtracted from its start",
        lambda y, d, g: y - g * y.roll(d, -1),
        "What had been heard before step 0?",
    ),
    Mistake(
        "the end of the signal was subtracted from its start: a negative index counts "
        "from the end",
        wrapped,
        "What had been heard before step 0?",
    ),
    Mistake(
        "an echo is a later copy, not a louder present",
        lambda y, d, g: y / (1 + g),
        "What does y hold while no echo has come back yet?",
    ),
    Mistake(
        "an echo is a later copy, not a louder present",
        lambda y, d, g: y * (1 - g),
        "What does y hold while no echo has come back yet?",
    ),
    Mistake(
        "a copy at full size was subtracted: the echo has the size g",
        lambda y, d, g: y - late(y, d),
        LEFT,
    ),
    Mistake(
        "a copy at full size was subtracted: the echo has the size g",
        lambda y, d, g: recursive(y, d, 1),
        LEFT,
    ),
    Mistake(
        "the gain was divided by; the echo is g times as loud as u",
        lambda y, d, g: recursive(y, d, 1 / g),
        LEFT,
    ),
    Mistake(
        "this looks for the echo before the sound: u[t + d] instead of u[t − d]",
        lambda y, d, g: y - g * pad(y, (0, d))[..., d:],
        "Does an echo come before the call, or after it?",
    ),
    Mistake(
        "the echo is still there, and nothing has changed",
        lambda y, d, g: y,
        "Which steps of y are already right, without any work?",
    ),
)


def check_undo_echo(fn: Function, *, generator: torch.Generator) -> None:
    """Echoes of either sign, near and far; long enough for an echo of the echo."""
    cases: list[Case] = []
    long = pick(8, 14, generator)
    for shape, d in (
        ((5,), 1),
        ((7,), 2),
        ((4,), 5),
        ((2, 7), 3),
        ((2, 2, 5), 1),
        ((3, long), pick(1, 3, generator)),
        ((40,), 1),  # no few terms of a series will do
    ):
        u = short(*shape, generator=generator)
        gain = pick(3, 7, generator) / 10 * (-1) ** len(cases[::4])
        gain = 0.9 if shape == (40,) else gain
        for dtype in (torch.float32, torch.float64):
            expected = u.to(dtype)
            y = with_echo(expected, d, gain).to(dtype)
            given = f"y = {show(y)}, shape {shape}, delay = {d}, gain = {gain}"
            cases.append(Case((y, d, gain), expected, given))
    examine(fn, cases, ECHO_MISTAKES, (leaks_the_future, not_linear), LEFT)


EXERCISE = Exercise(
    id="01.undo_echo",
    objective="Undo an echo, exactly and to the end.",
    answer=undo_echo,
    hints=(
        "Before the first echo comes back, what is u? And once you know u there, how "
        "much of the next steps can you work out?",
        "u[t] = y[t] − gain · u[t − delay]. Begin with a copy of y, y.clone(), and go "
        "from step `delay` on, in order: what you need is mended already.",
    ),
    checker=check_undo_echo,
    points=12,
    minutes=12,
    stars=3,
)
