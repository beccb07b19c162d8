"""A2, Hyena from the equations: filter, projection, recurrence, and its matrix.

The oracles take one number at a time, in float64. B batch, L length, D width, N order.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minihyena.grading.parts import (
    Assignment,
    Functions,
    Parameters,
    Part,
    Property,
    Written,
    parameters_from,
)
from minihyena.grading.sandbox.wire import gradients
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    Case,
    attempt,
    close,
    in_both_precisions,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.probes import Failures, looks_ahead

__all__ = ["A2"]

TOLERANCE = 1e-4  # rounding in float32 stays below it, an error of 1e-3 does not
CONVOLUTIONS = ("conv1d", "Conv1d", "convolve", "conv2d", "Conv2d", "fftconvolve")


def in_both(oracle: Function, args: tuple[object, ...], given: str) -> list[Case]:
    return in_both_precisions(oracle, args, given, TOLERANCE)


# Part 1, the filter.


def features_by_loops(
    length: int,
    bands: int,
    time: Callable[[int, int], float] = lambda i, n: i / max(n - 1, 1),
    angle: Callable[[int, int], float] = lambda i, n: 2 * math.pi * i / n,
    frequency: Callable[[int, int], float] = lambda k, K: (
        1e-4 + k * (K - 1 - 1e-4) / max(K - 1, 1)
    ),
    waves: tuple[Callable[[float], float], ...] = (math.cos, lambda x: -math.sin(x)),
    woven: bool = False,
) -> Tensor:
    """length L, bands K -> (L, 2K + 1); what comes after them can be got wrong."""
    rows = []
    for i in range(length):
        angles = [frequency(k, bands) * angle(i, length) for k in range(bands)]
        parts = [[wave(x) for x in angles] for wave in waves]
        if woven:
            parts = [list(pair) for pair in zip(*parts, strict=True)]
        rows.append([time(i, length), *(x for part in parts for x in part)])
    return torch.tensor(rows, dtype=torch.float64)


def slip(**wrong: Any) -> Function:
    return partial(features_by_loops, **wrong)


FEATURES = (
    Mistake(
        "the time column ends at L−1, not at 1: it is not normalised",
        slip(time=lambda i, n: i),
        "What should the last step be called, whatever the length?",
    ),
    Mistake(
        "the time column ends before 1: divide by L−1, the number of gaps",
        slip(time=lambda i, n: i / n),
        "Between L posts, how many gaps are there?",
    ),
    Mistake(
        "the angle has L below, not L−1: time and angle are normalised differently",
        slip(angle=lambda i, n: 2 * math.pi * i / max(n - 1, 1)),
        "Which of the two has to come back to its start after L steps?",
    ),
    Mistake(
        "the 2π is missing: no band makes a full turn",
        slip(angle=lambda i, n: i / n),
        "Which angle is a full turn?",
    ),
    Mistake(
        "the frequencies are whole numbers: here they start at 1e-4, not at 0",
        slip(frequency=lambda k, K: k),
        "What are the first and the last of the K frequencies?",
    ),
    Mistake(
        "the frequencies are counted from 1: they run from 1e-4 to K−1",
        slip(frequency=lambda k, K: k + 1),
        "What are the first and the last of the K frequencies?",
    ),
    Mistake(
        "the sines have a plus sign: that is the paper's; here it is a minus",
        slip(waves=(math.cos, math.sin)),
        "Which sign stands before the sine in the formula?",
    ),
    Mistake(
        "the sines come before the cosines",
        slip(waves=(lambda x: -math.sin(x), math.cos)),
        "In which order does the formula name the columns?",
    ),
    Mistake(
        "cosine and sine alternate: first come all cosines, then all sines",
        slip(woven=True),
        "Which band do the columns 1 and 2 belong to?",
    ),
    Mistake(
        "there are no sines: without them a band cannot shift its phase",
        slip(waves=(math.cos,)),
        "How many columns do K bands need?",
    ),
)


def features_are_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Every length with every number of bands; float32 and float64 are both right."""
    sizes = [(n, k) for n in parameters["lengths"] for k in parameters["bands"]]
    sizes += [(1, pick(1, 3, generator)), (pick(12, 16, generator),) * 2]
    examine(
        fns["features"],
        [
            Case(size, features_by_loops(*size), given, in_double(size), TOLERANCE)
            for size in sizes
            for given in ["length = {}, bands = {}; shown row by row".format(*size)]
        ],
        FEATURES,
        question="Write the rows for L = 3 and K = 2 by hand: what stands in them?",
    )


def in_double(args: tuple[object, ...]) -> Callable[[Function], object]:
    """Run a function whose arguments have no dtype: any precision will do."""

    def run(fn: Function) -> object:
        value = attempt(fn, *args)
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.double()
        return value

    return run


Bend = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # W a, b, omega, depth -> a


def network_by_loops(
    z: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], omega: Tensor
) -> Tensor:
    """One number at a time: z (L, E) -> (L, D)."""
    turns, rows = omega.tolist(), z.tolist()
    tables = [w.tolist() for w in weights]
    for table, bias in zip(tables[:-1], [b.tolist() for b in biases], strict=True):
        sums = [
            [dot(line, row) + b for line, b in zip(table, bias, strict=True)]
            for row in rows
        ]
        rows = [
            [math.sin(w * x) for w, x in zip(turns, row, strict=True)] for row in sums
        ]
    rows = [[dot(line, row) for line in tables[-1]] for row in rows]
    return torch.tensor(rows, dtype=torch.float64).to(z.dtype)


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def bent(bend: Bend, last: Callable[[Tensor, Tensor], Tensor] | None = None) -> Any:
    """A network with something else in place of the sines, or at the very end."""

    def network(
        z: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], omega: Tensor
    ) -> Tensor:
        for depth, b in enumerate(biases):
            z = bend(z @ weights[depth].T, b, omega, depth)
        z = z @ weights[-1].T
        return last(z, omega) if last else z

    return network


