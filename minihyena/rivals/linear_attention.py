"""Linear attention, causal: a softmax's weights without the softmax.

B batch, L length, D width, G heads of width P = D / G.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.errors import at_least
from minihyena.mixer import DECODERS
from minihyena.rivals.attention import HeadedMixer, cut

__all__ = ["LinearAttention", "LinearAttentionConfig"]

CHUNK = 64  # steps that are treated as a square


@dataclass(frozen=True)
class LinearAttentionConfig:
    """Heads of width D / heads. It has no positions: rotary ones would make weights
    negative, so order reaches it through the other layers only.
    """

    heads: int = 4

    def __post_init__(self) -> None:
        at_least(self, heads=1)

    def build(self, width: int, max_length: int) -> "LinearAttention":
        return LinearAttention(width, max_length, self)


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

    def heads(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
        head, chunk = self.width // self.groups, min(CHUNK, length)
        steps = chunk * -(-length // chunk)
        mixing = 2 * steps * self.groups * (chunk + 2 * head) * (head + 1)
        scores = 2 * steps * chunk * self.width
        return batch * (8 * self.width**2 * length + mixing + scores)
