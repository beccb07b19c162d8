"""A2, part 1: positional features, a network of sines, a window, and all together."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import linear

from minihyena.grading.a2.common import TOLERANCE, dot, handed, in_both, sizes
from minihyena.grading.parts import (
    Functions,
    Parameters,
)
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    Case,
    attempt,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Function
from minihyena.lessons.notebook_04.exponential_window import WINDOW_MISTAKES
from minihyena.lessons.notebook_04.sine_net import NET_MISTAKES

__all__ = [
    "features_are_right",
    "filter_is_right",
    "network_is_right",
    "window_is_right",
]


def features_by_loops(
    length: int,
    bands: int,
    time: Callable[[int, int], float] = lambda i, n: i / max(n - 1, 1),
    angle: Callable[[int, int], float] = lambda i, n: 2 * math.pi * i / n,
    frequency: Callable[[int, int], float] = lambda k, K: (
        1e-4 + k * (K - 1 - 1e-4) / max(K - 1, 1)
    ),
    sign: int = -1,
) -> Tensor:
    """length L, bands K -> (L, 2K + 1); what comes after them can be got wrong."""
    rows = []
    for i in range(length):
        turns = [frequency(k, bands) * angle(i, length) for k in range(bands)]
        waves = [*map(math.cos, turns), *(sign * math.sin(x) for x in turns)]
        rows.append([time(i, length), *waves])
    return torch.tensor(rows, dtype=torch.float64)


FEATURES = (
    Mistake(
        "the time column ends at L−1, not at 1: it is not normalised",
        partial(features_by_loops, time=lambda i, n: i),
        "What should the last step be called, whatever the length?",
    ),
    Mistake(
        "the time column ends before 1: divide by L−1, the number of gaps",
        partial(features_by_loops, time=lambda i, n: i / n),
        "Between L posts, how many gaps are there?",
    ),
    Mistake(
        "the angle has L below, not L−1: time and angle are normalised differently",
        partial(features_by_loops, angle=lambda i, n: 2 * math.pi * i / max(n - 1, 1)),
        "After how many steps is a hand back where it began?",
    ),
    Mistake(
        "the 2π is missing: no band makes a full turn",
        partial(features_by_loops, angle=lambda i, n: i / n),
        "Which angle is a full turn?",
    ),
    Mistake(
        "the frequencies are whole numbers: here they begin with 1e-4, not with 0",
        partial(features_by_loops, frequency=lambda k, K: k),
        "What are the first and the last of the K frequencies?",
    ),
    Mistake(
        "the frequencies are counted from 1: they run from 1e-4 to K−1",
        partial(features_by_loops, frequency=lambda k, K: k + 1),
        "What are the first and the last of the K frequencies?",
    ),
    Mistake(
        "the sines have a plus sign, as in the paper; here they have a minus",
        partial(features_by_loops, sign=1),
        "Which sign stands before the sine in the formula?",
    ),
)


def features_are_right(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Every length with every number of bands, in float32 or float64 as one likes."""
    cases = []
    tried = [(n, k) for n in given["lengths"] for k in given["bands"]]
    for args in (*tried, (1, pick(1, 3, generator)), (pick(12, 16, generator), 7)):
        words = "length = {}, bands = {}; shown row by row".format(*args)
        run = partial(in_double, args=args)
        cases.append(Case(args, features_by_loops(*args), words, run, TOLERANCE))
    question = "Write the rows for L = 3 and K = 3 by hand: what stands in them?"
    examine(fns["features"], cases, FEATURES, question=question)


def in_double(fn: Function, args: tuple[object, ...]) -> object:
    """What fn gives: where no argument has a dtype, any precision will do."""
    value = attempt(fn, *args)
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.double() if floating else value  # type: ignore[attr-defined]


Network = tuple[list[Tensor], list[Tensor], Tensor]  # weights, biases, omega


