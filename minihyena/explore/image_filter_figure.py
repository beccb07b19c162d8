"""The picture of the 2-D filter painter: filter, picture in, picture out."""

from typing import Any

from minihyena.explore.look import SIGNED, panels
from minihyena.explore.style import BLACK, INK

__all__ = ["draw", "figure_of"]

SMALL = 0.02  # of the largest: below it no minus is drawn
INPUT = [[0.0, "#FFFFFF"], [1.0, "#E69F00"]]


def figure_of(size: int, taps: int) -> Any:
    """Three square panels, row 0 above."""
    figure = panels(
        "The filter", "Picture in", "Picture out", height=360, horizontal_spacing=0.07
    )
    looks = ((1, taps, SIGNED), (2, size, INPUT), (3, size, SIGNED))
    for col, side, colours in looks:
        figure.add_heatmap(
            x=list(range(side)), y=list(range(side)), colorscale=colours,
            showscale=False, xgap=1, ygap=1,
            hovertemplate="row %{y}, column %{x}: %{z:.3f}<extra></extra>",
            row=1, col=col,
        )  # fmt: skip
        axis = "x" if col == 1 else f"x{col}"
        figure.update_yaxes(
            range=[side - 0.5, -0.5], scaleanchor=axis, constrain="domain",
            showgrid=False, zeroline=False, row=1, col=col,
        )  # fmt: skip
        figure.update_xaxes(
            range=[-0.5, side - 0.5], constrain="domain", zeroline=False, row=1, col=col
        )
    minus = {"symbol": "line-ew-open", "size": 6, "color": INK, "line_width": 1.5}
    cross = {"symbol": "x-thin-open", "size": 8, "color": BLACK, "line_width": 2}
    for col in (1, 3):
        figure.add_scatter(
            name="negative", mode="markers", marker=minus, hoverinfo="skip",
            showlegend=col == 1, row=1, col=col,
        )  # fmt: skip
    figure.add_scatter(
        name="wrong pixel", mode="markers", marker=cross, hoverinfo="skip", row=1, col=3
    )
    figure.update_xaxes(title_text="lag across", row=1, col=1)
    figure.update_yaxes(title_text="lag down", row=1, col=1)
    figure.update_xaxes(title_text="column", row=1, col=2)
    figure.update_yaxes(title_text="row", row=1, col=2)
    figure.update_xaxes(title_text="column", row=1, col=3)
    return figure


def draw(figure: Any, facts: dict[str, Any]) -> None:
    """The facts of an ImageFilter."""
    filt, image, output, below, negative, wrong = figure.data
    for trace, which in ((filt, "filter"), (output, "output")):
        trace.z = [[round(value, 4) for value in line] for line in facts[which]]
        largest = max(abs(value) for line in facts[which] for value in line) or 1.0
        trace.zmin, trace.zmax = -largest, largest
    image.z, image.zmin, image.zmax = facts["image"], 0, 1
    crossed = set(facts["wrong"])
    for trace, which in ((below, "filter"), (negative, "output")):
        largest = max(abs(value) for line in facts[which] for value in line)
        places = [
            (i, j)
            for i, line in enumerate(facts[which])
            for j, value in enumerate(line)
            if value < -SMALL * largest
            and not (trace is negative and (i, j) in crossed)
        ]
        trace.x, trace.y = [j for _, j in places], [i for i, _ in places]
    wrong.x, wrong.y = [j for _, j in facts["wrong"]], [i for i, _ in facts["wrong"]]
