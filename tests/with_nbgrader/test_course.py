"""A course with nbgrader, from the release to the marks that go back."""

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from handed_in import BANK, FOLDER, cell, hand_in, notebook, with_answer

from minihyena.grading import assignment, assignments

SEED = "known to staff"


class Course:
    """A folder with nbgrader's settings and the sources of all assignments."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(FOLDER / "nbgrader_config.py", root)
        shutil.copytree(FOLDER / "source", root / "source")

    def run(self, command: str, *words: str, seed: str = SEED) -> str:
        done = subprocess.run(
            ["nbgrader", command, *words],
            cwd=self.root,
            env={**os.environ, "MINIHYENA_SEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def submit(self, student: str, id: str, made: dict) -> None:
        [source] = (FOLDER / "source" / id).glob("*.ipynb")
        hand_in(made, self.root / "submitted" / student / id / source.name)

    def scores(self) -> dict[tuple[str, str], float]:
        with (self.root / "grades.csv").open() as file:
            rows = [*csv.DictReader(file)]
        return {(r["student_id"], r["assignment"]): float(r["score"]) for r in rows}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Released, handed in, graded, returned and exported: by one command each."""
    made = Course(tmp_path_factory.mktemp("course"))
    for id in assignments:
        made.run("generate_assignment", id, "--create")
        part, _, code, *_ = BANK[id][0]
        made.submit("right", id, notebook(id))
        made.submit("untouched", id, notebook(id, "release"))
        made.submit("wrong", id, with_answer(notebook(id), part, code))
        made.run("autograde", id)
        made.run("generate_feedback", id)
    made.run("export")
    return made


@pytest.mark.parametrize("id", assignments)
def test_nbgrader_and_we_release_the_same_cells(course: Course, id: str) -> None:
    [path] = (course.root / "release" / id).glob("*.ipynb")
    theirs, ours = json.loads(path.read_text("utf-8")), notebook(id, "release")
    for one, other in zip(theirs["cells"], ours["cells"], strict=True):
        assert "".join(one["source"]) == "".join(other["source"])
        for key in ("deletable", "editable"):
            assert one["metadata"].get(key) == other["metadata"].get(key)


@pytest.mark.parametrize("id", assignments)
def test_each_student_gets_the_points_of_our_own_grader(
    course: Course, id: str
) -> None:
    part, _, _, points, _ = BANK[id][0]
    lost = assignment(id).part(part).points - points
    scores = course.scores()
    assert scores["right", id] == assignment(id).counted
    assert scores["untouched", id] == 0
    assert scores["wrong", id] == assignment(id).counted - lost


@pytest.mark.parametrize("id", assignments)
def test_the_feedback_says_why(course: Course, id: str) -> None:
    part, _, _, points, keyword = BANK[id][0]
    [page] = (course.root / "feedback" / "wrong" / id).glob("*.html")
    text = page.read_text("utf-8")
    assert keyword in text
    assert f"{points} of {assignment(id).part(part).points} points" in text


def test_a_part_that_never_ends_costs_itself_alone(course: Course) -> None:
    made = notebook("A1")
    cell(made, "title")["source"] = "edited"
    made["cells"].insert(
        1,
        {
            "cell_type": "code",
            "id": "trap",
            "metadata": {},
            "source": "while True: pass",
            "outputs": [],
            "execution_count": None,
        },
    )
    loop = "def accepts(conv):\n    while True:\n        pass\n"
    course.submit("loop", "A1", with_answer(made, "tests", loop))
    course.run("autograde", "A1", "--student", "loop")
    course.run("export")
    lost = assignment("A1").part("tests").points
    assert course.scores()["loop", "A1"] == assignment("A1").counted - lost
