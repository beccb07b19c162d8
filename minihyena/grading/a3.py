"""A3, instrument the operator: its matrix, its causality, and what is evidence."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minihyena.grading.box import MOST
from minihyena.grading.parts import (
    Assignment,
    Functions,
    Parameters,
    Part,
    Property,
    Written,
    parameters_from,
)
from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, close, fault, pick, short, show
from minihyena.lessons.exercise import Function, Incorrect
from minihyena.lessons.notebook_07.hyena_matrix import MATRIX_MISTAKES, by_unit_vectors
from minihyena.lessons.notebook_07.null_p import SHARE_MISTAKES, Counts
from minihyena.lessons.probes import Failures

__all__ = ["A3"]

# The matrix: what notebook 07 asks of one channel, for all of them.

Parts = Sequence[Tensor]
NEAR = {torch.float32: 3e-5, torch.float64: 1e-10}


def by_channel(fn: Callable[[Parts, Parts], Tensor]) -> Any:
    """fn for gates (B, L) and filters (L,), tried on (B, D, L) and (D, L)."""

    def for_all(gates: Parts, filters: Parts) -> Tensor:
        channels = range(len(filters[0]))
        return torch.stack(
            [fn([x[:, d] for x in gates], [h[d] for h in filters]) for d in channels],
            dim=1,
        )

    return for_all


def stage_by_entries(gates: Parts, filters: Parts) -> Tensor:
    one_by_one = [
        by_unit_vectors([x], [h]) for x, h in zip(gates, filters, strict=True)
    ]
    return torch.stack(one_by_one).prod(0)


KNOWN = (
    *(Mistake(m.sentence, by_channel(m.function), m.question) for m in MATRIX_MISTAKES),  # type: ignore[arg-type]
    Mistake(
        "the stages were multiplied entry by entry; one after the other is a matrix "
        "product",
        by_channel(stage_by_entries),
        "Which places does the second stage read, besides its own?",
    ),
)


def in_single_precision(fn: Function, failures: Failures) -> str | None:
    """Right to seven digits where fifteen came in."""
    if all(
        one.args[0][0].dtype == torch.float64 and close(got, one.expected, 1e-5)  # type: ignore[index]
        for one, got in failures
    ):
        return "seven digits are right: something is computed in float32 on the way"
    return None


def judge_matrices(fn: Function, found: Sequence[Case]) -> None:
    question = "What does one stage do to a 1 at place s and 0 elsewhere?"
    examine(fn, found, KNOWN, [in_single_precision], question)


def case(gates: Parts, filters: Parts) -> Case:
    """These gates and filters, and what the recurrence makes of unit vectors."""
    expected = by_channel(by_unit_vectors)(gates, filters)
    shape = ", ".join(map(str, (len(gates), *gates[0].shape)))
    given = f"N, B, D, L = {shape}; gates {show(torch.stack([*gates]), count=6)}, "
    given += f"filters {show(torch.stack([*filters]), count=6)}"
    near = NEAR[expected.dtype]
    return Case(([*gates], [*filters]), expected, given, tolerance=near)


def cases(
    orders: Iterable[int],
    sequences: int,
    parameters: Parameters,
    generator: torch.Generator,
) -> list[Case]:
    """Every order and length, in both precisions in turn; two channels at least."""
    found, turn = list[Case](), pick(0, 1, generator)
    for order in orders:
        for length in parameters["lengths"]:
            dtype = [*NEAR][(turn + len(found)) % 2]
            shape = pick(2, parameters["channels"], generator), length
            gates, filters = (
                [short(*size, generator=generator).to(dtype) for _ in range(order)]
                for size in ((sequences, *shape), shape)
            )
            found.append(case(gates, filters))
    return found


def has_order_1(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """One stage, one sequence, nothing negative: signs are a property of their own."""
    found = []
    for one in cases([1], 1, parameters, generator):
        gates, filters = ([x.abs() for x in part] for part in one.args)  # type: ignore[attr-defined]
        found.append(case(gates, filters))
    judge_matrices(fns["hyena_matrix"], found)


def has_any_order(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Several stages, one sequence: H @ v is the recurrence, for every v."""
    found = cases(parameters["orders"], 1, parameters, generator)
    judge_matrices(fns["hyena_matrix"], found)


