"""01.conv_direct: the causal convolution, one product at a time."""

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    Case,
    attempt,
    close,
    in_both_precisions,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import NEAR, Failures, leaks_the_future, not_linear

__all__ = ["EXERCISE"]


def conv_direct(u: Tensor, h: Tensor) -> Tensor:
    """u: (..., L), h: (K,) -> (..., L): y[t] = h[0] u[t] + h[1] u[t-1] + ...

    The sum ends with input 0 or with the last tap, whichever comes first.
    """
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in range(min(t + 1, len(h))):
            y[..., t] += h[s] * u[..., t - s]
    return y


def conv_by_meetings(u: Tensor, h: Tensor) -> Tensor:
    """Every input with every tap: input s through tap k sounds at step s + k."""
    y = torch.zeros(u.shape, dtype=torch.float64)
    for s in range(u.shape[-1]):
        for k in range(len(h)):
            if s + k < u.shape[-1]:
                y[..., s + k] += u[..., s].double() * h[k].double()
    return y.to(u.dtype)


def window(u: Tensor, h: Tensor, before: int, after: int) -> Tensor:
    """h as it stands, slid along u with so many zeros around: torch's conv1d."""
    rows = pad(u.reshape(-1, 1, u.shape[-1]), (before, after))
    return conv1d(rows, h[None, None]).reshape(*u.shape[:-1], -1)


def cut(u: Tensor, h: Tensor, before: int, after: int) -> Tensor:
    return window(u, h, before, after)[..., : u.shape[-1]]


def middle(h: Tensor) -> tuple[int, int]:
    return len(h) // 2, len(h) // 2


def whole(u: Tensor, h: Tensor) -> Tensor:
    """All L + K − 1 outputs."""
    return window(u, h.flip(0), len(h) - 1, len(h) - 1)


def counting_back(u: Tensor, h: Tensor) -> Tensor:
    """u[t - s] for s > t: Python counts from the end."""
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in range(len(h)):
            y[..., t] += h[s] * u[..., t - s]
    return y


