"""The picture of the scaling plot: both axes logarithmic, so that powers are lines."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minihyena.explore.look import LOOKS, panels
from minihyena.explore.scaling_data import QUANTITIES, Value
from minihyena.explore.scaling_words import spoken
from minihyena.explore.style import INK, MUTED

__all__ = ["draw", "figure_of"]

VEIL = 0.65  # what lies outside the chosen lengths is seen through this much white
HOVER = "{}, L = %{{x:,}}: %{{y:.3g}}<extra></extra>"
LISTS = ("x", "y", "error_y.array", "error_y.arrayminus")  # of every trace
Lists = tuple[list[int], list[float], list[float], list[float]]
EVEN = "as fast as"  # begins the annotation of the line at 1


def figure_of(names: Sequence[str], own: Sequence[str]) -> Any:
    """For each recorded name a fit, its points, and marks for what is measured here;
    then the learner's own names.

    What is not there has no points: plotly hides it, and its line in the legend.
    """
    figure = panels("Time and length", height=470)
    for slot, name in enumerate(names):
        colour, dash, symbol = LOOKS[slot % len(LOOKS)]
        figure.add_scatter(
            mode="lines", line={"color": colour, "width": 9}, opacity=0.22,
            hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            mode="lines+markers", line={"color": colour, "width": 1.8, "dash": dash},
            marker={"symbol": symbol, "size": 9, "color": colour}, name=name,
            error_y={"type": "data", "color": colour, "thickness": 1.6, "width": 4},
            hovertemplate=HOVER.format(name),
        )  # fmt: skip
        _add_open_marks(figure, slot, f"{name}, here", mode="markers", showlegend=False)
    for slot, name in enumerate(own, len(names)):
        look = {"color": LOOKS[slot % len(LOOKS)][0], "width": 1.8, "dash": "dot"}
        _add_open_marks(
            figure, slot, f"{name}, measured here", mode="lines+markers", line=look
        )
    figure.add_scatter(
        mode="markers", name="measured here", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 13, "color": INK, "line_width": 2.2},
    )  # fmt: skip
    figure.add_scatter(
        mode="markers+text", name="was not run", showlegend=False,
        marker={"symbol": "x-thin", "size": 11, "color": INK, "line": {"width": 2.5}},
        textposition="middle left", textfont={"size": 13, "color": INK},
        hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip
    figure.add_hline(
        y=1, line={"color": MUTED, "width": 1.5, "dash": "longdash"},
        annotation={"text": EVEN, "font": {"size": 13, "color": MUTED}, "x": 1,
                    "xanchor": "right", "yanchor": "top", "yshift": -2,
                    "bgcolor": "rgba(255, 255, 255, 0.8)"},
    )  # fmt: skip
    figure.layout.annotations[1].y = 0  # of 10: annotations count in powers
    for _ in range(2):
        figure.add_shape(
            type="rect", xref="x", yref="y domain", x0=1, x1=1, y0=0, y1=1,
            fillcolor="#FFFFFF", opacity=VEIL, line_width=0, layer="above",
            visible=False,
        )  # fmt: skip
    figure.update_xaxes(
        type="log", title_text="length L", showgrid=True, zeroline=False
    )
    figure.update_yaxes(type="log", zeroline=False)
    figure.layout.margin.b = 104
    return figure


def _add_open_marks(figure: Any, slot: int, name: str, **more: Any) -> None:
    colour, _, symbol = LOOKS[slot % len(LOOKS)]
    figure.add_scatter(
        marker={"symbol": f"{symbol}-open", "size": 13, "color": colour,
                "line": {"width": 2.2}},
        error_y={"type": "data", "color": colour, "thickness": 1.2, "width": 7},
        name=name, hovertemplate=HOVER.format(name), **more,
    )  # fmt: skip


def draw(
    figure: Any, names: Sequence[str], facts: dict[str, Any], fits: Mapping[str, Any]
) -> None:
    """The facts of a ScalingPlot; names as in `figure_of`; fits: name -> (power, log
    constant).
    """
    own, here, exponents = facts["own"], facts["here"], facts["exponents"]
    low, high = _range(facts)
    shown: list[Lists] = []
    for name in names:
        shown.append(_fit(fits.get(name), list(facts["values"].get(name, {}))))
        shown.append(_points(facts["all_values"].get(name, {})))
        shown.append(_points(here.get(name, {})))
    shown += [_points(here.get(name, {})) for name in own]
    legend: Any = [None] * any(name in here for name in names)
    shown.append((legend, legend, [], []))
    shown.append(_failures(facts["failed"], low, high))
    # All traces at once: where a batch sets a property for some traces only, the others
    # can lose theirs in the page; and a batch leaves out what is as it was.
    columns = [list(column) for column in zip(*shown, strict=True)]
    figure.plotly_restyle(dict(zip(LISTS, columns, strict=True)), [*range(len(shown))])
    powers = {n: f": L<sup>{power:.2f}</sup>" for n, power in exponents.items()}
    said = [f"{spoken(name)}{powers.get(name, '')}" for name in names]
    figure.plotly_restyle({"name": said}, [3 * s + 1 for s in range(len(names))])
    figure.data[-1].text = [
        f"{name}: {notes[min(notes)] or 'not run':.40}  "
        for name, notes in facts["failed"].items()
    ]
    _draw_axes(figure.layout, facts, low, high)
    _draw_veils(figure.layout, facts["every_length"], facts["lengths"])


def _fit(fit: tuple[float, float] | None, lengths: Sequence[int]) -> Lists:
    ends = [] if fit is None else [lengths[0], lengths[-1]]
    power, constant = fit or (0.0, 0.0)
    heights = [math.exp(constant + power * math.log(length)) for length in ends]
    return ends, heights, [], []


def _points(points: Mapping[int, Value]) -> Lists:
    middles = [middle for middle, _, _ in points.values()]
    above = [high - middle for middle, _, high in points.values()]
    below = [middle - low for middle, low, _ in points.values()]
    return list(points), middles, above, below


def _range(facts: dict[str, Any]) -> tuple[float, float]:
    """The lowest and the highest value that is drawn, as powers of ten, with room."""
    series = [*facts["all_values"].values(), *facts["here"].values()]
    seen = [v for points in series for value in points.values() for v in value if v > 0]
    if facts["quantity"] == "times faster":
        seen.append(1.0)
    low, high = math.log10(min(seen)), math.log10(max(seen))
    edge = 0.06 * max(high - low, 0.5)
    room = 1.6 + 1.4 * len(facts["failed"])  # each has a line of words at the top
    return low - edge, high + room * edge


def _failures(
    failed: Mapping[str, Mapping[int, str]], low: float, high: float
) -> Lists:
    """A mark at the top for each subject, at the first length it was not run at."""
    heights = [high - (0.05 + 0.08 * i) * (high - low) for i in range(len(failed))]
    first = [min(notes) for notes in failed.values()]
    return first, [10**height for height in heights], [], []


def _draw_axes(layout: Any, facts: dict[str, Any], low: float, high: float) -> None:
    quantity, every = facts["quantity"], facts["every_length"]
    faster = quantity == "times faster"
    where = f"<span style='color:{MUTED};font-weight:400'>  {facts['where']}</span>"
    name = facts["comparison"]
    layout.annotations[0].text = f"{name[0].upper()}{name[1:]}{where}"
    line = f"{EVEN} {facts['ours']}" if faster else ""
    layout.annotations[1].update(text=line, visible=faster)
    layout.shapes[0].visible = faster
    ticks = every if len(every) <= 9 else every[:: -(-len(every) // 9)]
    edge = 0.05 * math.log10(every[-1] / every[0] if len(every) > 1 else 2)
    layout.xaxis.update(
        range=[math.log10(every[0]) - edge, math.log10(every[-1]) + edge],
        tickvals=ticks,
        ticktext=[f"{length:,}" for length in ticks],
    )
    title = QUANTITIES[quantity]
    layout.yaxis.update(
        range=[low, high],
        title={"text": f"{facts['ours']} is so many {title}" if faster else title},
        dtick="D2" if high - low < 2.6 else 1,
        tickformat=",~g",
    )


def _draw_veils(layout: Any, every: Sequence[int], inside: Sequence[int]) -> None:
    """White over the lengths before and after those that are chosen."""
    before = [n for n in every if n < inside[0]]
    after = [n for n in every if n > inside[-1]]
    _, left, right = layout.shapes
    left.update(x0=every[0] / 2, visible=bool(before))
    right.update(x1=every[-1] * 2, visible=bool(after))
    if before:
        left.x1 = math.sqrt(before[-1] * inside[0])
    if after:
        right.x0 = math.sqrt(after[0] * inside[-1])
