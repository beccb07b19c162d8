"""Whatever is in the folder of submissions is graded, or said to be what it is."""

import csv
import json
import os
import random
from pathlib import Path

import pytest
import torch
from handed_in import BANK, QUICK, cell, hand_in, notebook, with_answer

from minihyena.__main__ import main
from minihyena.grading import assignment, assignments, read
from minihyena.grading.box import Box
from minihyena.grading.files import find, read_marks
from minihyena.grading.parts import seeded
from minihyena.grading.sandbox.wire import Lost
from minihyena.lessons.comparing import pick, short

A1 = notebook("A1")


def new_cell(source: str) -> dict:
    return {
        "cell_type": "code",
        "id": f"x{abs(hash(source))}",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def without(made: dict, name: str) -> dict:
    changed = json.loads(json.dumps(made))
    changed["cells"].remove(cell(changed, name))
    return changed


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]


def run(folder: Path, out: Path, *words: str, seed: str = "secret") -> None:
    given = ["grade", folder, "--seed", seed, "--out", out, *words]
    assert main([str(word) for word in given]) == 0


def totals(out: Path) -> dict[str, dict[str, str]]:
    return {row["student"]: row for row in table(out / "totals.csv")}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """One of every kind of submission that is not as it should be, all graded."""
    here = tmp_path_factory.mktemp("odd")
    folder = here / "in"
    put = {
        "plain": A1,
        "Ünïcode Ñame 名": A1,
        "renamed": json.loads(
            json.dumps(A1).replace("conv_in_pieces", "convolve_by_pieces")
        ),
        "deleted": without(without(A1, "pieces"), "check_pieces"),
        "edited": json.loads(json.dumps(A1).replace("a1.check", "0 and a1.check")),
        "cut off in the middle": with_answer(
            A1, "tests", "\ndef accepts(conv):\n    return ("
        ),
        "nameless cells": json.loads(json.dumps(A1).replace("grade_id", "was_id")),
    }
    for student, made in put.items():
        hand_in(made, folder / student / "A1.ipynb")
    kernel = {"display_name": "R", "language": "R", "name": "ir"}
    hand_in({**A1, "metadata": {"kernelspec": kernel}}, folder / "kernel" / "A1.ipynb")
    double = json.loads(json.dumps(A1))
    double["cells"] += [cell(A1, "pieces"), cell(A1, "hand")]
    hand_in(double, folder / "duplicated" / "A1.ipynb")
    magic = json.loads(json.dumps(A1))
    magic["cells"].insert(0, new_cell("%matplotlib inline\n!pip list\n?print\nu?"))
    magic["cells"].insert(1, new_cell("def broken(:\n"))
    asks = "%matplotlib inline\nfrom __future__ import annotations\nfrom math import *"
    pieces = "".join(cell(magic, "pieces")["source"])
    cell(magic, "pieces")["source"] = f"{asks}\n{pieces}  # is this right?\n"
    hand_in(magic, folder / "magic.ipynb")
    hand_in(A1, folder / "twice" / "A1.ipynb")
    hand_in(A1, folder / "twice" / "again" / "A1 final.ipynb")
    hand_in({**A1, "metadata": {}}, folder / "untitled" / "homework.ipynb")
    hand_in({"cells": []}, folder / "no cells" / "A1.ipynb")
    hand_in({"worksheets": [{"cells": []}]}, folder / "old format" / "A1.ipynb")
    hand_in({"cells": [3, None, {"source": 4}]}, folder / "odd cells" / "A1.ipynb")
    hand_in([1, 2], folder / "a list" / "A1.ipynb")
    (folder / "empty").mkdir()
    (folder / "paper").mkdir()
    (folder / "paper" / "A1.pdf").write_bytes(b"%PDF-1.4")
    (folder / "bytes A1.ipynb").write_bytes(bytes(range(256)))
    (folder / "nest A1.ipynb").write_text("[" * 10**5)
    (folder / "half A1.ipynb").write_text(json.dumps(A1)[:3000])
    (folder / "large A1.ipynb").write_text(" " * (21 * 2**20))
    (folder / ".DS_Store").write_text("")
    (folder / "__MACOSX").mkdir()
    (here / "secret.txt").write_text("secret")
    (folder / "link A1.ipynb").symlink_to(here / "secret.txt")
    (folder / "=cmd()").mkdir()
    script = "\n\n".join(
        "".join(one["source"]) for one in A1["cells"] if one["cell_type"] == "code"
    )
    os.mkfifo(folder / "pipe A1.ipynb")
    hand_in(with_answer(A1, "tests", "x = 1\n" * 6000), folder / "long" / "A1.ipynb")
    wide = with_answer(A1, "tests", "\n" * 600_000)
    hand_in(wide, folder / "wide" / "A1.ipynb")
    odd = json.loads(json.dumps(A1))
    cell(odd, "hand")["source"] = "\ud800"
    hand_in(odd, folder / "surrogate" / "A1.ipynb")
    (folder / "script").mkdir()
    (folder / "script" / "A1.py").write_text(script)
    run(folder, here / "out")
    return totals(here / "out")


