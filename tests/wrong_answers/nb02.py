"""Wrong answers to the exercises of notebook 02, and right ones written otherwise."""

import torch
from torch.nn.functional import conv1d, pad

from minihyena import causal_conv


def conv(u, h):
    """The helper of the notebook's first cells."""
    return causal_conv(u[None, None], h[None])[0, 0]


def table(h, length=None):
    """Right: the columns are the filter, one step later each."""
    length = length or len(h)
    h = pad(h, (0, length - len(h)))
    columns = [pad(h, (s, 0))[:length] for s in range(length)]
    return torch.stack(columns, dim=1)


def lag(h):
    return torch.arange(len(h)).view(-1, 1) - torch.arange(len(h))


def rows_of_the_filter(h):
    return torch.stack([h] * len(h))


def one_try(
    op, length, *, generator, tries=20, atol=1e-4, change=None, look=None, cuts=None
):
    """A test that is right with nothing exchanged."""
    for _ in range(tries):
        u = torch.randn(length, generator=generator, dtype=torch.float64)
        before = op(u)
        for s in cuts(length) if cuts else range(1, length):
            after = u.clone()
            if change:
                change(after, s)
            else:
                after[s:] = torch.randn(length - s, generator=generator).double()
            moved = (op(after) - before).abs() > atol
            if moved[look(s) if look else slice(s)].any():
                return False
    return True


def tried(**options):
    return lambda op, length, *, generator: one_try(
        op, length, generator=generator, **options
    )


def one_later(u, s):
    u[-1] += 1


def in_silence(op, length, *, generator):
    before = op(torch.zeros(length))
    for s in range(1, length):
        u = torch.zeros(length)
        u[s:] = 1
        if not torch.allclose(op(u)[:s], before[:s], atol=1e-4):
            return False
    return True


def impulse_matrix(op, length, *, generator):
    columns = torch.stack([op(e) for e in torch.eye(length)], 1)
    return bool((columns.triu(1).abs() < 1e-4).all())


def impulses_against_silence(op, length, *, generator):
    columns = torch.stack([op(e) for e in torch.eye(length)], 1)
    moved = columns - op(torch.zeros(length))[:, None]
    return bool((moved.triu(1).abs() < 1e-4).all())


def slopes(op, length, *, generator):
    for _ in range(5):
        u = torch.randn(length, generator=generator, dtype=torch.float64)
        u.requires_grad_()
        y = op(u)
        for t in range(length - 1):
            (row,) = torch.autograd.grad(y[t], u, retain_graph=True)
            if row[t + 1 :].abs().max() > 1e-6:
                return False
    return True


def one_slope(op, length, *, generator):
    u = torch.randn(length, generator=generator)
    rows = torch.autograd.functional.jacobian(op, u)
    return bool(rows.triu(1).abs().max() < 1e-4)


def the_past(op, length, *, generator):
    return one_try(
        op,
        length,
        generator=generator,
        change=lambda u, s: u[:s].add_(1),
        look=lambda s: slice(s, None),
    )


def negated(*args, **options):
    return not one_try(*args, **options)


def from_the_world(op, length, *, generator):
    return one_try(op, length, generator=torch.default_generator)


def in_words(*args, **options):
    return "causal" if one_try(*args, **options) else "leaks"


def by_power(h1, h2):
    """Right: the first column of the product of two tables."""
    return (table(h1) @ table(h2))[:, 0]


def ring(h1, h2):
    return torch.fft.irfft(torch.fft.rfft(h1) * torch.fft.rfft(h2), len(h1))


def both_as_polynomials(h1, h2):
    return conv1d(pad(h1, (len(h2) - 1,) * 2)[None, None], h2.flip(0)[None, None])[0, 0]


def letters(kind, length):
    """Right: fill a matrix with letters and count them."""
    steps = torch.arange(length)
    gap = steps[:, None] - steps
    filled = {
        "dense": torch.arange(length**2).view(length, length) + 1,
        "lower triangular": (torch.arange(length**2).view(length, length) + 1).tril(),
        "causal Toeplitz": (gap + 1).tril(),
        "circulant": gap % length + 1,
    }[kind]
    return len(filled[filled > 0].unique())


def but(kind, formula):
    """Right but for one kind."""
    return lambda k, n: formula(n) if k == kind else letters(k, n)


def by_tables(u, p, f):
    """Right: the past by a table, the future by a transposed one."""
    future = table(f, len(u)).T
    return table(p, len(u)) @ u + future @ u - future.diagonal() * u


def backwards(u, f):
    return conv(u.flip(0), f).flip(0)


def on_a_ring(u, p, f):
    y = sum(p[k] * u.roll(k) for k in range(len(p)))
    return y + sum(f[k] * u.roll(-k) for k in range(1, len(f)))


def centred(u, p, f):
    taps = torch.cat([p.flip(0), f[1:]])  # oldest input first
    padded = pad(u, (len(f) - 1, len(p) - 1))
    return conv1d(padded[None, None], taps.flip(0)[None, None])[0, 0]


