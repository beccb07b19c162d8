"""Wrong answers to A2."""

WHOLE_FREQUENCIES = """
def features(length, bands):
    step = torch.arange(length)[:, None]
    angles = 2 * math.pi * step / length * torch.arange(bands)
    return torch.cat([step / max(length - 1, 1), angles.cos(), -angles.sin()], dim=1)
"""
STEPS_FOR_TIME = """
right = features

def features(length, bands):
    z = right(length, bands)
    z[:, 0] = torch.arange(length)
    return z
"""
TIME_FOR_ANGLE = """
def features(length, bands):
    time = torch.linspace(0, 1, length)[:, None]
    angles = 2 * math.pi * time * torch.linspace(1e-4, bands - 1, bands)
    return torch.cat([time, angles.cos(), -angles.sin()], dim=1)
"""
NO_OMEGA = """
right = sine_network

def sine_network(z, weights, biases, omega):
    return right(z, weights, biases, torch.ones_like(omega))
"""
SINE_AT_THE_END = """
right = sine_network

def sine_network(z, weights, biases, omega):
    return torch.sin(right(z, weights, biases, omega))
"""
BIAS_OUTSIDE = """
def sine_network(z, weights, biases, omega):
    for weight, bias in zip(weights, biases):
        z = torch.sin(omega * (z @ weight.T) + bias)
    return z @ weights[-1].T
"""
GROWS = """
def window(length, rates, floor):
    time = torch.arange(length, dtype=rates.dtype) / max(length - 1, 1)
    return torch.exp(rates.abs()[:, None] * time) + floor
"""
SIGNED_RATES = """
def window(length, rates, floor):
    time = torch.arange(length, dtype=rates.dtype) / max(length - 1, 1)
    return torch.exp(-rates[:, None] * time) + floor
"""
NO_FLOOR = """
right = window

def window(length, rates, floor):
    return right(length, rates, 0.0)
"""
NO_WINDOW = """
def implicit_filter(length, bands, weights, biases, omega, rates, floor):
    z = features(length, bands).to(rates.dtype)
    return sine_network(z, weights, biases, omega).T
"""
TIME_DOWN = """
right = implicit_filter

def implicit_filter(*args):
    return right(*args).T
"""
NO_FILTER = """
def features(length, bands):
    return torch.zeros(length, 2 * bands + 1)

def sine_network(z, weights, biases, omega):
    return torch.zeros(len(z), len(weights[-1]), dtype=z.dtype)

def window(length, rates, floor):
    return torch.zeros(len(rates), length, dtype=rates.dtype)

def implicit_filter(length, bands, weights, biases, omega, rates, floor):
    return window(length, rates, floor)
"""
LIBRARY_FEATURES = """
from minihyena.filters import positional_features as features
"""

NO_BIAS = """
right = project

def project(u, weight, bias, streams):
    return right(u, weight, 0 * bias, streams)
"""
DEALT_OUT = """
def project(u, weight, bias, streams):
    p = (u @ weight.T + bias).transpose(1, 2)
    return [p[:, i::streams] for i in range(streams)]
"""
RESHAPED = """
def project(u, weight, bias, streams):
    p = u @ weight.T + bias
    B, L, D = u.shape
    return [stream.reshape(B, D, L) for stream in p.chunk(streams, dim=-1)]
"""
STREAMS_REVERSED = """
right = project

def project(u, weight, bias, streams):
    return right(u, weight, bias, streams)[::-1]
"""
ONE_TENSOR = """
def project(u, weight, bias, streams):
    return (u @ weight.T + bias).transpose(1, 2)
"""
TAPS_REVERSED = """
right = short_conv

def short_conv(x, taps):
    return right(x, taps.flip(1))
"""
CENTRED = """
right = short_conv

def short_conv(x, taps):
    ahead = taps.shape[1] // 2
    longer = torch.nn.functional.pad(x, (0, ahead))
    return right(longer, taps)[..., ahead:]
"""
ROLLED = """
def short_conv(x, taps):
    K = taps.shape[1]
    return sum(taps[:, K - 1 - j, None] * x.roll(j, -1) for j in range(K))
"""
NO_SHORT_SIGNALS = """
right = short_conv

def short_conv(x, taps):
    return right(x, taps) if 1 < taps.shape[1] < x.shape[-1] else x
"""
SAME_TAPS = """
right = short_conv

def short_conv(x, taps):
    return right(x, taps[:1].expand(len(taps), -1))
"""
READY = """
def short_conv(x, taps):
    K = taps.shape[1]
    x = torch.nn.functional.pad(x, (K - 1, 0))
    return torch.nn.functional.conv1d(x, taps[:, None], groups=len(taps))
"""
NO_PROJECTION = """
def project(u, weight, bias, streams):
    return [torch.zeros_like(u.transpose(1, 2)) for _ in range(streams)]

def short_conv(x, taps):
    return x
"""

