"""Run a learner's function on a case, and compare what comes out with the oracle."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minihyena.lessons.exercise import Function, Incorrect, NotAttempted

__all__ = [
    "Case",
    "attempt",
    "close",
    "fault",
    "in_both_precisions",
    "numbers",
    "pick",
    "short",
    "show",
    "truth",
]

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}  # whole numbers: exact


@dataclass(frozen=True)
class Case:
    """One input in words, the oracle's answer, and how to run a function on it."""

    args: tuple[object, ...]
    expected: Tensor | float | int | list[int]
    given: str
    run: Callable[[Function], object] | None = None  # default: attempt(fn, *args)
    tolerance: float | None = None  # default: by the type of expected

    def outcome(self, fn: Function) -> object:
        """What fn gives here; a fault of its own comes back as the Incorrect."""
        try:
            return self.run(fn) if self.run else attempt(fn, *self.args)
        except Incorrect as error:
            return error

    def agrees(self, one: object, other: object) -> bool:
        """Whether two outcomes are the same within the tolerance of this case."""
        if isinstance(one, Incorrect) and isinstance(other, Incorrect):
            return str(one) == str(other)
        if self.tolerance is not None:
            return close(one, other, self.tolerance)
        if isinstance(self.expected, Tensor):
            return close(one, other, TOLERANCE.get(self.expected.dtype, 0))
        return close(one, other, 1e-5 if isinstance(self.expected, float) else 0)


def in_both_precisions(
    oracle: Callable[..., Any],
    args: tuple[object, ...],
    given: str,
    tolerance: float | None = None,
) -> list[Case]:
    """One draw as two cases: every tensor in args as float32, and as float64."""
    cases = []
    for dtype in (torch.float32, torch.float64):
        cast = tuple(_cast(value, dtype) for value in args)
        cases.append(Case(cast, oracle(*cast), given, tolerance=tolerance))
    return cases


def attempt(fn: Function, *args: object) -> object:
    """fn(*copies of args), with every way of not answering turned into an outcome.

    Raises NotAttempted for a bare NotImplementedError or a returned Ellipsis, and
    Incorrect for a crash, for None and for an argument changed in place.
    """
    mine = copy.deepcopy(args)
    given = [*_tensors(mine)]
    try:
        value = fn(*mine)
    except Exception as error:
        text = str(error)
        if isinstance(error, NotImplementedError) and not text:  # torch's have a text
            raise NotAttempted("the stub is untouched") from None
        reason = f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
        raise Incorrect(f"your function stopped with {reason:.150}") from error
    if value is Ellipsis:
        raise NotAttempted("the dots are still in place of the answer")
    if value is None:
        raise Incorrect("your function returned None: is the return missing?")
    if not all(map(torch.equal, _tensors(args), given)):
        raise Incorrect("your function changed its input in place: work on a copy")
    return value


def fault(got: object, expected: object) -> str | None:
    """Why got cannot be compared with expected number by number, or None."""
    if isinstance(got, Incorrect):
        return got.misconception
    number = isinstance(got, int | float) and not isinstance(got, bool)
    fits = {
        Tensor: isinstance(got, Tensor),
        int: number and isinstance(got, int),
        float: number or (isinstance(got, Tensor) and got.dim() == 0),
        list: isinstance(got, list),
    }
    kind = next(kind for kind in fits if isinstance(expected, kind))
    if not fits[kind]:
        return f"the answer is of type {type(got).__name__}, not {kind.__name__}"
    if isinstance(got, Tensor) and isinstance(expected, Tensor):
        if got.shape != expected.shape:
            return f"the shape is {tuple(got.shape)}, not {tuple(expected.shape)}"
        if got.dtype != expected.dtype:
            return f"the dtype is {got.dtype}, not {expected.dtype}"
    values = numbers(got)
    if values is None:
        return f"the answer, of type {type(got).__name__}, does not hold numbers"
    if not values.isfinite().all():
        return "the answer holds a NaN or an infinity: is something divided by zero?"
    return None


def close(got: object, expected: object, tolerance: float) -> bool:
    """Every element within tolerance * max(1, |expected|); NaN agrees with NaN."""
    a, b = numbers(got), numbers(expected)
    if a is None or b is None or a.shape != b.shape:
        return False
    near = (a - b).abs() <= tolerance * b.abs().clamp(min=1)
    return bool((near | (a == b) | (a.isnan() & b.isnan())).all())


def numbers(value: object) -> Tensor | None:
    """value as flat float64 numbers, or None if it is not made of numbers."""
    try:
        return torch.as_tensor(value).detach().flatten().to(torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return None


def show(value: object, start: int = 0, *, count: int = 8, digits: int = 4) -> str:
    """At most `count` numbers of value, from flat position `start`."""
    values = numbers(value)
    if values is None:
        return f"{value!r:.80}"
    texts = [
        f"{x:.0f}" if x.is_integer() and abs(x) < 1e9 else f"{x:.{digits}g}"
        for x in (values[start : start + count] + 0.0).tolist()  # -0 becomes 0
    ]
    if not isinstance(value, list | tuple) and getattr(value, "shape", ()) == ():
        return texts[0]
    before, after = ["…"] * (start > 0), ["…"] * (start + count < len(values))
    return f"[{', '.join(before + texts + after)}]"


def truth(value: Any) -> bool:
    """The answer to a question of yes or no, whether of Python, torch or numpy.

    Raises Incorrect for many answers instead of one, and for what is none.
    """
    shape = tuple(getattr(value, "shape", ()))
    single = value.item() if hasattr(value, "item") and set(shape) <= {1} else value
    if isinstance(single, bool):
        return single
    if str(getattr(value, "dtype", "")).endswith("bool"):
        raise Incorrect(
            f"the answer is {math.prod(shape)} times yes or no; one is wanted for the "
            "whole system: torch.allclose, or .all()"
        )
    raise Incorrect(f"the answer is of type {type(value).__name__}, not bool")


def pick(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def short(*shape: int, generator: torch.Generator) -> Tensor:
    """Normal numbers in float64 that are short to print and never zero."""
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (x * 10).round() / 10 + 0.05


def _cast(value: object, dtype: torch.dtype) -> object:
    """value with its tensors, also those in lists and tuples, in this precision."""
    if isinstance(value, tuple | list):
        return type(value)(_cast(item, dtype) for item in value)
    return value.to(dtype) if isinstance(value, Tensor) else value


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in value and in the tuples and lists inside it."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
