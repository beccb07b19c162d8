"""The picture of the order builder: a product of matrices, and the routes in it."""

from collections.abc import Iterable
from typing import Any

from minihyena.explore.look import SIGNED, panels
from minihyena.explore.style import BLUE, INK, VERMILION

__all__ = ["LENGTH", "draw", "figure_of"]

LENGTH, GAP = 6, 2  # positions; empty cells between two matrices
NARROWEST = 32  # cells across: few matrices do not grow without limit
MUCH = 0.1  # an entry is drawn thick from this share of the largest flow in its factor
NOISE = 1e-6  # of the largest entry: rounding, no weight
WORDY = 8  # blocks; where there are more, their names lose the brackets
THIN = "#8A949E"

Point = tuple[float, float] | None  # None lifts the pen


def figure_of() -> Any:
    """Above the matrices in a row, below the positions between them as columns."""
    figure = panels(
        "The matrix and its factors, each on its own scale",
        "Routes from the values to the chosen output",
        rows=2, cols=1, row_heights=[0.5, 0.5], vertical_spacing=0.12, height=550,
    )  # fmt: skip
    top, bottom = {"row": 1, "col": 1}, {"row": 2, "col": 1}
    quiet: dict[str, Any] = {"showlegend": False, "hoverinfo": "skip"}
    letters = {"mode": "text", "cliponaxis": False, "textfont": {"color": INK}}
    figure.add_heatmap(
        colorscale=SIGNED, zmin=-1, zmax=1, showscale=False, xgap=1, ygap=1,
        texttemplate="%{text}", textfont={"color": INK}, **quiet, **top,
    )  # fmt: skip
    figure.add_scatter(mode="lines", line={"color": THIN, "width": 1}, **quiet, **top)
    figure.add_scatter(**letters, textfont_size=14, **quiet, **top)
    figure.add_scatter(**letters, textfont_size=20, **quiet, **top)
    figure.add_scatter(mode="lines", line={"color": INK, "width": 2.5}, **quiet, **top)
    for name, line in (
        ("a route", {"color": THIN, "width": 1}),
        ("adds much to the output", {"color": VERMILION, "width": 2.5}),
        ("takes much away", {"color": BLUE, "width": 2.5, "dash": "6px,3px"}),
    ):
        figure.add_scatter(
            mode="lines", name=name, line=line, hoverinfo="skip", **bottom
        )
    figure.add_scatter(mode="markers", marker={"opacity": 1}, **quiet, **bottom)
    figure.add_scatter(**letters, textfont_size=14, **quiet, **bottom)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(zeroline=False, ticks="", automargin=False)
    figure.update_yaxes(
        range=[LENGTH - 0.4, -2.2], tickvals=[0, LENGTH - 1], showgrid=False, **top
    )
    figure.update_yaxes(
        range=[LENGTH - 0.5, -1.5], tickvals=list(range(LENGTH)), **bottom
    )
    figure.layout.xaxis2.matches = "x"
    figure.layout.margin.update(l=32, b=48)
    return figure


def draw(figure: Any, facts: dict[str, Any]) -> None:
    """The facts of an OrderBuilder; the height of each half goes by how many fit."""
    chain, frames, names, signs, row, *bottom = figure.data
    blocks = {"yours" if facts["yours"] else "H": facts["matrix"], **facts["factors"]}
    count, middle = len(blocks), (LENGTH - 1) / 2
    chain.z, chain.text = _side_by_side(blocks.values())
    frames.x, frames.y = _boxes([(_start(b), 0, LENGTH) for b in range(count)])
    row.x, row.y = _boxes([(0, facts["output"], 1)])
    names.x = [_start(b) + middle for b in range(count)]
    brief = str.maketrans("", "", "()" if count > WORDY else "")
    names.text = [f"<b>{name.translate(brief)}</b>" for name in blocks]
    names.y = [-1.5] * count
    signs.x = [_gap(b) for b in range(count - 1)]
    equal = "=" if facts["product"] else "≠"
    signs.y, signs.text = [middle] * count, [equal, *"·" * (count - 2)]
    _draw_routes(facts, *bottom)
    layout = figure.layout
    layout.xaxis.range = [-1, max(_gap(count - 1) + 2.5, NARROWEST)]
    floor = 1 - min(0.56, 2.4 / count)  # small matrices need less height
    layout.yaxis.domain, layout.yaxis2.domain = [floor, 1], [0, floor - 0.12]
    layout.annotations[1].y = floor - 0.12


def _side_by_side(matrices: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """One table of matrices with gaps, each against its largest entry; their signs."""
    wide: list[list[float | None]] = [[] for _ in range(LENGTH)]
    signs: list[list[str]] = [[] for _ in range(LENGTH)]
    for matrix in matrices:
        largest = max(abs(z) for line in matrix for z in line) or 1.0
        for t, values in enumerate(matrix):
            shares = [z / largest for z in values]
            wide[t] += [*(round(z, 3) for z in shares), *[None] * GAP]
            signs[t] += [*map(_sign, shares), *[""] * GAP]
    return wide, signs


def _draw_routes(
    facts: dict[str, Any], reach: Any, more: Any, less: Any, spots: Any, ends: Any
) -> None:
    """The entries that lead to the output, between columns of positions."""
    lines: dict[str, list[Point]] = {"reach": [None], "more": [None], "less": [None]}
    pairs = zip(facts["factors"].values(), facts["flows"], strict=True)
    for b, (factor, flow) in enumerate(pairs):
        most = max(abs(z) for line in flow for z in line)
        for t, s in ((t, s) for t in range(LENGTH) for s in range(LENGTH)):
            if not facts["reached"][b][t] or not factor[t][s]:
                continue
            line = (_gap(b), t), (_gap(b + 1), s), None
            lines["reach"] += line
            if abs(flow[t][s]) >= MUCH * most:
                lines["more" if flow[t][s] > 0 else "less"] += line
    for trace, points in zip((reach, more, less), lines.values(), strict=True):
        trace.x = [point and point[0] for point in points]
        trace.y = [point and point[1] for point in points]
    columns = range(len(facts["reached"]))
    reached = [r for column in facts["reached"] for r in column]
    spots.x = [_gap(b) for b in columns for _ in range(LENGTH)]
    spots.y = [*range(LENGTH)] * len(columns)
    spots.marker.symbol = ["circle" if r else "circle-open" for r in reached]
    spots.marker.size = [9 if r else 7 for r in reached]
    spots.marker.color = [INK if r else THIN for r in reached]
    ends.x, ends.y = [_gap(0), _gap(columns[-1])], [-1, -1]
    ends.text = ["output y", "← values v"]
    ends.textposition = ["middle right", "middle left"]  # inwards


def _sign(share: float) -> str:
    return "" if abs(share) <= NOISE else "+" if share > 0 else "−"


def _start(block: int) -> int:
    """The first cell of a matrix in the picture."""
    return block * (LENGTH + GAP)


def _gap(block: int) -> float:
    """The middle of the gap behind a matrix."""
    return _start(block) + LENGTH - 0.5 + GAP / 2


def _boxes(places: list[tuple[int, int, int]]) -> tuple[list[Any], list[Any]]:
    """Outlines of (first cell, first row, how many rows) of matrices."""
    x: list[Any] = []
    y: list[Any] = []
    for left, top, rows in places:
        a, b, c, d = left - 0.5, left + LENGTH - 0.5, top - 0.5, top + rows - 0.5
        x += [a, b, b, a, a, None]
        y += [c, c, d, d, c, None]
    return x, y
