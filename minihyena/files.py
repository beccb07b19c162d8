"""Files that are whole or not there, and of which one process at a time is master."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import Any

from filelock import FileLock, Timeout

__all__ = [
    "beside",
    "only_here",
    "read_json",
    "sync_folder",
    "write_through",
    "write_whole",
]


def beside(path: Path | str, suffix: str) -> Path:
    """A file that belongs to `path`: runs/a.safetensors, .csv -> runs/a.csv."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(".safetensors") + suffix)


def read_json(path: Path | str) -> Any:
    """What is in a file of JSON. Raises OSError, and ValueError if it holds none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # the latter: brackets in brackets
        raise ValueError(f"{path} is no JSON: {error}") from error


def write_whole(path: Path | str, content: bytes) -> None:
    """Whatever happens meanwhile, the file holds what it held, or all of `content`.

    Raises OSError (a full disk, a folder that cannot be written): the old file stays.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.part")
    try:
        write_through(draft, content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_through(path: Path, content: bytes) -> None:
    """Write all of it to the disk; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """A new name survives a power cut once its folder is on the disk, too."""
    with suppress(OSError):  # Windows opens no folders, and needs it not
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def only_here(path: Path | str) -> Iterator[None]:
    """Nobody else writes this file meanwhile; the system lets go of a killed process's.

    Raises RuntimeError if another process is at it, OSError if nobody can be.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = path.with_name(path.name + ".lock")
    lock = FileLock(mark, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        if not mark.exists():
            raise PermissionError(f"no file can be made in {path.parent}") from None
        raise RuntimeError(
            f"another run is writing {path}; let it end, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()
