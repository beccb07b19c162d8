"""Errors that teach: what was wrong, the numbers, and what to do."""

import sys
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Any

import psutil
import torch
from torch import Tensor

__all__ = [
    "at_least",
    "check_conv",
    "check_device",
    "check_finite",
    "check_ids",
    "check_input",
    "check_length",
    "check_square",
    "choose",
]


def choose(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is among `known`; else say which names are, nearest first.

    Raises ValueError: f"unknown {kind} ...; known, nearest first: ...".
    """
    names = list(known)
    if name in names:
        return name

    def likeness(candidate: str) -> float:
        return SequenceMatcher(None, str(name).lower(), candidate.lower()).ratio()

    nearest = ", ".join(sorted(names, key=likeness, reverse=True))
    raise ValueError(f"unknown {kind} {name!r}; known, nearest first: {nearest}")


def check_length(length: int, max_length: int) -> None:
    """ValueError unless 1 <= length <= max_length: never a silent truncation."""
    if not 1 <= length <= max_length:
        raise ValueError(
            f"length {length} is outside 1 .. max_length = {max_length}; "
            "shorten the input or build with a larger max_length"
        )


def check_input(u: Tensor, width: int, weight: Tensor, max_length: int) -> None:
    """Whether a mixer of `width` D, of which `weight` is one, can take u (B, L, D).

    Raises ValueError for a wrong shape, length or device, TypeError for a dtype other
    than the weights' (under autocast any floating point number will do).
    """
    if u.dim() != 3 or u.shape[-1] != width:
        raise ValueError(f"u must be (B, L, D) with D = {width}; got {tuple(u.shape)}")
    check_length(u.shape[1], max_length)
    if u.device != weight.device:
        raise ValueError(
            f"u is on {u.device}, the weights on {weight.device}; "
            "move one of them with .to(device)"
        )
    if u.dtype != weight.dtype and not (
        u.is_floating_point() and torch.is_autocast_enabled(u.device.type)
    ):
        raise TypeError(
            f"u is {u.dtype}, the weights are {weight.dtype}; "
            "convert one of them with .to(dtype)"
        )


def at_least(config: Any, **smallest: int) -> None:
    """ValueError if one of the numbers of `config` is smaller than this."""
    for name, least in smallest.items():
        if getattr(config, name) < least:
            raise ValueError(
                f"{name} must be at least {least}; got {getattr(config, name)}"
            )


def check_conv(u: Tensor, h: Tensor, skip: Tensor | None) -> None:
    """Whether u (B, D, L), h (D, K), skip (D,) can be convolved; raises as
    `conv.causal_conv`.
    """
    if u.dim() != 3 or h.dim() != 2 or u.shape[1] != h.shape[0]:
        raise ValueError(
            "causal_conv wants u (B, D, L) and h (D, K) with the same D; "
            f"got u {tuple(u.shape)} and h {tuple(h.shape)}"
        )
    length, taps = u.shape[-1], h.shape[-1]
    if not 1 <= taps <= length:
        raise ValueError(
            f"h has {taps} taps, u only {length} steps; "
            f"cut h to h[:, :{length}] or pad u with zeros"
            if taps
            else "h has no taps; a filter needs at least one"
        )
    if skip is not None and skip.shape != h.shape[:1]:
        raise ValueError(
            f"skip must have one weight a channel, shape ({h.shape[0]},); "
            f"got {tuple(skip.shape)}"
        )
    parts = [u, h] if skip is None else [u, h, skip]
    kinds, devices = {part.dtype for part in parts}, {part.device for part in parts}
    if len(kinds) == len(devices) == 1 and u.is_floating_point():
        return
    if not all(dtype.is_floating_point for dtype in kinds):
        got = ", ".join(str(part.dtype) for part in parts)
        raise TypeError(f"causal_conv wants real floating point numbers; got {got}")
    if {torch.float32, torch.float64} <= kinds:
        raise TypeError("u, h and skip mix float32 and float64; convert one of them")
    if len(devices) > 1:
        raise ValueError(
            "u, h and skip are on different devices "
            f"({', '.join(sorted(map(str, devices)))}); "
            "move them to one with .to(device)"
        )


def check_finite(what: str, u: Tensor) -> None:
    """ValueError if one of the numbers of u (..., time last) is NaN or infinite."""
    finite = u.isfinite()
    if not finite.all():
        first = int((~finite).flatten(0, -2).any(0).nonzero()[0])
        raise ValueError(f"{what} is not finite: NaN or infinity first at step {first}")


def check_ids(ids: Tensor, vocab_size: int, max_length: int) -> None:
    """Whether a language model can read ids (B, L).

    Raises ValueError for a wrong shape, a length above max_length or an id outside
    0 .. V - 1 (looked for on the CPU only: elsewhere it would wait for the device),
    TypeError for ids that are not integers.
    """
    if ids.dim() != 2:
        raise ValueError(f"ids must be (B, L); got {tuple(ids.shape)}")
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"ids must be integers; got {ids.dtype}")
    check_length(ids.shape[1], max_length)
    if ids.device.type == "cpu" and ids.numel():
        low, high = (int(edge) for edge in ids.aminmax())
        if low < 0 or high >= vocab_size:
            raise ValueError(
                f"ids run from {low} to {high}; the vocabulary has "
                f"{vocab_size} (0 .. {vocab_size - 1})"
            )


def check_square(u: Tensor, channels: int, copies: int) -> None:
    """MemoryError unless `copies` of (B, channels, L, L) fit in memory; u is (B, L, D).

    Making the matrices takes more than one copy for a moment.
    """
    batch, length = u.shape[:2]
    one = batch * channels * u.element_size() * copies
    free = free_bytes(u.device)
    if one * length**2 > free:
        raise MemoryError(
            f"{batch} x {channels} matrices of {length} x {length} would need "
            f"{one * length**2 / 2**30:,.1f} GiB while they are made; "
            f"{free / 2**30:,.1f} GiB are free, enough for length "
            f"{int((free / one) ** 0.5):,}: take fewer sequences or a shorter piece"
        )


def check_device(name: str) -> None:
    """ValueError if torch cannot use the device of this name here."""
    try:
        torch.device(name)
    except RuntimeError:
        choose("device", name, ["cpu", "cuda", "mps"])
    try:
        torch.zeros((), device=name).item()  # "meta" has no numbers to give back
    # torch without CUDA asserts; a device of a plug-in asks for its module
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'device {name!r} cannot be used here: {reason}; "cpu" always can'
        ) from error


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had on `device`; where nobody tells, no end of it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return int(psutil.virtual_memory().available)
    except OSError:
        return sys.maxsize
