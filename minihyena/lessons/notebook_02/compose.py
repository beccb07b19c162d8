"""02.compose: two filters, one after the other, are one."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.conv import toeplitz
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.notebook_02.signals import conv

__all__ = ["EXERCISE"]


def compose(h1: Tensor, h2: Tensor) -> Tensor:
    """h1, h2: (L,) -> (L,): the filter of S1 S2, which is h2 first and h1 after it."""
    return conv(h2, h1)  # an impulse, through both


def filter_by_loops(h1: Tensor, h2: Tensor) -> Tensor:
    h = torch.zeros(len(h1), dtype=h1.dtype)
    for t in range(len(h1)):
        for s in range(t + 1):
            h[t] += h1[t - s] * h2[s]
    return h


def product(h1: Tensor, h2: Tensor) -> Tensor:
    return toeplitz(h1, len(h1)) @ toeplitz(h2, len(h2))


def whole(h1: Tensor, h2: Tensor) -> Tensor:
    """(2L - 1,): all that two short filters give, the tail included."""
    room = len(h1) - 1
    return filter_by_loops(pad(h1, (0, room)), pad(h2, (0, room)))


def round_a_ring(h1: Tensor, h2: Tensor) -> Tensor:
    full = pad(whole(h1, h2), (0, 1))
    return full[: len(h1)] + full[len(h1) :]


SEND = "Send an impulse through the second filter, and what comes out through the first"
SEND += ": what do you get?"
COMPOSE_MISTAKES = (
    Mistake(
        "that is two filters side by side, not one after the other",
        lambda h1, h2: h1 + h2,
        SEND,
    ),
    Mistake(
        "tap by tap: products of taps belong to spectra (notebook 03)",
        lambda h1, h2: h1 * h2,
        SEND,
    ),
    Mistake(
        "row 0 of a causal matrix has one entry; the filter is column 0",
        lambda h1, h2: product(h1, h2)[0],
        "Which part of a matrix is the answer to an impulse at step 0?",
    ),
    Mistake(
        "these are the taps backwards: the last row is the filter read from its end",
        lambda h1, h2: product(h1, h2)[-1],
        "Which part of a matrix is the answer to an impulse at step 0?",
    ),
    Mistake(
        "this is the whole matrix; its filter is one column of it",
        product,
        "Which part of a matrix is the answer to an impulse at step 0?",
    ),
    Mistake(
        "this is the diagonal, one number L times: how the present is read",
        lambda h1, h2: product(h1, h2).diagonal(),
        "Which part of a matrix is the answer to an impulse at step 0?",
    ),
    Mistake(
        "the tail wrapped onto the start: these filters do not live on a ring",
        round_a_ring,
        "At which step does tap 1 after the last tap answer?",
    ),
    Mistake(
        "2L − 1 taps: those from L on answer after the last step; keep the first L",
        whole,
        "How many steps are there to answer in?",
    ),
    Mistake(
        "one filter is turned round: this compares the two and is no filter after "
        "the other",
        lambda h1, h2: filter_by_loops(h1.flip(0), h2),
        SEND,
    ),
    Mistake(
        "one filter is turned round: this compares the two and is no filter after "
        "the other",
        lambda h1, h2: filter_by_loops(h1, h2.flip(0)),
        SEND,
    ),
    Mistake(
        "one matrix is transposed: it sends the answer of the other back in time",
        lambda h1, h2: toeplitz(h1, len(h1)).T @ h2,
        SEND,
    ),
    Mistake(
        "this is the first filter twice",
        lambda h1, h2: filter_by_loops(h1, h1),
        SEND,
    ),
    Mistake("only the first filter is there", lambda h1, h2: h1, SEND),
    Mistake("only the second filter is there", lambda h1, h2: h2, SEND),
)


def check_compose(fn: Function, *, generator: torch.Generator) -> None:
    """Small lengths and a larger one, both precisions, against a double loop."""
    cases = []
    for length in (1, 2, 3, pick(4, 9, generator)):
        h1, h2 = short(2, length, generator=generator)
        given = f"h1 = {show(h1)}, h2 = {show(h2)}"
        cases += in_both_precisions(filter_by_loops, (h1, h2), given)
    examine(fn, cases, COMPOSE_MISTAKES, question=SEND)


EXERCISE = Exercise(
    id="02.compose",
    objective="Find the one filter that does what two do in a row.",
    answer=compose,
    hints=(
        "How do you read a filter off any system, without knowing what is inside?",
        "Send an impulse in: h2 comes out of the second one. Send that into the first.",
    ),
    checker=check_compose,
    points=10,
    minutes=10,
    stars=2,
)
