"""The two explorers of notebook 03, by keyboard alone: picture and sentence follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .accessible import barriers
from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["03_the_fourier_shortcut.ipynb"], indirect=True
)


@pytest.fixture
def around(notebook: Notebook) -> Iterator[Card]:
    """Wrap-around, as it was when it was made."""
    with fresh(notebook, "Wrap-around") as around:
        expect(around.caption).to_have_text(
            re.compile("^FFT size 8 for 8 inputs and 8")
        )
        yield around


@pytest.fixture
def hands(notebook: Notebook) -> Iterator[Card]:
    """Turning hands, as they were when they were made."""
    with fresh(notebook, "Turning hands") as hands:
        expect(hands.caption).to_have_text(
            re.compile("lights bin 3 of 12; in bin 3 .* 12")
        )
        yield hands


def test_one_more_zero_heals_one_more_output(around: Card) -> None:
    expect(around.caption).to_contain_text("outputs 0 to 6 differ")
    for last, size in ((5, 9), (4, 10)):
        before = around.drawn()
        around.move(around.slider("FFT size n"))
        expect(around.caption).to_contain_text(f"FFT size {size} for 8 inputs")
        expect(around.caption).to_contain_text(f"outputs 0 to {last} differ")
        around.redrawn(before)
    came = around.curve("came round from the tail")
    assert len(came) == 5
    assert min(came) > 0
    around.photograph("wrap-around at 10")


def test_with_room_for_the_tail_nothing_is_hatched(around: Card) -> None:
    around.to_the_end(around.slider("FFT size n"))
    expect(around.caption).to_contain_text("FFT size 16 for 8 inputs")
    expect(around.caption).to_contain_text("all 8 outputs agree with the slow route")
    assert around.notebook.until(lambda: not around.curve("came round from the tail"))


def test_a_short_filter_wraps_less(around: Card) -> None:
    around.move(around.choice("Filter"))
    around.move(around.choice("Filter"))
    expect(around.caption).to_contain_text("8 inputs and 3 taps: outputs 0 to 1 differ")


def test_the_picture_moves_on_behind_the_numbers(around: Card) -> None:
    """Without a fault: a picture that was taken out of the page could not."""
    picture, before = around.root.locator(".main-svg").first, around.drawn()
    around.button("Show numbers").press("Enter")
    expect(picture).to_be_hidden()
    around.move(around.slider("FFT size n"))
    around.redrawn(before)
    assert barriers(around.page, ".minihyena") == []
    around.button("Show numbers").press("Enter")
    expect(picture).to_be_visible()
    assert barriers(around.page, ".minihyena") == []


def test_another_bin_closes_up(hands: Card) -> None:
    before = hands.drawn()
    hands.move(hands.slider("Bin k"))
    expect(hands.caption).to_contain_text("in bin 4 the hands close up")
    hands.redrawn(before)
    hands.photograph("turning hands, bin 4")


def test_half_a_turn_more_lights_every_bin(hands: Card) -> None:
    hands.move(hands.slider("Turns of the tone"))
    expect(hands.caption).to_contain_text("A tone of 3.5 turns lights all 12 bins")
    sizes = hands.curve("size")
    assert len(sizes) == 12
    assert min(sizes) > 0.9