def keeps_rows_and_signs(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Right at order 1; above, each sequence as if alone, and signs go through."""
    fn, sequences = fns["hyena_matrix"], parameters["sequences"]
    judge_matrices(fn, cases([1], sequences, parameters, generator))
    for one in cases(parameters["orders"], sequences, parameters, generator):
        gates: Any = one.args[0]
        filters: Any = one.args[1]
        whole = matrix_of(fn, one, gates, filters)
        alone = [
            matrix_of(fn, one, [x[b : b + 1] for x in gates], filters)
            for b in range(sequences)
        ]
        if not one.agrees(whole, torch.cat(alone)):
            raise Incorrect(
                "a sequence has another matrix when it is alone: rows of a batch met",
                one.given,
                show(torch.cat(alone)),
                show(whole),
                "Whose gates belong to sequence 0?",
            )
        turned = matrix_of(fn, one, [-gates[0], *gates[1:]], filters)
        if not one.agrees(turned, -whole):
            raise Incorrect(
                "signs are gone: the first gate changed its sign, H did not",
                one.given,
                show(-whole),
                show(turned),
                "May an input count negatively?",
            )


def matrix_of(fn: Function, one: Case, gates: Parts, filters: Parts) -> Tensor:
    """What it gives, if that is a matrix for each channel; else Incorrect."""
    got = attempt(fn, gates, filters)
    wanted = gates[0][..., None].expand(*gates[0].shape, gates[0].shape[-1])
    if (wrong := fault(got, wanted)) or not isinstance(got, Tensor):
        raise Incorrect(str(wrong), one.given)
    return got


def is_causal(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Right everywhere, and not merely small right of the diagonal."""
    orders = [1, *parameters["orders"]]
    found = cases(orders, parameters["sequences"], parameters, generator)
    judge_matrices(fns["hyena_matrix"], found)
    for one in found:
        got = attempt(fns["hyena_matrix"], *one.args)
        if isinstance(got, Tensor) and (future := got.triu(1)).any():
            raise Incorrect(
                "right of the diagonal stand small numbers instead of 0: rounding, as "
                "a Fourier transform leaves it",
                one.given,
                "0 for s > t",
                f"up to {float(future.abs().max()):.1g}",
                "Which entries do you know without computing them?",
            )


# The auditor. Operators (B, L, D) -> (B, L, D) compute in the dtype they are given.

Operator = Callable[[Tensor], Tensor]
Pairs = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Planted:
    """An operator, what an auditor that is wrong about it does, and a question.

    leaks: the pairs (output, later input) that move for some input; none if sound.
    """

    op: Operator
    says: str
    question: str
    leaks: Pairs = frozenset()


ROUNDING = "How large is rounding, beside the largest output?"
PRESENT = "May output t read input t?"
BEFORE = "Which outputs come before the input that you change?"
OPEN = "Which inputs would open a gate that is shut for yours?"


def weights(*shape: int, generator: torch.Generator) -> Tensor:
    """Of a size that keeps outputs about as large as inputs."""
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    return w / math.sqrt(shape[-1])


def sign(generator: torch.Generator) -> int:
    return 2 * pick(0, 1, generator) - 1


def ring(u: Tensor, h: Tensor, n: int) -> Tensor:
    """u (B, L, D), h (L, D): the first L steps on a ring of n; causal from 2 L - 1."""
    spectrum = torch.fft.rfft(u, n, dim=1) * torch.fft.rfft(h.to(u.dtype), n, dim=0)
    y: Tensor = torch.fft.irfft(spectrum, n, dim=1)
    return y[:, : u.shape[1]]


def moved(u: Tensor, lag: int) -> Tensor:
    """u so many steps later, or for a negative lag earlier; 0 where nothing comes."""
    room = torch.zeros_like(u[:, : abs(lag)])
    parts = [room, u[:, :-lag]] if lag > 0 else [u[:, -lag:], room]
    return torch.cat(parts, dim=1)


def taps(u: Tensor, h: dict[int, Tensor]) -> Tensor:
    """The sum of h[lag] (D,) times u so much later."""
    parts = [moved(u, lag) * tap.to(u.dtype) for lag, tap in h.items()]
    return torch.stack(parts).sum(0)


def everywhere(length: int, ahead: Iterable[int]) -> Pairs:
    """All pairs (t, s) with s so many steps ahead of t."""
    return frozenset((s - k, s) for k in ahead for s in range(k, length))


def sound(length: int, width: int, generator: torch.Generator) -> list[Planted]:
    """Six causal operators, their weights drawn anew."""
    offset = short(length, width, generator=generator)
    h = weights(length, width, generator=generator)
    h *= torch.linspace(0, -3, length, dtype=torch.float64).exp()[:, None]
    near = {lag: weights(width, generator=generator) for lag in range(3)}
    maps = [weights(width, width, generator=generator) for _ in range(8)]
    steps = torch.arange(1, length + 1)[:, None]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)

    def gated(u: Tensor) -> Tensor:
        return taps(u @ maps[0].to(u), near).sigmoid() * u

    def attention(u: Tensor) -> Tensor:
        q, k, v = (u @ w.to(u) for w in maps[1:4])
        scores = (q @ k.mT / math.sqrt(width)).masked_fill(future, -torch.inf)
        return scores.softmax(-1) @ v

    def hyena(u: Tensor) -> Tensor:
        after, before, v = (taps(u @ w.to(u), near) for w in maps[4:7])
        z = before * v
        y = after * (ring(z, h, 2 * length) + 0.5 * z)
        return y @ maps[7].to(u)

    names: list[tuple[Operator, str, str]] = [
        (
            lambda u: u + offset.to(u),
            "an operator that adds a constant, whatever comes in",
            "What comes out when nothing goes in?",
        ),
        (
            lambda u: ring(u, h, 2 * length),
            "a causal convolution by FFT, which touches the last digits of every "
            "output",
            ROUNDING,
        ),
        (gated, "a gate that listens to the present and the past", PRESENT),
        (lambda u: u.cumsum(1) / steps, "the mean of all inputs so far", PRESENT),
        (attention, "causal attention", PRESENT),
        (hyena, "a Hyena of order 2", ROUNDING),
    ]
    return [Planted(op, f"blames {name}", question) for op, name, question in names]


