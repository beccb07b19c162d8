"""00.moved_outputs: which outputs one input moves."""

from collections.abc import Callable, Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]

Mixer = Callable[[Tensor], Tensor]


def moved_outputs(mixer: Mixer, t: int, length: int) -> list[int]:
    """mixer: (L,) -> (L,); the list of the outputs that change when input t changes."""
    before = torch.zeros(length)
    after = before.clone()
    after[t] += 1
    moved = (mixer(after) - mixer(before)).abs() > 1e-6
    return [i for i in range(length) if moved[i]]


def affine(matrix: Tensor, offset: float) -> Mixer:
    """The mixer u -> matrix u + offset, for u (L,) of any dtype."""
    return lambda u: torch.as_tensor(u).double() @ matrix.T + offset


def moved_case(what: str, matrix: Tensor, offset: float, t: int) -> Case:
    length = len(matrix)
    moved = [i for i in range(length) if matrix[i, t] != 0]
    args = (affine(matrix, offset), t, length)
    given = f"a mixer that {what}, length {length}, input t = {t}"
    return Case(args, moved, given, lambda fn: indices(attempt(fn, *args)))


def indices(value: object) -> list[int]:
    """Indices in any common container as a sorted list; Incorrect for others."""
    if isinstance(value, Tensor):
        value = value.flatten().tolist()
    items: list[Any] = list(value) if isinstance(value, Iterable) else [value]
    if items and all(isinstance(item, bool) for item in items):
        raise Incorrect(
            "these are yes or no for each output; return the indices of yes"
        )
    try:
        return sorted(index(item) for item in items)
    except TypeError:
        kind = type(value).__name__
        raise Incorrect(f"the answer, a {kind}, does not hold whole numbers") from None


def same_tensor(mixer: Mixer, t: int, length: int) -> object:
    before = after = torch.zeros(length)
    after[t] += 1
    return (mixer(after) != mixer(before)).nonzero()


MOVED_MISTAKES = (
    Mistake(
        "this mixer adds 1 everywhere; compare with and without the change",
        lambda mixer, t, length: mixer(torch.eye(length)[t]).nonzero(),
        "What comes out when nothing goes in?",
    ),
    Mistake(
        "this mixer reverses the sequence; measure, do not assume",
        lambda mixer, t, length: range(t, length),
        "Does a mixer have to be causal?",
    ),
    Mistake(
        "mixers move information: later outputs changed too",
        lambda mixer, t, length: [t],
        "Which outputs read input t?",
    ),
    Mistake(
        "every output is listed; only those that change with input t count",
        lambda mixer, t, length: range(length),
        "Which outputs stay the same?",
    ),
    Mistake(
        "nothing ever moves: before and after may be one tensor under two names",
        same_tensor,
        "How do you copy a tensor before you change it?",
    ),
)


def check_moved_outputs(fn: Function, *, generator: torch.Generator) -> None:
    """Averages, reversals, offsets and delays, small ones first."""
    cases = []
    for length in (2, 3, pick(4, 9, generator), pick(6, 12, generator)):
        t, k = pick(0, length - 2, generator), pick(1, length - 1, generator)
        eye = torch.eye(length, dtype=torch.float64)
        average = eye.cumsum(0) / torch.arange(1, length + 1)[:, None]
        delay = torch.cat([torch.zeros_like(eye[:k]), eye[:-k]])
        cases += [
            moved_case("averages the inputs so far", average, 0, t),
            moved_case("reverses the sequence", eye.flip(0), 0, t),
            moved_case("adds 1 everywhere", eye, 1, t),
            moved_case(f"delays by {k}", delay, 0, t),
        ]
    question = "Which outputs differ with and without the change?"
    examine(fn, cases, MOVED_MISTAKES, question=question)


EXERCISE = Exercise(
    id="00.moved_outputs",
    objective="Measure which outputs of a mixer depend on one input.",
    answer=moved_outputs,
    hints=(
        "How would you find out which lamps one switch controls?",
        "Run the mixer twice, on a tensor and on a clone with entry t changed; "
        "list where the two outputs differ.",
    ),
    checker=check_moved_outputs,
    points=5,
    minutes=5,
    stars=1,
)
