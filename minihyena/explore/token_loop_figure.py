"""The picture of the token loop: the work of each step, its pairs, and the modes."""

from collections.abc import Iterable
from typing import Any

from minihyena.explore.look import panels
from minihyena.explore.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
)
from minihyena.online import tiles

__all__ = ["SHORT", "draw", "figure_of"]

LINES: dict[str, dict[str, Any]] = {
    "recompute": {"color": VERMILION, "dash": "8px,4px", "width": 2},
    "cached": {"color": GREEN, "dash": "3px,3px", "width": 2},
    "tiles": {"color": BLUE, "dash": "solid", "width": 2},
    "recurrent": {"color": PURPLE, "dash": "12px,3px,3px,3px", "width": 2},
}
LEAST = 1e-6  # an error below it is drawn there
OTHERS = ("1px,4px", "6px,2px,1px,2px", "2px,6px")
SHORT = {
    "recompute": "anew",
    "cached": "one by one",
    "tiles": "in tiles",
    "recurrent": "from modes",
}
Box = tuple[float, float, float, float]  # first and end input, first and end output


def figure_of(yours: list[str]) -> Any:
    """Left the work and the modes, right the triangle of pairs."""
    figure = panels(
        "Multiplications of each step",
        "Pairs of output and input",
        "What S modes leave over",
        rows=2, cols=2, specs=[[{}, {"rowspan": 2}], [{}, None]],
        column_widths=[0.56, 0.44], row_heights=[0.6, 0.4], vertical_spacing=0.2,
        horizontal_spacing=0.1, height=560,
    )  # fmt: skip
    top, bottom, right = ({"row": r, "col": c} for r, c in ((1, 1), (2, 1), (1, 2)))
    looks = LINES | {
        name: {"color": INK, "dash": OTHERS[i % 3], "width": 2}
        for i, name in enumerate(yours)
    }
    for name, line in looks.items():
        figure.add_scatter(mode="lines", name=SHORT.get(name, name), line=line, **top)
    ring = {"symbol": "circle-open", "size": 12, "color": INK, "line_width": 2.5}
    figure.add_scatter(
        mode="markers", name="this step", marker=ring, cliponaxis=False, **top
    )
    figure.add_scatter(
        mode="lines+markers", name="error of the filter", showlegend=False,
        line={"color": PURPLE, "width": 2, "dash": "12px,3px,3px,3px"},
        marker={"symbol": "diamond", "size": 8}, **bottom,
    )  # fmt: skip
    figure.add_scatter(
        mode="markers", name="chosen S", marker=ring, showlegend=False,
        cliponaxis=False, **bottom,
    )  # fmt: skip
    quiet: dict[str, Any] = {"mode": "lines", "hoverinfo": "skip", "fill": "toself"}
    figure.add_scatter(
        name="pairs to come", line={"color": "#8A949E", "width": 1},
        fillcolor="#FFFFFF", **quiet, **right,
    )  # fmt: skip
    figure.add_scatter(
        name="pairs settled before", line={"color": BLUE, "width": 1.01},
        fillcolor="rgba(86,180,233,0.35)", **quiet, **right,
    )  # fmt: skip
    figure.add_scatter(
        name="pairs settled now", line={"color": INK, "width": 2},
        fillcolor=ORANGE, **quiet, **right,
    )  # fmt: skip
    figure.update_xaxes(title_text="step t", rangemode="tozero", **top)
    figure.update_xaxes(
        title_text="modes S", type="log", tickvals=[1, 2, 4, 8, 16, 32],
        range=[-0.1, 1.6], **bottom,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="input s", zeroline=False, constrain="domain",
        constraintoward="left", **right,
    )  # fmt: skip
    counts, shares = [10**k for k in range(6)], [10.0 ** (-k) for k in range(7)]
    figure.update_yaxes(
        type="log", tickvals=counts, ticktext=[f"{n:,}" for n in counts], **top
    )
    figure.update_yaxes(
        type="log", title_text="error of the filter", range=[-6.3, 0.3],
        tickvals=shares[::2], ticktext=[f"{100 * x:g} %" for x in shares[::2]], **bottom
    )  # fmt: skip
    figure.update_yaxes(
        title_text="output t", zeroline=False, showgrid=False, scaleanchor="x2",
        constrain="domain", constraintoward="top", **right,
    )  # fmt: skip
    return figure


def draw(figure: Any, facts: dict[str, Any]) -> None:
    """The facts of a TokenLoop."""
    *curves, now, error, chosen, coming, before, here = figure.data
    t, length, method = facts["step"], facts["length"], facts["method"]
    for trace, (name, counts) in zip(curves, facts["work"].items(), strict=True):
        trace.x, trace.y = list(range(length)), list(counts)
        trace.line.width = (3 if length < 100 else 2) if name == method else 1.5
    now.x, now.y = [t], [facts["work"][method][t]]
    orders, left = list(facts["fit"]), list(facts["fit"].values())
    error.x, error.y = orders, [max(e, LEAST) for e in left]
    chosen.x = [facts["modes"]]
    chosen.y = [max(facts["fit"][facts["modes"]], LEAST)]
    sets = pairs_of(method, t, length)
    for trace, boxes in zip((coming, before, here), sets, strict=True):
        trace.x, trace.y = _outlines(boxes)
    figure.layout.xaxis2.range = [-0.5 - 0.02 * length, length - 0.5 + 0.02 * length]
    figure.layout.yaxis2.range = [length - 0.5 + 0.02 * length, -0.5 - 0.02 * length]
    figure.layout.xaxis.range = [-0.02 * length, length * 1.02]


def pairs_of(method: str, t: int, length: int) -> tuple[list[Box], ...]:
    """The pairs to come, settled before step t, and in it, as boxes."""
    if method == "recompute":
        return _rows(range(t + 1, length)), [], _rows(range(t + 1))
    if method == "cached":
        return _rows(range(t + 1, length)), _rows(range(t)), _rows([t])
    own: list[Box] = [(s, s + 1, s, s + 1) for s in range(length)]
    if method == "tiles":
        squares = {n: (n - w, n, n, n + m) for n, w, m in tiles(length, 1)}
        early: list[Box] = []
        late: list[Box] = []
        now = [own[t]]
        for n, box in squares.items():
            (now if n == t + 1 else early if n <= t else late).append(box)
        return [*late, *own[t + 1 :]], [*early, *own[:t]], now
    return [], [], [own[t]]


def _rows(outputs: Iterable[int]) -> list[Box]:
    return [(0, t + 1, t, t + 1) for t in outputs]


def _outlines(boxes: list[Box]) -> tuple[list[Any], list[Any]]:
    x: list[Any] = []
    y: list[Any] = []
    for left, right, top, bottom in boxes:
        a, b, c, d = left - 0.5, right - 0.5, top - 0.5, bottom - 0.5
        x += [a, b, b, a, a, None]
        y += [c, c, d, d, c, None]
    return x, y
