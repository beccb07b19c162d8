"""A2, part 3: the recurrence in both conventions, the identity, and gradients."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from minihyena.conv import causal_conv
from minihyena.grading.a2.common import TOLERANCE, handed, in_both, sizes
from minihyena.grading.parts import (
    Functions,
    Parameters,
)
from minihyena.grading.sandbox.wire import gradients
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    Case,
    attempt,
    close,
    fault,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.notebook_06.hyena_operator import OPERATOR_MISTAKES, wrapped
from minihyena.lessons.probes import looks_ahead

__all__ = [
    "conventions_agree",
    "follow_gradients",
    "hyena_by_loops",
    "hyena_has_gradients",
    "hyena_is_right",
]


def hyena_by_loops(
    v: Tensor, gates: Tensor, filters: Tensor, skips: Tensor | None = None
) -> Tensor:
    """v (B, D, L), gates (N, B, D, L), filters (N, D, L); or N - 1, with skips."""
    y = torch.empty(v.shape, dtype=torch.float64)
    for b in range(v.shape[0]):
        for d in range(v.shape[1]):
            z, x, h = v[b, d].tolist(), gates[:, b, d].tolist(), filters[:, d].tolist()
            if skips is None:
                for gate, taps in zip(x, h, strict=True):
                    z = times(gate, carried(taps, z))
            else:
                for gate, taps, skip in zip(
                    x[:-1], h, skips[:, d].tolist(), strict=True
                ):
                    z = times(gate, z)
                    past = carried(taps, z)
                    z = [old + skip * now for old, now in zip(past, z, strict=True)]
                z = times(x[-1], z)
            y[b, d] = torch.tensor(z, dtype=torch.float64)
    return y.to(v.dtype)


def carried(h: Sequence[float], z: Sequence[float]) -> list[float]:
    """The causal convolution, by its definition."""
    return [sum(h[t - s] * z[s] for s in range(t + 1)) for t in range(len(z))]


def times(x: Sequence[float], z: Sequence[float]) -> list[float]:
    return [a * b for a, b in zip(x, z, strict=True)]


def in_batches(operator: Function) -> Function:
    """An operator on (D, L) as one on (B, D, L)."""

    def hyena(v: Tensor, gates: Tensor, filters: Tensor, skips: None) -> Tensor:
        rows: list[Any] = [
            operator(one, [*gates[:, b]], [*filters]) for b, one in enumerate(v)
        ]
        return torch.stack(rows)

    return hyena


PAPER = handed(OPERATOR_MISTAKES, in_batches)


def stepping(
    step: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    arrange: Callable[[Tensor], Tensor] = lambda gates: gates,
    last: bool = True,
) -> Function:
    """The authors' recurrence with something else: step(z, gate, filter, skip)."""

    def hyena(v: Tensor, gates: Tensor, filters: Tensor, skips: Tensor) -> Tensor:
        z, gates = v, arrange(gates)
        for x, h, d in zip(gates[:-1], filters, skips, strict=True):
            z = step(z, x, h, d[:, None])
        return gates[-1] * z if last else z

    return hyena


def right(z: Tensor, x: Tensor, h: Tensor, d: Tensor) -> Tensor:
    return causal_conv(x * z, h) + d * x * z


def at_tap_0(h: Tensor, skip: Tensor) -> Tensor:
    return torch.cat([skip, h[:, 1:]], dim=1)


REFERENCE = (
    Mistake(
        "the skip is missing: each convolution also lets β · a through",
        stepping(lambda z, x, h, d: causal_conv(x * z, h)),
        "What comes out of a stage whose filter is all zeros?",
    ),
    Mistake(
        "the skip goes to every tap; it acts at lag 0 only",
        stepping(lambda z, x, h, d: causal_conv(x * z, h + d)),
        "Which tap of a filter meets the newest input?",
    ),
    Mistake(
        "the skip passes by the gate: it carries what goes into the convolution",
        stepping(lambda z, x, h, d: causal_conv(x * z, h) + d * z),
        "What does the skip let through where the gate is closed?",
    ),
    Mistake(
        "the skip has no weight: every channel of every stage has its own",
        stepping(lambda z, x, h, d: causal_conv(x * z, h) + x * z),
        "What does a skip of 0 let through?",
    ),
    Mistake(
        "the last gate is missing: there is one gate more than there are filters",
        stepping(right, last=False),
        "How many of the N gates have been used, also where skips are given but empty?",
    ),
    Mistake(
        "the last gate was used first: gates[0] meets v, gates[N−1] the output",
        stepping(right, lambda gates: gates.flip(0)),
        "Which gate does v meet first?",
    ),
    Mistake(
        "it convolves before it gates: here the first gate meets v itself",
        stepping(lambda z, x, h, d: x * (causal_conv(z, h) + d * z)),
        "What is between v and the first filter?",
    ),
    Mistake(
        "every stage has the first filter and the first skip; each has its own",
        lambda v, gates, filters, skips: stepping(right)(
            v, gates, filters[:1].expand_as(filters), skips[:1].expand_as(skips)
        ),
        "Which filter does stage 2 use?",
    ),
    Mistake(
        "the skip took the place of tap 0: it is added to it",
        stepping(lambda z, x, h, d: causal_conv(x * z, at_tap_0(h, d))),
        "What comes out of a stage whose skip is 0?",
    ),
    Mistake(
        "the filters were read backwards: tap 0 meets the newest input",
        stepping(lambda z, x, h, d: causal_conv(x * z, h.flip(-1)) + d * x * z),
        "With v = [1, 0, 0] and open gates, which tap should come out first?",
    ),
    Mistake(
        "the tail came round to the start: pad the transform to twice the length",
        stepping(lambda z, x, h, d: wrapped(x * z, h) + d * x * z),
        "What does y[0] know of the last input?",
    ),
)


