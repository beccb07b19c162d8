"""Assignments, and grading that nothing a student hands in can break.

In a notebook:

    a1 = grading.assignment("A1")
    a1.check("routes", conv_direct, conv_matrix, conv_fft)

and from a terminal, `python -m minihyena grade SUBMISSIONS --seed SECRET`: each part
runs in a box of its own and is judged outside of it. Needs torch and numpy only.
"""

from minihyena.grading.box import Boxes, Limits
from minihyena.grading.grading import Graded, PartResult, grade
from minihyena.grading.parts import Assignment, Part, Property, Written
from minihyena.grading.registry import assignment, assignments
from minihyena.grading.submission import Submission, read

__all__ = [
    "Assignment",
    "Boxes",
    "Graded",
    "Limits",
    "Part",
    "PartResult",
    "Property",
    "Submission",
    "Written",
    "assignment",
    "assignments",
    "grade",
    "read",
]
