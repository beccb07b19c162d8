"""08.chance: what somebody scores who always says the same."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick, show
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def chance(labels: Tensor) -> float:
    """labels (B, L), -100 where nothing is asked -> score of the best constant guess.

    That guess says the same id at every place, and is scored where something is asked.
    """
    asked = labels[labels != -100]
    return float(torch.bincount(asked).max() / len(asked))


def best_guess(labels: Tensor) -> float:
    """The oracle: try them all."""
    asked = [label for row in labels.tolist() for label in row if label != -100]
    return max(asked.count(guess) for guess in asked) / len(asked)


def of_asked(rule: Callable[[Tensor], Tensor | float]) -> Function:
    """A rule for the asked labels alone."""
    return lambda labels: float(rule(labels[labels != -100]))


def shares(asked: Tensor) -> Tensor:
    return torch.bincount(asked) / len(asked)


CHANCE_MISTAKES = (
    Mistake(
        "keys can never be answers: the whole vocabulary is not what is guessed from",
        lambda labels: 1 / (int(labels.max()) + 1),
        "Which ids occur as an answer at all?",
    ),
    Mistake(
        "guessing is over values, not places: the length does not matter",
        lambda labels: 1 / labels.shape[1],
        "Between what does the guesser choose?",
    ),
    Mistake(
        "the answers are not equally frequent: one is a better guess than the others",
        of_asked(lambda asked: 1 / torch.bincount(asked).count_nonzero()),
        "Which id would you bet on?",
    ),
    Mistake(
        "the places that are not asked were divided by, too",
        lambda labels: float(
            torch.bincount(labels[labels != -100]).max() / labels.numel()
        ),
        "At how many places can the guess be right or wrong?",
    ),
    Mistake(
        "-100 is no answer: it marks the places where nothing is asked",
        lambda labels: float(
            torch.bincount(labels.flatten() + 100).max() / labels.numel()
        ),
        "What would it mean to say -100?",
    ),
    Mistake(
        "this is a guesser who throws dice with the right odds; always saying the "
        "most frequent answer is better",
        of_asked(lambda asked: shares(asked).pow(2).sum()),
        "Answers a, a, a, b: what does always saying a score?",
    ),
    Mistake(
        "this is the share of wrong guesses",
        of_asked(lambda asked: 1 - shares(asked).max()),
        "How often is the best guess right?",
    ),
    Mistake(
        "this is the guess itself; how often is it right?",
        of_asked(lambda asked: asked.mode().values),
        "Is an id an accuracy?",
    ),
    Mistake(
        "this is how many times the guess is right: a share of the asked places is "
        "wanted",
        of_asked(lambda asked: torch.bincount(asked).max()),
        "Out of how many?",
    ),
)


def check_chance(fn: Function, *, generator: torch.Generator) -> None:
    """One answer a row and several, rare and frequent, with much or little asked."""
    samples = [torch.tensor([[-100, -100, 4], [-100, 4, -100], [5, -100, 4]])]
    for share in (0.3, 0.8, 1.0):
        shape = pick(5, 9, generator), pick(3, 6, generator)
        first = pick(2, 9, generator)
        odds = torch.tensor([0.5, 0.3, 0.2])
        labels = first + torch.multinomial(
            odds, shape[0] * shape[1], replacement=True, generator=generator
        ).view(shape)
        idle = torch.rand(shape, generator=generator) >= share
        idle[0, :3] = False
        labels[0, :3] = torch.tensor([first, first, first + 1])
        samples.append(labels.masked_fill(idle, -100))
    cases = [
        Case((labels,), best_guess(labels), f"labels = {show(labels)}")
        for labels in samples
    ]
    question = "Which id do you say everywhere, and where is it right?"
    examine(fn, cases, CHANCE_MISTAKES, question=question)


EXERCISE = Exercise(
    id="08.chance",
    objective="Compute what the best constant guess scores.",
    answer=chance,
    hints=(
        "If you had to say the same id every time, which would you take?",
        "Keep the labels that are not -100. torch.bincount counts each id; the largest "
        "count, as a share of all of them.",
    ),
    checker=check_chance,
    points=6,
    minutes=6,
    stars=1,
)
