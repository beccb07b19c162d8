"""A convolution as a differentiable function: two kernels, and everything follows.

y(u, h) is linear in u and in h. So with (du, dh) = correlate(u, h, g), the gradients
of <g, y>, the gradients of those are convolutions and correlations again, and the
second derivative, and all later ones, need no code of their own. The inputs are saved,
and what a kernel has made of them that is worth its memory.
B batch, D width, L length, K taps.
"""

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Kernel", "apply"]


class Kernel(NamedTuple):
    """(y, *kept) of (u, h, skip), and (dL/du, dL/dh) of (u, h, skip, dL/dy, *kept).

    What is kept depends on u and h only. It saves work, and may be left out.
    """

    convolve: Callable[..., tuple[Tensor, ...]]
    correlate: Callable[..., tuple[Tensor, Tensor]]


def apply(kernel: Kernel, u: Tensor, h: Tensor, skip: Tensor | None) -> Tensor:
    """y of a kernel, with gradients of any order."""
    y: Tensor = _Conv.apply(kernel, u, h, skip)[0]  # type: ignore[no-untyped-call]
    return y


def _no_views(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A result that is a view could not be changed in place, nor have a tangent."""
    return tuple(x if x._base is None else x.clone() for x in outputs)


def _or_zeros(tangent: Tensor | None, x: Tensor) -> Tensor:
    return torch.zeros_like(x) if tangent is None else tangent


def _signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch asks for the signature in every call, and to find it takes longer than the
    transform of a short signal.
    """
    function.__signature__ = signature(function)  # type: ignore[attr-defined]
    return function


class _Conv(torch.autograd.Function):
    @staticmethod
    @_signed
    def forward(kernel: Kernel, *given: Any) -> tuple[Tensor, ...]:
        return _no_views(kernel.convolve(*given))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[Tensor, ...]) -> None:
        ctx.kernel, *given = inputs
        _, *kept = output
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)  # what is kept has none
        ctx.kept = len(kept)
        ctx.save_for_backward(*given, *kept)
        ctx.save_for_forward(*given)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if g is None:
            return (None,) * 4
        u, h, skip, *kept = ctx.saved_tensors
        last = kept and not torch.is_grad_enabled()  # no gradient of it will be wanted
        correlate = _Correlation.forward if last else _Correlation.apply
        du, dh = correlate(ctx.kernel, u, h, skip, g, *kept)
        return None, du, dh, None if skip is None else dh[:, 0].clone()

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """Along (du, dh, dskip): conv(du, h, skip) + conv(u, dh, dskip)."""
        (u, h, skip), (du, dh, dskip) = ctx.saved_tensors, tangents
        dy = apply(ctx.kernel, _or_zeros(du, u), h, skip)
        if dh is not None or dskip is not None:
            dy = dy + apply(ctx.kernel, u, _or_zeros(dh, h), dskip)
        return dy, *[None] * ctx.kept

    @staticmethod
    def vmap(info: Any, dims: Any, kernel: Kernel, *inputs: Any) -> tuple[Any, Any]:
        return _vmapped(_Conv, info.batch_size, dims, kernel, inputs)


class _Correlation(torch.autograd.Function):
    """Linear in each argument, so that its gradients are convolutions again."""

    @staticmethod
    @_signed
    def forward(kernel: Kernel, *given: Any) -> tuple[Tensor, ...]:
        return _no_views(kernel.correlate(*given))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        ctx.kernel, *given = inputs
        ctx.save_for_backward(*given[:4])
        ctx.save_for_forward(*given[:4])
        ctx.kept = len(given[4:])

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        (u, h, skip, g), (v, f) = ctx.saved_tensors, outputs
        du, dh = _Correlation.apply(  # type: ignore[no-untyped-call]
            ctx.kernel, v, f, None, g
        )
        dg = apply(ctx.kernel, v, h, skip) + apply(ctx.kernel, u, f, None)
        dskip = None if skip is None else dh[:, 0].clone()  # memory of its own
        return None, du, dh, dskip, dg, *[None] * ctx.kept

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Any) -> tuple[Tensor, ...]:
        """u, h and skip on one side, g on the other: the product rule has two terms."""
        u, h, skip, g = ctx.saved_tensors
        du, dh, dskip, dg = tangents[:4]
        one = _Correlation.apply(  # type: ignore[no-untyped-call]
            ctx.kernel, _or_zeros(du, u), _or_zeros(dh, h), dskip, g
        )
        other = _Correlation.apply(  # type: ignore[no-untyped-call]
            ctx.kernel, u, h, skip, _or_zeros(dg, g)
        )
        return tuple(a + b for a, b in zip(one, other, strict=True))

    @staticmethod
    def vmap(info: Any, dims: Any, kernel: Kernel, *inputs: Any) -> tuple[Any, Any]:
        return _vmapped(_Correlation, info.batch_size, dims, kernel, inputs)


def _vmapped(
    function: Any, size: int, dims: Any, kernel: Kernel, inputs: Any
) -> tuple[Any, Any]:
    """The dimension that vmap adds is taken into the channels, and out of them."""
    outputs = function.apply(kernel, *_folded(size, dims[1:], inputs))
    unfolded = [x.reshape(*x.shape[:-2], size, -1, x.shape[-1]) for x in outputs]
    return tuple(unfolded), tuple(x.dim() - 3 for x in unfolded)


def _folded(size: int, dims: Any, inputs: Any) -> Iterator[Any]:
    for place, (x, dim) in enumerate(zip(inputs, dims, strict=True)):
        if x is None:
            yield None
            continue
        last = -1 if place == 2 else -2  # the channels, in skip (D,) the last of all
        x = x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
        yield x.movedim(0, last - 1).flatten(last - 1, last)
