"""10.multiplications: what a layer costs, counted by rules before it is timed."""

import math

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_10.counting import (
    KINDS,
    by_parts,
    convolution,
    filters,
    one_channel,
    projections,
    squares,
    transforms,
    without,
)
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def multiplications(kind: str, L: int, D: int, N: int) -> float:
    """Multiplications of one layer of width D for one sequence of length L.

    kind: "direct", "matrix" or "fft" for Hyena of order N, by how its N - 1 long
    convolutions are computed; "attention" for attention, whatever N.
    """
    if kind == "attention":
        return 4 * D * D * L + 2 * D * L * L
    n = 2 * L
    long = {
        "direct": L * (L + 1) / 2,
        "matrix": L * L,
        "fft": 3 * n * math.log2(n) + 4 * (L + 1),
    }[kind]
    short = 3 * (N + 1) * D * L
    return (N + 2) * D * D * L + short + N * D * L + (N - 1) * D * long


SMALL = "At L = 2 and D = 64: which part of the layer has the most?"
TABLE = "How many streams does the input projection make, and what comes after?"
FFT = "How many transforms are there, and of how many numbers each?"
PAIRS = "How many entries has the table that attention fills?"

COUNT_MISTAKES = (
    Mistake(
        "at small L the D² terms dominate: the projections are missing",
        without("projections"),
        SMALL,
    ),
    Mistake(
        "only the long part is counted: at small L the D² terms dominate",
        without("projections", "short convolution", "gates"),
        SMALL,
    ),
    Mistake(
        "a projection is missing: N + 1 streams in, and one back out",
        projections(lambda N: N + 1),
        TABLE,
    ),
    Mistake(
        "projections are missing: the value is a stream, too, and one leads back out",
        projections(lambda N: N),
        TABLE,
    ),
    Mistake(
        "attention has four projections: query, key, value, and one back out",
        projections(lambda N: N + 2, attention=3),
        "What happens to the values after they are mixed?",
    ),
    Mistake("the short convolution is missing", without("short convolution"), TABLE),
    Mistake(
        "the gates are missing: N of them, one multiplication a step and channel",
        without("gates"),
        TABLE,
    ),
    Mistake("the FFT runs at length 2L: pad first", transforms(3, pad=1), FFT),
    Mistake("forward twice, back once: three transforms", transforms(1), FFT),
    Mistake("forward twice, back once: the way back is missing", transforms(2), FFT),
    Mistake(
        "the product of the two spectra is missing: 4 for each of L + 1 frequencies",
        convolution("fft", lambda L: 3 * 2 * L * math.log2(2 * L)),
        FFT,
    ),
    Mistake(
        "the rule has a logarithm to base 2: how often n can be halved",
        transforms(3, logarithm=math.log(2)),
        "What is log2 of 8?",
    ),
    Mistake(
        "N - 1 long convolutions, as in the authors' code: one fewer than gates",
        filters(lambda N: N),
        "Which gate has no long convolution before it?",
    ),
    Mistake(
        "only one long convolution is counted; order N has N - 1",
        filters(lambda N: 1),
        "How many long filters has order 3?",
    ),
    Mistake(
        "direct: output t reads t + 1 inputs, not all L",
        convolution("direct", lambda L: L * L),
        "How many inputs does output 0 read?",
    ),
    Mistake(
        "direct: output t reads its own input, too",
        convolution("direct", lambda L: L * (L - 1) / 2),
        "How many inputs does output 0 read?",
    ),
    Mistake(
        "matrix: the zeros above the diagonal are multiplied like all the rest",
        convolution("matrix", lambda L: L * (L + 1) / 2),
        "Does a product of matrices know which entries are 0?",
    ),
    Mistake(
        "attention fills the whole square: the half above the diagonal as well",
        squares(lambda L: L * (L + 1) / 2),
        PAIRS,
    ),
    Mistake(
        "the table must be made, and then applied, all of it: scores and mixing",
        without("mixing"),
        "Where does attention's table come from, and what happens with it?",
    ),
    Mistake(
        "one channel is counted; there are D of them",
        one_channel,
        "What grows if D doubles, and how much?",
    ),
    Mistake(
        "additions are counted as well; here only multiplications are",
        lambda kind, L, D, N: 2 * by_parts(kind, L, D, N),
        "Which of the two is asked for?",
    ),
)


def which_kind(fn: Function, failures: Failures) -> str | None:
    """Is a single kind wrong, and all others right?"""
    kinds = {str(case.args[0]) for case, _ in failures}
    if len(kinds) == 1 and not isinstance(failures[0][1], Incorrect):
        return f"only the kind {kinds.pop()!r} is off; go through its rules again"
    return None


def check_multiplications(fn: Function, *, generator: torch.Generator) -> None:
    """All four kinds, small sizes first, lengths that are powers of two."""
    sizes = [(1, 1, 2), (2, 1, 2), (4, 3, 1), (4, 2, 3)]
    for _ in range(3):
        length = 2 ** pick(3, 6, generator)
        sizes.append((length, pick(3, 96, generator), pick(2, 5, generator)))
    cases = []
    for L, D, N in sizes:
        for kind in KINDS:
            args = kind, L, D, N
            given = f"kind {kind!r}, L = {L}, D = {D}, N = {N}"
            cases.append(Case(args, by_parts(*args), given, tolerance=2e-8))
    question = "What does each line of the table come to for L = D = 1 and N = 2?"
    examine(fn, cases, COUNT_MISTAKES, (which_kind,), question)


EXERCISE = Exercise(
    id="10.multiplications",
    objective="Count the multiplications of a layer in four ways of computing it.",
    answer=multiplications,
    hints=(
        "Which parts have all three ways of computing Hyena in common, and which one "
        "alone is different?",
        "Go through the table line by line and add. The logarithm is math.log2; a "
        "transform has n = 2 L numbers, and there are three of them.",
    ),
    checker=check_multiplications,
    points=10,
    minutes=10,
    stars=2,
)
