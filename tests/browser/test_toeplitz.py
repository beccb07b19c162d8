"""The two explorers of notebook 02, by keyboard alone: picture and sentence follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["02_convolution_is_a_matrix.ipynb"], indirect=True
)


@pytest.fixture
def explorer(notebook: Notebook) -> Iterator[Card]:
    """The Toeplitz explorer, as it was when it was made."""
    with fresh(notebook, "Toeplitz explorer") as explorer:
        yield explorer


@pytest.fixture
def auditor(notebook: Notebook) -> Iterator[Card]:
    """The causality auditor, as it was when it was made."""
    with fresh(notebook, "Causality auditor") as auditor:
        yield auditor


def test_a_ring_fills_the_corner(explorer: Card) -> None:
    expect(explorer.caption).to_contain_text("28 entries above the main one are exact")
    explorer.photograph("toeplitz", 1280)
    explorer.photograph("toeplitz narrow", 390)
    before = explorer.drawn()
    explorer.to_the_end(explorer.choice("It reads"))
    expect(explorer.caption).to_contain_text("the top right corner holds 0.75")
    explorer.redrawn(before)
    explorer.move(explorer.slider("Diagonal"))
    expect(explorer.caption).to_contain_text("at lag 3 stands 0.42, 5 times")
    explorer.button("Reset").press("Enter")
    expect(explorer.caption).to_contain_text(re.compile("^“fading echo”, causal"))


def test_silence_does_not_open_the_gate(auditor: Card, notebook: Notebook) -> None:
    expect(auditor.caption).to_contain_text("7 of 28 (output, later input) pairs move")
    notebook.change_theme("Dark")
    auditor.photograph("auditor dark", 1280)
    notebook.change_theme("Light")
    auditor.photograph("auditor narrow", 390)
    auditor.move(auditor.choice("Operator"))
    expect(auditor.caption).to_contain_text("1 of 28 (output, later input) pairs moves")
    before = auditor.drawn()
    auditor.choice("Random backgrounds").select_option(index=0)
    expect(auditor.caption).to_contain_text("0 of 28 (output, later input) pairs move")
    auditor.redrawn(before)
