"""The matrix lens of notebook 07, as a learner finds it: type, choose, point, read."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .laboratory import PICTURES, Card, Notebook, fresh

pytestmark = pytest.mark.parametrize(
    "notebook", ["07_hyena_and_attention_matrices.ipynb"], indirect=True
)


@pytest.fixture
def lens(notebook: Notebook) -> Iterator[Card]:
    """As it was first."""
    with fresh(notebook, "Matrix lens") as lens:
        expect(lens.caption).to_have_text(re.compile("^12 tokens: on the left, H"))
        yield lens


def write(lens: Card, text: str) -> None:
    box = lens.root.locator(".widget-text input")
    box.fill(text)
    box.press("Enter")


def cell(lens: Card) -> str:
    """What the first line below the picture says of the cell in the frame."""
    return str(lens.root.locator(".mh-table td").first.inner_text())


def test_a_text_that_is_typed_is_read(lens: Card) -> None:
    before = lens.drawn()
    write(lens, "a cat")
    expect(lens.caption).to_have_text(re.compile("^5 tokens: "))
    lens.redrawn(before)
    write(lens, "the cat sat on the mat")
    expect(lens.caption).to_have_text(re.compile("^22 tokens: "))
    expect(lens.root.locator(".mh-error")).to_have_count(0)


def test_the_keyboard_moves_both_sides_and_the_sentence_follows(lens: Card) -> None:
    expect(lens.caption).to_have_text(re.compile(r"hyena \(layer 1, channel 0\).*"))
    lens.move(lens.slider("Left channel"))
    expect(lens.caption).to_have_text(re.compile(r"hyena \(layer 1, channel 1\)"))
    lens.move(lens.choice("Left layer"))
    expect(lens.caption).to_have_text(re.compile(r"hyena \(layer 2, channel 1\)"))
    lens.move(lens.choice("Left order"))
    expect(lens.caption).to_have_text(re.compile(r"H\(u\) up to order 1 of 2 of hyena"))
    lens.move(lens.choice("Left"))
    expect(lens.caption).to_have_text(re.compile("left, the matrix of attention"))
    lens.move(lens.slider("Right head"))
    expect(lens.caption).to_have_text(re.compile(r"right, .*\(layer 1, head 1\)"))
    lens.to_the_end(lens.choice("Colours"))
    expect(lens.caption).to_have_text(re.compile("colours do not show where 0 is"))


def test_arrow_keys_move_the_frame_and_the_numbers_follow(lens: Card) -> None:
    seen = [cell(lens)]
    for label in ("Row", "Column"):
        before = lens.drawn()
        slider = lens.slider(label)
        slider.press("ArrowLeft")
        lens.redrawn(before)
        assert lens.notebook.until(lambda: cell(lens) not in seen)
        seen.append(cell(lens))
    assert seen == [
        "output 11 “.” reads input 10 “f” by",
        "output 10 “f” reads input 10 “f” by",
        "output 10 “f” reads input 9 “l” by",
    ]


def test_a_click_moves_the_frame_and_pointing_tells_the_number(lens: Card) -> None:
    panel = lens.root.locator(".nsewdrag").first
    box = panel.bounding_box()
    assert box is not None
    side = min(box["width"], box["height"]) / 12
    place = {"x": 2.5 * side, "y": 6.5 * side}
    panel.hover(position=place)
    told = lens.root.locator(".hovertext")
    expect(told).to_have_text(re.compile("output 6 reads input 2: "))
    panel.click(position=place)
    assert lens.notebook.until(lambda: cell(lens).startswith("output 6 “␣” reads inpu"))
    expect(lens.slider("Column")).to_have_attribute("aria-valuenow", re.compile("^2"))


def test_a_stranger_in_the_text_is_told_and_forgiven(
    lens: Card, notebook: Notebook
) -> None:
    said = lens.caption.inner_text()
    write(lens, "to \N{TROLLEYBUS}")
    error = lens.root.locator(".mh-error")
    expect(error).to_contain_text("at position 3 is not in the vocabulary")
    assert lens.caption.inner_text() == said
    assert notebook.until(lambda: notebook.page.evaluate("window.heard.length"))
    faults = notebook.faults()
    assert {fault.partition(":")[0] for fault in faults} == {"kernel", "widget"}
    assert all("is not in the vocabulary" in fault for fault in faults)
    write(lens, "to a")
    expect(error).to_have_count(0)
    expect(lens.caption).to_have_text(re.compile("^4 tokens: "))


def test_a_learners_module_is_said_to_show_its_jacobian(notebook: Notebook) -> None:
    own = Card(notebook, "Matrix lens", 1)
    expect(own.caption).to_contain_text("the Jacobian of mine")
    expect(own.caption).to_contain_text("the matrix of rwkv")


@pytest.mark.skipif(not PICTURES, reason="MINIHYENA_SCREENSHOTS names no folder")
@pytest.mark.parametrize("width", [1280, 640])
def test_a_picture_of_it(lens: Card, width: int) -> None:
    lens.photograph(f"matrix_lens_{width}", width)
    write(lens, "the hyena laughs and laughs")
    expect(lens.caption).to_have_text(re.compile("^27 tokens: "))
    lens.photograph(f"matrix_lens_{width}_long", width)
