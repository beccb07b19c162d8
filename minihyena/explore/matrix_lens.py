"""Matrix lens: who reads whom, in any two mixers, side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as W
import numpy as np
import torch
from torch import Tensor

from minihyena.corpora import Tokenizer
from minihyena.explore.base import Explorer
from minihyena.explore.matrix_figure import (
    COLOURS,
    FITTING,
    HEIGHT,
    draw_matrix,
    lens_figure,
)
from minihyena.explore.matrix_text import Reading, TextBox
from minihyena.explore.matrix_views import (
    facts_of,
    inputs_of,
    look,
    mixers_of,
    orders_of,
    said_of,
)
from minihyena.explore.parts import choice, row, slider, table, to_numpy
from minihyena.matrices import shuffled

__all__ = ["MatrixLens"]

SIDES = ("left", "right")
CONTROL = ", shuffled"


class MatrixLens(Explorer):
    """The matrix of any mixer, layer, order and channel, beside another one.

    `models`: one, or several by name. A model with `.blocks[i].mixer` is seen on `text`
    (or several texts to choose from; any other can be typed) through `tokenizer`. A
    mixer, which is any module (B, L, D) -> (B, L, D), is seen on `u`: a tensor
    (1, L, D), or with a text a function of the ids, such as `model.embedding`.
    Each is offered with its weights shuffled, too. A mixer with `matrix(u)` shows that,
    any other its Jacobian, and says so. `redraw()` asks again, after more training.

    Raises ValueError for a text of more than 64 tokens and a u of more than 128 steps.
    """

    title = "Matrix lens"
    by_lot = True
    notice = (
        "Row t is output t, column s an input it reads: orange adds, blue subtracts, "
        "grey is the future. Do rows sum to 1? Change a letter: which rows change?"
    )
    narrowest = 640

    def __init__(
        self,
        models: Any,
        *,
        text: str | Sequence[str] = (),
        tokenizer: Tokenizer | None = None,
        u: Tensor | Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        named = models if isinstance(models, Mapping) else {"yours": models}
        self.models: dict[str, Any] = dict(named)
        texts = (text,) if isinstance(text, str) else tuple(text)
        self.reading, self.seed = Reading(bool(texts), tokenizer, u), seed
        pickers: dict[str, Any] = {}
        if self.reading.typed:
            pickers["text"] = TextBox(texts)
        weighty = [n for n, m in named.items() if [*getattr(m, "parameters", list)()]]
        names = [*named, *(name + CONTROL for name in weighty)]
        for side, name in zip(SIDES, (names[0], names[1 % len(names)]), strict=True):
            say = side.capitalize()
            pickers[side] = choice(say, names, name)
            pickers[f"{side}_layer"] = choice(f"{say} layer", (1,))
            pickers[f"{side}_order"] = choice(f"{say} order", (("all", 0),))
            pickers[f"{side}_channel"] = slider(f"{say} channel", (0,))
            pickers[f"{side}_channel"].layout.width = "min(100%, 300px)"
        pickers["colours"] = choice("Colours", COLOURS)
        last = len(self.reading.tokens(texts[0] if texts else "")[1]) - 1
        for name, place in (("row", last), ("column", max(last - 1, 0))):
            pickers[name] = slider(name.capitalize(), range(last + 1), place)
        super().__init__(pickers, lens_figure(), surprise_seed=seed)
        self.add_class("mh-lens")
        if self.live:
            self.figure.layout.height = None
        for trace in self.figure.data if self.live else ():
            trace.on_click(lambda _, points, __: self._guard(lambda: self._go(points)))

    # ---- controls

    def _controls(self) -> list[W.Widget]:
        half = W.Layout(flex="1 1 320px", width="auto")
        columns = [
            W.VBox(
                [
                    row(self.pickers[n] for n in (side, f"{side}_layer")),
                    row(self.pickers[f"{side}_{n}"] for n in ("channel", "order")),
                ],
                layout=half,
            )
            for side in SIDES
        ]
        sides = row(columns)
        sides.layout.align_items = "flex-start"
        buttons = self._button_row()
        text = [row([self.pickers["text"]])] if "text" in self.pickers else []
        shared = row(self.pickers[name] for name in ("row", "column", "colours"))
        return [W.HTML(FITTING), *text, sides, shared, buttons]

    def set(self, name: str, value: Any) -> None:
        """Move one control, as a hand would; a text may be any the tokenizer knows."""
        if name == "text" and "text" in self.pickers:
            self.pickers["text"].value = value
        else:
            super().set(name, value)

    def _offer(self, name: str, options: Sequence[Any]) -> Any:
        """New options for a picker, which keeps its value if it can; the value."""
        picker = self.pickers[name]
        if picker.options != tuple(options):
            quiet, self._quiet, value = self._quiet, True, picker.value
            picker.options = options
            if value in [v for _, v in picker._options_full]:
                picker.value = value
            self._quiet = quiet
        picker.disabled = len(options) < 2
        picker.layout.display = "none" if picker.disabled else None
        return picker.value

    # ---- what is seen

    def _go(self, points: Any) -> None:
        """The frame to the cell that was clicked, as the two sliders would move it."""
        if points.point_inds:
            r, c = points.point_inds[0]
            self._apply({"row": int(r), "column": int(c)})

    def _compute(self) -> None:
        box = self.pickers.get("text")
        ids, words = self.reading.tokens(box.value if box else "")
        places = [(f"{t} {w}" if box else w, t) for t, w in enumerate(words)]
        r, c = (self._offer(name, places) for name in ("row", "column"))
        sides = {side: self._look(side, ids, r, c) for side in SIDES}
        self._words = words
        self._facts = {"row": r, "column": c, "words": tuple(words)}
        self._facts["colours"] = self.pickers["colours"].value
        self._matrices = {side: matrix for side, (matrix, _) in sides.items()}
        self._facts |= {side: facts for side, (_, facts) in sides.items()}
        if box:
            box.remember()

    def _look(
        self, side: str, ids: Tensor | None, r: int, c: int
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The matrix (L, L) that one side shows, and its facts."""
        name = self.pickers[side].value
        model = self.models[name.removesuffix(CONTROL)]
        if name.endswith(CONTROL):
            generator = torch.Generator().manual_seed(self.seed)
            model = shuffled(model, generator=generator)
        mixers = mixers_of(model)
        layer = self._offer(f"{side}_layer", range(1, len(mixers) + 1))
        mixer = mixers[layer - 1]
        if hasattr(model, "blocks") and ids is not None:
            u = inputs_of(model, ids)[layer - 1]
        elif hasattr(model, "blocks"):
            raise ValueError(
                f"{name!r} has .blocks and reads text: give text=... and tokenizer=..."
            )
        else:
            u = self.reading.input(name, ids)
        most = orders_of(mixer)
        parts = [(f"all {most}", 0), *((f"{k} of {most}", k) for k in range(1, most))]
        seen = look(mixer, u, self._offer(f"{side}_order", parts))
        channel = self._offer(f"{side}_channel", range(seen.channels))
        self.pickers[f"{side}_channel"].description = f"{side.capitalize()} {seen.unit}"
        matrix = seen.matrix(channel)
        where = f"{seen.unit} {channel}"
        if len(mixers) > 1:
            where = f"layer {layer}, {where}"
        facts = {"name": name, "where": where, "kind": seen.kind}
        return to_numpy(matrix), facts | facts_of(matrix, r, c)

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        """Signs and sums, which hold on every machine; numbers stand in the table."""
        f = self.facts()
        said = [
            f"on the {side}, {f[side]['kind']} of {f[side]['name']} "
            f"({f[side]['where']}) {said_of(f[side])}"
            for side in SIDES
        ]
        future = [side for side in SIDES if not f[side]["causal"]]
        said.append(
            f"outputs read the future on the {' and the '.join(future)}"
            if future
            else "no output reads the future"
        )
        if f["colours"] == "off centre":
            said.append("the colours do not show where 0 is")
        return f"{len(f['words'])} tokens: {'; '.join(said)}."

    def _refresh_text(self) -> None:
        super()._refresh_text()
        f = self.facts()
        t, s = f["row"], f["column"]
        cell = f"output {t} “{self._words[t]}” reads input {s} “{self._words[s]}” by"
        if "text" not in self.pickers:
            cell = f"output {t} reads input {s} by"
        lines: dict[str, str] = {
            cell: "cell",
            "which is this share of its row": "cell_share",
            f"row {t} sums to": "row_sum",
            "mean distance read, in tokens": "distance",
            "negative share of the weight": "negative_share",
            f"rank, of {len(self._words)}": "rank",
        }
        rows = [
            (label, *(_short(name, f[side][name]) for side in SIDES))
            for label, name in lines.items()
        ]
        header = ["", *(f"{f[side]['name']}, {f[side]['where']}" for side in SIDES)]
        with self._lock:
            self.details.value = table(
                "The cell in the frame, and the whole", header, rows
            )

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f, words = self.facts(), self._words
        header = ["Row", "token", "Column", "token"]
        header += [f"{f[side]['name']}, {f[side]['where']}" for side in SIDES]
        causal = all(f[side]["causal"] for side in SIDES)
        left, right = (self._matrices[side].tolist() for side in SIDES)
        return header, [
            (t, words[t], s, words[s], left[t][s], right[t][s])
            for t in range(len(words))
            for s in range(t + 1 if causal else len(words))
        ]

    def picture(self, width: int = 900) -> bytes:
        png: bytes = self.figure.to_image("png", width=width, height=HEIGHT, scale=1)
        return png

    def _draw(self) -> None:
        f = self.facts()
        for number, side in enumerate(SIDES):
            draw_matrix(self.figure, number, self._matrices[side], f[side], f)


def _short(name: str, value: float) -> str:
    return f"{value:.0%}" if name.endswith("share") else f"{value:.3g}"
