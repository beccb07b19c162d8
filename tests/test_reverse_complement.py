"""The reverse-complement toy shows what an operator says of both strands, as it is."""

import math
from types import SimpleNamespace

import pytest
import torch

from minihyena import HyenaOperator, lessons
from minihyena.explore import ReverseComplement

PAIRS = dict(zip("ACGTN", "TGCAN", strict=True))
LETTERS = "ACGTN"

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture
def toy():
    return ReverseComplement()


def one_hot_by_loops(letters):
    x = torch.zeros(1, len(letters), 4)
    for t, letter in enumerate(letters):
        if letter != "N":
            x[0, t, "ACGT".index(letter)] = 1
    return x


def other(letters):
    return "".join(PAIRS[letter] for letter in reversed(letters))


def turned_by_loops(y):
    z = torch.empty_like(y)
    for t in range(len(y)):
        for channel, partner in enumerate((3, 2, 1, 0)):
            z[t, channel] = y[len(y) - 1 - t, partner]
    return z


def student(x):
    """Ten lines of nobody's library: a running sum and a table of weights."""
    table = torch.arange(16.0).reshape(4, 4) / 16
    return x.cumsum(1) @ table


def test_every_state_agrees_with_loops():
    toy = ReverseComplement(student)
    for state, facts in toy.sweep(cap=150):
        letters = facts["letters"]
        assert facts["other_letters"] == other(letters)
        if state["base"] != "as it is":
            assert letters[state["position"]] == state["base"]
        here = student(one_hot_by_loops(letters))[0]
        there = student(one_hot_by_loops(other(letters)))[0]
        if state["way"] == "mean, not turned back":
            here = there = (here + there) / 2
        elif state["way"] == "symmetrised":
            mine, turned = here, turned_by_loops(there)
            here, there = (mine + turned) / 2, (there + turned_by_loops(mine)) / 2
        back = turned_by_loops(there)
        assert torch.allclose(torch.tensor(facts["here"]), here, atol=1e-5)
        assert torch.allclose(torch.tensor(facts["back"]), back, atol=1e-5)
        differ = ((here - back).abs().amax(1) > 1e-3).nonzero()[:, 0].tolist()
        assert list(facts["differ"]) == differ


def test_a_causal_operator_differs_and_symmetrised_it_does_not(toy):
    assert toy.facts()["differ"]
    assert "differs at place" in toy.describe()
    toy.set("way", "mean, not turned back")
    assert toy.facts()["differ"]
    toy.set("way", "symmetrised")
    assert toy.facts()["differ"] == ()
    assert toy.describe().endswith("is the same at all 12 places.")


def test_equal_strands_are_not_enough(toy):
    toy.set("strand", "its own other strand")
    facts = toy.facts()
    assert facts["letters"] == facts["other_letters"]
    assert facts["here"] == facts["there"]
    assert facts["differ"]


def test_the_sentence_uses_the_facts_alone(toy):
    for _, facts in toy.sweep(cap=60):
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert ReverseComplement.describe(only_facts) == toy.describe()


def test_what_a_learner_made_is_asked():
    wrong = ReverseComplement(student, symmetrise=lambda f: lambda x: 0 * f(x) + 1)
    wrong.set("way", "symmetrised")
    assert wrong.facts()["here"] == ((1.0,) * 4,) * 12
    mine = lessons.exercise("12.symmetrise").answer
    right = ReverseComplement({"a": student, "b": torch.sin}, symmetrise=mine)
    right.set("way", "symmetrised")
    for name in ("a", "b"):
        right.set("operator", name)
        assert right.facts()["differ"] == ()


def test_models_of_ids_and_other_channels_fit():
    table = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    toy = ReverseComplement(lambda ids: table[ids].cumsum(1), ids=True)
    assert not toy.facts()["paired_channels"]
    assert toy.facts()["differ"]
    toy.set("way", "symmetrised")
    assert toy.facts()["differ"] == ()
    one = ReverseComplement(lambda x: x.sum(2))
    assert len(one.facts()["here"][0]) == 1
    five = ReverseComplement(lambda ids: torch.eye(5)[ids], ids=True)
    assert five.facts()["differ"] == ()


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (lambda x: x[:, :3], r"\(1, 12, 4\) into \(1, 3, 4\)"),
        (lambda x: None, "into NoneType"),
        (lambda x: x[..., None], r"it must give \(1, 12\) or \(1, 12, C\)"),
    ],
)
def test_another_shape_is_refused_with_both_shapes(operator, message):
    with pytest.raises(ValueError, match=message):
        ReverseComplement(operator)


def test_no_operator_at_all_is_refused():
    with pytest.raises(ValueError, match="no operator to ask"):
        ReverseComplement({})


def test_what_is_no_number_is_told_in_words():
    toy = ReverseComplement(lambda x: x / x.sum(-1, keepdim=True).sub(1))
    assert toy.describe().endswith("where some are NaN or infinite.")
    assert "nan" not in toy.describe()


def test_infinity_at_one_place_does_not_make_the_others_the_same():
    steps = torch.arange(12.0)[None]
    toy = ReverseComplement(lambda x: torch.where(steps > 0, steps, torch.inf))
    assert toy.facts()["differ"] == tuple(range(12))
    assert toy.facts()["largest"] == 11
    assert toy.describe().endswith("where some are NaN or infinite.")
    here, *_, bars = toy.figure.data
    assert list(here.text[0]) == ["?", *"+" * 11]
    assert bars.text[0] == bars.text[-1] == "?"
    assert math.isfinite(toy.figure.layout.yaxis3.range[1])


def test_bars_say_same_by_a_sign_and_not_by_colour_alone(toy):
    *_, bars = toy.figure.data
    toy.set("way", "symmetrised")
    assert set(bars.text) == {"="}
    toy.set("way", "plain")
    assert "=" not in {bars.text[t] for t in toy.facts()["differ"]}
    signs = {sign for line in toy.figure.data[0].text for sign in line}
    assert signs <= {"+", "−", "0"}


def test_the_table_holds_every_number_that_is_drawn(toy):
    header, rows = toy._numbers()
    facts = toy.facts()
    assert len(rows) == 12
    assert all(len(row) == len(header) for row in rows)
    assert "".join(row[1] for row in rows) == facts["letters"]
    assert [row[3:7] for row in rows] == list(facts["here"])
    assert [row[7:11] for row in rows] == list(facts["back"])


def test_a_module_of_the_library_fits_as_it_stands():
    operator = HyenaOperator(4, max_length=12)
    assert ReverseComplement(operator).facts()["operator"] == "your operator"