def drawn_parts(
    order: int, shape: Sequence[int], generator: torch.Generator, *, paper: bool
) -> tuple[Tensor, ...]:
    """v, gates, filters, and skips but for the paper; y is of size 1 at any length."""
    v = short(*shape, generator=generator)
    gates = short(order, *shape, generator=generator)
    filters = short(order - (not paper), *shape[1:], generator=generator)
    skips = short(order - 1, shape[1], generator=generator)
    parts = v, gates, filters / shape[-1] ** 0.5
    return parts if paper else (*parts, skips)


def in_words(parts: Sequence[Tensor]) -> str:
    """At most four numbers of each."""
    shown = [f"N = {len(parts[1])}", f"v of shape {tuple(parts[0].shape)}"]
    for name, part in zip(("v", "gates", "filters", "skips"), parts, strict=False):
        shown.append(f"{name} = {show(part, count=4)}")
    return ", ".join(shown) + ", no skips" * (len(parts) < 4)


def hyena_is_right(paper: bool, one: bool, higher: bool) -> Any:
    """Right in one convention, at order 1 or at higher ones, for every length."""

    def check(fns: Functions, given: Parameters, generator: torch.Generator) -> None:
        cases = []
        for order in one * [1] + higher * given["orders"]:
            for number, length in enumerate(given["lengths"]):
                shape = sizes(given, number, generator, "batch", "channels")
                parts = drawn_parts(order, [*shape, length], generator, paper=paper)
                args = (*parts, None) if paper else parts
                cases += in_both(hyena_by_loops, args, in_words(parts))
        mistakes = PAPER if paper else REFERENCE
        question = "What does the first stage make of v, by hand, at steps 0 and 1?"
        examine(fns["hyena"], cases, mistakes, (looks_ahead(1),), question)

    return check


def conventions_agree(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Reference = paper with an impulse as first filter and skips on tap 0.

    Both to ten digits in float64, on a longer signal.
    """
    for order in [1, *given["orders"]]:
        length = max(given["lengths"]) + pick(0, 6, generator)
        shape = sizes(given, 1, generator, "batch", "channels")
        parts = drawn_parts(order, [*shape, length], generator, paper=False)
        v, gates, filters, skips = parts
        impulse = torch.eye(length, dtype=torch.float64)[0]
        literal = torch.cat(
            [impulse.expand(1, shape[1], -1), filters + skips[..., None] * impulse]
        )
        right = Case((), hyena_by_loops(*parts), in_words(parts))
        for name, args in {
            "reference": parts,
            "paper": (v, gates, literal, None),
        }.items():
            y = attempt(fns["hyena"], *args)
            if fault(y, right.expected) or not right.agrees(y, right.expected):
                raise Incorrect(
                    fault(y, right.expected)
                    or f"the {name} convention is not right to ten digits in float64",
                    f"the identity at {right.given}",
                    show(right.expected),
                    show(y),
                    "Is something computed in float32 on the way?"
                    if close(y, right.expected, TOLERANCE)
                    else "Which filter, and which skip, make the two conventions one?",
                )


def slopes(total: Callable[..., Tensor], parts: Sequence[Tensor]) -> Iterator[Tensor]:
    """How fast a total grows with each number of each part, by differences.

    It is of first degree in each single number, so a step of 1 makes no error.
    """
    start = total(*parts)
    for which, part in enumerate(parts):
        found = torch.empty(part.numel(), dtype=torch.float64)
        for i in range(part.numel()):
            risen = part.flatten().clone()
            risen[i] += 1
            found[i] = total(*parts[:which], risen.view_as(part), *parts[which + 1 :])
        yield (found - start).view_as(part)


def follow_gradients(
    fn: Function,
    oracle: Callable[..., Tensor],
    parts: Sequence[Tensor],
    names: Sequence[str],
    generator: torch.Generator,
) -> None:
    """Raise Incorrect unless autograd says of fn what differences say of the oracle."""
    y, expected = attempt(fn, *parts), oracle(*parts)
    weights = short(*expected.shape, generator=generator)
    if said := fault(y, expected):
        raise Incorrect(said)
    if not close(y, expected, TOLERANCE):
        raise Incorrect("the answer itself is wrong: its gradients were not looked at")
    try:
        found: Any = attempt(partial(gradients, fn), weights, *parts)
    except Incorrect as error:
        if "differentiable" not in error.misconception:
            raise
        raise Incorrect(
            "the answer carries no gradient, so nothing could be trained: stay with "
            "torch's own functions, without detach, .data, .item() or numpy"
        ) from None
    shape = tuple(parts[names.index("gates")].shape)
    rises = slopes(lambda *parts: (weights * oracle(*parts)).sum(), parts)
    for name, got, slope in zip(names, found, rises, strict=True):
        if not close(got, slope, TOLERANCE):
            raise Incorrect(
                f"the gradient with respect to {name} is not that of the definition"
                if got.any()
                else f"no gradient reaches {name}",
                f"gates of shape {shape}; the sum of the outputs times {show(weights)}",
                show(slope),
                show(got),
                f"Is every number of {name} used, wherever the formula has it?",
            )


def hyena_has_gradients(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Of every argument, in both conventions, against differences of the loops."""
    names = ("v", "gates", "filters", "skips")
    for order in given["orders"]:
        for paper in (True, False):
            shape = [1, 2, given["differences"]]
            parts = drawn_parts(order, shape, generator, paper=paper)
            named = names[: len(parts)]
            follow_gradients(fns["hyena"], hyena_by_loops, parts, named, generator)