def open_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """Those that any input shows."""
    h = {lag: weights(width, generator=generator) for lag in (0, 1)}
    size = sign(generator) * (0.3 + 0.1 * pick(0, 5, generator))
    centred = {**h, -1: torch.full((width,), size)}

    def normalised(u: Tensor) -> Tensor:
        spread = u.std(1, correction=0, keepdim=True) + 1e-3
        return (u - u.mean(1, keepdim=True)) / spread

    return [
        Planted(
            lambda u: taps(u, centred),
            "clears a short convolution that is centred: output t reads input t + 1",
            BEFORE,
            everywhere(length, [1]),
        ),
        Planted(
            normalised,
            "clears a normalisation over the whole sequence, whose mean and spread "
            "know the end",
            BEFORE,
            everywhere(length, range(1, length)),
        ),
    ]


def gated_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """Those that are hidden from silence, or from all but loud inputs."""
    one, two = (pick(2, 4, generator) for _ in range(2))
    side, channel = sign(generator), pick(0, width - 1, generator)
    loud: float = given["loud"]

    def by_sign(u: Tensor) -> Tensor:
        gate = (side * u[..., channel, None]).relu()
        return u + gate * moved(u, -one)

    def by_loudness(u: Tensor) -> Tensor:
        gate = u.square().mean(-1, keepdim=True) > loud**2
        return u + gate * moved(u, -two)

    return [
        Planted(
            by_sign,
            "clears a leak behind a gate that silence shuts: a product with 0 is 0",
            OPEN,
            everywhere(length, [one]),
        ),
        Planted(
            by_loudness,
            f"clears a leak behind a gate that opens to loud inputs, from {loud:g} on",
            OPEN,
            everywhere(length, [two]),
        ),
    ]


