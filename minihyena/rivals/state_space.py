"""Filters that are the impulse response of a recurrence: S4D and transfer functions.

D channels, L length of the filter, S states of the recurrence. Both are computed
without running it; the recurrence itself is what the tests compare with.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena.conv import toeplitz
from minihyena.errors import at_least, choose
from minihyena.rivals.long_filter import LongFilter
from minihyena.rivals.modal import Modes, diagonal_response

__all__ = [
    "S4DConfig",
    "S4DFilter",
    "TransferConfig",
    "TransferFilter",
    "rational_response",
]

INITS = ("lin", "inv")


@dataclass(frozen=True)
class S4DConfig:
    """S = states, in conjugate pairs. A and the step size have a rate of their own."""

    states: int = 64
    init: str = "lin"  # of the poles; or "inv"
    min_step: float = 1e-3  # step sizes are log-uniform between these two
    max_step: float = 1e-1
    learning_rate: float | None = 1e-3  # of A and the step size; None: the model's

    def __post_init__(self) -> None:
        at_least(self, states=2)
        if self.states % 2:
            raise ValueError(
                f"states come in conjugate pairs, so take an even number of them; "
                f"got {self.states}"
            )
        if not 0 < self.min_step <= self.max_step < math.inf:
            raise ValueError(
                "step sizes need 0 < min_step <= max_step; "
                f"got {self.min_step} and {self.max_step}"
            )
        choose("S4D init", self.init, INITS)

    def build(self, width: int, orders: int, max_length: int) -> "S4DFilter":
        return S4DFilter(width, orders, max_length, self)


class S4DFilter(LongFilter):
    """A diagonal state space: h_t = 2 Re sum_s C_s B_s e^(dt A_s t), s < S/2.

    B_s = (e^(dt A_s) - 1) / A_s is the zero-order hold of an input matrix of ones.
    Re A_s = -exp(log_decay) < 0 at all times, so every filter decays. At the start
    A_s = -1/2 + i pi s ("lin") or -1/2 + i S/pi (S/(2s + 1) - 1) ("inv"), C is complex
    normal, dt log-uniform for each channel. orders * D * (2 S + 1) parameters.
    A and dt are trained with a small rate, and nothing decays.
    Source: Gu et al. 2022, S4D (arXiv 2206.11893).
    """

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: S4DConfig = S4DConfig(),
    ) -> None:
        super().__init__(width, orders, max_length, config)
        states, pairs = config.states, (orders, width, config.states // 2)
        low, high = math.log(config.min_step), math.log(config.max_step)
        s = torch.arange(states // 2)
        inverse = states / math.pi * (states / (2 * s + 1) - 1)
        poles = math.pi * s if config.init == "lin" else inverse
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(orders, width))
        self.log_decay = nn.Parameter(torch.full(pairs, math.log(0.5)))
        self.frequency = nn.Parameter(poles.repeat(orders, width, 1))
        self.readout = nn.Parameter(torch.randn(*pairs, 2) / 2**0.5)  # C

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        return diagonal_response(*self.dynamics(dtype), length)

    def as_modes(self, dtype: torch.dtype) -> Modes:
        """The recurrence that the filter is: S / 2 complex states."""
        gains, rates = self.dynamics(dtype)
        return Modes(rates, gains * rates.exp(), gains.real.sum(-1))

    def dynamics(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """g and r of h_t = Re sum_s g_s e^(r_s t), (orders, D, S / 2) each."""
        a = torch.complex(-self.log_decay.to(dtype).exp(), self.frequency.to(dtype))
        rates = self.log_step.to(dtype).exp()[..., None] * a
        held = torch.expm1(rates) / a  # without expm1 a small step loses its digits
        return 2 * torch.view_as_complex(self.readout.to(dtype)) * held, rates

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """The optimiser groups: A and dt with the rate of the config, C the model's."""
        own = self.config.learning_rate
        dynamics = [self.log_step, self.log_decay, self.frequency]
        return [
            {
                "params": dynamics,
                "lr": learning_rate if own is None else own,
                "weight_decay": 0.0,
            },
            {"params": [self.readout], "lr": learning_rate, "weight_decay": 0.0},
        ]


@dataclass(frozen=True)
class TransferConfig:
    """S = states: the degree of numerator and denominator (at most max_length - 1)."""

    states: int = 64
    stable: bool = True  # False: poles may leave the unit circle, and h explode

    def __post_init__(self) -> None:
        at_least(self, states=1)

    def build(self, width: int, orders: int, max_length: int) -> "TransferFilter":
        return TransferFilter(width, orders, max_length, self)


def rational_response(b: Tensor, a: Tensor, length: int) -> Tensor:
    """b (..., S + 1), a (..., S) -> (..., length): h_t = b_t - sum_j a_j h_{t-j}.

    The recurrence, m > S steps at a time. As a matrix it is T h = b, T the Toeplitz
    matrix of 1, a_1, .. a_S; cut into blocks of m it has T0 on its diagonal, T1 below
    and nothing else. So T0 h_0 = b and T0 h_k = -T1 h_(k-1), exact: m^3 + L m products.
    """
    m = max(b.shape[-1], math.isqrt(length - 1) + 1)
    rows = toeplitz(pad(a, (1, 0), value=1.0), 2 * m)[..., m:, :]
    below, diagonal = rows.chunk(2, -1)
    first = pad(b, (0, m - b.shape[-1]))[..., None, :]
    solved = torch.linalg.solve_triangular(  # of rows h_k: transposed, and quicker
        diagonal.mT, torch.cat([first, -below.mT], -2), upper=True, left=False
    )
    blocks, step = [solved[..., :1, :]], solved[..., 1:, :]
    while len(blocks) * m < length:
        blocks.append(blocks[-1] @ step)
    return torch.cat(blocks, -1)[..., 0, :length]


class TransferFilter(LongFilter):
    """A transfer function, (b_0 + .. + b_S z^-S) / (1 + a_1 z^-1 + .. + a_S z^-S).

    h is its impulse response itself, h_t = b_t - sum_j a_j h_{t-j}. The source divides
    two FFTs instead, which gives h wrapped around, sum_m h_{t+mn}: the same if it has
    died out by n, and finite even where h explodes. The true response needs stable
    poles to be trained: `stable` divides a by sum |a_j| where that is above 1, so that
    |h_t| <= sum |b_j| at all times. (The source's code has such a bound as an option,
    with one more trained number a channel; its default is none.)
    At the start a = 0, b_0 is from normal(0, 1) and the other b are 0, as there: the
    filter is a skip until it learns to be more. orders * D * (2 S + 1) parameters.
    Source: Parnichkun et al. 2024, RTF (arXiv 2405.06147); its
    b_0 + (b_1 z^-1 + ..) / (1 + a_1 z^-1 + ..) are the same filters.
    """

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: TransferConfig = TransferConfig(),
    ) -> None:
        super().__init__(width, orders, max_length, config)
        states = min(config.states, max_length - 1)
        self.a = nn.Parameter(torch.zeros(orders, width, states))
        self.b = nn.Parameter(pad(torch.randn(orders, width, 1), (0, states)))

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        a, b = self.a.to(dtype), self.b.to(dtype)
        if self.config.stable:
            a = a / a.abs().sum(-1, keepdim=True).clamp(min=1)
        return rational_response(b, a, length)
