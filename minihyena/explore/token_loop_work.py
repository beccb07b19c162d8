"""What the token loop runs: ways to step one channel, and a count of their work.

K taps, L steps, S modes; every program takes u_t (1, 1) and gives y_t (1, 1).
"""

import math
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from minihyena.filters import ImplicitConfig
from minihyena.model import drawing_from
from minihyena.online import DirectConv, OnlineConv
from minihyena.rivals.modal import ModalConv, Modes

__all__ = [
    "LENGTHS",
    "METHODS",
    "Multiplications",
    "Program",
    "Run",
    "counted",
    "named",
    "own_program",
    "program",
    "run",
    "untrained",
]

LENGTHS = (16, 32, 64, 128, 256)
METHODS = ("recompute", "cached", "tiles", "recurrent")


STARTS = {
    "smooth, untrained": ImplicitConfig(),
    "rough, untrained": ImplicitConfig(bands=16, sine_frequency=14),
}


class Multiplications(TorchFunctionMode):
    """Counts the multiplications of real numbers in what is asked of torch.

    A transform of n numbers counts n log2 n, a product of complex numbers 4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0.0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        if isinstance(value, Tensor):
            self.count += _products(name, args, value)
        return value


def _products(name: str, args: tuple[Any, ...], value: Tensor) -> float:
    """How many multiplications torch's function of this name made."""
    if name.startswith("fft_"):
        n = value.shape[-1]
        if name == "fft_rfft":  # of a real line it keeps n // 2 + 1 numbers
            n = (args[1:2] or args[0].shape[-1:])[0]
        return value.numel() / value.shape[-1] * n * math.log2(n)
    tensors = [x for x in args if isinstance(x, Tensor)]
    complexity = 2.0 ** min(2, sum(x.is_complex() for x in tensors))
    if name in ("mul", "rmul", "imul", "multiply", "div", "truediv", "addcmul"):
        return value.numel() * complexity
    if name in ("dot", "vdot", "inner", "mv", "mm", "bmm", "matmul", "rmatmul"):
        return value.numel() * tensors[0].shape[-1] * complexity
    if name == "einsum":
        sizes: dict[str, int] = {}
        for letters, x in zip(args[0].split("->")[0].split(","), tensors, strict=True):
            sizes |= dict(zip(letters.strip(), x.shape, strict=True))
        return math.prod(sizes.values()) * complexity
    return 0.0


class Program(NamedTuple):
    """One way to step: u_t -> y_t, and how many numbers it keeps of the past."""

    step: Callable[[Tensor], Any]
    size: Callable[[], int | None]


class Recomputed:
    """All of the convolution anew for every step, by transforms of twice the length."""

    def __init__(self, h: Tensor) -> None:
        self.h, self.past = h, h[:, :0]

    def step(self, u: Tensor) -> Tensor:
        self.past = torch.cat([self.past, u], dim=1)
        steps = self.past.shape[1]
        spectra = [torch.fft.rfft(x[:, :steps], 2 * steps) for x in (self.past, self.h)]
        y: Tensor = torch.fft.irfft(spectra[0] * spectra[1], 2 * steps)
        return y[:, steps - 1 : steps]


def program(method: str, h: Tensor, modes: Modes) -> Program:
    """A fresh one of METHODS for the filter h (1, K), or the modes (1, S) of it."""
    if method == "recompute":
        again = Recomputed(h)
        return Program(again.step, lambda: again.past.numel())
    if method == "cached":
        direct = DirectConv(h)
        return Program(direct.step, lambda: direct.past.numel())
    if method == "tiles":
        online = OnlineConv(h, base=1)

        def kept() -> int:
            sums = [tile for _, tile in online.sent]
            return sum(x.numel() for x in (online.recent, *online.blocks, *sums))

        return Program(online.step, kept)
    modal = ModalConv(modes)
    return Program(lambda u: modal.step(u.double()), lambda: 2 * modal.x.numel())


class Run(NamedTuple):
    """What a program did, step by step."""

    outputs: Tensor  # (L,) float64
    sizes: list[int | None]  # numbers kept after each step
    seconds: list[float]


def run(make: Callable[[], Program], u: Tensor) -> Run:
    """u (L,), one number at a time. Raises ValueError for an output that is none."""
    made = make()
    outputs, sizes, seconds = [], [], []
    for u_t in u[:, None]:
        begun = perf_counter()
        y = made.step(u_t[None])
        seconds.append(perf_counter() - begun)
        outputs.append(_number(y))
        sizes.append(made.size())
    return Run(torch.tensor(outputs, dtype=torch.float64), sizes, seconds)


def counted(make: Callable[[], Program], u: Tensor) -> list[int]:
    """The multiplications of each step of u (L,)."""
    made, counts = make(), []
    for u_t in u[:, None]:
        with Multiplications() as work:
            made.step(u_t[None])
        counts.append(round(work.count))
    return counts


def _number(y: Any) -> float:
    if isinstance(y, Tensor) and y.numel() == 1 and not y.is_complex():
        return y.item()
    if isinstance(y, int | float):
        return float(y)
    got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
    raise ValueError(
        f"a step of one channel takes (1,) and gives one real number; yours gave {got}"
    )


def named(yours: Any) -> dict[str, Any]:
    """Objects to step, by name; TypeError for what can neither step nor be called."""
    if yours is None:
        return {}
    found = dict(yours) if isinstance(yours, dict) else {"yours": yours}
    for name, thing in found.items():
        steps = all(callable(getattr(thing, part, None)) for part in ("step", "reset"))
        if not (callable(thing) or steps) or name in METHODS:
            raise TypeError(
                f"{name} must have step(x_t) and reset(), or make such a thing from "
                f"h (1, K), and have a name of its own; got {type(thing).__name__}"
            )
    return found


def own_program(thing: Any, h: Tensor) -> Program:
    """A learner's object at the start of a signal."""
    ready = callable(getattr(thing, "reset", None)) and not isinstance(thing, type)
    if ready:
        thing.reset()
    made = thing if ready else thing(h)
    if not callable(getattr(made, "step", None)):
        raise TypeError(f"a {type(made).__name__} has no method step(x_t)")
    size = getattr(made, "state_size", lambda: None)
    return Program(lambda u: made.step(u[0]), size)


def untrained(width: int, seed: int) -> dict[str, Tensor]:
    """Name -> one channel (1, K) of a filter with that start, about as loud as 1."""
    found = {}
    for name, config in STARTS.items():
        with drawing_from(torch.Generator().manual_seed(seed)), torch.no_grad():
            h = config.build(width, 1, LENGTHS[-1])(LENGTHS[-1])[0, width // 2, None]
        found[name] = h / h.norm()
    return found
