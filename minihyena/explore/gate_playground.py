"""Gate playground: a gated convolution as a matrix, and the three factors it is."""

from typing import Any

import torch
from torch import Tensor

from minihyena.explore.base import Explorer
from minihyena.explore.gate_figure import NOISE, draw, figure_of
from minihyena.explore.gate_tables import (
    OWN,
    WORDS,
    GatedConv,
    Operator,
    Tables,
    presets,
)
from minihyena.explore.parts import choice, row, slider, spans

__all__ = ["GatePlayground"]

FACTORS = (
    " A token rescales a column through the gate before the filter, a row through the "
    "gate after it. Does S ever move?"
)
SENTENCE = ["the", "hyena", "laughs", "not", "the", "cat", "who", "laughs"]


class GatePlayground(Explorer):
    """What one token does to the matrix of a gated convolution, and to its factors.

    `op`: any operator (B, L, D) -> (B, L, D). A Hyena operator of order 2 shows
    H = D_q S D_k with its factors; another one with `.matrix(u)` shows H(u); any other
    the Jacobian of one channel, and says so. None: `reader(length)`, whose gates are
    two numbers a word. `gated_conv(v, x, h)`: yours, used in place of the library's.
    `width` is D, for an operator that has no `.width`.
    """

    title = "Gate playground"
    by_lot = True
    notice = (
        "Choose a word for each place. Outlined: what another word at the watched "
        "position would move."
    )
    narrowest = 640

    def __init__(
        self,
        op: Operator | None = None,
        *,
        gated_conv: GatedConv | None = None,
        width: int = 1,
        length: int = 8,
        seed: int = 1,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.tables = Tables(op, gated_conv, width, length, generator)
        if self.tables.factored:
            self.notice += FACTORS
        self.length = length
        self._strip = [
            choice(f"Token {t}", list(WORDS), SENTENCE[t % len(SENTENCE)])
            for t in range(length)
        ]
        pickers = {f"token {t}": picker for t, picker in enumerate(self._strip)}
        pickers["watch"] = slider("Watch position", range(length), min(3, length - 1))
        if self.tables.factored:
            names = [*presets(length), OWN]
            says = [("as its token says", True), ("open: 1 everywhere", False)]
            pickers["filter"] = choice("Filter", names, names[-1 if op else 0])
            pickers["pre"] = choice("Gate before", says)
            pickers["post"] = choice("Gate after", says)
        if op is not None and self.tables.channels > 1:
            pickers["channel"] = slider("Channel", range(self.tables.channels), 0)
        figure = figure_of(self.tables.factored, self.tables.kind, length)
        super().__init__(pickers, figure, surprise_seed=seed)

    def _controls(self) -> list[Any]:
        buttons = self._button_row()
        text = [*self._strip, self.pickers["watch"]]
        others = [p for p in self.pickers.values() if p not in text]
        return [row(text), *([row(others)] if others else []), buttons]

    def _compute(self) -> None:
        """The tables as they are, and with every other word at the watched position."""
        now: dict[str, Any] = {"channel": 0, "filter": None, "pre": None, "post": None}
        now |= self.state()
        words = [now.pop(f"token {t}") for t in range(self.length)]
        here = now.pop("watch")
        seen = {
            word: self.tables.ask([*words[:here], word, *words[here + 1 :]], **now)
            for word in WORDS
        }
        self._shown, self._moved, entries = {}, {}, {}
        for name, table in seen[words[here]].items():
            tries = torch.stack([tables[name] for tables in seen.values()])
            sizes = tries.abs().amax(0)
            scale = float(sizes.max())
            moves = (tries - table).abs().amax(0) > NOISE * scale
            self._moved[name] = [(t, s) for t, s in moves.nonzero().tolist()]
            self._shown[name] = table, scale
            entries[name] = int((sizes > NOISE * scale).sum())
        matrix, scale = self._shown["H"]
        along = [matrix.diag(-lag) for lag in range(self.length)]
        self._facts = now | {
            "watch": here,
            "tokens": tuple(words),
            "kind": self.tables.kind,
            "by": "gated_conv" if self.tables.gated_conv else "the library",
            "matrix": _rows(matrix),
            "factors": {n: _rows(x) for n, (x, _) in self._shown.items() if n != "H"},
            "entries": entries["H"],
            "moved": tuple(self._moved["H"]),
            "moved_factors": {n: len(m) for n, m in self._moved.items() if n != "H"},
            "one_weight_a_diagonal": all(
                bool(x.max() - x.min() <= NOISE * scale) for x in along
            ),
            "causal": not bool((matrix.triu(1).abs() > NOISE * scale).any()),
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        here = f["watch"]
        word = f"another word at position {here} (now “{f['tokens'][here]}”)"
        if not f["factors"]:
            name = "matrix H(u)" if f["kind"] == "H(u)" else "Jacobian ∂y/∂u"
            start = f"In the {name} of this operator, channel {f['channel']}, {word}"
        else:
            gates = {
                (True, True): "both gates listening",
                (True, False): "only the gate before it listening",
                (False, True): "only the gate after it listening",
                (False, False): "both gates open",
            }[f["pre"], f["post"]]
            start = f"With the filter “{f['filter']}” and {gates}, {word}"
        if not f["moved"]:
            same = "; each diagonal holds one number" * f["one_weight_a_diagonal"]
            return f"{start} moves none of the {f['entries']} entries{same}."
        rows, columns = ({place[i] for place in f["moved"]} for i in (0, 1))
        if all(here in place for place in f["moved"]):
            across = [f"row {here}"] * (columns != {here})
            down = [f"column {here}"] * (rows != {here})
            lines = [*across, *down] or [f"row {here}", f"column {here}"]
            said = f"{' and '.join(lines)} and nowhere else"
        else:
            said = f"row{'s' if len(rows) > 1 else ''} {spans(sorted(rows))}"
        still = "; S does not move" if f["moved_factors"].get("S") == 0 else ""
        return (
            f"{start} moves {len(f['moved'])} of {f['entries']} entries, in {said}"
            f"{still}."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        if not f["factors"]:
            return {}
        t = f["watch"]
        return {
            f"Gate before, k at {t}": round(f["factors"]["D_k"][t][t], 4),
            f"Gate after, q at {t}": round(f["factors"]["D_q"][t][t], 4),
            "Filter at lag 0, 1, 2": ", ".join(
                f"{line[0]:.2g}" for line in f["factors"]["S"][:3]
            ),
            "Largest weight": max(abs(x) for line in f["matrix"] for x in line),
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        steps = range(self.length)
        header, columns = ["Output", "token"], [steps, f["tokens"]]
        if f["factors"]:
            header += ["gate after, q", "gate before, k", "filter h"]
            columns += [[f["factors"]["D_q"][t][t] for t in steps]]
            columns += [[f["factors"]["D_k"][t][t] for t in steps]]
            columns += [[f["factors"]["S"][t][0] for t in steps]]
        header += [f"reads {s}" for s in steps]
        lines = zip(*columns, f["matrix"], strict=True)
        return header, [(*left, *weights) for *left, weights in lines]

    def _draw(self) -> None:
        draw(self.figure, self._shown, self._moved, self.facts()["tokens"])


def _rows(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))
