"""The gate playground of notebook 05, by keyboard alone: the sentence follows."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize("notebook", ["05_gating.ipynb"], indirect=True)


@pytest.fixture
def playground(notebook: Notebook) -> Iterator[Card]:
    """The first of them, as it was when it was made."""
    with fresh(notebook, "Gate playground") as playground:
        expect(playground.caption).to_contain_text("position 3 (now “not”)")
        expect(playground.caption).to_contain_text("moves 8 of 36 entries")
        yield playground


def test_another_watched_position_is_named_in_the_sentence(playground: Card) -> None:
    playground.move(playground.slider("Watch position"))
    expect(playground.caption).to_contain_text("position 4 (now “the”)")
    expect(playground.caption).to_contain_text("in row 4 and column 4 and nowhere")


def test_another_word_is_named_in_the_sentence(playground: Card) -> None:
    before = playground.drawn()
    playground.move(playground.choice("Token 3"))
    expect(playground.caption).to_contain_text("position 3 (now “,”)")
    playground.redrawn(before)


def test_gates_that_are_opened_one_by_one_leave_a_plain_convolution(
    playground: Card,
) -> None:
    playground.move(playground.choice("Gate before"))
    expect(playground.caption).to_contain_text("moves 4 of 36 entries, in row 3 and")
    playground.move(playground.choice("Gate after"))
    expect(playground.caption).to_have_text(
        re.compile("moves none of the 36 entries; each diagonal holds one number.$")
    )


def test_a_filter_of_one_tap_leaves_seven_entries(playground: Card) -> None:
    for _ in ("running sum", "one step late"):
        playground.move(playground.choice("Filter"))
    expect(playground.caption).to_contain_text("filter “one step late”")
    expect(playground.caption).to_contain_text("moves 2 of 7 entries")
