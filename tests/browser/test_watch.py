"""The watch over the other tests: whatever goes wrong anywhere, it sees it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import opened, written
from .in_page import CLIPPED, CONTRASTS
from .laboratory import Notebook

CARD = """
import ipywidgets as W
from minihyena.explore.style import STYLE
def card(inside):
    display(W.HTML(f'{STYLE}<div class="minihyena">{inside}</div>'))
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    with opened(browser, lab, folder, written(folder, "watched", CARD)) as notebook:
        notebook.run_all()
        yield notebook


def test_the_kernel_is_this_python(notebook: Notebook) -> None:
    assert notebook.run("import sys; sys.executable") == repr(sys.executable)


def test_a_cell_that_fails(notebook: Notebook) -> None:
    notebook.run("1 / 0")
    assert notebook.faults() == ["kernel: ZeroDivisionError: division by zero"]


def test_a_cell_that_warns(notebook: Notebook) -> None:
    notebook.run("import warnings; warnings.warn('old')")
    (fault,) = notebook.faults()
    assert fault.startswith("kernel: stderr: ")
    assert "UserWarning: old" in fault


def test_a_callback_that_fails(notebook: Notebook) -> None:
    notebook.run("press = W.Button(description='Fail')")
    notebook.run("press.on_click(lambda _: {}['missing'])")
    notebook.run("display(press)")
    notebook.page.get_by_role("button", name="Fail").click()
    assert notebook.until(lambda: notebook.page.evaluate("window.heard.length"))
    assert notebook.faults() == ["kernel: KeyError: 'missing'"]


def test_a_thread_that_fails(notebook: Notebook) -> None:
    notebook.run("from threading import Thread")
    notebook.run("t = Thread(target=lambda: [][0]); t.start(); t.join()")
    assert notebook.until(lambda: notebook.page.evaluate("window.heard.length"))
    assert "IndexError: list index out of range" in str(notebook.faults())


def test_a_page_that_logs_an_error(notebook: Notebook) -> None:
    notebook.page.evaluate("console.error('oh no')")
    assert notebook.faults() == ["console error: oh no"]


def test_a_script_that_fails(notebook: Notebook) -> None:
    with notebook.page.expect_event("pageerror"):
        notebook.page.evaluate("setTimeout(() => { throw new Error('oh no'); })")
    assert notebook.faults() == ["page: oh no"]


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png", "http://127.0.0.1.example.org/a.png"]
)
def test_a_question_to_another_machine(notebook: Notebook, url: str) -> None:
    # asked once, by the page itself: JupyterLab may draw an output, and ask, again
    with notebook.page.expect_console_message(lambda told: "FAILED" in told.text):
        notebook.page.evaluate("url => { new Image().src = url; }", url)
    asked, told = notebook.faults()
    assert asked == f"the page asked for {url}"
    assert told.startswith("console error: Failed to load resource")


def test_a_widget_that_reports_an_error(notebook: Notebook) -> None:
    notebook.run("card('<div class=mh-error>ValueError: no</div>')")
    assert notebook.faults() == ["widget: ValueError: no"]
    notebook.run("from IPython.display import clear_output")
    notebook.page.evaluate("document.querySelector('.mh-error').remove()")


def test_words_that_are_cut_off_or_stick_out(notebook: Notebook) -> None:
    assert notebook.page.evaluate(CLIPPED) == []
    notebook.run("card('<div style=\"width: 3000px\">wide</div>')")
    notebook.run("card('<button style=\"width: 30px\">too many words</button>')")
    expect(notebook.page.get_by_role("button", name="too many")).to_be_attached()
    found = " ".join(notebook.page.evaluate(CLIPPED))
    assert '"wide" reaches' in found
    assert '"too many words" is cut off' in found


def test_words_that_are_hard_to_read(notebook: Notebook) -> None:
    notebook.run("card('<p style=\"color: #999\">faint</p><p>plain</p>')")
    expect(notebook.page.get_by_text("plain", exact=True)).to_be_attached()
    seen = {which.split('"')[1]: c for c, which in notebook.page.evaluate(CONTRASTS)}
    assert round(seen["faint"], 2) == 2.85  # #999999 on white
    assert seen["plain"] > 10
