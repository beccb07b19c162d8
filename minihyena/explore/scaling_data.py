"""Measurements as the scaling plot draws them: comparisons, and values by length."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minihyena.benchmark import Row, load, ratio
from minihyena.files import read_json
from minihyena.options import from_fields

__all__ = [
    "AUTHORS",
    "QUANTITIES",
    "Comparison",
    "Value",
    "ahead_from",
    "comparisons",
    "exponent",
    "lead",
    "values_of",
]

AUTHORS = "the authors' figure"
RECORDED = ("conv", "layer")  # the runs that are drawn: data/results/NAME.json
WORDS = {
    ("conv", "forward"): "convolution",
    ("conv", "forward+backward"): "convolution with gradient",
    ("layer", "forward"): "layer",
    ("layer", "forward+backward"): "layer with gradient",
    ("layer", "mixing"): "mixing alone",
}
# Name -> what the axis says.
QUANTITIES = {
    "time": "milliseconds, median and quartiles",
    "memory": "MiB of extra memory at the peak",
    "operations": "million operations, by formula",
    "times faster": "times as fast",
}
Value = tuple[float, float, float]  # the middle, and the two quartiles


@dataclass(frozen=True)
class Comparison:
    """Subjects that were measured in turn, at many lengths; `ours` is the first."""

    name: str
    where: str  # sizes and machine, for the eye
    ours: str
    rows: tuple[Row, ...]

    @property
    def suite(self) -> str:
        """What was recorded together: "conv", "layer"."""
        return self.rows[0].suite

    @property
    def task(self) -> str:
        """What was done: "forward", "forward+backward", "mixing"."""
        return self.rows[0].task

    def size_at(self, length: int) -> tuple[int, int]:
        """(batch, width) at the recorded length nearest to this one."""
        row = min(self.rows, key=lambda row: abs(row.length - length))
        return row.batch, row.width

    @property
    def names(self) -> list[str]:
        """The subjects in the order in which they were recorded, `ours` in front."""
        known = dict.fromkeys(row.name for row in self.rows)
        return [self.ours, *(name for name in known if name != self.ours)]

    @property
    def lengths(self) -> list[int]:
        """Every length, ascending."""
        return sorted({row.length for row in self.rows})

    @property
    def quantities(self) -> list[str]:
        """Those of QUANTITIES of which there is a value."""
        return [
            what
            for what in QUANTITIES
            if any(values_of(self.rows, name, what, self.ours) for name in self.names)
        ]

    def failed(self) -> dict[str, dict[int, str]]:
        """Name -> the lengths that it was not run at, with the reason."""
        found: dict[str, dict[int, str]] = {}
        for row in sorted(self.rows, key=lambda row: row.length):
            if not row.seconds:
                found.setdefault(row.name, {})[row.length] = row.note
        return found


def comparisons(folder: Path) -> dict[str, Comparison]:
    """Name -> comparison, of all that is recorded in a folder.

    Raises FileNotFoundError for a recorded run that is not there, saying how to make
    it, and ValueError for a file that is something else.
    """
    found: dict[str, Comparison] = {}
    for suite in RECORDED:
        path = folder / f"{suite}.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{suite}.json is missing in {folder.name}/ of the recorded "
                "measurements; `python -m minihyena bench` records it"
            )
        run = load(path)
        machine = f"{run.threads} thread{'s' * (run.threads != 1)}"
        for name, rows in _grouped(run.rows).items():
            size = f"batch {_one_or_many(r.batch for r in rows)}, "
            size += f"width {_one_or_many(r.width for r in rows)}"
            ours = next((r.name for r in rows if r.name == "minihyena"), rows[0].name)
            found[name] = Comparison(name, f"{size}, {machine}", ours, tuple(rows))
    found[AUTHORS] = _authors(folder / "authors_figure_4_3.json")
    return found


def _grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each suite and task; apart by size where sizes were compared."""
    groups: dict[str, list[Row]] = {}
    for key in dict.fromkeys((row.suite, row.task) for row in rows):
        these = [row for row in rows if (row.suite, row.task) == key]
        name = WORDS.get(key, f"{key[0]}, {key[1]}")
        places = {(row.name, row.length) for row in these}
        if len(places) == len(these):  # one size at each length
            groups[name] = these
            continue
        for batch, width in dict.fromkeys((row.batch, row.width) for row in these):
            same = [r for r in these if (r.batch, r.width) == (batch, width)]
            if len({r.length for r in same}) > 1:
                groups[f"{name}, {batch} × {width}"] = same
    return groups


