"""01.is_convolution: two questions that a convolution answers with yes."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from minihyena.lessons.comparing import attempt, pick, truth
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_01.systems import Box, filtered

__all__ = ["EXERCISE"]


def is_convolution(system: Box, length: int, *, generator: torch.Generator) -> bool:
    """system: (L,) -> (L,); True if it is a causal convolution with some filter.

    Measured on signals drawn from `generator`: does it add, and is later only later?
    """
    a, b = torch.randn(2, length, generator=generator)
    adds = torch.allclose(system(a + b), system(a) + system(b), atol=1e-4)
    silence = torch.zeros(1)
    late = system(torch.cat([silence, a[:-1]]))
    later = torch.cat([silence, system(a)[:-1]])
    return adds and torch.allclose(late, later, atol=1e-4)


def steps(u: Tensor) -> Tensor:
    return torch.arange(len(u), dtype=u.dtype)


def before(u: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(u[:1]), u[:-1]])


def after(u: Tensor) -> Tensor:
    return torch.cat([u[1:], torch.zeros_like(u[:1])])


def middle(u: Tensor) -> Tensor:
    return torch.stack([u, before(u), before(before(u))]).median(0).values


# What is no convolution, and which of the two questions it answers with no.
BOTH, ADDING, SHIFTING = "both", "adding", "shifting"
OTHERS: tuple[tuple[str, Callable[[Tensor], Tensor], str], ...] = (
    ("y[t] = t · u[t]", lambda u: steps(u) * u, SHIFTING),
    ("y[t] = u[t]²", lambda u: u * u, ADDING),
    ("y[t] = u[t] + 1", lambda u: u + 1, BOTH),
    ("y[t] = |u[t]|", lambda u: u.abs(), ADDING),
    ("y[t] = u[t], cut off at 1 and −1", lambda u: u.clamp(-1, 1), ADDING),
    ("y[t] = u[t] if u[t − 1] > 0, else 0", lambda u: u * (before(u) > 0), ADDING),
    ("y[t] = u[t] · u[t − 1]", lambda u: u * before(u), ADDING),
    ("y[t] = the middle one of u[t − 2], u[t − 1] and u[t]", middle, ADDING),
    (
        "y[t] = the mean of u[0] to u[t]",
        lambda u: u.cumsum(0) / (steps(u) + 1),
        SHIFTING,
    ),
    (
        "y[t] = u[t], twice as loud from the middle on",
        lambda u: u * (1 + (steps(u) >= len(u) // 2)),
        SHIFTING,
    ),
    ("y = u backwards", lambda u: u.flip(0), SHIFTING),
    ("y = u, rolled by 2", lambda u: u.roll(2), SHIFTING),
    ("y[t] = u[t + 1]", after, SHIFTING),
)
RAMP, SQUARE, OFFSET = (what for what, _, _ in OTHERS[:3])
WHY = {
    RAMP: "which is linear but changes with time",
    SQUARE: "which shifts well but does not add",
    "y = u, rolled by 2": "which brings the end back at the start",
    "y[t] = u[t + 1]": "which looks ahead",
    ADDING: "which does not add",
    SHIFTING: "which changes with time",
    BOTH: "which neither adds nor shifts well",
}
ASK = {
    SHIFTING: "What comes out if the same signal goes in one step later?",
    ADDING: "What comes out for the sum of two signals, drawn by lot?",
    BOTH: "What comes out for the sum of two signals, drawn by lot?",
}
SIDES = "What do you send in, and which two results do you compare?"


def boxes(generator: torch.Generator) -> Iterator[tuple[Box, str]]:
    """Systems, each with "" if it is a convolution, else with what it lacks."""
    for length in (12, pick(13, 20, generator)):
        k, gain = pick(1, 5, generator), pick(2, 8, generator) / 10
        for what, taps in (
            ("y = u", [1.0]),
            ("y[t] = u[t] − u[t − 1]", [1.0, -1.0]),
            (f"y = u delayed by {k}", [0.0] * k + [1.0]),
            (f"y[t] = u[t] + {gain} u[t − {k}]", [1.0, *[0.0] * (k - 1), gain]),
            ("y[t] = u[0] + … + u[t]", [1.0] * length),
            ("y = 0", [0.0]),
        ):
            yield Box(what, filtered(*taps), length), ""
        for what, system, lacks in OTHERS:
            yield Box(what, system, length), lacks


def check_is_convolution(fn: Function, *, generator: torch.Generator) -> None:
    """Six convolutions and thirteen systems that are none, at two lengths."""
    said: list[tuple[Box, str, bool]] = []
    world = torch.get_rng_state()
    for box, lacks in boxes(generator):
        own = torch.Generator().manual_seed(pick(0, 2**31 - 1, generator))
        given = f"a system {box.what}, length {box.length}"
        try:
            answer = attempt(partial(fn, generator=own), box, box.length)
            said.append((box, lacks, truth(answer)))
        except Incorrect as error:
            question = "What does torch.allclose(one, other, atol=1e-4) return?"
            raise Incorrect(error.misconception, given, question=question) from None
    if any(yes == bool(lacks) for _, lacks, yes in said):
        raise explained(said)
    if not torch.equal(world, torch.get_rng_state()):
        raise Incorrect(
            "the global random state changed: draw from the generator you are given",
            f"a system {RAMP}",
            question="What does torch.randn take besides a shape?",
        )


def explained(said: list[tuple[Box, str, bool]]) -> Incorrect:
    """What the answers, some of them wrong, have in common."""
    wrong = [(box, lacks) for box, lacks, yes in said if yes == bool(lacks)]
    box, lacks = wrong[0]
    taken = {box.what for box, lacks in wrong if lacks}
    question = SIDES
    if len({yes for _, _, yes in said}) == 1:
        sentence = f"the answer is {'yes' if said[0][2] else 'no'} for every system"
        sentence += "" if any(b.heard for b, _, _ in said) else ", and none was run"
    elif not all(lacks for _, lacks in wrong):
        box, lacks = next((b, lacks) for b, lacks in wrong if not lacks)
        sentence = (
            f"said no to {box.what}, a convolution with the filter {taps_of(box)}"
        )
        sentence += ", and yes to some that are none" if taken else ""
    elif taken == {what for what, _, _ in OTHERS} - {OFFSET}:
        sentence = f"said yes to {RAMP}, to {SQUARE} and to every other system that "
        sentence += "merely maps silence to silence"
    else:
        sentence = f"said yes to {box.what}, {WHY.get(box.what, WHY[lacks])}"
        heard = torch.cat([u for b, _, _ in said for u, _ in b.heard])
        if ((heard == 0) | (heard == 1)).all():
            sentence += "; only zeros and ones went in, and they tell too little"
        question = ASK[lacks]
    answers = ("no", "yes") if lacks else ("yes", "no")
    given = f"a system {box.what}, length {box.length}"
    return Incorrect(sentence, given, *answers, question)


def taps_of(box: Box) -> str:
    """The first taps in words, up to six of them."""
    taps = box.answer(torch.eye(box.length, dtype=torch.float64)[0])
    last = max(taps.nonzero().flatten().tolist(), default=0)
    return ", ".join(f"{tap:g}" for tap in taps[: min(last + 1, 6)].tolist())


EXERCISE = Exercise(
    id="01.is_convolution",
    objective="Test a black box for linearity and time invariance.",
    answer=is_convolution,
    hints=(
        "Which two promises does every filter keep, whatever its taps are?",
        "Draw a and b. Compare system(a + b) with system(a) + system(b), and what "
        "comes out for a delayed by one with what comes out for a, delayed by one. "
        "torch.allclose(…, atol=1e-4) forgives rounding.",
    ),
    checker=check_is_convolution,
    points=12,
    minutes=12,
    stars=2,
)
