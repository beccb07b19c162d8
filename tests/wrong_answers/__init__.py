"""Plausible wrong answers, each with a keyword that its message must contain.

`BANK` maps an exercise id to (name, function, keyword). New mistakes seen in class are
added here first.
"""

from collections.abc import Callable

from . import (
    nb00,
    nb01,
    nb02,
    nb03,
    nb04,
    nb05,
    nb06,
    nb07,
    nb08,
    nb09,
    nb10,
    nb11,
    nb12,
)

WrongAnswer = tuple[str, Callable[..., object], str]

BANK: dict[str, list[WrongAnswer]] = {
    **nb00.BANK,
    **nb01.BANK,
    **nb02.BANK,
    **nb03.BANK,
    **nb04.BANK,
    **nb05.BANK,
    **nb06.BANK,
    **nb07.BANK,
    **nb08.BANK,
    **nb09.BANK,
    **nb10.BANK,
    **nb11.BANK,
    **nb12.BANK,
}
