"""05.copy_after_marker: a copying machine of two gates and one filter, by hand."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import in_both_precisions, pick, show
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def copy_after_marker(tokens: Tensor, marker: Tensor, query: Tensor) -> Tensor:
    """tokens, marker, query: (L,) -> (L,): gate, filter, gate, all chosen by hand.

    marker is 1 at one place or several, query is 1 at a later place. The token that
    stands just after a marker comes out at the query, after several their sum; all
    else is 0.
    """
    pre = torch.cat([torch.zeros_like(marker[:1]), marker[:-1]])
    carried = (pre * tokens).cumsum(0)
    return query * carried


def copied_by_loops(tokens: Tensor, marker: Tensor, query: Tensor) -> Tensor:
    y = torch.zeros(tokens.shape, dtype=torch.float64)
    for s in range(1, len(tokens)):
        for t in range(s, len(tokens)):
            if marker[s - 1] == 1 and query[t] == 1:
                y[t] += tokens[s].double()
    return y.to(tokens.dtype)


def later(x: Tensor, steps: int) -> Tensor:
    """x, so many steps later, with zeros in front."""
    return torch.cat([torch.zeros_like(x[:steps]), x[: len(x) - steps]])


def by_index(tokens: Tensor, marker: Tensor, query: Tensor) -> Tensor:
    y = torch.zeros_like(tokens)
    y[query.argmax()] = tokens[marker.argmax() + 1]
    return y


def fixed_tap(lag: int) -> Function:
    return lambda tokens, marker, query: query * later(later(marker, 1) * tokens, lag)


def not_gated_after(fn: Function, failures: Failures) -> str | None:
    """Does anything come out where nobody asked?"""
    for case, got in failures:
        query = case.args[2]
        assert isinstance(query, Tensor)
        if not isinstance(got, Tensor) or got.shape != query.shape:
            return None
        if not (got * (1 - query)).any():
            return None
    return "something comes out where nobody asked: the post-gate is the query"


COPY_MISTAKES = (
    Mistake(
        "right for one marker; with three markers the filter adds up three tokens: "
        "let it carry whatever the pre-gate lets in",
        by_index,
        "What does a filter of ones do with two tokens that came in?",
    ),
    Mistake(
        "this copied the marker; open the gate one step later",
        lambda tokens, marker, query: query * (marker * tokens).cumsum(0),
        "At which place should the pre-gate be 1, if the marker is at place 2?",
    ),
    *(
        Mistake(
            "right at this distance, wrong at another: the filter has one open tap",
            fixed_tap(lag),
            "How many steps may lie between the value and the query?",
        )
        for lag in range(6)
    ),
    Mistake(
        "the value also appears before it was asked for: the post-gate is missing",
        lambda tokens, marker, query: (later(marker, 1) * tokens).cumsum(0),
        "What should come out at a place that is no query?",
    ),
    Mistake(
        "all tokens came along: the pre-gate is open everywhere",
        lambda tokens, marker, query: query * tokens.cumsum(0),
        "Which single token may pass the pre-gate?",
    ),
    Mistake(
        "the gate stayed open: everything since the marker came along",
        lambda tokens, marker, query: (
            query * (later(marker, 1).cumsum(0) * tokens).cumsum(0)
        ),
        "When should the pre-gate shut again?",
    ),
    Mistake(
        "this is the token under the query: nothing was carried to it",
        lambda tokens, marker, query: query * tokens,
        "Which part of the operator moves a value along the text?",
    ),
    Mistake(
        "the value stayed where it was: the filter must carry it to the query",
        lambda tokens, marker, query: later(marker, 1) * tokens,
        "Which filter still holds a value after any number of steps?",
    ),
    Mistake(
        "the gate opens one step before the marker: shift it the other way",
        lambda tokens, marker, query: query * (marker.roll(-1) * tokens).cumsum(0),
        "Does the token that is wanted come before or after the marker?",
    ),
    Mistake(
        "the value fades on its way: a mean divides it by how long the text is",
        lambda tokens, marker, query: (
            query * (later(marker, 1) * tokens).cumsum(0) / len(tokens)
        ),
        "Which filter carries a value without making it smaller?",
    ),
)


def check_copy_after_marker(fn: Function, *, generator: torch.Generator) -> None:
    """Every distance from 0 to 5 and then some, and three markers, against the loop."""
    cases = []
    for distance in (1, 2, 0, 3, 4, 5, pick(6, 9, generator)):
        at, rest = pick(1, 3, generator), pick(1, 3, generator)
        length = at + 2 + distance + rest
        tokens = torch.randperm(9 * length, generator=generator)[:length] / 10 + 0.1
        marker, query = torch.zeros(2, length)
        marker[at] = query[at + 1 + distance] = 1
        given = f"tokens = {show(tokens)}, marker at {at}, query at {at + 1 + distance}"
        cases += in_both_precisions(copied_by_loops, (tokens, marker, query), given)
    length, markers = pick(9, 12, generator), [1, 3, 6]
    tokens = torch.randperm(9 * length, generator=generator)[:length] / 10 + 0.1
    marker, query = torch.zeros(2, length)
    marker[markers] = query[-1] = 1
    given = f"tokens = {show(tokens)}, markers at {markers}, query at {length - 1}"
    cases += in_both_precisions(copied_by_loops, (tokens, marker, query), given)
    question = "Which token passes each of the three: pre-gate, filter, post-gate?"
    examine(fn, cases, COPY_MISTAKES, (not_gated_after,), question)


EXERCISE = Exercise(
    id="05.copy_after_marker",
    objective="Choose two gates and a filter that copy the token after a marker.",
    answer=copy_after_marker,
    hints=(
        "Three parts, three jobs: which one picks the value, which one holds it, and "
        "which one lets it out?",
        "The pre-gate is the marker, one step later; a filter of ones never forgets, "
        "and is .cumsum(0); the post-gate is the query.",
    ),
    checker=check_copy_after_marker,
    points=15,
    minutes=15,
    stars=3,
)
