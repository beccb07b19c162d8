"""01.impulse_response: what a system does with a single 1."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, close, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_01.systems import Box, filtered
from minihyena.lessons.probes import NEAR, Failures

__all__ = ["EXERCISE"]


def impulse_response(system: Box, length: int) -> Tensor:
    """system: (L,) -> (L,); what comes out, (L,), when a 1 goes in at step 0 only."""
    impulse = torch.zeros(length)
    impulse[0] = 1
    return system(impulse)


def with_input(at: int, size: float = 1) -> Function:
    """Answers that send a single number in, at another step or of another size."""

    def response(system: Box, length: int) -> Tensor:
        return system(size * torch.eye(length)[at % length])

    return response


PULSE = "What is a handclap in a hall, written as a signal?"
RESPONSE_MISTAKES = (
    Mistake(
        "this is the running sum of the impulse response: a 1 at every step went in",
        lambda system, length: system(torch.ones(length)),
        "How many handclaps does it take to hear one echo?",
    ),
    Mistake(
        "the impulse came at the last step, so only one tap shows",
        with_input(-1),
        "How much time is left to ring after the last step?",
    ),
    Mistake(
        "the impulse came at step 1: everything is one step late",
        with_input(1),
        "At which step do we begin to count?",
    ),
    Mistake(
        "this is what went in, not what came out",
        lambda system, length: torch.eye(length)[0],
        "Whom do you have to ask?",
    ),
    Mistake(
        "all zeros: nothing went in, so nothing came out",
        lambda system, length: system(torch.zeros(length)),
        PULSE,
    ),
    Mistake(
        "this is a single number: the response lasts as long as the signal",
        lambda system, length: system(torch.eye(length)[0])[0],
        "What is heard at step 1, when the clap is over?",
    ),
)


def says_what_it_sent(fn: Function, failures: Failures) -> str | None:
    """Every system remembers what it was sent; the last of it explains most answers."""
    said = []
    for case, got in failures:
        if isinstance(got, Incorrect):
            return None
        box = case.args[0]
        assert isinstance(box, Box)
        box.heard.clear()
        got = case.outcome(fn)
        if not box.heard:
            return "the system was never asked"
        u, y = box.heard[-1]
        if close(got, y / u, NEAR) and not close(u, torch.ones_like(u), NEAR):
            said.append(
                "output divided by input is a filter only if the system has no memory"
            )
        elif close(got, y, NEAR):
            said.append(f"what went in was {show(u, count=4)}: no single 1 at step 0")
    return said[0] if len(said) == len(failures) else None


def responded(fn: Function, box: Box) -> object:
    """The answer in float64 where it is a tensor of real numbers."""
    value = attempt(fn, box, box.length)
    real = isinstance(value, Tensor) and not value.is_complex()
    return value.double() if real and isinstance(value, Tensor) else value


def check_impulse_response(fn: Function, *, generator: torch.Generator) -> None:
    """Delays, echoes, averages, and filters drawn by lot; short signals first."""
    cases = []
    for length in (3, 4, pick(5, 9, generator)):
        k, gain = pick(1, length - 2, generator), pick(2, 8, generator) / 10
        echo = [1.0, *[0.0] * (k - 1), gain]
        drawn = short(length, generator=generator).tolist()
        for what, taps in (
            ("averages the last two inputs", [0.5, 0.5]),
            (f"delays by {k}", [0.0] * k + [1.0]),
            (f"adds an echo of {gain} after {k}", echo),
            ("takes the difference to the input before", [1.0, -1.0]),
            ("sums up all inputs so far", [1.0] * length),
            ("has taps drawn by lot", drawn),
        ):
            box = Box(what, filtered(*taps), length)
            expected = torch.tensor([*taps, *[0.0] * length])[:length].double()
            given = f"a system that {what}, length {length}"

            def run(fn: Function, box: Box = box) -> object:
                return responded(fn, box)

            cases.append(Case((box, length), expected, given, run, 1e-5))
    examine(fn, cases, RESPONSE_MISTAKES, (says_what_it_sent,), PULSE)


EXERCISE = Exercise(
    id="01.impulse_response",
    objective="Measure the filter of a black box with a single 1.",
    answer=impulse_response,
    hints=(
        "If you may clap once in a dark hall, and listen, what do you hear?",
        "Make a signal of zeros, torch.zeros(length), with a 1 at step 0; give it to "
        "the system, and return what comes out.",
    ),
    checker=check_impulse_response,
    points=8,
    minutes=8,
    stars=1,
)
