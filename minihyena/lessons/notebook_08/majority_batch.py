"""08.majority_batch: which token occurs most often?"""

import torch
from torch import Tensor

from minihyena.lessons.comparing import pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_08.batches import Drawn, check_draws, drawn

__all__ = ["EXERCISE"]


def majority_batch(
    n: int, length: int, vocab: int, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """n examples -> inputs (n, length) and answers (n,), whole numbers 0 .. vocab - 1.

    In each row one token occurs more often than any other: the answer. Each token is
    the answer as often as the others, and no single place gives it away. All draws
    come from `generator`.
    """
    inputs = torch.empty(n, length, dtype=torch.int64)
    tied = torch.ones(n, dtype=torch.bool)
    while tied.any():
        shape = int(tied.sum()), length
        inputs[tied] = torch.randint(vocab, shape, generator=generator)
        counts = torch.nn.functional.one_hot(inputs, vocab).sum(1)
        first, second = counts.topk(2).values.T
        tied = first == second
    return inputs, counts.argmax(1)


def check_rows(batch: Drawn, length: int, vocab: int) -> None:
    """Incorrect at the first row that is no example of the task."""
    if batch.inputs.shape[1] != length:
        sentence = f"rows have {batch.inputs.shape[1]} ids, not length = {length}"
        raise batch.wrong(sentence, 0, f"{length} ids", "Is the answer in the input?")
    for row, (ids, answer) in enumerate(
        zip(batch.inputs.tolist(), batch.answers.tolist(), strict=True)
    ):
        if not all(0 <= token < vocab for token in ids):
            sentence = f"there are {vocab} tokens, 0 .. {vocab - 1}; this is another"
            expected = f"ids below {vocab}"
            raise batch.wrong(sentence, row, expected, "Which ids may occur?")
        counts = [ids.count(token) for token in range(vocab)]
        most = max(counts)
        if counts.count(most) > 1:
            sentence = "two tokens share the top count: which would be right?"
            question = "What will you do with a row that has no winner?"
            raise batch.wrong(sentence, row, "one winner", question)
        winner = counts.index(most)
        if answer == winner:
            continue
        sentence = "the answer is not the token that occurs most often"
        if torch.equal(
            batch.answers,
            torch.tensor([max(map(r.count, r)) for r in batch.inputs.tolist()]),
        ):
            sentence = "this is how often the winner occurs; which token is it?"
        elif torch.equal(batch.answers, batch.inputs[:, -1]):
            sentence = "the answer is the last token, whatever occurs most often"
        elif torch.equal(batch.answers, batch.inputs.max(1).values):
            sentence = "this is the largest id; ids are names, their size means nothing"
        question = "How often does each token occur in this row?"
        raise batch.wrong(sentence, row, f"answer {winner}", question)


def check_fair(batch: Drawn, vocab: int) -> None:
    """Incorrect if many examples together give the answer away."""
    leaks = (batch.inputs == batch.answers[:, None]).all(0).nonzero().flatten().tolist()
    if leaks:
        last = leaks[-1] == batch.inputs.shape[1] - 1
        place = "the last token" if last else f"the token at place {leaks[-1]}"
        question = "How would you solve these without counting?"
        batch.unfair(
            f"the answer always equals {place}", "no such place", place, question
        )
    shares = torch.bincount(batch.answers, minlength=vocab) / len(batch.answers)
    most, least = float(shares.max()), float(shares.min())
    if most > 1.25 / vocab or least < 0.75 / vocab:
        sentence = f"one class is {most:.0%} of the answers: a constant guess wins"
        if least < 0.75 / vocab and most <= 1.25 / vocab:
            sentence = f"one class is only {least:.0%} of the answers"
        expected = f"about {1 / vocab:.0%} each"
        got = ", ".join(f"{share:.0%}" for share in shares.tolist()[:6])
        batch.unfair(sentence, expected, got, "Is every token as likely to win?")


def check_majority_batch(fn: Function, *, generator: torch.Generator) -> None:
    """Row by row, then the stream, then what only many rows show."""
    seed = pick(0, 2**31 - 2, generator)
    stream = torch.Generator().manual_seed(seed)
    several = 32, pick(4, 7, generator), pick(3, 5, generator)
    for sizes in ((8, 5, 2), (32, 4, 2), several, (4096, 7, 2), (4096, 8, 3)):
        n, length, vocab = sizes
        given = f"n = {n}, length = {length}, {vocab} tokens"
        try:
            batch = drawn(fn, sizes, stream, given)
            check_rows(batch, length, vocab)
        except Incorrect:
            check_draws(fn, several, seed)  # a wrong stream shows up as anything
            raise
        check_draws(fn, several, seed)
        if n > 1000:
            check_fair(batch, vocab)


EXERCISE = Exercise(
    id="08.majority_batch",
    objective="Generate majority examples with one winner, balanced, and no shortcut.",
    answer=majority_batch,
    hints=(
        "How can you draw rows without a tie, and still have every token win as often "
        "as the others?",
        "Draw all rows, count with one_hot(...).sum(1), and draw those rows again "
        "whose two largest counts (topk(2)) are the same, until there are none.",
    ),
    checker=check_majority_batch,
    points=10,
    minutes=10,
    stars=2,
)
