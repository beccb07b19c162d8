"""A2, Hyena from the equations: filter, projection, recurrence, and its matrix.

The oracles take one number at a time, in float64. What is known to go wrong is taken
from notebooks 04 to 06, where these functions are built in other shapes.
B batch, L length, D width, N order.
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
from torch.nn.functional import linear

from minihyena.conv import causal_conv, toeplitz
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
    fault,
    in_both_precisions,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.notebook_04.exponential_window import WINDOW_MISTAKES
from minihyena.lessons.notebook_04.sine_net import NET_MISTAKES
from minihyena.lessons.notebook_05.as_matrix import MATRIX_MISTAKES
from minihyena.lessons.notebook_06.hyena_operator import OPERATOR_MISTAKES, wrapped
from minihyena.lessons.probes import looks_ahead

__all__ = ["A2"]

TOLERANCE = 1e-4  # rounding in float32 stays below it, an error of 1e-3 does not
CONVOLUTIONS = ("conv1d", "Conv1d", "convolve", "conv2d", "fftconvolve")


def in_both(oracle: Function, args: tuple[object, ...], words: str) -> list[Case]:
    return in_both_precisions(oracle, args, words, TOLERANCE)


def handed(mistakes: Sequence[Mistake], over: Callable[[Any], Function]) -> Any:
    """The mistakes of an exercise, their functions handed over to other arguments."""
    return tuple(replace(one, function=over(one.function)) for one in mistakes)


def sizes(
    given: Parameters, number: int, generator: torch.Generator, *names: str
) -> list[int]:
    """One of each thing in case 0, from two to the most there may be in the others."""
    most = [given[name] for name in names]
    return [1 if number == 0 else pick(2, count, generator) for count in most]


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


# Part 1, the filter.


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
    question = "Write the rows for L = 3 and K = 2 by hand: what stands in them?"
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


DOWN = "time runs down the columns: channels are rows here, (D, L)"
ROWS = "What does the first row hold: one channel, or one step?"
WINDOW = (
    Mistake(DOWN, lambda *args: window_by_loops(*args).T, ROWS),
    Mistake(
        "the window rises where a rate is negative: the formula has |rate|",
        lambda length, rates, floor: (
            torch.exp(-torch.linspace(0, 1, length) * rates[:, None]) + floor
        ),
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
    question = "Which of the three parts is right by itself?"
    examine(fns["implicit_filter"], cases, FILTER, question=question)


# Part 2, projection and short convolution.


def streams_by_loops(u: Tensor, weight: Tensor, bias: Tensor, streams: int) -> Tensor:
    """(S, B, D, L): stream i is made by the rows i D to i D + D - 1."""
    lines, offsets, width = weight.tolist(), bias.tolist(), u.shape[-1]
    rows = [
        [[dot(line, step) + b for step in steps] for steps in u.tolist()]
        for line, b in zip(lines, offsets, strict=True)
    ]  # (S D, B, L)
    found = torch.tensor(rows, dtype=torch.float64).to(u.dtype)
    return found.reshape(streams, width, *u.shape[:2]).transpose(1, 2)


def stacked(case: Case) -> Case:
    """The streams of a list or tuple as one tensor."""

    def run(fn: Function) -> object:
        streams = attempt(fn, *case.args)
        if not isinstance(streams, list | tuple) or not streams:
            return streams
        if not all(isinstance(one, Tensor) for one in streams):
            raise Incorrect("what came out is no list of tensors")
        shapes = {str(tuple(one.shape)) for one in streams}
        if len(shapes) > 1:
            raise Incorrect(f"the streams have different shapes: {sorted(shapes)}")
        return torch.stack(list(streams))

    return replace(case, run=run)


def projected(by: Callable[[Tensor, int], Tensor], bias: bool = True) -> Function:
    """by(p, S): p (B, L, S D) -> (S, B, D, L)."""
    return lambda u, weight, b, streams: by(u @ weight.T + bias * b, streams)


def apart(p: Tensor, streams: int) -> Tensor:
    return torch.stack(p.chunk(streams, -1)).transpose(-1, -2)


PROJECT = (
    Mistake(
        "the bias is missing",
        projected(apart, bias=False),
        "What comes out for an input of zeros?",
    ),
    Mistake(
        "the weight was used the wrong way round: its row r makes channel r",
        lambda u, weight, bias, streams: apart(u @ weight + bias, streams),
        "Which numbers of the weight make the first channel?",
    ),
    Mistake(
        "the rows were dealt out in turn; a stream owns D neighbouring rows",
        projected(
            lambda p, streams: torch.stack(
                [p[..., i::streams].transpose(-1, -2) for i in range(streams)]
            )
        ),
        "Which rows of the weight make stream 0?",
    ),
    Mistake(
        "the streams come in reverse: the first rows make the first stream",
        projected(lambda p, streams: apart(p, streams).flip(0)),
        "Which rows of the weight make stream 0?",
    ),
    Mistake(
        "every stream is the first one; each has rows of its own",
        projected(lambda p, streams: apart(p, streams)[:1].expand(streams, -1, -1, -1)),
        "How many rows has the weight?",
    ),
    Mistake(
        "steps and channels have not changed places: transpose, do not reshape",
        projected(lambda p, streams: torch.stack(p.chunk(streams, -1))),
        "Is the second number of stream 0 another step, or another channel?",
    ),
)


def project_is_right(several: bool) -> Any:
    """Right for one stream, or for several, both precisions."""

    def check(fns: Functions, given: Parameters, generator: torch.Generator) -> None:
        cases: list[Case] = []
        for streams in given["streams"] if several else [1]:
            for number, length in enumerate(given["lengths"]):
                batch, width = sizes(given, number, generator, "batch", "channels")
                u = short(batch, length, width, generator=generator)
                weight = short(streams * width, width, generator=generator)
                bias = short(streams * width, generator=generator)
                words = f"u = {show(u)} of shape {tuple(u.shape)}, weight = "
                words += f"{show(weight)}, bias = {show(bias)}, streams = {streams}"
                args = u, weight, bias, streams
                cases += map(stacked, in_both(streams_by_loops, args, words))
        question = "What is the first number of stream 0, by hand?"
        examine(fns["project"], cases, PROJECT, question=question)

    return check


def short_by_loops(x: Tensor, taps: Tensor) -> Tensor:
    """y[t] = sum over j of taps[K - 1 - j] x[t - j], channel by channel."""
    y = torch.zeros(x.shape, dtype=torch.float64)
    for d, weights in enumerate(taps.flip(1).tolist()):
        for t in range(x.shape[-1]):
            for j, weight in enumerate(weights[: t + 1]):
                y[:, d, t] += weight * x[:, d, t - j].double()
    return y.to(x.dtype)


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


def short_is_right(longer: bool) -> Any:
    """Right for signals longer than the taps; or for no longer ones, and one tap."""

    def check(fns: Functions, given: Parameters, generator: torch.Generator) -> None:
        most, cases = given["longer"], []
        wanted = [
            (
                taps,
                taps + pick(1, most, generator) if longer else pick(1, taps, generator),
            )
            for taps in given["taps"]
        ]
        wanted += [] if longer else [(1, pick(2, most, generator))]
        for number, (taps, length) in enumerate(wanted):
            batch, width = sizes(given, number, generator, "batch", "channels")
            x = short(batch, width, length, generator=generator)
            h = short(width, taps, generator=generator)
            words = f"x = {show(x)} of shape {tuple(x.shape)}, taps = {show(h)}"
            cases += in_both(short_by_loops, (x, h), words)
        question = "What are y[0] and y[1] of the first channel, by hand?"
        examine(fns["short_conv"], cases, SHORT, (looks_ahead(1),), question)

    return check


# Part 3, the recurrence.


def hyena_by_loops(
    v: Tensor, gates: Tensor, filters: Tensor, skips: Tensor | None = None
) -> Tensor:
    """v (B, D, L), gates (N, B, D, L), filters (N, D, L); or N - 1, with skips."""
    y = torch.empty(v.shape, dtype=torch.float64)
    for b in range(v.shape[0]):
        for d in range(v.shape[1]):
            z, x, h = v[b, d].tolist(), gates[:, b, d].tolist(), filters[:, d].tolist()
            if skips is None:
                for gate, taps in zip(x, h, strict=True):
                    z = times(gate, carried(taps, z))
            else:
                for gate, taps, skip in zip(
                    x[:-1], h, skips[:, d].tolist(), strict=True
                ):
                    z = times(gate, z)
                    past = carried(taps, z)
                    z = [old + skip * now for old, now in zip(past, z, strict=True)]
                z = times(x[-1], z)
            y[b, d] = torch.tensor(z, dtype=torch.float64)
    return y.to(v.dtype)


def carried(h: Sequence[float], z: Sequence[float]) -> list[float]:
    """The causal convolution, by its definition."""
    return [sum(h[t - s] * z[s] for s in range(t + 1)) for t in range(len(z))]


def times(x: Sequence[float], z: Sequence[float]) -> list[float]:
    return [a * b for a, b in zip(x, z, strict=True)]


def in_batches(operator: Function) -> Function:
    """An operator on (D, L) as one on (B, D, L)."""

    def hyena(v: Tensor, gates: Tensor, filters: Tensor, skips: None) -> Tensor:
        rows: list[Any] = [
            operator(one, [*gates[:, b]], [*filters]) for b, one in enumerate(v)
        ]
        return torch.stack(rows)

    return hyena


PAPER = handed(OPERATOR_MISTAKES, in_batches)


def stepping(
    step: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    arrange: Callable[[Tensor], Tensor] = lambda gates: gates,
    last: bool = True,
) -> Function:
    """The authors' recurrence with something else: step(z, gate, filter, skip)."""

    def hyena(v: Tensor, gates: Tensor, filters: Tensor, skips: Tensor) -> Tensor:
        z, gates = v, arrange(gates)
        for x, h, d in zip(gates[:-1], filters, skips, strict=True):
            z = step(z, x, h, d[:, None])
        return gates[-1] * z if last else z

    return hyena


