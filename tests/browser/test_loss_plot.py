"""The loss plot by keyboard alone: picture and sentence follow every control."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_texts import made_texts
from playwright.sync_api import Browser, expect

from .conftest import shown
from .in_page import CLIPPED, CONTRASTS
from .laboratory import Card, Notebook, fresh

SOURCE = """
from minihyena import experiments
from minihyena.explore import LossPlot
LossPlot(experiments.load("made_up_texts.json"))
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """A notebook of its own, whose results nobody recorded."""
    made_texts().save(folder / "notebooks" / "made_up_texts.json")
    with shown(browser, lab, folder, "losses", SOURCE) as notebook:
        yield notebook


@pytest.fixture
def plot(notebook: Notebook) -> Iterator[Card]:
    """As it was when it was made."""
    start = re.compile("^On a play, windows of 2,048, .* after 100 GFLOP: ours 1.64")
    with fresh(notebook, "Recorded losses: made up") as plot:
        expect(plot.caption).to_have_text(start)
        yield plot
        notebook.resize()
        notebook.change_theme("Light")


def legend(plot: Card) -> list[str]:
    return plot.root.locator(".legendtext").all_text_contents()


def test_the_slider_moves_the_place_where_losses_are_read(plot: Card) -> None:
    assert "read after 100 GFLOP" in legend(plot)
    before = plot.drawn()
    plot.move(plot.slider("Read at"))
    expect(plot.caption).to_contain_text("after 120 GFLOP: other")
    expect(plot.caption).to_contain_text("the line of ours ends at 100 GFLOP")
    plot.redrawn(before)
    assert "read after 120 GFLOP" in legend(plot)


def test_another_axis_draws_the_same_losses_elsewhere(plot: Card) -> None:
    losses = plot.curve("ours")
    before = plot.drawn()
    plot.move(plot.choice("By"))
    expect(plot.caption).to_contain_text("of the FLOPs (causal half)")
    plot.redrawn(before)
    assert plot.curve("ours") == losses
    plot.to_the_end(plot.choice("By"))
    expect(plot.caption).to_contain_text("of the seconds")
    assert plot.notebook.until(lambda: len(plot.curve("ours")) > len(losses))


def test_two_models_alone(plot: Card) -> None:
    plot.move(plot.choice("Models"))
    expect(plot.caption).not_to_contain_text("third")
    assert plot.notebook.until(lambda: not plot.curve("third, slow"))
    plot.to_the_end(plot.choice("Seeds"))
    expect(plot.caption).not_to_contain_text("seeds")


def test_what_was_not_run_is_told_and_not_drawn(plot: Card) -> None:
    plot.to_the_end(plot.choice("Text"))
    expect(plot.caption).to_have_text(re.compile(r"not run: third \(slow\)\.$"))
    assert plot.notebook.until(lambda: not plot.curve("third, slow"))
    plot.photograph("loss plot, one model not run", width=1090)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_can_be_read_in_both_themes_and_fits_a_narrow_page(
    plot: Card, theme: str
) -> None:
    plot.notebook.change_theme(theme)
    words = plot.page.evaluate(CONTRASTS)
    assert len(words) > 10
    assert min(contrast for contrast, _ in words) >= 4.5
    plot.photograph(f"loss plot, {theme}", width=1090)
    for width in (800, 390):
        plot.notebook.resize(width)
        assert not plot.page.evaluate(CLIPPED)
        plot.photograph(f"loss plot, {theme}, {width}", width=width)


def test_the_table_takes_the_place_of_the_picture(plot: Card) -> None:
    plot.button("Show numbers").press("Enter")
    table = plot.root.get_by_role("table", name=re.compile("made up in numbers"))
    expect(table.get_by_text("whole held-out text")).to_have_count(3)
    plot.photograph("loss plot, numbers", width=1090)
    plot.button("Show numbers").press("Enter")
    expect(plot.root.locator(".main-svg").first).to_be_attached()
