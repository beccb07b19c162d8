"""Black boxes for the checks of notebook 01: what they do in words, and the doing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Box", "filtered"]


@dataclass
class Box:
    """A system (L,) -> (L,), in float64; it remembers what went in and what came out.

    Raises ValueError for what is no signal of this length.
    """

    what: str
    answer: Callable[[Tensor], Tensor]
    length: int
    heard: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, u: object) -> Tensor:
        if not isinstance(u, Tensor) or u.shape != (self.length,):
            got = tuple(u.shape) if isinstance(u, Tensor) else type(u).__name__
            raise ValueError(
                f"the system takes a signal of shape ({self.length},), and was given "
                f"{got}"
            )
        kept = u.detach().double().clone()
        y = self.answer(kept.clone())
        self.heard.append((kept, y))
        return y.to(u.dtype if u.is_floating_point() else torch.float64)

    def __deepcopy__(self, memo: object) -> "Box":
        return self  # a system is asked, not copied


def filtered(*taps: float) -> Callable[[Tensor], Tensor]:
    """The system with these taps; each input is carried on to where it is heard."""

    def system(u: Tensor) -> Tensor:
        y = torch.zeros_like(u)
        for lag, tap in enumerate(taps[: len(u)]):
            y[lag:] += tap * u[: len(u) - lag]
        return y

    return system