HELPERS = """
def carry(h, z):
    n = 2 * z.shape[-1]
    product = torch.fft.rfft(h, n) * torch.fft.rfft(z, n)
    return torch.fft.irfft(product, n)[..., : z.shape[-1]]

right = hyena
"""
GATES_FIRST = (
    HELPERS
    + """
def hyena(v, gates, filters, skips=None):
    if skips is not None:
        return right(v, gates, filters, skips)
    for gate, h in zip(gates, filters):
        v = carry(h, gate * v)
    return v
"""
)
ONE_FILTER = """
right = hyena

def hyena(v, gates, filters, skips=None):
    if skips is not None:
        return right(v, gates, filters, skips)
    return right(v, gates, filters[:1].expand_as(filters))
"""
GATES_REVERSED = """
right = hyena

def hyena(v, gates, filters, skips=None):
    return right(v, gates.flip(0), filters, skips)
"""
SKIP_EVERYWHERE = """
right = hyena

def hyena(v, gates, filters, skips=None):
    if skips is None:
        return right(v, gates, filters)
    return right(v, gates, filters + skips[..., None], torch.zeros_like(skips))
"""
NO_SKIP = """
right = hyena

def hyena(v, gates, filters, skips=None):
    return right(v, gates, filters, None if skips is None else 0 * skips)
"""
SKIP_OF_WHAT_CAME_IN = (
    HELPERS
    + """
def hyena(v, gates, filters, skips=None):
    if skips is None:
        return right(v, gates, filters)
    for gate, h, skip in zip(gates, filters, skips):
        v = carry(h, gate * v) + skip[:, None] * v
    return gates[-1] * v
"""
)
NO_LAST_GATE = """
right = hyena

def hyena(v, gates, filters, skips=None):
    if skips is None:
        return right(v, gates, filters)
    return right(v, torch.cat([gates[:-1], torch.ones_like(gates[:1])]), filters, skips)
"""
ONE_CONVENTION = """
right = hyena

def hyena(v, gates, filters, skips=None):
    return right(v, gates, filters, None)
"""
ROUND = """
def hyena(v, gates, filters, skips=None):
    def carry(h, z):
        n = z.shape[-1]
        return torch.fft.irfft(torch.fft.rfft(h) * torch.fft.rfft(z), n)

    if skips is None:
        for gate, h in zip(gates, filters):
            v = gate * carry(h, v)
        return v
    for gate, h, skip in zip(gates, filters, skips):
        v = gate * v
        v = carry(h, v) + skip[:, None] * v
    return gates[-1] * v
"""
SINGLE = """
right = hyena

def hyena(v, gates, filters, skips=None):
    skips = None if skips is None else skips.float()
    return right(v.float(), gates.float(), filters.float(), skips).to(v.dtype)
"""
DETACHED = """
right = hyena

def hyena(v, gates, filters, skips=None):
    return right(v, gates, filters, skips).detach()
"""
FROZEN_GATES = """
right = hyena

def hyena(v, gates, filters, skips=None):
    return right(v, gates.detach(), filters, skips)
"""
SILENT = """
def hyena(v, gates, filters, skips=None):
    return torch.zeros_like(v)
"""
PASSES_ON = """
def hyena(v, gates, filters, skips=None):
    return v
"""
LIBRARY = """
from minihyena import hyena_recurrence

def hyena(v, gates, filters, skips=None):
    return hyena_recurrence(v, [(x, h, None) for x, h in zip(gates, filters)])
"""
LONG_READY = """
from numpy import convolve

def hyena(v, gates, filters, skips=None):
    return torch.tensor(convolve(v.flatten(), filters.flatten()))
"""

TRANSPOSED = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates, filters).transpose(1, 2)
"""
REVERSED = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates.flip(0), filters.flip(0))
"""
COLUMNS = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    whole = torch.eye(gates.shape[-1], dtype=gates.dtype)
    for gate, h in zip(gates, filters):
        whole = right(torch.ones_like(gate)[None], h[None]) * gate[:, None] @ whole
    return whole
"""
NO_GATES = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(torch.ones_like(gates), filters)
"""
MAGNITUDE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates, filters).abs()
"""
ENTRYWISE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    whole = 1.0
    for gate, h in zip(gates, filters):
        whole = whole * right(gate[None], h[None])
    return whole
"""
BY_SPECTRA = """
def hyena_matrix(gates, filters):
    L = gates.shape[-1]
    z = torch.eye(L, dtype=gates.dtype)[:, None].expand(-1, gates.shape[1], -1)
    for gate, h in zip(gates, filters):
        product = torch.fft.rfft(h, 2 * L) * torch.fft.rfft(z, 2 * L)
        z = gate * torch.fft.irfft(product, 2 * L)[..., :L]
    return z.permute(1, 2, 0)
"""
IN_NUMBERS = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return torch.tensor(right(gates, filters).tolist(), dtype=gates.dtype)
"""
NOTHING = """
def hyena_matrix(gates, filters):
    return torch.zeros(*gates.shape[1:], gates.shape[-1], dtype=gates.dtype)
