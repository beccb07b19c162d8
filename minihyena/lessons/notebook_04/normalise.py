"""04.normalise: one total for every channel, over time."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def normalise(h: Tensor) -> Tensor:
    """h (D, L) -> (D, L): each channel divided so that its |h| sum to 1 over time.

    No channel is silent: every one has a tap that is not 0.
    """
    return h / h.abs().sum(dim=-1, keepdim=True)


def normalised_by_loops(h: Tensor) -> Tensor:
    rows = []
    for row in h.tolist():
        total = sum(abs(tap) for tap in row)
        rows.append([tap / total for tap in row])
    return torch.tensor(rows, dtype=h.dtype)


SIZES = "For h = [1, −1]: what do the taps sum to, and what do their sizes?"
NORMALISE_MISTAKES = (
    Mistake(
        "time step 0 sums to 1 across channels, channel 0 does not over time: wrong "
        "axis",
        lambda h: h / h.abs().sum(0, keepdim=True),
        "Which axis of h is time?",
    ),
    Mistake(
        "the channels share one total: a loud one silences the others",
        lambda h: h / h.abs().sum(),
        "How many totals are there for D channels?",
    ),
    Mistake(
        "the totals lie flat: they divide columns, where each belongs to its own row",
        lambda h: h / h.abs().sum(-1),
        "Which shape have D totals that stand upright?",
    ),
    Mistake(
        "the squares sum to 1, the sizes do not: this is the energy",
        lambda h: h / h.square().sum(-1, keepdim=True).sqrt(),
        "How loud is the output at most, if no input is louder than 1?",
    ),
    Mistake(
        "the taps sum to 1, their sizes do not: with signs a loud filter can sum to "
        "almost nothing",
        lambda h: h / h.sum(-1, keepdim=True),
        SIZES,
    ),
    Mistake(
        "the largest tap is 1; a long filter is still as loud as it is long",
        lambda h: h / h.abs().amax(-1, keepdim=True),
        "How loud can a filter of a thousand taps of size 1 get?",
    ),
    Mistake(
        "the mean size is 1, so the sizes sum to L: a longer filter is louder",
        lambda h: h / h.abs().mean(-1, keepdim=True),
        "What is a mean times the number of taps?",
    ),
    Mistake(
        "the signs are gone: divide h itself, not its sizes",
        lambda h: h.abs() / h.abs().sum(-1, keepdim=True),
        SIZES,
    ),
    Mistake(
        "a softmax makes all taps positive and evens them out: only a factor may "
        "change",
        lambda h: h.softmax(-1),
        "Which shape should a channel have when it is made softer?",
    ),
    Mistake(
        "the mean was taken away as well: only a factor may change",
        lambda h: (
            (h - h.mean(-1, keepdim=True))
            / (h - h.mean(-1, keepdim=True)).abs().sum(-1, keepdim=True)
        ),
        "Which shape should a channel have when it is made softer?",
    ),
)


def wrong_totals(fn: Function, failures: Failures) -> str | None:
    """What the sizes of channel 0 sum to, where it is the right shape but not 1."""
    case, got = failures[0]
    if not isinstance(got, Tensor) or not isinstance(case.expected, Tensor):
        return None
    if got.shape != case.expected.shape or not got.isfinite().all() or not got.any():
        return None
    total = float(got[0].abs().sum())
    return (
        f"the sizes of channel 0 sum to {total:.4g}" if abs(total - 1) > 1e-3 else None
    )


def check_normalise(fn: Function, *, generator: torch.Generator) -> None:
    """One channel and several, of very different loudness, in both precisions."""
    cases = []
    for shape in ((1, 2), (2, 2), (2, 3), (3, 1), (3, pick(5, 9, generator))):
        h = short(*shape, generator=generator)
        h = h * 10.0 ** torch.arange(len(h), dtype=h.dtype)[:, None]
        given = f"h = {show(h)} of shape {shape}"
        cases += in_both_precisions(normalised_by_loops, (h,), given)
    question = "With h = [3, −1]: by which number do you divide?"
    examine(fn, cases, NORMALISE_MISTAKES, (wrong_totals,), question)


EXERCISE = Exercise(
    id="04.normalise",
    objective="Bound the loudness of every channel, whatever its length.",
    answer=normalise,
    hints=(
        "No input is louder than 1. How loud can the output of one channel be?",
        "h.abs().sum(dim=-1) is one number for each channel; keepdim=True keeps it "
        "upright, so that it divides its own row.",
    ),
    checker=check_normalise,
    points=8,
    minutes=8,
    stars=2,
)
