"""07.null_p: could weights in any other order do as well?"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from minihyena.lessons.comparing import attempt, close, fault, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]

Statistic = Callable[[nn.Module], float]


def null_p(
    model: nn.Module, statistic: Statistic, n: int, *, generator: torch.Generator
) -> float:
    """(count + the model itself) / (n + 1): of n copies of the model, the entries of
    each parameter shuffled, how many have a statistic >= the model's?
    """
    observed, count = statistic(model), 0
    for _ in range(n):
        copy = deepcopy(model)
        for p in copy.parameters():
            order = torch.randperm(p.numel(), generator=generator)
            p.data = p.data.flatten()[order].view_as(p)
        count += int(statistic(copy) >= observed)
    return (count + 1) / (n + 1)


def weights_of(model: object) -> list[Tensor] | None:
    """Copies of all parameters, or None if this is no module."""
    if not isinstance(model, nn.Module):
        return None
    return [p.detach().clone() for p in model.parameters()]


@dataclass(frozen=True)
class Counts:
    """Of n shuffled models: how many lie above, at or above, at or below the model."""

    above: int
    reach: int
    below: int
    n: int

    @property
    def share(self) -> float:
        return (self.reach + 1) / (self.n + 1)


class Trial:
    """One call of the learner's function, and what its statistic was asked."""

    def __init__(self, model: nn.Module, statistic: Statistic, n: int, seed: int):
        self.model, self.statistic, self.n, self.seed = model, statistic, n, seed
        self.own = weights_of(model) or []
        self.nulls: list[list[Tensor]] = []
        self.values: list[float] = []
        self.again = 0  # how often it was asked about the model itself

    def run(self, fn: Function) -> object:
        stream = torch.Generator().manual_seed(self.seed)
        world = torch.get_rng_state()
        try:
            got = attempt(partial(fn, self.model, self.ask, self.n, generator=stream))
        except Incorrect as error:
            raise self.wrong(error.misconception, "Does it run on its own?") from error
        if not torch.equal(world, torch.get_rng_state()):
            raise self.wrong(
                "the global random state changed: draw from the generator only",
                "Who else draws from the global state?",
            )
        return got

    def ask(self, model: nn.Module) -> float:
        """The statistic, with a note of the weights it was computed from."""
        weights = weights_of(model)
        if weights is None or same(weights, self.own):
            self.again += 1
            return self.statistic(self.model)
        self.nulls.append(weights)
        self.values.append(self.statistic(model))
        return self.values[-1]

    def counts(self) -> Counts:
        observed = self.statistic(self.model)
        return Counts(
            above=sum(value > observed for value in self.values),
            reach=sum(value >= observed for value in self.values),
            below=sum(value <= observed for value in self.values),
            n=self.n,
        )

    def wrong(
        self, sentence: str, question: str, expected: str = "", got: str = ""
    ) -> Incorrect:
        weights = ", ".join(str(tuple(p.shape)) for p in self.own)
        given = f"a model with weights {weights}, n = {self.n}"
        return Incorrect(sentence, given, expected, got, question)


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    shapes = [p.shape for p in one] == [p.shape for p in other]
    return shapes and all(map(torch.equal, one, other))


def check_weights(trial: Trial) -> None:
    """Were n shuffled copies asked, each parameter among its own entries?"""
    asked = f"{len(trial.nulls)} others, {trial.again} times the model itself"
    wanted = f"{trial.n} others, once the model itself"
    after = weights_of(trial.model) or []
    if not same(after, trial.own):
        raise trial.wrong(
            "your model has new weights after the call: work on a copy",
            "Whom do the weights belong to that you change?",
        )
    if not trial.nulls and trial.again > 1:
        raise trial.wrong(
            "the null must change the weights, not the text",
            "Which question does a shuffled text answer?",
            wanted,
            asked,
        )
    if len(trial.nulls) != trial.n or not trial.again:
        raise trial.wrong(
            f"the statistic must be asked of the model and of {trial.n} others",
            "How many models are compared?",
            wanted,
            asked,
        )
    kept = [[torch.equal(p, q) for p, q in zip(null, trial.own, strict=True)]
            for null in trial.nulls]  # fmt: skip
    for null in trial.nulls:
        for p, q in zip(null, trial.own, strict=True):
            if not torch.equal(p.flatten().sort()[0], q.flatten().sort()[0]):
                raise trial.wrong(
                    "these are other numbers, not the model's own in another order",
                    "Would a model with larger weights stand out for that alone?",
                    show(q),
                    show(p),
                )
            rows = [
                set(map(tuple, x.flatten(1).tolist())) for x in (p, q) if p.dim() > 1
            ]
            if rows and rows[0] == rows[1]:
                raise trial.wrong(
                    "whole rows changed places: inside a row nothing was shuffled",
                    "How many entries has the parameter, and how many did you permute?",
                    got=show(p),
                )
    if any(all(column) for column in zip(*kept, strict=True)):
        raise trial.wrong(
            "a parameter kept its order in every copy: shuffle them all",
            "How many parameters has the model?",
        )
    if trial.n > 1 and all(same(null, trial.nulls[0]) for null in trial.nulls):
        raise trial.wrong(
            "all shuffled models are one and the same: the stream must move on",
            "What does seeding do to a stream?",
        )


