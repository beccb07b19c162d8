"""The exercises of notebook 02, a convolution as a matrix: one file each."""

from minihyena.lessons.notebook_02 import (
    compose,
    free_parameters,
    is_causal,
    toeplitz,
    two_sided,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE for part in (toeplitz, is_causal, compose, free_parameters, two_sided)
)
