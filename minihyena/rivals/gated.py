"""The family around Hyena: gates and long convolutions, arranged in other ways.

H3 and GSS are instances of the Hyena recurrence (Poli et al. 2023, section 3.1);
multi-head Hyena lets its gates meet as vectors. B batch, L length, D width, G heads of
width P = D / G.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from minihyena.conv import causal_conv, conv_flops, toeplitz
from minihyena.errors import at_least
from minihyena.mixer import Mixer, by_channel, matrix_flops
from minihyena.online import DirectConv
from minihyena.options import configure
from minihyena.recurrence import (
    RecurrenceMixer,
    Stage,
    long_decoders,
    running_convs,
    running_short,
    short_conv,
)
from minihyena.rivals.filters import filter_families

__all__ = [
    "GSS",
    "H3",
    "GSSConfig",
    "H3Config",
    "MultiHeadHyena",
    "MultiHeadHyenaConfig",
]


@dataclass(frozen=True)
class LongConfig:
    """`filter`: a word in filter_families, or the options of one."""

    filter: Any = "s4d"

    def __post_init__(self) -> None:
        chosen = configure("long filter", self.filter, filter_families)
        object.__setattr__(self, "filter", chosen)


@dataclass(frozen=True)
class H3Config(LongConfig):
    """`shift_taps` is S, the reach of the shift (at most max_length are made)."""

    shift_taps: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, shift_taps=1)

    def build(self, width: int, max_length: int) -> "H3":
        return H3(width, max_length, self)


@dataclass(frozen=True)
class GSSConfig(LongConfig):
    """`channel_mixing`: a matrix across channels between convolution and gate, as in
    the source. Without it (ours) every channel has an L x L matrix of its own.
    """

    channel_mixing: bool = False

    def build(self, width: int, max_length: int) -> "GSS":
        return GSS(width, max_length, self)


@dataclass(frozen=True)
class MultiHeadHyenaConfig(LongConfig):
    """Heads of width D / heads with one long filter each."""

    filter: Any = "implicit"
    heads: int = 4
    short_taps: int = 3  # of the short convolution after the projections

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, heads=1, short_taps=1)

    def build(self, width: int, max_length: int) -> "MultiHeadHyena":
        return MultiHeadHyena(width, max_length, self)


class H3(RecurrenceMixer):
    """(B, L, D) -> (B, L, D): y = q (T(h) + beta) (k' v), k' = (T(f) + beta') k.

    f has S free taps (the shift), h is a long filter; all products are per channel. On
    v the matrix is diag(q) (T(h) + beta) diag(k'). Taps start as those of a Conv1d.
    Source: Fu et al. 2023 (arXiv 2212.14052), with heads of width 1 as in its code.
    """

    def __init__(
        self, width: int, max_length: int, config: H3Config = H3Config()
    ) -> None:
        super().__init__(width, max_length)
        self.config = config
        self.in_proj = nn.Linear(width, 3 * width)
        taps = min(config.shift_taps, max_length)
        self.shift = nn.Parameter((2 * torch.rand(width, taps) - 1) / taps**0.5)
        self.filter: nn.Module = config.filter.build(width, 1, max_length)
        self.skips = nn.Parameter(torch.randn(2, width))  # of the shift, of the filter
        self.out_proj = nn.Linear(width, width)

    def streams(self, u: Tensor) -> tuple[Tensor, list[Stage]]:
        """u (B, L, D) -> v (B, D, L), and the stages of k' and of q."""
        self.check(u)
        q, k, v = by_channel(self.in_proj, u).chunk(3, dim=1)
        length = u.shape[1]
        k = causal_conv(k, self.shift[:, :length], self.skips[0])
        return v, [(k, None, None), (q, self.long_filters(length)[0], self.skips[1])]

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        shift = DirectConv(self.shift, self.skips[0])
        return [shift, *running_convs(self.filter, self.skips[1:], length, decoder)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        shift, long = memory
        q, k, v = by_channel(self.in_proj, u).chunk(3, dim=1)
        mixed = q * long.extend(shift.extend(k) * v)
        return self.output(mixed[..., None]), memory

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections, two gates, two convolutions by FFT; the filter, once a batch."""
        convolutions = self.width * (2 * length + 2 * conv_flops(length))
        made = matrix_flops(self.filter, length)
        return batch * (8 * self.width**2 * length + convolutions) + made


class GSS(RecurrenceMixer):
    """(B, L, D) -> (B, L, D): y = a M T(h) b, a = gelu(W_a u), b = gelu(W_b u).

    One gate a, one long filter h per channel. M mixes the channels (channel_mixing);
    then there is no matrix for each channel, and `matrix` and `values` raise
    NotImplementedError. Without it M is the identity, and the matrix is diag(a) T(h).
    Source: Mehta et al. 2022 (arXiv 2206.13947), there with streams of two widths.
    """

    def __init__(
        self, width: int, max_length: int, config: GSSConfig = GSSConfig()
    ) -> None:
        super().__init__(width, max_length)
        self.config = config
        self.in_proj = nn.Linear(width, 2 * width)
        self.filter: nn.Module = config.filter.build(width, 1, max_length)
        mixing = config.channel_mixing
        self.mix = nn.Linear(width, width) if mixing else nn.Identity()
        self.out_proj = nn.Linear(width, width)

    def streams(self, u: Tensor) -> tuple[Tensor, list[Stage]]:
        """u (B, L, D) -> b (B, D, L), and the stage of a."""
        a, b, h = self.parts(u)
        return b, [(a, h, None)]

    def parts(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D) -> a, b (B, D, L), h (D, L)."""
        self.check(u)
        a, b = gelu(by_channel(self.in_proj, u)).chunk(2, dim=1)
        return a, b, self.long_filters(u.shape[1])[0]

    def forward(self, u: Tensor) -> Tensor:
        a, b, h = self.parts(u)
        mixed = self.mix(causal_conv(b, h).transpose(1, 2))
        y: Tensor = self.out_proj(a.transpose(1, 2) * mixed)
        return y

    def matrix(self, u: Tensor) -> Tensor:
        """diag(a) T(h): (B, D, L, L). NotImplementedError with channel_mixing."""
        self.check_unmixed()
        return super().matrix(u)

    def values(self, u: Tensor) -> Tensor:
        """b: (B, D, L, 1). NotImplementedError with channel_mixing."""
        self.check_unmixed()
        return super().values(u)

    def check_unmixed(self) -> None:
        if self.config.channel_mixing:
            raise NotImplementedError(
                "with channel_mixing every output channel of a GSS reads all channels: "
                "there is no L x L matrix for each; build it with "
                "GSSConfig(channel_mixing=False), or look at matrices.jacobian"
            )

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        return [*running_convs(self.filter, [None], length, decoder)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        a, b = gelu(by_channel(self.in_proj, u)).chunk(2, dim=1)
        mixed = self.mix(memory[0].extend(b).mT)
        return self.out_proj(a.mT * mixed), memory

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections, the gate and the convolution; the filter, once a batch."""
        products = matrix_flops(self, length) - matrix_flops(self.filter, length)
        mixing = self.width * (length + conv_flops(length))
        return batch * (products + mixing) + matrix_flops(self.filter, length)


class MultiHeadHyena(Mixer):
    """(B, L, D) -> (B, L, D): y_t = Z_t' q_t with Z = h * (k v'), P x P in every head.

    The matrix of a head is M[t, s] = (q_t . k_s) h_{t-s}, the skip added to h_0: linear
    attention, not normalised, under a learned profile of lags. Heads of width 1 make
    it the Hyena operator of order 2, parameter for parameter.
    Raises ValueError for a width that the heads do not divide.
    Source: Massaroli et al. 2023, MultiHyena (arXiv 2310.18780).
    """

    def __init__(
        self,
        width: int,
        max_length: int,
        config: MultiHeadHyenaConfig = MultiHeadHyenaConfig(),
    ) -> None:
        super().__init__(width, max_length)
        groups, taps = config.heads, config.short_taps
        if width % groups:
            raise ValueError(f"width {width} must be a multiple of heads = {groups}")
        self.config = config
        streams = 3 * width
        self.in_proj = nn.Linear(width, streams)
        self.short_filter: Any = nn.Conv1d(streams, streams, taps, groups=streams)
        self.filter = config.filter.build(groups, 1, max_length)
        self.skips = nn.Parameter(torch.randn(1, groups))
        self.out_proj = nn.Linear(width, width)

    def heads(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D) -> queries, keys, values (B, G, P, L)."""
        self.check(u)
        p = short_conv(self.short_filter, by_channel(self.in_proj, u))
        return self.split(p)

    def split(self, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projections (B, 3 D, L) -> queries, keys, values (B, G, P, L)."""
        heads = self.config.heads, self.width // self.config.heads
        q, k, v = p.reshape(len(p), 3, *heads, p.shape[-1]).unbind(1)
        return q, k, v

    def profile(self, length: int) -> Tensor:
        """The filter of every head, its skip in tap 0: (G, length)."""
        h: Tensor = self.filter(length)[0]
        return torch.cat([h[:, :1] + self.skips.T, h[:, 1:]], dim=-1)

    def forward(self, u: Tensor) -> Tensor:
        """The P^2 products of a head are convolved one row, P channels, at a time."""
        q, k, v = self.heads(u)
        h = self.profile(u.shape[1]).repeat_interleave(q.shape[2], dim=0)  # (D, L)
        mixed = torch.zeros_like(v)
        for i in range(q.shape[2]):
            row = causal_conv((k[:, :, i, None] * v).flatten(1, 2), h)
            mixed = mixed + q[:, :, i, None] * row.view_as(v)
        return self.output(mixed.transpose(-1, -2))

    def matrix(self, u: Tensor) -> Tensor:
        """M: (B, G, L, L)."""
        self.check_matrix(u, self.config.heads)
        q, k, _ = self.heads(u)
        length = u.shape[1]
        return q.transpose(-1, -2) @ k * toeplitz(self.profile(length), length)

    def values(self, u: Tensor) -> Tensor:
        """v: (B, G, L, P)."""
        return self.heads(u)[2].transpose(-1, -2)

    @property
    def decoders(self) -> tuple[str, ...]:
        return long_decoders(self.filter)

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        """The P^2 products of a head are as many sequences for its filter."""
        long = running_convs(self.filter, self.skips, length, decoder)
        return [running_short(self.short_filter), *long]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        short, long = memory
        p = short.extend(by_channel(self.in_proj, u)) + self.short_filter.bias[:, None]
        q, k, v = self.split(p)
        z = (k[:, :, :, None] * v[:, :, None]).permute(0, 2, 3, 1, 4)  # (B, P, P, G, n)
        z = long.extend(z.flatten(0, 2)).view_as(z)
        return self.output(torch.einsum("bgin,bijgn->bgnj", q, z)), memory

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections, short convolution, the products k v' and Z' q, and P
        convolutions for every channel. The filters are made once for the batch.
        """
        width, head = self.width, self.width // self.config.heads
        projections = (8 * width + 6 * self.config.short_taps) * width * length
        gates = (3 * head - 1) * width * length
        long = head * width * conv_flops(length)
        made = matrix_flops(self.filter, length)
        return batch * (projections + gates + long) + made
