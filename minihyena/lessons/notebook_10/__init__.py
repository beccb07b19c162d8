"""The exercises of notebook 10, what it costs, in its order: one file each."""

from minihyena.lessons.notebook_10 import (
    conv_chunked,
    crossover,
    fit_exponent,
    multiplications,
    time_fn,
    unfair,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (
        time_fn,
        fit_exponent,
        multiplications,
        crossover,
        unfair,
        conv_chunked,
    )
)
