"""The Hyena recurrence: gates and long convolutions in turn, and the matrix they make.

B batch, L length, D width, N order = number of gates. Gating is diagonal in time,
convolution in frequency; the recurrence is their alternation.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena.conv import Spectrum, causal_conv, filter_spectrum, toeplitz
from minihyena.fast_conv import BLOCK_BYTES
from minihyena.kept import Kept
from minihyena.mixer import DECODERS, Mixer, is_plain
from minihyena.online import DirectConv, OnlineConv, RunningConv
from minihyena.rivals.modal import ModalConv, Modes

__all__ = [
    "RecurrenceMixer",
    "Stage",
    "hyena_matrix",
    "hyena_recurrence",
    "long_decoders",
    "running_convs",
    "running_short",
    "short_conv",
]

RECYCLED_BYTES = 2**25  # what is larger malloc gets from the system anew, page by page
Stage = tuple[Tensor, Tensor | None, Tensor | None]  # gate, filter, skip
Transformed = tuple[Tensor, Spectrum | None, None]  # gate, filter with its skip


def hyena_recurrence(v: Tensor, stages: Iterable[Stage | Transformed]) -> Tensor:
    """v (B, D, L), stages of gate x (B, D, L), filter h (D, L), skip (D,) -> (B, D, L).

    Poli et al. 2023, Def. 3.1: z <- x * (h conv z), stage after stage. A filter of
    None is the identity; the skip (authors' code) is added to tap 0 of its filter.
    """
    for gate, h, skip in stages:
        v = gate * (v if h is None else causal_conv(v, h, skip))
    return v


def hyena_matrix(
    stages: Sequence[Stage], toeplitz: Callable[[Tensor, int], Tensor] = toeplitz
) -> Tensor:
    """H (B, D, L, L) with H @ v = hyena_recurrence(v, stages): the gates frozen.

    H = diag(x^N) T(h^N) ... diag(x^1) T(h^1) (Poli et al. 2023, section 3.2);
    `toeplitz(h, L)` is T(h), of another kind of convolution if it is given.
    """
    length = stages[0][0].shape[-1]
    matrix = torch.eye(length, dtype=stages[0][0].dtype, device=stages[0][0].device)
    for gate, h, skip in stages:
        if h is not None:
            stage = toeplitz(h, length)
            if skip is not None:
                stage = stage + torch.diag_embed(skip[:, None].expand(-1, length))
            matrix = stage @ matrix
        matrix = gate[..., None] * matrix
    return matrix


def short_conv(conv: Any, p: Tensor) -> Tensor:
    """The causal depthwise convolution conv (an nn.Conv1d) of p (B, D, L).

    On a CPU, if p is large and no gradient is wanted, the result takes its place.
    """
    if not is_plain(conv, nn.Conv1d):
        y: Tensor = conv(pad(p, (conv.kernel_size[0] - 1, 0)))
        return y
    h = conv.weight[:, 0].flip(-1)[:, : p.shape[-1]]  # its last tap meets the present
    fits = p.nbytes < RECYCLED_BYTES or p.device.type != "cpu"
    if fits or torch.is_grad_enabled():
        return causal_conv(p, h).add_(conv.bias[:, None])
    some = max(1, BLOCK_BYTES * p.shape[1] // p.nbytes)  # channels, for the cache
    for start in range(0, p.shape[1], some):
        d = slice(start, start + some)
        p[:, d] = causal_conv(p[:, d], h[d]).add_(conv.bias[d, None])
    return p


def long_decoders(filter: Any) -> tuple[str, ...]:
    """The decoders of a mixer with these long filters: see Mixer.decoders."""
    recurrent = filter is None or hasattr(filter, "as_modes")
    return DECODERS if recurrent else DECODERS[1:]


def running_convs(
    filter: Any, skips: Iterable[Tensor | None], length: int, decoder: str
) -> list[RunningConv]:
    """One for every long filter and its skip (D,), for `length` steps to come."""
    if filter is None:
        return []
    if decoder == "online":
        return [OnlineConv(h, b) for h, b in zip(filter(length), skips, strict=True)]
    own = next(iter([*filter.parameters()]), torch.empty(0)).dtype
    modes = zip(*filter.as_modes(torch.promote_types(own, torch.float32)), strict=True)
    return [ModalConv(Modes(*m), b) for m, b in zip(modes, skips, strict=True)]


def running_short(conv: Any) -> DirectConv:
    """short_conv step by step, its bias left out.

    Raises ValueError for a convolution that computes something of its own.
    """
    if type(conv).forward is not nn.Conv1d.forward:
        raise ValueError(
            f"a {type(conv).__name__} cannot go step by step; "
            'use decoder="recompute", or a plain Conv1d'
        )
    return DirectConv(conv.weight[:, 0].flip(-1))


class RecurrenceMixer(Mixer):
    """A mixer that is a Hyena recurrence; what Hyena, H3 and GSS share.

    `filter` makes the long filters, filter(length) -> (orders, D, length). While the
    mixer only evaluates (.eval(), no gradients) they are kept, and by `forward` their
    spectra, and made again when one of their numbers changes; what `streams` hands out
    then is to be read only.
    """

    filter: Any  # nn.Module, or None

    def __init__(self, width: int, max_length: int) -> None:
        super().__init__(width, max_length)
        self._filters, self._spectra = Kept(), Kept()

    @property
    def decoders(self) -> tuple[str, ...]:
        return long_decoders(self.filter)

    def streams(self, u: Tensor) -> tuple[Tensor, list[Stage]]:
        """u (B, L, D) -> values (B, D, L) and stages for `hyena_recurrence`."""
        raise NotImplementedError

    def forward(self, u: Tensor) -> Tensor:
        v, stages = self.streams(u)
        ready = self.transformed(v, stages) if self.evaluates() else stages
        return self.output(hyena_recurrence(v, ready)[..., None])

    def matrix(self, u: Tensor) -> Tensor:
        """(B, D, L, L), the gates frozen; row t is what output t reads."""
        self.check_matrix(u, self.width)
        return hyena_matrix(self.streams(u)[1])

    def values(self, u: Tensor) -> Tensor:
        """(B, D, L, 1), so that forward(u) = output(matrix(u) @ values(u))."""
        return self.streams(u)[0][..., None]

    def evaluates(self) -> bool:
        """Whether nothing is trained now, and what is made once may be kept."""
        return not (
            self.training
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled(self.out_proj.weight.device.type)
            or torch.compiler.is_compiling()
        )

    def long_filters(self, length: int) -> Sequence[Tensor]:
        """The long filters, each (D, length)."""
        filter = self.filter
        if filter is None:
            return []
        parts = filter.modules()
        if not (self.evaluates() and all(is_plain(p, type(p)) for p in parts)):
            made: Tensor = filter(length)
            return made.unbind()
        config = getattr(filter, "config", None)
        numbers = [*filter.parameters(), *filter.buffers()]
        kept: Sequence[Tensor] = self._filters(
            numbers, (filter, config, length), lambda: filter(length).unbind()
        )
        return kept

    def transformed(self, v: Tensor, stages: list[Stage]) -> list[Transformed]:
        """The same stages, their filters as spectra."""
        gates, filters, skips = zip(*stages, strict=True)
        key = (v.shape, v.dtype, v.device, *map(id, filters))

        def make() -> tuple[Any, list[Spectrum | None]]:
            pairs = zip(filters, skips, strict=True)
            spectra = [h if h is None else filter_spectrum(v, h, s) for h, s in pairs]
            return filters, spectra  # an id is a filter's own while that is held

        known = [skip for skip in skips if skip is not None]
        _, spectra = self._spectra(known, key, make)
        return [(gate, h, None) for gate, h in zip(gates, spectra, strict=True)]
