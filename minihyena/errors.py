"""Errors that teach: what was wrong, the numbers, and what to do."""

from collections.abc import Iterable
from difflib import SequenceMatcher

__all__ = ["choose"]


def choose(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is among `known`; else say which names are, nearest first.

    Raises ValueError: f"unknown {kind} ...; known, nearest first: ...".
    """
    names = list(known)
    if name in names:
        return name

    def likeness(candidate: str) -> float:
        return SequenceMatcher(None, str(name).lower(), candidate.lower()).ratio()

    nearest = ", ".join(sorted(names, key=likeness, reverse=True))
    raise ValueError(f"unknown {kind} {name!r}; known, nearest first: {nearest}")
