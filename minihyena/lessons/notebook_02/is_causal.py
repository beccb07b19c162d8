"""02.is_causal: find a leak by changing the future."""

from functools import partial
from itertools import product

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, diagnose
from minihyena.lessons.comparing import Case, attempt, pick, truth
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_02.operators import Operator, operators
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]

ENOUGH = 40  # questions: 20 inputs, each before a change and after
TRIES = 10  # for the mistakes; chance hides a gate from one in a thousand


def is_causal(op: Operator, length: int, *, generator: torch.Generator) -> bool:
    """op: (L,) -> (L,); does no output move when only later inputs change?

    Tries at least 20 inputs drawn from `generator`. A move above 1e-4 counts.
    """
    for _ in range(20):
        u, other = torch.randn(2, length, generator=generator)
        before = op(u)
        for now in range(1, length):
            after = op(torch.cat([u[:now], other[now:]]))
            if (after - before)[:now].abs().max() > 1e-4:
                return False
    return True


def guarded(op: Operator, length: int, asked: list[int]) -> Operator:
    """op, which says what it takes if given something else, and counts in asked[0]."""

    def operator(u: Tensor) -> Tensor:
        if not isinstance(u, Tensor) or u.shape != (length,):
            shape = tuple(u.shape) if isinstance(u, Tensor) else type(u).__name__
            raise ValueError(f"the operator takes u of shape ({length},), not {shape}")
        asked[0] += 1 if plain(u) else ENOUGH
        return op(u)

    return operator


def plain(u: Tensor) -> bool:
    """Whether this is one signal, and not many at once in disguise (torch.vmap)."""
    try:
        u.tolist()
    except RuntimeError:
        return False
    return True


