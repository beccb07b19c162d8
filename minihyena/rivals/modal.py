"""Filters that are sums of S modes, and the recurrence that they are.

h_0 = g, h_t = Re sum_j R_j lambda_j^(t - 1) for t >= 1: S complex numbers x a channel,
x <- lambda x + u_t, give every output. B batch, D channels, P steps of a prompt.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena.errors import at_least
from minihyena.fast_conv import auto_conv
from minihyena.online import RunningConv
from minihyena.rivals.long_filter import LongFilter

__all__ = ["ModalConfig", "ModalConv", "ModalFilter", "Modes", "diagonal_response"]

PIECE = 256  # steps of a prompt that a state takes at once


def diagonal_response(gains: Tensor, rates: Tensor, length: int) -> Tensor:
    """Complex gains, rates (..., S) -> real (..., length): Re sum_j g_j e^(r_j t).

    With t = mi + j, e^(rt) = e^(rmi) e^(rj): a product of an (L/m, S) and an (S, m)
    matrix, m = sqrt L, instead of S L exponentials.
    """
    m = math.isqrt(max(length - 1, 0)) + 1
    time = torch.arange(m, device=rates.device, dtype=rates.real.dtype)
    fine = torch.exp(rates[..., None] * time)
    coarse = torch.exp((m * rates)[..., None, :] * time[: -(-length // m), None])
    h: Tensor = ((gains[..., None, :] * coarse) @ fine).real
    return h.flatten(-2)[..., :length]


class Modes(NamedTuple):
    """h_0 = direct, h_t = Re sum_j residues_j e^(rates_j (t - 1)) for t >= 1."""

    rates: Tensor  # (..., S) complex, the logarithms of the poles lambda
    residues: Tensor  # (..., S) complex
    direct: Tensor  # (...)

    @property
    def poles(self) -> Tensor:
        """lambda: (..., S); the state shrinks and turns by it in every step."""
        return self.rates.exp()

    def response(self, length: int) -> Tensor:
        """The filter: (..., length)."""
        rest = diagonal_response(self.residues, self.rates, length - 1)
        return torch.cat([self.direct[..., None], rest], dim=-1)


class ModalConv(RunningConv):
    """The convolution with Modes of (D, S), skip (D,): O(S) a step, without end."""

    def __init__(self, modes: Modes, skip: Tensor | None = None) -> None:
        self.rates, self.residues, self.h = modes
        if skip is not None:
            self.h = self.h + skip
        self.poles = modes.poles
        self.x = torch.zeros_like(self.poles)  # (D, S), with the first input (B, D, S)

    def _step(self, u: Tensor) -> Tensor:
        y = (self.residues * self.x).real.sum(-1) + self.h * u
        self.x = self.poles * self.x + u[..., None]
        return y

    def _absorb(self, u: Tensor) -> Tensor:
        """x <- lambda^n x + sum_s lambda^(n - 1 - s) u_s, for PIECE steps at a time."""
        size = min(PIECE, u.shape[-1])
        ages = torch.arange(size, device=u.device).flip(0)
        powers = torch.view_as_real(torch.exp(self.rates[:, None] * ages[:, None]))
        first = pad(u, (-u.shape[-1] % size, 0))  # zeros before it change nothing
        pieces = first.unfold(-1, size, size).permute(1, 2, 0, 3)  # (D, pieces, B, n)
        new = pieces.flatten(1, 2) @ powers.flatten(-2)  # real: (D, pieces B, 2S)
        new = torch.view_as_complex(
            new.reshape(len(new), -1, len(u), *powers.shape[2:])
        )
        faded, x = torch.exp(size * self.rates), self.x
        for added in new.unbind(1):
            x = faded * x + added.transpose(0, 1)
        self.x = x
        return auto_conv(
            u, Modes(self.rates, self.residues, self.h).response(u.shape[-1])
        )


@dataclass(frozen=True)
class ModalConfig:
    """S = states, complex ones, for each channel."""

    states: int = 32
    learning_rate: float | None = 1e-3  # of the poles; None: the model's

    def __post_init__(self) -> None:
        at_least(self, states=1)

    def build(self, width: int, orders: int, max_length: int) -> "ModalFilter":
        return ModalFilter(width, orders, max_length, self)


class ModalFilter(LongFilter):
    """Free modes: poles e^(-exp(log_decay) + i frequency), so every filter decays.

    What `distillation` makes of other filters; to be trained as well. At the start
    decays are log-uniform from 1 / max_length to 1, frequencies spread over 0 .. pi,
    and the filter has about unit energy. orders * D * (4 S + 1) parameters.
    Source: Massaroli et al. 2023 (arXiv 2310.18780), section 3.
    """

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: ModalConfig = ModalConfig(),
    ) -> None:
        super().__init__(width, orders, max_length, config)
        shape = (orders, width, config.states)
        self.log_decay = nn.Parameter(-math.log(max_length) * torch.rand(shape))
        self.frequency = nn.Parameter(math.pi * torch.rand(shape))
        energy = (
            -(-2 * self.log_decay.detach().exp()[..., None]).expm1() / config.states
        )
        self.residues = nn.Parameter(torch.randn(*shape, 2) * energy**0.5)
        self.direct = nn.Parameter(torch.randn(orders, width) / config.states**0.5)

    def as_modes(self, dtype: torch.dtype) -> Modes:
        rates = torch.complex(-self.log_decay.to(dtype).exp(), self.frequency.to(dtype))
        residues = torch.view_as_complex(self.residues.to(dtype))
        return Modes(rates, residues, self.direct.to(dtype))

    def set_modes(self, modes: Modes) -> None:
        """Take over modes (orders, D, at most S), all poles inside the unit circle.

        What is over is without effect, and can be trained to have one.
        """
        used = modes.rates.shape[-1]
        with torch.no_grad():
            self.residues.zero_()
            self.log_decay[..., :used] = (-modes.rates.real).log()
            self.frequency[..., :used] = modes.rates.imag
            self.residues[..., :used, :] = torch.view_as_real(modes.residues)
            self.direct.copy_(modes.direct)

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        return self.as_modes(dtype).response(length)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Optimiser groups: poles with the rate of the config, the rest the model's."""
        own = self.config.learning_rate
        poles, gains = [self.log_decay, self.frequency], [self.residues, self.direct]
        rate = learning_rate if own is None else own
        return [
            {"params": poles, "lr": rate, "weight_decay": 0.0},
            {"params": gains, "lr": learning_rate, "weight_decay": 0.0},
        ]
