"""What is asked of every function that draws examples: ids, in pairs, from a stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from minihyena.lessons.comparing import attempt, show
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.probes import check_stream

__all__ = ["Drawn", "check_draws", "drawn"]


@dataclass(frozen=True)
class Drawn:
    """What a learner's function drew: inputs (n, length) and answers (n,)."""

    inputs: Tensor
    answers: Tensor
    given: str

    def wrong(self, sentence: str, row: int, expected: str, question: str) -> Incorrect:
        """A fault that example `row` shows."""
        got = f"{show(self.inputs[row])}, answer {int(self.answers[row])}"
        given = f"{self.given}, example {row}"
        return Incorrect(sentence, given, expected, got, question)

    def unfair(self, sentence: str, expected: str, got: str, question: str) -> None:
        """Raise what only many examples together show."""
        raise Incorrect(sentence, self.given, expected, got, question)


def drawn(
    fn: Function, sizes: Sequence[int], stream: torch.Generator, given: str
) -> Drawn:
    """fn(*sizes, generator=stream) as ids; Incorrect for anything but two tensors."""
    question = "Which two tensors does the docstring promise?"
    try:
        pair = attempt(partial(fn, generator=stream), *sizes)
    except Incorrect as error:
        raise Incorrect(error.misconception, given, question=question) from error
    parts = list(pair) if isinstance(pair, tuple | list) else []
    if len(parts) != 2 or not all(isinstance(part, Tensor) for part in parts):
        kind = type(pair).__name__
        sentence = f"the answer, a {kind}, is not the pair inputs, answers"
        raise Incorrect(sentence, given, question=question)
    for part in parts:
        if part.is_floating_point() or part.dtype == torch.bool:
            sentence = f"ids are whole numbers; these are {part.dtype}"
            raise Incorrect(sentence, given, question=question)
    inputs, answers = parts
    if inputs.dim() != 2 or answers.shape != (sizes[0],):
        found = f"{tuple(inputs.shape)} and {tuple(answers.shape)}"
        raise Incorrect(
            f"the shapes are {found}; wanted are (n, …) and (n,)",
            given,
            question=question,
        )
    return Drawn(inputs, answers, given)


def check_draws(fn: Function, sizes: Sequence[int], seed: int) -> None:
    """Incorrect unless every draw comes from the generator, and moves it on."""

    def draw(stream: torch.Generator) -> Tensor:
        batch = drawn(fn, sizes, stream, f"sizes {tuple(sizes)}")
        return torch.cat([batch.inputs, batch.answers[:, None]], dim=1)

    check_stream(draw, seed)
