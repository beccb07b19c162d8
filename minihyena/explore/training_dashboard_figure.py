"""The picture of the training dashboard: losses on the left, tests on the right."""

from collections.abc import Mapping, Sequence
from typing import Any

from minihyena.explore.look import LOOKS, panels
from minihyena.explore.training_figure import guess_line, thin
from minihyena.explore.training_race import Lane

__all__ = ["dashboard_figure", "draw_lanes"]


def dashboard_figure(names: Sequence[str], chance: float) -> Any:
    """A curve of each model in both panels; `chance` is what a blind guess scores."""
    figure = panels(
        "Loss", "Score", height=430,
        horizontal_spacing=0.12,
    )  # fmt: skip
    for slot, name in enumerate(names):
        colour, dash, symbol = LOOKS[slot]
        line = {"color": colour, "width": 2.5, "dash": dash}
        figure.add_scatter(
            name=name, mode="lines", line=line, legendgroup=name, showlegend=False,
            row=1, col=1,
        )  # fmt: skip
        figure.add_scatter(
            name=name, mode="lines+markers", line=line, legendgroup=name,
            marker={"symbol": symbol, "size": 9, "color": colour}, cliponaxis=False,
            hovertemplate="%{y:.1%}<extra>%{fullData.name}</extra>", row=1, col=2,
        )  # fmt: skip
    guess_line(figure, chance, f"{chance:.2g}", row=1, col=2)
    figure.update_yaxes(
        title_text="loss of batches, nats", rangemode="tozero", row=1, col=1
    )
    figure.update_yaxes(tickformat=".0%", row=1, col=2)
    return figure


def draw_lanes(
    figure: Any, lanes: Mapping[str, Lane], across: str, steps: int | None
) -> None:
    """Everything the lanes hold, over "steps" or over "seconds"."""
    by_time = across == "seconds"
    far, high, low = (0.0 if by_time else float(steps or 10)), 0.1, 0.0
    for slot, lane in enumerate(lanes.values()):
        loss, score = figure.data[2 * slot : 2 * slot + 2]
        count = len(lane.smooth)
        kept = thin(count)
        records = [lane.records[i] for i in kept]
        xs = [r.seconds if by_time else r.step for r in records]
        loss.update(x=xs, y=[lane.smooth[i] for i in kept])
        tested = [test.seconds if by_time else test.step for test in lane.tests]
        scores = [test.score for test in lane.tests]
        score.update(x=tested, y=scores)
        far = max([far, *xs, *tested])
        high = max([high, *lane.smooth[:count]])
        low = min([low, *scores])
    layout = figure.layout
    for axis in (layout.xaxis, layout.xaxis2):
        axis.range = [0, far or 1.0]
        axis.title.text = "seconds of training" if by_time else "step"
    layout.yaxis.range = [0, 1.08 * high]
    layout.yaxis2.range = [max(low, -1.0) - 0.03, 1.05]
