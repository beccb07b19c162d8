"""Long filters as sums of a few modes: a recurrence that can take their place.

The Hankel matrix of a filter, A_ij = h_(1 + i + j), maps past inputs to future outputs.
Its rank is the number of states that a recurrence needs, and its singular values say
how much is lost with fewer. D channels, L length, S order.
"""

import math
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fft import irfft, rfft
from torch.nn.functional import cross_entropy, pad

from minihyena.fast_conv import fast_length
from minihyena.rivals.modal import ModalFilter, Modes

__all__ = [
    "Report",
    "filter_modes",
    "fit_modes",
    "hankel_singular_values",
    "most_order",
    "refine",
    "report",
]

MORE = 8  # directions beyond S that are looked at to find the first S
EDGE, FADED = 1 - 1e-6, 1e-9  # the largest and smallest |pole|
POOR = 0.01  # an error that makes one look at smaller orders too
NUDGE = 1e-3  # by which poles are pushed apart
NOISE = 1e-12  # singular values that are rounding, relative to the largest
SMALL = 1e-7  # directions that the least squares leave alone, relative to the largest


def hankel_singular_values(h: Tensor) -> Tensor:
    """h (D, L >= 3) -> (D, L // 2), falling; in float64 and time O(D L^3).

    With S states no recurrence comes nearer to the whole Hankel matrix than its
    (S + 1)-th value (Adamjan, Arov and Krein 1971); of this finite piece of it they are
    lower bounds. Raises ValueError for another shape.
    """
    if h.dim() != 2 or h.shape[-1] < 3:
        raise ValueError(f"h must be (D, L) with L >= 3; got {tuple(h.shape)}")
    rows = h.shape[-1] // 2
    matrix = h.detach().double()[:, 1:].unfold(-1, rows, 1)
    values: Tensor = torch.linalg.svdvals(matrix)
    return values


def most_order(length: int) -> int:
    """The largest order that a filter of this many taps can tell."""
    return length // 2 - 1


def fit_modes(h: Tensor, order: int) -> Modes:
    """h (D, L) -> Modes (D, S) in float64: h_t near Re sum_j R_j lambda_j^(t - 1).

    Poles by the eigensystem realisation: the first S left singular vectors of the
    Hankel matrix, moved up one row, are themselves times an S x S matrix, and its
    eigenvalues are the poles. Residues by least squares. Of two conjugate poles the
    real part needs one; the other's residue is 0, and it stands behind.

    Every channel gets the best of some: these poles, those outside the unit circle (a
    filter that grows would explode) moved into it; the same pushed a little apart; and
    where one was outside, those of the filter with zeros after it, which lie inside;
    and where all that is poor, the same of a smaller order.
    Raises ValueError for another shape, for an order below 1 or above `most_order`, and
    for a filter that is not finite.
    Source: Kung 1978; of long convolutions Massaroli et al. 2023 (arXiv 2310.18780).
    """
    if h.dim() != 2:
        raise ValueError(f"h must be (D, L); got {tuple(h.shape)}")
    most = most_order(h.shape[-1])
    if not 1 <= order <= most:
        raise ValueError(
            f"a filter of {h.shape[-1]} taps supports orders 1 to {most}; got {order}"
            if most > 0
            else f"a filter of {h.shape[-1]} taps is too short to distill"
        )
    if not h.isfinite().all():
        raise ValueError("the filter is not finite: it has NaN or infinite taps")
    h = h.detach().double()
    direct, size = h[:, 0], h.abs().amax(-1, keepdim=True)
    size = size.where(size > 0, 1)
    rates, residues, _ = _best(h / size, order)
    return Modes(rates, residues * size, direct)


