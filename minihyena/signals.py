"""Being told to stop, and stopping where nothing is lost."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["signals_wait"]


@contextmanager
def signals_wait() -> Iterator[list[int]]:
    """SIGINT and SIGTERM wait until the end, and then do what they would have done.

    Yields those that came. In a thread other than the main one, which gets no signals,
    nothing changes.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    heard = [
        s
        for s in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(s) not in (signal.SIG_IGN, None)
    ]
    before = {s: signal.signal(s, note) for s in heard}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for caught in dict.fromkeys(came):
        signal.raise_signal(caught)
