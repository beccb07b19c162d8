"""09.train_step: one step of learning."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, numbers, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]

Batch = tuple[Tensor, Tensor]
NUMBER = "What does `loss.item()` give that `loss` does not?"


def train_step(model: nn.Module, optimiser: Optimizer, batch: Batch) -> float:
    """batch: (inputs, targets), ids (B, L) each; one step of learning -> loss (float).

    model maps ids (B, L) to logits (B, L, V).
    """
    inputs, targets = batch
    logits = model(inputs)
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.item()


def training_by_loops(
    weights: Tensor, batches: Sequence[Batch], rate: float, momentum: float
) -> Tensor:
    """A table of logits trained by SGD: the loss of each step, then the table."""
    w, table, losses = weights.tolist(), range(len(weights)), []
    velocity = [[0.0 for _ in table] for _ in table]
    for inputs, targets in batches:
        pairs = torch.stack([inputs, targets], -1).view(-1, 2).tolist()
        slope, loss = [[0.0 for _ in table] for _ in table], 0.0
        for x, y in pairs:
            total = sum(math.exp(logit) for logit in w[x])
            loss += (math.log(total) - w[x][y]) / len(pairs)
            for k in table:
                slope[x][k] += (math.exp(w[x][k]) / total - (k == y)) / len(pairs)
        for i, k in itertools.product(table, table):
            velocity[i][k] = momentum * velocity[i][k] + slope[i][k]
            w[i][k] -= rate * velocity[i][k]
        losses.append(loss)
    return torch.tensor([*losses, *itertools.chain(*w)], dtype=torch.float64)


class Descent:
    """Gradient descent with momentum, as torch.optim.SGD.

    Its own, because the first optimiser of torch.optim in a process imports a compiler
    for two seconds: too long for a check.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, momentum: float
    ) -> None:
        self.parameters, self.rate, self.momentum = list(parameters), rate, momentum
        self.velocities = [torch.zeros_like(p) for p in self.parameters]

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for p, velocity in zip(self.parameters, self.velocities, strict=True):
            if p.grad is not None:
                velocity.mul_(self.momentum).add_(p.grad)
                p.sub_(self.rate * velocity)


def training_case(
    weights: Tensor, batches: Sequence[Batch], rate: float, momentum: float
) -> Case:
    vocab = len(weights)

    def run(fn: Function) -> object:
        model = nn.Embedding(vocab, vocab, _weight=weights.clone())
        optimiser = Descent(model.parameters(), rate, momentum)
        losses = []
        for inputs, targets in batches:
            with torch.enable_grad():
                loss = attempt(
                    lambda *pair: fn(model, optimiser, pair), inputs, targets
                )
            if isinstance(loss, Tensor) and loss.requires_grad:
                raise Incorrect(
                    "the loss carries its graph: memory grows; return a number",
                    question=NUMBER,
                )
            if not isinstance(loss, float):
                question = NUMBER if isinstance(loss, Tensor) else ""
                raise Incorrect(
                    f"the loss is of type {type(loss).__name__}, not float",
                    question=question,
                )
            losses.append(loss)
        table = model.weight.detach().double().flatten()
        return torch.cat([torch.tensor(losses, dtype=table.dtype), table])

    inputs, targets = batches[0]
    given = (
        f"inputs {show(inputs)}, targets {show(targets)}, V = {vocab}; "
        f"steps: {len(batches)}; the losses, then the table of logits"
    )
    expected = training_by_loops(weights, batches, rate, momentum)
    precise = weights.dtype == torch.float64
    tolerance = 1e-9 if precise else 1e-4  # rounding adds up over the steps
    return Case((weights, len(batches)), expected, given, run, tolerance)


def unmoved(fn: Function, failures: Failures) -> str | None:
    """Is the table of logits what it was before the steps?"""
    for case, got in failures:
        start, end = numbers(case.args[0]), numbers(got)
        if isinstance(got, Incorrect) or start is None or end is None:
            return None
        if not torch.equal(end[-len(start) :], start):
            return None
    return "parameters did not move: was a gradient there when the optimiser stepped?"


def training_mistake(order: str, axis: int = 2, reduction: str = "mean") -> Function:
    """A train_step that calls zero, backward and step in this order, by initials."""

    def step(model: nn.Module, optimiser: Optimizer, batch: Batch) -> float:
        inputs, targets = batch
        logits = model(inputs).transpose(1, axis)
        loss = nn.functional.cross_entropy(logits, targets, reduction=reduction)
        calls: dict[str, Callable[[], object]] = {
            "z": optimiser.zero_grad,
            "b": loss.backward,
            "s": optimiser.step,
        }
        for initial in order:
            calls[initial]()
        return loss.item()

    return step


STEP_MISTAKES = (
    Mistake(
        "gradients of step 1 are still there in step 2",
        training_mistake("bs"),
        "What does backward do with a gradient that is already there?",
    ),
    Mistake(
        "class axis is last in logits; cross_entropy wants it second",
        training_mistake("zbs", axis=1),
        "Which shape do the logits have, and which does cross_entropy document?",
    ),
    Mistake(
        "the optimiser stepped before backward: it used the gradients of another batch",
        training_mistake("szb"),
        "What must exist before the optimiser can step?",
    ),
    Mistake(
        "the loss is summed: a larger batch would take larger steps; take the mean",
        training_mistake("zbs", reduction="sum"),
        "What should happen to the step when the batch grows?",
    ),
)


def check_train_step(fn: Function, *, generator: torch.Generator) -> None:
    """Losses and parameters after 1, 2, 3 steps, and one batch learned by heart."""
    cases = []
    for rows, length, steps, momentum in (
        (1, 2, 1, 0.0),
        (1, 2, 2, 0.0),
        (2, 3, 3, 0.9),
    ):
        vocab = length + pick(1, 3, generator)
        for dtype in (torch.float32, torch.float64):
            weights = torch.randn(vocab, vocab, generator=generator, dtype=dtype)
            size = (steps, 2, rows, length)
            ids = torch.randint(vocab, size, generator=generator)
            batches = [(inputs, targets) for inputs, targets in ids]
            cases.append(training_case(weights, batches, 0.5, momentum))
    ids = torch.stack([torch.randperm(5, generator=generator) for _ in range(2)])
    batch = ids[0].view(1, 5), ids[1].view(1, 5)
    zeros = torch.zeros(6, 6)
    cases.append(training_case(zeros, [batch] * 50, 10.0, 0.0))  # loss falls below 0.1
    question = "In which order do zero_grad, backward and step come?"
    examine(fn, cases, STEP_MISTAKES, (unmoved,), question)


EXERCISE = Exercise(
    id="09.train_step",
    objective="Write one step of training and return the loss as a number.",
    answer=train_step,
    hints=(
        "Loss, gradients, step: what must be cleared, and when?",
        "cross_entropy(logits.transpose(1, 2), targets), then zero_grad, backward "
        "and step; loss.item() is a number.",
    ),
    checker=check_train_step,
    points=12,
    minutes=12,
    stars=2,
)
