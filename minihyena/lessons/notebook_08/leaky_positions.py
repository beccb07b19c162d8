"""08.leaky_positions: where the answer can be read off."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.notebook_00.moved_outputs import indices

__all__ = ["EXERCISE"]


def leaky_positions(inputs: Tensor, targets: Tensor) -> list[int]:
    """inputs (B, L), targets (B,) -> the positions whose token is the answer, always.

    Always: in every one of the B examples.
    """
    leaks = (inputs == targets[:, None]).all(0)
    return [int(t) for t in leaks.nonzero()]


def by_looking(inputs: Tensor, targets: Tensor) -> list[int]:
    """The oracle: example after example."""
    rows = list(zip(inputs.tolist(), targets.tolist(), strict=True))
    places = range(inputs.shape[1])
    return [t for t in places if all(row[t] == target for row, target in rows)]


def hits(inputs: Tensor, targets: Tensor) -> Tensor:
    return inputs == targets[:, None]


LEAKY_MISTAKES = (
    Mistake(
        "a coincidence in example 0 was reported: look at all of them",
        lambda inputs, targets: hits(inputs, targets)[0].nonzero(),
        "Does it hold in the next example, too?",
    ),
    Mistake(
        "matches sometimes is not a leak: it has to match always",
        lambda inputs, targets: hits(inputs, targets).any(0).nonzero(),
        "Could a model rely on this place?",
    ),
    Mistake(
        "matches mostly is not always: this place is wrong in some example",
        lambda inputs, targets: (hits(inputs, targets).float().mean(0) > 0.5).nonzero(),
        "Could a model rely on this place?",
    ),
    Mistake(
        "only the last place was looked at: the answer also leaks elsewhere",
        lambda inputs, targets: [
            t for t in by_looking(inputs, targets) if t == inputs.shape[1] - 1
        ],
        "Which places can a model read?",
    ),
    Mistake(
        "this is the first leak; the answer also leaks one step later",
        lambda inputs, targets: by_looking(inputs, targets)[:1],
        "Is one hole mended when another is open?",
    ),
    Mistake(
        "this is the last leak; there are others before it",
        lambda inputs, targets: by_looking(inputs, targets)[-1:],
        "Is one hole mended when another is open?",
    ),
    Mistake(
        "a token that never changes tells nothing: compare with the answers",
        lambda inputs, targets: (inputs == inputs[:1]).all(0).nonzero(),
        "With what should a place agree?",
    ),
    Mistake(
        "these are the places that do not leak",
        lambda inputs, targets: (~hits(inputs, targets).all(0)).nonzero(),
        "Which places would you forbid?",
    ),
    Mistake(
        "these are examples, not positions: the other axis",
        lambda inputs, targets: hits(inputs, targets).any(1).nonzero(),
        "Over which axis should a match hold always?",
    ),
)


def leaky_case(
    batch: int, length: int, leaks: list[int], generator: torch.Generator
) -> Case:
    """The answers at `leaks`; place 0 matches by chance, 1 mostly, 2 never changes."""
    targets = torch.randint(4, (batch,), generator=generator)
    targets[:3] = torch.tensor([0, 1, 2])
    inputs = torch.randint(4, (batch, length), generator=generator)
    inputs[:, 0] = (targets + 1) % 4
    inputs[0, 0] = targets[0]
    inputs[:, 1] = targets
    inputs[batch // 2, 1] += 1
    inputs[:, 2] = targets[0]
    for t in range(3, length):
        if t not in leaks:
            inputs[pick(1, batch - 1, generator), t] = 9
    inputs[:, leaks] = targets[:, None]
    args = inputs, targets
    given = (
        f"targets = {show(targets)}, inputs[0] = {show(inputs[0])}, "
        f"inputs[1] = {show(inputs[1])}, {batch} examples"
    )
    return Case(args, by_looking(*args), given, lambda fn: indices(attempt(fn, *args)))


def check_leaky_positions(fn: Function, *, generator: torch.Generator) -> None:
    """No leak, one, the last place, two neighbours; chance matches everywhere."""
    wide, many = pick(6, 8, generator), pick(6, 12, generator)
    cases = [
        leaky_case(3, 4, [], generator),
        leaky_case(3, 5, [4], generator),
        leaky_case(4, 5, [3], generator),
        leaky_case(5, 6, [3, 4], generator),
        leaky_case(many, wide, [3, wide - 1], generator),
        leaky_case(many, wide, [], generator),
    ]
    question = "At which places is the token the answer, in every example?"
    examine(fn, cases, LEAKY_MISTAKES, question=question)


EXERCISE = Exercise(
    id="08.leaky_positions",
    objective="Find the positions at which an answer can be read off.",
    answer=leaky_positions,
    hints=(
        "If a position matched the answer in 99 of 100 examples, would it leak?",
        "inputs == targets[:, None] compares every place of every example; .all(0) "
        "asks for a match in all of them.",
    ),
    checker=check_leaky_positions,
    points=12,
    minutes=12,
    stars=3,
)
