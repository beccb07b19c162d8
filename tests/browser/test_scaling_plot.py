"""The scaling plot of notebook 10, by keyboard, and measuring on this very machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import evidence, opened
from .laboratory import PICTURES, Card, Notebook, fresh

NAME = "10_what_does_it_cost.ipynb"
MEASURED = """card => card.querySelector(".js-plotly-plot").data
  .filter(trace => trace.marker?.symbol?.endsWith("-open") && trace.y?.[0])
  .map(trace => trace.x.length)"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """Run up to the cell that shows the plot, and not further."""
    with opened(browser, lab, folder, NAME) as notebook:
        with evidence(notebook, folder):
            notebook.run_until("Scaling plot")
        yield notebook


@pytest.fixture
def plot(notebook: Notebook) -> Iterator[Card]:
    """As it was when it was made."""
    with fresh(notebook, "Scaling plot") as plot:
        expect(plot.caption).to_have_text(re.compile("^Time of .* as recorded, L = "))
        yield plot


def measured(plot: Card) -> list[int]:
    """How many points each of the subjects measured here has."""
    return list(plot.root.evaluate(MEASURED))


def test_another_quantity_is_another_picture_and_sentence(plot: Card) -> None:
    before = plot.drawn()
    plot.to_the_end(plot.choice("Quantity"))
    expect(plot.caption).to_contain_text("times as fast as")
    plot.redrawn(before)


def test_half_of_the_lengths_has_exponents_of_its_own(plot: Card) -> None:
    before = plot.drawn()
    sentence = plot.caption.inner_text()
    plot.move(plot.choice("Lengths"))
    expect(plot.caption).not_to_have_text(sentence)
    plot.redrawn(before)


def test_the_authors_numbers_are_quoted_and_cannot_be_measured(plot: Card) -> None:
    plot.to_the_end(plot.choice("Comparison"))
    expect(plot.caption).to_contain_text("the authors' figure, as quoted")
    expect(plot.button("Measure here")).to_be_disabled()
    plot.to_the_end(plot.choice("Quantity"))
    expect(plot.caption).to_contain_text(
        "at L = 65,536, 11 times as fast as FlashAttention"
    )


def test_measure_here_draws_points_beside_the_recorded_ones(plot: Card) -> None:
    plot.root.evaluate("card => card.scrollIntoView()")
    plot.move(plot.choice("Lengths"))
    assert measured(plot) == []
    before = plot.drawn()
    plot.button("Measure here").press("Enter")
    expect(plot.button("Stop")).to_be_enabled()
    assert plot.notebook.until(lambda: bool(measured(plot))), "no point was drawn"
    plot.redrawn(before)
    expect(plot.caption).to_contain_text("Measured here on 1 thread, L = ")
    legend = plot.root.locator(".legendtext").all_text_contents()
    assert "measured here" in legend
    assert not [text for text in legend if text.startswith("trace")]
    expect(plot.root).to_contain_text(re.compile(r"\d of \d lengths of .* measured on"))
    plot.button("Stop").press("Enter")
    expect(plot.button("Measure here")).to_be_enabled()
    threads = "import threading; [t.name for t in threading.enumerate()]"
    assert "measuring" not in plot.notebook.run(threads)


@pytest.mark.skipif(not PICTURES, reason="MINIHYENA_SCREENSHOTS names no folder")
def test_a_picture_of_a_plot_that_has_measured(plot: Card) -> None:
    for comparison in ("layer", "convolution"):
        plot.choice("Comparison").select_option(comparison)
        plot.move(plot.choice("Lengths"))
        plot.button("Measure here").press("Enter")
        done = re.compile(f"lengths of “{comparison}” measured .*; finished")
        expect(plot.root).to_contain_text(done)
        plot.photograph(f"scaling_plot {comparison}", width=1090)
    plot.to_the_end(plot.choice("Comparison"))
    plot.to_the_end(plot.choice("Quantity"))
    plot.photograph("scaling_plot authors", width=1090)
