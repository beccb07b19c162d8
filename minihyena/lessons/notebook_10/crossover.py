"""10.crossover: from which length on one of two is ahead for good."""

from collections.abc import Callable, Sequence

import torch

from minihyena.lessons.comparing import attempt, numbers, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]

Times = Sequence[float]
Answer = Callable[[list[int], list[float], list[float]], object]
NEVER = "None"  # what None is called here: a bare None is a forgotten return


def crossover(lengths: list[int], a: list[float], b: list[float]) -> int | None:
    """The first of the lengths from which a stays ahead: a < b there and ever after.

    a, b: the seconds of two programs at each length, lengths ascending. None if there
    is no such length.
    """
    found = None
    for length, one, other in zip(lengths, a, b, strict=True):
        if not one < other:
            found = None
        elif found is None:
            found = length
    return found


def crossover_by_search(lengths: list[int], a: Times, b: Times) -> object:
    """Every length in turn: is a ahead there and at all that come after?"""
    for i in range(len(lengths)):
        if all(a[j] < b[j] for j in range(i, len(lengths))):
            return lengths[i]
    return NEVER


def first_win(lengths: list[int], a: Times, b: Times) -> object:
    wins = (n for n, s, t in zip(lengths, a, b, strict=True) if s <= t)
    return next(wins, NEVER)


def first_sure_win(lengths: list[int], a: Times, b: Times) -> object:
    wins = (n for n, s, t in zip(lengths, a, b, strict=True) if s < t)
    return next(wins, NEVER)


def one_early(lengths: list[int], a: Times, b: Times) -> object:
    found = crossover_by_search(lengths, a, b)
    if found == NEVER or found == lengths[0]:
        return found
    return lengths[lengths.index(found) - 1]  # type: ignore[arg-type]


def one_late(lengths: list[int], a: Times, b: Times) -> object:
    found = crossover_by_search(lengths, a, b)
    if found == NEVER or found == lengths[-1]:
        return found
    return lengths[lengths.index(found) + 1]  # type: ignore[arg-type]


def last_at_best(lengths: list[int], a: Times, b: Times) -> object:
    found = crossover_by_search(lengths, a, b)
    return lengths[-1] if found == NEVER else found


def first_at_best(lengths: list[int], a: Times, b: Times) -> object:
    found = crossover_by_search(lengths, a, b)
    return lengths[0] if found == NEVER else found


def position(lengths: list[int], a: Times, b: Times) -> object:
    found = crossover_by_search(lengths, a, b)
    return NEVER if found == NEVER else lengths.index(found)  # type: ignore[arg-type]


def tie_wins(lengths: list[int], a: Times, b: Times) -> object:
    return crossover_by_search(lengths, a, [t + 1e-9 for t in b])


def last_change(lengths: list[int], a: Times, b: Times) -> object:
    """The last length at which the lead changes, whoever takes it."""
    ahead = [s < t for s, t in zip(a, b, strict=True)]
    changes = [i for i in range(1, len(ahead)) if ahead[i] != ahead[i - 1]]
    return lengths[changes[-1]] if changes else NEVER


def last_win(lengths: list[int], a: Times, b: Times) -> object:
    wins = [n for n, s, t in zip(lengths, a, b, strict=True) if s < t]
    return wins[-1] if wins else NEVER


NOISE = "Is a still ahead at the next length, and at the one after?"

# What was said -> the program that would say it; the narrower mistake comes first.
CROSSOVER_MISTAKES: tuple[tuple[str, Answer, str], ...] = (
    (
        "a tie is no lead: a must be faster, not as fast",
        tie_wins,
        "Is a ahead where both take the same time?",
    ),
    (
        "a wins at one length and loses at a later one: noise; it must stay ahead",
        first_win,
        NOISE,
    ),
    (
        "a wins at one length and loses at a later one: noise; it must stay ahead",
        first_sure_win,
        NOISE,
    ),
    (
        "at this length a is still behind: the lead begins one later",
        one_early,
        "Who is faster at the length that you return?",
    ),
    (
        "a was ahead one length earlier already, and stayed so",
        one_late,
        "Who is faster at the length before the one that you return?",
    ),
    (
        "a never stays ahead: return None, not the last length",
        last_at_best,
        "Who is faster at the last length?",
    ),
    (
        "a never stays ahead: return None, not the first length",
        first_at_best,
        "Who is faster at the last length?",
    ),
    (
        "this is a place in the list; the length that stands there is asked for",
        position,
        "What stands in the list at that place?",
    ),
    (
        "this is where b stays ahead: the two are exchanged",
        lambda lengths, a, b: crossover_by_search(lengths, b, a),
        "Which of the two is meant to win?",
    ),
    (
        "this is the last change of the lead, whoever takes it: look who is ahead "
        "after it",
        last_change,
        "Who is ahead after the last change, and who if there is none?",
    ),
    (
        "this is the last length at which a wins, not the first from which it stays",
        last_win,
        "Where does that lead begin?",
    ),
)