"""
STANDS_STILL = """
def hyena_matrix(gates, filters):
    D, L = gates.shape[1:]
    return torch.eye(L, dtype=gates.dtype).repeat(D, 1, 1)
"""
COPIED = """
def hyena_matrix(gates, filters):
    return torch.tensor([[[0.4225, 0.0], [-0.35, 1.25]]])
"""

OMEGA_ONCE = """
right = sine_network

def sine_network(z, weights, biases, omega):
    a = torch.sin(omega * (z @ weights[0].T + biases[0]))
    for weight, bias in zip(weights[1:-1], biases[1:]):
        a = torch.sin(a @ weight.T + bias)
    return a @ weights[-1].T
"""
ONE_LAYER_LESS = """
def sine_network(z, weights, biases, omega):
    for weight, bias in zip(weights[:-2], biases):
        z = torch.sin(omega * (z @ weight.T + bias))
    return z @ weights[-1].T
"""
GROWS_WITH_THE_RATE = """
def window(length, rates, floor):
    time = torch.arange(length, dtype=rates.dtype) / max(length - 1, 1)
    return torch.exp(rates[:, None] * time) + floor
"""
A_STREAM_ALONE = """
right = project

def project(u, weight, bias, streams):
    made = right(u, weight, bias, streams)
    return made[0] if streams == 1 else made
"""
EMPTY_SLICES = """
def short_conv(x, taps):
    L, K = x.shape[-1], taps.shape[1]
    y = torch.zeros_like(x)
    for j in range(K):
        y[:, :, j:] += taps[None, :, K - 1 - j, None] * x[:, :, : L - j]
    return y
"""
TOO_SHORT_A_RING = """
def short_conv(x, taps):
    n = 2 * x.shape[-1]
    product = torch.fft.rfft(taps.flip(1), n) * torch.fft.rfft(x, n)
    return torch.fft.irfft(product, n)[..., : x.shape[-1]]
"""
FOR_TAP_0 = """
right = hyena

def hyena(v, gates, filters, skips=None):
    if skips is None:
        return right(v, gates, filters)
    changed = torch.cat([0 * skips[..., None], filters[..., 1:]], dim=-1)
    return right(v, gates, changed, skips)
"""
BACKWARDS = """
right = hyena

def hyena(v, gates, filters, skips=None):
    return right(v, gates, filters if skips is None else filters.flip(-1), skips)
"""
EMPTY_FOR_NONE = """
right = hyena

def hyena(v, gates, filters, skips=None):
    if skips is None or len(skips) == 0:
        for gate, h in zip(gates, filters):
            v = right(v, gate[None], h[None])
        return v
    return right(v, gates, filters, skips)
"""
CIRCULANT = """
def hyena_matrix(gates, filters):
    length = gates.shape[-1]
    lag = torch.arange(length)[:, None] - torch.arange(length)
    matrix = torch.eye(length, dtype=gates.dtype)
    for gate, h in zip(gates, filters):
        matrix = gate[..., None] * (h[:, lag % length] @ matrix)
    return matrix
"""
UPPER = """
def hyena_matrix(gates, filters):
    length = gates.shape[-1]
    lag = torch.arange(length)[:, None] - torch.arange(length)
    matrix = torch.eye(length, dtype=gates.dtype)
    for gate, h in zip(gates, filters):
        matrix = gate[..., None] * (h[:, lag.abs()].triu() @ matrix)
    return matrix
"""
ONE_CHANNEL = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates[:, :1], filters[:, :1]).expand(gates.shape[1], -1, -1)
"""

