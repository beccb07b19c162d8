"""What every task promises: exact answers, honest chance, no leak, one generator."""

import math
import random
import re
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sampling import seeded
from torch import Tensor

from minihyena.tasks import (
    IGNORED,
    MQAR,
    TASKS,
    Addition,
    AssociativeRecall,
    Batch,
    Counting,
    InductionHeads,
    LinearFunctions,
    Majority,
    SelectiveCopying,
    Task,
)
from minihyena.tasks.base import letters

# Of every kind one or more sizes, and the most that the token at one place may tell of
# an answer: chance, the shortcuts that are known, and a margin.
TOLD = {
    AssociativeRecall(30, 64): 0.22,
    AssociativeRecall(30, 64, scored="answerable"): 0.25,
    MQAR(80, 64, 4): 0.3,  # with four values to choose from
    InductionHeads(20, 40): 0.13,
    InductionHeads(20, 40, answer=2, triggers=3): 0.13,
    SelectiveCopying(12, 64, 6): 0.25,
    Majority(4, 32): 0.45,  # any one symbol is the most frequent one in .36
    Counting(4, 32, 8): 0.25,
    Addition(3): 0.4,  # the leading digit in .75, the others in .1 to .3
    Addition(3, reverse=True): 0.4,
}
FUNCTIONS = LinearFunctions(3, 12)
EVERY = [*TOLD, FUNCTIONS]
every_task = pytest.mark.parametrize("task", EVERY, ids=str)
with_tokens = pytest.mark.parametrize("task", TOLD, ids=str)


def whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@st.composite
def any_task(draw: st.DrawFn) -> Task:
    """A task of any kind and any possible size."""
    kind = draw(st.sampled_from(sorted(TASKS)))
    if kind == "recall":
        scored = draw(st.sampled_from(["answer", "answerable"]))
        return AssociativeRecall(draw(whole(4, 40)), draw(whole(2, 40)), scored)
    if kind == "mqar":
        pairs = draw(whole(1, 6))
        length = 4 * pairs + 2 * draw(whole(0, 10))
        vocab_size, power = length + draw(whole(1, 30)), draw(st.floats(0.01, 2))
        return MQAR(vocab_size, length, pairs, power, draw(st.booleans()))
    if kind == "induction":
        answer = draw(whole(1, 3))
        length = answer + 2 + draw(whole(0, 40))
        triggers = draw(whole(1, min(4, length)))
        return InductionHeads(draw(whole(3, 30)), length, answer, triggers)
    if kind == "copying":
        tokens = draw(whole(1, 8))
        length = 2 * tokens + 1 + draw(whole(0, 40))
        return SelectiveCopying(draw(whole(3, 20)), length, tokens, draw(st.booleans()))
    if kind == "majority":
        length = draw(whole(1, 40))
        return Majority(draw(whole(2, 8)), length, draw(whole(1, min(3, length))))
    if kind == "counting":
        length = draw(whole(1, 40))
        return Counting(draw(whole(2, 8)), length, draw(whole(1, length)))
    if kind == "addition":
        return Addition(draw(whole(1, 30)), draw(st.booleans()))
    dimension = draw(whole(1, 5))
    return LinearFunctions(dimension, dimension + draw(whole(1, 8)))


# ---- the solver


@given(task=any_task(), seed=whole(0, 10**6))
def test_the_solver_scores_one_at_every_possible_size(task: Task, seed: int) -> None:
    batch = task.batch(6, generator=seeded(seed))
    inputs, labels = batch
    kept = inputs.clone()
    answers = task.solve(inputs)
    assert torch.equal(inputs, kept)
    assert labels.shape == (6, task.input_length) == answers.shape
    assert batch.mask.any(1).all()  # something is asked in every row
    if isinstance(task, LinearFunctions):
        assert inputs.shape == (6, task.input_length, task.features)
        assert torch.equal(answers.isnan(), labels.isnan())
        assert task.score(answers, labels) > 0.999
        return
    assert inputs.shape == labels.shape
    assert inputs.dtype == labels.dtype == torch.int64
    assert inputs.min() >= 0
    assert inputs.max() < task.vocab_size
    assert labels[batch.mask].min() >= 0
    assert labels.max() < task.vocab_size
    assert task.score(answers, labels) == 1.0
    if not (isinstance(task, MQAR) and task.filled):  # which may ask by accident
        assert torch.equal(answers, labels)


