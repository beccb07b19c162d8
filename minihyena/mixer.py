"""A mixer: the layer that moves information along the sequence, in three views.

    parallel   y = mixer(u)                                          for training
    matrix     y = mixer.output(mixer.matrix(u) @ mixer.values(u))   for seeing
    step       y_t, state = mixer.step(u_t, state)                   for generation

They agree; tests hold every mixer to it. B batch, L length, D width, C channels (or
heads) with a matrix of their own, E numbers that one matrix moves (1, or the width of
a head).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minihyena.errors import check_input, check_square

__all__ = ["Mixer", "State", "by_channel", "is_plain", "matrix_flops"]


class State(NamedTuple):
    """Where B sequences stand: steps taken, most there may be, what is remembered.

    A step makes a new state and leaves the old one valid: keep it to branch.
    """

    batch: int
    time: int
    max_length: int
    memory: Any  # tensors, in whatever tuple the mixer keeps them


class Mixer(nn.Module):
    """(B, L, D) -> (B, L, D), causal, at most max_length steps.

    Raises ValueError for a width or max_length below 1.
    """

    out_proj: nn.Linear

    def __init__(self, width: int, max_length: int) -> None:
        super().__init__()
        if width < 1 or max_length < 1:
            raise ValueError(
                f"width and max_length must be at least 1; got {width} and {max_length}"
            )
        self.width, self.max_length = width, max_length

    def matrix(self, u: Tensor) -> Tensor:
        """u (B, L, D) -> (B, C, L, L): row t is what output t reads, gates frozen.

        Raises MemoryError if the matrices would not fit, saying what they would need.
        """
        raise NotImplementedError

    def values(self, u: Tensor) -> Tensor:
        """u (B, L, D) -> (B, C, L, E): what the matrix is applied to."""
        raise NotImplementedError

    def output(self, mixed: Tensor) -> Tensor:
        """(B, C, L, E) -> (B, L, D): channels or heads joined, then projected back."""
        y: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(-2))
        return y

    def start(self, prompt: Tensor, max_length: int | None = None) -> State:
        """The state after prompt (B, P, D), P >= 0, for max_length steps in all.

        Raises ValueError if max_length (None: the mixer's) is less than P or more than
        the mixer's; else as `step`.
        """
        steps = self.max_length if max_length is None else max_length
        if prompt.dim() != 3 or not max(1, prompt.shape[1]) <= steps <= self.max_length:
            raise ValueError(
                "start wants prompt (B, P, D) with P, 1 <= max_length <= "
                f"{self.max_length}; got {tuple(prompt.shape)} and {steps}"
            )
        batch, taken, width = prompt.shape
        self.check(prompt if taken else prompt.new_zeros(batch, 1, width))
        state = State(batch, 0, steps, self.memory(batch, steps))
        for u in prompt.unbind(1):
            _, state = self.step(u, state)
        return state

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """u_t (B, D) and the state before it -> y_t (B, D) and the state after it.

        Raises ValueError for a wrong shape or a step after the last, TypeError for a
        dtype other than the weights'.
        """
        batch, time, max_length, memory = state
        if time >= max_length:
            raise ValueError(
                f"all max_length = {max_length} steps are taken; "
                "start with a larger max_length"
            )
        if u.dim() != 2 or len(u) != batch:
            raise ValueError(
                f"a step takes u_t (B, D), here with B = {batch}; got {tuple(u.shape)}"
            )
        self.check(u[:, None])
        y, memory = self.advance(u, memory, time)
        return y, State(batch, time + 1, max_length, memory)

    def memory(self, batch: int, length: int) -> Any:
        """What is remembered of nothing, for `length` steps to come."""
        raise NotImplementedError

    def advance(self, u: Tensor, memory: Any, time: int) -> tuple[Tensor, Any]:
        """u_t (B, D) at `time` and the memory before it -> y_t and the memory after."""
        raise NotImplementedError

    def flops(self, length: int, batch: int = 1) -> float:
        """Multiplications and additions of one forward pass of (batch, length, D)."""
        raise NotImplementedError

    def check(self, u: Tensor) -> None:
        """ValueError for a wrong shape, length or device, TypeError for a dtype."""
        check_input(u, self.width, self.out_proj.weight, self.max_length)

    def check_matrix(self, u: Tensor, channels: int, factors: int = 1) -> None:
        """As `check`; MemoryError if (B, channels, L, L) would not fit.

        Making it takes up to six copies at a time (as measured), and where a gradient
        is asked for about four for each of its `factors`, which are kept.
        """
        self.check(u)
        kept = 4 * factors - 2 if torch.is_grad_enabled() else 0
        check_square(u, channels, copies=max(6, kept))

    def zeros(self, *shape: int) -> Tensor:
        """Zeros on the weights' device, in their dtype."""
        weight = self.out_proj.weight
        return torch.zeros(shape, device=weight.device, dtype=weight.dtype)


def by_channel(linear: nn.Linear, u: Tensor) -> Tensor:
    """linear(u) of u (B, L, D) as (B, D', L): the product itself turns it round."""
    if not is_plain(linear, nn.Linear):
        y: Tensor = linear(u).mT.contiguous()
        return y
    weight = linear.weight.expand(len(u), -1, -1)
    if linear.bias is None:
        return torch.bmm(weight, u.mT)
    return torch.baddbmm(linear.bias[:, None], weight, u.mT)


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether its weights are all there is to it: no subclass or wrapper, no hooks."""
    hooks = [value for name, value in vars(module).items() if name.endswith("_hooks")]
    own = any(hooks) or "forward" in vars(module)
    return type(module) is kind and not own


def matrix_flops(module: nn.Module, length: int) -> int:
    """Two for every entry of a Linear weight below `module` and step of the length."""
    linear = (m for m in module.modules() if isinstance(m, nn.Linear))
    return 2 * length * sum(m.weight.numel() for m in linear)
