"""What an operator is made of, tensor by tensor, and the ways to count it wrong."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

__all__ = [
    "Slip",
    "count_by_shapes",
    "exchanged",
    "fewer_everywhere",
    "network_for_each",
    "network_for_nothing",
    "only_cosines",
    "same_filters",
    "shapes_of",
    "skips_in_both",
    "without_biases",
]


def shapes_of(
    width: int, order: int, filter_width: int, bands: int, convention: str
) -> dict[str, list[tuple[int, ...]]]:
    """Part -> the shape of each of its tensors, written down one by one."""
    streams = width * sum(1 for _ in ["value", *range(order)])
    filters = len(range(order)) - (1 if convention == "reference" else 0)
    network: list[tuple[int, ...]] = [(filter_width, 1 + 2 * bands), (filter_width,)]
    network += [(filter_width, filter_width), (filter_width,)] * 2
    return {
        "input projection": [(streams, width), (streams,)],
        "short convolution": [(streams, 1, 3), (streams,)],
        "output projection": [(width, width), (width,)],
        "sine network": [*network, (filter_width,)] if filters else [],
        "readout": [(filters, width, filter_width)],
        "skips": [(filters, width)] if convention == "reference" else [],
    }


def count_by_shapes(*sizes: object) -> int:
    """The oracle: the sizes of all tensors, added up."""
    parts = shapes_of(*sizes)  # type: ignore[arg-type]
    return sum(prod(shape) for shapes in parts.values() for shape in shapes)


@dataclass(frozen=True)
class Slip:
    """The right count, but for one part: `change` gives what it comes to instead."""

    change: dict[str, int]  # part -> factor, 0 to leave it out

    def __call__(self, *sizes: object) -> int:
        parts = shapes_of(*sizes)  # type: ignore[arg-type]
        return sum(
            self.change.get(part, 1) * prod(shape)
            for part, shapes in parts.items()
            for shape in shapes
        )


def without_biases(*sizes: object) -> int:
    """All but the tensors of one axis that stand behind their weights."""
    parts = shapes_of(*sizes)  # type: ignore[arg-type]
    return sum(
        prod(shape)
        for shapes in parts.values()
        for before, shape in pairwise([(1,), *shapes])
        if len(shape) > 1 or len(before) == 1
    )


def same_filters(w: int, n: int, f: int, k: int, convention: str) -> int:
    """N long filters in both conventions, with or without their skips."""
    skips = n * w if convention == "reference" else 0
    return count_by_shapes(w, n, f, k, "paper") + skips


def fewer_everywhere(w: int, n: int, f: int, k: int, convention: str) -> int:
    """N - 1 long filters in both conventions."""
    skips = (n - 1) * w if convention == "paper" else 0
    return count_by_shapes(w, n, f, k, "reference") - skips


def exchanged(w: int, n: int, f: int, k: int, convention: str) -> int:
    """Each convention counted as the other."""
    other = {"paper": "reference", "reference": "paper"}[convention]
    return count_by_shapes(w, n, f, k, other)


def skips_in_both(w: int, n: int, f: int, k: int, convention: str) -> int:
    """One skip a long filter and channel, whatever the convention."""
    skips = n * w if convention == "paper" else 0
    return count_by_shapes(w, n, f, k, convention) + skips


def only_cosines(w: int, n: int, f: int, k: int, convention: str) -> int:
    """K + 1 features go into the network: the sines are forgotten."""
    count = count_by_shapes(w, n, f, k, convention)
    return count - k * f * bool(shapes_of(w, n, f, k, convention)["sine network"])


def network_for_nothing(w: int, n: int, f: int, k: int, convention: str) -> int:
    """A network also where there is no filter to draw."""
    count = count_by_shapes(w, n, f, k, convention)
    if n == 1 and convention == "reference":
        count += count_by_shapes(w, 2, f, k, "paper") - Slip({"sine network": 0})(
            w, 2, f, k, "paper"
        )
    return count


def network_for_each(w: int, n: int, f: int, k: int, convention: str) -> int:
    """A network of its own for every long filter."""
    filters = n - (convention == "reference")
    return Slip({"sine network": max(filters, 1)})(w, n, f, k, convention)
