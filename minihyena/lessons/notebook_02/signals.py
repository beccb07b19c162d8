"""What the exercises of notebook 02 share: the convolution of one signal."""

from torch import Tensor

from minihyena.conv import causal_conv

__all__ = ["conv"]


def conv(u: Tensor, h: Tensor) -> Tensor:
    """u: (L,), h: (K <= L,) -> (L,): y[t] = sum of h[k] u[t - k], the causal one."""
    return causal_conv(u[None, None], h[None])[0, 0]