def right(z: Tensor, x: Tensor, h: Tensor, d: Tensor) -> Tensor:
    return causal_conv(x * z, h) + d * x * z


REFERENCE = (
    Mistake(
        "the skip is missing: each convolution also lets d · z through",
        stepping(lambda z, x, h, d: causal_conv(x * z, h)),
        "What comes out of a stage whose filter is all zeros?",
    ),
    Mistake(
        "the skip goes to every tap; it acts at lag 0 only",
        stepping(lambda z, x, h, d: causal_conv(x * z, h + d)),
        "Which tap of a filter meets the newest input?",
    ),
    Mistake(
        "the skip passes by the gate: it carries what goes into the convolution",
        stepping(lambda z, x, h, d: causal_conv(x * z, h) + d * z),
        "What does the skip let through where the gate is closed?",
    ),
    Mistake(
        "the skip has no weight: every channel of every stage has its own",
        stepping(lambda z, x, h, d: causal_conv(x * z, h) + x * z),
        "What does a skip of 0 let through?",
    ),
    Mistake(
        "the last gate is missing: there is one gate more than there are filters",
        stepping(right, last=False),
        "How many of the N gates have been used?",
    ),
    Mistake(
        "the last gate was used first: gates[0] meets v, gates[N−1] the output",
        stepping(right, lambda gates: gates.flip(0)),
        "Which gate does v meet first?",
    ),
    Mistake(
        "it convolves before it gates: here the first gate meets v itself",
        stepping(lambda z, x, h, d: x * (causal_conv(z, h) + d * z)),
        "What is between v and the first filter?",
    ),
    Mistake(
        "every stage has the first filter and the first skip; each has its own",
        lambda v, gates, filters, skips: stepping(right)(
            v, gates, filters[:1].expand_as(filters), skips[:1].expand_as(skips)
        ),
        "Which filter does stage 2 use?",
    ),
    Mistake(
        "the tail came round to the start: pad the transform to twice the length",
        stepping(lambda z, x, h, d: wrapped(x * z, h) + d * x * z),
        "What does y[0] know of the last input?",
    ),
)


