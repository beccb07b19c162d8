"""08.match_width: the width at which two models are of one size."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]

Build = Callable[[int], nn.Module]


def match_width(build: Build, target: int, widths: Sequence[int]) -> int:
    """The one of `widths` at which build(width) has nearest to `target` parameters.

    build: width -> nn.Module. Only what is trained counts.
    """

    def size(width: int) -> int:
        trained = (p for p in build(width).parameters() if p.requires_grad)
        return sum(p.numel() for p in trained)

    return min(widths, key=lambda width: abs(size(width) - target))


class Sized(nn.Module):
    """square * width^2 + width trained numbers, a buffer and a frozen table."""

    def __init__(self, width: int, square: int, buffer: int, frozen: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(square, width, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("table", torch.zeros(buffer, width))
        fixed = torch.zeros(frozen, width)
        self.fixed = nn.Parameter(fixed, requires_grad=False)


def count(module: nn.Module, kind: str = "trained") -> int:
    """Numbers of a module: trained ones, all parameters, or the whole state."""
    if kind == "state":
        return sum(t.numel() for t in module.state_dict().values())
    wanted = (p for p in module.parameters() if kind == "all" or p.requires_grad)
    return sum(p.numel() for p in wanted)


def nearest(kind: str) -> Function:
    return lambda build, target, widths: min(
        widths, key=lambda w: abs(count(build(w), kind) - target)
    )


def linear_guess(build: Build, target: int, widths: Sequence[int]) -> float:
    return widths[0] * target / count(build(widths[0]))


def on_one_side(above: bool) -> Function:
    def choose(build: Build, target: int, widths: Sequence[int]) -> int:
        def distance(w: int) -> float:
            miss = (count(build(w)) - target) * (1 if above else -1)
            return miss if miss >= 0 else float("inf")

        return min(widths, key=distance)

    return choose


SQUARE = "How many parameters has a layer twice as wide?"

WIDTH_MISTAKES = (
    Mistake(
        "models differ by more than 2 % in parameters: equally wide is not equally "
        "large",
        lambda build, target, widths: widths[0],
        "How many parameters has build(widths[0])?",
    ),
    *(
        Mistake(
            "parameters grow with the square of the width: a straight line misses",
            rule,
            SQUARE,
        )
        for rule in (
            lambda *args: round(linear_guess(*args)),
            lambda *args: int(linear_guess(*args)),
            lambda *args: min(args[2], key=lambda w: abs(w - linear_guess(*args))),
        )
    ),
    Mistake(
        "frozen parameters are not trained: look at requires_grad",
        nearest("all"),
        "Which of its numbers does the optimiser move?",
    ),
    Mistake(
        "buffers are not trained: they do not count",
        nearest("state"),
        "Which of its numbers does the optimiser move?",
    ),
    Mistake(
        "this is the nearest from below; one above is nearer",
        on_one_side(above=False),
        "By how much does the next width miss?",
    ),
    Mistake(
        "this is the nearest from above; one below is nearer",
        on_one_side(above=True),
        "By how much does the width before miss?",
    ),
    Mistake(
        "this is a place in the list, not a width",
        lambda *args: args[2].index(nearest("trained")(*args)),
        "What stands at that place?",
    ),
    Mistake(
        "this is the size, not the width",
        lambda *args: count(args[0](nearest("trained")(*args))),
        "Which width has it?",
    ),
    Mistake(
        "this is the width nearest to the target; compare the numbers of parameters",
        lambda build, target, widths: min(widths, key=lambda w: abs(w - target)),
        "How many parameters has a model of this width?",
    ),
)


def width_case(
    square: int, buffer: int, frozen: int, place: int, miss: int, step: int
) -> Case:
    """The width at `place` of a list is right, its size off by `miss` parameters."""

    def build(width: int) -> nn.Module:
        return Sized(width, square, buffer, frozen)

    widths = [8 + step * i for i in range(7)]
    target = count(build(widths[place])) + miss
    trained = f"{square} w² + w" if square > 1 else "w² + w"
    given = (
        f"build(w) has {trained} trained numbers, {buffer} w in a buffer, {frozen} w "
        f"frozen; target {target}, widths {widths[0]}, {widths[1]} .. {widths[-1]}"
    )
    right = min(widths, key=lambda w: abs(square * w * w + w - target))
    return Case((build, target, widths), right, given)


def check_match_width(fn: Function, *, generator: torch.Generator) -> None:
    """Sizes a little above and below, buffers and frozen tables, fine and coarse."""
    miss, square = pick(3, 9, generator), pick(2, 4, generator)
    cases = [
        width_case(1, 0, 0, 4, 0, 4),
        width_case(1, 0, 0, 3, miss, 4),
        width_case(1, 0, 0, 2, -miss, 4),
        width_case(square, 8 * square, 0, 4, -miss, 2),
        width_case(square, 0, 8 * square, 5, miss, 2),
        width_case(square, 30, 60, pick(2, 5, generator), miss, 2),
    ]
    question = "How many trained parameters has build(w), for each w in widths?"
    examine(fn, cases, WIDTH_MISTAKES, question=question)


EXERCISE = Exercise(
    id="08.match_width",
    objective="Choose the width that makes two models equal in trained parameters.",
    answer=match_width,
    hints=(
        "What would you have to know of each width to choose among them?",
        "p.numel() of each p in build(width).parameters() with p.requires_grad; then "
        "min(widths, key=...) with the distance from target as the key.",
    ),
    checker=check_match_width,
    points=12,
    minutes=12,
    stars=2,
)
