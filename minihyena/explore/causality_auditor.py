"""Causality auditor: which outputs move when a later input changes."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.auditing import BACKGROUNDS, audit
from minihyena.explore.base import Explorer
from minihyena.explore.look import panels
from minihyena.explore.parts import choice, listed, slider, spans
from minihyena.explore.signed_square import HATCHED, add_square, draw_square
from minihyena.explore.style import INK, LINE, ORANGE, SKY

__all__ = ["CausalityAuditor", "planted"]

Operator = Callable[[Tensor], Any]
TRIES = (("in silence", 0), *((str(n), n) for n in (1, 2, 4, 12)))


def planted() -> dict[str, Operator]:
    """Operators (B, L, D) -> (B, L, D) to look at first: two leak, one but at times."""

    def centred(u: Tensor) -> Tensor:
        around = pad(u, (0, 0, 1, 1))
        return (around[:, :-2] + around[:, 1:-1] - around[:, 2:]) / 2

    def secret(u: Tensor) -> Tensor:
        y = u.cumsum(1)
        y[:, 1] += u[:, -2] * (u[:, 0] > 0.5)
        return y

    return {
        "centred short convolution": centred,
        "gate that opens on content": secret,
        "sum so far": lambda u: u.cumsum(1),
    }


class CausalityAuditor(Explorer):
    """An L x L picture of "output t moved when input s was changed", leaks hatched.

    `ops`: one operator or several by name; each is any function or module
    (B, L, D) -> (B, L, D), or with `vocab` a model from token ids (B, L) to logits.
    None: three to look at first. It measures with `minihyena.auditing.audit`, on as
    many random backgrounds as are chosen, and raises what that raises.
    """

    title = "Causality auditor"
    notice = (
        "Each column changes one input. Hatched: an output moved before it. Is every "
        "leak found with one background?"
    )
    narrowest = 620

    def __init__(
        self,
        ops: Operator | Mapping[str, Operator] | None = None,
        *,
        length: int = 8,
        width: int = 1,
        vocab: int | None = None,
        seed: int = 0,
    ) -> None:
        ops = planted() if ops is None else ops
        named = ops if isinstance(ops, Mapping) else {"yours": ops}
        self.ops: dict[str, Operator] = dict(named)
        self.size, self.vocab, self.seed = (length, width), vocab, seed
        pickers = {
            "operator": choice("Operator", list(self.ops)),
            "changed": slider("Changed input", range(length), length // 2),
            "tries": choice("Random backgrounds", TRIES, 12),
        }
        super().__init__(pickers, _figure(length), surprise_seed=seed)

    def _compute(self) -> None:
        now = self.state()
        found = audit(
            self.ops[now["operator"]],
            *self.size,
            vocab=self.vocab,
            backgrounds=BACKGROUNDS[: now["tries"]] or (0.0,),
            generator=torch.Generator().manual_seed(self.seed),
        )
        s = now["changed"]
        self._facts = now | {
            "audit": found,
            "moved": tuple(t for t, by in found.moved if by == s),
            "early": tuple(t for t, by in found.leaks if by == s),
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        moved, early = f["moved"], f["early"]
        said = f"changing input {f['changed']} moves "
        said += f"output{'s' * (len(moved) > 1)} {spans(moved)}" if moved else "nothing"
        said += f", and {spans(early)} came before it" if early else ""
        whole = str(f["audit"]).removesuffix(".")
        return f"“{f['operator']}”: {whole}; {said}."

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        found, claim = f["audit"], getattr(self.ops[f["operator"]], "causal", None)
        told = {"calls itself causal": claim} if isinstance(claim, bool) else {}
        kind = str(found.dtype).removeprefix("torch.")
        loud = sorted({*BACKGROUNDS[: f["tries"]]} or {1.0})
        least = f"at least {listed([f'{0.5 * size:g}' for size in loud])}"
        changes = least if self.vocab is None else "exchanged for another"
        return told | {
            "each changed input": changes,
            "computed in": kind,
            "counts as rounding up to": found.noise,
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        found = self.facts()["audit"]
        header = ["Output", "changed input", "moves by", "verdict"]
        leaks, moved = set(found.leaks), set(found.moved)
        return header, [
            (t, s, far, _verdict((t, s), leaks, moved))
            for t, row in enumerate(found.moves)
            for s, far in enumerate(row)
        ]

    def _draw(self) -> None:
        f = self.facts()
        found, s = f["audit"], f["changed"]
        length = len(found.moves)
        column = [(t, s) for t in range(length)]
        draw_square(self.figure, found.moves, 0.0, column, found.leaks)
        far = [row[s] for row in found.moves]
        bars, hatched = self.figure.data[-2:]
        for trace, early in ((bars, False), (hatched, True)):
            places = [t for t in range(length) if (t in f["early"]) is early]
            heights = [far[t] for t in places]
            texts = [f"{y:.2g}".replace("-", "−") if y else "" for y in heights]
            trace.x, trace.y, trace.text = places, heights, texts
            colours = [SKY if y < 0 else ORANGE for y in heights]
            if early:
                trace.marker.pattern.bgcolor = colours
            else:
                trace.marker.color = colours
        room = 0.18 * (max(0.0, *far) - min(0.0, *far) or 1.0)
        ends = [min(0.0, *far) - room, max(0.0, *far) + room]
        self.figure.layout.yaxis2.range = ends
        self.figure.layout.shapes[0].x1 = s - 0.5


def _verdict(pair: Any, leaks: set[Any], moved: set[Any]) -> str:
    if pair in leaks:
        return "leak"
    return "reads the past or the present" if pair in moved else "does not move"


def _figure(length: int) -> Any:
    figure = panels(
        "Which output moves with which input", "With the framed input", height=440,
        column_widths=[0.54, 0.46], horizontal_spacing=0.12,
    )  # fmt: skip
    add_square(figure, length, row=1, col=1)
    for name, marker in (("moves by", {}), ("leaks by", HATCHED)):
        figure.add_bar(
            name=name, showlegend=False, width=0.7, marker=marker, row=1, col=2,
            textposition="outside", cliponaxis=False, constraintext="none",
            textfont={"size": 13, "color": INK},
        )  # fmt: skip
    figure.add_vrect(
        x0=-0.5, x1=0.5, fillcolor=LINE, opacity=0.35, line_width=0, layer="below",
        row=1, col=2,
    )  # fmt: skip
    figure.update_xaxes(
        title_text="output (grey ground: before that input)", zeroline=False,
        range=[-0.6, length - 0.4], tickvals=list(range(length)), row=1, col=2,
    )  # fmt: skip
    figure.update_yaxes(title_text="moved by", row=1, col=2)
    figure.update_layout(margin_b=60, barmode="overlay")
    return figure
