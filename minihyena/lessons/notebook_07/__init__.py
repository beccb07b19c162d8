"""The exercises of notebook 07, Hyena matrices, in its order: one file each."""

from minihyena.lessons.notebook_07 import (
    copying_channel,
    effective_distance,
    facts,
    hyena_matrix,
    null_p,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (hyena_matrix, effective_distance, facts, copying_channel, null_p)
)
