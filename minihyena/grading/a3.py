"""A3, instrument the operator: its matrix, its causality, and what is evidence."""

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

__all__ = ["A3"]

# The matrix.

Parts = Sequence[Tensor]
NEAR = {torch.float32: 3e-5, torch.float64: 1e-10}


def by_unit_vectors(gates: Parts, filters: Parts) -> Tensor:
    """H (B, D, L, L): column s is what the recurrence makes of a 1 at place s."""
    batch, width, length = gates[0].shape
    columns = torch.eye(length, dtype=torch.float64).repeat(batch, width, 1, 1)
    for x, h in zip(gates, filters, strict=True):
        after = torch.zeros_like(columns)
        for t in range(length):
            for r in range(t + 1):
                after[:, :, t] += h[:, t - r, None].double() * columns[:, :, r]
            after[:, :, t] *= x[:, :, t, None].double()
        columns = after
    return columns.to(gates[0].dtype)


def circulant(h: Tensor) -> Tensor:
    """(D, L) -> (D, L, L): h[t - s], a negative lag counted from the end."""
    time = torch.arange(h.shape[-1])
    return h[:, time[:, None] - time]


def stages(gates: Parts, filters: Parts) -> list[Tensor]:
    """diag(x) T(h) for every stage."""
    pairs = zip(gates, filters, strict=True)
    return [x[..., None] * circulant(h).tril() for x, h in pairs]


def product(factors: Sequence[Tensor]) -> Tensor:
    """The first factor stands on the right: it meets v first."""
    matrix = factors[0]
    for factor in factors[1:]:
        matrix = factor @ matrix
    return matrix


def averaged(gates: Parts) -> list[Tensor]:
    return [x.mean(0, keepdim=True).expand_as(x) for x in gates]


MATRIX_MISTAKES = (
    Mistake(
        "agrees for N = 1 only: the last stage multiplies from the left",
        lambda gates, filters: product(stages(gates, filters)[::-1]),
        "Which stage meets v first, and where does it stand in the product?",
    ),
    Mistake(
        "sequence 0 changed when sequence 1 did: the gates were averaged over the "
        "batch",
        lambda gates, filters: product(stages(averaged(gates), filters)),
        "Whose gates belong to sequence 0?",
    ),
    Mistake(
        "signs are gone; H @ v no longer matches",
        lambda gates, filters: product(stages(gates, filters)).abs(),
        "May an input count negatively?",
    ),
    Mistake(
        "every stage gates before it convolves: the gate scaled columns, not rows",
        lambda gates, filters: product(
            [
                circulant(h).tril() * x[:, :, None]
                for x, h in zip(gates, filters, strict=True)
            ]
        ),
        "In x * (h conv v), what does the gate multiply?",
    ),
    Mistake(
        "H is transposed: row t belongs to output t",
        lambda gates, filters: product(stages(gates, filters)).mT,
        "What does row 0 read?",
    ),
    Mistake(
        "h[t - s] was read for s > t, too: a negative index wraps round to the end",
        lambda gates, filters: product(
            [x[..., None] * circulant(h) for x, h in zip(gates, filters, strict=True)]
        ),
        "What should stand right of the diagonal?",
    ),
    Mistake(
        "only the last stage is in it: multiply all N",
        lambda gates, filters: stages(gates, filters)[-1],
        "What became of the stages before the last?",
    ),
    Mistake(
        "the stages were added; one after the other is a product",
        lambda gates, filters: torch.stack(stages(gates, filters)).sum(0),
        "What is A applied to the result of B applied to v?",
    ),
    Mistake(
        "the first filter was used in every stage",
        lambda gates, filters: product(stages(gates, [filters[0]] * len(gates))),
        "How many filters are there?",
    ),
    Mistake(
        "these are the convolutions without the gates",
        lambda gates, filters: product(
            stages([torch.ones_like(x) for x in gates], filters)
        ),
        "Which factor of a stage knows what the tokens say?",
    ),
    Mistake(
        "the factors were multiplied entry by entry; one stage after the other is a "
        "matrix product",
        lambda gates, filters: torch.stack(stages(gates, filters)).prod(0),
        "Which places does the second stage read, besides its own?",
    ),
)
ONE_STAGE = "What does one stage do to a 1 at place s and 0 elsewhere?"


