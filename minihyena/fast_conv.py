"""The fast convolution: blocks of channels, and of time, whose work stays in cache.

One line says it all: y = irfft(rfft(u, n) * rfft(h, n), n)[..., :L], for any n that
keeps the tail off the start. On large tensors that line waits for memory. The same
arithmetic in blocks that fit in the cache does not, and the gradients need nothing but
the inputs, transformed once more.

Long transforms leave the cache too, so time is cut as well, into pieces of b steps.
With U_i and H_j the spectra of the pieces, Y_i = sum_j H_j U_{i-j}, as polynomials are
multiplied; each Y_i comes back longer than b, and what is over is added to the next.

B batch, D width, L length, K taps, P pieces; capitals are spectra.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.fft import irfft, rfft
from torch.nn.functional import pad

from minihyena.bilinear import Kernel, apply

__all__ = [
    "Spectrum",
    "auto_conv",
    "fast_length",
    "fft_conv",
    "known_conv",
    "shift_conv",
    "transform",
]

BLOCK_BYTES = 2**21  # of padded signal in a block of channels
SMALL_BYTES = 2**22  # of padded signal in all: it fits in the cache as it is
FEW_TAPS = 8  # up to here adding shifted copies is quicker than any transform
PIECE, MOST_PIECES = 4096, 8  # pieces of time: no shorter than this, no more than that


class Plan(NamedTuple):
    """How a convolution is cut."""

    pieces: int  # P, of the signal
    step: int  # b
    n: int  # length of the transforms
    channels: int  # in a block
    small: bool  # one line does it, as it does on a GPU

    def blocks(self, width: int) -> Iterator[slice]:
        """The blocks of channels."""
        for start in range(0, width, self.channels):
            yield slice(start, start + self.channels)

    def cut(self, x: Tensor) -> Tensor:
        """x (..., L) -> (..., P, n // 2 + 1); a filter may have fewer pieces."""
        long = min(self.step, x.shape[-1])
        x = padded(x, -(-x.shape[-1] // long) * long)
        x = x.reshape(*x.shape[:-1], -1, long)
        return transformed(x, self.n)

    def cut_gradient(self, g: Tensor) -> Tensor:
        """g (..., L) -> (..., P, n // 2 + 1): all that piece i reached, conjugated."""
        reach = min(2 * self.step, self.n)
        g = padded(g, (self.pieces - 1) * self.step + reach)
        spectrum = transformed(g.unfold(-1, reach, self.step), self.n)
        return torch.conj_physical(spectrum, out=spectrum)

    def join(self, spectrum: Tensor, length: int, over: int = 0) -> Tensor:
        """(..., P, n // 2 + 1) -> (..., L), `over` samples added to the next piece."""
        y: Tensor = irfft(spectrum, self.n)
        if over and self.pieces > 1:
            y[..., 1:, :over] += y[..., :-1, self.step : self.step + over]
        return y[..., : self.step].flatten(-2)[..., :length]


def plan(u: Tensor, taps: int) -> Plan:
    """For u (B, D, L) on its device; a GPU takes all at once."""
    return _plan(*u.shape, taps, u.element_size(), u.device.type == "cpu")


@lru_cache(maxsize=1024)
def _plan(
    batch: int, width: int, length: int, taps: int, size: int, cached: bool
) -> Plan:
    n = fast_length(length + taps - 1)
    if not cached or batch * width * n * size <= SMALL_BYTES:
        return Plan(1, length, n, max(width, 1), small=True)
    step = -(-length // max(1, min(MOST_PIECES, length // PIECE)))
    pieces = -(-length // step)
    n = fast_length(step + min(taps, step) - 1)
    channels = BLOCK_BYTES // (batch * pieces * n * size)
    return Plan(pieces, step, n, max(1, channels), small=False)


@lru_cache(maxsize=1024)
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


def transformed(x: Tensor, n: int) -> Tensor:
    """rfft(x, n); padding by hand is quicker than letting rfft do it."""
    spectrum: Tensor = rfft(padded(x, n))
    return spectrum


def padded(x: Tensor, length: int) -> Tensor:
    """x with zeros after it, to this length."""
    return pad(x, (0, length - x.shape[-1])) if length > x.shape[-1] else x


class Spectrum(NamedTuple):
    """A filter that needs no gradient, transformed for signals of one shape."""

    h: Tensor  # (D, K)
    like: torch.Size  # (B, D, L)
    bins: Tensor  # (D, pieces, n // 2 + 1), the skip included


def transform(u: Tensor, h: Tensor, skip: Tensor | None = None) -> Spectrum:
    """Of h (D, K) with skip (D,), for signals of the shape and dtype of u (B, D, L)."""
    p = plan(u, h.shape[-1])
    bins = [_bins(p, h, skip, d) for d in p.blocks(len(h))]
    return Spectrum(h, u.shape, torch.cat(bins))


def _bins(p: Plan, h: Tensor, skip: Tensor | None, d: slice) -> Tensor:
    """A block of the filter's spectrum: skip adds to tap 0, hence to every bin."""
    bins = p.cut(h[d])
    if skip is not None:
        bins[:, :1] += skip[d, None, None]
    return bins


def auto_conv(u: Tensor, h: Tensor, skip: Tensor | None = None) -> Tensor:
    """u (B, D, L), h (D, K <= L), skip (D,) -> (B, D, L), the quicker way."""
    return (shift_conv if h.shape[-1] <= FEW_TAPS else fft_conv)(u, h, skip)


def fft_conv(u: Tensor, h: Tensor, skip: Tensor | None = None) -> Tensor:
    """u (B, D, L), h (D, K <= L), skip (D,) -> (B, D, L), in float32 or float64.

    Spectra are multiplied; zeros up to n >= L + K - 1 keep the tail off the start.
    """
    if plan(u, h.shape[-1]).small and not torch.is_grad_enabled():
        return _convolve(u, h, skip)[0]
    return apply(SPECTRA, u, h, skip)


def known_conv(u: Tensor, filter: Spectrum) -> Tensor:
    """The same with a filter transformed before."""
    return _convolve(u, filter.h, None, filter.bins)[0]


def _convolve(
    u: Tensor, h: Tensor, skip: Tensor | None, known: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Y_i = sum_j H_j U_{i-j}, block by block. Where that is small, U and H are kept:
    they take little memory, and save time.
    """
    p = plan(u, h.shape[-1])
    if p.small:
        U, H = rfft(u, p.n), _line(p, h, skip) if known is None else known[:, 0]
        return irfft(U * H, p.n)[..., : u.shape[-1]], U, H
    y = u.new_empty(u.shape)
    for d in p.blocks(len(h)):
        H = _bins(p, h, skip, d) if known is None else known[d]
        U = p.cut(u[:, d])
        Y = U * H[:, :1]
        for j in range(1, H.shape[1]):
            Y[..., j:, :].addcmul_(U[..., :-j, :], H[:, j : j + 1])
        y[:, d] = p.join(Y, u.shape[-1], over=min(p.step, p.n - p.step))
    return (y,)


def _line(p: Plan, h: Tensor, skip: Tensor | None) -> Tensor:
    """The filter's whole spectrum; not in place, as vmap may run through here."""
    bins: Tensor = rfft(h, p.n)
    return bins if skip is None else bins + skip[:, None]


def _correlate(
    u: Tensor, h: Tensor, skip: Tensor | None, g: Tensor, *kept: Tensor
) -> tuple[Tensor, Tensor]:
    """dL/du and dL/dh from g = dL/dy (dL/dskip is dL/dh at tap 0).

    dU_i = sum_j conj(H_j) G_{i+j}, and dH_j = sum_i conj(U_i) G_{i+j}, over the batch.
    """
    p = plan(u, h.shape[-1])
    if p.small:
        U, H = kept or (rfft(u, p.n), _line(p, h, skip))
        G = rfft(g, p.n)
        dh = irfft((G * U.conj()).sum(0), p.n)[..., : h.shape[-1]]
        return irfft(G * H.conj(), p.n)[..., : u.shape[-1]], dh
    du, dh = u.new_empty(u.shape), h.new_empty(h.shape)
    for d in p.blocks(len(h)):
        U, H, G = p.cut(u[:, d]), _bins(p, h, skip, d), p.cut_gradient(g[:, d])
        dU, dH = G * H[:, :1], torch.empty_like(H)
        for j in range(H.shape[1]):
            if j:
                dU[..., :-j, :].addcmul_(G[..., j:, :], H[:, j : j + 1])
            dH[:, j] = (U[..., : p.pieces - j, :] * G[..., j:, :]).sum((0, -2))
        du[:, d] = p.join(dU.conj(), u.shape[-1])
        dh[d] = p.join(dH.conj(), h.shape[-1])
    return du, dh


def shift_conv(u: Tensor, h: Tensor, skip: Tensor | None = None) -> Tensor:
    """The same for a few taps: one delayed copy of u for each."""
    return apply(SHIFTS, u, h, skip)


def _add_shifts(u: Tensor, h: Tensor, skip: Tensor | None) -> tuple[Tensor]:
    y = u * (h[:, :1] if skip is None else h[:, :1] + skip[:, None])
    for lag in range(1, h.shape[-1]):
        y[..., lag:].addcmul_(u[..., :-lag], h[:, lag, None])
    return (y,)


def _add_shifts_back(
    u: Tensor, h: Tensor, skip: Tensor | None, g: Tensor
) -> tuple[Tensor, Tensor]:
    du = g * (h[:, :1] if skip is None else h[:, :1] + skip[:, None])
    dh = h.new_empty(h.shape)
    for d in plan(u, h.shape[-1]).blocks(len(h)):
        for lag in range(h.shape[-1]):
            now, later = slice(0, g.shape[-1] - lag), g[:, d, lag:]
            dh[d, lag] = (u[:, d, now] * later).sum((0, -1))
            if lag:
                du[:, d, now].addcmul_(later, h[d, lag, None])
    return du, dh


SPECTRA = Kernel(_convolve, _correlate)
SHIFTS = Kernel(_add_shifts, _add_shifts_back)
