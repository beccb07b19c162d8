"""03.fft: a spectrum from two spectra of half the size, all the way down."""

import cmath

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_03.answers import (
    Watch,
    as_pairs,
    first_wrong_number,
    in_pairs,
)

__all__ = ["EXERCISE"]

LONG = 128  # samples at which the work is counted


def fft(u: Tensor) -> Tensor:
    """u: (n,) real, n a power of two -> (n,) complex: its spectrum, by halves.

    Calls itself on the even and on the odd samples; no call of torch.fft.
    """
    n = len(u)
    if n == 1:
        return u + 0j
    even, odd = fft(u[0::2]), fft(u[1::2])
    turned = torch.exp(-2j * torch.pi * torch.arange(n // 2) / n) * odd
    return torch.cat([even + turned, even - turned])


def spectrum_by_loops(u: Tensor) -> Tensor:
    n, values = len(u), u.double().tolist()
    bins = [
        sum(values[t] * cmath.exp(-2j * cmath.pi * k * t / n) for t in range(n))
        for k in range(n)
    ]
    return torch.tensor(bins, dtype=torch.complex128)


def by_halves(
    split: str = "parity",
    turn: float = -2.0,
    join: str = "plus minus",
    deep: bool = True,
) -> Function:
    """The recursion with one of its parts exchanged; turn is in half turns, over n."""

    def spectrum(u: Tensor) -> Tensor:
        n = len(u)
        if n == 1:
            return u + 0j
        parts = [u[0::2], u[1::2]]
        if split == "halves":
            parts = [u[: n // 2], u[n // 2 :]]
        even, odd = (spectrum(part) if deep else part + 0j for part in parts)
        if split == "swapped":
            even, odd = odd, even
        step = torch.exp(turn * 1j * torch.pi * torch.arange(n // 2) / n)
        turned = step * odd
        if join == "turns the even half":
            even, turned = step * even, odd
        sums = [even + turned, even - turned]
        if join == "plus plus":
            sums = [sums[0], sums[0]]
        if join == "minus plus":
            sums = [sums[1], sums[0]]
        if join == "woven":
            return torch.stack(sums, -1).flatten()
        if join == "halved":
            return torch.cat(sums) / 2
        return torch.cat(sums)

    return spectrum


DRAW = "Write the sum for n = 2 and for n = 4: which samples does each half hold?"
FFT_MISTAKES = (
    Mistake(
        "split into even and odd positions, not first and second half",
        by_halves(split="halves"),
        DRAW,
    ),
    Mistake(
        "the odd half must be turned by exp(−2πik/n) before adding",
        by_halves(turn=0.0),
        "Sample 1 is one step later than sample 0: how far has hand k turned by then?",
    ),
    Mistake(
        "the second half of the spectrum subtracts the odd part",
        by_halves(join="plus plus"),
        "Where does hand k + n/2 point at an odd sample, and where does hand k?",
    ),
    Mistake(
        "the first half of the spectrum adds the odd part, the second subtracts it",
        by_halves(join="minus plus"),
        "Bin 0 is a sum: which sign does it have?",
    ),
    Mistake(
        "turned the wrong way: this is the inverse direction",
        by_halves(turn=2.0),
        "Which way do the hands of a spectrum turn?",
    ),
    Mistake(
        "turned twice as far as needed: the angle is −2πk/n with the whole n",
        by_halves(turn=-4.0),
        "How far does hand 1 turn from one sample to the next, out of n?",
    ),
    Mistake(
        "turned half as far as needed: a full turn is 2π",
        by_halves(turn=-1.0),
        "How far does hand 1 turn from one sample to the next, out of n?",
    ),
    Mistake(
        "the even half was turned; it is the odd one that is a step late",
        by_halves(join="turns the even half"),
        "Which half begins with sample 0?",
    ),
    Mistake(
        "even and odd are swapped: the half that begins with sample 0 is not turned",
        by_halves(split="swapped"),
        "Which half begins with sample 0?",
    ),
    Mistake(
        "the bins are interleaved: all sums come first, then all differences",
        by_halves(join="woven"),
        "Which bins hold even + odd, and which even − odd?",
    ),
    Mistake(
        "the halves were not transformed: the function must call itself on both",
        by_halves(deep=False),
        "What are the even samples before anybody took their spectrum?",
    ),
    Mistake(
        "divided by 2 at every level, so by n in all: the way there has no factor",
        by_halves(join="halved"),
        "What is bin 0 of [1, 1]?",
    ),
)


def is_quick(fn: Function, generator: torch.Generator) -> None:
    """Incorrect if torch's own transform was asked, or if the work grows as n²."""
    u = torch.randn(LONG, generator=generator)
    watch = Watch.of(fn, Case((u,), u, ""))
    question = "Which two smaller spectra would you like to be given?"
    borrowed = sorted(name for name in watch.names if name.startswith("fft_"))
    if borrowed:
        raise Incorrect(
            "the right numbers, from torch's own transform: here you build it",
            f"{LONG} samples",
            "no call of torch.fft",
            f"a call of torch.fft.{borrowed[0].removeprefix('fft_')}",
            question,
        )
    if watch.made > 1.5 * LONG**2:
        raise Incorrect(
            "the right numbers, and slowly: the work grows as n², as with the matrix",
            f"{LONG} samples",
            f"about {LONG} times log2({LONG}) = {LONG * 7:,} numbers, a few times",
            f"{watch.made:,} numbers made on the way",
            question,
        )


def check_fft(fn: Function, *, generator: torch.Generator) -> None:
    """Sizes 1 to 16 in both precisions against the sum, and the work at 128."""
    cases = []
    for n in (1, 2, 4, 8, 2 ** pick(3, 4, generator)):
        drawn = short(n, generator=generator)
        for dtype in (torch.float32, torch.float64):
            u = drawn.to(dtype)
            expected = in_pairs(spectrum_by_loops(u))

            def run(fn: Function, u: Tensor = u) -> object:
                return as_pairs(attempt(fn, u), tuple(u.shape))

            given = f"u = {show(u)}, n = {n}; bins as real part, imaginary part"
            cases.append(Case((u,), expected, given, run, tolerance=1e-4))
    question = "For n = 2 the bins are u[0] + u[1] and u[0] − u[1]: what are yours?"
    examine(fn, cases, FFT_MISTAKES, (first_wrong_number,), question)
    is_quick(fn, generator)


EXERCISE = Exercise(
    id="03.fft",
    objective="Implement the fast Fourier transform as a recursion.",
    answer=fft,
    hints=(
        "Suppose somebody handed you the spectra of u[0::2] and of u[1::2]. What is "
        "missing to put the spectrum of u together?",
        "n = 1: the sample is its own spectrum, as a complex number. Else turn the odd "
        "spectrum by exp(-2 pi i k / n) for k below n/2; even + turned are the first "
        "n/2 bins, even - turned the others.",
    ),
    checker=check_fft,
    points=20,
    minutes=20,
    stars=3,
)
