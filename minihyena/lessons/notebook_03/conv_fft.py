"""03.conv_fft: the causal convolution by FFT, with room for the tail."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, close, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_03.answers import Watch, as_signal
from minihyena.lessons.probes import Failures, leaks_the_future

__all__ = ["EXERCISE"]

LONG = 256  # steps at which the work is counted
rfft, irfft = torch.fft.rfft, torch.fft.irfft


def conv_fft(u: Tensor, h: Tensor) -> Tensor:
    """u: (..., L), h: (K <= L,) -> (..., L): y[t] = sum of h[s] u[t - s], s <= t.

    Causal: before step 0 there is nothing. By multiplying two spectra.
    """
    n = u.shape[-1] + h.shape[-1] - 1
    product = torch.fft.rfft(u, n) * torch.fft.rfft(h, n)
    y = torch.fft.irfft(product, n)
    return y[..., : u.shape[-1]]  # type: ignore[no-any-return]


def conv_by_loops(u: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(u.shape[-1]):
        for s in range(min(t + 1, len(h))):
            y[..., t] += h[s].double() * u[..., t - s].double()
    return y.to(u.dtype)


def at_size(u: Tensor, h: Tensor, n: int) -> Tensor:
    """All n samples of the product of spectra of this size."""
    y: Tensor = irfft(rfft(u, n) * rfft(h, n), n)
    return y


def both(u: Tensor, h: Tensor) -> tuple[int, int]:
    return u.shape[-1], h.shape[-1]


def in_single(fn: Function, failures: Failures) -> str | None:
    """Do only float64 cases fail, and by no more than float32 rounds?"""
    near = all(
        case.args[0].dtype == torch.float64 and close(got, case.expected, 1e-5)  # type: ignore[attr-defined]
        for case, got in failures
    )
    return "right to six digits only: float64 became float32 on the way" * near or None


TAIL = "Where do the last K−1 samples of the whole convolution go?"
FFT_CONV_MISTAKES = (
    Mistake(
        "outputs 0…K−2 differ and the last agrees: the tail wrapped onto the start",
        lambda u, h: at_size(u, h, u.shape[-1]),
        TAIL,
    ),
    Mistake(
        "outputs 0…K−2 differ, and a short filter does not even fit: pad both to one "
        "size, with room for the tail",
        lambda u, h: irfft(rfft(u) * rfft(h), u.shape[-1]),
        TAIL,
    ),
    Mistake(
        "one zero too few: the very last sample of the tail still lands on output 0",
        lambda u, h: at_size(u, h, max(1, sum(both(u, h)) - 2))[..., : u.shape[-1]],
        "How many samples has the convolution of L steps with K taps?",
    ),
    Mistake(
        "got 2L−2 samples: an odd-length spectrum needs `n=` on the way back",
        lambda u, h: irfft(rfft(u, 2 * u.shape[-1] - 1) * rfft(h, 2 * u.shape[-1] - 1)),
        "How many bins has the short spectrum of 4 samples, and of 5?",
    ),
    Mistake(
        "an odd-length spectrum needs `n=` on the way back: without it one sample is "
        "lost, and all others move",
        lambda u, h: irfft(rfft(u, sum(both(u, h)) - 1) * rfft(h, sum(both(u, h)) - 1))[
            ..., : u.shape[-1]
        ],
        "How many bins has the short spectrum of 4 samples, and of 5?",
    ),
    Mistake(
        "every negative output turned positive: take the real part, not the size",
        lambda u, h: at_size(u, h, 2 * u.shape[-1])[..., : u.shape[-1]].abs(),
        "What is the size of -2 + 0i, and what its real part?",
    ),
    Mistake(
        "length 2L returned; keep the first L",
        lambda u, h: at_size(u, h, 2 * u.shape[-1]),
        "Which of the outputs belong to steps that exist?",
    ),
    Mistake(
        "the tail is still there, L + K − 1 samples in all; keep the first L",
        lambda u, h: at_size(u, h, sum(both(u, h)) - 1),
        "Which of the outputs belong to steps that exist?",
    ),
    Mistake(
        "the last L were kept, which is mostly tail; keep the first L",
        lambda u, h: at_size(u, h, 2 * u.shape[-1])[..., -u.shape[-1] :],
        "Which of the outputs belong to steps that exist?",
    ),
    Mistake(
        "a window in the middle was kept: output 0 already knows later inputs",
        lambda u, h: at_size(u, h, 2 * u.shape[-1])[
            ..., (len(h) - 1) // 2 : (len(h) - 1) // 2 + u.shape[-1]
        ],
        "Which inputs may output 0 read?",
    ),
    Mistake(
        "the filter is turned round: one spectrum was conjugated, and this is "
        "correlation",
        lambda u, h: irfft(
            rfft(u, 2 * u.shape[-1]) * rfft(h, 2 * u.shape[-1]).conj(), 2 * u.shape[-1]
        )[..., : u.shape[-1]],
        "With u = [1, 0, 0], in which order should the taps come out?",
    ),
    Mistake(
        "n times too large: the way back divides by n",
        lambda u, h: (
            at_size(u, h, 2 * u.shape[-1])[..., : u.shape[-1]] * 2 * u.shape[-1]
        ),
        "What does irfft do besides turning forwards?",
    ),
    Mistake(
        "multiply the spectra, not the signals",
        lambda u, h: u * torch.nn.functional.pad(h, (0, u.shape[-1] - len(h))),
        "What carries anything from step 0 to step 1?",
    ),
)


def is_quick(fn: Function, generator: torch.Generator) -> None:
    """Incorrect if the work grows with L times K."""
    u, h = torch.randn(2, LONG, generator=generator)
    watch = Watch.of(fn, Case((u, h), u, ""))
    if watch.made > LONG**2 / 4:
        raise Incorrect(
            "the right numbers, and slowly: the work grows as L times K, as in the "
            "loop",
            f"u and h with {LONG} steps each",
            f"a few spectra of about {2 * LONG} samples",
            f"{watch.made:,} numbers made on the way",
            "What does one multiplication of two spectra do for all lags at once?",
        )


def check_conv_fft(fn: Function, *, generator: torch.Generator) -> None:
    """Odd, even and prime lengths, short and full filters, batches, both precisions."""
    cases = []
    long, prime = pick(8, 12, generator), (11, 13, 17)[pick(0, 2, generator)]
    for shape, taps in (
        ((2,), 2),
        ((3,), 3),
        ((3,), 2),
        ((4,), 4),
        ((5,), 1),
        ((2, 3), 3),
        ((2, 2, 4), 3),
        ((long,), long),
        ((prime,), pick(2, 9, generator)),
    ):
        signal, filter = (short(*s, generator=generator) for s in (shape, (taps,)))
        for dtype in (torch.float32, torch.float64):
            u, h = signal.to(dtype), filter.to(dtype)

            def run(fn: Function, args: tuple[Tensor, Tensor] = (u, h)) -> object:
                return as_signal(attempt(fn, *args))

            given = f"u = {show(u)}, h = {show(h)}, u of shape {shape}"
            cases.append(Case((u, h), conv_by_loops(u, h), given, run))
    question = "Which samples does the whole convolution have, and which fit into n?"
    probes = (in_single, leaks_the_future)
    examine(fn, cases, FFT_CONV_MISTAKES, probes, question)
    is_quick(fn, generator)


EXERCISE = Exercise(
    id="03.conv_fft",
    objective="Implement the causal convolution by FFT, the fast twin of the slow one.",
    answer=conv_fft,
    hints=(
        "The convolution of L steps with K taps has L + K − 1 samples. How large must "
        "the ring be so that none of them meets another?",
        "rfft(u, n) puts the zeros behind u for you; irfft wants the same n again, or "
        "it guesses an even one. Of the n samples the first L are the answer.",
    ),
    checker=check_conv_fft,
    points=15,
    minutes=15,
    stars=2,
)
