"""The recorded evidence: what is compared, run, resumed and written as JSON."""

from minihyena.experiments.plans import Experiment
from minihyena.experiments.recipes import RECIPES, Recipe
from minihyena.experiments.recorded import EXPERIMENTS
from minihyena.experiments.results import Results, Run, Summary, load
from minihyena.experiments.running import is_first, processes, run
from minihyena.experiments.sizes import equal_parameters, parameter_count
from minihyena.experiments.trials import Trial, run_trial

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
    "is_first",
    "load",
    "parameter_count",
    "processes",
    "run",
    "run_trial",
]