SLOW = "How far must x move until sin(ω x) has gone once up and down?"
NETWORK = (
    Mistake(
        "ω is not used: every sine turns at the speed of ω = 1",
        bent(lambda a, b, w, depth: (a + b).sin()),
        SLOW,
    ),
    Mistake(
        "the amplitude grew by ω, the frequency did not: ω belongs inside the sine",
        bent(lambda a, b, w, depth: w * (a + b).sin()),
        SLOW,
    ),
    Mistake(
        "the bias escapes ω: sin(ω (W a + b)), with b inside the brackets",
        bent(lambda a, b, w, depth: (w * a + b).sin()),
        "What is ω times (W a + b), written out?",
    ),
    Mistake(
        "only the first layer has its ω; every sine has it",
        bent(lambda a, b, w, depth: ((w if depth == 0 else 1) * (a + b)).sin()),
        "Which of the layers are followed by a sine?",
    ),
    Mistake(
        "the output is trapped in [−1, 1]; the last layer is linear",
        bent(
            lambda a, b, w, depth: (w * (a + b)).sin(),
            lambda a, w: a.sin(),
        ),
        "How large may a tap of a filter be?",
    ),
    Mistake(
        "the network bends where a sine should oscillate: this is a ReLU",
        bent(lambda a, b, w, depth: (w * (a + b)).relu()),
        "How many bends does it take to draw a single wave?",
    ),
    Mistake(
        "the biases are left out",
        bent(lambda a, b, w, depth: (w * a).sin()),
        "What does a layer say to an input of zeros?",
    ),
    Mistake(
        "there is no sine at all: layers with nothing between them are one layer",
        bent(lambda a, b, w, depth: a + b),
        "What is a table of weights times a table of weights?",
    ),
)


