"""09.windows: inputs and the targets that follow them."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, numbers, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def windows(ids: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """ids: (n,) -> inputs and targets, each (n - length, length).

    Row i starts at position i; its target t is the id that follows its input t.
    """
    rows = ids.unfold(0, length + 1, 1)
    return rows[:, :-1], rows[:, 1:]


def windows_by_loops(ids: Tensor, length: int) -> Tensor:
    text, rows = ids.tolist(), range(len(ids) - length)
    inputs = [[text[i + t] for t in range(length)] for i in rows]
    targets = [[text[i + t + 1] for t in range(length)] for i in rows]
    return torch.tensor([inputs, targets])


def both(value: object) -> Tensor:
    """The learner's pair as one tensor (2, rows, L); Incorrect if it is no pair."""
    pair = list(value) if isinstance(value, tuple | list) else []
    if len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise Incorrect("two tensors belong here: return inputs, targets")
    if pair[0].shape != pair[1].shape:
        shapes = f"{tuple(pair[0].shape)} and {tuple(pair[1].shape)}"
        raise Incorrect(f"inputs and targets have different shapes, {shapes}")
    return torch.stack(pair)


def held_out(fn: Function, failures: Failures) -> str | None:
    """Do ids come back that were never given?"""
    for case, got in failures:
        ids = numbers(case.args[0])
        seen = numbers(got) if isinstance(got, Tensor) else None
        if ids is not None and seen is not None and not torch.isin(seen, ids).all():
            return "a window contains held-out text: ids that were not in the input"
    return None


def unshifted(fn: Function, failures: Failures) -> str | None:
    """Do inputs and targets, (2, rows, L), stand in the wrong relation?"""
    pairs = [got for _, got in failures if isinstance(got, Tensor) and got.dim() == 3]
    if len(pairs) < len(failures):
        return None
    if all(torch.equal(inputs, targets) for inputs, targets in pairs):
        return "targets equal inputs: copying wins"
    if all(torch.equal(y[:, 1:], x[:, :-1]) for x, y in pairs):
        return "target t is the previous character: shift the other way"
    return None


WINDOWS_MISTAKES = (
    Mistake(
        "the last window is missing: its last target is the last id",
        lambda ids, length: windows(ids[:-1], length),
        "At which position does the last window start?",
    ),
    Mistake(
        "the last target wrapped round to the first id",
        lambda ids, length: (
            ids.unfold(0, length, 1),
            ids.roll(-1).unfold(0, length, 1),
        ),
        "What follows the last id?",
    ),
    Mistake(
        "these windows do not overlap: a window starts at every position",
        lambda ids, length: [part[::length] for part in windows(ids, length)],
        "Where does row 1 start?",
    ),
)


def check_windows(fn: Function, *, generator: torch.Generator) -> None:
    """Distinct ids, a view of a longer text whose rest is held out."""
    cases = []
    long = pick(9, 14, generator)
    for n, length in ((4, 2), (5, 2), (7, 3), (long, pick(2, 6, generator))):
        start, rest = (torch.randperm(n, generator=generator) for _ in range(2))
        ids = torch.cat([start, n + rest])[:n]
        given = f"ids = {show(ids)}, length = {length}; then inputs, then targets"
        oracle = windows_by_loops(ids, length)

        def run(fn: Function, ids: Tensor = ids, length: int = length) -> object:
            return both(attempt(fn, ids, length))

        cases.append(Case((ids, length), oracle, given, run))
    question = "Write row 0 by hand: which id should follow its first input?"
    examine(fn, cases, WINDOWS_MISTAKES, (held_out, unshifted), question)


EXERCISE = Exercise(
    id="09.windows",
    objective="Cut a text into inputs and the targets that follow them.",
    answer=windows,
    hints=(
        "In 'hyena', which character should the model say after it has read 'h'?",
        "Take windows of length + 1 with ids.unfold; inputs drop the last id of "
        "each, targets the first.",
    ),
    checker=check_windows,
    points=8,
    minutes=8,
    stars=1,
)
