"""Measuring honestly: pairs in turn, medians with their spread, memory, operations.

A time means something beside another that was taken in the same minute on the same
machine. So all subjects of one size are called in turn, round after round, and compared
round by round; every round is kept in the file. B batch, D width, L length.
"""

import os
import platform
import random
import shlex
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from minihyena import records
from minihyena.options import from_fields

__all__ = [
    "Row",
    "Run",
    "command",
    "compare",
    "load",
    "machine",
    "measure",
    "peak_bytes",
    "provenance",
    "ratio",
    "run",
    "save",
    "table",
    "versions",
]

Subjects = Mapping[str, Callable[[], object]]
OURS = "minihyena"  # the subject that the others are compared with
PATIENCE = 20.0  # seconds; what takes longer is called five times, not `rounds` times


@dataclass(frozen=True)
class Row:
    """One subject at one size."""

    suite: str  # "conv", "layer", "train", "generate"
    task: str  # "forward", "forward+backward", ...
    name: str
    batch: int
    width: int
    length: int
    seconds: tuple[float, ...]  # of each round; empty if it was not run
    peak_bytes: int | None = None  # extra memory at the peak of one call
    flops: float | None = None  # by formula
    note: str = ""  # why it was not run

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        """Lower quartile of the seconds."""
        return quartiles(self.seconds)[1]

    @property
    def high(self) -> float:
        """Upper quartile of the seconds."""
        return quartiles(self.seconds)[2]


@dataclass(frozen=True)
class Run:
    """Rows, and all that is needed to judge or repeat them."""

    rows: tuple[Row, ...]
    command: str
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    threads: int


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def ratio(peer: Row, ours: Row) -> tuple[float, float, float]:
    """How many times as long the peer takes, round by round: median and quartiles.

    Raises ValueError if they were not timed in the same rounds.
    """
    if not peer.seconds or len(peer.seconds) != len(ours.seconds):
        raise ValueError(
            f"{peer.name} has {len(peer.seconds)} rounds, {ours.name} "
            f"{len(ours.seconds)}: only what was timed in turn can be compared"
        )
    pairs = zip(peer.seconds, ours.seconds, strict=True)
    return quartiles([theirs / mine for theirs, mine in pairs])


def compare(
    subjects: Subjects,
    rounds: int = 5,
    settle: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, tuple[float, ...]]:
    """Seconds of each subject in each round; in a round each is called in its turn.

    The turns are drawn anew for every round: what was called before leaves its mark on
    caches, threads and freed memory. To `settle`, a subject is called once more,
    unmeasured, right before. A GPU is waited for before the clock is read.
    Raises ValueError without a round.
    """
    if rounds < 1:
        raise ValueError(f"compare wants rounds >= 1; got {rounds}")
    spent: dict[str, list[float]] = {name: [] for name in subjects}
    draw = random.Random(0)
    for _ in range(rounds):
        for name in draw.sample([*subjects], len(subjects)):
            if settle:
                subjects[name]()
            _wait()
            begun = clock()
            subjects[name]()
            _wait()
            spent[name].append(clock() - begun)
    return {name: tuple(seconds) for name, seconds in spent.items()}


def _on_gpu() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _wait() -> None:
    if _on_gpu():
        torch.cuda.synchronize()


def measure(
    suite: str,
    task: str,
    size: tuple[int, int, int],
    subjects: Subjects,
    rounds: int = 5,
    flops: Mapping[str, float] | None = None,
    units: Mapping[str, int] | None = None,
) -> list[Row]:
    """A row for each subject at this size (B, D, L); short calls get more rounds.

    Seconds are those of a call, or of one of as many `units` as it does.
    """
    begun = time.perf_counter()
    memory = {name: peak_bytes(call) for name, call in subjects.items()}
    once = time.perf_counter() - begun
    if once < PATIENCE:  # once more, as first calls take memory that they keep
        memory = {name: peak_bytes(call) for name, call in subjects.items()}
    rounds = max(5, min(rounds, int(PATIENCE / once)))
    spent = compare(subjects, rounds, settle=once < PATIENCE)
    done = dict.fromkeys(subjects, 1) | {**(units or {})}
    each = {n: tuple(s / done[n] for s in spent[n]) for n in subjects}
    return [
        Row(suite, task, name, *size, each[name], memory[name], (flops or {}).get(name))
        for name in subjects
    ]


