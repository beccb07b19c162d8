"""Majority, counting, addition, functions, copying: what is drawn, what is known."""

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sampling import Row, assert_drawn_from, seeded

from minihyena.tasks import (
    IGNORED,
    Addition,
    Counting,
    LinearFunctions,
    Majority,
    SelectiveCopying,
)

seeds = st.integers(0, 10**6)


# ---- majority


def lead(prompt: Row) -> int:
    """By how many the most frequent symbol is ahead; 0 where two are."""
    [(_, most), *rest] = Counter(prompt).most_common()
    return most - (rest[0][1] if rest else 0)


@pytest.mark.parametrize(
    ("symbols", "length", "margin"), [(2, 5, 1), (3, 4, 1), (3, 5, 2), (2, 4, 4)]
)
def test_all_prompts_with_such_a_lead_are_as_likely(
    symbols: int, length: int, margin: int
) -> None:
    every = product(range(symbols), repeat=length)
    possible = [(*p, symbols) for p in every if lead(p) >= margin]
    task = Majority(symbols, length, margin)
    inputs, labels = task.batch(9000, generator=seeded())
    assert_drawn_from(inputs, dict.fromkeys(possible, 1 / len(possible)))
    for row, answer in zip(inputs.tolist(), labels[:, -1].tolist(), strict=True):
        assert Counter(row[:-1]).most_common(1)[0][0] == answer


@pytest.mark.parametrize(
    ("symbols", "length", "right"), [(4, 32, 0.36), (10, 32, 0.21), (10, 128, 0.15)]
)
def test_the_last_symbol_is_a_guess_of_known_worth(
    symbols: int, length: int, right: float
) -> None:
    n = 8000
    inputs, labels = Majority(symbols, length).batch(n, generator=seeded())
    found = float((inputs[:, -2] == labels[:, -1]).double().mean())
    assert abs(found - right) < 0.005 + 4 * math.sqrt(right / n)


@given(seed=seeds)
def test_the_order_of_a_prompt_does_not_matter_to_majority(seed: int) -> None:
    inputs, labels = Majority(5, 24).batch(4, generator=seeded(seed))
    order = [*torch.randperm(24, generator=seeded(seed)).tolist(), 24]
    assert torch.equal(Majority(5, 24).solve(inputs[:, order]), labels)


# ---- counting


@pytest.mark.parametrize(("symbols", "length", "most"), [(3, 4, 3), (2, 5, 5)])
def test_every_count_is_as_likely_and_so_are_its_places(
    symbols: int, length: int, most: int
) -> None:
    shares = {}
    for row in product(range(symbols), repeat=length):
        count = row.count(row[-1])
        if count <= most:
            ways = math.comb(length - 1, count - 1) * (symbols - 1) ** (length - count)
            shares[*row, symbols - 1 + count] = Fraction(1, symbols * most * ways)
    inputs, labels = Counting(symbols, length, most).batch(9000, generator=seeded())
    assert_drawn_from(torch.cat([inputs, labels[:, -1:]], 1), shares)


def test_the_answer_of_counting_is_a_word_of_its_own() -> None:
    task = Counting(3, 7, 5)
    row = [0, 1, 1, 1, 0, 2, 1]  # the paper's example, a b b b a c b: 4 times b
    answer = task.solve(torch.tensor([row]))[0, -1]
    assert task.words[answer] == "4"
    assert answer >= task.symbols


@given(seed=seeds)
def test_other_symbols_do_not_matter_to_counting(seed: int) -> None:
    task = Counting(4, 24, 9)
    inputs, labels = task.batch(4, generator=seeded(seed))
    last = inputs[:, -1:]
    turned = (last + 1 + (inputs - last - 1) % 4 % 3) % 4
    other = torch.where(inputs == last, inputs, turned)
    assert torch.equal(other == last, inputs == last)
    order = [*torch.randperm(23, generator=seeded(seed)).tolist(), 23]
    assert torch.equal(task.solve(other[:, order]), labels)


# ---- addition


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("digits", [1, 2, 3])
def test_sums_are_right_and_all_numbers_as_likely(digits: int, reverse: bool) -> None:
    task = Addition(digits, reverse)
    inputs, labels = task.batch(3000, generator=seeded())
    for row, answers in zip(inputs.tolist(), labels.tolist(), strict=True):
        first, second = (
            int("".join(map(str, row[at : at + digits]))) for at in (0, digits)
        )
        total = [int(digit) for digit in f"{first + second:0{digits + 1}}"]
        if reverse:
            total.reverse()
        assert answers == [IGNORED] * (2 * digits - 1) + total
        assert row[2 * digits :] == total[:-1]  # each is said after those before it
    if digits == 1:
        pairs = dict.fromkeys(product(range(10), repeat=2), 1 / 100)
        assert_drawn_from(inputs[:, :2], pairs)


def test_the_row_of_the_reference_is_read_from_left_to_right() -> None:
    task = Addition(3)
    inputs = torch.tensor([[1, 2, 3, 9, 5, 4, 1, 0, 7]])
    assert task.solve(inputs)[0].tolist() == [IGNORED] * 5 + [1, 0, 7, 7]


@pytest.mark.parametrize("digits", [1, 2])
def test_the_best_constant_sum_is_chance(digits: int) -> None:
    numbers = range(10**digits)
    sums = Counter(a + b for a in numbers for b in numbers)
    [(best, count)] = sums.most_common(1)
    assert best == 10**digits - 1
    assert Addition(digits).chance == count / 10 ** (2 * digits)


