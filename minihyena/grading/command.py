"""python -m minihyena grade SUBMISSIONS --seed SECRET"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from minihyena.errors import choose
from minihyena.files import write_whole
from minihyena.grading import feedback
from minihyena.grading.box import Boxes, Limits
from minihyena.grading.files import find, read_marks
from minihyena.grading.grading import Graded, grade
from minihyena.grading.parts import PUBLIC, Assignment, parameters_from
from minihyena.grading.registry import assignments
from minihyena.grading.sandbox.wire import Lost
from minihyena.grading.submission import Submission

__all__ = ["run_grade"]

COLUMNS = {"grades": feedback.COLUMNS, "totals": feedback.TOTALS}


def run_grade(options: argparse.Namespace) -> int:
    """Grade all of it; the tables grow with each submission."""
    tasks = _with_parameters(options.parameters)
    seed = options.seed
    if seed is None:
        seed = os.environ.get("MINIHYENA_SEED", PUBLIC)
    if not seed:
        raise ValueError("the seed is empty: is a variable of the shell not set?")
    if options.assignment is not None:
        choose("assignment", options.assignment, tasks)
    marks = {} if options.marks is None else read_marks(options.marks)
    if seed == PUBLIC:
        _say("warning: no seed given, so this is the notebooks' own: --seed SECRET")
    submissions = _handed_in(options)
    if not submissions:
        raise ValueError(f"nothing was handed in at {options.submissions}")
    out, begun = options.out, time.monotonic()
    tables: dict[str, list[list[str]]] = {"grades": [], "totals": []}
    with Boxes() as boxes:
        _say(_missing_walls(boxes))
        for one in submissions:
            try:
                if one.assignment not in tasks:
                    raise ValueError(one.fault or _which(one, tasks))
                graded = grade(one, tasks[one.assignment], seed, boxes)
                _write_feedback(out, graded, marks, options.gradescope)
            except Exception as error:  # of one submission alone, whatever is in it
                known = isinstance(error, ValueError)
                why = f"{error}" if known else f"the grader stopped: {error!r:.200}"
                tables["totals"].append(feedback.ungraded(one, why))
                _say(f"{one.student}: {one.path.name} is not graded: {why}")
            else:
                tables["grades"] += feedback.rows(graded)
                tables["totals"].append(feedback.total(graded, marks))
                _say(_line(graded))
            for name, columns in COLUMNS.items():
                text = feedback.table(columns, tables[name])
                _write(out / f"{name}.csv", "\ufeff" + text)
    if options.otter:
        for task in tasks.values():
            for name, text in feedback.otter(task).items():
                _write(out / "otter" / task.id / name, text)
    took = time.monotonic() - begun
    print(f"{len(submissions)} files in {took:.0f} s; written to {out}")
    return 0


def _handed_in(options: argparse.Namespace) -> list[Submission]:
    """What is in the folder of submissions, but for what this command wrote there."""
    place, out = options.submissions.resolve(), options.out.resolve()
    if out == place:
        raise ValueError(f"{out} holds what was handed in: give --out another folder")
    found = find(options.submissions, options.assignment or "")
    if not out.is_relative_to(place):
        return found
    return [one for one in found if not one.path.resolve().is_relative_to(out)]


def _with_parameters(path: Path | None) -> dict[str, Assignment]:
    """The assignments, with what the file changes.

    Raises ValueError naming the file for an assignment, part or name there is not.
    """
    tasks = dict(assignments)
    for id, changed in ({} if path is None else parameters_from(path)).items():
        try:
            known = choose("assignment", id, tasks)
            tasks[known] = tasks[known].with_parameters(changed)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return tasks


def _line(graded: Graded) -> str:
    one, most = graded.submission, graded.assignment.counted
    line = f"{one.student}: {one.assignment}, {graded.points} of {most} points"
    return "; ".join([f"{line}, {graded.seconds:.1f} s", *graded.notes])


def _missing_walls(boxes: Boxes) -> str:
    """A warning where the system's own walls do not stand, or ""."""
    try:
        with boxes.open("", [], Limits()) as box:
            missing = [name for name, stands in box.walls().items() if not stands]
    except Lost as error:
        raise RuntimeError(f"no box can be opened here: {error}") from None
    if not missing:
        return ""
    return (
        f"warning: nothing but Python closes {' and '.join(missing)}. "
        "Grade submissions of strangers on a current Linux."
    )


def _write(path: Path, text: str) -> None:
    """Whatever signs are in it."""
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def _say(line: str) -> None:
    """One line, in signs that the terminal has and none that it would obey."""
    if line:
        shown = "".join(c if c.isprintable() else "?" for c in line)
        coding = sys.stdout.encoding or "utf-8"
        print(shown.encode(coding, "backslashreplace").decode(coding), flush=True)


def _which(one: Submission, tasks: dict[str, Assignment]) -> str:
    said = f"it says {one.assignment!r}" if one.assignment else "it does not say which"
    return f"{said}, and the assignments are {', '.join(tasks)}: name one in the file"


def _write_feedback(
    out: Path, graded: Graded, marks: feedback.Marks, gradescope: bool
) -> None:
    """A page, and perhaps a results.json; a second file of one student has a number."""
    one, id = graded.submission, graded.assignment.id
    name = id if one.number == 1 else f"{id} ({one.number})"
    page = feedback.page(graded, marks)
    _write(out / "feedback" / one.student / f"{name}.html", page)
    if gradescope:
        text = json.dumps(feedback.gradescope(graded), indent=2)
        _write(out / "gradescope" / one.student / f"{name}.json", text)
