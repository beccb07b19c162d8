"""Token mixer: change one of 8 inputs and see which outputs move, and how far."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from minihyena.conv import causal_conv
from minihyena.explore.base import Explorer
from minihyena.explore.look import AFTER, panels
from minihyena.explore.parts import choice, slider, spans, to_numpy
from minihyena.explore.style import BLUE, INK, LINE, ORANGE
from minihyena.filters import ImplicitConfig
from minihyena.hyena import HyenaConfig, HyenaOperator
from minihyena.model import drawing_from
from minihyena.rivals.attention import AttentionConfig, SoftmaxAttention

__all__ = ["TokenMixer", "standard_mixers"]

Mixer = Callable[[Tensor], Tensor]  # (B, L, D) -> (B, L, D)
LENGTH, CONTENTS = 8, 4
AMOUNTS = tuple(step / 2 for step in range(-4, 5))
TOLERANCE = 1e-5  # of the largest output; float32 rounding stays far below

ROUGH = ImplicitConfig(bands=8, init="torch")  # a smooth filter shows less in 8 steps


def average(u: Tensor) -> Tensor:
    """(B, L, D) -> (B, L, D): the mean of all inputs so far."""
    seen = torch.arange(1, u.shape[1] + 1, dtype=u.dtype, device=u.device)
    return u.cumsum(1) / seen[:, None]


def fading_echo(u: Tensor) -> Tensor:
    """(B, L, D) -> (B, L, D): causal convolution with h_t = 0.75^t."""
    lags = torch.arange(u.shape[1], dtype=u.dtype, device=u.device)
    h = (0.75**lags).expand(u.shape[-1], -1)
    return causal_conv(u.transpose(1, 2), h).transpose(1, 2)


def standard_mixers(width: int = 1, seed: int = 178) -> dict[str, Mixer]:
    """Four real mixers of 8 inputs: two that only add up, two that also listen."""
    generator = torch.Generator().manual_seed(seed)
    with drawing_from(generator):
        gated = HyenaOperator(width, LENGTH, HyenaConfig(filter=ROUGH))
        attention = SoftmaxAttention(
            width, LENGTH, AttentionConfig(heads=1, rotary=False)
        )
    probe = torch.randn(64, LENGTH, width, generator=generator)
    with torch.no_grad():  # fresh weights whisper: make the outputs about as large as u
        for mixer in (gated, attention):
            mixer.in_proj.weight *= 2
            mixer.out_proj.bias.zero_()
            mixer.out_proj.weight /= mixer(probe).std()
    return {
        "average": average,
        "convolution": fading_echo,
        "gated": gated,
        "attention": attention,
    }


class TokenMixer(Explorer):
    """Which outputs move when one input changes; any op (B, L, D) -> (B, L, D) fits.

    `mixers` maps names to operators (or is one operator); None: `standard_mixers()`.
    With D > 1 channel 0 is changed and drawn; a move is the largest of all channels.
    """

    title = "Token mixer"
    notice = (
        "Change one input. Which outputs move, and does the size of the move "
        "depend on what the other inputs say?"
    )
    narrowest = 560

    def __init__(
        self,
        mixers: Mixer | Mapping[str, Mixer] | None = None,
        *,
        width: int = 1,
        seed: int = 1,
    ) -> None:
        if mixers is None:
            mixers = standard_mixers(width)
        elif not isinstance(mixers, Mapping):
            mixers = {"yours": mixers}
        self.mixers: dict[str, Mixer] = dict(mixers)
        generator = torch.Generator().manual_seed(seed)
        self.contents = torch.randn(CONTENTS, LENGTH, width, generator=generator)
        letters = [(f"sequence {letter}", i) for i, letter in enumerate("ABCD")]
        pickers = {
            "mixer": choice("Mixer", list(self.mixers)),
            "position": choice("Input to change", range(LENGTH), 3),
            "amount": slider("Change it by", [(f"{a:+g}", a) for a in AMOUNTS], 1.0),
            "content": choice("Inputs", letters),
        }
        super().__init__(pickers, _figure(), surprise_seed=seed)

    def _compute(self) -> None:
        """One call of the mixer: every sequence, with every amount of change."""
        now = self.state()
        u = self.contents[:, None].repeat(1, len(AMOUNTS), 1, 1)
        u[:, :, now["position"], 0] += torch.tensor(AMOUNTS)
        with torch.no_grad():
            y = self.mixers[now["mixer"]](u.flatten(0, 1))
        if y.shape != (wanted := u.flatten(0, 1).shape):
            raise ValueError(
                f"mixer {now['mixer']!r} turned {tuple(wanted)} into {tuple(y.shape)}; "
                "a mixer keeps the shape (B, L, D)"
            )
        y = torch.from_numpy(to_numpy(y)).view(u.shape)
        calm = y[:, AMOUNTS.index(0.0), None]
        moves = (y - calm).abs().amax(-1)  # (sequence, amount, L)
        noise = TOLERANCE * max(1.0, float(calm.abs().max()))
        here, by = now["content"], AMOUNTS.index(now["amount"])
        pair = [here, (here + 1) % CONTENTS]
        self._ranges = y[here, ..., 0].aminmax(), moves[pair].max()
        self._facts = now | {
            "inputs": tuple(self.contents[here, :, 0].tolist()),
            "inputs_after": tuple(u[here, by, :, 0].tolist()),
            "outputs": tuple(calm[here, 0, :, 0].tolist()),
            "outputs_after": tuple(y[here, by, :, 0].tolist()),
            "moved_by": tuple(moves[here, by].tolist()),
            "moved_by_elsewhere": tuple(moves[pair[1], by].tolist()),
            "moved": tuple((moves[here, by] > noise).nonzero()[:, 0].tolist()),
            "listens": bool(((moves - moves[here]).abs() > noise)[:, by].any()),
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        change = f"changing input {f['position']} by {f['amount']:+g}"
        start = f"With the mixer “{f['mixer']}”, {change}"
        if not f["moved"]:
            return f"{start} moved no output."
        early = [i for i in f["moved"] if i < f["position"]]
        past = f" ({spans(early)} before the change)" if early else ""
        how = "depends on" if f["listens"] else "is the same whatever is in"
        noun = "outputs" if len(f["moved"]) > 1 else "output"
        return (
            f"{start} moved {noun} {spans(f['moved'])}{past} and no other; "
            f"how far {how} the other inputs."
        )

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        header = ["Position", "input", "changed", "output", "after", "moved by"]
        header.append("moved by, in the next sequence")
        f = self.facts()
        columns = ["inputs", "inputs_after", "outputs", "outputs_after"]
        columns += ["moved_by", "moved_by_elsewhere"]
        return header, list(zip(range(LENGTH), *(f[c] for c in columns), strict=True))

    def _draw(self) -> None:
        f = self.facts()
        (in_stems, in_before, in_after, *outputs, bars, elsewhere) = self.figure.data
        for name, (stems, before, after) in (
            ("inputs", (in_stems, in_before, in_after)),
            ("outputs", outputs),
        ):
            old, new = f[name], f[f"{name}_after"]
            stems.y = [y for pair in zip(old, new, strict=True) for y in (*pair, None)]
            before.y, after.y = old, new
        bars.y = f["moved_by"]
        bars.text = [f"{m:.2f}" if m >= 0.005 else "0" for m in f["moved_by"]]
        elsewhere.y = f["moved_by_elsewhere"]
        layout = self.figure.layout
        for shape in layout.shapes:
            shape.x1 = f["position"] - 0.5
        (low, high), most = self._ranges  # stay put while the amount moves
        edge = 0.12 * max(float(high - low), 1e-3)
        layout.yaxis3.range = [float(low) - edge, float(high) + edge]
        layout.yaxis2.range = [0, 1.15 * max(float(most), 1e-3)]


def _figure() -> Any:
    figure = panels(
        "Inputs",
        "How far each output moved",
        "Outputs",
        rows=2,
        cols=2,
        specs=[[{}, {"rowspan": 2}], [{}, None]],
        vertical_spacing=0.2,
        height=440,
    )
    positions = list(range(LENGTH))
    triples = [x for t in positions for x in (t, t, None)]
    for name, line in (("input", 1), ("output", 2)):
        where = {"row": line, "col": 1}
        figure.add_scatter(
            x=triples, name=f"{name} stems", mode="lines", showlegend=False,
            line={"color": BLUE, "width": 3}, hoverinfo="skip", **where,
        )  # fmt: skip
        figure.add_scatter(
            x=positions, name="before", mode="markers", showlegend=line == 1,
            marker={"symbol": "circle-open", "size": 13, "color": INK, "line_width": 2},
            legendgroup="before", **where,
        )  # fmt: skip
        figure.add_scatter(
            x=positions, name="after", mode="markers", showlegend=line == 1,
            marker={"symbol": "diamond", "size": 9, "color": AFTER["color"]},
            legendgroup="after", **where,
        )  # fmt: skip
    figure.add_bar(
        x=positions, name="moved by", marker_color=ORANGE, textposition="outside",
        textfont={"size": 13, "color": INK}, constraintext="none", cliponaxis=False,
        row=1, col=2,
    )  # fmt: skip
    figure.add_scatter(
        x=positions, name="same change, next sequence", mode="markers",
        marker={"symbol": "line-ew-open", "size": 22, "color": INK, "line_width": 2},
        row=1, col=2,
    )  # fmt: skip
    for where in ({"row": 1, "col": 1}, {"row": 2, "col": 1}, {"row": 1, "col": 2}):
        figure.add_vrect(
            x0=-0.5, x1=-0.5, fillcolor=LINE, opacity=0.35, line_width=0, layer="below",
            **where,
        )  # fmt: skip
    figure.update_xaxes(tickvals=positions, range=[-0.5, LENGTH - 0.5], zeroline=False)
    figure.update_xaxes(title_text="position", row=2, col=1)
    figure.update_xaxes(title_text="position (grey: before the change)", row=1, col=2)
    figure.update_yaxes(range=[-4.2, 4.2], row=1, col=1)
    return figure
