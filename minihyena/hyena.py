"""The Hyena operator: projections, a short convolution, and the order-N recurrence.

B batch, L length, D width, N order = number of gates. Gating is diagonal in time,
convolution in frequency; the operator is their alternation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena import official
from minihyena.conv import causal_conv, toeplitz
from minihyena.errors import check_input, choose
from minihyena.filters import FilterConfig, ImplicitFilter

__all__ = ["HyenaConfig", "HyenaOperator", "hyena_matrix", "hyena_recurrence"]

CONVENTIONS = ("reference", "paper")
Stage = tuple[Tensor, Tensor | None, Tensor | None]  # gate, filter, skip


def hyena_recurrence(v: Tensor, stages: Iterable[Stage]) -> Tensor:
    """v (B, D, L), stages of gate x (B, D, L), filter h (D, L), skip (D,) -> (B, D, L).

    Poli et al. 2023, Def. 3.1: z <- x * (h conv z), stage after stage. A filter of
    None is the identity; the skip (authors' code) is added to tap 0 of its filter.
    """
    for gate, h, skip in stages:
        v = gate * (v if h is None else causal_conv(v, h, skip))
    return v


def hyena_matrix(stages: Sequence[Stage]) -> Tensor:
    """H (B, D, L, L) with H @ v = hyena_recurrence(v, stages): the gates frozen.

    H = diag(x^N) T(h^N) ... diag(x^1) T(h^1) (Poli et al. 2023, section 3.2).
    """
    length = stages[0][0].shape[-1]
    matrix = torch.eye(length, dtype=stages[0][0].dtype, device=stages[0][0].device)
    for gate, h, skip in stages:
        if h is not None:
            stage = toeplitz(h, length)
            if skip is not None:
                stage = stage + torch.diag_embed(skip[:, None].expand(-1, length))
            matrix = stage @ matrix
        matrix = gate[..., None] * matrix
    return matrix


@dataclass(frozen=True)
class HyenaConfig:
    """Order N counts the gates. The two conventions differ in the long filters:

    "reference" (the official code): N - 1, each with a skip; "paper" (Def. 3.1): N,
    without. Reference order N is paper order N with the first filter the identity.
    """

    order: int = 2
    convention: str = "reference"
    short_taps: int = 3  # of the short convolution after the projections
    filter: FilterConfig = field(default_factory=FilterConfig)

    def __post_init__(self) -> None:
        choose("convention", self.convention, CONVENTIONS)
        if self.order < 1 or self.short_taps < 1:
            raise ValueError(
                "order and short_taps must be at least 1; "
                f"got {self.order} and {self.short_taps}"
            )

    @property
    def long_filters(self) -> int:
        return self.order - (self.convention == "reference")


class HyenaOperator(nn.Module):
    """(B, L, D) -> (B, L, D), causal, at most max_length steps.

    `filter` is the module of the long filters (None if there are none: order 1 of the
    reference convention is plain gating); any module with
    `filter(length) -> (long_filters, D, length)` may take its place.
    Source: Poli et al. 2023, Algs 1-3; standalone_hyena.py of HazyResearch/safari.
    """

    def __init__(
        self, width: int, max_length: int, config: HyenaConfig = HyenaConfig()
    ) -> None:
        super().__init__()
        self.width, self.max_length, self.config = width, max_length, config
        streams = (config.order + 1) * width
        self.in_proj = nn.Linear(width, streams)
        self.short_filter = nn.Conv1d(
            streams, streams, config.short_taps, groups=streams
        )
        self.out_proj = nn.Linear(width, width)
        orders = config.long_filters
        self.filter: nn.Module | None = None
        if orders:
            self.filter = ImplicitFilter(width, orders, max_length, config.filter)
        self.skips: nn.Parameter | None = None
        if orders and config.convention == "reference":
            self.skips = nn.Parameter(torch.randn(orders, width))

    def forward(self, u: Tensor) -> Tensor:
        return self.output(hyena_recurrence(*self.streams(u))[..., None])

    def streams(self, u: Tensor) -> tuple[Tensor, list[Stage]]:
        """u (B, L, D) -> v (B, D, L) and the N stages in the order they are applied.

        Raises ValueError for a wrong shape or device or a length above max_length,
        TypeError for a dtype other than the weights'.
        """
        check_input(u, self.in_proj.weight, self.max_length)
        length = u.shape[1]
        p = self.in_proj(u).transpose(1, 2)
        p = self.short_filter(pad(p, (self.config.short_taps - 1, 0)))  # causal
        *gates, v = p.chunk(self.config.order + 1, dim=1)
        filters = [] if self.filter is None else [*self.filter(length)]
        skips = [None] * len(filters) if self.skips is None else [*self.skips]
        if self.config.convention == "reference":  # the first filter is the identity
            filters, skips = [None, *filters], [None, *skips]
        return v, list(zip(reversed(gates), filters, skips, strict=True))

    def matrix(self, u: Tensor) -> Tensor:
        """H(u): (B, D, L, L), the gates frozen; row t is what output t reads."""
        return hyena_matrix(self.streams(u)[1])

    def values(self, u: Tensor) -> Tensor:
        """v: (B, D, L, 1), so that forward(u) = output(matrix(u) @ values(u))."""
        return self.streams(u)[0][..., None]

    def output(self, mixed: Tensor) -> Tensor:
        """(B, D, L, 1) -> (B, L, D): the projection back."""
        y: Tensor = self.out_proj(mixed.squeeze(-1).transpose(1, 2))
        return y

    def flops(self, length: int, batch: int = 1) -> float:
        """Multiplications and additions of one forward pass of (batch, length, D).

        Projections, short convolution, gates, and three transforms of length 2L at
        2.5 n log2 n each for every long filter (Poli et al. 2023, Prop. 3.2, with the
        N + 1 projections the operator has). The filters are made once for the batch.
        """
        order, width = self.config.order, self.width
        n = 2 * length
        transforms = 3 * 2.5 * n * torch.tensor(float(n)).log2().item() + 6 * length
        projections = 2 * (order + 2) * width**2 * length
        short = 2 * self.config.short_taps * (order + 1) * width * length
        network = 0 if self.filter is None else count_matrix_weights(self.filter)
        gates = order * width * length
        long = self.config.long_filters * width * transforms
        sequence = projections + short + gates + long
        return batch * sequence + 2 * network * length

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], config: Mapping[str, Any]
    ) -> "HyenaOperator":
        """The official standalone operator's weights and constructor arguments.

        Raises ValueError for an unknown option and for missing, extra or wrongly
        shaped keys, naming them. Source: standalone_hyena.py of HazyResearch/safari.
        """
        options = official.operator_options(config)
        ours = cls(
            **options["shape"],
            config=HyenaConfig(
                **options["operator"], filter=FilterConfig(**options["filter"])
            ),
        )
        shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
        depth = ours.config.filter.depth
        ours.load_state_dict(official.operator_state(state, shapes, depth))
        return ours


def count_matrix_weights(module: nn.Module) -> int:
    """Entries of every Linear weight below `module`: one multiplication each a step."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))
