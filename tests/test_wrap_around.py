"""Wrap-around shows what a ring really does to a convolution, or a learner's does."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import lessons
from minihyena.explore import WrapAround
from minihyena.explore.wrap_around import product_of_spectra, wants_size

SIZES = range(8, 17)
FILTERS = {
    "fading echo": 8,
    "running sum": 8,
    "three taps": 3,
    "late echo": 5,
    "there and back": 2,
    "one tap": 1,
}


pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def around():
    return WrapAround()


def ring_by_loops(u, h, n):
    """n steps round a ring, in float64 and without a spectrum."""
    y = np.zeros(n)
    for s, a in enumerate(u):
        for k, b in enumerate(h):
            y[(s + k) % n] += a * b
    return y


def on_a_ring(u, h):
    """A learner's answer to exercise 3, by rolling."""
    y = torch.zeros_like(u)
    for s in range(len(h)):
        y = y + h[s] * u.roll(s)
    return y


# ---- the facts


def test_every_state_agrees_with_a_ring_of_loops(around):
    states = 0
    for state, facts in around.sweep(cap=500):
        states += 1
        n, u, h = state["size"], facts["inputs"], facts["filter_taps"]
        assert len(h) == facts["taps"] == FILTERS[state["filter"]]
        whole = np.convolve(u, h)
        ring = ring_by_loops(u, h, n)
        assert np.allclose(facts["whole"], whole, atol=1e-5)
        assert np.allclose(facts["outputs"] + facts["beyond"], ring, atol=1e-5)
        differ = np.abs(ring[:8] - whole[:8]) > 1e-4
        assert facts["wrong"] == facts["wrapped"] == tuple(np.flatnonzero(differ))
        assert facts["unexplained"] == ()
        assert facts["wrong"] == facts["wrong_at"][n]
    assert states == len(SIZES) * len(FILTERS) * 4


def test_the_first_outputs_heal_one_by_one_from_the_right(around):
    assert around.state() == {
        "size": 8, "filter": "fading echo", "input": "eight notes",
    }  # fmt: skip
    seen = []
    for n in SIZES:
        around.set("size", n)
        seen.append(around.facts()["wrong"])
    assert seen == [tuple(range(max(0, 15 - n))) for n in SIZES]
    assert around.facts()["exact_from"] == 15


@pytest.mark.parametrize(("name", "taps"), FILTERS.items())
def test_the_smallest_size_that_is_exact_is_that_of_the_exercise(around, name, taps):
    around.set("filter", name)
    smallest = lessons.exercise("03.smallest_pad").answer(8, taps)
    assert around.facts()["exact_from"] == smallest


# ---- what is said and drawn


def test_the_sentence_names_what_is_wrong_and_where_the_tail_lands(around):
    assert around.describe() == (
        "FFT size 8 for 8 inputs and 8 taps: outputs 0 to 6 differ from the slow "
        "route, output 7 agrees; samples 8 to 14 of the tail land on them."
    )
    around.set("size", 14)
    assert around.describe() == (
        "FFT size 14 for 8 inputs and 8 taps: output 0 differs from the slow route, "
        "outputs 1 to 7 agree; sample 14 of the tail lands on it."
    )
    around.set("filter", "one tap")
    assert around.describe() == (
        "FFT size 14 for 8 inputs and 1 tap: all 8 outputs agree with the slow route."
    )


def test_the_sentence_counts_what_the_facts_count(around):
    for _, facts in around.sweep():
        said = around.describe()
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert WrapAround.describe(only_facts) == said
        assert said.startswith(f"FFT size {facts['size']} for 8 inputs and ")
        assert ("all 8 outputs agree" in said) == (not facts["wrong"])
        if facts["wrong"]:
            found = re.search(r": outputs? ([\d to,and]+?) differ", said)
            ends = [int(number) for number in re.findall(r"\d+", found.group(1))]
            assert {ends[0], ends[-1]} <= set(facts["wrong"])
            assert ends[0] == facts["wrong"][0]
            assert ends[-1] == facts["wrong"][-1]


def test_hatching_and_words_mark_the_same_samples(around):
    around.set("size", 11)
    traces = {trace.name: trace for trace in around.figure.data}
    tail, came = traces["tail that comes round"], traces["came round from the tail"]
    assert tail.marker.pattern.shape == came.marker.pattern.shape == "/"
    assert list(tail.x) == [11, 12, 13, 14]
    assert list(tail.text) == ["→ 0", "→ 1", "→ 2", "→ 3"]
    assert list(came.x) == [0, 1, 2, 3]
    assert list(came.text) == ["← 11", "← 12", "← 13", "← 14"]
    facts = around.facts()
    assert list(tail.y) == list(facts["whole"][11:])
    tops = [base + y for base, y in zip(came.base, came.y, strict=True)]
    assert np.allclose(tops, facts["outputs"][:4])
    ticks = [mark.startswith("✓") for mark in traces["what belongs here"].text]
    assert ticks == [False] * 4 + [True] * 4
    assert list(traces["tail that is cut off"].x) == [8, 9, 10]
    assert list(traces["beyond the outputs"].y) == list(facts["beyond"])
    ring_ends = {around.figure.layout.shapes[i].x0 for i in (1, 3)}
    assert ring_ends == {10.5}


