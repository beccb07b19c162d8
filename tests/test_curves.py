"""What a loss costs, on made-up curves whose answers are known."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihyena.experiments import Results, TextRun
from minihyena.experiments.curves import (
    AXES,
    by_text,
    curve_of,
    loss_at,
    needed,
    saving,
)

CURVE = [(10.0, 3.0), (1000.0, 2.0), (4000.0, 1.0)]


def run(losses: list[float], model: str = "ours", **fields: object) -> TextRun:
    """A run with a loss after every step; a step is 100 FLOPs, 60 of them causal."""
    curve = tuple((i, 2.0 * i, loss) for i, loss in enumerate(losses, 1))
    made = TextRun("key", model, "a text", "5a", 16, 8, 1, 900, 100.0, 60.0, 0.02, 1e-3,
                   0, len(losses), 32, losses[-1], 8.0, curve)  # fmt: skip
    return replace(made, **fields)


def test_a_curve_is_told_by_what_was_spent() -> None:
    found = run([3.0, 2.0])
    assert {axis: curve_of(found, axis) for axis in AXES} == {
        "flops": [(100, 3.0), (200, 2.0)],
        "flops_causal": [(60, 3.0), (120, 2.0)],
        "tokens": [(32, 3.0), (64, 2.0)],
        "seconds": [(2.0, 3.0), (4.0, 2.0)],
    }
    with pytest.raises(ValueError, match="axis"):
        curve_of(found, "token")


def test_between_two_points_the_loss_is_linear_in_the_logarithm() -> None:
    assert loss_at(CURVE, 100) == pytest.approx(2.5)  # half of the way in decades
    assert loss_at(CURVE, 2000) == pytest.approx(1.5)  # of two doublings, one
    assert [loss_at(CURVE, spent) for spent, _ in CURVE] == [3.0, 2.0, 1.0]


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert loss_at(CURVE, 9) is None
    assert loss_at(CURVE, 4001) is None
    assert loss_at([], 1) is None
    assert needed(CURVE, 0.99) is None
    assert needed([], 2.0) is None


def test_what_is_needed_is_read_off_the_same_lines() -> None:
    assert needed(CURVE, 2.5) == pytest.approx(100)
    assert needed(CURVE, 1.5) == pytest.approx(2000)
    assert needed(CURVE, 1.0) == pytest.approx(4000)
    assert needed(CURVE, 3.5) == 10  # there already at the first look


def test_the_first_time_counts_though_the_curve_goes_up_again() -> None:
    noisy = [(1.0, 3.0), (2.0, 2.0), (4.0, 2.5), (8.0, 1.0)]
    assert needed(noisy, 2.2) == pytest.approx(2**0.8)


@given(
    st.lists(st.floats(0.5, 5.0), min_size=2, max_size=9, unique=True),
    st.floats(0, 1),
)
def test_one_undoes_the_other(losses: list[float], part: float) -> None:
    falling = [(2.0**i, x) for i, x in enumerate(sorted(losses, reverse=True))]
    loss = falling[-1][1] + part * (falling[0][1] - falling[-1][1])
    spent = needed(falling, loss)
    assert spent is not None
    found = loss_at(falling, min(spent, falling[-1][0]))
    assert found == pytest.approx(loss, abs=1e-9)


THEIRS = run([4.0, 3.0, 2.5, 2.0], "theirs", loss=1.9)  # of all that is held out


def saved(ours: TextRun, axis: str = "flops") -> float:
    """By one run, of THEIRS."""
    found = saving([ours], [THEIRS], axis)
    assert found is not None
    [share] = found.shares
    return share


def test_what_is_saved_is_the_share_of_what_the_other_spends_in_all() -> None:
    ours = run([3.0, 2.0, 1.8, 1.6], flops=50.0, flops_causal=50.0)
    assert saved(ours, "tokens") == pytest.approx(0.5)  # step 2 of 4
    assert saved(ours) == pytest.approx(1 - 100 / 400)
    assert saved(ours, "flops_causal") == pytest.approx(1 - 100 / 240)


def test_who_spends_more_saves_less_than_nothing() -> None:
    assert saved(run([4.0, 3.0, 2.5, 2.0], flops=150.0)) == pytest.approx(-0.5)


def test_what_is_saved_is_told_over_the_seeds_pair_by_pair() -> None:
    theirs = [THEIRS, replace(THEIRS, seed=1)]
    ours = [run([3.0, 2.0, 1.8, 1.6]), run([3.0, 2.5, 2.4, 2.0], seed=1)]
    found = saving(ours, theirs)
    assert found
    assert found.shares == pytest.approx((0.5, 0.0))
    assert (found.low, found.mean, found.high) == pytest.approx((0.0, 0.25, 0.5))


def test_who_never_gets_there_saves_nothing_that_could_be_told() -> None:
    late = run([4.0, 3.5, 3.2, 2.01], seed=1)
    theirs = [THEIRS, replace(THEIRS, seed=1)]
    assert saving([run([3.0, 2.0, 1.8, 1.6]), late], theirs) is None


@pytest.mark.parametrize("change", [{"seed": 1}, {"sha256": "6b"}, {"length": 8}])
def test_only_runs_of_the_same_seed_and_text_are_paired(change: dict) -> None:
    with pytest.raises(ValueError, match="same texts and seeds"):
        saving([run([2.0], **change)], [THEIRS])
    with pytest.raises(ValueError, match="same texts and seeds"):
        saving([], [])


def test_a_run_that_diverged_is_not_compared() -> None:
    with pytest.raises(ValueError, match="no final loss: ours, seed 0"):
        saving([run([2.0], loss=None)], [THEIRS])


def test_runs_are_found_by_text_and_model_at_the_rate_that_did_best() -> None:
    runs = [
        run([3.0, 2.0]),
        run([3.0, 1.0], learning_rate=1e-2),
        run([3.0, 1.5], learning_rate=1e-2, seed=1),
        replace(THEIRS, key="another"),
        run([3.0, 2.0], length=8, key="a third"),
    ]
    found = by_text(Results("", "", "", "", {}, {}, 1, tuple(runs)))
    assert {place: [*models] for place, models in found.items()} == {
        ("a text", 16): ["ours", "theirs"],
        ("a text", 8): ["ours"],
    }
    assert [r.loss for r in found["a text", 16]["ours"]] == [1.0, 1.5]


def test_seconds_that_were_none_are_no_division() -> None:
    assert math.isclose(needed([(0.0, 3.0), (2.0, 1.0)], 2.0) or 0, 2.0)
    assert loss_at([(0.0, 3.0), (2.0, 1.0)], 1.0) == 1.0
