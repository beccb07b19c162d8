"""10.conv_chunked: a long convolution in small pieces, whose tails are added."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    attempt,
    in_both_precisions,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import looks_ahead

__all__ = ["EXERCISE"]


def conv_chunked(u: Tensor, h: Tensor, chunk: int) -> Tensor:
    """u (D, L), h (D, K) -> (D, L): causal convolution, `chunk` steps at a time.

    Each piece of u is convolved by itself, and what hangs over its end is added to
    the pieces after it. No transform is longer than chunk + K - 1.
    """
    length, n = u.shape[-1], chunk + h.shape[-1] - 1
    spectrum = torch.fft.rfft(h, n)
    y = torch.zeros(len(u), length + n, dtype=u.dtype)
    for start in range(0, length, chunk):
        piece = torch.fft.rfft(u[:, start : start + chunk], n)
        y[:, start : start + n] += torch.fft.irfft(piece * spectrum, n)
    return y[:, :length]


def conv_by_loops(u: Tensor, h: Tensor, chunk: int) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(u.shape[1]):
        for s in range(t + 1):
            if t - s < h.shape[1]:
                y[:, t] += h[:, t - s].double() * u[:, s].double()
    return y.to(u.dtype)


def full(piece: Tensor, h: Tensor) -> Tensor:
    """(D, c), (D, K) -> (D, c + K - 1): all of the convolution, by shifted copies."""
    y = piece.new_zeros(len(piece), piece.shape[1] + h.shape[1] - 1)
    for lag in range(h.shape[1]):
        y[:, lag : lag + piece.shape[1]] += h[:, lag, None] * piece
    return y


Piece = Callable[[Tensor, Tensor, int], Tensor]  # piece, h, chunk -> what it makes


def in_pieces(
    make: Piece = lambda piece, h, chunk: full(piece, h),
    *,
    keep: bool = False,
    whole_only: bool = False,
    late: int = 0,
) -> Function:
    """Overlap-add with another piece, or with a slip in how the pieces are joined."""

    def convolve(u: Tensor, h: Tensor, chunk: int) -> Tensor:
        length = u.shape[1]
        y = u.new_zeros(len(u), length + chunk + 2 * h.shape[1])
        last = length - chunk + 1 if whole_only else length
        for start in range(0, last, chunk):
            made = make(u[:, start : start + chunk], h, chunk)
            place = y[:, start + late : start + late + made.shape[1]]
            place += made
        return y[:, : length + h.shape[1] - 1] if keep else y[:, :length]

    return convolve


def on_a_ring(piece: Tensor, h: Tensor, n: int) -> Tensor:
    """Both cut or filled to n, then convolved with the end joined to the start."""
    both = [
        torch.cat([x[:, :n], x.new_zeros(len(x), max(0, n - x.shape[1]))], 1)
        for x in (piece, h)
    ]
    line = full(*both)
    ring = line[:, :n].clone()
    ring[:, : line.shape[1] - n] += line[:, n:]
    return ring


SIZE = "How many numbers come out if c are convolved with K?"

CHUNK_MISTAKES = (
    Mistake(
        "each block forgets the one before: its tail was dropped, or written over",
        in_pieces(lambda piece, h, chunk: full(piece, h)[:, : piece.shape[1]]),
        "What becomes of an input at the end of a piece, one step later?",
    ),
    Mistake(
        "FFT size must be chunk + K − 1: the tail came round to the block's start",
        in_pieces(lambda piece, h, chunk: on_a_ring(piece, h, chunk)),
        SIZE,
    ),
    Mistake(
        "FFT size must be chunk + K − 1: the tail came round to the block's start",
        in_pieces(lambda piece, h, chunk: on_a_ring(piece, h, max(chunk, h.shape[1]))),
        SIZE,
    ),
    Mistake(
        "FFT size must be chunk + K − 1: one less, and one value comes round",
        in_pieces(lambda piece, h, chunk: on_a_ring(piece, h, chunk + h.shape[1] - 2)),
        SIZE,
    ),
    Mistake(
        "length exceeds L: cut off what hangs over the last block",
        in_pieces(keep=True),
        "Which of the values belong to steps that there are?",
    ),
    Mistake(
        "a tail ends in the next block here; a long filter reaches further",
        in_pieces(lambda piece, h, chunk: full(piece, h)[:, : 2 * chunk]),
        "How many blocks does a filter of 5 taps reach, if a block has 2 steps?",
    ),
    Mistake(
        "the last block is short, and was left out",
        in_pieces(whole_only=True),
        "What remains if L is no multiple of chunk?",
    ),
    Mistake(
        "every block stands one step late",
        in_pieces(late=1),
        "At which step does the output of the first block begin?",
    ),
    Mistake(
        "the filter is the wrong way round: this is a correlation in each block",
        in_pieces(lambda piece, h, chunk: full(piece, h.flip(1))),
        "Which tap meets the newest input?",
    ),
    Mistake(
        "the taps after the first chunk are ignored: the filter was cut to a block",
        in_pieces(lambda piece, h, chunk: full(piece, h[:, :chunk])),
        "How long is the filter, and how long did you let it be?",
    ),
)


def check_pieces(fn: Function, generator: torch.Generator) -> None:
    """Incorrect if a loud last block reaches outputs before it: by rounding alone."""
    width, length, taps, chunk = 1, 96, 24, 16
    u = torch.randn(width, length, generator=generator)
    h = torch.randn(width, taps, generator=generator)
    loud = u.clone()
    loud[:, -chunk:] += 1e6
    calm, after = (attempt(fn, x, h, chunk) for x in (u, loud))
    assert isinstance(calm, Tensor)
    assert isinstance(after, Tensor)
    moved = float((calm - after)[:, :-chunk].abs().max())
    if moved > 1e-3:
        raise Incorrect(
            "a loud last block moved outputs before it, by rounding: everything was "
            "transformed at once, not piece by piece",
            f"L = {length}, K = {taps}, chunk = {chunk}; the last block raised by 1e6",
            "outputs before it stay as they are",
            "they move by rounding of about 1e6 in seven digits",
            "How long is your longest transform?",
        )


def check_conv_chunked(fn: Function, *, generator: torch.Generator) -> None:
    """Blocks of every fit, tails of every reach, both precisions, against the loop."""
    a, b = pick(2, 4, generator), pick(5, 9, generator)
    cases = []
    for width, length, taps, chunk in (
        (1, 2, 2, 1),
        (1, 4, 2, 2),
        (1, 5, 2, 2),
        (1, 3, 3, 3),
        (2, 6, 5, 2),
        (1, 4, 1, 8),
        (2, a * b + 1, b, a),
        (2, 3 * b, a, b),
    ):
        u = short(width, length, generator=generator)
        h = short(width, taps, generator=generator)
        given = f"u = {show(u)}, h = {show(h)}, chunk = {chunk}"
        given += f"; u {tuple(u.shape)}, h {tuple(h.shape)}"
        cases += in_both_precisions(conv_by_loops, (u, h, chunk), given)
    question = "Where does the last input of block 0 go, step by step?"
    examine(fn, cases, CHUNK_MISTAKES, (looks_ahead(1),), question)
    check_pieces(fn, generator)


EXERCISE = Exercise(
    id="10.conv_chunked",
    objective="Convolve a long signal piece by piece, adding the tails.",
    answer=conv_chunked,
    hints=(
        "How long is the convolution of a piece of c steps with a filter of K taps, "
        "and to which steps of y does it belong?",
        "Let n = chunk + K - 1. Make y longer than L by n, so that every tail has "
        "room; add irfft(rfft(piece, n) * rfft(h, n), n) to y[:, start : start + n] "
        "for each piece, and cut y to L at the end.",
    ),
    checker=check_conv_chunked,
    points=15,
    minutes=15,
    stars=3,
)
