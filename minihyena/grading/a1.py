"""A1, convolution three ways: the same numbers by definition, by matrix, by FFT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minihyena.conv import toeplitz
from minihyena.grading.parts import (
    CONVOLUTIONS,
    Assignment,
    Functions,
    Parameters,
    Part,
    Property,
    Written,
    parameters_from,
)
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, close, pick, short, show, truth
from minihyena.lessons.exercise import Function, Incorrect

__all__ = ["A1"]

NEAR = {torch.float32: 1e-4, torch.float64: 1e-10}
Conv = Callable[[Tensor, Tensor], Tensor]


def by_definition(u: Tensor, h: Tensor) -> Tensor:
    """u: (..., L), h: (K,) -> (..., L): y[t] = sum of h[s] u[t - s] over s <= t."""
    y, length = torch.zeros(u.shape, dtype=torch.float64), u.shape[-1]
    for s in range(min(len(h), length)):
        y[..., s:] += h[s].double() * u[..., : length - s].double()
    return y.to(u.dtype)


def ring(u: Tensor, h: Tensor, n: int) -> Tensor:
    """The first steps of a convolution on a ring of n samples."""
    size = u.shape[-1]
    product = torch.fft.rfft(u, n) * torch.fft.rfft(h[:n], n)
    return torch.fft.irfft(product, n)[..., :size]  # type: ignore[no-any-return]


MISTAKES = (
    Mistake(
        "the filter is not flipped: this is correlation, which reads what comes later",
        lambda u, h: by_definition(u.flip(-1), h).flip(-1),
        "For u = [1, 0, 0] and h = [1, 2, 3], what should come out?",
    ),
    Mistake(
        "the tail wrapped round onto the first outputs",
        lambda u, h: ring(u, h, u.shape[-1]),
        "How many samples has the whole convolution of L steps with K taps?",
    ),
    Mistake(
        "the term of the present step is missing",
        lambda u, h: by_definition(u, torch.cat([0 * h[:1], h[1:]])),
        "Which tap meets u[t] in output t?",
    ),
)


def cases(parameters: Parameters, generator: torch.Generator) -> list[Case]:
    """Every length with every number of taps, one signal or several, either dtype."""
    found = []
    for length in parameters["lengths"]:
        for taps in parameters["taps"]:
            shape = (pick(1, parameters["channels"], generator), length)
            u = short(
                *(shape if pick(0, 1, generator) else shape[1:]), generator=generator
            )
            h = short(taps, generator=generator)
            dtype = [*NEAR][pick(0, 1, generator)]
            u, h = u.to(dtype), h.to(dtype)
            given = f"u = {show(u)} of shape {tuple(u.shape)}, h = {show(h)}"
            right, near = by_definition(u, h), NEAR[dtype]
            found.append(Case((u, h), right, given, tolerance=near))
    return found


def is_right(name: str) -> Any:
    """This function gives the sum of the definition."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        examine(fns[name], cases(parameters, generator), MISTAKES)

    return check


