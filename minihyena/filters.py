"""The implicit filter: positions -> sine network -> window (Poli et al. 2023, Eq. 7).

A filter of any length from a fixed number of parameters: a small network is asked for
the filter's value at every time. L max_length, K bands, F width of the network,
M its hidden-to-hidden layers, D channels.
"""

import math
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import torch
from torch import Tensor, nn

from minihyena.errors import at_least, check_length, choose
from minihyena.mixer import by_channel

__all__ = ["ImplicitConfig", "ImplicitFilter", "decay_window", "positional_features"]

INITS = ("torch", "small")
DECAYS = ("spread", "flat")


@dataclass(frozen=True)
class ImplicitConfig:
    """All choices of an implicit filter.

    The defaults start smooth, which learns text fastest in the first minute on two
    cores. The paper's language models start rough (sine_frequency=14, bands=16, in the
    code init="small"); the official operator alone has bands=1 and trained positions.
    Its code calls `bands` (emb_dim - 1) / 2 and `width` filter_order.
    """

    bands: int = 4  # K: 2K + 1 positional features
    width: int = 64  # F
    depth: int = 2  # M: hidden-to-hidden layers, so M + 2 linear layers in all
    sine_frequency: float = 1.0  # omega at the start, shared by every sine
    train_frequency: bool = True
    train_positions: bool = False  # if True the weights are tied to max_length
    window: bool = True
    fast_decay: float = 0.3  # the fastest channel reaches `target` at this time ...
    slow_decay: float = 1.5  # ... and the slowest at this one; 1 is max_length
    target: float = 0.01
    shift: float = 0.0  # floor of the window
    train_decay: bool = False
    decays: str = "spread"  # "flat": one range over all orders, as the official code
    init: str = "torch"  # "small": normal(0, 0.02), a smoother start (official LMs)
    learning_rate: float | None = None  # of the sine network; None: the model's
    weight_decay: float = 0.0  # of the sine network
    position_learning_rate: float = 1e-5
    decay_learning_rate: float | None = None

    def __post_init__(self) -> None:
        at_least(self, bands=1, width=1, depth=0)
        if not 0 < self.fast_decay <= self.slow_decay or not 0 < self.target < 1:
            raise ValueError(
                "the window needs 0 < fast_decay <= slow_decay and 0 < target < 1; got "
                f"{self.fast_decay}, {self.slow_decay} and {self.target}"
            )
        if not math.isfinite(self.shift + self.sine_frequency):
            raise ValueError(
                "shift and sine_frequency must be finite; "
                f"got {self.shift} and {self.sine_frequency}"
            )
        choose("filter init", self.init, INITS)
        choose("layout of decays", self.decays, DECAYS)

    @property
    def features(self) -> int:
        """E = 2K + 1: time itself, K cosines, K sines."""
        return 2 * self.bands + 1

    def build(self, width: int, orders: int, max_length: int) -> "ImplicitFilter":
        return ImplicitFilter(width, orders, max_length, self)


def positional_features(length: int, bands: int) -> Tensor:
    """(L, 2K + 1): time t in [0, 1], then cos(f_k theta) and -sin(f_k theta).

    t_i = i / (L - 1), theta_i = 2 pi i / L, f = linspace(1e-4, K - 1, K): the two
    normalisations and the signs are the official code's (paper: +sin, f_k = k).
    """
    time = torch.linspace(0, 1, length)[:, None]
    angle = 2 * math.pi * torch.arange(length)[:, None] / length
    angle = torch.linspace(1e-4, bands - 1, bands) * angle
    return torch.cat([time, angle.cos(), -angle.sin()], dim=-1)


def decay_window(times: Tensor, decays: Tensor, shift: float = 0.0) -> Tensor:
    """times (L,), decays (...,) -> (..., L): exp(-t |decay|) + shift."""
    window = (-decays.abs()[..., None] * times).exp_()
    return window + shift if shift else window


class ImplicitFilter(nn.Module):
    """`filter(length)` -> (orders, D, length): one long filter per order and channel.

    A shorter filter is a prefix of a longer one: the grid of times belongs to
    max_length. Raises ValueError if asked for more than max_length.
    Source: Poli et al. 2023, Alg. 2; standalone_hyena.py of HazyResearch/safari.
    """

    positions: Tensor  # (max_length, E)
    decays: Tensor  # (orders, D)
    times: Tensor  # (max_length,)
    frequency: Tensor  # (F,)

    def __init__(
        self,
        width: int,
        orders: int,
        max_length: int,
        config: ImplicitConfig = ImplicitConfig(),
    ) -> None:
        super().__init__()
        self.width, self.orders, self.max_length = width, orders, max_length
        self.config = config
        inputs = chain([config.features], repeat(config.width, config.depth))
        self.layers = nn.ModuleList(nn.Linear(n, config.width) for n in inputs)
        self.readout = nn.Linear(config.width, orders * width, bias=False)
        if config.init == "small":
            for layer in [*self.layers, self.readout]:
                init_small(layer)
        self._own(
            "frequency",
            torch.full((config.width,), float(config.sine_frequency)),
            config.train_frequency,
        )
        positions = positional_features(max_length, config.bands)
        self._own("positions", positions, config.train_positions)
        rows = orders * width if config.decays == "flat" else width
        log_target = math.log(config.target)
        decays = torch.linspace(
            log_target / config.slow_decay, log_target / config.fast_decay, rows
        )
        decays = decays.repeat(orders * width // rows).reshape(orders, width)
        self._own("decays", decays, config.train_decay)
        self.register_buffer("times", torch.linspace(0, 1, max_length))

    def _own(self, name: str, value: Tensor, trained: bool) -> None:
        if trained:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def forward(self, length: int) -> Tensor:
        check_length(length, self.max_length)
        with torch.autocast(self.times.device.type, enabled=False):  # sines need digits
            return self.response(length)

    def response(self, length: int) -> Tensor:
        """(orders, D, length) in the precision of the parameters."""
        a = self.positions[:length]
        for layer in self.layers:
            a = torch.sin(self.frequency * layer(a))
        h = by_channel(self.readout, a[None])
        h = h.view(self.orders, self.width, length)
        if self.config.window:
            h = h * decay_window(self.times[:length], self.decays, self.config.shift)
        return h

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """The trained parameters as optimiser groups, each with its rate and decay."""
        config = self.config
        network = [p for layer in self.layers for p in layer.parameters()]
        groups = [
            (
                [*network, *self.readout.parameters(), self.frequency],
                config.learning_rate,
                config.weight_decay,
            ),
            ([self.positions], config.position_learning_rate, 0.0),
            ([self.decays], config.decay_learning_rate, 0.0),
        ]  # what is not trained is a buffer, no Parameter
        return [
            {
                "params": trained,
                "lr": learning_rate if rate is None else rate,
                "weight_decay": weight_decay,
            }
            for params, rate, weight_decay in groups
            if (trained := [p for p in params if isinstance(p, nn.Parameter)])
        ]


def init_small(layer: nn.Module, std: float | None = 0.02) -> None:
    """Linear or embedding weights from normal(0, std), biases zero (official LMs).

    std None: 1 / sqrt(inputs), which keeps the size of what comes in.
    """
    if isinstance(layer, nn.Linear | nn.Embedding):
        std = layer.weight.shape[1] ** -0.5 if std is None else std
        nn.init.normal_(layer.weight, std=std)
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
