"""What an operator makes of a text of words: its table, and the factors if any."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from minihyena.conv import toeplitz
from minihyena.filters import ImplicitConfig
from minihyena.hyena import HyenaConfig, HyenaOperator, hyena_matrix
from minihyena.matrices import jacobian
from minihyena.model import drawing_from

__all__ = ["OWN", "WORDS", "GatedConv", "Operator", "Tables", "presets", "reader"]

Operator = Callable[[Tensor], Tensor]  # (B, L, D) -> (B, L, D)
GatedConv = Callable[[Tensor, Tensor, Tensor], Tensor]  # v, x, h -> x (h conv v)

# Each word by two numbers: how far it opens the gate before the filter, and after it.
WORDS = {
    "the": (0.2, 0.1),
    "hyena": (1.0, 0.3),
    "cat": (0.7, 0.2),
    "laughs": (0.3, 1.0),
    "who": (0.1, -0.9),
    "not": (-0.8, 0.5),
    ",": (0.0, 0.0),
}
OWN = "its own"


def presets(length: int) -> dict[str, Tensor]:
    """Name -> filter (length,) with a largest tap of 1."""
    lag = torch.arange(float(length))
    return {
        "echo": 0.75**lag,
        "running sum": torch.ones(length),
        "one step late": (lag == 1).float(),
        "waves": torch.cos(lag * torch.pi / 3) * 0.9**lag,
    }


def reader(length: int, seed: int = 5) -> HyenaOperator:
    """A Hyena operator (B, length, 2) -> (B, length, 2) whose gates are its two inputs.

    No short convolution: a gate knows its own token only. The long filter is drawn.
    """
    config = HyenaConfig(short_taps=1, filter=ImplicitConfig(bands=8, init="torch"))
    with drawing_from(torch.Generator().manual_seed(seed)):
        operator = HyenaOperator(2, length, config)
    lets_in, lets_out = torch.eye(2)
    gates = [lets_out, lets_out, lets_in, lets_in]  # after the filter, before it
    own = {
        "in_proj.weight": torch.stack([*gates, lets_in, lets_out]),
        "in_proj.bias": torch.zeros(6),
        "short_filter.weight": torch.ones(6, 1, 1),
        "short_filter.bias": torch.zeros(6),
        "skips": torch.zeros(1, 2),
    }
    operator.load_state_dict(operator.state_dict() | own)
    return operator.requires_grad_(False)


class Tables:
    """Asks `op` (None: `reader`) about texts of `length` words; see GatePlayground."""

    def __init__(
        self,
        op: Operator | None,
        gated_conv: GatedConv | None,
        width: int,
        length: int,
        generator: torch.Generator,
    ) -> None:
        self.op: Any = reader(length) if op is None else op
        self.gated_conv, self.length = gated_conv, length
        width = getattr(self.op, "width", width)
        self.embedding = torch.randn(len(WORDS), width, generator=generator)
        if op is None:
            self.embedding = torch.tensor([*WORDS.values()])
        self.kind = "H(u)" if hasattr(self.op, "matrix") else "Jacobian"
        any_text = self.embed(["the"] * length)
        with torch.no_grad():
            stages = self.op.streams(any_text)[1] if hasattr(op, "streams") else ()  # type: ignore[union-attr]
            self.factored = op is None or [h is None for _, h, _ in stages] == [1, 0]
            self.channels = width  # matrices it has: one a channel, or one a head
            if self.kind == "H(u)":
                self.channels = int(self.op.matrix(any_text).shape[1])  # type: ignore[union-attr]
        if gated_conv is not None and not self.factored:
            raise ValueError(
                "gated_conv needs gates and a filter to work on: leave op out, or give "
                "a Hyena operator of order 2"
            )

    def embed(self, words: Sequence[str]) -> Tensor:
        """(1, L, D): the numbers of the words, as the operator's weights are."""
        weights = self.op.parameters() if isinstance(self.op, nn.Module) else ()
        like = next(iter(weights), self.embedding)
        return self.embedding[[[*WORDS].index(w) for w in words]][None].to(like)

    def ask(
        self, words: Sequence[str], channel: int, **gates: Any
    ) -> dict[str, Tensor]:
        """Name -> (L, L): H, and S, D_q and D_k if the operator has them."""
        u = self.embed(words)
        if self.kind == "Jacobian":
            tables = {"H": jacobian(self.op, u, channel)[0]}
        elif self.factored:
            tables = self._factors(u, channel, **gates)
        else:
            tables = {"H": self.op.matrix(u)[0, channel]}
        wanted, shape = (self.length, self.length), tuple(tables["H"].shape)
        if shape != wanted:
            raise ValueError(
                f"the operator's matrix has the shape {shape}; "
                f"for {self.length} tokens it must be {wanted}"
            )
        return {name: x.detach().float().cpu() for name, x in tables.items()}

    def _factors(
        self, u: Tensor, channel: int, *, filter: str, pre: bool, post: bool
    ) -> dict[str, Tensor]:
        """H = D_q S D_k; a gate that does not listen is 1 everywhere."""
        _, [(k, _, _), (q, h, skip)] = self.op.streams(u)
        k, q, h = (x.detach()[..., channel, :] for x in (k, q, h))
        k = k if pre else torch.ones_like(k)
        q = q if post else torch.ones_like(q)
        if filter != OWN:
            h = presets(self.length)[filter].to(h)
        elif skip is not None:  # the skip is part of tap 0
            h = h + skip[channel] * (torch.arange(len(h), device=h.device) == 0)
        return {
            "H": self._product(k[None], q[None], h[None]),
            "S": toeplitz(h, self.length),
            "D_q": q[0].diag(),
            "D_k": k[0].diag(),
        }

    def _product(self, k: Tensor, q: Tensor, h: Tensor) -> Tensor:
        """(L, L): the library's matrix, or unit vectors through the learner's own."""
        if self.gated_conv is None:
            return hyena_matrix([(k, None, None), (q, h, None)])[0, 0]
        units = torch.eye(self.length).to(k)[:, None]
        columns = self.gated_conv(k * units, q.expand_as(units), h)
        if columns.shape != units.shape:
            raise ValueError(
                f"gated_conv turned v {tuple(units.shape)} into "
                f"{tuple(columns.shape)}; it keeps the shape (B, D, L)"
            )
        return columns[:, 0].T
