"""Does an operator read the future? Change one input, see which outputs move.

    found = audit(mixer, length=8, width=4, generator=g)
    print(found)  # 12 of 28 (output, later input) pairs move; the first is ...

Changes are real ones, not derivatives: a switch has none. They are tried on several
backgrounds, as a gate that is shut hides what is behind it. B batch, L length, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from minihyena.errors import check_finite

__all__ = ["BACKGROUNDS", "Audit", "audit"]

Operator = Callable[[Tensor], Any]
BACKGROUNDS = (1.0, 2.0, 4.0) * 4  # how loud: some gates open to loud inputs only
# Sequences in one call: more than are needed, if these suffice. No other axis is likely
# to have a multiple of so many, so that this one is known wherever an operator puts it.
ROWS = 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61
# What an operator says to float64 if its own numbers are float32, or to another width.
REFUSALS = (TypeError, ValueError, RuntimeError, LookupError, AssertionError)
# eps to this power, times the largest number: of a channel, of all (they were mixed).
WITHIN, ACROSS = 2 / 3, 5 / 6


@dataclass(frozen=True)
class Audit:
    """What moved: moves[t][s], output t by a raise of input s, L rows of L numbers.

    Each is the largest move of all backgrounds and channels, 0 where all are rounding;
    what a lowered input moves counts with the other sign. Up to `noise` a move counted
    as rounding in the loudest channel, in others up to less. `dtype` is the least
    precise that the operator put its sequences in, as far as calls of torch show it:
    what numpy or TorchScript do inside, or a loop over the sequences, is not seen.
    """

    moves: tuple[tuple[float, ...], ...]
    noise: float
    dtype: torch.dtype
    backgrounds: int

    @property
    def pairs(self) -> int:
        """How many pairs (output, later input) there are: L (L - 1) / 2."""
        return len(self.moves) * (len(self.moves) - 1) // 2

    @property
    def moved(self) -> tuple[tuple[int, int], ...]:
        """All pairs (t, s) that moved, output by output."""
        places = (
            (t, s, far) for t, row in enumerate(self.moves) for s, far in enumerate(row)
        )
        return tuple((t, s) for t, s, far in places if far)

    @property
    def leaks(self) -> tuple[tuple[int, int], ...]:
        """Those in which the input is the later one, s > t."""
        return tuple((t, s) for t, s in self.moved if s > t)

    @property
    def causal(self) -> bool:
        """Whether no leak was found, which proves less than a leak that was."""
        return not self.leaks

    def __str__(self) -> str:
        pairs = f"{len(self.leaks)} of {self.pairs} (output, later input) pairs"
        if self.causal:
            tried = f"{self.backgrounds} background{'s' * (self.backgrounds > 1)}"
            kind = str(self.dtype).removeprefix("torch.")
            return f"{pairs} move by more than {self.noise:.0e} on {tried} in {kind}."
        t, s = self.leaks[0]
        return (
            f"{pairs} move{'s' * (len(self.leaks) == 1)}; the first is output {t}, "
            f"moved by input {s}, by {abs(self.moves[t][s]):.2g}."
        )


def audit(
    op: Operator,
    length: int,
    width: int = 1,
    *,
    vocab: int | None = None,
    backgrounds: Sequence[float] = BACKGROUNDS,
    tolerance: float | None = None,
    generator: torch.Generator | None = None,
) -> Audit:
    """Change each input in turn, on each background, and note how far outputs move.

    op: (B, L, D) -> (B, L, ...), any function or module; with `vocab` it reads token
    ids (B, L) below that number, and one is exchanged for another. A background is
    normal numbers of that standard deviation (0: silence; of ids: all are 0); on the
    first an input is raised, on the next lowered, and so on in turn.
    A module is tried as a copy in float64, in the mode it is in; one that refuses is
    tried as it is, in float32. A move counts above `tolerance` times the largest
    number of its channel on that background; None: eps ** (2/3) of the dtype, 4e-11 in
    float64, 2e-5 in float32, and above eps ** (5/6) times that of all channels.

    Raises ValueError for an operator that refuses its input or answers in another
    shape, for NaN or infinity, and if the same input gets two answers; TypeError for
    what is no tensor.
    """
    least = min(length, width, len(backgrounds), (2 if vocab is None else vocab) - 1)
    sizes = [tolerance or 0, *backgrounds]
    if least < 1 or not all(0 <= size < float("inf") for size in sizes):
        raise ValueError(
            f"an audit takes length and width of 1 and vocab of 2 at least, one "
            f"background, and finite backgrounds and tolerance of 0 at least; got "
            f"{length}, {width}, {vocab}, {[*backgrounds]} and {tolerance}"
        )
    shape = (length,) if vocab else (length, width)
    drawn = [
        _probes(shape, loud, (-1) ** turn, vocab, generator)
        for turn, loud in enumerate(backgrounds)
    ]
    op, precision = _widest(op, drawn[0])
    watch = _Narrowest(precision)
    answers = [_answers(op, probes, precision, watch) for probes in drawn]
    eps = _eps(watch.dtype)
    within, across = (eps**WITHIN, eps**ACROSS) if tolerance is None else (tolerance, 0)
    moves, noise = torch.zeros(length, length, dtype=torch.float64), 0.0
    for turn, y in enumerate(answers):
        change = (y[1:] - y[:1]) * (-1) ** turn  # (changed input, output, channel)
        largest = y.abs().amax((0, 1))
        rounding = (within * largest).clamp(min=across * float(largest.max()))
        change = torch.where(change.abs() > rounding, change, 0.0)
        far = change.gather(-1, change.abs().argmax(-1, keepdim=True))[..., 0].T
        moves = torch.where(far.abs() > moves.abs(), far, moves)
        noise = max(noise, float(rounding.max()))
    rows = tuple(tuple(row) for row in moves.tolist())
    return Audit(rows, noise, watch.dtype, len(backgrounds))


def _probes(
    shape: tuple[int, ...],
    loud: float,
    sign: int,
    vocab: int | None,
    generator: torch.Generator | None,
) -> Tensor:
    """(1 + L, L, D) or ids (1 + L, L): a background, then each input of it changed."""
    if vocab:
        ids = torch.randint(vocab, shape, generator=generator) * (loud != 0)
        other = torch.randint(1, vocab, shape, generator=generator)
        background, changed = ids, (ids + other) % vocab
    else:
        u, more = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        background = loud * u
        changed = background + sign * (loud or 1) * (0.5 + more.abs())
    one = torch.eye(shape[0], dtype=torch.bool)
    one = one if vocab else one[..., None]
    return torch.cat([background[None], torch.where(one, changed, background)])


def _widest(op: Operator, probes: Tensor) -> tuple[Operator, torch.dtype]:
    """A copy in float64, if that takes it; else the operator as it is, for float32."""
    if not probes.is_floating_point() and not isinstance(op, nn.Module):
        return op, torch.float32  # ids do not tell what its numbers are
    try:
        wide = deepcopy(op).double() if isinstance(op, nn.Module) else op
        with torch.no_grad():
            wide(_beside(wide, probes[:1]))
        return wide, torch.float64
    except REFUSALS:
        return op, torch.float32


def _beside(op: Operator, probes: Tensor) -> Tensor:
    """A copy of the probes, where the operator's weights are."""
    weights: Iterator[Tensor] = iter(())
    if isinstance(op, nn.Module):
        weights = op.parameters()
    return probes.to(next(weights, probes).device, copy=True)


