"""The assignments, by their ids."""

from minihyena.errors import choose
from minihyena.grading.a1 import A1
from minihyena.grading.a2 import A2
from minihyena.grading.a3 import A3
from minihyena.grading.a4 import A4
from minihyena.grading.parts import Assignment

__all__ = ["assignment", "assignments"]

assignments: dict[str, Assignment] = {one.id: one for one in (A1, A2, A3, A4)}


def assignment(id: str) -> Assignment:
    """The assignment "A1"; ValueError for an unknown one, naming the known."""
    return assignments[choose("assignment", id, assignments)]
