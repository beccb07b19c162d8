"""Every notebook is fit to be read, diffed and compared; and the check can tell."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import numpy as np
import publish
import pytest
import walk_as_newcomer
import website.build
import zmq
import zmq.asyncio
from additions import SETUP
from hygiene import WIDGET_VIEW, code_cells, faults, read
from jupyter_client.session import Session
from made_pictures import DOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(
    path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)


def test_the_notebooks_are_there() -> None:
    numbers = {path.name[:2] for path in NOTEBOOKS}
    assert {"00", "09"} <= numbers


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_all_rules(path: Path) -> None:
    assert faults(path) == []


# A notebook that keeps all rules, and for each rule one that breaks it.

START = """# A title

One promise.

**Prerequisites:** lists. **Not a label.**

**Objectives:** compute a mean.

**Time:** read 1 min.

## Predict
"""
REST = """## Build: an idea

### A detail

## Build: another idea
## Check
## Play
## Break it
## Connect to the paper
## Exit ticket
## Summary
## Next
"""
SENTENCE = "The mean of 3 numbers is 2."


def picture(text: str = SENTENCE, **more: str) -> NotebookNode:
    data = {"text/plain": text, "image/png": DOT, **more}
    return new_output("execute_result", data, execution_count=1)


@pytest.fixture
def notebook() -> NotebookNode:
    draw = "import torch\n\ntorch.rand(3, generator=g)"
    cells = [
        new_markdown_cell(START),
        new_code_cell(draw, execution_count=1, outputs=[picture()]),
        new_markdown_cell(REST),
        new_code_cell("print(3)", execution_count=2),
    ]
    return new_notebook(cells=cells, metadata=nbformat.from_dict(publish.METADATA))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "there.md").write_text("there")
    return tmp_path / "00_example.ipynb"


def test_a_good_notebook_has_no_faults(notebook: NotebookNode, path: Path) -> None:
    assert faults(path, notebook) == []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = open('/home/me/x.txt')", "names the path '/home'"),
        ("x = open('C:\\\\data\\\\x.txt')", "names the path 'C:"),
        ("!pip install torch", "has the command '!pip install torch'"),
        ("%matplotlib inline", "has the command '%matplotlib inline'"),
        ("import requests", "goes to the network"),
        ("corpora.load('tinyshakespeare')", "goes to the network"),
        ("torch.randn(3)", "torch.randn without a generator"),
        ("np.random.rand(3)", "np.random.rand without a generator"),
        ("torch.manual_seed(0)", "torch.manual_seed without a generator"),
        ("\n".join(f"x{i} = {i}" for i in range(16)), "16 lines of code, limit 15"),
        ("# NBVAL_IGNORE_OUTPUT\nprint(3)", "1 of 2 code cells are not compared"),
        ("  \n", "is empty"),
    ],
)
def test_a_faulty_code_cell_is_found(
    notebook: NotebookNode, path: Path, source: str, complaint: str
) -> None:
    notebook.cells[3].source = source
    (found,) = faults(path, notebook)
    assert complaint in found


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("# A title", "A title", "0 titles"),
        ("# A title", "# A title\n\n# Another", "2 titles"),
        ("## Predict", "### Predict", "skips a level: 3 under 1"),
        ("## Predict", "## Guess", "begins with none of Predict, Build"),
        ("## Build: an idea", "## Check\n## Build: an idea", "parts Predict, Check"),
        ("## Exit ticket\n", "", "Connect to the paper, Summary, Next; expected"),
        ("**Time:**", "Time:", "before Predict"),
        ("compute a mean", "understand means", "objective says 'understand'"),
        ("One promise", "[Gone](gone.md)", "link to gone.md, which is not there"),
        ("One promise", "[here](there.md)", "says only 'here'"),
        ("One promise", "![](there.md)", "no alternative text"),
        ("One promise", "See `/tmp/x`", "names the path '/tmp'"),
    ],
)
def test_faulty_prose_is_found(
    notebook: NotebookNode, path: Path, old: str, new: str, complaint: str
) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(old, new, 1)
    assert any(complaint in found for found in faults(path, notebook))


@pytest.mark.parametrize(
    "innocent",
    [
        "[There](there.md#part)",
        "[Far](https://example.org/home/x)",
        "```text\n[gone](gone.md)\n# no title\n```",
        "$f: \\mathbb{R} \\to \\mathbb{R}$ and 3/4",
    ],
)
def test_innocent_prose_is_left_alone(
    notebook: NotebookNode, path: Path, innocent: str
) -> None:
    notebook.cells[0].source = START.replace("One promise", innocent)
    assert faults(path, notebook) == []


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (picture("Figure(data=[])"), "a picture described by 'Figure("),
        (picture("a plot"), "a picture described by 'a plot'"),
        (picture("<Figure with axes and more>."), "a picture described by '<"),
        (picture(**{WIDGET_VIEW: "{}"}), "keeps a widget view"),
        (picture(**{"image/svg+xml": "<a href='/root/x'/>"}), "the path '/root'"),
        (
            new_output("display_data", {"text/plain": "VBox(children=())"}),
            "a widget described by 'VBox(",
        ),
        (new_output("error", ename="ValueError", evalue="x"), "ended in ValueError"),
        (new_output("stream", name="stderr", text="a warning"), "wrote to stderr"),
        (new_output("stream", text="saved in /tmp/x\n"), "names the path '/tmp'"),
        (picture(**{"text/html": "x" * 300_000}), "at most 300,000"),
    ],
)
def test_a_faulty_output_is_found(
    notebook: NotebookNode, path: Path, output: NotebookNode, complaint: str
) -> None:
    notebook.cells[1].outputs = [output]
    (found,) = faults(path, notebook)
    assert complaint in found


@pytest.mark.parametrize("counts", [(None, 2), (2, 1), (1, 3), (1, 1), (None, None)])
def test_cells_that_did_not_run_in_order_are_found(
    notebook: NotebookNode, path: Path, counts: tuple[int | None, int | None]
) -> None:
    notebook.cells[1].execution_count, notebook.cells[3].execution_count = counts
    (found,) = faults(path, notebook)
    assert "not 1 to 2 in order" in found


def test_leftovers_of_the_machinery_are_found(
    notebook: NotebookNode, path: Path
) -> None:
    notebook.metadata["widgets"] = {}
    notebook.cells[1].metadata["execution"] = {"iopub.execute_input": "now"}
    found = "\n".join(faults(path, notebook))
    assert "widget state in the metadata" in found
    assert "cell 1 keeps its execution times" in found
    notebook.cells[1].id = notebook.cells[3].id
    assert "two with the same" in faults(path, notebook)[0]


def test_a_stub_may_be_long_and_a_mistake_may_be_shown_on_purpose(
    notebook: NotebookNode, path: Path
) -> None:
    cell = notebook.cells[3]
    cell.source = "torch.manual_seed(0)\n" + "x = 0\n" * 20
    assert len(faults(path, notebook)) == 2
    cell.metadata["tags"] = ["exercise", "deliberate"]
    assert faults(path, notebook) == []


WIDGET = f"""
import os, sys
import ipywidgets as W
from IPython.display import display
class Shown(W.VBox):
    def _repr_mimebundle_(self, **options):
        data = dict(super()._repr_mimebundle_(**options))
        data["text/plain"] = "It stands at 0."
        if os.environ.get("MINIHYENA_STATIC"):
            data["image/png"] = "{DOT}"
        return data
