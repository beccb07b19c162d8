"""What publishing adds to notebooks: slides, and a cell that acts on Colab only."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from additions import (
    REPOSITORY,
    SETUP,
    badges,
    binder,
    colab,
    divide,
    mark_slides,
    open_elsewhere,
    pieces,
)
from hygiene import faults, read
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from publish import clean

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def added_to(path: Path) -> NotebookNode:
    """The notebook with all that is added."""
    notebook = read(path)
    divide(notebook)
    open_elsewhere(notebook, path.name)
    clean(notebook)
    mark_slides(notebook)
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_added_keeps_all_rules_and_is_added_once(
    path: Path, tmp_path: Path
) -> None:
    notebook = added_to(path)
    assert faults(path, notebook) == []
    again = tmp_path / path.name
    nbformat.write(notebook, again)
    assert added_to(again) == notebook


def test_text_is_divided_at_headings_and_around_what_is_folded() -> None:
    fence = "```text\n## no heading\n<details>\n```"
    answer = "<details><summary>Answer</summary>\n\n## Inside\n\nYes.\n\n</details>"
    text = f"Said.\n{fence}\n\n## Part\n\n### Exercise\n\nAsked?\n\n{answer}\n\nOn."
    wanted = [f"Said.\n{fence}", "## Part", "### Exercise\n\nAsked?", answer, "On."]
    assert pieces(text) == wanted
    assert pieces(f"{answer}\n\n{answer}") == [f"{answer}\n\n{answer}"]
    assert pieces("#1 is no heading") == ["#1 is no heading"]


def test_every_cell_has_its_place_in_slides() -> None:
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell(SETUP, metadata={"tags": ["setup"]}),
        new_code_cell("from minihyena import lessons"),
        new_markdown_cell("## Build"),
        new_code_cell("1 + 1"),
        new_code_cell("2 + 2"),
        new_markdown_cell("### Exercise"),
        new_code_cell("def f(): ...", metadata={"tags": ["exercise"]}),
        new_code_cell("ex.check(f)"),
        new_code_cell("3 + 3"),
        new_markdown_cell("Why?"),
        new_markdown_cell("<details>So.</details>"),
    ]
    notebook = new_notebook(cells=cells)
    mark_slides(notebook)
    places = [cell.metadata.slideshow.slide_type for cell in notebook.cells]
    assert places == [
        *("slide", "skip", "skip", "slide", "-", "subslide", "subslide"),
        *("skip", "skip", "subslide", "subslide", "notes"),
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nbconvert_makes_slides_of_every_notebook(path: Path) -> None:
    notebook = added_to(path)
    html, _ = SlidesExporter().from_notebook_node(notebook)
    kinds = [cell.metadata.slideshow.slide_type for cell in notebook.cells]
    assert html.count("<section") > kinds.count("slide") + kinds.count("subslide")
    assert html.count('<aside class="notes">') == kinds.count("notes") > 0
    assert not re.search(r"raise</span>\s*<span class=.ne.>NotImplemented", html)
    assert "google.colab" not in html


# ---- Colab and Binder


def test_the_addresses_are_made_of_the_repository() -> None:
    owner = REPOSITORY.removeprefix("https://github.com/")
    assert owner.count("/") == 1
    name = "05_gating.ipynb"
    assert f"/{owner}/" in colab(name)
    assert f"/{owner}/" in binder(name)
    assert colab(name).endswith(f"/notebooks/{name}")
    assert binder(name).endswith(f"?urlpath=lab/tree/notebooks/{name}")
    assert "![" not in badges(name)  # a picture would be loaded from the net


@pytest.mark.parametrize(
    "other", ["\nimport requests", " and True", "\n!pip install x"]
)
def test_only_the_very_cell_that_is_made_may_go_to_the_network(
    tmp_path: Path, other: str
) -> None:
    path = tmp_path / "00_example.ipynb"
    notebook = read(NOTEBOOKS[0])
    open_elsewhere(notebook, path.name)
    notebook.cells[1].source = SETUP + other
    assert any("goes to the network" in line for line in faults(path, notebook))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Something to clone."""
    origin = tmp_path / "origin"
    (origin / "minihyena").mkdir(parents=True)
    (origin / "minihyena" / "__init__.py").write_text("FETCHED = True\n")
    (origin / "pyproject.toml").touch()
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", origin, *command], check=True)
    return origin


def run_setup(folder: Path, before: str, repository: Path, after: str) -> str:
    """Run the cell in an empty folder; what is printed."""
    home = folder / "home"
    home.mkdir()
    cell = SETUP.replace(REPOSITORY, repository.as_uri())
    program = "\n".join([before, cell, after])
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


ON_COLAB = """
import importlib.util, subprocess, sys
sys.modules["google.colab"] = sys
importlib.util.find_spec = lambda name: None
clone = subprocess.run
def run(command, check):
    if "pip" in command:
        return print(*command[3:])
    return clone(command, check=check)
subprocess.run = run
"""


def test_on_colab_the_course_is_fetched_and_installed(
    tmp_path: Path, repository: Path
) -> None:
    after = "import minihyena\nprint(minihyena.FETCHED)"
    said = run_setup(tmp_path, ON_COLAB, repository, after).split("\n")
    assert re.match(r"install --quiet --editable /\S+/course ipywidgets>=", said[0])
    assert "anywidget>=" in said[0]
    assert "jupyterlab" not in said[0]
    assert said[1] == "True"


def test_on_colab_it_goes_on_where_it_failed(tmp_path: Path, repository: Path) -> None:
    command = ["git", "clone", "-q", repository.as_uri(), "course"]
    fetched = f"clone({command}, check=True)"
    said = run_setup(tmp_path, ON_COLAB + fetched, repository, "import minihyena")
    assert said.startswith("install --quiet --editable ")


@pytest.mark.parametrize("where", ["at home", "on Colab a second time"])
def test_anywhere_else_the_cell_does_nothing(
    tmp_path: Path, repository: Path, where: str
) -> None:
    before = "import subprocess\nsubprocess.run = None\n"
    if where != "at home":
        before += "import sys\nsys.modules['google.colab'] = sys"
    assert run_setup(tmp_path, before, repository, "") == ""
    assert list((tmp_path / "home").iterdir()) == []
