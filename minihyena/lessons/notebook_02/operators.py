"""Operators (L,) -> (L,) for 02.is_causal: some read the future, a few rarely."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = ["Operator", "operators"]

Operator = Callable[[Tensor], Tensor]


def plus(place: int, read: Callable[[Tensor], Tensor]) -> Operator:
    """Each input at its own place, and what is read at one of them, too."""

    def operator(u: Tensor) -> Tensor:
        y = u.clone()
        y[place] += read(u)
        return y

    return operator


def by_fft(u: Tensor) -> Tensor:
    """A running sum with room for its tail: exact but for rounding."""
    n = 2 * len(u)
    ones = torch.fft.rfft(torch.ones_like(u), n)
    y: Tensor = torch.fft.irfft(torch.fft.rfft(u, n) * ones, n)
    return y[: len(u)]


def following(u: Tensor) -> Tensor:
    return torch.cat([u[1:], torch.zeros_like(u[:1])])


def operators(length: int) -> Iterator[tuple[str, Operator, bool]]:
    """What it does, the operator, whether it is causal; for a length of 4 or more."""
    late = length - 2
    yield "doubles each input", lambda u: 2 * u, True
    yield "delays by 1", lambda u: torch.cat([u[:1] * 0, u[:-1]]), True
    yield "adds up the inputs so far", lambda u: u.cumsum(0), True
    yield "adds 1 everywhere", lambda u: u + 1, True
    yield "multiplies each input by the sum so far", lambda u: u * u.cumsum(0), True
    yield "adds up the inputs so far by a padded FFT", by_fft, True
    yield "advances by 1", following, False
    yield "copies u[2] to y[0]", plus(0, lambda u: u[2]), False
    yield f"leaks at y[{late}] only", plus(late, lambda u: u[-1]), False
    yield "multiplies each input by the next", lambda u: u * following(u), False
    faint = plus(0, lambda u: 0.005 * u[-1].tanh())
    yield "leaks at most 0.005 of the last input", faint, False
    for sign, word in ((1, "positive"), (-1, "negative")):
        opens = plus(1, lambda u, sign=sign: u[-1] * (sign * u[0] > 0))  # type: ignore[misc]
        yield f"leaks while u[0] is {word}", opens, False
    sign_of_last = plus(0, lambda u: u[-1].sign())
    yield "tells y[0] the sign of the last input", sign_of_last, False
    yield "takes the end of the signal for its past", lambda u: u.roll(1), False
    yield "subtracts the mean of all inputs", lambda u: u - u.mean(), False