""".strip()
OUTPUT = """
out = W.Output()
display(Shown([out]))
with out:
    print("inside")
""".strip()


@pytest.fixture
def written(tmp_path: Path, notebook: NotebookNode) -> Path:
    """A notebook as an editor leaves it: no ids, an Output widget, not executed."""
    cells = [
        notebook.cells[0],
        new_code_cell("import sys\nprint(2 + 2)", execution_count=7),
        notebook.cells[2],
        new_code_cell(WIDGET),
        new_code_cell(OUTPUT, metadata={"execution": {}}),
    ]
    notebook.cells = cells
    plain = json.loads(nbformat.writes(notebook))
    for cell in plain["cells"]:
        del cell["id"]
    path = tmp_path / "00_example.ipynb"
    path.write_text(json.dumps(plain))
    return path


def test_a_published_picture_looks_the_same_in_a_fraction_of_the_bytes() -> None:
    """Two noisy fields of some 500 colours, and a line across."""
    shade = np.random.default_rng(0).integers(0, 250, (200, 300))
    pixels = np.stack([shade, shade, 0 * shade + 255], -1)  # blue to white, and
    pixels[:, 150:, 2] = shade[:, 150:] // 2 + 100  # yellowish
    pixels[100] = 0
    drawn, cell = BytesIO(), new_code_cell("draw()", outputs=[picture()])
    Image.fromarray(pixels.astype(np.uint8)).convert("RGBA").save(drawn, "PNG")
    data = cell.outputs[0].data
    data["image/png"] = base64.b64encode(drawn.getvalue()).decode()
    publish.clean(new_notebook(cells=[cell]))
    once = data["image/png"]
    assert len(base64.b64decode(once)) < 0.8 * len(drawn.getvalue())
    image = Image.open(BytesIO(base64.b64decode(once)))
    assert image.mode == "P"  # a palette
    difference = np.abs(np.asarray(image.convert("RGB")) - pixels)
    assert difference.max() <= 8
    publish.clean(new_notebook(cells=[cell]))
    assert data["image/png"] == once


def test_publishing_twice_gives_the_same_bytes(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIHYENA_STATIC", raising=False)
    folder = f"--folder={written.parent}"
    assert publish.main(["00", folder]) == 0
    once = written.read_bytes()
    assert publish.main([folder]) == 0
    assert written.read_bytes() == once
    notebook = read(written)
    setup, first, *_, last = code_cells(notebook)
    assert setup.source == SETUP
    assert first.outputs[0].text == "4\n"
    shown = last.outputs[0].data
    assert set(shown) == {"text/plain", "image/png"}
    assert b"python3.1" not in once
    assert b"application/vnd.jupyter" not in once


def test_a_reply_whose_wake_up_was_used_up_is_still_seen() -> None:
    client = publish.OwnKernel().client()
    assert client.shell_channel_class is publish.WatchfulChannel
    session = Session(key=b"key")

    async def reply(ours: zmq.asyncio.Socket, theirs: zmq.Socket[bytes]) -> Any:
        channel = publish.WatchfulChannel(ours, session)
        waiting = asyncio.create_task(channel.get_msg(timeout=20))
        await asyncio.sleep(0.05)
        session.send(theirs, "execute_reply", {})
        # as a send on the same socket does: fetch the event, and tell the loop nothing
        assert zmq.Socket.shadow(ours).poll(20_000)
        found = await asyncio.wait_for(waiting, 5)
        with pytest.raises(Empty):
            await channel.get_msg(timeout=0.3)
        return found["msg_type"]

    ours, theirs = (
        zmq.asyncio.Context().socket(zmq.PAIR),
        zmq.Context().socket(zmq.PAIR),
    )
    try:
        theirs.connect(f"tcp://127.0.0.1:{ours.bind_to_random_port('tcp://127.0.0.1')}")
        assert asyncio.run(reply(ours, theirs)) == "execute_reply"
    finally:
        ours.context.destroy(linger=0)
        theirs.context.destroy(linger=0)


def test_a_check_writes_nothing_and_finds_a_notebook_that_is_out_of_date(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written.read_bytes()
    folder = f"--folder={written.parent}"
    assert publish.main(["--check", folder]) == 1
    assert "not what running it gives" in capsys.readouterr().out
    assert written.read_bytes() == before
    publish.main([folder])
    assert publish.main(["--check", folder]) == 0
    assert "not what running it gives" not in capsys.readouterr().out


def test_a_notebook_with_a_fault_or_an_error_is_not_written(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source, complaint in (
        ("!true", "has the command '!true'"),
        ("1 / 0", "ZeroDivisionError"),
    ):
        plain = json.loads(written.read_text())
        plain["cells"][1]["source"] = source
        written.write_text(json.dumps(plain))
        before = written.read_bytes()
        assert publish.main([f"--folder={written.parent}"]) == 1
        assert complaint in capsys.readouterr().out
        assert written.read_bytes() == before


@pytest.mark.parametrize(
    ("main", "count"),
    [(publish.main, 17), (website.build.main, 13), (walk_as_newcomer.main, 13)],
)
def test_a_name_that_fits_no_notebook_is_an_error(
    main: Callable[[list[str]], int], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["77"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"no notebook begins with '77'; there are {count}: 00, 01, 02, " in said


@pytest.mark.parametrize("printed", ["2\n", "12\n", "2\n3\n", ""])
def test_a_walk_takes_only_what_the_file_says_word_for_word(
    tmp_path: Path, printed: str
) -> None:
    path = tmp_path / "99_example.ipynb"
    cell = new_code_cell(f"print({printed!r}, end='')", id="one")
    cell.outputs = [new_output("stream", name="stdout", text="2\n")]
    nbformat.write(new_notebook(cells=[cell]), path)
    walk = "from walk_as_newcomer import *; print(*walk(Path(sys.argv[1]), 'right'))"
    folders = os.pathsep.join(map(str, (FOLDER, Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-c", walk, path],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("cell one printed" in done.stdout) == (printed != "2\n")
