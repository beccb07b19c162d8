"""03.circular_conv: multiply two spectra, and the signals go round in a ring."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.notebook_03.answers import as_signal

__all__ = ["EXERCISE"]

to, back = torch.fft.fft, torch.fft.ifft


def circular_conv(u: Tensor, h: Tensor) -> Tensor:
    """u: (..., L), h: (L,), both real -> (..., L) real: y[t] = sum h[s] u[t - s].

    On a ring: what comes before step 0 is the end. By multiplying the two spectra.
    """
    product = torch.fft.fft(u) * torch.fft.fft(h)
    return torch.fft.ifft(product).real  # type: ignore[no-any-return]


def ring_by_loops(u: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(u.shape[-1]):
        for s in range(u.shape[-1]):
            y[..., t] += h[s].double() * u[..., (t - s) % u.shape[-1]].double()
    return y.to(u.dtype)


def along_the_batch(u: Tensor, h: Tensor) -> Tensor:
    y: Tensor = back(to(u, dim=0) * to(h), dim=0).real
    return y


WAY_BACK = "After the product, how do you get from bins to steps again?"
RING_MISTAKES = (
    Mistake(
        "this is circular correlation: the spectrum of h was conjugated, which turns "
        "the filter round",
        lambda u, h: back(to(u) * to(h).conj()).real,
        "With u = [1, 0, 0], in which order should the taps come out?",
    ),
    Mistake(
        "this is circular correlation, with the spectrum of u conjugated",
        lambda u, h: back(to(u).conj() * to(h)).real,
        "With u = [1, 0, 0], in which order should the taps come out?",
    ),
    Mistake(
        "multiply the spectra, not the signals",
        lambda u, h: u * h,
        "What carries anything from step 0 to step 1?",
    ),
    Mistake(
        "exactly n times too large: the way back divides by n",
        lambda u, h: torch.fft.ifft(to(u) * to(h), norm="forward").real,
        WAY_BACK,
    ),
    Mistake(
        "n times too small: the way back divides by n already",
        lambda u, h: back(to(u) * to(h)).real / u.shape[-1],
        WAY_BACK,
    ),
    Mistake(
        "negative outputs turned positive: take the real part, not the size",
        lambda u, h: back(to(u) * to(h)).abs(),
        "What is the size of -2 + 0i, and what its real part?",
    ),
    Mistake(
        "the real part of a spectrum: the way back is missing",
        lambda u, h: (to(u) * to(h)).real,
        WAY_BACK,
    ),
    Mistake(
        "transformed forwards twice: the result runs backwards and is n times too "
        "large",
        lambda u, h: to(to(u) * to(h)).real,
        WAY_BACK,
    ),
    Mistake(
        "the spectra were added; that only lays one signal over the other",
        lambda u, h: back(to(u) + to(h)).real,
        "What happens to a tone that both of them hold?",
    ),
    Mistake(
        "only the sizes were multiplied: the phases say where things are",
        lambda u, h: back(to(u).abs() * to(h).abs()).real,
        "What is the size of a delay's spectrum, and what does it not tell?",
    ),
    Mistake(
        "nothing went round: this is the padded convolution of the next exercise, and "
        "here the tail should come back at the start",
        lambda u, h: back(to(u, 2 * len(h)) * to(h, 2 * len(h))).real[..., : len(h)],
        "On a ring of three, what comes before step 0?",
    ),
    Mistake(
        "got L−1 samples: an odd-length spectrum needs `n=` on the way back",
        lambda u, h: torch.fft.irfft(torch.fft.rfft(u) * torch.fft.rfft(h)),
        "How many bins has the short spectrum of 4 samples, and of 5?",
    ),
    Mistake(
        "transformed along the batch: time is the last axis",
        along_the_batch,
        "Which axis of u is time?",
    ),
)


def check_circular_conv(fn: Function, *, generator: torch.Generator) -> None:
    """Odd and even rings, one signal and several, both precisions."""
    cases = []
    long = pick(5, 9, generator)
    for shape in ((3,), (4,), (5,), (2, 3), (2, 2, 4), (3, long)):
        signal, taps = (short(*s, generator=generator) for s in (shape, shape[-1:]))
        for dtype in (torch.float32, torch.float64):
            u, h = signal.to(dtype), taps.to(dtype)

            def run(fn: Function, args: tuple[Tensor, Tensor] = (u, h)) -> object:
                return as_signal(attempt(fn, *args))

            given = f"u = {show(u)}, h = {show(h)}, u of shape {shape}"
            cases.append(Case((u, h), ring_by_loops(u, h), given, run))
    question = "What are the outputs for u = [1, 0, 0, 0], by hand?"
    examine(fn, cases, RING_MISTAKES, question=question)


EXERCISE = Exercise(
    id="03.circular_conv",
    objective="Convolve on a ring by multiplying two spectra.",
    answer=circular_conv,
    hints=(
        "The filter makes each tone larger or smaller and turns it. Which number says "
        "by how much, and where do all n of them stand together?",
        "Transform u and h, multiply bin by bin, transform back; two real signals "
        "give a real one, so drop the imaginary part, which is rounding.",
    ),
    checker=check_circular_conv,
    points=8,
    minutes=8,
    stars=1,
)
