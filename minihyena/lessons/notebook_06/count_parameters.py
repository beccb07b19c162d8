"""06.count_parameters: what an operator of order N is made of."""

import torch

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.notebook_06.counting import (
    Slip,
    count_by_shapes,
    exchanged,
    fewer_everywhere,
    network_for_each,
    network_for_nothing,
    only_cosines,
    same_filters,
    shapes_of,
    skips_in_both,
    without_biases,
)
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]


def count_parameters(
    width: int, order: int, filter_width: int, bands: int, convention: str
) -> int:
    """How many numbers a Hyena operator learns; convention "paper" or "reference"."""
    streams = (order + 1) * width
    count = (streams + width) * (width + 1) + streams * 4
    filters = order - (convention == "reference")
    if filters:
        features = 2 * bands + 1
        count += (features + 1) * filter_width + 2 * (filter_width + 1) * filter_width
        count += filter_width + filters * width * filter_width
    if convention == "reference":
        count += filters * width
    return count


PROJECTIONS = "Which streams come out of the input projection, beside the gates?"
FILTERS = "How many long filters has order 3, in each convention?"
NETWORK = "Which numbers make the long filters, and how many of them are learned?"

COUNT_MISTAKES = (
    Mistake(
        "a projection is missing: the value needs one too: N + 1 in, and one out",
        Slip({"output projection": 0}),
        PROJECTIONS,
    ),
    Mistake(
        "the value is a stream too: N + 1 in the projection and the short convolution",
        lambda w, n, f, k, c: count_by_shapes(w, n, f, k, c) - w * (w + 1) - 4 * w,
        PROJECTIONS,
    ),
    Mistake(
        "the reference convention has one long filter fewer",
        same_filters,
        FILTERS,
    ),
    Mistake(
        "the reference convention has one long filter fewer; its skips are missing too",
        lambda w, n, f, k, convention: count_by_shapes(w, n, f, k, "paper"),
        FILTERS,
    ),
    Mistake(
        "Def. 3.1 has N long filters, one more than the reference convention",
        fewer_everywhere,
        FILTERS,
    ),
    Mistake("the two conventions have changed places", exchanged, FILTERS),
    Mistake(
        "the skips are not counted: the reference has one a long filter and channel",
        Slip({"skips": 0}),
        "What does the authors' code add to each long convolution?",
    ),
    Mistake(
        "the skips belong to the authors' code; Def. 3.1 has none",
        skips_in_both,
        "What does the authors' code add to each long convolution?",
    ),
    Mistake(
        "the network sees 2K + 1 numbers: time, K cosines and K sines",
        only_cosines,
        NETWORK,
    ),
    Mistake(
        "one network draws all long filters: only its readout grows with the order",
        network_for_each,
        NETWORK,
    ),
    Mistake(
        "order 1 of the reference has no long filter, and so no network",
        network_for_nothing,
        NETWORK,
    ),
    Mistake(
        "the frequencies of the sines are learned, too: one for each of F",
        lambda *sizes: (
            count_by_shapes(*sizes) - sizes[2] * bool(shapes_of(*sizes)["sine network"])
        ),
        NETWORK,
    ),
    Mistake(
        "the network that draws the filters is not counted",
        Slip({"sine network": 0, "readout": 0}),
        NETWORK,
    ),
    Mistake(
        "the readout is not counted: F numbers for each long filter and channel",
        Slip({"readout": 0}),
        NETWORK,
    ),
    Mistake(
        "the short convolution is not counted: three taps and a bias for each stream",
        Slip({"short convolution": 0}),
        "What stands between the input projection and the gates?",
    ),
    Mistake(
        "the biases are not counted",
        without_biases,
        "Which of the parts in the table have a bias?",
    ),
)


def stores_taps(fn: Function, failures: Failures) -> str | None:
    """Is the rest N · D · K with one K, whatever the size of the network?"""
    taps = set()
    for case, got in failures:
        width, order, *_, convention = case.args
        assert isinstance(width, int)
        assert isinstance(order, int)
        filters = order - (convention == "reference")
        rest = Slip({"sine network": 0, "readout": 0})(*case.args)
        if not isinstance(got, int) or not filters or (got - rest) % (filters * width):
            return None
        taps.add((got - rest) // (filters * width))
    if len(taps) == 1 and max(taps) > 0:
        return (
            "implicit filters do not store taps: their count does not grow with length"
        )
    return None


def check_count_parameters(fn: Function, *, generator: torch.Generator) -> None:
    """Both conventions, order 1 included, against the list of shapes."""
    sizes = [(1, 2, 1, 1), (2, 2, 3, 1), (1, 1, 1, 1), (2, 3, 3, 2)]
    for _ in range(3):
        sizes.append(
            (
                pick(3, 64, generator),
                pick(2, 6, generator),
                pick(5, 64, generator),
                pick(3, 16, generator),
            )
        )
    cases = []
    for width, order, filter_width, bands in sizes:
        for convention in ("paper", "reference"):
            args = width, order, filter_width, bands, convention
            given = f"D = {width}, N = {order}, F = {filter_width}, K = {bands}, "
            cases.append(Case(args, count_by_shapes(*args), given + convention))
    question = "What do you get for D = N = F = K = 1, part by part, by hand?"
    examine(fn, cases, COUNT_MISTAKES, [stores_taps], question)


EXERCISE = Exercise(
    id="06.count_parameters",
    objective="Count the parameters of an operator of any order, in both conventions.",
    answer=count_parameters,
    hints=(
        "How many streams does the input projection make, and who needs them?",
        "Go through the table part by part. A projection from a to b numbers has "
        "a · b weights and b biases. The network is there only if a long filter is.",
    ),
    checker=check_count_parameters,
    points=10,
    minutes=10,
    stars=2,
)
