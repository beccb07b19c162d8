"""A3, part 1: the matrix, what notebook 07 asks of one channel, for all of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from minihyena.grading.parts import (
    Functions,
    Parameters,
)
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, close, fault, pick, short, show
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.notebook_07.hyena_matrix import (
    MATRIX_MISTAKES,
    by_unit_vectors,
    circulant,
    product,
)
from minihyena.lessons.probes import Failures

__all__ = ["has_any_order", "has_order_1", "is_causal", "keeps_rows_and_signs"]


Parts = Sequence[Tensor]
NEAR = {torch.float32: 3e-5, torch.float64: 1e-10}


def by_channel(fn: Callable[[Parts, Parts], Tensor]) -> Any:
    """fn for gates (B, L) and filters (L,), tried on (B, D, L) and (D, L)."""

    def for_all(gates: Parts, filters: Parts) -> Tensor:
        channels = range(len(filters[0]))
        return torch.stack(
            [fn([x[:, d] for x in gates], [h[d] for h in filters]) for d in channels],
            dim=1,
        )

    return for_all


def stage_by_entries(gates: Parts, filters: Parts) -> Tensor:
    one_by_one = [
        by_unit_vectors([x], [h]) for x, h in zip(gates, filters, strict=True)
    ]
    return torch.stack(one_by_one).prod(0)


def ring_until_the_end(gates: Parts, filters: Parts) -> Tensor:
    pairs = zip(gates, filters, strict=True)
    return product([x[..., None] * circulant(h) for x, h in pairs]).tril()


def gates_at_the_end(gates: Parts, filters: Parts) -> Tensor:
    ones = [torch.ones_like(gates[0]) for _ in gates[:-1]]
    return by_unit_vectors([*ones, torch.stack([*gates]).prod(0)], filters)


KNOWN = (
    *(Mistake(m.sentence, by_channel(m.function), m.question) for m in MATRIX_MISTAKES),  # type: ignore[arg-type]
    Mistake(
        "the stages were multiplied entry by entry; one after the other is a matrix "
        "product",
        by_channel(stage_by_entries),
        "Which places does the second stage read, besides its own?",
    ),
    Mistake(
        "taps came round between the stages: make each one causal, not the last alone",
        by_channel(ring_until_the_end),
        "Is a product of rings causal once its upper half is cut off?",
    ),
    Mistake(
        "every sequence got the gates of the first one",
        lambda gates, filters: by_channel(by_unit_vectors)(
            [x[:1].expand_as(x) for x in gates], filters
        ),
        "Whose gates belong to sequence 1?",
    ),
    Mistake(
        "the filters were read backwards: h[0] stands on the diagonal",
        lambda gates, filters: by_channel(by_unit_vectors)(
            gates, [h.flip(-1) for h in filters]
        ),
        "Which tap meets the newest value?",
    ),
    Mistake(
        "all gates stand at the end; each stage gates before the next one convolves",
        by_channel(gates_at_the_end),
        "What does the second filter read?",
    ),
    Mistake(
        "only the first stage is in it: multiply all N",
        lambda gates, filters: by_channel(by_unit_vectors)(gates[:1], filters[:1]),
        "What became of the stages after the first?",
    ),
)


def in_single_precision(fn: Function, failures: Failures) -> str | None:
    """Right to seven digits where fifteen came in."""
    if all(
        one.args[0][0].dtype == torch.float64 and close(got, one.expected, 1e-5)  # type: ignore[index]
        for one, got in failures
    ):
        return "seven digits are right: something is computed in float32 on the way"
    return None


def judge_matrices(fn: Function, found: Sequence[Case]) -> None:
    question = "What does one stage do to a 1 at place s and 0 elsewhere?"
    examine(fn, found, KNOWN, [in_single_precision], question)


def case(gates: Parts, filters: Parts) -> Case:
    """These gates and filters, and what the recurrence makes of unit vectors."""
    expected = by_channel(by_unit_vectors)(gates, filters)
    shape = ", ".join(map(str, (len(gates), *gates[0].shape)))
    given = f"N, B, D, L = {shape}; gates {show(torch.stack([*gates]), count=6)}, "
    given += f"filters {show(torch.stack([*filters]), count=6)}"
    near = NEAR[expected.dtype]
    return Case(([*gates], [*filters]), expected, given, tolerance=near)


def cases(
    orders: Iterable[int],
    sequences: int,
    parameters: Parameters,
    generator: torch.Generator,
) -> list[Case]:
    """Every order and length, in both precisions in turn; two channels at least."""
    found, turn = list[Case](), pick(0, 1, generator)
    for order in orders:
        for length in parameters["lengths"]:
            dtype = [*NEAR][(turn + len(found)) % 2]
            shape = pick(2, parameters["channels"], generator), length
            gates, filters = (
                [short(*size, generator=generator).to(dtype) for _ in range(order)]
                for size in ((sequences, *shape), shape)
            )
            found.append(case(gates, filters))
    return found


def has_order_1(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """One stage, one sequence, nothing negative: signs are a property of their own."""
    found = []
    for one in cases([1], 1, parameters, generator):
        gates, filters = ([x.abs() for x in part] for part in one.args)  # type: ignore[attr-defined]
        found.append(case(gates, filters))
    judge_matrices(fns["hyena_matrix"], found)


def has_any_order(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Several stages, one sequence: H @ v is the recurrence, for every v."""
    found = cases(parameters["orders"], 1, parameters, generator)
    judge_matrices(fns["hyena_matrix"], found)