def drawn_parts(
    order: int, shape: Sequence[int], generator: torch.Generator, *, paper: bool
) -> tuple[Tensor, ...]:
    """v, gates, filters, and skips but for the paper; y is of size 1 at any length."""
    v = short(*shape, generator=generator)
    gates = short(order, *shape, generator=generator)
    filters = short(order - (not paper), *shape[1:], generator=generator)
    skips = short(order - 1, shape[1], generator=generator)
    parts = v, gates, filters / shape[-1] ** 0.5
    return parts if paper else (*parts, skips)


def in_words(parts: Sequence[Tensor]) -> str:
    """At most four numbers of each."""
    shown = [f"N = {len(parts[1])}", f"v of shape {tuple(parts[0].shape)}"]
    for name, part in zip(("v", "gates", "filters", "skips"), parts, strict=False):
        shown.append(f"{name} = {show(part, count=4)}")
    return ", ".join(shown) + ", no skips" * (len(parts) < 4)


def hyena_is_right(paper: bool, one: bool, higher: bool) -> Any:
    """Right in one convention, at order 1 or at higher ones, for every length."""

    def check(fns: Functions, given: Parameters, generator: torch.Generator) -> None:
        cases = []
        for order in one * [1] + higher * given["orders"]:
            for number, length in enumerate(given["lengths"]):
                shape = sizes(given, number, generator, "batch", "channels")
                parts = drawn_parts(order, [*shape, length], generator, paper=paper)
                args = (*parts, None) if paper else parts
                cases += in_both(hyena_by_loops, args, in_words(parts))
        mistakes = PAPER if paper else REFERENCE
        question = "What does the first stage make of v, by hand, at steps 0 and 1?"
        examine(fns["hyena"], cases, mistakes, (looks_ahead(1),), question)

    return check