def network_by_loops(
    z: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], omega: Tensor
) -> Tensor:
    """z (L, E) -> (L, D), one number at a time."""
    rows, turns = z.tolist(), omega.tolist()
    tables, offsets = ([p.tolist() for p in parts] for parts in (weights, biases))
    for table, offset in zip(tables[:-1], offsets, strict=True):
        units = [*zip(turns, table, offset, strict=True)]
        rows = [
            [math.sin(w * (dot(line, row) + b)) for w, line, b in units] for row in rows
        ]
    rows = [[dot(line, row) for line in tables[-1]] for row in rows]
    return torch.tensor(rows, dtype=torch.float64).to(z.dtype)


def with_layers(net: Function) -> Function:
    """A network of layers as one of weights and biases."""

    def network(
        z: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], omega: Tensor
    ) -> object:
        pairs = zip(weights, [*biases, None], strict=True)
        return net(z, [partial(linear, weight=w, bias=b) for w, b in pairs], omega)

    return network


NETWORK = (
    Mistake(
        "the bias escapes ω: sin(ω (W a + b)), with b inside the brackets",
        lambda z, weights, biases, omega: network_by_loops(
            z, weights, [b / omega for b in biases], omega
        ),
        "What is ω times (W a + b), written out?",
    ),
    Mistake(
        "the biases are left out",
        lambda z, weights, biases, omega: network_by_loops(
            z, weights, [0 * b for b in biases], omega
        ),
        "What does a layer say to an input of zeros?",
    ),
    Mistake(
        "the output is trapped in [−1, 1]; the last layer is linear",
        lambda *args: network_by_loops(*args).sin(),
        "How large may a tap of a filter be?",
    ),
    Mistake(
        "only the first layer has its ω; it is the same in every layer with a sine",
        lambda z, weights, biases, omega: network_by_loops(
            network_by_loops(
                z, [weights[0], torch.eye(len(omega))], biases[:1], omega
            ).to(z.dtype),
            weights[1:],
            biases[1:],
            torch.ones_like(omega),
        ),
        "By what is the sum multiplied in layer 1, before the sine?",
    ),
    Mistake(
        "the last layer with a sine is left out: only the last table has none",
        lambda z, weights, biases, omega: network_by_loops(
            z, [*weights[:-2], weights[-1]], biases[:-1], omega
        ),
        "Of M + 2 weights, how many are followed by a sine?",
    ),
    *handed(NET_MISTAKES, with_layers),
)


def drawn_network(
    features: int, given: Parameters, number: int, generator: torch.Generator
) -> Network:
    """Weights and biases that keep the size of numbers, and a frequency a unit."""
    units, channels, sines = sizes(
        given, number, generator, "units", "channels", "sines"
    )
    widths = [features, *(units for _ in range(sines)), channels]
    weights = [
        short(out, into, generator=generator) / into**0.5
        for into, out in pairwise(widths)
    ]
    biases = [short(units, generator=generator) for _ in range(sines)]
    return weights, biases, 1 + short(units, generator=generator).abs()


def said(weights: list[Tensor], biases: list[Tensor], omega: Tensor) -> str:
    """The network in words."""
    widths = [weights[0].shape[1], *map(len, weights)]
    first = ", ".join(show(part[0], count=4) for part in (weights, biases))
    return (
        f"layers {' → '.join(map(str, widths))}, ω = {show(omega)}, the first weight "
        f"and bias {first}"
    )


