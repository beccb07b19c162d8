"""What the scaling plot shows: one comparison, one quantity, and what was measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as W

from minihyena import records
from minihyena.benchmark import Row
from minihyena.explore.base import Explorer
from minihyena.explore.parts import button, choice
from minihyena.explore.scaling_data import (
    AUTHORS,
    Comparison,
    Value,
    comparisons,
    exponent,
    lead,
    values_of,
)
from minihyena.explore.scaling_figure import draw, figure_of
from minihyena.explore.scaling_measure import Measurement
from minihyena.explore.scaling_words import sentence
from minihyena.explore.style import BLUE
from minihyena.explore.training_loop import Phase

__all__ = ["ScalingPanel"]

RANGES = ("all lengths", "the shorter half", "the longer half")


class ScalingPanel(Explorer):
    """The face of the scaling plot; a subclass says what the buttons do."""

    title = "Scaling plot"
    narrowest = 480
    moves_alone = False
    notice = (
        "Both axes are logarithmic: a power of L is a straight line, its exponent the "
        "slope. Who is ahead at short lengths, who at long ones, and from where on?"
    )

    def __init__(self, results: Path | None, threads: int, own: Sequence[str]) -> None:
        self.comparisons = comparisons(results or records.results_folder())
        self.threads = threads
        self._here: dict[str, list[Row]] = {}  # comparison -> what was measured
        self._measurement: Measurement | None = None
        self._wanted = ""  # the comparison that it belongs to
        tips = ("Time these subjects on this machine", "End it; keep what is there")
        self._go = button("Measure here", "play", tips[0], go=True)
        self._halt = button("Stop", "stop", tips[1])
        wide = W.Layout(width="100%")
        self.progress = W.FloatProgress(max=1.0, style={"bar_color": BLUE}, layout=wide)
        self.progress.add_class("mh-progress")
        self.progress_text = W.HTML(layout=wide)
        first = next(iter(self.comparisons))
        pickers = {
            "comparison": choice("Comparison", list(self.comparisons), first),
            "lengths": choice("Lengths", RANGES),
            "quantity": choice("Quantity", self.comparisons[first].quantities),
        }
        self._own = tuple(own)
        every = [name for c in self.comparisons.values() for name in c.names]
        self._recorded = tuple(dict.fromkeys(every))
        super().__init__(pickers, figure_of(self._recorded, self._own))

    @property
    def phase(self) -> Phase:
        """Ready, running, stopped, finished or failed."""
        return self._measurement.phase if self._measurement else Phase.READY

    @property
    def shown(self) -> Comparison:
        """The comparison that is chosen."""
        return self.comparisons[self.pickers["comparison"].value]

    def chosen(self) -> list[int]:
        """The lengths that are chosen, of those of this comparison."""
        every, which = self.shown.lengths, self.pickers["lengths"].value
        middle = len(every) // 2
        parts = {RANGES[1]: every[: middle + 1], RANGES[2]: every[middle:]}
        return parts.get(which, every)

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        return sentence(self.facts())

    def picture(self, width: int = 760) -> bytes:
        """As in Explorer, but narrower: dashes and pale lines make large files."""
        return super().picture(width)

    def _compute(self) -> None:
        shown = self.shown
        self._offer(shown)
        now = self.state()
        quantity, lengths = now["quantity"], self.chosen()
        here = tuple(self._here.get(shown.name, ()))

        def ask(rows: tuple[Row, ...], what: str) -> dict[str, dict[int, Value]]:
            names = [*shown.names, *self._own]
            found = {name: values_of(rows, name, what, shown.ours) for name in names}
            return {name: points for name, points in found.items() if points}

        recorded, measured = ask(shown.rows, quantity), ask(here, quantity)
        inside = {
            name: {n: value for n, value in points.items() if n in lengths}
            for name, points in recorded.items()
        }
        fitted = quantity != "times faster"
        self._fits = {
            name: fit
            for name, points in inside.items()
            if fitted and (fit := exponent(points))
        }
        ratios = ask(shown.rows, "times faster")
        self._facts = now | {
            "lengths": tuple(lengths),
            "every_length": tuple(shown.lengths),
            "where": shown.where,
            "ours": shown.ours,
            "names": tuple(shown.names),
            "own": self._own,
            "all_values": recorded,
            "values": {name: points for name, points in inside.items() if points},
            "exponents": {name: fit[0] for name, fit in self._fits.items()},
            "ahead": {name: lead(points, lengths) for name, points in ratios.items()},
            "failed": shown.failed(),
            "phase": self.phase if self._wanted == shown.name else Phase.READY,
            "threads": self.threads,
            "here": measured,
            "exponents_here": {
                name: fit[0]
                for name, points in measured.items()
                if fitted and (fit := exponent(points))
            },
        }

    def _offer(self, shown: Comparison) -> None:
        """The quantities that this comparison has."""
        picker, options = self.pickers["quantity"], tuple(shown.quantities)
        if picker.options != options:
            before, quiet = picker.value, self._quiet
            self._quiet = True
            picker.options = options
            picker.value = before if before in options else options[0]
            self._quiet = quiet

    def _draw(self) -> None:
        draw(self.figure, self._recorded, self.facts(), self._fits)

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        header = ["Subject", "measured", "L", "ms, median", "lower quartile"]
        header += ["upper quartile", "MiB", "million operations", "note"]
        here = self._here.get(self.shown.name, ())
        rows = [("recorded", r) for r in self.shown.rows] + [("here", r) for r in here]
        return header, [(r.name, where, *_cells(r)) for where, r in rows]

    def _trouble(self) -> str:
        error = self._measurement.error if self._measurement else None
        return f"{type(error).__name__}: {error}" if error is not None else ""

    def _controls(self) -> list[W.Widget]:
        settings, buttons = super()._controls()
        buttons.children = (self._go, self._halt, *buttons.children)
        return [settings, buttons, self.progress, self.progress_text]

    def _refresh_text(self) -> None:
        super()._refresh_text()
        m, running = self._measurement, self.phase == Phase.RUNNING
        self._go.disabled = running or self.shown.name == AUTHORS
        self._halt.disabled = not running
        text = "Nothing has been measured on this machine yet."
        if m is not None:
            now = f"now L = {m.length:,}" if m.length else str(m.phase)
            text = (
                f"{m.done} of {len(m.lengths)} lengths of “{self._wanted}” measured on "
                f"{self.threads} thread{'s' * (self.threads != 1)}; {now}."
            )
        self.progress.value = m.done / len(m.lengths) if m is not None else 0.0
        self.progress_text.value = f'<div class="mh-notice">{text}</div>'


def _cells(r: Row) -> tuple[Any, ...]:
    """Length, three times, memory, operations, note; a dash for what is not known."""
    times: tuple[Any, ...] = ("–", "–", "–")
    if r.seconds:
        times = 1e3 * r.median, 1e3 * r.low, 1e3 * r.high
    memory = "–" if r.peak_bytes is None else r.peak_bytes / 2**20
    operations = "–" if r.flops is None else r.flops / 1e6
    return f"{r.length:,}", *times, memory, operations, r.note
