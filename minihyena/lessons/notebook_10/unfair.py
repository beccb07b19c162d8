"""10.unfair: what is wrong with a comparison, from its settings alone."""

from collections.abc import Mapping

import torch

from minihyena.lessons.comparing import attempt, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE", "FAIR"]

Benchmark = Mapping[str, tuple[object, object]]

# A fair pair, as the notebook shows it.
FAIR: dict[str, tuple[object, object]] = {
    "length": (4096, 4096),
    "width": (64, 64),
    "dtype": ("float32", "float32"),
    "device": ("cpu", "cpu"),
    "threads": (2, 2),
    "compiled": (False, False),
    "warmup": (1, 1),
    "sync": (False, False),
    "repeats": (9, 9),
    "seed": (0, 0),
}


def unfair(benchmark: Benchmark) -> set[str]:
    """benchmark: setting -> (of ours, of theirs); returns the unfair settings.

    Unfair: what is not the same work on the same machine, set-up that is timed, a
    device that is not waited for.
    """
    same = ("length", "width", "dtype", "device", "threads", "compiled")
    found = {name for name in same if benchmark[name][0] != benchmark[name][1]}
    if 0 in benchmark["warmup"]:
        found.add("warmup")
    sides = zip(benchmark["device"], benchmark["sync"], strict=True)
    if ("cuda", False) in sides:
        found.add("sync")
    return found


MISSED = {
    "length": "the two sides ran at different lengths",
    "width": "the two sides ran at different widths",
    "dtype": "one side computed in half the digits: half the bytes to move",
    "device": "the two sides ran on different devices",
    "threads": "one side had more threads than the other",
    "compiled": "only one side was compiled",
    "warmup": "without a warm-up the first call's set-up is timed",
    "sync": "on a GPU the clock must wait: no sync, no time",
}
ACCUSED = {
    "seed": "equal seeds are not a mistake, nor are different ones: no time depends "
    "on which numbers are drawn",
    "repeats": "few repeats is imprecise, not unfair",
    "sync": "on a CPU a call comes back when it is done: there is nothing to wait for",
    "warmup": "one warm-up or three: both sides have had their set-up",
    "compiled": "both sides were compiled, and that is fair",
    "device": "both sides ran on the same device, and that is fair",
    "dtype": "both sides have the same dtype, and that is fair",
    "threads": "both sides had the same threads, and that is fair",
    "length": "both sides ran at the same length, and that is fair",
    "width": "both sides ran at the same width, and that is fair",
}
QUESTION = {
    "missed": "Could this setting alone make one side look faster than it is?",
    "accused": "Would this setting make one side look faster than it is?",
}


def mistakes_in(benchmark: Benchmark) -> set[str]:
    """The oracle: rule after rule."""
    found = set()
    for name, (ours, theirs) in benchmark.items():
        if name == "warmup":
            wrong = ours == 0 or theirs == 0
        elif name == "sync":
            devices = benchmark["device"]
            wrong = any(
                d == "cuda" and not waits
                for d, waits in zip(devices, (ours, theirs), strict=True)
            )
        else:
            wrong = name not in ("repeats", "seed") and ours != theirs
        if wrong:
            found.add(name)
    return found


def benchmarks(generator: torch.Generator) -> list[tuple[dict[str, object], str]]:
    """What is changed in a fair pair, the single changes first."""
    long = 2 ** pick(8, 12, generator)
    on_gpu: dict[str, object] = {"device": ("cuda", "cuda"), "sync": (True, True)}
    changes: list[tuple[dict[str, object], str]] = [
        ({}, "nothing"),
        ({"seed": (0, 7)}, "the seeds"),
        ({"repeats": (9, 5)}, "the repeats"),
        ({"repeats": (1, 1)}, "the repeats"),
        ({"length": (long, 2 * long)}, "the lengths"),
        ({"width": (64, 128)}, "the widths"),
        ({"dtype": ("float32", "float16")}, "the dtypes"),
        ({"threads": (2, 1)}, "the threads"),
        ({"threads": (1, 1)}, "the threads"),
        ({"warmup": (0, 0)}, "the warm-ups"),
        ({"warmup": (1, 0)}, "the warm-ups"),
        ({"warmup": (1, 3)}, "the warm-ups"),
        ({"compiled": (True, False)}, "one side is compiled"),
        ({"compiled": (True, True)}, "both sides are compiled"),
        ({"sync": (True, True)}, "sync on a CPU"),
        ({"sync": (True, False)}, "sync on a CPU"),
        (on_gpu, "on a GPU"),
        (on_gpu | {"sync": (False, False)}, "on a GPU, no sync"),
        (on_gpu | {"sync": (True, False)}, "on a GPU, sync on one side"),
        ({"device": ("cpu", "cuda"), "sync": (False, True)}, "two devices"),
        ({"device": ("cpu", "cuda"), "sync": (True, False)}, "two devices, no sync"),
    ]
    single = [change for change, _ in changes[1:16]]
    for _ in range(4):
        mixed: dict[str, object] = {}
        for i in torch.randperm(len(single), generator=generator)[:3].tolist():
            mixed |= single[i]
        changes.append((mixed, "several settings"))
    return changes


def check_unfair(fn: Function, *, generator: torch.Generator) -> None:
    """One change at a time, then several: which names come back?"""
    for change, words in benchmarks(generator):
        benchmark: dict[str, tuple[object, object]] = {**FAIR, **change}  # type: ignore[dict-item]
        listed = ", ".join(f"{name} {pair}" for name, pair in change.items())
        given = f"a fair pair, changed: {words}" + (f", {listed}" if listed else "")
        wanted = mistakes_in(benchmark)
        try:
            said = attempt(fn, benchmark)
        except Incorrect as error:
            raise Incorrect(
                error.misconception,
                given,
                written(wanted),
                question="What do you loop over, and what do you return?",
            ) from error
        sentence, question = verdict(said, wanted, benchmark)
        if sentence:
            raise Incorrect(sentence, given, written(wanted), written(said), question)


def verdict(said: object, wanted: set[str], benchmark: Benchmark) -> tuple[str, str]:
    """What is wrong with the names in `said`, and a question; "" if nothing is."""
    if not isinstance(said, set | frozenset | list | tuple):
        kind = type(said).__name__
        return f"the answer is of type {kind}, not set", "How is an empty set written?"
    unknown = [name for name in said if name not in benchmark]
    if unknown:
        return (
            f"{unknown[0]!r:.40} is none of the names in benchmark",
            "Which names may come back?",
        )
    for name in ACCUSED:
        if name in said and name not in wanted:
            return ACCUSED[name], QUESTION["accused"]
    for name in MISSED:
        if name in wanted and name not in said:
            return MISSED[name], QUESTION["missed"]
    return "", ""


def written(names: object) -> str:
    """A set in words, the same on every run."""
    if isinstance(names, set | frozenset | list | tuple):
        return "{" + ", ".join(sorted(map(repr, names))[:8]) + "}"
    return f"{names!r:.60}"


EXERCISE = Exercise(
    id="10.unfair",
    objective="Name what makes a comparison of two programs unfair.",
    answer=unfair,
    hints=(
        "Go through the rules: which settings must be equal, which must not be zero, "
        "and which matters on one kind of device only?",
        "A set of names, {name for name in (...) if ...}, holds those that must be "
        "equal and are not. Then found.add(...) for the warm-up and for sync.",
    ),
    checker=check_unfair,
    points=10,
    minutes=10,
    stars=2,
)
