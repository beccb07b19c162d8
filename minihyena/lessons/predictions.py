"""Predict before you look: answers are kept and shown beside the facts."""

from dataclasses import dataclass

from minihyena.lessons.comparing import close, numbers, show
from minihyena.lessons.exercise import progress
from minihyena.lessons.registry import exercises

__all__ = ["confront", "forget", "predict", "predictions", "summary", "summary_text"]

MARKS = {"correct": "✓", "incorrect": "✗", "not attempted": "○"}


@dataclass
class Prediction:
    """A question, what was answered and what came out; Ellipsis where not known."""

    question: str
    answer: object = ...
    actual: object = ...
    tolerance: float = 0.0
    late: bool = False

    @property
    def said(self) -> str:
        """The answer in words; the same words on every machine without one."""
        if self.answer is ...:
            return "no prediction recorded"
        return _text(self.answer) + (" (after the reveal)" if self.late else "")

    @property
    def came_true(self) -> bool:
        """Whether answer and fact are both known and the same within tolerance."""
        known = self.answer is not ... and self.actual is not ...
        return known and _same(self.answer, self.actual, self.tolerance)


predictions: dict[str, Prediction] = {}


def predict(id: str, question: str, answer: object = ...) -> None:
    """Keep the answer to a question until `confront`; Ellipsis means none yet.

    Before the reveal a new answer replaces the old one; afterwards the answer given
    before it stands, and a first answer is marked as late.
    """
    kept = predictions.setdefault(id, Prediction(question))
    kept.question = question
    revealed = kept.actual is not ...
    stands = revealed and kept.answer is not ...
    if not stands:
        kept.answer, kept.late = answer, revealed and answer is not ...
    print(f"{question}\n  predicted  {kept.said}")
    if stands and answer is not ... and not _same(answer, kept.answer, 0.0):
        print("  The reveal has been run: the prediction made before it stands.")


def confront(id: str, actual: object, *, tolerance: float = 0.0) -> None:
    """Print prediction and fact side by side.

    Numbers agree within tolerance * max(1, |fact|), other answers if they are equal,
    words whatever their case. The fact is printed with 3 significant digits: pass one
    that holds on every machine.
    """
    kept = predictions.setdefault(id, Prediction(id))
    kept.actual, kept.tolerance = actual, tolerance
    print(f"{kept.question}\n  predicted  {kept.said}\n  actual     {_text(actual)}")
    if kept.answer is not ...:
        print("  = as predicted" if kept.came_true else "  ≠ not as predicted")


def summary(notebook: str) -> None:
    """Print the last cell of a notebook: predictions beside facts, checks passed."""
    print(summary_text(notebook))


def summary_text(notebook: str) -> str:
    """What `summary` prints for notebook "00" to "12": counts, not grades.

    Raises ValueError for a notebook with neither exercises nor predictions.
    """
    mine = [p for id, p in predictions.items() if id.startswith(f"{notebook}.")]
    tasks = [ex for ex in exercises.values() if ex.notebook == notebook]
    if not mine and not tasks:
        known = ", ".join(sorted({ex.notebook for ex in exercises.values()}))
        raise ValueError(f"notebook {notebook!r} has no lessons; known: {known}")
    lines = ["Predictions"]
    for p in mine:
        fact = "not revealed yet" if p.actual is ... else _text(p.actual)
        mark = "=" if p.came_true else "○" if p.answer is ... else "≠"
        lines += [f"  {mark} {p.question}"]
        lines += [f"      predicted  {p.said}", f"      actual     {fact}"]
    lines.append("Exercises")
    outcomes = [ex.progress.outcome for ex in tasks]
    for ex, outcome in zip(tasks, outcomes, strict=True):
        lines.append(f"  {MARKS[outcome]} {ex.name}: {outcome}")
    made = sum(p.answer is not ... for p in mine)
    true = sum(p.came_true for p in mine)
    lines += [
        f"{made} of {len(mine)} predictions recorded, {true} as it came out.",
        f"{outcomes.count('correct')} of {len(tasks)} checks passed.",
    ]
    return "\n".join(lines)


def forget() -> None:
    """Start afresh, as a new kernel would: no predictions, attempts or hints."""
    predictions.clear()
    progress.clear()


def _plain(value: object) -> object:
    """Sets, ranges and tuples as lists: [3, 4] is the answer however it is typed."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda item: (str(type(item)), item))
    return list(value) if isinstance(value, range | tuple) else value


def _text(value: object) -> str:
    if isinstance(value, str | bool):
        return str(value)
    return show(_plain(value), digits=3)


def _same(answer: object, actual: object, tolerance: float) -> bool:
    if isinstance(answer, str) and isinstance(actual, str):
        return answer.strip().casefold() == actual.strip().casefold()
    one, other = _plain(answer), _plain(actual)
    if numbers(one) is None or numbers(other) is None:
        return one is other or str(one) == str(other)
    return close(one, other, tolerance)
