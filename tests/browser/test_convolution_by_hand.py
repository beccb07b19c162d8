"""The two explorers of notebook 01, by keyboard alone: picture and sentence follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["01_convolution_by_hand.ipynb"], indirect=True
)


@pytest.fixture
def slide(notebook: Notebook) -> Iterator[Card]:
    """Slide and multiply, as it was when it was made."""
    with fresh(notebook, "Slide and multiply") as slide:
        expect(slide.caption).to_have_text(re.compile("^Output 3 reads inputs 1 to 3"))
        yield slide


@pytest.fixture
def painter(notebook: Notebook) -> Iterator[Card]:
    """The filter painter, as it was when it was made."""
    with fresh(notebook, "Filter painter") as painter:
        expect(painter.caption).to_contain_text(
            "taps 1, 0, 0, 0.5, 0, 0.25, an impulse"
        )
        yield painter


def test_one_step_forward_adds_one_more_output(slide: Card) -> None:
    before = slide.drawn()
    slide.button("Forward").press("Enter")
    expect(slide.caption).to_contain_text("Output 4 reads inputs 2 to 4")
    slide.redrawn(before)
    assert slide.notebook.until(lambda: len(slide.curve("outputs before")) == 4)
    slide.photograph("slide and multiply at 4")


def test_an_unflipped_filter_plays_the_taps_in_reverse(slide: Card) -> None:
    slide.move(slide.choice("Lay the filter"))
    expect(slide.caption).to_contain_text("comes out as 1, 2, 3, mirrored")


def test_an_impulse_gives_back_what_was_painted(painter: Card) -> None:
    before = painter.drawn()
    painter.button("Difference").press("Enter")
    expect(painter.caption).to_contain_text("Through the taps 1, −1, 0, 0, 0, 0, an")
    painter.redrawn(before)
    assert painter.curve("output")[:3] == [1, -1, 0]
    painter.move(painter.choice("Input"))
    expect(painter.caption).to_contain_text("each of the marks at steps 0, 3 and 10")
    painter.photograph("filter painter, marks")
