"""Recall tasks: seed for seed the released generator, and floors that are known."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minihyena.tasks import IGNORED, AssociativeRecall

RECALL = AssociativeRecall()  # V = 10, L = 16
sizes = st.tuples(st.integers(4, 40), st.integers(2, 40))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ids(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def test_one_draw_is_the_released_one() -> None:
    inputs, labels = RECALL.example(rng())
    assert inputs.tolist() == ids("2 7 1 8 1 8 1 8 1 8 4 6 3 7 4 6 9 3")
    assert labels.tolist() == [*inputs[1:].tolist(), 7]


def test_a_split_is_the_released_one() -> None:
    g = rng()
    train, test = RECALL.distinct(4, g), RECALL.distinct(2, g)
    assert train[0].tolist() == ids("1 6 1 6 3 5 3 5 3 5 2 6 3 5 4 5 9 2 6")
    assert test[0].tolist() == ids("2 7 2 7 3 6 4 6 1 8 4 6 3 6 2 7 9 3 6")


def as_released(vocab_size: int, length: int, g: np.random.Generator) -> list[int]:
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
    return [ordered.index(t) for t in (*pairs, "=>", query, meaning[query])]


@pytest.mark.parametrize(("vocab_size", "length"), [(10, 16), (31, 8), (40, 33)])
def test_every_draw_is_made_in_the_released_order(vocab_size: int, length: int) -> None:
    task, ours, theirs = AssociativeRecall(vocab_size, length), rng(5), rng(5)
    for _ in range(40):
        inputs, labels = task.example(ours)
        expected = as_released(vocab_size, length, theirs)
        assert [*inputs.tolist(), int(labels[-1])] == expected


def test_symbols_are_sorted_as_strings() -> None:
    task = AssociativeRecall(vocab_size=14)
    assert " ".join(task.symbols) == "0 1 10 11 2 3 4 5 6 7 8 9"
    assert " ".join(task.keys) == "0 1 10 11 2 3"
    assert task.vocabulary == [".", *task.symbols, "=>"]


@given(size=sizes, seed=st.integers(0, 10**6))
def test_an_example_is_pairs_then_a_query_that_occurred(
    size: tuple[int, int], seed: int
) -> None:
    vocab_size, length = size
    task = AssociativeRecall(vocab_size, length)
    inputs, labels = task.example(rng(seed))
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


@given(size=sizes, seed=st.integers(0, 10**6))
def test_the_solver_is_always_right(size: tuple[int, int], seed: int) -> None:
    task = AssociativeRecall(*size)
    inputs, labels = task.batch(5, rng(seed))
    assert torch.equal(task.solve(inputs), labels[:, -1])


def test_only_the_answer_is_scored() -> None:
    inputs, labels = RECALL.batch(20, rng())
    assert inputs.shape == labels.shape == (20, 18)
    assert (labels[:, :-1] == IGNORED).all()
    assert (labels[:, -1] != IGNORED).all()


def test_the_same_seed_gives_the_same_batch() -> None:
    (one, _), (same, _), (other, _) = (RECALL.batch(9, rng(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_batch_is_its_examples_one_after_the_other() -> None:
    g = rng()
    expected = torch.stack([RECALL.example(g)[0] for _ in range(5)])
    assert torch.equal(RECALL.batch(5, rng())[0], expected)


def test_no_two_rows_of_a_split_are_the_same() -> None:
    small = AssociativeRecall(vocab_size=6, length=4)
    rows = small.distinct(15, rng())
    assert rows.shape == (15, 7)
    assert len({tuple(row.tolist()) for row in rows}) == 15


def test_more_rows_than_there_are_is_refused() -> None:
    tiny = AssociativeRecall(vocab_size=4, length=2)  # one key, one value: one row
    assert tiny.distinct(1, rng()).shape == (1, 5)
    with pytest.raises(ValueError, match="only 1 different rows, not 2"):
        tiny.distinct(2, rng())


@pytest.mark.parametrize(("vocab_size", "length"), [(4, 6), (6, 4), (7, 5), (8, 4)])
def test_the_number_of_different_rows_is_that_of_all_that_can_be_drawn(
    vocab_size: int, length: int
) -> None:
    task = AssociativeRecall(vocab_size, length)
    pairs, values = length // 2, round(1 / task.chance)
    found = {
        (prompt, tuple(map(meaning.__getitem__, prompt)), query)
        for prompt in product(range(len(task.keys)), repeat=pairs)
        for meaning in product(range(values), repeat=len(task.keys))
        for query in prompt
    }
    assert task.possible == len(found)


@pytest.mark.parametrize(("vocab_size", "values"), [(10, 4), (20, 9), (30, 14), (9, 4)])
def test_chance_is_one_of_the_values(vocab_size: int, values: int) -> None:
    task = AssociativeRecall(vocab_size, 64)
    assert task.chance == 1 / values
    n = 600
    _, labels = task.batch(n, rng())
    guess = torch.randint(
        vocab_size - 1 - values,
        vocab_size - 1,
        (n,),
        generator=torch.Generator().manual_seed(0),
    )
    right = (guess == labels[:, -1]).double().mean()
    assert abs(right - task.chance) < 4 * math.sqrt(task.chance / n)


def most_likely_value(inputs: Tensor) -> Tensor:
    """No recall: the value that most of the keys seen in the prompt share."""
    answers = []
    for row in inputs[:, :-2].tolist():
        pairs = dict(zip(row[::2], row[1::2], strict=True))
        values = [*pairs.values()]
        answers.append(max(values, key=values.count))
    return torch.tensor(answers)


@pytest.mark.parametrize("length", [16, 64])
def test_without_recall_half_of_the_answers_can_be_guessed(length: int) -> None:
    n = 1200
    inputs, labels = AssociativeRecall(10, length).batch(n, rng())
    right = float((most_likely_value(inputs) == labels[:, -1]).double().mean())
    error = 3 * math.sqrt(0.25 / n)
    assert 0.52 - error < right < 0.54 + error


@pytest.mark.parametrize("sizes", [(3, 16), (10, 1), (0, 0)])
def test_an_impossible_task_is_refused(sizes: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=f"got {sizes[0]} and {sizes[1]}"):
        AssociativeRecall(*sizes)
