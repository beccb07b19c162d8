"""Turning hands shows how a row of a DFT matrix adds up, or a row of a learner's."""

import cmath
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import lessons
from minihyena.explore import TurningHands
from minihyena.explore.turning_hands import SIGNALS, definition, sample

N = 12


pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def hands():
    return TurningHands()


def backwards(n):
    return definition(n).conj()


# ---- the facts


def test_every_state_agrees_with_numpys_spectrum(hands):
    for state, facts in hands.sweep():
        spectrum = np.fft.fft(facts["samples"])
        assert np.allclose(facts["sizes"], np.abs(spectrum), atol=1e-9)
        assert cmath.isclose(facts["sum"], spectrum[state["bin"]], abs_tol=1e-9)
        assert np.allclose(facts["path"][-1], facts["sum"], atol=1e-9)
        steps = np.diff(facts["path"])
        assert np.allclose(steps, facts["hands"], atol=1e-9)
        assert np.allclose(np.abs(steps), np.abs(facts["samples"]), atol=1e-9)
        lit = tuple(np.flatnonzero(np.abs(spectrum) > 1e-6))
        assert facts["lit"] == lit
        assert facts["closed"] == (state["bin"] not in lit)
        assert facts["is_dft"]


@pytest.mark.parametrize("turns", range(N))
def test_a_pure_tone_lights_one_bin(hands, turns):
    hands.set("turns", float(turns))
    assert hands.facts()["lit"] == (turns,)
    hands.set("bin", turns)
    facts = hands.facts()
    assert facts["same_way"]
    assert math.isclose(facts["size"], N)
    assert np.allclose(facts["hands"], 1), "turned back, all hands rest"
    hands.set("bin", (turns + 1) % N)
    assert hands.facts()["closed"]


def test_a_tone_between_two_bins_lights_all(hands):
    for half in range(N - 1):
        hands.set("turns", half + 0.5)
        facts = hands.facts()
        assert facts["lit"] == tuple(range(N))
        largest = sorted(range(N), key=lambda k, f=facts: -f["sizes"][k])[:2]
        assert sorted(largest) == [half, half + 1]
        assert math.isclose(facts["sizes"][half], 1 / math.sin(math.pi / 2 / N))


def test_a_cosine_is_two_tones_and_a_pulse_is_all(hands):
    hands.set("signal", "cosine")
    assert hands.facts()["lit"] == (3, 9)
    assert math.isclose(hands.facts()["size"], N / 2)
    hands.set("signal", "two cosines")
    assert hands.facts()["lit"] == (1, 3, 9, 11)
    hands.set("signal", "one pulse")
    assert np.allclose(hands.facts()["sizes"], 1)
    assert hands.facts()["hands_seen"] == 1


@pytest.mark.parametrize("signal", SIGNALS)
def test_samples_are_what_their_name_says(signal):
    u = np.array(sample(signal, 2.0, 8))
    t = np.arange(8)
    angle = 2 * np.pi * 2 * t / 8
    expected = {
        "turning tone": np.exp(1j * angle),
        "cosine": np.cos(angle),
        "two cosines": np.cos(angle) + np.cos(2 * np.pi * t / 8),
        "one pulse": t == 2,
    }[signal]
    assert np.allclose(u, expected)


# ---- what is said and drawn


def test_the_sentence_says_what_the_hands_do(hands):
    assert hands.describe() == (
        "A tone of 3 turns lights bin 3 of 12; in bin 3 the hands all point the same "
        "way, and their sum has the size 12."
    )
    hands.set("bin", 5)
    assert hands.describe().endswith("in bin 5 the hands close up, and their sum is 0.")
    hands.set("turns", 2.5)
    hands.set("bin", 2)
    assert hands.describe() == (
        "A tone of 2.5 turns lights all 12 bins; in bin 2 the hands partly cancel, and "
        "their sum has the size 7.66."
    )
    hands.set("signal", "two cosines")
    hands.set("turns", 3.0)
    assert "Cosines of 1 turn and of 3 turns light bins 1, 3, 9 and 11 of 12" in (
        hands.describe()
    )
    hands.set("signal", "one pulse")
    assert hands.describe() == (
        "A pulse at sample 3 lights all 12 bins; in bin 2 the hands are all of size 0 "
        "but one, and the sum has the size 1."
    )


def test_describe_uses_the_facts_alone(hands):
    for _, facts in hands.sweep(60):
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert TurningHands.describe(only_facts) == hands.describe()


