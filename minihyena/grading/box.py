"""A box for a student's code: its own process, with walls, watched by a clock.

    with Boxes() as boxes, boxes.open(text, ["mean"], Limits(seconds=10)) as box:
        mean = box.functions["mean"]  # runs over there, on copies of what it is given

Nothing it does can change a verdict, which is reached on this side, from what its
functions return.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil

from minihyena.grading.sandbox import FOLDER
from minihyena.grading.sandbox.wire import Function, Lost, Peer

__all__ = ["Box", "Boxes", "Limits"]

PACKAGE = Path(__file__).resolve().parents[1]
FORKS = hasattr(os, "fork") and hasattr(socket, "send_fds")
SYSTEM = "/lib /lib64 /usr/lib /usr/lib64 /usr/local/lib /etc/ld.so.cache /proc/self"
DEVICES = "/dev/null /dev/zero /dev/urandom /sys/devices/system/cpu"

Line = tuple[IO[bytes], IO[bytes], int]  # from the process, to it, and its number
LARGEST = 2**24  # bytes of an answer
MOST = 2**16  # numbers the student's code may hand to one of our functions at once


@dataclass(frozen=True)
class Limits:
    """What a part may take: seconds of a processor, bytes beyond what torch takes.

    By the clock it is twice as long and two seconds, so that a busy machine costs
    nobody points.
    """

    seconds: float = 10.0
    memory: int = 2**30

    @property
    def clock(self) -> float:
        return 2 * self.seconds + 2


class Box:
    """Functions of a student's code, and how their process came to its end."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        self.peer = Peer(reader, writer, {}, MOST, LARGEST)
        self.functions: dict[str, Function] = {}
        self.ended = ""  # why it was stopped, if it was

    def walls(self) -> dict[str, bool]:
        """Which walls of the system's own stand: files (Landlock), kernel (seccomp)."""
        return dict(self.peer.call("walls"))


class Boxes:
    """Where boxes come from. One at a time is open.

    fork: copy a process that has torch loaded (a hundredth of the time), which Windows
    cannot do.
    """

    def __init__(self, fork: bool = FORKS) -> None:
        self.fork = fork
        self._sources: dict[bool, Source] = {}

    def __enter__(self) -> "Boxes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for source in self._sources.values():
            source.close()
        self._sources.clear()

    @contextmanager
    def open(
        self, text: str, names: Iterable[str], limits: Limits, library: bool = False
    ) -> Iterator[Box]:
        """A box in which `text` has run and the functions of these names are ready.

        library: whether the code may import minihyena.
        Raises what the code raised at its top level, or Lost if it ended the process.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            job = _job(folder, limits, library)
            start = self._forked if self.fork else self._started
            reader, writer, pid = stack.enter_context(start(job, library))
            box, names = Box(reader, writer), list(names)
            stack.enter_context(_watched(box, pid, limits))
            try:
                box.peer.call("load", text, names)
            except Lost as error:
                raise Lost(box.ended or str(error)) from None
            box.functions = {name: box.peer.remote(name) for name in names}
            yield box

    @contextmanager
    def _forked(self, job: dict[str, Any], library: bool) -> Iterator[Line]:
        """A copy of the process that has torch loaded."""
        if library not in self._sources:
            self._sources[library] = Source(library)
        source = self._sources[library]
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    try:
                        pid = source.ask({"job": job}, [theirs.fileno()])
                    except SourceGone:  # between two jobs: nobody's fault
                        source.close()
                        source = self._sources[library] = Source(library)
                        pid = source.ask({"job": job}, [theirs.fileno()])
                reader, writer = ours.makefile("rb"), ours.makefile("wb")
                try:
                    yield reader, writer, pid
                finally:
                    source.ask({"kill": pid})
                    _close(reader, writer)
            except SourceGone:  # another one is made for whoever comes next
                self._sources.pop(library).close()
                raise Lost("the process that makes copies is gone") from None

    @contextmanager
    def _started(self, job: dict[str, Any], library: bool) -> Iterator[Line]:
        """A new process, as every system can."""
        process = subprocess.Popen(
            _command("once", library),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        reader, writer = process.stdout, process.stdin
        assert reader is not None
        assert writer is not None
        try:
            writer.write(json.dumps(job).encode() + b"\n")
            yield reader, writer, process.pid
        finally:
            process.kill()
            process.wait()
            _close(reader, writer)


def _command(how: str, library: bool) -> list[str]:
    where = [str(PACKAGE.parent)] if library else []
    return [sys.executable, "-I", str(FOLDER), how, *where]


class SourceGone(Exception):
    """It was killed from outside, perhaps by a system short of memory."""


class Source:
    """A process that has torch loaded and makes copies of itself."""

    def __init__(self, library: bool) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                _command(str(theirs.fileno()), library),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
            )
        self.replies = self.control.makefile("rb")

    def ask(self, question: dict[str, Any], numbers: Sequence[int] = ()) -> int:
        """The number of the copy that was made, or ended."""
        try:
            socket.send_fds(self.control, [json.dumps(question).encode()], numbers)
            return int(self.replies.readline())
        except (OSError, ValueError) as error:
            raise SourceGone from error

    def close(self) -> None:
        """Hang up, which it takes for the end."""
        self.replies.close()
        self.control.close()
        self.process.wait()


def _environment() -> dict[str, str]:
    """One thread; nothing of ours, where a secret might stand."""
    kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    return {**own, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _job(folder: str, limits: Limits, library: bool) -> dict[str, Any]:
    """What the process has to know about the walls."""
    prefixes = [sys.prefix, sys.base_prefix, *SYSTEM.split(), *DEVICES.split(), folder]
    return {
        "folder": folder,
        "memory": limits.memory,
        "seconds": limits.seconds,
        "readable": [*prefixes, *([str(PACKAGE)] if library else [])],
        "hidden": [str(PACKAGE / "grading")] if library else [str(PACKAGE)],
    }


@contextmanager
def _watched(box: Box, pid: int, limits: Limits) -> Iterator[None]:
    """Stop the process when its time is up or its memory too large."""
    done, begun = threading.Event(), time.monotonic()

    def watch() -> None:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            most = process.memory_info().rss + limits.memory
            before = _computed(process)
            while not done.wait(0.05):
                if _computed(process) - before > limits.seconds:
                    box.ended = f"stopped after {limits.seconds:g} s of computing"
                elif time.monotonic() - begun > limits.clock:
                    box.ended = f"stopped after {limits.clock:g} s by the clock"
                elif process.memory_info().rss > most:
                    box.ended = f"stopped at {limits.memory / 2**20:,.0f} MB"
                if box.ended:
                    return process.kill()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _computed(process: psutil.Process) -> float:
    """Seconds of a processor so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _close(*files: IO[bytes]) -> None:
    """Close both ends; what could not be sent any more is of no interest."""
    for file in files:
        with suppress(OSError):
            file.close()
