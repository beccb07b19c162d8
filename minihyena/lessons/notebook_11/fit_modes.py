"""11.fit_modes: how loud, and turned how far, each of some given exponentials is."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_11.recurrent import draw_modes, modes_by_loops

__all__ = ["EXERCISE"]


def fit_modes(h: Tensor, poles: Tensor) -> Tensor:
    """h: (D, L) real, poles: (D, S) complex -> residues: (D, S) complex.

    Those with which Re sum_j residues[:, j] poles[:, j]^t comes nearest to h[:, t]: the
    squares of what is left over, t = 0 ... L - 1, add up to the least.
    """
    t = torch.arange(h.shape[1])
    powers = poles[:, None] ** t[:, None]
    columns = torch.cat([powers.real, -powers.imag], dim=2)
    found = torch.linalg.lstsq(columns, h[:, :, None]).solution[:, :, 0]
    return torch.complex(*found.chunk(2, dim=1))


def nearest_by_loops(h: Tensor, poles: Tensor) -> Tensor:
    """(D, L) in float64: h less what is at right angles to all that the poles make."""
    rows = []
    for target, own in zip(h.double(), poles.tolist(), strict=True):
        left = target.clone()
        directions: list[Tensor] = []
        for part in (1, 1j):
            for pole in own:
                powers = [(part * pole**t).real for t in range(len(target))]
                new = torch.tensor(powers, dtype=torch.float64)
                for _ in range(2):  # once more, for what rounding left
                    for old in directions:
                        new = new - (new @ old) * old
                directions.append(new / new.norm())
                left = left - (left @ directions[-1]) * directions[-1]
        rows.append(target - left)
    return torch.stack(rows)


Fit = Callable[[Tensor, Tensor], Tensor]  # powers (D, L, S), h (D, L) -> residues


def right_fit(powers: Tensor, h: Tensor) -> Tensor:
    columns = torch.cat([powers.real, -powers.imag], 2)
    return torch.complex(*solved(columns, h).chunk(2, 1))


def solved(columns: Tensor, h: Tensor) -> Tensor:
    x: Tensor = torch.linalg.lstsq(columns, h[:, :, None].to(columns.dtype)).solution
    return x[:, :, 0]


def fit_that(fit: Fit = right_fit, start: int = 0) -> Function:
    """Residues from powers that begin at `start`, by another fit."""

    def residues(h: Tensor, poles: Tensor) -> Tensor:
        t = torch.arange(start, start + h.shape[1])
        return fit(poles[:, None] ** t[:, None], h)

    return residues


PHASE = "What is Re (R λ^t), written with the real and imaginary parts of both?"
FIT_MISTAKES = (
    Mistake(
        "a sum of decaying cosines has no phase: the imaginary parts belong to it, too",
        fit_that(lambda powers, h: solved(powers.real, h) + 0j),
        PHASE,
    ),
    Mistake(
        "residues are off by a factor λ: the powers begin at λ^0 = 1",
        fit_that(start=1),
        "What is the filter at t = 0?",
    ),
    Mistake(
        "signs are lost: the filter is fitted as it is, not its size",
        fit_that(lambda powers, h: right_fit(powers, h.abs())),
        "Which filter did you ask the modes to make?",
    ),
    Mistake(
        "the sum was asked to be real by itself: only its real part has to be h",
        fit_that(lambda powers, h: solved(powers, h)),
        "Of R λ^t, which part is used, and which may be anything?",
    ),
    Mistake(
        "the residues are conjugated: Re (R λ^t) has a minus before both imaginary "
        "parts",
        fit_that(lambda powers, h: right_fit(powers, h).conj()),
        PHASE,
    ),
    Mistake(
        "each mode was fitted as if it were alone: they overlap, so fit all at once",
        fit_that(
            lambda powers, h: torch.cat(
                [right_fit(powers[:, :, j : j + 1], h) for j in range(powers.shape[2])],
                1,
            )
        ),
        "What does the second mode have to explain, if the first is there already?",
    ),
    Mistake(
        "only as many values of h as there are unknowns were used; all of them count",
        fit_that(
            lambda powers, h: right_fit(
                powers[:, : 2 * powers.shape[2]], h[:, : 2 * powers.shape[2]]
            )
        ),
        "What is left over at the other steps?",
    ),
    Mistake(
        "every mode got the residue 1: how loud each one is has to be found",
        fit_that(lambda powers, h: torch.ones_like(powers[:, 0])),
        "What should the sum be at t = 0?",
    ),
)


def check_fit_modes(fn: Function, *, generator: torch.Generator) -> None:
    """Filters that the modes can make and that they cannot, in both precisions."""
    cases = []
    for width, order, length, made in (
        (1, 1, 4, True),
        (1, 1, 5, False),
        (1, 2, 9, False),
        (2, pick(2, 4, generator), 20, True),
        (2, pick(2, 4, generator), 20, False),
    ):
        poles, residues = draw_modes(width, order, generator)
        h = modes_by_loops(poles, residues, length)
        if not made:
            h = h + torch.randn(h.shape, generator=generator)
        h = h.float().double() if made else (h * 10).round() / 10 + 0.05
        for dtype in (torch.float32, torch.float64):
            args = h.to(dtype), poles.to(dtype.to_complex())

            def run(fn: Function, args: tuple[Tensor, Tensor] = args) -> object:
                return made_by(attempt(fn, *args), args[1], args[0].shape[1])

            given = (
                f"h = {show(h)}, poles {[f'{p:.2f}' for p in poles[0, :3].tolist()]}"
            )
            given += f"; h {tuple(h.shape)}; shown is the filter the residues make"
            expected = nearest_by_loops(*args)
            precise = 1e-4 if dtype == torch.float32 else 1e-8
            cases.append(Case(args, expected, given, run, precise))
    question = "How many unknown real numbers are there, and how many equations?"
    examine(fn, cases, FIT_MISTAKES, question=question)


def made_by(residues: object, poles: Tensor, length: int) -> Tensor:
    """The filter of these residues (D, S); Incorrect for what are none."""
    if not isinstance(residues, Tensor):
        raise Incorrect(f"the answer is of type {type(residues).__name__}, not Tensor")
    if residues.shape != poles.shape:
        shapes = f"{tuple(residues.shape)}, not {tuple(poles.shape)}"
        raise Incorrect(f"the shape is {shapes}")
    if residues.dtype != poles.dtype:
        raise Incorrect(f"the dtype is {residues.dtype}, not {poles.dtype}")
    return modes_by_loops(poles, residues, length)


EXERCISE = Exercise(
    id="11.fit_modes",
    objective="Fit a filter by exponentials whose poles are given.",
    answer=fit_modes,
    hints=(
        "Write R = a + ib and λ^t = c + is. Which two known numbers do the unknown a "
        "and b get multiplied by in the real part?",
        "For every t one equation: sum of a_j Re λ_j^t - b_j Im λ_j^t = h_t. Stack "
        "the columns Re λ^t and -Im λ^t, (D, L, 2S), and let torch.linalg.lstsq find "
        "a and b; its .solution has the shape (D, 2S, 1).",
    ),
    checker=check_fit_modes,
    points=12,
    minutes=12,
    stars=2,
)
