"""Softmax attention, causal, with rotary positions: the mixer Hyena replaces."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from minihyena.errors import check_input

__all__ = ["AttentionConfig", "SoftmaxAttention"]


@dataclass(frozen=True)
class AttentionConfig:
    """Heads of width D / heads. Without positions attention cannot tell order:

    `rotary` turns queries and keys by their position (arXiv 2104.09864).
    """

    heads: int = 4
    rotary: bool = True

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ValueError(f"heads must be at least 1; got {self.heads}")


class SoftmaxAttention(nn.Module):
    """(B, L, D) -> (B, L, D): y = A v, A = softmax over s <= t of q_t.k_s / sqrt P.

    G heads of width P = D / G. Raises ValueError for a width the heads do not divide,
    a wrong shape or a length above max_length. Source: Vaswani et al. 2017.
    """

    turns: Tensor  # (2, max_length, P / 2): cosines, sines

    def __init__(
        self, width: int, max_length: int, config: AttentionConfig = AttentionConfig()
    ) -> None:
        super().__init__()
        if width % config.heads or (config.rotary and width // config.heads % 2):
            raise ValueError(
                f"width {width} must be a multiple of heads = {config.heads}"
                + (", with an even head width for rotary" if config.rotary else "")
            )
        self.width, self.max_length, self.config = width, max_length, config
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        half = width // config.heads // 2
        rates = 10_000.0 ** (-torch.arange(half) / max(half, 1))
        angles = torch.arange(max_length)[:, None] * rates
        self.register_buffer("turns", torch.stack([angles.cos(), angles.sin()]), False)

    def forward(self, u: Tensor) -> Tensor:
        q, k, v = self.heads(u)
        return self.output(scaled_dot_product_attention(q, k, v, is_causal=True))

    def heads(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D) -> queries, keys, values, each (B, G, L, P)."""
        check_input(u, self.in_proj.weight, self.max_length)
        split = self.in_proj(u).unflatten(-1, (3, self.config.heads, -1))
        q, k, v = split.permute(2, 0, 3, 1, 4)
        return (self.turn(q), self.turn(k), v) if self.config.rotary else (q, k, v)

    def turn(self, x: Tensor) -> Tensor:
        """x (B, G, L, P): the pairs (x_j, x_{j + P/2}) rotated by their position."""
        cos, sin = self.turns[:, : x.shape[-2]].to(x.dtype)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def matrix(self, u: Tensor) -> Tensor:
        """A: (B, G, L, L); rows are non-negative and sum to 1."""
        q, k, _ = self.heads(u)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        future = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)
        matrix: Tensor = scores.masked_fill(future, float("-inf")).softmax(-1)
        return matrix

    def values(self, u: Tensor) -> Tensor:
        """v: (B, G, L, P), so that forward(u) = output(matrix(u) @ values(u))."""
        return self.heads(u)[2]

    def output(self, mixed: Tensor) -> Tensor:
        """(B, G, L, P) -> (B, L, D): heads joined, then the projection back."""
        y: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(-2))
        return y

    def flops(self, length: int, batch: int = 1) -> float:
        """Multiplications and additions of one forward pass of (batch, length, D).

        Scores and mixing are counted over the whole square, as they are computed.
        """
        return batch * (8 * self.width**2 * length + 4 * self.width * length**2)
