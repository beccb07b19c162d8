"""Properties that explain a wrong answer when no known mistake reproduces it.

A probe reads every failing case and returns a sentence that is true of them, or None.
"""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from minihyena.lessons.comparing import Case, attempt, close, numbers, show
from minihyena.lessons.exercise import Function, Incorrect

__all__ = [
    "GENERAL",
    "Failures",
    "Probe",
    "check_stream",
    "leaks_the_future",
    "looks_ahead",
    "not_linear",
]

Failures = list[tuple[Case, object]]  # smallest first, each with what came out
Probe = Callable[[Function, Failures], str | None]
NEAR = 1e-5


def looks_ahead(signals: int) -> Probe:
    """Does a later step of one of the first `signals` arguments move an output before?

    Those arguments and the output are (..., L); the others stay as they are.
    """

    def probe(fn: Function, failures: Failures) -> str | None:
        for failure, which in product(failures, range(signals)):
            found = _signal_and_output(*failure, which)
            if found is None:
                continue
            u, y = found
            for s in range(u.shape[-1] - 1, 0, -1):
                changed = u.clone()
                changed[..., s] += 1
                after = _with_argument(fn, failure[0], which, changed)
                moved = [] if after is None else _moved(y, after)
                if moved and moved[0] < s:
                    said = f"y[{moved[0]}] moved when only input {s} changed"
                    if failure is not failures[0]:
                        said += f" (of {u.shape[-1]} steps)"
                    return f"{said}: it sees the future"
        return None

    return probe


leaks_the_future = looks_ahead(1)


def not_linear(fn: Function, failures: Failures) -> str | None:
    """For u (..., L) -> (..., L): does a doubled input double the output?"""
    for case, got in failures:
        found = _signal_and_output(case, got)
        if found is None:
            continue
        u, y = found
        doubled = _with_argument(fn, case, 0, 2 * u)
        if doubled is not None and not close(doubled, 2 * y, NEAR):
            return "twice the input does not give twice the output: not linear"
    return None


def all_zero(fn: Function, failures: Failures) -> str | None:
    """Nothing but zeros on every failing case."""
    pair = _together(failures)
    return "every value is zero" if pair and not pair[0].any() else None


def scaled(fn: Function, failures: Failures) -> str | None:
    """One factor, or one offset, between all that came out and all that should."""
    pair = _together(failures)
    if pair is None or len(pair[0]) < 2 or not pair[0].isfinite().all():
        return None
    got, expected = pair
    largest = expected.abs().argmax()
    factor, offset = got[largest] / expected[largest], got[0] - expected[0]
    if close(got, factor * expected, NEAR) and abs(factor - 1) < NEAR:
        return "right to five digits only: did float64 become float32 on the way?"
    if close(got, factor * expected, NEAR):
        return f"every value is {factor:.4g} times the right one: a constant factor"
    if close(got, expected + offset, NEAR):
        return f"every value is off by the same amount, {offset:+.4g}"
    return None


def shifted(fn: Function, failures: Failures) -> str | None:
    """The right values along the last axis, one step late or one step early."""
    pairs = [
        (got, case.expected)
        for case, got in failures
        if isinstance(got, Tensor) and isinstance(case.expected, Tensor)
        if got.dim() and got.shape[-1] > 2
    ]
    if pairs and all(close(y[..., 1:], x[..., :-1], NEAR) for y, x in pairs):
        return "these are the right values one step late: shifted by one"
    if pairs and all(close(y[..., :-1], x[..., 1:], NEAR) for y, x in pairs):
        return "these are the right values one step early: shifted by one"
    return None


GENERAL: tuple[Probe, ...] = (all_zero, scaled, shifted)


def check_stream(draw: Callable[[torch.Generator], object], seed: int) -> None:
    """Raise Incorrect unless draw(generator) is a stream from that generator only."""

    def fail(sentence: str, one: object, two: object, question: str) -> Incorrect:
        given = f"generators with seed {seed}"
        got = " and ".join(show(x, count=4) for x in (one, two))
        return Incorrect(sentence, given, got=got, question=question)

    def seeded(number: int) -> torch.Generator:
        return torch.Generator().manual_seed(number)

    stream, world = seeded(seed), torch.get_rng_state()
    first = draw(stream)
    again = draw(seeded(seed))
    if not close(first, again, 0):
        sentence = "two generators with equal seeds gave different numbers"
        raise fail(sentence, first, again, "Which generator do your numbers come from?")
    if not torch.equal(world, torch.get_rng_state()):
        sentence = "the global random state changed: only the generator may move"
        raise fail(sentence, first, again, "Who else draws from the global state?")
    second = draw(stream)
    if close(first, second, 0):
        sentence = "two draws from one generator were identical: a stream must move on"
        raise fail(sentence, first, second, "What does seeding do to a stream?")
    other = draw(seeded(seed + 1))
    if close(first, other, 0):
        sentence = "generators with different seeds gave the same numbers"
        raise fail(sentence, first, other, "Where does the seed enter?")


def _signal_and_output(
    case: Case, got: object, which: int = 0
) -> tuple[Tensor, Tensor] | None:
    """This argument and what came out, both (..., L > 1) and finite; else None."""
    u = case.args[which]
    if not isinstance(u, Tensor) or not isinstance(got, Tensor):
        return None
    fits = u.dim() and u.shape == got.shape and u.shape[-1] > 1
    return (u, got) if fits and got.isfinite().all() else None


def _with_argument(fn: Function, case: Case, which: int, u: Tensor) -> Tensor | None:
    """fn of the case with u for one argument, where that is a tensor like u."""
    try:
        y = attempt(fn, *case.args[:which], u, *case.args[which + 1 :])
    except Incorrect:
        return None
    return y if isinstance(y, Tensor) and y.shape == u.shape else None


def _moved(before: Tensor, after: Tensor) -> list[int]:
    """The positions along the last axis where two signals differ.

    By more than rounding: an FFT lets every input touch every output's last digits.
    """
    one, other = before.detach().double(), after.detach().double()
    noise = NEAR * max(1.0, float(one.abs().max()), float(other.abs().max()))
    differs = ((one - other).abs() > noise).reshape(-1, one.shape[-1]).any(0)
    return [int(t) for t in differs.nonzero()]


def _together(failures: Failures) -> tuple[Tensor, Tensor] | None:
    """All the numbers got, all expected; None where some cannot be compared."""
    pairs = [(numbers(got), numbers(case.expected)) for case, got in failures]
    sound = [(g, e) for g, e in pairs if g is not None and e is not None]
    if len(sound) < len(pairs) or any(g.shape != e.shape for g, e in sound):
        return None
    return torch.cat([g for g, _ in sound]), torch.cat([e for _, e in sound])
