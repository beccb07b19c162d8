"""Grade what was handed in: each part in a box of its own, from a secret seed.

with Boxes() as boxes:
    graded = grade(read(path, "alice"), assignment("A1"), "SECRET", boxes)
graded.points  # of graded.assignment.counted
"""

import time
from dataclasses import dataclass

from minihyena.grading.box import Boxes, Limits
from minihyena.grading.parts import Assignment, Part, Verdict
from minihyena.grading.sandbox.wire import Lost
from minihyena.grading.submission import Submission

__all__ = ["PLACEHOLDER", "Graded", "PartResult", "grade"]

PLACEHOLDER = "YOUR ANSWER HERE"  # what stands in a written part before the answer


@dataclass(frozen=True)
class PartResult:
    """What one part got, how long it took, and why it was stopped, if it was."""

    part: Part
    verdicts: tuple[Verdict, ...]
    seconds: float = 0.0
    message: str = ""
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        return sum(verdict.points for verdict in self.verdicts)

    @property
    def told(self) -> str:
        """All of it in one line."""
        words = [self.message] if self.message else [v.message for v in self.verdicts]
        first = [word.splitlines()[0] for word in words if word]
        return "; ".join(dict.fromkeys(first)) or "all of it is right"


@dataclass(frozen=True)
class Graded:
    """One file, graded. notes: what a teacher should look at, which costs no points."""

    submission: Submission
    assignment: Assignment
    results: tuple[PartResult, ...]
    notes: tuple[str, ...]

    @property
    def points(self) -> int:
        """Of the parts that are graded here; the written ones are read by a person."""
        return sum(result.points for result in self.results)

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    def answer(self, name: str) -> str:
        """What was written in a part that a person reads; "" if nothing was."""
        texts = (cell.source.strip() for cell in self.submission.named(name))
        return "\n\n".join(text for text in texts if text not in ("", PLACEHOLDER))


def grade(
    submission: Submission, assignment: Assignment, seed: str, boxes: Boxes
) -> Graded:
    """Every part of it; nothing in the submission raises or costs another part."""
    results = [
        grade_part(part, submission, assignment, seed, boxes)
        for part in assignment.parts
    ]
    notes = [submission.fault] if submission.fault else _edited(submission, assignment)
    notes += [*submission.notes, *submission.unreadable]
    notes += [f"{one.part.name}: {note}" for one in results for note in one.notes]
    return Graded(submission, assignment, tuple(results), tuple(notes))


def grade_part(
    part: Part, submission: Submission, assignment: Assignment, seed: str, boxes: Boxes
) -> PartResult:
    """One part, in its own box."""
    if submission.fault:
        return _none(part, submission.fault)
    program = submission.program(part.functions, part.library, part.forbidden)
    if program.fault:
        return _none(part, program.fault)
    begun, limits, ended = time.monotonic(), Limits(part.seconds), ""
    try:
        with boxes.open(program.text, part.functions, limits, part.library) as box:
            verdicts = assignment.judge(part, box.functions, seed)
            ended = box.ended
    except Lost as error:
        why = f"your code ended before it could be called: {error}"
        return _none(part, why, begun)
    except Exception as error:  # whatever the code raised at its top level
        said = f"the cells of this part stop with {type(error).__name__}: {error}"
        return _none(part, said, begun)
    seconds = time.monotonic() - begun
    return PartResult(part, tuple(verdicts), seconds, ended, program.notes)


def _none(part: Part, why: str, begun: float | None = None) -> PartResult:
    """No points, for one reason."""
    verdicts = tuple(Verdict(one, why) for one in part.properties)
    seconds = 0.0 if begun is None else time.monotonic() - begun
    return PartResult(part, verdicts, seconds, why)


def _edited(submission: Submission, assignment: Assignment) -> list[str]:
    """A note for each check cell that is not the one handed out."""
    notes = []
    for part in assignment.parts if submission.path.suffix != ".py" else ():
        cells = submission.named(f"check_{part.name}")
        handed_out = assignment.cell(part).strip()
        if not cells:
            notes.append(f"the check cell of {part.name} is missing")
        elif any(cell.source.strip() != handed_out for cell in cells):
            notes.append(f"the check cell of {part.name} was edited")
    return notes
