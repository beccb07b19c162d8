"""Filter studio: any long filter of a model, in time and in frequency."""

from typing import Any

from minihyena.explore.base import Explorer
from minihyena.explore.filter_views import (
    filters_of,
    names_of,
    reach_of,
    snapshot,
    taps,
    view,
)
from minihyena.explore.look import AFTER, BEFORE, panels
from minihyena.explore.parts import choice, slider
from minihyena.explore.style import INK

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
        super().__init__(pickers, _figure(bool(self.before)), surprise_seed=seed)

    def _compute(self) -> None:
        (layer, order), channel, length = (
            self.pickers[name].value for name in ("filter", "channel", "length")
        )
        source = self.filters[layer]
        now = taps(source, length)[order, channel]
        self.now, self.then = view(now), None
        owned = getattr(source, "parameters", lambda: ())()
        self._facts = {
            "layer": layer + 1,
            "order": order + 1,
            "channel": channel,
            "length": length,
            "parameters": sum(p.numel() for p in owned if p.requires_grad),
            "reach": self.now.reach,
            "peak": self.now.peak,
            "centroid": self.now.centroid,
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
            return (
                f"{where} over {f['length']} lags, before and after: "
                f"it changed by more than 1 % of its size: {f['change'] > 0.01}."
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
        header = ["Lag", "h", "cycles per token", "gain"]
        columns: list[Any] = [range(len(self.now.h)), self.now.h.tolist()]
        columns += [self.now.frequency.tolist(), self.now.gain.tolist()]
        if self.then is not None:
            header += ["h before", "gain before"]
            columns += [self.then.h.tolist(), self.then.gain.tolist()]
        return header, list(zip(*columns, strict=False))

    def _draw(self) -> None:
        *old, time, spectrum, edge, peak = self.figure.data
        now, then = self.now, self.then
        lags = list(range(len(now.h)))
        time.update(x=lags, y=now.h)
        spectrum.update(x=now.frequency, y=now.gain)
        if then is not None:
            old[0].update(x=lags, y=then.h)
            old[1].update(x=then.frequency, y=then.gain)
        ends = [view.h for view in (now, then) if view is not None]
        edge.update(
            x=[now.reach] * 2,
            y=[min(h.min() for h in ends), max(h.max() for h in ends)],
        )
        peak.update(x=[now.peak], y=[now.gain.max()])


def _figure(compare: bool) -> Any:
    figure = panels("In time", "In frequency", height=400)
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


def _short(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
