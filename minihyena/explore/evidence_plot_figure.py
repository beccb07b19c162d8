"""The picture of the evidence plot: a column for each value, a dot for each model."""

from collections.abc import Iterable, Sequence
from typing import Any

from minihyena.explore.evidence_plot_data import of_size, text_of, words_of
from minihyena.explore.look import LOOKS, panels
from minihyena.explore.parts import listed
from minihyena.explore.scaling_words import spoken
from minihyena.explore.style import INK, LINE, MUTED

__all__ = ["draw", "figure_of"]

HOVER = "%{customdata}: %{y:.3f}<extra></extra>"
LISTS = ("name", "mode", "x", "y", "customdata", "error_y.array", "error_y.arrayminus")
WIDE = 0.42  # half of a column
ASIDE = 0.06  # of a column: how far a point that lines join may stand from its value
BLIND, NOT_RUN = "a blind guess", "was not run"


def figure_of(models: Sequence[str]) -> Any:
    """One trace for each model, then chance and what was not run.

    Columns are one apart whatever their values; models stand side by side in them, a
    little where lines join them, so that equal scores do not hide each other.
    """
    figure = panels("Score", height=470)
    for slot, name in enumerate(models):
        colour, dash, symbol = LOOKS[slot % len(LOOKS)]
        figure.add_scatter(
            mode="lines+markers", name=name, hovertemplate=HOVER,
            line={"color": colour, "width": 1.8 if slot else 2.8, "dash": dash},
            marker={"symbol": symbol, "size": 10, "color": colour}, cliponaxis=False,
            error_y={"type": "data", "color": colour, "thickness": 1.6, "width": 4},
        )  # fmt: skip
    figure.add_scatter(
        mode="lines", name=BLIND, hoverinfo="skip",
        line={"color": MUTED, "width": 2, "dash": "longdash"},
    )  # fmt: skip
    figure.add_scatter(
        mode="markers", name=NOT_RUN, cliponaxis=False,
        hovertemplate="%{customdata}: was not run<extra></extra>",
        marker={"symbol": "x-thin-open", "size": 9, "color": INK, "line_width": 2},
    )  # fmt: skip
    figure.add_shape(
        type="rect", yref="y domain", y0=0, y1=1, fillcolor=LINE, opacity=0.3,
        line_width=0, layer="below",
    )  # fmt: skip
    figure.update_yaxes(title_text="score on rows never seen")
    figure.update_xaxes(zeroline=False)
    figure.layout.margin.b = 104
    return figure


def draw(figure: Any, models: Sequence[str], facts: dict[str, Any]) -> None:
    """The facts of an EvidencePlot; models as in `figure_of`."""
    scores, values = facts["scores"], facts["values"]
    columns = {value: i for i, value in enumerate(values)}
    step = 2 * WIDE / len(scores)
    step = step if len(values) == 1 else min(0.1, step)
    in_order = not any(isinstance(value, str) for value in values)
    if in_order and len(scores) > 1 and len(values) > 1:  # joined: hardly aside
        step = min(step, 2 * ASIDE / (len(scores) - 1))
    beside = {m: step * (i - (len(scores) - 1) / 2) for i, m in enumerate(scores)}
    lowest = [low for line in scores.values() for _, low, _, _ in line.values()]
    bottom = min([0.0, *lowest])
    mode = "lines+markers" if in_order else "markers"
    shown: list[tuple[Any, ...]] = []
    for model in models:
        line = scores.get(model, {})
        spots = values if line else ()  # a gap where it was not run
        places = [columns[value] + beside[model] for value in spots]
        points = [line.get(value, (None, 0, 0, 0)) for value in spots]
        means = [mean for mean, *_ in points]
        above = [high - (mean or 0) for mean, _, high, _ in points]
        below = [(mean or 0) - low for mean, low, _, _ in points]
        bars = (above, below) if facts["spread"] else ([], [])
        shown.append((model, mode, places, means, _names(model, spots), *bars))
    xs: list[Any] = []
    heights: list[Any] = []
    for value, chance in facts["chance"].items():
        xs += [columns[value] - WIDE, columns[value] + WIDE, None]  # lift the pen
        heights += [chance, chance, None]
    shown.append((BLIND, "lines", xs, heights, [], [], []))
    absent = {model: gone for model, gone in facts["not_run"].items() if gone}
    xs = [columns[value] + beside[m] for m, gone in absent.items() for value in gone]
    names = [name for m, gone in absent.items() for name in _names(m, gone)]
    said = f"{NOT_RUN}: {listed([*map(spoken, absent)])}" if absent else NOT_RUN
    heights = [bottom - 0.09] * len(xs)
    shown.append((said, "markers", xs, heights, names, [], []))
    # All traces at once, as in the scaling plot: what a batch sets for some traces only
    # the others can lose in the page.
    lists = [list(column) for column in zip(*shown, strict=True)]
    figure.plotly_restyle(dict(zip(LISTS, lists, strict=True)), [*range(len(shown))])
    _draw_axes(figure.layout, facts, beside, bottom - 0.14 * bool(absent))


def _names(model: str, values: Iterable[Any]) -> list[str]:
    """What to say of each point when it is pointed at."""
    return [f"{spoken(model)}, {text_of(value)}" for value in values]


def _draw_axes(
    layout: Any, facts: dict[str, Any], beside: dict[str, float], low: float
) -> None:
    values, across = facts["values"], facts["across"]
    by = f"by {of_size(across)}" if len(values) > 1 else "all models"
    held = words_of(facts["held"]) or by
    layout.annotations[0].text = f"{held[0].upper()}{held[1:]}"
    layout.yaxis.update(range=[low - 0.03, 1.05])
    title = "" if across == "task" else of_size(across)
    ticks: dict[float, str] = dict(enumerate(map(text_of, values)))
    if len(values) == 1:  # one column: its dots are named instead
        title, ticks = "", {at: m.replace(" ", "<br>") for m, at in beside.items()}
    layout.xaxis.update(
        range=[-0.55, len(values) - 0.45],
        tickvals=list(ticks),
        ticktext=list(ticks.values()),
        title={"text": title},
    )
    at = values.index(facts["at"])
    layout.shapes[0].update(x0=at - 0.5, x1=at + 0.5, visible=len(values) > 1)
