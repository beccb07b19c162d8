"""Results that nobody recorded, for tests of what shows results."""

import random
from collections.abc import Collection, Sequence
from itertools import product

from minihyena.experiments import Results, TaskRun
from minihyena.options import to_fields
from minihyena.tasks import AssociativeRecall, Task

__all__ = ["LEFT_OUT", "MODELS", "RECALLS", "made_results"]

MODELS = ("ours", "other", "third, slow")
RECALLS = [AssociativeRecall(*size) for size in product((20, 10, 30), (64, 2048))]
LEFT_OUT = {("third, slow", RECALLS[-1])}


def made_results(
    tasks: Sequence[Task] = RECALLS,
    models: Sequence[str] = MODELS,
    widths: Sequence[int] = (64,),
    seeds: int = 3,
    left_out: Collection[tuple[str, Task]] = LEFT_OUT,
) -> Results:
    """Two learning rates from seed 0, the better one from the other seeds too."""
    draw = random.Random(0)
    runs = []
    for task, width, model in product(tasks, widths, models):
        if (model, task) in left_out:
            continue
        better, worse = draw.sample([0.01, 0.005], 2)
        tried = [(worse, 0), *((better, seed) for seed in range(seeds))]
        for rate, seed in tried:
            held_out = 0.3 * draw.random() + 0.5 * (rate == better)
            score = round(held_out * draw.uniform(0.9, 1.1), 4)
            sizes = to_fields(task, {}) | {"width": width, "depth": 2}
            runs.append(
                TaskRun(f"{model} {task} {width}", model, type(task).__name__, sizes,
                    task.chance, 1000 * width, None, rate, seed, 400, score, held_out,
                    0.1, 30.0, ((50, 0.1), (400, held_out)))
            )  # fmt: skip
    head = "made_up", "Which of them recalls?", "a command", "2026-11-26"
    return Results(*head, {"cores": 2}, {"torch": "2.13"}, 2, tuple(runs))
