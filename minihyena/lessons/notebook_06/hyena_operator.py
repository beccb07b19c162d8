"""06.hyena_operator: the recurrence of order N."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minihyena.conv import causal_conv
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import (
    Case,
    attempt,
    in_both_precisions,
    pick,
    short,
    show,
)
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import leaks_the_future

__all__ = ["EXERCISE"]

Stages = Sequence[Tensor]  # N gates or N filters, each (D, L)


def hyena_operator(v: Tensor, gates: Stages, filters: Stages) -> Tensor:
    """v (D, L), N gates (D, L), N filters (D, L) -> y (D, L), as in Def. 3.1.

    Stage after stage, first gates[0] with filters[0]: convolve, then gate.
    """
    length = v.shape[-1]
    for x, h in zip(gates, filters, strict=True):
        spectrum = torch.fft.rfft(v, 2 * length) * torch.fft.rfft(h, 2 * length)
        v = x * torch.fft.irfft(spectrum, 2 * length)[..., :length]
    return v


def operator_by_loops(v: Tensor, gates: Stages, filters: Stages) -> Tensor:
    z = v.tolist()
    for x, h in zip(gates, filters, strict=True):
        gate, taps, before = x.tolist(), h.tolist(), z
        z = [[0.0] * v.shape[1] for _ in before]
        for d in range(v.shape[0]):
            for t in range(v.shape[1]):
                for s in range(t + 1):
                    z[d][t] += gate[d][t] * taps[d][t - s] * before[d][s]
    return torch.tensor(z, dtype=torch.float64).to(v.dtype)


def slopes(v: Tensor, gates: Stages, filters: Stages) -> Tensor:
    """How fast a weighted sum of y grows with each number put in, by differences.

    y is of first degree in each single number, so a step of 1 makes no error.
    """
    flat = torch.cat([part.flatten() for part in (v, *gates, *filters)])

    def total(numbers: Tensor) -> Tensor:
        first, *rest = numbers.reshape(-1, *v.shape)
        y = operator_by_loops(first, rest[: len(gates)], rest[len(gates) :])
        return (y * weights_of(y)).sum()

    start, rises = total(flat), torch.eye(len(flat), dtype=flat.dtype)
    return torch.stack([total(flat + rise) - start for rise in rises])


def weights_of(y: Tensor) -> Tensor:
    """1, 2, 3, ... in the shape of y: so that no output can stand for another."""
    return torch.arange(1, y.numel() + 1).reshape(y.shape).to(y.dtype)


def gradient(fn: Function, v: Tensor, gates: Stages, filters: Stages) -> Tensor:
    """What autograd says of the learner's y; Incorrect where it has nothing to say."""
    leaves = [part.clone().requires_grad_() for part in (v, *gates, *filters)]
    order = len(gates)
    y = attempt(lambda: fn(leaves[0], leaves[1 : order + 1], leaves[order + 1 :]))
    if not isinstance(y, Tensor) or y.shape != v.shape:
        raise Incorrect(f"y is not a tensor of shape {tuple(v.shape)}")
    if not y.requires_grad:
        raise Incorrect(
            "y carries no gradient, so nothing could be trained: stay with torch's "
            "own functions, without detach, .data, .item() or numpy"
        )
    total = (y * weights_of(y)).sum()
    slopes = torch.autograd.grad(total, leaves, allow_unused=True)
    return torch.cat(
        [
            torch.zeros(v.numel(), dtype=v.dtype) if slope is None else slope.flatten()
            for slope in slopes
        ]
    )


def stages_case(order: int, width: int, length: int, g: torch.Generator) -> list[Case]:
    """One draw in both precisions."""
    v, *rest = short(2 * order + 1, width, length, generator=g)
    given = f"N = {order}, D = {width}, L = {length}: v = {show(v, count=4)}"
    for name, parts in (("gates", rest[:order]), ("filters", rest[order:])):
        given += f", {name} {', '.join(show(part, count=4) for part in parts)}"
    args = v, rest[:order], rest[order:]
    return in_both_precisions(operator_by_loops, args, given, tolerance=1e-4)


def gradient_case(order: int, generator: torch.Generator) -> Case:
    v, *rest = torch.randn(2 * order + 1, 2, 3, generator=generator).double()
    args = v, rest[:order], rest[order:]
    given = f"N = {order}, D = 2, L = 3: the gradient of y[0] + 2 y[1] + ... in flat y"
    return Case(args, slopes(*args), given, lambda fn: gradient(fn, *args))


def convolve(z: Tensor, h: Tensor) -> Tensor:
    return causal_conv(z[None], h)[0]


