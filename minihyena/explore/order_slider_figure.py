"""The picture of the order slider: filter, poles, singular values, errors."""

import math
from typing import Any

from torch import Tensor

from minihyena.explore.look import AFTER, panels
from minihyena.explore.parts import to_numpy
from minihyena.explore.style import BLUE, INK, MUTED, ORANGE, VERMILION

__all__ = ["draw", "figure_of"]

LEAST = 1e-7  # errors and singular values below it are drawn there
CIRCLE = [2 * math.pi * k / 720 for k in range(721)]
FIT = {"color": VERMILION, "width": 2, "dash": "6px,3px"}


def figure_of() -> Any:
    """Left the filter and its singular values, right the poles and the errors."""
    figure = panels(
        "The filter, and what S modes make of it",
        "Poles, as large as their residues",
        "Singular values of its Hankel matrix",
        "What is left over, by S",
        rows=2, cols=2, column_widths=[0.6, 0.4], vertical_spacing=0.2,
        horizontal_spacing=0.12, height=600,
    )  # fmt: skip
    quiet: dict[str, Any] = {"showlegend": False}
    line = {"mode": "lines"}
    time, disc, values, errors = (
        {"row": r, "col": c} for r, c in ((1, 1), (1, 2), (2, 1), (2, 2))
    )
    figure.add_scatter(name="filter", line=AFTER, **line, **time)
    figure.add_scatter(name="S modes", line=FIT, **line, **time)
    figure.add_scatter(
        x=[math.cos(a) for a in CIRCLE], y=[math.sin(a) for a in CIRCLE],
        line={"color": MUTED, "width": 1.5}, hoverinfo="skip", **line, **quiet, **disc,
    )  # fmt: skip
    figure.add_scatter(
        name="pole", mode="markers", cliponaxis=False,
        marker={"color": ORANGE, "line": {"color": INK, "width": 1.5}}, **quiet, **disc,
    )  # fmt: skip
    figure.add_scatter(
        name="kept", mode="markers", marker={"color": BLUE, "size": 7}, **values
    )
    figure.add_scatter(
        name="left out", mode="markers",
        marker={"color": INK, "size": 7, "symbol": "circle-open"}, **values,
    )  # fmt: skip
    figure.add_scatter(
        name="error of the filter", mode="lines+markers", line=FIT,
        marker={"size": 8, "symbol": "diamond"}, **errors,
    )  # fmt: skip
    figure.add_scatter(
        name="error of the logits, where asked", mode="markers",
        marker={"size": 10, "symbol": "square", "color": BLUE}, **errors,
    )  # fmt: skip
    figure.add_scatter(
        name="chosen S", mode="markers",
        marker={"symbol": "circle-open", "size": 14, "color": INK, "line_width": 2.5},
        **errors,
    )  # fmt: skip
    figure.update_xaxes(title_text="lag (tokens back)", rangemode="tozero", **time)
    figure.update_yaxes(title_text="weight h<sub>lag</sub>", **time)
    figure.update_xaxes(title_text="real part", constrain="domain", **disc)
    figure.update_yaxes(
        title_text="imaginary part", scaleanchor="x2", constrain="domain", **disc
    )
    shares = [10.0**-k for k in range(0, 8, 2)]
    figure.update_xaxes(title_text="number", **values)
    figure.update_yaxes(
        title_text="share of the largest", type="log", range=[-7.3, 0.4],
        tickvals=shares, ticktext=[f"{100 * x:g} %" for x in shares], **values,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="modes S", type="log", tickvals=[1, 2, 4, 8, 16, 32, 64],
        range=[-0.15, 1.95], **errors,
    )  # fmt: skip
    figure.update_yaxes(
        type="log", range=[-7.3, 0.4], tickvals=shares,
        ticktext=[f"{100 * x:g} %" for x in shares], **errors,
    )  # fmt: skip
    return figure


def draw(figure: Any, facts: dict[str, Any], h: Tensor, made: Tensor) -> None:
    """The facts of an OrderSlider; h and made: (L,), the filter and the modes' sum."""
    time, fit, _, poles, kept, left, errors, logits, chosen = figure.data
    lags, order = list(range(len(h))), facts["order"]
    time.x, time.y = lags, to_numpy(h)
    fit.x, fit.y = lags, to_numpy(made)
    near = max((abs(p - 1) for p in facts["poles"]), default=2.0)
    side = max(0.05, 1.15 * near)  # slow poles crowd at 1: look closer
    close = side < 0.6
    side, middle = (side, 1 - 0.7 * side) if close else (1.15, 0.0)
    figure.layout.xaxis2.range = [middle - side, middle + side]
    figure.layout.yaxis2.range = [-side, side]
    poles.x = [p.real for p in facts["poles"]]
    poles.y = [p.imag for p in facts["poles"]]
    loudest = max(facts["residues"], default=1.0) or 1.0
    poles.marker.size = [6 + 16 * math.sqrt(r / loudest) for r in facts["residues"]]
    shares = [max(v / facts["values"][0], LEAST) for v in facts["values"]]
    numbers = list(range(1, len(shares) + 1))
    kept.x, kept.y = numbers[:order], shares[:order]
    left.x, left.y = numbers[order:], shares[order:]
    errors.x = list(facts["errors"])
    errors.y = [max(e, LEAST) for e in facts["errors"].values()]
    found = facts["model_errors"]
    logits.x, logits.y = list(found), [max(e, LEAST) for e in found.values()]
    chosen.x, chosen.y = [order], [max(facts["error"], LEAST)]
