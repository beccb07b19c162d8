"""00.draw: random numbers from a generator that is handed in."""

from functools import partial

import torch
from torch import Tensor

from minihyena.lessons.comparing import Case, attempt, close, fault, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import check_stream

__all__ = ["EXERCISE"]


def draw(n: int, *, generator: torch.Generator) -> Tensor:
    """n normal numbers (n,) that come from `generator` and from nowhere else."""
    return torch.randn(n, generator=generator)


def drawn(fn: Function, n: int, stream: torch.Generator) -> Tensor:
    """The learner's n numbers, of any floating dtype; Incorrect for anything else."""
    zeros = torch.zeros(n)
    case = Case(
        (), zeros, f"n = {n}", lambda fn: attempt(partial(fn, generator=stream), n)
    )
    value = case.outcome(fn)
    if isinstance(value, Tensor) and value.is_floating_point():
        zeros = zeros.to(value.dtype)
    wrong = fault(value, zeros)
    if wrong or not isinstance(value, Tensor):
        question = "What does torch.randn return?"
        raise Incorrect(f"{wrong}", case.given, question=question)
    return value.double()


def check_draw(fn: Function, *, generator: torch.Generator) -> None:
    """Shape, stream and distribution: a law, since no single value is the right one."""
    seed = pick(0, 2**31 - 2, generator)
    for n in (1, pick(4, 8, generator)):
        check_stream(partial(drawn, fn, n), seed)
    numbers = drawn(fn, 4096, torch.Generator().manual_seed(seed))
    facts = torch.stack(
        [numbers.mean(), numbers.std(), (numbers.abs() < 1).double().mean()]
    )
    normal = torch.tensor([0.0, 1.0, 0.6827])
    if close(facts, normal, 0.08):  # five standard errors are less
        return
    sentence = "these numbers are not normal with mean 0 and standard deviation 1"
    if numbers.std() == 0:
        sentence = "one number came n times: n independent ones are wanted"
    elif numbers.min() >= 0 and numbers.max() <= 1:
        sentence = (
            "these are uniform numbers between 0 and 1: normal ones know no limits"
        )
    given = "n = 4096: mean, standard deviation, share within 1 of zero"
    question = "Which function of torch draws normal numbers?"
    raise Incorrect(sentence, given, show(normal), show(facts), question)


EXERCISE = Exercise(
    id="00.draw",
    objective="Draw random numbers from a generator that is handed in.",
    answer=draw,
    hints=(
        "If two people hold generators with equal seeds, what must both get?",
        "torch.randn takes generator=...; seed nothing yourself.",
    ),
    checker=check_draw,
    points=8,
    minutes=8,
    stars=2,
)
