"""11.Recurrent: a filter made of exponentials needs no past, only a few numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_11.stepping import (
    after_steps,
    by_steps,
    check_separate,
    remembered,
)

__all__ = ["EXERCISE", "draw_modes", "modes_by_loops"]


class Recurrent:
    """The filter h_t = Re sum_j residues[:, j] poles[:, j]^t, one step at a time.

    poles, residues: (D, S) complex. It remembers S numbers a channel, and no input.
    """

    def __init__(self, poles: Tensor, residues: Tensor) -> None:
        self.poles, self.residues = poles, residues
        self.state = torch.zeros_like(poles)

    def step(self, u_t: Tensor) -> Tensor:
        """u_t: (D,) real -> y_t: (D,) real."""
        self.state = self.poles * self.state + u_t[:, None]
        return (self.residues * self.state).sum(1).real


def modes_by_loops(poles: Tensor, residues: Tensor, length: int) -> Tensor:
    """(D, S), (D, S) -> (D, length) in float64: the sum as it is written."""
    rows = zip(poles.tolist(), residues.tolist(), strict=True)
    h = [
        [sum((r * p**t).real for p, r in zip(*row, strict=True)) for t in range(length)]
        for row in rows
    ]
    return torch.tensor(h, dtype=torch.float64)


def outputs_by_loops(poles: Tensor, residues: Tensor, u: Tensor) -> Tensor:
    h, y = modes_by_loops(poles, residues, u.shape[1]), torch.zeros_like(u).double()
    for t in range(u.shape[1]):
        for s in range(t + 1):
            y[:, t] += h[:, t - s] * u[:, s].double()
    return y.to(u.dtype)


def draw_modes(width: int, order: int, generator: torch.Generator) -> list[Tensor]:
    """Poles and residues (D, S) in complex128, short to print; poles well apart."""
    size = torch.rand(width, order, generator=generator) * 0.3 + 0.6
    angle = 0.3 + 2.4 * (torch.arange(order) + 0.5) / order
    angle = angle + 0.2 * torch.rand(width, order, generator=generator) / order
    parts = torch.randn(2, width, order, generator=generator)
    found = torch.polar(size, angle), torch.complex(*parts)
    return [torch.view_as_complex(_rounded(x)) for x in found]


def _rounded(x: Tensor) -> Tensor:
    return (torch.view_as_real(x).double() * 10).round() / 10 + 0.05


Update = Callable[[Tensor, Tensor, Tensor], Tensor]  # poles, state, u_t -> state
Read = Callable[[Tensor, Tensor], Tensor]  # residues, state -> y_t


def right_update(poles: Tensor, state: Tensor, u_t: Tensor) -> Tensor:
    return poles * state + u_t


def right_read(residues: Tensor, state: Tensor) -> Tensor:
    return (residues * state).sum(1).real


def unit_that(
    update: Update = right_update, read: Read = right_read, *, early: bool = False
) -> Function:
    """The recurrence with one of its parts exchanged; early: read before the update."""

    class Unit:
        def __init__(self, poles: Tensor, residues: Tensor) -> None:
            self.poles, self.residues = poles, residues
            self.state = torch.zeros_like(poles)

        def step(self, u_t: Tensor) -> Tensor:
            before = read(self.residues, self.state)
            self.state = update(self.poles, self.state, u_t[:, None])
            return before if early else read(self.residues, self.state)

    return Unit


ORDER = "With u = [1, 0, 0], one mode and residue 1: what are the outputs?"
PART = "What is Re (R x), written with the real and imaginary parts of both?"
UNIT_MISTAKES = (
    Mistake(
        "output delayed by one: update the state first, then read it",
        unit_that(early=True),
        ORDER,
    ),
    Mistake(
        "h[0] came out as Re Σ Rλ: the new input decays only from the next step on",
        unit_that(lambda poles, state, u: poles * (state + u)),
        ORDER,
    ),
    Mistake(
        "the state must stay complex; take the real part of the output only",
        unit_that(lambda poles, state, u: (poles * state + u).real + 0j),
        "What does a pole do to a number, when the pole has an angle?",
    ),
    Mistake(
        "real part times real part: the product of the imaginary parts is missing",
        unit_that(read=lambda residues, state: (residues.real * state.real).sum(1)),
        PART,
    ),
    Mistake(
        "the size was taken, not the real part: every output is positive",
        unit_that(read=lambda residues, state: (residues * state).sum(1).abs()),
        "What is the size of -2 + 0i, and what its real part?",
    ),
    Mistake(
        "the residues are not used",
        unit_that(read=lambda residues, state: state.sum(1).real),
        "How loud is each mode?",
    ),
    Mistake(
        "the mean over the modes was taken: the modes are added",
        unit_that(read=lambda residues, state: (residues * state).mean(1).real),
        "What comes out if one mode has the residue 0?",
    ),
    Mistake(
        "nothing decays: the state adds up all inputs, the poles are not used",
        unit_that(lambda poles, state, u: state + u),
        "What should be left of an input one step later?",
    ),
    Mistake(
        "the state holds the newest input only: what was there before is gone",
        unit_that(lambda poles, state, u: u + 0 * state),
        "What should be left of an input one step later?",
    ),
    Mistake(
        "the poles turn the wrong way: they were conjugated, and the residues not",
        unit_that(lambda poles, state, u: poles.conj() * state + u),
        "Which way does R λ^t turn, if λ = i?",
    ),
)


def check_memory(make: Function, modes: list[Tensor]) -> None:
    """Incorrect if more is remembered after more steps."""
    unit = attempt(make, *modes)
    sizes = []
    for _ in range(2):
        after_steps(unit, torch.ones(len(modes[0]), 20, dtype=torch.float64))
        sizes.append(remembered(unit))
    if sizes[1] > sizes[0]:
        raise Incorrect(
            "the right outputs, from a memory that grows: all inputs are kept",
            "20 steps, and 20 more",
            f"as many numbers as before, {sizes[0]}",
            f"{sizes[1]}",
            "What of the past does the state hold already?",
        )


def check_recurrent(fn: Function, *, generator: torch.Generator) -> None:
    """One mode and several, channels, both precisions; then separation and memory."""
    modes = draw_modes(2, 3, generator)
    check_separate(fn, tuple(modes), torch.ones(2, dtype=torch.float64))
    cases = []
    for width, order, steps in (
        (1, 1, 2),
        (1, 1, 3),
        (1, 2, 4),
        (2, pick(3, 5, generator), 9),
    ):
        poles, residues = draw_modes(width, order, generator)
        u = torch.randn(width, steps, generator=generator).double()
        u = (u * 10).round() / 10 + 0.05
        for dtype in (torch.complex64, torch.complex128):
            made_of = poles.to(dtype), residues.to(dtype)
            signal = u.to(dtype.to_real())

            def run(
                fn: Function,
                made_of: tuple[Tensor, Tensor] = made_of,
                signal: Tensor = signal,
            ) -> object:
                return by_steps(fn, made_of, signal)

            given = f"u = {show(signal)}; for channel 0 pole {poles[0, 0]:.2f}, "
            given += f"residue {residues[0, 0]:.2f}, and {order - 1} more"
            expected = outputs_by_loops(*made_of, signal)
            cases.append(Case((*made_of, signal), expected, given, run))
    examine(fn, cases, UNIT_MISTAKES, question=ORDER)
    check_memory(fn, modes)


EXERCISE = Exercise(
    id="11.Recurrent",
    objective="Step a sum of exponentials from a memory that does not grow.",
    answer=Recurrent,
    hints=(
        "If the filter is λ^t, then y_t = u_t + λ u_(t-1) + λ² u_(t-2) + ... How do "
        "you get y_t from y_(t-1) and u_t?",
        "The state starts as zeros like the poles. A step makes it poles * state + "
        "u_t[:, None]; then residues * state, summed over the modes, the real part.",
    ),
    checker=check_recurrent,
    points=12,
    minutes=12,
    stars=2,
)