def agree_in_float64(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Three routes to one number, in the first ten digits, and without a trace."""
    length = max(parameters["lengths"]) + pick(0, 6, generator)
    u, h = (short(n, generator=generator) for n in (length, length))
    routes = {name: attempt(fns[name], u, h) for name in sorted(fns)}
    right = Case((u, h), by_definition(u, h), "")
    for name, y in routes.items():
        if not right.agrees(y, right.expected):
            single = close(y, right.expected, 1e-4)
            raise Incorrect(
                f"{name} is apart from the definition at L = K = {length} in float64",
                f"u = {show(u)}, h = {show(h)}",
                show(right.expected),
                show(y),
                "Is something computed in float32 on the way?" if single else "",
            )


# The bank of broken convolutions; students' tests see them as black boxes.

SOUND: tuple[Conv, ...] = (
    by_definition,
    lambda u, h: ring(u, h, u.shape[-1] + len(h)),
    lambda u, h: toeplitz(h, len(u)) @ u,
)


def early(y: Tensor) -> Tensor:
    """y one step too soon."""
    return torch.cat([y[1:], 0 * y[:1]])


BROKEN: dict[str, tuple[str, tuple[Conv, ...]]] = {
    "correlation": (
        "does not flip the filter",
        (
            lambda u, h: by_definition(u.flip(-1), h).flip(-1),
            lambda u, h: by_definition(u, h.flip(-1)),
        ),
    ),
    "ring": (
        "wraps round",
        (
            lambda u, h: ring(u, h, len(u)),
            lambda u, h: ring(u, h, len(u) + len(h) - 2) if len(h) > 1 else u * h,
        ),
    ),
    "time": (
        "is early, late or drops a tap",
        (
            lambda u, h: early(by_definition(u, h)),
            lambda u, h: by_definition(u, torch.cat([0 * h[:1], h])),
            lambda u, h: by_definition(u, h[:2]),
            lambda u, h: by_definition(u, torch.cat([0 * h[:1], h[1:]])),
        ),
    ),
    "size": (
        "scales the values or loses a sign",
        (
            lambda u, h: by_definition(u, h).abs(),
            lambda u, h: by_definition(u, h) / len(h),
            lambda u, h: by_definition(u, h / h.abs().sum()),
        ),
    ),
}


def rejects(kind: str) -> Any:
    """It says True to sound convolutions and False to these broken ones."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        says, broken = BROKEN[kind]
        convs = [
            *((one, 0) for one in SOUND),
            *((c, n) for n, c in enumerate(broken, 1)),
        ]
        again = torch.randint(len(convs), (2,), generator=generator).tolist()
        order = torch.randperm(len(convs), generator=generator).tolist()
        for conv, number in (convs[i] for i in (*order, *again)):
            said = verdict(fns["accepts"], conv, parameters["longest"])
            if not said and number == 0:
                raise Incorrect(
                    "your test rejects a right convolution",
                    "one that agrees with the definition but for rounding: in float32 "
                    "about 1e-6 where numbers are near 1",
                    "True",
                    "False",
                    "Is your own expected value right, and what tolerance has it?",
                )
            if said and number:
                raise Incorrect(
                    f"your test accepts a convolution that {says}",
                    f"number {number} of the {len(broken)} broken so",
                    "False",
                    "True",
                    "Which input would show the difference?",
                )

    return check


def verdict(accepts: Function, conv: Conv, longest: int) -> bool:
    """What the student's test says about a convolution that it cannot look into."""

    def black_box(u: Tensor, h: Tensor) -> Tensor:
        u, h = torch.as_tensor(u), torch.as_tensor(h)
        if u.dim() != 1 or h.dim() != 1 or not 1 <= len(h) <= len(u) <= longest:
            raise ValueError(
                f"conv takes u (L,) and h (K,) with 1 <= K <= L <= {longest}; got "
                f"{tuple(u.shape)} and {tuple(h.shape)}"
            )
        u = u if u.is_floating_point() else u.float()
        return conv(u, h.to(u.dtype)).to(u.dtype)

    return truth(attempt(accepts, black_box))


def in_pieces(which: Callable[[int, int, int], bool]) -> Any:
    """Right for those lengths, taps and chunks."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        found = []
        longest = max(parameters["taps"])  # there is always one that fits
        for length in (*parameters["lengths"], 2 * longest):
            sizes = {*parameters["chunks"], longest, 1, length, length + 3}
            for taps in parameters["taps"]:
                for chunk in sorted(sizes):
                    if which(length, taps, chunk):
                        u = short(length, generator=generator)
                        h = short(taps, generator=generator)
                        given = f"L = {length}, K = {taps}, chunk = {chunk}"
                        found.append(Case((u, h, chunk), by_definition(u, h), given))
        examine(fns["conv_in_pieces"], found, PIECES)

    return check


def each_alone(u: Tensor, h: Tensor, chunk: int) -> Tensor:
    return torch.cat([by_definition(part, h) for part in torch.split(u, chunk)])


PIECES = (
    Mistake(
        "each piece forgets the one before: its tail is missing",
        each_alone,
        "Where do the last K - 1 samples of a piece's convolution belong?",
    ),
    Mistake(
        "the tail of each piece wrapped round inside the piece",
        lambda u, h, chunk: torch.cat(
            [ring(p, h, len(p)) for p in torch.split(u, chunk)]
        ),
        "How many samples has a piece's convolution?",
    ),
)

A1 = Assignment(
    id="A1",
    title="Convolution three ways",
    parts=(
        Part(
            name="routes",
            title="Three routes that agree",
            functions=("conv_direct", "conv_matrix", "conv_fft"),
            properties=(
                Property(8, "conv_direct is the definition", is_right("conv_direct")),
                Property(8, "conv_matrix gives the same", is_right("conv_matrix")),
                Property(8, "conv_fft gives the same", is_right("conv_fft")),
                Property(6, "all three agree in ten digits", agree_in_float64),
            ),
            forbidden=CONVOLUTIONS,
        ),
        Part(
            name="tests",
            title="A test that tells right from broken",
            functions=("accepts",),
            properties=(
                Property(7, "rejects what does not flip", rejects("correlation")),
                Property(6, "rejects what wraps round", rejects("ring")),
                Property(
                    6, "rejects what is early, late or drops a tap", rejects("time")
                ),
                Property(
                    6, "rejects what scales values or loses a sign", rejects("size")
                ),
            ),
        ),
        Part(
            name="pieces",
            title="A long signal in pieces",
            functions=("conv_in_pieces",),
            properties=(
                Property(
                    8,
                    "right where the pieces fit",
                    in_pieces(lambda n, k, c: n % c == 0 and k <= c),
                ),
                Property(
                    8,
                    "right where the last piece is short or the filter longer",
                    in_pieces(lambda n, k, c: n % c != 0 or k > c),
                ),
                Property(
                    4,
                    "right for pieces of one sample, and for one piece",
                    in_pieces(lambda n, k, c: c in (1, n, n + 3)),
                ),
            ),
            forbidden=CONVOLUTIONS,
        ),
    ),
    written=(
        Written("hand", "By hand", 10),
        Written("wrap", "The smallest example of wrap-around", 15),
    ),
    parameters=parameters_from(Path(__file__).with_suffix(".toml")),
)
