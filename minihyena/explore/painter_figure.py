"""The picture of the filter painter: taps, input and output over one time axis."""

from typing import Any

from minihyena.explore.look import LOOKS, STRANGE, panels
from minihyena.explore.style import BLUE, INK, MUTED, ORANGE, VERMILION

__all__ = ["LENGTH", "MARKS", "TAPS", "draw", "figure_of"]

LENGTH, TAPS = 16, 6
MARKS = {0: 1.0, 3: 1.0, 10: -0.5}  # step -> height; copies of six taps: two overlap


def figure_of() -> Any:
    """Taps, input and output over one time axis."""
    figure = panels(
        "Filter h", "Input u", "Output y",
        rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.13, height=580,
        row_heights=[0.28, 0.28, 0.44],
    )  # fmt: skip
    for place, name, look in (
        (1, "taps", {"color": ORANGE}),
        (2, "input", {"color": MUTED}),
        (3, "output", {"color": BLUE}),
        (3, "not by the definition", {"color": VERMILION, "pattern": STRANGE}),
    ):
        figure.add_bar(
            name=name, marker=look, width=0.7, row=place, col=1, showlegend=False
        )
    ring = {"symbol": "circle-open", "size": 10, "color": INK, "line_width": 2}
    figure.add_scatter(
        name="by the definition", mode="markers", marker=ring, cliponaxis=False,
        row=3, col=1,
    )  # fmt: skip
    for s, (color, dash, symbol) in zip(MARKS, LOOKS[1:4], strict=True):
        figure.add_scatter(
            name=f"copy from step {s}", mode="lines+markers", row=3, col=1,
            line={"color": color, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8, "color": color},
        )  # fmt: skip
    figure.update_xaxes(
        range=[-0.6, LENGTH - 0.4], tickvals=list(range(LENGTH)), tickangle=0, ticks="",
        showticklabels=True, zeroline=False,
    )  # fmt: skip
    figure.update_xaxes(title_text="step", row=3, col=1)
    figure.update_layout(barmode="overlay", margin_l=44)
    return figure


def draw(figure: Any, facts: dict[str, Any]) -> None:
    """The facts of a FilterPainter."""
    traces = {trace.name: trace for trace in figure.data}
    steps = list(range(LENGTH))
    traces["taps"].x, traces["taps"].y = steps[:TAPS], facts["taps"]
    traces["input"].x, traces["input"].y = steps, facts["inputs"]
    for name, inside in (("output", False), ("not by the definition", True)):
        places = [t for t in steps if (t in facts["wrong"]) == inside]
        traces[name].x = places
        traces[name].y = [facts["outputs"][t] for t in places]
    traces["not by the definition"].showlegend = bool(facts["wrong"])
    rings = traces["by the definition"]
    rings.x, rings.y = steps, facts["definition"]
    several = facts["copies"] if len(facts["copies"]) > 1 else {}
    for s in MARKS:
        copy = traces[f"copy from step {s}"]
        reach = [t for t in steps if s <= t < s + TAPS] if s in several else []
        copy.x, copy.y = reach, [several[s][t] for t in reach]
        copy.showlegend = s in several
    layout = figure.layout
    heights = [facts["outputs"], facts["definition"], *several.values()]
    for axis, values in (
        (layout.yaxis, [[-1, 1]]),
        (layout.yaxis2, [[-1, 1]]),
        (layout.yaxis3, [[-1, 1], *heights]),
    ):
        flat = [x for part in values for x in part if x == x]
        room = 0.12 * (max(flat) - min(flat))
        axis.range = [min(flat) - room, max(flat) + room]
