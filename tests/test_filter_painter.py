"""The filter painter shows what six taps do, by the learner's own convolution."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import lessons
from minihyena.explore import FilterPainter
from minihyena.explore.filter_painter import RECIPES

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def painter():
    return FilterPainter()


def by_delays(u, h):
    """A learner's answer to exercise 2, by delayed copies."""
    y = torch.zeros_like(u)
    for k in range(len(h)):
        y[k:] += h[k] * u[: len(u) - k]
    return y


def paint(painter, *taps):
    for k, tap in enumerate([*taps, *[0.0] * 6][:6]):
        painter.set(f"tap {k}", tap)


def test_every_state_agrees_with_numpy(painter):
    for state, facts in painter.sweep():
        u, taps = facts["inputs"], facts["taps"]
        assert taps == tuple(state[f"tap {k}"] for k in range(6))
        whole = np.convolve(u, taps)[: len(u)]
        assert np.allclose(facts["outputs"], whole, atol=1e-5)
        assert facts["wrong"] == ()
        if facts["copies"]:
            assert np.allclose(np.sum([*facts["copies"].values()], 0), whole, atol=1e-5)


def test_an_impulse_gives_back_the_filter(painter):
    paint(painter, 1, -0.5, 0.25, 0, 0.75, -1)
    facts = painter.facts()
    assert facts["outputs"][:6] == facts["taps"]
    assert not any(facts["outputs"][6:])
    assert painter.describe() == (
        "Through the taps 1, −0.5, 0.25, 0, 0.75, −1, an impulse gives back the filter "
        "itself, and then zeros."
    )


def test_each_sentence_tells_what_its_input_shows(painter):
    painter.set("input", "marks")
    assert painter.describe() == (
        "Through the taps 1, 0, 0, 0.5, 0, 0.25, each of the marks at steps 0, 3 and "
        "10 starts a copy of the filter, 1, 1 and −0.5 times as high; they add up at "
        "output 3."
    )
    paint(painter, 1)
    assert painter.describe().endswith("times as high; no two meet.")
    painter.set("input", "step")
    paint(painter, 0.25, 0.25, 0.25, 0.25)
    assert painter.describe().endswith(
        "a step of ones settles at 1, the sum of the taps, from output 3 on."
    )
    painter.set("input", "noise")
    assert "noise comes out smoother" in painter.describe()
    paint(painter, 1, -1)
    assert "noise comes out rougher" in painter.describe()
    paint(painter, 1)
    assert "noise comes out as rough as before" in painter.describe()


def test_the_sentence_is_made_of_the_facts(painter):
    for _, facts in painter.sweep(cap=100):
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert FilterPainter.describe(only_facts) == painter.describe()


def test_the_recipes_set_all_six_taps(painter):
    for button in painter.children[1].children[1:]:
        button.click()
        assert painter.facts()["taps"] == tuple(RECIPES[button.description])
    assert painter.facts()["taps"] == (1, -1, 0, 0, 0, 0)


def test_the_picture_and_the_table_show_the_facts(painter):
    painter.set("input", "marks")
    facts, traces = painter.facts(), {t.name: t for t in painter.figure.data}
    assert list(traces["taps"].y) == list(facts["taps"])
    assert list(traces["input"].y) == list(facts["inputs"])
    assert list(traces["output"].y) == list(facts["outputs"])
    assert list(traces["by the definition"].y) == list(facts["definition"])
    assert list(traces["copy from step 3"].x) == list(range(3, 9))
    header, rows = painter._numbers()
    assert len(rows) == 16
    assert all(len(row) == len(header) for row in rows)
    assert [row[3] for row in rows] == list(facts["outputs"])


def test_a_learners_convolution_shows_the_same(painter):
    answer = lessons.exercise("01.conv_direct").answer
    for mine in (FilterPainter(by_delays), FilterPainter(answer)):
        for name in painter.controls["input"]:
            painter.set("input", name)
            mine.set("input", name)
            assert mine.describe() == painter.describe()


def by_fft(u, h):
    n = len(u) + len(h)
    return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(h, n), n)[: len(u)]


def test_rounding_changes_no_sentence(painter):
    rounded = FilterPainter(by_fft)
    for state, _ in painter.sweep(cap=150):
        rounded._apply(state)
        said, ours = rounded.describe(), painter.describe()
        if state["input"] != "noise":  # which is told in two digits
            assert said == ours


def test_a_wrong_convolution_shows_as_wrong():
    wrong = FilterPainter(lambda u, h: by_delays(u, h.flip(0)))
    assert wrong.facts()["wrong"] == (0, 2, 3, 5)
    assert wrong.describe() == (
        "Through the taps 1, 0, 0, 0.5, 0, 0.25, the impulse gives something else than "
        "the definition: outputs 0, 2 to 3 and 5 differ."
    )
    traces = {trace.name: trace for trace in wrong.figure.data}
    assert list(traces["not by the definition"].x) == [0, 2, 3, 5]


@pytest.mark.parametrize(
    ("conv", "error", "message"),
    [
        (lambda u, h: h, ValueError, r"u \(16,\) and h \(6,\) into \(6,\)"),
        (lambda u, h: 1.0, ValueError, "into float"),
        (lambda u, h: u * 1j, TypeError, "complex numbers"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_numbers(conv, error, message):
    with pytest.raises(error, match=message):
        FilterPainter(conv)
