"""The teaching notes say what is true of the notebooks, their checks and the grader."""

import re
from pathlib import Path

import pytest
import torch
from handed_in import BANK as HANDED_IN
from handed_in import told_of
from pages import NOTEBOOKS, ROOT
from wrong_answers import BANK

from minihyena import lessons
from minihyena.grading import assignment, assignments
from minihyena.grading.files import LEVELS
from minihyena.lessons import Incorrect

GUIDE = ROOT / "notebooks" / "instructor"
SESSIONS = pytest.mark.parametrize("number", [path.name[:2] for path in NOTEBOOKS])
TASKS = pytest.mark.parametrize("id", assignments)
PARTS = [
    "50 minutes",
    "110 minutes",
    "20 minutes, demonstration only",
    "Expected mistakes",
    "Discussion questions",
    "Projecting it",
    "Easier and harder",
]


def sections(name: str) -> dict[str, str]:
    """The text below each heading of the second level, by the heading."""
    text = (GUIDE / f"{name}.md").read_text("utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@SESSIONS
def test_a_session_has_its_three_plans_and_all_the_rest(number):
    assert list(sections(number)) == PARTS


@SESSIONS
@pytest.mark.parametrize("minutes", [50, 110, 20])
def test_the_minutes_of_a_plan_add_up(number, minutes):
    plans = sections(number).items()
    [plan] = [text for name, text in plans if name.startswith(f"{minutes} minutes")]
    rows = re.findall(r"^\| (\d+) \|", plan, re.M)
    assert sum(map(int, rows)) == minutes
    assert set(re.findall(r"`(\d\d\.\w+)`", plan)) <= lessons.exercises.keys()


@SESSIONS
def test_an_expected_mistake_is_told_in_the_words_of_the_check(number):
    text = sections(number)["Expected mistakes"]
    found = re.split(r"^### `([\w.]+)`: (.+)$", text, flags=re.M)[1:]
    mistakes = list(zip(found[::3], found[1::3], found[2::3], strict=True))
    assert len(mistakes) >= 3
    assert len({id for id, _, _ in mistakes}) >= 3
    for id, name, said in mistakes:
        bank = {wrong: fn for wrong, fn, _ in BANK[id]}
        assert name in bank, f"{id} has no wrong answer {name!r}"
        generator = torch.Generator().manual_seed(0)
        with pytest.raises(Incorrect) as caught:
            lessons.exercise(id).verify(bank[name], generator=generator)
        quoted = " ".join(re.findall(r"^> ?(.*)$", said, re.M))
        assert " ".join(quoted.split()) == " ".join(caught.value.misconception.split())
        assert "Remedy:" in said


@SESSIONS
def test_questions_come_with_answers(number):
    text = sections(number)["Discussion questions"]
    questions = re.findall(
        r"^\d+\. \*\*(.+?)\*\*(.*?)(?=^\d+\. |\Z)", text, re.M | re.S
    )
    assert len(questions) >= 4
    assert all(len(answer.split()) >= 15 for _, answer in questions)


@TASKS
def test_the_grader_page_names_every_property_with_its_points(id):
    text = sections(id)["What the grader sees"]
    for part in assignment(id).parts:
        for one in part.properties:
            assert re.search(rf"\| {one.points} \| {re.escape(one.says)}", text), (
                one.says
            )


@TASKS
def test_wrong_answers_of_the_page_keep_the_points_it_says(id):
    """What each is told is held true where they are graded, in test_grading.py."""
    text = sections(id)["What students get wrong"]
    told = told_of(id)
    assert len(re.findall(r"^- ", text, re.M)) == len(told) >= 6
    points = {(part, name): points for part, name, _, points, _ in HANDED_IN[id]}
    for (part, name), (kept, whole, _) in told.items():
        assert (points[part, name], assignment(id).part(part).points) == (kept, whole)


@TASKS
def test_each_written_part_has_two_samples_for_each_level(id):
    text = sections(id)["Rubric for the written parts"]
    parts = re.split(r"^### (\w+): .+$", text, flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(found) == [one.name for one in assignment(id).written]
    for samples in found.values():
        levels = re.split(r"^#### (\w+)$", samples, flags=re.M)
        assert [name.lower() for name in levels[1::2]] == list(LEVELS)
        for level in levels[2::2]:
            assert len(re.findall(r"^\*Why:\*", level, re.M)) >= 2


@pytest.mark.parametrize("path", sorted(GUIDE.glob("*.md")), ids=lambda path: path.stem)
def test_links_of_the_guide_lead_somewhere(path: Path):
    links = re.findall(r"\]\(([^)#]+?)(?:#[\w-]+)?\)", path.read_text("utf-8"))
    for link in links:
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_the_guide_has_a_page_for_every_notebook_and_assignment():
    pages = {path.stem for path in GUIDE.glob("*.md")}
    sessions = {path.name[:2] for path in NOTEBOOKS}
    assert pages == sessions | {*assignments} | {"README", "running_a_class"}
