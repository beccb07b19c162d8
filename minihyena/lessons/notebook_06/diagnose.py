"""06.diagnose: name the fault of a broken operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minihyena.lessons.comparing import attempt, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_06.hyena_operator import convolve, wrapped

__all__ = ["EXERCISE"]

Parts = Sequence[Tensor]  # N gates or filters (D, L), or N skips (D,)
Op = Callable[[Tensor, Parts, Parts, Parts], Tensor]


def diagnose(op: Op) -> str:
    """op(v, gates, filters, skips) -> y (D, L): the name of its one fault.

    "correct", "leaks", "gate order", "shared filter" or "missing skip".
    """
    L, g = 8, torch.Generator().manual_seed(0)
    v, *gates = torch.randn(4, 1, L, generator=g)
    opened, shut, nothing = [torch.ones(1, L)] * 3, [torch.zeros(1)] * 3, [0 * v] * 3
    pulses = torch.eye(L)[:, None]  # row t: a single 1, at time t
    # Leaks: only the last input changes, so only the last output may.
    dense = [pulses[lag] + 0.5 for lag in range(3)]
    before, after = (op(z, opened, dense, shut) for z in (v, v + pulses[-1]))
    if not torch.allclose(before[:, :-1], after[:, :-1], atol=1e-4):
        return "leaks"
    # Skips: with filters of zeros, nothing else carries.
    if not torch.allclose(op(v, opened, nothing, [v[:, 0]] * 3), v * v[0, 0] ** 3):
        return "missing skip"
    # Filters: delays of 0, 1 and 3 steps make 4 only if each is used once.
    delays = [pulses[0], pulses[1], pulses[3]]
    if not torch.allclose(op(pulses[0], opened, delays, shut), pulses[4], atol=1e-4):
        return "shared filter"
    # Gates: with a delay of one step at each stage, x3[t] meets x2[t-1] and x1[t-2].
    y = op(torch.ones(1, L), gates, [pulses[1]] * 3, shut)[:, 3:]
    met = gates[2][:, 3:] * gates[1][:, 2:-1] * gates[0][:, 1:-2]
    return "correct" if torch.allclose(y, met, atol=1e-4) else "gate order"


WORDS = {
    "correct": "a correct operator",
    "leaks": "a leak",
    "gate order": "a wrong gate order",
    "shared filter": "a shared filter",
    "missing skip": "a missing skip",
}


@dataclass
class Planted:
    """An operator with a known fault, or none, that keeps a record of its use."""

    verdict: str
    what: str
    use: Callable[[int, int], tuple[int, int, int]]  # stage n of N -> its parts
    conv: Callable[[Tensor, Tensor], Tensor] = convolve
    calls: int = 0
    most: int = 0  # stages in one call

    def __call__(self, v: Tensor, gates: Parts, filters: Parts, skips: Parts) -> Tensor:
        order = len(gates)
        if not len(filters) == len(skips) == order >= 1:
            raise ValueError(
                f"op takes N gates, N filters, N skips; got {order}, {len(filters)} "
                f"and {len(skips)}"
            )
        if v.dim() != 2 or any(x.shape != v.shape for x in (*gates, *filters)):
            raise ValueError("v, gates and filters all have one shape (D, L)")
        if any(d.shape != v.shape[:1] for d in skips):
            raise ValueError(f"a skip has shape (D,), here ({len(v)},)")
        self.calls, self.most = self.calls + 1, max(self.most, order)
        z = v
        for n in range(order):
            gate, filter, skip = self.use(n, order)
            carried = self.conv(z, filters[filter])
            if skip >= 0:
                carried = carried + skips[skip][:, None] * z
            z = gates[gate] * carried
        return z


def planted(generator: torch.Generator) -> list[Planted]:
    """Operators of every kind, the correct ones first."""
    leak = pick(1, 9, generator) / 10

    def from_the_end(z: Tensor, h: Tensor) -> Tensor:
        first = torch.eye(z.shape[-1], dtype=z.dtype)[0]
        return convolve(z, h) + leak * z[:, -1:] * first

    def centred(z: Tensor, h: Tensor) -> Tensor:
        return torch.cat([convolve(z, h)[:, 1:], 0 * z[:, :1]], -1)

    def by_rows(z: Tensor, h: Tensor) -> Tensor:
        reach = range(z.shape[-1])
        rows = [(z[:, : t + 1] * h[:, : t + 1].flip(-1)).sum(-1) for t in reach]
        return torch.stack(rows, -1)

    swapped = "uses the last two gates in each other's place"
    return [
        Planted("correct", "does what Def. 3.1 says", lambda n, N: (n, n, n)),
        Planted(
            "correct", "does so row by row", lambda n, N: (n, n, n), by_rows
        ),
        Planted(
            "shared filter", "uses filters[0] everywhere", lambda n, N: (n, 0, n)
        ),
        Planted(
            "shared filter", "uses filters[-1] everywhere", lambda n, N: (n, N - 1, n)
        ),
        Planted(
            "shared filter",
            "uses the filter of the stage before from stage 2 on",
            lambda n, N: (n, max(n - 1, 0), n),
        ),
        Planted(
            "gate order", "uses the last gate first", lambda n, N: (N - 1 - n, n, n)
        ),
        Planted(
            "gate order",
            "begins with the second gate",
            lambda n, N: ((n + 1) % N, n, n),
        ),
        Planted(
            "gate order",
            swapped,
            lambda n, N: (n if n < N - 2 or N == 1 else 2 * N - 3 - n, n, n),
        ),
        Planted("missing skip", "has no skips", lambda n, N: (n, n, -1)),
        Planted(
            "missing skip",
            "lacks the skip of the last stage",
            lambda n, N: (n, n, -1 if n == N - 1 else n),
        ),
        Planted("leaks", "convolves on a ring", lambda n, N: (n, n, n), wrapped),
        Planted("leaks", "is one step early", lambda n, N: (n, n, n), centred),
        Planted(
            "leaks",
            f"adds {leak} of the last input to output 0",
            lambda n, N: (n, n, n),
            from_the_end,
        ),
    ]  # fmt: skip


def verdict(fn: Function, op: Planted) -> object:
    """What the learner says of op, or the Incorrect that came instead."""
    try:
        return attempt(lambda: fn(op))
    except Incorrect as error:
        return error


def check_diagnose(fn: Function, *, generator: torch.Generator) -> None:
    """Two correct operators and eleven broken ones, each a law of its own kind."""
    ops = planted(generator)
    for op in ops:
        said = verdict(fn, op)
        if said == op.verdict:
            continue
        given = f"an operator that {op.what}"
        expected, got = repr(op.verdict), f"{said!r:.60}"
        question = "Which input would make this operator and a correct one differ?"
        if isinstance(said, Incorrect):
            sentence, got = said.misconception, ""
            question = "What do you hand to op, and what do you return?"
        elif not isinstance(said, str) or said not in WORDS:
            sentence = f"the answer is none of the five words {', '.join(WORDS)}"
            question = "Which words may be returned?"
        elif op.verdict == "correct":
            sentence = "a correct operator was blamed"
            if not op.calls:
                sentence += ": without running it nobody can tell"
        elif not op.calls:
            sentence = f"called {WORDS[op.verdict]} {said}, and never ran the operator"
            question = "What must be handed to op to see anything?"
        elif op.most == 1:
            sentence = f"{WORDS[op.verdict]} is invisible with one stage"
            question = "How many stages must there be for two of them to differ?"
        elif said == "correct":
            sentence = f"called {WORDS[op.verdict]} correct"
        else:
            sentence = f"took {WORDS[op.verdict]} for {WORDS[said]}"
            question = "Which input shows one of the two faults and not the other?"
        raise Incorrect(sentence, given, expected, got, question)


EXERCISE = Exercise(
    id="06.diagnose",
    objective="Find the fault of an operator from its outputs alone.",
    answer=diagnose,
    hints=(
        "With which gates, filters and skips does a correct operator give something "
        "you know in advance, and a broken one not?",
        "One experiment for each fault, with everything else made harmless: open gates "
        "are ones, a filter that only delays has a single 1, skips may be zeros. Use "
        "three stages, all different.",
    ),
    checker=check_diagnose,
    points=15,
    minutes=15,
    stars=3,
)
