"""Every exercise of the course, by its id."""

from minihyena.errors import choose
from minihyena.lessons import (
    notebook_00,
    notebook_01,
    notebook_02,
    notebook_03,
    notebook_04,
    notebook_05,
    notebook_06,
    notebook_07,
    notebook_08,
    notebook_09,
    notebook_10,
    notebook_11,
    notebook_12,
)
from minihyena.lessons.exercise import Exercise

__all__ = ["exercise", "exercises"]

exercises: dict[str, Exercise] = {
    ex.id: ex
    for ex in (
        *notebook_00.EXERCISES,
        *notebook_01.EXERCISES,
        *notebook_02.EXERCISES,
        *notebook_03.EXERCISES,
        *notebook_04.EXERCISES,
        *notebook_05.EXERCISES,
        *notebook_06.EXERCISES,
        *notebook_07.EXERCISES,
        *notebook_08.EXERCISES,
        *notebook_09.EXERCISES,
        *notebook_10.EXERCISES,
        *notebook_11.EXERCISES,
        *notebook_12.EXERCISES,
    )
}


def exercise(id: str) -> Exercise:
    """The record of an exercise: `exercise("00.running_mean")`.

    Raises ValueError for an unknown id, naming the known ones, nearest first.
    """
    return exercises[choose("exercise", id, exercises)]
