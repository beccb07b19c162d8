"""How many examples a property is tried on; MINIHYENA_EXAMPLES multiplies them all."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("MINIHYENA_EXAMPLES", "1"))
USUAL = 100  # hypothesis's own default


def examples(count: int) -> settings:
    """`@examples(25)`: for a property that is slow, or is tried in many cases."""
    return settings(max_examples=count * TIMES)
