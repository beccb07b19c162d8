"""09.sample: the next token at a temperature."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.probes import Failures, check_stream

__all__ = ["EXERCISE"]


def sample(logits: Tensor, temperature: float, *, generator: torch.Generator) -> Tensor:
    """logits (B, V) -> ids (B,), drawn from softmax(logits / temperature).

    Temperature 0 takes the best id. All chance comes from `generator`.
    """
    if temperature == 0:
        return logits.argmax(-1)
    chances = torch.softmax(logits / temperature, -1)
    return torch.multinomial(chances, 1, generator=generator).squeeze(-1)


def chances_by_loops(row: Sequence[float], temperature: float) -> list[float]:
    if temperature == 0:
        return [float(x == max(row)) for x in row]
    weights = [math.exp(x / temperature) for x in row]
    return [weight / sum(weights) for weight in weights]


def drawn_ids(
    fn: Function, logits: Tensor, temperature: float, generator: torch.Generator
) -> Tensor:
    """The learner's ids (B,) int64; Incorrect for anything else."""
    ids = attempt(lambda logits: fn(logits, temperature, generator=generator), logits)
    size, vocab = logits.shape
    if not isinstance(ids, Tensor):
        raise Incorrect(f"the ids are of type {type(ids).__name__}, not Tensor")
    if ids.shape != (size,):
        raise Incorrect(
            f"the shape is {tuple(ids.shape)}; one id for each row is ({size},)"
        )
    if ids.dtype != torch.int64:
        raise Incorrect(f"the dtype is {ids.dtype}; ids are torch.int64")
    if ids.min() < 0 or ids.max() >= vocab:
        raise Incorrect(f"ids run from 0 to {vocab - 1}; {int(ids.max())} came back")
    return ids


def frequency_case(logits: Tensor, temperature: float, seed: int) -> Case:
    """How often each id comes out in 4000 draws, for two rows of logits (2, V)."""
    draws = 4000  # a frequency has standard error <= 0.008: six of them are 0.05

    def run(fn: Function) -> object:
        generator = torch.Generator().manual_seed(seed)
        ids = drawn_ids(fn, logits.repeat(draws, 1), temperature, generator)
        counts = [
            torch.bincount(part, minlength=logits.shape[1])
            for part in (ids[::2], ids[1::2])
        ]
        return torch.stack(counts).double() / draws

    expected = [chances_by_loops(row, temperature) for row in logits.tolist()]
    given = f"logits {show(logits)}, T = {temperature:g}; the share of each id"
    tolerance = 0.05 if temperature else 0.0
    args = (logits, temperature)
    return Case(args, torch.tensor(expected).double(), given, run, tolerance)


COLD = "T = 0 means the best choice, not a division"


def cold(fn: Function, failures: Failures) -> str | None:
    """Is temperature 0 all that goes wrong?"""
    if all(case.args[1] == 0 for case, _ in failures):
        return COLD
    return None


def weights_mistake(weigh: Function) -> Function:
    """A `sample` that draws with other weights."""

    def draw(
        logits: Tensor, temperature: float, *, generator: torch.Generator
    ) -> Tensor:
        weights = weigh(logits, temperature)
        assert isinstance(weights, Tensor)
        return torch.multinomial(weights, 1, generator=generator).squeeze(-1)

    return draw


SAMPLE_MISTAKES = (
    Mistake(
        "high temperature made it surer: divide the logits by T, do not multiply",
        weights_mistake(lambda logits, t: torch.softmax(logits * t, -1)),
        "Should a large T bring the chances closer together or further apart?",
    ),
    Mistake(
        COLD,
        weights_mistake(lambda logits, t: torch.softmax(logits / t, -1)),
        "Which id should be drawn as T comes ever closer to 0?",
    ),
    Mistake(
        "dividing probabilities changes nothing after renormalising: T has no effect",
        weights_mistake(lambda logits, t: torch.softmax(logits, -1)),
        "On which side of the softmax does T belong?",
    ),
    Mistake(
        "dividing probabilities changes nothing after renormalising: T has no effect",
        weights_mistake(lambda logits, t: torch.softmax(logits, -1) / t),
        "On which side of the softmax does T belong?",
    ),
    Mistake(
        "every draw is the same at T = 1: this takes the best id, it does not draw",
        lambda logits, t, *, generator: logits.argmax(-1),
        "How often should the second best id come?",
    ),
    Mistake(
        "every id is equally likely: the logits are not used",
        weights_mistake(lambda logits, t: torch.ones_like(logits)),
        "What do the logits say about the ids?",
    ),
)


def check_sample(fn: Function, *, generator: torch.Generator) -> None:
    """Frequencies at several temperatures, the best id at 0, and an honest stream."""
    seed, vocab = pick(0, 2**31 - 2, generator), pick(3, 5, generator)
    row = torch.randperm(vocab, generator=generator).float()
    logits = torch.stack([row, row.roll(1)])  # no column is the same in both
    heats = (1.0, 2.0, 0.5, pick(25, 40, generator) / 10, 0.0)
    cases = [frequency_case(logits, heat, seed) for heat in heats]
    question = "What do the chances become when T is very large, and very small?"
    examine(fn, cases, SAMPLE_MISTAKES, (cold,), question)
    flat = torch.zeros(64, 4)
    check_stream(lambda stream: drawn_ids(fn, flat, 1.0, stream), seed)


EXERCISE = Exercise(
    id="09.sample",
    objective="Draw the next token at a temperature.",
    answer=sample,
    hints=(
        "Dividing all logits by 0.1: does the best id become more or less likely?",
        "softmax(logits / temperature), then torch.multinomial with generator=; "
        "temperature 0 is argmax.",
    ),
    checker=check_sample,
    points=10,
    minutes=10,
    stars=2,
)
