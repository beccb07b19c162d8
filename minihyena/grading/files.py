"""Which files were handed in, by whom; and what a reader gave for the written parts."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from minihyena.errors import choose
from minihyena.grading.registry import assignments
from minihyena.grading.submission import Submission, read

__all__ = ["LEVELS", "Mark", "find", "read_marks"]

LEVELS = {"excellent": 1.0, "solid": 0.75, "developing": 0.4, "absent": 0.0}
IGNORED = {"__MACOSX", "__pycache__"}


@dataclass(frozen=True)
class Mark:
    """What a reader gave for a written part: a share of its points, and a word."""

    level: str
    comment: str = ""

    @property
    def share(self) -> float:
        return LEVELS[self.level]


def find(place: Path, assignment: str = "") -> list[Submission]:
    """Every submission in a folder, in order: alice.ipynb, alice/x.ipynb, alice/A1/....

    A student is the first name below the folder. Whoever handed in no notebook has a
    submission with a fault; two of one student for one assignment both stand, and say
    so. assignment: of those that do not say it themselves.
    Raises OSError if there is no such place.
    """
    if not place.exists():
        raise FileNotFoundError(f"there is no {place}")
    if place.is_file():
        return [_read(place, place.stem, assignment)]
    found: list[Submission] = []
    for entry in sorted(place.iterdir()):
        if entry.name.startswith(".") or entry.name in IGNORED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            found += _of_student(entry, assignment)
        else:
            found.append(_read(entry, entry.stem, assignment))
    return list(_counted(found))


def _of_student(folder: Path, assignment: str) -> Iterator[Submission]:
    """What lies in one student's folder: all notebooks, or Python files named A1.py."""
    files = [path for path in sorted(folder.rglob("*")) if not path.is_dir()]
    files = [path for path in files if not _hidden(path.relative_to(folder))]
    notebooks = [path for path in files if path.suffix == ".ipynb"]
    scripts = [path for path in files if path.suffix == ".py" and path.stem[:1] == "A"]
    for path in notebooks or scripts:
        yield _read(path, folder.name, assignment)
    if not notebooks and not scripts:
        names = ", ".join(path.name for path in files[:3])
        fault = f"no notebook here, only {names}" if files else "an empty folder"
        yield Submission(folder.name, folder, assignment, fault=fault)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in IGNORED for part in path.parts)


def _read(path: Path, student: str, assignment: str) -> Submission:
    made = read(path, student)
    if path.suffix not in (".ipynb", ".py") and not made.fault:
        made = replace(made, fault=f"not a notebook: {path.name}")
    return made if made.assignment else replace(made, assignment=assignment)


def _counted(found: list[Submission]) -> Iterator[Submission]:
    """Those of which there are several say so."""
    totals, seen = (Counter[tuple[str, str]]() for _ in range(2))
    totals.update((one.student, one.assignment) for one in found)
    for one in found:
        key = one.student, one.assignment
        seen[key] += 1
        note = f"file {seen[key]} of {totals[key]} for {one.assignment or 'nothing'}"
        notes = (note, *one.notes) if totals[key] > 1 else one.notes
        yield replace(one, notes=notes, number=seen[key])


def read_marks(path: Path) -> Mapping[tuple[str, str, str], Mark]:
    """(student, assignment, part) -> Mark, of a table with these columns and `level`.

    Raises OSError, and ValueError for what is no table in UTF-8, or, naming the line,
    not in the rubric.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return dict(_marks(csv.DictReader(file), path))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no table in UTF-8: {error}") from None


def _marks(
    rows: "csv.DictReader[str]", path: Path
) -> Iterable[tuple[tuple[str, str, str], Mark]]:
    wanted = ["student", "assignment", "part", "level"]
    missing = [name for name in wanted if name not in (rows.fieldnames or [])]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}; it takes {wanted}")
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        student, id, part, level = (str(row[name] or "").strip() for name in wanted)
        try:
            known = assignments[choose("assignment", id, assignments)]
            choose(f"written part of {id}", part, [one.name for one in known.written])
            choose("level", level.lower(), LEVELS)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        yield (student, id, part), Mark(level.lower(), row.get("comment") or "")