def off_by(right, amount, dtype):
    """Right but for `amount`, in one precision only."""
    return lambda *args: right(*args) + amount * (args[0].dtype == dtype)


ALSO_RIGHT = {
    "02.toeplitz": table,
    "02.is_causal": one_try,
    "02.compose": by_power,
    "02.free_parameters": letters,
    "02.two_sided": by_tables,
}

# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "02.toeplitz": [
        off_by(table, 1e-4, torch.float32),
        off_by(table, 1e-9, torch.float64),
    ],
    "02.is_causal": [tried(atol=1e-2), tried(atol=0.0)],
    "02.compose": [
        off_by(by_power, 1e-4, torch.float32),
        off_by(by_power, 1e-9, torch.float64),
    ],
    "02.free_parameters": [lambda kind, n: letters(kind, n) + (n > 4)],
    "02.two_sided": [
        off_by(by_tables, 1e-4, torch.float32),
        off_by(by_tables, 1e-9, torch.float64),
    ],
}

BANK = {
    "02.toeplitz": [
        ("transposed", lambda h: table(h).T, "row 0 uses inputs 1…"),
        ("symmetric", lambda h: h[lag(h).abs()], "no taps for the future"),
        ("circulant", lambda h: h[lag(h) % len(h)], "top-right corner is h[1], not 0"),
        ("wrapping index", lambda h: h[lag(h)], "top-right corner is h[1], not 0"),
        ("rows", lambda h: rows_of_the_filter(h).tril(), "each row runs backwards"),
        ("columns", lambda h: rows_of_the_filter(h).T.clone(), "the whole filter"),
        (
            "columns from their own tap",
            lambda h: rows_of_the_filter(h).T.tril(),
            "begins with its own tap",
        ),
        ("diagonal", torch.diag, "multiplies each input by a tap of its own"),
        ("no memory", lambda h: h[0] * torch.eye(len(h)).to(h), "no memory"),
        (
            "other diagonals",
            lambda h: torch.stack([pad(h[t:], (0, t)) for t in range(len(h))]),
            "the index is t − s, not t + s",
        ),
        ("no present", lambda h: table(h).tril(-1), "tap 0 is missing"),
        ("late", lambda h: table(pad(h, (1, 0))[:-1]), "its tap is h[0]"),
        ("turned round", lambda h: table(h.flip(0)), "turned round"),
        ("transposed a bit", lambda h: table(h) + table(h).T / 2, "comes later"),
        ("a row", lambda h: h, "the shape is"),
        ("a list", lambda h: table(h).tolist(), "of type list"),
        ("float32", lambda h: table(h.float()), "the dtype is torch.float32"),
        ("doubled", lambda h: 2 * table(h), "constant factor"),
        (
            "nearly",
            lambda h: table(h) - 1e-30 * (lag(h) < 0),
            "output 0 reads input 1, which comes later: by very little",
        ),
        ("ones", lambda h: torch.ones_like(table(h)).tril(), "instead of"),
        ("zeros", lambda h: 0 * table(h), "every value is zero"),
        ("identity", lambda h: torch.eye(len(h)).to(h), "instead of"),
        ("None", lambda h: None, "returned None"),
    ],
    "02.is_causal": [
        ("last input only", tried(change=one_later), "change every future position"),
        ("silent probe", in_silence, "silence opens nothing"),
        ("first output only", tried(look=lambda s: slice(1)), "every output before"),
        ("loose", tried(atol=1e-2), "a leak of size 0.005"),
        ("exact", tried(atol=0.0), "for rounding"),
        ("one input", tried(tries=1), "inputs enough"),
        ("five inputs", tried(tries=5), "was asked 20 times"),
        ("from the world", from_the_world, "the global random state changed"),
        ("present counts", tried(look=lambda s: slice(s + 1)), "its own input"),
        ("one cut", tried(cuts=lambda n: [n // 2]), "an operator that leaks at"),
        ("impulses", impulse_matrix, "adds 1 everywhere"),
        ("impulses, silence", impulses_against_silence, "silence opens nothing"),
        ("slopes", slopes, "its derivative is 0"),
        ("one slope", one_slope, "passed an operator that"),
        ("the past", the_past, "delays by 1: it is causal"),
        ("negated", negated, "blamed an operator that doubles"),
        ("always", lambda *args, generator: True, "says yes to everything"),
        ("never", lambda *args, generator: False, "says no to everything"),
        ("in words", in_words, "of type str, not bool"),
        (
            "a batch",
            lambda op, n, *, generator: op(torch.randn(1, n, generator=generator)),
            r"takes u of shape (4,), not (1, 4)",
        ),
        ("zeros", lambda op, n, *, generator: torch.zeros(n), "Tensor, not bool"),
        ("identity", lambda op, n, *, generator: op, "of type function, not bool"),
        ("None", lambda *args, generator: None, "returned None"),
    ],
    "02.compose": [
        ("adds", lambda a, b: a + b, "side by side"),
        ("multiplies", lambda a, b: a * b, "belong to spectra"),
        (
            "entry by entry",
            lambda a, b: (table(a) * table(b))[:, 0],
            "belong to spectra",
        ),
        ("wrong slice", lambda a, b: (table(a) @ table(b))[0], "row 0"),
        ("last row", lambda a, b: (table(a) @ table(b))[-1], "backwards"),
        ("matrix", lambda a, b: table(a) @ table(b), "one column of it"),
        ("diagonal", lambda a, b: (table(a) @ table(b)).diag(), "the diagonal"),
        ("ring", ring, "wrapped onto the start"),
        ("the tail", both_as_polynomials, "keep the first L"),
        ("transposed", lambda a, b: table(a).T @ b, "transposed"),
        ("flipped", lambda a, b: conv(b, a.flip(0)), "turned round"),
        ("other one flipped", lambda a, b: conv(b.flip(0), a), "turned round"),
        ("twice", lambda a, b: conv(a, a), "the first filter twice"),
        ("second only", lambda a, b: b, "only the second filter"),
        ("scaled", lambda a, b: by_power(a, b) / 2, "constant factor"),
        ("zeros", lambda a, b: 0 * a, "every value is zero"),
        ("identity", lambda a, b: a, "only the first filter"),
        ("None", lambda a, b: None, "returned None"),
    ],
    "02.free_parameters": [
        (
            "counts entries",
            but("causal Toeplitz", lambda n: n * (n + 1) // 2),
            "on one diagonal are the same number",
        ),
        (
            "two-sided",
            but("causal Toeplitz", lambda n: 2 * n - 1),
            "no negative lags",
        ),
        (
            "no diagonal",
            but("lower triangular", lambda n: n * (n - 1) // 2),
            "the present counts",
        ),
        ("no lag 0", but("causal Toeplitz", lambda n: n - 1), "a tap for lag 0"),
        ("half", but("lower triangular", lambda n: n * n // 2), "cuts the diagonal"),
        ("ring of lags", but("circulant", lambda n: 2 * n - 1), "a lag of −1"),
        ("full ring", but("circulant", lambda n: n * n), "filled everywhere"),
        (
            "both two-sided",
            lambda k, n: 2 * n - 1 if k[0] == "c" else letters(k, n),
            "2L − 1 diagonals",
        ),
        (
            "entries of both",
            lambda k, n: letters(k, n) if k in ("dense", "lower triangular") else n * n,
            "they repeat along each diagonal",
        ),
        (
            "dense is lower",
            but("dense", lambda n: n * (n + 1) // 2),
            "above the diagonal, too",
        ),
        ("all dense", lambda k, n: n * n, "every matrix counts as dense"),
        ("always L", lambda k, n: n, "L² of them"),
        ("a float", lambda k, n: float(letters(k, n)), "of type float"),
        ("one more", lambda k, n: letters(k, n) + 1, "the same amount"),
        ("zeros", lambda k, n: 0, "every value is zero"),
        ("identity", lambda k, n: k, "of type str"),
        ("None", lambda k, n: None, "returned None"),
    ],
    "02.two_sided": [
        (
            "counts now twice",
            lambda u, p, f: conv(u, p) + backwards(u, f),
            "counted twice",
        ),
        ("no flip", lambda u, p, f: conv(u, p) + conv(u, f), "still looks back"),
        (
            "no flip, once",
            lambda u, p, f: conv(u, p) + conv(u, f) - f[0] * u,
            "still looks back",
        ),
        ("flips once", lambda u, p, f: conv(u, p) + conv(u.flip(0), f), "flip it back"),
        (
            "flips the filter",
            lambda u, p, f: conv(u, p) + conv(u, f.flip(0)),
            "instead of the signal",
        ),
        (
            "wrong owner",
            lambda u, p, f: conv(u, p) + backwards(u, f) - p[0] * u,
            "lag 0 belongs to h_past",
        ),
        (
            "nobody's",
            lambda u, p, f: conv(u, p) + backwards(u, f) - (p[0] + f[0]) * u,
            "taken out of both",
        ),
        (
            "early",
            lambda u, p, f: conv(u, p) + backwards(u, pad(f[1:], (0, 1))),
            "one step early",
        ),
        ("exchanged", centred, "past and future are exchanged"),
        ("ring", on_a_ring, "the signal wraps"),
        ("in a row", lambda u, p, f: backwards(conv(u, p), f), "side by side"),
        (
            "future only",
            lambda u, p, f: backwards(u, f) - f[0] * u,
            "the past was dropped",
        ),
        ("future and now", lambda u, p, f: backwards(u, f), "reads the past"),
        ("past only", lambda u, p, f: conv(u, p), "the causal filter alone"),
        (
            "squared",
            lambda u, p, f: by_tables(u, p, f) ** 2,
            "not linear",
        ),
        ("zeros", lambda u, p, f: 0 * u, "every value is zero"),
        ("identity", lambda u, p, f: u, "nothing before the impulse moved"),
        ("None", lambda u, p, f: None, "returned None"),
    ],
}
