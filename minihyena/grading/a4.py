"""A4, mini-research: two models compared so that the comparison means something.

The grader hands over the examples and keeps a list of who asked for which. So it sees
what a model was trained on, and judges a trained model by examples of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minihyena import tasks
from minihyena.grading.parts import (
    Assignment,
    Functions,
    Parameters,
    Part,
    Property,
    Written,
    parameters_from,
)
from minihyena.grading.sandbox.wire import parameters
from minihyena.lessons.comparing import attempt, pick
from minihyena.lessons.exercise import Incorrect

__all__ = ["A4"]

Draw = Callable[[int, int], tuple[Tensor, Tensor]]
MOST = 512  # examples at once
KEYS = {"models": list, "seeds": list, "steps": int, "test_seed": int}


@dataclass
class Log:
    """Examples on request, and which seeds were asked for, in order."""

    task: tasks.Task
    same: int | None = None  # every answer is this token
    test_seed: int | None = None
    tested: int | None = None  # in the test, this one instead
    asked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def draw(self) -> Draw:
        """What a student's functions get: a plain function, which can be copied."""
        return lambda seed, count: self.examples(seed, count)

    def examples(self, seed: int, count: int) -> tuple[Tensor, Tensor]:
        """(count, L) ids and as many labels, those of this seed; it is written down."""
        if not isinstance(seed, int) or not isinstance(count, int):
            raise TypeError("draw(seed, count) takes two whole numbers")
        if not 1 <= count <= MOST:
            raise ValueError(f"draw gives 1 to {MOST} examples; got {count}")
        self.asked.append((seed, count))
        generator = torch.Generator().manual_seed(seed)
        inputs, labels = self.task.batch(count, generator=generator)
        same = self.tested if seed == self.test_seed else self.same
        if same is not None:
            labels = labels.where(labels < 0, same)
        return inputs, labels

    @property
    def seeds(self) -> list[int]:
        return [seed for seed, _ in self.asked]


def task_of(given: Parameters) -> tasks.Task:
    return tasks.AssociativeRecall(given["tokens"], given["length"])


def plan_of(fns: Functions) -> dict[str, Any]:
    """The student's plan, if it is one; Incorrect if not."""
    plan = attempt(fns["plan"])
    if not isinstance(plan, dict) or not plan.keys() >= KEYS.keys():
        wanted = ", ".join(KEYS)
        raise Incorrect(f"plan() must give a dict with {wanted}", got=f"{plan!r:.90}")
    for key, kind in KEYS.items():
        if not isinstance(plan[key], kind):
            raise Incorrect(f"{key} of the plan is not a {kind.__name__}")
    return plan


def comparison_of(fns: Functions) -> dict[str, Any]:
    """The student's plan, if it has two models to compare."""
    plan = plan_of(fns)
    if len(set(map(str, plan["models"]))) < 2:
        raise Incorrect("one model is no comparison", got=f"{plan['models']!r:.90}")
    return plan


def rows_of(fns: Functions, plan: dict[str, Any], log: Log) -> list[dict[str, Any]]:
    """What study(plan, draw) gives, if it has a row for each model and seed."""
    rows = attempt(fns["study"], plan, log.draw)
    pairs = [(name, seed) for name in plan["models"] for seed in plan["seeds"]]
    try:
        got = {(row["model"], row["seed"]): float(row["score"]) for row in rows}  # type: ignore[attr-defined]
    except (TypeError, KeyError, ValueError):
        raise Incorrect(
            "study must give a list of dicts with model, seed and score",
            got=f"{rows!r:.90}",
        ) from None
    if sorted(got, key=str) != sorted(pairs, key=str):
        raise Incorrect(
            "study must give one row for each model and seed of the plan",
            f"{len(plan['models'])} models, {len(plan['seeds'])} seeds",
            f"{len(pairs)} rows",
            f"rows for {sorted(got, key=str)!r:.90}",
        )
    assert isinstance(rows, list)
    return rows