def faint_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """A tail that wraps round, faintly, and one far input in one channel."""
    count, faint = length // 2 + pick(0, 1, generator), given["smallest"]
    h = torch.zeros(length, width, dtype=torch.float64)
    h[0] = 1
    for k in range(1, count):
        h[k] = faint * sign(generator)
    t, s = pick(1, 2, generator), length - pick(2, 3, generator)
    into, out_of = (pick(1, width - 1, generator) for _ in range(2))
    size = sign(generator) * (0.3 + 0.1 * pick(0, 5, generator))

    def lone(u: Tensor) -> Tensor:
        y = u.clone()
        y[:, t, into] += size * u[:, s, out_of]
        return y

    return [
        Planted(
            lambda u: ring(u, h, length),
            f"clears a convolution whose tail wraps round: a leak of size {faint:g} "
            "from the end to the start",
            "How large is rounding, and how much more do you allow?",
            everywhere(length, range(length - count + 1, length)),
        ),
        Planted(
            lone,
            f"clears a leak from input {s} to output {t} alone, in one channel",
            "Which inputs, outputs and channels have you not looked at?",
            frozenset([(t, s)]),
        ),
    ]


Leaks = Callable[[int, int, Parameters, torch.Generator], list[Planted]]


def finds(leaks: Leaks) -> Any:
    """It clears all sound operators, and finds these leaks where they are.

    They come in an order drawn by lot: who counts calls has nothing to go by.
    """

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        width, (shortest, longest) = parameters["width"], parameters["lengths"]
        length = pick(shortest, longest, generator)
        planted = leaks(length, width, parameters, generator)
        tried = [*sound(length, width, generator), *planted]
        named = {
            i: pairs_named(fns["leaks"], tried[i].op, length, width)
            for i in torch.randperm(len(tried), generator=generator).tolist()
        }
        for i, one in enumerate(tried):
            wrong, says, question = named[i] - one.leaks, one.says, one.question
            if one.leaks and wrong:
                says = "names pairs that do not move"
                question = "How many inputs do you change at a time?"
            elif bool(named[i]) == bool(one.leaks):
                continue
            raise Incorrect(
                f"your auditor {says}",
                f"length {length}, width {width}",
                some(one.leaks),
                some(wrong),
                question,
            )

    return check


def pairs_named(leaks: Function, op: Operator, length: int, width: int) -> Pairs:
    """What the student's auditor says about an operator that it cannot look into."""

    def black_box(u: Tensor) -> Tensor:
        if not isinstance(u, Tensor) or not u.is_floating_point():
            raise TypeError("op takes a tensor of real numbers")
        if u.dim() != 3 or u.shape[1:] != (length, width) or not len(u):
            shape = tuple(u.shape)
            raise ValueError(f"op takes (B, {length}, {width}) here; got {shape}")
        if u.numel() > MOST:
            raise ValueError(f"at most {MOST:,} numbers may be handed over")
        return op(u.detach().clone())

    value: Any = attempt(leaks, black_box, length, width)
    try:
        named = frozenset((int(t), int(s)) for t, s in value)
    except (TypeError, ValueError, RuntimeError):
        raise Incorrect(
            "leaks must give a list of pairs (output, later input), or []",
            got=f"{value!r:.90}",
        ) from None
    for t, s in sorted(named):
        if s <= t:
            raise Incorrect(
                f"({t}, {s}) is no leak: input {s} is not later than output {t}",
                question=PRESENT,
            )
        if not 0 <= t < s < length:
            raise Incorrect(f"({t}, {s}) is not there: {length} steps, from 0")
    return named


def some(pairs: Pairs) -> str:
    """At most four of them."""
    first, more = sorted(pairs)[:4], len(pairs) > 4
    return f"[{', '.join(map(str, first))}{', …' * more}]"