@every_task
def test_wrong_answers_are_counted_as_wrong(task: Task) -> None:
    inputs, labels = task.batch(8, generator=seeded())
    right = task.solve(inputs)
    half = right.clone()
    half[::2] += 1
    assert task.score(right + 1, labels) < 0.7
    assert task.score(right + 1, labels) < task.score(half, labels) < 0.95
    outside = ~Batch(inputs, labels).mask
    ignored = torch.where(outside, right.new_tensor(7), right)  # nobody asked
    assert task.score(ignored, labels) == pytest.approx(1.0, abs=1e-6)


@every_task
def test_the_mask_is_where_there_is_a_label(task: Task) -> None:
    batch = task.batch(3, generator=seeded())
    rows = batch.labels.tolist()
    wanted = [[x == x and x != IGNORED for x in row] for row in rows]
    assert batch.mask.tolist() == wanted
    assert 0 < int(batch.mask.sum()) < batch.mask.numel()


# ---- chance


@with_tokens
def test_no_constant_answer_beats_chance(task: Task) -> None:
    n = 6000
    batch = task.batch(n, generator=seeded())
    if isinstance(task, Addition):
        nines = [0, *[9] * task.digits]
        guess = torch.tensor(nines[::-1] if task.reverse else nines)
        guesses = [guess, guess.flip(0), torch.full_like(guess, 9)]
        wide = [torch.full_like(batch.labels, 0) for _ in guesses]
        for row, guess in zip(wide, guesses, strict=True):
            row[:, -len(guess) :] = guess
        scores = [task.score(row, batch.labels) for row in wide]
    else:
        scores = [
            task.score(torch.full_like(batch.labels, token), batch.labels)
            for token in range(task.vocab_size)
        ]
    error = math.sqrt(task.chance / n)
    assert abs(max(scores) - task.chance) < 4.5 * error


@pytest.mark.parametrize(
    "task", [task for task in TOLD if not isinstance(task, Addition)], ids=str
)  # whose sums are not equally likely: no draw is as good as 99
def test_answers_drawn_without_a_look_score_chance(task: Task) -> None:
    n = 4000
    (_, labels), (_, others) = (task.batch(n, generator=seeded(s)) for s in (0, 1))
    asked, said = labels[labels != IGNORED], others[others != IGNORED]
    shared = min(len(asked), len(said))
    right = float((asked[:shared] == said[:shared]).double().mean())
    assert abs(right - task.chance) < 4.5 * math.sqrt(task.chance / n)


# ---- leaks


def told_by_one_place(batch: Batch) -> float:
    """How much the token at the best single place tells of an answer, in the mean.

    For every question and every place up to it (a causal model sees no others) a table
    token -> likeliest answer is learnt on one half of the rows, tested on the other.
    """
    best = []
    for t in batch.mask.any(0).nonzero()[:, 0].tolist():
        asked = batch.mask[:, t]
        seen, answers = batch.inputs[asked, : t + 1], batch.labels[asked, t]
        if len(answers) >= 400:  # else the table is noise
            best.append(max(share_told(column, answers) for column in seen.T))
    return sum(best) / len(best)


def share_told(column: Tensor, answers: Tensor) -> float:
    half = len(column) // 2
    pairs = [*zip(column.tolist(), answers.tolist(), strict=True)]
    table: dict[int, Counter[int]] = {}
    for token, answer in pairs[:half]:
        table.setdefault(token, Counter())[answer] += 1
    best = {token: counts.most_common(1)[0][0] for token, counts in table.items()}
    return sum(best.get(token) == answer for token, answer in pairs[half:]) / (
        len(pairs) - half
    )


@with_tokens
def test_no_single_place_tells_the_answer(task: Task) -> None:
    told = told_by_one_place(task.batch(1500, generator=seeded()))
    assert task.chance < told < TOLD[task]


def test_a_planted_leak_is_found() -> None:
    task = SelectiveCopying(12, 64, 6)
    inputs, labels = task.batch(1500, generator=seeded())
    code = torch.randperm(12, generator=seeded())
    inputs[:, 9:15] = code[labels[:, -6:]]  # not the answers, but a code of them
    assert told_by_one_place(Batch(inputs, labels)) == 1.0
    inputs[:, 9:15] = 0
    assert told_by_one_place(Batch(inputs, labels)) < TOLD[task]


