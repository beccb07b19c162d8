"""Every answer gets the points it should, and touches nothing but its own part."""

from pathlib import Path

import pytest
from handed_in import BANK, QUICK, hand_in, notebook, with_answer

from minihyena.grading import Boxes, assignment, assignments, grade, read

ALL = pytest.mark.parametrize("id", assignments)
BANKED = pytest.mark.parametrize(
    ("id", "part", "code", "points", "keyword"),
    [
        pytest.param(id, part, code, points, keyword, id=f"{id}.{part}: {name}")
        for id, bank in BANK.items()
        for part, name, code, points, keyword in bank
    ],
)


@pytest.fixture(scope="module")
def boxes():
    with Boxes() as made:
        yield made


def graded(made, id, boxes, folder, seed="secret"):
    submission = read(hand_in(made, folder / f"{id}.ipynb"), "x")
    task = assignment(id).with_parameters(QUICK.get(id, {}))
    return grade(submission, task, seed, boxes)


def points(result):
    return {one.part.name: one.points for one in result.results}


def full(id):
    return {part.name: part.points for part in assignment(id).parts}


@ALL
@pytest.mark.parametrize("seed", ["public", "secret", "0", "ünï"])
def test_the_solution_gets_all_points(id, seed, boxes, tmp_path: Path):
    result = graded(notebook(id), id, boxes, tmp_path, seed)
    assert points(result) == full(id), [r.told for r in result.results]
    assert not result.notes


@ALL
def test_the_release_gets_none(id, boxes, tmp_path: Path):
    result = graded(notebook(id, "release"), id, boxes, tmp_path)
    assert points(result) == dict.fromkeys(full(id), 0)
    assert all("not attempted" in one.told for one in result.results)
    assert not result.notes


@ALL
def test_an_assignment_is_worth_a_hundred_points(id):
    assert assignment(id).points == 100


@BANKED
def test_a_wrong_answer_gets_the_points_it_should(
    id, part, code, points, keyword, boxes, tmp_path: Path
):
    result = graded(with_answer(notebook(id), part, code), id, boxes, tmp_path)
    for one in result.results:
        right = points if one.part.name == part else one.part.points
        assert one.points == right, one.told
        if one.part.name == part:
            said = [one.message, *(v.message for v in one.verdicts)]
            assert any(keyword in text for text in said), said
    assert points < assignment(id).part(part).points


@ALL
def test_the_bank_holds_four_wrong_answers_to_each_part(id):
    for part in assignment(id).parts:
        assert sum(wrong[0] == part.name for wrong in BANK[id]) >= 4
