"""06.unit_gain: a filter that keeps the variance of noise."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def unit_gain(h: Tensor) -> Tensor:
    """h (D, L) -> (D, L): each channel rescaled by a positive number of its own.

    White noise of variance 1 in, variance 1 out at the last step.
    """
    return h / h.square().sum(-1, keepdim=True).sqrt()


def gain_by_loops(h: Tensor) -> Tensor:
    scaled = h.double().clone()
    for channel in scaled:
        variance = 0.0
        for tap in channel.tolist():
            variance += tap * tap  # independent inputs: variances add
        channel /= variance**0.5
    return scaled.to(h.dtype)


GAIN_MISTAKES = (
    Mistake(
        "variance adds squares, not sizes: |h| summing to 1 makes the output too quiet",
        lambda h: h / h.abs().sum(-1, keepdim=True),
        "What is the variance of 3 a + 4 b, if a and b are independent, of variance 1?",
    ),
    Mistake(
        "variance depends on all taps, not on the largest",
        lambda h: h / h.abs().amax(-1, keepdim=True),
        "What is the variance of 3 a + 4 b, if a and b are independent, of variance 1?",
    ),
    Mistake(
        "channel 0 still amplifies: the squares were added across channels, not time",
        lambda h: h / h.norm(dim=0),
        "Which axis of h is time?",
    ),
    Mistake(
        "the channels share one factor: each needs its own",
        lambda h: h / h.norm(),
        "What is the variance of channel 0 alone?",
    ),
    Mistake(
        "this divides by the variance: the filter wants its square root",
        lambda h: h / h.square().sum(-1, keepdim=True),
        "If h is doubled, what happens to the variance?",
    ),
    Mistake(
        "the taps sum to 1: that keeps a constant input, not the variance of noise",
        lambda h: h / h.sum(-1, keepdim=True),
        "What is the variance of 3 a + 4 b, if a and b are independent, of variance 1?",
    ),
    Mistake(
        "this is the mean of the squares: L of them add up",
        lambda h: h / h.square().mean(-1, keepdim=True).sqrt(),
        "How many taps meet the noise at the last step?",
    ),
    Mistake(
        "the mean of the taps was taken out first: they add their squares as they are",
        lambda h: h / h.std(-1, keepdim=True),
        "What does a filter of equal taps do to noise?",
    ),
    Mistake(
        "the last step was set to 1 by tap 0 alone: all taps meet noise there",
        lambda h: h / h[:, :1],
        "How many taps meet the noise at the last step?",
    ),
    Mistake(
        "nothing was rescaled: the filter came back as it was",
        lambda h: h,
        "What is the variance of channel 0 now?",
    ),
)


def check_unit_gain(fn: Function, *, generator: torch.Generator) -> None:
    """Random filters of several sizes, both precisions, against the loop."""
    cases = []
    for shape in ((1, 2), (1, 3), (2, 3), (3, pick(4, 9, generator))):
        h = short(*shape, generator=generator)
        h *= torch.tensor([2.0, 0.5, 10.0])[: shape[0], None]
        given = f"h = {show(h)}, shape {shape}"
        cases += in_both_precisions(gain_by_loops, (h,), given)
    question = "What is the variance of 3 a + 4 b, if a and b are independent?"
    examine(fn, cases, GAIN_MISTAKES, question=question)


EXERCISE = Exercise(
    id="06.unit_gain",
    objective="Rescale a filter so that noise keeps its variance.",
    answer=unit_gain,
    hints=(
        "If a and b are independent, of variance 1: the variance of 3 a + 4 b?",
        "At the last step every tap meets a number of its own: the variance is the sum "
        "of h², over time. Divide by its root, channel by channel (keepdim=True).",
    ),
    checker=check_unit_gain,
    points=8,
    minutes=8,
    stars=2,
)