def test_plain_copying_is_the_control_that_one_delay_solves() -> None:
    plain = SelectiveCopying(12, 64, 6, interleaved=False)
    assert told_by_one_place(plain.batch(900, generator=seeded())) == 1.0


# ---- draws


@every_task
def test_the_same_generator_gives_the_same_bytes(task: Task) -> None:
    generator = seeded(3)
    first, second = (task.batch(4, generator=generator) for _ in range(2))
    again = task.batch(4, generator=seeded(3))
    for one, same, other in zip(first, again, second, strict=True):
        assert one.numpy().tobytes() == same.numpy().tobytes()
        assert one.numpy().tobytes() != other.numpy().tobytes()


@every_task
def test_the_world_outside_the_generator_is_left_alone(task: Task) -> None:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    inputs, _ = task.batch(4, generator=seeded())
    task.solve(inputs)
    task.example(generator=seeded())
    after = torch.get_rng_state(), np.random.get_state(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert str(before[1:]) == str(after[1:])


@every_task
def test_rows_of_a_batch_differ(task: Task) -> None:
    inputs, _ = task.batch(64, generator=seeded())
    assert len({row.numpy().tobytes() for row in inputs}) == 64


# ---- what is refused


@pytest.mark.parametrize(
    ("kind", "sizes", "numbers"),
    [
        (AssociativeRecall, (3, 16), "got 3 and 16"),
        (AssociativeRecall, (10, 1), "got 10 and 1"),
        (AssociativeRecall, (0, 0), "got 0 and 0"),
        (AssociativeRecall, (10, 16, "most"), "got 'most'"),
        (MQAR, (64, 33, 4), "an even length of at least 16; got 33"),
        (MQAR, (64, 14, 4), "at least 16; got 14"),
        (MQAR, (64, 14, 0), "0 pairs"),
        (MQAR, (16, 16, 2), "got 16 and 16"),
        (MQAR, (64, 16, 2, 0.0), r"got 0\.0"),
        (InductionHeads, (2, 40), "got 2, 1 and 1"),
        (InductionHeads, (20, 40, 0), "got 20, 0 and 1"),
        (InductionHeads, (20, 40, 1, 0), "got 20, 1 and 0"),
        (InductionHeads, (20, 4, 3), "length >= 5; got 4"),
        (SelectiveCopying, (2, 64, 4), "got 2 and 4"),
        (SelectiveCopying, (16, 64, 0), "got 16 and 0"),
        (SelectiveCopying, (16, 32, 16), "length >= 33; got 32"),
        (Majority, (1, 32), "got 1, 1 and 32"),
        (Majority, (4, 8, 9), "got 4, 9 and 8"),
        (Majority, (4, 8, 0), "got 4, 0 and 8"),
        (Counting, (1, 32), "got 1, 8 and 32"),
        (Counting, (4, 8, 9), "got 4, 9 and 8"),
        (Addition, (0,), "got 0"),
        (LinearFunctions, (0, 4), "got 0 and 4"),
        (LinearFunctions, (4, 4), "got 4 and 4"),
        (LinearFunctions, (4, 8, "none"), "got 'none'"),
    ],
)
def test_an_impossible_size_is_refused_with_its_numbers(
    kind: type[Task], sizes: tuple[Any, ...], numbers: str
) -> None:
    with pytest.raises(ValueError, match=numbers):
        kind(*sizes)


def test_a_lead_that_never_occurs_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="60 among 60 of 8 symbols hardly ever"):
        Majority(8, 60, margin=60).batch(2, generator=seeded())


def test_every_kind_has_a_name_and_says_whose_it_is() -> None:
    assert {type(task) for task in EVERY} == set(TASKS.values())
    for task in EVERY:
        assert len(type(task).definition) > 3
        with pytest.raises(FrozenInstanceError):
            task.length = 3  # type: ignore[attr-defined]


# ---- what people read


@with_tokens
def test_an_example_holds_the_tokens_and_the_answers_below_them(task: Task) -> None:
    reads, answers = task.example(generator=seeded()).splitlines()
    [inputs], [labels] = task.batch(1, generator=seeded())
    words = [task.words[i] for i in inputs]
    assert len(set(task.words)) == task.vocab_size
    head, _, rest = reads.partition(" ")
    assert (head, rest.split()) == ("reads", words)
    assert answers.split() == ["answers", *(task.words[i] for i in labels if i >= 0)]
    end = len("answers")
    for word, label in zip(words, labels.tolist(), strict=True):
        said = "" if label == IGNORED else task.words[label]
        end += max(len(word), len(said))
        assert reads[:end].endswith(word)
        assert answers.ljust(end)[:end].endswith(said or " ")
        end += 1


