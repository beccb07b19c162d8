"""A learner's convolution, asked with the shapes looked at; and the definition."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.conv import causal_conv
from minihyena.explore.parts import to_numpy

__all__ = ["Conv", "ask", "by_definition", "short_number"]

Conv = Callable[[Tensor, Tensor], Tensor]  # (L,), (K,) -> (L,)


def by_definition(u: Tensor, h: Tensor) -> Tensor:
    """u: (L,), h: (K,) -> (L,): y[t] = the sum of h[k] u[t - k], k <= t; any K."""
    taps = h[None, : len(u)]
    return causal_conv(u[None, None], taps, method="direct")[0, 0]


def ask(conv: Conv, u: Tensor, h: Tensor) -> Tensor:
    """conv(u, h) in float32, with NaN as it is.

    Raises ValueError if the shape is not that of u, naming both, and TypeError for
    complex numbers.
    """
    with torch.no_grad():
        y = conv(u.clone(), h.clone())
    if not isinstance(y, Tensor) or y.shape != u.shape:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f"your convolution turned u {tuple(u.shape)} and h {tuple(h.shape)} into "
            f"{got}; it must give {tuple(u.shape)}"
        )
    return torch.from_numpy(to_numpy(y))


def short_number(value: float) -> str:
    """A number in few letters, with a true minus sign: 2, −0.5."""
    return f"{value:.3g}".replace("-", "−")
