"""The picture of the reverse-complement toy: two answers, one turned back, the gap."""

from math import isfinite
from typing import Any

from minihyena.explore.look import SIGNED, panels
from minihyena.explore.style import BLUE, INK, VERMILION

__all__ = ["draw", "figure_of"]

MOST = 8  # channels that are drawn
QUIET = 0.02  # of the largest output: below it no sign is printed


def figure_of(length: int) -> Any:
    """Above what is said of both strands, below the second read back, and the gap."""
    figure = panels(
        "f(x): what is said of your strand",
        "f(rc(x)): what is said of the other strand",
        "How far apart, in % of the largest output",
        "rc(f(rc(x))): the same, read back from your strand",
        rows=2, cols=2, vertical_spacing=0.24, horizontal_spacing=0.08, height=470,
    )  # fmt: skip
    for row, col in ((1, 1), (1, 2), (2, 2)):
        figure.add_heatmap(
            x=list(range(length)), colorscale=SIGNED, showscale=False, xgap=2, ygap=2,
            texttemplate="%{text}", textfont={"size": 14, "color": INK},
            hovertemplate="place %{x}, %{y}: %{z:.3f}<extra></extra>", row=row, col=col,
        )  # fmt: skip
        figure.update_yaxes(autorange="reversed", showgrid=False, row=row, col=col)
    figure.add_bar(
        name="apart", x=list(range(length)), textposition="outside", cliponaxis=False,
        textfont={"size": 13, "color": INK}, showlegend=False, row=2, col=1,
    )  # fmt: skip
    for row, col in ((1, 1), (2, 2), (1, 2), (2, 1)):  # the chosen place
        figure.add_vrect(
            x0=-0.5, x1=0.5, line={"color": INK, "width": 2, "dash": "dot"},
            row=row, col=col,
        )  # fmt: skip
    figure.update_xaxes(
        tickvals=list(range(length)), range=[-0.6, length - 0.4], zeroline=False
    )
    return figure


def draw(figure: Any, facts: dict[str, Any], names: list[str]) -> None:
    """The facts of a ReverseComplement; names of the channels."""
    *maps, bars = figure.data
    largest = max(facts["largest"], 1e-30)
    for trace, which in zip(maps, ("here", "there", "back"), strict=True):
        columns = [row[:MOST] for row in facts[which]]
        z = list(map(list, zip(*columns, strict=True)))
        trace.y, trace.z = names[:MOST], [[round(v, 4) for v in line] for line in z]
        trace.text = [[sign(v, largest) for v in line] for line in z]
        trace.zmin, trace.zmax = -largest, largest
    shares = [100 * gap / largest for gap in facts["apart"]]
    differs = [t in facts["differ"] for t in range(len(shares))]
    bars.y = [share * d for share, d in zip(shares, differs, strict=True)]
    gaps = [f"{share:.0f}" if isfinite(share) else "?" for share in shares]
    bars.text = [gap if d else "=" for gap, d in zip(gaps, differs, strict=True)]
    bars.marker.color = [VERMILION if d else BLUE for d in differs]
    here, last = facts["position"], len(facts["letters"]) - 1
    layout = figure.layout
    for shape, place in zip(
        layout.shapes, (here, here, last - here, here), strict=True
    ):
        shape.x0, shape.x1 = place - 0.5, place + 0.5
    ticks = [f"{base}<br>{t}" for t, base in enumerate(facts["letters"])]
    other = [f"{base}<br>{last - t}" for t, base in enumerate(facts["other_letters"])]
    for axis in (layout.xaxis, layout.xaxis3, layout.xaxis4):
        axis.ticktext = ticks
    layout.xaxis2.ticktext = other
    layout.yaxis3.range = [0, 1.2 * max(filter(isfinite, [*shares, 10]))]


def sign(value: float, largest: float) -> str:
    if not isfinite(value):
        return "?"
    if abs(value) < QUIET * largest:
        return "0"
    return "+" if value > 0 else "−"