# The null model.

Statistic = Callable[[Tensor], float]


@dataclass
class Trial:
    """One call of null_share: what was drawn, and of what the statistic was asked."""

    statistic: Statistic
    trained: Tensor
    n: int
    seed: int
    drawn: list[Tensor] = field(default_factory=list)
    asked: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.given = self.trained.clone()
        self.generator = torch.Generator().manual_seed(self.seed)

    def draw(self, generator: torch.Generator) -> Tensor:
        """The trained weights in another order."""
        if not isinstance(generator, torch.Generator):
            raise TypeError("draw takes a torch.Generator")
        order = torch.randperm(self.trained.numel(), generator=generator)
        self.drawn.append(self.trained.flatten()[order].view_as(self.trained))
        return self.drawn[-1].clone()

    def ask(self, weights: Tensor) -> float:
        shape = tuple(self.trained.shape)
        if not isinstance(weights, Tensor) or weights.shape != shape:
            raise TypeError(f"statistic takes weights of shape {shape}")
        self.asked.append(weights.detach().clone())
        return self.statistic(self.asked[-1])

    def run(self, fn: Function) -> object:
        """The answer, a number; `given` may have changed, and `generator` moved.

        Incorrect if other than n models were drawn.
        """

        def ask(weights: Tensor) -> float:
            return self.ask(weights)

        def draw(generator: torch.Generator) -> Tensor:
            return self.draw(generator)

        bound = partial(fn, ask, self.given, draw, self.n, generator=self.generator)
        got = attempt(bound)
        if wrong := fault(got, 0.0):
            raise self.incorrect(wrong, "What is a share?", got=show(got))
        if len(self.drawn) != self.n:
            raise self.incorrect(
                f"{self.n} random models are wanted: draw was called "
                f"{len(self.drawn)} times",
                "With how many models is the trained one compared?",
            )
        return got

    @property
    def counts(self) -> Counts:
        """Of the models that were drawn, whatever they were drawn from."""
        own = self.statistic(self.trained)
        values = [self.statistic(weights) for weights in self.drawn]
        return Counts(
            above=sum(value > own for value in values),
            reach=sum(value >= own for value in values),
            below=sum(value <= own for value in values),
            n=self.n,
        )

    def incorrect(
        self, sentence: str, question: str, expected: str = "", got: str = ""
    ) -> Incorrect:
        given = f"n = {self.n}, weights of shape {tuple(self.trained.shape)}"
        return Incorrect(sentence, given, expected, got, question)


def judge_shares(fn: Function, trials: Sequence[Trial]) -> None:
    """Is each answer the share that the models drawn make?"""
    answers = [
        (trial.counts, got, trial) for trial in trials for got in [trial.run(fn)]
    ]
    failures = [one for one in answers if not close(one[1], one[0].share, 1e-6)]
    if not failures:
        return
    sentence = "this is not the share that these models make"
    for known, formula in SHARE_MISTAKES:
        if all(close(got, formula(counts), 1e-6) for counts, got, _ in failures):
            sentence = known
            break
    counts, got, trial = failures[0]
    ties = counts.reach - counts.above
    raise trial.incorrect(
        sentence,
        "How many models are compared, the trained one included?",
        f"{counts.share:.4g}: {counts.above} of {counts.n} lie above, {ties} tie",
        show(got),
    )


