"""A machine that is only pretended: its clock moves when its work does, never else."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["PretendMachine"]


@dataclass
class PretendMachine:
    """Give its three methods to what measures; the truth is known in advance.

    Each call of `work` takes the next of `seconds`, round and round, of which `queued`
    are done by a device in the background: `work` returns before they are over, `sync`
    waits for them. The first `cold` calls need 8 seconds of set-up besides.
    """

    seconds: Sequence[float]
    queued: float = 0.0
    cold: int = 0
    now: float = 1000.0  # a clock does not begin at 0
    calls: int = 0
    readings: list[float] = field(default_factory=list)
    _busy_until: float = 0.0

    def work(self) -> None:
        """What is to be timed."""
        spent = self.seconds[self.calls % len(self.seconds)]
        if self.calls < self.cold:
            spent += 8.0
        self.calls += 1
        self.now += spent - self.queued
        self._busy_until = max(self.now, self._busy_until) + self.queued

    def sync(self) -> None:
        """Wait for the device."""
        self.now = max(self.now, self._busy_until)

    def clock(self) -> float:
        """The time of day of this machine, in seconds."""
        self.readings.append(self.now)
        return self.now
