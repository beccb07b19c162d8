"""07.copying_channel: which channel hands the previous token on."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]


def copying_channel(stack: Tensor) -> int:
    """stack: (C, L, L) causal -> the channel with the largest share of its own weight
    |M| on the entries M[t, t-1]; a channel of zeros copies nothing.
    """
    weight = stack.abs()
    before = weight.diagonal(-1, 1, 2).sum(1)
    everything = weight.sum((1, 2))
    return int((before / everything.clamp(min=1e-30)).argmax())


def channel_by_loops(stack: Tensor) -> int:
    best, largest = 0, -1.0
    for c, rows in enumerate(stack.double().tolist()):
        everything = sum(abs(x) for row in rows for x in row)
        before = sum(abs(rows[t][t - 1]) for t in range(1, len(rows)))
        if everything and before / everything > largest:
            best, largest = c, before / everything
    return best


def share(offset: int, weight: Callable[[Tensor], Tensor] = torch.abs) -> Function:
    """The channel with the largest share on one diagonal; 0 / 0 counts as 0."""

    def best(stack: Tensor) -> int:
        mass = weight(stack)
        part = mass.diagonal(offset, 1, 2).sum(1)
        return int((part / mass.sum((1, 2))).nan_to_num(0).argmax())

    return best


LOUD = "What happens to your score if one channel is multiplied by 20?"
PLACE = "At which column does row t read token t - 1?"
COPYING_MISTAKES = (
    Mistake(
        "picked a loud channel, not a focused one; use a share",
        lambda stack: int(stack.abs().amax((1, 2)).argmax()),
        LOUD,
    ),
    Mistake(
        "picked a loud channel, not a focused one: the diagonal's sum is no share",
        lambda stack: int(stack.abs().diagonal(-1, 1, 2).sum(1).argmax()),
        LOUD,
    ),
    Mistake(
        "channel 0 every time: that is the next token, M[t, t+1], of which a causal "
        "channel reads nothing",
        share(1),
        PLACE,
    ),
    Mistake("that is the token itself", share(0), PLACE),
    Mistake("that is the token two places before", share(-2), PLACE),
    Mistake(
        "a silent channel won: 0 / 0 is NaN, and argmax takes a NaN for the largest",
        lambda stack: int(
            (stack.abs().diagonal(-1, 1, 2).sum(1) / stack.abs().sum((1, 2))).argmax()
        ),
        "What is the share of nothing in nothing?",
    ),
    Mistake(
        "a channel may copy with a minus sign: take sizes",
        lambda stack: int(
            (stack.diagonal(-1, 1, 2).sum(1) / stack.abs().sum((1, 2)))
            .nan_to_num(0)
            .argmax()
        ),
        "Is -2 times the previous token no copy?",
    ),
    Mistake(
        "this is the channel that copies the previous token least",
        lambda stack: int(
            (
                stack.abs().diagonal(-1, 1, 2).sum(1)
                / stack.abs().sum((1, 2)).clamp(min=1e-30)
            ).argmin()
        ),
        "Is a large share a good one or a bad one?",
    ),
    Mistake(
        "this is a position, not a channel: which axis was searched?",
        lambda stack: int(stack.abs().diagonal(-1, 1, 2).sum(0).argmax()),
        "Which axis of the stack counts channels?",
    ),
)


def whole(value: object) -> object:
    """A tensor of one whole number as that number."""
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        if value.is_floating_point():
            raise Incorrect("this is a share, not a channel: which one has it?")
        return int(value)
    return value


def channels(generator: torch.Generator, length: int, silent: bool) -> Tensor:
    """A copier, quiet and negative, among channels that only seem to copy."""

    def noise(size: float) -> Tensor:
        return size * (0.5 + torch.rand(length, length, generator=generator)).tril()

    def line(offset: int) -> Tensor:
        return torch.ones(length, length).tril(offset).triu(offset)

    spike = torch.zeros(length, length)
    spike[-1, 0] = 100
    kinds = [
        noise(0.01) - line(-1),  # the copier
        noise(0.3) + spike,
        noise(30.0),  # loud everywhere
        noise(0.01) + line(0),  # itself
        noise(0.3) + 0.4 * line(-1),  # copies a little, with a plus
    ]
    kinds += [noise(0.01) + 3 * line(-2)] * (length > 3)
    kinds += [torch.zeros(length, length)] * silent
    order = torch.randperm(len(kinds), generator=generator)
    return torch.stack([kinds[i] for i in order])


def check_copying_channel(fn: Function, *, generator: torch.Generator) -> None:
    """Channels in random order, in both precisions."""
    cases = []
    for length in (3, 4, pick(5, 8, generator), pick(5, 8, generator)):
        for silent in (False, True):
            for dtype in (torch.float32, torch.float64):
                stack = channels(generator, length, silent).to(dtype)
                mass = stack.abs().diagonal(-1, 1, 2).sum(1)
                given = f"{len(stack)} channels, L = {length}; sum of |M[t, t-1]| "
                given += f"{show(mass)}, sum of |M| {show(stack.abs().sum((1, 2)))}"
                args = (stack,)
                cases.append(
                    Case(
                        args,
                        channel_by_loops(stack),
                        given,
                        lambda fn, args=args: whole(attempt(fn, *args)),  # type: ignore[misc]
                    )
                )
    question = "Which share of its own weight does each channel have there?"
    examine(fn, cases, COPYING_MISTAKES, question=question)


EXERCISE = Exercise(
    id="07.copying_channel",
    objective="Find the channel that hands on the previous token.",
    answer=copying_channel,
    hints=(
        "A delay by one step: where do its ones stand, and how much of its weight is "
        "that?",
        "stack.abs().diagonal(-1, 1, 2) has the entries M[t, t-1] of every channel; "
        "divide their sum by the sum of the channel, and mind a channel of zeros.",
    ),
    checker=check_copying_channel,
    points=8,
    minutes=8,
    stars=2,
)
