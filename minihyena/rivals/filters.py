"""The families of long filters, to be exchanged by one word.

Each is built by its configuration, `config.build(width, orders, max_length)`, and is
called as `filter(length)` -> (orders, D, length). D channels, n = max_length, S the
size that says how much a family can remember: taps or modes here, states in
state_space.py; 64 of each as in the paper's comparison (Poli et al. 2023, section 4.1).
"""

import math
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from minihyena.errors import at_least
from minihyena.filters import ImplicitConfig
from minihyena.rivals.long_filter import LongFilter
from minihyena.rivals.modal import ModalConfig
from minihyena.rivals.state_space import S4DConfig, TransferConfig

__all__ = [
    "CKConvConfig",
    "CKConvFilter",
    "FIRConfig",
    "FIRFilter",
    "FourierConfig",
    "FourierFilter",
    "filter_families",
]


@dataclass(frozen=True)
class FIRConfig:
    """S = taps free numbers for each channel (at most max_length are made)."""

    taps: int = 64

    def __post_init__(self) -> None:
        at_least(self, taps=1)

    def build(self, width: int, orders: int, max_length: int) -> "FIRFilter":
        return FIRFilter(width, orders, max_length, self)


class FIRFilter(LongFilter):
    """Explicit taps: h_t = w_t for t < S, else 0. It cannot see beyond S - 1 steps.

    orders * D * S parameters, from normal(0, 1 / S): a filter of unit energy.
    Source: the Conv1d of Poli et al. 2023, section 4.1.
    """

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: FIRConfig = FIRConfig(),
    ) -> None:
        super().__init__(width, orders, max_length, config)
        taps = min(config.taps, max_length)
        self.taps = nn.Parameter(torch.randn(orders, width, taps) / taps**0.5)

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        w = self.taps[..., :length].to(dtype)
        return pad(w, (0, length - w.shape[-1]))


@dataclass(frozen=True)
class FourierConfig:
    """S = modes lowest frequencies of max_length points (which have n // 2 + 1)."""

    modes: int = 64

    def __post_init__(self) -> None:
        at_least(self, modes=1)

    def build(self, width: int, orders: int, max_length: int) -> "FourierFilter":
        return FourierFilter(width, orders, max_length, self)


class FourierFilter(LongFilter):
    """The lowest S modes are free, h_t = 1/n [Re c_0 + 2 sum_k Re c_k e^(2 pi i kt/n)].

    For k = n / 2 (n even) the factor is 1, not 2. 2 orders * D * S parameters, real
    and imaginary parts; of c_0 and c_(n/2) the imaginary part is without effect.

    A Fourier neural operator (Li et al. 2021, arXiv 2010.08895) multiplies spectra
    without padding, so its convolution is circular; here the modes become a filter
    first, and that is convolved causally. Its initialisation, uniform in 0 .. 1 over
    the square of the width, is for matrices that mix channels; ours is normal with
    variance n / (4 S - 3), which gives a filter of unit energy (Parseval).
    """

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: FourierConfig = FourierConfig(),
    ) -> None:
        super().__init__(width, orders, max_length, config)
        modes = min(config.modes, max_length // 2 + 1)
        std = (max_length / (4 * modes - 3)) ** 0.5
        self.modes = nn.Parameter(std * torch.randn(orders, width, modes, 2))

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        modes = torch.view_as_complex(self.modes.to(dtype))
        h: Tensor = torch.fft.irfft(modes, self.max_length)  # pads the modes with zeros
        return h[..., :length]


@dataclass(frozen=True)
class CKConvConfig:
    """A network of sines, F = width, without Fourier features and without window."""

    width: int = 32
    depth: int = 1  # M: hidden-to-hidden layers, so M + 2 linear layers in all
    sine_frequency: float = 30.0  # omega, not trained
    learning_rate: float | None = 1e-3  # of all of it; None: the model's

    def __post_init__(self) -> None:
        at_least(self, width=1, depth=0)
        if not 0 < self.sine_frequency < math.inf:
            raise ValueError(
                f"sine_frequency must be finite and above 0; got {self.sine_frequency}"
            )

    def build(self, width: int, orders: int, max_length: int) -> "CKConvFilter":
        return CKConvFilter(width, orders, max_length, self)


class CKConvFilter(LongFilter):
    """A network of time tau_i = 2i / (n - 1) - 1: layers sin(omega (W a + b)), readout.

    Weights start uniform, within 1 in the first layer and sqrt(6 / F) / omega in the
    next (Sitzmann et al. 2020, arXiv 2006.09661), biases within 1 (the source's code).
    The source's readout is for matrices that mix channels, and its biases would fill
    a filter with constants; ours starts within sqrt(6 / (F n)), biases zero, which
    gives a filter of about unit energy. Its weight normalisation is left out. With
    omega = 30 the network diverges at rates that suit the rest of a model: it has its
    own, and no weight decay.
    2 F + M (F^2 + F) + (F + 1) orders * D parameters.
    Source: Romero et al. 2022, CKConv (arXiv 2102.02611).
    """

    layers: Any  # of Linear

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: CKConvConfig = CKConvConfig(),
    ) -> None:
        super().__init__(width, orders, max_length, config)
        inputs = chain([1], repeat(config.width, config.depth))
        self.layers = nn.ModuleList(nn.Linear(n, config.width) for n in inputs)
        self.readout = nn.Linear(config.width, orders * width)
        spread = (6 / config.width) ** 0.5
        bounds = [1.0] + [spread / config.sine_frequency] * config.depth
        for layer, bound in zip(self.layers, bounds, strict=True):
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -1, 1)
        bound = spread / max_length**0.5
        nn.init.uniform_(self.readout.weight, -bound, bound)
        nn.init.zeros_(self.readout.bias)

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        def affine(layer: nn.Linear, x: Tensor) -> Tensor:
            return linear(x, layer.weight.to(dtype), layer.bias.to(dtype))

        device = self.readout.weight.device
        time = torch.linspace(-1, 1, self.max_length, dtype=dtype, device=device)
        a = time[:length, None]
        for layer in self.layers:
            a = torch.sin(self.config.sine_frequency * affine(layer, a))
        return affine(self.readout, a).T.reshape(self.orders, self.width, length)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """One optimiser group: all of it with the rate of the config, and no decay."""
        own = self.config.learning_rate
        rate = learning_rate if own is None else own
        return [{"params": list(self.parameters()), "lr": rate, "weight_decay": 0.0}]


filter_families: dict[str, type] = {
    "implicit": ImplicitConfig,
    "fir": FIRConfig,
    "fourier": FourierConfig,
    "s4d": S4DConfig,
    "transfer": TransferConfig,
    "ckconv": CKConvConfig,
    "modal": ModalConfig,
}
