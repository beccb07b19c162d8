"""03.smallest_pad: the smallest ring on which no sample meets another."""

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def smallest_pad(L: int, K: int) -> int:
    """The smallest FFT size at which all L outputs are right: L steps, K <= L taps."""
    return L + K - 1


def size_by_search(steps: int, taps: int) -> int:
    """Try every size; each pair (step, tap) must land where it belongs, or outside."""
    size = steps
    while any(
        (s + k) % size < steps and (s + k) % size != s + k
        for s in range(steps)
        for k in range(taps)
    ):
        size += 1
    return size


def power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


SMALLER = "Which sample of the tail would be the first to wrap if it were smaller?"
TAIL = "How many samples has the convolution of L steps with K taps?"
PAD_MISTAKES = (
    Mistake("wraps K−1 samples", max, TAIL),
    Mistake("wraps one sample: output 0 is wrong", lambda L, K: L + K - 2, TAIL),
    Mistake("exact, but L + K − 1 is too", lambda L, K: L + K, SMALLER),
    Mistake(
        "exact, but wasteful when K is short",
        lambda L, K: 2 * L,
        "With a single tap, how long is the tail?",
    ),
    Mistake(
        "exact, but wasteful when K is short: this is right for K = L only",
        lambda L, K: 2 * L - 1,
        "With a single tap, how long is the tail?",
    ),
    Mistake(
        "exact, but not the smallest: a power of two may be quick, and that is "
        "another question",
        lambda L, K: power_of_two(L + K - 1),
        SMALLER,
    ),
    Mistake(
        "this is how many zeros to add to u, not the size",
        lambda L, K: K - 1,
        "How long is u with the zeros behind it?",
    ),
    Mistake(
        "too small for short filters: the length of the filter decides, not of u",
        lambda L, K: 2 * K - 1,
        TAIL,
    ),
    Mistake("exact, but this counts products, not samples", lambda L, K: L * K, TAIL),
)


def too_small_or_too_large(fn: Function, failures: Failures) -> str | None:
    """Does it wrap every time it is wrong, or waste every time?"""
    sizes = [(got, case.expected) for case, got in failures]
    pairs = [(a, b) for a, b in sizes if isinstance(a, int) and isinstance(b, int)]
    if len(pairs) < len(sizes) or not all(a > 0 for a, _ in pairs):
        return None
    if all(a < b for a, b in pairs):
        return "too small: some of the tail wraps onto the start"
    if all(a > b for a, b in pairs):
        return "exact, but not the smallest"
    return None


def check_smallest_pad(fn: Function, *, generator: torch.Generator) -> None:
    """Small lengths with every kind of filter, and three drawn by lot."""
    sizes = [(1, 1), (2, 1), (2, 2), (3, 2), (4, 2), (4, 4), (8, 3), (9, 5)]
    for _ in range(3):
        steps = pick(10, 40, generator)
        sizes.append((steps, pick(1, steps, generator)))
    cases = [
        Case((steps, taps), size_by_search(steps, taps), f"L = {steps}, K = {taps}")
        for steps, taps in sizes
    ]
    question = "Draw L = 3, K = 2: which samples are there in all?"
    examine(fn, cases, PAD_MISTAKES, (too_small_or_too_large,), question)


EXERCISE = Exercise(
    id="03.smallest_pad",
    objective="Choose the smallest padding that is exact, and defend it.",
    answer=smallest_pad,
    hints=(
        "At which step does the last input, sent through the last tap, come out?",
        "Input L − 1 through tap K − 1 comes out at step L + K − 2, and steps are "
        "counted from 0.",
    ),
    checker=check_smallest_pad,
    points=6,
    minutes=6,
    stars=1,
)
