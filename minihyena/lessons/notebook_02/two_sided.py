"""02.two_sided: a filter that reads both ways, out of two that read one."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.notebook_02.signals import conv
from minihyena.lessons.probes import Failures, not_linear

__all__ = ["EXERCISE"]


def two_sided(u: Tensor, h_past: Tensor, h_future: Tensor) -> Tensor:
    """u: (L,), h_past, h_future: (K <= L,) -> (L,): reads both ways.

    h_past[k] multiplies u[t - k], h_future[k] multiplies u[t + k]. Lag 0 belongs to
    h_past: h_future[0] is ignored. Beyond the ends there is silence.
    """
    past = conv(u, h_past)
    future = conv(u.flip(0), h_future).flip(0)
    return past + future - h_future[0] * u


def both_by_loops(u: Tensor, p: Tensor, f: Tensor) -> Tensor:
    y = torch.zeros_like(u)
    for t in range(len(u)):
        for k in range(len(p)):
            if t - k >= 0:
                y[t] += p[k] * u[t - k]
        for k in range(1, len(f)):
            if t + k < len(u):
                y[t] += f[k] * u[t + k]
    return y


def back(u: Tensor, f: Tensor) -> Tensor:
    """The future alone, lag 0 included."""
    return conv(u.flip(0), f).flip(0)


def on_a_ring(u: Tensor, p: Tensor, f: Tensor) -> Tensor:
    past = sum((p[k] * u.roll(k) for k in range(len(p))), 0 * u)
    return sum((f[k] * u.roll(-k) for k in range(1, len(f))), past)


IMPULSE = "An impulse at step 2: which outputs before and after it move, and by what?"
SIDED_MISTAKES = (
    Mistake(
        "an impulse returns h_past[0] + h_future[0] at its own position: the present "
        "is counted twice",
        lambda u, p, f: conv(u, p) + back(u, f),
        "Which of the two filters owns lag 0?",
    ),
    Mistake(
        "nothing before the impulse moved: the second filter still looks back",
        lambda u, p, f: conv(u, p) + conv(u, f),
        "How does a signal look to somebody who reads it from its end?",
    ),
    Mistake(
        "nothing before the impulse moved: the second filter still looks back",
        lambda u, p, f: conv(u, p) + conv(u, f) - f[0] * u,
        "How does a signal look to somebody who reads it from its end?",
    ),
    Mistake(
        "result is in reversed time; flip it back before you add",
        lambda u, p, f: conv(u, p) + conv(u.flip(0), f),
        "At which place of the result does the last input stand?",
    ),
    Mistake(
        "result is in reversed time; flip it back before you add",
        lambda u, p, f: conv(u, p) + conv(u.flip(0), f) - f[0] * u,
        "At which place of the result does the last input stand?",
    ),
    Mistake(
        "the filter was turned round instead of the signal: reading backwards turns "
        "time, not the taps",
        lambda u, p, f: conv(u, p) + conv(u, f.flip(0)),
        IMPULSE,
    ),
    Mistake(
        "the past was dropped: only the second filter is there",
        lambda u, p, f: back(u, f) - f[0] * u,
        IMPULSE,
    ),
    Mistake(
        "nothing before the impulse moved: this is the causal filter alone",
        lambda u, p, f: conv(u, p),
        IMPULSE,
    ),
    Mistake(
        "lag 0 belongs to h_past: here h_future[0] has taken its place",
        lambda u, p, f: conv(u, p) + back(u, f) - p[0] * u,
        "Which of the two filters owns lag 0?",
    ),
    Mistake(
        "lag 0 was taken out of both filters: it belongs to h_past",
        lambda u, p, f: conv(u, p) + back(u, f) - (p[0] + f[0]) * u,
        "Which of the two filters owns lag 0?",
    ),
    Mistake(
        "the future came one step early: h_future[1] multiplies the next input, not "
        "the present one",
        lambda u, p, f: conv(u, p) + back(u, torch.cat([f[1:], f[:1] * 0])),
        "Which input does h_future[1] multiply in output 0?",
    ),
    Mistake(
        "past and future are exchanged",
        lambda u, p, f: both_by_loops(u.flip(0), p, f).flip(0),
        IMPULSE,
    ),
    Mistake(
        "the signal wraps: the start is taken for the future of the end, and beyond "
        "the ends there is silence",
        on_a_ring,
        "What does the last output read of the future?",
    ),
    Mistake(
        "one filter after the other: here they work side by side, and their answers "
        "are added",
        lambda u, p, f: back(conv(u, p), f),
        IMPULSE,
    ),
)


def reads_one_way(fn: Function, failures: Failures) -> str | None:
    """Does it never look ahead, or never back? Asked with an impulse in the middle."""
    u, p, f = (torch.ones(3, dtype=torch.float64) for _ in range(3))
    impulse = torch.tensor([0.0, 1, 0], dtype=u.dtype)
    try:
        y = fn(impulse, p, f)
    except Exception:
        return None
    if not isinstance(y, Tensor) or y.shape != u.shape or not y.any():
        return None
    if y[0] == 0:
        return "nothing before the impulse moved: no output reads the future"
    late = "nothing after the impulse moved: no output reads the past"
    return late if y[2] == 0 else None


def check_two_sided(fn: Function, *, generator: torch.Generator) -> None:
    """Short and full filters, both precisions, against loops."""
    cases = []
    for length, taps in ((2, 2), (3, 2), (4, 4), (pick(5, 9, generator), 3)):
        u = short(length, generator=generator)
        p, f = short(2, taps, generator=generator)
        given = f"u = {show(u)}, h_past = {show(p)}, h_future = {show(f)}"
        cases += in_both_precisions(both_by_loops, (u, p, f), given)
    examine(fn, cases, SIDED_MISTAKES, (reads_one_way, not_linear), IMPULSE)


EXERCISE = Exercise(
    id="02.two_sided",
    objective="Build a filter that reads the past and the future.",
    answer=two_sided,
    hints=(
        "Your convolution looks back only. What would you have to do to the signal, so "
        "that looking back means looking ahead?",
        "u.flip(0) runs backwards; convolve that with h_future and flip the result "
        "back. Both filters have now counted the present: whose is it?",
    ),
    checker=check_two_sided,
    points=10,
    minutes=10,
    stars=2,
)
