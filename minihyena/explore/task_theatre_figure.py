"""The picture of the task theatre: the example, where a model looks, every layer."""

from typing import Any

import numpy as np

from minihyena.explore.look import panels
from minihyena.explore.style import BLUE, INK, LINE, ORANGE, VERMILION

__all__ = ["WINDOW", "draw", "theatre_figure"]

WINDOW = 20  # positions shown at once
CELLS = 256  # of the overview; a longer input shares them
PALE = ("#FFFFFF", "#EDF0F3", "#FBE6BF", "#D6E9F6", "#CDEBE0", "#FBDAC6")
BLANK, TOKEN, FOUND, TARGET, RIGHT, WRONG = range(6)
HATCH = {"shape": "/", "fgcolor": "#7A5200", "bgcolor": ORANGE, "size": 7}
DEPTHS = [[0, "#FFFFFF"], [0.03, "#DCEAF5"], [0.25, "#7FB6DC"], [1, BLUE]]
FRAME = {"color": INK, "width": 2}


def theatre_figure(models: int) -> Any:
    """`models`: how many rows of answers there are."""
    figure = panels(
        "The example", "Where it looks", "Every layer, the whole input", rows=3, cols=1,
        row_heights=[0.17 + 0.07 * models, 0.3, 0.17], vertical_spacing=0.15,
        height=500 + 36 * models,
    )  # fmt: skip
    steps = np.repeat(np.linspace(0, 1, len(PALE) + 1), 2)[1:-1]
    colours = [c for c in PALE for _ in range(2)]
    figure.add_heatmap(
        zmin=-0.5, zmax=len(PALE) - 0.5, showscale=False, xgap=2, ygap=2,
        colorscale=[[at, c] for at, c in zip(steps, colours, strict=True)],
        texttemplate="%{text}", textfont={"size": 14, "color": INK}, hoverongaps=False,
        hovertemplate="position %{x}, %{y}: %{text}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    bars: dict[str, Any] = {
        "textposition": "outside", "cliponaxis": False, "constraintext": "none",
        "textfont": {"size": 14, "color": INK}, "width": 0.7,
        "hovertemplate": "position %{x}: %{y:.1%}<extra></extra>",
    }  # fmt: skip
    figure.add_bar(name="share that it reads", marker_color=BLUE, **bars, row=2, col=1)
    figure.add_bar(
        name="of this, what decides the answer", row=2, col=1, **bars,
        marker={"color": ORANGE, "pattern": HATCH},
    )  # fmt: skip
    figure.add_heatmap(
        colorscale=DEPTHS, showscale=False,
        hovertemplate="layer %{y}, position %{x}: %{z:.1%}<extra></extra>",
        row=3, col=1, ygap=2,
    )  # fmt: skip
    figure.add_scatter(
        name="decides", mode="markers", cliponaxis=False, showlegend=False,
        marker={"symbol": "triangle-down", "size": 9, "color": VERMILION},
        hovertemplate="position %{x}<extra></extra>", row=3, col=1,
    )  # fmt: skip
    for row in (1, 2):  # the asked position
        figure.add_shape(
            type="rect", line=FRAME, row=row, col=1, x0=0, x1=1, y0=0, y1=1,
            yref="y domain" if row == 1 else "y2 domain", layer="above",
        )  # fmt: skip
    figure.layout.shapes[1].update(line_width=0, fillcolor=LINE, layer="below")
    figure.add_shape(  # the window
        type="rect", line=FRAME, row=3, col=1, x0=0, x1=1, y0=0, y1=1,
        yref="y3 domain", layer="above",
    )  # fmt: skip
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=False, showgrid=False)
    figure.update_xaxes(showticklabels=False, ticklen=0, row=1, col=1)
    figure.update_xaxes(nticks=12, title_text="position", row=3, col=1)
    figure.update_yaxes(autorange="reversed", ticklen=0, row=1, col=1)
    figure.update_yaxes(title_text="share", tickformat="~%", nticks=5, row=2, col=1)
    figure.update_yaxes(title_text="layer", autorange="reversed", row=3, col=1)
    figure.layout.barmode = "overlay"
    return figure


