"""The filter builder of notebook 04, by keyboard alone: picture and sentence follow."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["04_implicit_filters.ipynb"], indirect=True
)


@pytest.fixture
def builder(notebook: Notebook) -> Iterator[Card]:
    """As it was when it was made."""
    with fresh(notebook, "Filter builder") as builder:
        expect(builder.caption).to_have_text(
            re.compile(
                "^Your filter of 4 bands, ω = 1 and width 64: 10,048 parameters at"
            )
        )
        yield builder


def test_a_longer_filter_costs_no_more(builder: Card) -> None:
    before = builder.drawn()
    builder.to_the_end(builder.slider("Length L"))
    expect(builder.caption).to_contain_text("10,048 parameters at any length")
    expect(builder.caption).to_contain_text("free taps need 65,536 at length 4,096")
    builder.redrawn(before)
    assert builder.notebook.until(lambda: len(builder.curve("filter")) == 4096)
    assert set(builder.curve("this family")) == {10_048}


def test_free_taps_close_the_choices_they_do_not_have(builder: Card) -> None:
    builder.to_the_end(builder.choice("Family"))
    expect(builder.caption).to_contain_text("Free taps: 16,384 parameters at length")
    assert set(builder.controls()) == {"Family", "Length L", "Channel"}


def test_without_its_window_no_channel_is_short_sighted(builder: Card) -> None:
    near = builder.curve("reach")
    builder.photograph("filter builder, first")
    builder.photograph("filter builder, narrow", width=390)
    builder.move(builder.choice("Window"))
    assert builder.notebook.until(lambda: not builder.curve("window (its shape)"))
    far = builder.curve("reach")
    assert far[15] > 3 * near[15]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Official default", "1 bands, ω = 1 and width 64"),
        ("Paper's language models", "16 bands, ω = 14 and width 64"),
        ("HyenaDNA", "2 bands, ω = 10 and width 64"),
    ],
)
def test_a_preset_is_one_press(builder: Card, label: str, words: str) -> None:
    before = builder.drawn()
    builder.button(label).press("Enter")
    expect(builder.caption).to_contain_text(words)
    builder.redrawn(before)
    builder.photograph(f"filter builder, {label}")
