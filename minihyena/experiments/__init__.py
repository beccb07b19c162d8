"""The recorded evidence: what is compared, run, resumed and written as JSON."""

from minihyena.experiments.plans import EXPERIMENTS, RECIPES, Experiment, Recipe, Trial
from minihyena.experiments.results import Results, Run, Summary, load
from minihyena.experiments.running import processes, run, run_trial
from minihyena.experiments.sizes import equal_parameters, parameter_count

__all__ = [
    "EXPERIMENTS",
    "RECIPES",
    "Experiment",
    "Recipe",
    "Results",
    "Run",
    "Summary",
    "Trial",
    "equal_parameters",
    "load",
    "parameter_count",
    "processes",
    "run",
    "run_trial",
]
