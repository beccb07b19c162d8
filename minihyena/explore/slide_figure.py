"""The picture of slide and multiply: four rows over one time axis."""

from collections.abc import Iterable
from typing import Any

from minihyena.explore.convs import short_number
from minihyena.explore.look import STRANGE, panels
from minihyena.explore.style import BLUE, GREEN, INK, LINE, MUTED, ORANGE, VERMILION

__all__ = ["draw", "figure_of"]

PALE = {"color": "#DCE3E9", "line": {"color": MUTED, "width": 1}}
WAITING = {
    "shape": "/",
    "fgcolor": "#7A5200",
    "bgcolor": "#FBE6BF",
    "size": 7,
    "solidity": 0.25,
}
TITLES = (
    "Input u",
    "Filter, as output t meets it",
    "Products: input times tap",
    "Output y so far: the sum",
)
# Row, name and look of each trace.
BARS: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (1, "read by output t", {"color": BLUE}),
    (1, "not read", PALE),
    (2, "tap over an input", {"color": ORANGE}),
    (2, "tap with nothing under it", {"color": ORANGE, "pattern": WAITING}),
    (2, "not by the definition", {"color": VERMILION, "pattern": STRANGE}),
    (3, "product", {"color": GREEN}),
    (4, "output t", {"color": BLUE}),
    (4, "outputs before", PALE),
    (4, "wrong output", {"color": VERMILION, "pattern": STRANGE}),
)


def figure_of(length: int, taps: int) -> Any:
    """Input, filter, products and outputs of `length` steps, at most `taps` taps."""
    figure = panels(
        *TITLES, rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.115, height=650
    )
    for place, name, look in BARS:
        figure.add_bar(
            name=name, marker=look, width=0.72, row=place, col=1, cliponaxis=False,
            textposition="outside", textfont={"size": 14, "color": INK},
            constraintext="none", hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    for place in range(1, 5):
        figure.add_vrect(
            x0=-0.5, x1=0.5, fillcolor=LINE, opacity=0.3, line_width=0, layer="below",
            row=place, col=1,
        )  # fmt: skip
    figure.update_xaxes(
        range=[0.4 - taps, length - 0.5], tickvals=list(range(length)), zeroline=False,
        showticklabels=True, ticks="",
    )  # fmt: skip
    figure.update_xaxes(title_text="step (grey ground: output t)", row=4, col=1)
    figure.update_yaxes(
        showticklabels=False, showgrid=False, ticks="", zerolinecolor=MUTED
    )
    figure.update_layout(barmode="overlay", margin={"l": 12, "r": 12})
    return figure


def draw(figure: Any, facts: dict[str, Any]) -> None:
    """The facts of a SlideAndMultiply; numbers stand above or below their bars."""
    bars = {trace.name: trace for trace in figure.data}
    t, length = facts["position"], len(facts["inputs"])
    steps, reads, strange = range(length), facts["reads"], facts["strange"]
    fill(bars["read by output t"], facts["inputs"], reads)
    fill(bars["not read"], facts["inputs"], [s for s in steps if s not in reads])
    covered = [s for s in steps if s in reads and s not in strange]
    fill(bars["tap over an input"], facts["weights"], covered)
    fill(bars["tap with nothing under it"], facts["waiting"], facts["waiting"])
    fill(bars["not by the definition"], facts["weights"], strange)
    fill(bars["product"], facts["products"], reads)
    right = [s for s in range(t) if s not in facts["wrong"]]
    fill(bars["outputs before"], facts["outputs"], right)
    fill(bars["output t"], facts["outputs"], [t] * (t not in facts["wrong"]))
    wrong = [s for s in range(t + 1) if s in facts["wrong"]]
    fill(bars["wrong output"], facts["outputs"], wrong)
    bars["tap with nothing under it"].showlegend = bool(facts["waiting"])
    bars["not by the definition"].showlegend = bool(strange)
    layout = figure.layout
    for band in layout.shapes:
        band.x0, band.x1 = t - 0.5, t + 0.5
    rows = [*((facts[k],) for k in ("inputs", "taps")), (), (facts["outputs"],)]
    sizes = [abs(u * h) for u in facts["inputs"] for h in facts["taps"]]
    signed = min(*facts["inputs"], *facts["taps"]) < 0
    rows[1] = (*rows[1], facts["weights"])
    rows[2] = (facts["products"], sizes, [-x * signed for x in sizes])
    axes = (layout.yaxis, layout.yaxis2, layout.yaxis3, layout.yaxis4)
    for axis, values in zip(axes, rows, strict=True):
        flat = [x for part in values for x in part if x == x]
        low, high = min([0.0, *flat]), max([0.0, *flat])
        room = 0.32 * max(high - low, 1e-3)
        axis.range = [low - room * (low < 0), high + room]


def fill(trace: Any, values: Any, places: Iterable[int]) -> None:
    """Bars at these places, each with its number."""
    steps = list(places)
    trace.x, trace.y = steps, [values[s] for s in steps]
    trace.text = [short_number(values[s]) for s in steps]
