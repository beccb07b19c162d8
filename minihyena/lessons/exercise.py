"""One record per exercise, and the three outcomes of a check.

A check is a plain function: it returns None (Correct) or raises. Notebooks call
`Exercise.check`, which prints the outcome and never raises; pytest and graders call
`Exercise.verify`, which raises.
"""

import ast
import inspect
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

__all__ = ["Exercise", "Function", "Incorrect", "NotAttempted", "Progress", "progress"]

Function = Callable[..., object]
Outcome = AssertionError | None


class NotAttempted(AssertionError):
    """The stub is untouched."""


class Incorrect(AssertionError):
    """A wrong answer: the misconception, the smallest failing input, one question."""

    def __init__(
        self,
        misconception: str,
        given: str = "",
        expected: str = "",
        got: str = "",
        question: str = "",
    ) -> None:
        super().__init__(misconception, given, expected, got, question)
        self.misconception, self.question = misconception, question
        self.given, self.expected, self.got = given, expected, got

    def __str__(self) -> str:
        facts = {"given": self.given, "expected": self.expected, "got": self.got}
        lines = [f"  {name:<8}  {text}" for name, text in facts.items() if text]
        question = [f"  {self.question}"] if self.question else []
        return "\n".join([self.misconception, *lines, *question])


class Checker(Protocol):
    """Raises NotAttempted or Incorrect, or returns None; draws only from generator."""

    def __call__(self, fn: Function, *, generator: torch.Generator) -> None: ...


@dataclass
class Progress:
    """What a learner has done with one exercise since the kernel started."""

    hints: int = 0
    attempted: bool = False
    outcome: str = "not attempted"


progress: dict[str, Progress] = {}


@dataclass(frozen=True)
class Exercise:
    """An exercise: `answer` is a real, tested function or class; stub and source are
    its text.

    hints: a question first, then a pointer. minutes and stars (1 to 3) are estimates.
    """

    id: str
    objective: str
    answer: Function
    hints: tuple[str, ...]
    checker: Checker
    points: int
    minutes: int
    stars: int

    @property
    def name(self) -> str:
        """The function's name: "running_mean" for the id "00.running_mean"."""
        return self.id.partition(".")[2]

    @property
    def notebook(self) -> str:
        """The two digits of the notebook this exercise belongs to."""
        return self.id.partition(".")[0]

    @property
    def stub(self) -> str:
        """The text of the notebook cell: signature, docstring, NotImplementedError."""
        return _text(self.answer, solved=False)

    @property
    def source(self) -> str:
        """The text of the solution, which is the code that the tests run."""
        return _text(self.answer, solved=True)

    @property
    def progress(self) -> Progress:
        """What the learner has done with it, shared by every use of the record."""
        return progress.setdefault(self.id, Progress())

    def verify(self, fn: object, *, generator: torch.Generator | None = None) -> None:
        """Return None if fn is correct; raise NotAttempted or Incorrect if not.

        The cases come from generator (seed 0 without one); the global random state is
        seeded from it for the duration, so the verdict repeats, and then put back.
        """
        if fn is Ellipsis:
            raise NotAttempted("the dots are still in place of the function")
        if isinstance(fn, Borrowed):
            raise NotAttempted("this is the library's version; run your own def again")
        if not callable(fn):
            raise Incorrect(
                f"the check wants the function itself, not {fn!r:.40}",
                question=f"Are there parentheses? Write ex.check({self.name}).",
            )
        generator = generator or torch.Generator().manual_seed(0)
        with _seeded_world(generator):
            self.checker(fn, generator=generator)

    def check(self, fn: object) -> None:
        """Print the outcome of fn; nothing fn does wrong stops the notebook."""
        outcome = self._outcome(fn)
        if isinstance(fn, Borrowed):
            print(f"○ Not attempted: {outcome}.")
            return
        if isinstance(outcome, NotAttempted):
            print(
                f"○ Not attempted: {self.name} still raises NotImplementedError. "
                "Replace that line; ex.hint() asks a first question."
            )
            return
        self.progress.attempted = True
        if outcome is None:
            print(f"✓ Correct: {self.name} passes every case.")
        else:
            print(f"✗ Incorrect: {outcome}")

    def hint(self) -> None:
        """Print the next hint; the last one stays."""
        shown = min(self.progress.hints + 1, len(self.hints))
        self.progress.hints = shown
        print(f"Hint {shown} of {len(self.hints)}: {self.hints[shown - 1]}")

    def solution(self, force: bool = False) -> None:
        """Print the solution after one real attempt, or with force=True."""
        if self.progress.attempted or force:
            print(self.source)
        else:
            print(
                f"○ The solution of {self.name} opens after one attempt: change the "
                "stub and run ex.check, or call ex.solution(force=True)."
            )

    def or_library(self, fn: Function) -> Function:
        """Return fn if it is Correct, else the library's version; print which."""
        if self._outcome(fn) is None:
            print(f"{self.name}: your function is used from here on.")
            return fn
        reason = self.progress.outcome
        print(f"{self.name}: the library's version is used (yours: {reason}).")
        return Borrowed(self.answer)

    def _outcome(self, fn: object) -> Outcome:
        """verify, its exceptions caught, its word kept for the summary."""
        try:
            self.verify(fn)
        except NotAttempted as outcome:
            if not isinstance(fn, Borrowed):  # that says nothing of the learner's own
                self.progress.outcome = "not attempted"
            return outcome
        except Incorrect as outcome:
            self.progress.outcome = "incorrect"
            return outcome
        except Exception as error:  # an answer so odd that the check itself fell over
            self.progress.outcome = "incorrect"
            reason = f"{type(error).__name__}: {error}"
            return Incorrect(f"the check itself stopped on this answer ({reason})")
        self.progress.outcome = "correct"
        return None


@dataclass(frozen=True)
class Borrowed:
    """The library's version in a learner's hands: checked again, it is no attempt."""

    answer: Function

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.answer(*args, **options)


def _text(answer: Function, solved: bool) -> str:
    """The source without types: all of it, or NotImplementedError for every body.

    answer: a function, or a class, of which every method is a part to be written.
    """
    text = re.sub(r"  # type: ignore.*", "", inspect.getsource(answer))  # not for them
    lines, node = text.splitlines(), ast.parse(text).body[0]
    if isinstance(node, ast.FunctionDef):
        return _function(lines, node, solved)
    assert isinstance(node, ast.ClassDef)
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    head = "\n".join(lines[: methods[0].lineno - 1])
    parts = (_function(lines, method, solved) for method in methods)
    return head + "\n" + "\n\n".join(parts)


def _function(lines: list[str], node: ast.FunctionDef, solved: bool) -> str:
    """Signature and docstring, if there is one, and the body or what stands for it."""
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    indent, first = " " * node.col_offset, node.body[0]
    start = first.lineno - 1
    head = [f"{indent}def {node.name}({ast.unparse(node.args)}):"]
    if ast.get_docstring(node) is not None:
        head += lines[start : first.end_lineno]
        start = first.end_lineno or start
    body = lines[start : node.end_lineno]
    if not solved:
        body = [f"{indent}    raise NotImplementedError"]
    return "\n".join(head + body)


@contextmanager
def _seeded_world(generator: torch.Generator) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python; put them back after."""
    saved = torch.get_rng_state(), np.random.get_state(), random.getstate()
    seed = int(torch.randint(2**31, (), generator=generator))
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(saved[0])
        np.random.set_state(saved[1])
        random.setstate(saved[2])