def conventions_agree(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Reference = paper with an impulse as first filter and skips on tap 0.

    Both to ten digits in float64, on a longer signal.
    """
    for order in [1, *given["orders"]]:
        length = max(given["lengths"]) + pick(0, 6, generator)
        shape = sizes(given, 1, generator, "batch", "channels")
        parts = drawn_parts(order, [*shape, length], generator, paper=False)
        v, gates, filters, skips = parts
        impulse = torch.eye(length, dtype=torch.float64)[0]
        literal = torch.cat(
            [impulse.expand(1, shape[1], -1), filters + skips[..., None] * impulse]
        )
        right = Case((), hyena_by_loops(*parts), in_words(parts))
        for name, args in {
            "reference": parts,
            "paper": (v, gates, literal, None),
        }.items():
            y = attempt(fns["hyena"], *args)
            if fault(y, right.expected) or not right.agrees(y, right.expected):
                raise Incorrect(
                    fault(y, right.expected)
                    or f"the {name} convention is not right to ten digits in float64",
                    f"the identity at {right.given}",
                    show(right.expected),
                    show(y),
                    "Is something computed in float32 on the way?"
                    if close(y, right.expected, TOLERANCE)
                    else "Which filter, and which skip, make the two conventions one?",
                )


def slopes(total: Callable[..., Tensor], parts: Sequence[Tensor]) -> Iterator[Tensor]:
    """How fast a total grows with each number of each part, by differences.

    It is of first degree in each single number, so a step of 1 makes no error.
    """
    start = total(*parts)
    for which, part in enumerate(parts):
        found = torch.empty(part.numel(), dtype=torch.float64)
        for i in range(part.numel()):
            risen = part.flatten().clone()
            risen[i] += 1
            found[i] = total(*parts[:which], risen.view_as(part), *parts[which + 1 :])
        yield (found - start).view_as(part)


def follow_gradients(
    fn: Function,
    oracle: Callable[..., Tensor],
    parts: Sequence[Tensor],
    names: Sequence[str],
    generator: torch.Generator,
) -> None:
    """Raise Incorrect unless autograd says of fn what differences say of the oracle."""
    y, expected = attempt(fn, *parts), oracle(*parts)
    weights = short(*expected.shape, generator=generator)
    if said := fault(y, expected):
        raise Incorrect(said)
    if not close(y, expected, TOLERANCE):
        raise Incorrect("the answer itself is wrong: its gradients were not looked at")
    try:
        found: Any = attempt(partial(gradients, fn), weights, *parts)
    except Incorrect as error:
        if "differentiable" not in error.misconception:
            raise
        raise Incorrect(
            "the answer carries no gradient, so nothing could be trained: stay with "
            "torch's own functions, without detach, .data, .item() or numpy"
        ) from None
    shape = tuple(parts[names.index("gates")].shape)
    rises = slopes(lambda *parts: (weights * oracle(*parts)).sum(), parts)
    for name, got, slope in zip(names, found, rises, strict=True):
        if not close(got, slope, TOLERANCE):
            raise Incorrect(
                f"the gradient with respect to {name} is not that of the definition"
                if got.any()
                else f"no gradient reaches {name}",
                f"gates of shape {shape}; the sum of the outputs times {show(weights)}",
                show(slope),
                show(got),
                f"Is every number of {name} used, wherever the formula has it?",
            )


def hyena_has_gradients(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Of every argument, in both conventions, against differences of the loops."""
    names = ("v", "gates", "filters", "skips")
    for order in given["orders"]:
        for paper in (True, False):
            shape = [1, pick(1, 2, generator), given["differences"]]
            parts = drawn_parts(order, shape, generator, paper=paper)
            named = names[: len(parts)]
            follow_gradients(fns["hyena"], hyena_by_loops, parts, named, generator)


# Part 4, the matrix.


def matrix_by_loops(gates: Tensor, filters: Tensor) -> Tensor:
    """gates, filters (N, D, L) -> (D, L, L): what becomes of a 1 at each step."""
    length = gates.shape[-1]
    ones = torch.eye(length, dtype=gates.dtype)[:, None].expand(-1, gates.shape[1], -1)
    frozen = gates[:, None].expand(-1, length, -1, -1)
    return hyena_by_loops(ones, frozen, filters).permute(1, 2, 0)


def by_channel(matrix: Function) -> Function:
    """A matrix of one gate and one filter, (L,) each, as one of N gates (N, D, L)."""

    def of_all(gates: Tensor, filters: Tensor) -> Tensor:
        made: Any = torch.eye(gates.shape[-1], dtype=gates.dtype)
        for x, h in zip(gates, filters, strict=True):
            stages: list[Any] = [matrix(*pair) for pair in zip(x, h, strict=True)]
            made = torch.stack(stages) @ made
        return torch.as_tensor(made)

    return of_all


def stages_of(gates: Tensor, filters: Tensor) -> list[Tensor]:
    length = gates.shape[-1]
    pairs = zip(gates, filters, strict=True)
    return [x[..., None] * toeplitz(h, length) for x, h in pairs]


MATRIX = (
    Mistake(
        "the factors stand in reverse: what v meets first stands on the right",
        lambda gates, filters: matrix_by_loops(gates.flip(0), filters.flip(0)),
        "In A B v, which of the two tables does v meet first?",
    ),
    Mistake(
        "rows and columns are exchanged: row t is what output t reads",
        lambda gates, filters: matrix_by_loops(gates, filters).mT,
        "On which side of the diagonal is the past?",
    ),
    Mistake(
        "one after another is a product of tables, not a product entry by entry",
        lambda gates, filters: torch.stack(stages_of(gates, filters)).prod(0),
        "Over how many steps can input s reach output t in two stages?",
    ),
    Mistake(
        "the stages were added: each works on what the one before it made",
        lambda gates, filters: torch.stack(stages_of(gates, filters)).sum(0),
        "What does stage 2 work on?",
    ),
    Mistake(
        "the signs are gone: this is a matrix of magnitudes",
        lambda gates, filters: matrix_by_loops(gates, filters).abs(),
        "What does an output do when an input it reads with a minus grows?",
    ),
    *handed(MATRIX_MISTAKES, by_channel),
)


def drawn_stages(
    orders: Sequence[int], given: Parameters, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, str]]:
    """gates and filters (N, D, L), and both in words: every order and length."""
    for order in orders:
        for number, length in enumerate(given["lengths"]):
            [width] = sizes(given, number, generator, "channels")
            yield stages(order, width, length, generator)


