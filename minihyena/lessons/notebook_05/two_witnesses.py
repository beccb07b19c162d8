"""05.two_witnesses: two inputs that prove that no filter can do a task."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.comparing import attempt, close, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE", "LENGTH"]

LENGTH = 8
Task = Callable[[Tensor], Tensor]


def two_witnesses(task: Task) -> tuple[Tensor, Tensor]:
    """Two inputs u1, u2 of shape (8, 2) with task(u1 + u2) != task(u1) + task(u2).

    Column 0 of an input says where markers stand (1, else 0), column 1 holds a value
    for each token. task: (8, 2) -> (8,) puts out the value of the token that follows
    a marker, at its own place, and 0 everywhere else.
    """
    u1, u2 = torch.zeros(8, 2), torch.zeros(8, 2)
    u1[0, 0] = 1
    u2[1, 1] = 1
    return u1, u2


def after_marker(u: Tensor, gain: float) -> Tensor:
    """The task by its rule: a value counts if the token before it is a marker."""
    y = torch.zeros(LENGTH, dtype=torch.float64)
    for t in range(1, LENGTH):
        if u[t - 1, 0] > 0.5:
            y[t] = gain * float(u[t, 1])
    return y


def by_product(u: Tensor, gain: float) -> Tensor:
    """The same task for markers 0 and 1, but one that hears how strong a marker is."""
    y = torch.zeros(LENGTH, dtype=torch.float64)
    for t in range(1, LENGTH):
        y[t] = gain * float(u[t - 1, 0]) * float(u[t, 1])
    return y


def witnesses(fn: Function, task: Task, given: str) -> tuple[Tensor, Tensor]:
    """The learner's two inputs (8, 2) in float64; Incorrect for anything else."""
    question = "Which shape has an input of 8 tokens with two numbers each?"
    try:
        pair = attempt(fn, task)
    except Incorrect as error:
        raise Incorrect(error.misconception, given, question=question) from error
    parts = list(pair) if isinstance(pair, tuple | list) else []
    if len(parts) != 2 or not all(isinstance(part, Tensor) for part in parts):
        sentence = "two tensors belong here, u1 and u2"
        got = f"{type(pair).__name__} of {len(parts)}" if parts else type(pair).__name__
        raise Incorrect(sentence, given, got=got, question=question)
    for part in parts:
        if part.shape != (LENGTH, 2):
            sentence = f"the shape is {tuple(part.shape)}; an input is {(LENGTH, 2)}"
            raise Incorrect(sentence, given, question=question)
        if not part.double().isfinite().all():
            sentence = "a witness holds a NaN or an infinity: plain numbers will do"
            raise Incorrect(sentence, given, question=question)
    return parts[0].double(), parts[1].double()


def meet(u1: Tensor, u2: Tensor) -> bool:
    """Does a marker of one stand just before a value of the other?"""
    pairs = ((u1, u2), (u2, u1))
    return any(bool((a[:-1, 0] * b[1:, 1]).any()) for a, b in pairs)


def why_not(u1: Tensor, u2: Tensor, alone: list[Tensor]) -> tuple[str, str]:
    """What is wrong with two inputs that witness nothing, and a question."""
    if not u1.any() or not u2.any():
        return (
            "anything plus silence proves nothing: one of the two is all zeros",
            "What is task(u) + task(0), and what is task(u + 0)?",
        )
    if not u1[:, 0].any() and not u2[:, 0].any():
        return (
            "no marker in either: both answers are zero, so is their sum",
            "Which of the two tells the task that something is worth copying?",
        )
    if not u1[:, 1].any() and not u2[:, 1].any():
        return (
            "no value in either: there are markers, and nothing to copy",
            "What should come out after the marker?",
        )
    if torch.equal(u1, u2):
        return (
            "one input twice: this task only looks whether a marker is there",
            "What if one of them held the marker, and the other the value?",
        )
    if not all(bool(((u == 0) | (u == 1)).all()) for u in (u1[:, 0], u2[:, 0])):
        return (
            "a marker is there or not, 1 or 0: column 0 holds another number",
            "Which of the two columns is for markers, and which for values?",
        )
    if meet(u1, u2):
        return (
            "both have a marker at the same place: the value after it is heard anyway",
            "What if only one of them held the marker?",
        )
    if alone[0].any() and alone[1].any():
        return (
            "the two parts never interact: put the marker of one before the value "
            "of the other",
            "What does the marker of u1 meet when u2 is laid over it?",
        )
    return (
        "no marker stands just before a value of the other input",
        "At which place must the value stand, if the marker is at place 0?",
    )


def check_two_witnesses(fn: Function, *, generator: torch.Generator) -> None:
    """The property itself, on two tasks that agree wherever markers are 0 or 1."""
    gain = pick(2, 9, generator) / 2
    words = {
        after_marker: "a task that copies each value after a marker",
        by_product: "a task that multiplies marker and next value",
    }
    for rule, said in words.items():

        def task(u: Tensor, rule: Callable[[Tensor, float], Tensor] = rule) -> Tensor:
            if not isinstance(u, Tensor) or u.shape != (LENGTH, 2):
                raise ValueError(f"the task wants a tensor of shape {(LENGTH, 2)}")
            return rule(u, gain).to(u.dtype if u.is_floating_point() else torch.float32)

        given = f"{said}, times {gain:g}"
        u1, u2 = witnesses(fn, task, given)
        alone, both = [rule(u, gain) for u in (u1, u2)], rule(u1 + u2, gain)
        if close(both, alone[0] + alone[1], 1e-6):
            sentence, question = why_not(u1, u2, alone)
            raise Incorrect(
                sentence,
                f"{given}; task(u1 + u2) against task(u1) + task(u2)",
                "two different answers",
                f"{show(both)} both times",
                question,
            )


EXERCISE = Exercise(
    id="05.two_witnesses",
    objective="Prove with two inputs that no fixed filter can do a task.",
    answer=two_witnesses,
    hints=(
        "If each input on its own gives nothing but zeros, what must a filter make "
        "of their sum?",
        "Give one input a marker and no value, the other a value and no marker; let "
        "the value stand just after the marker.",
    ),
    checker=check_two_witnesses,
    points=10,
    minutes=10,
    stars=2,
)
