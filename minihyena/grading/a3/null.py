"""A3, part 3: the null model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from minihyena.grading.parts import (
    Functions,
    Parameters,
)
from minihyena.lessons.comparing import attempt, close, fault, pick, show
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.notebook_07.null_p import SHARE_MISTAKES, Counts

__all__ = ["honest_at_ties", "keeps_stream_and_weights", "shares_right"]


Statistic = Callable[[Tensor], float]


@dataclass
class Trial:
    """One call of null_share: what was drawn, and of what the statistic was asked."""

    statistic: Statistic
    trained: Tensor
    n: int
    seed: int
    drawn: list[Tensor] = field(default_factory=list)
    asked: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.given = self.trained.clone()
        self.generator = torch.Generator().manual_seed(self.seed)

    def draw(self, generator: torch.Generator) -> Tensor:
        """The trained weights in another order."""
        if not isinstance(generator, torch.Generator):
            raise TypeError("draw takes a torch.Generator")
        order = torch.randperm(self.trained.numel(), generator=generator)
        self.drawn.append(self.trained.flatten()[order].view_as(self.trained))
        return self.drawn[-1].clone()

    def ask(self, weights: Tensor) -> float:
        shape = tuple(self.trained.shape)
        if not isinstance(weights, Tensor) or weights.shape != shape:
            raise TypeError(f"statistic takes weights of shape {shape}")
        self.asked.append(weights.detach().clone())
        return self.statistic(self.asked[-1])

    def run(self, fn: Function) -> object:
        """The answer, a number; `given` may have changed, and `generator` moved.

        Incorrect if other than n models were drawn.
        """

        def ask(weights: Tensor) -> float:
            return self.ask(weights)

        def draw(generator: torch.Generator) -> Tensor:
            return self.draw(generator)

        bound = partial(fn, ask, self.given, draw, self.n, generator=self.generator)
        got = attempt(bound)
        if wrong := fault(got, 0.0):
            raise self.incorrect(wrong, "What is a share?", got=show(got))
        if len(self.drawn) != self.n:
            raise self.incorrect(
                f"{self.n} random models are wanted: draw was called "
                f"{len(self.drawn)} times",
                "With how many models is the trained one compared?",
            )
        return got

    @property
    def counts(self) -> Counts:
        """Of the models that were drawn, whatever they were drawn from."""
        own = self.statistic(self.trained)
        values = [self.statistic(weights) for weights in self.drawn]
        return Counts(
            above=sum(value > own for value in values),
            reach=sum(value >= own for value in values),
            below=sum(value <= own for value in values),
            n=self.n,
        )

    def incorrect(
        self, sentence: str, question: str, expected: str = "", got: str = ""
    ) -> Incorrect:
        given = f"n = {self.n}, weights of shape {tuple(self.trained.shape)}"
        return Incorrect(sentence, given, expected, got, question)


def judge_shares(fn: Function, trials: Sequence[Trial]) -> None:
    """Is each answer the share that the models drawn make?"""
    answers = [
        (trial.counts, got, trial) for trial in trials for got in [trial.run(fn)]
    ]
    failures = [one for one in answers if not close(one[1], one[0].share, 1e-6)]
    if not failures:
        return
    sentence = "this is not the share that these models make"
    for known, formula in SHARE_MISTAKES:
        if all(close(got, formula(counts), 1e-6) for counts, got, _ in failures):
            sentence = known
            break
    counts, got, trial = failures[0]
    ties = counts.reach - counts.above
    raise trial.incorrect(
        sentence,
        "How many models are compared, the trained one included? And how do negative "
        "numbers compare?",
        f"{counts.share:.4g}: {counts.above} of {counts.n} lie above, {ties} tie",
        show(got),
    )


def trained_weights(
    parameters: Parameters, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Weights, half of them negative, no two alike; and a seed for the stream."""
    shape = parameters["rows"], parameters["columns"]
    values = torch.randn(shape, generator=generator, dtype=torch.float64).abs() + 0.1
    negative = torch.randperm(values.numel(), generator=generator).view(shape) % 2
    return values * (1 - 2 * negative), pick(0, 2**31 - 2, generator)


def along(direction: Tensor, offset: float = 0.0) -> Statistic:
    return lambda weights: float((weights.double() * direction).sum()) + offset


def shares_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """A statistic in which no two models tie, and its opposite."""
    trials = []
    for n in parameters["n"]:
        own, seed = trained_weights(parameters, generator)
        direction = torch.randn(own.shape, generator=generator, dtype=torch.float64)
        trials += [Trial(along(way * direction), own, n, seed) for way in (1, -1)]
    judge_shares(fns["null_share"], trials)


def honest_at_ties(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """None reaches the trained model, all numbers below 0; all tie; some do."""
    trials = []
    for n in parameters["n"]:
        own, seed = trained_weights(parameters, generator)
        best = own.flatten().sort()[0].view_as(own)
        rising = torch.arange(own.numel(), dtype=torch.float64).view_as(own)
        trials += [
            Trial(along(rising, -1e3), best, n, seed),
            Trial(lambda weights: float(weights.max()), own, n, seed),
            Trial(lambda weights: float((weights[0] > 0).sum()), own, n, seed),
        ]
    judge_shares(fns["null_share"], trials)


def keeps_stream_and_weights(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """All models come from the generator, which moves on; the trained weights stay."""
    for n in parameters["n"]:
        own, seed = trained_weights(parameters, generator)
        trial, ideal = (
            Trial(lambda w: float(w[0].abs().sum()), own, n, seed) for _ in "ab"
        )
        got = trial.run(fns["null_share"])
        right = [ideal.draw(ideal.generator) for _ in range(n)]
        if not torch.equal(trial.given, own):
            raise trial.incorrect(
                "the trained weights are others after the call: work on copies",
                "Whom do the weights belong to that you change?",
                show(own),
                show(trial.given),
            )
        if not all(map(torch.equal, trial.drawn, right)):
            raise trial.incorrect(
                "these models do not come from the generator as it was handed over",
                "Which generator drew them, and who else drew from it, or set it?",
                show(right[0]),
                show(trial.drawn[0]),
            )
        if not torch.equal(trial.generator.get_state(), ideal.generator.get_state()):
            raise trial.incorrect(
                "the generator stands elsewhere than the models drawn have moved it",
                "Would a second call draw other models?",
            )
        if not all(among(one, trial.asked) for one in (own, *right)):
            raise trial.incorrect(
                "the statistic must be asked of the trained model and of each drawn",
                "With how many models is the trained one compared?",
            )
        counts = trial.counts
        known = [counts.share, *(formula(counts) for _, formula in SHARE_MISTAKES)]
        if not any(close(got, number, 1e-6) for number in known):
            raise trial.incorrect(
                "what comes out does not follow from the models drawn",
                "How many of them reach the trained one?",
                f"{counts.share:.4g}",
                show(got),
            )


def among(one: Tensor, others: Sequence[Tensor]) -> bool:
    return any(torch.equal(one, other) for other in others)
