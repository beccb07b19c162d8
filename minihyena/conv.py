"""Causal convolution y_t = sum over s <= t of h_{t-s} u_s, in four ways that agree.

`direct` reads like the definition, `toeplitz` is the matrix the convolution is, `fft`
is the fast one, `conv_step` takes one time step. B batch, D width, L length of the
signal, K <= L taps of the filter.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minihyena.errors import check_conv, choose

__all__ = [
    "METHODS",
    "ConvState",
    "causal_conv",
    "conv_flops",
    "conv_start",
    "conv_step",
    "fast_length",
    "toeplitz",
]

SPECTRUM_BYTES = 2**21  # a block of channels whose spectrum takes 2 MB stays in cache
FEW_TAPS = 8  # up to here adding shifted copies is quicker than any transform


def causal_conv(
    u: Tensor, h: Tensor, skip: Tensor | None = None, method: str = "auto"
) -> Tensor:
    """u: (B, D, L), h: (D, K <= L), skip: (D,) -> (B, D, L); y_t reads u_0 .. u_t only.

    Each channel has its own filter: y_t = sum_{s<=t} h_{t-s} u_s + skip * u_t.
    `method` is "direct", "toeplitz", "fft" or "auto" (direct for a few taps, else
    fft). Half precision is computed in float32; the result has the dtype of u.

    The FFT's rounding error is relative to max |u| over the *whole* sequence, so with
    it the past is free of the future only up to about 1e-7 * max|u| * sum|h|; the
    other two methods are causal exactly.

    Raises ValueError for wrong shapes, K > L, different devices or an unknown method,
    TypeError for a dtype that is not real floating point or a float32/float64 mix.
    Source: Poli et al. 2023, Eq. (1); the skip is the authors' code, not the paper's.
    """
    choose("convolution method", method, ["auto", *METHODS])
    check_conv(u, h, skip)
    exact = torch.promote_types(u.dtype, h.dtype)
    work = torch.promote_types(exact, torch.float32)
    if method == "auto":
        method = "direct" if h.shape[-1] <= FEW_TAPS else "fft"
    y = METHODS[method](u.to(work), h.to(work))
    if skip is not None:
        y = torch.addcmul(y, skip.to(work)[:, None], u)
    return y.to(u.dtype)


def direct(u: Tensor, h: Tensor) -> Tensor:
    """u: (B, D, L), h: (D, K) -> (B, D, L): one delayed copy of u for every tap."""
    y = h[:, :1] * u
    for lag in range(1, h.shape[-1]):
        y[..., lag:] += h[:, lag, None] * u[..., :-lag]
    return y


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


def _fft_conv(u: Tensor, h: Tensor) -> Tensor:
    """Multiply spectra; zero padding to n >= L + K - 1 keeps the tail off the start."""
    if u.numel() == 0:  # an empty batch, which FFT libraries refuse
        return direct(u, h)
    y: Tensor = _FFTConv.apply(u, h)  # type: ignore[no-untyped-call]
    return y


class _FFTConv(torch.autograd.Function):
    """Channels are convolved in blocks that stay in cache, and only inputs are saved.

    Backward, with G the spectrum of dL/dy: dL/du = irfft(conj(H) G) and
    dL/dh = irfft(sum over the batch of conj(U) G), cut to length.
    """

    generate_vmap_rule = True  # torch.func sees through it: vmap, jacrev

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def forward(u: Tensor, h: Tensor) -> Tensor:
        n = fast_length(u.shape[-1] + h.shape[-1] - 1)
        rows = [
            _irfft(torch.fft.rfft(u[:, d], n) * torch.fft.rfft(h[d], n), n, u.shape[-1])
            for d in _blocks(u, n)
        ]
        return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        u, h = ctx.saved_tensors
        (g,) = gradients
        length, taps = u.shape[-1], h.shape[-1]
        n = fast_length(length + taps - 1)
        du, dh = [], []
        for d in _blocks(u, n):
            spectrum = torch.fft.rfft(g[:, d], n)
            back = torch.fft.rfft(h[d], n).conj() * spectrum
            du.append(_irfft(back, n, length))
            both = (torch.fft.rfft(u[:, d], n).conj() * spectrum).sum(0)
            dh.append(_irfft(both, n, taps))
        return torch.cat(du, dim=1), torch.cat(dh)


def _irfft(spectrum: Tensor, n: int, keep: int) -> Tensor:
    y: Tensor = torch.fft.irfft(spectrum, n)[..., :keep]
    return y


def _blocks(u: Tensor, n: int) -> Iterator[slice]:
    """Slices of channels whose spectra fill the cache; all of them on a GPU."""
    batch, width, _ = u.shape
    size = width
    if u.device.type == "cpu":
        size = max(1, SPECTRUM_BYTES // (batch * n * u.element_size()))
    return (slice(start, start + size) for start in range(0, width, size))


def fast_length(n: int) -> int:
    """The smallest product of 2s, 3s and 5s that is even and >= n: a quick FFT."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and n % 2 == 0:
            return n
        n += 1


class ConvState(NamedTuple):
    """A convolution on its way: the filter and the inputs that it can still reach."""

    h: Tensor  # (D, K)
    past: Tensor  # (B, D, at most K)


def conv_start(h: Tensor, batch: int, skip: Tensor | None = None) -> ConvState:
    """h: (D, K), skip: (D,): the state before the first step."""
    if skip is not None:
        h = torch.cat([h[:, :1] + skip[:, None], h[:, 1:]], dim=-1)
    return ConvState(h, h.new_zeros(batch, len(h), 0))


def conv_step(u: Tensor, state: ConvState) -> tuple[Tensor, ConvState]:
    """u_t: (B, D) -> y_t (B, D), in time O(K); the state passed in stays valid."""
    h, past = state
    past = torch.cat([past, u[..., None]], dim=-1)[..., -h.shape[-1] :]
    work = torch.promote_types(u.dtype, torch.float32)
    weights = h[:, : past.shape[-1]].flip(-1).to(work)
    return (weights * past).sum(-1).to(u.dtype), ConvState(h, past)


def conv_flops(length: int) -> float:
    """Operations of one channel: three real transforms of 2L, 2.5 n log2 n each, and
    the product of two spectra.
    """
    n = 2 * length
    return 7.5 * n * math.log2(n) + 6 * length


METHODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "direct": direct,
    "toeplitz": _toeplitz_conv,
    "fft": _fft_conv,
}
