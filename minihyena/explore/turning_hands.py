"""Turning hands: a bin of the spectrum as arrows, laid tip to tail."""

import cmath
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minihyena.explore.base import Explorer
from minihyena.explore.hands_figure import draw, figure_of
from minihyena.explore.parts import choice, slider, spans

__all__ = ["TurningHands", "definition"]

Matrix = Callable[[int], Tensor]  # n -> (n, n), complex
DARK = 1e-4  # of the number of samples: a bin below that is not lit
TONE, COSINE, PULSE, SPREAD = "turning tone", "cosine", "one pulse", "two cosines"
SIGNALS = (TONE, COSINE, SPREAD, PULSE)


def definition(n: int) -> Tensor:
    """(n, n): W[k, t] = exp(-2 pi i k t / n), number by number."""
    rows = [
        [cmath.exp(-2j * cmath.pi * (k * t % n) / n) for t in range(n)]
        for k in range(n)
    ]
    return torch.tensor(rows, dtype=torch.complex128)


class TurningHands(Explorer):
    """How a row of the DFT matrix adds up a signal: n hands, tip to tail, and the sum.

    `matrix(n) -> (n, n)`: yours; None: the definition. Its row k times the signal are
    the hands of bin k, and its product with the signal is the spectrum that is drawn.
    Raises ValueError for another shape or a NaN, TypeError for what is no tensor.
    """

    title = "Turning hands"
    notice = (
        "Each sample is a hand, turned back by the bin's own speed. Where do they all "
        "point the same way? And what happens to a tone between two bins?"
    )
    narrowest = 600

    def __init__(
        self, matrix: Matrix | None = None, *, n: int = 12, seed: int = 3
    ) -> None:
        if n < 4:
            raise ValueError(f"n = {n} hands show too little; take 4 or more")
        self.matrix = definition if matrix is None else matrix
        self.n = n
        turns = [step / 2 for step in range(2 * n - 1)]
        pickers = {
            "bin": slider("Bin k", range(n), 3),
            "signal": choice("Signal", SIGNALS),
            "turns": slider("Turns of the tone", [(f"{f:g}", f) for f in turns], 3.0),
        }
        super().__init__(pickers, figure_of(n), surprise_seed=seed)

    def _compute(self) -> None:
        now, n = self.state(), self.n
        W = self._ask()
        samples = sample(now["signal"], now["turns"], n)
        u = torch.tensor(samples, dtype=torch.complex128)
        hands = W[now["bin"]] * u
        spectrum = W @ u
        sizes = spectrum.abs()
        lit = sizes > DARK * n
        total = hands.sum()
        same_way = bool(hands.abs().sum() - total.abs() <= DARK * n)
        self._facts = now | {
            "yours": self.matrix is not definition,
            "n": n,
            "samples": tuple(u.tolist()),
            "hands": tuple(hands.tolist()),
            "path": (0j, *hands.cumsum(0).tolist()),
            "sum": complex(total),
            "size": float(total.abs()),
            "sizes": tuple(sizes.tolist()),
            "lit": tuple(lit.nonzero()[:, 0].tolist()),
            "hands_seen": int((hands.abs() > DARK).sum()),
            "same_way": same_way,
            "closed": not bool(lit[now["bin"]]),
            "is_dft": bool((W - definition(n)).abs().max() <= 1e-4),
        }

    def _ask(self) -> Tensor:
        with torch.no_grad():
            W = self.matrix(self.n)
        if not isinstance(W, Tensor):
            kind = type(W).__name__
            raise TypeError(f"your matrix is of type {kind}; a tensor (n, n) is wanted")
        if W.shape != (self.n, self.n):
            raise ValueError(
                f"for n = {self.n} your matrix has the shape {tuple(W.shape)}; "
                f"it must be {(self.n, self.n)}: a row for each bin"
            )
        W = W.detach().cpu().to(torch.complex128).resolve_conj()
        if broken := int((~W.isfinite()).sum()):
            raise ValueError(
                f"for n = {self.n} your matrix holds {broken} entries that are NaN or "
                "infinite: is something divided by zero?"
            )
        return W

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        turns = f"{f['turns']:g} turn{'s' * (f['turns'] != 1)}"
        name = {
            TONE: f"A tone of {turns}",
            COSINE: f"A cosine of {turns}",
            SPREAD: f"Cosines of 1 turn and of {turns}",
            PULSE: f"A pulse at sample {int(f['turns']) % f['n']}",
        }[f["signal"]]
        verb = "light" if f["signal"] == SPREAD else "lights"
        if not f["lit"]:
            lights = f"{verb} no bin"
        elif len(f["lit"]) == f["n"]:
            lights = f"{verb} all {f['n']} bins"
        else:
            lights = f"{verb} bin{'s' * (len(f['lit']) > 1)} {spans(f['lit'])}"
            lights += f" of {f['n']}"
        start = f"{name} {lights}; in bin {f['bin']} the hands "
        if f["closed"]:
            end = "close up, and their sum is 0"
        elif f["hands_seen"] == 1:
            end = f"are all of size 0 but one, and the sum has the size {f['size']:.3g}"
        elif f["same_way"]:
            end = f"all point the same way, and their sum has the size {f['size']:.3g}"
        else:
            end = f"partly cancel, and their sum has the size {f['size']:.3g}"
        if not f["is_dft"]:
            end += "; your matrix is not that of the definition"
        return f"{start}{end}."

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        real, imaginary = (round(x, 4) + 0.0 for x in (f["sum"].real, f["sum"].imag))
        return {
            "Sum, real part": real,
            "Sum, imaginary part": imaginary,
            "From one sample to the next a hand of bin k turns by":
                f"{-360 * f['bin'] / f['n']:g}°",
        }  # fmt: skip

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Sample or bin", "signal, real", "imaginary", "hand, real"]
        header += ["imaginary", "sum so far, real", "imaginary", "size of the bin"]
        rows = []
        for t in range(f["n"]):
            parts = f["samples"][t], f["hands"][t], f["path"][t + 1]
            pairs = [round(x, 9) + 0.0 for z in parts for x in (z.real, z.imag)]
            rows.append((t, *pairs, round(f["sizes"][t], 9)))
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.facts())


def sample(signal: str, turns: float, n: int) -> list[complex]:
    """n samples: a hand that turns forwards, its shadow, two of those, or one pulse."""
    if signal == PULSE:
        at = int(turns) % n
        return [complex(t == at) for t in range(n)]
    angles = [2 * math.pi * turns * t / n for t in range(n)]
    if signal == TONE:
        return [cmath.exp(1j * angle) for angle in angles]
    slow = [math.cos(2 * math.pi * t / n) * (signal == SPREAD) for t in range(n)]
    return [complex(math.cos(a) + b) for a, b in zip(angles, slow, strict=True)]
