"""Explorer: what every widget is. Controls, one figure, one true sentence, numbers.

The plotly figure is the one source of the drawing: live it is a FigureWidget, and the
picture that is published is the same figure through kaleido. Everything a figure
shows is also there as text: `describe()` below it and a table behind "Show numbers".
"""

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from threading import RLock
from typing import Any

import ipywidgets as W
import plotly.graph_objects as go
import torch

from minihyena.errors import choose
from minihyena.explore.live import CONFIG, MEND, caption_still, enliven, show
from minihyena.explore.parts import (
    button,
    chips,
    row,
    sideways,
    states,
    table,
    widgets_of,
)
from minihyena.explore.still import still
from minihyena.explore.style import STYLE

__all__ = ["STILL", "Explorer"]

State = dict[str, Any]
PLOTLY = "application/vnd.plotly.v1+json"
STILL = "application/vnd.minihyena.still+json"


class Explorer(W.VBox):  # type: ignore[misc]
    """A widget over something the learner built; subclasses fill in five methods.

    `_compute` asks the learner's object, `_draw` copies the numbers into the figure,
    `facts` hands them out, `describe` makes one sentence of the facts, and `_numbers`
    gives the table. `controls` lists every value each control can take.
    """

    title = ""
    notice = ""  # what to look for
    surprising = True  # offers "Surprise me"
    by_lot = False  # too many states to walk along: a sweep draws some
    moves_alone = True  # its controls only look, so that states can be made in advance
    narrowest = 0  # px that its picture needs: it scrolls sideways where there are less
    _beside: Sequence[W.Widget] = ()  # made beside its pickers, and closed with them

    def __init__(
        self, pickers: dict[str, Any], figure: go.Figure, *, surprise_seed: int = 0
    ) -> None:
        self.pickers = pickers
        self._lock = RLock()
        self._quiet = False
        self._generator = torch.Generator().manual_seed(surprise_seed)
        self._first = self.state()
        self.figure = figure
        try:
            self._compute()
            self._draw()  # before it is shown: a busy page misses what comes at once
        except BaseException:  # the stop button, too
            self._close([*pickers.values(), *self._beside])
            raise
        self.figure, shown = enliven(figure)
        self.live = shown is not None
        head = f'<div class="mh-title">{escape(self.title)}</div>'
        head += f'<div class="mh-notice">{escape(self.notice)}</div>'
        wide = W.Layout(width="100%")
        self.status = W.HTML(layout=wide)
        self.caption = W.HTML(layout=wide)
        self.details = W.HTML(layout=wide)
        self.numbers = W.HTML(layout=W.Layout(width="100%"))  # its own: it is hidden
        self.show_numbers = W.ToggleButton(
            description="Show numbers", icon="table", layout=W.Layout(width="auto")
        )
        self.show_numbers.observe(lambda _: self._guard(self._refresh_text), "value")
        picture = shown or [W.HTML(f"<p>{MEND}</p>")]
        if self.live and self.narrowest:
            self._picture = sideways(picture, self.narrowest)
        else:
            self._picture = W.VBox(picture, layout=W.Layout(width="100%"))
        self._picture.add_class("mh-picture")
        self._stage = W.VBox([self._picture, self.numbers], layout=wide)
        super().__init__(
            [
                W.HTML(STYLE + head, layout=wide),
                *self._controls(),
                self.status,
                self._stage,
                self.caption,
                self.details,
                *self._below(),
            ],
            layout=wide,
        )
        self.add_class("minihyena")
        for picker in pickers.values():
            picker.observe(lambda _: self._guard(self._changed), "value")
        self._say()

    # ---- what a subclass says

    def facts(self) -> dict[str, Any]:
        """Numbers read from the learner's object, nothing else."""
        raise NotImplementedError

    def describe(self) -> str:
        """One factual sentence made from facts() alone."""
        raise NotImplementedError

    def _compute(self) -> None:
        """Ask the learner's object; may fail, nothing has been drawn yet."""
        raise NotImplementedError

    def _draw(self) -> None:
        """Copy the numbers into the figure; runs inside one batch_update."""
        raise NotImplementedError

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Header and rows of everything that is drawn."""
        raise NotImplementedError

    def _details(self) -> dict[str, Any]:
        """Named numbers for the eye only: they may differ between machines."""
        return {}

    def _trouble(self) -> str:
        """What went wrong elsewhere, for the status line."""
        return ""

    def _controls(self) -> list[W.Widget]:
        """Rows of controls above the figure."""
        return [row(self.pickers.values()), self._button_row()]

    def _button_row(self) -> W.Box:
        """What every explorer offers beside its own controls."""
        buttons = [self._button("Reset", "undo", "Back to the first state", self.reset)]
        if self.surprising:
            tip = "Set every control to a value drawn by lot"
            buttons.append(self._button("Surprise me", "random", tip, self.surprise))
        return row([*buttons, self.show_numbers], "mh-buttons")

    def _below(self) -> list[W.Widget]:
        """Widgets under the sentence."""
        return []

    # ---- controls

    @property
    def controls(self) -> dict[str, tuple[Any, ...]]:
        """Name of each control -> every value it can be set to now."""
        return {
            name: tuple(value for _, value in picker._options_full)
            for name, picker in self.pickers.items()
            if not picker.disabled
        }

    def state(self) -> State:
        """Name of each control -> its value now."""
        return {name: picker.value for name, picker in self.pickers.items()}

    def set(self, name: str, value: Any) -> None:
        """Move one control, as a hand would; ValueError for what it cannot be."""
        choose("control", name, self.controls)
        if value not in self.controls[name]:
            raise ValueError(f"{name} can be {self.controls[name]}, not {value!r}")
        self.pickers[name].value = value

    def reset(self) -> None:
        """Put every control back to where it was first."""
        self._apply(self._first)

    def surprise(self) -> None:
        """Set every control to a value drawn from the explorer's own generator."""
        self._apply(self._drawn(self._generator))

    def sweep(self, cap: int = 200) -> Iterator[tuple[State, dict[str, Any]]]:
        """Visit every value of every control, about `cap` states; yield their facts."""
        before = self.state()
        walk = self._some_states if self.by_lot else states
        try:
            for state in walk(self.controls, before, cap):
                self._apply(state)
                yield self.state(), self.facts()
        finally:
            self._apply(before)

    def _some_states(
        self, controls: dict[str, tuple[Any, ...]], now: State, cap: int
    ) -> Iterator[State]:
        """Each value once, then states drawn from what the controls can be by then."""
        lot, singles = torch.Generator().manual_seed(0), 0
        for name, values in controls.items():
            singles += len(values)
            yield from (now | {name: value} for value in values)
        for _ in range(cap - singles):
            yield self._drawn(lot)

    def _drawn(self, generator: torch.Generator) -> State:
        """A value for each control."""
        return {
            name: values[int(torch.randint(len(values), (), generator=generator))]
            for name, values in self.controls.items()
        }

    def _apply(self, state: State) -> None:
        """Set many controls, then draw once; again where one opens up another."""
        for _ in range(2):
            self._quiet = True
            try:
                for name, value in state.items():
                    if value in self.controls.get(name, ()):
                        self.pickers[name].value = value
            finally:
                self._quiet = False
            self.redraw()
            if self.state() == self.state() | state:
                break

    def _changed(self) -> None:
        if not self._quiet:
            self.redraw()

    # ---- drawing

    def redraw(self) -> None:
        """Ask the learner's object again and draw what it says."""
        try:
            self._compute()  # may wait for the learner's object, so without the lock
            with self._lock:
                with self.figure.batch_update():
                    self._draw()
                self._say()
        except Exception:
            self.add_class("mh-stale")
            raise

    def _say(self) -> None:
        """All the words: in the picture, above it and below."""
        self.remove_class("mh-stale")
        caption_still(self.figure, self.describe())
        self._tell(self._trouble())
        self._refresh_text()

    def _refresh_text(self) -> None:
        with self._lock:
            self.caption.value = (
                '<div class="mh-caption" role="status" aria-live="polite">'
                f"{escape(self.describe())}</div>"
            )
            details = self._details()
            self.details.value = chips(details) if details else ""
            wanted = self.show_numbers.value
            named = f"{self.title} in numbers"
            self.numbers.value = table(named, *self._numbers()) if wanted else ""
            show(self.numbers, wanted)
            show(self._picture, not wanted)

    def _button(
        self, label: str, icon: str, tooltip: str, action: Callable[[], object]
    ) -> W.Button:
        made = button(label, icon, tooltip)
        made.on_click(lambda _: self._guard(action))
        return made

    def _guard(self, action: Callable[[], object]) -> None:
        """Run a callback; an error is written where the learner looks, then raised."""
        with self._showing_errors():
            action()

    @contextmanager
    def _showing_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._tell(f"{type(error).__name__}: {error}")
            raise

    def _tell(self, trouble: str) -> None:
        text = f'<div class="mh-error" role="alert">{escape(trouble)}</div>'
        self.status.value = text if trouble else ""

    def close(self) -> None:
        """Close all it is made of; a kernel keeps whatever is left open to its end."""
        self._close([self, *self._beside])

    @staticmethod
    def _close(widgets: Iterable[W.Widget]) -> None:
        for widget in widgets:
            for part in widgets_of(widget):
                W.Widget.close(part)

    # ---- outside a live notebook

    def picture(self, width: int = 900) -> bytes:
        """The figure as PNG bytes, for publishing (needs kaleido and a Chrome)."""
        png: bytes = self.figure.to_image("png", width=width, scale=1)
        return png

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Live view, sentence, and what MINIHYENA_STATIC asks for: one output.

        "1" adds the picture, "site" what a page without a kernel draws and moves.
        """
        data: dict[str, Any] = {"text/plain": self.describe()}
        metadata: dict[str, Any] = {}
        if self.live:
            data |= {
                mime: view
                for mime, view in super()._repr_mimebundle_(**kwargs).items()
                if mime != "text/plain"
            }
        else:
            data[PLOTLY] = json.loads(self.figure.to_json()) | {"config": CONFIG}
        static = os.environ.get("MINIHYENA_STATIC")
        if static == "site":
            data[STILL] = still(self)
        if static == "1":
            data["image/png"] = base64.b64encode(self.picture()).decode()
            metadata["image/png"] = {"alt": self.describe()}
        return data, metadata
