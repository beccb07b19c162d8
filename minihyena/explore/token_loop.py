"""Token loop: what the next output of a long convolution costs, in four ways."""

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import ipywidgets as W
import torch
from torch import Tensor

from minihyena import distillation
from minihyena.conv import causal_conv
from minihyena.explore.base import Explorer
from minihyena.explore.filter_views import filters_of, reach_of, taps
from minihyena.explore.parts import choice, row, slider
from minihyena.explore.token_loop_figure import SHORT, draw, figure_of
from minihyena.explore.token_loop_work import (
    LENGTHS,
    METHODS,
    Program,
    counted,
    named,
    own_program,
    program,
    run,
    untrained,
)
from minihyena.online import tiles

__all__ = ["TokenLoop"]

MODES = (1, 2, 4, 8, 16, 32)
NAMES = {
    "recompute": "all anew (recompute)",
    "cached": "one by one (cached)",
    "tiles": "in tiles (online)",
    "recurrent": "from modes (recurrent)",
}
BELOW = (0.001, 0.01, 0.1)


class TokenLoop(Explorer):
    """One channel of a long filter, stepped in four ways, their work counted.

    `trained`: a model with `.filters()` or one filter, as for FilterStudio; its channel
    joins the two untrained ones. `yours`: objects to run beside them, by name or one
    alone: with `step(x_t)` and `reset()`, or something that makes one with `step` from
    h (1, K), such as a class. x_t is (1,); `state_size()` is asked if it is there.
    Whatever has run is kept: make a new explorer after a change.

    Raises ValueError for what gives no single real number and for filters of less than
    16 taps, TypeError for what has no such methods.
    """

    title = "Token loop"
    moves_alone = False
    notice = (
        "A pair is one output that hears one input. Which pairs does a step settle, "
        "and what does that cost? Watch the tiles after 1, 2, 4, 8, … inputs."
    )
    narrowest = 640

    def __init__(
        self,
        trained: Any = None,
        yours: Any = None,
        *,
        channel: int = 0,
        width: int = 8,
        seed: int = 3,
    ) -> None:
        self.seed, self.channel = seed, channel
        self.yours = named(yours)
        self.filters = untrained(width, seed)
        longest = LENGTHS[-1]
        if trained is not None:
            source = filters_of(trained)[0]
            longest = min(longest, reach_of(source, longest))
            self.filters["trained"] = taps(source, longest)[0, channel, None]
        generator = torch.Generator().manual_seed(seed)
        self.u = torch.randn(LENGTHS[-1], generator=generator)
        self._kept: dict[Any, Any] = {}
        lengths = [length for length in LENGTHS if length <= longest]
        if not lengths:
            raise ValueError(f"{longest} taps leave little to see; take 16 or more")
        length = max(n for n in lengths if n <= 64)
        methods = [(NAMES.get(name, name), name) for name in (*METHODS, *self.yours)]
        orders = [s for s in MODES if s < longest // 2]
        pickers = {
            "method": choice("Method", methods, "tiles"),
            "filter": choice("Filter", list(self.filters)),
            "length": slider("Length L", lengths, length),
            "modes": slider("Modes S", orders, min(8, orders[-1])),
            "step": slider("Step t", range(length), length // 2 - 1),
        }
        pickers["length"].continuous_update = False  # a long one takes a moment
        self.play = W.Play(value=length // 2 - 1, max=length - 1, interval=700)
        linked = W.jslink((self.play, "value"), (pickers["step"], "index"))
        self._beside = self.play, linked
        super().__init__(pickers, figure_of([*self.yours]), surprise_seed=seed)

    def _controls(self) -> list[Any]:
        settings = row(p for name, p in self.pickers.items() if name != "step")
        steps = row([self.play, self.pickers["step"]])
        return [settings, steps, self._button_row()]

    # ---- what is run

    def _compute(self) -> None:
        now = self.state()
        length, name, order = now["length"], now["filter"], now["modes"]
        self._offer_steps(length)
        t = self.pickers["step"].value
        h = self.filters[name][:, :length]
        modes = self._fitted(name, order)
        programs: dict[str, Callable[[], Program]] = {
            method: partial(program, method, h, modes) for method in METHODS
        }
        programs |= {own: partial(own_program, x, h) for own, x in self.yours.items()}
        exact = self._once(("exact", length, name), self._exact, h)
        work, runs = {}, {}
        for method, make in programs.items():
            key = method, length, order if method == "recurrent" else 0
            runs[method] = self._once((*key, name), run, make, self.u[:length])
            work[method] = self._once(key, counted, make, self.u[:length])
        size = float(exact.abs().max())
        self._facts = now | {
            "step": t,
            "yours": tuple(self.yours),
            "work": {m: tuple(counts) for m, counts in work.items()},
            "total": {m: sum(counts) for m, counts in work.items()},
            "kept": {m: one.sizes[t] for m, one in runs.items()},
            "error": {
                m: float((one.outputs - exact).abs().max()) / size
                for m, one in runs.items()
            },
            "tile": next((x for x in tiles(length, 1) if x[0] == t + 1), None),
            "fit": {s: self._fit_error(name, s) for s in self.controls["modes"]},
        }
        self._microseconds = 1e6 * median(runs[now["method"]].seconds)

    def _offer_steps(self, length: int) -> None:
        """As many steps as there are; the one chosen stays if it is still there."""
        steps = self.pickers["step"]
        if len(steps.options) == length:
            return
        quiet, self._quiet = self._quiet, True
        value = min(steps.value, length - 1)
        steps.options = range(length)
        steps.value = value
        self.play.max = length - 1
        self._quiet = quiet

    def _once(self, key: Any, ask: Callable[..., Any], *args: Any) -> Any:
        if key not in self._kept:
            with torch.no_grad():
                self._kept[key] = ask(*args)
        return self._kept[key]

    def _exact(self, h: Tensor) -> Tensor:
        u = self.u[None, None, : h.shape[1]].double()
        return causal_conv(u, h.double(), method="direct")[0, 0]

    def _fitted(self, name: str, order: int) -> Any:
        """Modes of the whole filter, which the steps shown may use a part of."""
        h = self.filters[name]
        return self._once(("modes", name, order), distillation.fit_modes, h, order)

    def _fit_error(self, name: str, order: int) -> float:
        h, modes = self.filters[name], self._fitted(name, order)
        made = self._once(("made", name, order), modes.response, h.shape[1])
        return float((made - h).norm() / h.norm())

    # ---- what is said

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        t, length, method = f["step"], f["length"], f["method"]
        start = f"Step {t} of 0 to {length - 1}, {NAMES.get(method, method)}:"
        count = f["work"][method][t]
        start += f" {count:,} multiplication{'s' * (count != 1)}"
        pairs = (t + 1) * (t + 2) // 2
        if method == "recompute":
            start += f", for all {pairs:,} pairs so far"
        elif method == "cached":
            start += f", for the {t + 1} pairs of output {t}"
        elif method == "tiles" and f["tile"]:
            n, w, m = f["tile"]
            many = w > 1
            start += f"; input{'s' * many} {_span(n - w, n)} send{'s' * (not many)} to "
            start += f"output{'s' * (m > 1)} {_span(n, n + m)}"
        elif method == "recurrent":
            start += f", from {f['kept'][method]} numbers that hold the past"
        elif method in f["yours"]:
            right = f["error"][method] < 1e-4
            start += f"; it {'equals' if right else 'differs from'} the convolution"
        totals = (f"{f['total'][m]:,} {w}" for m, w in SHORT.items())
        error = f["error"]["recurrent"]
        most = next((b for b in BELOW if error < b), None)
        off = "more than 10 %" if most is None else f"less than {100 * most:g} %"
        return (
            f"{start}. All {length} steps: {', '.join(totals)}. With S = {f['modes']} "
            f"the {f['filter'].replace(',', ' and')} filter's outputs are off by {off}."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        method = f["method"]
        kept = f["kept"][method]
        return {
            f"multiplications, step {f['step']}": f["work"][method][f["step"]],
            "in the mean": round(f["total"][method] / f["length"], 1),
            "numbers kept": "it does not say" if kept is None else kept,
            "largest error, of the largest output": f["error"][method],
            "µs a step here": round(self._microseconds, 1),
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Step", *(NAMES.get(m, m) for m in f["work"])]
        header += ["tile: inputs", "outputs"]
        given = {n: (w, m) for n, w, m in tiles(f["length"], 1)}
        rows: list[tuple[Any, ...]] = []
        for t in range(f["length"]):
            ends: tuple[str, str] = ("", "")
            if t + 1 in given:
                w, m = given[t + 1]
                ends = _span(t + 1 - w, t + 1), _span(t + 1, t + 1 + m)
            rows.append((t, *(counts[t] for counts in f["work"].values()), *ends))
        blank = [""] * (len(header) - 2)
        rows.append(("all", *f["total"].values(), "", ""))
        rows.append(("largest error", *f["error"].values(), "", ""))
        rows += [(f"error of {s} modes", e, *blank) for s, e in f["fit"].items()]
        return header, rows

    def picture(self, width: int = 780) -> bytes:
        return super().picture(width)

    def _draw(self) -> None:
        draw(self.figure, self.facts())


def _span(first: int, end: int) -> str:
    return str(first) if end - first == 1 else f"{first} to {end - 1}"
