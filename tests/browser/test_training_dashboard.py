"""The training dashboard as a learner uses it: every button works while it trains."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import shown
from .in_page import CLIPPED, CONTRASTS
from .laboratory import Card, Notebook

SOURCE = """
import torch
from minihyena import LanguageModel, LMConfig, experiments, tasks
from minihyena.explore import TrainingDashboard
task, quick = tasks.AssociativeRecall(12, 16), experiments.RECIPES["quick"]
names = ("hyena", "attention")
sizes = experiments.equal_parameters(
    [LMConfig(12, max_length=18, width=24, mixer=name, std=None) for name in names]
)
def maker(config):
    return lambda: LanguageModel(config, torch.Generator().manual_seed(0))
models = dict(zip(names, map(maker, sizes)))
TrainingDashboard(models, task, quick.train_config(task, steps=1000))
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """A notebook of its own."""
    with shown(browser, lab, folder, "dashboard", SOURCE) as notebook:
        yield notebook


@pytest.fixture
def dashboard(notebook: Notebook) -> Iterator[Card]:
    """Fresh, with a thousand steps before it."""
    dashboard = Card(notebook, "Training dashboard")
    dashboard.button("Reset").click()
    notebook.run("None")  # all that came of it has been answered
    start = "Not started: hyena and attention, step 0 of 1,000."
    expect(dashboard.caption).to_have_text(start)
    yield dashboard
    notebook.resize()
    notebook.change_theme("Light")
    dashboard.button("Reset").click()


def steps(dashboard: Card) -> float:
    """How far the curves go; both traces of a model have its name, losses first."""
    return len(dashboard.curve("hyena"))


def learn(dashboard: Card, more: int = 30) -> None:
    goal = steps(dashboard) + more
    assert dashboard.notebook.until(lambda: steps(dashboard) >= goal)


def test_all_models_train_at_once_and_the_loss_falls(dashboard: Card) -> None:
    dashboard.button("Start").click()
    expect(dashboard.caption).to_have_text(re.compile("^Training; none of them"))
    learn(dashboard, 60)
    for name in ("hyena", "attention"):
        losses = dashboard.curve(name)
        assert losses[-1] < losses[0]


def test_pause_resume_and_stop(dashboard: Card) -> None:
    dashboard.button("Start").click()
    learn(dashboard)
    dashboard.button("Pause").click()
    expect(dashboard.caption).to_have_text(re.compile("^Paused after"))
    paused = steps(dashboard)
    dashboard.button("Resume").click()
    learn(dashboard)
    assert steps(dashboard) > paused
    dashboard.button("Stop").click()
    expect(dashboard.caption).to_have_text(re.compile("^Stopped after"))
    expect(dashboard.button("Start")).to_be_disabled()


def test_seconds_take_the_place_of_steps_while_it_trains(dashboard: Card) -> None:
    dashboard.button("Start").click()
    learn(dashboard)
    expect(dashboard.choice("Steps")).to_be_disabled()
    expect(dashboard.root.locator(".xtitle")).to_have_text("step")
    dashboard.move(dashboard.choice("Across"))
    expect(dashboard.root.locator(".xtitle")).to_have_text("seconds of training")
    dashboard.move(dashboard.choice("Across"))
    expect(dashboard.root.locator(".xtitle")).to_have_text("step")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_can_be_read_in_both_themes_and_fits_a_narrow_page(
    dashboard: Card, theme: str
) -> None:
    dashboard.button("Start").click()
    learn(dashboard, 100)
    dashboard.button("Pause").click()
    expect(dashboard.caption).to_have_text(re.compile("^Paused after"))
    dashboard.notebook.change_theme(theme)
    words = dashboard.page.evaluate(CONTRASTS)
    assert len(words) > 10
    assert min(contrast for contrast, _ in words) >= 4.5
    dashboard.photograph(f"training dashboard, {theme}", width=1090)
    for width in (800, 390):
        dashboard.notebook.resize(width)
        assert not dashboard.page.evaluate(CLIPPED)
        dashboard.photograph(f"training dashboard, {theme}, {width}", width=width)
