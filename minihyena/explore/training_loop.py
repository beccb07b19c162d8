"""A training run in a thread of its own: start, pause, resume, stop. Draws nothing."""

from collections.abc import Callable, Iterator
from enum import StrEnum, auto
from threading import Event, Lock, Thread, current_thread, get_ident

import torch

from minihyena.training import Record

__all__ = ["Loop", "Phase", "Turns"]


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

    def __enter__(self) -> None:
        if self._owner != get_ident():
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

    `on_record` sees every record, `on_change` every change of `phase` (ready, running,
    paused, stopped, finished, failed); both are called from the thread that trains,
    outside `turns`, which is held during a step: hold it to use the model meanwhile.
    An error, also of a callback, ends the run and is kept in `error`; `join` raises it.
    """

    def __init__(
        self,
        records: Iterator[Record],
        steps: int | None,
        on_record: Callable[[Record], None],
        on_change: Callable[[], None],
        turns: Turns,
    ) -> None:
        self.records, self.steps, self.turns = records, steps, turns
        self.on_record, self.on_change = on_record, on_change
        self.phase = Phase.READY
        self.step = 0
        self.error: BaseException | None = None
        self._goal = Phase.PAUSED
        self._halt = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, or go on after a pause, in a thread; returns at once."""
        self._enter()
        self._thread = Thread(target=self._in_background, name="training", daemon=True)
        self._thread.start()
        self.on_change()

    def run(self, steps: int | None = None) -> None:
        """Take `steps` steps (None: all that are left) in this thread, then pause."""
        self._enter()
        self.on_change()
        self._work(steps)

    def pause(self, wait: bool = True) -> None:
        """Rest after the step in hand; `start` goes on from there."""
        self._end(Phase.PAUSED, wait)

    def stop(self, wait: bool = True) -> None:
        """End the run after the step in hand; the model stays as it is."""
        if self.phase == Phase.RUNNING:
            self._end(Phase.STOPPED, wait)
        elif self.phase in (Phase.READY, Phase.PAUSED):
            self.phase = Phase.STOPPED
            self.on_change()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it no longer runs; an error of the run is raised here.

        Raises TimeoutError if it still runs after `timeout` seconds.
        """
        thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join(timeout)
            if thread.is_alive():
                raise TimeoutError(
                    f"still training after {timeout} s, step {self.step}"
                )
        if self.error is not None:
            raise self.error

    def _enter(self) -> None:
        if self.phase not in (Phase.READY, Phase.PAUSED):
            raise RuntimeError(
                "training is running already; pause() or stop() it first"
                if self.phase == Phase.RUNNING
                else f"this run has {self.phase}; reset() makes a fresh one"
            )
        self._halt.clear()
        self.phase = Phase.RUNNING

    def _end(self, goal: Phase, wait: bool) -> None:
        if self.phase == Phase.RUNNING:
            self._goal = goal
            self._halt.set()
            if wait and self._thread is not None:
                self.join()

    def _in_background(self) -> None:
        # One core is left to the page that draws: threads that wait for a core that
        # somebody else has make a step take many times as long.
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, threads - 1))
        try:
            self._work(None)
        except BaseException as error:
            self.error = error  # kept for join(), shown by on_change
        finally:
            torch.set_num_threads(threads)

    def _work(self, steps: int | None) -> None:
        try:
            self.phase = self._steps(steps)
        except KeyboardInterrupt:
            self.phase = Phase.STOPPED
            raise
        except BaseException as error:
            self.error, self.phase = error, Phase.FAILED
            raise
        finally:
            self.on_change()

    def _steps(self, steps: int | None) -> Phase:
        taken = 0
        while steps is None or taken < steps:
            if self._halt.is_set():
                return self._goal
            with self.turns:
                record = next(self.records, None)
            if record is None:
                return Phase.FINISHED
            self.step, taken = record.step, taken + 1
            self.on_record(record)
            if record.step == self.steps:
                return Phase.FINISHED
        return Phase.PAUSED
