"""Convolution as the signal comes: input t + 1 may depend on output t.

`step(u_t) -> y_t`, and before the first step `absorb(prompt) -> outputs`. `DirectConv`
is the definition, O(K) a step; `OnlineConv` is as exact, O(log^2 K) a step in the mean.
(A filter that is a sum of S modes takes O(S): rivals/modal.py.)

B batch, D width, K taps, P steps of the prompt, t time; a tile's side is w.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.fft import irfft, rfft
from torch.nn.functional import pad

from minihyena.errors import check_conv, check_finite
from minihyena.fast_conv import auto_conv, fft_conv
from minihyena.memory import Memory

__all__ = ["BASE", "DirectConv", "OnlineConv", "RunningConv", "tiles"]

BASE = 64  # up to here a direct product is quicker than a tile's transforms


class RunningConv(Memory):
    """A causal convolution and what it remembers of its inputs.

    Half precision is computed in float32; outputs have the dtype of the inputs.
    """

    h: Tensor  # (D, ...), what is convolved with
    time: int = 0
    length: int | None = None  # the most steps there may be; None: no end
    batch: int | None = None  # known from the first input on

    def step(self, u: Tensor) -> Tensor:
        """u_t (B, D) -> y_t (B, D).

        Raises ValueError for a step after the last, another B or D, another device,
        TypeError for a dtype that is no real floating point; nothing changes then.
        """
        self._check(u[..., None])
        y = self._step(u.to(self.h.dtype)).to(u.dtype) if len(u) else u.clone()
        self._took(u, 1)
        return y

    def absorb(self, u: Tensor) -> Tensor:
        """The first inputs u (B, D, P), P >= 1, at once -> (B, D, P). Raises as `step`;
        ValueError too after the first step, and if u is not finite (a transform would
        carry that to all outputs).
        """
        if self.time:
            raise ValueError(
                f"a prompt comes first; {self.time} steps are already taken"
            )
        self._check(u)
        check_finite("the prompt", u)
        y = self._absorb(u.to(self.h.dtype)).to(u.dtype) if len(u) else u.clone()
        self._took(u, u.shape[-1])
        return y

    def extend(self, u: Tensor) -> Tensor:
        """u (B, D, n) -> (B, D, n): a prompt, if it comes first, or one step."""
        if u.shape[-1] == 1:
            return self.step(u[..., 0])[..., None]
        return self.absorb(u)

    @property
    def device(self) -> torch.device:
        return self.h.device

    def _step(self, u: Tensor) -> Tensor:
        raise NotImplementedError

    def _absorb(self, u: Tensor) -> Tensor:
        raise NotImplementedError

    def _check(self, u: Tensor) -> None:
        batch, width = self.batch, len(self.h)
        if u.dim() != 3 or u.shape[1] != width or batch not in (None, len(u)):
            raise ValueError(
                f"this convolution is of {'B' if batch is None else batch} sequences "
                f"in {width} channels; got {tuple(u.shape[:2])}"
            )
        if u.device != self.h.device:
            raise ValueError(
                f"the input is on {u.device}, the convolution on {self.h.device}; "
                "move one of them with .to(device)"
            )
        if not u.is_floating_point():
            raise TypeError(f"inputs are real floating point numbers; got {u.dtype}")
        if {u.dtype, self.h.dtype} == {torch.float32, torch.float64}:
            raise TypeError(
                f"the input is {u.dtype}, the filter {self.h.dtype}; convert one"
            )
        if self.length is not None and self.time + u.shape[-1] > self.length:
            raise ValueError(
                f"{self.time} of {self.length} steps are taken, {u.shape[-1]} more are "
                "too many: the filter has no further taps; begin with a longer one"
            )

    def _took(self, u: Tensor, steps: int) -> None:
        self.batch = len(u)
        self.time += steps


def _taps(h: Tensor, skip: Tensor | None) -> Tensor:
    """h (D, K), the skip (D,) in tap 0, in float32 at least."""
    check_conv(h[None], h, skip)
    h = h.to(torch.promote_types(h.dtype, torch.float32))
    if skip is None:
        return h
    return torch.cat([h[:, :1] + skip[:, None], h[:, 1:]], dim=-1)


class DirectConv(RunningConv):
    """h (D, K), skip (D,): remembers K - 1 inputs and multiplies them by hand.

    It never ends: inputs older than the filter are forgotten.
    """

    def __init__(self, h: Tensor, skip: Tensor | None = None) -> None:
        self.h = _taps(h, skip)
        self.mirror = self.h.flip(-1).contiguous()
        self.past = self.h[:0]

    def _step(self, u: Tensor) -> Tensor:
        past = self._remember(u[..., None])
        taps = self.mirror[:, self.mirror.shape[-1] - past.shape[-1] :]
        return (taps * past).sum(-1)

    def _absorb(self, u: Tensor) -> Tensor:
        self._remember(u)
        return auto_conv(u, self.h[:, : u.shape[-1]])

    def _remember(self, u: Tensor) -> Tensor:
        """All inputs that this step's output reads, (B, D, <= K)."""
        past = u if self.time == 0 else torch.cat([self.past, u], dim=-1)
        past = past[..., -self.mirror.shape[-1] :]
        full = past.shape[-1] == self.mirror.shape[-1]
        self.past = past[..., 1:] if full else past
        return past


