"""09.perplexity: one number for losses of unequal windows."""

import math

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick, show
from minihyena.lessons.exercise import Exercise, Function

__all__ = ["EXERCISE"]


def perplexity(losses: Tensor, counts: Tensor) -> float:
    """losses: (W,) mean nats per token of W windows, counts: (W,) tokens in each.

    The exponential of the mean loss per token of them all -> float.
    """
    mean = (losses * counts).sum() / counts.sum()
    return mean.exp().item()


def perplexity_by_loops(losses: Tensor, counts: Tensor) -> float:
    total, tokens = 0.0, 0
    for loss, count in zip(losses.tolist(), counts.tolist(), strict=True):
        total, tokens = total + loss * count, tokens + count
    return math.exp(total / tokens)


def weighted(losses: Tensor, counts: Tensor) -> Tensor:
    return (losses * counts).sum() / counts.sum()


PERPLEXITY_MISTAKES = (
    Mistake(
        "average the losses first, then exponentiate",
        lambda losses, counts: losses.exp().mean(),
        "Is the mean of exponentials the exponential of the mean?",
    ),
    Mistake(
        "average the losses first, then exponentiate",
        lambda losses, counts: weighted(losses.exp(), counts),
        "Is the mean of exponentials the exponential of the mean?",
    ),
    Mistake(
        "losses are in nats: the base is e, not 2",
        lambda losses, counts: 2 ** losses.mean(),
        "Which base undoes a natural logarithm?",
    ),
    Mistake(
        "losses are in nats: the base is e, not 2",
        lambda losses, counts: 2 ** weighted(losses, counts),
        "Which base undoes a natural logarithm?",
    ),
    Mistake(
        "windows of different size weigh the same: weigh each loss by its tokens",
        lambda losses, counts: losses.mean().exp(),
        "Should 2 tokens count as much as 200?",
    ),
    Mistake(
        "this is the mean loss; perplexity is its exponential",
        lambda losses, counts: weighted(losses, counts),
        "What is the perplexity of a model with loss ln V?",
    ),
)


def check_perplexity(fn: Function, *, generator: torch.Generator) -> None:
    """One window, two, and many, in both precisions, against a loop."""
    cases = []
    for size in (1, 2, pick(3, 5, generator), pick(6, 8, generator)):
        for dtype in (torch.float32, torch.float64):
            losses = torch.rand(size, generator=generator, dtype=dtype) * 3 + 1
            counts = (
                torch.randperm(90, generator=generator)[:size] + 10
            )  # all different
            given = f"losses = {show(losses)}, counts = {show(counts)}"
            oracle = perplexity_by_loops(losses, counts)
            cases.append(Case((losses, counts), oracle, given))
    question = "What is the mean loss per token over all windows?"
    examine(fn, cases, PERPLEXITY_MISTAKES, question=question)


EXERCISE = Exercise(
    id="09.perplexity",
    objective="Combine the losses of unequal windows into one perplexity.",
    answer=perplexity,
    hints=(
        "Two windows hold 10 and 1000 tokens: whose loss should count more?",
        "Sum losses * counts, divide by counts.sum(), and only then take exp.",
    ),
    checker=check_perplexity,
    points=8,
    minutes=8,
    stars=1,
)
