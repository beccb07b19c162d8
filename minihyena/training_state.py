"""What a run of training must not forget: its last good models, and its draws."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["Snapshot", "random_state", "set_random_state"]


class Snapshot:
    """A copy of parameters, to be put back."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.copies = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def take(self) -> None:
        torch._foreach_copy_(self.copies, self.parameters)

    def hold(self, copies: Sequence[Tensor]) -> None:
        """Others than it took; ValueError if they do not fit."""
        if [c.shape for c in copies] != [c.shape for c in self.copies]:
            raise ValueError("its parameters have other shapes")
        torch._foreach_copy_(self.copies, list(copies))

    @torch.no_grad()
    def put_back(self) -> None:
        torch._foreach_copy_(self.parameters, self.copies)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """That of torch's own generators, of the CPU and of a GPU that is `device`."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Go on drawing from there; what is not named goes on as it was."""
    if "cpu" in state:
        torch.set_rng_state(state["cpu"])
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
