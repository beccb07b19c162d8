"""Several processes that train one model: who speaks, and what all of them agree on."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from minihyena.errors import check_device
from minihyena.files import only_here

__all__ = [
    "count",
    "from_all",
    "from_first",
    "is_first",
    "only_ours",
    "over_processes",
    "processes",
    "rank",
]

Result = TypeVar("Result")
# Seconds. Threads of gloo may still let go of what was sent, and need Python for that:
# one that comes when Python ends aborts the process. Destroying the group does not wait
# for them where torch's data-parallel wrapper was used (seen in 2.13).
SETTLING = 0.5


@contextmanager
def processes(device: str) -> Iterator[str]:
    """Under torchrun: join the other processes, and leave them at the end.

    Yields the device this process should use. ValueError if it cannot be used here.
    """
    if not torch.distributed.is_torchelastic_launched():
        yield device
        return
    gpu = device.startswith("cuda")
    here = f"cuda:{os.environ['LOCAL_RANK']}" if gpu else device
    check_device(here)
    if gpu:
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield here
    finally:
        distributed.destroy_process_group()
        time.sleep(SETTLING)


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """How many processes share the work."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this process writes and speaks for all."""
    return rank() == 0


def over_processes(number: float) -> float:
    """Its mean over all processes, the same in each."""
    if not distributed.is_initialized():
        return number
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(number, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total.item() / distributed.get_world_size()


def from_first(act: Callable[[], Result]) -> Result:
    """What the first process finds by `act`, or its error, in all of them."""
    found: list[Any] = [None, None]
    if is_first():
        try:
            found[0] = act()
        except Exception as error:  # the others wait for it
            found[1] = error
    if distributed.is_initialized():
        distributed.broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    result: Result = found[0]
    return result


@contextmanager
def only_ours(path: Path | str) -> Iterator[None]:
    """Nobody else writes this file meanwhile: files.only_here, for all processes."""
    with ExitStack() as held:
        from_first(lambda: held.enter_context(only_here(path)))
        yield


def from_all(own: Result) -> list[Result]:
    """What each process has, in the order of their numbers."""
    if not distributed.is_initialized():
        return [own]
    found: list[Any] = [None] * count()
    distributed.all_gather_object(found, own)
    return found
