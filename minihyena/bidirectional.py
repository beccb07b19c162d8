"""Hyena in both directions: every long filter has a part for the past and the future.

For whole sequences (images, DNA, sentences to classify), where output t may read what
comes after it. B batch, D width, L length, K <= L taps.
"""

from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena.conv import causal_conv, conv_flops, toeplitz
from minihyena.hyena import HyenaConfig, HyenaOperator
from minihyena.mixer import by_channel, matrix_flops
from minihyena.recurrence import Stage, hyena_matrix

__all__ = ["BidirectionalHyena", "two_sided_conv", "two_sided_toeplitz"]


def two_sided_conv(
    u: Tensor, past: Tensor, future: Tensor, skip: Tensor | None = None
) -> Tensor:
    """u: (B, D, L), past, future: (D, K <= L), skip: (D,) -> (B, D, L).

    y_t = sum_{s<=t} past_{t-s} u_s + sum_{s>t} future_{s-t} u_s + skip * u_t, without
    wrap-around: two causal convolutions, one of them in reversed time. Both filters
    are indexed by distance; the present (distance 0) is the past's, so future_0 is not
    read. Raises as `causal_conv`.
    """
    y = causal_conv(u, past, skip)
    return y + causal_conv(u.flip(-1), without_present(future)).flip(-1)


def two_sided_toeplitz(past: Tensor, future: Tensor, length: int) -> Tensor:
    """(..., K) twice -> (..., L, L): the matrix that `two_sided_conv` applies."""
    return toeplitz(past, length) + toeplitz(without_present(future), length).mT


def without_present(h: Tensor) -> Tensor:
    """(..., K) -> (..., K): tap 0 becomes zero."""
    return pad(h[..., 1:], (1, 0))


class BidirectionalHyena(HyenaOperator):
    """(B, L, D) -> (B, L, D): every output reads every input, at most max_length.

    The Hyena operator with two-sided convolutions: `filter` makes the parts for the
    past, `future` those for the future, and the short convolution is centred (an even
    number of taps has one more in the past). Order, convention and skips are those of
    HyenaOperator. There is no `start` and no `step`: no output is known before the
    last input.
    """

    def __init__(
        self, width: int, max_length: int, config: HyenaConfig | None = None
    ) -> None:
        config = config or HyenaConfig()
        super().__init__(width, max_length, config)
        self.future: nn.Module | None = None
        if config.long_filters:
            self.future = config.filter.build(width, config.long_filters, max_length)

    def forward(self, u: Tensor) -> Tensor:
        v, stages = self.streams(u)
        for gate, h, skip in stages:
            v = gate * (v if h is None else two_sided_conv(v, h[0], h[1], skip))
        return self.output(v[..., None])

    def matrix(self, u: Tensor) -> Tensor:
        """H(u): (B, D, L, L), the gates frozen; a full matrix, not a triangle."""
        self.check_matrix(u, self.width, self.config.order)
        return hyena_matrix(
            self.streams(u)[1], lambda h, length: two_sided_toeplitz(h[0], h[1], length)
        )

    def streams(self, u: Tensor) -> tuple[Tensor, list[Stage]]:
        """As HyenaOperator's; a filter is (2, D, L), its past and its future."""
        self.check(u)
        taps = self.config.short_taps
        p = by_channel(self.in_proj, u)
        p = self.short_filter(pad(p, (taps // 2, (taps - 1) // 2)))  # centred
        gates, v = self.gates(p)
        long = self.convolutions(u.shape[1])
        return v, [(gate, *pair) for gate, pair in zip(gates[::-1], long, strict=True)]

    def convolutions(self, length: int) -> list[tuple[Tensor | None, Tensor | None]]:
        """The filters (2, D, length) and skip (D,) before each of the N gates."""
        future = iter(() if self.future is None else self.future(length))
        return [
            (None if past is None else torch.stack([past, next(future)]), skip)
            for past, skip in super().convolutions(length)
        ]

    @classmethod
    def from_official(cls, *args: Any, **options: Any) -> NoReturn:
        raise NotImplementedError(
            "the official weights are those of a one-sided operator and have no part "
            "for the future; load them with HyenaOperator.from_official"
        )

    @property
    def decoders(self) -> tuple[str, ...]:
        return ()

    def prefill(self, *args: Any, **options: Any) -> NoReturn:
        raise NotImplementedError(
            "a two-sided operator reads the future, so it cannot go step by step; "
            "call it on the whole sequence, or build the causal HyenaOperator"
        )

    def step(self, u: Tensor, state: Any) -> NoReturn:
        self.prefill()

    def flops(self, length: int, batch: int = 1) -> float:
        """As HyenaOperator's, with a second filter and convolution for each one."""
        if self.future is None:
            return super().flops(length, batch)
        second = self.config.long_filters * self.width * conv_flops(length)
        made = matrix_flops(self.future, length)
        return super().flops(length, batch) + batch * second + made
