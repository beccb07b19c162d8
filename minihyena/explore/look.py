"""How figures look: one plotly template, one way to set panels side by side."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from minihyena.explore.style import (
    BLACK,
    BLUE,
    FONT,
    GREEN,
    GRID,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILION,
)

__all__ = [
    "AFTER", "BEFORE", "LOOKS", "SIGNED", "SIZES", "STRANGE", "TEMPLATE", "panels",
]  # fmt: skip

# Colour, dash and marker of the subjects of a plot in their order, ours first.
LOOKS = (
    (BLUE, "solid", "circle"),
    (VERMILION, "6px,3px", "square"),
    (GREEN, "2px,3px", "diamond"),
    (PURPLE, "9px,3px,2px,3px", "triangle-up"),
    (ORANGE, "12px,4px", "x"),
    (BLACK, "3px,2px", "cross"),
    (SKY, "9px,3px,2px,3px,2px,3px", "triangle-down"),
    (MUTED, "1px,2px", "star"),
    (BLUE, "4px,4px", "hexagon"),
    (VERMILION, "2px,6px", "pentagon"),
)

SIGNED = [[0.0, SKY], [0.5, "#FFFFFF"], [1.0, ORANGE]]  # pale: signs are read on it
SIZES = "Cividis"

# The pattern of a bar that should not be there.
STRANGE = {"shape": "x", "fgcolor": "#FFFFFF", "bgcolor": VERMILION, "size": 7}

BEFORE: dict[str, Any] = {"color": VERMILION, "width": 1.8, "dash": "6px,3px"}
AFTER: dict[str, Any] = {"color": BLUE, "width": 2.5, "dash": "solid"}

_AXIS = {
    "gridcolor": GRID,
    "zeroline": True,
    "zerolinecolor": LINE,
    "zerolinewidth": 1,
    "linecolor": LINE,
    "ticks": "outside",
    "ticklen": 5,
    "tickcolor": "#FFFFFF",
    "automargin": True,
    "title": {"font": {"size": 14, "color": MUTED}, "standoff": 8},
    "tickfont": {"size": 13, "color": MUTED},
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 14, "color": INK},
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "colorway": PALETTE,
        "xaxis": {**_AXIS, "showgrid": False},
        "yaxis": _AXIS,
        "margin": {"l": 56, "r": 16, "t": 44, "b": 84},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"size": 13, "color": INK},
            "itemclick": False,
            "itemdoubleclick": False,
        },
        "hoverlabel": {
            "bgcolor": "#FFFFFF",
            "bordercolor": LINE,
            "font": {"family": FONT, "size": 13, "color": INK},
        },
        "hovermode": "closest",
        "dragmode": False,
        "bargap": 0.35,
    }
)


def panels(*titles: str, height: int = 380, **grid: Any) -> go.Figure:
    """A figure of one panel per title, in a row unless `grid` says otherwise.

    `grid` goes to plotly's make_subplots. Titles stand left above their panels.
    """
    grid = {"rows": 1, "cols": len(titles), "horizontal_spacing": 0.1} | grid
    figure = make_subplots(subplot_titles=titles, **grid)
    figure.update_layout(template=TEMPLATE, height=height, autosize=True)
    axes = list(figure.select_xaxes())
    for title, axis in zip(figure.layout.annotations, axes, strict=True):
        title.update(
            x=axis.domain[0],
            xanchor="left",
            yshift=6,
            font={"size": 15, "color": INK, "weight": 600},
        )
    return figure
