"""05.short_conv: three taps a channel, so that a gate knows its neighbours."""

import torch
from torch import Tensor
from torch.nn.functional import conv1d

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    attempt,
    close,
    in_both_precisions,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import Failures, looks_ahead

__all__ = ["EXERCISE"]


def short_conv(p: Tensor, w: Tensor) -> Tensor:
    """p: (D, L), w: (D, 3) -> (D, L): each channel with its own three weights.

    Depthwise and causal: y[t] = w[2] p[t] + w[1] p[t - 1] + w[0] p[t - 2], with zeros
    before the start. The last weight is "now".
    """
    padded = torch.nn.functional.pad(p, (2, 0))
    return torch.nn.functional.conv1d(padded, w[:, None], groups=len(p))


def short_by_loops(p: Tensor, w: Tensor) -> Tensor:
    y = torch.zeros(p.shape, dtype=torch.float64)
    for d in range(p.shape[0]):
        for t in range(p.shape[1]):
            for back in range(min(3, t + 1)):
                y[d, t] += w[d, 2 - back].double() * p[d, t - back].double()
    return y.to(p.dtype)


def padded_conv(p: Tensor, w: Tensor, before: int, after: int) -> Tensor:
    padded = torch.nn.functional.pad(p, (before, after))
    return conv1d(padded, w[:, None], groups=len(p))


def other_channels(fn: Function, failures: Failures) -> str | None:
    """Does a change of channel 1 move channel 0?"""
    for case, got in failures:
        p, w = case.args
        if not isinstance(p, Tensor) or not isinstance(got, Tensor) or len(p) < 2:
            continue
        if got.shape != p.shape:
            continue
        changed = p.clone()
        changed[1] += 1
        try:
            after = attempt(fn, changed, w)
        except Incorrect:
            return None
        if isinstance(after, Tensor) and not close(after[0], got[0], 1e-6):
            return "channel 1 changed channel 0: each channel has its own filter"
    return None


SHORT_MISTAKES = (
    Mistake(
        "y[t] contains p[t+1]: one step of future; all zeros belong in front",
        lambda p, w: padded_conv(p, w, 1, 1),
        "Which inputs may output 0 read?",
    ),
    Mistake(
        "two steps of future: of the L + 2 outputs keep the first L, not the last",
        lambda p, w: padded_conv(p, w, 0, 2),
        "Which of the L + 2 outputs has seen only p[0]?",
    ),
    Mistake(
        "length L + 2: padding at both ends makes two outputs too many",
        lambda p, w: padded_conv(p, w, 2, 2),
        "Which of the outputs has seen only p[0]?",
    ),
    Mistake(
        "length L - 2: without zeros in front the first two outputs are missing",
        lambda p, w: padded_conv(p, w, 0, 0),
        "What does output 0 read before the start?",
    ),
    Mistake(
        "the weights are in the wrong order: w[:, 0] was taken for now; the last one, "
        "w[:, 2], is",
        lambda p, w: padded_conv(p, w.flip(1), 2, 0),
        "With p = [1, 0, 0], which weight should come out first?",
    ),
    Mistake(
        "every channel got the weights of channel 0",
        lambda p, w: padded_conv(p, w[:1].expand_as(w), 2, 0),
        "How many weights are there in all?",
    ),
    Mistake(
        "only the present counts: the taps w[:, 0] and w[:, 1] do nothing",
        lambda p, w: w[:, 2:] * p,
        "How does output 1 learn of input 0?",
    ),
    Mistake(
        "the end of the signal came back at the start: roll turns it into a ring",
        lambda p, w: sum(w[:, 2 - k, None] * p.roll(k, 1) for k in range(3)),
        "What stands before the first input?",
    ),
)


def check_short_conv(fn: Function, *, generator: torch.Generator) -> None:
    """One channel and several, shorter than the filter and longer, both precisions."""
    cases = []
    for width, length in (
        (1, 3),
        (2, 2),
        (2, 4),
        (3, 1),
        (pick(2, 4, generator), pick(5, 9, generator)),
    ):
        p = short(width, length, generator=generator)
        w = short(width, 3, generator=generator)
        given = f"p = {show(p)}, w = {show(w)}, p of shape {(width, length)}"
        cases += in_both_precisions(short_by_loops, (p, w), given)
    probes = (other_channels, looks_ahead(1))
    question = "What are y[0], y[1] and y[2] of the first channel, by hand?"
    examine(fn, cases, SHORT_MISTAKES, probes, question)


EXERCISE = Exercise(
    id="05.short_conv",
    objective="Write a depthwise causal convolution of three taps.",
    answer=short_conv,
    hints=(
        "Output 0 may read p[0] only: how many zeros must stand in front of it?",
        "Pad with two zeros on the left, then torch.nn.functional.conv1d with weights "
        "w[:, None] and groups=D; or add up three delayed copies of p.",
    ),
    checker=check_short_conv,
    points=12,
    minutes=12,
    stars=2,
)