def trained_weights(
    parameters: Parameters, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Weights, half of them negative, no two alike; and a seed for the stream."""
    shape = parameters["rows"], parameters["columns"]
    values = torch.randn(shape, generator=generator, dtype=torch.float64).abs() + 0.1
    negative = torch.randperm(values.numel(), generator=generator).view(shape) % 2
    return values * (1 - 2 * negative), pick(0, 2**31 - 2, generator)


def along(direction: Tensor) -> Statistic:
    return lambda weights: float((weights.double() * direction).sum())


def shares_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """A statistic in which no two models tie, and its opposite."""
    trials = []
    for n in parameters["n"]:
        own, seed = trained_weights(parameters, generator)
        direction = torch.randn(own.shape, generator=generator, dtype=torch.float64)
        trials += [Trial(along(way * direction), own, n, seed) for way in (1, -1)]
    judge_shares(fns["null_share"], trials)


def honest_at_ties(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """None reaches the trained model; all tie; some do."""
    trials = []
    for n in parameters["n"]:
        own, seed = trained_weights(parameters, generator)
        best = own.flatten().sort()[0].view_as(own)
        rising = torch.arange(own.numel(), dtype=torch.float64).view_as(own)
        trials += [
            Trial(along(rising), best, n, seed),
            Trial(lambda weights: float(weights.max()), own, n, seed),
            Trial(lambda weights: float((weights[0] > 0).sum()), own, n, seed),
        ]
    judge_shares(fns["null_share"], trials)


def keeps_stream_and_weights(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """All models come from the generator, which moves on; the trained weights stay."""
    for n in parameters["n"]:
        own, seed = trained_weights(parameters, generator)
        trial, ideal = (Trial(lambda w: float(w[0].sum()), own, n, seed) for _ in "ab")
        got = trial.run(fns["null_share"])
        right = [ideal.draw(ideal.generator) for _ in range(n)]
        if not torch.equal(trial.given, own):
            raise trial.incorrect(
                "the trained weights are others after the call: work on copies",
                "Whom do the weights belong to that you change?",
                show(own),
                show(trial.given),
            )
        if not all(map(torch.equal, trial.drawn, right)):
            raise trial.incorrect(
                "these models do not come from the generator as it was handed over",
                "Who seeds a generator that somebody hands to you?",
                show(right[0]),
                show(trial.drawn[0]),
            )
        if not torch.equal(trial.generator.get_state(), ideal.generator.get_state()):
            raise trial.incorrect(
                "the generator stands elsewhere than the models drawn have moved it",
                "Would a second call draw other models?",
            )
        if not all(among(one, trial.asked) for one in (own, *right)):
            raise trial.incorrect(
                "the statistic must be asked of the trained model and of each drawn",
                "With how many models is the trained one compared?",
            )
        counts = trial.counts
        known = [counts.share, *(formula(counts) for _, formula in SHARE_MISTAKES)]
        if not any(close(got, number, 1e-6) for number in known):
            raise trial.incorrect(
                "what comes out does not follow from the models drawn",
                "How many of them reach the trained one?",
                f"{counts.share:.4g}",
                show(got),
            )


def among(one: Tensor, others: Sequence[Tensor]) -> bool:
    return any(torch.equal(one, other) for other in others)


A3 = Assignment(
    id="A3",
    title="Instrument the operator",
    parts=(
        Part(
            name="matrix",
            title="The matrix of any order",
            functions=("hyena_matrix",),
            properties=(
                Property(5, "order 1 is a convolution, then a gate", has_order_1),
                Property(7, "any order: H @ v is the recurrence", has_any_order),
                Property(5, "each sequence alone, signs kept", keeps_rows_and_signs),
                Property(3, "all that, and 0 right of the diagonal", is_causal),
            ),
        ),
        Part(
            name="auditor",
            title="An auditor that finds leaks and blames nobody",
            functions=("leaks",),
            properties=(
                Property(7, "clears the sound, finds open leaks", finds(open_leaks)),
                Property(7, "clears the sound, finds gated leaks", finds(gated_leaks)),
                Property(6, "clears the sound, finds faint leaks", finds(faint_leaks)),
            ),
            seconds=20.0,
        ),
        Part(
            name="null",
            title="A control with random weights",
            functions=("null_share",),
            properties=(
                Property(6, "the share, the trained model included", shares_right),
                Property(5, "never 0, and honest at ties", honest_at_ties),
                Property(
                    4,
                    "draws from the generator, keeps the trained weights",
                    keeps_stream_and_weights,
                ),
            ),
        ),
    ),
    written=(Written("channel", "One trained channel, explained", 45),),
    parameters=parameters_from(Path(__file__).with_suffix(".toml")),
)
