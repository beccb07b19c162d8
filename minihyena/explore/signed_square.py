"""A signed table of weights or moves as a picture: colour, sign, border, hatching."""

from collections.abc import Iterable
from math import isfinite
from typing import Any

from minihyena.explore.gate_figure import MINUS, PLUS
from minihyena.explore.look import SIGNED
from minihyena.explore.style import INK, ORANGE

__all__ = ["HATCHED", "Cell", "add_square", "draw_square"]

HATCHED: dict[str, Any] = {  # the marker of a bar
    "color": ORANGE,
    "pattern": {
        "shape": "/", "fgcolor": INK, "bgcolor": ORANGE, "size": 7, "solidity": 0.2,
    },
}  # fmt: skip

Cell = tuple[int, int]  # row t, column s
SIGNS_UP_TO = 12  # rows; smaller cells have no room for a sign
BORDER = ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5))
HATCH = (
    ((-0.5, 0.0), (0.0, -0.5)),
    ((-0.5, 0.5), (0.5, -0.5)),
    ((0.0, 0.5), (0.5, 0.0)),
)


def add_square(figure: Any, length: int, **where: int) -> None:
    """Four empty traces in one panel: cells, hatching, signs and a border."""
    figure.add_heatmap(
        z=[[0.0] * length] * length, name="cells", colorscale=SIGNED, zmin=-1, zmax=1,
        showscale=False, xgap=1, ygap=1,
        hovertemplate="output %{y}, input %{x}: %{customdata:.3g}<extra></extra>",
        **where,
    )  # fmt: skip
    quiet: dict[str, Any] = {"showlegend": False, "hoverinfo": "skip"}
    pale = {"color": "#8A4B00", "width": 1.2}
    figure.add_scatter(name="hatching", mode="lines", line=pale, **quiet, **where)
    figure.add_scatter(
        name="signs", mode="markers", **quiet, **where,
        marker={"color": INK, "size": 9, "line": {"width": 1.8}},
    )  # fmt: skip
    figure.add_scatter(
        name="border", mode="lines", line={"color": INK, "width": 2.5},
        cliponaxis=False, **quiet, **where,
    )  # fmt: skip
    figure.update_xaxes(title_text="input s", zeroline=False, **where)
    figure.update_yaxes(
        title_text="output t", zeroline=False, showgrid=False, automargin=False, **where
    )


def draw_square(
    figure: Any,
    table: tuple[tuple[float, ...], ...],
    noise: float,
    framed: Iterable[Cell] = (),
    hatched: Iterable[Cell] = (),
) -> None:
    """The table against its largest number; signs of all above the noise."""
    cells, hatching, signs, border = (
        next(trace for trace in figure.data if trace.name == name)
        for name in ("cells", "hatching", "signs", "border")
    )
    length = len(table)
    largest = max((abs(x) for row in table for x in row if isfinite(x)), default=0.0)
    cells.z = [[x / (largest or 1.0) for x in row] for row in table]
    cells.customdata = table
    cells.x = cells.y = list(range(length))
    shown = [
        (t, s) for t in range(length) for s in range(length)
        if abs(table[t][s]) > noise and length <= SIGNS_UP_TO
    ]  # fmt: skip
    signs.x, signs.y = [s for _, s in shown], [t for t, _ in shown]
    signs.marker.symbol = [PLUS if table[t][s] > 0 else MINUS for t, s in shown]
    hatching.x, hatching.y = _lines(hatched, HATCH)
    border.x, border.y = _lines(framed, (BORDER,))
    ends = [-0.5, length - 0.5]
    x_axis, y_axis = cells.xaxis or "x", cells.yaxis or "y"
    ticks = list(range(0, length, 1 if length <= SIGNS_UP_TO else 2))
    for name, span in ((x_axis, ends), (y_axis, ends[::-1])):
        axis = figure.layout[f"{name[0]}axis{name[1:]}"]
        axis.range, axis.tickvals = span, ticks


def _lines(cells: Iterable[Cell], strokes: Any) -> tuple[list[Any], list[Any]]:
    """The same strokes in every cell, as one line with gaps."""
    x: list[Any] = []
    y: list[Any] = []
    for t, s in cells:
        for stroke in strokes:
            x += [*(s + dx for dx, _ in stroke), None]
            y += [*(t + dy for _, dy in stroke), None]
    return x, y