def some_seeds(count: int, generator: torch.Generator) -> list[int]:
    return [1000 * i + pick(1, 900, generator) for i in range(1, count + 1)]


def has_a_plan(fns: Functions, given: Parameters, generator: torch.Generator) -> None:
    """Two models or more, enough different seeds, a test seed of its own."""
    plan, least = comparison_of(fns), given["seeds"]
    if len(set(map(str, plan["seeds"]))) < least:
        raise Incorrect(
            f"fewer than {least} different seeds: the spread cannot be seen",
            got=f"{plan['seeds']!r:.90}",
        )
    if plan["test_seed"] in plan["seeds"]:
        raise Incorrect("the test seed is one of the training seeds")
    trained = _trained(fns, plan["models"][0], plan["seeds"][0], 1, Log(task_of(given)))
    _logits(trained, task_of(given), generator)


def has_equal_sizes(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Their parameters, counted; and each is a model."""
    plan, counts, said = comparison_of(fns), {}, list[Tensor]()
    seed = pick(1, 900, generator)
    for name in plan["models"]:
        model = _trained(fns, name, seed, 1, Log(task_of(given)))
        said.append(_logits(model, task_of(given), torch.Generator().manual_seed(seed)))
        try:
            counts[name] = parameters(model)
        except Exception:
            raise Incorrect(
                f"{name!r:.40} is not a torch module: its size cannot be counted"
            ) from None
    if any(torch.equal(said[0], other) for other in said[1:]):
        raise Incorrect("two of the models are the same one", f"seed {seed}, 1 step")
    small, large = min(counts.values()), max(counts.values())
    if large - small > given["slack"] * large:
        raise Incorrect(
            f"the models differ by {100 * (large - small) / large:.0f} % in size",
            "parameters of each model",
            f"within {100 * given['slack']:.0f} %",
            ", ".join(f"{name}: {count:,}" for name, count in counts.items()),
            "What else might the larger one be better at?",
        )


def has_equal_training(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """As many batches as steps, all different, and the same for every model."""
    plan, steps = comparison_of(fns), given["steps"] + pick(0, 3, generator)
    for seed in some_seeds(2, generator):
        logs = {name: Log(task_of(given)) for name in plan["models"]}
        for name, log in logs.items():
            _logits(_trained(fns, name, seed, steps, log), log.task, generator)
            if len(log.asked) != steps:
                raise Incorrect(
                    "train_model draws one batch for each step",
                    f"{name}, {steps} steps",
                    f"{steps} batches",
                    f"{len(log.asked)} batches",
                )
            if len(set(log.seeds)) < steps:
                raise Incorrect(
                    "the same batch comes again and again: each step has a seed of "
                    "its own",
                    f"{name}, {steps} steps",
                    got=f"seeds {log.seeds!r:.90}",
                )
        if len({str(log.asked) for log in logs.values()}) > 1:
            raise Incorrect(
                "the models were trained on different batches",
                f"training seed {seed}, {steps} steps",
                got="; ".join(f"{n}: {log.asked!r:.60}" for n, log in logs.items()),
                question="Is the order of examples part of what you compare?",
            )
    most = min(plan["steps"], given["longest"])
    seen = [
        _asked(fns, plan["models"][0], seed, most, task_of(given))
        for seed in plan["seeds"][:2]
    ]
    if len(seen) == 2 and set(seen[0]) & set(seen[1]):
        raise Incorrect(
            "two seeds of your plan share batches: the spread is too small",
            f"training seeds {plan['seeds'][:2]}, {most} steps",
            got=f"seeds {seen[0]!r:.60} and {seen[1]!r:.60}",
            question="How far apart must the seeds of two trainings begin?",
        )


def leaks_nothing(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """The test seed is drawn after the training of each model, and for nothing else."""
    steps, test_seed = given["steps"], 10**6 + pick(0, 9**6, generator)
    plan = {
        **plan_of(fns),
        "seeds": some_seeds(2, generator),
        "steps": steps,
        "test_seed": test_seed,
    }
    log = Log(task_of(given))
    rows_of(fns, plan, log)
    tests = [place for place, seed in enumerate(log.seeds) if seed == test_seed]
    if not tests:
        raise Incorrect(
            "no test: the examples of the test seed were never drawn",
            f"test_seed = {test_seed}",
            got=f"seeds {sorted(set(log.seeds))!r:.90}",
        )
    runs = len(plan["models"]) * len(plan["seeds"])
    training = [seed for seed in log.seeds if seed != test_seed]
    if len(training) != runs * steps:
        raise Incorrect(
            "beside the test, study draws what training takes, and nothing else",
            f"{runs} runs of {steps} steps",
            f"{runs * steps} batches",
            f"{len(training)} batches",
        )
    own = plan_of(fns)
    for seed in own["seeds"]:
        most = min(own["steps"], given["longest"])
        seen = _asked(fns, own["models"][0], seed, most, task_of(given))
        if own["test_seed"] in seen:
            raise Incorrect(
                "the examples of your plan's test are among those of its training",
                f"training seed {seed}, {most} steps",
                got=f"batch {seen.index(own['test_seed'])} is of the test seed, "
                f"{own['test_seed']}",
                question="Which seeds does a training draw, from which step on?",
            )
    if tests[0] < steps:
        raise Incorrect(
            "the test was drawn before the first model was trained: was it trained on?",
            got=f"seeds {log.seeds!r:.90}",
            question="What must a model not have seen before it is tested?",
        )


def scores_the_model(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Where every answer is one token, a score is 1; where it is another one, 0."""
    task, test_seed = task_of(given), 10**6 + pick(0, 9**6, generator)
    values = [token for token in range(task.vocab_size) if _is_value(task, token)]
    right, wrong = values[pick(0, 1, generator)], values[2]
    plan = {
        **plan_of(fns),
        "seeds": some_seeds(1, generator),
        "steps": given["long"],
        "test_seed": test_seed,
    }
    log = Log(task)
    rows = rows_of(fns, {**plan, "steps": given["steps"]}, log)
    counted = [count for seed, count in log.asked if seed == test_seed] or [MOST]
    inputs, labels = Log(task).examples(test_seed, counted[0])
    for row in rows:
        model = _trained(fns, row["model"], row["seed"], given["steps"], Log(task))
        answers: Any = attempt(model, inputs)
        right_ones = (answers.argmax(-1) == labels)[labels >= 0].double().mean()
        if abs(float(row["score"]) - float(right_ones)) > 0.01:
            raise Incorrect(
                "the score is not the share of right answers in the test",
                f"{row['model']}, {given['steps']} steps, {counted[0]} test examples",
                f"{float(right_ones):.3g}",
                f"{row['score']:.3g}",
                "At which positions is something asked, and of which model?",
            )
    for tested, low, high in ((right, 0.9, 1.0), (wrong, 0.0, 0.1)):
        rows = rows_of(fns, plan, Log(task, right, test_seed, tested))
        for row in rows:
            if not low <= float(row["score"]) <= high:
                raise Incorrect(
                    "the score is not the share of right answers in the test",
                    f"training in which every answer is {right}, {plan['steps']} "
                    f"steps, and a test in which every answer is {tested}",
                    f"{low:g} to {high:g}",
                    f"{row['model']}: {row['score']:.3g}",
                    "Which examples was this score counted on?",
                )


def runs_again(fns: Functions, given: Parameters, generator: torch.Generator) -> None:
    """The same plan gives the same rows, whatever was drawn in between."""
    plan, test_seed = plan_of(fns), 10**6 + pick(0, 9**6, generator)
    seeds = some_seeds(1, generator)
    plan |= {"seeds": seeds, "steps": given["steps"], "test_seed": test_seed}
    made = [_all_logits(fns, plan, seeds[0], given) for _ in range(2)]
    rows = [rows_of(fns, plan, Log(task_of(given))) for _ in range(2)]
    scores = [[float(row["score"]) for row in one] for one in rows]
    for name in made[0]:
        if not torch.equal(made[0][name], made[1][name]):
            raise Incorrect(
                "the same call gives another model: something is drawn from nowhere",
                f"train_model({name!r}, {seeds[0]}, {given['steps']}, draw), twice",
                question="Where do the first weights come from?",
            )
    if scores[0] != scores[1]:
        raise Incorrect(
            "the same plan gives other scores", got=f"{scores[0]} and {scores[1]}"
        )


def follows_the_seed(
    fns: Functions, given: Parameters, generator: torch.Generator
) -> None:
    """Another seed gives another model, and other first weights."""
    plan, (one, other) = plan_of(fns), some_seeds(2, generator)
    for steps in (given["steps"], 0):
        plan["steps"] = steps
        first, second = (_all_logits(fns, plan, seed, given) for seed in (one, other))
        for name in first:
            if torch.equal(first[name], second[name]):
                raise Incorrect(
                    "another seed gives the same model",
                    f"train_model({name!r}, seed, {steps}, draw) with seed {one} "
                    f"and {other}",
                    question="Do the first weights depend on the seed?",
                )


def _trained(fns: Functions, name: Any, seed: int, steps: int, log: Log) -> Any:
    model = attempt(fns["train_model"], name, seed, steps, log.draw)
    if not callable(model):
        raise Incorrect(
            f"train_model gives a {type(model).__name__}, not a trained model"
        )
    return model


def _asked(
    fns: Functions, name: Any, seed: int, steps: int, task: tasks.Task
) -> list[int]:
    log = Log(task)
    _trained(fns, name, seed, steps, log)
    return log.seeds


def _all_logits(
    fns: Functions, plan: dict[str, Any], seed: int, given: Parameters
) -> dict[str, Tensor]:
    """What each model, trained, says to the same examples."""
    return {
        name: _logits(
            _trained(fns, name, seed, plan["steps"], Log(task_of(given))),
            task_of(given),
            torch.Generator().manual_seed(0),  # always the same examples
        )
        for name in plan["models"]
    }


def _logits(model: Any, task: tasks.Task, generator: torch.Generator) -> Tensor:
    """(B, L, V): what a model says to fresh examples."""
    inputs, _ = task.batch(4, generator=generator)
    logits = attempt(model, inputs)
    wanted = (*inputs.shape, task.vocab_size)
    if not isinstance(logits, Tensor) or logits.shape != wanted:
        shape = getattr(logits, "shape", type(logits).__name__)
        raise Incorrect(
            "a model turns ids (B, L) into logits (B, L, V)",
            f"ids of shape {tuple(inputs.shape)}",
            f"{wanted}",
            f"{shape}",
        )
    return logits


def _is_value(task: tasks.Task, token: int) -> bool:
    """Whether a token can be an answer."""
    generator = torch.Generator().manual_seed(0)
    return token in task.batch(64, generator=generator).labels


A4 = Assignment(
    id="A4",
    title="Mini-research",
    parts=(
        Part(
            name="study",
            title="A comparison that means something, and again",
            functions=("plan", "train_model", "study"),
            properties=(
                Property(4, "two models, three seeds, a test of its own", has_a_plan),
                Property(6, "the models are equally large", has_equal_sizes),
                Property(7, "they train on the same batches", has_equal_training),
                Property(7, "no training on the examples of the test", leaks_nothing),
                Property(6, "the score is that of the model", scores_the_model),
                Property(6, "the same plan gives the same numbers", runs_again),
                Property(4, "another seed gives another model", follows_the_seed),
            ),
            library=True,
            seconds=60.0,
        ),
    ),
    written=(
        Written("prediction", "Prediction, filed before the runs", 10),
        Written("table", "Table and figure with spread", 20),
        Written("interpretation", "Interpretation and limits", 30),
    ),
    parameters=parameters_from(Path(__file__).with_suffix(".toml")),
)
