"""The exercises of notebook 09, a small language model, in its order: one file each."""

from minihyena.lessons.notebook_09 import (
    initial_loss,
    perplexity,
    sample,
    train_step,
    windows,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE for part in (windows, initial_loss, train_step, sample, perplexity)
)
