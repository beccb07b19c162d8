"""The picture of a filter: one channel in time and in frequency, and more below."""

from collections.abc import Sequence
from typing import Any

from minihyena.explore.filter_views import FilterView
from minihyena.explore.look import AFTER, BEFORE, panels
from minihyena.explore.style import BLUE, GREEN, INK

__all__ = ["builder_figure", "draw", "figure_of", "numbers_of"]


def figure_of(*below: str, compare: bool = False, height: int = 400) -> Any:
    """Two panels, and one for each title in `below`, two to a row.

    The first traces are those that `draw` fills: the filter before, if compared, and
    now, each in time and in frequency; then the two marks.
    """
    grid = {"rows": 1 + (len(below) + 1) // 2, "cols": 2, "vertical_spacing": 0.2}
    figure = panels("In time", "In frequency", *below, height=height, **grid)
    for name, line in (("before", BEFORE), ("after", AFTER))[not compare :]:
        both = {"mode": "lines", "line": line, "legendgroup": name}
        both["name"] = name if compare else "filter"
        figure.add_scatter(**both, row=1, col=1)
        figure.add_scatter(**both, showlegend=False, row=1, col=2)
    figure.add_scatter(
        mode="lines", name="90 % of |h| is left of this line",
        line={"color": INK, "width": 2, "dash": "dot"}, row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        mode="markers", name="largest gain", cliponaxis=False,
        marker={"symbol": "circle-open", "size": 13, "color": INK, "line_width": 2},
        row=1, col=2,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="lag (tokens back)", rangemode="tozero", row=1, col=1
    )
    figure.update_xaxes(title_text="cycles per token", range=[0, 0.5], row=1, col=2)
    figure.update_yaxes(title_text="weight h<sub>lag</sub>", row=1, col=1)
    figure.update_yaxes(title_text="gain |H|", rangemode="tozero", row=1, col=2)
    return figure


def builder_figure(lengths: Sequence[int]) -> Any:
    """Those two panels, the window, every channel and the parameters by length."""
    figure = figure_of(
        "Reach, by channel",
        "Cost, by length",
        height=580,
    )
    dashed = {"color": GREEN, "width": 2, "dash": "9px,3px,2px,3px"}
    edge = {"mode": "lines", "line": dashed, "legendgroup": "window"}
    figure.add_scatter(name="window (its shape)", **edge, row=1, col=1)
    figure.add_scatter(name="window below", showlegend=False, **edge, row=1, col=1)
    quiet: dict[str, Any] = {"showlegend": False, "cliponaxis": False}
    ring = {"symbol": "circle-open", "size": 15, "color": INK, "line_width": 2}
    dot = {"symbol": "circle", "size": 8, "color": BLUE}
    left, right = ({"row": 2, "col": col} for col in (1, 2))
    figure.add_scatter(name="reach", mode="markers", marker=dot, **quiet, **left)
    figure.add_scatter(name="this one", mode="markers", marker=ring, **quiet, **left)
    figure.add_scatter(name="free taps", mode="lines", line=BEFORE, **right)
    figure.add_scatter(
        name="this family", mode="lines+markers", marker=dot,
        line={"color": BLUE, "width": 2.5}, **quiet, **right,
    )  # fmt: skip
    figure.add_scatter(name="here", mode="markers", marker=ring, **quiet, **right)
    figure.update_xaxes(
        title_text="channel", dtick=5, range=[-0.7, 15.7], zeroline=False, **left
    )
    figure.update_yaxes(title_text="lag", rangemode="tozero", **left)
    figure.update_xaxes(
        title_text="length L", type="log", tickvals=lengths[::3],
        ticktext=[f"{n:,}" for n in lengths[::3]], **right,
    )  # fmt: skip
    figure.update_yaxes(
        title_text="parameters", type="log", dtick=1, range=[2, 5.3], **right
    )
    return figure


def draw(traces: Sequence[Any], now: FilterView, then: FilterView | None) -> None:
    """Fill the first traces of `figure_of`: six with `then`, four without."""
    *old, time, spectrum, edge, peak = traces
    lags = list(range(len(now.h)))
    time.update(x=lags, y=now.h)
    spectrum.update(x=now.frequency, y=now.gain)
    if then is not None:
        old[0].update(x=lags, y=then.h)
        old[1].update(x=then.frequency, y=then.gain)
    ends = [view.h for view in (now, then) if view is not None]
    edge.update(
        x=[now.reach] * 2, y=[min(h.min() for h in ends), max(h.max() for h in ends)]
    )
    peak.update(x=[now.peak], y=[now.gain.max()])


def numbers_of(
    now: FilterView, then: FilterView | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Header and rows of all that `draw` draws."""
    header = ["Lag", "h", "cycles per token", "gain"]
    columns: list[Any] = [range(len(now.h)), now.h.tolist()]
    columns += [now.frequency.tolist(), now.gain.tolist()]
    if then is not None:
        header += ["h before", "gain before"]
        columns += [then.h.tolist(), then.gain.tolist()]
    return header, list(zip(*columns, strict=False))
