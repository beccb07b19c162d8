"""What students hand in: the solution of an assignment with something else in it.

`BANK` maps an assignment to its wrong answers: the part, a name, code that takes the
place of the solution, the points that are left of the part, and a word of the message.
"""

import json
import re
from pathlib import Path

from . import a1, a2, a3, a4

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks/assignments"

Wrong = tuple[str, str, str, int, str]

BANK: dict[str, list[Wrong]] = {
    "A1": a1.BANK,
    "A2": a2.BANK,
    "A3": a3.BANK,
    "A4": a4.BANK,
}


# What tests of many answers change, so that models are trained for a few steps only.
QUICK = {"A4": {"study": {"steps": 2, "long": 15, "longest": 5}}}


def told_of(assignment: str) -> dict[tuple[str, str], tuple[int, int, str]]:
    """What the teaching notes say of wrong answers.

    Part and name -> the points left, out of how many, and the words of the grader.
    """
    page = ROOT / "notebooks/instructor" / f"{assignment}.md"
    entry = r'^- \*\*(.+?)\*\* \(`(\w+)`, (\d+) of (\d+)\): "(.+?)"'
    found = re.findall(entry, page.read_text("utf-8"), re.M | re.S)
    return {
        (part, name): (int(left), int(whole), " ".join(quote.split()))
        for name, part, left, whole, quote in found
    }


def notebook(assignment: str, kind: str = "source") -> dict:
    """The solved notebook of an assignment, or kind="release"."""
    [path] = (FOLDER / kind / assignment).glob("*.ipynb")
    return json.loads(path.read_text("utf-8"))


def cell(notebook: dict, name: str) -> dict:
    """The cell with this nbgrader name."""
    [found] = (
        one
        for one in notebook["cells"]
        if one["metadata"].get("nbgrader", {}).get("grade_id") == name
    )
    return found


def with_answer(notebook: dict, part: str, code: str) -> dict:
    """The same notebook, in which this code has the last word in a part."""
    changed = json.loads(json.dumps(notebook))
    answer = cell(changed, part)
    own = re.sub(r"\bright\b", f"right_{part}", code)  # two parts may keep the solution
    answer["source"] = [*answer["source"], "\n\n\n", own]
    return changed


def hand_in(notebook: dict, path: Path) -> Path:
    """Write it where a student would; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), "utf-8")
    return path
