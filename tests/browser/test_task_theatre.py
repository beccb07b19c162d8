"""The task theatre by keyboard alone: picture and sentence follow every control."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import shown
from .in_page import CLIPPED, CONTRASTS
from .laboratory import Card, Notebook, fresh

SOURCE = """
import torch
from minihyena import LanguageModel, LMConfig, tasks
from minihyena.explore import TaskTheatre
g = torch.Generator().manual_seed(0)
models = {
    name: LanguageModel(LMConfig(64, max_length=130, width=16, mixer=name), g)
    for name in ("hyena", "attention", "gru")
}
shown = {"recall": tasks.AssociativeRecall(12, 16), "mqar": tasks.MQAR(64, 32, 4)}
TaskTheatre(models, shown)
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """A notebook of its own, with models that have learnt nothing."""
    with shown(browser, lab, folder, "theatre", SOURCE) as notebook:
        yield notebook


@pytest.fixture
def theatre(notebook: Notebook) -> Iterator[Card]:
    """As it was when it was made."""
    start = re.compile(
        "^recall, length 16 and vocabulary 12, example 1: at position 17"
    )
    with fresh(notebook, "Task theatre") as theatre:
        expect(theatre.caption).to_have_text(start)
        yield theatre
        notebook.resize()
        notebook.change_theme("Light")


def test_another_example_is_another_row(theatre: Card) -> None:
    before = theatre.drawn()
    theatre.move(theatre.slider("Example"))
    expect(theatre.caption).to_contain_text("example 2: at position 17")
    theatre.redrawn(before)


def test_a_longer_input_is_seen_through_a_window(theatre: Card) -> None:
    theatre.to_the_end(theatre.slider("Length"))
    expect(theatre.caption).to_contain_text("length 128 and vocabulary 12")
    expect(theatre.root.locator(".gtitle, .annotation-text").first).to_contain_text(
        "of 130"
    )
    theatre.photograph("task theatre, long", width=1090)


def test_the_layer_and_the_model_that_looks_are_named(theatre: Card) -> None:
    theatre.move(theatre.choice("Layer"))
    expect(theatre.caption).to_contain_text("hyena reads most (H(u), layer 2)")
    theatre.to_the_end(theatre.choice("Where looks"))
    expect(theatre.caption).to_contain_text("gru reads most (the gradient of its")
    expect(theatre.choice("Layer")).to_be_disabled()


def test_every_key_that_is_asked_can_be_looked_from(theatre: Card) -> None:
    theatre.move(theatre.choice("Task"))
    expect(theatre.caption).to_contain_text("mqar, length 32 and vocabulary 64")
    said = theatre.caption.inner_text()
    theatre.move(theatre.slider("Asked position"))
    expect(theatre.caption).not_to_have_text(said)
    theatre.photograph("task theatre, mqar", width=1090)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_can_be_read_in_both_themes_and_fits_a_narrow_page(
    theatre: Card, theme: str
) -> None:
    theatre.notebook.change_theme(theme)
    words = theatre.page.evaluate(CONTRASTS)
    assert len(words) > 10
    assert min(contrast for contrast, _ in words) >= 4.5
    theatre.photograph(f"task theatre, {theme}", width=1090)
    for width in (800, 390):
        theatre.notebook.resize(width)
        assert not theatre.page.evaluate(CLIPPED)
        theatre.photograph(f"task theatre, {theme}, {width}", width=width)


def test_on_a_narrow_page_the_picture_scrolls_sideways_by_keyboard(
    theatre: Card,
) -> None:
    theatre.move(theatre.choice("Task"))
    theatre.notebook.resize(390)
    box = theatre.root.locator(".mh-sideways")
    assert theatre.root.locator(".js-plotly-plot").evaluate("e => e.clientWidth") == 560

    def scrolled() -> bool:
        box.press("ArrowRight")
        return bool(box.evaluate("e => e.scrollLeft") > 100)

    assert theatre.notebook.until(scrolled, seconds=10), "the arrows do not scroll"
    theatre.photograph("task theatre, mqar, 390", width=390)


def test_the_table_takes_the_place_of_the_picture(theatre: Card) -> None:
    theatre.button("Show numbers").press("Enter")
    table = theatre.root.get_by_role("table", name="Task theatre in numbers")
    expect(table.get_by_text("should say")).to_have_count(1)
    theatre.button("Show numbers").press("Enter")
    expect(theatre.root.locator(".main-svg").first).to_be_attached()