def drawn(
    order: int, shape: tuple[int, int, int], generator: torch.Generator
) -> tuple[list[Tensor], list[Tensor]]:
    """Gates and filters for (B, D, L), in either precision."""
    dtype = (torch.float32, torch.float64)[pick(0, 1, generator)]
    gates = [short(*shape, generator=generator).to(dtype) for _ in range(order)]
    filters = [short(*shape[1:], generator=generator).to(dtype) for _ in range(order)]
    return gates, filters


def case(gates: list[Tensor], filters: list[Tensor]) -> Case:
    expected = by_unit_vectors(gates, filters)
    shape = ", ".join(map(str, (len(gates), *gates[0].shape)))
    given = f"N, B, D, L = {shape}; gates {show(torch.stack(gates), count=6)}, "
    given += f"filters {show(torch.stack(filters), count=6)}"
    return Case((gates, filters), expected, given, tolerance=NEAR[expected.dtype])


def cases(
    orders: Iterable[int],
    sequences: int,
    parameters: Parameters,
    generator: torch.Generator,
) -> list[Case]:
    """Every order and length; two channels at least, each with its own filters."""
    return [
        case(*drawn(order, (sequences, channels, length), generator))
        for order in orders
        for length in parameters["lengths"]
        for channels in [pick(2, parameters["channels"], generator)]
    ]


