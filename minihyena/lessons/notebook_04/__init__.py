"""The exercises of notebook 04, implicit filters, in its order: one file each."""

from minihyena.lessons.notebook_04 import (
    exponential_window,
    extend,
    fit_filter,
    normalise,
    positional_features,
    sine_net,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (
        positional_features,
        exponential_window,
        sine_net,
        normalise,
        fit_filter,
        extend,
    )
)
