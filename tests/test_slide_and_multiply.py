"""Slide and multiply shows what a learner's convolution does, and marks faults."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import conv1d

from minihyena import lessons
from minihyena.explore import SlideAndMultiply

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def slide():
    return SlideAndMultiply()


def loops(u, h):
    """A learner's answer to exercise 2."""
    y = torch.zeros_like(u)
    for t in range(len(u)):
        for s in range(min(t + 1, len(h))):
            y[t] += h[s] * u[t - s]
    return y


def centred(u, h):
    y = conv1d(u[None, None], h.flip(0)[None, None], padding=len(h) // 2)
    return y[0, 0, : len(u)]


def bars(explorer):
    return {trace.name: trace for trace in explorer.figure.data}


def test_every_state_agrees_with_numpy(slide):
    states = 0
    for state, facts in slide.sweep(cap=1000):
        states += 1
        t, u, taps = state["position"], facts["inputs"], facts["taps"]
        laid = taps if state["flipped"] else taps[::-1]
        assert np.allclose(facts["outputs"], np.convolve(u, laid)[: len(u)])
        weights = [laid[t - s] if 0 <= t - s < len(laid) else 0 for s in range(len(u))]
        assert np.allclose(facts["weights"], weights)
        assert np.allclose(facts["products"], np.multiply(weights, u))
        assert facts["reads"] == tuple(np.flatnonzero(weights))
        assert max(facts["reads"]) <= t
        assert facts["response"] == tuple(laid)
        assert facts["waiting"] == {t - k: laid[k] for k in range(len(laid)) if k > t}
        assert facts["adds_up"]
        assert facts["wrong"] == facts["strange"] == ()
    assert states == 8 * 6 * 4 * 2


def test_the_sentence_writes_the_sum_out(slide):
    assert slide.describe() == (
        "Output 3 reads inputs 1 to 3 through the flipped filter: 0 + 4 + 3 = 7; a "
        "single 1 comes out as 3, 2, 1."
    )
    slide.set("flipped", False)
    assert slide.describe() == (
        "Output 3 reads inputs 1 to 3 through the unflipped filter: 0 + 4 + 1 = 5; a "
        "single 1 comes out as 1, 2, 3, mirrored."
    )
    slide.reset()
    slide.set("position", 0)
    slide.set("input", "up and down")
    assert "Output 0 reads input 0 through the flipped filter: 3;" in slide.describe()
    slide.set("filter", "difference: 1, −1")
    slide.set("position", 1)
    assert "(−1) + (−1) = −2; a single 1 comes out as 1, −1." in slide.describe()


def test_the_sentence_is_made_of_the_facts(slide):
    for _, facts in slide.sweep():
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert SlideAndMultiply.describe(only_facts) == slide.describe()
        assert ("mirrored" in slide.describe()) == (facts["response"] != facts["taps"])


def test_the_step_buttons_move_by_one_and_stop_at_the_ends(slide):
    slide.forward()
    assert slide.state()["position"] == 4
    for _ in range(9):
        slide.forward()
    assert slide.state()["position"] == 7
    for _ in range(9):
        slide.back()
    assert slide.state()["position"] == 0


def test_the_picture_shows_the_facts(slide):
    slide.set("position", 1)
    shown, facts = bars(slide), slide.facts()
    assert list(shown["tap with nothing under it"].x) == [-1]
    assert shown["tap with nothing under it"].marker.pattern.shape == "/"
    assert list(shown["tap over an input"].x) == [0, 1]
    assert list(shown["tap over an input"].text) == ["2", "3"]
    assert list(shown["output t"].x) == [1]
    assert list(shown["output t"].y) == [facts["outputs"][1]]
    assert list(shown["outputs before"].x) == [0]
    assert not shown["not by the definition"].x
    assert {band.x0 for band in slide.figure.layout.shapes} == {0.5}


def test_the_table_holds_every_number_that_is_drawn(slide):
    slide.set("position", 1)
    header, rows = slide._numbers()
    assert all(len(row) == len(header) for row in rows)
    assert rows[0] == (-1, "nothing yet", 1.0, "", "")
    facts = slide.facts()
    assert [row[2] for row in rows[1:]] == list(facts["weights"])
    assert [row[3] for row in rows[1:]] == list(facts["products"])
    assert [row[4] for row in rows[1:4]] == [3.0, 2.0, ""]


# ---- a learner's convolution


def test_a_learners_loops_show_the_same(slide):
    mine = SlideAndMultiply(loops)
    assert mine.facts()["yours"]
    theirs = SlideAndMultiply(lessons.exercise("01.conv_direct").answer)
    for t in range(8):
        for explorer in (slide, mine, theirs):
            explorer.set("position", t)
        assert mine.describe() == slide.describe() == theirs.describe()


def test_a_convolution_that_looks_ahead_is_marked():
    ahead = SlideAndMultiply(centred)
    assert ahead.facts()["reads"] == (2, 3, 4)
    assert ahead.describe() == (
        "Output 3 reads inputs 2 to 4 through the flipped filter: 2 + 2 + 0 = 4; input "
        "4 comes later; the definition says otherwise; a single 1 comes out as 2, 1, "
        "0, which are not the taps."
    )
    shown = bars(ahead)
    assert 4 in shown["not by the definition"].x
    assert shown["wrong output"].marker.pattern.shape == "x"
    assert 3 in shown["wrong output"].x


def test_what_does_not_add_up_is_told():
    loud = SlideAndMultiply(lambda u, h: loops(u, h) ** 2)
    assert not loud.facts()["adds_up"]
    assert "is not 49" in loud.describe()


def test_rounding_does_not_make_other_taps_of_an_echo():
    def by_fft(u, h):
        n = len(u) + len(h)
        return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(h, n), n)[: len(u)]

    explorer = SlideAndMultiply(by_fft)
    for _, facts in explorer.sweep(cap=60):
        said = explorer.describe()
        assert "which are not the taps" not in said or not facts["flipped"]


def test_not_a_number_is_wrong():
    broken = SlideAndMultiply(lambda u, h: loops(u, h) * torch.nan)
    assert broken.facts()["wrong"] == tuple(range(8))


@pytest.mark.parametrize(
    ("conv", "error", "message"),
    [
        (lambda u, h: u[:3], ValueError, r"u \(8,\) and h \(3,\) into \(3,\)"),
        (lambda u, h: None, ValueError, "into NoneType"),
        (lambda u, h: u + 1j, TypeError, r"complex numbers of shape \(8,\)"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_numbers(conv, error, message):
    with pytest.raises(error, match=message):
        SlideAndMultiply(conv)
