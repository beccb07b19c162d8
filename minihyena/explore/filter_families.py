"""The families a filter can be built from, and which choices each of them has."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minihyena.explore.filter_views import Filter
from minihyena.filters import ImplicitConfig, ImplicitFilter, decay_window
from minihyena.mixer import by_channel
from minihyena.rivals.filters import FIRConfig
from minihyena.rivals.state_space import S4DConfig

__all__ = ["FAMILIES", "WINDOW", "Build", "Family", "envelope"]

Build = Callable[[ImplicitConfig, int, int], Any]  # config, D, L -> f(L), (D, L)
NETWORK = ("bands", "size", "window")
WINDOW = ("fast", "slow", "floor")


class BendingFilter(ImplicitFilter):
    """The implicit filter with ReLU for its sines: its units bend, they do not turn."""

    def response(self, length: int) -> Tensor:
        """(1, D, length)."""
        a = self.positions[:length]
        for layer in self.layers:
            a = torch.relu(layer(a))
        h = by_channel(self.readout, a[None])
        if self.config.window:
            h = h * decay_window(self.times[:length], self.decays, self.config.shift)
        return h


class Family(NamedTuple):
    """How it is built, which controls it listens to, its choices in words."""

    build: Build
    controls: tuple[str, ...]
    words: str


def bending(config: ImplicitConfig, width: int, length: int) -> ImplicitFilter:
    config = replace(config, train_frequency=False)  # there is none
    return BendingFilter(width, 1, length, config)


FAMILIES = {
    "sine network": Family(
        lambda config, width, length: config.build(width, 1, length),
        (*NETWORK, "omega"),
        "Sine network of {bands} bands, ω = {omega:g} and width {size}",
    ),
    "ReLU network": Family(
        bending, NETWORK, "ReLU network of {bands} bands and width {size}"
    ),
    "exponentials": Family(
        lambda config, width, length: S4DConfig(config.width).build(width, 1, length),
        ("size",),
        "Sums of {size} exponentials",
    ),
    "free taps": Family(
        lambda config, width, length: FIRConfig(length).build(width, 1, length),
        (),
        "Free taps",
    ),
}


def envelope(f: Filter, h: Tensor, channel: int) -> Tensor | None:
    """(L,): the window of this channel of h (D, L), as high as its largest tap.

    A learner's filter shows its `.window`, if it has one of (D, L); None without.
    """
    window = getattr(f, "window", None)
    if isinstance(f, ImplicitFilter) and f.config.window:
        window = decay_window(f.times, f.decays[0], f.config.shift)
    if not isinstance(window, Tensor) or window.shape != h.shape:
        return None
    shape = window[channel].detach()
    return shape / shape.max() * h[channel].abs().max()