SHARE_MISTAKES: tuple[tuple[str, Callable[[Counts], float]], ...] = (
    ("use (count + 1) / (n + 1): as it is, p can be 0", lambda c: c.reach / c.n),
    ("count the model, too: use (count + 1) / (n + 1)", lambda c: c.reach / (c.n + 1)),
    ("n + 1 models are compared, not n", lambda c: (c.reach + 1) / c.n),
    ("a tie counts: at least as large", lambda c: (c.above + 1) / (c.n + 1)),
    ("a tie counts, and so does the model", lambda c: c.above / c.n),
    ("this is the share at most as large", lambda c: (c.below + 1) / (c.n + 1)),
    ("this is the share of all others: turn it round", lambda c: 1 - c.share),
    ("a number of models, not a share of them", lambda c: c.reach),
    ("a number of models, not a share of them", lambda c: c.reach + 1),
)


def check_shares(trials: Sequence[tuple[Trial, object]]) -> None:
    """Is each answer the share that the values it has seen make?"""
    failures = [
        (trial, got)
        for trial, got in trials
        if not close(got, trial.counts().share, 1e-6)
    ]
    if not failures:
        return
    sentence = "this is not the share that your statistics make"
    for known, formula in SHARE_MISTAKES:
        if all(close(got, formula(trial.counts()), 1e-6) for trial, got in failures):
            sentence = known
            break
    trial, got = failures[0]
    counts = trial.counts()
    reached = f"{counts.reach} of {counts.n} shuffled models reach the model's value"
    raise trial.wrong(
        sentence,
        "How many models are compared, the model included?",
        f"{show(counts.share)}: {reached}",
        show(got),
    )


def small_model(generator: torch.Generator) -> nn.Module:
    """Two parameters, (3, 4) and (5,), all entries different."""
    model = nn.Module()
    for name, shape in (("weight", (3, 4)), ("bias", (5,))):
        entries = torch.randn(shape, generator=generator)
        model.register_parameter(name, nn.Parameter(entries))
    return model


def first_entries(model: nn.Module) -> float:
    """Large if large entries come first, and nobody else's sum is the same."""
    parts = [p.detach().flatten() for p in model.parameters()]
    return sum(float(part @ (1.0 / (1 + torch.arange(len(part))))) for part in parts)


def check_null_p(fn: Function, *, generator: torch.Generator) -> None:
    """Exact: what the statistic was asked decides which share is right."""
    statistics: tuple[Statistic, ...] = (
        first_entries,
        lambda model: 1.0,  # every shuffled model ties
        lambda model: -first_entries(model),
    )
    trials: list[tuple[Trial, object]] = []
    for statistic in statistics:
        for n in (4, pick(7, 12, generator)):
            seed = pick(0, 2**31 - 2, generator)
            model = small_model(generator)
            trial = Trial(model, statistic, n, seed)
            got = trial.run(fn)
            if (wrong := fault(got, 0.0)) is not None:
                raise trial.wrong(wrong, "What is a share?", got=show(got))
            check_weights(trial)
            trials.append((trial, got))
            again = Trial(model, statistic, n, seed)
            again.run(fn)
            if not all(map(same, trial.nulls, again.nulls)):
                raise trial.wrong(
                    "two generators with equal seeds gave different models",
                    "Which generator do your permutations come from?",
                )
    check_shares(trials)


EXERCISE = Exercise(
    id="07.null_p",
    objective="Test a claim about a model against the same weights in other orders.",
    answer=null_p,
    hints=(
        "If the order of the weights meant nothing, how often would a shuffled model "
        "reach the statistic of yours?",
        "deepcopy(model), then for each parameter p of the copy "
        "p.data.flatten()[torch.randperm(p.numel(), generator=generator)], put back "
        "in its shape. Count those at or above, and the model itself.",
    ),
    checker=check_null_p,
    points=15,
    minutes=15,
    stars=3,
)