def draw(figure: Any, f: dict[str, Any], sizes: np.ndarray) -> None:
    """The facts of a TaskTheatre; sizes (layers, L): how much each layer reads."""
    strip, plain, hatched, whole, places = figure.data
    first, last = f["window"]
    shown = range(first, last + 1)
    rows = _rows(f, shown)
    strip.update(
        x=[*shown],
        y=list(rows),
        z=[[kind for _, kind in row] for row in rows.values()],
        text=[[text for text, _ in row] for row in rows.values()],
    )
    share = sizes[f["layer"] - 1]
    rank = {s: str(n) for n, s in enumerate(f["top"], 1)}
    for trace, wanted in ((plain, False), (hatched, True)):
        mine = [s for s in shown if (s in f["decisive"]) == wanted]
        trace.update(
            x=mine,
            y=[float(share[s]) for s in mine],
            text=[rank.get(s, "") for s in mine],
        )
    group = -(-len(share) // CELLS)
    starts = np.arange(0, len(share), group)
    whole.update(
        x=(starts + (group - 1) / 2).tolist(),
        y=[*range(1, len(sizes) + 1)],
        z=np.maximum.reduceat(sizes, starts, axis=1).tolist(),
    )
    places.update(x=list(f["decisive"]), y=[0.5] * len(f["decisive"]))
    _draw_axes(figure.layout, f, share)


def _rows(f: dict[str, Any], shown: range) -> dict[str, list[tuple[str, int]]]:
    """Name of each row of the strip -> text and kind of its cells."""
    rows = {
        "reads": [
            (f["words"][s], FOUND if s in f["decisive"] else TOKEN) for s in shown
        ],
        "should say": [
            (f["targets"][s], TARGET) if s in f["targets"] else ("", BLANK)
            for s in shown
        ],
    }
    for name, answers in f["answers"].items():
        rows[name] = [
            ("", BLANK) if s not in answers
            else (f"{answers[s]} ✓", RIGHT) if s in f["right"][name]
            else (f"{answers[s]} ✗", WRONG)
            for s in shown
        ]  # fmt: skip
    return rows


def _draw_axes(layout: Any, f: dict[str, Any], share: np.ndarray) -> None:
    first, last = f["window"]
    ends = [first - 0.5, last + 0.5]
    ticks = [*range(first, last + 1, 1 if last < 100 else 2)]
    layout.xaxis.range = ends
    layout.xaxis2.update(range=ends, tickvals=ticks)
    layout.xaxis3.range = [-0.5, len(share) - 0.5]
    layout.yaxis2.range = [0, 1.25 * max(float(share[first : last + 1].max()), 1e-6)]
    layout.yaxis3.tickvals = [*range(1, f["layers"] + 1)]
    for shape in layout.shapes[:2]:
        shape.update(x0=f["asked"] - 0.5, x1=f["asked"] + 0.5)
    layout.shapes[2].update(x0=ends[0], x1=ends[1])
    start = f"Positions {first} to {last} of {len(share)}"
    layout.annotations[0].text = (
        "The example" if last - first + 1 == len(share) else start
    )
    how = f"{f['kind']}, layer {f['layer']}" if f["layers"] > 1 else f["kind"]
    layout.annotations[1].text = (
        f"Where {f['model']} looks from position {f['asked']} ({how})"
        if f["kind"]
        else f"{f['model']} cannot be looked into: it has no nn.Embedding"
    )
    grouped = -(-len(share) // CELLS)
    many = f", the largest of {grouped} positions each" if grouped > 1 else ""
    layout.annotations[2].text = f"Every layer, the whole input (▼ decides){many}"