def peak_bytes(call: Callable[[], object]) -> int | None:
    """Memory that one call takes at its peak beyond what was there, its result too.

    On a GPU what torch allocates, on Linux the resident memory's own high-water mark,
    elsewhere the largest of samples taken every millisecond, which can miss a peak.
    """
    if _on_gpu():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return int(torch.cuda.max_memory_allocated() - before)
    _give_back_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the mark starts anew
        before = _high_water()
        call()
        return max(0, _high_water() - before)
    except OSError:
        return _sampled_peak(call)


def _give_back_freed_memory() -> None:
    """What malloc has kept would otherwise be taken again without being counted."""
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _high_water() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError("no high-water mark")


def _sampled_peak(call: Callable[[], object]) -> int:
    process, done = psutil.Process(), threading.Event()
    before = highest = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.001):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return highest - before


def machine() -> dict[str, Any]:
    """What it was measured on, without a name or an address."""
    facts = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "vectors": torch.backends.cpu.get_cpu_capability(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of Python and of the libraries that do the work; "" if one is not installed."""
    found = {"python": platform.python_version()}
    for name in ("minihyena", "torch", "numpy", "scipy", "torchaudio"):
        found[name] = ""
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def provenance() -> dict[str, Any]:
    """When, on what and with which versions, as things are now."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }


def command() -> str:
    """What was called, without where it writes."""
    arguments = sys.argv[1:]
    if "--out" in arguments:  # where it is written has no part in it
        at = arguments.index("--out")
        del arguments[at : at + 2]
    arguments = [word for word in arguments if not word.startswith("--out=")]
    return f"python -m minihyena {shlex.join(arguments)}"


def run(rows: Sequence[Row]) -> Run:
    """The rows with everything around them."""
    return Run(tuple(rows), command(), **provenance())


def save(run: Run, path: Path | str) -> None:
    """Write JSON, one row to a line; the old file stays whole until the new one is."""
    head = {name: value for name, value in asdict(run).items() if name != "rows"}
    rows = [asdict(row) for row in run.rows]
    for fields in rows:
        fields["seconds"] = [float(f"{second:.4g}") for second in fields["seconds"]]
    records.write(path, head, rows)


def load(path: Path | str) -> Run:
    """Read what `save` wrote.

    Raises FileNotFoundError, and ValueError for a file that is something else.
    """
    try:
        head, rows = records.read(path)
        read = [from_fields(Row, row) for row in rows]
        return from_fields(Run, {**head, "rows": read})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a run of benchmarks: {error}") from None


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as lines of text, each size's subjects beside ours."""
    sizes = dict.fromkeys((r.suite, r.task, r.batch, r.width, r.length) for r in rows)
    for suite, task, batch, width, length in sizes:
        yield f"{suite}, {task}: B = {batch}, D = {width}, L = {length:,}"
        size = (suite, task, batch, width, length)
        here = [
            r for r in rows if (r.suite, r.task, r.batch, r.width, r.length) == size
        ]
        ours = next((row for row in here if row.name == OURS), here[0])
        for row in here:
            if not row.seconds:
                yield f"  {row.name:24}{row.note}"
                continue
            line = f"  {row.name:24}{1000 * row.median:11,.2f} ms"
            line += f" ({1000 * row.low:,.2f} .. {1000 * row.high:,.2f})"
            if row.peak_bytes is not None:
                line += f", {row.peak_bytes / 2**20:,.0f} MiB"
            if row.flops is not None:
                line += f", {row.flops / row.median / 1e9:,.1f} GFLOP/s"
            if row is not ours:
                middle, low, high = ratio(row, ours)
                line += f", {middle:.2f} times as long ({low:.2f} .. {high:.2f})"
            yield line
