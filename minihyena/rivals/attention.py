"""Attention, causal: softmax over all of the past, over a window of it, and linear.

B batch, L length, D width, G heads of width P = D / G.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from minihyena.mixer import DECODERS, Mixer
from minihyena.rivals.kv_cache import KVCache

__all__ = [
    "AttentionConfig",
    "LinearAttention",
    "LinearAttentionConfig",
    "SlidingWindowConfig",
    "SoftmaxAttention",
]

CHUNK = 64  # steps that linear attention treats as a square


@dataclass(frozen=True)
class AttentionConfig:
    """Heads of width D / heads. Without positions attention cannot tell order:

    `rotary` turns queries and keys by their position (arXiv 2104.09864). With a
    `window` of w, output t reads the w inputs t - w + 1 .. t only.
    """

    heads: int = 4
    rotary: bool = True
    window: int | None = None

    def __post_init__(self) -> None:
        if self.heads < 1 or (self.window is not None and self.window < 1):
            raise ValueError(
                "heads and window must be at least 1; "
                f"got {self.heads} and {self.window}"
            )

    def build(self, width: int, max_length: int) -> "SoftmaxAttention":
        return SoftmaxAttention(width, max_length, self)


@dataclass(frozen=True)
class SlidingWindowConfig(AttentionConfig):
    """Softmax attention over the last `window` inputs (arXiv 2004.05150)."""

    window: int | None = 64


@dataclass(frozen=True)
class LinearAttentionConfig:
    """Heads of width D / heads. It has no positions: rotary ones would make weights
    negative, so order reaches it through the other layers only.
    """

    heads: int = 4

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ValueError(f"heads must be at least 1; got {self.heads}")

    def build(self, width: int, max_length: int) -> "LinearAttention":
        return LinearAttention(width, max_length, self)


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

    def heads(self, u: Tensor, time: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D), the first at `time` -> queries, keys, values (B, G, L, P)."""
        self.check(u)
        split = self.in_proj(u).unflatten(-1, (3, self.groups, -1))
        q, k, v = split.permute(2, 0, 3, 1, 4)
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

    def heads(self, u: Tensor, time: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D), the first at `time` -> queries, keys, values (B, G, L, P)."""
        q, k, v = super().heads(u)
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
        unread = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)
        if self.config.window is not None:
            unread |= torch.ones_like(unread).tril(-self.config.window)
        matrix: Tensor = scores.masked_fill(unread, float("-inf")).softmax(-1)
        return matrix

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        return [KVCache(length, self.config.window)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        q, k, v = self.heads(u, time)
        k_past, v_past = memory[0].extend(k, v)
        if time:
            return self.output(scaled_dot_product_attention(q, k_past, v_past)), memory
        return self.output(self.mix(q, k, v)), memory

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections, scores and mixing; these over the whole square, or squares of
        window x 2 window, as they are computed.
        """
        window = self.config.window
        square = length**2
        if window is not None and window < length:
            square = 2 * window**2 * -(-length // window)
        return batch * (8 * self.width**2 * length + 4 * self.width * square)


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
    x = pad(x, (0, 0, 0, -length % size))
    return x.reshape(batch, heads, -1, size, width)


def features(x: Tensor) -> Tensor:
    """elu(x) + 1, which is e^x below 0; written so, it keeps its digits there.

    It never falls below e^-30, so no row of weights adds up to 0.
    """
    return torch.where(x > 0, x + 1, x.clamp(-30, 0).exp())


class LinearAttention(HeadedMixer):
    """(B, L, D) -> (B, L, D): y = A v, A[t, s] = f(q_t).f(k_s) / sum over r <= t of
    f(q_t).f(k_r), with f(x) = elu(x) + 1; a step costs O(P^2).

    Raises ValueError for a width that the heads do not divide.
    Source: Katharopoulos et al. 2020 (arXiv 2006.16236).
    """

    def __init__(
        self,
        width: int,
        max_length: int,
        config: LinearAttentionConfig = LinearAttentionConfig(),
    ) -> None:
        super().__init__(width, max_length, config.heads)
        self.config = config

    def heads(self, u: Tensor, time: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Features f(q), f(k) of queries and keys, and values: (B, G, L, P) each."""
        q, k, v = super().heads(u)
        return features(q), features(k), v

    @property
    def decoders(self) -> tuple[str, ...]:
        return DECODERS

    def forward(self, u: Tensor) -> Tensor:
        return self.advance(u, self.memory(len(u)), 0)[0]

    def matrix(self, u: Tensor) -> Tensor:
        """A: (B, G, L, L); rows are non-negative and sum to 1."""
        self.check_matrix(u, self.groups)
        q, k, _ = self.heads(u)
        scores = (q @ k.transpose(-1, -2)).tril()
        return scores / scores.sum(-1, keepdim=True)

    def memory(self, batch: int, length: int = 0, decoder: str = "") -> list[Any]:
        """The sum of f(k) v, and of f(k): (B, G, P, P + 1)."""
        head = self.width // self.groups
        return [self.zeros(batch, self.groups, head, head + 1)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        """Squares of CHUNK steps, and the sum over all before."""
        length = u.shape[1]
        q, k, v = self.heads(u)
        q, k, v = (
            cut(x, min(CHUNK, length))
            for x in (q, k, pad(v, (0, 1), value=1))  # the 1 adds up the weights
        )
        new = (k.transpose(-1, -2) @ v).to(memory[0].dtype)
        sums = torch.cat([memory[0][:, :, None], new], dim=2).cumsum(2)
        mixed = (q @ k.transpose(-1, -2)).tril() @ v + q @ sums[:, :, :-1]
        mixed = mixed.flatten(2, 3)[:, :, :length]
        y = self.output(mixed[..., :-1] / mixed[..., -1:])
        return y, [sums[:, :, -1]]

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections and the products of every chunk."""
        head = self.width // self.groups
        steps = CHUNK * -(-length // CHUNK)
        mixing = 2 * steps * self.groups * (CHUNK + 2 * head) * (head + 1)
        scores = 2 * steps * CHUNK * self.width
        return batch * (8 * self.width**2 * length + mixing + scores)
