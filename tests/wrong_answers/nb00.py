"""Wrong answers to the exercises of notebook 00."""

import numpy as np
import torch


def mean_in_place(u):
    u.cumsum_(-1)
    return u / torch.arange(1, u.shape[-1] + 1)


def mean_of_the_last_two(u):
    before = torch.cat([u[..., :1], u[..., :-1]], -1)
    return (u + before) / 2


def mean_before_now(u):
    sums = u.cumsum(-1) - u
    return sums / torch.arange(u.shape[-1]).clamp(min=1)


def mean_of_the_rest(u):
    y = u.flip(-1).cumsum(-1) / torch.arange(1, u.shape[-1] + 1)
    return y.flip(-1)


def true_mean(u):
    return u.cumsum(-1) / torch.arange(1, u.shape[-1] + 1)


def moved_by_forgetting_to_clone(mixer, t, length):
    before = torch.zeros(length)
    after = before
    after[t] = 1
    return [i for i in range(length) if mixer(after)[i] != mixer(before)[i]]


def moved(mixer, t, length):
    before, after = torch.zeros(length), torch.zeros(length)
    after[t] = 1
    return mixer(after) != mixer(before)


def reseeds_the_world(n, *, generator):
    torch.manual_seed(0)
    return torch.randn(n)


def reseeds_the_argument(n, *, generator):
    generator.manual_seed(0)
    return torch.randn(n, generator=generator)


def starts_the_stream_again(n, *, generator):
    generator.manual_seed(generator.initial_seed())
    return torch.randn(n, generator=generator)


def moves_the_world_too(n, *, generator):
    torch.rand(1)
    return torch.randn(n, generator=generator)


def draws_numpy(n, *, generator):
    return np.random.randn(n)


BANK = {
    "00.running_mean": [
        ("looks ahead", lambda u: u.mean(-1, keepdim=True).expand_as(u), "the future"),
        (
            "divides by L",
            lambda u: u.cumsum(-1) / u.shape[-1],
            "how many you have seen",
        ),
        (
            "counts from zero",
            lambda u: u.cumsum(-1) / torch.arange(u.shape[-1]),
            "step 0 has already seen one",
        ),
        ("divides by the batch", lambda u: u.cumsum(-1) / len(u), "first axis"),
        ("sums", lambda u: torch.cumsum(u, -1), "the sum so far"),
        ("looks back from the end", mean_of_the_rest, "sees the future"),
        ("identity", lambda u: u.clone(), "nothing was averaged"),
        ("zeros", torch.zeros_like, "every value is zero"),
        ("None", lambda u: None, "returned None"),
        ("one number", lambda u: u.mean(-1), "shape"),
        ("in place", mean_in_place, "in place"),
        ("the mean before now", mean_before_now, "one step late"),
        ("a window of two", mean_of_the_last_two, "differs first"),
        ("doubled", lambda u: 2 * true_mean(u), "constant factor"),
        ("squares", lambda u: true_mean(u) * u.abs(), "not linear"),
        ("halved precision", lambda u: true_mean(u).half(), "dtype"),
        ("a list", lambda u: true_mean(u).tolist(), "of type list, not Tensor"),
        ("crashes", lambda u: u.running_mean(), "stopped with AttributeError"),
    ],
    "00.moved_outputs": [
        (
            "no before and after",
            lambda mixer, t, length: mixer(torch.eye(length)[t]).nonzero(),
            "with and without",
        ),
        (
            "assumes causal",
            lambda mixer, t, length: list(range(t, length)),
            "measure, do not assume",
        ),
        ("only itself", lambda mixer, t, length: [t], "mixers move information"),
        ("all", lambda mixer, t, length: list(range(length)), "every output is listed"),
        ("forgets to clone", moved_by_forgetting_to_clone, "under two names"),
        ("zeros", lambda mixer, t, length: [0] * length, "differs first"),
        ("the mask", lambda *args: moved(*args).tolist(), "yes or no"),
        (
            "counts from one",
            lambda *args: (moved(*args).nonzero().flatten() + 1).tolist(),
            "off by the same amount",
        ),
        (
            "only the first",
            lambda *args: moved(*args).nonzero().flatten().tolist()[:1],
            "mixers move information",
        ),
        ("how many", lambda *args: int(moved(*args).sum()), "length 1, not 2"),
        (
            "the outputs",
            lambda mixer, t, n: mixer(torch.eye(n)[t]),
            "whole numbers",
        ),
        ("None", lambda mixer, t, length: None, "returned None"),
        ("identity", lambda mixer, t, length: mixer, "whole numbers"),
    ],
    "00.count_pairs": [
        ("all pairs", lambda length: length**2, "input comes after the output"),
        ("no self", lambda length: length * (length - 1) // 2, "also reads itself"),
        ("linear", lambda length: 2 * length - 1, "L = 1 and 2 only"),
        ("identity", lambda length: length, "with itself"),
        ("zeros", lambda length: 0, "every value is zero"),
        ("one too many", lambda n: n * (n + 1) // 2 + 1, "off by the same amount"),
        ("not halved", lambda length: length * (length + 1), "constant factor"),
        ("powers", lambda length: 2**length - 1, "instead of"),
        ("a float", lambda length: length * (length + 1) / 2, "`/` gives a float"),
        ("None", lambda length: None, "returned None"),
        (
            "the pairs",
            lambda n: [(i, j) for i in range(n) for j in range(i + 1)],
            "list",
        ),
    ],
    "00.draw": [
        ("ignores it", lambda n, *, generator: torch.randn(n), "equal seeds gave"),
        ("reseeds the world", reseeds_the_world, "global random state changed"),
        ("reseeds the argument", reseeds_the_argument, "must move on"),
        ("starts again", starts_the_stream_again, "must move on"),
        ("moves the world too", moves_the_world_too, "global random state changed"),
        (
            "uniform",
            lambda n, *, generator: torch.rand(n, generator=generator),
            "uniform numbers",
        ),
        (
            "a wide bell",
            lambda n, *, generator: 2 * torch.randn(n, generator=generator),
            "not normal",
        ),
        (
            "one number n times",
            lambda n, *, generator: torch.randn(1, generator=generator).expand(n),
            "one number came n times",
        ),
        ("zeros", lambda n, *, generator: torch.zeros(n), "must move on"),
        ("None", lambda n, *, generator: None, "returned None"),
        ("identity", lambda n, *, generator: n, "of type int, not Tensor"),
        ("numpy", draws_numpy, "of type ndarray"),
        (
            "wrong shape",
            lambda n, *, generator: torch.randn(n, 1, generator=generator),
            "shape",
        ),
    ],
}
