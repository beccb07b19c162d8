"""A mixer: the layer that moves information along the sequence, in three views.

    parallel   y = mixer(u)                                          for training
    matrix     y = mixer.output(mixer.matrix(u) @ mixer.values(u))   for seeing
    step       y_t, state = mixer.step(u_t, state)                   for generation

They agree; tests hold every mixer to it. B batch, L length, D width, C channels (or
heads) with a matrix of their own, E numbers that one matrix moves (1, or the width of
a head).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import torch
from torch import Tensor, nn

from minihyena import hub
from minihyena.errors import check_finite, check_input, check_square, choose
from minihyena.memory import Memory

__all__ = [
    "DECODERS",
    "Fingerprint",
    "Mixer",
    "State",
    "by_channel",
    "check_step",
    "is_plain",
    "matrix_flops",
]

DECODERS = ("recurrent", "online")


class State(NamedTuple):
    """Where B sequences stand: steps taken, most there may be, what is remembered.

    A step makes a new state and leaves the old one valid: keep it to branch. `weights`
    is the fingerprint of the weights it belongs to.
    """

    batch: int
    time: int
    max_length: int
    memory: Sequence[Any]  # of Tensor, Memory, None; of a model: a State a layer
    weights: int

    def to(self, device: torch.device | str) -> "State":
        """The same on another device."""
        return self._replace(
            memory=[m if m is None else m.to(device) for m in self.memory]
        )

    def save(self, path: Path | str) -> None:
        """Write it down, to go on from there in another process."""
        torch.save(self, path)

    @classmethod
    def load(cls, path: Path | str) -> "State":
        """What `save` wrote, on the CPU; nothing in the file is run.

        Raises FileNotFoundError, and ValueError for a file that is damaged or holds
        something else.
        """
        try:
            with torch.serialization.safe_globals([cls, *Memory.kinds()]):
                state = hub.unpickle(Path(path))
        except ValueError as error:
            raise ValueError(f"{path} holds no state: {error}") from error
        if not isinstance(state, cls):
            raise ValueError(f"{path} holds a {type(state).__name__}, no state")
        return state


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
        self._weights: Fingerprint | None = None  # as last taken

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

    def start(
        self,
        prompt: Tensor,
        max_length: int | None = None,
        decoder: str | None = None,
    ) -> State:
        """The state after prompt (B, P, D), P >= 0, for max_length steps in all.

        `decoder` is one of the mixer's `decoders` (None: the first, its fastest).
        Raises ValueError if max_length (None: the mixer's) is less than P or more than
        the mixer's, for a prompt with NaN or infinity, and for a decoder that it has
        not; else as `step`.
        """
        return self.prefill(prompt, max_length, decoder)[1]

    def prefill(
        self,
        prompt: Tensor,
        max_length: int | None = None,
        decoder: str | None = None,
    ) -> tuple[Tensor, State]:
        """The outputs (B, P, D) of a prompt, all at once, and the state after it."""
        steps = self.max_length if max_length is None else max_length
        if prompt.dim() != 3 or not max(1, prompt.shape[1]) <= steps <= self.max_length:
            raise ValueError(
                "start wants prompt (B, P, D) with P, 1 <= max_length <= "
                f"{self.max_length}; got {tuple(prompt.shape)} and {steps}"
            )
        batch, taken, width = prompt.shape
        self.check(prompt if taken else prompt.new_zeros(batch, 1, width))
        check_finite("the prompt", prompt.mT)
        chosen = self.choose_decoder(decoder)
        y, memory = prompt, self.memory(batch, steps, chosen)
        if prompt.numel():
            y, memory = self.advance(prompt, memory, 0)
        self._weights = Fingerprint(self)
        return y, State(batch, taken, steps, memory, self._weights.number)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """u_t (B, D) and the state before it -> y_t (B, D) and the state after it.

        Raises ValueError for a wrong shape, a step after the last, a state of other
        weights or on another device, TypeError for a dtype other than the weights'.
        """
        check_step(self, u, state)
        batch, time, max_length, memory, weights = state
        self.check(u[:, None])
        branch = [_branch(m, u.device) for m in memory]
        y = u[:, None]
        if len(u):
            y, branch = self.advance(y, branch, time)
        return y[:, 0], State(batch, time + 1, max_length, branch, weights)

    @property
    def decoders(self) -> tuple[str, ...]:
        """The exact ways to step, fastest first: "recurrent" needs the same work and
        memory at every step, "online" remembers all of the past.
        """
        return ("online",)

    def choose_decoder(self, decoder: str | None) -> str:
        """The fastest, or this one if the mixer has it (else ValueError)."""
        if decoder in (None, *self.decoders):
            return decoder or self.decoders[0]
        choose("decoder", str(decoder), DECODERS)
        raise ValueError(
            f"this {type(self).__name__} has no {decoder} form: it reads all of its "
            "past; long filters can be given one, LanguageModel.distill(order)"
        )

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        """What is remembered of nothing, for `length` steps to come."""
        raise NotImplementedError

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        """Inputs (B, n, D) from `time` on and the memory before them -> outputs and the
        memory after. n is 1, or any number where time is 0: a prompt.
        What in `memory` is no tensor may be changed in place; it is the caller's copy.
        """
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


class Fingerprint:
    """A number that tells a module from one of other weights or configuration."""

    def __init__(self, module: nn.Module) -> None:
        crc = crc32(f"{type(module).__name__} {getattr(module, 'config', '')}".encode())
        self.weights = [*module.state_dict(keep_vars=True).values()]
        self.places = [
            (place, name, held)
            for part in module.modules()
            for place in (part._parameters, part._buffers, part._modules)
            for name, held in place.items()
        ]
        for weight in self.weights:
            digits = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            crc = crc32(digits.numpy().data, crc)
        self.number = crc
        self.changes = self._count()

    def is_old(self) -> bool:
        """Whether weights were written into since, or others put in their place."""
        return self._count() != self.changes or any(
            now is not held and _device(now) == _device(held)  # not only moved
            for place, name, held in self.places
            for now in [place.get(name)]
        )

    def _count(self) -> tuple[int, list[float]]:
        """How often they were written into, and as fused optimisers do not count, one
        number of them (where reading it waits for no device).
        """
        writes = sum(0 if w.is_inference() else w._version for w in self.weights)
        first = self.weights[0].detach().reshape(-1)[:1]
        return writes, first.tolist() if first.device.type == "cpu" else []


def _device(held: Any) -> torch.device | None:
    return held.device if isinstance(held, Tensor) else None


def check_step(module: Any, u: Tensor, state: State) -> None:
    """Whether u (B, .) can be the next input of the module whose state this is."""
    if not isinstance(state, State):
        raise TypeError(f"a step takes the State of a start, no {type(state).__name__}")
    known = module._weights
    if known is None or state.weights != known.number or known.is_old():
        known = module._weights = Fingerprint(module)
        if state.weights != known.number:
            raise ValueError(
                "this state belongs to other weights (another model, or the same "
                "before it was trained further); start again with this one"
            )
    if u.dim() != 2 or len(u) != state.batch:
        raise ValueError(
            f"a step takes u_t (B, D), or ids (B,), here with B = {state.batch}; "
            f"got {tuple(u.shape)}"
        )
    if state.time >= state.max_length:
        raise ValueError(
            f"all max_length = {state.max_length} steps are taken; "
            "start with a larger max_length"
        )


def _branch(remembered: Any, device: torch.device) -> Any:
    """What a step may change of it; ValueError if it is on another device."""
    if remembered is None:
        return None
    if remembered.device not in (None, device):
        raise ValueError(
            f"the state is on {remembered.device}, the input on {device}; "
            "move one of them with .to(device)"
        )
    return remembered if isinstance(remembered, Tensor) else remembered.copy()


def by_channel(linear: nn.Linear, u: Tensor) -> Tensor:
    """linear(u) of u (B, L, D) as (B, D', L): the product itself turns it round."""
    if u.shape[1] == 1 or not is_plain(linear, nn.Linear):
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
