"""The evidence plot by keyboard alone: picture and sentence follow every slider."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_results import made_results
from playwright.sync_api import Browser, expect

from .conftest import shown
from .in_page import CLIPPED, CONTRASTS
from .laboratory import Card, Notebook, fresh

SOURCE = """
from minihyena import experiments
from minihyena.explore import EvidencePlot
EvidencePlot(experiments.load("made_up.json"))
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """A notebook of its own, whose results nobody recorded."""
    made_results().save(folder / "notebooks" / "made_up.json")
    with shown(browser, lab, folder, "evidence", SOURCE) as notebook:
        yield notebook


@pytest.fixture
def plot(notebook: Notebook) -> Iterator[Card]:
    """As it was when it was made."""
    start = re.compile("^On recall, at vocabulary 30 and length 2,048, ours scores")
    with fresh(notebook, "Recorded evidence: made up") as plot:
        expect(plot.caption).to_have_text(start)
        yield plot
        notebook.resize()
        notebook.change_theme("Light")


def legend(plot: Card) -> list[str]:
    return plot.root.locator(".legendtext").all_text_contents()


def test_what_was_not_run_is_named_and_goes_away(plot: Card) -> None:
    expect(plot.caption).to_have_text(re.compile(r"not run: third \(slow\)\.$"))
    assert "was not run: third (slow)" in legend(plot)
    before = plot.drawn()
    plot.move(plot.slider("Length"))
    expect(plot.caption).to_contain_text("at vocabulary 30 and length 64, ours scores")
    expect(plot.caption).not_to_contain_text("not run")
    plot.redrawn(before)
    assert not [text for text in legend(plot) if text.startswith(("was not", "trace"))]


def test_the_slider_of_the_axis_moves_the_band(plot: Card) -> None:
    before = plot.drawn()
    plot.move(plot.slider("Vocabulary"))
    expect(plot.caption).to_contain_text("at vocabulary 20 and length 2,048")
    plot.redrawn(before)


def test_the_other_way_through_the_same_cell(plot: Card) -> None:
    said = plot.caption.inner_text()
    assert len(plot.curve("ours")) == 3
    plot.to_the_end(plot.choice("Across"))
    assert plot.notebook.until(lambda: len(plot.curve("ours")) == 2)
    assert plot.caption.inner_text() == said
    assert plot.notebook.until(lambda: len(plot.curve("third, slow")) == 1)


def test_two_models_alone(plot: Card) -> None:
    plot.move(plot.choice("Models"))
    expect(plot.caption).to_contain_text("beside it other with")
    assert plot.notebook.until(lambda: not plot.curve("third, slow"))
    plot.to_the_end(plot.choice("Seeds"))
    expect(plot.caption).not_to_contain_text("seeds")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_can_be_read_in_both_themes_and_fits_a_narrow_page(
    plot: Card, theme: str
) -> None:
    plot.notebook.change_theme(theme)
    words = plot.page.evaluate(CONTRASTS)
    assert len(words) > 10
    assert min(contrast for contrast, _ in words) >= 4.5
    plot.photograph(f"evidence plot, {theme}", width=1090)
    for width in (800, 390):
        plot.notebook.resize(width)
        assert not plot.page.evaluate(CLIPPED)
        plot.photograph(f"evidence plot, {theme}, {width}", width=width)


def test_the_table_takes_the_place_of_the_picture(plot: Card) -> None:
    plot.button("Show numbers").press("Enter")
    table = plot.root.get_by_role("table", name=re.compile("made up in numbers"))
    expect(table.get_by_text("not run")).to_have_count(1)
    plot.photograph("evidence plot, numbers", width=1090)
    plot.button("Show numbers").press("Enter")
    expect(plot.root.locator(".main-svg").first).to_be_attached()
