"""The Hyena operator: projections, a short convolution, and the order-N recurrence.

B batch, L length, D width, N order = number of gates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from minihyena import official
from minihyena.conv import conv_flops
from minihyena.errors import at_least, choose
from minihyena.filters import ImplicitConfig
from minihyena.mixer import by_channel, matrix_flops
from minihyena.options import configure
from minihyena.recurrence import (
    RecurrenceMixer,
    Stage,
    hyena_matrix,
    hyena_recurrence,
    running_convs,
    running_short,
    short_conv,
)
from minihyena.rivals.filters import filter_families

__all__ = ["HyenaConfig", "HyenaOperator", "hyena_matrix", "hyena_recurrence"]

CONVENTIONS = ("reference", "paper")


@dataclass(frozen=True)
class HyenaConfig:
    """Order N counts the gates. The two conventions differ in the long filters:

    "reference" (the official code): N - 1, each with a skip; "paper" (Def. 3.1): N,
    without. Reference order N is paper order N with the first filter the identity.
    `filter`: a word in filter_families, or the options of one. Without `gated` every
    gate is 1: long convolutions alone, which treat all inputs alike.
    """

    order: int = 2
    convention: str = "reference"
    short_taps: int = 3  # of the short convolution after the projections
    filter: Any = "implicit"
    gated: bool = True

    def __post_init__(self) -> None:
        choose("convention", self.convention, CONVENTIONS)
        chosen = configure("long filter", self.filter, filter_families)
        object.__setattr__(self, "filter", chosen)
        at_least(self, order=1, short_taps=1)

    @property
    def streams(self) -> int:
        """Projections of the input: a gate each, and the value."""
        return self.order * self.gated + 1

    @property
    def long_filters(self) -> int:
        return self.order - (self.convention == "reference")

    def build(self, width: int, max_length: int) -> "HyenaOperator":
        return HyenaOperator(width, max_length, self)


class HyenaOperator(RecurrenceMixer):
    """(B, L, D) -> (B, L, D), causal, at most max_length steps.

    `filter` is the module of the long filters (None if there are none: order 1 of the
    reference convention is plain gating); any module with
    `filter(length) -> (long_filters, D, length)` may take its place.
    Source: Poli et al. 2023, Algs 1-3; standalone_hyena.py of HazyResearch/safari.
    """

    def __init__(
        self, width: int, max_length: int, config: HyenaConfig = HyenaConfig()
    ) -> None:
        super().__init__(width, max_length)
        self.config = config
        streams = config.streams * width
        self.in_proj = nn.Linear(width, streams)
        self.short_filter: Any = nn.Conv1d(
            streams, streams, config.short_taps, groups=streams
        )
        self.out_proj = nn.Linear(width, width)
        orders = config.long_filters
        self.filter = None
        if orders:
            self.filter = config.filter.build(width, orders, max_length)
        self.skips: nn.Parameter | None = None
        if orders and config.convention == "reference":
            self.skips = nn.Parameter(torch.randn(orders, width))

    def streams(self, u: Tensor) -> tuple[Tensor, list[Stage]]:
        """u (B, L, D) -> v (B, D, L) and the N stages in the order they are applied.

        Raises ValueError for a wrong shape or device or a length above max_length,
        TypeError for a dtype other than the weights'.
        """
        self.check(u)
        p = short_conv(self.short_filter, by_channel(self.in_proj, u))
        gates, v = self.gates(p)
        long = self.convolutions(u.shape[1])
        return v, [(gate, *pair) for gate, pair in zip(gates[::-1], long, strict=True)]

    def gates(self, p: Tensor) -> tuple[list[Tensor], Tensor]:
        """The N gates and the value, (B, D, L) each, of the projections."""
        *gates, v = p.chunk(self.config.streams, dim=1)
        return gates or self.config.order * [torch.ones_like(v)], v

    def convolutions(self, length: int) -> list[tuple[Tensor | None, Tensor | None]]:
        """The filter (D, length) and skip (D,) before each of the N gates."""
        filters: list[Any] = [*self.long_filters(length)]
        if len(filters) != (asked := self.config.long_filters):
            raise ValueError(f"{len(filters)} long filters where there must be {asked}")
        skips = [None] * len(filters) if self.skips is None else [*self.skips]
        if self.config.convention == "reference":  # the first filter is the identity
            filters, skips = [None, *filters], [None, *skips]
        return list(zip(filters, skips, strict=True))

    def matrix(self, u: Tensor) -> Tensor:
        """H(u): (B, D, L, L), the gates frozen; row t is what output t reads."""
        self.check_matrix(u, self.width, self.config.order)
        return hyena_matrix(self.streams(u)[1])

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        skips = [None] * self.config.long_filters if self.skips is None else self.skips
        long: list[Any] = [*running_convs(self.filter, skips, length, decoder)]
        if self.config.convention == "reference":  # the first filter is the identity
            long = [None, *long]
        return [running_short(self.short_filter), *long]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        short, *long = memory
        p = short.extend(by_channel(self.in_proj, u)) + self.short_filter.bias[:, None]
        gates, v = self.gates(p)
        for gate, conv in zip(gates[::-1], long, strict=True):
            v = gate * (v if conv is None else conv.extend(v))
        return self.output(v[..., None]), memory

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections (N + 1 if gated, and one back), short convolution, gates, long
        filters and their convolutions (Poli et al. 2023, Prop. 3.2, with one projection
        more, the value's). The filters are made once for the batch.
        """
        order, width = self.config.order, self.width
        streams = self.config.streams
        projections = 2 * (streams + 1) * width**2 * length
        short = 2 * self.config.short_taps * streams * width * length
        gates = order * width * length
        long = self.config.long_filters * width * conv_flops(length)
        made = 0 if self.filter is None else matrix_flops(self.filter, length)
        return batch * (projections + short + gates + long) + made

    @classmethod
    def from_official(
        cls,
        state: Mapping[str, Tensor],
        config: Mapping[str, Any],
        layout: str = "standalone",
    ) -> "HyenaOperator":
        """The official operator's weights and constructor arguments.

        `layout` is the code they come from: "standalone" (standalone_hyena.py of
        HazyResearch/safari, standalone_hyenadna.py of HazyResearch/hyena-dna), "safari"
        (src/ of both), or "zoology" (HazyResearch/zoology, order 2 only).
        Raises ValueError for an unknown option and for missing, extra or wrongly
        shaped keys, naming them.
        """
        shape, operator, filter = official.operator_options(config, layout)
        operator["filter"] = ImplicitConfig(**filter)
        ours = HyenaConfig(**operator).build(**shape)
        shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
        ours.load_state_dict(official.operator_state(state, shapes, layout))
        return ours
