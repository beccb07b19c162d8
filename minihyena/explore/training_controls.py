"""What every explorer that trains has: start, pause, stop, reset, and their buttons."""

import time
from typing import Any
from weakref import WeakValueDictionary

import ipywidgets as W
import plotly.graph_objects as go

from minihyena.explore.base import Explorer
from minihyena.explore.parts import button, choice, slider
from minihyena.explore.style import BLUE
from minihyena.explore.training_loop import Loop, Phase, Turns
from minihyena.training import TrainConfig

__all__ = ["SETTINGS", "Trainer", "settings"]

SETTINGS = ("mixer", "learning_rate", "steps")  # fixed once a run has begun
RATES = (1e-4, 3e-4, 1e-3, 2e-3, 4e-3, 1e-2, 3e-2)
STEPS = (50, 100, 200, 300, 500, 1000)
GO = {
    Phase.READY: ("Start", "play"),
    Phase.RUNNING: ("Pause", "pause"),
    Phase.PAUSED: ("Resume", "play"),
}
REDRAW_S = 0.2  # at most so often, and drawing takes at most a fifth of the time
# A cell that is run again stops what its old widget trains.
_TRAINERS: WeakValueDictionary[str, "Trainer"] = WeakValueDictionary()


class Trainer(Explorer):
    """Trains in a thread by its buttons, in the cell by `run()` and `train(steps)`.

    A subclass says which loop it is (`_loop`), how it begins anew (`reset`), what is
    read off it between two steps (`_read`) and how far it is (`_done`).
    """

    surprising = False
    moves_alone = False

    def __init__(self, pickers: dict[str, Any], figure: go.Figure, name: str) -> None:
        if old := _TRAINERS.get(name):
            old.stop()
        self.turns = Turns()
        self._next_redraw = 0.0
        tips = ("Start, pause or resume", "End this run; the models stay as they are")
        self._go = button("Start", "play", tips[0], go=True)
        self._halt = button("Stop", "stop", tips[1])
        self._fresh = button("Reset", "undo", "Begin anew, untrained")
        self.progress = W.FloatProgress(
            max=1.0, style={"bar_color": BLUE}, layout=W.Layout(width="100%")
        )
        self.progress.add_class("mh-progress")
        super().__init__(pickers, figure)
        self._go.on_click(lambda _: self._guard(self._start_or_pause))
        self._halt.on_click(lambda _: self._guard(self.stop))
        self._fresh.on_click(lambda _: self._guard(self.reset))
        _TRAINERS[name] = self

    # ---- what a subclass says

    @property
    def _loop(self) -> Loop:
        """The loop at hand."""
        raise NotImplementedError

    def _read(self) -> None:
        """Read the facts off the run; called between two steps."""
        raise NotImplementedError

    def _done(self) -> float:
        """How far the run is: 0 .. 1."""
        raise NotImplementedError

    # ---- what can be done

    def start(self) -> None:
        """Train in the background and return at once; after a pause, go on."""
        self._loop.start()

    def resume(self) -> None:
        """Go on after a pause."""
        self._loop.start()

    def pause(self) -> None:
        """Rest after the step in hand; the models can be used meanwhile."""
        self._loop.pause()

    def stop(self) -> None:
        """End this run after the step in hand; the models stay as they are."""
        self._loop.stop()

    def close(self) -> None:
        """Stop, and close all it is made of."""
        if self.comm is not None:
            self.stop()
        super().close()

    def run(self) -> None:
        """Train to the end here and now; errors are raised."""
        self._loop.run()

    def train(self, steps: int) -> None:
        """Train `steps` steps here and now, then pause; errors are raised."""
        self._loop.run(steps)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the background; an error of the run is raised here."""
        self._loop.join(timeout)

    @property
    def phase(self) -> Phase:
        """Ready, running, paused, stopped, finished or failed."""
        return self._loop.phase

    def set(self, name: str, value: Any) -> None:
        """Move one control; RuntimeError for a setting of a run that has begun."""
        if name in SETTINGS and self.phase != Phase.READY:
            raise RuntimeError(f"{name} is fixed once training began; reset() first")
        super().set(name, value)

    # ---- the face

    def _buttons(self) -> list[W.Widget]:
        return [self._go, self._halt, self._fresh, self.show_numbers]

    def _compute(self) -> None:
        with self.turns:  # between two steps, and never asked for inside the lock
            self._read()

    def _trouble(self) -> str:
        error = self._loop.error
        return f"{type(error).__name__}: {error}" if error is not None else ""

    def _refresh_text(self) -> None:
        super()._refresh_text()
        phase = self.facts()["phase"]
        self._go.description, self._go.icon = GO.get(phase, GO[Phase.READY])
        self._go.disabled = phase not in GO
        self._halt.disabled = phase not in (Phase.RUNNING, Phase.PAUSED)
        for name in SETTINGS:
            if name in self.pickers:
                self.pickers[name].disabled = phase != Phase.READY
        self.progress.value = 1.0 if phase == Phase.FINISHED else self._done()

    def _on_record(self, _: object) -> None:
        began = time.monotonic()
        if began >= self._next_redraw:
            self.redraw()
            spent = time.monotonic() - began
            self._next_redraw = began + max(REDRAW_S, 5 * spent)

    def _on_change(self) -> None:
        self._guard(self.redraw)

    def _start_or_pause(self) -> None:
        if self.phase == Phase.RUNNING:
            self.pause()
        else:
            self.start()


def settings(config: TrainConfig) -> dict[str, Any]:
    """The pickers of learning rate and steps, at those of `config` first."""
    limits = [(f"{n:,}", n) for n in sorted({*STEPS, config.steps or STEPS[0]})]
    if config.minutes is not None:  # 0: no limit; None would be no choice at all
        limits.append((f"as many as {config.minutes:g} minutes allow", 0))
    rates = [(f"{r:g}", r) for r in sorted({*RATES, config.learning_rate})]
    return {
        "learning_rate": slider("Learning rate", rates, config.learning_rate),
        "steps": choice("Steps", limits, config.steps or 0),
    }
