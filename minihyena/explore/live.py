"""A plotly figure that lives in the notebook, or stands still where it cannot."""

import textwrap
from typing import Any

import ipywidgets as W
import plotly.graph_objects as go

__all__ = ["CONFIG", "MEND", "caption_still", "enliven", "show"]

CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False}
MEND = "This picture stands still: pip install anywidget makes it move."
STILL = "stands still"  # the annotation that says so

# Plotly asks for its width only when the window is resized: tell it about cards too.
# Lab takes arrows and letters for itself, even from a list or slider with the focus,
# or a box that scrolls: they belong to it, and Enter and what goes with Ctrl, Alt or
# Meta to Lab.
# ipywidgets gives the handle of a slider no name, and as its value the number of the
# option: whoever listens is told the words that others see.
FIT = """
window.minihyenaKeys ??= addEventListener("keydown", event => {
  if (event.target.matches?.(".minihyena :is(select, .noUi-handle, .mh-sideways)"))
    event.target.toggleAttribute("data-lm-suppress-shortcuts",
      !(event.ctrlKey || event.altKey || event.metaKey || event.key === "Enter"));
}, true) ?? true;
const name = slider => {
  const handle = slider.querySelector(".noUi-handle");
  const words = slider.querySelector(".widget-readout");
  if (!handle || !words || handle.ariaLabel) return;
  const tell = () => { handle.ariaValueText = words.textContent; };
  handle.ariaLabel = slider.querySelector(".widget-label").textContent;
  new MutationObserver(tell).observe(words, { childList: true, characterData: true,
    subtree: true });
  tell();
};
const icons = { play: "Play or pause", pause: "Play or pause", stop: "Stop",
  retweet: "Repeat" };
const call = button => {  // a Play widget's buttons are icons alone
  const icon = Object.keys(icons).find(i => button.querySelector(`.fa-${i}`));
  if (icon && !button.textContent.trim()) button.ariaLabel ??= icons[icon];
};
export default { render({ el }) {
  const fit = () => {
    const card = el.closest(".minihyena");
    if (!card) return;
    watch.observe(card);
    card.querySelectorAll(".widget-hslider").forEach(name);
    card.querySelectorAll("button").forEach(call);
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
        from minihyena.explore.picture import Picture

        widget = Picture(figure, CONFIG)
    except ImportError:
        figure.add_annotation(
            name=STILL, text=MEND, x=0, y=0, xref="paper", yref="paper",
            xanchor="left", yanchor="top", yshift=-60, align="left", showarrow=False,
        )  # fmt: skip
        figure.layout.height += 70
        figure.layout.margin.b = 84 + 70
        return figure, None
    # The browser reports how it completed the figure. Nobody here asks, and plotly
    # fails on reports that cross a redraw, as they do while a model trains.
    for report in ("_js2py_traceDeltas", "_js2py_layoutDelta"):
        widget.unobserve_all(report)
    import anywidget

    low = W.Layout(width="100%", height="0", margin="0")
    fitter = type("Fit", (anywidget.AnyWidget,), {"_esm": FIT})(layout=low)
    return widget, [widget, fitter]


def caption_still(figure: go.Figure, sentence: str) -> None:
    """Write the sentence into a figure that stands still; a live one has it below."""
    lines = [*textwrap.wrap(sentence, 110), MEND]
    figure.update_annotations(selector={"name": STILL}, text="<br>".join(lines))


def show(widget: W.Widget, visible: bool) -> None:
    """Show a widget, or hide it where it is: it stays in the page, as wide as before.

    Plotly goes on drawing what has left the page, and fails.
    """
    layout = {"visibility": "hidden", "height": "0", "overflow": "hidden"}
    for name, hidden in layout.items():
        setattr(widget.layout, name, None if visible else hidden)
