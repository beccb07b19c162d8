"""08.recall_batch: keys with their values, then one key again."""

import torch
from torch import Tensor

from minihyena.lessons.comparing import pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_08.batches import Drawn, check_draws, drawn

__all__ = ["EXERCISE"]


def recall_batch(
    n: int, length: int, n_keys: int, n_values: int, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """n examples -> inputs (n, length + 1) and answers (n,), whole numbers.

    A row is key, value, key, value, ... (length / 2 pairs, length is even) and last a
    key that occurred: the query. The answer is its value. Keys are 0 .. n_keys - 1,
    values n_keys .. n_keys + n_values - 1. Every row draws its own value for each key,
    and all its keys, with repetition. All draws come from `generator`.
    """
    shape = n, length // 2
    values = n_keys + torch.randint(n_values, (n, n_keys), generator=generator)
    keys = torch.randint(n_keys, shape, generator=generator)
    asked = torch.randint(shape[1], (n, 1), generator=generator)
    query = keys.gather(1, asked)
    pairs = torch.stack([keys, values.gather(1, keys)], dim=2).flatten(1)
    return torch.cat([pairs, query], dim=1), values.gather(1, query)[:, 0]


PLACE = "What does a model need that may not look at the pairs, only at the place?"


def check_shape(batch: Drawn, length: int) -> None:
    """Incorrect unless rows are as long as they should be."""
    got = batch.inputs.shape[1]
    if got == length + 1:
        return
    sentence = f"rows have {got} ids, not length + 1 = {length + 1}"
    if got == length + 2 and torch.equal(batch.inputs[:, -1], batch.answers):
        sentence = (
            "the answer stands right after the query in the input: whoever reads on "
            "has it"
        )
    elif got == length:
        sentence = "rows end with the last pair: the query is missing"
    question = "What may the model read, and what has it to say?"
    raise batch.wrong(sentence, 0, f"{length + 1} ids", question)


def check_rows(batch: Drawn, n_keys: int, n_values: int) -> None:
    """Incorrect at the first row that is not pairs and a key."""
    kinds = f"keys 0 .. {n_keys - 1}, values {n_keys} .. {n_keys + n_values - 1}"
    for row, ids in enumerate(batch.inputs.tolist()):
        *prompt, query = ids
        keys, values = prompt[::2], prompt[1::2]
        if not all(0 <= key < n_keys for key in [*keys, query]):
            sentence = "a value stands where a key should: key, value, ..., then a key"
            raise batch.wrong(sentence, row, kinds, "Which places are the keys'?")
        if min(values) < n_keys:
            sentence = (
                "keys and values share ids: value 0 cannot be told from key 0; begin "
                "the values at n_keys"
            )
            raise batch.wrong(sentence, row, kinds, "Which ids are still free?")
        if max(values) >= n_keys + n_values:
            sentence = f"id {max(values)} is too large: there are {n_values} values"
            raise batch.wrong(sentence, row, kinds, "Which is the last value's id?")
        if len(set(zip(keys, values, strict=True))) > len(set(keys)):
            sentence = "one key has two values in a sequence: which would be right?"
            question = "For what is a value drawn: for each pair, or for each key?"
            raise batch.wrong(sentence, row, "one value for each key", question)


def check_answers(batch: Drawn) -> None:
    """Incorrect at the first row whose query or answer is wrong."""
    for row, (ids, answer) in enumerate(
        zip(batch.inputs.tolist(), batch.answers.tolist(), strict=True)
    ):
        *prompt, query = ids
        found = dict(zip(prompt[::2], prompt[1::2], strict=True))
        if query not in found:
            sentence = "the query never occurred before: nobody can know its value"
            question = "From which keys may the query be drawn?"
            raise batch.wrong(sentence, row, f"one of {sorted(found)[:4]}", question)
        if answer != found[query]:
            sentence = "the answer is not the value that stood after the query's key"
            if answer == query:
                sentence = "the answer is the query itself; its value is asked for"
            question = "What stood behind this key the last time?"
            raise batch.wrong(sentence, row, f"answer {found[query]}", question)


def check_fair(batch: Drawn, n_keys: int, n_values: int) -> None:
    """Incorrect if many examples together give the answer away."""
    keys, query = batch.inputs[:, :-1:2], batch.inputs[:, -1:]
    same = (keys == query).all(0).nonzero().flatten().tolist()
    if same:
        sentence = f"the query is always the key of pair {same[0]}: the place is enough"
        batch.unfair(sentence, "any pair", f"pair {same[0]}", PLACE)
    fixed = (keys == keys[:1]).all(0).nonzero().flatten().tolist()
    if fixed:
        sentence = f"pair {fixed[0]} has the same key in every example"
        batch.unfair(sentence, "any key", f"key {int(keys[0, fixed[0]])}", PLACE)
    for key in range(n_keys):
        answers = batch.answers[query[:, 0] == key]
        if len(answers) == 0:
            sentence = f"key {key} is never asked for"
            batch.unfair(sentence, "every key", f"never {key}", "Who draws the query?")
        if bool((answers == answers[0]).all()):
            sentence = (
                f"key {key} has the same value in every example: that can be learned "
                "by heart, and nothing has to be recalled"
            )
            got = f"always {int(answers[0])}"
            batch.unfair(sentence, "a fresh map", got, "When are the values drawn?")
    shares = torch.bincount(batch.answers - n_keys, minlength=n_values) / len(query)
    most = float(shares.max())
    if most > 1.3 / n_values:
        sentence = f"one value is {most:.0%} of the answers: a constant guess wins"
        expected = f"about {1 / n_values:.0%}"
        batch.unfair(sentence, expected, f"{most:.0%}", "Is each value as likely?")


def check_recall_batch(fn: Function, *, generator: torch.Generator) -> None:
    """Row by row, then the stream, then what only many rows show."""
    seed = pick(0, 2**31 - 2, generator)
    stream = torch.Generator().manual_seed(seed)
    several = 32, 2 * pick(2, 4, generator), pick(3, 5, generator), 4
    for sizes in ((16, 6, 2, 2), several, (4096, 6, 4, 4)):
        n, length, n_keys, n_values = sizes
        given = f"n = {n}, length = {length}, {n_keys} keys, {n_values} values"
        try:
            batch = drawn(fn, sizes, stream, given)
            check_shape(batch, length)
            check_rows(batch, n_keys, n_values)
            check_answers(batch)
        except Incorrect:
            check_draws(fn, several, seed)  # a wrong stream shows up as anything
            raise
        check_draws(fn, several, seed)
    check_fair(batch, n_keys, n_values)


EXERCISE = Exercise(
    id="08.recall_batch",
    objective="Generate examples of associative recall that give nothing away.",
    answer=recall_batch,
    hints=(
        "How often in a row is a value drawn: once for each pair, or once for each "
        "key? And which keys may be asked for?",
        "Draw a table of values (n, n_keys) and the keys (n, length / 2); "
        "values.gather(1, keys) looks all of them up. The query is the key of a pair "
        "drawn by lot.",
    ),
    checker=check_recall_batch,
    points=15,
    minutes=15,
    stars=2,
)
