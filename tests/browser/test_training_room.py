"""The training room of notebook 09, as a learner finds it: every button works."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import evidence, opened
from .laboratory import PICTURES, Card, Notebook

STEPS = """card => {
  const chips = Array.from(card.querySelectorAll(".mh-chips span"));
  const step = chips.find(chip => chip.textContent.startsWith("step "));
  return Number(step?.querySelector("b").textContent.replaceAll(",", "") ?? 0);
}"""
ENDLESS = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """Run up to the cell that shows the room, and not further."""
    name = "09_small_language_model.ipynb"
    with opened(browser, lab, folder, name) as notebook:
        with evidence(notebook, folder):
            notebook.run_until("Training room")
        yield notebook


@pytest.fixture
def room(notebook: Notebook) -> Iterator[Card]:
    """Fresh, with as many steps before it as the room allows."""
    room = Card(notebook, "Training room")
    room.button("Reset").click()
    notebook.run("None")  # all that came of it has been answered
    expect(room.caption).to_have_text(re.compile("^Not started: .*step 0"))
    room.to_the_end(room.choice("Steps"))
    expect(room.caption).to_have_text(re.compile("of 1,000"))
    yield room
    room.button("Reset").click()


def steps(room: Card) -> int:
    """How many it has taken, as it says."""
    return int(room.root.evaluate(STEPS))


def learn(room: Card, more: int = 10) -> float:
    """Wait until it has taken some more steps; the seconds that one took."""
    first, began = steps(room), time.monotonic()
    came = room.notebook.until(lambda: steps(room) >= first + more)
    assert came, f"no {more} steps after step {first}"
    return (time.monotonic() - began) / (steps(room) - first)


def rests(room: Card, notebook: Notebook, seconds_per_step: float) -> bool:
    """True if it takes no step while it could have taken ten."""
    before = steps(room)
    notebook.run(f"import time; time.sleep({10 * seconds_per_step + 0.5})")
    return steps(room) == before


def test_start_makes_the_loss_fall(room: Card, notebook: Notebook) -> None:
    assert room.curve("smoothed") == []
    room.button("Start").click()
    expect(room.caption).to_have_text(re.compile("^Training"))
    expect(room.root.locator(".mh-text")).not_to_have_count(0)
    learn(room)
    losses = room.curve("smoothed")
    assert losses[-1] < 0.8 * losses[0]
    held_out = room.curve("held-out text")
    assert held_out[-1] < losses[0]
    assert notebook.faults() == []


def test_pause_rests_and_resume_goes_on(room: Card, notebook: Notebook) -> None:
    room.button("Start").click()
    pace = learn(room)
    room.button("Pause").click()
    expect(room.caption).to_have_text(re.compile("^Paused after"))
    assert rests(room, notebook, pace)
    paused = steps(room)
    room.button("Resume").click()
    learn(room)
    assert steps(room) > paused
    assert len(room.curve("smoothed")) >= paused + 10  # one run, nothing lost


def test_stop_ends_the_run_and_reset_begins_another(
    room: Card, notebook: Notebook
) -> None:
    untrained = room.drawn()
    room.button("Start").click()
    pace = learn(room)
    room.button("Stop").click()
    expect(room.caption).to_have_text(re.compile("^Stopped after"))
    assert rests(room, notebook, pace)
    threads = "import threading; [t.name for t in threading.enumerate()]"
    assert "training" not in notebook.run(threads)
    expect(room.button("Start")).to_be_disabled()
    expect(room.button("Stop")).to_be_disabled()
    assert room.drawn() != untrained
    room.button("Reset").click()
    expect(room.caption).to_have_text(re.compile("^Not started"))
    assert steps(room) == 0
    assert room.curve("smoothed") == []
    expect(room.button("Start")).to_be_enabled()


def test_other_cells_run_while_it_trains(room: Card, notebook: Notebook) -> None:
    room.button("Start").click()
    learn(room)
    assert notebook.run("sum(range(1000))") == "499500"
    learn(room)
    expect(room.caption).to_have_text(re.compile("^Training"))


def test_its_other_controls_work_while_it_trains(room: Card) -> None:
    room.button("Start").click()
    learn(room)
    for label in ("Mixer", "Steps"):
        expect(room.choice(label)).to_be_disabled()
    assert set(room.controls()) == {"Watch filter", "Channel", "View"}
    view, axis = room.choice("View"), room.root.locator(".x2title")
    expect(axis).to_contain_text("lag")
    room.move(view)
    expect(axis).to_contain_text("cycles per token")
    room.move(view)
    expect(axis).to_contain_text("lag")
    learn(room)


def test_a_kernel_interrupt_leaves_it_alone(room: Card, notebook: Notebook) -> None:
    room.button("Start").click()
    learn(room)
    cell = notebook.begin(ENDLESS)
    learn(room)
    notebook.interrupt()
    notebook.finish()
    assert notebook.code_cells()[cell]["outputs"][0]["ename"] == "KeyboardInterrupt"
    assert notebook.faults() == ["kernel: KeyboardInterrupt: "]
    learn(room)
    notebook.interrupt()  # with no cell running
    learn(room)
    expect(room.caption).to_have_text(re.compile("^Training"))


@pytest.mark.skipif(not PICTURES, reason="MINIHYENA_SCREENSHOTS names no folder")
def test_a_picture_of_a_room_that_has_learnt_a_while(room: Card) -> None:
    room.choice("Steps").select_option("300")
    room.button("Start").click()
    expect(room.root.locator(".mh-text")).to_have_count(2)
    learn(room, 60)
    room.button("Pause").click()
    expect(room.caption).to_have_text(re.compile("^Paused after"))
    room.photograph("training_room", width=1090)
