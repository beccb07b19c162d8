"""A2, part 2: streams, and a short convolution for each channel."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from minihyena.grading.a2.common import dot, in_both, sizes
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
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.probes import looks_ahead

__all__ = ["project_is_right", "short_is_right"]


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
        if isinstance(streams, Tensor) and streams.dim() == 4:
            return streams  # as good as a list
        if isinstance(streams, Tensor):
            raise Incorrect("one tensor came out: put the streams in a list or tuple")
        if not isinstance(streams, list | tuple):
            kind = type(streams).__name__
            raise Incorrect(f"the answer is a {kind}, not a list or tuple of streams")
        if not streams or not all(isinstance(one, Tensor) for one in streams):
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
        "the end of the signal came back at the start, as with roll, or an index "
        "below 0",
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
        if longer:
            wanted = [(k, k + pick(1, most, generator)) for k in given["taps"]]
        else:
            wanted = [(k, n) for k in given["taps"] for n in range(1, k + 1)]
            wanted += [(1, pick(2, most, generator))]
        for number, (taps, length) in enumerate(wanted):
            batch, width = sizes(given, number, generator, "batch", "channels")
            x = short(batch, width, length, generator=generator)
            h = short(width, taps, generator=generator)
            words = f"x = {show(x)} of shape {tuple(x.shape)}, taps = {show(h)}"
            cases += in_both(short_by_loops, (x, h), words)
        question = "What are y[0] and y[1] of the first channel, by hand?"
        examine(fns["short_conv"], cases, SHORT, (looks_ahead(1),), question)

    return check