def cases(generator: torch.Generator) -> list[tuple[list[int], list[float], str]]:
    """Lengths and the ratio a / b at each, with what is to be seen."""
    early, late = pick(1, 2, generator), pick(2, 3, generator)
    drawn = (torch.rand(7, generator=generator) + 0.5).tolist()
    shapes: list[tuple[list[float], str]] = [
        ([1.5, 0.5], "a overtakes"),
        ([1.5, 1.25], "b is ahead throughout"),
        ([0.5, 0.75], "a is ahead throughout"),
        ([0.5, 1.5], "b overtakes"),
        ([1.5, 1.0, 0.5], "a tie before the lead"),
        ([0.5, 1.0], "a tie at the end"),
        ([1.5, 0.75, 1.25, 0.75, 0.5], "one lucky win"),
        ([2.0] * early + [0.75] * (late + 1), "a overtakes"),
        ([2.0, 0.75, 0.75, 1.25], "a lead that does not last"),
        ([0.75, 1.25, 0.75, 0.5], "the lead changes twice"),
        ([r if abs(r - 1) > 0.01 else 0.9 for r in drawn], "no order in it"),
    ]
    start = 2 ** pick(6, 9, generator)
    return [
        ([start << i for i in range(len(ratios))], ratios, words)
        for ratios, words in shapes
    ]


def answer_of(
    fn: Function, lengths: list[int], a: list[float], b: list[float]
) -> object:
    """A length, the word for None, or the Incorrect that came instead."""

    def call(*args: object) -> object:
        got = fn(*args)
        return NEVER if got is None else got

    try:
        got = attempt(call, lengths, a, b)
    except Incorrect as error:
        return error
    values = numbers(got)
    if values is not None and len(values) == 1 and not isinstance(got, bool | list):
        return int(values[0]) if float(values[0]).is_integer() else float(values[0])
    return got


def same(wanted: object, said: object) -> bool:
    return type(wanted) is type(said) and wanted == said


def check_crossover(fn: Function, *, generator: torch.Generator) -> None:
    """Every order of wins and losses that has a name, and one without."""
    tried = []
    for lengths, ratios, words in cases(generator):
        b = [float(f"{n / 1e6:.3g}") for n in lengths]
        a = [t * r for t, r in zip(b, ratios, strict=True)]
        wanted = crossover_by_search(lengths, a, b)
        tried.append(((lengths, a, b), wanted, answer_of(fn, lengths, a, b), words))
    failures = [t for t in tried if not same(t[1], t[2])]
    if not failures:
        return
    first, wanted, said, words = failures[0]
    known = (
        (sentence, question)
        for sentence, wrong, question in CROSSOVER_MISTAKES
        if all(same(wrong(*args), got) for args, _, got, _ in tried)
    )
    plainly = in_words(said, wanted, first[0]), "Who is ahead, from the last one back?"
    sentence, question = next(known, plainly)
    pairs = ", ".join(
        f"{n}: {s:.3g} and {t:.3g}" for n, s, t in zip(*first, strict=True)
    )
    given = f"{words}; length: seconds of a and of b: {pairs}"
    got = "" if isinstance(said, Incorrect) else str(said)[:40]
    raise Incorrect(sentence, given, str(wanted), got, question)


def in_words(said: object, wanted: object, lengths: list[int]) -> str:
    """What can be said of an answer that no known mistake gives."""
    if isinstance(said, Incorrect):
        return said.misconception
    if said == NEVER:
        return f"a stays ahead from {wanted} on, and None was returned"
    if isinstance(said, bool) or not isinstance(said, int | float):
        return f"the answer is of type {type(said).__name__}, not a length"
    if said not in lengths:
        return f"{said} is none of the lengths that were measured"
    return f"{said} is not the first length from which a stays ahead"


EXERCISE = Exercise(
    id="10.crossover",
    objective="Find the length from which one of two programs stays ahead.",
    answer=crossover,
    hints=(
        "One win may be luck. What must be true of all the lengths after it?",
        "Walk through the lengths with what you have found so far, None at first: a "
        "win where nothing is found is a find, and every loss forgets it again.",
    ),
    checker=check_crossover,
    points=8,
    minutes=8,
    stars=2,
)