def _best(h: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rates, residues (D, S) and error (D,) of the best candidate of every channel."""
    found = _poles(h, order)
    candidates = [found, _apart(found)]
    unstable = found.abs().amax(-1) > EDGE
    if unstable.any():
        padded = found.clone()
        padded[unstable] = _poles(pad(h[unstable], (0, h.shape[-1])), order)
        candidates.append(padded)
    fits = [_inside(h, poles) for poles in candidates]
    best = torch.stack([error for *_, error in fits]).argmin(0)
    rates, residues, error = (
        torch.stack(choices)[best, torch.arange(len(h))]
        for choices in zip(*fits, strict=True)
    )
    poor = (error > POOR).nonzero()[:, 0]
    if order > 1 and len(poor):  # then fewer may be better, which is rare
        fewer = 2 ** ((order - 1).bit_length() - 1)
        *parts, error_of_them = _best(h[poor], fewer)
        better = error_of_them < error[poor]
        for whole, part, filler in (
            (rates, parts[0], math.log(FADED)),
            (residues, parts[1], 0.0),
        ):
            whole[poor[better]] = pad(part[better], (0, order - fewer), value=filler)
        error[poor[better]] = error_of_them[better]
    return rates, residues, error


def _inside(h: Tensor, poles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rates of these poles, moved into the circle, the best residues, and the error in
    single precision, in which they will run: (D, S), (D, S), (D,).
    """
    poles = torch.polar(poles.abs().clamp(FADED, EDGE), poles.angle())
    first = poles.imag.argsort(descending=True, stable=True)
    rates = poles.gather(-1, first).log()
    residues = _residues(h, rates)
    single = rates.to(torch.complex64), residues.to(torch.complex64), h[:, 0].float()
    made = Modes(*single).response(h.shape[-1])
    return rates, residues, (made - h).norm(dim=-1) / h.norm(dim=-1).clamp(min=1e-300)


def _apart(poles: Tensor) -> Tensor:
    """Poles that coincide stand for t lambda^t and more, which sums of powers of them
    cannot give; a little apart they nearly can.
    """
    rank = poles.abs().argsort(descending=True, stable=True).argsort()
    angle = poles.angle()
    angle = angle.where(angle.abs() > NUDGE, 0)
    return torch.polar(poles.abs() * (1 - NUDGE * rank).clamp(min=0), angle)


def _poles(h: Tensor, order: int) -> Tensor:
    """h (D, L) -> (D, S) complex."""
    u, s = _leading(h, order)
    s = s.where(s > NOISE * s[:, :1], 0)  # a filter of fewer modes gets no others
    states = u * s[:, None].sqrt()
    shift = torch.linalg.lstsq(
        states[:, :-1], states[:, 1:], rcond=NOISE, driver="gelsd"
    ).solution
    poles: Tensor = torch.linalg.eigvals(shift)
    return poles


def _leading(h: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """The first S left singular vectors (D, L // 2, S) and values (D, S) of A.

    By random directions, sharpened twice (Halko et al. 2011, arXiv 0909.4061): A is
    never written down, and A x is a correlation.
    """
    rows = h.shape[-1] // 2
    columns = h.shape[-1] - rows
    some = min(order + MORE, rows)
    n = fast_length(2 * h.shape[-1])
    spectrum = rfft(h[:, None, 1:], n)

    def times(x: Tensor, size: int) -> Tensor:
        """A x, or A' x, which is the same product of another size."""
        y: Tensor = irfft(spectrum * rfft(x.mT.flip(-1), n), n)
        return y[..., x.shape[1] - 1 : x.shape[1] - 1 + size].mT

    g = torch.Generator().manual_seed(0)
    x = torch.randn(columns, some, dtype=h.dtype, generator=g).expand(len(h), -1, -1)
    for _ in range(2):
        q = torch.linalg.qr(times(x, rows))[0]
        x = torch.linalg.qr(times(q, columns))[0]
    q = torch.linalg.qr(times(x, rows))[0]
    u, s, _ = torch.linalg.svd(times(q, columns).mT, full_matrices=False)
    return q @ u[..., :order], s[:, :order]


def _residues(h: Tensor, rates: Tensor) -> Tensor:
    """The best for these poles, (D, S) complex; 0 below the real axis."""
    time = torch.arange(h.shape[-1] - 1, dtype=h.dtype)
    upper = rates.imag >= 0
    powers = torch.exp(rates[:, None] * time[:, None]) * upper[:, None]  # (D, L - 1, S)
    basis = torch.cat([powers.real, -powers.imag], dim=-1)
    found = torch.linalg.lstsq(basis, h[:, 1:, None], rcond=SMALL, driver="gelsd")
    real, imag = found.solution[..., 0].chunk(2, dim=-1)
    return torch.complex(real, imag) * upper


@torch.no_grad()
def filter_modes(filter: Any, length: int, order: int) -> Modes:
    """filter(length) -> (orders, D, length) -> Modes (orders, D, at most S)."""
    h = filter(length)
    modes = fit_modes(h.flatten(0, 1).cpu(), order)
    size = modes.residues.abs()
    loudest = size.argsort(descending=True)
    used = int((size > NOISE * size.amax(-1, keepdim=True)).sum(-1).amax().clamp(min=1))
    rates, residues = (
        x.gather(-1, loudest)[:, :used].reshape(*h.shape[:2], used) for x in modes[:2]
    )
    return Modes(rates, residues, modes.direct.view(h.shape[:2]))


def refine(filter: ModalFilter, h: Tensor, steps: int, rate: float = 1e-3) -> None:
    """Bring the filter nearer to h (orders, D, L) by gradient, in place.

    `steps` of Adam, in float64, on the squared error relative to h, channel by channel;
    every channel keeps the best that was seen. Poles stay inside the unit circle.
    """
    h = h.detach().double()
    size = h.square().sum(-1).clamp(min=1e-300)
    work = deepcopy(filter).double()
    best = [p.detach().clone() for p in work.parameters()]
    least = torch.full_like(size, float("inf"))
    optimizer = torch.optim.Adam(work.parameters(), lr=rate)
    for _ in range(steps + 1):
        optimizer.zero_grad()
        with torch.enable_grad():
            error = (work(h.shape[-1]) - h).square().sum(-1) / size
            error.sum().backward()
        better = error.detach() < least
        least[better] = error.detach()[better]
        for kept, p in zip(best, work.parameters(), strict=True):
            kept[better] = p.detach()[better]
        optimizer.step()
    with torch.no_grad():
        for kept, p in zip(best, filter.parameters(), strict=True):
            p.copy_(kept)


class Report(NamedTuple):
    """How far a distilled model is from its teacher."""

    filters: list[Tensor]  # relative error of every filter, (orders, D) a layer
    outputs: list[float]  # relative error of every mixer's output on the same input
    loss: float  # nats a token
    distilled_loss: float


@torch.no_grad()
def report(model: Any, distilled: Any, ids: Tensor) -> Report:
    """Both language models on ids (B, L + 1), the last of them a target only.

    All errors are ||difference|| / ||teacher||. Call .eval() on both first, if they
    have dropout.
    """
    filters, outputs = [], []
    r = model.embedding(ids[:, :-1])
    for block, small in zip(model.blocks, distilled.blocks, strict=True):
        h = block.mixer.filter(ids.shape[1] - 1)
        filters.append(_far(h, small.mixer.filter(ids.shape[1] - 1), -1))
        u = block.norm1(r)
        outputs.append(float(_far(block.mixer(u), small.mixer(u), None)))
        r = block(r)
    losses = [
        float(cross_entropy(m(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()))
        for m in (model, distilled)
    ]
    return Report(filters, outputs, *losses)


def _far(y: Tensor, other: Tensor, dim: int | None) -> Tensor:
    far: Tensor = torch.linalg.vector_norm(other - y, dim=dim)
    size = torch.linalg.vector_norm(y, dim=dim)
    far /= size.where(size > 0, 1)
    return far
