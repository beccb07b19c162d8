"""The exercises of notebook 01, convolution by hand, in its order: one file each."""

from minihyena.lessons.notebook_01 import (
    conv_direct,
    delay,
    impulse_response,
    is_convolution,
    undo_echo,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (delay, conv_direct, impulse_response, is_convolution, undo_echo)
)
