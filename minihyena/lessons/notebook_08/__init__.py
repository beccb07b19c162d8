"""The exercises of notebook 08, recall and reasoning, in its order: one file each."""

from minihyena.lessons.notebook_08 import (
    ablate,
    accuracy,
    chance,
    leaky_positions,
    majority_batch,
    match_width,
    recall_batch,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (
        recall_batch,
        majority_batch,
        chance,
        accuracy,
        leaky_positions,
        match_width,
        ablate,
    )
)
