"""An operator of order N as a chain of matrices: its factors, routes and flows."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minihyena.conv import toeplitz
from minihyena.recurrence import Stage

__all__ = [
    "Op",
    "factors_of",
    "flows_through",
    "reached_from",
    "routes_through",
    "unit_matrix",
    "with_skip",
]

Op = Callable[[Tensor, list[Tensor], list[Tensor]], Tensor]  # v, gates, filters -> y


def factors_of(stages: Sequence[Stage]) -> dict[str, Tensor]:
    """Name -> factor (B, D, L, L) of H(u), as they are written: the last stage first.

    A stage is D S: the gate on a diagonal, times the matrix of the filter, which has
    the skip on its own diagonal. A filter of None leaves its S out.
    """
    named: dict[str, Tensor] = {}
    for n, (gate, h, skip) in reversed([*enumerate(stages, 1)]):
        named[f"D(x{'⁰¹²³⁴⁵⁶⁷⁸⁹'[n]})"] = torch.diag_embed(gate)
        if h is not None:
            matrix = toeplitz(with_skip(h, skip), h.shape[-1])
            named[f"S(h{'⁰¹²³⁴⁵⁶⁷⁸⁹'[n]})"] = matrix.expand(len(gate), -1, -1, -1)
    return named


def with_skip(h: Tensor, skip: Tensor | None) -> Tensor:
    """h (D, L), skip (D,) -> (D, L): the skip added to tap 0."""
    return h if skip is None else torch.cat([h[:, :1] + skip[:, None], h[:, 1:]], -1)


def reached_from(output: int, matrices: Sequence[Tensor]) -> list[list[bool]]:
    """Before, between and after the factors (L, L): which positions lead to output."""
    row = torch.eye(matrices[0].shape[-1])[output]
    rows = [row]
    for matrix in matrices:
        row = (row @ (matrix != 0).float() > 0).float()
        rows.append(row)
    return [(row > 0).tolist() for row in rows]


def routes_through(output: int, matrices: Sequence[Tensor]) -> list[int]:
    """For each input: by how many routes it reaches the output.

    A route takes one entry of every factor that is not zero.
    """
    row = torch.eye(matrices[0].shape[-1], dtype=torch.int64)[output]
    for matrix in matrices:
        row = row @ (matrix != 0).long()
    counts: list[int] = row.tolist()
    return counts


def flows_through(
    output: int, matrices: Sequence[Tensor], values: Tensor
) -> list[Tensor]:
    """What each entry of each factor (L, L) carries from values (L,) to the output.

    The entries of each flow (L, L) add up to y[output]: nothing is lost on the way.
    """
    met = [values]  # what meets each factor from the right, the first one last
    for matrix in reversed(matrices[1:]):
        met.append(matrix @ met[-1])
    row, flows = torch.eye(len(values))[output], []
    for matrix, right in zip(matrices, reversed(met), strict=True):
        flows.append(row[:, None] * matrix * right)
        row = row @ matrix
    return flows


def unit_matrix(op: Op, gates: list[Tensor], filters: list[Tensor]) -> Tensor:
    """The matrices (D, L, L) of any op(v, gates, filters) -> (D, L), gates frozen.

    Column s is what op makes of a single 1 at time s. Raises ValueError for an op that
    does not keep the shape.
    """
    shape, columns = gates[0].shape, []
    for s in range(shape[-1]):
        pulse = torch.zeros(shape)
        pulse[:, s] = 1
        with torch.no_grad():
            column = op(pulse, gates, filters)
        if not isinstance(column, Tensor) or column.shape != shape:
            got = tuple(column.shape) if isinstance(column, Tensor) else column
            raise ValueError(
                f"your operator turned v {tuple(shape)} into {got!r:.60}; "
                "it must keep the shape (D, L)"
            )
        columns.append(column)
    return torch.stack(columns, -1)
