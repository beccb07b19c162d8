"""The Toeplitz explorer shows the matrix that a convolution really is."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import causal_conv, lessons
from minihyena.explore import ToeplitzExplorer

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def explorer():
    return ToeplitzExplorer()


def by_lags(taps, length, reads):
    """Entry by entry, from what the three kinds mean."""
    table = np.zeros((length, length))
    for t in range(length):
        for s in range(length):
            if reads == "circulant":
                table[t, s] = taps[(t - s) % length]
            elif s <= t:
                table[t, s] = taps[t - s]
            elif reads == "two-sided":
                table[t, s] = taps[s - t] / 2
    return table


def test_every_state_is_the_matrix_written_down(explorer):
    for state, facts in explorer.sweep(cap=700):
        length = state["length"]
        expected = by_lags(facts["taps"], length, state["reads"])
        np.testing.assert_allclose(facts["matrix"], expected, atol=1e-6)
        assert facts["uneven"] == ()
        assert facts["above"] == np.count_nonzero(np.abs(np.triu(expected, 1)) > 1e-6)
        assert facts["exact"] == (not np.triu(expected, 1).any())
        for lag, value in facts["diagonals"].items():
            assert value == pytest.approx(np.diagonal(expected, -lag)[0], abs=1e-6)


def test_the_sentence_says_what_is_above_the_diagonal(explorer):
    assert explorer.describe() == (
        "“fading echo”, causal, 8 steps: 8 of 15 diagonals are filled; all 28 entries "
        "above the main one are exactly 0; at lag 2 stands 0.56, 6 times."
    )
    explorer.set("reads", "circulant")
    assert explorer.describe() == (
        "“fading echo”, circulant, 8 steps: 15 of 15 diagonals are filled; 28 of 28 "
        "entries above the main one are not 0; the top right corner holds 0.75; at lag "
        "2 stands 0.56, 6 times."
    )
    explorer.set("filter", "one tap, two steps late")
    assert "; the top right corner is empty; " in explorer.describe()
    explorer.set("reads", "causal")
    assert "1 of 15 diagonals is filled" in explorer.describe()


def test_the_sentence_counts_what_the_facts_count(explorer):
    for _, facts in explorer.sweep():
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        said = explorer.describe()
        assert ToeplitzExplorer.describe(only_facts) == said
        found = re.search(r": (\d+) of (\d+) diagonals", said)
        assert int(found.group(1)) == facts["filled"]
        assert int(found.group(2)) == 2 * facts["length"] - 1


def test_the_framed_diagonal_belongs_to_the_hatched_bar(explorer):
    explorer.set("lag", -3)
    bars, hatched, cells, _, signs, border = explorer.figure.data
    assert list(hatched.x) == [-3]
    assert hatched.marker.pattern.shape == "/"
    assert sorted([*bars.x, -3]) == list(range(-7, 8))
    corners = list(zip(border.x, border.y, strict=True))[::6]
    assert corners == [(t + 3 - 0.5, t - 0.5) for t in range(5)]
    assert len(signs.x) == 36
    assert np.array(cells.customdata).shape == (8, 8)


def test_a_learners_own_matrix_is_what_is_drawn(explorer):
    answer = lessons.exercise("02.toeplitz").answer
    mine = ToeplitzExplorer(lambda u, h: answer(h) @ u)
    for state, facts in mine.sweep(cap=30):
        for name, value in state.items():
            explorer.set(name, value)
        np.testing.assert_allclose(
            facts["matrix"], explorer.facts()["matrix"], atol=1e-6
        )
    turned = ToeplitzExplorer(lambda u, h: answer(h).T @ u)
    assert turned.facts()["above"] == 28


def test_a_convolution_by_fft_is_zero_up_to_rounding():
    def by_fft(u, h):
        return causal_conv(u[None, None], h[None], method="fft")[0, 0] + 1e-9

    shown = ToeplitzExplorer(by_fft)
    assert "are 0 up to rounding" in shown.describe()
    shown.set("lag", -5)
    assert shown.describe().endswith("at lag -5 stands 0, 3 times.")


def test_what_is_no_convolution_has_uneven_diagonals():
    def ramp(u, h):
        return torch.arange(len(u)) * u

    shown = ToeplitzExplorer(ramp)
    assert shown.facts()["uneven"] == (0,)
    shown.set("lag", 0)
    assert "1 of them with more than one number" in shown.describe()
    assert shown.describe().endswith("at lag 0 the numbers differ.")


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        (lambda u, h: u[1:], r"u \(8,\) and h \(8,\) into \(7,\); it must give \(8,\)"),
        (lambda u, h: None, "into NoneType"),
    ],
)
def test_another_shape_is_refused_with_both(conv, message):
    with pytest.raises(ValueError, match=message):
        ToeplitzExplorer(conv)


def test_the_table_holds_the_whole_matrix(explorer):
    header, rows = explorer._numbers()
    assert len(rows) == 8
    assert all(len(row) == len(header) == 9 for row in rows)
    assert [row[1:] for row in rows] == list(explorer.facts()["matrix"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_number_is_told_and_never_called_zero(value):
    def broken(u, h):
        y = causal_conv(u[None, None], h[None])[0, 0]
        return torch.where(torch.arange(len(u)) == 2, value, y)

    explorer = ToeplitzExplorer(broken)
    said = explorer.describe()
    assert "filled; 8 entries are NaN or infinite" in said
    assert "are exactly 0" not in said
    assert explorer.facts()["above"] == 5  # those of row 2
    assert explorer.facts()["uneven"] == ()
    assert set(range(-7, 8)) - set(explorer.facts()["diagonals"]) == set(range(-5, 3))
    assert said.endswith("at lag 2 stands NaN or infinity.")


def test_what_is_no_number_leaves_the_rest_of_the_picture(explorer):
    nothing = torch.tensor([torch.nan, *(0.0,) * 7])
    broken = ToeplitzExplorer(lambda u, h: explorer.conv(u, h) + nothing)
    assert broken.figure.data[2].z[1:] == explorer.figure.data[2].z[1:]


def test_a_diagonal_of_one_entry_stands_once_and_an_empty_one_holds_zero(explorer):
    explorer.set("length", 6)
    explorer.set("lag", 5)
    assert explorer.describe().endswith("at lag 5 stands 0.24, once.")
    explorer.set("lag", -5)
    assert explorer.describe().endswith("at lag -5 stands 0, once.")
