"""The order builder of notebook 06, by keyboard alone: the sentence follows."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["06_the_hierarchy.ipynb"], indirect=True
)


@pytest.fixture
def builder(notebook: Notebook) -> Iterator[Card]:
    """The first of them, as it was when it was made."""
    with fresh(notebook, "Order builder") as builder:
        expect(builder.caption).to_have_text(
            re.compile("^Order 2 of the reference .*D S D:")
        )
        yield builder


def test_one_more_stage_is_one_more_gate_and_filter(builder: Card) -> None:
    before = builder.drawn()
    builder.move(builder.slider("Order N (stages)"))
    expect(builder.caption).to_contain_text("Order 3 of the reference convention is")
    expect(builder.caption).to_contain_text("D S D S D: 3 gates, 2 long filters")
    expect(builder.caption).to_contain_text("input 0 by 6 routes")
    builder.redrawn(before)


def test_the_other_convention_has_a_filter_more(builder: Card) -> None:
    builder.move(builder.choice("Convention"))
    expect(builder.caption).to_contain_text("Order 2 of the paper convention is")
    expect(builder.caption).to_contain_text("D S D S: 2 gates, 2 long filters")


def test_an_earlier_output_is_reached_by_fewer_inputs(builder: Card) -> None:
    builder.move(builder.slider("Output"))
    expect(builder.caption).to_contain_text("inputs 0 to 4 reach output 4")


def test_a_faulty_operator_is_told_from_the_product(notebook: Notebook) -> None:
    suspect = Card(notebook, "Order builder", 1)
    expect(suspect.caption).to_contain_text("is not the product D S D S;")
    slider = suspect.slider("Order N (stages)")
    slider.press("ArrowLeft")
    expect(suspect.caption).to_contain_text("order 1: its matrix is the product D S;")
    suspect.button("Reset").press("Enter")
    expect(suspect.caption).to_contain_text("is not the product D S D S;")
