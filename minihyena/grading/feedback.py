"""What goes back: a page for each student, a table for the teacher, other formats."""

import csv
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minihyena.grading.files import LEVELS, Mark
from minihyena.grading.grading import Graded, PartResult
from minihyena.grading.parts import Assignment, Written
from minihyena.grading.submission import Submission

__all__ = [
    "COLUMNS",
    "TOTALS",
    "gradescope",
    "otter",
    "page",
    "rows",
    "table",
    "total",
    "ungraded",
]

Marks = Mapping[tuple[str, str, str], Mark]
COLUMNS = "student assignment file part points of seconds message".split()  # noqa: SIM905
TOTALS = "student assignment file automatic written total of notes".split()  # noqa: SIM905
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { margin-bottom: 0; } h2 { margin: 2rem 0 .3rem; }
.points { font-variant-numeric: tabular-nums; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid #ddd; padding: .35rem .6rem .35rem 0; vertical-align: top; }
td:first-child { width: 2rem; } td:nth-child(2) { width: 5rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f2;
  margin: .3rem 0; padding: .6rem .8rem; font: 14px/1.45 ui-monospace, monospace; }
pre.text { font: inherit; }
.beside { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit,
  minmax(min(100%, 20rem), 1fr)); }
img { max-width: 100%; border: 1px solid #ddd; background: #fff; }
.note { border-left: 4px solid #D55E00; padding-left: .8rem; }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1b1b1b; } pre { background: #262626; }
  td { border-color: #444; } }
"""


def rows(graded: Graded) -> Iterable[list[str]]:
    """One row for each part, in the order of COLUMNS."""
    one = graded.submission
    for result in graded.results:
        yield [
            *(one.student, one.assignment, one.path.name, result.part.name),
            *(f"{result.points}", f"{result.part.points}", f"{result.seconds:.2f}"),
            result.told,
        ]


def total(graded: Graded, marks: Marks) -> list[str]:
    """One row for the submission, in the order of TOTALS."""
    one, written = graded.submission, _written_points(graded, marks)
    of = graded.assignment.points
    return [
        *(one.student, one.assignment, one.path.name, f"{graded.points}"),
        "" if written is None else f"{written:g}",
        "" if written is None else f"{graded.points + written:g}",
        *(f"{of}", "; ".join(graded.notes)),
    ]


def ungraded(one: Submission, why: str) -> list[str]:
    """The row of TOTALS for what belongs to no assignment."""
    known = [one.student, one.assignment, one.path.name]
    return [*known, "0", "", "", "", "; ".join([why, *one.notes])]


def table(columns: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """CSV that no spreadsheet takes for formulas."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([_harmless(text) for text in line] for line in lines)
    return file.getvalue()


def page(graded: Graded, marks: Marks) -> str:
    """HTML, whole and by itself: every property, and what was written beside it."""
    one, task = graded.submission, graded.assignment
    written = _written_points(graded, marks)
    head = f"{graded.points} of {task.counted} points from the grader"
    rest = task.points - task.counted
    if written is None:
        head += f"; a reader gives up to {rest} more"
    elif rest:
        head += f", {written:g} of {rest} from a reader"
    parts = [
        f"<h1>{_safe(task.id)} · {_safe(task.title)}</h1>",
        f"<p><strong>{_safe(one.student)}</strong>: {head}.</p>",
        *(f'<p class="note">{_safe(note)}</p>' for note in graded.notes),
        *(_part(result, graded.notes) for result in graded.results),
        *(_answer(graded, part, marks) for part in task.written),
        _pictures(graded),
    ]
    body, title = "\n".join(parts), _safe(f"{task.id}, {one.student}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def gradescope(graded: Graded) -> dict[str, Any]:
    """What Gradescope reads from results.json."""
    return {
        "score": graded.points,
        "execution_time": round(graded.seconds, 1),
        "output": "\n".join(graded.notes),
        "tests": [
            {
                "name": f"{result.part.title}: {verdict.on.says}",
                "score": verdict.points,
                "max_score": verdict.on.points,
                "output": result.message or verdict.message,
            }
            for result in graded.results
            for verdict in result.verdicts
        ],
    }


def otter(task: Assignment) -> dict[str, str]:
    """The test files that otter-grader reads, by name: a case for each property."""
    files = {}
    for part in task.parts:
        functions = ", ".join(part.functions)
        cases = [
            {
                "code": ">>> from minihyena.grading import assignment\n"
                f">>> task = assignment({task.id!r})\n"
                f">>> task.holds({part.name!r}, {number}, {functions})\nTrue",
                "hidden": False,
                "locked": False,
            }
            for number in range(len(part.properties))
        ]
        suite = {"cases": cases, "scored": True, "type": "doctest"}
        suite |= {"setup": "", "teardown": ""}
        points = [one.points for one in part.properties]
        test = {"name": part.name, "points": points, "suites": [suite]}
        files[f"{part.name}.py"] = f"OK_FORMAT = True\n\ntest = {test!r}\n"
    return files


def _part(result: PartResult, known: Sequence[str]) -> str:
    points = f"{result.points} of {result.part.points}"
    first = result.message and result.message not in known
    told = f'<p class="note">{_safe(result.message)}</p>' if first else ""
    lines = []
    for verdict in result.verdicts:
        mark = "✗" if verdict.message else "✓"
        word = "does not hold" if verdict.message else "holds"
        new = verdict.message != result.message
        said = f"<pre>{_safe(verdict.message)}</pre>" * (new and bool(verdict.message))
        lines.append(
            f'<tr><td><span role="img" aria-label="{word}">{mark}</span></td>'
            f'<td class="points">{verdict.points} of {verdict.on.points}</td>'
            f"<td>{_safe(verdict.on.says)}{said}</td></tr>"
        )
    return (
        f"<h2>{_safe(result.part.title)}: {points}</h2>\n{told}"
        f"<table>{''.join(lines)}</table>"
    )


def _answer(graded: Graded, part: Written, marks: Marks) -> str:
    mark = _mark(graded, part, marks)
    if mark is None:
        levels = ", ".join(f"{k} {part.points * v:g}" for k, v in LEVELS.items())
        got = f"<p>To be read; {levels}.</p>"
    else:
        comment = f": {_safe(mark.comment)}" if mark.comment else ""
        points = f"{part.points * mark.share:g} of {part.points}"
        got = f"<p><strong>{mark.level.title()}, {points}</strong>{comment}</p>"
    text = graded.answer(part.name)
    said = (
        f'<pre class="text">{_safe(text)}</pre>'
        if text
        else "<p>Nothing was written here.</p>"
    )
    return f"<h2>{_safe(part.title)}, {part.points} points</h2>\n{got}{said}"


def _pictures(graded: Graded) -> str:
    found = [
        f'<img alt="picture {number}" src="data:image/png;base64,{data}">'
        for number, data in enumerate(
            (picture for cell in graded.submission.cells for picture in cell.pictures),
            1,
        )
    ]
    if not found:
        return ""
    return (
        f'<h2>Pictures in the notebook</h2>\n<div class="beside">{"".join(found)}</div>'
    )


def _written_points(graded: Graded, marks: Marks) -> float | None:
    """None while a written part has not been read."""
    total = 0.0
    for part in graded.assignment.written:
        mark = _mark(graded, part, marks)
        if mark is None:
            return None
        total += part.points * mark.share
    return total


def _mark(graded: Graded, part: Written, marks: Marks) -> Mark | None:
    """What a reader gave this student for the part, if anything yet."""
    return marks.get((graded.submission.student, graded.assignment.id, part.name))


def _safe(text: str) -> str:
    return html.escape(text)


def _harmless(text: str) -> str:
    """A cell that begins like a formula is a text."""
    text = " ".join(text.splitlines()).replace("\0", "")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
