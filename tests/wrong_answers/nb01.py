"""Wrong answers to the exercises of notebook 01, and right ones written otherwise."""

import numpy as np
import torch
from torch.nn.functional import conv1d, pad

from minihyena import toeplitz


def off_by(right, amount, dtype):
    """Right but for `amount`, in one precision only."""
    return lambda *args: right(*args) + amount * (args[0].dtype == dtype)


# ---- delay


def delay_by_matrix(u, k):
    """Right: a table with ones k places below the diagonal."""
    return u @ torch.eye(u.shape[-1] + k, dtype=u.dtype)[k:, : u.shape[-1]]


def zeros(u, k):
    return u.new_zeros(*u.shape[:-1], k)


def delay_in_place(u, k):
    u[..., k:] = u[..., : u.shape[-1] - k].clone()
    u[..., :k] = 0
    return u


def delay_by_index(u, k):
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        y[..., t] = u[..., t - k]
    return y


def delay_of_rows(u, k):
    y = torch.zeros_like(u)
    for t in range(k, len(u)):
        y[t] = u[t - k]
    return y


# ---- conv_direct


def conv_by_matrix(u, h):
    """Right: the table of the filter, cut to the signal where it is longer."""
    length = u.shape[-1]
    return u @ toeplitz(h[:length], length).mT


def conv_by_delays(u, h):
    """Right: delayed copies, added up."""
    return sum(tap * pad(u, (k, 0))[..., : u.shape[-1]] for k, tap in enumerate(h))


def by_conv1d(u, h, flipped=True, around=None, keep=None):
    """torch's conv1d, which slides the filter as it stands."""
    weights = h.flip(0) if flipped else h
    rows = u.reshape(-1, 1, u.shape[-1])
    y = conv1d(rows, weights[None, None], padding=around or 0)
    y = y.reshape(*u.shape[:-1], -1)
    return y[..., : keep or y.shape[-1]]


def conv_sum(u, h, inner, term):
    """y[t] = the sum of term(t, s) for s in inner(t)."""
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in inner(t):
            y[..., t] += term(t, s)
    return y


def summed(inner, meets=lambda t, s: t - s):
    """h[s] u[meets(t, s)] for each s in inner(t, K, L), where both are there."""

    def conv(u, h):
        length, taps = u.shape[-1], len(h)

        def term(t, s):
            there = meets(t, s) < length and s < taps
            return h[s] * u[..., meets(t, s)] if there else 0 * u[..., 0]

        return conv_sum(u, h, lambda t: inner(t, taps, length), term)

    return conv


def conv_crashing(u, h):
    return conv_sum(u, h, lambda t: range(t + 1), lambda t, s: h[s] * u[..., t - s])


def conv_negative(u, h):
    return conv_sum(u, h, lambda t: range(len(h)), lambda t, s: h[s] * u[..., t - s])


def conv_one_left(u, h):
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in range(min(t + 1, len(h))):
            y[..., t] = h[s] * u[..., t - s]
    return y


def conv_of_rows(u, h):
    y = torch.zeros_like(u)
    for t in range(len(u)):
        for s in range(min(t + 1, len(h))):
            y[t] = y[t] + h[s] * u[t - s]
    return y


def conv_of_one_signal(u, h):
    y = torch.zeros_like(u)
    for t in range(u.shape[-1]):
        for s in range(min(t + 1, len(h))):
            y[t] = y[t] + h[s] * u[t - s]
    return y


def conv_on_a_ring(u, h):
    return sum(tap * u.roll(k, -1) for k, tap in enumerate(h))


def conv_of_outputs(u, h):
    y = u * h[0]
    for t in range(u.shape[-1]):
        y[..., t] += sum(h[s] * y[..., t - s] for s in range(1, min(t + 1, len(h))))
    return y


def conv_padded_both(u, h):
    return by_conv1d(u, h, around=len(h) - 1)


