"""Long filters as numbers to look at: found in a model, asked for taps, transformed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minihyena.explore.parts import to_numpy

__all__ = [
    "FilterView",
    "filters_of",
    "names_of",
    "parameters_of",
    "reach_of",
    "reaches",
    "snapshot",
    "taps",
    "view",
]

Filter = (
    Callable[[int], Tensor] | Tensor
)  # length -> (D, length) or (orders, D, length)


def filters_of(source: Any) -> list[Filter]:
    """The filters of a model with `.filters()`, of a list of filters, or one filter."""
    if hasattr(source, "filters"):
        return list(source.filters())
    if isinstance(source, list | tuple | nn.ModuleList):
        return list(source)
    return [source]


def reach_of(f: Filter, otherwise: int = 256) -> int:
    """The longest length to ask for: a tensor's own, a module's `max_length`."""
    if isinstance(f, Tensor):
        return f.shape[-1]
    return int(getattr(f, "max_length", otherwise))


def parameters_of(f: Filter) -> int:
    """How many trained numbers it has; 0 for a tensor or a plain function."""
    owned = getattr(f, "parameters", lambda: ())()
    return sum(p.numel() for p in owned if p.requires_grad)


def taps(f: Filter, length: int) -> Tensor:
    """(orders, D, length) on the CPU, without gradient; ValueError for other shapes."""
    with torch.no_grad():
        h = f[..., :length] if isinstance(f, Tensor) else f(length)
    if h.dim() not in (2, 3) or h.shape[-1] != length:
        raise ValueError(
            f"a filter must give (D, {length}) or (orders, D, {length}) for length "
            f"{length}; got {tuple(h.shape)}"
        )
    return torch.from_numpy(to_numpy(h if h.dim() == 3 else h[None]))


def snapshot(source: Any, length: int | None = None) -> list[Tensor]:
    """What the filters of `source` are now, (orders, D, L) each, to compare later."""
    return [taps(f, length or reach_of(f)).clone() for f in filters_of(source)]


def names_of(filters: Sequence[Filter]) -> dict[str, tuple[int, int]]:
    """ "layer 1, order 1" -> (0, 0) for every filter, in depth order."""
    return {
        f"layer {layer + 1}, order {order + 1}": (layer, order)
        for layer, f in enumerate(filters)
        for order in range(len(taps(f, 1)))
    }


def reaches(h: Tensor) -> Tensor:
    """h (..., L) -> (...): the lag by which 90 % of the sum of |h| lies."""
    mass = h.abs().cumsum(-1)
    return (mass < 0.9 * mass[..., -1:]).sum(-1)


@dataclass(frozen=True)
class FilterView:
    """One channel of one filter, in time and in frequency, and what can be read off."""

    h: np.ndarray  # (L,) taps
    gain: np.ndarray  # (L + 1,) |H| at `frequency`
    frequency: np.ndarray  # (L + 1,) cycles per token, 0 .. 0.5
    reach: int  # see `reaches`
    peak: float  # frequency of the largest gain
    centroid: float  # mean frequency, weighted by |H|^2
    band: float  # the frequency below which 90 % of the sum of |H|^2 lies


def view(h: Tensor) -> FilterView:
    """h (L,) -> both views; the spectrum is the zero-padded filter's (2L points)."""
    length = h.shape[-1]
    gain = torch.fft.rfft(h, 2 * length).abs()
    frequency = torch.linspace(0, 0.5, length + 1)
    power = gain.square()
    below = power.cumsum(0)
    return FilterView(
        to_numpy(h),
        to_numpy(gain),
        to_numpy(frequency),
        int(reaches(h)),
        float(frequency[gain.argmax()]),
        float((power * frequency).sum() / power.sum().clamp_min(1e-30)),
        float(frequency[(below < 0.9 * below[-1]).sum()]),
    )
