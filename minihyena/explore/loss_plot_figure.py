"""The picture of the loss plot: lines falling from left to right, read at one place."""

import math
from collections.abc import Sequence
from typing import Any

from minihyena.explore.look import LOOKS, panels
from minihyena.explore.loss_plot_data import Goal, Spread
from minihyena.explore.loss_plot_words import AXES, UNITS, amount, share_of, text_of
from minihyena.explore.scaling_words import spoken
from minihyena.explore.style import INK, MUTED

__all__ = ["draw", "figure_of"]

LISTS = ("name", "x", "y", "customdata", "error_x.array", "error_x.arrayminus")
HOVER = "%{customdata}: %{y:.3f}<extra></extra>"
LINES = 19  # of words between the lowest and the highest loss
READ, LAST, THERE = "read here", "the rival's last loss", "hyena is there"
Row = tuple[Any, ...]  # a trace, as LISTS names its parts


def figure_of(models: Sequence[str]) -> Any:
    """For each model its range over the seeds and its line; then where they are read,
    what was read, and for each rival the way from its end to where ours is as low.
    """
    figure = panels("Held-out loss", height=500)
    for slot, name in enumerate(models):
        colour, dash, symbol = LOOKS[slot % len(LOOKS)]
        figure.add_scatter(
            mode="lines", fill="toself", fillcolor=colour, opacity=0.22,
            line={"color": colour, "width": 0}, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            mode="lines+markers", name=name, hovertemplate=HOVER,
            line={"color": colour, "width": 1.8 if slot else 2.8, "dash": dash},
            marker={"symbol": symbol, "size": 7, "color": colour, "maxdisplayed": 24},
        )  # fmt: skip
    figure.add_scatter(
        mode="lines", name=READ, hoverinfo="skip",
        line={"color": MUTED, "width": 1.5, "dash": "dash"},
    )  # fmt: skip
    figure.add_scatter(
        mode="markers", hovertemplate=HOVER, showlegend=False,
        marker={"symbol": "circle-open", "size": 14, "color": INK, "line_width": 2},
    )  # fmt: skip
    figure.add_scatter(
        mode="lines", name=LAST, hoverinfo="skip",
        line={"color": INK, "width": 1.5, "dash": "dot"},
    )  # fmt: skip
    figure.add_scatter(
        mode="markers", name=THERE, hovertemplate=HOVER,
        marker={"symbol": "star", "size": 15, "color": INK},
        error_x={"type": "data", "color": INK, "thickness": 1.6, "width": 5},
    )  # fmt: skip
    for _ in models[1:]:
        figure.add_annotation(
            showarrow=False, font={"size": 13, "color": INK}, yanchor="top",
        )  # fmt: skip
    figure.update_xaxes(type="log", zeroline=False, showgrid=True)
    figure.update_yaxes(title_text="held-out loss, nats a character", zeroline=False)
    figure.layout.margin.b = 104
    return figure


def draw(figure: Any, models: Sequence[str], facts: dict[str, Any]) -> None:
    """The facts of a LossPlot; models as in `figure_of`."""
    lines, axis = facts["lines"], facts["axis"]
    low, high = _heights(facts)
    shown: list[Row] = []
    for model in models:
        line = lines.get(model, ())
        shown += [_range(line if facts["spread"] else ()), _line(model, line, axis)]
    at, reads = [facts["at"]] * bool(facts["reads"]), facts["reads"]
    after = f"read after {amount(axis, facts['at'])}" if at else READ
    shown.append((after, [*at, *at], [low, high] if at else [], [], [], []))
    means = [loss.mean for loss in reads.values()]
    shown.append(("", at * len(means), means, [*map(spoken, reads)], [], []))
    shown += [_ways(facts), _arrivals(facts)]
    # All traces at once, as in the scaling plot: what a batch sets for some traces only
    # the others can lose in the page.
    lists = [list(column) for column in zip(*shown, strict=True)]
    figure.plotly_restyle(dict(zip(LISTS, lists, strict=True)), [*range(len(shown))])
    _draw_axes(figure.layout, facts, low, high)
    _draw_words(figure.layout.annotations[1:], facts, (high - low) / LINES)


