"""The exercises of notebook 00, the tour, in its order: one file each."""

from minihyena.lessons.notebook_00 import count_pairs, draw, moved_outputs, running_mean

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE for part in (running_mean, moved_outputs, count_pairs, draw)
)