def test_an_example_of_a_function_holds_its_numbers() -> None:
    text = FUNCTIONS.example(generator=seeded())
    [inputs], [labels] = FUNCTIONS.batch(1, generator=seeded())
    lines = text.splitlines()
    assert len(lines) == FUNCTIONS.input_length
    for line, vector, label in zip(lines, inputs, labels, strict=True):
        numbers, _, asked = line.partition("   w . x = ")
        assert numbers == " ".join(f"{number:6.2f}" for number in vector)
        assert asked == (f"{label:6.2f}, asked for" if label == label else "")


def test_symbols_have_names_however_many_there_are() -> None:
    names = letters(80)
    assert "".join(names[:26]) == "abcdefghijklmnopqrstuvwxyz"
    assert (names[26], names[51], names[52]) == ("a1", "z1", "a2")
    assert len({*names}) == 80


# The smallest sizes, and what is said of one less (or one answer or trigger more).
SMALLEST: list[tuple[Task, dict[str, tuple[float, str]]]] = [
    (
        AssociativeRecall(4, 2),
        {name: (less, "associative recall needs vocab_size >= 4 and length >= 2; got")
         for name, less in (("vocab_size", 3), ("length", 1))},
    ),
    (
        MQAR(5, 4, 1, power=10),
        {
            "vocab_size": (4, "MQAR needs vocab_size > length; got 4 and 4"),
            "length": (2, "1 pairs and their questions need an even length of at least"
                       " 4; got 2"),
            "pairs": (0, "0 pairs and their questions need an even length of at least"
                      " 4; got 4"),
            "power": (10.5, "power must be above 0, and 10 at most; got 10.5"),
        },
    ),
    (
        InductionHeads(3, 3, 1, 3),
        {
            "vocab_size": (2, "induction heads needs vocab_size >= 3, answer >= 1 and "
                           "triggers >= 1; got 2, 1 and 3"),
            "answer": (2, "a trigger and 2 tokens after it need length >= 4; got 3"),
            "triggers": (4, "4 triggers do not fit into length 3"),
        },
    ),
    (
        SelectiveCopying(3, 3, 1),
        {
            "vocab_size": (2, "selective copying needs vocab_size >= 3 and tokens >= 1;"
                           " got 2 and 1"),
            "length": (2, "1 tokens, COPY and 1 answers need length >= 3; got 2"),
        },
    ),
    (
        Majority(2, 1, 1),
        {name: (less, "majority needs symbols >= 2 and 1 <= margin <= length; got")
         for name, less in (("symbols", 1), ("margin", 0))},
    ),
    (
        Counting(2, 1, 1),
        {name: (less, "counting needs symbols >= 2 and 1 <= most <= length; got")
         for name, less in (("symbols", 1), ("most", 0), ("length", 0))},
    ),
    (Addition(1), {"digits": (0, "digits must be at least 1; got 0")}),
    (
        LinearFunctions(1, 2),
        {name: (less, "a function of `dimension` numbers needs more than as many pairs;"
                " got") for name, less in (("dimension", 0), ("pairs", 1))},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "less"), SMALLEST, ids=[type(task).__name__ for task, _ in SMALLEST]
)
def test_the_smallest_sizes_are_possible_and_none_less(
    task: Task, less: dict[str, tuple[float, str]]
) -> None:
    task = replace(task)  # type: ignore[type-var]
    inputs, labels = task.batch(9, generator=seeded())
    assert inputs.shape[:2] == labels.shape == (9, task.input_length)
    assert task.score(task.solve(inputs), labels) == pytest.approx(1)
    for name, (value, words) in less.items():
        with pytest.raises(ValueError, match="^" + re.escape(words)):
            replace(task, **{name: value})  # type: ignore[type-var]


def test_every_draw_of_every_task_comes_from_the_generator_it_is_given() -> None:
    for task in [*EVERY, MQAR(64, 16, 2, filled=True)]:
        torch.manual_seed(0)
        batch = task.batch(5, generator=seeded(3))
        torch.manual_seed(1)
        again = task.batch(5, generator=seeded(3))
        assert torch.equal(batch.inputs, again.inputs)
