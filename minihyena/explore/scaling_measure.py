"""Timing subjects in a thread of its own: start, stop, wait. Draws nothing."""

from collections.abc import Callable, Mapping, Sequence
from threading import Event, Thread, current_thread

import torch

from minihyena.benchmark import compare
from minihyena.explore.training_loop import Phase

__all__ = ["Measurement", "Subjects"]

Subjects = Mapping[str, Callable[[], object]]


class Stopped(Exception):
    """Somebody pressed Stop between two calls."""


class Measurement:
    """Times all subjects of one length in turn, then those of the next.

    `prepare(length)` makes the subjects; `on_times(length, times)` gets name -> seconds
    of each round, `on_change()` follows every change of `phase` or `length`. Both are
    called in the thread that measures. An error ends it and is kept in `error`; `join`
    raises it.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        prepare: Callable[[int], Subjects],
        on_times: Callable[[int, Mapping[str, tuple[float, ...]]], None],
        on_change: Callable[[], None],
        *,
        rounds: int,
        threads: int,
    ) -> None:
        self.lengths, self.prepare, self.rounds = tuple(lengths), prepare, rounds
        self.on_times, self.on_change, self.threads = on_times, on_change, threads
        self.phase = Phase.READY
        self.done = 0  # lengths that are measured
        self.error: BaseException | None = None
        self._halt = Event()
        self._thread: Thread | None = None

    @property
    def length(self) -> int | None:
        """The one that is being measured."""
        running = self.phase == Phase.RUNNING and self.done < len(self.lengths)
        return self.lengths[self.done] if running else None

    def start(self) -> None:
        """Begin in a thread; returns at once."""
        self._thread = Thread(target=self._in_background, name="measuring", daemon=True)
        self.phase = Phase.RUNNING
        self._thread.start()

    def run(self) -> None:
        """Measure here and now; errors are raised."""
        self.phase = Phase.RUNNING
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            self.on_change()
            for length in self.lengths:
                self._measure(length)
            self.phase = Phase.FINISHED
        except Stopped:
            self.phase = Phase.STOPPED
        except BaseException as error:
            self.error, self.phase = error, Phase.FAILED
            raise
        finally:
            torch.set_num_threads(threads)
            self.on_change()

    def stop(self) -> None:
        """End it after the call in hand; what was measured stays."""
        self._halt.set()
        self._wait(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end; an error is raised here.

        Raises TimeoutError if it still measures after `timeout` seconds.
        """
        if not self._wait(timeout):
            raise TimeoutError(
                f"still measuring length {self.length} after {timeout} s"
            )
        if self.error is not None:
            raise self.error

    def _wait(self, timeout: float | None) -> bool:
        if self._thread is None or self._thread is current_thread():
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _in_background(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self.error = error  # kept for join(), shown by on_change

    def _measure(self, length: int) -> None:
        self._check()
        subjects = {
            name: self._stoppable(subject)
            for name, subject in self.prepare(length).items()
        }
        times = compare(subjects, rounds=self.rounds)
        self.done += 1
        self.on_times(length, times)
        self.on_change()

    def _stoppable(self, subject: Callable[[], object]) -> Callable[[], object]:
        def call() -> object:
            self._check()
            return subject()

        return call

    def _check(self) -> None:
        if self._halt.is_set():
            raise Stopped
