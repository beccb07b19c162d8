"""Recorded losses as the loss plot draws them: one line a model, and where it ends."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minihyena.experiments import Results, TextRun
from minihyena.experiments.curves import by_text, curve_of, loss_at, needed

__all__ = ["Goal", "Line", "Spread", "Twins", "goal_of", "line_of", "twins_of"]

Text = tuple[str, int]  # corpus, length of a window


class Spread(NamedTuple):
    """Numbers, one a seed, told as mean and range."""

    mean: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        return cls(statistics.fmean(numbers), min(numbers), max(numbers), len(numbers))


@dataclass(frozen=True)
class Twins:
    """Text -> model -> its runs at the learning rate that did best."""

    models: tuple[str, ...]  # ours first
    texts: Mapping[Text, Mapping[str, Sequence[TextRun]]]

    def runs(self, text: Text, model: str) -> list[TextRun]:
        """Those that came to their end, seed after seed; none if it was not run."""
        return [r for r in self.texts[text].get(model, ()) if r.loss is not None]

    def diverged(self, text: Text, model: str) -> int:
        """How many did not."""
        return len(self.texts[text].get(model, ())) - len(self.runs(text, model))


def twins_of(results: Results) -> Twins:
    """Raises ValueError for results that hold no run on a text."""
    texts = by_text(results)
    if not texts:
        raise ValueError(f"{results.experiment} holds no runs on texts")
    return Twins(tuple(dict.fromkeys(m for at in texts.values() for m in at)), texts)


@dataclass(frozen=True)
class Line:
    """The mean of a model's curves, from where all have begun to where the first ends.

    Straight between its points on a logarithmic axis, as the curves are.
    """

    curves: tuple[Sequence[tuple[float, float]], ...]
    points: tuple[tuple[float, Spread], ...]

    def at(self, spent: float) -> Spread | None:
        """The losses after so much; None before its first point and after its last."""
        found = [loss_at(curve, spent) for curve in self.curves]
        losses = [loss for loss in found if loss is not None]
        whole = losses and len(losses) == len(found)
        return Spread.of(losses) if whole else None

    @property
    def start(self) -> float:
        return self.points[0][0]

    @property
    def end(self) -> float:
        return self.points[-1][0]


def line_of(runs: Sequence[TextRun], axis: str) -> Line | None:
    """None without runs, and if no amount of `axis` was met by all of them."""
    curves = tuple(curve_of(run, axis) for run in runs)
    line = Line(curves, ())
    places = sorted({spent for curve in curves for spent, _ in curve if spent > 0})
    points = tuple((x, losses) for x in places if (losses := line.at(x)))
    return Line(curves, points) if points else None


@dataclass(frozen=True)
class Goal:
    """What the rival ends with, and what ours spent when it first was there."""

    loss: Spread  # the rival's last one
    whole: float  # what the rival spent on it: the mean over seeds
    reached: int  # by ours, from so many of the seeds
    spent: Spread | None  # by ours; None if it is not there from every seed
    share: Spread | None  # of what the rival spent, seed by seed
    at_most: bool  # ours was there when it was first looked at


def goal_of(
    ours: Sequence[TextRun], theirs: Sequence[TextRun], axis: str
) -> Goal | None:
    """Seed by seed, of those that both have; None if there is none.

    See curves.saving: a run has to be as good as another that was planned to end there.
    """
    mine = {run.seed: curve_of(run, axis) for run in ours}
    pairs = [(mine[r.seed], curve_of(r, axis)) for r in theirs if r.seed in mine]
    if not pairs:
        return None
    # A rival's cost counts, as ours, from when it first was as low as at its end.
    ends = [
        (needed(rival, loss) or end, loss)
        for _, rival in pairs
        for end, loss in rival[-1:]
    ]
    there = [needed(curve, rival[-1][1]) for curve, rival in pairs]
    spent = [x for x in there if x is not None]
    whole = len(spent) == len(pairs)
    return Goal(
        Spread.of([loss for _, loss in ends]),
        statistics.fmean(end for end, _ in ends),
        len(spent),
        Spread.of(spent) if whole else None,
        Spread.of([x / end for x, (end, _) in zip(spent, ends, strict=True)])
        if whole
        else None,
        any(x == curve[0][0] for x, (curve, _) in zip(there, pairs, strict=True)),
    )
