"""The two explorers of notebook 11, by keyboard alone: picture and sentence follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["11_one_token_at_a_time.ipynb"], indirect=True
)


@pytest.fixture
def loop(notebook: Notebook) -> Iterator[Card]:
    """The token loop, as it was when it was made."""
    with fresh(notebook, "Token loop") as loop:
        expect(loop.caption).to_have_text(re.compile("^Step 31 of 0 to 63, in tiles"))
        yield loop


@pytest.fixture
def slider(notebook: Notebook) -> Iterator[Card]:
    """The order slider, as it was when it was made."""
    with fresh(notebook, "Order slider") as slider:
        expect(slider.caption).to_contain_text("with 8 modes the filter is off by")
        yield slider


def test_a_step_lights_another_tile(loop: Card) -> None:
    expect(loop.caption).to_contain_text("inputs 0 to 31 send to outputs 32 to 63")
    before = loop.drawn()
    loop.move(loop.slider("Step t"))
    expect(loop.caption).to_contain_text("input 32 sends to output 33")
    loop.redrawn(before)
    loop.photograph("token loop at 32")


def test_play_goes_on_by_itself_until_it_is_stopped(loop: Card) -> None:
    play = loop.root.locator(".jupyter-widget-play button, .widget-play button").first
    play.press("Enter")
    expect(loop.caption).to_have_text(re.compile("^Step 3[3-9] of 0 to 63"))
    play.press("Enter")


def test_a_longer_text_has_more_steps(loop: Card) -> None:
    loop.move(loop.slider("Length L"))
    expect(loop.caption).to_contain_text("Step 31 of 0 to 127")
    loop.photograph("token loop, 128 steps")


def test_a_rough_filter_is_far_off(loop: Card) -> None:
    loop.move(loop.choice("Filter"))
    expect(loop.caption).to_contain_text("outputs are off by more than 10 %")
    assert min(loop.curve("error of the filter")) > 0.05


def test_fewer_modes_say_something_else(slider: Card) -> None:
    expect(slider.root).to_contain_text("60 of 60 characters")
    before = slider.drawn()
    slider.move(slider.slider("Modes S"))
    expect(slider.caption).to_contain_text("with 16 modes")
    slider.redrawn(before)
    slider.photograph("order slider, 16 modes")


def test_the_rough_model_has_poles_all_around(slider: Card) -> None:
    slider.move(slider.choice("Model"))
    slider.move(slider.choice("Model"))
    expect(slider.caption).to_contain_text("Untrained, rough, layer 1")
    expect(slider.caption).to_contain_text("off by more than 10 %")
    slider.photograph("order slider, rough")
