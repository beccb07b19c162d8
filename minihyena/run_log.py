"""The records of a run as a table that anything can read: CSV, a line a step."""

import csv
import errno
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, fields
from functools import partial
from pathlib import Path
from typing import Any, Self

from minihyena.files import beside, write_whole
from minihyena.train_config import Record

__all__ = ["EventLog", "RunLog", "read_log"]

HEADER = [field.name for field in fields(Record)]


class RunLog:
    """A table that grows: PATH.csv, of which the records up to `step` are kept.

    Lines of later steps, which a run that was killed has written and will write again,
    go away with the first `flush`, and so do lines that are not whole.
    Raises ValueError if PATH.csv is a table of something else.
    """

    def __init__(self, path: Path | str, step: int = 0) -> None:
        self.path = beside(path, ".csv")
        there = self.path.exists() and self.path.stat().st_size
        known = read_log(path) if there else []
        self._whole = [_row(record) for record in known if record.step <= step]
        self._waiting: list[list[Any]] = []
        self._begun = False

    def add(self, record: Record) -> None:
        """One more step, to be written with the next `flush`."""
        self._waiting.append(_row(record))

    def flush(self) -> None:
        """All that was added is on the disk. Raises OSError; then it still waits."""
        if self._begun and not self._waiting:
            return
        if self._begun and self.path.exists():
            self._append(_table(self._waiting))
        else:
            write_whole(self.path, _table([HEADER, *self._whole, *self._waiting]))
        self._whole, self._waiting, self._begun = [], [], True

    def _append(self, content: bytes) -> None:
        with self.path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                if file.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


def read_log(path: Path | str) -> list[Record]:
    """The records of PATH.csv; lines that are not whole are left out.

    Raises FileNotFoundError, and ValueError for a table of something else.
    """
    path = beside(path, ".csv")
    text = path.read_text(encoding="utf-8", errors="replace")
    head, *lines = text.rpartition("\n")[0].split("\n")
    if head.split(",") != HEADER:
        raise ValueError(
            f"{path} is no table of a training run; move it, or choose another place"
        )
    found = []
    for line in lines:
        with suppress(ValueError):
            cells = line.split(",")
            step, loss, rate, norm, tokens, flops, seconds, held_out = cells
            found.append(
                Record(
                    step=int(step),
                    loss=float(loss),
                    learning_rate=float(rate),
                    gradient_norm=float(norm),
                    tokens=int(tokens),
                    flops=float(flops),
                    seconds=float(seconds),
                    validation_loss=float(held_out) if held_out else None,
                )
            )
    return found


class EventLog:
    """The same for TensorBoard: event files in `folder`, losses and rates by step.

    Raises ImportError without the package tensorboard, saying how to get it.
    """

    def __init__(self, folder: Path | str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "--tensorboard needs a package that is not here: "
                "pip install -c constraints.txt tensorboard"
            ) from error
        self._make = partial(SummaryWriter, str(folder))
        self._writer: Any = None

    def add(self, record: Record) -> None:
        """One more step; what a run that was killed has told of later ones goes."""
        if self._writer is None:
            self._writer = self._make(purge_step=record.step)
        values = {
            "loss/batch": record.loss,
            "loss/held out": record.validation_loss,
            "learning rate": record.learning_rate,
            "gradient norm": record.gradient_norm,
            "tokens": record.tokens,
        }
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, record.step)
        if record.validation_loss is not None:
            self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()


def _row(record: Record) -> list[Any]:
    return ["" if value is None else value for value in astuple(record)]


def _table(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
