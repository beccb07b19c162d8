"""What students get is made of what teachers have: the release of an assignment.

Its source is solved: an answer stands between ### BEGIN SOLUTION and ### END
SOLUTION, or fills a written cell. nbgrader's own generate_assignment gives the same.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

__all__ = ["assignment_of", "is_release", "release", "releases", "source_of"]

SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION[ \t]*$",
    re.M | re.S,
)
HIDDEN = re.compile(
    r"^[ \t]*### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS\n?", re.M | re.S
)
STUB, PLACEHOLDER = "raise NotImplementedError", "YOUR ANSWER HERE"


def assignment_of(notebook: NotebookNode) -> str:
    """ "A1" for a notebook of that assignment, "" for one of the course."""
    return str(notebook.metadata.get("minihyena", {}).get("assignment", ""))


def is_release(path: Path) -> bool:
    """Whether the notebook is made of another: .../release/A1/x.ipynb."""
    return path.parts[-3:-2] == ("release",)


def source_of(path: Path) -> Path:
    """What a release is made of: .../source/A1/x.ipynb."""
    return path.parents[2] / "source" / path.parent.name / path.name


def releases(paths: Iterable[Path]) -> Iterator[Path]:
    """Where the releases of those among these that are sources belong."""
    for path in paths:
        if path.parts[-3:-2] == ("source",):
            yield path.parents[2] / "release" / path.parent.name / path.name


def release(source: NotebookNode) -> NotebookNode:
    """The notebook without solutions, hidden tests, outputs and counts.

    Raises ValueError for an answer cell that has no solution to take out.
    """
    made = nbformat.reads(nbformat.writes(source), as_version=4)
    for cell in made.cells:
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("solution"):
            cell.source = _stub(cell)
        cell.source = HIDDEN.sub("", cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        kept = {k: cell.metadata[k] for k in ("nbgrader", "tags") if k in cell.metadata}
        if marks:  # a front end then keeps it in its place
            kept["deletable"] = False
        if marks.get("locked"):
            kept["editable"] = False
        cell.metadata = nbformat.from_dict(kept)
    return made


def _stub(cell: NotebookNode) -> str:
    if cell.cell_type == "markdown":
        return PLACEHOLDER
    text, count = SOLUTION.subn(rf"\g<indent>{STUB}", cell.source)
    if not count:
        raise ValueError(
            f"no solution is marked in cell {cell.metadata.nbgrader.grade_id}"
        )
    return text
