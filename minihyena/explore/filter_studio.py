"""Filter studio: any long filter of a model, in time and in frequency."""

from typing import Any

from minihyena.explore.base import Explorer
from minihyena.explore.filter_figure import draw, figure_of, numbers_of
from minihyena.explore.filter_views import (
    filters_of,
    names_of,
    parameters_of,
    reach_of,
    snapshot,
    taps,
    view,
)
from minihyena.explore.parts import choice, slider

__all__ = ["FilterStudio"]


class FilterStudio(Explorer):
    """See any filter of a model, and what training made of it.

    `source`: a model with `.filters()`, or one filter or a list of them, each
    `f(length) -> (D, L)` or `(orders, D, L)`, or a tensor of taps of that shape.
    `before`: the same kind of thing, or `snapshot(model)`, drawn dashed beneath; it is
    evaluated once, now. `redraw()` asks the model again, after more training.
    """

    title = "Filter studio"
    notice = (
        "A filter weighs the past: lag 0 is now. How far back does it look, "
        "and which rhythms does it let through?"
    )
    narrowest = 600

    def __init__(
        self, source: Any, before: Any = None, *, length: int = 256, seed: int = 0
    ) -> None:
        self.filters = filters_of(source)
        if not self.filters:
            raise ValueError(
                "this model has no long filters (attention has none); "
                "give the studio a Hyena model or a filter"
            )
        most = min(reach_of(f, length) for f in self.filters)
        self.before = [] if before is None else snapshot(before, most)
        shapes = [tuple(taps(f, 1).shape[:2]) for f in self.filters]
        old = [tuple(h.shape[:2]) for h in self.before]
        if self.before and old != shapes:
            raise ValueError(
                f"before has filters of (orders, D) {old}, the source {shapes}; "
                "take the snapshot from the same model"
            )
        lengths = [2**k for k in range(4, 20) if 2**k < most]
        pickers = {
            "filter": choice("Filter", list(names_of(self.filters).items())),
            "channel": slider("Channel", range(min(width for _, width in shapes))),
            "length": slider("Length", [*lengths, most], most),
        }
        figure = figure_of(compare=bool(self.before))
        super().__init__(pickers, figure, surprise_seed=seed)

    def _compute(self) -> None:
        (layer, order), channel, length = (
            self.pickers[name].value for name in ("filter", "channel", "length")
        )
        source = self.filters[layer]
        now = taps(source, length)[order, channel]
        self.now, self.then = view(now), None
        self._facts = {
            "layer": layer + 1,
            "order": order + 1,
            "channel": channel,
            "length": length,
            "parameters": parameters_of(source),
            "reach": self.now.reach,
            "peak": self.now.peak,
            "centroid": self.now.centroid,
            "band": self.now.band,
        }
        if self.before:
            then = self.before[layer][order, channel, :length]
            self.then = view(then)
            size = float(then.norm().clamp_min(1e-12))
            self._facts |= {
                "change": float((now - then).norm()) / size,
                "reach_before": self.then.reach,
                "peak_before": self.then.peak,
                "centroid_before": self.then.centroid,
            }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        """Exact for an untouched filter; after training only what is surely true."""
        f = self.facts()
        where = f"Layer {f['layer']}, order {f['order']}, channel {f['channel']}"
        if "change" in f:
            more = "more than" if f["change"] > 0.01 else "at most"
            return (
                f"{where} over {f['length']} lags, before and after: "
                f"it changed by {more} 1 % of its size."
            )
        return (
            f"{where} over {f['length']} lags: 90 % of its weight lies on lags 0 to "
            f"{f['reach']}, its gain is largest at {f['peak']:.3f} cycles per token."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        shown = (
            {"parameters, at any length": f["parameters"]} if f["parameters"] else {}
        )
        for name, label in (
            ("reach", "90 % of |h| by lag"),
            ("peak", "peak, cycles per token"),
            ("centroid", "mean frequency"),
        ):
            now = _short(f[name])
            then = f.get(f"{name}_before")
            shown[label] = now if then is None else f"{_short(then)} → {now}"
        if "change" in f:
            shown["changed by"] = f"{f['change']:.1%}"
        return shown

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        return numbers_of(self.now, self.then)

    def _draw(self) -> None:
        draw(self.figure.data, self.now, self.then)


def _short(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
