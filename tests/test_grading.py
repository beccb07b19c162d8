"""Every answer gets the points it should, and touches nothing but its own part."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.signal
import torch
from handed_in import BANK, QUICK, hand_in, notebook, told_of, with_answer

from minihyena import causal_conv
from minihyena.grading import Boxes, Limits, assignment, assignments, grade, read
from minihyena.grading.grading import PartResult
from minihyena.grading.parts import Verdict
from minihyena.grading.submission import Cell, Submission

ALL = pytest.mark.parametrize("id", assignments)
BANKED = pytest.mark.parametrize(
    ("id", "part", "name", "code", "points", "keyword"),
    [
        pytest.param(id, part, name, code, points, keyword, id=f"{id}.{part}: {name}")
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


def plain(text):
    """Without what the seed decides: numbers, and where a line ends."""
    return re.sub(r"\d+", "#", " ".join(text.split()))


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
    id, part, name, code, points, keyword, boxes, tmp_path: Path
):
    """And is told so in the words that the teaching notes quote, if they do."""
    *_, quote = told_of(id).get((part, name), ("",))
    result = graded(with_answer(notebook(id), part, code), id, boxes, tmp_path)
    for one in result.results:
        right = points if one.part.name == part else one.part.points
        assert one.points == right, one.told
        if one.part.name == part:
            said = [one.message, *(v.message for v in one.verdicts)]
            assert any(keyword in text for text in said), said
            assert any(plain(quote) in plain(text) for text in said), said
    assert points < assignment(id).part(part).points


def test_the_check_in_the_notebook_refuses_what_the_grader_would(capsys):
    a1 = assignment("A1")
    a1.check("tests", by_conv1d)  # no answer is forbidden there
    a1.check("pieces", by_conv1d)
    a1.check("pieces", by_scipy)
    a1.check("pieces", by_library)
    a1.check("pieces", by_a_helper)
    a1.check("pieces", causal_conv)
    a1.check("pieces")
    said = capsys.readouterr().out.splitlines()
    assert "0 of 20 points: conv_in_pieces: this part may not use conv1d" in said[-6]
    assert "may not use lfilter" in said[-5]
    assert all("forbids minihyena" in line for line in said[-4:-2])
    assert "the library's own" in said[-2]
    assert "the check wants conv_in_pieces; got 0" in said[-1]
    assert not any("may not" in line for line in said[:-6])


def test_a_check_that_takes_long_says_so(capsys):
    a1 = assignment("A1")
    a1.check("pieces", by_loops)
    assert "of computing" not in capsys.readouterr().out
    in_no_time = tuple(replace(part, seconds=0.0) for part in a1.parts)
    replace(a1, parts=in_no_time).check("pieces", by_loops)
    assert "s of computing here; a grader stops this" in capsys.readouterr().out


def by_loops(u, h, chunk):
    y = torch.zeros_like(u)
    for k in range(min(len(h), len(u))):
        y[k:] += h[k] * u[: len(u) - k]
    return y


def by_library(u, h, chunk):
    return causal_conv(u[None], h[None])[0]


def by_a_helper(u, h, chunk):
    return by_library(u, h, chunk) if len(h) else by_a_helper(u, h, chunk)


def by_conv1d(u, h, chunk):
    return torch.nn.functional.conv1d(u[None, None], h[None, None])[0, 0]


def by_scipy(u, h, chunk):
    return scipy.signal.lfilter(h, 1, u)


SLICED = '''
import torch

sizes = []
for size in (1, 2):
    sizes.append(size)
for other in (1, 2):
    print(other)
    unrelated = other
table = {}
table["two"] = 2
first, *rest = [1, 2]
try:
    import numpy as known
except ImportError:
    known = None
if True:
    def helper(u=first):
        return u + len(sizes) + table["two"]
else:
    helper = None
scale = lambda u, by=rest: u * by[0]

class Doubler:
    factor = 2

    def __call__(self, u):
        return [self.factor * one for one in u]

doubled = Doubler()
while unrelated < 0:
    pass

def count():
    """How often was this called?

    % is no magic, nor is ! or ?
    """
    global calls
    calls += 1
    return calls

calls = 0

def convolve(u):
    return u % (
        2
    ) + 0 * (u
        % 7)

def answer(u):
    assert count() == 1 and convolve(3) == 1
    values = [scale(helper()) for _ in u]
    return doubled(values) if known.pi > 3 else f"{never}"
'''


def sliced(source):
    submission = Submission("x", Path("x"), "A1", (Cell("", source, True),))
    return submission.program(["answer"])


def test_a_fault_that_parsing_does_not_find_has_its_line_and_costs_the_whole_cell():
    source = (
        "def answer(u):\n    return u\n\ndef f():\n    # one\n    y = 1\n\n    global y"
    )
    fault = sliced(source).fault
    assert "a cell that Python cannot read: code cell 1, line 8: name 'y' is" in fault
    fault = sliced("def answer(u):\n    return u\nfrom __future__ import braces").fault
    assert fault.endswith("code cell 1, line 3: not a chance")


def test_only_lines_that_python_cannot_read_are_taken_for_magics():
    said = 'def answer(u):\n    """Doc\n%is a text, as is\nthis?\n    """\n    return u'
    program = sliced(f"%time\n{said}\nu?")
    assert not program.fault
    assert "%is a text, as is\nthis?\n" in program.text
    for many in ("%a\r\n" * 99, "!echo '''\ns = r'''\n a\n'''\n"):
        assert not sliced(many + said).fault


def test_what_is_told_of_a_part_is_one_line():
    part = assignment("A1").parts[0]
    assert PartResult(part, (), 0.0, "one\ntwo").told == "one"
    found = [Verdict(part.properties[0], said) for said in ("", "a\nb", "c", "a\nd")]
    assert PartResult(part, tuple(found), 0.0).told == "a; c"


def test_a_function_finds_all_that_it_needs_and_nothing_else(boxes):
    one = Submission("x", Path("x"), "A1", (Cell("", SLICED, True),))
    program = one.program(["answer"], forbidden=["convolve"])
    assert not program.fault
    assert "unrelated" not in program.text
    with boxes.open(program.text, ["answer"], Limits()) as box:
        assert box.functions["answer"]([7, 8]) == [20, 20]


@ALL
def test_the_bank_holds_four_wrong_answers_to_each_part(id):
    for part in assignment(id).parts:
        assert sum(wrong[0] == part.name for wrong in BANK[id]) >= 4