def _one_or_many(numbers: Iterable[int]) -> str:
    distinct = sorted(set(numbers))
    if len(distinct) == 1:
        return f"{distinct[0]:,}"
    return f"{distinct[0]:,} to {distinct[-1]:,}"


def _authors(path: Path) -> Comparison:
    """The numbers behind Figure 4.3, as rows of one round each."""
    file = read_json(path)
    try:
        batch, ours, lengths = file["batch"], file["ours"], file["lengths"]
        rows = tuple(
            from_fields(Row, {
                "suite": "authors", "task": "forward", "name": name,
                "batch": batch, "width": 0, "length": length,
                "seconds": [] if milliseconds is None else [milliseconds / 1000],
                "note": "out of memory" if milliseconds is None else "",
            })
            for name, times in {**file["series"]}.items()
            for length, milliseconds in zip(lengths, times, strict=True)
        )  # fmt: skip
        if ours not in {row.name for row in rows}:
            raise ValueError(f"{ours!r} has no numbers")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} does not hold the figure: {error!r}") from None
    return Comparison(AUTHORS, f"batch {batch}, on a GPU, quoted", ours, rows)


def values_of(
    rows: Sequence[Row], name: str, quantity: str, ours: str
) -> dict[int, Value]:
    """Length -> (middle, lower, upper) of one subject; only what can be drawn.

    "times faster": the time of this subject over that of `ours`, round by round.
    """
    mine = {row.length: row for row in rows if row.name == name}
    base = {row.length: row for row in rows if row.name == ours and row.seconds}
    found: dict[int, Value] = {}
    for length, row in sorted(mine.items()):
        value: Value | None = None
        if quantity == "memory" and row.peak_bytes is not None:
            value = (row.peak_bytes / 2**20,) * 3
        elif quantity == "operations" and row.flops is not None:
            value = (row.flops / 1e6,) * 3
        elif quantity == "time" and row.seconds:
            value = 1000 * row.median, 1000 * row.low, 1000 * row.high
        elif quantity == "times faster" and row.seconds and length in base:
            value = ratio(row, base[length]) if name != ours else None
        if value is not None and value[0] > 0:
            found[length] = value
    return found


def exponent(points: Mapping[int, Value]) -> tuple[float, float] | None:
    """p and log c of the best line log(middle) = p log(length) + log c.

    None with fewer than two lengths.
    """
    if len(points) < 2:
        return None
    x = np.log(np.array(list(points), dtype=float))
    y = np.log([middle for middle, _, _ in points.values()])
    power, constant = np.polyfit(x, y, 1)
    return float(power), float(constant)


def lead(ratios: Mapping[int, Value], lengths: Sequence[int]) -> dict[str, int | None]:
    """From which of the lengths on `ours` stays ahead: by the median ratio, and surely,
    that is by the lower quartile; and the first and last length with a ratio.
    """
    inside = {n: value for n, value in ratios.items() if n in lengths}
    return {
        "median": ahead_from({n: value[0] for n, value in inside.items()}),
        "surely": ahead_from({n: value[1] for n, value in inside.items()}),
        "first": min(inside, default=None),
        "last": max(inside, default=None),
    }


def ahead_from(ratios: Mapping[int, float]) -> int | None:
    """The first length from which all ratios, this one too, are above 1."""
    found = None
    for length in sorted(ratios, reverse=True):
        if ratios[length] <= 1:
            break
        found = length
    return found
