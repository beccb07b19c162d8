"""04.fit_filter: train a network to draw a given filter."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from minihyena.filters import ImplicitConfig, ImplicitFilter
from minihyena.lessons.comparing import attempt, close, numbers, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_03.answers import Watch
from minihyena.model import drawing_from

__all__ = ["EXERCISE"]

LENGTH, STEPS = 256, 200
ENOUGH = 0.05  # of the target's size
BENDS = {"relu", "relu_", "leaky_relu", "gelu", "silu", "elu", "tanh", "sigmoid"}


def fit_filter(
    target: Tensor, *, steps: int = 200, generator: torch.Generator
) -> tuple[ImplicitFilter, list[float]]:
    """target (L,) -> (net, losses): a network that draws it, error below 5 %.

    net(L) gives the L taps, in whatever shape. Four bands, two hidden layers of 64, no
    window, weights drawn from the generator. Adam with rate 1e-3 takes so many steps
    down the mean squared error; losses: one float for each step, before it is taken.
    """
    config = ImplicitConfig(bands=4, width=64, depth=1, sine_frequency=14, window=False)
    with drawing_from(generator):
        net = ImplicitFilter(1, 1, len(target), config)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        loss = (net(len(target)).flatten() - target).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return net, losses


@dataclass
class Fit:
    """One run of the learner's function: the taps its network draws, its losses."""

    target: Tensor
    taps: Tensor
    losses: list[float]
    made_by: set[str]  # the torch functions that the network calls

    @property
    def error(self) -> float:
        """Relative: 0 is the target itself, 1 is silence."""
        return float((self.taps - self.target).norm() / self.target.norm())

    @property
    def rises(self) -> float:
        """The share of steps after which the loss was higher."""
        pairs = zip(self.losses, self.losses[1:], strict=False)
        return sum(b > a for a, b in pairs) / max(1, len(self.losses) - 1)


def fitted(fn: Function, target: Tensor, steps: int, seed: int, given: str) -> Fit:
    """Run fn; Incorrect where it gives no network and list of losses."""

    def fail(sentence: str, got: str = "") -> Incorrect:
        return Incorrect(
            sentence, f"{given}, steps = {steps}", "(net, losses)", got, FORM
        )

    def call(target: Tensor) -> object:
        stream = torch.Generator().manual_seed(seed)
        with torch.enable_grad():
            return fn(target, steps=steps, generator=stream)

    try:
        pair = attempt(call, target)
    except Incorrect as fault:
        raise fail(fault.misconception) from fault
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise fail(
            "two things belong here: the net, then its losses", type(pair).__name__
        )
    net, losses = pair
    if not callable(net):
        raise fail(
            "net(L) should give the taps, but net cannot be called", f"{net!r:.40}"
        )
    if not isinstance(losses, list) or not all(isinstance(x, float) for x in losses):
        kinds = losses if isinstance(losses, list) else [losses]
        kind = next(type(x).__name__ for x in kinds if not isinstance(x, float))
        raise fail(f"losses should be a list of floats; a {kind} is in its place", kind)
    if len(losses) != steps:
        raise fail(f"steps = {steps} asks for {steps} losses", f"{len(losses)} of them")
    watch = Watch()
    try:
        with torch.no_grad(), watch:
            taps = numbers(net(len(target)))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise fail(f"net({len(target)}) stopped with {reason:.150}") from error
    if taps is None or len(taps) != len(target) or not taps.isfinite().all():
        got = "no numbers" if taps is None else f"{len(taps)} of them: {show(taps)}"
        raise fail(f"net({len(target)}) should give {len(target)} finite taps", got)
    return Fit(target.double(), taps, losses, watch.names)


FORM = "What does the docstring promise to give back?"
FIT_MISTAKES: tuple[tuple[Callable[[Fit, Fit], bool], str, str], ...] = (
    (
        lambda fit, start: close(fit.taps, start.taps, 1e-9),
        "the parameters are as initialised: nothing was trained",
        "Which call changes a parameter?",
    ),
    (
        lambda fit, start: bool(fit.made_by & BENDS),
        "follows the envelope, misses the oscillation: these units bend, and a wave "
        "needs units that turn",
        "How many bends does it take to draw 20 waves?",
    ),
    (
        lambda fit, start: fit.rises > 0.4,
        "half of the steps raised the loss: gradients pile up from step to step",
        "What does backward do with a gradient that is already there?",
    ),
    (
        lambda fit, start: fit.error > 0.9,
        "the error stayed near 100 %: the net cannot turn fast enough, or its steps "
        "are too small",
        "How far does sin(ω x) turn while x goes from 0 to 1, for ω = 1?",
    ),
    (
        lambda fit, start: True,
        "the oscillation is only partly there",
        "Is it the sines, the bands, the steps or the rate that is short of the task?",
    ),
)


def check_fit_filter(fn: Function, *, generator: torch.Generator) -> None:
    """As drawn, from equal and other seeds; then 200 steps, and what they reach."""
    seed = pick(0, 2**31 - 2, generator)
    phase = pick(0, 5, generator)
    dtype = (torch.float32, torch.float64)[pick(0, 1, generator)]
    t = torch.linspace(0, 1, LENGTH, dtype=torch.float64)
    target = (torch.cos(40 * torch.pi * t + phase) * torch.exp(-3 * t)).to(dtype)
    given = f"target = cos(40πt + {phase})·exp(−3t) at {LENGTH} times, {dtype}"
    first, again, other = (
        fitted(fn, target, steps, seed + shift, given)
        for steps, shift in ((0, 0), (1, 0), (1, 1))
    )
    got = f"losses {show([*again.losses, *other.losses])}"
    mse = float((first.taps - first.target).square().mean())
    if not close(again.losses[0], mse, 1e-4):
        raise Incorrect(
            "two generators with equal seeds gave different networks, or the first "
            "loss is not the mean squared error of the network as drawn",
            given,
            f"a first loss of {mse:.6g}",
            got,
            "Where do the weights come from, and what is measured before step 1?",
        )
    if close(again.taps, other.taps, 1e-6):
        raise Incorrect(
            "generators with different seeds gave the same network",
            given,
            got=got,
            question="Where does the generator enter?",
        )
    fit = fitted(fn, target, STEPS, seed, given)
    if fit.error > ENOUGH:
        found = next(m for m in FIT_MISTAKES if m[0](fit, first))
        raise Incorrect(
            found[1],
            given,
            f"a relative error below {ENOUGH:.0%}",
            f"{fit.error:.0%}; losses {show(fit.losses[:: STEPS // 7])}",
            found[2],
        )
    if not fit.losses[-1] < 0.1 * fit.losses[0]:
        raise Incorrect(
            "the network is good, but the losses are not those of its training",
            given,
            "losses that fall",
            show(fit.losses[:: STEPS // 7]),
            "At which point of a step is the loss noted down?",
        )


EXERCISE = Exercise(
    id="04.fit_filter",
    objective="Train a network to draw a filter, and choose a frequency that can.",
    answer=fit_filter,
    hints=(
        "The target makes 20 turns. The bands make at most 3. Who makes the rest?",
        "ImplicitConfig(bands=4, width=64, depth=1, window=False) has the sizes; its "
        "sine_frequency is 1 unless you say otherwise. Each step: loss, zero_grad, "
        "backward, step, and the loss as .item().",
    ),
    checker=check_fit_filter,
    points=15,
    minutes=15,
    stars=2,
)
