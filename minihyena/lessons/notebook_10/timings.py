"""The ways to time a function wrongly, each with its name."""

import statistics
from collections.abc import Callable

from minihyena.lessons.checking import Mistake
from minihyena.lessons.exercise import Function

__all__ = ["TIME_MISTAKES"]


def timing(
    join: Callable[[list[float]], float],
    *,
    warm: bool = True,
    before: bool = True,
    after: bool = True,
) -> Function:
    """A time_fn with something left out; `join` makes one number of the times."""

    def measure(
        fn: Callable[[], object],
        *,
        repeats: int,
        warmup: int,
        clock: Callable[[], float],
        sync: Callable[[], object],
    ) -> float:
        for _ in range(warmup if warm else 0):
            fn()
        spent = []
        for _ in range(repeats):
            if before:
                sync()
            start = clock()
            fn()
            if after:
                sync()
            spent.append(clock() - start)
        return join(spent)

    return measure


def middle(spent: list[float]) -> float:
    return sorted(spent)[len(spent) // 2]


def mean(spent: list[float]) -> float:
    return sum(spent) / len(spent)


def all_timed(join: Callable[[list[float]], float]) -> Function:
    """The warm-up is among the times of which one number is made."""

    def measure(fn: Callable[[], object], **how: object) -> object:
        calls = how["warmup"] + how["repeats"]  # type: ignore[operator]
        return timing(join)(fn, **how | {"warmup": 0, "repeats": calls})

    return measure


def in_one_go(
    fn: Callable[[], object],
    *,
    repeats: int,
    warmup: int,
    clock: Callable[[], float],
    sync: Callable[[], object],
) -> float:
    """The clock is read twice in all."""
    for _ in range(warmup):
        fn()
    sync()
    start = clock()
    for _ in range(repeats):
        fn()
    sync()
    return (clock() - start) / repeats


STALL = "What does one stall of 1 s do to a mean, and what to the middle one?"
WAIT = "When is the work really done, and when does fn come back?"

TIME_MISTAKES = (
    Mistake(
        "the first call's set-up was timed: warm up first",
        timing(middle, warm=False),
        "What does a first call do that no later one has to?",
    ),
    Mistake(
        "the first call's set-up was timed, and it moved the mean",
        timing(mean, warm=False),
        "What does a first call do that no later one has to?",
    ),
    *(
        Mistake(
            "the warm-up was timed, too: its calls are thrown away",
            all_timed(join),
            "Which of the calls should leave a time behind?",
        )
        for join in (statistics.median, middle, mean)
    ),
    Mistake(
        "one stall of 1 s moved the result; use the median, not the mean",
        timing(mean),
        STALL,
    ),
    Mistake(
        "the clock stopped before the device did: wait with sync before you read it",
        timing(middle, after=False),
        WAIT,
    ),
    Mistake(
        "the clock stopped before the device did, and a mean was taken",
        timing(mean, after=False),
        WAIT,
    ),
    Mistake(
        "the warm-up was still running when the clock started: sync before that, too",
        timing(middle, before=False),
        "What is the device still busy with when the first measured call begins?",
    ),
    Mistake(
        "all calls were timed in one go: one stall of 1 s moved the result; time "
        "each call by itself",
        in_one_go,
        STALL,
    ),
    Mistake(
        "these are all repeats together; one call is asked for",
        timing(sum),
        "How many calls lie between two readings of the clock?",
    ),
    Mistake(
        "the smallest is the luckiest call, not the usual one; use the median",
        timing(min),
        "Which of nine times is neither lucky nor unlucky?",
    ),
    Mistake(
        "the largest is the unluckiest call, not the usual one; use the median",
        timing(max),
        "Which of nine times is neither lucky nor unlucky?",
    ),
    Mistake(
        "only the first of the repeats counts here; use the median of all",
        timing(lambda spent: spent[0]),
        "What are the other repeats for?",
    ),
    Mistake(
        "only the last of the repeats counts here; use the median of all",
        timing(lambda spent: spent[-1]),
        "What are the other repeats for?",
    ),
    Mistake(
        "the middle one in order of time, not of size: sort first",
        timing(lambda spent: spent[len(spent) // 2]),
        "How do you find the one with as many below it as above?",
    ),
)
