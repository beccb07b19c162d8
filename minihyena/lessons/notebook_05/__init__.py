"""The exercises of notebook 05, gating, in its order: one file each."""

from minihyena.lessons.notebook_05 import (
    as_matrix,
    copy_after_marker,
    gated_conv,
    short_conv,
    two_witnesses,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (two_witnesses, gated_conv, as_matrix, short_conv, copy_after_marker)
)
