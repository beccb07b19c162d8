"""11.generate: read the prompt once, then every new token once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]


def generate(model: Any, prompt: Tensor, n: int) -> Tensor:
    """prompt: ids (B, T) -> the n ids that follow, (B, n), each the likeliest.

    model.prefill(ids (B, T)) and model.step(ids (B,), state) both give back
    logits (B, V) for the id that comes next, and the state after what was read.
    """
    logits, state = model.prefill(prompt)
    ids = [logits.argmax(-1)]
    for _ in range(n - 1):
        logits, state = model.step(ids[-1], state)
        ids.append(logits.argmax(-1))
    return torch.stack(ids, dim=1)


class Told(NamedTuple):
    """A state: all that was read, (B, t)."""

    ids: Tensor


class Reciter:
    """A model whose logits depend on every id it was told, and on when."""

    def __init__(self, table: Tensor) -> None:
        self.table = table  # (V, V): for each remainder the logits
        self.prefills, self.steps = 0, 0

    def logits(self, ids: Tensor) -> Tensor:
        """ids (B, t) -> (B, V)."""
        weights = torch.arange(1, ids.shape[1] + 1) ** 2
        code = ((ids + 1) * weights).sum(1) + 3 * ids.shape[1]
        return self.table[code % len(self.table)]

    def prefill(
        self, ids: Tensor, max_length: int | None = None
    ) -> tuple[Tensor, Told]:
        """As LanguageModel.prefill; ValueError for what are no ids (B, T)."""
        if ids.dim() != 2 or not ids.shape[1]:
            raise ValueError(
                f"prefill wants ids (B, T), T >= 1; got {tuple(ids.shape)}"
            )
        self.prefills += 1
        return self.logits(ids), Told(ids.clone())

    def step(self, ids: Tensor, state: Told) -> tuple[Tensor, Told]:
        """As LanguageModel.step; ValueError for what are no ids (B,)."""
        if ids.shape != state.ids.shape[:1]:
            raise ValueError(f"step wants ids (B,); got {tuple(ids.shape)}")
        self.steps += 1
        told = Told(torch.cat([state.ids, ids[:, None]], 1))
        return self.logits(told.ids), told


def text_by_recomputation(table: Tensor, prompt: Tensor, n: int) -> Tensor:
    ids = prompt.tolist()
    for row in ids:
        for _ in range(n):
            code = sum((id + 1) * (t + 1) ** 2 for t, id in enumerate(row))
            logits = table[(code + 3 * len(row)) % len(table)].tolist()
            row.append(logits.index(max(logits)))
    return torch.tensor([row[-n:] for row in ids])


Start = Callable[[Any, Tensor], tuple[Tensor, Any]]
Writer = Callable[[Any, Tensor, int], Tensor]


def writer(
    start: Start = lambda model, prompt: model.prefill(prompt),
    step: Callable[..., tuple[Tensor, Any]] = lambda model, new, state, first: (
        model.step(new, state)
    ),
    best: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(-1),
) -> Writer:
    """generate with one of its parts exchanged; first: the state after the prompt."""

    def write(model: Any, prompt: Tensor, n: int) -> Tensor:
        logits, state = start(model, prompt)
        first, ids = state, [best(logits)]
        while len(ids) < n:
            logits, state = step(model, ids[-1], state, first)
            ids.append(best(logits))
        return torch.stack(ids, 1)

    return write


def twice(model: Any, prompt: Tensor) -> tuple[Tensor, Any]:
    _, state = model.prefill(prompt)
    found: tuple[Tensor, Any] = model.step(prompt[:, -1], state)
    return found


def shifted(model: Any, prompt: Tensor, n: int) -> Tensor:
    return writer()(model, prompt, n + 1)[:, 1:]


ONCE = "Which ids has the model read when it says what comes next?"
WRITING_MISTAKES = (
    Mistake(
        "the continuation ignores the prompt, all but its last id",
        writer(lambda model, prompt: model.prefill(prompt[:, -1:])),
        ONCE,
    ),
    Mistake(
        "the continuation ignores all of the prompt but its first id",
        writer(lambda model, prompt: model.prefill(prompt[:, :1])),
        ONCE,
    ),
    Mistake(
        "the last prompt token was fed again: prefill has read it",
        writer(twice),
        ONCE,
    ),
    Mistake(
        "differs from the second new token on: each new id was read as if it stood "
        "alone, at place 0",
        writer(step=lambda model, new, state, first: model.prefill(new[:, None])),
        ONCE,
    ),
    Mistake(
        "the model forgets what it has written: every step starts from the state after "
        "the prompt",
        writer(step=lambda model, new, state, first: model.step(new, first)),
        "Which state does step give back, and which did you use next?",
    ),
    Mistake(
        "the first new id is missing: prefill's logits say what it is",
        shifted,
        "For which place are the logits that prefill gives?",
    ),
    Mistake(
        "the least likely id was taken",
        writer(best=lambda logits: logits.argmin(-1)),
        "Which logit belongs to the likeliest id?",
    ),
    Mistake(
        "one id for the whole batch: the best over all rows; each row has its own",
        writer(best=lambda logits: logits.amax(0).argmax().expand(len(logits))),
        "Which axis of (B, V) is the vocabulary?",
    ),
    Mistake(
        "the prompt is in the answer, too: only the new ids were asked for",
        lambda model, prompt, n: torch.cat([prompt, writer()(model, prompt, n)], 1),
        "How many ids should come back?",
    ),
    Mistake(
        "one id too many",
        lambda model, prompt, n: writer()(model, prompt, n + 1),
        "How many ids does prefill give you before the first step?",
    ),
)


def check_generate(fn: Function, *, generator: torch.Generator) -> None:
    """Prompts and batches of several sizes; then how often the prompt was read."""
    cases = []
    for batch, start, n in ((1, 1, 1), (1, 2, 2), (1, 3, 4), (2, 4, 6), (3, 2, 9)):
        vocab = pick(7, 11, generator)
        rows = [torch.randperm(vocab, generator=generator) for _ in range(vocab)]
        table = torch.stack(rows).float()
        prompt = torch.randint(vocab, (batch, start), generator=generator)

        def run(
            fn: Function, table: Tensor = table, prompt: Tensor = prompt, n: int = n
        ) -> object:
            return attempt(lambda ids, n: fn(Reciter(table), ids, n), prompt, n)

        given = (
            f"prompt {show(prompt)} of shape ({batch}, {start}), n = {n}, V = {vocab}"
        )
        expected = text_by_recomputation(table, prompt, n)
        cases.append(Case((prompt, n), expected, given, run))
    question = "After the prompt and one new id, how many ids has the model read?"
    examine(fn, cases, WRITING_MISTAKES, question=question)
    model = Reciter(table)
    attempt(lambda ids, n: fn(model, ids, n), prompt, n)
    if (model.prefills, model.steps) not in {(1, n - 1), (1, n)}:
        raise Incorrect(
            "the right text, at the price of reading again what was read before",
            f"a prompt of {prompt.shape[1]} ids, n = {n}",
            f"prefill once, step {n - 1} times",
            f"prefill {model.prefills} times, step {model.steps} times",
            "What does the state spare you?",
        )


EXERCISE = Exercise(
    id="11.generate",
    objective="Continue a prompt, reading every token once.",
    answer=generate,
    hints=(
        "prefill has read the prompt. Which id do its logits name, and what has the "
        "model not read yet?",
        "Take logits.argmax(-1); give it to model.step with the state you had, keep "
        "the state that comes back; n - 1 steps make n ids. torch.stack(ids, dim=1).",
    ),
    checker=check_generate,
    points=10,
    minutes=10,
    stars=2,
)
