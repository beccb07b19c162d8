"""A3, part 2: six leaks to find, and six sound operators to clear.

Operators (B, L, D) -> (B, L, D) compute in the dtype that they are given.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minihyena.grading.box import MOST
from minihyena.grading.parts import (
    Functions,
    Parameters,
)
from minihyena.lessons.comparing import attempt, pick, short
from minihyena.lessons.exercise import Function, Incorrect

__all__ = ["faint_leaks", "finds", "gated_leaks", "open_leaks"]


Operator = Callable[[Tensor], Tensor]
Pairs = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Planted:
    """An operator, what an auditor that is wrong about it does, and a question.

    leaks: the pairs (output, later input) that move for some input; none if sound.
    """

    op: Operator
    says: str
    question: str
    leaks: Pairs = frozenset()


ROUNDING = "How large is rounding, beside the largest output?"
PRESENT = "May output t read input t, and which of the two comes first in a pair?"
BEFORE = "Which outputs come before the input that you change?"
OPEN = (
    "Which inputs would open a gate that is shut for yours, and how far ahead do you "
    "look?"
)


def weights(*shape: int, generator: torch.Generator) -> Tensor:
    """Of a size that keeps outputs about as large as inputs."""
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    return w / math.sqrt(shape[-1])


def sign(generator: torch.Generator) -> int:
    return 2 * pick(0, 1, generator) - 1


def ring(u: Tensor, h: Tensor, n: int) -> Tensor:
    """u (B, L, D), h (L, D): the first L steps on a ring of n; causal from 2 L - 1."""
    spectrum = torch.fft.rfft(u, n, dim=1) * torch.fft.rfft(h.to(u.dtype), n, dim=0)
    y: Tensor = torch.fft.irfft(spectrum, n, dim=1)
    return y[:, : u.shape[1]]


def moved(u: Tensor, lag: int) -> Tensor:
    """u so many steps later, or for a negative lag earlier; 0 where nothing comes."""
    room = torch.zeros_like(u[:, : abs(lag)])
    parts = [room, u[:, :-lag]] if lag > 0 else [u[:, -lag:], room]
    return torch.cat(parts, dim=1)


def taps(u: Tensor, h: dict[int, Tensor]) -> Tensor:
    """The sum of h[lag] (D,) times u so much later."""
    parts = [moved(u, lag) * tap.to(u.dtype) for lag, tap in h.items()]
    return torch.stack(parts).sum(0)


def everywhere(length: int, ahead: Iterable[int]) -> Pairs:
    """All pairs (t, s) with s so many steps ahead of t."""
    return frozenset((s - k, s) for k in ahead for s in range(k, length))


def sound(length: int, width: int, generator: torch.Generator) -> list[Planted]:
    """Six causal operators, their weights drawn anew."""
    offset = short(length, width, generator=generator)
    h = weights(length, width, generator=generator)
    h *= torch.linspace(0, -3, length, dtype=torch.float64).exp()[:, None]
    near = {lag: weights(width, generator=generator) for lag in range(3)}
    maps = [weights(width, width, generator=generator) for _ in range(8)]
    steps = torch.arange(1, length + 1)[:, None]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)

    def gated(u: Tensor) -> Tensor:
        return taps(u @ maps[0].to(u), near).sigmoid() * u

    def attention(u: Tensor) -> Tensor:
        q, k, v = (u @ w.to(u) for w in maps[1:4])
        scores = (q @ k.mT / math.sqrt(width)).masked_fill(future, -torch.inf)
        return scores.softmax(-1) @ v

    def hyena(u: Tensor) -> Tensor:
        after, before, v = (taps(u @ w.to(u), near) for w in maps[4:7])
        z = before * v
        y = after * (ring(z, h, 2 * length) + 0.5 * z)
        return y @ maps[7].to(u)

    names: list[tuple[Operator, str, str]] = [
        (
            lambda u: u + offset.to(u),
            "an operator that adds a constant, whatever comes in",
            "What comes out when nothing goes in?",
        ),
        (
            lambda u: ring(u, h, 2 * length),
            "a causal convolution by FFT, which touches the last digits of every "
            "output",
            ROUNDING,
        ),
        (gated, "a gate that listens to the present and the past", PRESENT),
        (lambda u: u.cumsum(1) / steps, "the mean of all inputs so far", PRESENT),
        (attention, "causal attention", PRESENT),
        (hyena, "a Hyena of order 2", ROUNDING),
    ]
    return [Planted(op, f"blames {name}", question) for op, name, question in names]


def open_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """Those that any input shows."""
    h = {lag: weights(width, generator=generator) for lag in (0, 1)}
    size = sign(generator) * (0.3 + 0.1 * pick(0, 5, generator))
    centred = {**h, -1: torch.full((width,), size)}

    def normalised(u: Tensor) -> Tensor:
        spread = u.std(1, correction=0, keepdim=True) + 1e-3
        return (u - u.mean(1, keepdim=True)) / spread

    return [
        Planted(
            lambda u: taps(u, centred),
            "clears a short convolution that is centred: output t reads input t + 1",
            BEFORE,
            everywhere(length, [1]),
        ),
        Planted(
            normalised,
            "clears a normalisation over the whole sequence, whose mean and spread "
            "know the end",
            BEFORE,
            everywhere(length, range(1, length)),
        ),
    ]


def gated_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """Those that are hidden from silence, or from all but loud inputs."""
    one, two = (pick(2, 4, generator) for _ in range(2))
    side, channel = sign(generator), pick(0, width - 1, generator)
    loud: float = given["loud"]

    def by_sign(u: Tensor) -> Tensor:
        gate = (side * u[:, :1, channel, None]).relu()  # the first step decides
        return u + gate * moved(u, -one)

    def by_loudness(u: Tensor) -> Tensor:
        gate = u.square().mean(-1, keepdim=True) > loud**2
        return u + gate * moved(u, -two)

    return [
        Planted(
            by_sign,
            "clears a leak behind a gate that silence shuts, and every second sequence",
            OPEN,
            everywhere(length, [one]),
        ),
        Planted(
            by_loudness,
            f"clears a leak behind a gate that opens to loud inputs, from {loud:g} on",
            OPEN,
            everywhere(length, [two]),
        ),
    ]


def faint_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """A tail that wraps round, faintly, and one far input in one channel."""
    count, faint = length // 2 + pick(0, 1, generator), given["smallest"]
    h = torch.zeros(length, width, dtype=torch.float64)
    h[0] = 1
    for k in range(1, count):
        h[k] = faint * sign(generator)
    t, s = pick(1, 2, generator), length - pick(2, 3, generator)
    into, out_of = (pick(1, width - 1, generator) for _ in range(2))
    size = sign(generator) * (0.3 + 0.1 * pick(0, 5, generator))

    def lone(u: Tensor) -> Tensor:
        y = u.clone()
        y[:, t, into] += size * u[:, s, out_of]
        return y

    return [
        Planted(
            lambda u: ring(u, h, length),
            f"clears a convolution whose tail wraps round: a leak of size {faint:g} "
            "from the end to the start",
            "How large is rounding, how much more do you allow, and how far ahead do "
            "you look?",
            everywhere(length, range(length - count + 1, length)),
        ),
        Planted(
            lone,
            f"clears a leak from input {s} to output {t} alone, in one channel",
            "Which inputs, outputs and channels have you not looked at?",
            frozenset([(t, s)]),
        ),
    ]


Leaks = Callable[[int, int, Parameters, torch.Generator], list[Planted]]


def finds(leaks: Leaks) -> Any:
    """It clears all sound operators, and finds these leaks where they are.

    They come in an order drawn by lot: who counts calls has nothing to go by.
    """

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        width, (shortest, longest) = parameters["width"], parameters["lengths"]
        length = pick(shortest, longest, generator)
        planted = leaks(length, width, parameters, generator)
        tried = [*sound(length, width, generator), *planted]
        named = {
            i: pairs_named(fns["leaks"], tried[i].op, length, width)
            for i in torch.randperm(len(tried), generator=generator).tolist()
        }
        for i, one in enumerate(tried):
            wrong, says, question = named[i] - one.leaks, one.says, one.question
            if one.leaks and wrong:
                says = "names pairs that do not move"
                question = "How many inputs do you change at a time?"
            elif bool(named[i]) == bool(one.leaks):
                continue
            raise Incorrect(
                f"your auditor {says}",
                f"length {length}, width {width}",
                some(one.leaks),
                some(wrong),
                question,
            )

    return check


def pairs_named(leaks: Function, op: Operator, length: int, width: int) -> Pairs:
    """What the student's auditor says about an operator that it cannot look into."""

    def black_box(u: Tensor) -> Tensor:
        if not isinstance(u, Tensor) or not u.is_floating_point():
            raise TypeError("op takes a tensor of real numbers")
        if u.dim() != 3 or u.shape[1:] != (length, width) or not len(u):
            shape = tuple(u.shape)
            raise ValueError(f"op takes (B, {length}, {width}) here; got {shape}")
        if u.numel() > MOST:
            raise ValueError(f"at most {MOST:,} numbers may be handed over")
        return op(u.detach().clone())

    value: Any = attempt(leaks, black_box, length, width)
    try:
        named = frozenset((int(t), int(s)) for t, s in value)
    except (TypeError, ValueError, RuntimeError):
        raise Incorrect(
            "leaks must give a list of pairs (output, later input), or []",
            got=f"{value!r:.90}",
        ) from None
    for t, s in sorted(named):
        if s <= t:
            raise Incorrect(
                f"({t}, {s}) is no leak: input {s} is not later than output {t}",
                question=PRESENT,
            )
        if not 0 <= t < s < length:
            raise Incorrect(f"({t}, {s}) is not there: {length} steps, from 0")
    return named


def some(pairs: Pairs) -> str:
    """At most four of them."""
    first, more = sorted(pairs)[:4], len(pairs) > 4
    return f"[{', '.join(map(str, first))}{', …' * more}]"
