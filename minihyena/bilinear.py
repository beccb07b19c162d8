"""A convolution as a differentiable function: two kernels, and everything follows.

y(u, h) is linear in u and in h. So with (du, dh) = correlate(u, h, g), the gradients
of <g, y>, the gradients of those are convolutions and correlations again, and the
second derivative, and all later ones, need no code of their own. Only inputs are saved.
B batch, D width, L length, K taps.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Kernel", "apply"]


class Kernel(NamedTuple):
    """y of (u, h, skip), and (dL/du, dL/dh) of (u, h, skip, dL/dy)."""

    convolve: Callable[..., Tensor]
    correlate: Callable[..., tuple[Tensor, Tensor]]


def apply(kernel: Kernel, u: Tensor, h: Tensor, skip: Tensor | None) -> Tensor:
    """y of a kernel, with gradients of any order."""
    y: Tensor = _Conv.apply(kernel, u, h, skip)  # type: ignore[no-untyped-call]
    return y


class _Function(torch.autograd.Function):
    """What both functions below save: the kernel and their inputs, nothing else."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.kernel = inputs[0]
        ctx.save_for_backward(*inputs[1:])


class _Conv(_Function):
    @staticmethod
    def forward(kernel: Kernel, u: Tensor, h: Tensor, skip: Tensor | None) -> Tensor:
        return kernel.convolve(u, h, skip)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        u, h, skip = ctx.saved_tensors
        du, dh = _Correlation.apply(  # type: ignore[no-untyped-call]
            ctx.kernel, u, h, skip, *outputs
        )
        return None, du, dh, None if skip is None else dh[:, 0]

    @staticmethod
    def vmap(info: Any, dims: Any, kernel: Kernel, *inputs: Any) -> tuple[Tensor, int]:
        y = apply(kernel, *_folded(info.batch_size, dims[1:], inputs))
        return _unfolded(y, info.batch_size), 1


class _Correlation(_Function):
    """Linear in each argument, so that its gradients are convolutions again."""

    @staticmethod
    def forward(
        kernel: Kernel, u: Tensor, h: Tensor, skip: Tensor | None, g: Tensor
    ) -> tuple[Tensor, Tensor]:
        return kernel.correlate(u, h, skip, g)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        (u, h, skip, g), (v, f) = ctx.saved_tensors, outputs
        du, dh = _Correlation.apply(  # type: ignore[no-untyped-call]
            ctx.kernel, v, f, None, g
        )
        dg = apply(ctx.kernel, v, h, skip) + apply(ctx.kernel, u, f, None)
        return None, du, dh, None if skip is None else dh[:, 0], dg

    @staticmethod
    def vmap(
        info: Any, dims: Any, kernel: Kernel, *inputs: Any
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        du, dh = _Correlation.apply(  # type: ignore[no-untyped-call]
            kernel, *_folded(info.batch_size, dims[1:], inputs)
        )
        size = info.batch_size
        return (_unfolded(du, size), _unfolded(dh, size)), (1, 0)


def _folded(size: int, dims: Any, inputs: Any) -> Iterator[Any]:
    """u, h, skip, g with the dimension that vmap adds taken into the channels."""
    for x, dim, last in zip(inputs, dims, (-2, -2, -1, -2), strict=False):
        if x is None:
            yield None
            continue
        x = x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
        yield x.movedim(0, last - 1).flatten(last - 1, last)


def _unfolded(x: Tensor, size: int) -> Tensor:
    return x.reshape(*x.shape[:-2], size, -1, x.shape[-1])
