"""The exercises of notebook 12, beyond text, in its order: one file each."""

from minihyena.lessons.notebook_12 import (
    context_span,
    conv2d_fft,
    motif_batch,
    reverse_complement,
    symmetrise,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE
    for part in (reverse_complement, symmetrise, motif_batch, context_span, conv2d_fft)
)
