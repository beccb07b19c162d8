"""Order slider: how few exponentials a long filter can be made of."""

from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from minihyena import distillation
from minihyena.explore.base import Explorer
from minihyena.explore.filter_views import filters_of, names_of, reach_of, taps
from minihyena.explore.order_slider_figure import draw, figure_of
from minihyena.explore.parts import choice, slider, texts
from minihyena.generation import sample_text
from minihyena.tokenizers import Tokenizer

__all__ = ["OrderSlider"]

ORDERS = (1, 2, 4, 8, 16, 32, 64)
SHARE = 0.01  # singular values are counted down to this share of the largest
SILENT = 1e-9  # of the loudest residue: the mirror image of another pole
BLANK = "(nothing but blanks)"
BELOW = (0.001, 0.01, 0.1)


class OrderSlider(Explorer):
    """One filter of a model as a sum of S modes, and the model with all filters so.

    `models`: a model, or several by name, all of one shape; each with `.filters()`. One
    that has `.distill(order)`, as LanguageModel, is also run where `tokenizer` and
    `text` are given: its logits for the text, and what it writes after `prompt` (None:
    how the text begins) by the likeliest tokens. That takes a second for each order,
    once. A single filter, as for FilterStudio, will do instead of a model.
    """

    title = "Order slider"
    notice = (
        "A filter made of S exponentials needs a memory of S numbers. How small can S "
        "be until the filter, the model, its text change?"
    )
    narrowest = 640

    def __init__(
        self,
        models: Any,
        tokenizer: Tokenizer | None = None,
        *,
        text: str = "",
        prompt: str | None = None,
        length: int = 60,
        seed: int = 0,
    ) -> None:
        self.models = models if isinstance(models, dict) else {"this model": models}
        self.tokenizer, self.text, self.prompt = tokenizer, text, prompt or text[:16]
        self.length = length
        self._kept: dict[Any, Any] = {}
        self.filters = {name: filters_of(model) for name, model in self.models.items()}
        first = next(iter(self.filters.values()))
        most = min(reach_of(f) for found in self.filters.values() for f in found)
        self.taps = most
        width = min(
            taps(f, 1).shape[1] for found in self.filters.values() for f in found
        )
        orders = [order for order in ORDERS if order < most // 2]
        pickers = {
            "model": choice("Model", list(self.models)),
            "filter": choice("Filter", list(names_of(first).items())),
            "channel": slider("Channel", range(width), min(width - 1, 5)),
            "order": slider("Modes S", orders, min(8, orders[-1])),
        }
        for name in ("channel", "order"):  # what is passed by need not be computed
            pickers[name].continuous_update = False
        super().__init__(pickers, figure_of(), surprise_seed=seed)

    # ---- what is asked

    def _compute(self) -> None:
        now = self.state()
        name, (layer, order), channel = now["model"], now["filter"], now["channel"]
        source, steps = self.filters[name][layer], now["order"]
        h = taps(source, self.taps)[order, channel, None]
        modes = distillation.fit_modes(h, steps)
        own = name, layer, order, channel
        values = self._once(("values", *own), singular_values, h)
        sizes = modes.residues[0].abs()
        used = sizes > SILENT * sizes.max()
        self.shown = h[0], modes.response(self.taps)[0].to(h.dtype)
        poles, residues = modes.poles[0][used], modes.residues[0][used]
        self._facts = now | {
            "layer": layer + 1,
            "filter_order": order + 1,
            "taps": self.taps,
            "error": error_of(self.shown[1], h[0]),
            "errors": {
                s: self._once((s, *own), lambda s=s: fit_error(h, s))
                for s in self.controls["order"]
            },
            "poles": tuple(complex(p) for p in poles.tolist()),
            "residues": tuple(abs(r) for r in residues.tolist()),
            "values": values,
            "rank": sum(v > SHARE * values[0] for v in values),
            **self._whole(name, steps),
        }
        self._facts["model_errors"] = {
            s: self._kept["model", name, s]["output_error"]
            for s in self.controls["order"]
            if self._kept.get(("model", name, s))
        }

    def _whole(self, name: str, steps: int) -> dict[str, Any]:
        """What becomes of the model with S modes in every filter; {} if it cannot."""
        model = self.models[name]
        if not (hasattr(model, "distill") and self.tokenizer and self.text):
            return {}
        found: dict[str, Any] = self._once(
            ("model", name, steps), self._distilled, name, steps
        )
        return found

    def _distilled(self, name: str, steps: int) -> dict[str, Any]:
        assert self.tokenizer is not None
        model = self.models[name]
        small = model.distill(steps)
        ids = self.tokenizer.encode(self.text)[None, : self.taps]
        exact = self._once(("logits", name), model, ids)
        written = self._once(("text", name), self._write, model)
        other = self._write(small)
        return {
            "output_error": error_of(small(ids), exact),
            "written": written,
            "written_by_modes": other,
            "same_text": same_start(written, other),
        }

    def _write(self, model: Any) -> str:
        assert self.tokenizer is not None
        pieces = sample_text(
            model, self.tokenizer, self.prompt, self.length, temperature=0
        )
        return "".join(pieces)

    def _once(self, key: Any, ask: Any, *args: Any) -> Any:
        if key not in self._kept:
            with torch.no_grad():
                self._kept[key] = ask(*args)
        return self._kept[key]

    # ---- what is said

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        modes = f"{f['order']} mode{'s' * (f['order'] > 1)}"
        said = (
            f"{f['model']}, layer {f['layer']}, order {f['filter_order']}, channel "
            f"{f['channel']}: {f['rank']} of {len(f['values'])} singular values are "
            f"above 1 % of the largest; with {modes} the filter is off by "
            f"{off(f['error'])}"
        )
        if "output_error" in f:
            said += f", the model's logits by {off(f['output_error'])}"
        return said[0].upper() + said[1:] + "."

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        shown = {
            "error of the filter": f["error"],
            "largest pole": f"{max(map(abs, f['poles'])):.6f}",
            "numbers remembered, a channel": f"{2 * f['order']} instead of {f['taps']}",
        }
        if "output_error" in f:
            shown["error of the logits"] = f["output_error"]
            shown["text the same for"] = (
                f"{f['same_text']} of {len(f['written'])} characters"
            )
        return shown

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        h, made = (x.tolist() for x in self.shown)
        header = ["Lag", "filter", "S modes", "singular value", "pole", "residue, size"]
        header += ["modes S", "error of the filter", "error of the logits"]
        columns: list[list[Any]] = [list(range(self.taps)), h, made, list(f["values"])]
        columns += [[f"{p:.4f}" for p in f["poles"]], list(f["residues"])]
        columns += [list(f["errors"]), list(f["errors"].values())]
        columns += [[f["model_errors"].get(s, "not asked yet") for s in f["errors"]]]
        return header, [
            tuple(column[i] if i < len(column) else "" for column in columns)
            for i in range(self.taps)
        ]

    def picture(self, width: int = 780) -> bytes:
        return super().picture(width)

    def _refresh_text(self) -> None:
        super()._refresh_text()
        f = self.facts()
        if "written" in f:
            named = {
                f"After {self.prompt!r}, the likeliest tokens: exact": f["written"],
                f"With {f['order']} modes in every filter": f["written_by_modes"],
            }
            named = {name: x if x.strip() else BLANK for name, x in named.items()}
            self.details.value += texts(named)

    def _draw(self) -> None:
        draw(self.figure, self.facts(), *self.shown)


def singular_values(h: Tensor) -> tuple[float, ...]:
    return tuple(distillation.hankel_singular_values(h)[0].tolist())


def fit_error(h: Tensor, order: int) -> float:
    return error_of(distillation.fit_modes(h, order).response(h.shape[1]), h)


def error_of(made: Tensor, right: Tensor) -> float:
    """The size of the difference, as a share of the right one's."""
    return float((made - right).norm() / right.norm())


def same_start(one: str, other: str) -> int:
    """How many characters they have in common before the first that differs."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def off(error: float) -> str:
    most = next((b for b in BELOW if error < b), None)
    return "more than 10 %" if most is None else f"less than {100 * most:g} %"
