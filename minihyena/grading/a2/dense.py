"""A2, part 4: the same as one matrix."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from minihyena.conv import toeplitz
from minihyena.grading.a2.common import TOLERANCE, handed, in_both, sizes
from minihyena.grading.a2.recurrence import follow_gradients, hyena_by_loops
from minihyena.grading.parts import (
    Functions,
    Parameters,
)
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    Case,
    attempt,
    fault,
    short,
    show,
)
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.notebook_05.as_matrix import MATRIX_MISTAKES
from minihyena.lessons.notebook_07.hyena_matrix import circulant, product

__all__ = [
    "gives_the_recurrence",
    "matrix_has_gradients",
    "one_stage_is_right",
    "reads_nothing_later",
]


def matrix_by_loops(gates: Tensor, filters: Tensor) -> Tensor:
    """gates, filters (N, D, L) -> (D, L, L): what becomes of a 1 at each step."""
    length = gates.shape[-1]
    ones = torch.eye(length, dtype=gates.dtype)[:, None].expand(-1, gates.shape[1], -1)
    frozen = gates[:, None].expand(-1, length, -1, -1)
    return hyena_by_loops(ones, frozen, filters).permute(1, 2, 0)


def by_channel(matrix: Function) -> Function:
    """A matrix of one gate and one filter, (L,) each, as one of N gates (N, D, L)."""

    def of_all(gates: Tensor, filters: Tensor) -> Tensor:
        made: Any = torch.eye(gates.shape[-1], dtype=gates.dtype)
        for x, h in zip(gates, filters, strict=True):
            stages: list[Any] = [matrix(*pair) for pair in zip(x, h, strict=True)]
            made = torch.stack(stages) @ made
        return torch.as_tensor(made)

    return of_all


def scaled(gates: Tensor, tables: Sequence[Tensor]) -> list[Tensor]:
    """The stages of gates (N, D, L), with tables (D, L, L) for their filters."""
    return [x[..., None] * table for x, table in zip(gates, tables, strict=True)]


def staircases(filters: Tensor) -> list[Tensor]:
    return [toeplitz(h, h.shape[-1]) for h in filters]


def rings(filters: Tensor) -> list[Tensor]:
    """Staircases whose steps come round."""
    return [torch.stack([*map(circulant, h)]) for h in filters]


MATRIX = (
    Mistake(
        "the factors stand in reverse: what v meets first stands on the right",
        lambda gates, filters: matrix_by_loops(gates.flip(0), filters.flip(0)),
        "In A B v, which of the two tables does v meet first?",
    ),
    Mistake(
        "rows and columns are exchanged: row t is what output t reads",
        lambda gates, filters: matrix_by_loops(gates, filters).mT,
        "On which side of the diagonal is the past?",
    ),
    Mistake(
        "one after another is a product of tables, not a product entry by entry",
        lambda gates, filters: torch.stack(scaled(gates, staircases(filters))).prod(0),
        "Over how many steps can input s reach output t in two stages?",
    ),
    Mistake(
        "the stages were added: each works on what the one before it made",
        lambda gates, filters: torch.stack(scaled(gates, staircases(filters))).sum(0),
        "What does stage 2 work on?",
    ),
    Mistake(
        "the signs are gone: this is a matrix of magnitudes",
        lambda gates, filters: matrix_by_loops(gates, filters).abs(),
        "What does an output do when an input it reads with a minus grows?",
    ),
    Mistake(
        "above the diagonal the taps came round: entry [t, s] is 0 where s > t",
        lambda gates, filters: product(scaled(gates, rings(filters))),
        "Which inputs has output 0 not seen yet?",
    ),
    Mistake(
        "the filter stands above the diagonal: entry [t, s] is 0 where s > t",
        lambda gates, filters: product(
            scaled(gates, [table.mT for table in staircases(filters)])
        ),
        "Which inputs has output 0 not seen yet?",
    ),
    *handed(MATRIX_MISTAKES, by_channel),
)


def drawn_stages(
    orders: Sequence[int], given: Parameters, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, str]]:
    """gates and filters (N, D, L), and both in words: every order and length."""
    for order in orders:
        for number, length in enumerate(given["lengths"]):
            [width] = sizes(given, number, generator, "channels")
            yield stages(order, width, length, generator)


def stages(
    order: int, width: int, length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, str]:
    gates, filters = short(2, order, width, length, generator=generator)
    filters = filters / length**0.5
    words = f"gates = {show(gates)} of shape {tuple(gates.shape)}, filters = "
    return gates, filters, words + show(filters)


def one_stage_is_right(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Entry [t, s] is gate[t] filter[t - s], both precisions."""
    cases = []
    for gates, filters, words in drawn_stages([1], given, generator):
        cases += in_both(matrix_by_loops, (gates, filters), words)
    question = (
        "Which two numbers should be multiplied at row 1, column 0, and what stands "
        "at row 0, column 1?"
    )
    examine(fns["hyena_matrix"], cases, MATRIX, question=question)


def gives_the_recurrence(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """The matrix times a drawn v is what the recurrence makes of v."""
    cases = []
    for gates, filters, words in drawn_stages(given["orders"], given, generator):
        v = short(*gates.shape[1:], generator=generator)
        y = hyena_by_loops(v[None], gates[:, None], filters)[0]
        for case in in_both(matrix_by_loops, (gates, filters), words):
            run = partial(matrix_times, args=case.args, v=v, wanted=case.expected)
            words = f"{case.given}, v = {show(v)}"
            cases.append(Case(case.args, y, words, run, TOLERANCE))
    question = "In which order does v meet the factors?"
    examine(fns["hyena_matrix"], cases, MATRIX, question=question)


def matrix_times(
    fn: Function, args: tuple[object, ...], v: Tensor, wanted: Any
) -> Tensor:
    """What the matrix of fn makes of v; Incorrect if it is none like the wanted one."""
    matrix: Any = attempt(fn, *args)
    if said := fault(matrix, wanted):
        raise Incorrect(said)
    y: Tensor = (matrix.double() @ v[..., None])[..., 0]
    return y


def reads_nothing_later(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Exactly 0 above the diagonal; on it and below, what the recurrence gives."""
    orders = [1, *given["orders"]]
    for gates, filters, words in drawn_stages(orders, given, generator):
        for case in in_both(matrix_by_loops, (gates, filters), words):
            examine(fns["hyena_matrix"], [case], MATRIX)
            matrix: Any = attempt(fns["hyena_matrix"], *case.args)
            later = matrix.triu(1).abs().max()
            if later:
                raise Incorrect(
                    "above the diagonal there is rounding, where exactly 0 should be",
                    words,
                    "0",
                    f"{float(later):.2g}",
                    "Which step of yours lets every input touch every output?",
                )


def matrix_has_gradients(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Of gates and filters, through the matrix, against differences of the loops."""
    fn, names = fns["hyena_matrix"], ("gates", "filters")
    for order in given["orders"]:
        *parts, _ = stages(order, 2, given["differences"], generator)
        follow_gradients(fn, matrix_by_loops, parts, names, generator)