@pytest.mark.parametrize(
    ("student", "points", "note"),
    [
        ("plain", "75", ""),
        ("Ünïcode Ñame 名", "75", ""),
        ("renamed", "55", "check cell of pieces was edited"),
        ("deleted", "55", "check cell of pieces is missing"),
        ("edited", "75", "check cell of routes was edited"),
        ("cut off in the middle", "50", "never closed. What it defines is missing"),
        ("nameless cells", "75", "check cell of routes is missing"),
        ("kernel", "75", "the kernel is of R, not Python"),
        ("duplicated", "75", "conv_in_pieces is defined 2 times"),
        ("magic", "75", "Python cannot read code cell 2, line 1: "),
        ("untitled", "0", "does not say which"),
        ("no cells", "0", "an empty notebook"),
        ("old format", "0", "no list of cells"),
        ("odd cells", "0", ""),
        ("a list", "0", "not a notebook"),
        ("empty", "0", "an empty folder"),
        ("paper", "0", "no notebook here, only A1.pdf"),
        ("bytes A1", "0", "not a text in UTF-8"),
        ("nest A1", "0", "not JSON"),
        ("half A1", "0", "not JSON"),
        ("large A1", "0", "clear the outputs"),
        ("link A1", "0", "a link"),
        ("'=cmd()", "0", "an empty folder"),
        ("script", "75", ""),
        ("pipe A1", "0", "a device"),
        ("long", "0", ""),
        ("wide", "0", ""),
        ("surrogate", "75", ""),
    ],
)
def test_an_odd_submission_is_graded_or_named(odd, student, points, note) -> None:
    assert odd[student]["automatic"] == points
    assert note in odd[student]["notes"]


def test_two_submissions_of_one_student_both_stand_and_say_so(tmp_path: Path) -> None:
    untouched = notebook("A1", "release")
    hand_in(untouched, tmp_path / "in" / "ann" / "A1.ipynb")
    hand_in(A1, tmp_path / "in" / "ann" / "again" / "A1.ipynb")
    run(tmp_path / "in", tmp_path / "out")
    rows = table(tmp_path / "out" / "totals.csv")
    assert [row["automatic"] for row in rows] == ["0", "75"]
    assert [row["notes"][:11] for row in rows] == ["file 1 of 2", "file 2 of 2"]
    pages = {path.name for path in (tmp_path / "out" / "feedback" / "ann").iterdir()}
    assert pages == {"A1.html", "A1 (2).html"}


def test_a_class_of_thirty_gets_the_points_it_should(tmp_path: Path) -> None:
    """Solutions with a wrong answer in up to two parts, drawn from the banks."""
    draw, expected = random.Random(5), {}
    for number in range(30):
        id = [*assignments][number % len(assignments)]
        parts = assignment(id).parts
        chosen = draw.sample(parts, draw.randint(0, min(2, len(parts))))
        made, points = notebook(id), sum(part.points for part in parts)
        for part in chosen:
            bank = [wrong for wrong in BANK[id] if wrong[0] == part.name]
            _, _, code, left, _ = draw.choice(bank)
            made, points = with_answer(made, part.name, code), points + left
            points -= part.points
        student = f"student {number:02}"
        hand_in(made, tmp_path / "in" / student / f"{id}.ipynb")
        expected[student] = str(points)
    quick = [
        f"{id}.{part}.{name} = {value}\n"
        for id, parts in QUICK.items()
        for part, values in parts.items()
        for name, value in values.items()
    ]
    (tmp_path / "quick.toml").write_text("".join(quick))
    parameters = "--parameters", str(tmp_path / "quick.toml")
    run(tmp_path / "in", tmp_path / "out", *parameters)
    got = {name: row["automatic"] for name, row in totals(tmp_path / "out").items()}
    assert got == expected


def test_the_same_seed_gives_the_same_grades_and_words(tmp_path: Path) -> None:
    part, _, code, *_ = BANK["A1"][0]
    hand_in(with_answer(A1, part, code), tmp_path / "in" / "ann" / "A1.ipynb")
    tables = []
    for seed in ("one", "one", "two"):
        run(tmp_path / "in", tmp_path / "out", seed=seed)
        rows = table(tmp_path / "out" / "grades.csv")
        pages = tmp_path / "out" / "feedback" / "ann" / "A1.html"
        cells = [{k: row[k] for k in row if k != "seconds"} for row in rows]
        tables.append((cells, pages.read_text("utf-8")))
    assert tables[0] == tables[1]
    points = [[row["points"] for row in cells] for cells, _ in tables]
    assert points[0] == points[2]
    assert tables[0][1] != tables[2][1], "on other cases"


