"""The exercises of notebook 11, one token at a time, in its order: one file each."""

from minihyena.lessons.notebook_11 import (
    conv_cache,
    fit_modes,
    generate,
    online_conv,
    recurrent,
)

__all__ = ["EXERCISES"]

EXERCISES = tuple(
    part.EXERCISE for part in (conv_cache, recurrent, fit_modes, online_conv, generate)
)
