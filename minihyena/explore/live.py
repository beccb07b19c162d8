"""A plotly figure that lives in the notebook, or stands still where it cannot."""

from typing import Any

import ipywidgets as W
import plotly.graph_objects as go

__all__ = ["CONFIG", "MEND", "enliven"]

CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False}
MEND = "This picture stands still: pip install anywidget makes it move."

# Plotly looks for a new width only when the window is resized: tell it about cards too.
# Lab takes arrows and letters for itself, also from a list or slider that has the focus:
# they belong to the control, and Enter and what goes with Ctrl, Alt or Meta to Lab.
FIT = """
window.minihyenaKeys ??= addEventListener("keydown", event => {
  if (event.target.matches?.(".minihyena select, .minihyena .noUi-handle"))
    event.target.toggleAttribute("data-lm-suppress-shortcuts",
      !(event.ctrlKey || event.altKey || event.metaKey || event.key === "Enter"));
}, true) ?? true;
export default { render({ el }) {
  const fit = () => {
    const card = el.closest(".minihyena");
    if (!card) return;
    watch.observe(card);
    for (const plot of card.querySelectorAll(".js-plotly-plot"))
      if (plot.clientWidth && plot._fullLayout?.width !== plot.clientWidth)
        return window.dispatchEvent(new Event("resize"));
  };
  const watch = new ResizeObserver(fit);
  watch.observe(el);
  return () => watch.disconnect();
} };
"""


def enliven(figure: go.Figure) -> tuple[go.Figure, list[Any] | None]:
    """The live figure and the widgets to show; None if anywidget is missing.

    Without anywidget the figure stays a plain one, with a line that says so.
    """
    try:
        widget = go.FigureWidget(figure)
    except ImportError:
        figure.add_annotation(
            text=MEND, x=1, y=1, xref="paper", yref="paper", xanchor="right",
            yanchor="bottom", yshift=26, showarrow=False,
        )  # fmt: skip
        return figure, None
    widget._config = CONFIG
    import anywidget

    fitter = type("Fit", (anywidget.AnyWidget,), {"_esm": FIT})()
    fitter.layout = W.Layout(width="100%", height="0", margin="0")
    return widget, [widget, fitter]
