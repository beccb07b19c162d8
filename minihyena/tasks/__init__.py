"""Recall and reasoning tasks, each with an exact generator and an exact solver."""

from minihyena.tasks.base import IGNORED, Batch, Examples, Task
from minihyena.tasks.copying import SelectiveCopying
from minihyena.tasks.mqar import MQAR
from minihyena.tasks.reasoning import Addition, Counting, LinearFunctions, Majority
from minihyena.tasks.recall import AssociativeRecall, InductionHeads

__all__ = [
    "IGNORED",
    "MQAR",
    "TASKS",
    "Addition",
    "AssociativeRecall",
    "Batch",
    "Counting",
    "Examples",
    "InductionHeads",
    "LinearFunctions",
    "Majority",
    "SelectiveCopying",
    "Task",
]

TASKS: dict[str, type[Task]] = {  # name -> a frozen dataclass of its sizes
    "recall": AssociativeRecall,
    "mqar": MQAR,
    "induction": InductionHeads,
    "copying": SelectiveCopying,
    "majority": Majority,
    "counting": Counting,
    "addition": Addition,
    "functions": LinearFunctions,
}
