"""A notebook that was saved can be opened another day, when its kernel is gone."""

from pathlib import Path

import nbformat
from playwright.sync_api import Browser, expect

from .conftest import evidence, opened, shown

SOURCE = "from minihyena.explore import WrapAround\nWrapAround()"
VIEW = "application/vnd.jupyter.widget-view+json"


def test_what_a_widget_said_is_there_when_the_notebook_is_opened_again(
    browser: Browser, lab: str, folder: Path
) -> None:
    with (
        shown(browser, lab, folder, "saved", SOURCE) as notebook,
        evidence(notebook, folder),
    ):
        (card,) = notebook.cards()
        sentence = card.caption.inner_text()
        notebook.command("docmanager:save")
        expect(card.root).to_be_visible()  # saving takes nothing from the page
        assert notebook.faults() == []

    saved = nbformat.read(folder / "notebooks" / "saved.ipynb", 4)
    assert VIEW not in saved.cells[0].outputs[0].data

    with (
        opened(browser, lab, folder, "saved.ipynb") as again,
        evidence(again, folder),
    ):
        said = again.page.locator(".jp-OutputArea-output")
        expect(said).to_have_text(sentence)
        assert again.faults() == []
