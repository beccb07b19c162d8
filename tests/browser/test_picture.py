"""A live figure in a page that is busy: it waits for plotly, and misses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from .conftest import opened, written
from .laboratory import Notebook

MADE = """
import plotly.graph_objects as go
from minihyena.explore.live import enliven
from minihyena.explore.picture import Picture
asked, again = [], Picture._again
Picture._again = lambda self, *words: (asked.append(self), again(self, *words))
figure, (widget, _) = enliven(go.Figure(go.Scatter(y=[1, 2, 3])))
widget
"""
SAID_AT_ONCE = """
figure.data[0].y = [4, 5, 6]
figure.add_scatter(y=[7, 8])
figure.add_scatter(y=[0])
figure.data = [figure.data[1], figure.data[0]]
figure.layout.title.text = "moved"
"""
# Modules from this size on come three seconds late, as on a busy machine.
LATE = """size => {
  const make = URL.createObjectURL;
  URL.createObjectURL = blob => make.call(URL, blob.size < size ? blob : new Blob(
    ["await new Promise(go => setTimeout(go, 3000));", blob], { type: blob.type }));
}"""
COUNT = """() => {
  const make = URL.createObjectURL;
  window.large = 0;
  URL.createObjectURL = blob => {
    window.large += blob.size > 1e6;
    return make.call(URL, blob);
  };
}"""
SHOWN = """() => Array.from(document.querySelectorAll(".js-plotly-plot"),
  plot => [...plot._fullData.map(trace => Array.from(trace.y)),
    plot._fullLayout.title.text])"""


@pytest.fixture
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    name = written(folder, "picture", MADE, SAID_AT_ONCE)
    with opened(browser, lab, folder, name) as notebook:
        yield notebook


@pytest.mark.parametrize("late", [1e9, 1e6, 0], ids=["none", "plotly", "all"])
def test_what_the_kernel_says_before_plotly_is_there_is_not_lost(
    notebook: Notebook, late: float
) -> None:
    def shows(*views: object) -> bool:
        return notebook.until(lambda: notebook.page.evaluate(SHOWN) == [*views])

    notebook.page.evaluate(LATE, late)
    notebook.run_all()
    moved = [[7, 8], [4, 5, 6], "moved"]
    assert shows(moved)
    notebook.run("widget")
    assert shows(moved, moved), "another view of it"
    notebook.run("figure.data[1].y = [9]")
    moved[1] = [9]
    assert shows(moved, moved)
    assert notebook.run("len(asked)") == ("1" if late == 0 else "0")
    assert notebook.faults() == []


TWO = """
two, (pair, _) = enliven(go.Figure([go.Bar(y=[1], width=w) for w in (0.5, 0.25)]))
pair
"""
IN_A_BATCH = """
with two.batch_update():
    two.data[0].width, two.data[0].y, two.data[1].y = 0.75, [2], [3]
"""
BARS = """() => Array.from(document.querySelectorAll(".js-plotly-plot"),
  plot => plot._fullData.filter(t => t.type === "bar").map(t => [t.width, ...t.y]))
  .filter(bars => bars.length)"""


@pytest.mark.parametrize("late", [1e9, 1e6, 0], ids=["none", "plotly", "all"])
def test_what_is_left_alone_in_a_batch_stays(
    browser: Browser, lab: str, folder: Path, late: float
) -> None:
    name = written(folder, "batch", MADE, TWO, IN_A_BATCH)
    with opened(browser, lab, folder, name) as notebook:
        page = notebook.page
        page.evaluate(LATE, late)
        notebook.run_all()
        bars = [[0.75, 2], [0.25, 3]]
        assert notebook.until(lambda: page.evaluate(BARS) == [bars])
        notebook.run("two.data[1].y = [4]\npair")
        bars[1][1] = 4
        assert notebook.until(lambda: page.evaluate(BARS) == [bars, bars])


def test_plotly_is_sent_once_for_all_figures(notebook: Notebook) -> None:
    notebook.page.evaluate(COUNT)
    notebook.run_all()
    notebook.run("enliven(go.Figure(go.Scatter(y=[1])))[0]")
    assert notebook.until(lambda: len(notebook.page.evaluate(SHOWN)) == 2)
    size = "max(len(str(one.get_state())) for one in (figure, widget)) < 100_000"
    assert notebook.run(size) == "True"
    assert notebook.page.evaluate("window.large") == 1