def test_the_cases_of_a_seed_are_the_same_on_every_machine() -> None:
    """A SHA-256 of seed, part and claim, and torch's generator of the CPU."""
    one = seeded("secret A1", "routes", "conv_direct is the definition")
    assert one.initial_seed() == 51132800674441021
    assert [pick(0, 99, one) for _ in range(5)] == [21, 27, 24, 25, 84]
    expected = torch.tensor([0.15, 0.95, 1.15, 0.75], dtype=torch.float64)
    torch.testing.assert_close(short(4, generator=one), expected)


def test_marks_for_written_parts_come_from_a_table(tmp_path: Path) -> None:
    hand_in(A1, tmp_path / "in" / "ann" / "A1.ipynb")
    marks = tmp_path / "marks.csv"
    marks.write_text(
        "student,assignment,part,level,comment\n"
        "ann,A1,hand,Excellent,\n"
        "ann,A1,wrap,solid,Which <output> is wrong?\n"
    )
    run(tmp_path / "in", tmp_path / "out", "--marks", str(marks))
    row = totals(tmp_path / "out")["ann"]
    assert (row["written"], row["total"], row["of"]) == ("21.25", "96.25", "100")
    page = (tmp_path / "out" / "feedback" / "ann" / "A1.html").read_text("utf-8")
    assert "Solid, 11.25 of 15" in page
    assert "Which &lt;output&gt; is wrong?" in page


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("student,part,level\n", "no column 'assignment'"),
        ("student,assignment,part,level\nann,A9,hand,solid\n", "line 2: unknown ass"),
        ("student,assignment,part,level\nann,A1,head,solid\n", "unknown written part"),
        ("student,assignment,part,level\nann,A1,hand,great\n", "unknown level 'great'"),
    ],
)
def test_a_mark_that_is_not_in_the_rubric_is_an_error(tmp_path, text, complaint):
    path = tmp_path / "marks.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_marks(path)


