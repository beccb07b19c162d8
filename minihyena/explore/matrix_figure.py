"""Two heat maps side by side, each on its own scale, with a frame around one cell."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from minihyena.explore.look import SIGNED, SIZES, panels
from minihyena.explore.matrix_views import NOTHING
from minihyena.explore.style import INK, MUTED

__all__ = ["COLOURS", "FITTING", "HEIGHT", "draw_matrix", "lens_figure"]

COLOURS = (
    ("signed, white is 0", "signed"),
    ("sizes |M|", "sizes"),
    ("lowest to highest", "off centre"),
)
POSITIVE = [[0.0, "#FFFFFF"], SIGNED[-1]]
HEIGHT = 540
# Squares side by side: the wider the card, the taller. (Plotly takes over the height
# that its element has, if its own is not set.)
FITTING = """<style>
.mh-lens { container-type: inline-size; }
.mh-lens .js-plotly-plot { height: clamp(280px, 46cqw + 110px, 580px); }
</style>"""
PRINTED = 12  # up to so many tokens the signs are printed, on pale colours
WORDS = {"xaxis": 28, "yaxis": 16}  # at most so many of them on an axis
ROOM = 0.25  # of a colour bar, for the number at its end
FRAMES: list[dict[str, Any]] = [  # white below ink, to be seen on dark colours, too
    {"color": "#FFFFFF", "width": 3},  # around the row
    {"color": INK, "width": 1, "dash": "dot"},
    {"color": "#FFFFFF", "width": 5},  # around the cell
    {"color": INK, "width": 2.5},
]


def lens_figure() -> go.Figure:
    """Left and right, empty."""
    figure = panels("left", "right", height=HEIGHT, horizontal_spacing=0.1)
    figure.update_annotations(align="left", y=1, yanchor="bottom", yshift=46)
    for column in (1, 2):
        figure.add_heatmap(
            z=[[0]],
            xgap=0.5,
            ygap=0.5,
            hoverongaps=False,
            hovertemplate="output %{y:d} reads input %{x:d}: %{z:.3g}<extra></extra>",
            colorbar={
                "orientation": "h",
                "x": figure.layout[f"xaxis{column if column > 1 else ''}"].domain[0],
                "xanchor": "left",
                "xpad": 0,
                "y": 1.02,
                "yanchor": "bottom",
                "ypad": 0,
                "len": 0.3,
                "thickness": 10,
                "outlinewidth": 0,
                "tickfont": {"size": 13, "color": MUTED},
                "tickangle": 0,
            },
            row=1,
            col=column,
        )
        for line in FRAMES:
            figure.add_shape(
                type="rect", line=line, row=1, col=column, x0=0, x1=1, y0=0, y1=1
            )
    figure.update_xaxes(
        title_text="input s", constrain="domain", constraintoward="left",
        zeroline=False, tickangle=0, title_standoff=14,
    )  # fmt: skip
    figure.update_yaxes(
        constrain="domain", constraintoward="top", zeroline=False, showgrid=False
    )
    figure.update_yaxes(title_text="output t", col=1)
    for axis, of in (("yaxis", "x"), ("yaxis2", "x2")):
        figure.layout[axis].scaleanchor = of
    figure.update_layout(plot_bgcolor="#E4E8EC", margin={"t": 104, "b": 60})
    return figure


def draw_matrix(
    figure: Any,
    number: int,
    matrix: np.ndarray,
    side: dict[str, Any],
    f: dict[str, Any],
) -> None:
    """Draw matrix (L, L) into panel `number`; its facts, and those of the lens."""
    length = len(matrix)
    look = _look(f["colours"], side)
    shown = np.abs(matrix) if f["colours"] == "sizes" else matrix
    nothing = np.abs(matrix) <= NOTHING * side["largest"]
    digits = 3 - int(np.floor(np.log10(side["largest"] or 1.0)))
    z = np.round(shown.astype(float), digits).astype(object)
    if side["causal"]:
        z[np.triu_indices(length, 1)] = None  # the grey behind is seen
    marks = np.where(nothing, "", np.where(matrix < 0, "−", "+"))
    printed = length <= PRINTED and f["colours"] == "signed"
    trace = figure.data[number]
    trace.update(
        z=z.tolist(),
        text=marks.tolist() if printed else None,
        texttemplate="%{text}" if printed else None,
        textfont={"size": 16, "color": INK},
        **look,
    )
    top, left = f["row"] - 0.5, f["column"] - 0.5
    frames = figure.layout.shapes[len(FRAMES) * number :]
    for around_row in frames[:2]:
        around_row.update(x0=-0.5, x1=length - 0.5, y0=top, y1=top + 1)
    for around_cell in frames[2 : len(FRAMES)]:
        around_cell.update(x0=left, x1=left + 1, y0=top, y1=top + 1)
    figure.layout.annotations[number].text = (
        f"{side['name']}<br><span style='font-size:13px;font-weight:400'>"
        f"{side['kind']}, {side['where']}</span>"
    )
    which = "" if number == 0 else "2"
    for axis, ends in (
        ("xaxis", (-0.5, length - 0.5)),
        ("yaxis", (length - 0.5, -0.5)),
    ):
        ticks = list(range(0, length, -(-length // WORDS[axis])))
        words = [f["words"][t] for t in ticks]
        figure.layout[axis + which].update(tickvals=ticks, ticktext=words, range=ends)


def _look(colours: str, side: dict[str, Any]) -> dict[str, Any]:
    """Colours and their scale: each picture's own, of attention 0 to 1."""
    top = side["largest"] or 1.0
    scale: Any = SIGNED
    low, high = -top, top
    if colours == "sizes":
        low, scale = 0.0, SIZES
    elif colours == "off centre":
        low, high, scale = side["lowest"], side["highest"], SIZES
    elif side["rows_sum_to_one"] and not side["negative"]:
        low, high, scale = 0.0, 1.0, POSITIVE
    room = ROOM * (high - low)  # a 0 too near to an end would overprint it
    ticks = [low, 0.0, high] if low + room < 0 < high - room else [low, high]
    return {
        "zmin": low,
        "zmax": high,
        "colorscale": scale,
        "colorbar.tickvals": ticks,
        "colorbar.ticktext": [f"{x:.2g}".replace("-", "−") for x in ticks],
    }
