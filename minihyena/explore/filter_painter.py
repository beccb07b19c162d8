"""Filter painter: six taps to move, and what they do to a signal."""

from typing import Any

import torch
from torch import Tensor

from minihyena.explore.base import Explorer
from minihyena.explore.convs import Conv, ask, by_definition, short_number
from minihyena.explore.painter_figure import LENGTH, MARKS, TAPS, draw, figure_of
from minihyena.explore.parts import choice, listed, row, slider, spans

__all__ = ["FilterPainter"]

QUARTERS = [(short_number(n / 4), n / 4) for n in range(-4, 5)]
RECIPES: dict[str, list[float]] = {
    "Echo": [1, 0, 0, 0.5, 0, 0.25],
    "Average of four": [0.25, 0.25, 0.25, 0.25, 0, 0],
    "Difference": [1, -1, 0, 0, 0, 0],
}
NOISE = 1e-4


class FilterPainter(Explorer):
    """Paint a filter tap by tap, and send something through it.

    `conv`: yours, conv(u, h): (L,), (K,) -> (L,). None: the definition, which is also
    what the rings in the picture show.

    Raises ValueError for another shape, TypeError for what is no real tensor.
    """

    title = "Filter painter"
    by_lot = True
    narrowest = 460
    notice = (
        "Move the taps. What does a single 1 (the impulse) give back? Then send in "
        "marks, a step, noise."
    )

    def __init__(self, conv: Conv | None = None, *, seed: int = 3) -> None:
        self.conv: Conv = by_definition if conv is None else conv
        self.inputs = signals(seed)
        pickers: dict[str, Any] = {"input": choice("Input", list(self.inputs))}
        for k, value in enumerate(RECIPES["Echo"]):
            pickers[f"tap {k}"] = slider(f"Tap {k}", QUARTERS, float(value))
            pickers[f"tap {k}"].layout.width = "min(100%, 300px)"
        super().__init__(pickers, figure_of(), surprise_seed=seed)

    def _controls(self) -> list[Any]:
        buttons = self._button_row()
        first, *taps = self.pickers.values()
        recipes = [
            self._button(name, "paint-brush", f"Taps {taps}", self._painter(taps))
            for name, taps in RECIPES.items()
        ]
        return [row([first, *recipes], "mh-buttons"), row(taps), buttons]

    def _painter(self, taps: list[float]) -> Any:
        return lambda: self._apply({f"tap {k}": float(x) for k, x in enumerate(taps)})

    def _compute(self) -> None:
        now = self.state()
        u = self.inputs[now["input"]]
        h = torch.tensor([now[f"tap {k}"] for k in range(TAPS)])
        y, right = ask(self.conv, u, h), by_definition(u, h)
        copies: dict[int, tuple[float, ...]] = {}
        if now["input"] in ("impulse", "marks"):
            places = u.nonzero()[:, 0].tolist()
            alone = [u * (torch.arange(LENGTH) == s) for s in places]
            copies = {
                s: _values(ask(self.conv, one, h))
                for s, one in zip(places, alone, strict=True)
            }
        self._facts = {
            "input": now["input"],
            "yours": self.conv is not by_definition,
            "taps": _values(h),
            "inputs": _values(u),
            "outputs": _values(y),
            "definition": _values(right),
            "copies": copies,
            "wrong": tuple((~((y - right).abs() <= NOISE)).nonzero()[:, 0].tolist()),
            "sum_of_taps": float(h.sum()),
            "input_moves_by": float(u.diff().abs().mean()),
            "output_moves_by": float(y.diff().abs().mean()),
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        taps = ", ".join(map(short_number, f["taps"]))
        start = f"Through the taps {taps}, "
        if f["wrong"]:
            s = "s" * (len(f["wrong"]) > 1)
            differ = "differs" if not s else "differ"
            said = f"the {f['input']} give{'s' * (f['input'] != 'marks')} "
            said += f"something else than the definition: output{s} "
            return f"{start}{said}{spans(f['wrong'])} {differ}."
        if f["input"] == "impulse":
            return f"{start}an impulse gives back the filter itself, and then zeros."
        if f["input"] == "step":
            total = short_number(f["sum_of_taps"])
            y = f["outputs"]
            late = [t for t in range(LENGTH) if abs(y[t] - y[-1]) > NOISE]
            settled = max(late, default=-1) + 1
            return (
                f"{start}a step of ones settles at {total}, the sum of the taps, from "
                f"output {settled} on."
            )
        if f["input"] == "noise":
            rougher = f["output_moves_by"] - f["input_moves_by"]
            word = "smoother" if rougher < 0 else "rougher"
            word = "as rough as before" if abs(rougher) < 0.005 else word
            return (
                f"{start}noise comes out {word}: from step to step it moves by "
                f"{f['output_moves_by']:.2f} on average, the input by "
                f"{f['input_moves_by']:.2f}."
            )
        heights = [short_number(f["inputs"][s]) for s in f["copies"]]
        steps = listed([str(s) for s in f["copies"]])
        shared = [
            t
            for t in range(LENGTH)
            if sum(abs(c[t]) > NOISE for c in f["copies"].values()) > 1
        ]
        meet = f"they add up at output{'s' * (len(shared) > 1)} {spans(shared)}"
        return (
            f"{start}each of the marks at steps {steps} starts a copy of the filter, "
            f"{listed(heights)} times as high; {meet if shared else 'no two meet'}."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        return {
            "Sum of the taps": f["sum_of_taps"],
            "Sum of the sizes of the taps": sum(map(abs, f["taps"])),
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Step", "tap", "input", "output", "by the definition"]
        header += [f"copy from {s}" for s in f["copies"]]
        rows = [
            (
                t,
                f["taps"][t] if t < TAPS else "",
                f["inputs"][t],
                f["outputs"][t],
                f["definition"][t],
                *(copy[t] for copy in f["copies"].values()),
            )
            for t in range(LENGTH)
        ]
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.facts())


def signals(seed: int) -> dict[str, Tensor]:
    """Named inputs, all (LENGTH,)."""
    generator = torch.Generator().manual_seed(seed)
    impulse, marks = torch.zeros(2, LENGTH)
    impulse[0] = 1
    for s, height in MARKS.items():
        marks[s] = height
    noise = torch.randn(LENGTH, generator=generator)
    return {
        "impulse": impulse,
        "marks": marks,
        "step": torch.ones(LENGTH),
        "noise": noise / noise.abs().max(),
    }


def _values(x: Tensor) -> tuple[float, ...]:
    return tuple((x + 0.0).tolist())
