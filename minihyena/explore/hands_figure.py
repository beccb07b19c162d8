"""The picture of turning hands: tip to tail, the signal, the size of every bin."""

from typing import Any

from minihyena.explore.look import panels
from minihyena.explore.style import BLUE, INK, LINE, ORANGE, SKY, VERMILION

__all__ = ["draw", "figure_of"]

PALE = "#F0A676"  # VERMILION, thinned: the hands are seen on it
LEAST = 1.25  # half the width of the picture, at least: a hand has length 1


def figure_of(n: int) -> Any:
    """Left the hands in a square, right the signal above the spectrum."""
    figure = panels(
        "hands",
        "The signal",
        "Size of the sum, bin by bin",
        rows=2, cols=2, specs=[[{"rowspan": 2}, {}], [None, {}]],
        column_widths=[0.47, 0.53], vertical_spacing=0.24, horizontal_spacing=0.11,
        height=500,
    )  # fmt: skip
    square, above, below = ({"row": r, "col": c} for r, c in ((1, 1), (1, 2), (2, 2)))
    figure.add_scatter(
        name="their sum", mode="lines+markers", cliponaxis=False,
        line={"color": PALE, "width": 9},
        marker={
            "symbol": "arrow", "angleref": "previous", "size": [0, 26],
            "color": VERMILION, "opacity": 1,
        }, **square,
    )  # fmt: skip
    figure.add_scatter(
        name="a hand", mode="lines+markers", cliponaxis=False,
        line={"color": BLUE, "width": 2},
        marker={"symbol": "arrow", "angleref": "previous", "size": 10, "color": BLUE},
        hovertemplate="%{x:.3f}, %{y:.3f}<extra></extra>", **square,
    )  # fmt: skip
    figure.add_scatter(
        name="start", mode="markers", hoverinfo="skip", x=[0], y=[0], cliponaxis=False,
        marker={"symbol": "circle-open", "size": 13, "color": INK, "line_width": 2},
        **square,
    )  # fmt: skip
    figure.add_scatter(
        name="real part", mode="lines+markers", line={"color": BLUE, "width": 2},
        marker={"symbol": "circle", "size": 8, "color": BLUE}, **above,
    )  # fmt: skip
    figure.add_scatter(
        name="imaginary part", mode="lines+markers",
        line={"color": ORANGE, "width": 2, "dash": "5px,4px"},
        marker={
            "symbol": "diamond-open", "size": 9, "color": "#9A6A00", "line_width": 2,
        }, **above,
    )  # fmt: skip
    figure.add_bar(
        name="size", showlegend=False, textposition="outside", cliponaxis=False,
        textfont={"size": 13, "color": INK}, constraintext="none", width=0.66,
        marker_color=SKY, **below,
    )  # fmt: skip
    hatched = {"shape": "/", "fillmode": "overlay", "fgcolor": "#FFFFFF", "size": 7}
    figure.add_bar(
        name="the chosen bin", showlegend=False, width=0.66, hoverinfo="skip",
        marker={"color": VERMILION, "pattern": hatched}, **below,
    )  # fmt: skip
    figure.add_vrect(
        x0=-0.5, x1=0.5, fillcolor=LINE, opacity=0.4, line_width=0, layer="below",
        **below,
    )  # fmt: skip
    bins = list(range(n))
    for where in (above, below):
        figure.update_xaxes(
            tickvals=bins, range=[-0.6, n - 0.4], zeroline=False, **where
        )
    figure.update_xaxes(title_text="sample t", **above)
    figure.update_xaxes(title_text="bin k (grey: the one at the left)", **below)
    figure.update_yaxes(range=[-2.25, 2.25], tickvals=[-2, -1, 0, 1, 2], **above)
    figure.update_yaxes(range=[0, 1.22 * n], **below)
    frame: dict[str, Any] = {"showgrid": True, "constrain": "domain"}
    figure.update_xaxes(title_text="real part", **frame, **square)
    frame |= {"automargin": False, "scaleanchor": "x"}
    figure.update_yaxes(title_text="imaginary part", **frame, **square)
    figure.layout.barmode = "overlay"
    figure.layout.margin.l = 76  # room for -0.25 beside the title
    return figure


def draw(figure: Any, facts: dict[str, Any]) -> None:
    """The facts of a TurningHands."""
    total, hands, _, real, imaginary, bars, chosen = figure.data
    layout, path, k = figure.layout, facts["path"], facts["bin"]
    along, up = [z.real for z in path], [z.imag for z in path]
    hands.x, hands.y = along, up
    total.x, total.y = [0, facts["sum"].real], [0, facts["sum"].imag]
    total.visible = not facts["closed"]
    said = "0" if facts["closed"] else f"{facts['size']:.3g}"
    layout.annotations[0].text = f"Bin {k}: the hands tip to tail, sum {said}"
    edges = [(min(side), max(side)) for side in (along, up)]
    half = max(LEAST, *(0.58 * (high - low) for low, high in edges))
    for axis, (low, high) in zip((layout.xaxis, layout.yaxis), edges, strict=True):
        axis.range = [(low + high) / 2 - half, (low + high) / 2 + half]

    steps = list(range(facts["n"]))
    real.x = imaginary.x = bars.x = steps
    real.y = [z.real for z in facts["samples"]]
    imaginary.y = [z.imag for z in facts["samples"]]
    bars.y = sizes = facts["sizes"]
    bars.text = [f"{sizes[j]:.2g}" if j in facts["lit"] else "0" for j in steps]
    chosen.x, chosen.y = [k], [sizes[k]]
    layout.shapes[0].x0, layout.shapes[0].x1 = k - 0.5, k + 0.5