def test_the_leading_digit_is_nearly_even() -> None:
    n, digits = 6000, 3
    _, labels = Addition(digits).batch(n, generator=seeded())
    ones = float(labels[:, 2 * digits - 1].double().mean())
    share = (10**digits - 1) / (2 * 10**digits)
    assert abs(ones - share) < 4 * math.sqrt(0.25 / n)


def test_one_wrong_digit_makes_a_sum_wrong() -> None:
    task = Addition(3)
    inputs, labels = task.batch(10, generator=seeded())
    answers = task.solve(inputs)
    answers[:4, -1] = 9 - answers[:4, -1]  # never the same digit
    assert task.score(answers, labels) == 0.6


@given(seed=seeds)
def test_the_order_of_two_numbers_does_not_matter(seed: int) -> None:
    inputs, labels = Addition(5).batch(4, generator=seeded(seed))
    swapped = torch.cat([inputs[:, 5:10], inputs[:, :5], inputs[:, 10:]], 1)
    assert torch.equal(Addition(5).solve(swapped), labels)


# ---- linear functions


def test_inputs_are_x_and_w_times_x_in_turn() -> None:
    task = LinearFunctions(3, 8)
    inputs, labels = task.batch(5, generator=seeded())
    x, y = inputs[:, ::2], inputs[:, 1::2]
    assert not x[:, :, -1].any()
    assert not y[:, :, :-1].any()
    w = torch.linalg.lstsq(x[:, :7, :3].double(), y[:, :, 3:].double()).solution
    asked = (x[:, 3:, :3].double() @ w)[:, :, 0].float()
    torch.testing.assert_close(labels[:, 6::2], asked, rtol=1e-3, atol=1e-4)
    assert labels[:, :6].isnan().all()  # not yet determined
    assert labels[:, 1::2].isnan().all()


def test_draws_are_standard_normal() -> None:
    task, n = LinearFunctions(3, 8), 4000
    inputs, _ = task.batch(n, generator=seeded())
    x, y = inputs[:, ::2, :3], inputs[:, 1::2, 3]
    assert x.mean().abs() < 4 / math.sqrt(x.numel())
    assert (x.var() - 1).abs() < 4 * math.sqrt(2 / x.numel())
    far = float((x.abs() > 1.96).double().mean())
    assert abs(far - 0.05) < 4 * math.sqrt(0.05 / x.numel())
    worth = y.square().mean(1) / 3  # of a row: its rounds share one w
    assert abs(worth.mean() - 1) < 4 * worth.std() / math.sqrt(n)


@pytest.mark.parametrize("dimension", [2, 4])
def test_before_enough_pairs_a_known_part_is_lost(dimension: int) -> None:
    task = LinearFunctions(dimension, dimension + 3, scored="all")
    inputs, labels = task.batch(9000, generator=seeded())
    errors = (task.solve(inputs) - labels).square()[:, ::2] / dimension
    for k, lost in enumerate(errors.T):
        floor = max(dimension - k, 0) / dimension
        spread = float(lost.std()) / math.sqrt(len(lost))
        assert abs(float(lost.mean()) - floor) < 4 * spread + 1e-4


def test_saying_zero_scores_zero_and_saying_the_mean_error_less() -> None:
    task = LinearFunctions(3, 12)
    _, labels = task.batch(20_000, generator=seeded())
    zero = torch.zeros_like(labels)
    assert abs(task.score(zero, labels) - task.chance) < 0.05
    assert task.score(zero + 1, labels) == pytest.approx(
        task.score(zero, labels) - 1 / 3, abs=0.02
    )
    assert task.score(-labels, labels) < -2.8  # twice as far as zero


@given(seed=seeds, factor=st.floats(-3, 3))
def test_a_function_so_many_times_as_large_has_such_answers(
    seed: int, factor: float
) -> None:
    task = LinearFunctions(2, 6)
    inputs, labels = task.batch(2, generator=seeded(seed))
    inputs[:, 1::2] *= factor
    last = task.solve(inputs)[:, -1]  # with more pairs than it needs
    torch.testing.assert_close(last, factor * labels[:, -1], rtol=1e-3, atol=1e-3)


# ---- selective copying


@pytest.mark.parametrize(("length", "tokens"), [(7, 2), (6, 1), (9, 3)])
def test_tokens_and_their_places_are_all_as_likely(length: int, tokens: int) -> None:
    blank, copy, room = 2, 3, length - tokens - 1
    rows = []
    for data in product(range(2), repeat=tokens):
        for places in combinations(range(room), tokens):
            row = [blank] * length
            for place, token in zip(places, data, strict=True):
                row[place] = token
            row[room] = copy
            rows.append((*row, *data))
    task = SelectiveCopying(4, length, tokens)
    inputs, labels = task.batch(9000, generator=seeded())
    assert (labels[:, :-tokens] == IGNORED).all()
    found = torch.cat([inputs, labels[:, -tokens:]], 1)
    assert_drawn_from(found, dict.fromkeys(rows, 1 / len(rows)))


@given(seed=seeds)
def test_blanks_do_not_matter_to_copying(seed: int) -> None:
    task, plain = SelectiveCopying(9, 40, 6), SelectiveCopying(9, 40, 6, False)
    inputs, labels = task.batch(3, generator=seeded(seed))
    packed = torch.full_like(inputs, 7)
    packed[:, -7] = 8
    packed[:, :6] = labels[:, -6:]
    for solver in (task, plain):
        assert torch.equal(solver.solve(packed), labels)
        assert torch.equal(solver.solve(inputs), labels)
