"""How much memory a batch takes while a model learns from it."""

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from minihyena.errors import free_bytes
from minihyena.losses import token_loss

__all__ = ["batch_bytes", "check_batch"]


def batch_bytes(model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[int, int]:
    """Memory that learning from inputs and targets (B, L) takes: bytes in all, and of
    these for each row. An estimate from below.

    Counted is what torch keeps of a forward pass for the way back, with one row and
    with two, and what gradients and optimiser keep for good. The model and torch's
    generators stay as they are.
    """
    rows = len(inputs)
    one, two = (_kept(model, inputs[:n].clone(), targets[:n].clone()) for n in (1, 2))
    row = two - one if rows > 1 else one
    trained = [p for p in model.parameters() if p.requires_grad]
    # A gradient and two moments.
    fixed = 3 * sum(p.numel() * p.element_size() for p in trained)
    return fixed + one + (rows - 1) * row, row


def check_batch(model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """MemoryError if learning from inputs and targets (B, L) would take more than there
    is, with what it takes and how many rows would fit.
    """
    (need, row), free = batch_bytes(model, inputs, targets), free_bytes(inputs.device)
    rows, length = inputs.shape[:2]
    if need > free:
        fit = max(0, rows - -(-(need - free) // row))
        raise MemoryError(
            f"a batch of {rows:,} rows of {length:,} needs {need / 2**30:,.1f} GiB or "
            f"more; {free / 2**30:,.1f} GiB are free, enough for {fit:,} rows: take a "
            "smaller batch_size or a shorter length"
        )


def _kept(model: nn.Module, inputs: Tensor, targets: Tensor) -> int:
    """Bytes that one forward pass keeps, each storage once, weights not counted."""
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    devices = [inputs.device] if inputs.device.type == "cuda" else []
    with torch.random.fork_rng(devices), saved_tensors_hooks(keep, lambda t: t):
        loss = token_loss(model, inputs, targets)
    del loss  # until here nothing that was counted is freed, so no address comes twice
    return sum(kept.values())
