"""The 2-D filter painter shows what a convolution really does to a picture."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import lessons
from minihyena.explore import ImageFilter
from minihyena.explore.image_filter import fading_wave

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def painter():
    return ImageFilter()


def by_numpy(image, filt):
    """The whole convolution in float64, its first rows and columns kept."""
    image, filt = np.array(image), np.array(filt)
    y = np.zeros((len(image) + len(filt), len(image[0]) + len(filt[0])))
    for i, line in enumerate(image):
        for j, value in enumerate(line):
            y[i : i + len(filt), j : j + len(filt[0])] += value * filt
    return y[: len(image), : len(image[0])]


def test_the_right_way_agrees_with_numpy_in_every_state(painter):
    states = 0
    for state, facts in painter.sweep(cap=60):
        if state["way"] != "spectra with room":
            continue
        states += 1
        right = by_numpy(facts["image"], facts["filter"])
        assert np.allclose(facts["output"], right, atol=1e-4)
        assert facts["wrong"] == ()
        assert facts["two_passes_agree"]
        assert np.linalg.matrix_rank(np.array(facts["filter"]), 1e-5) == 1
    assert states > 10


def test_the_sentence_says_whose_two_passes_are_compared():
    def conv2d(image, filt):
        return torch.from_numpy(by_numpy(image.tolist(), filt.tolist()))

    said = ImageFilter(conv2d).describe()
    assert "by your conv2d: all 400 pixels agree with the slow route" in said
    assert "; on that route 12 taps across, then 12 down give the same." in said


def test_a_wrong_way_is_marked_where_it_differs(painter):
    painter.set("picture", "a bright corner")
    for way in painter.controls["way"][1:]:
        painter.set("way", way)
        facts = painter.facts()
        right = by_numpy(facts["image"], facts["filter"])
        off = np.abs(np.array(facts["output"]) - right) > 1e-4 * np.abs(right).max()
        assert facts["wrong"] == tuple(map(tuple, np.argwhere(off)))
        assert facts["wrong"]
        crosses = next(t for t in painter.figure.data if t.name == "wrong pixel")
        assert set(zip(crosses.y, crosses.x, strict=True)) == set(facts["wrong"])


def test_the_tail_comes_round_where_there_is_no_room(painter):
    painter.set("picture", "a bright corner")
    painter.set("way", "room below only")
    assert painter.facts()["rows"] == (17, 18, 19)
    assert painter.facts()["columns"] == tuple(range(11))
    painter.set("way", "one long line")
    assert painter.facts()["rows"] == (18, 19)


def test_a_single_pixel_becomes_the_filter(painter):
    painter.set("picture", "one pixel")
    facts = painter.facts()
    [(i, j)] = np.argwhere(np.array(facts["image"]) == 1)
    corner = np.array(facts["output"])[i : i + 12, j : j + 12]
    assert np.allclose(corner, np.array(facts["filter"]), atol=1e-5)


def test_a_fading_wave_is_its_formula():
    n = np.arange(12)
    h = np.exp(-0.2 * n) * np.cos(2 * np.pi * 3 * n / 12)
    assert np.allclose(fading_wave(0.2, 3), h / np.abs(h).sum(), atol=1e-6)


def test_the_sentence_counts_what_the_facts_count(painter):
    for _, facts in painter.sweep(cap=60):
        said = painter.describe()
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert ImageFilter.describe(only_facts) == said
        assert ("all 400 pixels agree" in said) == (not facts["wrong"])
        if facts["wrong"]:
            assert re.search(rf"{len(facts['wrong'])} of 400 pixels differ", said)


def test_an_exercise_fits_in_as_it_stands():
    mine = ImageFilter(lessons.exercise("12.conv2d_fft").answer)
    assert mine.state()["way"] == "your conv2d"
    assert mine.facts()["wrong"] == ()


def test_a_learners_mistake_is_shown():
    shifted = ImageFilter(lambda image, filt: image.roll(1, 0))
    assert shifted.facts()["wrong"]
    broken = ImageFilter(lambda image, filt: image * torch.nan)
    assert len(broken.facts()["wrong"]) == 400


@pytest.mark.parametrize(
    ("conv2d", "message"),
    [
        (lambda u, h: u[:3], r"\(20, 20\) and a filter \(12, 12\) into \(3, 20\)"),
        (lambda u, h: None, "into NoneType"),
    ],
)
def test_another_shape_is_refused_with_the_shapes(conv2d, message):
    with pytest.raises(ValueError, match=message):
        ImageFilter(conv2d)


def test_too_small_a_picture_is_refused():
    with pytest.raises(ValueError, match="size 8 is less than the filter's 12 taps"):
        ImageFilter(size=8)


def test_the_table_holds_every_pixel(painter):
    header, rows = painter._numbers()
    assert len(rows) == 20
    assert all(len(row) == len(header) == 22 for row in rows)
