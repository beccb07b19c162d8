"""Measurements in a file: a head that says how they were made, and rows. JSON."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from minihyena.files import read_json, write_whole
from minihyena.shipped import shipped

__all__ = ["read", "rescue", "results_folder", "write"]

Fields = Mapping[str, Any]


def write(path: Path | str, head: Fields, rows: Sequence[Fields]) -> None:
    """One row to a line; the old file stays whole until the new one is on the disk.

    Raises ValueError for numbers that JSON has not (infinite, not a number).
    """
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
    top = json.dumps(head, indent=1, allow_nan=False)[:-2]
    text = f'{top},\n "rows": [\n  {lines}\n ]\n}}\n'
    write_whole(path, text.encode())


def read(path: Path | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The head and the rows.

    Raises FileNotFoundError, and ValueError for a file that is something else, or not
    whole.
    """
    try:
        head = read_json(path)
        rows = head.pop("rows")
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            raise TypeError("rows are a list of objects")
        return head, rows
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as records: {error!r}") from None


def rescue(path: Path | str) -> list[dict[str, Any]]:
    """The rows that are whole in a file that is not; maybe none."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("  {"):
            with suppress(ValueError, RecursionError):
                rows.append(json.loads(line.strip().rstrip(",")))
    return rows


def results_folder() -> Path:
    """data/results of the project; FileNotFoundError where there is none."""
    folder = shipped("data/results")
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the recorded measurements come with the project, and {folder} is not "
            "there: install it again, or name where they are"
        )
    return folder
