"""Attention, causal: softmax over all of the past, or over a window of it.

B batch, L length, D width, G heads of width P = D / G.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from minihyena.errors import at_least
from minihyena.mixer import DECODERS, Mixer, by_channel
from minihyena.online import DirectConv
from minihyena.recurrence import running_short, short_conv
from minihyena.rivals.kv_cache import KVCache

__all__ = [
    "AttentionConfig",
    "HeadedMixer",
    "SlidingWindowConfig",
    "SoftmaxAttention",
    "cut",
]


@dataclass(frozen=True)
class AttentionConfig:
    """Heads of width D / heads. Without positions attention cannot tell order:

    `rotary` turns queries and keys by their position (arXiv 2104.09864). With a
    `window` of w, output t reads the w inputs t - w + 1 .. t only. With `short_taps`
    of K > 1 queries, keys and values, before they are turned, go through the short
    convolution that Hyena's projections have: each is mixed with the K - 1 before it.
    """

    heads: int = 4
    rotary: bool = True
    window: int | None = None
    short_taps: int = 1  # of a short convolution after the projections; 1: none

    def __post_init__(self) -> None:
        at_least(self, heads=1, short_taps=1)
        if self.window is not None:
            at_least(self, window=1)

    def build(self, width: int, max_length: int) -> "SoftmaxAttention":
        return SoftmaxAttention(width, max_length, self)


@dataclass(frozen=True)
class SlidingWindowConfig(AttentionConfig):
    """Softmax attention over the last `window` inputs (arXiv 2004.05150)."""

    window: int | None = 64


class HeadedMixer(Mixer):
    """Queries, keys and values in G heads; what softmax and linear attention share.

    Raises ValueError for a width that the heads do not divide.
    """

    def __init__(self, width: int, max_length: int, heads: int) -> None:
        super().__init__(width, max_length)
        if width % heads:
            raise ValueError(f"width {width} must be a multiple of heads = {heads}")
        self.groups = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def heads(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D) -> queries, keys, values (B, G, L, P)."""
        self.check(u)
        return self.split(self.in_proj(u))

    def split(self, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projections (B, L, 3 D) -> queries, keys, values (B, G, L, P)."""
        head = self.width // self.groups
        q, k, v = p.view(*p.shape[:2], 3, self.groups, head).permute(2, 0, 3, 1, 4)
        return q, k, v

    def values(self, u: Tensor) -> Tensor:
        """v: (B, G, L, P)."""
        return self.heads(u)[2]


class SoftmaxAttention(HeadedMixer):
    """(B, L, D) -> (B, L, D): y = A v, A = softmax over s <= t of q_t.k_s / sqrt P.

    Raises ValueError for a width that the heads do not divide, for rotary positions
    into an even head width. A step costs O(t), with a window O(w).
    Source: Vaswani et al. 2017; the window: Beltagy et al. 2020.
    """

    turns: Tensor  # (2, max_length, P / 2): cosines, sines

    def __init__(
        self, width: int, max_length: int, config: AttentionConfig = AttentionConfig()
    ) -> None:
        super().__init__(width, max_length, config.heads)
        if config.rotary and width // config.heads % 2:
            raise ValueError(
                f"rotary positions need an even head width; width {width} in "
                f"{config.heads} heads makes it {width // config.heads}"
            )
        self.config = config
        self.short_filter: Any = None
        if config.short_taps > 1:
            streams = 3 * width
            self.short_filter = nn.Conv1d(
                streams, streams, config.short_taps, groups=streams
            )
        half = width // config.heads // 2
        rates = 10_000.0 ** (-torch.arange(half) / max(half, 1))
        angles = torch.arange(max_length)[:, None] * rates
        self.register_buffer("turns", torch.stack([angles.cos(), angles.sin()]), False)

    def forward(self, u: Tensor) -> Tensor:
        return self.output(self.mix(*self.heads(u)))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys, values from the first one on -> A v: (B, G, L, P)."""
        window = self.config.window
        if window is None or window >= q.shape[2]:
            return scaled_dot_product_attention(q, k, v, is_causal=True)
        return window_attention(q, k, v, window)

    @property
    def decoders(self) -> tuple[str, ...]:
        return DECODERS[self.config.window is None :]

    def heads(
        self, u: Tensor, time: int = 0, short: DirectConv | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D), the first at `time` -> queries, keys, values (B, G, L, P).

        `short`: the short convolution as it runs, if there are inputs before these.
        """
        if self.short_filter is None:
            q, k, v = super().heads(u)
        else:
            self.check(u)
            p = by_channel(self.in_proj, u)
            if short is None:
                p = short_conv(self.short_filter, p)
            else:
                p = short.extend(p) + self.short_filter.bias[:, None]
            q, k, v = self.split(p.mT.contiguous())  # fast attention wants it so
        if not self.config.rotary:
            return q, k, v
        return self.turn(q, time), self.turn(k, time), v

    def turn(self, x: Tensor, time: int) -> Tensor:
        """x (B, G, L, P): the pairs (x_j, x_{j + P/2}) rotated by their position."""
        cos, sin = self.turns[:, time : time + x.shape[-2]].to(x.dtype)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def matrix(self, u: Tensor) -> Tensor:
        """A: (B, G, L, L); rows are non-negative and sum to 1."""
        self.check_matrix(u, self.groups)
        q, k, _ = self.heads(u)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        square = scores.new_ones(scores.shape[-2:], dtype=torch.bool)
        unread = square.triu(1)
        if self.config.window is not None:
            unread |= square.tril(-self.config.window)
        matrix: Tensor = scores.masked_fill(unread, float("-inf")).softmax(-1)
        return matrix

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        past = KVCache(length, self.config.window)
        short = self.short_filter
        return [past] if short is None else [past, running_short(short)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        q, k, v = self.heads(u, time, *memory[1:])
        k_past, v_past = memory[0].extend(k, v)
        if time:
            return self.output(scaled_dot_product_attention(q, k_past, v_past)), memory
        return self.output(self.mix(q, k, v)), memory

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections and their short convolution, scores and mixing; these over the
        whole square, or squares of window x 2 window, as they are computed.
        """
        taps, width = self.config.short_taps, self.width
        short = 6 * taps * width * length if taps > 1 else 0
        projections = 8 * width**2 * length
        return batch * (projections + short + 4 * width * self.entries(length))

    def masked_flops(self, length: int, batch: int = 1) -> float:
        """Those of `flops` that are spent on entries the mask then takes out: what an
        attention need not do that computes only what is read.
        """
        window = min(length, self.config.window or length)
        read = window * length - window * (window - 1) // 2
        return batch * 4 * self.width * (self.entries(length) - read)

    def entries(self, length: int) -> int:
        """How many entries of the matrix are computed for a head."""
        window = self.config.window
        if window is None or window >= length:
            return length**2
        return 2 * window**2 * -(-length // window)


def window_attention(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """q, k, v (B, G, L, P) -> (B, G, L, P): output t reads t - window + 1 .. t.

    The length is cut into blocks of `window`; each reads itself and the one before.
    """
    length = q.shape[2]
    q, k, v = (cut(x, window) for x in (q, k, v))
    k, v = (
        torch.cat([pad(x, (0, 0, 0, 0, 1, 0))[:, :, :-1], x], dim=3) for x in (k, v)
    )
    i = torch.arange(window, device=q.device)[:, None]
    j = torch.arange(2 * window, device=q.device)
    read = ((i < j) & (j <= i + window)).repeat(q.shape[2], 1, 1)
    read[0, :, :window] = False  # nothing is before the first block
    mixed = scaled_dot_product_attention(q, k, v, attn_mask=read)
    return mixed.flatten(2, 3)[:, :, :length]


def cut(x: Tensor, size: int) -> Tensor:
    """x (B, G, L, P) -> (B, G, blocks, size, P), the last one filled with zeros."""
    batch, heads, length, width = x.shape
    blocks = -(-length // size)
    x = pad(x, (0, 0, 0, blocks * size - length))
    return x.reshape(batch, heads, blocks, size, width)
