"""Whatever is handed in loses its own part alone; nothing outside of it changes."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from handed_in import hand_in, notebook, with_answer
from handed_in.hostile import HOSTILE

import minihyena
from minihyena.grading import Boxes, Limits, assignment, grade, read
from minihyena.grading.box import FORKS
from minihyena.grading.sandbox import FOLDER
from minihyena.grading.sandbox.wire import Lost

NAMES = pytest.mark.parametrize(
    ("code", "keyword"), [pytest.param(c, k, id=n) for n, c, k in HOSTILE]
)
KINDS = pytest.mark.parametrize(
    "fork",
    [
        pytest.param(False, id="started"),
        pytest.param(
            True, id="copied", marks=pytest.mark.skipif(not FORKS, reason="no fork")
        ),
    ],
)
A1 = assignment("A1")


def impatient():
    """A1 with a second a part: the loops below are many."""
    parts = tuple(dataclasses.replace(part, seconds=1.0) for part in A1.parts)
    return dataclasses.replace(A1, parts=parts)


@pytest.fixture(scope="module")
def boxes():
    with Boxes() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path):
    """A file that must stay as it is; after the test, everything must."""
    (tmp_path / "victim").write_text("precious")
    before = state(tmp_path)
    own = set(psutil.Process().children(recursive=True))
    yield tmp_path
    assert state(tmp_path) == before
    left = [
        child
        for child in set(psutil.Process().children(recursive=True)) - own
        if child.status() != psutil.STATUS_ZOMBIE and "sandbox" not in command(child)
    ]
    assert not left


def command(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "sandbox"


def state(folder: Path):
    return {
        path.name: (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file()
    }


def aimed(code: str, world: Path) -> str:
    """The code with its targets filled in."""
    places = {
        "VICTIM": world / "victim",
        "MARK": world / "mark",
        "PACKAGE": Path(minihyena.__file__).parent,
    }
    for word, path in places.items():
        code = code.replace(word, repr(str(path)))
    return code


@NAMES
def test_a_hostile_answer_loses_its_own_part_and_nothing_else(
    code, keyword, boxes, world
):
    made = with_answer(notebook("A1"), "tests", aimed(code, world))
    path = hand_in(made, world / "in" / "A1.ipynb")
    result = grade(read(path, "x"), impatient(), "secret", boxes)
    points = {one.part.name: one.points for one in result.results}
    assert points == {"routes": 30, "tests": 0, "pieces": 20}
    [part] = [one for one in result.results if one.part.name == "tests"]
    told = [part.message, *(verdict.message for verdict in part.verdicts)]
    assert any(keyword in text for text in told), told
    assert part.seconds < 10
    again = grade(read(hand_in(notebook("A1"), path), "x"), A1, "secret", boxes)
    assert again.points == 75, "what comes next is graded as ever"


@NAMES
def test_the_walls_stand_where_the_text_was_not_even_looked_at(
    code, keyword, boxes, world
):
    """The same code, put into a box with all its imports."""
    text = "import torch\n" + aimed(code, world)
    try:
        with boxes.open(text, ["accepts"], Limits(seconds=1)) as box:
            verdicts = A1.judge(A1.part("tests"), box.functions, "secret")
            points = sum(verdict.points for verdict in verdicts)
    except (Exception, Lost):  # at its top level
        points = 0
    assert points == 0
    assert not (world / "mark").exists()


REFUSED = {
    "os.fork()": "PermissionError",
    "os.posix_spawn('/bin/true', ['true'], {})": "PermissionError",
    "os.system('true')": "PermissionError",
    "os.kill(os.getppid(), 9)": "PermissionError",
    "open(VICTIM, 'a')": "PermissionError",
    "os.open(VICTIM, os.O_RDWR)": "PermissionError",
    "os.remove(VICTIM)": "PermissionError",
    "torch.os.remove(VICTIM)": "PermissionError",
    "os.chmod(VICTIM, 0)": "PermissionError",
    "os.utime(VICTIM)": "PermissionError",
    "os.truncate(VICTIM, 0)": "PermissionError",
    "os.rename(VICTIM, VICTIM + 'x')": "PermissionError",
    "os.link(VICTIM, VICTIM + 'x')": "PermissionError",
    "os.mkdir(VICTIM + 'x')": "PermissionError",
    "open('here', 'w')": "PermissionError",
    "open(PACKAGE + '/conv.py').read()": "PermissionError",
    "os.listdir(PACKAGE) and open(PACKAGE + '/conv.py')": "PermissionError",
    "__import__('minihyena')": "PermissionError",
    "__import__('importlib').import_module('minihyena.conv')": "PermissionError",
    "__import__('socket').socket()": "PermissionError",
    "__import__('ctypes').CDLL(None)": "PermissionError",
    "__import__('gc').get_objects()": "PermissionError",
    "__import__('mmap').mmap(-1, 2**20)": "PermissionError",
    "bytearray(2**33)": "MemoryError",
    "sys.exit(3)": "SystemExit",
}


@KINDS
def test_a_wall_says_no(fork, world):
    functions = [
        f"def f{number}():\n    {call}\n" for number, call in enumerate(REFUSED)
    ]
    text = aimed("import os, sys, torch\n" + "".join(functions), world)
    names, raised = [f"f{number}" for number in range(len(REFUSED))], []
    with Boxes(fork) as made, made.open(text, names, Limits(seconds=20)) as box:
        for name in names:
            try:
                box.functions[name]()
            except Exception as error:
                raised.append(type(error).__name__)
            else:
                raised.append("")
    assert dict(zip(REFUSED, raised, strict=True)) == REFUSED


ODD = """
import torch

