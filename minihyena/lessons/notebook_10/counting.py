"""What a layer is made of, part by part, and the ways to count it wrong."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = [
    "KINDS",
    "Slip",
    "by_parts",
    "convolution",
    "filters",
    "one_channel",
    "projections",
    "squares",
    "transforms",
    "without",
]

KINDS = ("direct", "matrix", "fft", "attention")

Parts = dict[str, float]


def parts_of(kind: str, L: int, D: int, N: int) -> Parts:
    """Part of the layer -> its multiplications, counted one after the other."""
    weights = sum(D for _ in range(D))  # of one projection, for one step
    if kind == "attention":
        pairs = sum(1 for _ in range(L) for _ in range(L))
        projections = sum(weights * L for _ in ("query", "key", "value", "output"))
        return {"projections": projections, "scores": pairs * D, "mixing": pairs * D}
    streams = len([*range(N), "value"])
    filters = len(range(N)) - 1
    return {
        "projections": weights * L * (streams + 1),
        "short convolution": sum(3 for _ in range(streams)) * D * L,
        "gates": N * D * L,
        "long convolutions": filters * D * one_convolution(kind, L),
    }


def one_convolution(kind: str, L: int) -> float:
    """Of one channel."""
    if kind == "direct":
        return sum(1 for t in range(L) for s in range(t + 1))
    if kind == "matrix":
        return sum(1 for t in range(L) for s in range(L))
    return 3 * one_transform(2 * L) + sum(4 for _ in range(L + 1))


def one_transform(n: int) -> float:
    """n log2 n: n for every halving."""
    count, rest = 0, n
    while rest > 1:
        count, rest = count + n, rest // 2
    return count


def by_parts(kind: str, L: int, D: int, N: int) -> float:
    """The oracle."""
    return float(sum(parts_of(kind, L, D, N).values()))


Change = Callable[[Parts, str, int, int, int], Parts]


@dataclass(frozen=True)
class Slip:
    """The right count, but for some parts: `change` gives what they come to."""

    change: Change = field(repr=False)

    def __call__(self, kind: str, L: int, D: int, N: int) -> float:
        parts = parts_of(kind, L, D, N)
        return float(sum((parts | self.change(parts, kind, L, D, N)).values()))


def without(*names: str) -> Slip:
    """These parts forgotten."""
    return Slip(lambda parts, *_: {name: 0.0 for name in names if name in parts})


def projections(count: Callable[[int], int], attention: int = 4) -> Slip:
    """count(N) projections for Hyena, `attention` of them for attention."""

    def change(parts: Parts, kind: str, L: int, D: int, N: int) -> Parts:
        return {
            "projections": D * D * L * (attention if kind == KINDS[3] else count(N))
        }

    return Slip(change)


def convolution(wanted: str, count: Callable[[int], float]) -> Slip:
    """One long convolution of this kind, of one channel, comes to count(L)."""

    def change(parts: Parts, kind: str, L: int, D: int, N: int) -> Parts:
        return {"long convolutions": (N - 1) * D * count(L)} if kind == wanted else {}

    return Slip(change)


def filters(count: Callable[[int], int]) -> Slip:
    """count(N) long convolutions."""

    def change(parts: Parts, kind: str, L: int, D: int, N: int) -> Parts:
        if kind == KINDS[3]:
            return {}
        return {"long convolutions": count(N) * D * one_convolution(kind, L)}

    return Slip(change)


def squares(factor: Callable[[int], float]) -> Slip:
    """Scores and mixing of attention over factor(L) pairs."""

    def change(parts: Parts, kind: str, L: int, D: int, N: int) -> Parts:
        pairs = D * factor(L)
        return {"scores": pairs, "mixing": pairs} if kind == KINDS[3] else {}

    return Slip(change)


def transforms(count: float, pad: int = 2, logarithm: float = 1.0) -> Slip:
    """So many transforms of pad * L numbers, log2 times `logarithm`."""

    def cost(L: int) -> float:
        n = pad * L
        return count * n * math.log2(n) * logarithm + 4 * (n // 2 + 1)

    return convolution("fft", cost)


def one_channel(kind: str, L: int, D: int, N: int) -> float:
    """The layer as if its width were 1."""
    return by_parts(kind, L, 1, N)
