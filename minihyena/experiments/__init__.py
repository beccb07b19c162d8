"""The recorded evidence: what is compared, run, resumed and written as JSON."""

from minihyena.experiments.plans import Comparison, Experiment
from minihyena.experiments.recipes import RECIPES, Recipe
from minihyena.experiments.recorded import EXPERIMENTS
from minihyena.experiments.results import Results, Summary, load
from minihyena.experiments.rows import Run, TaskRun, TextRun
from minihyena.experiments.running import run
from minihyena.experiments.sizes import equal_parameters, parameter_count
from minihyena.experiments.texts import Text, TextExperiment, TextTrial
from minihyena.experiments.trials import TaskTrial, Trial

__all__ = [
    "EXPERIMENTS",
    "RECIPES",
    "Comparison",
    "Experiment",
    "Recipe",
    "Results",
    "Run",
    "Summary",
    "TaskRun",
    "TaskTrial",
    "Text",
    "TextExperiment",
    "TextRun",
    "TextTrial",
    "Trial",
    "equal_parameters",
    "load",
    "parameter_count",
    "run",
]
