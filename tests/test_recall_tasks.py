"""Associative recall: seed for seed the released one, and floors that are known."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sampling import Row, assert_drawn_from, seeded
from torch import Tensor

from minihyena.tasks import IGNORED, AssociativeRecall

RECALL = AssociativeRecall()  # V = 10, L = 16
sizes = st.tuples(st.integers(4, 40), st.integers(2, 40))
seeds = st.integers(0, 10**6)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ids(text: str) -> list[int]:
    return [int(word) for word in text.split()]


# ---- the released twin


def test_one_draw_is_the_released_one() -> None:
    row = RECALL.released(rng())
    assert row.tolist() == ids("2 7 1 8 1 8 1 8 1 8 4 6 3 7 4 6 9 3 7")


def test_a_split_is_the_released_one() -> None:
    g = rng()
    train, test = RECALL.released_split(4, g), RECALL.released_split(2, g)
    assert train[0].tolist() == ids("1 6 1 6 3 5 3 5 3 5 2 6 3 5 4 5 9 2 6")
    assert test[0].tolist() == ids("2 7 2 7 3 6 4 6 1 8 4 6 3 6 2 7 9 3 6")


def recall_as_released(vocab_size: int, length: int, g: np.random.Generator) -> Row:
    """The released generator draw by draw: scalar choices, in this order."""
    symbols = sorted(map(str, range(vocab_size - 2)))
    half = len(symbols) // 2
    keys, values = symbols[:half], symbols[half:]
    meaning = {key: g.choice(values) for key in keys}
    prompt = [g.choice(keys) for _ in range(length // 2)]
    query = g.choice(keys)
    while query not in prompt:
        query = g.choice(list(dict.fromkeys(prompt)))  # in the order first seen
    pairs = [token for key in prompt for token in (key, meaning[key])]
    ordered = sorted([*symbols, ".", "=>"])
    return tuple(ordered.index(t) for t in (*pairs, "=>", query, meaning[query]))


@pytest.mark.parametrize(("vocab_size", "length"), [(10, 16), (31, 8), (40, 33)])
def test_every_draw_is_made_in_the_released_order(vocab_size: int, length: int) -> None:
    task, ours, theirs = AssociativeRecall(vocab_size, length), rng(5), rng(5)
    for _ in range(40):
        expected = recall_as_released(vocab_size, length, theirs)
        assert tuple(task.released(ours).tolist()) == expected


def test_symbols_are_sorted_as_strings() -> None:
    task = AssociativeRecall(vocab_size=14)
    assert " ".join(task.symbols) == "0 1 10 11 2 3 4 5 6 7 8 9"
    assert " ".join(task.keys) == "0 1 10 11 2 3"
    assert list(task.words) == [".", *task.symbols, "=>"]


def test_no_two_rows_of_a_split_are_the_same() -> None:
    rows = AssociativeRecall(vocab_size=6, length=4).released_split(15, rng())
    assert rows.shape == (15, 7)
    assert len({tuple(row.tolist()) for row in rows}) == 15


def test_more_rows_than_there_are_is_refused() -> None:
    tiny = AssociativeRecall(vocab_size=4, length=2)  # one key, one value: one row
    assert tiny.released_split(1, rng()).shape == (1, 5)
    assert tiny.released_split(1, rng()).dtype is torch.int64
    with pytest.raises(ValueError, match="only 1 different rows, not 2; take a larger"):
        tiny.released_split(2, rng())


def recall_shares(vocab_size: int, length: int) -> dict[Row, Fraction]:
    """Every row that the released generator can draw, and how likely it is."""
    keys = range(1, 1 + (vocab_size - 2) // 2)
    values = range(1 + len(keys), vocab_size - 1)
    shares: dict[Row, Fraction] = {}
    draws = Fraction(1, len(values) ** len(keys) * len(keys) ** (length // 2))
    for meaning in product(values, repeat=len(keys)):
        for prompt in product(keys, repeat=length // 2):
            seen = set(prompt)
            for query in seen:  # at once, or after an absent one among those seen
                late = Fraction(len(keys) - len(seen), len(keys) * len(seen))
                pairs = (t for key in prompt for t in (key, meaning[key - 1]))
                row = (*pairs, vocab_size - 1, query, meaning[query - 1])
                share = draws * (Fraction(1, len(keys)) + late)
                shares[row] = shares.get(row, Fraction(0)) + share
    return shares


@pytest.mark.parametrize(("vocab_size", "length"), [(4, 6), (6, 4), (7, 5), (8, 4)])
def test_the_fast_generator_draws_as_the_released_one(
    vocab_size: int, length: int
) -> None:
    task = AssociativeRecall(vocab_size, length)
    shares = recall_shares(vocab_size, length)
    assert task.possible == len(shares)
    inputs, labels = task.batch(20_000, generator=seeded())
    assert_drawn_from(torch.cat([inputs, labels[:, -1:]], dim=1), shares)
    g = rng(1)
    enough = math.ceil(5 / min(shares.values()))
    if enough < 3000:  # the slow twin is slow
        released = torch.stack([task.released(g) for _ in range(enough)])
        assert_drawn_from(released, shares)


# ---- what it asks


@given(size=sizes, seed=seeds)
def test_an_example_is_pairs_then_a_query_that_occurred(
    size: tuple[int, int], seed: int
) -> None:
    vocab_size, length = size
    task = AssociativeRecall(vocab_size, length, scored="all")
    [inputs], [labels] = task.batch(1, generator=seeded(seed))
    assert len(inputs) == len(labels) == 2 * (length // 2) + 2
    assert torch.equal(inputs[1:], labels[:-1])
    *prompt, arrow, query = inputs.tolist()
    keys, values = prompt[::2], prompt[1::2]
    pairs = dict(zip(keys, values, strict=True))
    assert [pairs[key] for key in keys] == values  # one value for a key
    assert arrow == vocab_size - 1
    assert labels[-1] == pairs[query]
    first_value = 1 + (vocab_size - 2) // 2
    assert all(1 <= key < first_value for key in keys)
    assert all(first_value <= value < vocab_size - 1 for value in values)


@given(size=sizes, seed=seeds)
def test_what_is_scored_changes_the_labels_and_nothing_else(
    size: tuple[int, int], seed: int
) -> None:
    scored = ["answer", "answerable", "all"]
    tasks = [AssociativeRecall(*size, scored=which) for which in scored]
    drawn = [task.batch(2, generator=seeded(seed)) for task in tasks]
    for batch in drawn:
        assert torch.equal(batch.inputs, drawn[0].inputs)
    answer, answerable, every = (batch.labels for batch in drawn)
    assert (answer[:, :-1] == IGNORED).all()
    assert torch.equal(answer[:, -1], every[:, -1])
    for row, labels, whole in zip(
        drawn[0].inputs.tolist(), answerable.tolist(), every.tolist(), strict=True
    ):
        keys, expected = set(), [IGNORED] * len(row)
        for t in range(0, len(row) - 2, 2):
            if row[t] in keys:
                expected[t] = row[t + 1]
            keys.add(row[t])
        expected[-1] = whole[-1]
        assert labels == expected


def test_training_asks_for_all_that_can_be_known_and_the_test_does_not() -> None:
    task = AssociativeRecall(12, 20)
    lessons = AssociativeRecall(12, 20, scored="answerable")
    assert task.for_training == lessons.for_training == lessons


@given(seed=seeds)
def test_other_keys_may_mean_what_they_like(seed: int) -> None:
    task = AssociativeRecall(20, 40)
    inputs, labels = task.batch(4, generator=seeded(seed))
    changed = inputs.clone()
    others = inputs[:, :-2:2] != inputs[:, -1:]
    turned = (inputs[:, 1:-2:2] - 10 + 4) % 9 + 10  # each value another one
    changed[:, 1:-2:2] = torch.where(others, turned, inputs[:, 1:-2:2])
    assert torch.equal(task.solve(changed), labels)
    changed[:, 1:-2:2] = turned
    assert not torch.isin(task.solve(changed)[:, -1] - labels[:, -1], 0).any()


# ---- floors


@pytest.mark.parametrize(("vocab_size", "values"), [(10, 4), (20, 9), (30, 14), (9, 4)])
def test_chance_is_one_of_the_values(vocab_size: int, values: int) -> None:
    assert AssociativeRecall(vocab_size, 64).chance == 1 / values


def most_likely_value(inputs: Tensor) -> Tensor:
    """No recall: the value that most of the keys seen in the prompt share."""
    answers = []
    for row in inputs[:, :-2].tolist():
        pairs = dict(zip(row[::2], row[1::2], strict=True))
        values = [*pairs.values()]
        answers.append(max(values, key=values.count))
    return torch.tensor(answers)


@pytest.mark.parametrize(
    ("vocab_size", "length", "low", "high"),
    [(10, 16, 0.52, 0.54), (10, 64, 0.52, 0.54), (20, 16, 0.29, 0.37),
     (20, 64, 0.29, 0.37), (30, 64, 0.20, 0.30), (40, 64, 0.17, 0.26)],
)  # fmt: skip
def test_without_recall_a_part_of_the_answers_can_be_guessed(
    vocab_size: int, length: int, low: float, high: float
) -> None:
    n = 1500
    inputs, labels = AssociativeRecall(vocab_size, length).batch(n, generator=seeded())
    right = float((most_likely_value(inputs) == labels[:, -1]).double().mean())
    error = 3 * math.sqrt(0.25 / n)
    assert low - error < right < high + error


@pytest.mark.parametrize(
    ("vocab_size", "length", "floor"),
    [(10, 16, 0.887), (10, 128, 0.725), (20, 64, 1.358), (30, 16, 2.046),
     (40, 64, 2.122)],
)  # fmt: skip
def test_whoever_recalls_all_still_has_the_loss_that_is_known(
    vocab_size: int, length: int, floor: float
) -> None:
    """Keys, and values of keys not seen before, cannot be known: ln Q for each."""
    task = AssociativeRecall(vocab_size, length, scored="all")
    inputs, _ = task.batch(800, generator=seeded())
    keys, values = len(task.keys), 1 / task.chance
    losses = []
    for row in inputs.tolist():
        seen = [len(set(row[:t:2])) for t in range(2, len(row) - 1, 2)]
        new = len(set(row[:-2:2]))
        loss = (len(seen) - 1) * math.log(keys)  # the second key and those after it
        loss += new * math.log(values) + math.log(new)  # first values; the query
        losses.append(loss / len(row))
    spread = float(np.std(losses)) / math.sqrt(len(losses))
    assert abs(np.mean(losses) - floor) < 4 * spread + 0.001
