"""The states of a run as files: two generations, of which one can always be read."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, uint8

from minihyena.files import beside, sync_folder, write_through
from minihyena.options import from_fields

__all__ = ["Kept", "forget", "load", "newest", "write"]

FAULTS = SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError


@dataclass(frozen=True)
class Kept:
    """A run as it was saved: its state, how far it is, the settings it depends on, and
    notes.
    """

    state: dict[str, Tensor]
    step: int
    progress: float  # 0 .. 1
    settings: dict[str, Any]
    notes: dict[str, Any]


def newest(path: Path | str) -> Path:
    """Where the newest state is of the run that is kept at `path`."""
    return beside(path, ".run")


def write(kept: Kept, path: Path | str, fresh: bool = False) -> None:
    """Write the newest state; the one before it stays, unless this is a `fresh` run.

    At every moment one of the two is whole, also after an OSError.
    """
    new, old = newest(path), beside(path, ".run.old")
    draft = beside(path, ".run.new")
    about = vars(kept) | {"sha256": _digest(kept.state)}
    state = about.pop("state")
    write_through(draft, to_bytes(state, {"minihyena run": json.dumps(about)}))
    if new.exists() and not fresh:
        new.replace(old)
    draft.replace(new)
    if fresh:
        old.unlink(missing_ok=True)
    sync_folder(new.parent)


def load(path: Path | str, mend: bool = False) -> Kept | None:
    """The newest state that can be read of the run kept there; None if there is none.

    To `mend` is to remove a newest state that cannot be read: it would else become the
    older one, and replace it. Raises ValueError if there are states and none can be
    read.
    """
    new, old = newest(path), beside(path, ".run.old")
    faults = []
    for file in (file for file in (new, old) if file.exists()):
        try:
            kept = _read(file)
        except FAULTS as error:
            faults.append(f"{file}: {error}")
            continue
        if faults:
            warnings.warn(f"{faults[0]}; the state before it is taken", stacklevel=2)
            if mend:
                new.unlink()
        return kept
    if faults:
        raise ValueError(
            f"no state of the run can be read: {'; '.join(faults)}; begin a fresh one"
        )
    return None


def forget(path: Path | str) -> None:
    """Remove the states kept there."""
    for suffix in (".run", ".run.old"):
        beside(path, suffix).unlink(missing_ok=True)


def _read(file: Path) -> Kept:
    with safe_open(file, framework="pt") as opened:
        about = {**json.loads((opened.metadata() or {})["minihyena run"])}
        names = opened.keys()  # copied: a tensor of an open file keeps it in use
        state = {name: opened.get_tensor(name).clone() for name in names}
    if _digest(state) != about.pop("sha256"):
        raise ValueError("its numbers are not those that were written")
    return from_fields(Kept, {"state": state, **about})


def _digest(state: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode())
        found.update(state[name].flatten().view(uint8).numpy().tobytes())
    return found.hexdigest()