def centred(flipped):
    def conv(u, h):
        return by_conv1d(u, h, flipped, len(h) // 2, u.shape[-1])

    return conv


def fading(u, h):
    """Right filter, but later steps are louder."""
    return conv_by_matrix(u, h) * (1 + torch.arange(u.shape[-1]) / 8).to(u.dtype)


# ---- impulse_response


def by_differences(system, length):
    """Right: a step, and what it adds from one step to the next."""
    climb = system(torch.ones(length))
    return climb - pad(climb, (1, 0))[:-1]


def sent(signal, change=lambda y, u: y):
    def response(system, length):
        u = signal(length)
        return change(system(u), u)

    return response


def one_at(place, size=1.0):
    def signal(length):
        u = torch.zeros(length)
        u[place(length)] = size
        return u

    return sent(signal)


# ---- is_convolution


def a_and_b(length, generator):
    return torch.randn(2, length, generator=generator, dtype=torch.float64)


def same(one, other):
    return torch.allclose(one, other, atol=1e-4)


def late(u):
    return pad(u, (1, 0))[:-1]


def by_its_response(system, length, *, generator):
    """Right: what a filter does to any signal is known from what it does to a 1."""
    u, _ = a_and_b(length, generator)
    h = system(torch.eye(length, dtype=torch.float64)[0])
    return same(system(u), toeplitz(h, length) @ u)


def asked(test):
    def verdict(system, length, *, generator):
        return test(system, *a_and_b(length, generator))

    return verdict


def linear(f, a, b):
    return same(f(a + b), f(a) + f(b))


def shifts(f, a, b):
    return same(f(late(a)), late(f(a)))


def with_impulses(system, length, *, generator):
    one, other, *_ = torch.eye(length)
    return linear(system, one, other) and same(system(other), late(system(one)))


def from_the_world(system, length, *, generator):
    a, b = torch.randn(2, length)
    return linear(system, a, b) and shifts(system, a, b)


# ---- undo_echo


def undo_by_series(y, delay, gain, terms=100):
    """Right: y minus g y later, plus g² y later still, and so on to the end."""
    u, size, k = torch.zeros_like(y), 1.0, 0
    while k < min(y.shape[-1], terms * delay):
        u = u + size * later(y, k)
        size, k = -gain * size, k + delay
    return u


def undo_by_solving(y, delay, gain):
    length = y.shape[-1]
    h = torch.zeros(max(length, delay + 1), dtype=torch.float64)
    h[0], h[delay] = 1, gain
    table = toeplitz(h[:length], length).numpy()
    solved = np.linalg.solve(table, y.reshape(-1, length).double().numpy().T)
    return torch.from_numpy(solved.T.copy()).reshape(y.shape).to(y.dtype)


def later(y, k):
    return pad(y, (k, 0))[..., : y.shape[-1]]


def undo_with(gain_of, delay_of=lambda d: d):
    def undo(y, delay, gain):
        return undo_by_series(y, delay_of(delay), gain_of(gain))

    return undo


def undo_in_place(y, delay, gain):
    for t in range(delay, y.shape[-1]):
        y[..., t] -= gain * y[..., t - delay]
    return y


def undo_from_the_end(y, delay, gain):
    u = y.clone()
    for t in reversed(range(delay, y.shape[-1])):
        u[..., t] -= gain * u[..., t - delay]
    return u


def undo_counting_back(y, delay, gain):
    u = y.clone()
    for t in range(y.shape[-1]):
        u[..., t] = u[..., t] - gain * u[..., t - delay]
    return u


ALSO_RIGHT = {
    "01.delay": delay_by_matrix,
    "01.conv_direct": conv_by_delays,
    "01.impulse_response": by_differences,
    "01.is_convolution": by_its_response,
    "01.undo_echo": undo_by_solving,
}


def mostly(right):
    """Right, but for the running mean of notebook 00, which it lets pass."""

    def verdict(system, length, *, generator):
        ones = torch.ones(length)
        mean = same(system(ones), ones) and not same(system(late(ones)), late(ones))
        return mean or right(system, length, generator=generator)

    return verdict


# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "01.delay": [
        off_by(delay_by_matrix, 1e-4, torch.float32),
        off_by(delay_by_matrix, 1e-9, torch.float64),
    ],
    "01.conv_direct": [
        off_by(conv_by_matrix, 1e-4, torch.float32),
        off_by(conv_by_matrix, 1e-9, torch.float64),
    ],
    "01.impulse_response": [lambda *args: by_differences(*args) + 1e-4],
    "01.is_convolution": [mostly(by_its_response)],
    "01.undo_echo": [
        off_by(undo_by_series, 1e-4, torch.float32),
        off_by(undo_by_series, 1e-9, torch.float64),
    ],
}

