"""Does an operator read the future? Change one input, see which outputs move.

    found = audit(mixer, length=8, width=4, generator=g)
    print(found)  # 12 of 28 (output, later input) pairs move; the first is ...

Changes are real ones, not derivatives: a switch has none. They are tried on several
backgrounds, as a gate that is shut hides what is behind it. B batch, L length, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from minihyena.errors import check_finite

__all__ = ["BACKGROUNDS", "Audit", "audit"]

Operator = Callable[[Tensor], Any]
BACKGROUNDS = (1.0, 2.0, 4.0) * 4  # how loud: some gates open to loud inputs only
AT_ONCE = 64  # sequences in one call
# What an operator says to float64 if its own numbers are float32.
REFUSALS = (TypeError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Audit:
    """What moved: moves[t][s], output t when input s was raised, L rows of L numbers.

    Each is the largest move of all backgrounds and channels, with its sign. One of at
    most `noise` is rounding. `dtype` is the precision that the operator answered in.
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
        return tuple((t, s) for t, s, far in places if abs(far) > self.noise)

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
    """Raise each input in turn, on each background, and note how far outputs move.

    op: (B, L, D) -> (B, L, ...), any function or module; with `vocab` it reads token
    ids (B, L) below that number, and one is exchanged for another. A background is
    normal numbers of that standard deviation (0: silence; of ids: all are 0).
    A module is tried as a copy in float64, in the mode it is in; one that refuses is
    tried as it is, in float32. A move counts above `tolerance` times the largest
    output; None: eps ** (2/3) of its dtype, 4e-11 in float64, 2e-5 in float32.

    Raises ValueError for another shape, for NaN or infinity, and if the same input
    gets two answers; TypeError for what is no tensor.
    """
    shape = (length,) if vocab else (length, width)
    if min(length, width, len(backgrounds)) < 1 or vocab == 1:
        raise ValueError(
            f"an audit takes length, width, backgrounds of 1 and vocab of 2 at least; "
            f"got {length}, {width}, {len(backgrounds)} and {vocab}"
        )
    drawn = [_probes(shape, loud, vocab, generator) for loud in backgrounds]
    answers = _in_double(op, drawn) or [_answers(op, probes) for probes in drawn]
    largest = max(float(y.abs().max()) for y in answers)
    dtype = answers[0].dtype
    share = torch.finfo(dtype).eps ** (2 / 3) if tolerance is None else tolerance
    noise = share * largest
    moves = torch.zeros(length, length, dtype=torch.float64)
    for y in answers:
        change = (y[1:] - y[:1]).double()  # (changed input, output, channel)
        far = change.gather(-1, change.abs().argmax(-1, keepdim=True))[..., 0].T
        moves = torch.where(far.abs() > moves.abs(), far, moves)
    rows = tuple(tuple(row) for row in moves.tolist())
    return Audit(rows, noise, dtype, len(backgrounds))


def _probes(
    shape: tuple[int, ...],
    loud: float,
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
        changed = background + (loud or 1) * (0.5 + more.abs())
    one = torch.eye(shape[0], dtype=torch.bool)
    one = one if vocab else one[..., None]
    return torch.cat([background[None], torch.where(one, changed, background)])


def _in_double(op: Operator, drawn: list[Tensor]) -> list[Tensor] | None:
    """The answers in float64; None if the operator refuses."""
    try:
        if isinstance(op, nn.Module):
            op = deepcopy(op).double()
        return [_answers(op, probes, torch.float64) for probes in drawn]
    except REFUSALS:
        return None


def _answers(
    op: Operator, probes: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(1 + L, L, ...) -> (1 + L, L, channels): what the operator makes of them."""
    if probes.is_floating_point():
        probes = probes.to(dtype)
    if isinstance(op, nn.Module):
        weights: Iterator[Tensor] = op.parameters()
        probes = probes.to(next(weights, probes).device)
    with torch.no_grad():
        parts = [_answer(op, part) for part in torch.split(probes, AT_ONCE)]
        y, alone = torch.cat(parts), _answer(op, probes[:1])
    check_finite("the output", y.mT)
    apart, largest = float((y[:1] - alone).abs().max()), float(y.abs().max())
    if apart > torch.finfo(y.dtype).eps ** 0.5 * largest:
        raise ValueError(
            f"the same input got two answers, {apart:.2g} apart: call .eval() if there "
            "is dropout or batch norm; rows of a batch must not read each other"
        )
    return y.cpu()


def _answer(op: Operator, probes: Tensor) -> Tensor:
    y = op(probes.clone())
    if not isinstance(y, Tensor):
        raise TypeError(
            f"the operator gave a {type(y).__name__}, not a tensor: wrap it, as in "
            "lambda u: op(u)[0]"
        )
    if y.shape[:2] != probes.shape[:2]:
        raise ValueError(
            f"the operator turned {tuple(probes.shape)} into {tuple(y.shape)}; it must "
            f"keep batch and length, {tuple(probes.shape[:2])}, in front"
        )
    return y.reshape(*y.shape[:2], -1)
