"""Slide and multiply: a convolution done by hand, one output at a time."""

from typing import Any

import torch
from torch import Tensor

from minihyena.explore.base import Explorer
from minihyena.explore.convs import Conv, ask, by_definition, short_number
from minihyena.explore.parts import choice, slider, spans
from minihyena.explore.slide_figure import draw, figure_of

__all__ = ["SlideAndMultiply"]

NOISE = 1e-4  # inputs and taps are small whole numbers and halves
INPUTS: dict[str, list[float]] = {
    "notes": [1, 0, 2, 1, 0, 3, 1, 2],
    "a single 1": [0, 0, 1, 0, 0, 0, 0, 0],
    "all ones": [1, 1, 1, 1, 1, 1, 1, 1],
    "up and down": [1, -1, 2, -2, 1, -1, 2, -2],
}
FILTERS: dict[str, list[float]] = {
    "fading: 3, 2, 1": [3, 2, 1],
    "late echo: 2, 0, 0, 1": [2, 0, 0, 1],
    "average of two: ½, ½": [0.5, 0.5],
    "difference: 1, −1": [1, -1],
    "sum of four: 1, 1, 1, 1": [1, 1, 1, 1],
    "one tap: 2": [2],
}


class SlideAndMultiply(Explorer):
    """Input, flipped filter, products and the outputs so far, step by step.

    `conv`: yours, conv(u, h): (L,), (K,) -> (L,). None: the definition. Everything is
    asked of it: the weight of input s in output t is what a 1 at step s alone leaves at
    step t, the product what u[s] alone leaves there. "Not flipped" hands it the taps in
    reverse. What it gives otherwise than the definition is marked.

    Raises ValueError for another shape, TypeError for what is no real tensor.
    """

    title = "Slide and multiply"
    narrowest = 420
    notice = (
        "The filter lies backwards: tap 0 over the newest input, the rest over the "
        "past. Multiply, add up, take a step. What is under the taps at step 0?"
    )

    def __init__(self, conv: Conv | None = None, *, surprise_seed: int = 0) -> None:
        self.conv: Conv = by_definition if conv is None else conv
        length = len(INPUTS["notes"])
        pickers = {
            "position": slider("Output t", range(length), 3),
            "filter": choice("Filter", list(FILTERS)),
            "input": choice("Input", list(INPUTS)),
            "flipped": choice(
                "Lay the filter",
                [("flipped", True), ("as written: do not flip", False)],
            ),
        }
        taps = max(map(len, FILTERS.values()))
        super().__init__(pickers, figure_of(length, taps), surprise_seed=surprise_seed)

    def _controls(self) -> list[Any]:
        pickers, buttons = super()._controls()
        steps = [
            self._button("Back", "step-backward", "One output back", self.back),
            self._button(
                "Forward", "step-forward", "On to the next output", self.forward
            ),
        ]
        buttons.children = (*steps, *buttons.children)
        return [pickers, buttons]

    def back(self) -> None:
        """To the output before; stays at the first."""
        self._step(-1)

    def forward(self) -> None:
        """To the next output; stays at the last."""
        self._step(1)

    def _step(self, by: int) -> None:
        places = self.controls["position"]
        here = self.pickers["position"].value + by
        self.pickers["position"].value = min(max(here, places[0]), places[-1])

    def _compute(self) -> None:
        """The outputs, and what each input alone gives, as loud as it is and as a 1."""
        now = self.state()
        u = torch.tensor(INPUTS[now["input"]], dtype=torch.float32)
        h = torch.tensor(FILTERS[now["filter"]], dtype=torch.float32)
        laid = h if now["flipped"] else h.flip(0)
        ones = torch.eye(len(u))
        y = ask(self.conv, u, laid)
        weights = torch.stack([ask(self.conv, one, laid) for one in ones], 1)
        products = torch.stack([ask(self.conv, u * one, laid) for one in ones], 1)
        right = by_definition(u, laid)
        t = now["position"]
        # The weights of output t as the definition has them, also before step 0.
        meets = {t - k: float(laid[k]) for k in range(len(laid))}
        strange = [
            s
            for s in range(len(u))
            if not abs(float(weights[t, s]) - meets.get(s, 0.0)) <= NOISE
        ]
        self._facts = now | {
            "yours": self.conv is not by_definition,
            "inputs": _values(u),
            "taps": _values(h),
            "weights": _values(weights[t]),
            "products": _values(products[t]),
            "reads": _places(weights[t]),
            "waiting": {s: tap for s, tap in meets.items() if s < 0},
            "strange": tuple(strange),
            "outputs": _values(y),
            "wrong": _places((y - right).nan_to_num(torch.inf)),
            "adds_up": bool(abs(products[t].sum() - y[t]) <= NOISE),
            "response": _values(weights[: len(h), 0]),
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        t, reads = f["position"], f["reads"]
        lies = "flipped" if f["flipped"] else "unflipped"
        terms = [f["products"][s] for s in reads]
        value = short_number(f["outputs"][t])
        if not reads:
            said = f"Output {t} reads no input through the {lies} filter and is {value}"
        else:
            shown = " + ".join(
                f"({x})" if x[0] == "−" else x for x in map(short_number, terms)
            )
            said = f"Output {t} reads input{'s' * (len(reads) > 1)} {spans(reads)} "
            said += f"through the {lies} filter: {shown}"
            said += f" {'=' if f['adds_up'] else 'is not'} {value}" * (
                len(terms) > 1 or not f["adds_up"]
            )
        early = [s for s in reads if s > t]
        if early:
            later = "comes" if len(early) == 1 else "come"
            said += f"; input{'s' * (len(early) > 1)} {spans(early)} {later} later"
        if t in f["wrong"]:
            said += "; the definition says otherwise"
        echo = ", ".join(map(short_number, f["response"]))
        same = _near(f["response"], f["taps"])
        mirrored = _near(f["response"], f["taps"][::-1])
        note = "" if same else ", mirrored" if mirrored else ", which are not the taps"
        return f"{said}; a single 1 comes out as {echo}{note}."

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        t = f["position"]
        header = ["Step", "input", f"weight in output {t}", "product", "output"]
        rows: list[tuple[Any, ...]] = []
        for s in sorted(f["waiting"]):
            rows.append((s, "nothing yet", f["waiting"][s], "", ""))
        for s, x in enumerate(f["inputs"]):
            known = "" if s > t else f["outputs"][s]
            marks = s <= t and s in f["wrong"]
            known = f"{known:.3g} (not by the definition)" if marks else known
            rows.append((s, x, f["weights"][s], f["products"][s], known))
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.facts())


def _values(x: Tensor) -> tuple[float, ...]:
    return tuple((x + 0.0).tolist())  # no −0


def _near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two lists of numbers are the same but for rounding."""
    return all(abs(x - y) <= NOISE for x, y in zip(one, other, strict=True))


def _places(x: Tensor) -> tuple[int, ...]:
    return tuple((~(x.abs() <= NOISE)).nonzero()[:, 0].tolist())
