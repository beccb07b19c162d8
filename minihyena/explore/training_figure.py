"""The picture of the training room: the loss so far, and one filter then and now."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from minihyena.explore.filter_views import FilterView
from minihyena.explore.look import AFTER, BEFORE, panels
from minihyena.explore.style import GREEN, MUTED, SKY
from minihyena.explore.training_run import Run

__all__ = ["draw_filter", "draw_losses", "guess_line", "room_figure", "thin"]

NOTHING = "nothing to watch"  # the annotation that says so
POINTS = 2000  # drawn at most; longer runs are thinned


def room_figure(blind: float, unit: str) -> go.Figure:
    """`blind` is the loss of a blind guess, ln V; `unit` what a token is."""
    figure = panels(
        "Loss", "One filter", height=420, column_widths=[0.58, 0.42],
        horizontal_spacing=0.13, specs=[[{"secondary_y": True}, {}]],
    )  # fmt: skip
    left = {"row": 1, "col": 1}
    figure.add_scatter(
        name="batch", mode="lines", line={"color": SKY, "width": 1}, opacity=0.6, **left
    )
    figure.add_scatter(name="smoothed", mode="lines", line=AFTER, **left)
    figure.add_scatter(
        name="held-out text", mode="lines+markers",
        line={"color": GREEN, "width": 2, "dash": "dot"},
        marker={"symbol": "diamond", "size": 10, "color": GREEN}, cliponaxis=False,
        **left,
    )  # fmt: skip
    figure.add_scatter(  # gives the axis on the right something to measure
        y=[], showlegend=False, hoverinfo="skip", secondary_y=True, **left
    )
    right = {"mode": "lines", "row": 1, "col": 2}
    figure.add_scatter(name="filter at the start", line=BEFORE, **right)
    figure.add_scatter(name="filter now", line=AFTER, **right)
    guess_line(figure, blind, f"ln V = {blind:.2f}", **left, secondary_y=False)
    figure.add_annotation(
        name=NOTHING, text="no long filters to watch", showarrow=False, visible=False,
        font={"size": 15, "color": MUTED}, xref="x2 domain", yref="y3 domain",
        x=0.5, y=0.5,
    )  # fmt: skip
    figure.update_xaxes(title_text="step", domain=[0, 0.53], **left)
    figure.update_xaxes(domain=[0.71, 1], row=1, col=2)
    figure.layout.annotations[1].x = 0.71
    figure.update_yaxes(title_text="loss, nats", secondary_y=False, **left)
    figure.update_yaxes(
        title_text=f"bits per {unit}", showgrid=False, zeroline=False,
        tickmode="auto", nticks=8, secondary_y=True, **left,
    )  # fmt: skip
    return figure


def guess_line(figure: go.Figure, y: float, value: str, **place: Any) -> None:
    """A dashed line across one panel where a blind guess stands."""
    figure.add_hline(
        y=y, line={"color": MUTED, "width": 1.5, "dash": "longdash"},
        annotation={
            "text": f"blind guess: {value}", "font": {"size": 13, "color": MUTED},
            "x": 1, "xanchor": "right", "yanchor": "bottom", "yshift": 2,
        }, **place,
    )  # fmt: skip


def draw_losses(figure: go.Figure, run: Run, blind: float) -> None:
    """Losses of batches, their running mean, and of held-out text, on one scale."""
    batch, smooth, held, *_ = figure.data
    n = len(run.records)
    records = run.records[:n]
    chosen = thin(n)
    steps = [records[i].step for i in chosen]
    losses = [records[i].loss for i in chosen]
    batch.update(x=steps, y=losses)
    smooth.update(x=steps, y=[run.smooth[i] for i in chosen])
    validations = run.validations
    held.update(x=[s for s, _ in validations], y=[loss for _, loss in validations])
    seen = [*losses, *(loss for _, loss in validations)]
    low = 0.9 * min(seen) if seen else 0.0
    high = 1.08 * max([blind, *run.smooth[:n]])
    figure.layout.yaxis.range = [low, high]
    figure.layout.yaxis2.range = [low / math.log(2), high / math.log(2)]
    last = run.config.steps or max([10, *steps])
    figure.layout.xaxis.range = [0, last]


def draw_filter(
    figure: go.Figure, views: tuple[FilterView, FilterView] | None, view: str
) -> None:
    """One filter now and at the start, or a line saying that there is none."""
    *_, old, new = figure.data
    for trace, seen in zip((new, old), views or (None, None), strict=True):
        x, y = _curve(seen, view) if seen is not None else ([], [])
        trace.update(x=x, y=y)
    in_time = view == "in time"
    figure.layout.xaxis2.title.text = (
        "lag (tokens back)" if in_time else "cycles per token"
    )
    figure.layout.yaxis3.title.text = (
        "weight h<sub>lag</sub>" if in_time else "gain |H|"
    )
    figure.update_annotations(selector={"name": NOTHING}, visible=views is None)


def thin(count: int, most: int = POINTS) -> Sequence[int]:
    """Indices 0 .. count - 1, at most `most` of them, evenly, ends included."""
    if count <= most:
        return range(count)
    return [round(i) for i in np.linspace(0, count - 1, most)]


def _curve(seen: FilterView, view: str) -> tuple[Any, Any]:
    if view == "in time":
        return np.arange(len(seen.h)), seen.h
    return seen.frequency, seen.gain
