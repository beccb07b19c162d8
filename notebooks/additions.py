"""What publishing adds to each notebook: its slides, and the ways to open it elsewhere.

The address of the repository stands in pyproject.toml, [project.urls], and nowhere
else: who publishes the course at another place changes it there.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell

__all__ = [
    "REPOSITORY",
    "SETUP",
    "badges",
    "binder",
    "colab",
    "divide",
    "is_setup",
    "mark_slides",
    "open_elsewhere",
]

PROJECT = tomllib.loads(
    (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8")
)["project"]
REPOSITORY: str = PROJECT["urls"]["Repository"].rstrip("/")
# Colab brings torch and a front end of its own; JupyterLab would be in its way.
NEEDS = [need for need in PROJECT["optional-dependencies"]["lab"] if need[:4] != "jupy"]
SETUP = f"""\
# On Colab this fetches the course and installs it; anywhere else it does nothing.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if "google.colab" in sys.modules and find_spec("minihyena") is None:
    source, course = "{REPOSITORY}", Path("course").resolve()
    if not (course / "pyproject.toml").exists():
        subprocess.run(["git", "clone", "--depth", "1", source, course], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", course]
    needs = {str(NEEDS).replace("'", '"')}
    subprocess.run([*pip, *needs], check=True)
    sys.path.insert(0, str(course))  # this kernel began before it was installed"""

LEFT_OUT = re.compile(r"\.check\(|import .*\blessons\b")  # checks, and all imports


def colab(name: str) -> str:
    """Where Colab opens the notebook of this file name."""
    place = REPOSITORY.removeprefix("https://github.com/")
    return (
        f"https://colab.research.google.com/github/{place}/blob/HEAD/notebooks/{name}"
    )


def binder(name: str) -> str:
    """Where Binder opens it, in JupyterLab."""
    place = REPOSITORY.removeprefix("https://github.com/")
    return f"https://mybinder.org/v2/gh/{place}/HEAD?urlpath=lab/tree/notebooks/{name}"


def badges(name: str) -> str:
    """The line below the title. Words, as a picture would be loaded from the net."""
    return f"[Open in Colab]({colab(name)}) · [Open on Binder]({binder(name)})"


def open_elsewhere(notebook: NotebookNode, name: str) -> None:
    """Write the badges and the setup cell, or write them anew; to be run after it."""
    title = notebook.cells[0]
    others = r"\n\n\[Open in Colab\]\(.*"
    head, _, rest = re.sub(others, "", title.source).partition("\n")
    title.source = f"{head}\n\n{badges(name)}\n{rest}"
    about = {"tags": ["setup"], "jupyter": {"source_hidden": True}}
    made = new_code_cell(SETUP, id="setup", metadata=from_dict(about))
    cells = [cell for cell in notebook.cells if not is_setup(cell)]
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    notebook.cells = [*cells[:first], made, *cells[first:]]


def is_setup(cell: NotebookNode) -> bool:
    """True for the cell that is made here."""
    return "setup" in cell.metadata.get("tags", [])


# ---- slides


def mark_slides(notebook: NotebookNode) -> None:
    """Give every cell its place in slides; of a notebook that has run."""
    before = ""
    for cell in notebook.cells:
        before = slide_type(cell, before)
        cell.metadata["slideshow"] = {"slide_type": before}


def divide(notebook: NotebookNode) -> None:
    """Let no text go on below a heading in its middle, or beside a folded answer."""
    notebook.cells = [part for cell in notebook.cells for part in divided(cell)]


def slide_type(cell: NotebookNode, before: str) -> str:
    """How a cell goes into slides, after one that went as `before`.

    A part is a slide; below it each thing that is said, each picture and each piece of
    code that follows another. Answers are notes; stubs, checks and imports are left
    out.
    """
    source, tags = cell.source, cell.metadata.get("tags", [])
    if cell.cell_type == "markdown":
        if source.startswith("<details"):
            return "notes"
        return "slide" if re.match("##? ", source) else "subslide"
    if {"setup", "exercise"} & set(tags) or LEFT_OUT.search(source):
        return "skip"
    drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
    return "-" if before in ("slide", "subslide") and not drawn else "subslide"


def divided(cell: NotebookNode) -> Iterator[NotebookNode]:
    """The cell; of text, one for each heading and for what is folded below it."""
    if cell.cell_type != "markdown":
        yield cell
        return
    first, *others = pieces(cell.source)
    cell.source = first
    yield cell
    for number, text in enumerate(others, 2):
        yield new_markdown_cell(text, id=f"{cell.id}-{number}")


def pieces(source: str) -> list[str]:
    """Cut before headings and around what is folded; fenced text stays whole."""
    found: list[list[str]] = [[]]
    fenced, folded, was = False, 0, False
    for line in source.split("\n"):
        opens = not fenced and line.startswith("<details")
        if line.strip() and not fenced and not folded:
            if any(found[-1]) and (opens != was or re.match("#{1,3} ", line)):
                found.append([])
            was = opens
        if line.lstrip().startswith("```"):
            fenced = not fenced
        folded += opens - (not fenced and line.startswith("</details>"))
        found[-1].append(line)
    return ["\n".join(lines).strip() for lines in found]
