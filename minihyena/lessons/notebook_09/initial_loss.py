"""09.initial_loss: the loss before anything is learned."""

import math

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, numbers, pick
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def initial_loss(vocab: int) -> float:
    """The cross-entropy, in nats, a float, when all `vocab` ids are equally likely."""
    return math.log(vocab)


def loss_by_loops(vocab: int) -> float:
    total = sum(math.exp(0.0) for _ in range(vocab))  # softmax of equal logits
    return -math.log(math.exp(0.0) / total)


def same_for_all(fn: Function, failures: Failures) -> str | None:
    """Does the loss ignore the vocabulary?"""
    losses = [numbers(got) for _, got in failures]
    first = losses[0]
    if len(losses) < 2 or first is None or not (first.all() and first.isfinite().all()):
        return None
    if all(loss is not None and torch.equal(loss, first) for loss in losses):
        return "the model chooses among V characters, not among positions: V matters"
    return None


LOSS_MISTAKES = (
    Mistake(
        "cross-entropy in torch is in nats; this is in bits",
        lambda vocab: math.log2(vocab),
        "Which base has the logarithm in cross_entropy?",
    ),
    Mistake(
        "that is the probability; the loss is minus its log",
        lambda vocab: 1 / vocab,
        "What does cross-entropy do with the probability of the target?",
    ),
    Mistake(
        "the sign: a log-probability is negative, the loss is minus that",
        lambda vocab: -math.log(vocab),
        "Can a cross-entropy over characters be negative?",
    ),
    Mistake(
        "this is the number of choices; the loss is its log",
        lambda vocab: vocab,
        "How surprising is one of V equally likely ids?",
    ),
    Mistake(
        "cross-entropy in torch is in nats; this log has base 10",
        lambda vocab: math.log10(vocab),
        "Which base has the logarithm in cross_entropy?",
    ),
)


def check_initial_loss(fn: Function, *, generator: torch.Generator) -> None:
    """Small vocabularies, the 65 characters of the text, and random ones."""
    sizes = [2, 3, pick(4, 60, generator), 65, pick(100, 50_000, generator)]
    cases = [Case((v,), loss_by_loops(v), f"V = {v}") for v in sizes]
    question = "What probability does each of V equally likely ids get?"
    examine(fn, cases, LOSS_MISTAKES, (same_for_all,), question)


EXERCISE = Exercise(
    id="09.initial_loss",
    objective="Compute the loss of a model that has learned nothing.",
    answer=initial_loss,
    hints=(
        "Which probability does it give to each of V characters?",
        "Cross-entropy is minus the natural logarithm of that: math.log.",
    ),
    checker=check_initial_loss,
    points=5,
    minutes=5,
    stars=1,
)
