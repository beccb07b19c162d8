"""Reverse-complement toy: what an operator says of a strand, and of the other one."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from minihyena.explore.base import Explorer
from minihyena.explore.parts import choice, slider, spans, to_numpy
from minihyena.explore.reverse_complement_figure import draw, figure_of
from minihyena.hyena import HyenaConfig
from minihyena.model import drawing_from

__all__ = ["ReverseComplement"]

Operator = Callable[[Tensor], Any]
Symmetrise = Callable[[Operator], Operator]
LETTERS = "ACGTN"
PARTNERS = (3, 2, 1, 0, 4)  # of the letters, and of channels that stand for them
STRANDS = {
    "two motifs": "TTGACATATAAT",
    "its own other strand": "GAATTCGAATTC",
    "all A": "AAAAAAAAAAAA",
    "one unknown base": "GATTACANGATT",
}
LENGTH = 12
NOISE = 1e-4  # of the largest output; float32 rounding stays far below


class ReverseComplement(Explorer):
    """Does `f` say the same of both strands of twelve bases, each read from its start?

    `operators`: f, or several by name. f takes (1, L, 4), channels A C G T and an N as
    four zeros, or ids (1, L) of A C G T N = 0 .. 4 if `ids` is True, and returns
    (1, L) or (1, L, C). Reading from the other strand turns places round; where C is
    4 or 5, channels stand for A C G T (N) and are paired, other channels stay.
    None: a causal Hyena operator, untrained.
    `symmetrise`: yours, f -> g, in place of the mean over both strands.

    Raises ValueError for an output of another shape, naming both.
    """

    title = "Reverse complement"
    notice = (
        "The other strand says the same molecule from its other end. Read what the "
        "operator says of it back from here: is it what it says of your strand? "
        "Change a base, then symmetrise, with and without turning back."
    )
    narrowest = 640

    def __init__(
        self,
        operators: Operator | Mapping[str, Operator] | None = None,
        *,
        symmetrise: Symmetrise | None = None,
        ids: bool = False,
        seed: int = 3,
    ) -> None:
        if operators is None:
            operators = {"causal Hyena": causal_hyena(seed)}
        if not isinstance(operators, Mapping):
            operators = {"your operator": operators}
        if not operators:
            raise ValueError("there is no operator to ask: the mapping is empty")
        self.operators, self.ids = dict(operators), ids
        self.ways: dict[str, Symmetrise] = {
            "plain": lambda f: f,
            "mean, not turned back": self._half,
            "symmetrised": symmetrise or self._whole,
        }
        pickers = {
            "strand": choice("Strand", list(STRANDS)),
            "position": slider("Position", range(LENGTH), 3),
            "base": choice("Base there", ["as it is", *LETTERS]),
        }
        if len(self.operators) > 1:
            pickers["operator"] = choice("Operator", list(self.operators))
        pickers["way"] = choice("Way", list(self.ways))
        super().__init__(pickers, figure_of(LENGTH), surprise_seed=seed)

    def _compute(self) -> None:
        now = self.state()
        name = now.get("operator", next(iter(self.operators)))
        letters = list(STRANDS[now["strand"]])
        if now["base"] != "as it is":
            letters[now["position"]] = now["base"]
        x = torch.tensor([[LETTERS.index(letter) for letter in letters]])
        other = turned_ids(x)
        if not self.ids:
            x, other = (one_hot(strand, 5)[..., :4].float() for strand in (x, other))
        g = self.ways[now["way"]](self.operators[name])
        here, there = self._ask(g, x), self._ask(g, other)
        back = turned(there)
        apart = (here - back).abs().amax(1)
        largest = float(torch.cat([here, back]).nan_to_num(0, 0, 0).abs().max())
        same = apart <= NOISE * max(largest, 1e-30)
        self._facts = now | {
            "operator": name,
            "letters": "".join(letters),
            "other_letters": "".join(
                LETTERS[PARTNERS[LETTERS.index(b)]] for b in letters[::-1]
            ),
            "here": _rows(here),
            "there": _rows(there),
            "back": _rows(back),
            "apart": tuple(apart.tolist()),
            "largest": largest,
            "differ": tuple(int(t) for t in (~same).nonzero()),
            "worst": float(apart.max()) / max(largest, 1e-30),
            "paired_channels": here.shape[1] in (4, 5),
        }

    def _ask(self, g: Operator, x: Tensor) -> Tensor:
        """g(x) as (L, C) in float32."""
        with torch.no_grad():
            y = g(x)
        shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        if not isinstance(y, Tensor) or y.shape[:2] != (1, LENGTH) or y.dim() > 3:
            raise ValueError(
                f"your operator turned {tuple(x.shape)} into {shape}; it must give "
                f"(1, {LENGTH}) or (1, {LENGTH}, C)"
            )
        return torch.from_numpy(to_numpy(y[0].reshape(LENGTH, -1)))

    def _half(self, f: Operator) -> Operator:
        """The instructive mistake: the second answer is added as it comes."""
        return lambda x: (f(x) + f(self._turned_input(x))) / 2

    def _whole(self, f: Operator) -> Operator:
        def g(x: Tensor) -> Tensor:
            here, there = f(x), f(self._turned_input(x))
            back = turned(there[0].reshape(LENGTH, -1)).reshape(there.shape)
            mean: Tensor = (here + back) / 2
            return mean

        return g

    def _turned_input(self, x: Tensor) -> Tensor:
        return turned_ids(x) if self.ids else x.flip(1, 2)

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        ways = {
            "plain": "as it is",
            "mean, not turned back": "averaged over both strands without turning back",
            "symmetrised": "symmetrised",
        }
        said = f"{f['operator']}, {ways[f['way']]}, on {f['letters']}: what it says of "
        said += f"the other strand, {f['other_letters']}, read back from here, "
        if not f["differ"]:
            return f"{said}is the same at all {LENGTH} places."
        where = f"at place{'s' * (len(f['differ']) > 1)} {spans(f['differ'])}"
        far = f"by up to {f['worst']:.0%} of the largest output"
        far = far if math.isfinite(f["worst"]) else "where some are NaN or infinite"
        return f"{said}differs {where}, {far}."

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        return {
            "Places that differ": f"{len(f['differ'])} of {LENGTH}",
            "Largest difference": f["worst"] * f["largest"],
            "Largest output": f["largest"],
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        names = channel_names(len(f["here"][0]))
        header = ["Place", "base", "partner"]
        header += [f"f(x) {name}" for name in names]
        header += [f"other strand, read back, {name}" for name in names]
        header += ["apart by", "same"]
        rows = []
        for t, base in enumerate(f["letters"]):
            partner = LETTERS[PARTNERS[LETTERS.index(base)]]
            same = "no" if t in f["differ"] else "yes"
            numbers = (*f["here"][t], *f["back"][t], f["apart"][t])
            rows.append((t, base, partner, *numbers, same))
        return header, rows

    def _draw(self) -> None:
        facts = self.facts()
        draw(self.figure, facts, channel_names(len(facts["here"][0])))


def causal_hyena(seed: int) -> Operator:
    """An untrained operator without biases, so that it speaks of bases only."""
    with drawing_from(torch.Generator().manual_seed(seed)):
        operator = HyenaConfig().build(4, LENGTH)
    for layer in (operator.in_proj, operator.short_filter, operator.out_proj):
        torch.nn.init.zeros_(layer.bias)
    return operator.eval()


def turned_ids(ids: Tensor) -> Tensor:
    """ids (..., L) -> (..., L): the other strand, read from its start."""
    return torch.tensor(PARTNERS)[ids].flip(-1)


def turned(y: Tensor) -> Tensor:
    """(L, C) -> (L, C): read from the other end, channels of bases paired."""
    y = y.flip(0)
    return y[:, PARTNERS[: y.shape[1]]] if y.shape[1] in (4, 5) else y


def channel_names(count: int) -> list[str]:
    return list(LETTERS[:count]) if count in (4, 5) else list(map(str, range(count)))


def _rows(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))