def layers(
    features: int, parameters: Parameters, generator: torch.Generator, *, small: bool
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Weights, biases and ω, of one unit, one channel and one sine if small."""
    most = (parameters[key] for key in ("units", "channels", "sines"))
    units, channels, sines = (1 if small else pick(2, n, generator) for n in most)
    sizes = [features, *(units for _ in range(sines)), channels]
    weights = [
        short(out, into, generator=generator) / into**0.5
        for into, out in pairwise(sizes)
    ]
    biases = [short(units, generator=generator) for _ in range(sines)]
    return weights, biases, 1 + short(units, generator=generator).abs()


def network_is_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """One sine and several, narrow and wide, both precisions."""
    cases = []
    for number, length in enumerate([1, *parameters["lengths"]]):
        small = number < 2
        features = 1 if small else pick(2, 5, generator)
        z = short(length, features, generator=generator)
        weights, biases, omega = layers(features, parameters, generator, small=small)
        given = f"z = {show(z, count=4)}, {said(weights, biases, omega)}"
        cases += in_both(network_by_loops, (z, weights, biases, omega), given)
    question = "With one unit in each layer: what comes out for one feature?"
    examine(fns["sine_network"], cases, NETWORK, question=question)


def said(weights: list[Tensor], biases: list[Tensor], omega: Tensor) -> str:
    """The layers in words."""
    sizes = [weights[0].shape[1], *(len(w) for w in weights)]
    text = f"layers {' → '.join(map(str, sizes))}, ω = {show(omega)}"
    if weights[0].numel() == 1:
        numbers = [*weights, *biases]
        text += f", weights and biases {', '.join(show(part) for part in numbers)}"
    return text


def window_by_loops(length: int, rates: Tensor, floor: float) -> Tensor:
    rows = [
        [math.exp(-abs(r) * i / max(length - 1, 1)) + floor for i in range(length)]
        for r in rates.tolist()
    ]
    return torch.tensor(rows, dtype=torch.float64).to(rates.dtype)


def fading(length: int, rates: Tensor) -> Tensor:
    """The window without its floor."""
    return window_by_loops(length, rates, 0.0)


WINDOW = (
    Mistake(
        "the window rises where a rate is negative: the formula has |rate|",
        lambda length, rates, floor: (
            torch.exp(-rates[:, None] * torch.arange(length) / max(length - 1, 1))
            + floor
        ),
        "May an input count more the older it is?",
    ),
    Mistake(
        "the window rises: the oldest input counts most",
        lambda length, rates, floor: 1 / fading(length, rates) + floor,
        "May an input count more the older it is?",
    ),
    Mistake(
        "the time counts steps, 0 to L−1, and not from 0 to 1",
        lambda length, rates, floor: (
            torch.exp(-rates.abs()[:, None] * torch.arange(length)) + floor
        ),
        "What is the time of the last step, whatever the length?",
    ),
    Mistake(
        "the time ends before 1: divide by L−1, the number of gaps",
        lambda length, rates, floor: (
            torch.exp(-rates.abs()[:, None] * torch.arange(length) / length) + floor
        ),
        "Between L posts, how many gaps are there?",
    ),
    Mistake(
        "all channels are equal; each has its own rate",
        lambda length, rates, floor: (
            fading(length, rates[:1]).expand(len(rates), -1) + floor
        ),
        "Which rate belongs to the last channel?",
    ),
    Mistake(
        "the tail falls below the floor: nothing was added",
        lambda length, rates, floor: fading(length, rates),
        "What is left of an input that is very old?",
    ),
    Mistake(
        "this cuts the tail off at the floor; the floor is added, at every time",
        lambda length, rates, floor: fading(length, rates).clamp(min=floor),
        "What is the window at time 0, with a floor of 0.5?",
    ),
    Mistake(
        "this squeezes the window between the floor and 1; the floor is added on top",
        lambda length, rates, floor: floor + (1 - floor) * fading(length, rates),
        "What is the window at time 0, with a floor of 0.5?",
    ),
)


def turned(fn: Function, failures: Failures) -> str | None:
    """Are rows and columns exchanged, every time that it is wrong?"""
    shapes = [
        (tuple(got.shape), tuple(case.expected.shape))
        for case, got in failures
        if isinstance(got, Tensor) and isinstance(case.expected, Tensor)
    ]
    if len(shapes) == len(failures) and all(a == b[::-1] != b for a, b in shapes):
        return "time runs down the columns: channels are rows here, (D, L)"
    return None


def rates_and_floor(
    channels: int, number: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Rates of either sign, the first negative; a floor, but none in case 0."""
    rates = 3 * short(channels, generator=generator)
    rates[0] = -rates[0].abs()
    return rates, 0.0 if number == 0 else pick(1, 8, generator) / 20


def window_is_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Every length, one channel and several, rates of either sign, with a floor."""
    cases = []
    for number, length in enumerate([*parameters["lengths"], 1]):
        channels = 1 if number < 2 else pick(2, parameters["channels"], generator)
        rates, floor = rates_and_floor(channels, number, generator)
        given = f"length = {length}, rates = {show(rates)}, floor = {floor}"
        cases += in_both(window_by_loops, (length, rates, floor), given)
    question = "What is the window at time 0, and what at time 1?"
    examine(fns["window"], cases, WINDOW, (turned,), question)


def filter_by_loops(
    length: int,
    bands: int,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    omega: Tensor,
    rates: Tensor,
    floor: float,
) -> Tensor:
    """(D, L): the three parts together."""
    drawn = drawn_by_loops(length, bands, weights, biases, omega)
    shape = window_by_loops(length, rates.double(), floor)
    return (drawn * shape).to(rates.dtype)


def drawn_by_loops(
    length: int,
    bands: int,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    omega: Tensor,
) -> Tensor:
    """(D, L) in float64: what the network says, no window yet."""
    doubles = [[part.double() for part in parts] for parts in (weights, biases)]
    z = features_by_loops(length, bands)
    return network_by_loops(z, *doubles, omega.double()).T


def shaped(by: Callable[[Tensor, Tensor, float], Tensor]) -> Function:
    """What the network says, with something else done to it: by(drawn, rates, c)."""
    return lambda length, bands, weights, biases, omega, rates, floor: by(
        drawn_by_loops(length, bands, weights, biases, omega), rates.double(), floor
    ).to(rates.dtype)


FILTER = (
    Mistake(
        "the window is missing: this is what the network says",
        shaped(lambda drawn, rates, floor: drawn),
        "What makes the filter forget?",
    ),
    Mistake(
        "the window was added; it multiplies, tap by tap",
        shaped(
            lambda drawn, rates, floor: (
                drawn + window_by_loops(drawn.shape[1], rates, floor)
            )
        ),
        "What should be left of a tap where the window is almost 0?",
    ),
    Mistake(
        "the floor was added to the filter; it belongs to the window",
        shaped(
            lambda drawn, rates, floor: drawn * fading(drawn.shape[1], rates) + floor
        ),
        "What should be left of a tap of 0?",
    ),
    Mistake(
        "the floor is missing: the window falls to nothing",
        shaped(lambda drawn, rates, floor: drawn * fading(drawn.shape[1], rates)),
        "What is left of a tap that is very old?",
    ),
    Mistake(
        "this is the window: what the network says is missing",
        shaped(
            lambda drawn, rates, floor: window_by_loops(drawn.shape[1], rates, floor)
        ),
        "What does the filter look like between two lags?",
    ),
)


def filter_is_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Features, network and window together, both precisions."""
    cases = []
    for number, length in enumerate([*parameters["lengths"], 1]):
        for bands in parameters["bands"]:
            parts = layers(2 * bands + 1, parameters, generator, small=number < 1)
            rates, floor = rates_and_floor(len(parts[0][-1]), number, generator)
            given = f"length = {length}, bands = {bands}, {said(*parts)}"
            given += f", rates = {show(rates)}, floor = {floor}"
            args = length, bands, *parts, rates, floor
            cases += in_both(filter_by_loops, args, given)
    question = "Which of the three parts is right by itself?"
    examine(fns["implicit_filter"], cases, FILTER, (turned,), question)


# Part 2, projection and short convolution.


def streams_by_loops(u: Tensor, weight: Tensor, bias: Tensor, streams: int) -> Tensor:
    """(S, B, D, L): stream i from the rows i D to i D + D - 1."""
    width = u.shape[-1]
    lines, biases = weight.tolist(), bias.tolist()
    found = [
        [
            [[dot(lines[r], step) + biases[r] for step in row] for r in rows]
            for row in u.tolist()
        ]
        for rows in (range(i * width, i * width + width) for i in range(streams))
    ]
    return torch.tensor(found, dtype=torch.float64).to(u.dtype)


def together(streams: object) -> object:
    """(S, B, D, L) of a list or tuple of S tensors (B, D, L), if it is one."""
    if isinstance(streams, list | tuple) and streams:
        parts = [part for part in streams if isinstance(part, Tensor)]
        if len(parts) < len(streams):
            raise Incorrect("what came out is no list of tensors")
        shapes = {tuple(part.shape): None for part in parts}
        if len(shapes) > 1:
            raise Incorrect(
                f"the streams have different shapes: {', '.join(map(str, shapes))}"
            )
        return torch.stack(parts)
    return streams


def stacked(case: Case) -> Case:
    return replace(case, run=lambda fn: together(attempt(fn, *case.args)))


def projected(
    by: Callable[[Tensor, int], Tensor],
    prepared: Callable[[Tensor, Tensor, int], Tensor] = lambda w, b, s: w,
    bias: bool = True,
) -> Function:
    """by(p, S): (B, L, S D) -> (S, B, D, L), from weights made by `prepared`."""

    def project(u: Tensor, weight: Tensor, b: Tensor, streams: int) -> Tensor:
        p = u @ prepared(weight, b, streams).T
        return by(p + b if bias else p, streams)

    return project


def split(p: Tensor, streams: int) -> Tensor:
    return torch.stack(p.chunk(streams, -1)).transpose(-1, -2)


PROJECT = (
    Mistake(
        "the bias is missing",
        projected(split, bias=False),
        "What comes out for an input of zeros?",
    ),
    Mistake(
        "the weight was used the wrong way round: row r of it makes output r",
        projected(split, lambda w, b, streams: w.T),
        "Which numbers of the weight make the first output?",
    ),
    Mistake(
        "the rows were dealt out in turn; a stream owns D neighbouring rows",
        projected(
            lambda p, streams: torch.stack(
                [p[..., i::streams] for i in range(streams)]
            ).transpose(-1, -2)
        ),
        "Which rows of the weight make stream 0?",
    ),
    Mistake(
        "the streams come in reverse: the first rows make the first stream",
        projected(lambda p, streams: split(p, streams).flip(0)),
        "Which rows of the weight make stream 0?",
    ),
    Mistake(
        "every stream is the first one; each has rows of its own",
        projected(lambda p, streams: split(p, streams)[:1].expand(streams, -1, -1, -1)),
        "How many rows has the weight?",
    ),
    Mistake(
        "steps and channels were reshaped into one another; exchange the two axes",
        projected(
            lambda p, streams: (
                split(p, streams)
                .transpose(-1, -2)
                .reshape(streams, len(p), -1, p.shape[1])
            )
        ),
        "Is the second number of stream 0 another step, or another channel?",
    ),
    Mistake(
        "the streams are (B, L, D): channels come before time here",
        projected(lambda p, streams: split(p, streams).transpose(-1, -2)),
        "On which axis must time stand for a convolution along the last one?",
    ),
)


def project_is_right(several: bool) -> Any:
    """Right for one stream, or for several."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        cases = []
        for streams in parameters["streams"] if several else [1]:
            for number, length in enumerate(parameters["lengths"]):
                batch, width = sizes(parameters, number, generator)
                u = short(batch, length, width, generator=generator)
                weight = short(streams * width, width, generator=generator)
                bias = short(streams * width, generator=generator)
                given = f"u = {show(u)} of shape {tuple(u.shape)}, weight = "
                given += f"{show(weight)}, bias = {show(bias)}, streams = {streams}"
                args = u, weight, bias, streams
                cases += map(stacked, in_both(streams_by_loops, args, given))
        question = "What is the first number of stream 0, by hand?"
        examine(fns["project"], cases, PROJECT, question=question)

    return check


def sizes(
    parameters: Parameters, number: int, generator: torch.Generator
) -> tuple[int, int]:
    """Batch and channels: one of each in case 0, more in the others."""
    most = (parameters[key] for key in ("batch", "channels"))
    batch, channels = (1 if number == 0 else pick(2, n, generator) for n in most)
    return batch, channels


def short_by_loops(x: Tensor, taps: Tensor) -> Tensor:
    """y[t] = sum of taps[K - 1 - j] x[t - j], channel by channel."""
    most, weights = taps.shape[1], taps.tolist()
    rows = [
        [
            [
                sum(w[most - 1 - j] * row[t - j] for j in range(min(most, t + 1)))
                for t in range(len(row))
            ]
            for w, row in zip(weights, channels, strict=True)
        ]
        for channels in x.tolist()
    ]
    return torch.tensor(rows, dtype=torch.float64).to(x.dtype)


SHORT = (
    Mistake(
        "the taps are in the wrong order: the last one is now",
        lambda x, taps: short_by_loops(x, taps.flip(1)),
        "With x = [1, 0, 0], which tap should come out first?",
    ),
    Mistake(
        "it reads what comes later: all zeros belong in front",
        lambda x, taps: short_by_loops(x.flip(-1), taps.flip(1)).flip(-1),
        "Which inputs may output 0 read?",
    ),
    Mistake(
        "it reads what comes later: all zeros belong in front",
        lambda x, taps: short_by_loops(x.flip(-1), taps).flip(-1),
        "Which inputs may output 0 read?",
    ),
    Mistake(
        "every channel got the taps of channel 0",
        lambda x, taps: short_by_loops(x, taps[:1].expand_as(taps)),
        "How many taps are there in all?",
    ),
    Mistake(
        "only the present counts: the other taps do nothing",
        lambda x, taps: taps[:, -1:] * x,
        "How does output 1 learn of input 0?",
    ),
    Mistake(
        "the end of the signal came back at the start: roll turns it into a ring",
        lambda x, taps: sum(
            taps[:, -1 - j, None] * x.roll(j, -1) for j in range(taps.shape[1])
        ),
        "What stands before the first input?",
    ),
)


def short_is_right(inside: bool) -> Any:
    """Right for signals longer than the taps, or shorter ones and a single tap."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        longer, cases = parameters["longer"], []
        wanted = [
            (k, k + pick(1, longer, generator) if inside else pick(1, k, generator))
            for k in parameters["taps"]
        ]
        wanted += [] if inside else [(1, pick(2, longer, generator))]
        for number, (taps, length) in enumerate(wanted):
            batch, width = sizes(parameters, number, generator)
            x = short(batch, width, length, generator=generator)
            w = short(width, taps, generator=generator)
            given = f"x = {show(x)} of shape {tuple(x.shape)}, taps = {show(w)}"
            cases += in_both(short_by_loops, (x, w), given)
        question = "What are y[0] and y[1] of the first channel, by hand?"
        examine(fns["short_conv"], cases, SHORT, (looks_ahead(1),), question)

    return check


# Part 3, the recurrence.


def carried(h: Sequence[float], z: Sequence[float]) -> list[float]:
    """The causal convolution, by its definition."""
    return [sum(h[t - s] * z[s] for s in range(t + 1)) for t in range(len(z))]


def times(x: Sequence[float], z: Sequence[float]) -> list[float]:
    return [a * b for a, b in zip(x, z, strict=True)]


def hyena_by_loops(
    v: Tensor, gates: Tensor, filters: Tensor, skips: Tensor | None = None
) -> Tensor:
    """v (B, D, L), gates (N, B, D, L), filters (N or N - 1, D, L), skips (N - 1, D)."""
    y = torch.empty(v.shape, dtype=torch.float64)
    for b in range(v.shape[0]):
        for d in range(v.shape[1]):
            z, x, h = (
                part.tolist() for part in (v[b, d], gates[:, b, d], filters[:, d])
            )
            if skips is None:
                for gate, taps in zip(x, h, strict=True):
                    z = times(gate, carried(taps, z))
            else:
                for gate, taps, skip in zip(x, h, skips[:, d].tolist(), strict=False):
                    z = times(gate, z)
                    past = carried(taps, z)
                    z = [p + skip * now for p, now in zip(past, z, strict=True)]
                z = times(x[-1], z)
            y[b, d] = torch.tensor(z, dtype=torch.float64)
    return y.to(v.dtype)


def conv(z: Tensor, h: Tensor) -> Tensor:
    """z (B, D, L), h (D, L): one delayed copy for each tap; for what is got wrong."""
    y = torch.zeros_like(z)
    for s in range(z.shape[-1]):
        y[..., s:] += h[:, s, None] * z[..., : z.shape[-1] - s]
    return y


def ring(z: Tensor, h: Tensor) -> Tensor:
    """The convolution that comes round to its start."""
    return sum(
        (h[:, s, None] * z.roll(s, -1) for s in range(z.shape[-1])), torch.zeros_like(z)
    )


Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # z, gate, filter, v -> z


def stepping(step: Step, gates: int = 1, filters: int = 1) -> Function:
    """The paper's recurrence with another step; -1: gates or filters in reverse."""

    def hyena(v: Tensor, x: Tensor, h: Tensor, skips: Tensor | None = None) -> Tensor:
        z = v
        for gate, taps in zip([*x][::gates], [*h][::filters], strict=True):
            z = step(z, gate, taps, v)
        return z

    return hyena


def stage(z: Tensor, x: Tensor, h: Tensor, v: Tensor) -> Tensor:
    return x * conv(z, h)


PAPER = (
    Mistake(
        "it gates before it convolves: first carry, then gate",
        stepping(lambda z, x, h, v: conv(x * z, h)),
        "Which of the two stands outside in x · (h conv z)?",
    ),
    Mistake(
        "right for N = 1, wrong from N = 2: every stage has its own filter",
        lambda v, x, h, skips=None: stepping(stage)(v, x, h[:1].expand_as(h)),
        "Which filter does stage 2 use?",
    ),
    Mistake(
        "the last gate was used first: gates[0] belongs to the first stage",
        stepping(stage, gates=-1),
        "Which gate stands beside filters[0]?",
    ),
    Mistake(
        "the last filter was used first: filters[0] belongs to the first stage",
        stepping(stage, filters=-1),
        "Which filter stands beside gates[0]?",
    ),
    Mistake(
        "the last stage came first: both gates and filters were turned round",
        stepping(stage, gates=-1, filters=-1),
        "Which stage does v meet first?",
    ),
    Mistake(
        "every stage began again from v: hand on what the stage before it made",
        stepping(lambda z, x, h, v: x * conv(v, h)),
        "What does stage 2 work on?",
    ),
    Mistake(
        "the tail came round to the start: a transform needs room for 2L−1 samples",
        stepping(lambda z, x, h, v: x * ring(z, h)),
        "What does y[0] know of the last input?",
    ),
    Mistake(
        "the filters are convolved, but no gate is applied",
        stepping(lambda z, x, h, v: conv(z, h)),
        "Where do the gates come in?",
    ),
    Mistake(
        "the filter was multiplied, not convolved: each step met one tap only",
        stepping(lambda z, x, h, v: x * h * z),
        "How does anything get from one step to another?",
    ),
    Mistake(
        "a gate multiplies: with a gate of zeros the output must be zero",
        stepping(lambda z, x, h, v: x + conv(z, h)),
        "What comes out of a closed gate?",
    ),
    Mistake(
        "Definition 3.1 has no way round a stage: z is replaced, not added to",
        stepping(lambda z, x, h, v: z + x * conv(z, h)),
        "What comes out of a closed gate?",
    ),
    Mistake(
        "only the first stage was run",
        lambda v, x, h, skips=None: stage(v, x[0], h[0], v),
        "How often does the loop go round when there are two gates?",
    ),
)


def skipping(step: Callable[..., Tensor], last: bool = True, order: int = 1) -> Any:
    """The authors' recurrence with another step(z, gate, filter, skip)."""

    def hyena(v: Tensor, x: Tensor, h: Tensor, skips: Tensor) -> Tensor:
        gates, z = [*x][::order], v
        for gate, taps, skip in zip(gates, [*h], [*skips], strict=False):
            z = step(z, gate, taps, skip[:, None])
        return gates[-1] * z if last else z

    return hyena


def right(z: Tensor, x: Tensor, h: Tensor, d: Tensor) -> Tensor:
    return conv(x * z, h) + d * x * z


def everywhere(z: Tensor, x: Tensor, h: Tensor, d: Tensor) -> Tensor:
    return conv(x * z, h + d)


REFERENCE = (
    Mistake(
        "the skip is missing: each convolution also passes on d · z",
        skipping(lambda z, x, h, d: conv(x * z, h)),
        "What comes out of a stage whose filter is all zeros?",
    ),
    Mistake(
        "the skip goes to every tap; it acts at lag 0 only",
        skipping(everywhere),
        "Which tap of a filter meets the newest input?",
    ),
    Mistake(
        "the skip passes by the gate: it carries what goes into the convolution",
        skipping(lambda z, x, h, d: conv(x * z, h) + d * z),
        "What does the skip carry where the gate is closed?",
    ),
    Mistake(
        "the skip took the place of tap 0: it is added to what stands there",
        skipping(lambda z, x, h, d: right(z, x, h, d - h[:, :1])),
        "What do the filter's own tap 0 and the skip do together?",
    ),
    Mistake(
        "the skip has no weight: d is multiplied with z",
        skipping(lambda z, x, h, d: conv(x * z, h) + x * z),
        "What does a skip of 0 let through?",
    ),
    Mistake(
        "the last gate is missing: there is one gate more than there are filters",
        skipping(right, last=False),
        "How many of the N gates have been used?",
    ),
    Mistake(
        "the last gate was used first: gates[0] meets v, gates[N−1] the output",
        skipping(right, order=-1),
        "Which gate does v meet first?",
    ),
    Mistake(
        "it convolves before it gates: here the first gate meets v itself",
        skipping(lambda z, x, h, d: x * (conv(z, h) + d * z)),
        "What comes out at order 1, where there is no filter at all?",
    ),
    Mistake(
        "every stage uses the first filter and its skip",
        lambda v, x, h, d: skipping(right)(
            v, x, h[:1].expand_as(h), d[:1].expand_as(d)
        ),
        "Which filter does stage 2 use?",
    ),
    Mistake(
        "the tail came round to the start: a transform needs room for 2L−1 samples",
        skipping(lambda z, x, h, d: ring(x * z, h) + d * x * z),
        "What does y[0] know of the last input?",
    ),
)


def recurrence_parts(
    order: int,
    shape: tuple[int, int, int],
    generator: torch.Generator,
    *,
    paper: bool,
) -> tuple[Tensor, ...]:
    """v, gates, filters, and skips but for the paper: of size 1 whatever the length."""
    v, *gates = short(order + 1, *shape, generator=generator)
    filters = short(order - (not paper), *shape[1:], generator=generator)
    parts = v, torch.stack(gates), filters / shape[-1] ** 0.5
    if paper:
        return parts
    return *parts, short(order - 1, shape[1], generator=generator)


def in_words(parts: Sequence[Tensor | None]) -> str:
    """At most four numbers of each."""
    order, shape = len(parts[1]), tuple(parts[0].shape)  # type: ignore[arg-type, union-attr]
    named = zip(("v", "gates", "filters", "skips"), parts, strict=False)
    numbers = [
        f"{name} = {'None' if part is None else show(part, count=4)}"
        for name, part in named
    ]
    return f"N = {order}, v of shape {shape}: {', '.join(numbers)}"


def hyena_is_right(paper: bool, orders: Callable[[Parameters], list[int]]) -> Any:
    """Right in one convention, at these orders, for every length, both precisions."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        cases = []
        for order in orders(parameters):
            for number, length in enumerate(parameters["lengths"]):
                shape = *sizes(parameters, number, generator), length
                drawn = recurrence_parts(order, shape, generator, paper=paper)
                parts = (*drawn, None) if paper else drawn
                cases += in_both(hyena_by_loops, parts, in_words(parts))
        examine(
            fns["hyena"],
            cases,
            PAPER if paper else REFERENCE,
            (looks_ahead(1),),
            "What does the first stage make of v, by hand, at steps 0 and 1?",
        )

    return check


def conventions_agree(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Reference = paper with h¹ = impulse and skips in tap 0; to ten digits."""
    for order in [1, *parameters["orders"]]:
        length = max(parameters["lengths"]) + pick(0, 6, generator)
        shape = *sizes(parameters, 1, generator), length
        v, gates, filters, skips = recurrence_parts(
            order, shape, generator, paper=False
        )
        impulse = torch.eye(length, dtype=torch.float64)[0]
        first = impulse.expand(1, shape[1], length)
        literal = torch.cat([first, filters + skips[..., None] * impulse])
        expected = hyena_by_loops(v, gates, filters, skips)
        case = Case((), expected, in_words((v, gates, filters, skips)))
        answers = {
            "reference": attempt(fns["hyena"], v, gates, filters, skips),
            "paper": attempt(fns["hyena"], v, gates, literal, None),
        }
        for name, y in answers.items():
            if not case.agrees(y, expected):
                raise Incorrect(
                    f"the {name} convention is not right to ten digits in float64",
                    case.given,
                    show(expected),
                    show(y),
                    "Is something computed in float32 on the way?"
                    if close(y, expected, 1e-3)
                    else "Do both conventions give one y, as the identity says?",
                )


def slopes(
    total: Callable[..., float], parts: Sequence[Tensor]
) -> Iterator[tuple[Tensor, ...]]:
    """How fast a total grows with each number: exact, as it is of first degree."""
    start = total(*parts)
    for which, part in enumerate(parts):
        rises = torch.eye(part.numel(), dtype=torch.float64).reshape(-1, *part.shape)
        yield (
            torch.tensor(
                [
                    total(*parts[:which], part + rise, *parts[which + 1 :])
                    for rise in rises
                ],
                dtype=torch.float64,
            ).reshape(part.shape)
            - start
        )  # type: ignore[misc]


def compare_gradients(
    fn: Function,
    names: Sequence[str],
    parts: Sequence[Tensor],
    total: Callable[..., float],
    cotangent: Tensor,
    given: str,
) -> None:
    """Raise Incorrect unless autograd says of fn what differences say of the oracle."""
    y = attempt(fn, *parts)
    if not isinstance(y, Tensor) or y.shape != cotangent.shape:
        shape = tuple(getattr(y, "shape", ())) or type(y).__name__
        raise Incorrect(
            f"the answer is of shape {shape}, not {tuple(cotangent.shape)}", given
        )
    try:
        found = attempt(partial(gradients, fn), cotangent, *parts)
    except Incorrect as error:
        if "differentiable" not in error.misconception:
            raise
        raise Incorrect(
            "the answer carries no gradient, so nothing could be trained: stay with "
            "torch's own functions, without detach, .data, .item() or numpy",
            given,
        ) from None
    assert isinstance(found, list)
    for name, got, right in zip(names, found, slopes(total, parts), strict=True):
        if not close(got, right, TOLERANCE):
            says = "is not that of the definition"
            raise Incorrect(
                f"the gradient with respect to {name} {says}"
                if got.any()
                else f"no gradient reaches {name}",
                f"{given}; the gradient of the sum of outputs times {show(cotangent)}",
                show(right),
                show(got),
                f"Is {name} used, in every step, as it came in?",
            )


def hyena_gradients_are_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Of every argument, in both conventions, against differences of the loops."""
    for order in parameters["orders"]:
        for paper in (True, False):
            shape = (1, pick(1, 2, generator), parameters["differences"])
            parts = recurrence_parts(order, shape, generator, paper=paper)
            weights = short(*shape, generator=generator)

            def total(*parts: Tensor, weights: Tensor = weights) -> float:
                return float((weights * hyena_by_loops(*parts)).sum())

            names = ("v", "gates", "filters", "skips")[: len(parts)]
            given = in_words(parts)
            compare_gradients(fns["hyena"], names, parts, total, weights, given)


# Part 4, the matrix.


def matrix_by_loops(gates: Tensor, filters: Tensor) -> Tensor:
    """gates, filters (N, D, L) -> (D, L, L): what becomes of a 1 at each step."""
    length = gates.shape[-1]
    units = torch.eye(length, dtype=gates.dtype)[:, None].expand(-1, *gates.shape[1:])
    frozen = gates[:, None].expand(-1, length, -1, -1)
    return hyena_by_loops(units, frozen, filters).permute(1, 2, 0)


def staircase(h: Tensor) -> Tensor:
    """(D, L) -> (D, L, L), by columns: for what is got wrong."""
    length = h.shape[-1]
    columns = [
        torch.cat([h[:, :0].new_zeros(len(h), s), h[:, : length - s]], -1)
        for s in range(length)
    ]
    return torch.stack(columns, -1)


def product(step: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Function:
    """A matrix made stage by stage, step(matrix, gate, filter)."""

    def matrix(gates: Tensor, filters: Tensor) -> Tensor:
        made = torch.eye(gates.shape[-1], dtype=gates.dtype).repeat(
            gates.shape[1], 1, 1
        )
        for x, h in zip(gates, filters, strict=True):
            made = step(made, x, h)
        return made

    return matrix


def rows_of(x: Tensor, h: Tensor) -> Tensor:
    """diag(x) T(h)."""
    return x[..., None] * staircase(h)


MATRIX = (
    Mistake(
        "columns are scaled where rows should be: that gates before it convolves",
        product(lambda m, x, h: staircase(h) * x[:, None] @ m),
        "Which outputs does gate[0] belong to, and in which row do they stand?",
    ),
    Mistake(
        "rows and columns are exchanged: row t is what output t reads",
        lambda gates, filters: product(lambda m, x, h: rows_of(x, h) @ m)(
            gates, filters
        ).transpose(-1, -2),
        "On which side of the diagonal is the past?",
    ),
    Mistake(
        "the factors stand in reverse: the stage that v meets first stands on the right",
        product(lambda m, x, h: m @ rows_of(x, h)),
        "In A B v, which of the two tables does v meet first?",
    ),
    Mistake(
        "there is no gate in it: these are the filters alone",
        product(lambda m, x, h: staircase(h) @ m),
        "What should change in the matrix when a gate does?",
    ),
    Mistake(
        "one after another is a product of tables, not a product entry by entry",
        lambda gates, filters: torch.stack(
            [rows_of(x, h) for x, h in zip(gates, filters, strict=True)]
        ).prod(0),
        "Through how many steps can input s reach output t in two stages?",
    ),
    Mistake(
        "the stages were added: each works on what the one before it made",
        lambda gates, filters: torch.stack(
            [rows_of(x, h) for x, h in zip(gates, filters, strict=True)]
        ).sum(0),
        "What does stage 2 work on?",
    ),
    Mistake(
        "every row holds the same taps: the filter starts anew at each column",
        product(lambda m, x, h: (x[..., None] * h[:, None]).tril() @ m),
        "At which column does h[0] stand in row 2?",
    ),
    Mistake(
        "all sizes without their signs: a matrix of magnitudes",
        lambda gates, filters: matrix_by_loops(gates, filters).abs(),
        "What does an output do when an input it reads with a minus grows?",
    ),
)


def upper_triangle(fn: Function, failures: Failures) -> str | None:
    """Does some output read a later input, every time that it is wrong?"""
    matrices = [got for _, got in failures if isinstance(got, Tensor)]
    if len(matrices) == len(failures) and all(
        got.dim() == 3 and got.triu(1).any() for got in matrices
    ):
        return "above the diagonal something stands: some output reads a later input"
    return None


def stages(
    order: int, width: int, length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, str]:
    """gates and filters (N, D, L), and both in words."""
    gates, filters = short(2, order, width, length, generator=generator)
    filters = filters / length**0.5
    given = f"gates = {show(gates)} of shape {tuple(gates.shape)}, filters = "
    return gates, filters, given + show(filters)


def drawn_stages(
    orders: Sequence[int], parameters: Parameters, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Every order with every length, one channel first."""
    for order in orders:
        for number, length in enumerate(parameters["lengths"]):
            width = 1 if number == 0 else pick(2, parameters["channels"], generator)
            yield stages(order, width, length, generator)


def one_stage_is_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Entry [t, s] is gate[t] filter[t - s], both precisions."""
    cases = [
        case
        for *args, given in drawn_stages([1], parameters, generator)
        for case in in_both(matrix_by_loops, tuple(args), given)
    ]
    question = "Which two numbers should be multiplied at row 1, column 0?"
    examine(fns["hyena_matrix"], cases, MATRIX, (upper_triangle,), question)


def gives_the_recurrence(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """For drawn signals, matrix times v is what the recurrence makes of v."""
    cases = []
    for gates, filters, given in drawn_stages(
        parameters["orders"], parameters, generator
    ):
        v = short(*gates.shape[1:], generator=generator)

        def run(fn: Function, args: tuple[Tensor, ...], v: Tensor = v) -> object:
            matrix = attempt(fn, *args)
            width, length = v.shape
            if not isinstance(matrix, Tensor) or matrix.shape != (
                width,
                length,
                length,
            ):
                shape = tuple(getattr(matrix, "shape", ())) or type(matrix).__name__
                raise Incorrect(f"the matrix is {shape}, not {(width, length, length)}")
            return (matrix.double() @ v[..., None])[..., 0].to(matrix.dtype)

        def oracle(gates: Tensor, filters: Tensor, v: Tensor = v) -> Tensor:
            y = hyena_by_loops(v[None], gates[:, None].double(), filters.double())
            return y[0].to(gates.dtype)

        for case in in_both(oracle, (gates, filters), f"{given}, v = {show(v)}"):
            cases.append(replace(case, run=partial(run, args=case.args)))
    question = "In which order does v meet the factors?"
    examine(fns["hyena_matrix"], cases, MATRIX, question=question)


def reads_no_later_input(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Exactly 0 above the diagonal; on it and below, what the recurrence gives."""
    orders = [1, *parameters["orders"]]
    for gates, filters, given in drawn_stages(orders, parameters, generator):
        for case in in_both(matrix_by_loops, (gates, filters), given):
            examine(fns["hyena_matrix"], [case], MATRIX, (upper_triangle,))
            later = attempt(fns["hyena_matrix"], *case.args).triu(1)  # type: ignore[attr-defined]
            if later.any():
                raise Incorrect(
                    "above the diagonal stands rounding, where exactly 0 should: "
                    "no output reads a later input, not even a little",
                    given,
                    "0",
                    f"{float(later.abs().max()):.2g}",
                    "Which step of yours lets every input touch every output?",
                )


def matrix_gradients_are_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Gradients of gates and filters through the matrix, against differences."""
    for order in parameters["orders"]:
        width, length = pick(1, 2, generator), parameters["differences"]
        gates, filters, given = stages(order, width, length, generator)
        v, weights = short(2, width, length, generator=generator)

        def total(
            gates: Tensor, filters: Tensor, v: Tensor = v, weights: Tensor = weights
        ) -> float:
            y = hyena_by_loops(v[None], gates[:, None], filters)
            return float((weights * y[0]).sum())

        compare_gradients(
            fns["hyena_matrix"],
            ("gates", "filters"),
            (gates, filters),
            total,
            weights[..., None] * v[:, None],
            given,
        )


A2 = Assignment(
    id="A2",
    title="Hyena from the equations",
    parts=(
        Part(
            name="filter",
            title="The filter and its window",
            functions=("features", "sine_network", "window", "implicit_filter"),
            properties=(
                Property(6, "features are the formula's", features_are_right),
                Property(6, "sine_network turns and ends linear", network_is_right),
                Property(6, "window fades at each channel's rate", window_is_right),
                Property(7, "implicit_filter puts them together", filter_is_right),
            ),
        ),
        Part(
            name="projection",
            title="Projection and short convolution",
            functions=("project", "short_conv"),
            properties=(
                Property(3, "project makes one stream", project_is_right(False)),
                Property(5, "project makes several streams", project_is_right(True)),
                Property(4, "short_conv is the formula", short_is_right(True)),
                Property(
                    3,
                    "short_conv takes few steps, and a single tap",
                    short_is_right(False),
                ),
            ),
            forbidden=(*CONVOLUTIONS, "Linear", "linear"),
        ),
        Part(
            name="recurrence",
            title="The recurrence in both conventions",
            functions=("hyena",),
            properties=(
                Property(
                    5, "order 1 of the paper", hyena_is_right(True, lambda given: [1])
                ),
                Property(
                    7,
                    "higher orders of the paper",
                    hyena_is_right(True, lambda given: given["orders"]),
                ),
                Property(
                    6,
                    "the reference, from order 1",
                    hyena_is_right(False, lambda given: [1, *given["orders"]]),
                ),
                Property(4, "the two agree in ten digits", conventions_agree),
                Property(3, "the gradients are right", hyena_gradients_are_right),
            ),
            forbidden=CONVOLUTIONS,
        ),
        Part(
            name="dense",
            title="The same as one matrix",
            functions=("hyena_matrix",),
            properties=(
                Property(4, "right for one stage", one_stage_is_right),
                Property(5, "matrix times v is the recurrence", gives_the_recurrence),
                Property(3, "exactly 0 above the diagonal", reads_no_later_input),
                Property(3, "the gradients are right", matrix_gradients_are_right),
            ),
            forbidden=(*CONVOLUTIONS, "toeplitz"),
        ),
    ),
    written=(Written("gate", "What the gate buys, with two witnesses", 20),),
    parameters=parameters_from(Path(__file__).with_suffix(".toml")),
)
