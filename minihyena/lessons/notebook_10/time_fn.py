"""10.time_fn: how long a function takes, measured fairly."""

from collections.abc import Callable, Sequence

from minihyena.lessons.checking import examine
from minihyena.lessons.comparing import Case, attempt, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_10.pretend import PretendMachine
from minihyena.lessons.notebook_10.timings import TIME_MISTAKES

__all__ = ["EXERCISE"]


def time_fn(
    fn: Callable[[], object],
    *,
    repeats: int,
    warmup: int,
    clock: Callable[[], float],
    sync: Callable[[], object],
) -> float:
    """Seconds that one call of fn takes: the median of `repeats`, an odd number.

    fn is called `warmup` times before that, unmeasured. clock gives the time in
    seconds; sync returns once everything that was begun is done.
    """
    for _ in range(warmup):
        fn()
    spent = []
    for _ in range(repeats):
        sync()
        start = clock()
        fn()
        sync()
        spent.append(clock() - start)
    return sorted(spent)[repeats // 2]


def true_median(seconds: Sequence[float], warmup: int, repeats: int) -> float:
    """Half of the measured calls take at most so long, half at least."""
    calls = range(warmup, warmup + repeats)
    spent = [seconds[call % len(seconds)] for call in calls]
    while len(spent) > 1:
        spent.remove(max(spent))
        spent.remove(min(spent))
    return spent[0]


def timing_case(
    seconds: Sequence[float],
    repeats: int,
    warmup: int,
    queued: float = 0.0,
    cold: int = 0,
) -> Case:
    """One machine, made anew for every function that is tried on it."""

    def run(fn: Function) -> object:
        machine = PretendMachine(seconds, queued, cold)
        got = attempt(lambda: measured(fn, machine, repeats, warmup))
        if not machine.calls:
            raise Incorrect("fn never ran, so nothing was measured")
        if not machine.readings:
            raise Incorrect(
                "the clock that was handed in was never read: another clock tells "
                "another machine's time"
            )
        return got

    parts = [f"fn takes {', '.join(f'{s:g}' for s in seconds)} s in turn"]
    if queued:
        parts.append(f"{queued:g} s of it on a device that fn does not wait for")
    if cold:
        parts.append(f"and 8 s more in the first {cold}")
    parts.append(f"repeats={repeats}, warmup={warmup}")
    expected = true_median(seconds, warmup, repeats)
    return Case(
        (seconds, repeats, warmup, queued, cold), expected, "; ".join(parts), run
    )


def measured(fn: Function, m: PretendMachine, repeats: int, warmup: int) -> object:
    return fn(m.work, repeats=repeats, warmup=warmup, clock=m.clock, sync=m.sync)


def check_calls(fn: Function, case: Case) -> None:
    """Incorrect unless fn runs warmup + repeats times, not once more or less."""
    seconds, repeats, warmup, queued, cold = case.args
    machine = PretendMachine(seconds, queued, cold)  # type: ignore[arg-type]
    attempt(lambda: measured(fn, machine, repeats, warmup))  # type: ignore[arg-type]
    wanted = warmup + repeats  # type: ignore[operator]
    if machine.calls != wanted:
        raise Incorrect(
            f"the time is right, but fn ran {machine.calls} times, not {wanted}",
            case.given,
            f"{warmup} calls to warm up and {repeats} that are timed",
            f"{machine.calls} calls",
            "How often may somebody else's work be done for a measurement?",
        )


def check_time_fn(fn: Function, *, generator: object) -> None:
    """Pretend machines: steady, cold at first, stalling, with a device behind."""
    a, b, c = (pick(2, 40, generator) / 64 for _ in range(3))  # type: ignore[arg-type]
    stall = [a, a, a + 1, a, a]
    several = [a + extra / 64 for extra in (3, 1, 9, 0, 2, 64, 5)]  # the middle one: 3
    cases = [
        timing_case([b], 1, 0),
        timing_case([b], 1, 1, cold=1),
        timing_case([a], 3, 2, cold=2),
        timing_case(stall, 5, 0),
        timing_case([a + c], 1, 0, queued=c),
        timing_case([2 * a + c], 1, 2, queued=a + c),  # more waits than is launched
        timing_case(several, 7, 0),
        timing_case(several, 7, 1),
        timing_case([2 * a + c] * 2 + [2 * a + b + c], 9, 3, queued=a + c, cold=3),
    ]
    question = "What happens before the clock starts, between, and before it stops?"
    examine(fn, cases, TIME_MISTAKES, question=question)
    for case in cases:
        check_calls(fn, case)


EXERCISE = Exercise(
    id="10.time_fn",
    objective="Time a function: warmed up, waited for, and by the median.",
    answer=time_fn,
    hints=(
        "A device may still be working when a function comes back. What must happen "
        "just before each of the two readings of the clock?",
        "First the warm-up calls, unmeasured. Then for each repeat: wait, read the "
        "clock, call, wait, read the clock. Sort the times and take the middle one.",
    ),
    checker=check_time_fn,
    points=12,
    minutes=12,
    stars=2,
)
