"""Causal convolution y_t = sum over s <= t of h_{t-s} u_s, in four ways that agree.

`direct` reads like the definition, `toeplitz` is the matrix the convolution is, `fft`
is the fast one, `OnlineConv` takes one time step. B batch, D width, L length of the
signal, K <= L taps of the filter.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minihyena import fast_conv
from minihyena.errors import check_conv, choose
from minihyena.fast_conv import Spectrum, fast_length
from minihyena.online import DirectConv, OnlineConv

__all__ = [
    "METHODS",
    "DirectConv",
    "OnlineConv",
    "Spectrum",
    "causal_conv",
    "conv_flops",
    "fast_length",
    "filter_spectrum",
    "toeplitz",
]

FULL = (torch.float32, torch.float64)


def causal_conv(
    u: Tensor,
    h: Tensor | Spectrum,
    skip: Tensor | None = None,
    method: str = "auto",
) -> Tensor:
    """u: (B, D, L), h: (D, K <= L), skip: (D,) -> (B, D, L); y_t reads u_0 .. u_t only.

    Each channel has its own filter: y_t = sum_{s<=t} h_{t-s} u_s + skip * u_t.
    `method` is "direct", "toeplitz", "fft" or "auto" (shifted copies for a few taps,
    else fft). Half precision is computed in float32; the result has the dtype of u.
    A filter used again and again can be transformed once: h = filter_spectrum(u, h).

    The FFT's rounding error is relative to max |u| over the *whole* sequence, so with
    it the past is free of the future only up to about 1e-7 * max|u| * sum|h|; the
    other methods are causal exactly.

    Raises ValueError for wrong shapes, K > L, different devices or an unknown method,
    TypeError for a dtype that is not real floating point or a float32/float64 mix.
    Source: Poli et al. 2023, Eq. (1); the skip is the authors' code, not the paper's.
    """
    if isinstance(h, Spectrum):
        if skip is not None or u.shape != h.like:
            raise ValueError(
                f"this spectrum, its skip included, is for u {tuple(h.like)}; got u "
                f"{tuple(u.shape)}{'' if skip is None else ' and a skip'}"
            )
        choose("method with a spectrum", method, ["auto", "fft"])
        check_conv(u, h.h, None)
        if u.numel() == 0:
            return u.clone()
        return fast_conv.known_conv(u.to(h.h.dtype), h).to(u.dtype)
    check_conv(u, h, skip)
    if u.dtype is h.dtype and u.dtype in FULL:
        return _convolve(u, h, skip, method)
    work = _work(u, h)
    skip = None if skip is None else skip.to(work)
    return _convolve(u.to(work), h.to(work), skip, method).to(u.dtype)


def filter_spectrum(u: Tensor, h: Tensor, skip: Tensor | None = None) -> Spectrum:
    """What causal_conv(., h, skip) can use of h (D, K), skip (D,) instead of them.

    It holds for signals with the shape, dtype and device of u (B, D, L), and as long as
    the numbers in h and skip stay. Gradients reach u only. Raises as causal_conv.
    """
    check_conv(u, h, skip)
    work = _work(u, h)
    skip = None if skip is None else skip.detach()
    return fast_conv.transform(u.to(work), h.detach().to(work), skip)


def _work(u: Tensor, h: Tensor) -> torch.dtype:
    """The dtype to compute in: float32 at least."""
    return torch.promote_types(torch.promote_types(u.dtype, h.dtype), torch.float32)


def _convolve(u: Tensor, h: Tensor, skip: Tensor | None, method: str) -> Tensor:
    if method == "auto" and u.numel():
        return fast_conv.auto_conv(u, h, skip)
    choose("convolution method", method, ["auto", *METHODS])
    y = (METHODS[method] if u.numel() else nothing)(u, h)
    return y if skip is None else torch.addcmul(y, skip[:, None], u)


def direct(u: Tensor, h: Tensor) -> Tensor:
    """u: (B, D, L), h: (D, K) -> (B, D, L): one delayed copy of u for every tap."""
    y = h[:, :1] * u
    for lag in range(1, h.shape[-1]):
        y[..., lag:] += h[:, lag, None] * u[..., :-lag]
    return y


def nothing(u: Tensor, h: Tensor) -> Tensor:
    """An empty batch, which FFT libraries refuse, with gradients to u and h."""
    return u * h.sum()


def toeplitz(h: Tensor, length: int) -> Tensor:
    """h: (..., K) -> (..., L, L): T[t, s] = h_{t-s} for 0 <= t-s < K, else 0.

    Poli et al. 2023, Eq. (2). Row t is what output t reads; nothing right of t.
    """
    time = torch.arange(length, device=h.device)
    lag = time[:, None] - time
    inside = (lag >= 0) & (lag < h.shape[-1])
    matrix: Tensor = h[..., lag.clamp(0, h.shape[-1] - 1)].masked_fill(~inside, 0)
    return matrix


def _toeplitz_conv(u: Tensor, h: Tensor) -> Tensor:
    """T(h) u row by row; written without @, which autocast would run in half."""
    return (toeplitz(h, u.shape[-1]) * u[..., None, :]).sum(-1)


def conv_flops(length: int) -> float:
    """Operations of one channel: three real transforms of 2L, 2.5 n log2 n each, and
    the product of two spectra.
    """
    n = 2 * length
    return 7.5 * n * math.log2(n) + 6 * length


METHODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "direct": direct,
    "toeplitz": _toeplitz_conv,
    "fft": fast_conv.fft_conv,
}
