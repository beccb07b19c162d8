"""A training run in a thread of its own: start, pause, resume, stop. Draws nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum, auto
from threading import Lock, Thread, current_thread, get_ident
from typing import Any, Protocol

import torch

__all__ = ["Loop", "Phase", "Stepped", "Turns"]


class Stepped(Protocol):
    """What a loop counts: a training.Record, or one of several models."""

    @property
    def step(self) -> int: ...


class Phase(StrEnum):
    """Where a run stands."""

    READY = auto()
    RUNNING = auto()
    PAUSED = auto()
    STOPPED = auto()
    FINISHED = auto()
    FAILED = auto()


class Turns:
    """A lock for `with` that is given in turn, so that a busy loop starves nobody.

    Whoever asks next holds the queue while waiting; the loop has to line up behind.
    The same thread may enter again.
    """

    def __init__(self) -> None:
        self._queue, self._lock = Lock(), Lock()
        self._owner: int | None = None
        self._depth = 0

    @property
    def mine(self) -> bool:
        """Whether this thread has it."""
        return self._owner == get_ident()

    def __enter__(self) -> None:
        if not self.mine:
            with self._queue:
                self._lock.acquire()
            self._owner = get_ident()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            self._lock.release()


class Loop:
    """Asks `records` for step after step until told otherwise.

    `turns` is held during a step and while `phase` changes: hold it to use the model.
    `on_record` sees every record, in the thread that trains, outside `turns`.
    `on_change` follows every change of `phase`: in the thread that trains, except for
    `start` and for `stop` of a run that rests, which call it from the caller's thread.
    An error, also of a callback, ends the run and is kept in `error`; `join` raises it.
    """

    def __init__(
        self,
        records: Iterator[Stepped],
        steps: int | None,
        on_record: Callable[[Any], None],
        on_change: Callable[[], None],
        turns: Turns,
    ) -> None:
        self.records, self.steps, self.turns = records, steps, turns
        self.on_record, self.on_change = on_record, on_change
        self.phase = Phase.READY
        self.step = 0
        self.error: BaseException | None = None
        self._shift = 0  # every start is one; only the newest takes steps
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, or go on after a pause, in a thread; returns at once."""
        job = self._enter(), self._thread
        self._thread = Thread(
            target=self._in_background, args=job, name="training", daemon=True
        )
        self._thread.start()
        self.on_change()

    def run(self, steps: int | None = None) -> None:
        """Take `steps` steps (None: all that are left) in this thread, then pause."""
        shift = self._enter()
        with self._telling():
            self.on_change()
            self._steps(shift, steps)

    def pause(self) -> None:
        """Rest after the step in hand; `start` goes on from there."""
        self._end(Phase.PAUSED, Phase.RUNNING)

    def stop(self) -> None:
        """End the run after the step in hand; the model stays as it is."""
        self._end(Phase.STOPPED, Phase.RUNNING, Phase.READY, Phase.PAUSED)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it no longer runs; an error of the run is raised here.

        Raises TimeoutError if it still runs after `timeout` seconds, and RuntimeError
        inside `with turns`, where it would wait for ever.
        """
        if self.phase == Phase.RUNNING and self.turns.mine:
            raise RuntimeError("training waits for your `with turns`; join() after it")
        if not self._wait(timeout):
            raise TimeoutError(f"still training after {timeout} s, step {self.step}")
        if self.error is not None:
            raise self.error

    def _wait(self, timeout: float | None = None) -> bool:
        """Until the thread is gone, unless it waits for this one; False if in vain."""
        thread = self._thread
        if thread is None or thread is current_thread() or self.turns.mine:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _enter(self) -> int:
        with self.turns:
            if self.phase not in (Phase.READY, Phase.PAUSED):
                raise RuntimeError(
                    "training is running already; pause() or stop() it first"
                    if self.phase == Phase.RUNNING
                    else f"this run has {self.phase}; reset() makes a fresh one"
                )
            self.phase = Phase.RUNNING
            self._shift += 1
            return self._shift

    def _end(self, goal: Phase, *ending: Phase) -> None:
        with self.turns:  # after the step in hand
            before = self.phase
            if before in ending:
                self.phase = goal
        self._wait()
        if before in ending and before != Phase.RUNNING:  # nobody else tells it
            self.on_change()

    def _in_background(self, shift: int, before: Thread | None) -> None:
        if before is not None:
            before.join()
        # One core is left to the page that draws: threads that wait for a core that
        # somebody else has make a step take many times as long.
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, threads - 1))
        try:
            with self._telling():
                self._steps(shift)
        except BaseException as error:
            self.error = error  # kept for join(), shown by on_change
        finally:
            torch.set_num_threads(threads)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.phase = Phase.STOPPED
            raise
        except BaseException as error:
            self.error, self.phase = error, Phase.FAILED
            raise
        finally:
            self.on_change()

    def _steps(self, shift: int, most: int | None = None) -> None:
        taken = 0
        while True:
            with self.turns:
                if self.phase != Phase.RUNNING or self._shift != shift:
                    return
                if taken == most:
                    self.phase = Phase.PAUSED
                    return
                record = next(self.records, None)
                if record is None or record.step == self.steps:
                    next(self.records, None)  # what it does after its last record
                    self.phase = Phase.FINISHED
            if record is None:
                return
            self.step, taken = record.step, taken + 1
            self.on_record(record)
