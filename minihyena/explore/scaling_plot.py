"""Scaling plot: recorded measurements, with your machine and operator beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from minihyena.benchmark import Row
from minihyena.explore.scaling_data import AUTHORS
from minihyena.explore.scaling_measure import Measurement
from minihyena.explore.scaling_panel import ScalingPanel
from minihyena.explore.scaling_subjects import Conv, Op, fitting, named, subjects_of
from minihyena.explore.training_loop import Phase

__all__ = ["ScalingPlot"]

LONGEST_HERE = 4096  # more would take minutes on two cores
ROUNDS = 5
# A cell that is run again stops what its old plot measures.
_PLOTS: WeakValueDictionary[str, "ScalingPlot"] = WeakValueDictionary()


class ScalingPlot(ScalingPanel):
    """How time, memory and operations grow with length: recorded, and measured here.

    `mine`: your operator op(u): (B, L, D) -> (B, L, D), or several by name; they are
    timed beside the layers. `convs`: your conv(u, h): (B, D, L), (D, L) -> (B, D, L),
    timed beside the convolutions. "Measure here" times the subjects of the comparison
    that is shown, in turn, at up to 4,096 steps; `measure(lengths)` does so in the cell
    that calls it. `threads` (None: all but one, which the page needs) is how many the
    measurement may use. `results`: the folder of the recorded runs. A second plot of
    the same `name` stops the first.

    Raises FileNotFoundError without recorded runs, ValueError for an operator that
    does not keep the shape or that is named like a recorded one.
    """

    def __init__(
        self,
        mine: Op | Mapping[str, Op] | None = None,
        *,
        convs: Conv | Mapping[str, Conv] | None = None,
        results: str | Path | None = None,
        threads: int | None = None,
        name: str = "scaling plot",
    ) -> None:
        if old := _PLOTS.get(name):
            old.stop()
        if threads is None:
            threads = max(1, torch.get_num_threads() - 1)
        if threads < 1:
            raise ValueError(f"threads must be at least 1; got {threads}")
        self.ops, self.convs = named(mine), named(convs)
        own = [*self.ops, *self.convs]
        super().__init__(Path(results) if results else None, threads, own)
        self.own = fitting(self.comparisons.values(), self.ops, self.convs)
        self._go.on_click(lambda _: self._guard(self.start))
        self._halt.on_click(lambda _: self._guard(self.stop))
        _PLOTS[name] = self

    def start(self) -> None:
        """Measure in the background and return at once; what was there is replaced."""
        self._plan(None).start()

    def measure(self, lengths: Sequence[int] | None = None) -> None:
        """Measure here and now, at these lengths; errors are raised."""
        self._plan(lengths).run()

    def stop(self) -> None:
        """End the measurement after the call in hand; what was measured stays."""
        if self._measurement is not None:
            self._measurement.stop()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the background; an error of the measurement is raised here."""
        if self._measurement is not None:
            self._measurement.join(timeout)

    def _plan(self, lengths: Sequence[int] | None) -> Measurement:
        """A fresh measurement of what is shown, not yet begun."""
        if self.phase == Phase.RUNNING:
            raise RuntimeError("a measurement is running already; stop() it first")
        shown = self.shown
        if shown.name == AUTHORS:
            raise ValueError(
                "the authors' numbers come from a GPU and a kernel of their own; "
                "choose another comparison to measure here"
            )
        if lengths is None:
            lengths = [n for n in self.chosen() if n <= LONGEST_HERE]
        if not lengths or min(lengths) < 1:
            raise ValueError(
                f"nothing to measure at lengths {list(lengths)}: choose all lengths or "
                f"the shorter half (here up to {LONGEST_HERE:,} are timed)"
            )
        measured: list[Row] = []
        self._here[shown.name], self._wanted = measured, shown.name

        def keep(length: int, times: Mapping[str, tuple[float, ...]]) -> None:
            size = shown.size_at(length)
            measured.extend(
                Row(shown.suite, shown.task, name, *size, length, seconds, None, None)
                for name, seconds in times.items()
            )

        self._measurement = Measurement(
            lengths,
            subjects_of(shown, self.own.get(shown.name, {})),
            keep,
            lambda: self._guard(self.redraw),
            rounds=ROUNDS,
            threads=self.threads,
        )
        return self._measurement
