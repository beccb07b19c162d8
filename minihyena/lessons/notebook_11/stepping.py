"""What the checks of notebook 11 share: learners' objects stepped, their work counted.

D channels, L steps.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from minihyena.lessons.comparing import attempt
from minihyena.lessons.exercise import Function, Incorrect

__all__ = ["Work", "by_steps", "check_separate", "remembered"]

READERS = {"dot", "inner", "vdot", "matmul", "__matmul__", "__rmatmul__", "mv", "mm"}
READERS |= {"sum", "einsum", "tensordot", "conv1d", "convolve"}  # many numbers into few
LOOKS = {"__getitem__", "__setitem__", "unbind", "view", "reshape", "unsqueeze"}


def by_steps(make: Function, made_of: tuple[object, ...], u: Tensor) -> Tensor:
    """u (D, L) through make(*made_of).step, column by column -> (D, L).

    Raises NotAttempted, and Incorrect for whatever is no step.
    """
    return after_steps(attempt(make, *made_of), u)


def after_steps(made: object, u: Tensor) -> Tensor:
    step = getattr(made, "step", None)
    if not callable(step):
        raise Incorrect(f"an object of type {type(made).__name__} has no method step")
    outputs = []
    for t, u_t in enumerate(u.unbind(1)):
        y = attempt(step, u_t)
        if not isinstance(y, Tensor):
            raise Incorrect(f"step gave a {type(y).__name__}, not a Tensor")
        if y.shape != u_t.shape:
            shapes = f"{tuple(y.shape)}, not {tuple(u_t.shape)}"
            raise Incorrect(f"the shape of output {t} is {shapes}")
        if y.is_complex():
            raise Incorrect("the output is complex: two real signals give a real one")
        outputs.append(y)
    return torch.stack(outputs, 1)


def check_separate(make: Function, made_of: tuple[object, ...], like: Tensor) -> None:
    """Incorrect if what one object was given is heard by the next; like: a u_t (D,)."""
    ones = torch.ones_like(like)[:, None]
    try:
        _, first, second = (by_steps(make, made_of, u * ones) for u in (2, 1, 1))
    except Incorrect:
        return  # the cases say it better
    if not torch.equal(first, second):
        raise Incorrect(
            "a second sequence started with the first one's past",
            "three objects made alike, one after the other; the first is given 2, the "
            "others 1",
            "the same output from both others",
            "two different ones",
            "Where is the memory made: once for the class, or once for every object?",
        )


def remembered(made: object) -> int:
    """Numbers in the tensors that this object keeps, also in its lists and dicts."""
    if isinstance(made, Tensor):
        return made.numel()
    if isinstance(made, dict):
        return remembered(list(made.values()))
    if isinstance(made, list | tuple | set):
        return sum(map(remembered, made))
    return remembered(vars(made)) if hasattr(made, "__dict__") else 0


class Work(TorchFunctionMode):
    """Counts the numbers that torch makes, and those it reads to add them up."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        value, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        if isinstance(value, Tensor) and name not in LOOKS:
            read = [x.numel() for x in args if isinstance(x, Tensor)]
            self.count += max(value.numel(), *read, 0) if name in READERS else 0
            self.count += value.numel() if name not in READERS else 0
        return value
