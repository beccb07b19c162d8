"""The picture of wrap-around: the whole convolution, what is kept, size after size."""

from typing import Any

from minihyena.explore.look import panels
from minihyena.explore.style import BLUE, INK, LINE, ORANGE, VERMILION

__all__ = ["draw", "figure_of"]

PALE = "#FBE6BF"  # ORANGE, thinned: signs are read on it
GREY = "#C9D1D8"
ROUND = {
    "shape": "/",
    "fgcolor": "#7A5200",
    "bgcolor": ORANGE,
    "size": 7,
    "solidity": 0.3,
}
OTHER = {"shape": "x", "fgcolor": "#FFFFFF", "bgcolor": VERMILION, "size": 7}


def figure_of(length: int) -> Any:
    """Left the convolution and what the FFT gives, right the outputs at every size."""
    figure = panels(
        "The whole convolution, by the slow route",
        "Right • or wrong ✗, by size",
        "What the FFT of size n gives",
        rows=2, cols=2, specs=[[{}, {"rowspan": 2}], [{}, None]],
        column_widths=[0.66, 0.34], vertical_spacing=0.2, horizontal_spacing=0.09,
        height=500,
    )  # fmt: skip
    top, bottom, right = ({"row": r, "col": c} for r, c in ((1, 1), (2, 1), (1, 2)))
    kept = {"marker_color": BLUE, "width": 0.66}
    lost = {"marker_color": GREY, "width": 0.66}
    round_ = {"marker": {"color": ORANGE, "pattern": ROUND}, "width": 0.66}
    words: dict[str, Any] = {
        "textposition": "outside", "cliponaxis": False,
        "textfont": {"size": 13, "color": INK}, "constraintext": "none",
    }  # fmt: skip
    quiet: dict[str, Any] = {"showlegend": False}
    figure.add_bar(name="kept", **kept, **quiet, **top)
    figure.add_bar(name="tail that is cut off", **lost, **top)
    figure.add_bar(name="tail that comes round", **round_, **words, **quiet, **top)
    figure.add_bar(name="what belongs here", **kept, **words, **bottom)
    figure.add_bar(name="beyond the outputs", **lost, **quiet, **bottom)
    figure.add_bar(name="came round from the tail", **round_, **words, **bottom)
    figure.add_bar(
        name="wrong in another way", marker={"color": VERMILION, "pattern": OTHER},
        width=0.66, **words, **bottom,
    )  # fmt: skip
    figure.add_scatter(
        name="slow route", mode="markers", cliponaxis=False,
        marker={"symbol": "circle-open", "size": 11, "color": INK, "line_width": 2},
        **bottom,
    )  # fmt: skip
    figure.add_heatmap(
        x=list(range(length)), colorscale=[[0, "#F3F5F7"], [1, PALE]], zmin=0, zmax=1,
        showscale=False, xgap=2, ygap=2, hoverinfo="skip", **right,
    )  # fmt: skip
    cross = {"symbol": "x-thin-open", "size": 9, "color": "#6B4700", "line_width": 2}
    dot = {"symbol": "circle", "size": 5, "color": BLUE}
    for name, marker in (("wrong output", cross), ("right output", dot)):
        figure.add_scatter(
            name=name, mode="markers", marker=marker, hoverinfo="skip", **quiet, **right
        )
    figure.add_scatter(
        mode="lines", line={"color": INK, "width": 2.5}, hoverinfo="skip",
        cliponaxis=False, **quiet, **right,
    )  # fmt: skip
    for where in (top, bottom):
        figure.add_vrect(
            x0=-0.5, x1=length - 0.5, fillcolor=LINE, opacity=0.22, line_width=0,
            layer="below", **where,
        )  # fmt: skip
        figure.add_vline(x=length - 0.5, line={"color": INK, "dash": "dot"}, **where)
    ends: dict[str, Any] = {"range": [-0.7, 2 * length + 0.2], "zeroline": False}
    figure.update_xaxes(tickvals=list(range(2 * length)), **ends, **top)
    figure.update_xaxes(tickvals=list(range(2 * length)), **ends, **bottom)
    figure.update_xaxes(
        title_text="step (grey ground: the L outputs; dotted: the end of the ring)",
        **bottom,
    )
    figure.update_xaxes(
        title_text="output", tickvals=list(range(length)), zeroline=False, **right
    )
    figure.update_yaxes(
        title_text="FFT size n", range=[2 * length + 0.6, length - 0.6],
        tickvals=list(range(length, 2 * length + 1)), zeroline=False, showgrid=False,
        automargin=False, **right,
    )  # fmt: skip
    figure.update_xaxes(range=[-0.6, length - 0.4], **right)
    figure.layout.barmode = "overlay"
    return figure


def draw(figure: Any, facts: dict[str, Any], span: tuple[float, float]) -> None:
    """The facts of a WrapAround; span: the lowest and highest number at any size."""
    kept, lost, tail, own, beyond, came, other, slow, map_, crosses, dots, frame = (
        figure.data
    )
    length, size, whole = facts["length"], facts["size"], facts["whole"]
    landed = {t + size: t for t in facts["wrapped"]}
    kept.x, kept.y = list(range(length)), whole[:length]
    cut = [t for t in range(length, len(whole)) if t not in landed]
    lost.x, lost.y = cut, [whole[t] for t in cut]
    tail.x, tail.y = list(landed), [whole[t] for t in landed]
    tail.text = [f"→ {home}" for home in landed.values()]

    steps = range(length)
    own.x, own.y = list(steps), whole[:length]
    own.text = ["" if t in facts["wrong"] else "✓<br> " for t in steps]
    beyond.x = list(range(length, length + len(facts["beyond"])))
    beyond.y = facts["beyond"]
    for trace, places in ((came, facts["wrapped"]), (other, facts["unexplained"])):
        trace.x, trace.base = list(places), [whole[t] for t in places]
        trace.y = [facts["error"][t] for t in places]
    came.text = [f"← {t + size}" for t in facts["wrapped"]]
    other.text = ["✗"] * len(facts["unexplained"])
    slow.x, slow.y = list(steps), whole[:length]

    pairs = [(t, n) for n in facts["wrong_at"] for t in steps]
    wrong = [(t, n) for t, n in pairs if t in facts["wrong_at"][n]]
    right = [pair for pair in pairs if pair not in wrong]
    sizes = list(facts["wrong_at"])
    map_.y = sizes
    map_.z = [[int((t, n) in wrong) for t in steps] for n in sizes]
    for trace, found in ((crosses, wrong), (dots, right)):
        trace.x, trace.y = [t for t, _ in found], [n for _, n in found]
    low, high = size - 0.5, size + 0.5
    frame.x = [-0.5, length - 0.5, length - 0.5, -0.5, -0.5]
    frame.y = [low, low, high, high, low]

    layout = figure.layout
    for line in (layout.shapes[1], layout.shapes[3]):
        line.x0 = line.x1 = size - 0.5
    bottom, top = min(0.0, span[0]), max(0.0, span[1])
    room = 0.17 * max(top - bottom, 1e-3)
    for axis in (layout.yaxis, layout.yaxis3):
        axis.range = [bottom - room * (bottom < 0), top + room]
