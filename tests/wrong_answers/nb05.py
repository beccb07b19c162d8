"""Wrong answers to the exercises of notebook 05, and right ones written otherwise."""

import torch
from torch.nn.functional import conv1d, pad

from minihyena import causal_conv, toeplitz


def sparse(*places, size=(8, 2)):
    """Zeros, but for the given (t, column)."""
    u = torch.zeros(size)
    for place in places:
        u[place] = 1
    return u


def search(task):
    """Right: tries every pair of unit inputs until the task tells them from a sum."""
    units = [sparse((t, c)) for t in range(8) for c in range(2)]
    for one in units:
        for other in units:
            if not torch.allclose(task(one + other), task(one) + task(other)):
                return one, other


def in_place_task(task):
    one, other = sparse((0, 0)), sparse((1, 1))
    return [one, other, one + other]


def gated_by_matrix(v, x, h):
    """Right: the matrix of the filter, row by row."""
    return x * (toeplitz(h, v.shape[-1]) @ v[..., None]).squeeze(-1)


def gated_in_place(v, x, h):
    v *= x
    return causal_conv(v, h)


def squeezed_by_fft(v, x, h):
    """Causal, though its rounding lets every input touch every output."""
    size = 2 * v.shape[-1]
    spectrum = torch.fft.rfft(v, size) * torch.fft.rfft(h, size)
    return x.tanh() * torch.fft.irfft(spectrum, size)[..., : v.shape[-1]]


def gated_centred(v, x, h):
    padded = pad(v, (0, h.shape[-1] - 1))
    return x * conv1d(padded, h[:, None], groups=h.shape[0])


def matrix_by_columns(x, h):
    """Right: unit vector after unit vector through the operator."""
    units = torch.eye(len(x), dtype=x.dtype)[:, None]
    return (x * causal_conv(units, h[None]))[:, 0].T


def circulant(x, h):
    full = pad(h, (0, len(x) - len(h)))
    time = torch.arange(len(x))
    return x[:, None] * full[(time[:, None] - time) % len(x)]


def short_by_copies(p, w):
    """Right: three delayed copies, added up."""
    y = w[:, 2:] * p
    for back in (1, 2):
        y[:, back:] += w[:, 2 - back, None] * p[:, : max(p.shape[1] - back, 0)]
    return y


def short(p, w, before, after, **options):
    return conv1d(pad(p, (before, after)), w[:, None], groups=len(p), **options)


def all_channels(p, w):
    return conv1d(pad(p, (2, 0)), w[None].expand(len(p), -1, -1))


def late(x, steps=1):
    return torch.cat([torch.zeros_like(x[:steps]), x[: len(x) - steps]])


def copied_by_index(tokens, marker, query):
    """No gate and no filter: right for one marker only."""
    y = torch.zeros_like(tokens)
    y[query.argmax()] = tokens[marker.argmax() + 1]
    return y


def copied_by_matrix(tokens, marker, query):
    ones = toeplitz(torch.ones_like(tokens), len(tokens))
    return query * (ones @ (late(marker) * tokens))


def off_by(right, amount, dtype):
    """Right but for `amount`, in one precision only."""
    return lambda *args: right(*args) + amount * (args[0].dtype == dtype)


ALSO_RIGHT = {
    "05.two_witnesses": search,
    "05.gated_conv": gated_by_matrix,
    "05.as_matrix": matrix_by_columns,
    "05.short_conv": short_by_copies,
    "05.copy_after_marker": copied_by_matrix,
}

# Right answers, off by ten times the tolerance of their check in one precision only.
TOO_FAR = {
    "05.two_witnesses": [lambda task: (1e-4 * sparse((0, 0)), 1e-4 * sparse((1, 1)))],
    **{
        id: [off_by(right, 1e-4, torch.float32), off_by(right, 1e-9, torch.float64)]
        for id, right in ALSO_RIGHT.items()
        if id != "05.two_witnesses"
    },
}