def _range(line: Sequence[tuple[float, Spread]]) -> Row:
    """There along the highest losses, and back along the lowest."""
    spent = [x for x, _ in line]
    highs, lows = [s.high for _, s in line], [s.low for _, s in line]
    return "", spent + spent[::-1], highs + lows[::-1], [], [], []


def _line(model: str, line: Sequence[tuple[float, Spread]], axis: str) -> Row:
    words = [f"{spoken(model)}, {amount(axis, x)}" for x, _ in line]
    return model, [x for x, _ in line], [s.mean for _, s in line], words, [], []


def _start(goal: Goal, facts: dict[str, Any]) -> float:
    """Where the way from the rival's end leads: to ours, or past all lines."""
    first = min(line[0][0] for line in facts["lines"].values())
    return goal.spent.mean if goal.spent else first


def _ways(facts: dict[str, Any]) -> Row:
    xs: list[Any] = []
    ys: list[Any] = []
    for goal in facts["goals"].values():
        xs += [goal.whole, _start(goal, facts), None]  # lift the pen
        ys += [goal.loss.mean, goal.loss.mean, None]
    return LAST, xs, ys, [], [], []


def _arrivals(facts: dict[str, Any]) -> Row:
    there = {m: g for m, g in facts["goals"].items() if g.spent}
    spents = [goal.spent for goal in there.values()]
    xs = [s.mean for s in spents]
    ends = [goal.loss.mean for goal in there.values()]
    words = [f"{spoken(facts['ours'])} as low as {spoken(m)} ends" for m in there]
    name = f"{spoken(facts['ours'])} is as low"
    if not facts["spread"]:
        return name, xs, ends, words, [], []
    above = [s.high - s.mean for s in spents]
    return name, xs, ends, words, above, [s.mean - s.low for s in spents]


def _heights(facts: dict[str, Any]) -> tuple[float, float]:
    """Of the lowest and the highest loss that is drawn, with room."""
    every = [s for line in facts["lines"].values() for _, s in line]
    low = min((s.low for s in every), default=0.0)
    high = max((s.high for s in every), default=1.0)
    room = 0.05 * (high - low) or 0.1
    return low - 3 * room, high + room  # words stand below the stars


def _draw_axes(layout: Any, facts: dict[str, Any], low: float, high: float) -> None:
    layout.annotations[0].text = text_of(facts["text"])
    layout.yaxis.range = [low, high]
    ends = [line[i][0] for line in facts["lines"].values() for i in (0, -1)] or [1.0]
    first, last = math.log10(min(ends)), math.log10(max(ends))
    room = 0.04 * (last - first) or 0.1
    ticks = [
        digit * 10.0**power
        for power in range(math.floor(first - room), math.ceil(last + room) + 1)
        for digit in (1, 2, 5)
        if first - room <= math.log10(digit) + power <= last + room
    ]
    layout.xaxis.update(
        range=[first - room, last + room],
        tickvals=ticks,
        ticktext=[amount(facts["axis"], x).removesuffix(" characters") for x in ticks],
        title={"text": AXES[facts["axis"]][1]},
    )


def _draw_words(notes: Sequence[Any], facts: dict[str, Any], nats: float) -> None:
    """What ours needs, below and left of each star, where no line is: all fall.

    `nats`: of a line of words. A place on a logarithmic axis is its power.
    """
    goals = sorted(facts["goals"].values(), key=lambda goal: -goal.loss.mean)
    unit, above = UNITS[facts["axis"]], math.inf
    for i, note in enumerate(notes):
        if i >= len(goals):
            note.visible = False
            continue
        goal, share = goals[i], share_of(goals[i])
        above = min(goal.loss.mean, above - nats)
        note.update(
            text=f"{share} of the {unit}" if share else "not reached",
            x=math.log10(_start(goal, facts)),
            y=above,
            xanchor="right" if share else "left",
            xshift=-8 if share else 8,
            visible=True,
        )