def wrapped(z: Tensor, h: Tensor) -> Tensor:
    """The convolution on a ring: the FFT without padding."""
    spectrum = torch.fft.rfft(z) * torch.fft.rfft(h)
    y: Tensor = torch.fft.irfft(spectrum, z.shape[-1])
    return y


Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # z, x, h, v -> z


def stepping(step: Step, arrange: Callable[[Stages], Stages] = list) -> Function:
    """An operator with another step, or with its gates in another order."""

    def operator(v: Tensor, gates: Stages, filters: Stages) -> Tensor:
        z = v
        for x, h in zip(arrange(gates), filters, strict=True):
            z = step(z, x, h, v)
        return z

    return operator


def right(z: Tensor, x: Tensor, h: Tensor, v: Tensor) -> Tensor:
    return x * convolve(z, h)


def one_filter(v: Tensor, gates: Stages, filters: Stages) -> Tensor:
    for x in gates:
        v = right(v, x, filters[0], v)
    return v


OPERATOR_MISTAKES = (
    Mistake(
        "stage 1 gates before it convolves: first carry, then gate",
        stepping(lambda z, x, h, v: convolve(x * z, h)),
        "Which of the two stands outside in x · (h conv z)?",
    ),
    Mistake(
        "right for N = 1, wrong from N = 2: every stage has its own filter",
        one_filter,
        "Which filter does stage 2 use?",
    ),
    Mistake(
        "the last gate was used first",
        stepping(right, lambda gates: gates[::-1]),
        "Which gate stands beside filters[0]?",
    ),
    Mistake(
        "the last filter was used first",
        lambda v, gates, filters: stepping(right)(v, gates, filters[::-1]),
        "Which filter stands beside gates[0]?",
    ),
    Mistake(
        "the last stage came first: both gates and filters were turned round",
        lambda v, gates, filters: stepping(right)(v, gates[::-1], filters[::-1]),
        "Which stage does v meet first?",
    ),
    Mistake(
        "every stage began again from v: hand on what the stage before it made",
        stepping(lambda z, x, h, v: right(v, x, h, v)),
        "What does stage 2 work on?",
    ),
    Mistake(
        "the tail came round to the start: pad the transform to twice the length",
        stepping(lambda z, x, h, v: x * wrapped(z, h)),
        "What does y[0] know of the last input?",
    ),
    Mistake(
        "the filters are convolved, but no gate is applied",
        stepping(lambda z, x, h, v: convolve(z, h)),
        "Where do the gates come in?",
    ),
    Mistake(
        "the gates are applied, but nothing is carried: convolve with the filters",
        stepping(lambda z, x, h, v: x * z),
        "How does anything get from one position to another?",
    ),
    Mistake(
        "a gate multiplies: with a gate of zeros the output must be zero",
        stepping(lambda z, x, h, v: x + convolve(z, h)),
        "What comes out of a closed gate?",
    ),
    Mistake(
        "the filter was multiplied, not convolved: each position met one tap only",
        stepping(lambda z, x, h, v: x * (h * z)),
        "How does anything get from one position to another?",
    ),
    Mistake(
        "Def. 3.1 has no way round a stage: z is replaced, not added to",
        stepping(lambda z, x, h, v: z + right(z, x, h, v)),
        "What comes out of a closed gate?",
    ),
    Mistake(
        "v came back as it was: run the stages",
        lambda v, gates, filters: v,
        "What does one stage do to z?",
    ),
    Mistake(
        "only the first stage was run",
        lambda v, gates, filters: right(v, gates[0], filters[0], v),
        "How often does the loop go round when there are two gates?",
    ),
)


def check_hyena_operator(fn: Function, *, generator: torch.Generator) -> None:
    """Orders 1, 2 and 3 against the loops, small shapes first; then the gradients."""
    long = pick(4, 9, generator)
    sizes = [(1, 1, 1), (1, 1, 2), (1, 1, 3), (1, 2, long)]
    sizes += [(2, 1, 1), (2, 1, 2), (2, 2, long), (3, 1, 2), (3, 2, long)]
    cases = [case for size in sizes for case in stages_case(*size, generator)]
    cases += [gradient_case(order, generator) for order in (1, 2)]
    question = "What does stage 1 make of v, by hand, at positions 0 and 1?"
    examine(fn, cases, OPERATOR_MISTAKES, [leaks_the_future], question)


EXERCISE = Exercise(
    id="06.hyena_operator",
    objective="Write the Hyena recurrence for any order.",
    answer=hyena_operator,
    hints=(
        "What does one stage do to z? And what is z before the first stage?",
        "A loop over zip(gates, filters), in it: z = x * (h convolved with z). "
        "mh.causal_conv(z[None], h)[0] convolves (D, L) with (D, L).",
    ),
    checker=check_hyena_operator,
    points=15,
    minutes=15,
    stars=2,
)