def test_the_map_crosses_out_what_is_wrong_at_every_size(around):
    *_, crosses, dots, frame = around.figure.data
    crossed = set(zip(crosses.x, crosses.y, strict=True))
    assert crossed == {(t, n) for n in SIZES for t in range(8) if t + n < 15}
    assert not crossed & set(zip(dots.x, dots.y, strict=True))
    assert len(crossed) + len(dots.x) == 8 * len(SIZES)
    assert crosses.marker.symbol != dots.marker.symbol
    assert (min(frame.y), max(frame.y)) == (7.5, 8.5)


def test_the_table_holds_every_number_that_is_drawn(around):
    around.set("size", 10)
    header, rows = around._numbers()
    facts = around.facts()
    assert len(rows) == 15
    assert all(len(row) == len(header) for row in rows)
    assert [row[3] for row in rows] == list(facts["whole"])
    assert [row[4] for row in rows[:10]] == list(facts["outputs"] + facts["beyond"])
    verdicts = [row[6] for row in rows]
    assert verdicts[0] == "wrong: 10 came round"
    assert verdicts[5:10] == ["right"] * 3 + ["cut off"] * 2
    assert verdicts[10:] == [f"lands on {t}" for t in range(5)]
    assert [row[7] for row in rows[:8]] == [15, 14, 13, 12, 11, 10, 9, 8]


# ---- a learner's convolution


def test_a_learners_ring_is_shown_as_it_is(around):
    mine = WrapAround(conv=on_a_ring)
    assert mine.facts()["yours"]
    for n in SIZES:
        mine.set("size", n)
        around.set("size", n)
        assert mine.describe() == around.describe()
    sized = WrapAround(lambda u, h, n: product_of_spectra(u, h, n)[: len(u)])
    sized.set("size", 12)
    assert sized.facts()["beyond"] == ()
    assert sized.facts()["wrong"] == (0, 1, 2)


def test_exercises_fit_in_as_they_stand():
    ring = WrapAround(conv=lessons.exercise("03.circular_conv").answer)
    assert ring.facts()["wrong"] == tuple(range(7))
    padded = WrapAround(conv=lessons.exercise("03.conv_fft").answer)
    assert padded.facts()["wrong_at"] == dict.fromkeys(SIZES, ())
    assert "all 8 outputs agree" in padded.describe()


def test_a_wrong_convolution_shows_as_wrong():
    def correlation(u, h):
        return torch.fft.ifft(torch.fft.fft(u) * torch.fft.fft(h).conj()).real

    wrong = WrapAround(conv=correlation)
    wrong.set("size", 16)
    assert wrong.facts()["exact_from"] is None
    assert wrong.facts()["unexplained"] == wrong.facts()["wrong"] != ()
    assert "wrap-around does not explain" in wrong.describe()
    other = next(t for t in wrong.figure.data if t.name == "wrong in another way")
    assert list(other.x) == list(wrong.facts()["unexplained"])
    assert set(other.text) == {"✗"}
    half = WrapAround(conv=lambda u, h: on_a_ring(u, h) + torch.eye(len(u))[7])
    assert half.facts()["wrapped"] == tuple(range(7))
    assert half.facts()["unexplained"] == (7,)
    assert half.describe().endswith("land on 0 to 6; wrap-around does not explain 7.")


def test_not_a_number_is_not_right():
    broken = WrapAround(conv=lambda u, h: on_a_ring(u, h) * torch.nan)
    assert broken.facts()["wrong"] == tuple(range(8))


@pytest.mark.parametrize(
    ("conv", "error", "message"),
    [
        (lambda u, h: u[:3], ValueError, r"n = 8 .*\(8,\) and \(8,\) into \(3,\)"),
        (lambda u, h: None, ValueError, "into NoneType"),
        (lambda u, h, n: u.sum(), ValueError, r"into \(\).*all n samples, \(8,\)"),
        (lambda u, h: u + 1j, TypeError, r"complex numbers of shape \(8,\)"),
        (lambda u: u, TypeError, r"\(u, h\) or \(u, h, n\); yours takes \(u\)"),
        (lambda u, h, n, k: u, TypeError, r"yours takes \(u, h, n, k\)"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_numbers(conv, error, message):
    with pytest.raises(error, match=message):
        WrapAround(conv=conv)


def test_too_short_a_signal_is_refused():
    with pytest.raises(ValueError, match=r"length 3 .* take 4 or more"):
        WrapAround(length=3)


def test_a_function_is_called_the_way_it_is_written():
    assert not wants_size(on_a_ring)
    assert not wants_size(lambda *args: args)
    assert not wants_size(lambda u, h, axis=-1: u)
    assert wants_size(lambda u, h, n: u)
    assert wants_size(lambda u, h, n=None: u)
    assert wants_size(lambda u, h, size: u)


# ---- as every explorer


def test_it_keeps_to_what_an_explorer_promises(around):
    data, metadata = around._repr_mimebundle_()
    assert data["text/plain"] == around.describe()
    assert around.describe() in around.caption.value
    assert metadata == {}
    first = around.state(), around.describe()
    around.surprise()
    assert around.state() != first[0]
    around.reset()
    assert (around.state(), around.describe()) == first
    with pytest.raises(ValueError, match="size can be"):
        around.set("size", 99)
    around.show_numbers.value = True
    assert around._picture.layout.visibility == "hidden"
    assert around.numbers.value.count("<tr>") == 1 + 15


def test_a_longer_signal_heals_the_same_way():
    long = WrapAround(length=12)
    assert long.facts()["wrong"] == tuple(range(11))
    assert long.facts()["exact_from"] == 23
