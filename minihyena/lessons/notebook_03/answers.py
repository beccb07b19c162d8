"""What the checks of notebook 03 share: complex answers, and work that is counted."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from minihyena.lessons.comparing import Case, close
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.probes import NEAR, Failures

__all__ = ["Watch", "as_pairs", "as_signal", "first_wrong_number", "in_pairs"]


def as_pairs(value: object, shape: tuple[int, ...]) -> Tensor:
    """A complex answer of this shape as real numbers (..., 2) in float64.

    Raises Incorrect for another type or shape, and for real numbers.
    """
    if not isinstance(value, Tensor):
        raise Incorrect(f"the answer is of type {type(value).__name__}, not Tensor")
    if value.shape != shape:
        raise Incorrect(f"the shape is {tuple(value.shape)}, not {shape}")
    if not value.is_complex():
        raise Incorrect(
            f"the dtype is {value.dtype}: a hand points in two directions at once, "
            "so it must be complex"
        )
    return in_pairs(value)


def in_pairs(value: Tensor) -> Tensor:
    """complex (...) -> real (..., 2), without the crumbs of rounding around zero."""
    pairs = torch.view_as_real(value.to(torch.complex128).resolve_conj())
    return pairs.round(decimals=9) + 0.0


def as_signal(value: object) -> object:
    """Whatever it is, but for a complex tensor, which is no signal: Incorrect."""
    if isinstance(value, Tensor) and value.is_complex():
        if value.imag.abs().max() <= 1e-5 * value.real.abs().max():
            raise Incorrect(
                f"the dtype is {value.dtype}, and its imaginary part is only "
                "rounding: keep the real part"
            )
        raise Incorrect(
            f"the dtype is {value.dtype}: this is still a spectrum, or the way back "
            "went wrong, for two real signals give a real one"
        )
    return value


def first_wrong_number(fn: Function, failures: Failures) -> str | None:
    """The first complex number that differs, where zeros or a factor do not say it."""
    pairs = [
        (torch.view_as_complex(got), torch.view_as_complex(case.expected))
        for case, got in failures
        if isinstance(got, Tensor) and isinstance(case.expected, Tensor)
    ]
    if len(pairs) < len(failures) or not all(g.isfinite().all() for g, _ in pairs):
        return None
    flat, right = (torch.cat([pair[i].flatten() for pair in pairs]) for i in (0, 1))
    largest = right.abs().argmax()
    factor = flat[largest] / right[largest]
    if same(flat, factor * right):
        if abs(factor.imag) <= NEAR:
            return None
        return f"every number is {words(factor)} times the right one"
    got, expected = pairs[0]
    place = ((got - expected).abs() > NEAR * len(right)).nonzero()
    if not len(place):
        return None
    at = tuple(place[0].tolist())
    where = ", ".join(map(str, at))
    return f"number [{where}] is {words(got[at])} instead of {words(expected[at])}"


def same(one: Tensor, other: Tensor) -> bool:
    return close(torch.view_as_real(one), torch.view_as_real(other), NEAR)


def words(number: Tensor) -> str:
    real, imaginary = float(number.real) + 0.0, float(number.imag) + 0.0
    sign = "-" if imaginary < -5e-5 else "+"
    return f"{round(real, 4) + 0:g} {sign} {abs(round(imaginary, 4)):g}i"


class Watch(TorchFunctionMode):
    """Counts the numbers that torch makes, and remembers which functions made them.

    Parts that are looked at without being copied do not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made, self.names = 0, set[str]()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        value, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        self.names.add(name)
        if isinstance(value, Tensor) and name != "__getitem__":
            self.made += value.numel()
        return value

    @classmethod
    def of(cls, fn: Function, case: Case) -> "Watch":
        """What happens while fn does this case."""
        watch = cls()
        with watch:
            case.outcome(fn)
        return watch
