"""11.online_conv: a long convolution whose inputs depend on its own outputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_11.stepping import Work

__all__ = ["EXERCISE"]

Ask = Callable[[int, Any], float]  # t, the output before it -> the input at t
LONG = 512  # steps at which the work is counted


def online_conv(next_input: Ask, h: Tensor, length: int) -> Tensor:
    """h: (K,), K >= length -> y: (length,), y[t] = sum of h[t - s] u[s] over s <= t.

    u[t] = next_input(t, y[t - 1]), asked for one after the other; y[-1] counts as 0.
    """
    u = torch.zeros(length, dtype=h.dtype)
    y = torch.zeros_like(u)
    for t in range(length):
        u[t] = next_input(t, y[t - 1] if t else 0.0)
        y[t] += h[0] * u[t]
        n = t + 1  # from here on outputs n, n + 1, ... may hear inputs up to n - 1
        w = n & -n
        m = min(w, length - n)
        block, taps = (torch.fft.rfft(x, 2 * w) for x in (u[n - w : n], h[1 : 2 * w]))
        sent = torch.fft.irfft(block * taps, 2 * w)
        y[n : n + m] += sent[w - 1 : w - 1 + m]
    return y


class Feedback:
    """u[t] = a[t] + y / (4 + 4 |y|), y the output before; what is amiss is noted."""

    def __init__(self, a: Tensor) -> None:
        self.a, self.asked, self.amiss = a.tolist(), 0, ""

    def __call__(self, t: int, before: Any) -> float:
        if t != self.asked and not self.amiss:
            self.amiss = f"asked for u[{t}] when u[{self.asked}] was due"
        self.asked += 1
        try:
            y = float(before)
        except (TypeError, ValueError):
            self.amiss = self.amiss or "y[t - 1] must be given as a number"
            y = 0.0
        return float(self.a[t]) + y / (4 + 4 * abs(y))


def outputs_by_loops(next_input: Ask, h: Tensor, length: int) -> Tensor:
    u: list[float] = []
    y: list[float] = []
    taps = h.double().tolist()
    for t in range(length):
        u.append(next_input(t, y[-1] if y else 0.0))
        y.append(sum(taps[t - s] * u[s] for s in range(t + 1)))
    return torch.tensor(y, dtype=h.dtype)


Send = Callable[[Tensor, Tensor, int], Tensor]  # block (w,), h, m -> what it adds (m,)
Tiles = Callable[[int, int], list[tuple[int, int]]]  # n, length -> w, m of each


def squares(block: Tensor, h: Tensor, m: int) -> Tensor:
    """The right tile: input j of the block comes to output i with lag w + i - j."""
    w = len(block)
    lag = w + torch.arange(m)[:, None] - torch.arange(w)
    return (h[lag] * block).sum(1)


def cut(w: int, n: int, length: int) -> tuple[int, int]:
    """A tile of side w, and how many outputs it has before the end."""
    return w, min(w, length - n)


def lowest(n: int, length: int) -> list[tuple[int, int]]:
    return [cut(n & -n, n, length)]


def by_tiles(
    send: Send = squares, tiles: Tiles = lowest, *, hears: bool = True, now: bool = True
) -> Function:
    """The scheme with one of its parts exchanged."""

    def convolve(next_input: Ask, h: Tensor, length: int) -> Tensor:
        u = torch.zeros(length, dtype=h.dtype)
        y = torch.zeros_like(u)
        for t in range(length):
            u[t] = next_input(t, y[t - 1] if t and hears else 0.0)
            y[t] += h[0] * u[t] * now
            for w, m in tiles(t + 1, length):
                y[t + 1 : t + 1 + m] += send(u[t + 1 - w : t + 1], h, m)
        return y

    return convolve


def on_a_ring(block: Tensor, h: Tensor, m: int) -> Tensor:
    w = len(block)
    taps = torch.fft.rfft(h[1 : 2 * w], w)
    sent: Tensor = torch.fft.irfft(torch.fft.rfft(block, w) * taps, w)
    return sent[w - 1 : w - 1 + m]


def its_head(block: Tensor, h: Tensor, m: int) -> Tensor:
    n = 2 * len(block)
    spectra = torch.fft.rfft(block, n) * torch.fft.rfft(h[1:n], n)
    sent: Tensor = torch.fft.irfft(spectra, n)
    return sent[:m]


def early_taps(block: Tensor, h: Tensor, m: int) -> Tensor:
    return squares(block, torch.cat([h[:1], h[:-1]]), m)


def few_taps(block: Tensor, h: Tensor, m: int) -> Tensor:
    return squares(block, h * (torch.arange(len(h)) <= len(block)), m)


LAG = "With which lag does a block's last input reach the first output after it?"
PAIRS = "Which outputs must still hear input 0 after step 0, and which tile tells them?"
ONLINE_MISTAKES = (
    Mistake(
        "asked for u[1] before giving y[0]: the next input depends on it",
        by_tiles(hears=False),
        "What does next_input get to know about your last output?",
    ),
    Mistake(
        "contributions older than one step are missing",
        by_tiles(tiles=lambda n, length: [cut(1, n, length)]),
        PAIRS,
    ),
    Mistake(
        "one pair (s, t) was added by two blocks: after n inputs exactly one block is "
        "due, its side the largest power of two that divides n",
        by_tiles(
            tiles=lambda n, length: [
                cut(2**q, n, length) for q in range(9) if n % 2**q == 0
            ]
        ),
        PAIRS,
    ),
    Mistake(
        "the blocks overlap and leave gaps: the side is the largest power of two that "
        "divides n, not the largest below it",
        by_tiles(tiles=lambda n, length: [cut(1 << (n.bit_length() - 1), n, length)]),
        PAIRS,
    ),
    Mistake(
        "a block that reaches beyond the end was left out: cut it short instead",
        by_tiles(
            tiles=lambda n, length: [x for x in lowest(n, length) if x[0] == x[1]]
        ),
        "With 3 steps in all, which outputs does the block of side 2 still reach?",
    ),
    Mistake(
        "a block's tail came back on its head: the ring needs 2w places",
        by_tiles(on_a_ring),
        "Block of w, taps of 2w − 1: which samples are read, and what wraps on them?",
    ),
    Mistake(
        "the head of the block's convolution was added: its outputs begin at w − 1",
        by_tiles(its_head),
        LAG,
    ),
    Mistake(
        "every lag is one too small: the block's nearest input is one step back, tap 1",
        by_tiles(early_taps),
        LAG,
    ),
    Mistake(
        "a block of side w needs the taps up to 2w − 1; those after w are missing",
        by_tiles(few_taps),
        "How far apart are the first input of a block and the last output it reaches?",
    ),
    Mistake(
        "y[t] ignores u[t]: tap 0 is in no block",
        by_tiles(now=False),
        "Which tap does an input meet in its own step?",
    ),
)


def check_work(fn: Function, generator: torch.Generator) -> None:
    """Incorrect if the work grows as L²."""
    h = torch.randn(LONG, generator=generator) / LONG
    ask, work = Feedback(torch.randn(LONG, generator=generator)), Work()
    with work:
        attempt(fn, ask, h, LONG)
    pairs = LONG * (LONG + 1) // 2
    if work.count > 0.6 * pairs:
        raise Incorrect(
            "the right outputs, and slowly: the work grows as L², pair by pair",
            f"{LONG} steps",
            f"far fewer numbers than the {pairs:,} pairs",
            f"{work.count:,} numbers made or read on the way",
            "How many pairs does one block of side 256 settle, and at what price?",
        )


def check_online_conv(fn: Function, *, generator: torch.Generator) -> None:
    """Every length to 6 and longer ones, filters longer than needed, then the work."""
    cases = []
    long = pick(17, 40, generator)
    for length, extra in (
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 1),
        (5, 0),
        (6, 3),
        (16, 0),
        (long, 2),
    ):
        h = short(length + extra, generator=generator) * 0.9 ** torch.arange(
            length + extra
        )
        a = short(length, generator=generator)
        given = (
            f"length = {length}, h = {show(h)}; u[t] = a[t] + y / (4 + 4 |y|), y the "
        )
        given += f"output before, a = {show(a)}"
        for dtype in (torch.float32, torch.float64):
            taps = h.to(dtype)

            def run(fn: Function, a: Tensor = a, taps: Tensor = taps) -> object:
                ask = Feedback(a)
                y = attempt(lambda taps, n: fn(ask, taps, n), taps, len(a))
                if ask.amiss or ask.asked != len(a):
                    said = ask.amiss or f"asked for {ask.asked} inputs, not {len(a)}"
                    raise Incorrect(said)
                return y

            expected = outputs_by_loops(Feedback(a), taps, length)
            precise = 1e-4 if dtype == torch.float32 else 1e-9
            cases.append(Case((a, taps), expected, given, run, precise))
    examine(fn, cases, ONLINE_MISTAKES, question=PAIRS)
    check_work(fn, generator)


EXERCISE = Exercise(
    id="11.online_conv",
    objective="Convolve exactly, in few products, while the inputs are being made.",
    answer=online_conv,
    hints=(
        "After n inputs: which outputs may be told about which inputs at once, so that "
        "no pair (input, output) is told twice and none is forgotten?",
        "After n inputs let w = n & -n. Inputs n - w ... n - 1 send to outputs n ... "
        "n + w - 1. With taps h[1 : 2w] and transforms of size 2w, those are the "
        "samples w - 1 ... 2w - 2 of the product; cut off what lies beyond the end.",
    ),
    checker=check_online_conv,
    points=20,
    minutes=20,
    stars=3,
)