def has_order_1(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """One stage, one sequence, no negative numbers: signs are a property of their own.

    Shifting to the sizes keeps every other mistake visible.
    """
    signed = cases([1], 1, parameters, generator)
    plain = [case(*([x.abs() for x in part] for part in c.args)) for c in signed]  # type: ignore[attr-defined]
    examine(fns["hyena_matrix"], plain, MATRIX_MISTAKES, question=ONE_STAGE)


def has_any_order(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Several stages, one sequence: H @ v is the recurrence, for every v."""
    found = cases(parameters["orders"], 1, parameters, generator)
    examine(fns["hyena_matrix"], found, MATRIX_MISTAKES, question=ONE_STAGE)


def keeps_rows_and_signs(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Right at order 1; above, each sequence as if alone, and signs go through."""
    fn, sequences = fns["hyena_matrix"], parameters["sequences"]
    found = cases([1], sequences, parameters, generator)
    examine(fn, found, MATRIX_MISTAKES, question=ONE_STAGE)
    for one in cases(parameters["orders"], sequences, parameters, generator):
        gates: Any = one.args[0]
        filters: Any = one.args[1]
        whole = tensor_of(fn, one, gates, filters)
        alone = torch.cat(
            [
                tensor_of(fn, one, [x[b : b + 1] for x in gates], filters)
                for b in range(sequences)
            ]
        )
        if not one.agrees(whole, alone):
            raise Incorrect(
                "a sequence has another matrix when it is alone: rows of a batch met",
                one.given,
                show(alone),
                show(whole),
                "Whose gates belong to sequence 0?",
            )
        turned = tensor_of(fn, one, [-gates[0], *gates[1:]], filters)
        if not one.agrees(turned, -whole):
            raise Incorrect(
                "signs are gone: the first gate changed its sign, H did not",
                one.given,
                show(-whole),
                show(turned),
                "May an input count negatively?",
            )


def tensor_of(fn: Function, one: Case, gates: Parts, filters: Parts) -> Tensor:
    """What it gives, if that can be compared; else Incorrect."""
    got = attempt(fn, gates, filters)
    batch, width, length = gates[0].shape
    wrong = fault(got, torch.zeros(batch, width, length, length, dtype=gates[0].dtype))
    if wrong or not isinstance(got, Tensor):
        raise Incorrect(str(wrong), one.given, question=ONE_STAGE)
    return got


def is_causal(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Right everywhere, and not only small right of the diagonal."""
    orders = [1, *parameters["orders"]]
    found = cases(orders, parameters["sequences"], parameters, generator)
    examine(fns["hyena_matrix"], found, MATRIX_MISTAKES, question=ONE_STAGE)
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


# The auditor: operators (B, L, D) -> (B, L, D) that compute in the dtype they are given.

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


def weights(*shape: int, generator: torch.Generator) -> Tensor:
    """Of a size that keeps outputs as large as inputs, roughly."""
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    return w / shape[-1] ** 0.5


def coin(generator: torch.Generator) -> int:
    return 2 * pick(0, 1, generator) - 1


def long_conv(u: Tensor, h: Tensor) -> Tensor:
    """u (B, L, D), h (L, D): causal, by an FFT with room for the tail."""
    n = 2 * u.shape[1]
    spectrum = torch.fft.rfft(u, n, dim=1) * torch.fft.rfft(h.to(u.dtype), n, dim=0)
    return torch.fft.irfft(spectrum, n, dim=1)[:, : u.shape[1]]  # type: ignore[no-any-return]


def later(u: Tensor, steps: int) -> Tensor:
    """What comes so many steps later (or earlier, if negative), 0 beyond the ends."""
    y, length = torch.zeros_like(u), u.shape[1]
    y[:, max(-steps, 0) : length - max(steps, 0)] = u[
        :, max(steps, 0) : length + min(steps, 0)
    ]
    return y


def fir(u: Tensor, taps: Sequence[tuple[int, Tensor]]) -> Tensor:
    """The sum of tap * u so many steps earlier."""
    return sum((later(u, -k) * w.to(u.dtype) for k, w in taps), torch.zeros_like(u))


def sound(length: int, width: int, generator: torch.Generator) -> list[Planted]:
    """Six causal operators, their weights drawn anew."""
    h = weights(length, width, generator=generator)
    h *= torch.linspace(0, -3, length, dtype=torch.float64).exp()[:, None]
    offset = short(length, width, generator=generator)
    taps = [(k, weights(width, generator=generator)) for k in range(3)]
    maps = [weights(width, width, generator=generator) for _ in range(8)]

    def by_map(number: int, u: Tensor) -> Tensor:
        return u @ maps[number].to(u.dtype)

    def attention(u: Tensor) -> Tensor:
        scores = by_map(0, u) @ by_map(1, u).mT / width**0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        return scores.masked_fill(future, -torch.inf).softmax(-1) @ by_map(2, u)

    def hyena(u: Tensor) -> Tensor:
        x0, x1, v = (fir(by_map(number, u), taps) for number in (3, 4, 5))
        z = x1 * v
        return by_map(6, x0 * (long_conv(z, h) + 0.5 * z))

    def running_mean(u: Tensor) -> Tensor:
        return u.cumsum(1) / torch.arange(1, length + 1).to(u.dtype)[:, None]

    return [
        Planted(
            lambda u: u + offset.to(u.dtype),
            "blames an operator that adds a constant, whatever comes in",
            "What comes out when nothing goes in?",
        ),
        Planted(
            lambda u: long_conv(u, h),
            "blames a causal convolution by FFT, which touches the last digits of "
            "every output",
            "How large is rounding, beside the largest output?",
        ),
        Planted(
            lambda u: fir(by_map(7, u), taps).sigmoid() * u,
            "blames a gate that listens to the present and the past",
            "May output t read input t?",
        ),
        Planted(
            running_mean,
            "blames the mean of all inputs so far",
            "Which inputs has the mean up to t seen?",
        ),
        Planted(
            attention,
            "blames causal attention",
            "May output t read input t?",
        ),
        Planted(
            hyena,
            "blames a Hyena of order 2",
            "How large is rounding, beside the largest output?",
        ),
    ]


def everywhere(length: int, lags: Iterable[int]) -> Pairs:
    """All pairs (t, t + lag)."""
    return frozenset((t, t + lag) for lag in lags for t in range(length - lag))


def open_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """Those that any input shows."""
    taps = [(k, weights(width, generator=generator)) for k in (0, 1)]
    ahead = coin(generator) * torch.full((width,), 0.3 + 0.1 * pick(0, 5, generator))

    def normalised(u: Tensor) -> Tensor:
        return (u - u.mean(1, True)) / (u.std(1, correction=0, keepdim=True) + 1e-3)

    return [
        Planted(
            lambda u: fir(u, [*taps, (-1, ahead)]),
            "clears a short convolution that is centred: output t reads input t + 1",
            "Which outputs come before the input that you change?",
            everywhere(length, [1]),
        ),
        Planted(
            normalised,
            "clears a normalisation over the whole sequence, whose mean and spread "
            "know the end",
            "Which outputs come before the input that you change?",
            everywhere(length, range(1, length)),
        ),
    ]


def gated_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """Those that are hidden from silence, or from all but loud inputs."""
    lags = [pick(1, 3, generator) for _ in range(2)]
    sign, channel = coin(generator), pick(0, width - 1, generator)
    loud = given["loud"]

    def by_sign(u: Tensor) -> Tensor:
        gate = (sign * u[..., channel]).relu()[..., None]
        return u + gate * later(u, lags[0])

    def by_loudness(u: Tensor) -> Tensor:
        gate = u.square().mean(-1, keepdim=True).sqrt() > loud
        return u + gate * later(u, lags[1])

    return [
        Planted(
            by_sign,
            "clears a leak behind a gate that silence shuts: a product with 0 is 0",
            "Which inputs would open a gate that is shut for yours?",
            everywhere(length, lags[:1]),
        ),
        Planted(
            by_loudness,
            f"clears a leak behind a gate that opens to loud inputs, {loud:g} and more",
            "Which inputs would open a gate that is shut for yours?",
            everywhere(length, lags[1:]),
        ),
    ]


def faint_leaks(
    length: int, width: int, given: Parameters, generator: torch.Generator
) -> list[Planted]:
    """A tail that wraps round, faintly, and one far input in one channel."""
    count = length // 2 + pick(0, 1, generator)
    h = torch.zeros(length, width, dtype=torch.float64)
    h[0] = 1
    signs = [coin(generator) for _ in range((count - 1) * width)]
    h[1:count] = given["smallest"] * torch.tensor(signs).view(count - 1, width)
    output, place = pick(1, 2, generator), length - pick(2, 3, generator)
    into, out_of = pick(1, width - 1, generator), pick(1, width - 1, generator)
    size = coin(generator) * (0.3 + 0.1 * pick(0, 5, generator))

    def ring(u: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(u, dim=1) * torch.fft.rfft(h.to(u.dtype), dim=0)
        return torch.fft.irfft(spectrum, length, dim=1)  # type: ignore[no-any-return]

    def lone(u: Tensor) -> Tensor:
        y = u.clone()
        y[:, output, into] += size * u[:, place, out_of]
        return y

    return [
        Planted(
            ring,
            "clears a convolution whose tail wraps round: a leak of size "
            f"{given['smallest']:g} from the end to the start",
            "How large is rounding, and how much larger is what you allow?",
            everywhere(length, range(length - count + 1, length)),
        ),
        Planted(
            lone,
            f"clears a leak into output {output} alone, from input {place}, in one "
            "channel",
            "Have you changed every input in every channel, and looked at every output?",
            frozenset([(output, place)]),
        ),
    ]


Leaks = Callable[[int, int, Parameters, torch.Generator], list[Planted]]


def finds(planted: Leaks) -> Any:
    """It clears all sound operators, and finds these leaks where they are."""

    def check(
        fns: Functions, parameters: Parameters, generator: torch.Generator
    ) -> None:
        width = parameters["width"]
        length = pick(*parameters["lengths"], generator)
        for one in [
            *sound(length, width, generator),
            *planted(length, width, parameters, generator),
        ]:
            named = pairs_named(fns["leaks"], one.op, length, width)
            given = f"length {length}, width {width}"
            if bool(named) != bool(one.leaks):
                raise Incorrect(
                    f"your auditor {one.says}",
                    given,
                    some(one.leaks),
                    some(named),
                    one.question,
                )
            if wrong := named - one.leaks:
                raise Incorrect(
                    "the operator leaks, but not there: another input moved, too, or "
                    "rounding was counted",
                    given,
                    some(one.leaks),
                    some(wrong),
                    "How many inputs do you change at a time?",
                )

    return check


def pairs_named(leaks: Function, op: Operator, length: int, width: int) -> Pairs:
    """What the student's auditor says about an operator that it cannot look into."""

    def black_box(u: Tensor) -> Tensor:
        if not isinstance(u, Tensor) or not u.is_floating_point():
            raise TypeError("op takes a tensor of real numbers")
        if u.dim() != 3 or u.shape[1:] != (length, width) or not len(u):
            raise ValueError(
                f"op takes (B, {length}, {width}) here; got {tuple(u.shape)}"
            )
        if u.numel() > MOST:
            raise ValueError(f"at most {MOST:,} numbers may be handed over")
        return op(u.detach().clone())

    value: Any = attempt(leaks, black_box, length, width)
    try:
        rows = [[int(number) for number in pair] for pair in value]
        named = frozenset((t, s) for t, s in rows)
    except (TypeError, ValueError, RuntimeError):
        raise Incorrect(
            "leaks must give a list of pairs (output, later input), or []",
            got=f"{value!r:.90}",
        ) from None
    for t, s in sorted(named):
        if s <= t:
            raise Incorrect(
                f"({t}, {s}) is no leak: input {s} is not later than output {t}",
                question="May output t read input t?",
            )
        if not 0 <= t < s < length:
            raise Incorrect(f"({t}, {s}): there are only {length} steps, from 0")
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
        """The trained weights in another order, from this generator."""
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
        return float(self.statistic(self.asked[-1]))

    def run(self, fn: Function) -> object:
        """The answer; it may have changed `given`, and has moved `generator`.

        Incorrect if it is no number, or not n models were drawn.
        """
        asks, draws = (
            lambda weights: self.ask(weights),
            lambda generator: self.draw(generator),
        )
        call = partial(fn, asks, self.given, draws, self.n, generator=self.generator)
        got = attempt(call)
        if wrong := fault(got, 0.0):
            raise self.incorrect(wrong, "What is a share?")
        if len(self.drawn) != self.n:
            raise self.incorrect(
                f"{self.n} random models are wanted: draw was called "
                f"{len(self.drawn)} times",
                "With how many models is the trained one compared?",
            )
        return got

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Of the models drawn: above, at or above, at or below the trained; n."""
        own = self.statistic(self.trained)
        values = [self.statistic(weights) for weights in self.drawn]
        return (
            sum(value > own for value in values),
            sum(value >= own for value in values),
            sum(value <= own for value in values),
            self.n,
        )

    def incorrect(
        self, sentence: str, question: str, expected: str = "", got: str = ""
    ) -> Incorrect:
        given = f"n = {self.n}, weights of shape {tuple(self.trained.shape)}"
        return Incorrect(sentence, given, expected, got, question)


def share(above: int, reach: int, below: int, n: int) -> float:
    return (reach + 1) / (n + 1)


SHARE_MISTAKES: tuple[tuple[str, Callable[[int, int, int, int], float]], ...] = (
    ("count / n can be 0: use (count + 1) / (n + 1)", lambda a, r, b, n: r / n),
    ("the trained model counts, too: count + 1", lambda a, r, b, n: r / (n + 1)),
    ("n + 1 models are compared, not n", lambda a, r, b, n: (r + 1) / n),
    ("a tie counts: at least as large", lambda a, r, b, n: (a + 1) / (n + 1)),
    ("a tie counts, and count / n can be 0", lambda a, r, b, n: a / n),
    ("this is the share at most as large", lambda a, r, b, n: (b + 1) / (n + 1)),
    ("this is one minus the share", lambda a, r, b, n: 1 - (r + 1) / (n + 1)),
    ("a number of models, not a share of them", lambda a, r, b, n: r),
    ("a number of models, not a share of them", lambda a, r, b, n: r + 1),
)


def judge_shares(fn: Function, trials: Sequence[Trial]) -> None:
    """Each answer is the share that the models drawn make, whatever they were."""
    answers = [(trial, trial.run(fn)) for trial in trials]
    failures = [
        (t, got) for t, got in answers if not close(got, share(*t.counts), 1e-6)
    ]
    if not failures:
        return
    sentence = "this is not the share that these models make"
    for known, formula in SHARE_MISTAKES:
        if all(close(got, formula(*t.counts), 1e-6) for t, got in failures):
            sentence = known
            break
    trial, got = failures[0]
    above, reach, _, n = trial.counts
    raise trial.incorrect(
        sentence,
        "How many models are compared, the trained one included?",
        f"{share(*trial.counts):.4g}: {above} of {n} lie above, {reach - above} tie",
        show(got),
    )


def weights_and_seed(
    parameters: Parameters, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Trained weights, half of them negative, no two alike; a seed for the stream."""
    size = parameters["rows"] * parameters["columns"]
    values = torch.randn(size, generator=generator, dtype=torch.float64).abs() + 0.1
    values[torch.randperm(size, generator=generator)[: size // 2]] *= -1
    shape = parameters["rows"], parameters["columns"]
    return values.view(shape), pick(0, 2**31 - 2, generator)


def shares_right(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """A statistic in which no two models tie."""
    trials = []
    for n in parameters["n"]:
        trained, seed = weights_and_seed(parameters, generator)
        direction = torch.randn(trained.shape, generator=generator, dtype=torch.float64)
        for sign in (1, -1):
            toward = partial(torch.tensordot, sign * direction, dims=2)
            trials.append(Trial(lambda w, f=toward: float(f(w)), trained, n, seed))  # type: ignore[misc]
    judge_shares(fns["null_share"], trials)


def honest_at_ties(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """None reaches the trained model; all are equal; some are."""
    size = parameters["rows"] * parameters["columns"]
    falling = torch.arange(size, 0, -1, dtype=torch.float64)
    trials = []
    for n in parameters["n"]:
        trained, seed = weights_and_seed(parameters, generator)
        best = trained.flatten().sort(descending=True)[0].view_as(trained)
        trials += [
            Trial(lambda w: float(w.flatten().double() @ falling), best, n, seed),
            Trial(lambda w: float(w.max()), trained, n, seed),
            Trial(lambda w: float((w[0] > 0).sum()), trained, n, seed),
        ]
    judge_shares(fns["null_share"], trials)


def keeps_stream_and_weights(
    fns: Functions, parameters: Parameters, generator: torch.Generator
) -> None:
    """Every model from the generator that was given, which moves on; weights stay."""
    for n in parameters["n"]:
        trained, seed = weights_and_seed(parameters, generator)
        trial = Trial(lambda w: float(w[0].sum()), trained, n, seed)
        trial.run(fns["null_share"])
        if not torch.equal(trial.given, trained):
            raise trial.incorrect(
                "the trained weights are others after the call: work on copies",
                "Whom do the weights belong to that you change?",
                show(trained),
                show(trial.given),
            )
        wanted = Trial(trial.statistic, trained, n, seed)
        right = [wanted.draw(wanted.generator) for _ in range(n)]
        if not all(map(torch.equal, right, trial.drawn)):
            raise trial.incorrect(
                "these models do not come from the generator as it was given",
                "Who seeds a generator that somebody hands to you?",
                show(right[0]),
                show(trial.drawn[0]),
            )
        states = wanted.generator.get_state(), trial.generator.get_state()
        if not torch.equal(*states):
            raise trial.incorrect(
                "the generator has not moved on by what was drawn: a second call would "
                "draw the same models, or others were drawn besides",
                "What does seeding do to a stream?",
            )
        if not all(_among(one, trial.asked) for one in (trained, *right)):
            raise trial.incorrect(
                "the statistic must be asked of the trained model and of each drawn",
                "With how many models is the trained one compared?",
            )


def _among(one: Tensor, others: Sequence[Tensor]) -> bool:
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
                Property(
                    5, "each sequence by itself, signs kept", keeps_rows_and_signs
                ),
                Property(3, "all of it right, and 0 right of the diagonal", is_causal),
            ),
        ),
        Part(
            name="auditor",
            title="An auditor that finds leaks and blames nobody",
            functions=("leaks",),
            properties=(
                Property(7, "finds open leaks, clears the sound", finds(open_leaks)),
                Property(
                    7, "finds leaks behind gates, clears the sound", finds(gated_leaks)
                ),
                Property(
                    6, "finds faint and far leaks, clears the sound", finds(faint_leaks)
                ),
            ),
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
