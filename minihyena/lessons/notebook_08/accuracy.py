"""08.accuracy: the share of the asked places that are answered rightly."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick, show
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def accuracy(logits: Tensor, targets: Tensor, mask: Tensor) -> float:
    """logits (B, L, V), targets (B, L) ids, mask (B, L) True where asked -> a share.

    The answer at a place is the id with the largest logit there.
    """
    right = logits.argmax(-1) == targets
    return right[mask].float().mean().item()


def by_counting(logits: Tensor, targets: Tensor, mask: Tensor) -> float:
    """The oracle: place after place."""
    right = asked = 0
    for row in range(len(targets)):
        for t in range(targets.shape[1]):
            if mask[row, t]:
                scores = logits[row, t].tolist()
                asked += 1
                right += scores.index(max(scores)) == int(targets[row, t])
    return right / asked


def right_at(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(-1) == targets).float()


def mean_of_means(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    right = right_at(logits, targets) * mask
    return (right.sum(1) / mask.sum(1)).mean()


def shifted_once_more(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    right = logits[:, :-1].argmax(-1) == targets[:, 1:]
    return right[mask[:, 1:]].float().mean()


ACCURACY_MISTAKES = (
    Mistake(
        "unasked positions were counted: there nobody wanted an answer",
        lambda logits, y, mask: right_at(logits, y).mean(),
        "Which places does the mask keep?",
    ),
    Mistake(
        "argmax ran over time: the choice is among the V ids, the last axis",
        lambda logits, y, mask: (logits.argmax(1) == y)[mask].float().mean(),
        "Along which axis of (B, L, V) do the candidates stand?",
    ),
    Mistake(
        "sequences with fewer questions weigh more: this is a mean of means",
        mean_of_means,
        "Three questions in one row, one in the next: how much is each worth?",
    ),
    Mistake(
        "divided by all positions, not by the asked ones",
        lambda logits, y, mask: (right_at(logits, y) * mask).mean(),
        "How many questions were there?",
    ),
    Mistake(
        "this is how many are right; the share of the asked is wanted",
        lambda logits, y, mask: right_at(logits, y)[mask].sum(),
        "Out of how many?",
    ),
    Mistake(
        "this is the share of wrong answers",
        lambda logits, y, mask: 1 - right_at(logits, y)[mask].mean(),
        "Is more better?",
    ),
    Mistake(
        "this is the share of rows without a mistake; each place counts by itself",
        lambda logits, y, mask: (
            ((right_at(logits, y) > 0) | ~mask).all(1).float().mean()
        ),
        "A row with one of three answers right: what does it add?",
    ),
    Mistake(
        "only the last place was looked at",
        lambda logits, y, mask: right_at(logits, y)[:, -1].mean(),
        "Which places does the mask keep?",
    ),
    Mistake(
        "shifted once more than asked: logits at t are compared with the target at t",
        shifted_once_more,
        "Who has lined targets up with logits already?",
    ),
    Mistake(
        "this is how sure the model is of the right ids; was it right?",
        lambda logits, y, mask: (
            logits.softmax(-1).gather(-1, y[..., None])[..., 0][mask].mean()
        ),
        "What is the one answer that the model gives?",
    ),
    Mistake(
        "the mask is the wrong way round: True is where something is asked",
        lambda logits, y, mask: right_at(logits, y)[~mask].mean(),
        "Which places does the mask keep?",
    ),
)


def check_accuracy(fn: Function, *, generator: torch.Generator) -> None:
    """Rows with few questions and with many; about half of the answers right."""
    cases = []
    for batch, length, vocab in (
        (2, 3, 3),
        (3, 4, 4),
        (pick(4, 6, generator), pick(5, 8, generator), pick(4, 7, generator)),
    ):
        logits = torch.randn(batch, length, vocab, generator=generator)
        targets = torch.randint(vocab, (batch, length), generator=generator)
        right = torch.rand(batch, length, generator=generator) < 0.6
        right[0], right[1:, -1] = torch.arange(length) > 0, False
        right[2:3] = True
        targets = torch.where(right, logits.argmax(-1), (logits.argmax(-1) + 1) % vocab)
        mask = torch.rand(batch, length, generator=generator) < 0.5
        mask[0], mask[1:, -1] = True, True
        mask[1, :-1] = False
        for precise in (logits, logits.double()):
            args = precise, targets, mask
            given = (
                f"targets = {show(targets)}, argmax = {show(logits.argmax(-1))}, "
                f"mask = {show(mask)}, shape {(batch, length)}"
            )
            cases.append(Case(args, by_counting(*args), given))
    question = "Go through the asked places one by one: how many are right?"
    examine(fn, cases, ACCURACY_MISTAKES, question=question)


EXERCISE = Exercise(
    id="08.accuracy",
    objective="Score a model at the asked places, and only there.",
    answer=accuracy,
    hints=(
        "Along which axis does the model choose, and which of its answers count?",
        "logits.argmax(-1) == targets says where it is right; index that with mask, "
        "then take one mean.",
    ),
    checker=check_accuracy,
    points=8,
    minutes=8,
    stars=1,
)
