"""12.symmetrise: an operator that says the same of both strands."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]

Operator = Callable[[Tensor], Tensor]


def symmetrise(f: Operator) -> Operator:
    """f: (B, L, 4) -> (B, L, 4) -> a function g of the same kind.

    Channels are A C G T, in and out. What g says of the other strand is what it says
    of this one, read from the other strand: g(rc(x)) = rc(g(x)). It is the mean of
    what f says of both; where f was so already, g = f.
    """
    return lambda x: (f(x) + f(x.flip(1, 2)).flip(1, 2)) / 2


def other_strand(x: Tensor) -> Tensor:
    """The oracle's way: place after place, base after base."""
    y, last = torch.empty_like(x), x.shape[1] - 1
    for t in range(x.shape[1]):
        for base, partner in ((0, 3), (1, 2), (2, 1), (3, 0)):
            y[:, t, base] = x[:, last - t, partner]
    return y


def by_loops(f: Operator, x: Tensor) -> Tensor:
    of_this, of_other = f(x), other_strand(f(other_strand(x)))
    return (of_this + of_other) / 2


Turn = Callable[[Tensor], Tensor]


def rc(x: Tensor) -> Tensor:
    return x.flip(1, 2)


def mean_of(there: Turn, back: Turn, share: float = 0.5, sign: int = 1) -> Function:
    """Symmetrising with some other way to the second strand, or back from it."""
    return lambda f: lambda x: share * (f(x) + sign * back(f(there(x))))


def same(x: Tensor) -> Tensor:
    return x


BACK = "What does place 0 of f(rc(x)) speak of: of your first base, or of your last?"
SWAP = "An A on one strand is a T on the other: which channels change places?"
MISTAKES = (
    Mistake(
        "second term is in reversed order: it does not map back",
        mean_of(rc, same),
        BACK,
    ),
    Mistake(
        "channels of paired bases were not swapped: the strand was only read backwards",
        mean_of(lambda x: x.flip(1), lambda x: x.flip(1)),
        SWAP,
    ),
    Mistake(
        "the strand was not turned round: bases were paired, and read forwards",
        mean_of(lambda x: x.flip(2), lambda x: x.flip(2)),
        "At which end does the other strand begin?",
    ),
    Mistake(
        "an already symmetric f was doubled: this is the sum, not the mean",
        mean_of(rc, rc, share=1),
        "What should g be, if f treats both strands alike from the start?",
    ),
    Mistake(
        "places were mapped back, channels were not: what was said of A stands at T",
        mean_of(rc, lambda x: x.flip(1)),
        SWAP,
    ),
    Mistake(
        "channels were mapped back, places were not: the second term is backwards",
        mean_of(rc, lambda x: x.flip(2)),
        BACK,
    ),
    Mistake(
        "this is what f says of the other strand alone; of this one it says more",
        lambda f: lambda x: rc(f(rc(x))),
        "Of which two things is g the mean?",
    ),
    Mistake(
        "f was asked about one strand only: the mean turns its answer, not its input",
        mean_of(same, rc),
        "Has f ever seen the other strand?",
    ),
    Mistake(
        "the strands were mixed before f saw them: f reads a strand that is neither",
        lambda f: lambda x: f((x + rc(x)) / 2),
        "How often is f called, and with what?",
    ),
    Mistake(
        "with a minus an already symmetric f becomes nothing",
        mean_of(rc, rc, sign=-1),
        "What should g be, if f treats both strands alike from the start?",
    ),
    Mistake(
        "f came back as it was: it need not treat the two strands alike",
        lambda f: f,
        "What do f(x) and f(rc(x)) have to do with each other?",
    ),
)


def operators(generator: torch.Generator) -> dict[str, Operator]:
    """Operators that do and do not treat both strands alike, linear ones and others."""
    mix = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    decay = 0.3 + 0.1 * pick(1, 5, generator)

    def delay(x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)

    def gated(x: Tensor) -> Tensor:
        past = torch.zeros_like(x)
        for t in range(x.shape[1]):
            past[:, t] = x[:, t] + decay * past[:, t - 1] * (t > 0)
        return x * (past @ mix.to(x.dtype))

    return {
        "a delay by one step": delay,
        "a table of weights for the channels": lambda x: x @ mix.to(x.dtype),
        "a mean over all places": lambda x: x.mean(1, keepdim=True).expand_as(x),
        "a gated convolution": gated,
    }


def applied(fn: Function, f: Operator, x: Tensor) -> object:
    """What symmetrise(f) says of x."""
    g = attempt(fn, f)
    if not callable(g):
        raise Incorrect(
            f"symmetrise returned a {type(g).__name__}: wanted is a function g, which "
            "is called later"
        )
    return attempt(g, x)


def check_symmetrise(fn: Function, *, generator: torch.Generator) -> None:
    """Several operators on random numbers, in both precisions."""
    cases = []
    for name, f in operators(generator).items():
        for batch, length in ((1, 2), (2, 3), (1, pick(4, 7, generator))):
            draw = short(batch, length, 4, generator=generator)
            for x in (draw.float(), draw):

                def run(fn: Function, f: Operator = f, x: Tensor = x) -> object:
                    return applied(fn, f, x)

                given = f"f = {name}, x {tuple(x.shape)} = {show(x)}"
                cases.append(Case((f, x), by_loops(f, x), given, run))
    question = "What does f say of the other strand, and how is it read from here?"
    examine(fn, cases, MISTAKES, question=question)


EXERCISE = Exercise(
    id="12.symmetrise",
    objective="Make an operator say the same of both strands of a molecule.",
    answer=symmetrise,
    hints=(
        "f has been asked about rc(x), and answers from the other strand's end. What "
        "has to be done to its answer before it can be added to f(x)?",
        "With channels in the order A C G T, rc(x) is x.flip(1, 2): places and bases "
        "both turned round. It undoes itself. Return a function: a def inside, or a "
        "lambda.",
    ),
    checker=check_symmetrise,
    points=12,
    minutes=12,
    stars=3,
)