def no_such_tap(u: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in range(t + 1):
            y[..., t] += h[s] * u[..., t - s]
    return y


def assigned(u: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in range(min(t + 1, len(h))):
            y[..., t] = h[s] * u[..., t - s]
    return y


def feedback(u: Tensor, h: Tensor) -> Tensor:
    """y[t - s] where u[t - s] belongs: echoes of echoes."""
    y = h[0] * u
    for t in range(u.shape[-1]):
        for s in range(1, min(t + 1, len(h))):
            y[..., t] += h[s] * y[..., t - s]
    return y


def along_the_batch(u: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros_like(u)
    for t in range(len(u)):
        for s in range(min(t + 1, len(h))):
            y[t] += h[s] * u[t - s]
    return y


def ring(u: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros_like(u)
    for s in range(len(h)):
        y = y + h[s] * u.roll(s, -1)
    return y


def without_first_input(u: Tensor, h: Tensor) -> Tensor:
    y = conv_by_meetings(u, h)
    reach = min(u.shape[-1], len(h))
    y[..., :reach] -= u[..., :1] * h[:reach]
    return y


PULSE = "What should come out for a single 1, u = [1, 0, 0]?"
WAY = "Which tap does the newest input meet, and which the one before it?"
CONV_MISTAKES = (
    Mistake(
        "for u = [1, 0, 0], h = [1, 2, 3] you return [1, 0, 0], not [1, 2, 3]: the "
        "filter is not flipped, it reads ahead; this is correlation",
        lambda u, h: cut(u, h, 0, len(h) - 1),
        PULSE,
    ),
    Mistake(
        "for u = [1, 0, 0], h = [1, 2, 3] you return [3, 2, 1], not [1, 2, 3]: the "
        "newest input met the last tap; the filter is not flipped",
        lambda u, h: cut(u, h, len(h) - 1, 0),
        PULSE,
    ),
    Mistake(
        "the last term s = t, which brings in u[0], is missing",
        without_first_input,
        "With range(t), what is the largest s?",
    ),
    Mistake(
        "the first term s = 0, which brings in u[t], is missing: a causal filter "
        "hears the present",
        lambda u, h: conv_by_meetings(u, h) - h[0] * u,
        WAY,
    ),
    Mistake(
        "output 0 already contains input 1: centred padding looks ahead",
        lambda u, h: cut(u, h.flip(0), *middle(h)),
        "Which inputs may output 0 read?",
    ),
    Mistake(
        "output 0 already contains input 1, and the filter is not flipped: conv1d "
        "with centred padding is neither causal nor a convolution",
        lambda u, h: cut(u, h, *middle(h)),
        "Which inputs may output 0 read?",
    ),
    Mistake(
        "taps after the third are ignored",
        lambda u, h: conv_by_meetings(u, h[:3]),
        "Where does your inner loop end?",
    ),
    Mistake(
        "the last tap never sounds: the taps are h[0] to h[K − 1], all of them",
        lambda u, h: conv_by_meetings(u, h[:-1]),
        "With range(K - 1), what is the largest s?",
    ),
    Mistake(
        "every tap came one step early: the newest input meets h[0], not h[1]",
        lambda u, h: conv_by_meetings(u, h[1:]),
        WAY,
    ),
    Mistake(
        "outputs were filtered again: the sum runs over inputs u[t − s], not over "
        "outputs y[t − s]",
        feedback,
        "What should ring after the last tap of an impulse?",
    ),
    Mistake(
        "for s > t Python counts u[t − s] from the end: the end of the signal came "
        "back at the start",
        counting_back,
        "What is u[0 − 1] in Python, and what should it be here?",
    ),
    Mistake(
        "the end of the signal came back at the start: before step 0 there is nothing",
        ring,
        "What had come before step 0?",
    ),
    Mistake(
        "there is no tap h[K]: a short filter has a last tap, and the sum ends there",
        no_such_tap,
        "With 4 inputs and 2 taps, how many products has output 3?",
    ),
    Mistake(
        "each product replaced the one before it: y[t] collects them, with +=",
        assigned,
        "How many products should be left in y[1]?",
    ),
    Mistake(
        "the tail is still there, L + K − 1 outputs in all; keep the first L",
        whole,
        "How many outputs are wanted for L inputs?",
    ),
    Mistake(
        "every input met tap 0: taps belong to lags, that is to how long ago it was",
        lambda u, h: h[0] * u.cumsum(-1),
        WAY,
    ),
    Mistake(
        "the newest input met every tap at once: tap s waits for s steps",
        lambda u, h: h.sum() * u,
        WAY,
    ),
    Mistake(
        "only the newest input is heard, nothing before it",
        lambda u, h: h[0] * u,
        WAY,
    ),
    Mistake(
        "tap t met input t: these are products step by step, and nothing is carried",
        lambda u, h: u * pad(h, (0, u.shape[-1]))[: u.shape[-1]],
        WAY,
    ),
    Mistake(
        "len(u) counts the first axis; time is the last, as in u[..., t]",
        along_the_batch,
        "In u of shape (2, 3), how many steps are there?",
    ),
)


def one_signal_only(fn: Function, failures: Failures) -> str | None:
    """Is one signal right, and are several at once wrong?"""
    for case, got in failures:
        u = case.args[0]
        assert isinstance(u, Tensor)
        fits = isinstance(got, Tensor) and got.shape == u.shape
        if u.dim() == 1 or not (fits or isinstance(got, Incorrect)):
            return None
    return (
        "your function works for one signal, not for two at once: time is the last "
        "axis, write u[..., t]"
    )


def late_is_not_later(fn: Function, failures: Failures) -> str | None:
    """Does the same signal, one step later, give something else than the same later?"""
    for case, got in failures:
        u, h = case.args
        if not isinstance(u, Tensor) or not isinstance(got, Tensor):
            continue
        if got.shape != u.shape or u.shape[-1] < 2:
            continue
        later = pad(u, (1, 0))[..., :-1]
        try:
            after = attempt(fn, later, h)
        except Incorrect:
            continue
        if not close(after, pad(got, (1, 0))[..., :-1], NEAR):
            return (
                "the same signal one step later does not give the same output one "
                "step later: a filter does not know what time it is"
            )
    return None


def check_conv_direct(fn: Function, *, generator: torch.Generator) -> None:
    """A single pulse first; filters shorter than the signal, as long, and longer."""
    pulse, taps = torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 2, 3])
    cases = [Case((pulse, taps), taps.clone(), "u = [1, 0, 0], h = [1, 2, 3]")]
    long = pick(5, 8, generator)
    for shape, count in (
        ((1,), 1),
        ((2,), 2),
        ((3,), 1),
        ((3,), 3),
        ((4,), 2),
        ((3,), 5),
        ((5,), 5),
        ((6,), 3),
        ((2, 3), 3),
        ((2, 2, 4), 4),
        ((3, long), pick(2, 5, generator)),
        ((long,), long),
    ):
        u, h = (short(*s, generator=generator) for s in (shape, (count,)))
        given = f"u = {show(u)}, h = {show(h)}, u of shape {shape}"
        cases += in_both_precisions(conv_by_meetings, (u, h), given)
    probes = (one_signal_only, leaks_the_future, not_linear, late_is_not_later)
    examine(fn, cases, CONV_MISTAKES, probes, PULSE)


EXERCISE = Exercise(
    id="01.conv_direct",
    objective="Compute a causal convolution, one product at a time.",
    answer=conv_direct,
    hints=(
        "At step t, which tap does the newest input meet? And the one that came s "
        "steps before it?",
        "Two loops: for every t a sum over s of h[s] * u[..., t − s]. There are t + 1 "
        "inputs so far and len(h) taps; s stays below the smaller of the two.",
    ),
    checker=check_conv_direct,
    points=12,
    minutes=12,
    stars=2,
)