def stages(
    order: int, width: int, length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, str]:
    gates, filters = short(2, order, width, length, generator=generator)
    filters = filters / length**0.5
    words = f"gates = {show(gates)} of shape {tuple(gates.shape)}, filters = "
    return gates, filters, words + show(filters)


def one_stage_is_right(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Entry [t, s] is gate[t] filter[t - s], both precisions."""
    cases = []
    for gates, filters, words in drawn_stages([1], given, generator):
        cases += in_both(matrix_by_loops, (gates, filters), words)
    question = "Which two numbers should be multiplied at row 1, column 0?"
    examine(fns["hyena_matrix"], cases, MATRIX, question=question)


def gives_the_recurrence(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """The matrix times a drawn v is what the recurrence makes of v."""
    cases = []
    for gates, filters, words in drawn_stages(given["orders"], given, generator):
        v = short(*gates.shape[1:], generator=generator)
        y = hyena_by_loops(v[None], gates[:, None], filters)[0]
        for case in in_both(matrix_by_loops, (gates, filters), words):
            run = partial(matrix_times, args=case.args, v=v, wanted=case.expected)
            words = f"{case.given}, v = {show(v)}"
            cases.append(Case(case.args, y, words, run, TOLERANCE))
    question = "In which order does v meet the factors?"
    examine(fns["hyena_matrix"], cases, MATRIX, question=question)


def matrix_times(
    fn: Function, args: tuple[object, ...], v: Tensor, wanted: Any
) -> Tensor:
    """What the matrix of fn makes of v; Incorrect if it is none like the wanted one."""
    matrix: Any = attempt(fn, *args)
    if said := fault(matrix, wanted):
        raise Incorrect(said)
    y: Tensor = (matrix.double() @ v[..., None])[..., 0]
    return y


def reads_nothing_later(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Exactly 0 above the diagonal; on it and below, what the recurrence gives."""
    orders = [1, *given["orders"]]
    for gates, filters, words in drawn_stages(orders, given, generator):
        for case in in_both(matrix_by_loops, (gates, filters), words):
            examine(fns["hyena_matrix"], [case], MATRIX)
            matrix: Any = attempt(fns["hyena_matrix"], *case.args)
            later = matrix.triu(1).abs().max()
            if later:
                raise Incorrect(
                    "above the diagonal there is rounding, where exactly 0 should be",
                    words,
                    "0",
                    f"{float(later):.2g}",
                    "Which step of yours lets every input touch every output?",
                )


def matrix_has_gradients(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Of gates and filters, through the matrix, against differences of the loops."""
    fn, names = fns["hyena_matrix"], ("gates", "filters")
    for order in given["orders"]:
        width, length = pick(1, 2, generator), given["differences"]
        *parts, _ = stages(order, width, length, generator)
        follow_gradients(fn, matrix_by_loops, parts, names, generator)


A2 = Assignment(
    id="A2",
    title="Hyena from the equations",
    parts=(
        Part(
            name="filter",
            title="A filter and its window",
            functions=("features", "sine_network", "window", "implicit_filter"),
            properties=(
                Property(6, "features are those of the formula", features_are_right),
                Property(6, "sine_network turns, and ends linear", network_is_right),
                Property(6, "window fades, each channel by itself", window_is_right),
                Property(7, "implicit_filter is all three together", filter_is_right),
            ),
        ),
        Part(
            name="projection",
            title="Projection and short convolution",
            functions=("project", "short_conv"),
            properties=(
                Property(3, "project makes one stream", project_is_right(False)),
                Property(5, "project makes several streams", project_is_right(True)),
                Property(4, "short_conv is the sum", short_is_right(True)),
                Property(
                    3,
                    "short_conv is right for few steps, and for one tap",
                    short_is_right(False),
                ),
            ),
            forbidden=CONVOLUTIONS,
        ),
        Part(
            name="recurrence",
            title="The recurrence in both conventions",
            functions=("hyena",),
            properties=(
                Property(5, "paper, order 1", hyena_is_right(True, True, False)),
                Property(7, "paper, higher orders", hyena_is_right(True, False, True)),
                Property(6, "reference, any order", hyena_is_right(False, True, True)),
                Property(4, "the identity, in ten digits", conventions_agree),
                Property(3, "gradients reach every argument", hyena_has_gradients),
            ),
            forbidden=CONVOLUTIONS,
        ),
        Part(
            name="dense",
            title="The same as one matrix",
            functions=("hyena_matrix",),
            properties=(
                Property(4, "right for one stage", one_stage_is_right),
                Property(5, "times v, it is the recurrence", gives_the_recurrence),
                Property(3, "exactly 0 above the diagonal", reads_nothing_later),
                Property(3, "gradients reach gates and filters", matrix_has_gradients),
            ),
            forbidden=CONVOLUTIONS,
        ),
    ),
    written=(Written("gate", "What the gate buys, with two witnesses", 20),),
    parameters=parameters_from(Path(__file__).with_suffix(".toml")),
)