class OnlineConv(RunningConv):
    """h (D, K), skip (D,): exact for K steps, in O(K log^2 K) all together.

    The pairs (output t, input s < t) are cut into squares. Once w inputs are complete
    (n = t + 1 and w is the largest power of two that divides n), what they send to the
    outputs n .. n + w - 1 is one product of transforms: a tile. Every pair is in one
    tile only, so nothing is left out and nothing approximated. Inputs of the last BASE
    steps are multiplied directly instead. A prompt sends to all later outputs at once.

    The mean step is cheap; the one that completes w inputs pays O(w log w).
    Source: the relaxed multiplication of van der Hoeven 2002; for long convolutions
    Flash Inference (arXiv 2410.12982).
    """

    def __init__(self, h: Tensor, skip: Tensor | None = None, base: int = BASE) -> None:
        if base < 1 or base & (base - 1):
            raise ValueError(f"base must be a power of two; got {base}")
        self.h = _taps(h, skip)
        self.length = h.shape[-1]
        self.base = base
        self.mirror = self.h[:, :base].flip(-1).contiguous()
        self.spectra: dict[int, Tensor] = {}  # of taps 1 .. 2w - 1, for every side w
        self.start = 0  # where the prompt ended: the tiles' clock counts from here
        self.recent = self.h[:0]  # inputs of the unfinished block, (B, D, < base)
        self.blocks: tuple[Tensor, ...] = ()  # the inputs before, in powers of two
        self.sent: tuple[tuple[int, Tensor], ...] = ()  # first step, what it gets

    def _absorb(self, u: Tensor) -> Tensor:
        """The prompt followed by nothing: its outputs, and what it sends ahead."""
        rest = self.h.shape[-1] - u.shape[-1]
        y = fft_conv(pad(u, (0, rest)), self.h)
        self.start = u.shape[-1]
        self.sent = ((0, y[..., self.start :].contiguous()),)
        return y[..., : self.start]

    def _step(self, u: Tensor) -> Tensor:
        clock = self.time - self.start
        if clock == 0:
            self._prepare()
        now = u[..., None]
        recent = torch.cat([self.recent, now], dim=-1) if clock % self.base else now
        y = (self.mirror[:, -recent.shape[-1] :] * recent).sum(-1)
        if self.sent:
            first, sums = self.sent[-1]
            y = y + sums[..., clock - first]
        self.recent = recent
        if recent.shape[-1] == self.base:
            self._send(clock + 1, recent)
        return y

    def _prepare(self) -> None:
        """The transforms of the filter that the steps to come will need."""
        steps = self.h.shape[-1] - self.start
        for w in {w for _, w, _ in tiles(steps, self.base)} - {*self.spectra}:
            self.spectra[w] = rfft(self.h[:, 1 : 2 * w], 2 * w)

    def _send(self, n: int, block: Tensor) -> None:
        """n steps are complete, the last of them in `block`: the tile of side w."""
        blocks = [*self.blocks]
        while blocks and blocks[-1].shape == block.shape:
            block = torch.cat([blocks.pop(), block], dim=-1)
        self.blocks = (*blocks, block)
        self.sent = tuple(s for s in self.sent if s[0] + s[1].shape[-1] > n)
        w = block.shape[-1]
        reach = min(w, self.h.shape[-1] - self.start - n)
        if reach <= 0:
            return
        # 3w - 2 products at 2w points: what wraps around falls on the first w - 1.
        tile = irfft(rfft(block, 2 * w) * self.spectra[w], 2 * w)
        tile = tile[..., w - 1 : w - 1 + reach]
        if self.sent:  # a larger tile that covers these outputs too
            first, sums = self.sent[-1]
            tile = tile + sums[..., n - first : n - first + reach]
        self.sent = (*self.sent, (n, tile))


def tiles(length: int, base: int = BASE) -> Iterator[tuple[int, int, int]]:
    """(n, w, m) of every tile of `length` steps: when n of them are done, the inputs
    n - w .. n - 1 send to the outputs n .. n + m - 1.
    """
    for n in range(base, length, base):
        w = n & -n
        yield n, w, min(w, length - n)