class _Narrowest(TorchFunctionMode):
    """Watches calls of torch: `dtype` is the least precise that sequences were put in.

    They have the batch in an axis, alone or folded with others; what has not is taken
    for a constant, exact as it is. A batch of 1 says nothing.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.batch = dtype, 1

    def has_batch(self, shape: torch.Size) -> bool:
        sizes = [size for size in shape if size]
        return self.batch > 1 and any(size % self.batch == 0 for size in sizes)

    def see(self, y: Tensor) -> None:
        self.dtype = max(self.dtype, y.dtype, key=_eps)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        held = args[0] if func is Tensor.__setitem__ else made
        if _real(held) and self.has_batch(held.shape):
            given = [_eps(x.dtype) for x in (*args, *kwargs.values()) if _real(x)]
            if min(given, default=1.0) < _eps(held.dtype):
                self.see(held)
        return made


def _eps(dtype: torch.dtype) -> float:
    """One rounding, relative."""
    return torch.finfo(dtype).eps


def _real(x: Any) -> TypeGuard[Tensor]:
    """Whether it holds numbers that are rounded: no integers, no truth values."""
    return isinstance(x, Tensor) and (x.is_floating_point() or x.is_complex())


def _answers(
    op: Operator, probes: Tensor, dtype: torch.dtype, watch: _Narrowest
) -> Tensor:
    """(1 + L, L, ...) -> (1 + L, L, channels): what the operator makes of them."""
    if probes.is_floating_point():
        probes = probes.to(dtype)
    length, needed = probes.shape[1], len(probes)
    fitting = [rows for rows in ROWS if rows > needed] or ROWS[-2:]
    rows = min(fitting, key=lambda rows: length * (length + 1) % rows == 0)
    more = probes[:1].expand(-needed % rows, *probes.shape[1:])
    with torch.no_grad():
        asked = torch.split(torch.cat([probes, more]), rows)
        y = torch.cat([_answer(op, part, watch) for part in asked])[:needed]
        alone = _answer(op, probes[:1], watch)
    check_finite("the output", y.mT)
    apart, largest = float((y[:1] - alone).abs().max()), float(y.abs().max())
    if apart > _eps(watch.dtype) ** 0.5 * largest:
        raise ValueError(
            f"the same input got two answers, {apart:.2g} apart: call .eval() if there "
            "is dropout or batch norm; rows of a batch must not read each other"
        )
    return y


def _answer(op: Operator, probes: Tensor, watch: _Narrowest) -> Tensor:
    """Real numbers in float64, the parts of complex ones as channels."""
    probes = _beside(op, probes)
    watch.batch = len(probes)
    try:
        with watch:
            y = op(probes)
    except REFUSALS as error:
        kind = str(probes.dtype).removeprefix("torch.")
        asked = "length= and width=" if _real(probes) else "length= and vocab="
        raise ValueError(
            f"the operator refused {kind} of shape {tuple(probes.shape)}, batch and "
            f"length in front; {asked} ask for another: {error}"
        ) from error
    if not isinstance(y, Tensor):
        raise TypeError(
            f"the operator gave a {type(y).__name__}, not a tensor: wrap it, as in "
            "lambda u: op(u)[0]"
        )
    if y.shape[:2] != probes.shape[:2] or not y.numel():
        raise ValueError(
            f"the operator turned {tuple(probes.shape)} into {tuple(y.shape)}; it must "
            f"keep batch and length, {tuple(probes.shape[:2])}, in front, and give a "
            "channel at least"
        )
    if _real(y):
        watch.see(y)
    if y.is_complex():
        y = torch.view_as_real(y)
    return y.cpu().double().reshape(*y.shape[:2], -1)
