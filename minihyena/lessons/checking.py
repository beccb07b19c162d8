"""Try a function on every case, and name what went wrong.

`diagnose` names a known mistake only if that mistake reproduces the learner's output
on every failing case, and is not right there; otherwise it tries properties, and at
last it says plainly which value differs first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minihyena.lessons.comparing import Case, fault, numbers, show
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.probes import GENERAL, Failures, Probe

__all__ = ["Mistake", "diagnose", "examine"]


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer: what to call it, and the question that undoes it."""

    sentence: str
    function: Function
    question: str


def examine(
    fn: Function,
    cases: Sequence[Case],
    mistakes: Sequence[Mistake] = (),
    probes: Sequence[Probe] = (),
    question: str = "",
) -> None:
    """Return None if fn agrees with every case; else raise what `diagnose` says.

    cases come smallest first; question is asked where no known mistake asks its own.
    """
    outcomes = [(case, case.outcome(fn)) for case in cases]
    failures = [(case, got) for case, got in outcomes if _fails(case, got)]
    if failures:
        raise diagnose(fn, failures, mistakes, probes, question)


def diagnose(
    fn: Function,
    failures: Failures,
    mistakes: Sequence[Mistake] = (),
    probes: Sequence[Probe] = (),
    question: str = "",
) -> Incorrect:
    """The best name for these failures, shown on the first, the smallest one."""
    case, got = failures[0]
    for mistake in mistakes:
        if _explains(mistake, failures):
            sentence, question = mistake.sentence, mistake.question
            break
    else:
        question = getattr(got, "question", "") or question
        sentence = (
            _first_said(probes, fn, failures)
            or fault(got, case.expected)
            or _first_said(GENERAL, fn, failures)
            or _first_difference(case, got)
        )
    if isinstance(got, Incorrect):  # there is no value to show
        return Incorrect(sentence, case.given, show(case.expected), question=question)
    at = _where(case, got)
    start = at if at >= 8 else 0
    texts = show(case.expected, start), show(got, start)
    return Incorrect(sentence, case.given, *texts, question)


def _explains(mistake: Mistake, failures: Failures) -> bool:
    """Whether it gives what came out on every failing case, and is wrong itself."""
    wrong = False
    for case, got in failures:
        made = case.outcome(mistake.function)
        if not case.agrees(got, made):
            return False
        wrong = wrong or _fails(case, made)
    return wrong


def _fails(case: Case, got: object) -> bool:
    return bool(fault(got, case.expected)) or not case.agrees(got, case.expected)


def _first_said(probes: Sequence[Probe], fn: Function, failures: Failures) -> str:
    return next(filter(None, (probe(fn, failures) for probe in probes)), "")


def _where(case: Case, got: object) -> int:
    """The flat position of the first value that differs; 0 if there is none."""
    a, b = numbers(got), numbers(case.expected)
    if a is None or b is None:
        return 0
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if not case.agrees(x, y)), 0)


def _first_difference(case: Case, got: object) -> str:
    a, b = numbers(got), numbers(case.expected)
    if a is None or b is None or len(a) != len(b):
        counts = [0 if x is None else len(x) for x in (a, b)]
        return f"the answer has length {counts[0]}, not {counts[1]}"
    i = _where(case, got)
    digits = 4 if f"{a[i]:.4g}" != f"{b[i]:.4g}" else 8  # 8 would show rounding
    values = f"{a[i]:.{digits}g} instead of {b[i]:.{digits}g}"
    if len(a) == 1:
        return f"the value is {values}"
    shape = case.expected.shape if isinstance(case.expected, Tensor) else a.shape
    place = [int(k) for k in torch.unravel_index(torch.tensor(i), shape)]
    return f"value {place} differs first: {values}"
