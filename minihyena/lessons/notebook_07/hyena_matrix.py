"""07.hyena_matrix: the matrix that a stack of gates and convolutions is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect

__all__ = ["EXERCISE"]

Parts = Sequence[Tensor]


def hyena_matrix(gates: Parts, filters: Parts) -> Tensor:
    """gates: N of (B, L), filters: N of (L,) -> H (B, L, L), stage 1 applied first.

    H @ v = x^N * (h^N conv ( ... x^1 * (h^1 conv v))) for every v, the gates fixed.
    """
    time = torch.arange(gates[0].shape[-1])
    lag = time[:, None] - time
    matrix = torch.eye(len(time), dtype=gates[0].dtype)
    for x, h in zip(gates, filters, strict=True):
        stage = h[lag].tril()  # row t, column s: h[t - s], nothing for s > t
        matrix = x[:, :, None] * (stage @ matrix)
    return matrix


def by_unit_vectors(gates: Parts, filters: Parts) -> Tensor:
    """Column s is what the recurrence makes of a 1 at place s; loops in float64."""
    (batch, length), dtype = gates[0].shape, gates[0].dtype
    columns = torch.eye(length, dtype=torch.float64).repeat(batch, 1, 1)
    for x, h in zip(gates, filters, strict=True):
        after = torch.zeros_like(columns)
        for t in range(length):
            for r in range(t + 1):
                after[:, t] += h[t - r].double() * columns[:, r]
            after[:, t] *= x[:, t, None].double()
        columns = after
    return columns.to(dtype)


def circulant(h: Tensor) -> Tensor:
    time = torch.arange(len(h))
    return h[time[:, None] - time]


def stages(gates: Parts, filters: Parts) -> list[Tensor]:
    """One matrix (B, L, L) for every stage: diag(x) T(h)."""
    pairs = zip(gates, filters, strict=True)
    return [x[:, :, None] * circulant(h).tril() for x, h in pairs]


def product(factors: Sequence[Tensor]) -> Tensor:
    """The first factor stands on the right: it meets v first."""
    matrix = factors[0]
    for factor in factors[1:]:
        matrix = factor @ matrix
    return matrix


def whole_derivative(gates: Parts, filters: Parts) -> Tensor:
    """d y[t] / d u[s] at u = 1, with v = u and every gate growing with u."""
    length = gates[0].shape[-1]

    def output(x: Parts, u: Tensor) -> Tensor:
        for gate, h in zip(x, filters, strict=True):
            u = gate * (circulant(h).tril() @ u)
        return u

    one = torch.ones(length, dtype=gates[0].dtype)
    rows = [
        torch.func.jacrev(lambda u, b=b: output([x[b] * u for x in gates], u))(one)
        for b in range(len(gates[0]))
    ]
    return torch.stack(rows)


def mean_gates(gates: Parts) -> list[Tensor]:
    return [x.mean(0, keepdim=True).expand_as(x) for x in gates]


FREEZE = "Which numbers are held while v is exchanged?"
BATCH = "Whose gates belong to sequence 0?"
MATRIX_MISTAKES = (
    Mistake(
        "agrees for N = 1 only: the last stage multiplies from the left",
        lambda gates, filters: product(stages(gates, filters)[::-1]),
        "Which stage meets v first, and where does it stand in the product?",
    ),
    Mistake(
        "you differentiated through the gates: freeze them",
        whole_derivative,
        FREEZE,
    ),
    Mistake(
        "sequence 0 changed when sequence 1 did: the gates were averaged over the "
        "batch",
        lambda gates, filters: product(stages(mean_gates(gates), filters)),
        BATCH,
    ),
    Mistake(
        "sequence 0 changed when sequence 1 did, and one matrix stands for the batch",
        lambda gates, filters: product(stages(mean_gates(gates), filters))[0],
        BATCH,
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
                circulant(h).tril() * x[:, None]
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
            [x[:, :, None] * circulant(h) for x, h in zip(gates, filters, strict=True)]
        ),
        "What should stand right of the diagonal?",
    ),
    Mistake(
        "only one stage is in it: multiply all N",
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
)


def exactly_causal(fn: Function, cases: Sequence[Case]) -> None:
    """Incorrect unless nothing at all stands right of the diagonal."""
    for case in cases:
        got = attempt(fn, *case.args)
        assert isinstance(got, Tensor)  # examine has compared it with the oracle
        if (future := got.triu(1)).any():
            largest = f"up to {float(future.abs().max()):.1g}"
            raise Incorrect(
                "right of the diagonal stand small numbers instead of 0: rounding, as "
                "a Fourier transform leaves it",
                case.given,
                "0 for s > t",
                largest,
                "Which entries do you know without computing them?",
            )


def check_hyena_matrix(fn: Function, *, generator: torch.Generator) -> None:
    """One to three stages, one to three sequences, both precisions."""
    shapes = [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 3)]
    shapes += [(3, pick(2, 3, generator), pick(4, 7, generator))]
    cases = []
    for order, batch, length in shapes:
        for dtype in (torch.float32, torch.float64):
            drawn = torch.randn(order, batch + 1, length, generator=generator)
            drawn = ((drawn * 10).round() / 10 + 0.05).to(dtype)  # short, never 0
            gates, filters = list(drawn[:, :-1]), list(drawn[:, -1])
            given = f"gates {show(drawn[:, :-1], count=6)}, N, B, L = "
            given += f"{order}, {batch}, {length}; filters {show(drawn[:, -1])}"
            cases.append(Case((gates, filters), by_unit_vectors(gates, filters), given))
    question = "What does one stage do to a 1 at place s and 0 elsewhere?"
    examine(fn, cases, MATRIX_MISTAKES, question=question)
    exactly_causal(fn, cases)


EXERCISE = Exercise(
    id="07.hyena_matrix",
    objective="Write the matrix of a stack of gates and causal convolutions.",
    answer=hyena_matrix,
    hints=(
        "Which matrix multiplies place t by x[t]? Which one is a convolution by h?",
        "One stage is diag(x) T(h), with T[t, s] = h[t - s] for s <= t and 0 "
        "elsewhere. Begin with torch.eye and multiply each stage from the left; "
        "x[:, :, None] * M is diag(x) M for every sequence.",
    ),
    checker=check_hyena_matrix,
    points=15,
    minutes=15,
    stars=2,
)