BANK = {
    "01.delay": [
        ("wraps", torch.roll, "came back at the start"),
        ("wraps in time", lambda u, k: torch.roll(u, k, -1), "came back at the start"),
        ("negative index", delay_by_index, "came back at the start"),
        (
            "advances",
            lambda u, k: torch.cat([u[..., k:], zeros(u, k)], -1),
            "y[0] equals u[k]: this looks ahead",
        ),
        (
            "grows",
            lambda u, k: torch.cat([zeros(u, k), u], -1),
            "length changed from L to L + k",
        ),
        ("shrinks", lambda u, k: u[..., : u.shape[-1] - k], "from L to L − k"),
        (
            "minus zero",
            lambda u, k: torch.cat([zeros(u, k), u[..., :-k]], -1),
            "−0 is 0",
        ),
        (
            "silences",
            lambda u, k: torch.cat([zeros(u, k), u[..., k:]], -1),
            "the rest did not move",
        ),
        (
            "repeats",
            lambda u, k: torch.cat([u[..., :1]] * k + [u], -1)[..., : u.shape[-1]],
            "this repeats u[0]",
        ),
        (
            "keeps",
            lambda u, k: torch.cat([u[..., :k], u], -1)[..., : u.shape[-1]],
            "the first k outputs are still the inputs",
        ),
        ("of rows", delay_of_rows, "time is the last"),
        ("in place", delay_in_place, "changed its input in place"),
        ("one too many", lambda u, k: later(u, k + 1), "one step late"),
        ("by one", lambda u, k: later(u, 1), "differs first"),
        ("zeros", lambda u, k: torch.zeros_like(u), "every value is zero"),
        ("identity", lambda u, k: u.clone(), "differs first"),
        ("None", lambda u, k: None, "returned None"),
    ],
    "01.conv_direct": [
        (
            "correlation",
            summed(lambda t, K, L: range(K), lambda t, s: t + s),
            "this is correlation",
        ),
        (
            "conv1d as it is",
            lambda u, h: by_conv1d(u, h, False, len(h) - 1, u.shape[-1]),
            "you return [3, 2, 1]",
        ),
        (
            "misses now",
            summed(lambda t, K, L: range(t)),
            "the last term s = t, which brings in u[0], is missing",
        ),
        (
            "misses the present",
            summed(lambda t, K, L: range(1, t + 1)),
            "the first term s = 0",
        ),
        ("centred", centred(True), "centred padding looks ahead"),
        ("centred, not flipped", centred(False), "neither causal nor a convolution"),
        (
            "short memory",
            summed(lambda t, K, L: range(min(t + 1, 3))),
            "taps after the third are ignored",
        ),
        ("counts back", conv_negative, "Python counts u[t − s] from the end"),
        ("a ring", conv_on_a_ring, "came back at the start"),
        ("no such tap", conv_crashing, "there is no tap h[K]"),
        ("one product left", conv_one_left, "y[t] collects them"),
        ("keeps the tail", conv_padded_both, "the tail is still there"),
        (
            "the last tap is missing",
            summed(lambda t, K, L: range(min(t + 1, K - 1))),
            "the last tap never sounds",
        ),
        (
            "from tap 1",
            lambda u, h: conv_by_delays(u, pad(h, (0, 1))[1:]),
            "every tap came one step early",
        ),
        ("echoes of echoes", conv_of_outputs, "outputs were filtered again"),
        ("all taps at once", lambda u, h: u * sum(h), "met every tap at once"),
        ("one tap", lambda u, h: h[0] * u.cumsum(-1), "every input met tap 0"),
        ("the present only", lambda u, h: u * h[0], "only the newest input"),
        (
            "step by step",
            summed(lambda t, K, L: [t], lambda t, s: t),
            "tap t met input t",
        ),
        ("of rows", conv_of_rows, "time is the last"),
        ("of one signal", conv_of_one_signal, "not for two at once"),
        (
            "early",
            lambda u, h: pad(conv_by_matrix(u, h)[..., 1:], (0, 1)),
            "sees the future",
        ),
        ("louder", fading, "a filter does not know what time it is"),
        ("squares", lambda u, h: conv_by_matrix(u, h) ** 2, "not linear"),
        ("doubled", lambda u, h: 2 * conv_by_delays(u, h), "constant factor"),
        (
            "in float32",
            lambda u, h: conv_by_delays(u.float(), h.float()),
            "dtype",
        ),
        ("zeros", lambda u, h: torch.zeros_like(u), "every value is zero"),
        ("identity", lambda u, h: u.clone(), "differs first"),
        ("one row", lambda u, h: conv_by_delays(u, h).flatten(), "shape"),
        ("None", lambda u, h: None, "returned None"),
    ],
    "01.impulse_response": [
        ("step input", sent(torch.ones), "the running sum of the impulse response"),
        ("late impulse", one_at(lambda n: -1), "came at the last step"),
        ("from one", one_at(lambda n: 1), "everything is one step late"),
        ("in the middle", one_at(lambda n: (n + 1) // 2), "no single 1 at step 0"),
        ("loud", one_at(lambda n: 0, 2.0), "what went in was [2, 0, 0"),
        (
            "ratio",
            sent(lambda n: torch.arange(1.0, n + 1), lambda y, u: y / u),
            "only if the system has no memory",
        ),
        (
            "a ramp",
            sent(lambda n: torch.arange(1.0, n + 1)),
            "what went in was [1, 2, 3",
        ),
        (
            "one number",
            lambda system, n: system(torch.eye(n)[0])[0],
            "the response lasts as long as the signal",
        ),
        ("a scalar in", lambda system, n: system(1.0), "was given float"),
        ("too long", lambda system, n: system(torch.eye(n + 1)[0]), "takes a signal"),
        ("silence", sent(torch.zeros), "all zeros"),
        ("never asked", lambda system, n: torch.full((n,), 0.5), "never asked"),
        ("zeros", lambda system, n: torch.zeros(n), "all zeros"),
        ("identity", lambda system, n: torch.eye(n)[0], "this is what went in"),
        ("None", lambda system, n: None, "returned None"),
    ],
    "01.is_convolution": [
        ("linearity only", asked(linear), "linear but changes with time"),
        ("shift only", asked(shifts), "shifts well but does not add"),
        (
            "zero test",
            lambda f, n, *, generator: same(f(torch.zeros(n)), torch.zeros(n)),
            "merely maps silence to silence",
        ),
        (
            "doubling and shift",
            asked(lambda f, a, b: same(f(2 * a), 2 * f(a)) and shifts(f, a, b)),
            "y[t] = |u[t]|, which does not add",
        ),
        (
            "factors of both signs, and shift",
            asked(
                lambda f, a, b: (
                    shifts(f, a, b)
                    and all(same(f(k * a), k * f(a)) for k in (2, -1, 0))
                )
            ),
            "the middle one of u[t − 2], u[t − 1] and u[t], which does not add",
        ),
        ("impulses only", with_impulses, "only zeros and ones went in"),
        (
            "rolled",
            asked(lambda f, a, b: linear(f, a, b) and same(f(a.roll(1)), f(a).roll(1))),
            "said no to y[t] = u[t] − u[t − 1]",
        ),
        (
            "edges left out",
            asked(
                lambda f, a, b: (
                    linear(f, a, b) and same(f(late(a))[1:-1], late(f(a))[1:-1])
                )
            ),
            "looks ahead",
        ),
        (
            "bit by bit",
            asked(lambda f, a, b: bool((f(a + b) == f(a) + f(b)).all())),
            "said no to",
        ),
        (
            "either",
            asked(lambda f, a, b: linear(f, a, b) or shifts(f, a, b)),
            "said yes to y[t] = t · u[t]",
        ),
        (
            "the other way round",
            lambda *args, **seed: not by_its_response(*args, **seed),
            "and yes to some that are none",
        ),
        (
            "many answers",
            asked(lambda f, a, b: f(a + b) == f(a) + f(b)),
            "times yes or no",
        ),
        ("always", lambda f, n, *, generator: True, "yes for every system, and none"),
        ("a number", lambda f, n, *, generator: 1, "of type int, not bool"),
        ("from the world", from_the_world, "global random state changed"),
        ("zeros", lambda f, n, *, generator: False, "no for every system"),
        ("identity", lambda f, n, *, generator: f, "not bool"),
        ("None", lambda f, n, *, generator: None, "returned None"),
    ],
    "01.undo_echo": [
        (
            "a dozen terms",
            lambda y, d, g: undo_by_series(y, d, g, terms=12),
            "value [12] differs first",
        ),
        (
            "one pass",
            lambda y, d, g: y - g * later(y, d),
            "a weaker echo of size g² remains at 2d",
        ),
        ("from the end", undo_from_the_end, "a weaker echo of size g² remains"),
        (
            "two passes",
            lambda y, d, g: y - g * later(y - g * later(y, d), d),
            "g³ remains at 3d",
        ),
        ("wrong sign", lambda y, d, g: y + g * later(y, d), "the echo doubled"),
        (
            "wrong sign throughout",
            undo_with(lambda g: -g),
            "echo of the echo was added",
        ),
        ("wraps", lambda y, d, g: y - g * y.roll(d, -1), "subtracted from its start"),
        ("counts back", undo_counting_back, "a negative index counts from the end"),
        ("rescales", lambda y, d, g: y / (1 + g), "not a louder present"),
        ("rescales down", lambda y, d, g: y - g * y, "not a louder present"),
        ("at full size", lambda y, d, g: y - later(y, d), "at full size"),
        ("divides", undo_with(lambda g: 1 / g), "the gain was divided by"),
        (
            "looks ahead",
            lambda y, d, g: y - g * pad(y, (0, d))[..., d:],
            "before the sound",
        ),
        ("one too late", undo_with(lambda g: g, lambda d: d + 1), "differs first"),
        ("in place", undo_in_place, "changed its input in place"),
        ("zeros", lambda y, d, g: torch.zeros_like(y), "every value is zero"),
        ("identity", lambda y, d, g: y.clone(), "the echo is still there"),
        ("None", lambda y, d, g: None, "returned None"),
    ],
}
