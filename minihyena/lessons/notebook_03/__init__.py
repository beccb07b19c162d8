"""The exercises of notebook 03, the Fourier shortcut, in its order: one file each."""

from minihyena.lessons.notebook_03 import (
    circular_conv,
    conv_fft,
    dft_matrix,
    fft,
    smallest_pad,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE for part in (dft_matrix, fft, circular_conv, conv_fft, smallest_pad)
)
