"""A live plotly figure whose JavaScript is sent to the page once, for all figures.

Plotly sends its five megabytes with every figure, and a widget that is not ready two
seconds later never hears its kernel again: on a busy machine it stays empty. Here each
figure comes whole, with a few lines that wait for plotly and ask for what they missed.
"""

from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import uuid4

import ipywidgets as W
import plotly
import plotly.graph_objects as go
import traitlets

__all__ = ["Picture"]


@cache
def shared() -> W.HTML:
    """What all figures of a kernel share, plotly's own module; it is never shown."""
    module = files("plotly") / "package_data/widgetbundle.js"
    return W.HTML(module.read_text("utf-8"), description=plotly.__version__)


class Picture(go.FigureWidget):  # type: ignore[misc]
    """A FigureWidget that the page can be told of at any time.

    Raises ImportError where anywidget is missing.
    """

    _esm = (files("minihyena.explore") / "picture.js").read_text("utf-8")
    _plotly = traitlets.Instance(W.HTML).tag(sync=True, **W.widget_serialization)
    _own = traitlets.Unicode().tag(sync=True)
    _heard = traitlets.Bool(False).tag(sync=True)  # set once the page knows of it

    def __init__(self, figure: go.Figure, config: dict[str, Any]) -> None:
        super().__init__(figure)
        if shared().comm is None:  # somebody has closed all widgets
            shared.cache_clear()
        self._plotly = shared()
        self._config = config
        self._own = self._model_id = uuid4().hex
        self.open()
        self._heard = True
        self.on_msg(self._again)

    def open(self) -> None:
        """Tell the page, once there is something to tell."""
        if self._own:
            super().open()

    def _again(self, *_: Any) -> None:
        """All of the figure, for a page that has missed something."""
        self._widget_data = deepcopy(self._data)
        self._widget_layout = deepcopy(self._layout_obj._props)
        self.send_state(["_widget_data", "_widget_layout", "_heard"])
        self.send("again")
