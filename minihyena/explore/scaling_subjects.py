"""What is timed beside what was recorded: the same subjects, and the learner's own."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from minihyena.explore.scaling_data import Comparison
from minihyena.explore.scaling_measure import Subjects
from minihyena.subjects import conv_subjects, layer_subjects, mixing_subjects

__all__ = ["Conv", "Op", "fitting", "named", "subjects_of"]

Op = Callable[[Tensor], Tensor]  # u (B, L, D) -> (B, L, D)
Conv = Callable[[Tensor, Tensor], Tensor]  # u (B, D, L), h (D, L) -> (B, D, L)
TRIED = 8  # steps of the input with which the shape is tried


def named(given: Any) -> dict[str, Any]:
    """One function or several by name -> several by name."""
    if given is None:
        return {}
    return dict(given) if isinstance(given, Mapping) else {"yours": given}


def subjects_of(
    comparison: Comparison, own: Mapping[str, Callable[..., Tensor]]
) -> Callable[[int], Subjects]:
    """length -> the recorded subjects that can be timed here, and one's own.

    Each length has inputs of its own, drawn from a generator.
    """
    task = comparison.task

    def prepare(length: int) -> Subjects:
        batch, width = comparison.size_at(length)
        g = torch.Generator().manual_seed(length)
        inputs: tuple[Tensor, ...]
        if comparison.suite == "conv":
            u = torch.randn(batch, width, length, generator=g)
            h = torch.randn(width, length, generator=g) / length**0.5
            known, inputs = conv_subjects(u, h, task), (u, h)
        elif task == "mixing":
            known, inputs = mixing_subjects(batch, width, length), ()
        else:
            known = layer_subjects(batch, width, length, task)
            inputs = (torch.randn(batch, length, width, generator=g),)
        recorded = {name: known[name] for name in comparison.names if name in known}
        return recorded | {
            name: _called(function, inputs, task) for name, function in own.items()
        }

    return prepare


def fitting(
    comparisons: Iterable[Comparison],
    ops: Mapping[str, Op],
    convs: Mapping[str, Conv],
) -> dict[str, dict[str, Callable[..., Tensor]]]:
    """Comparison -> what of the learner's own can stand beside its subjects.

    Own operators stand beside layers, own convolutions beside convolutions, wherever
    they take the batch and the width: each is tried on a short input. Raises ValueError
    for one that does not keep the shape, that takes no width, or whose name is taken.
    """
    fits: dict[str, dict[str, Callable[..., Tensor]]] = {}
    refused: dict[str, str] = {}
    for comparison in comparisons:
        is_conv = comparison.suite == "conv"
        is_layer = comparison.suite == "layer" and comparison.task != "mixing"
        own: Mapping[str, Any] = convs if is_conv else ops if is_layer else {}
        for name, function in own.items():
            if name in comparison.names:
                raise ValueError(
                    f"{name!r} is the name of a recorded subject; give yours another"
                )
            try:
                _try_out(name, function, comparison, is_conv)
            except RuntimeError as error:  # torch's word for sizes that do not match
                refused[name] = f"at width {comparison.size_at(0)[1]}: {error}"
                continue
            fits.setdefault(comparison.name, {})[name] = function
    placed = {name for own in fits.values() for name in own}
    for name, reason in refused.items():
        if name not in placed:
            raise ValueError(f"{name!r} takes no width that was recorded; {reason}")
    return fits


def _try_out(
    name: str, function: Callable[..., Tensor], comparison: Comparison, is_conv: bool
) -> None:
    batch, width = comparison.size_at(comparison.lengths[0])
    u, h = torch.zeros(batch, width, TRIED), torch.ones(width, TRIED)
    inputs = (u, h) if is_conv else (u.transpose(1, 2),)
    with torch.no_grad():
        y = function(*inputs)
    shape = tuple(inputs[0].shape)
    if not isinstance(y, Tensor) or tuple(y.shape) != shape:
        got = tuple(y.shape) if isinstance(y, Tensor) else y
        letters = "(B, D, L)" if is_conv else "(B, L, D)"
        raise ValueError(
            f"{name!r} turned {shape} into {got!r:.60}; it must keep the shape "
            f"{letters}"
        )


def _called(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], task: str
) -> Callable[[], object]:
    """One call: forward alone, or with the gradients of all inputs and weights."""

    def forward() -> object:
        with torch.no_grad():
            return function(*inputs)

    def both_ways() -> object:
        leaves = [x.detach().requires_grad_() for x in inputs]
        weights = list(function.parameters()) if isinstance(function, nn.Module) else []
        with torch.enable_grad():
            y = function(*leaves)
        wanted = [*leaves, *weights]
        return torch.autograd.grad(y, wanted, torch.ones_like(y), allow_unused=True)

    return both_ways if task == "forward+backward" else forward
