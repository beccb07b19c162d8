"""The picture of the gate playground: tables side by side, signed, cells outlined."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from minihyena.explore.look import SIGNED, panels
from minihyena.explore.parts import to_numpy
from minihyena.explore.style import INK, MUTED

__all__ = ["NOISE", "draw", "figure_of"]

SIGNS_UP_TO = 12  # positions; smaller cells have no room for a sign
# Signs are markers, not letters: a browser measures every letter before it draws it.
PLUS, MINUS = "cross-thin-open", "line-ew-open"
NOISE = 1e-6  # of the largest entry: rounding, not a weight
TITLES = {  # read like a text, the panels are the formula
    "H": "H = D<sub>q</sub> S D<sub>k</sub>",
    "D_q": "D<sub>q</sub>: gate after",
    "S": "S: the filter",
    "D_k": "D<sub>k</sub>: gate before",
}
ALONE = {"H(u)": "H(u): who reads whom", "Jacobian": "Jacobian ∂y/∂u"}


def figure_of(factored: bool, kind: str, length: int) -> Any:
    """One table with its three factors, or one of this kind alone."""
    titles = TITLES if factored else {"H": ALONE[kind]}
    side = 2 if factored else 1
    figure = panels(
        *titles.values(), rows=side, cols=side, height=240 + 200 * side,
        vertical_spacing=0.14,
    )  # fmt: skip
    for i, name in enumerate(titles):
        where = {"row": i // 2 + 1, "col": i % 2 + 1}
        figure.add_heatmap(
            z=[[0.0] * length] * length, name=name, coloraxis="coloraxis",
            xgap=1, ygap=1,
            hovertemplate="row %{y}, column %{x}: %{customdata:.3f}<extra></extra>",
            **where,
        )  # fmt: skip
        figure.add_scatter(
            name=f"signs {name}", mode="markers", showlegend=False, hoverinfo="skip",
            marker={"color": INK, "size": 9, "line": {"width": 1.6}}, **where,
        )  # fmt: skip
        figure.add_scatter(
            name=f"moves {name}", mode="lines", showlegend=False, hoverinfo="skip",
            line={"color": INK, "width": 2}, cliponaxis=False, **where,
        )  # fmt: skip
    low, high = -0.5, length - 0.5
    frame = {"tickvals": list(range(length)), "zeroline": False, "mirror": True}
    figure.update_xaxes(range=[low, high], showline=True, **frame)
    frame["automargin"] = False  # it makes plotly draw the figure twice
    figure.update_yaxes(range=[high, low], showline=True, showgrid=False, **frame)
    figure.update_xaxes(title_text="input (column)", row=side)
    bar = {
        "orientation": "h", "thickness": 12, "len": 0.44, "outlinewidth": 0,
        "x": 0, "xanchor": "left", "y": 0, "yanchor": "bottom", "yref": "container",
        "tickvals": [-1, 0, 1], "ticktext": ["− largest", "0", "+ largest"],
        "tickfont": {"size": 13, "color": MUTED},
    }  # fmt: skip
    axis = {"colorscale": SIGNED, "cmin": -1, "cmax": 1, "colorbar": bar}
    figure.update_layout(coloraxis=axis, margin_l=96)  # room for the longest word
    return figure


def draw(
    figure: Any,
    tables: dict[str, tuple[Tensor, float]],
    moved: dict[str, list[tuple[int, int]]],
    words: Iterable[str],
) -> None:
    """Each table (L, L) against its scale, and a border around the cells that moved."""
    traces = {trace.name: trace for trace in figure.data}
    for name, (table, scale) in tables.items():
        heat, frame = traces[name], traces[f"moves {name}"]
        heat.z, heat.customdata = to_numpy(table / (scale or 1)), to_numpy(table)
        if len(table) <= SIGNS_UP_TO:
            shown = (table.abs() > NOISE * scale).nonzero().tolist()
            signs = traces[f"signs {name}"]
            signs.x, signs.y = [s for _, s in shown], [t for t, _ in shown]
            signs.marker.symbol = [PLUS if table[t, s] > 0 else MINUS for t, s in shown]
        frame.x, frame.y = _borders(moved[name])
    figure.layout.yaxis.ticktext = [f"{t}  {word}" for t, word in enumerate(words)]


def _borders(cells: Iterable[tuple[int, int]]) -> tuple[list[Any], list[Any]]:
    """Around each cell (t, s), as one line with gaps."""
    x: list[Any] = []
    y: list[Any] = []
    for t, s in cells:
        x += [s - 0.5, s + 0.5, s + 0.5, s - 0.5, s - 0.5, None]
        y += [t - 0.5, t - 0.5, t + 0.5, t + 0.5, t - 0.5, None]
    return x, y
