"""MQAR and induction heads: draw for draw the released ones, slow and fast alike."""

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sampling import Row, assert_drawn_from, seeded

from minihyena.tasks import IGNORED, MQAR, InductionHeads

seeds = st.integers(0, 10**6)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def ids(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def test_the_chi_square_finds_a_draw_that_is_a_tenth_too_frequent() -> None:
    even = {(i,): 1 / 20 for i in range(20)}
    drawn = torch.randint(20, (20_000, 1), generator=seeded())
    assert_drawn_from(drawn, even)
    with pytest.raises(AssertionError):
        assert_drawn_from(torch.cat([drawn, torch.zeros(200, 1).long()]), even)


# ---- induction heads


def test_an_induction_example_is_the_released_one() -> None:
    row = InductionHeads(10, 16).released(rng(0))
    assert row.tolist() == ids("9 3 1 1 7 8 5 6 5 8 7 1 7 1 6 2 9 3")


def triggered(tokens: Row, places: Row, arrow: int, answer: int) -> Row:
    """ "=>" and the answer at places far enough apart, and once more at the end."""
    row, kept = list(tokens), []
    for place in sorted(places):
        if not kept or place - kept[-1] > answer:
            kept.append(place)
    said = row[kept[0] + 1 : kept[0] + 1 + answer]
    for place in kept:
        row[place : place + 1 + answer] = [arrow, *said]
    return (*row, arrow, *said)


@pytest.mark.parametrize(
    ("vocab_size", "length", "answer", "triggers"),
    [(10, 16, 1, 1), (10, 16, 1, 4), (31, 12, 3, 2), (20, 40, 2, 6)],
)
def test_induction_is_drawn_in_the_released_order(
    vocab_size: int, length: int, answer: int, triggers: int
) -> None:
    task = InductionHeads(vocab_size, length, answer, triggers)
    ours, g = rng(7), rng(7)
    p = np.array([0, *[1 / (vocab_size - 2)] * (vocab_size - 2), 0])
    for _ in range(40):
        tokens = tuple(g.choice(vocab_size, length, p=p).tolist())
        used = 1 if g.uniform() < 0.5 else triggers
        places = tuple(g.integers(length - 1 - answer, size=used).tolist())
        expected = triggered(tokens, places, vocab_size - 1, answer)
        assert tuple(task.released(ours).tolist()) == expected


@pytest.mark.parametrize(("length", "answer", "triggers"), [(5, 1, 2), (6, 2, 1)])
def test_the_fast_induction_generator_draws_as_the_released_one(
    length: int, answer: int, triggers: int
) -> None:
    task = InductionHeads(4, length, answer, triggers)
    shares: dict[Row, Fraction] = {}
    for tokens in product((1, 2), repeat=length):
        for used in (1, triggers):
            for places in product(range(length - 1 - answer), repeat=used):
                row = triggered(tokens, places, 3, answer)
                share = Fraction(1, 2 * 2**length * (length - 1 - answer) ** used)
                shares[row] = shares.get(row, Fraction(0)) + share
    inputs, labels = task.batch(20_000, generator=seeded())
    assert_drawn_from(torch.cat([inputs, labels[:, -1:]], dim=1), shares)


@given(seed=seeds)
def test_only_what_follows_the_trigger_matters(seed: int) -> None:
    task = InductionHeads(20, 30, answer=2)
    inputs, labels = task.batch(4, generator=seeded(seed))
    arrows = inputs == task.arrow
    kept = arrows | arrows.roll(1, 1) | arrows.roll(2, 1)
    noise = torch.randint(1, 19, inputs.shape, generator=seeded(seed + 1))
    assert torch.equal(task.solve(torch.where(kept, inputs, noise)), labels)


# ---- MQAR


@pytest.mark.parametrize(
    ("examples", "row", "answers"),
    [
        (1, "8 13 3 11 0 0 3 0 0 0 8 0 0 0 0 0", {6: 11, 10: 13}),
        (2, "8 15 3 12 0 0 8 0 0 0 3 0 0 0 0 0", {6: 15, 10: 12}),
    ],
)
def test_an_mqar_example_is_the_released_one(
    examples: int, row: str, answers: dict[int, int]
) -> None:
    inputs, labels = MQAR(20, 16, 2).released(examples, seed=0)
    assert inputs[0].tolist() == ids(row)
    assert labels[0].tolist() == [answers.get(t, IGNORED) for t in range(16)]


@pytest.mark.parametrize(
    ("vocab_size", "length", "pairs", "power"),
    [(20, 16, 2, 0.01), (129, 64, 8, 0.01), (300, 64, 16, 0.7)],
)
def test_mqar_is_drawn_in_the_released_order(
    vocab_size: int, length: int, pairs: int, power: float
) -> None:
    inputs, labels = MQAR(vocab_size, length, pairs, power).released(5, seed=3)
    g = np.random.RandomState(3)
    room = (length - 2 * pairs) // 2
    p = power * np.arange(1, room + 1) ** (power - 1)
    pools = [
        (np.arange(1, vocab_size // 2), None),
        (np.arange(vocab_size // 2, vocab_size), None),
        (np.arange(room), p / p.sum()),
    ]
    keys, values, gaps = (  # all keys, then all values, then all gaps
        [g.choice(pool, replace=False, p=p, size=pairs) for _ in range(5)]
        for pool, p in pools
    )
    for b in range(5):
        row, answers = [0] * length, [IGNORED] * length
        for j in range(pairs):
            row[2 * j], row[2 * j + 1] = keys[b][j], values[b][j]
            at = 2 * pairs + 2 * gaps[b][j]
            row[at], answers[at] = keys[b][j], values[b][j]
        assert inputs[b].tolist() == row
        assert labels[b].tolist() == answers


@pytest.mark.parametrize("power", [0.01, 0.9])
def test_the_fast_mqar_generator_draws_as_the_released_one(power: float) -> None:
    task = MQAR(vocab_size=9, length=8, pairs=2, power=power)
    p = [1.0, 2 ** (power - 1)]  # two places for the questions
    shares: dict[Row, float] = {}
    for keys in permutations(range(1, 4), 2):
        for values in permutations(range(4, 9), 2):
            pairs = (keys[0], values[0], keys[1], values[1])
            for first in (0, 1):
                row = (*pairs, keys[first], 0, keys[1 - first], 0)
                shares[row] = p[first] / sum(p) / (6 * 20)
    for rows, labels in (
        task.batch(20_000, generator=seeded()),
        task.released(3000, seed=0),
    ):
        assert_drawn_from(rows, shares)
        assert torch.equal(task.solve(rows), labels)


def test_places_of_questions_are_drawn_one_after_the_other_without_return() -> None:
    task = MQAR(vocab_size=17, length=16, pairs=3, power=0.3)
    p = {gap: (gap + 1) ** -0.7 for gap in range(5)}
    shares = {}
    for gaps in permutations(p, 3):
        share, left = 1.0, sum(p.values())
        for gap in gaps:
            share, left = share * p[gap] / left, left - p[gap]
        shares[gaps] = share
    for rows, _ in (
        task.batch(20_000, generator=seeded()),
        task.released(2500, seed=0),
    ):
        asked = rows[:, :6:2, None] == rows[:, None, 6::2]
        assert_drawn_from(asked.int().argmax(2), shares)


@given(seed=seeds)
def test_an_answer_of_mqar_is_the_value_of_its_own_key(seed: int) -> None:
    task = MQAR(128, 64, 8)
    inputs, labels = task.batch(3, generator=seeded(seed))
    for row, answers in zip(inputs.tolist(), labels.tolist(), strict=True):
        pairs = dict(zip(row[:16:2], row[1:16:2], strict=True))
        assert len(pairs) == len(set(pairs.values())) == 8
        asked = {t: answer for t, answer in enumerate(answers) if answer != IGNORED}
        assert len(asked) == 8
        assert all(t >= 16 and t % 2 == 0 for t in asked)
        assert all(answer == pairs[row[t]] for t, answer in asked.items())
        assert all(row[t] == 0 for t in range(16, 64) if t not in asked)
    changed = inputs.clone()
    changed[:, 1:16:2] = inputs[:, 1:16:2].roll(1, 1)  # every key another value
    assert not torch.isin(task.solve(changed)[labels >= 0], IGNORED).any()
    assert not (task.solve(changed) == labels)[labels >= 0].any()


def test_filling_leaves_pairs_and_questions_alone() -> None:
    plain = MQAR(128, 64, 8)
    filled = MQAR(128, 64, 8, filled=True)
    (inputs, labels), (full, same) = (
        task.batch(50, generator=seeded(2)) for task in (plain, filled)
    )
    assert torch.equal(labels, same)
    asked = inputs != 0
    assert torch.equal(inputs[asked], full[asked])
    fillings = full[~asked]
    assert len(fillings.unique()) == 128  # of the whole vocabulary