def keeps_rows_and_signs(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Right at order 1; above, each sequence as if alone, and signs go through."""
    fn, sequences = fns["hyena_matrix"], parameters["sequences"]
    judge_matrices(fn, cases([1], sequences, parameters, generator))
    for one in cases(parameters["orders"], sequences, parameters, generator):
        gates: Any = one.args[0]
        filters: Any = one.args[1]
        whole = matrix_of(fn, one, gates, filters)
        alone = [
            matrix_of(fn, one, [x[b : b + 1] for x in gates], filters)
            for b in range(sequences)
        ]
        if not one.agrees(whole, torch.cat(alone)):
            raise Incorrect(
                "a sequence has another matrix when it is alone: rows of a batch met",
                one.given,
                show(torch.cat(alone)),
                show(whole),
                "Whose gates belong to sequence 0?",
            )
        turned = matrix_of(fn, one, [-gates[0], *gates[1:]], filters)
        if not one.agrees(turned, -whole):
            raise Incorrect(
                "where the first gate changes its sign, H does not just change its own",
                one.given,
                show(-whole),
                show(turned),
                "Where in the product is the first gate, and may it be negative?",
            )


def matrix_of(fn: Function, one: Case, gates: Parts, filters: Parts) -> Tensor:
    """What it gives, if that is a matrix for each channel; else Incorrect."""
    got = attempt(fn, gates, filters)
    wanted = gates[0][..., None].expand(*gates[0].shape, gates[0].shape[-1])
    if (wrong := fault(got, wanted)) or not isinstance(got, Tensor):
        raise Incorrect(str(wrong), one.given)
    return got


def is_causal(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Right everywhere, and not merely small right of the diagonal."""
    orders = [1, *parameters["orders"]]
    found = cases(orders, parameters["sequences"], parameters, generator)
    judge_matrices(fns["hyena_matrix"], found)
    for one in found:
        got = attempt(fns["hyena_matrix"], *one.args)
        if isinstance(got, Tensor) and (future := got.triu(1)).any():
            raise Incorrect(
                "right of the diagonal stand small numbers instead of 0: rounding, as "
                "a Fourier transform leaves it",
                one.given,
                "0 for s > t",
                f"up to {float(future.abs().max()):.1g}",
                "Which entries do you know without computing them?",
            )
