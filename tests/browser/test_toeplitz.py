"""The two explorers of notebook 02, by keyboard alone: picture and sentence follow."""

import re

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook

pytestmark = pytest.mark.parametrize(
    "notebook", ["02_convolution_is_a_matrix.ipynb"], indirect=True
)


def test_a_ring_fills_the_corner(notebook: Notebook) -> None:
    explorer = Card(notebook, "Toeplitz explorer")
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


def test_silence_does_not_open_the_gate(notebook: Notebook) -> None:
    auditor = Card(notebook, "Causality auditor")
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
