"""04.positional_features: what the network is told about a time."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def positional_features(length: int, bands: int) -> Tensor:
    """length L, bands K -> (L, 2K + 1): row i is what the network hears of step i.

    Column 0 is the time i / (L - 1), from 0 to 1; for L = 1 the time is 0. Then K
    cosines and K sines of the angles 2 pi k i / L, for the bands k = 0 .. K - 1: hand k
    makes k turns in L steps.
    """
    step, band = torch.arange(length)[:, None], torch.arange(bands)
    angle = 2 * torch.pi * band * step / length
    time = step / max(length - 1, 1)
    return torch.cat([time, angle.cos(), angle.sin()], dim=1)


def features_by_loops(length: int, bands: int) -> Tensor:
    rows = []
    for i in range(length):
        turns = [2 * math.pi * k * i / length for k in range(bands)]
        time = i / (length - 1) if length > 1 else 0.0
        rows.append([time, *map(math.cos, turns), *map(math.sin, turns)])
    return torch.tensor(rows)


def slip(
    time: Callable[[int, int], float] = lambda i, n: i / max(n - 1, 1),
    turns: Callable[[int, int, int], float] = lambda k, i, n: k * i / n,
    first: int = 0,
    waves: tuple[Callable[[float], float], ...] = (math.cos, math.sin),
    woven: bool = False,
) -> Function:
    """The features with one part exchanged; turns are whole turns of hand k."""

    def features(length: int, bands: int) -> Tensor:
        rows = []
        for i in range(length):
            angles = [
                2 * math.pi * turns(k, i, length) for k in range(first, first + bands)
            ]
            parts = [[wave(angle) for angle in angles] for wave in waves]
            if woven:
                parts = [list(pair) for pair in zip(*parts, strict=True)]
            rows.append([time(i, length), *(x for part in parts for x in part)])
        return torch.tensor(rows)

    return features


FEATURE_MISTAKES = (
    Mistake(
        "the time column ends at L−1, not at 1: the features change their scale with "
        "the length",
        slip(time=lambda i, n: i),
        "What should the last step be called, whatever the length?",
    ),
    Mistake(
        "the time column ends before 1: divide by L−1, the number of gaps",
        slip(time=lambda i, n: i / n),
        "Between L posts, how many gaps are there?",
    ),
    Mistake(
        "band 1 must make one full turn over the sequence: the 2π is missing",
        slip(turns=lambda k, i, n: k * i / n / (2 * math.pi)),
        "Which angle is a full turn?",
    ),
    Mistake(
        "band 1 must make one full turn over the sequence: time is in [0, 1], and "
        "k times it is no full turn without a 2π",
        slip(turns=lambda k, i, n: k * i / max(n - 1, 1) / (2 * math.pi)),
        "Which angle is a full turn?",
    ),
    Mistake(
        "the hands are back one step too early: their angle has L below, not L−1",
        slip(turns=lambda k, i, n: k * i / max(n - 1, 1)),
        "After how many steps is hand 1 back where it began?",
    ),
    Mistake(
        "half a turn: band 1 comes only half way round, as π is no full turn",
        slip(turns=lambda k, i, n: k * i / n / 2),
        "Which angle is a full turn?",
    ),
    Mistake(
        "K + 1 columns: without sines a band cannot shift its phase",
        slip(waves=(math.cos,)),
        "How would you write a cosine that begins a quarter of a turn later?",
    ),
    Mistake(
        "K + 1 columns: without cosines every wave begins at 0",
        slip(waves=(math.sin,)),
        "How would you write a sine that begins at 1?",
    ),
    Mistake(
        "the bands are counted from 1: band 0, which does not turn, is missing",
        slip(first=1),
        "How often does the first of K hands turn?",
    ),
    Mistake(
        "the sines come before the cosines",
        slip(waves=(math.sin, math.cos)),
        "In which order does the docstring name the columns?",
    ),
    Mistake(
        "cosine and sine alternate: first come all cosines, then all sines",
        slip(woven=True),
        "Which band do the columns 1 and 2 belong to?",
    ),
    Mistake(
        "the sines have a minus sign: that is how the authors' code turns; here they "
        "turn forwards, as in the paper",
        slip(waves=(math.cos, lambda angle: -math.sin(angle))),
        "Which sign has the sine of a small angle?",
    ),
)


def check_positional_features(fn: Function, *, generator: torch.Generator) -> None:
    """Short and longer lengths with few and more bands, in float32 as the weights."""
    drawn = pick(9, 14, generator), pick(3, 6, generator)
    cases = []
    for length, bands in ((2, 1), (3, 2), (4, 1), (5, 3), (1, 2), drawn):
        given = f"length = {length}, bands = {bands}; shown row by row"
        expected = features_by_loops(length, bands)
        cases.append(Case((length, bands), expected, given, tolerance=2e-5))
    question = "Write the three rows for L = 3, K = 2 by hand: what stands in them?"
    examine(fn, cases, FEATURE_MISTAKES, question=question)


EXERCISE = Exercise(
    id="04.positional_features",
    objective="Tell a network where it is in the filter, by time and by hands.",
    answer=positional_features,
    hints=(
        "Where do the hands of notebook 03 stand at step i, and where is their shadow?",
        "Make a column of steps and a row of bands with torch.arange; 2 pi k i / L is "
        "their product. torch.cat([time, cosines, sines], dim=1) joins the columns.",
    ),
    checker=check_positional_features,
    points=10,
    minutes=10,
    stars=2,
)
