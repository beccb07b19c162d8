"""Order builder: add stages to a Hyena operator, see its factors, count its parts."""

from typing import Any

import torch
from torch import Tensor

from minihyena.explore.base import Explorer
from minihyena.explore.order_figure import LENGTH, draw, figure_of
from minihyena.explore.order_views import (
    Op,
    factors_of,
    flows_through,
    reached_from,
    routes_through,
    unit_matrix,
    with_skip,
)
from minihyena.explore.parts import choice, slider, spans
from minihyena.filters import ImplicitConfig, ImplicitFilter
from minihyena.hyena import (
    CONVENTIONS,
    HyenaConfig,
    HyenaOperator,
    hyena_matrix,
)
from minihyena.model import drawing_from
from minihyena.recurrence import Stage

__all__ = ["OrderBuilder"]

ORDERS = range(1, 6)
COUNTED = 1024  # the length at which operations are counted
ROUGH = ImplicitConfig(bands=8, init="torch")  # a smooth filter shows less in 6 steps


class OrderBuilder(Explorer):
    """H(u) of an operator of order 1 to 5, factor by factor, and what it costs.

    Everything is read from a `HyenaOperator` of this order and convention, channel 0.
    `op`: a learner's `op(v, gates, filters) -> (D, L)`, N gates and the filters each
    (D, L), first used first. `op.convention` ("paper" if it has none) says what it
    follows: "paper" gets N filters, "reference" N - 1 with the skips added to tap 0.
    Its matrix, found by unit vectors, then stands beside the factors it should have.
    """

    title = "Order builder"
    notice = (
        "Add a stage: a convolution S, then a gate D. Which S does each convention "
        "leave out, and by how many routes can an input arrive?"
    )
    narrowest = 620

    def __init__(
        self, op: Op | None = None, *, width: int = 64, seed: int = 23
    ) -> None:
        self.op, self.width, self.seed = op, width, seed
        generator = torch.Generator().manual_seed(seed)
        self.u = torch.randn(1, LENGTH, width, generator=generator)
        conventions: tuple[str, ...] = CONVENTIONS
        if op is not None:
            conventions = (getattr(op, "convention", "paper"),)
        pickers = {
            "order": slider("Order N (stages)", ORDERS, 2),
            "convention": choice("Convention", conventions),
            "output": slider("Output", range(LENGTH), LENGTH - 1),
        }
        super().__init__(pickers, figure_of(), surprise_seed=seed)

    @torch.no_grad()
    def _compute(self) -> None:
        now = self.state()
        operator = self._build(HyenaConfig(now["order"], now["convention"], 3, ROUGH))
        v, stages = operator.streams(self.u)
        named = {name: part[0, 0] for name, part in factors_of(stages).items()}
        chain, t = [*named.values()], now["output"]
        defined = hyena_matrix(stages)[0]
        matrix = defined if self.op is None else self._matrix_of(self.op, stages)
        noise = 1e-5 * float(defined.abs().max())
        self._facts = now | {
            "yours": self.op is not None,
            "gates": len(stages),
            "long_filters": sum(h is not None for _, h, _ in stages),
            "parameters": sum(p.numel() for p in operator.parameters()),
            "operations": operator.flops(COUNTED),
            "chain": " ".join(name[0] for name in named),
            "factors": {name: _rows(part) for name, part in named.items()},
            "matrix": _rows(matrix[0]),
            "result": float(defined[0, t] @ v[0, 0]),
            "flows": tuple(map(_rows, flows_through(t, chain, v[0, 0]))),
            "reached": reached_from(t, chain),
            "routes": routes_through(t, chain),
            "product": bool((matrix - defined).abs().max() <= noise),
            "causal": bool(matrix.triu(1).abs().max() <= noise),
        }

    def _build(self, config: HyenaConfig) -> HyenaOperator:
        """The same draw every time; its filters made about as large as the skips."""
        with drawing_from(torch.Generator().manual_seed(self.seed)):
            operator = HyenaOperator(self.width, LENGTH, config)
        if isinstance(operator.filter, ImplicitFilter):
            operator.filter.readout.weight /= operator.filter(LENGTH).std()
        return operator

    def _matrix_of(self, op: Op, stages: list[Stage]) -> Tensor:
        gates = [gate[0] for gate, _, _ in stages]
        filters = [with_skip(h, skip) for _, h, skip in stages if h is not None]
        return unit_matrix(op, gates, filters)

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        if f["yours"]:
            product = "the product" if f["product"] else "not the product"
            output = "no output reads" if f["causal"] else "some output reads"
            return (
                f"Your operator, {f['convention']} convention, order {f['order']}: its "
                f"matrix is {product} {f['chain']}; {output} a later input."
            )
        filters = _many(f["long_filters"], "long filter")
        start = (
            f"Order {f['order']} of the {f['convention']} convention is {f['chain']}: "
            f"{_many(f['gates'], 'gate')}, {filters}, {f['parameters']:,} parameters;"
        )
        first, *others = (s for s, count in enumerate(f["routes"]) if count)
        many = _many(f["routes"][first], "route")
        if not others:
            return (
                f"{start} only input {first} reaches output {f['output']}, by {many}."
            )
        return (
            f"{start} inputs {spans([first, *others])} reach output {f['output']}, "
            f"input {first} by {many}."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        return {
            "gates": f["gates"],
            "long filters": f["long_filters"],
            f"parameters, D = {self.width}": f"{f['parameters']:,}",
            f"operations (× and +), L = {COUNTED:,}": f"{f['operations']:,.0f}",
            f"routes to output {f['output']}": f"{sum(f['routes']):,}",
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Output", "input", "yours" if f["yours"] else "H", *f["factors"]]
        header += [f"flow in {name}" for name in f["factors"]]
        tables = [f["matrix"], *f["factors"].values(), *f["flows"]]
        places = [(t, s) for t in range(LENGTH) for s in range(LENGTH)]
        rows = [(t, s, *(table[t][s] for table in tables)) for t, s in places]
        return header, [row for row in rows if any(row[2:])]

    def _draw(self) -> None:
        draw(self.figure, self.facts())


def _rows(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