def column():
    return torch.arange(6.0).reshape(1, 2, 3).transpose(1, 2)[:, :1, :1]

def view():
    return torch.arange(6.0).reshape(2, 3).T

def turned():
    return torch.ones(2, dtype=torch.complex64).conj(), torch.ones(()), torch.ones(0, 3)

def half():
    return torch.ones(2, 2, dtype=torch.bfloat16).T
"""


def test_tensors_of_every_layout_arrive(boxes):
    names = ["column", "view", "turned", "half"]
    mine: dict = {}
    exec(ODD, mine)
    with boxes.open(ODD, names, Limits()) as box:
        for name in names:
            torch.testing.assert_close(box.functions[name](), mine[name]())


IN_PLACE = """
def change(parts, *, word, generator):
    parts[0][1].zero_()
    word["h"] += 1
    generator.manual_seed(5)
"""


def test_what_is_changed_in_place_over_there_is_changed_here(boxes):
    parts, word = [(torch.ones(2), torch.ones(2)), 7], {"h": torch.ones(1)}
    generator = torch.Generator().manual_seed(0)
    with boxes.open(IN_PLACE, ["change"], Limits()) as box:
        box.functions["change"](parts, word=word, generator=generator)
    assert parts[0][0].tolist() == [1, 1]
    assert parts[0][1].tolist() == [0, 0]
    assert word["h"].tolist() == [2]
    assert generator.initial_seed() == 5


@pytest.mark.skipif(not FORKS, reason="no fork")
def test_a_source_that_copies_has_one_thread(boxes):
    with boxes.open("def f(): return 1", ["f"], Limits()):
        assert boxes._sources[False].process.pid
        source = psutil.Process(boxes._sources[False].process.pid)
        assert source.num_threads() == 1


@pytest.mark.skipif(not FORKS, reason="no fork")
def test_a_source_that_was_killed_is_replaced(world):
    with Boxes() as made:
        for _ in range(2):
            with made.open("def f(): return 1", ["f"], Limits()) as box:
                assert box.functions["f"]() == 1
            made._sources[False].process.kill()
            made._sources[False].process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="walls of Linux's kernel")
def test_the_kernel_stands_behind_pythons_own_wall(world):
    """What is refused to whoever gets round the audit hook: it is not up here."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            KERNEL,
            FOLDER,
            world / "victim",
            f"{os.getpid()}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["walls", *["refused"] * 17, "allowed", "allowed"]


KERNEL = """
import fcntl, os, resource, socket, subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
import walls
victim, parent = sys.argv[2], int(sys.argv[3])
if walls.close_files([sys.prefix, sys.base_prefix]) and walls.close_kernel():
    print("walls")

def attempt(fn, *args):
    try:
        fn(*args)
    except (OSError, ValueError):
        print("refused")
    else:
        print("allowed")

attempt(open, victim)
attempt(open, victim, "a")
attempt(os.remove, victim)
attempt(os.rename, victim, victim + "x")
attempt(os.truncate, victim, 0)
attempt(os.chmod, victim, 0)
attempt(os.utime, victim)
attempt(os.mkdir, victim + "x")
attempt(os.symlink, victim, victim + "x")
attempt(os.fork)
attempt(os.posix_spawn, "/bin/true", ["true"], {})
attempt(os.execv, "/bin/true", ["true"])
attempt(socket.socket)
attempt(os.kill, parent, 0)
attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (9, 9))
attempt(fcntl.fcntl, os.pipe()[0], 10, 9)
attempt(fcntl.fcntl, os.pipe()[0], fcntl.F_SETOWN, parent)
attempt(lambda: threading.Thread(target=int).start())
attempt(resource.getrlimit, resource.RLIMIT_NOFILE)
"""
