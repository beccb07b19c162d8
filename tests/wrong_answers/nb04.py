"""Wrong answers to the exercises of notebook 04, and right ones written otherwise."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad

# ---- positional_features


def angles(steps, bands, over, turn=2 * math.pi):
    return turn * torch.outer(steps.float(), torch.as_tensor(bands).float()) / over


def features(length, bands, time=None, over=None, turn=2 * math.pi, first=0):
    """As a first attempt is written, with parts to exchange."""
    steps = torch.arange(length)
    time = torch.linspace(0, 1, length) if time is None else time
    angle = angles(steps, range(first, first + bands), over or length, turn)
    return torch.cat([time[:, None], angle.cos(), angle.sin()], -1)


def features_by_hands(length, bands):
    """Right: powers of one turning hand, in double precision."""
    hand = np.exp(2j * np.pi * np.arange(length) / length)
    hands = hand[:, None] ** np.arange(bands)
    time = np.arange(length)[:, None] / max(length - 1, 1)
    return torch.from_numpy(np.hstack([time, hands.real, hands.imag])).float()


def features_woven(length, bands):
    z = features(length, bands)
    pairs = [z[:, [1 + k, 1 + bands + k]] for k in range(bands)]
    return torch.cat([z[:, :1], *pairs], 1)


def features_negative(length, bands):
    z = features(length, bands)
    z[:, 1 + bands :] *= -1
    return z


def raw_steps(length, bands):
    return features(length, bands, time=torch.arange(length).float())


def by_length(length, bands):
    return features(length, bands, time=torch.arange(length) / length)


# ---- exponential_window


def window(length, decays, floor=0.0, time=None):
    time = torch.arange(length) / max(length - 1, 1) if time is None else time
    return torch.exp(-torch.outer(decays, time.to(decays.dtype))) + floor


def window_by_powers(length, decays, floor=0.0):
    """Right: one factor a step, multiplied again and again."""
    factor = torch.exp(-decays / max(length - 1, 1))
    columns = [torch.ones_like(decays)]
    for _ in range(length - 1):
        columns.append(columns[-1] * factor)
    return torch.stack(columns, 1) + floor


def linear_window(length, decays, floor=0.0):
    time = torch.linspace(0, 1, length, dtype=decays.dtype)
    return 1 - torch.outer(decays, time) + floor


def slow_window(length, decays, floor=0.0):
    return window(length, 1 / decays, floor)


def scaled_window(length, decays, floor=0.0):
    return decays[:, None] * window(length, torch.ones_like(decays)) + floor


# ---- sine_net


def chain(layers, z, bend, last=lambda a: a):
    for layer in layers[:-1]:
        z = bend(layer, z)
    return last(layers[-1](z))


def net_by_matrices(z, layers, omega):
    """Right: the imaginary part of turning hands, and products written out."""
    for depth, layer in enumerate(layers):
        z = z @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        if depth < len(layers) - 1:
            z = torch.exp(1j * omega * z).imag
    return z


def net_first_omega(z, layers, omega):
    first, *others = layers[:-1]
    z = torch.sin(omega * first(z))
    return chain([*others, layers[-1]], z, lambda layer, a: layer(a).sin())


def net_short(z, layers, omega):
    return chain(
        [*layers[:-2], layers[-1]], z, lambda layer, a: (omega * layer(a)).sin()
    )


def net_detached(z, layers, omega):
    with torch.no_grad():
        return net_by_matrices(z, layers, omega)


# ---- normalise


def scaled_to_one(h, size):
    return h / size(h)


def normalise_by_norm(h):
    """Right: the 1-norm of every row."""
    return torch.nn.functional.normalize(h, p=1, dim=-1)


def centred(h):
    return h - h.mean(-1, keepdim=True)


def in_place(h):
    h /= h.abs().sum(-1, keepdim=True)
    return h


# ---- fit_filter


class Net(nn.Module):
    """Features, layers and a bend between them, as a learner would write it."""

    def __init__(self, length, generator, bend, bands=4):
        super().__init__()
        self.z, self.bend = features(length, bands), bend
        sizes = [2 * bands + 1, 64, 64, 1]
        self.layers = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))
        for p in self.parameters():
            bound = (p.shape[-1] if p.dim() > 1 else 64) ** -0.5
            nn.init.uniform_(p, -bound, bound, generator=generator)

    def forward(self, length):
        return chain(self.layers, self.z[:length], lambda f, a: self.bend(f(a)))


def sine(omega):
    return lambda a: torch.sin(omega * a)


def fit(
    bend,
    *,
    clear=True,
    rate=1e-3,
    learn=True,
    bands=4,
    result=lambda net, losses: (net, losses),
    draw=lambda generator: generator,
):
    """A fit_filter with one part exchanged."""

    def fit_filter(target, *, steps=200, generator):
        net = Net(len(target), draw(generator), bend, bands)
        adam = torch.optim.Adam(net.parameters(), lr=rate)
        losses = []
        for _ in range(steps):
            loss = nn.functional.mse_loss(net(len(target))[:, 0].to(target), target)
            if clear:
                adam.zero_grad()
            if learn:
                loss.backward()
                adam.step()
            losses.append(loss.item())
        return result(net, losses)

    return fit_filter


def a_few_steps(target, *, steps=200, generator):
    return fit(sine(20))(target, steps=min(steps, 10), generator=generator)


def never_trained(target, *, steps=200, generator):
    return fit(sine(20))(target, steps=0, generator=generator)


def louder(net, losses):
    return (lambda length: 1.1 * net(length)), losses


# ---- extend


def gap(filter):
    return 1 / (filter.length - 1)


def taps(filter, times):
    return filter.at(torch.as_tensor(times))


def its_own(filter):
    return taps(filter, torch.linspace(0, 1, filter.length).double())


def extend_in_pieces(filter, length):
    """Right: what was there, and the rest behind it."""
    more = [taps(filter, [i * gap(filter)]) for i in range(filter.length, length)]
    return torch.cat([its_own(filter), *more], -1)


def one_time_twice(filter, length):
    late = torch.linspace(1, 2, filter.length).double()
    return torch.cat([its_own(filter), taps(filter, late)], -1)[:, :length]


def off_by(right, amount, dtype, which=0):
    """Right but for `amount`, in one precision only."""
    return lambda *args: right(*args) + amount * (args[which].dtype == dtype)


def of_filter(right, amount):
    return lambda filter, length: right(filter, length) + amount


ALSO_RIGHT = {
    "04.positional_features": features_by_hands,
    "04.exponential_window": window_by_powers,
    "04.sine_net": net_by_matrices,
    "04.normalise": normalise_by_norm,
    "04.fit_filter": fit(sine(20)),
    "04.extend": extend_in_pieces,
}

# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "04.positional_features": [lambda *args: features_by_hands(*args) + 2e-4],
    "04.exponential_window": [
        off_by(window_by_powers, 2e-5, torch.float32, 1),
        off_by(window_by_powers, 2e-5, torch.float64, 1),
    ],
    "04.sine_net": [
        off_by(net_by_matrices, 1e-2, torch.float32),
        off_by(net_by_matrices, 1e-7, torch.float64),
    ],
    "04.normalise": [
        off_by(normalise_by_norm, 1e-4, torch.float32),
        off_by(normalise_by_norm, 1e-9, torch.float64),
    ],
    "04.fit_filter": [fit(sine(20), result=louder)],
    "04.extend": [of_filter(extend_in_pieces, 2e-4)],
}

BANK = {
    "04.positional_features": [
        ("raw steps", raw_steps, "the time column ends at L−1"),
        ("by the length", by_length, "the time column ends before 1"),
        (
            "no 2 pi",
            lambda length, bands: features(length, bands, turn=1),
            "one full turn over the sequence: the 2π is missing",
        ),
        (
            "no 2 pi, with time",
            lambda length, bands: features(
                length, bands, over=max(length - 1, 1), turn=1
            ),
            "one full turn over the sequence: time is in [0, 1]",
        ),
        (
            "one pi",
            lambda length, bands: features(length, bands, turn=math.pi),
            "half a turn",
        ),
        (
            "one step early",
            lambda length, bands: features(length, bands, over=max(length - 1, 1)),
            "back one step too early",
        ),
        (
            "cosines only",
            lambda length, bands: features(length, bands)[:, : 1 + bands],
            "without sines a band cannot shift its phase",
        ),
        (
            "sines only",
            lambda length, bands: features(length, bands)[:, [0, *range(-bands, 0)]],
            "without cosines",
        ),
        (
            "from one",
            lambda length, bands: features(length, bands, first=1),
            "the bands are counted from 1",
        ),
        (
            "sines first",
            lambda length, bands: torch.cat(
                [
                    features(length, bands)[:, :1],
                    features(length, bands)[:, 1 + bands :],
                    features(length, bands)[:, 1 : 1 + bands],
                ],
                1,
            ),
            "the sines come before the cosines",
        ),
        ("woven", features_woven, "cosine and sine alternate"),
        ("negative", features_negative, "the sines have a minus sign"),
        (
            "upright",
            lambda length, bands: features(length, bands).T,
            "the shape is",
        ),
        (
            "no time",
            lambda length, bands: features(length, bands)[:, 1:],
            "the shape is",
        ),
        ("double", lambda L, K: features_by_hands(L, K).double(), "the dtype is"),
        ("zeros", lambda L, K: torch.zeros(L, 2 * K + 1), "every value is zero"),
        ("identity", lambda L, K: torch.eye(L, 2 * K + 1), "instead of"),
        ("steps", lambda L, K: torch.arange(L), "the shape is"),
        ("None", lambda L, K: None, "returned None"),
    ],
    "04.exponential_window": [
        ("grows", lambda L, a, c=0.0: window(L, -a, c), "the window rises"),
        (
            "one decay",
            lambda L, a, c=0.0: window(L, a.mean().repeat(len(a)), c),
            "all channels are equal",
        ),
        ("no floor", lambda L, a, c=0.0: window(L, a), "the tail falls below `floor`"),
        (
            "clamped",
            lambda L, a, c=0.0: window(L, a).clamp_min(c),
            "cuts the tail off at the floor",
        ),
        (
            "squeezed",
            lambda L, a, c=0.0: c + (1 - c) * window(L, a),
            "squeezes the window",
        ),
        (
            "raw steps",
            lambda L, a, c=0.0: window(L, a, c, torch.arange(L)),
            "the time counts steps",
        ),
        (
            "by the length",
            lambda L, a, c=0.0: window(L, a, c, torch.arange(L) / L),
            "the time ends before 1",
        ),
        ("straight", linear_window, "a straight line"),
        ("divided", slow_window, "the decay is divided by"),
        ("multiplied", scaled_window, "multiplies by the decay"),
        ("upright", lambda L, a, c=0.0: window(L, a, c).T, "time runs down"),
        ("half", lambda L, a, c=0.0: window(L, a, c).half(), "dtype"),
        ("one row", lambda L, a, c=0.0: window(L, a, c)[0], "the shape is"),
        ("zeros", lambda L, a, c=0.0: torch.zeros(len(a), L).to(a), "every value"),
        ("identity", lambda L, a, c=0.0: a, "the shape is"),
        ("None", lambda L, a, c=0.0: None, "returned None"),
    ],
    "04.sine_net": [
        (
            "ReLU",
            lambda z, layers, w: chain(layers, z, lambda f, a: f(a).relu()),
            "this is a ReLU",
        ),
        (
            "ReLU with omega",
            lambda z, layers, w: chain(layers, z, lambda f, a: (w * f(a)).relu()),
            "this is a ReLU",
        ),
        (
            "omega outside",
            lambda z, layers, w: chain(layers, z, lambda f, a: w * f(a).sin()),
            "the amplitude grew by ω",
        ),
        (
            "sine at the end",
            lambda z, layers, w: chain(
                layers, z, lambda f, a: (w * f(a)).sin(), lambda a: (w * a).sin()
            ),
            "the output is trapped",
        ),
        (
            "no omega",
            lambda z, layers, w: chain(layers, z, lambda f, a: f(a).sin()),
            "ω is not used",
        ),
        (
            "omega on what goes in",
            lambda z, layers, w: chain(layers, z, lambda f, a: f(w * a).sin()),
            "the bias escapes it",
        ),
        ("omega once", net_first_omega, "only the first layer has its ω"),
        (
            "cosine",
            lambda z, layers, w: chain(layers, z, lambda f, a: (w * f(a)).cos()),
            "a cosine",
        ),
        (
            "tanh",
            lambda z, layers, w: chain(layers, z, lambda f, a: (w * f(a)).tanh()),
            "a tanh goes up once",
        ),
        (
            "linear",
            lambda z, layers, w: chain(layers, z, lambda f, a: f(a)),
            "no sine at all",
        ),
        (
            "linear with omega",
            lambda z, layers, w: chain(layers, z, lambda f, a: w * f(a)),
            "only a factor ω",
        ),
        (
            "no bias",
            lambda z, layers, w: chain(
                layers, z, lambda f, a: (w * (a @ f.weight.T)).sin()
            ),
            "the biases are left out",
        ),
        ("detached", net_detached, "no gradient would reach them"),
        ("a layer forgotten", net_short, "is left out: all but one"),
        (
            "upright",
            lambda z, layers, w: net_by_matrices(z, layers, w).T,
            "the shape is",
        ),
        (
            "zeros",
            lambda z, layers, w: 0 * net_by_matrices(z, layers, w),
            "every value is zero",
        ),
        ("identity", lambda z, layers, w: z, "no gradient would reach them"),
        ("None", lambda z, layers, w: None, "returned None"),
    ],
    "04.normalise": [
        ("across channels", lambda h: h / h.abs().sum(-2), "wrong axis"),
        ("whole tensor", lambda h: h / h.abs().sum(), "the channels share one total"),
        ("energy", lambda h: h / h.norm(dim=-1, keepdim=True), "the squares sum to 1"),
        ("signed", lambda h: h / h.sum(-1, keepdim=True), "the taps sum to 1"),
        (
            "peak",
            lambda h: h / h.abs().max(-1, keepdim=True).values,
            "the largest tap is 1",
        ),
        ("mean", lambda h: h / h.abs().mean(-1, keepdim=True), "the sizes sum to L"),
        (
            "sizes",
            lambda h: h.abs() / h.abs().sum(-1, keepdim=True),
            "the signs are gone",
        ),
        ("softmax", lambda h: h.softmax(-1), "a softmax"),
        (
            "centred",
            lambda h: centred(h) / centred(h).abs().sum(-1, keepdim=True),
            "the mean was taken away",
        ),
        ("flat axis", lambda h: h / h.abs().sum(-1), "the totals lie flat"),
        ("in place", in_place, "in place"),
        (
            "doubled",
            lambda h: 2 * normalise_by_norm(h),
            "the sizes of channel 0 sum to 2",
        ),
        ("half", lambda h: normalise_by_norm(h).half(), "dtype"),
        ("zeros", torch.zeros_like, "every value is zero"),
        ("identity", torch.clone, "the sizes of channel 0 sum to"),
        ("None", lambda h: None, "returned None"),
    ],
    "04.fit_filter": [
        ("too slow a sine", fit(sine(1)), "the net cannot turn fast enough"),
        ("ReLU", fit(torch.relu), "misses the oscillation"),
        ("a module of ReLU", fit(nn.ReLU()), "misses the oscillation"),
        ("tanh", fit(torch.tanh), "misses the oscillation"),
        ("no zero_grad", fit(sine(14), clear=False), "gradients pile up"),
        ("never stepped", fit(sine(14), learn=False), "nothing was trained"),
        ("never trained", never_trained, "asks for 1 losses"),
        ("a few steps", a_few_steps, "asks for 200 losses"),
        ("tiny rate", fit(sine(14), rate=1e-7), "its steps are too small"),
        (
            "global draw",
            fit(sine(14), draw=lambda generator: None),
            "equal seeds gave different networks",
        ),
        (
            "a seed of its own",
            fit(sine(14), draw=lambda generator: torch.Generator().manual_seed(0)),
            "different seeds gave the same network",
        ),
        (
            "losses first",
            fit(sine(14), result=lambda net, losses: (losses, net)),
            "net cannot be called",
        ),
        ("the net alone", fit(sine(14), result=lambda net, losses: net), "two things"),
        (
            "losses with graphs",
            fit(
                sine(14), result=lambda net, losses: (net, [*map(torch.tensor, losses)])
            ),
            "a Tensor is in its place",
        ),
        (
            "too few taps",
            fit(sine(14), result=lambda net, losses: (lambda n: net(n)[:9], losses)),
            "finite taps",
        ),
        (
            "losses made up",
            fit(sine(14), result=lambda net, losses: (net, losses[:1] * len(losses))),
            "the losses are not those of its training",
        ),
        (
            "zeros",
            lambda target, *, steps=200, generator: (torch.zeros_like, [0.0] * steps),
            "stopped with",
        ),
        (
            "identity",
            lambda target, *, steps=200, generator: (lambda n: target, [0.0] * steps),
            "different seeds gave the same network",
        ),
        ("None", lambda target, *, steps=200, generator: None, "returned None"),
    ],
    "04.extend": [
        (
            "stretches",
            lambda f, n: taps(f, torch.linspace(0, 1, n).double()),
            "you stretched the filter instead of continuing it",
        ),
        (
            "pads",
            lambda f, n: pad(its_own(f), (0, n - f.length)),
            "values after L are all 0",
        ),
        (
            "repeats",
            lambda f, n: its_own(f).repeat(1, n)[:, :n],
            "values after L copy the start",
        ),
        (
            "mirrors",
            lambda f, n: torch.cat([its_own(f), its_own(f).flip(1)], 1).repeat(1, n)[
                :, :n
            ],
            "as in a mirror",
        ),
        (
            "stands still",
            lambda f, n: taps(f, (torch.arange(n) * gap(f)).clamp(max=1)),
            "stand still",
        ),
        (
            "by the length",
            lambda f, n: taps(f, torch.arange(n) / f.length),
            "1/(L−1), not 1/L",
        ),
        (
            "by the new length",
            lambda f, n: taps(f, torch.arange(n) / n),
            "the gap belongs to the old length",
        ),
        ("time 1 twice", one_time_twice, "time 1 comes twice"),
        ("steps", lambda f, n: taps(f, torch.arange(n)), "the times count steps"),
        ("the old ones", lambda f, n: its_own(f), "the new ones are missing"),
        (
            "the new ones",
            lambda f, n: extend_in_pieces(f, n)[:, f.length :],
            "only the new taps",
        ),
        (
            "backwards",
            lambda f, n: extend_in_pieces(f, n).flip(-1),
            "instead of",
        ),
        ("doubled", lambda f, n: 2 * extend_in_pieces(f, n), "constant factor"),
        ("zeros", lambda f, n: 0 * extend_in_pieces(f, n), "every value is zero"),
        ("identity", lambda f, n: f, "of type"),
        ("None", lambda f, n: None, "returned None"),
    ],
}
