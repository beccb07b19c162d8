"""05.gated_conv: a convolution, and a gate that acts on the result."""

import torch
from torch import Tensor

from minihyena.conv import causal_conv
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import looks_ahead

__all__ = ["EXERCISE"]


def gated_conv(v: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """v, x: (B, D, L), h: (D, K <= L) -> (B, D, L): x times (h convolved with v)."""
    return x * causal_conv(v, h)


def gated_by_loops(v: Tensor, x: Tensor, h: Tensor) -> Tensor:
    y = torch.zeros(v.shape, dtype=torch.float64)
    for t in range(v.shape[-1]):
        for s in range(t + 1):
            if t - s < h.shape[-1]:
                y[..., t] += h[:, t - s].double() * v[..., s].double()
        y[..., t] *= x[..., t].double()
    return y.to(v.dtype)


GATED_MISTAKES = (
    Mistake(
        "with v = 0 the output is x: a gate multiplies, it does not add",
        lambda v, x, h: x + causal_conv(v, h),
        "What should come out of a tap that is shut, x = 0?",
    ),
    Mistake(
        "order swapped: the gate must act on the result, not on what goes in",
        lambda v, x, h: causal_conv(x * v, h),
        "If x is zero at the last place only, which outputs should be zero?",
    ),
    Mistake(
        "gated twice: once before the convolution and once after it",
        lambda v, x, h: x * causal_conv(x * v, h),
        "How often does x stand in the formula?",
    ),
    Mistake(
        "every position got the same gate: the mean of x takes its content away",
        lambda v, x, h: x.mean(-1, keepdim=True) * causal_conv(v, h),
        "What does the gate of place 3 know about token 3?",
    ),
    Mistake(
        "no gate at all: this is the plain convolution",
        lambda v, x, h: causal_conv(v, h),
        "What happens to your answer when x changes?",
    ),
    Mistake(
        "no convolution at all: this is gate times value, place by place",
        lambda v, x, h: x * v,
        "How does anything get from place 0 to place 1?",
    ),
    Mistake(
        "h times v, place by place, is no convolution: a filter slides along the text",
        lambda v, x, h: x * (h * v),
        "Which two products make up y[1] before the gate?",
    ),
    Mistake(
        "gate and value are swapped: convolve v, multiply by x",
        lambda v, x, h: v * causal_conv(x, h),
        "Which of the two is carried along the text?",
    ),
    Mistake(
        "the gate was squeezed by a sigmoid: here it is x as it is, sign and all",
        lambda v, x, h: torch.sigmoid(x) * causal_conv(v, h),
        "What should come out where x is negative?",
    ),
)


def check_gated_conv(fn: Function, *, generator: torch.Generator) -> None:
    """Random shapes, short and full filters, both precisions, against the loop."""
    length = pick(4, 9, generator)
    cases = []
    for batch, width, steps, taps in (
        (1, 1, 2, 2),
        (1, 1, 3, 2),
        (1, 2, 4, 4),
        (2, 1, length, 3),
        (2, 3, length, length),
    ):
        v, x = short(2, batch, width, steps, generator=generator)
        h = short(width, taps, generator=generator)
        given = f"v = {show(v)}, x = {show(x)}, h = {show(h)}"
        given += f", v of shape {tuple(v.shape)}"
        cases += in_both_precisions(gated_by_loops, (v, x, h), given)
    question = "Can you work out y[0] and y[1] by hand, first h with v, then times x?"
    examine(fn, cases, GATED_MISTAKES, (looks_ahead(2),), question)


EXERCISE = Exercise(
    id="05.gated_conv",
    objective="Write a convolution with a gate behind it.",
    answer=gated_conv,
    hints=(
        "Which of the two, convolution or gate, needs to know other places?",
        "causal_conv(v, h) does the carrying; multiply what it gives, place by place.",
    ),
    checker=check_gated_conv,
    points=8,
    minutes=8,
    stars=1,
)
