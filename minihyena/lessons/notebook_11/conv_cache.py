"""11.ConvCache: a convolution that is given one input at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, in_both_precisions, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect, NotAttempted
from minihyena.lessons.notebook_11.stepping import by_steps, check_separate

__all__ = ["EXERCISE"]


class ConvCache:
    """A causal convolution, one step at a time: y_t = sum of h[:, t - s] u_s, s <= t.

    h: (D, K), a filter for each channel. It lasts for K steps.
    """

    def __init__(self, h: Tensor) -> None:
        self.h, self.past = h, h[:, :0]  # the newest input first

    def step(self, u_t: Tensor) -> Tensor:
        """u_t: (D,) -> y_t: (D,). Raises an error after K steps: no tap is left."""
        steps = self.past.shape[1] + 1
        if steps > self.h.shape[1]:
            raise ValueError(f"the filter has ended: it has {steps - 1} taps")
        self.past = torch.cat([u_t[:, None], self.past], dim=1)
        return (self.h[:, :steps] * self.past).sum(1)


def conv_by_loops(h: Tensor, u: Tensor) -> Tensor:
    y = torch.zeros(u.shape, dtype=torch.float64)
    for t in range(u.shape[1]):
        for s in range(t + 1):
            y[:, t] += h[:, t - s].double() * u[:, s].double()
    return y.to(u.dtype)


def cache_that(reads: Callable[[Tensor, Tensor], Tensor]) -> Function:
    """A cache with its own way of reading: h (D, K), past (D, n), oldest first."""

    class Cache:
        def __init__(self, h: Tensor) -> None:
            self.h, self.past = h, h[:, :0]

        def step(self, u_t: Tensor) -> Tensor:
            self.past = torch.cat([self.past, u_t[:, None]], 1)
            return reads(self.h, self.past)

    return Cache


def heard(h: Tensor, past: Tensor) -> Tensor:
    """The right reading, and of no inputs 0."""
    taps = h[:, : past.shape[1]].flip(1)
    return (taps * past).sum(1)


def running(h: Tensor, past: Tensor) -> Tensor:
    steps = range(past.shape[1])
    return torch.stack([heard(h, past[:, : n + 1]) for n in steps]).sum(0)


NOW = "With u = [1, 0, 0] and h = [4, 2, 1], what should come out, step by step?"
CACHE_MISTAKES = (
    Mistake(
        "y[t] equals the right y[t−1]: the answer was read before the new input was in",
        cache_that(lambda h, past: heard(h, past[:, :-1])),
        "Which input does tap 0 meet at step t?",
    ),
    Mistake(
        "y[t] ignores u[t]: the newest input meets tap 0 in this very step",
        cache_that(lambda h, past: heard(h, past) - h[:, 0] * past[:, -1]),
        "Which input does tap 0 meet at step t?",
    ),
    Mistake(
        "tap 0 met the oldest input: the filter has to be laid the other way round",
        cache_that(lambda h, past: (h[:, : past.shape[1]] * past).sum(1)),
        NOW,
    ),
    Mistake(
        "only the newest input is heard, nothing before it",
        cache_that(lambda h, past: h[:, 0] * past[:, -1]),
        NOW,
    ),
    Mistake(
        "tap t met input t: these are products step by step, no convolution",
        cache_that(lambda h, past: h[:, past.shape[1] - 1] * past[:, -1]),
        NOW,
    ),
    Mistake(
        "every input met tap 0: taps belong to lags, that is to how long ago it was",
        cache_that(lambda h, past: h[:, 0] * past.sum(1)),
        NOW,
    ),
    Mistake(
        "the outputs were added up: y[t] adds inputs, not earlier outputs",
        cache_that(running),
        "When u = [1, 0, 0] has gone in, what is left of the first output at step 1?",
    ),
    Mistake(
        "contributions older than one step are missing",
        cache_that(lambda h, past: heard(h, past[:, -2:])),
        "For how many steps does an input go on being heard?",
    ),
)


def check_end(make: Function) -> None:
    """Incorrect if a step after the last tap gives a number."""
    h = torch.tensor([[4.0, 2.0, 1.0]])
    try:
        by_steps(make, (h,), torch.ones(1, 4))
    except (Incorrect, NotAttempted):
        return
    raise Incorrect(
        "asked for tap K, which is not there: stop, or say that the filter has ended",
        f"h = {show(h)}, four inputs",
        "three outputs, and an error at the fourth step",
        "a fourth output",
        "What would tap 3 be, if somebody asked the filter for more?",
    )


def check_conv_cache(fn: Function, *, generator: torch.Generator) -> None:
    """Impulse, one and several channels, both precisions; then separation, and end."""
    h = torch.randn(2, 6, generator=generator)
    check_separate(fn, (h,), torch.ones(2))
    cases = []
    long = pick(5, 9, generator)
    for width, taps, steps in (
        (1, 1, 1),
        (1, 2, 2),
        (1, 3, 3),
        (2, 5, 4),
        (3, long, long),
    ):
        h = short(width, taps, generator=generator)
        u = short(width, steps, generator=generator)
        given = f"h = {show(h)}, u = {show(u)}; h {tuple(h.shape)}, u {tuple(u.shape)}"
        for case in in_both_precisions(conv_by_loops, (h, u), given):

            def run(fn: Function, args: tuple[object, ...] = case.args) -> object:
                taps, signal = args
                assert isinstance(signal, Tensor)
                return by_steps(fn, (taps,), signal)

            cases.append(Case(case.args, case.expected, given, run))
    examine(fn, cases, CACHE_MISTAKES, question=NOW)
    check_end(fn)


EXERCISE = Exercise(
    id="11.ConvCache",
    objective="Step a convolution, input by input, from a memory of the past.",
    answer=ConvCache,
    hints=(
        "At step t one new input has come. Which tap does it meet, and which one does "
        "the input before it meet now?",
        "Keep the inputs, the newest in front: torch.cat([u_t[:, None], past], 1), "
        "which begins as h[:, :0]. So they lie just as the taps do; multiply, add up.",
    ),
    checker=check_conv_cache,
    points=12,
    minutes=12,
    stars=2,
)
