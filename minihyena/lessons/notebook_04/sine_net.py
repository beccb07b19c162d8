"""04.sine_net: a network that oscillates."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]

Layers = Sequence[nn.Linear]


def sine_net(features: Tensor, layers: Layers, omega: float) -> Tensor:
    """features (L, E), layers E -> F -> ... -> F -> D, of nn.Linear -> (L, D).

    After every layer but the last: sin(omega * what comes out of it). The last one is
    linear. omega: a number, or a tensor (F,), one frequency for each unit.
    """
    a = features
    for layer in layers[:-1]:
        a = torch.sin(omega * layer(a))
    return layers[-1](a)  # type: ignore[no-any-return]


def net_by_loops(features: Tensor, layers: Layers, omega: float) -> Tensor:
    """One number at a time, in float64."""
    rows = features.double().tolist()
    for depth, layer in enumerate(layers):
        weights, biases = layer.weight.double().tolist(), [0.0] * layer.out_features
        if layer.bias is not None:
            biases = layer.bias.double().tolist()
        rows = [
            [
                sum(w * x for w, x in zip(line, row, strict=True)) + b
                for line, b in zip(weights, biases, strict=True)
            ]
            for row in rows
        ]
        if depth < len(layers) - 1:
            rows = [[math.sin(omega * x) for x in row] for row in rows]
    return torch.tensor(rows, dtype=features.dtype)


Between = Callable[[nn.Linear, Tensor, float, int], Tensor]


def with_bend(
    bend: Between, last: Callable[[Tensor, float], Tensor] | None = None
) -> Function:
    """bend(layer, a, omega, depth) in place of the sines, `last` at the very end."""

    def net(features: Tensor, layers: Layers, omega: float) -> Tensor:
        a = features
        for depth, layer in enumerate(layers[:-1]):
            a = bend(layer, a, omega, depth)
        a = layers[-1](a)
        return last(a, omega) if last else a

    return net


def short_of_one(features: Tensor, layers: Layers, omega: float) -> Tensor:
    return sine_net(features, [*layers[:-2], layers[-1]], omega)


def unbiased(layer: nn.Linear, a: Tensor) -> Tensor:
    return linear(a, layer.weight)


SLOW = "How far must x move until sin(ω x) has gone once up and down?"
NET_MISTAKES = (
    Mistake(
        "the network bends where a sine should oscillate: this is a ReLU",
        with_bend(lambda layer, a, w, depth: layer(a).relu()),
        "How many bends does it take to draw a single wave?",
    ),
    Mistake(
        "the network bends where a sine should oscillate: this is a ReLU",
        with_bend(lambda layer, a, w, depth: (w * layer(a)).relu()),
        "How many bends does it take to draw a single wave?",
    ),
    Mistake(
        "the amplitude grew by ω, the frequency did not: ω belongs inside the sine",
        with_bend(lambda layer, a, w, depth: w * layer(a).sin()),
        SLOW,
    ),
    Mistake(
        "the output is trapped in [−1, 1]; the last layer is linear",
        with_bend(
            lambda layer, a, w, depth: (w * layer(a)).sin(), lambda a, w: (w * a).sin()
        ),
        "How large may a tap of a filter be?",
    ),
    Mistake(
        "ω is not used: every sine turns at the speed of ω = 1",
        with_bend(lambda layer, a, w, depth: layer(a).sin()),
        SLOW,
    ),
    Mistake(
        "ω multiplies what goes in, and the bias escapes it: sin(ω (W a + b)), with b "
        "inside",
        with_bend(lambda layer, a, w, depth: layer(w * a).sin()),
        "What is ω times (W a + b), written out?",
    ),
    Mistake(
        "only the first layer has its ω; every sine has it",
        with_bend(
            lambda layer, a, w, depth: ((w if depth == 0 else 1) * layer(a)).sin()
        ),
        "Which of the layers are followed by a sine?",
    ),
    Mistake(
        "a cosine: it cannot tell an argument from its negative",
        with_bend(lambda layer, a, w, depth: (w * layer(a)).cos()),
        "What is the sine of 0, and what its cosine?",
    ),
    Mistake(
        "a tanh goes up once and stays; a sine comes back",
        with_bend(lambda layer, a, w, depth: (w * layer(a)).tanh()),
        SLOW,
    ),
    Mistake(
        "there is no sine at all: layers without a bend between them are one layer",
        with_bend(lambda layer, a, w, depth: layer(a)),
        "What is a table of weights times a table of weights?",
    ),
    Mistake(
        "there is no sine at all, only a factor ω: the layers are still one layer",
        with_bend(lambda layer, a, w, depth: w * layer(a)),
        "What is a table of weights times a table of weights?",
    ),
    Mistake(
        "the biases are left out: call the layer, do not take only its weight",
        with_bend(lambda layer, a, w, depth: (w * unbiased(layer, a)).sin()),
        "What else does nn.Linear hold besides a weight?",
    ),
    Mistake(
        "the last layer with a sine is left out: all but one are followed by a sine",
        short_of_one,
        "Of four layers, how many does layers[:-1] hold?",
    ),
)


def layers_of(
    sizes: Sequence[int], dtype: torch.dtype, generator: torch.Generator
) -> list[nn.Linear]:
    """Layers with weights and biases about 1; the last one has no bias."""
    layers = []
    for depth, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layer = nn.Linear(fan_in, fan_out, bias=depth < len(sizes) - 2, dtype=dtype)
        for p in layer.parameters():
            drawn = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            p.data = drawn.to(dtype)
        layers.append(layer)
    return layers


def check_sine_net(fn: Function, *, generator: torch.Generator) -> None:
    """Two to four layers, one channel and several, both precisions, and a gradient."""
    cases = []
    wide = pick(3, 5, generator)
    for sizes, length, omega in (
        ((1, 1, 1), 2, 2.0),
        ((1, 2, 1), 3, 3.0),
        ((3, wide, wide, 2), 3, 1.5),
        ((5, 3, 3, 3, wide), 4, 2.5),
    ):
        features = torch.rand(length, sizes[0], generator=generator)
        for dtype in (torch.float32, torch.float64):
            layers = layers_of(sizes, dtype, generator)
            z = features.to(dtype)

            def run(
                fn: Function,
                z: Tensor = z,
                layers: Layers = layers,
                omega: float = omega,
            ) -> object:
                with torch.enable_grad():
                    value = attempt(fn, z, layers, omega)
                if isinstance(value, Tensor) and not value.requires_grad:
                    raise Incorrect(
                        "the numbers have lost their way back to the weights: no "
                        "gradient would reach them (detach, .data or no_grad?)"
                    )
                return value

            given = (
                f"features = {show(z)} of shape {tuple(z.shape)}, layers "
                f"{' → '.join(map(str, sizes))}, ω = {omega}"
            )
            expected = net_by_loops(z, layers, omega)
            tolerance = 1e-4 if dtype == torch.float32 else 1e-9
            cases.append(Case((z, layers, omega), expected, given, run, tolerance))
    question = "With one unit in each layer: what comes out for one feature?"
    examine(fn, cases, NET_MISTAKES, question=question)


EXERCISE = Exercise(
    id="04.sine_net",
    objective="Run a network whose units turn instead of bending.",
    answer=sine_net,
    hints=(
        "Which layers are followed by a sine, and where does ω stand in it?",
        "Go through layers[:-1] with a = torch.sin(omega * layer(a)), starting from "
        "the features; give back what the last layer makes of a.",
    ),
    checker=check_sine_net,
    points=12,
    minutes=12,
    stars=2,
)
