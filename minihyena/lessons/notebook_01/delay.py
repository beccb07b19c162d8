"""01.delay: the same signal, later."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import leaks_the_future, not_linear

__all__ = ["EXERCISE"]


def delay(u: Tensor, k: int) -> Tensor:
    """u: (..., L), 0 <= k <= L -> (..., L): output t is input t - k.

    The first k outputs are 0: nothing has come yet.
    """
    y = torch.zeros_like(u)
    y[..., k:] = u[..., : u.shape[-1] - k]
    return y


def delay_by_loops(u: Tensor, k: int) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(k, u.shape[-1]):
        y[..., t] = u[..., t - k].double()
    return y.to(u.dtype)


def repeat_the_first(u: Tensor, k: int) -> Tensor:
    steps = (torch.arange(u.shape[-1]) - k).clamp(min=0)
    return u[..., steps]


def keep_what_was_there(u: Tensor, k: int) -> Tensor:
    return torch.cat([u[..., :k], u[..., : u.shape[-1] - k]], -1)


def minus_zero(u: Tensor, k: int) -> Tensor:
    return torch.cat([torch.zeros_like(u[..., :k]), u[..., :-k]], -1)


def along_the_batch(u: Tensor, k: int) -> Tensor:
    y = torch.zeros_like(u)
    y[k:] = u[: max(0, len(u) - k)]
    return y


ROLLED = (
    "the end of the signal came back at the start: roll goes round, a delay does not",
    "What had come before step 0?",
)
LATER = "If u is the ringing of a bell at step 0, when should it ring in y?"
DELAY_MISTAKES = (
    Mistake(ROLLED[0], lambda u, k: u.roll(k, -1), ROLLED[1]),
    Mistake(ROLLED[0], lambda u, k: u.roll(k), ROLLED[1]),
    Mistake(
        "y[0] equals u[k]: this looks ahead, it plays the signal early",
        lambda u, k: pad(u, (0, k))[..., k:],
        LATER,
    ),
    Mistake(
        "length changed from L to L + k; drop what falls off the end",
        lambda u, k: pad(u, (k, 0)),
        "How many outputs are wanted for L inputs?",
    ),
    Mistake(
        "length changed from L to L − k: the k zeros in front are missing",
        lambda u, k: u[..., : u.shape[-1] - k],
        "What is heard before the signal arrives?",
    ),
    Mistake(
        "for k = 0 nothing is left: u[:-0] is empty, as −0 is 0",
        minus_zero,
        "Where should the slice end, counted from the start?",
    ),
    Mistake(
        "the first k steps were silenced and the rest did not move",
        lambda u, k: u * (torch.arange(u.shape[-1]) >= k),
        LATER,
    ),
    Mistake(
        "before the signal arrives there is 0; this repeats u[0]",
        repeat_the_first,
        "What had come before step 0?",
    ),
    Mistake(
        "the first k outputs are still the inputs: begin with zeros",
        keep_what_was_there,
        "What had come before step 0?",
    ),
    Mistake(
        "the first axis was shifted; time is the last, as in u[..., t]",
        along_the_batch,
        "In u of shape (2, 3), how many steps are there?",
    ),
)


def check_delay(fn: Function, *, generator: torch.Generator) -> None:
    """No delay, some, and one as long as the signal; one signal and several."""
    cases: list[Case] = []
    long = pick(5, 9, generator)
    for shape, k in (
        ((3,), 1),
        ((3,), 0),
        ((4,), 3),
        ((3,), 3),
        ((2, 3), 1),
        ((2, 2, 4), 2),
        ((3, long), pick(1, long, generator)),
    ):
        u = short(*shape, generator=generator)
        given = f"u = {show(u)}, shape {shape}, k = {k}"
        cases += in_both_precisions(delay_by_loops, (u, k), given)
    examine(fn, cases, DELAY_MISTAKES, (leaks_the_future, not_linear), LATER)


EXERCISE = Exercise(
    id="01.delay",
    objective="Delay a signal without making it longer.",
    answer=delay,
    hints=(
        "Which input stands at output k, and what stands before it?",
        "Begin with torch.zeros_like(u). The places y[..., k:] take the first L − k "
        "inputs, and L is u.shape[-1].",
    ),
    checker=check_delay,
    points=5,
    minutes=5,
    stars=1,
)