BANK = {
    "05.two_witnesses": [
        (
            "zero partner",
            lambda task: (sparse((0, 0), (1, 1)), sparse()),
            "anything plus silence proves nothing",
        ),
        (
            "no marker",
            lambda task: (sparse((1, 1)), sparse((4, 1))),
            "both answers are zero, so is their sum",
        ),
        (
            "far apart",
            lambda task: (sparse((0, 0), (1, 1)), sparse((4, 0), (5, 1))),
            "the two parts never interact",
        ),
        (
            "no value",
            lambda task: (sparse((0, 0)), sparse((4, 0))),
            "nothing to copy",
        ),
        (
            "one input twice",
            lambda task: (sparse((0, 0), (1, 1)),) * 2,
            "one input twice",
        ),
        (
            "value under the marker",
            lambda task: (sparse((3, 0)), sparse((3, 1))),
            "no marker stands just before a value",
        ),
        (
            "value before the marker",
            lambda task: (sparse((3, 0)), sparse((2, 1))),
            "no marker stands just before a value",
        ),
        (
            "the same marker in both",
            lambda task: (sparse((0, 0)), sparse((0, 0), (1, 1))),
            "both have a marker at the same place",
        ),
        (
            "a faint marker",
            lambda task: (0.3 * sparse((0, 0)), sparse((1, 1))),
            "there or not, 1 or 0",
        ),
        ("zeros", lambda task: (torch.zeros(8, 2),) * 2, "silence"),
        ("identity", lambda task: task, "two tensors belong here"),
        ("None", lambda task: None, "returned None"),
        ("three", in_place_task, "two tensors belong here"),
        ("one tensor", lambda task: sparse((0, 0)), "two tensors belong here"),
        (
            "wrong shape",
            lambda task: (torch.zeros(8), torch.ones(8)),
            "the shape is (8,)",
        ),
        (
            "infinite",
            lambda task: (torch.inf * torch.ones(8, 2),) * 2,
            "infinity",
        ),
        ("calls it badly", lambda task: (task(torch.ones(8)),) * 2, "stopped with"),
    ],
    "05.gated_conv": [
        ("adds", lambda v, x, h: x + causal_conv(v, h), "a gate multiplies"),
        ("gate first", lambda v, x, h: causal_conv(x * v, h), "order swapped"),
        (
            "average gate",
            lambda v, x, h: x.mean(-1, keepdim=True) * causal_conv(v, h),
            "every position got the same gate",
        ),
        ("both sides", lambda v, x, h: x * causal_conv(v * x, h), "gated twice"),
        ("no gate", lambda v, x, h: causal_conv(v, h), "no gate at all"),
        ("no convolution", lambda v, x, h: v * x, "no convolution at all"),
        ("swapped", lambda v, x, h: v * causal_conv(x, h), "swapped"),
        ("a sigmoid", lambda v, x, h: x.sigmoid() * causal_conv(v, h), "squeezed"),
        ("in place", gated_in_place, "in place"),
        ("not flipped", gated_centred, "sees the future"),
        ("a squeezed gate, by FFT", squeezed_by_fft, "differs first"),
        ("zeros", lambda v, x, h: torch.zeros_like(v), "every value is zero"),
        ("identity", lambda v, x, h: v.clone(), "differs first"),
        ("None", lambda v, x, h: None, "returned None"),
        ("doubled", lambda *args: 2 * gated_by_matrix(*args), "constant factor"),
        ("last channel", lambda *args: gated_by_matrix(*args)[0], "shape"),
        ("a star", lambda v, x, h: x * (h * v), "is no convolution: a filter slides"),
    ],
    "05.as_matrix": [
        ("columns", lambda x, h: toeplitz(h, len(x)) @ x.diag(), "that is a pre-gate"),
        (
            "gated filter",
            lambda x, h: toeplitz(x * pad(h, (0, len(x) - len(h))), len(x)),
            "still constant along diagonals",
        ),
        ("adds", lambda x, h: x[:, None] + toeplitz(h, len(x)), "upper triangle"),
        ("transposed", lambda *args: matrix_by_columns(*args).T, "exchanged"),
        ("filter only", lambda x, h: toeplitz(h, len(x)), "the filter alone"),
        ("gate only", lambda x, h: x.diag(), "the gate alone"),
        (
            "outer product",
            lambda x, h: x.outer(pad(h, (0, len(x) - len(h)))).tril(),
            "every row holds the same taps",
        ),
        ("both sides", lambda x, h: matrix_by_columns(x, h) * x, "gated on both sides"),
        ("a ring", circulant, "upper triangle is not zero"),
        ("zeros", lambda x, h: torch.zeros(len(x), len(x)), "every value is zero"),
        ("single", lambda *args: matrix_by_columns(*args).float(), "dtype"),
        ("identity", lambda x, h: x.clone(), "shape"),
        ("None", lambda x, h: None, "returned None"),
        (
            "squared gate",
            lambda x, h: x[:, None] * matrix_by_columns(x, h),
            "differs first",
        ),
        ("negative", lambda *args: -matrix_by_columns(*args), "constant factor"),
    ],
    "05.short_conv": [
        ("centred", lambda p, w: short(p, w, 1, 1), "one step of future"),
        ("wrong trim", lambda p, w: short(p, w, 2, 2)[:, 2:], "two steps of future"),
        ("untrimmed", lambda p, w: short(p, w, 2, 2), "length L + 2"),
        ("not padded", lambda p, w: short(p, w, 0, 0), "length L - 2"),
        ("mixes channels", all_channels, "channel 1 changed channel 0"),
        ("flipped", lambda p, w: causal_conv(pad(p, (2, 0))[None], w)[0, :, 2:], "now"),
        (
            "first weight now",
            lambda p, w: short_by_copies(p, w.flip(1)),
            "w[:, 0] was taken for now",
        ),
        (
            "one filter",
            lambda p, w: short_by_copies(p, w[:1].expand_as(w)),
            "weights of channel 0",
        ),
        ("only now", lambda p, w: p * w[:, 2:], "only the present"),
        (
            "a ring",
            lambda p, w: (
                w[:, 2:] * p + w[:, 1:2] * p.roll(1, 1) + w[:, :1] * p.roll(2, 1)
            ),
            "came back at the start",
        ),
        ("zeros", lambda p, w: torch.zeros_like(p), "every value is zero"),
        ("identity", lambda p, w: p.clone(), "differs first"),
        ("None", lambda p, w: None, "returned None"),
        ("halved", lambda *args: short_by_copies(*args) / 2, "constant factor"),
        ("a batch", lambda p, w: short(p[None], w, 2, 0), "shape"),
        ("single", lambda *args: short_by_copies(*args).half(), "dtype"),
        ("groups forgotten", lambda p, w: conv1d(pad(p, (2, 0)), w), "RuntimeError"),
    ],
    "05.copy_after_marker": [
        (
            "opens on the marker",
            lambda tokens, marker, query: query * (marker * tokens).cumsum(0),
            "copied the marker; open the gate one step later",
        ),
        ("by index", copied_by_index, "with three markers"),
        (
            "fixed tap",
            lambda tokens, marker, query: query * late(late(marker) * tokens, 2),
            "right at this distance, wrong at another",
        ),
        (
            "another tap",
            lambda tokens, marker, query: query * late(late(marker) * tokens, 4),
            "right at this distance, wrong at another",
        ),
        (
            "no post-gate",
            lambda tokens, marker, query: (late(marker) * tokens).cumsum(0),
            "appears before it was asked for",
        ),
        (
            "no pre-gate",
            lambda tokens, marker, query: query * tokens.cumsum(0),
            "all tokens came along",
        ),
        (
            "stays open",
            lambda tokens, marker, query: (
                query * (late(marker.cumsum(0)) * tokens).cumsum(0)
            ),
            "the gate stayed open",
        ),
        (
            "token under the query",
            lambda tokens, marker, query: query * tokens,
            "nothing was carried",
        ),
        (
            "not carried",
            lambda tokens, marker, query: late(marker) * tokens,
            "stayed where it was",
        ),
        (
            "the wrong way",
            lambda tokens, marker, query: query * (marker.roll(-1) * tokens).cumsum(0),
            "shift it the other way",
        ),
        (
            "a mean",
            lambda tokens, marker, query: (
                copied_by_matrix(tokens, marker, query) / len(tokens)
            ),
            "fades on its way",
        ),
        (
            "holds on after the query",
            lambda tokens, marker, query: (
                query.cumsum(0) * (late(marker) * tokens).cumsum(0)
            ),
            "where nobody asked",
        ),
        ("zeros", lambda tokens, marker, query: 0 * tokens, "every value is zero"),
        ("identity", lambda tokens, marker, query: tokens.clone(), "nobody asked"),
        ("None", lambda tokens, marker, query: None, "returned None"),
        (
            "one number",
            lambda tokens, marker, query: copied_by_matrix(tokens, marker, query).sum(),
            "shape",
        ),
        (
            "doubled",
            lambda *args: 2 * copied_by_matrix(*args),
            "constant factor",
        ),
    ],
}