def test_what_a_student_wrote_cannot_run_in_the_teachers_browser(tmp_path) -> None:
    made = json.loads(json.dumps(A1))
    cell(made, "hand")["source"] = "<script>alert(1)</script>"
    made = with_answer(made, "tests", "def accepts(conv):\n    raise ValueError('<b>')")
    hand_in(made, tmp_path / "in" / "<i>ann" / "A1.ipynb")
    run(tmp_path / "in", tmp_path / "out")
    page = (tmp_path / "out" / "feedback" / "<i>ann" / "A1.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "ValueError: &lt;b&gt;" in page
    assert "<i>" not in page


def test_pictures_stand_beside_the_words(tmp_path: Path) -> None:
    from made_pictures import DOT

    made = json.loads(json.dumps(A1))
    good, bad = ({"image/png": data} for data in (DOT, '"><script>'))
    made["cells"].append(
        new_cell("show()") | {"outputs": [{"data": good}, {"data": bad}, {"data": 3}]}
    )
    one = read(hand_in(made, tmp_path / "A1.ipynb"), "ann")
    assert [picture for one in one.cells for picture in one.pictures] == [DOT]
    run(tmp_path / "A1.ipynb", tmp_path / "out")
    [page] = (tmp_path / "out" / "feedback").rglob("*.html")
    said = page.read_text("utf-8")
    assert said.count("data:image/png") == 1
    assert "75 of 75 points from the grader; a reader gives up to 25 more." in said


def test_what_costs_every_part_is_said_once_on_the_page(tmp_path: Path) -> None:
    lost = "import torch"
    made = json.loads(json.dumps(A1).replace(lost, f"{lost} as"))
    hand_in(made, tmp_path / "in" / "import" / "A1.ipynb")
    (tmp_path / "in" / "half A1.ipynb").write_text("{")
    run(tmp_path / "in", tmp_path / "out")
    for student, said in (
        ("import", "Python cannot read code cell 1, line "),
        ("half A1", "not a notebook: this is not JSON"),
    ):
        [page] = (tmp_path / "out" / "feedback" / student).glob("*.html")
        assert page.read_text("utf-8").count(said) == 1


def test_other_graders_get_files_they_can_read(tmp_path: Path) -> None:
    hand_in(A1, tmp_path / "in" / "ann" / "A1.ipynb")
    run(tmp_path / "in", tmp_path / "out", "--gradescope", "--otter")
    result = json.loads((tmp_path / "out/gradescope/ann/A1.json").read_text())
    assert result["score"] == 75 == sum(test["score"] for test in result["tests"])
    assert all(test["max_score"] == test["score"] for test in result["tests"])
    for id in assignments:
        for part in assignment(id).parts:
            text = (tmp_path / "out/otter" / id / f"{part.name}.py").read_text()
            world: dict = {}
            exec(text, world)
            assert world["OK_FORMAT"]
            assert sum(world["test"]["points"]) == part.points
            assert len(world["test"]["suites"][0]["cases"]) == len(part.properties)


SHORT = """
right = conv_in_pieces

def conv_in_pieces(u, h, chunk):
    y = right(u, h, chunk)
    return y if len(u) <= 8 else u
"""


def test_a_teachers_parameters_change_the_cases(tmp_path: Path) -> None:
    """An answer that is right up to eight samples has all points where no more come."""
    hand_in(with_answer(A1, "pieces", SHORT), tmp_path / "in" / "ann" / "A1.ipynb")
    run(tmp_path / "in", tmp_path / "out")
    assert int(totals(tmp_path / "out")["ann"]["automatic"]) < 75
    mine = tmp_path / "mine.toml"
    mine.write_text("[A1.pieces]\nlengths = [3]\ntaps = [2]\nchunks = [2]\n")
    run(tmp_path / "in", tmp_path / "out", "--parameters", str(mine))
    assert totals(tmp_path / "out")["ann"]["automatic"] == "75"
    for text, complaint in [
        ("[A1.pieces]\nlength = [3]\n", "unknown parameter"),
        ("[A1.piece]\nlengths = [3]\n", "unknown part"),
        ("[A7.pieces]\nlengths = [3]\n", "unknown assignment"),
        ("[A1.pieces]\nlengths = 3\n", "of type int, not list"),
        ("[A1.pieces\n", "not a TOML file"),
    ]:
        mine.write_text(text)
        words = ["grade", tmp_path / "in", "--parameters", mine, "--out", tmp_path]
        assert main([str(word) for word in words]) == 1, complaint


def test_a_secret_that_is_empty_is_not_taken_for_the_public_one(
    tmp_path, capsys, monkeypatch
) -> None:
    assert main(["grade", str(tmp_path), "--seed", ""]) == 1
    monkeypatch.setenv("MINIHYENA_SEED", "")
    assert main(["grade", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("the seed is empty") == 2


def test_whoever_grades_with_the_public_seed_is_told(
    tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.delenv("MINIHYENA_SEED", raising=False)
    grade = ["grade", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(grade) == 1, "nothing was handed in"
    assert "warning: no seed given" in capsys.readouterr().out
    assert main([*grade, "--seed", "secret"]) == 1
    assert "no seed given" not in capsys.readouterr().out


def test_a_place_that_is_not_there_or_empty_is_an_error(tmp_path, capsys) -> None:
    assert main(["grade", str(tmp_path / "nowhere")]) == 1
    assert "there is no" in capsys.readouterr().err
    assert main(["grade", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "another folder" in capsys.readouterr().err
    assert main(["grade", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "nothing was handed in" in capsys.readouterr().err


def test_results_among_the_submissions_are_no_submission(tmp_path: Path) -> None:
    hand_in(notebook("A1", "release"), tmp_path / "ann.ipynb")
    for _ in range(2):
        run(tmp_path, tmp_path / "grades", "--otter")
        assert [*totals(tmp_path / "grades")] == ["ann"]


def test_where_no_box_can_be_opened_nothing_is_graded(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    def lost(self: Box) -> None:
        raise Lost("the process is gone")

    hand_in(A1, tmp_path / "in" / "ann.ipynb")
    monkeypatch.setattr(Box, "walls", lost)
    words = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "no box can be opened here" in capsys.readouterr().err


def test_results_may_lie_above_the_submissions(tmp_path: Path) -> None:
    hand_in(notebook("A1", "release"), tmp_path / "in" / "ann.ipynb")
    run(tmp_path / "in", tmp_path)
    assert [*totals(tmp_path)] == ["ann"]


def test_a_student_is_the_first_name_below_the_folder(tmp_path: Path) -> None:
    hand_in(A1, tmp_path / "ann" / "A1" / "deep" / "x.ipynb")
    hand_in(A1, tmp_path / "bob.ipynb")
    hand_in(A1, tmp_path / "ann" / ".ipynb_checkpoints" / "x.ipynb")
    assert [one.student for one in find(tmp_path)] == ["ann", "bob"]


@pytest.mark.skipif(os.name == "nt", reason="no such file names")
def test_a_name_with_every_sign_is_a_student(tmp_path: Path) -> None:
    name = "a b'\"\t\n&;|*?ß"
    hand_in(A1, tmp_path / "in" / name / "A1.ipynb")
    run(tmp_path / "in", tmp_path / "out")
    [row] = table(tmp_path / "out" / "totals.csv")
    assert row["automatic"] == "75"
