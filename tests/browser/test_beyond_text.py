"""The two explorers of notebook 12, by keyboard alone: picture and sentence follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["12_beyond_text.ipynb"], indirect=True
)


@pytest.fixture
def toy(notebook: Notebook) -> Iterator[Card]:
    """The reverse-complement toy, as it was when it was made."""
    with fresh(notebook, "Reverse complement") as toy:
        expect(toy.caption).to_have_text(
            re.compile("^causal, as it is, on TTGACATATAAT")
        )
        yield toy


@pytest.fixture
def painter(notebook: Notebook) -> Iterator[Card]:
    """The 2-D filter painter, as it was when it was made."""
    with fresh(notebook, "2-D filter painter") as painter:
        expect(painter.caption).to_contain_text("all 400 pixels agree")
        yield painter


def test_only_with_turning_back_do_both_strands_say_the_same(toy: Card) -> None:
    expect(toy.caption).to_contain_text("differs at places")
    toy.photograph("reverse complement")
    before = toy.drawn()
    toy.move(toy.choice("Way"))
    expect(toy.caption).to_contain_text("without turning back")
    expect(toy.caption).to_contain_text("differs at places")
    toy.move(toy.choice("Way"))
    expect(toy.caption).to_contain_text("is the same at all 12 places")
    toy.redrawn(before)
    toy.photograph("reverse complement, symmetrised")


def test_a_changed_base_changes_the_other_strand(toy: Card) -> None:
    toy.move(toy.choice("Base there"))
    expect(toy.caption).to_contain_text("on TTGACATATAAT")  # an A was there
    toy.move(toy.choice("Base there"))
    expect(toy.caption).to_contain_text("on TTGCCATATAAT")
    expect(toy.caption).to_contain_text("the other strand, ATTATATGGCAA")


def test_without_room_pixels_are_crossed_out(painter: Card) -> None:
    painter.photograph("filter painter")
    assert not painter.curve("wrong pixel")
    painter.move(painter.choice("Way"))
    expect(painter.caption).to_contain_text("by room below only")
    expect(painter.caption).to_contain_text("of 400 pixels differ")
    assert painter.notebook.until(lambda: painter.curve("wrong pixel"))
    painter.photograph("filter painter without room")
