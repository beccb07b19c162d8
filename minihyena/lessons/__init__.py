"""Exercises that say why an answer is wrong, and predictions that are kept.

    ex = lessons.exercise("00.running_mean")
    ex.check(running_mean)  # ✓ Correct, ✗ Incorrect or ○ Not attempted
    ex.hint()
    ex.solution()  # after one attempt
    average = ex.or_library(running_mean)  # for the cells below

Needs torch and numpy only. To add an exercise, write in `notebook_XX.py` the answer,
a brute-force oracle, a check and the record, and in `tests/wrong_answers/nbXX.py` at
least five wrong answers; `pytest tests/test_lessons.py -k name` lists what is missing.
"""

from minihyena.lessons.exercise import Exercise, Incorrect, NotAttempted
from minihyena.lessons.predictions import (
    confront,
    forget,
    predict,
    summary,
    summary_text,
)
from minihyena.lessons.registry import exercise, exercises

__all__ = [
    "Exercise",
    "Incorrect",
    "NotAttempted",
    "confront",
    "exercise",
    "exercises",
    "forget",
    "predict",
    "summary",
    "summary_text",
]
