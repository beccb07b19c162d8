"""The records of a run as a table that anything can read: CSV, a line a step."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
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
    go away first, and so does a last line that is not whole.
    """

    def __init__(self, path: Path | str, step: int = 0) -> None:
        self.path = beside(path, ".csv")
        known = read_log(path) if step and self.path.exists() else []
        rows = [_row(record) for record in known if record.step <= step]
        write_whole(self.path, _table([HEADER, *rows]))
        self._waiting: list[list[Any]] = []

    def add(self, record: Record) -> None:
        """One more step, to be written with the next `flush`."""
        self._waiting.append(_row(record))

    def flush(self) -> None:
        """All that was added is on the disk. Raises OSError; then nothing was added."""
        with self.path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                file.write(_table(self._waiting))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        self._waiting.clear()


def read_log(path: Path | str) -> list[Record]:
    """The records of PATH.csv up to the first line that is not whole.

    Raises FileNotFoundError, and ValueError for a table of something else.
    """
    path = beside(path, ".csv")
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if next(rows, None) != HEADER:
            raise ValueError(f"{path} is no log of a training run")
        for row in rows:
            try:
                step, tokens = int(row[0]), int(row[4])
                loss, rate, norm, flops, seconds = (
                    float(row[i]) for i in (1, 2, 3, 5, 6)
                )
                held_out = float(row[7]) if row[7] else None
            except (ValueError, IndexError):
                break
            found.append(
                Record(step, loss, rate, norm, tokens, flops, seconds, held_out)
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
