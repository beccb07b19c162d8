"""Toeplitz explorer: the filter, and the matrix that a convolution with it is."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.explore.base import Explorer
from minihyena.explore.convs import Conv, ask, by_definition, short_number
from minihyena.explore.look import panels
from minihyena.explore.parts import choice, slider
from minihyena.explore.signed_square import HATCHED, add_square, draw_square
from minihyena.explore.style import BLUE, INK

__all__ = ["ToeplitzExplorer"]

LENGTHS = (6, 8, 12, 16)
READS = (
    ("the past only: causal", "causal"),
    ("past and future: two-sided", "two-sided"),
    ("round a ring: circulant", "circulant"),
)
ROUNDING = 1e-6  # of the largest entry
GREY = "#C9D1D8"


def filters(length: int) -> dict[str, Tensor]:
    """Named filters (L,)."""
    lags = torch.arange(length)
    return {
        "fading echo": 0.75**lags,
        "one tap, two steps late": (lags == 2).float(),
        "there and back": (lags == 0).float() - (lags == 1).float(),
        "three taps": torch.tensor([0.5, 0.3, 0.2, *(0.0,) * (length - 3)]),
        "ripples": 0.85**lags * torch.cos(1.3 * lags),
    }


class ToeplitzExplorer(Explorer):
    """The L x L matrix of a convolution, asked for by impulses, beside its filter.

    `conv`: yours, u (L,), h (L,) -> (L,), causal. None: the library's. Column j is what
    it answers to an impulse at step j. "Two-sided" asks it once forwards and once
    backwards, with half of each tap; "circulant" asks it for 2L steps and adds what
    comes after step L - 1 to the start. Raises ValueError for another shape.
    """

    title = "Toeplitz explorer"
    notice = (
        "One tap is one diagonal. What stands above the main one, and what in the top "
        "right corner, when the filter may read the future, or round a ring?"
    )
    narrowest = 620

    def __init__(self, conv: Conv | None = None, *, seed: int = 2) -> None:
        self.conv = by_definition if conv is None else conv
        names = list(filters(LENGTHS[0]))
        lags = [(f"lag {lag}", lag) for lag in range(-5, 6)]
        pickers = {
            "reads": choice("It reads", READS),
            "filter": choice("Filter", names),
            "lag": slider("Diagonal", lags, 2),
            "length": slider("Length L", LENGTHS, 8),
        }
        super().__init__(pickers, _figure(), surprise_seed=seed)

    def _compute(self) -> None:
        now = self.state()
        length, reads = now["length"], now["reads"]
        h = filters(length)[now["filter"]]
        columns = [self._column(e, h, reads) for e in torch.eye(length)]
        matrix = torch.stack(columns, dim=1)
        lags = range(1 - length, length)
        diagonals = {lag: matrix.diagonal(-lag) for lag in lags}
        finite = matrix.isfinite()
        noise = ROUNDING * float(matrix.nan_to_num(0, 0, 0).abs().max())
        uneven = tuple(lag for lag, d in diagonals.items() if _spread(d) > noise)
        above = matrix.triu(1)
        self._facts = now | {
            "matrix": tuple(tuple(row) for row in matrix.tolist()),
            "taps": tuple(h.tolist()),
            "diagonals": {
                lag: float(d[0])
                for lag, d in diagonals.items()
                if lag not in uneven and d.isfinite().all()
            },
            "uneven": uneven,
            "filled": sum(not d.abs().max() <= noise for d in diagonals.values()),
            "above": int((~(above.abs() <= noise)).sum()),
            "no_numbers": int((~finite).sum()),
            "exact": not bool(above.any()),
            "corner": float(matrix[0, -1]),
            "noise": noise,
        }

    def _column(self, e: Tensor, h: Tensor, reads: str) -> Tensor:
        """The answer (L,) to the impulse e (L,)."""
        if reads == "causal":
            return ask(self.conv, e, h)
        if reads == "two-sided":
            ahead = ask(self.conv, e.flip(0), h / 2).flip(0)
            return ask(self.conv, e, h) + ahead - h[0] / 2 * e
        room = (0, len(e))
        whole = ask(self.conv, pad(e, room), pad(h, room))
        return whole[: len(e)] + whole[len(e) :]

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        length, lag = f["length"], f["lag"]
        entries = length * (length - 1) // 2
        verb = "is" if f["filled"] == 1 else "are"
        said = [f"{f['filled']} of {2 * length - 1} diagonals {verb} filled"]
        if f["uneven"]:
            said.append(f"{len(f['uneven'])} of them with more than one number")
        if f["no_numbers"]:
            verb = "entry is" if f["no_numbers"] == 1 else "entries are"
            said.append(f"{f['no_numbers']} {verb} NaN or infinite")
        if not f["above"]:
            how = "exactly 0" if f["exact"] else "0 up to rounding"
            said.append(f"all {entries} entries above the main one are {how}")
        else:
            said.append(f"{f['above']} of {entries} entries above the main one are not")
            said[-1] += " 0"
            filled = not abs(f["corner"]) <= f["noise"]
            corner = f"holds {f['corner']:.2f}" if filled else "is empty"
            said.append(f"the top right corner {corner}")
        if lag in f["diagonals"]:
            times = "once" if length - abs(lag) == 1 else f"{length - abs(lag)} times"
            value = f["diagonals"][lag]
            number = short_number(value) if abs(value) < 0.005 else f"{value:.2f}"
            number = number if abs(value) > f["noise"] else "0"
            said.append(f"at lag {lag} stands {number}, {times}")
        elif lag in f["uneven"]:
            said.append(f"at lag {lag} the numbers differ")
        else:
            said.append(f"at lag {lag} stands NaN or infinity")
        return f"“{f['filter']}”, {f['reads']}, {length} steps: {'; '.join(said)}."

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        free = {round(x, 6) for x in f["diagonals"].values()} - {0.0}
        return {"Different numbers, 0 not counted": len(free)}

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Output", *(f"input {s}" for s in range(f["length"]))]
        return header, [(t, *row) for t, row in enumerate(f["matrix"])]

    def _draw(self) -> None:
        f = self.facts()
        bars, hatched = self.figure.data[:2]
        lags = range(1 - f["length"], f["length"])
        others = [lag for lag in lags if lag != f["lag"]]
        bars.x, hatched.x = others, [f["lag"]]
        bars.y = [f["diagonals"].get(lag, 0.0) for lag in others]
        hatched.y = [f["diagonals"].get(f["lag"], 0.0)]
        bars.marker.color = [BLUE if lag >= 0 else GREY for lag in others]
        self.figure.layout.xaxis.range = [lags[0] - 0.6, lags[-1] + 0.6]
        steps = range(f["length"])
        framed = [(t, t - f["lag"]) for t in steps if 0 <= t - f["lag"] < f["length"]]
        draw_square(self.figure, f["matrix"], f["noise"], framed)


def _spread(diagonal: Tensor) -> float:
    """From its smallest number to its largest, NaN and infinity left out."""
    numbers = diagonal[diagonal.isfinite()]
    return float(numbers.max() - numbers.min()) if len(numbers) else 0.0


def _figure() -> Any:
    figure = panels(
        "The filter: one number a lag", "The matrix it makes", height=440,
        column_widths=[0.46, 0.54], horizontal_spacing=0.12,
    )  # fmt: skip
    for name, marker in (("taps", {}), ("the framed diagonal", HATCHED)):
        figure.add_bar(
            name=name, showlegend=False, width=0.7, marker=marker, row=1, col=1,
            hovertemplate="lag %{x}: %{y:.3g}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        title_text="lag t − s (left of 0: the future)", zeroline=False, row=1, col=1
    )
    figure.add_vline(x=0, line={"color": INK, "dash": "dot", "width": 1}, row=1, col=1)
    add_square(figure, 8, row=1, col=2)
    figure.update_layout(margin_b=60, barmode="overlay")
    return figure
