"""What a language model spends to get down to a loss, read off recorded curves."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from minihyena.errors import choose
from minihyena.experiments.results import Results
from minihyena.experiments.rows import TextRun

__all__ = ["AXES", "Saving", "by_text", "curve_of", "loss_at", "needed", "saving"]

AXES = ("flops", "flops_causal", "tokens", "seconds")
Curve = Sequence[tuple[float, float]]  # spent so far, from low to high, and the loss


@dataclass(frozen=True)
class Saving:
    """The share one model saves of what another spends, one a seed; below 0 it spends
    more.
    """

    shares: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.mean(self.shares)

    @property
    def low(self) -> float:
        return min(self.shares)

    @property
    def high(self) -> float:
        return max(self.shares)


def by_text(results: Results) -> dict[tuple[str, int], dict[str, list[TextRun]]]:
    """(Corpus, length) -> model -> its runs at the learning rate that did best."""
    found: dict[tuple[str, int], dict[str, list[TextRun]]] = {}
    for runs in results.chosen():
        texts = [run for run in runs if isinstance(run, TextRun)]
        for run in texts[:1]:
            found.setdefault((run.corpus, run.length), {})[run.model] = texts
    return found


def curve_of(run: TextRun, axis: str = "flops") -> list[tuple[float, float]]:
    """Its losses by what had been spent until then: FLOPs, tokens or seconds.

    Seconds are those of its steps at the pace that was measured in turn with the other
    models, or, where it was not, those of the run itself.
    Raises ValueError for an axis that is not one of AXES.
    """
    seconds = choose("axis", axis, AXES) == "seconds"
    if seconds and run.pace is None:
        return [(spent, loss) for _, spent, loss in run.curve]
    a_step: float = getattr(run, "pace" if seconds else axis)
    return [(step * a_step, loss) for step, _, loss in run.curve]


def loss_at(curve: Curve, spent: float) -> float | None:
    """The loss after so much is spent, linear in its logarithm between two points.

    None before the first point and after the last.
    """
    for (a, before), (b, after) in pairwise([*curve[:1], *curve]):
        if a <= spent <= b:
            way = math.log(spent / a) / math.log(b / a) if 0 < a < b else 1.0
            return before + (after - before) * way
    return None


def needed(curve: Curve, loss: float) -> float | None:
    """What is spent when the curve first comes down to this loss; None if never.

    Between two points as `loss_at`. If the first one is there already, it is that: what
    was needed may have been less.
    """
    for (a, before), (b, after) in pairwise([*curve[:1], *curve]):
        if after <= loss:
            if not (before > loss and a > 0):
                return b
            way = (before - loss) / (before - after)
            return a * math.exp(way * math.log(b / a))
    return None


def saving(
    ours: Sequence[TextRun], theirs: Sequence[TextRun], axis: str = "flops"
) -> Saving | None:
    """The share of their FLOPs (tokens, seconds) that ours saves on the way to the loss
    they end with, seed by seed; None if one of ours never gets there. Of both it counts
    when they first were as low.

    That loss ends a whole run, whose learning rate has decayed; ours has to reach it
    before its own decay is over. A shorter run of ours, planned to decay in time, would
    be expected there sooner, so the saving is told rather too low. Both losses are
    those of the curves, of the same held-out windows.
    Raises ValueError for runs of other seeds or texts than theirs, for runs that
    diverged and for an axis that is not one of AXES.
    """
    if [_pair(run) for run in ours] != [_pair(run) for run in theirs] or not ours:
        raise ValueError(
            "ours and theirs must be runs of the same texts and seeds, in the same "
            f"order; got {[_pair(run) for run in ours]} and "
            f"{[_pair(run) for run in theirs]}"
        )
    if lost := [
        f"{r.model}, seed {r.seed}" for r in (*ours, *theirs) if r.loss is None
    ]:
        raise ValueError(f"a run that diverged has no final loss: {'; '.join(lost)}")
    shares = []
    for mine, rival in zip(ours, theirs, strict=True):
        theirs_curve = curve_of(rival, axis)
        loss = theirs_curve[-1][1]
        spent = needed(curve_of(mine, axis), loss)
        if spent is None:
            return None
        shares.append(1 - spent / (needed(theirs_curve, loss) or math.inf))
    return Saving(tuple(shares))


def _pair(run: TextRun) -> tuple[str, str, int, int]:
    return run.corpus, run.sha256, run.length, run.seed
