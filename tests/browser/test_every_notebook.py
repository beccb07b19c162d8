"""Every notebook, as it is, in JupyterLab: it runs, fits, can be read and be used."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .accessible import barriers
from .in_page import CLIPPED, CONTRASTS
from .laboratory import ROOT, Notebook

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
LEAST_CONTRAST = 4.5  # WCAG 2, level AA, for text of any size
# No picture before the training shows it; what is to be shown is in view already.
SILENT = {"Learning rate", "Show"}
SWEEP = """
from minihyena.explore import Explorer
for _name, _value in list(globals().items()):
    if isinstance(_value, Explorer) and not _name.startswith("_"):
        print(len(list(_value.sweep(cap=24))), "states of", type(_value).__name__)
"""
# What every trace says of itself: in the kernel, and in the page.
SAID_IN_KERNEL = """
import json
from ipywidgets.widgets.widget import _instances
def _said(trace, before=""):
    for _name, _value in trace.items():
        if isinstance(_value, dict):
            yield from _said(_value, f"{before}{_name}.")
        elif _value is not None:
            yield before + _name
print(json.dumps({
    _trace["uid"]: sorted(_said(_trace))
    for _figure in _instances.values() if type(_figure).__name__ == "Picture"
    for _trace in _figure._data
}))
"""
SAID_IN_PAGE = """() => {
  const said = (part, before = "") => Object.entries(part).flatMap(([name, value]) =>
    value == null ? [] :
    Object.getPrototypeOf(value) === Object.prototype && !("bdata" in value)
      ? said(value, `${before}${name}.`) : [before + name]);
  const traces = Array.from(document.querySelectorAll(".js-plotly-plot"),
    plot => plot.data).flat();
  return Object.fromEntries(traces.map(trace => [trace.uid, said(trace)]));
}"""
assert NOTEBOOKS, "there is nothing to test"


pytestmark = pytest.mark.parametrize("notebook", NOTEBOOKS, indirect=True)


@pytest.fixture(autouse=True)
def as_it_was(notebook: Notebook) -> Iterator[None]:
    yield
    notebook.resize()
    notebook.change_theme("Light")


def test_all_cells_run_without_an_error(notebook: Notebook) -> None:
    cells = list(notebook.code_cells().values())
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    wrong = [
        (cell["count"], output.get("ename") or output["text"])
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "error" or output.get("name") == "stderr"
    ]
    assert wrong == []
    assert notebook.cards(), "no widget is shown"
    for number, card in enumerate(notebook.cards()):
        card.photograph(f"{notebook.name[:2]} {number} {card.title}")


def test_every_picture_has_all_that_its_figure_in_the_kernel_has(
    notebook: Notebook,
) -> None:
    kernel = json.loads(notebook.run(SAID_IN_KERNEL))

    def lost() -> dict[str, list[str]]:
        page = notebook.page.evaluate(SAID_IN_PAGE)
        assert page.keys() & kernel.keys(), "no picture is shown"
        both = page.keys() & kernel.keys()
        found = {uid: sorted({*kernel[uid]} - {*page[uid]}) for uid in both}
        return {uid: names for uid, names in found.items() if names}

    assert notebook.until(lambda: not lost()), lost()


def test_every_control_redraws_the_picture_when_moved_by_keyboard(
    notebook: Notebook,
) -> None:
    moved = []
    for card in notebook.cards():
        for label, control in card.controls().items():
            if label in SILENT or label not in card.controls():  # closed by another
                continue
            before = card.drawn()
            card.move(control)
            card.redrawn(before, f"{card.title}: {label}")
            moved.append((card.title, label))
    assert moved, "no control could be moved"


def test_every_button_can_be_pressed(notebook: Notebook) -> None:
    """In their order, by keyboard: what starts something stands before what stops it.

    What goes wrong is heard by the fixture that every test of a notebook has.
    """
    for card in notebook.cards():
        pressed = 0
        for button in card.root.get_by_role("button").all():
            if "Show numbers" in button.inner_text():  # which has a test of its own
                continue
            if button.is_visible() and button.is_enabled():
                button.press("Enter")
                pressed += 1
        assert pressed or not card.controls(), f"{card.title} has no button"
        notebook.run("None")  # all that the presses sent has been answered


def test_a_sweep_through_all_states_finds_no_error_in_the_page(
    notebook: Notebook,
) -> None:
    """Every explorer that a cell has named, while it is on the page."""
    swept = notebook.run(SWEEP)
    assert re.fullmatch(r"(\d+ states of \w+\n)+", swept), swept


def test_numbers_can_be_shown_instead_of_the_picture(notebook: Notebook) -> None:
    for card in notebook.cards():
        button, picture = card.button("Show numbers"), card.root.locator(".main-svg")
        if not button.count():
            continue
        expect(picture.first).to_be_visible()
        button.press("Enter")
        table = card.root.get_by_role("table", name=f"{card.title} in numbers")
        expect(table).to_be_visible()
        expect(picture.first).to_be_hidden()
        button.press("Enter")
        expect(picture.first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_widgets_wrap_instead_of_sticking_out(notebook: Notebook, width: int) -> None:
    notebook.resize(width)
    found = notebook.page.evaluate(CLIPPED)
    assert not found, "\n".join(found)


def test_no_widget_keeps_anybody_out(notebook: Notebook) -> None:
    found = barriers(notebook.page, ".minihyena")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_words_of_widgets_can_be_read_in_both_themes(
    notebook: Notebook, theme: str
) -> None:
    notebook.change_theme(theme)
    words = notebook.page.evaluate(CONTRASTS)
    assert len(words) > 10
    faint = [f"{c:.1f} {which}" for c, which in words if c < LEAST_CONTRAST]
    assert not faint, "\n".join(faint)