def test_the_picture_is_drawn_from_the_facts(hands):
    hands.set("turns", 2.5)
    facts = hands.facts()
    total, chain, start, real, imaginary, bars, _ = hands.figure.data
    assert list(chain.x) == [z.real for z in facts["path"]]
    assert list(chain.y) == [z.imag for z in facts["path"]]
    assert (total.x[1], total.y[1]) == (facts["sum"].real, facts["sum"].imag)
    assert (start.x[0], start.y[0]) == (0, 0)
    assert list(real.y) == [z.real for z in facts["samples"]]
    assert list(imaginary.y) == [z.imag for z in facts["samples"]]
    assert list(bars.y) == list(facts["sizes"])
    assert chain.marker.angleref == "previous"
    assert real.line.dash != imaginary.line.dash
    for side, axis in ((chain.x, "xaxis"), (chain.y, "yaxis")):
        low, high = hands.figure.layout[axis].range
        assert low <= min(side)
        assert max(side) <= high
    wide, tall = (hands.figure.layout[axis].range for axis in ("xaxis", "yaxis"))
    assert math.isclose(wide[1] - wide[0], tall[1] - tall[0])


def test_the_chosen_bin_is_hatched_and_named(hands):
    for k in (0, 4, 11):
        hands.set("bin", k)
        chosen, band = hands.figure.data[-1], hands.figure.layout.shapes[0]
        assert (list(chosen.x), chosen.marker.pattern.shape) == ([k], "/")
        assert chosen.y[0] == hands.facts()["sizes"][k]
        assert (band.x0, band.x1) == (k - 0.5, k + 0.5)
        assert hands.figure.layout.annotations[0].text.startswith(f"Bin {k}: ")
        assert hands.figure.data[0].visible == (not hands.facts()["closed"])


def test_the_table_holds_every_number_that_is_drawn(hands):
    hands.set("bin", 2)
    header, rows = hands._numbers()
    facts = hands.facts()
    assert len(rows) == N
    assert all(len(row) == len(header) for row in rows)
    for t, row in enumerate(rows):
        assert row[0] == t
        z = facts["path"][t + 1]
        assert np.allclose(row[5:], [z.real, z.imag, facts["sizes"][t]])


# ---- a learner's matrix


def test_a_learners_matrix_is_shown_in_either_precision():
    mine = TurningHands(matrix=lessons.exercise("03.dft_matrix").answer)
    single = TurningHands(lambda n: torch.fft.fft(torch.eye(n)))
    theirs = TurningHands()
    for turns in (0.0, 3.0, 4.5):
        for explorer in (mine, single, theirs):
            explorer.set("turns", turns)
        assert mine.describe() == theirs.describe() == single.describe()
    assert mine.facts()["yours"]
    assert not theirs.facts()["yours"]


def test_a_wrong_matrix_shows_as_wrong():
    wrong = TurningHands(matrix=backwards)
    assert wrong.facts()["lit"] == (9,)
    assert wrong.describe() == (
        "A tone of 3 turns lights bin 9 of 12; in bin 3 the hands close up, and their "
        "sum is 0; your matrix is not that of the definition."
    )
    scaled = TurningHands(lambda n: definition(n) / n)
    assert math.isclose(scaled.facts()["size"], 1)
    assert scaled.describe().endswith("; your matrix is not that of the definition.")
    nothing = TurningHands(lambda n: 0 * definition(n))
    assert "lights no bin" in nothing.describe()


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (lambda n: definition(n)[0], ValueError, r"shape \(12,\).*\(12, 12\)"),
        (lambda n: definition(n + 1), ValueError, r"\(13, 13\); it must be \(12, 12\)"),
        (lambda n: None, TypeError, r"of type NoneType; a tensor"),
        (lambda n: definition(n) / 0, ValueError, r"n = 12 .* holds 144 entries that"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_numbers(matrix, error, message):
    with pytest.raises(error, match=message):
        TurningHands(matrix=matrix)


def test_too_few_hands_are_refused():
    with pytest.raises(ValueError, match=r"n = 3 hands .* take 4 or more"):
        TurningHands(n=3)


# ---- as every explorer


def test_it_keeps_to_what_an_explorer_promises(hands):
    data, metadata = hands._repr_mimebundle_()
    assert data["text/plain"] == hands.describe()
    assert hands.describe() in hands.caption.value
    assert metadata == {}
    first = hands.state(), hands.describe()
    hands.surprise()
    assert hands.state() != first[0]
    hands.reset()
    assert (hands.state(), hands.describe()) == first
    with pytest.raises(ValueError, match="turns can be"):
        hands.set("turns", 0.25)
    hands.show_numbers.value = True
    assert hands._picture.layout.visibility == "hidden"
    assert hands.numbers.value.count("<tr>") == 1 + N
    seen = {name: set() for name in hands.controls}
    states = [state for state, _ in hands.sweep()]
    assert len(states) <= 220
    for state in states:
        for name, value in state.items():
            seen[name].add(value)
    assert {name: set(values) for name, values in hands.controls.items()} == seen
