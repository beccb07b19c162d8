"""The exercises of notebook 06, the hierarchy, in its order: one file each."""

from minihyena.lessons.notebook_06 import (
    as_paper,
    count_parameters,
    diagnose,
    hyena_operator,
    unit_gain,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (hyena_operator, as_paper, count_parameters, unit_gain, diagnose)
)