def network_is_right(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """One sine and several, narrow and wide, both precisions."""
    cases = []
    for number, length in enumerate(given["lengths"]):
        features = 1 if number == 0 else pick(2, 5, generator)
        z = short(length, features, generator=generator)
        network = drawn_network(features, given, number, generator)
        words = f"z = {show(z, count=4)}, {said(*network)}"
        cases += in_both(network_by_loops, (z, *network), words)
    question = "With one unit in each layer: what comes out for one feature?"
    examine(fns["sine_network"], cases, NETWORK, question=question)


def window_by_loops(length: int, rates: Tensor, floor: float) -> Tensor:
    rows = [
        [math.exp(-abs(r) * i / max(length - 1, 1)) + floor for i in range(length)]
        for r in rates.tolist()
    ]
    return torch.tensor(rows, dtype=torch.float64).to(rates.dtype)


def of_sizes(window: Function) -> Function:
    """A window for positive rates as one that takes their sizes."""
    return lambda length, rates, floor: window(length, rates.abs(), floor)


def rising(length: int, rates: Tensor) -> Tensor:
    """exp(t rate), whatever its sign."""
    times = torch.linspace(0, 1, length, dtype=rates.dtype)
    return torch.exp(times * rates[:, None])


DOWN = "time runs down the columns: channels are rows here, (D, L)"
ROWS = "What does the first row hold: one channel, or one step?"
WINDOW = (
    Mistake(DOWN, lambda *args: window_by_loops(*args).T, ROWS),
    Mistake(
        "the window rises where a rate is negative: the formula has |rate|",
        lambda length, rates, floor: rising(length, -rates) + floor,
        "May an input count more the older it is?",
    ),
    Mistake(
        "the window rises where a rate is positive: the formula has −|rate|",
        lambda length, rates, floor: rising(length, rates) + floor,
        "May an input count more the older it is?",
    ),
    *handed(WINDOW_MISTAKES, of_sizes),
)


def rates_and_floor(
    channels: int, number: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Rates of either sign, the first one negative; no floor in case 0."""
    rates = 3 * short(channels, generator=generator)
    rates[0] = -rates[0].abs()
    return rates, 0.0 if number == 0 else pick(1, 8, generator) / 20


def window_is_right(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Every length, rates of either sign, with a floor and without, both precisions."""
    cases = []
    for number, length in enumerate([*given["lengths"], 1]):
        [channels] = sizes(given, number, generator, "channels")
        rates, floor = rates_and_floor(channels, number, generator)
        words = f"length = {length}, rates = {show(rates)}, floor = {floor}"
        cases += in_both(window_by_loops, (length, rates, floor), words)
    question = "What is the window at time 0, and what at time 1?"
    examine(fns["window"], cases, WINDOW, question=question)


def filter_by_loops(
    length: int,
    bands: int,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    omega: Tensor,
    rates: Tensor,
    floor: float,
    join: Callable[[Tensor, Tensor, float], Tensor] = lambda r, w, c: r * (w + c),
) -> Tensor:
    """(D, L): network, window without its floor, and floor, joined."""
    z = features_by_loops(length, bands)
    drawn = network_by_loops(z, weights, biases, omega).T
    fading = window_by_loops(length, rates.double(), 0.0)
    return join(drawn, fading, floor).to(rates.dtype)


FILTER = (
    Mistake(DOWN, lambda *args: filter_by_loops(*args).T, ROWS),
    Mistake(
        "the window is missing: this is what the network says",
        partial(filter_by_loops, join=lambda r, w, c: r),
        "What makes the filter forget?",
    ),
    Mistake(
        "the window was added; it multiplies, tap by tap",
        partial(filter_by_loops, join=lambda r, w, c: r + w + c),
        "What should be left of a tap where the window is almost 0?",
    ),
    Mistake(
        "the floor was added to the filter; it belongs to the window",
        partial(filter_by_loops, join=lambda r, w, c: r * w + c),
        "What should become of a tap of 0?",
    ),
    Mistake(
        "the floor is missing: the window falls to nothing",
        partial(filter_by_loops, join=lambda r, w, c: r * w),
        "What is left of a tap that is very old?",
    ),
    Mistake(
        "this is the window: what the network says is missing",
        partial(filter_by_loops, join=lambda r, w, c: w + c),
        "Where do the weights come in?",
    ),
)


def filter_is_right(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Features, network and window together, every length and number of bands."""
    cases = []
    for number, length in enumerate([*given["lengths"], 1]):
        for bands in given["bands"]:
            network = drawn_network(2 * bands + 1, given, number, generator)
            rates, floor = rates_and_floor(len(network[0][-1]), number, generator)
            words = f"length = {length}, bands = {bands}, {said(*network)}, "
            words += f"rates = {show(rates)}, floor = {floor}"
            args = length, bands, *network, rates, floor
            cases += in_both(filter_by_loops, args, words)
    question = "Which of the three parts is right by itself, and in which dtype?"
    examine(fns["implicit_filter"], cases, FILTER, question=question)