def probing(
    silent: bool = False,
    only_last: bool = False,
    middle: bool = False,
    outputs: slice = slice(None),
    present: int = 0,
    tolerance: float = 1e-4,
) -> Function:
    """The right one, with one of its parts exchanged."""

    def verdict(op: Operator, length: int, *, generator: torch.Generator) -> bool:
        cuts = (length // 2,) if middle else range(1, length)
        for _, now in product(range(TRIES), cuts):
            u, other = torch.randn(2, length, generator=generator)
            u, other = (u * 0, other * 0 + 1) if silent else (u, other)
            changed = u.clone()
            where = slice(length - 1, None) if only_last else slice(now, None)
            changed[where] = other[where]
            moved = (op(changed) - op(u))[: now + present][outputs]
            if not bool((moved.abs() <= tolerance).all()):
                return False
        return True

    return verdict


def by_impulses(op: Operator, length: int, *, generator: torch.Generator) -> bool:
    return all(
        not op(e)[:s].abs().gt(1e-4).any() for s, e in enumerate(torch.eye(length))
    )


def by_gradients(op: Operator, length: int, *, generator: torch.Generator) -> bool:
    for _ in range(3):
        u = torch.randn(length, generator=generator)
        slopes = torch.autograd.functional.jacobian(op, u)  # type: ignore[no-untyped-call]
        if slopes.triu(1).abs().max() > 1e-4:
            return False
    return True


MORE = "Which inputs would open a gate that is shut for yours?"
CAUSAL_MISTAKES = (
    Mistake(
        "passed an operator that copies u[2] to y[0]; change every future position, "
        "not the last one only",
        probing(only_last=True),
        "Which inputs come later than output 0?",
    ),
    Mistake(
        "passed a gate that leaks only when the input is non-zero: silence opens "
        "nothing",
        probing(silent=True),
        MORE,
    ),
    Mistake(
        "blamed an operator that adds 1 everywhere, whatever comes in: compare with "
        "and without a change",
        by_impulses,
        "What comes out when nothing goes in?",
    ),
    Mistake(
        "passed an operator that leaks at a later output: look at every output before "
        "the change, not at the first only",
        probing(outputs=slice(0, 1)),
        "Which outputs come before input 3?",
    ),
    Mistake(
        "passed a leak of size 0.005: the tolerance is too loose",
        probing(tolerance=1e-2),
        "How large is rounding in float32?",
    ),
    Mistake(
        "blamed a causal operator for rounding: an FFT touches the last digits of "
        "every output, so allow 1e-4",
        probing(tolerance=0.0),
        "How large is rounding in float32?",
    ),
    Mistake(
        "blamed an operator that reads its own input: output t may read input t, so "
        "compare the outputs before the first change",
        probing(present=1),
        "Is the present part of the future?",
    ),
    Mistake(
        "passed an operator that leaks at a later output: one place to cut the signal "
        "is not enough, try them all",
        probing(middle=True),
        "Which outputs lie behind your cut, and may be leaking?",
    ),
    Mistake(
        "passed an operator that tells the sign of a later input: its derivative is 0 "
        "wherever one looks; make a real change and compare",
        by_gradients,
        "How steep is a step, beside the step?",
    ),
)


def passed_or_blamed(fn: Function, verdicts: Failures) -> str | None:
    """Names the first operator about which the verdict is wrong."""
    case, got = verdicts[0]
    if isinstance(got, Incorrect):
        return None
    if all(verdict == got for _, verdict in verdicts):
        return f"says {'yes' if got else 'no'} to everything"
    what = case.given.partition(",")[0]
    if case.expected:
        return f"blamed {what}: it is causal"
    return f"passed {what}: were there inputs enough to show it?"


def check_is_causal(fn: Function, *, generator: torch.Generator) -> None:
    """Causal and leaky operators, of a small length and a larger one."""
    cases, counts, world = [], list[list[int]](), torch.get_rng_state()
    for length in (4, pick(5, 7, generator)):
        for what, op, causal in operators(length):
            counts.append([0])
            args = (guarded(op, length, counts[-1]), length)
            seed = pick(0, 2**31 - 2, generator)

            def run(
                fn: Function, args: tuple[object, int] = args, seed: int = seed
            ) -> int:
                stream = torch.Generator().manual_seed(seed)
                return int(truth(attempt(partial(fn, generator=stream), *args)))

            given = f"an operator that {what}, length {length}; 1: causal, 0: it leaks"
            cases.append(Case(args, int(causal), given, run))
    question = "Which change would show that this operator reads the future, or not?"
    verdicts = [(case, case.outcome(fn)) for case in cases]
    fewest = min(n for (n,), case in zip(counts, cases, strict=True) if case.expected)
    verdicts.sort(key=lambda pair: pair[1] == pair[0].expected)  # wrong ones first
    if verdicts[0][1] != verdicts[0][0].expected:
        raise diagnose(fn, verdicts, CAUSAL_MISTAKES, (passed_or_blamed,), question)
    if fewest < ENOUGH:
        raise Incorrect(
            f"right, with some luck: a causal operator was asked {fewest} times; a "
            "gate that opens for one input in ten stays shut too often",
            f"a causal operator, length {cases[0].args[1]}",
            "20 inputs or more, each before a change and after",
            question=MORE,
        )
    if not torch.equal(world, torch.get_rng_state()):
        raise Incorrect(
            "the global random state changed: draw from the generator you are given",
            f"an operator of length {length}",
            question="What does torch.randn take besides a shape?",
        )


EXERCISE = Exercise(
    id="02.is_causal",
    objective="Detect whether an operator reads the future, by changing the future.",
    answer=is_causal,
    hints=(
        "If output 2 knows nothing of inputs 3, 4, …, what may you do to those inputs "
        "without its noticing?",
        "For each now from 1 to L − 1: keep u[:now], exchange u[now:] for other "
        "numbers drawn by lot, and compare the outputs before now. Repeat it all for "
        "20 inputs, since a gate may be shut for some.",
    ),
    checker=check_is_causal,
    points=12,
    minutes=12,
    stars=2,
)