BANK = [
    ("filter", "whole frequencies", WHOLE_FREQUENCIES, 12, "begin with 1e-4"),
    ("filter", "steps for time", STEPS_FOR_TIME, 12, "not normalised"),
    ("filter", "time for angle", TIME_FOR_ANGLE, 12, "normalised differently"),
    ("filter", "omega missing", NO_OMEGA, 12, "ω is not used"),
    ("filter", "omega in one layer", OMEGA_ONCE, 12, "only the first layer"),
    ("filter", "a layer less", ONE_LAYER_LESS, 12, "left out"),
    ("filter", "sine at the end", SINE_AT_THE_END, 12, "trapped"),
    ("filter", "bias outside", BIAS_OUTSIDE, 12, "bias escapes"),
    ("filter", "window as growth", GROWS, 12, "rises"),
    ("filter", "signed rates", SIGNED_RATES, 12, "|rate|"),
    ("filter", "grows with the rate", GROWS_WITH_THE_RATE, 12, "−|rate|"),
    ("filter", "no floor", NO_FLOOR, 12, "floor"),
    ("filter", "no window", NO_WINDOW, 18, "window is missing"),
    ("filter", "time down the columns", TIME_DOWN, 18, "down the columns"),
    ("filter", "zeros", NO_FILTER, 0, "zero"),
    ("filter", "the library's features", LIBRARY_FEATURES, 0, "forbids minihyena"),
    ("projection", "no bias", NO_BIAS, 7, "bias is missing"),
    ("projection", "rows dealt out", DEALT_OUT, 10, "dealt out"),
    ("projection", "reshaped", RESHAPED, 7, "do not reshape"),
    ("projection", "streams reversed", STREAMS_REVERSED, 10, "in reverse"),
    ("projection", "one tensor", ONE_TENSOR, 7, "shape"),
    ("projection", "a stream alone", A_STREAM_ALONE, 12, "in a list or tuple"),
    ("projection", "empty slices", EMPTY_SLICES, 12, "RuntimeError"),
    ("projection", "too short a ring", TOO_SHORT_A_RING, 12, "sees the future"),
    ("projection", "taps reversed", TAPS_REVERSED, 8, "wrong order"),
    ("projection", "centred", CENTRED, 8, "sees the future"),
    ("projection", "rolled", ROLLED, 8, "came back"),
    ("projection", "no short signals", NO_SHORT_SIGNALS, 12, "instead of"),
    ("projection", "the same taps", SAME_TAPS, 8, "channel 0"),
    ("projection", "ready-made", READY, 0, "conv1d"),
    ("projection", "zeros and identity", NO_PROJECTION, 0, "zero"),
    ("recurrence", "gates first", GATES_FIRST, 6, "first carry, then gate"),
    ("recurrence", "one filter", ONE_FILTER, 11, "its own filter"),
    ("recurrence", "gates reversed", GATES_REVERSED, 5, "last gate was used first"),
    ("recurrence", "skip everywhere", SKIP_EVERYWHERE, 12, "every tap"),
    ("recurrence", "no skip", NO_SKIP, 12, "skip is missing"),
    ("recurrence", "skip for tap 0", FOR_TAP_0, 12, "took the place"),
    ("recurrence", "filters backwards", BACKWARDS, 12, "read backwards"),
    ("recurrence", "empty for none", EMPTY_FOR_NONE, 15, "last gate is missing"),
    ("recurrence", "skip of the input", SKIP_OF_WHAT_CAME_IN, 12, "by the gate"),
    ("recurrence", "no last gate", NO_LAST_GATE, 12, "last gate is missing"),
    ("recurrence", "one convention", ONE_CONVENTION, 12, "ValueError"),
    ("recurrence", "goes round", ROUND, 0, "came round"),
    ("recurrence", "float32 inside", SINGLE, 21, "ten digits"),
    ("recurrence", "detached", DETACHED, 22, "no gradient"),
    ("recurrence", "frozen gates", FROZEN_GATES, 22, "no gradient reaches gates"),
    ("recurrence", "zeros", SILENT, 0, "zero"),
    ("recurrence", "identity", PASSES_ON, 0, "v came back"),
    ("recurrence", "the library's answer", LIBRARY, 0, "forbids minihyena"),
    ("recurrence", "ready-made", LONG_READY, 0, "convolve"),
    ("dense", "transposed", TRANSPOSED, 0, "rows and columns are exchanged"),
    ("dense", "factors reversed", REVERSED, 4, "in reverse"),
    ("dense", "columns for rows", COLUMNS, 0, "columns are scaled"),
    ("dense", "circulant", CIRCULANT, 0, "came round"),
    ("dense", "upper", UPPER, 0, "above the diagonal"),
    ("dense", "one channel", ONE_CHANNEL, 0, "instead of"),
    ("dense", "no gates", NO_GATES, 0, "filter alone"),
    ("dense", "magnitude", MAGNITUDE, 0, "signs are gone"),
    ("dense", "entry by entry", ENTRYWISE, 4, "entry by entry"),
    ("dense", "by spectra", BY_SPECTRA, 12, "exactly 0"),
    ("dense", "gradients cut", IN_NUMBERS, 12, "no gradient"),
    ("dense", "zeros", NOTHING, 0, "zero"),
    ("dense", "identity", STANDS_STILL, 0, "instead of"),
    ("dense", "copied numbers", COPIED, 0, "shape"),
]
