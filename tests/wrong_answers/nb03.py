"""Wrong answers to the exercises of notebook 03, and right ones written otherwise."""

import cmath
import math

import torch
from torch.nn.functional import conv1d, pad

from minihyena import toeplitz

rfft, irfft = torch.fft.rfft, torch.fft.irfft


def turning(n, angle, rows=range, columns=range):
    """exp(i angle * k * t / n), in float32 as a first attempt is."""
    k, t = (torch.tensor([*steps(n)])[:, None] for steps in (rows, columns))
    return torch.exp(1j * angle * k * t.T / n)


def from_one(n):
    return range(1, n + 1)


def matrix_by_powers(n):
    """Right: one step of the slowest hand, to every power."""
    step = cmath.exp(-2j * math.pi / n)
    return torch.tensor([[step ** (k * t % n) for t in range(n)] for k in range(n)])


def matrix_of_units(n):
    return torch.fft.fft(torch.eye(n, dtype=torch.float64))


def fft_in_place(u):
    """Right: bits reversed, then butterflies, without recursion."""
    n = len(u)
    bits = n.bit_length() - 1
    order = [int(format(i, f"0{bits}b")[::-1], 2) if bits else 0 for i in range(n)]
    x = u.to(torch.complex128)[order]
    size = 2
    while size <= n:
        half = size // 2
        step = torch.exp(-2j * torch.pi * torch.arange(half).double() / size)
        blocks = x.view(-1, size)
        even, odd = blocks[:, :half].clone(), blocks[:, half:] * step
        x = torch.cat([even + odd, even - odd], 1).flatten()
        size *= 2
    return x


def fft_with(split=None, turn=-2, join=None):
    split = split or (lambda u: (u[::2], u[1::2]))
    join = join or (lambda e, o: torch.cat([e + o, e - o]))

    def spectrum(u):
        if len(u) == 1:
            return u.to(torch.complex64)
        even, odd = map(spectrum, split(u))
        angle = turn * torch.pi * torch.arange(len(u) // 2) / len(u)
        return join(even, torch.polar(torch.ones_like(angle), angle) * odd)

    return spectrum


def fft_by_matrix(u):
    return matrix_of_units(len(u)) @ u.to(torch.complex128)


def fft_by_own_matrix(u):
    return turning(len(u), -2 * math.pi) @ u.to(torch.complex64)


def fft_by_dots(u):
    bins = turning(len(u), -2 * math.pi).unbind()
    return torch.stack([(row * u).sum() for row in bins])


def fft_one_level(u):
    if len(u) == 1:
        return u + 0j
    even, odd = u[::2], u[1::2]
    step = torch.exp(-2j * torch.pi * torch.arange(len(u) // 2) / len(u))
    return torch.cat([even + step * odd, even - step * odd])


def ring_by_matrix(u, h):
    """Right: the ring as a matrix of rolled filters."""
    rows = [h.flip(0).roll(t + 1) for t in range(len(h))]
    return u @ torch.stack(rows).T


def ring(u, h, change=lambda U, H: U * H, back=torch.fft.ifft):
    return back(change(torch.fft.fft(u), torch.fft.fft(h)))


def ring_in_place(u, h):
    u *= 1.5
    return ring(u, h).real


def rows_ring(u, h):
    return ring(u.mT if u.dim() > 1 else u, h).real


def conv_padded(u, h, size=None, keep=None):
    length = u.shape[-1]
    n = size(length, len(h)) if size else 2 * length
    y = irfft(rfft(u, n) * rfft(h, n), n)
    return y[..., keep(length) if keep else slice(length)]


def conv_by_complex(u, h):
    """Right: zeros laid behind by hand, the whole spectrum, a larger ring than need."""
    n = 2 * u.shape[-1] + 3
    u_n, h_n = (pad(x, (0, n - x.shape[-1])) for x in (u, h))
    return torch.fft.ifft(torch.fft.fft(u_n) * torch.fft.fft(h_n))[
        ..., : u.shape[-1]
    ].real


def conv_by_delays(u, h):
    y = h[0] * u
    for lag in range(1, len(h)):
        y = y + h[lag] * pad(u, (lag, 0))[..., : u.shape[-1]]
    return y


def conv_by_matrix(u, h):
    return u @ toeplitz(h, u.shape[-1]).T


def conv_not_flipped(u, h):
    rows = u.reshape(-1, 1, u.shape[-1])
    y = conv1d(pad(rows, (0, len(h) - 1)), h[None, None])
    return y.view(u.shape)


def conv_in_single(u, h):
    return conv_padded(u.float(), h.float()).to(u.dtype)


def conv_one_size(u, h):
    return irfft(rfft(u) * rfft(h), u.shape[-1])


def conv_of_odd_size(u, h):
    n = 2 * u.shape[-1] - 1
    return irfft(rfft(u, n) * rfft(h, n))


def pad_by_trying(L, K):
    """Right: pulses at both ends, through every size."""
    for n in range(L, 3 * L + 1):
        u, h = torch.ones(L).double(), torch.ones(K).double()
        y = irfft(rfft(u, n) * rfft(h, n), n)[:L]
        if torch.allclose(y, conv_by_delays(u, pad(h, (0, L - K))), atol=1e-6):
            return n


def off_by(right, amount, dtype):
    """Right but for `amount`, in one precision only."""
    return lambda *args: right(*args) + amount * (args[0].dtype == dtype)


ALSO_RIGHT = {
    "03.dft_matrix": matrix_by_powers,
    "03.fft": fft_in_place,
    "03.circular_conv": ring_by_matrix,
    "03.conv_fft": conv_by_complex,
    "03.smallest_pad": pad_by_trying,
}

# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "03.dft_matrix": [lambda n: matrix_by_powers(n) + 2e-4],
    "03.fft": [lambda u: fft_in_place(u) + 1e-3],
    "03.circular_conv": [
        off_by(ring_by_matrix, 1e-4, torch.float32),
        off_by(ring_by_matrix, 1e-9, torch.float64),
    ],
    "03.conv_fft": [
        off_by(conv_by_complex, 1e-4, torch.float32),
        off_by(conv_by_complex, 1e-9, torch.float64),
    ],
    "03.smallest_pad": [lambda L, K: L + K - 1 + (L > 9)],
}

BANK = {
    "03.dft_matrix": [
        ("backwards", lambda n: turning(n, 2 * math.pi), "bins 1 and n−1 are swapped"),
        (
            "from one",
            lambda n: turning(n, -2 * math.pi, from_one, from_one),
            "row 0 must be all ones",
        ),
        (
            "rows from one",
            lambda n: turning(n, -2 * math.pi, from_one),
            "the rows are counted from one",
        ),
        (
            "steps from one",
            lambda n: turning(n, -2 * math.pi, range, from_one),
            "the steps are counted from one",
        ),
        ("scaled", lambda n: matrix_by_powers(n) / n, "the round trip divides by n"),
        ("orthonormal", lambda n: matrix_by_powers(n) / math.sqrt(n), "1/√n"),
        ("no 2 pi", lambda n: turning(n, -1), "the circle does not close"),
        ("one pi", lambda n: turning(n, -math.pi), "half a turn"),
        (
            "one step short",
            lambda n: turning(n, -2 * math.pi * n / max(n - 1, 1)),
            "one step too early",
        ),
        (
            "added",
            lambda n: torch.exp(
                -2j * math.pi * (torch.arange(n)[:, None] + torch.arange(n)) / n
            ),
            "multiplied, not added",
        ),
        (
            "cosines",
            lambda n: turning(n, 2 * math.pi).real.to(torch.complex64),
            "only the cosines",
        ),
        ("real part", lambda n: turning(n, -2 * math.pi).real, "must be complex"),
        (
            "short form",
            lambda n: torch.fft.rfft(torch.eye(n, dtype=torch.float64)).T,
            "n // 2 + 1 rows",
        ),
        ("the way back", lambda n: matrix_by_powers(n).conj() / n, "the way back"),
        ("doubled", lambda n: 2 * matrix_by_powers(n), "constant factor"),
        ("turned by i", lambda n: 1j * matrix_by_powers(n), "0 + 1i times"),
        (
            "a wrong corner",
            lambda n: matrix_by_powers(n) + torch.eye(n).roll(1, 0) * (n > 3),
            "instead of",
        ),
        ("one row", lambda n: matrix_by_powers(n)[-1], "the shape is"),
        ("a list", lambda n: matrix_by_powers(n).tolist(), "of type list, not Tensor"),
        ("zeros", lambda n: torch.zeros(n, n) + 0j, "every value is zero"),
        ("identity", lambda n: n, "of type int, not Tensor"),
        ("unit matrix", lambda n: torch.eye(n) + 0j, "instead of"),
        ("None", lambda n: None, "returned None"),
    ],
    "03.fft": [
        (
            "halves",
            fft_with(split=lambda u: u.chunk(2)),
            "split into even and odd positions, not first and second half",
        ),
        (
            "no twiddle",
            fft_with(turn=0),
            "the odd half must be turned by exp(−2πik/n) before adding",
        ),
        (
            "same sign",
            fft_with(join=lambda e, o: torch.cat([e + o, e + o])),
            "the second half of the spectrum subtracts the odd part",
        ),
        (
            "signs swapped",
            fft_with(join=lambda e, o: torch.cat([e - o, e + o])),
            "the first half of the spectrum adds",
        ),
        (
            "even half turned",
            fft_with(
                split=lambda u: (u[1::2], u[::2]),
                join=lambda o, e: torch.cat([e + o, e - o]),
            ),
            "the even half was turned",
        ),
        ("backwards", fft_with(turn=2), "turned the wrong way"),
        ("half of n", fft_with(turn=-4), "twice as far"),
        ("half a turn", fft_with(turn=-1), "half as far"),
        (
            "swapped",
            fft_with(split=lambda u: (u[1::2], u[::2])),
            "even and odd are swapped",
        ),
        (
            "interleaved",
            fft_with(join=lambda e, o: torch.stack([e + o, e - o], 1).view(-1)),
            "interleaved",
        ),
        ("one level", fft_one_level, "the halves were not transformed"),
        (
            "halved",
            fft_with(join=lambda e, o: torch.cat([e + o, e - o]) / 2),
            "divided by 2 at every level",
        ),
        ("torch", torch.fft.fft, "from torch's own transform"),
        ("numpy's way round", matrix_of_units, "stopped with"),
        ("torch's matrix", fft_by_matrix, "from torch's own transform"),
        ("the matrix", fft_by_own_matrix, "the work grows as n²"),
        ("the matrix row by row", fft_by_dots, "the work grows as n²"),
        ("sizes", lambda u: fft_in_place(u).abs(), "must be complex"),
        ("half of it", lambda u: torch.fft.rfft(u), "the shape is"),
        ("doubled", lambda u: 2 * fft_in_place(u), "constant factor"),
        ("reversed", lambda u: fft_in_place(u).flip(0), "instead of"),
        ("zeros", lambda u: torch.zeros(len(u)) + 0j, "every value is zero"),
        ("identity", lambda u: u, "must be complex"),
        ("complex identity", lambda u: u + 0j, "instead of"),
        ("None", lambda u: None, "returned None"),
    ],
    "03.circular_conv": [
        (
            "conjugate",
            lambda u, h: ring(u, h, lambda U, H: U * H.conj()).real,
            "this is circular correlation",
        ),
        (
            "conjugate of the signal",
            lambda u, h: ring(u, h, lambda U, H: U.conj() * H).real,
            "this is circular correlation",
        ),
        ("in time", lambda u, h: u * h, "multiply the spectra, not the signals"),
        (
            "no inverse scale",
            lambda u, h: (
                ring(u, h, back=lambda S: torch.fft.ifft(S, norm="forward")).real
            ),
            "exactly n times too large",
        ),
        (
            "scaled twice",
            lambda u, h: ring(u, h).real / u.shape[-1],
            "n times too small",
        ),
        ("sizes", lambda u, h: ring(u, h).abs(), "take the real part, not the size"),
        (
            "real spectrum",
            lambda u, h: ring(u, h, back=lambda S: S).real,
            "the way back is missing",
        ),
        (
            "spectrum",
            lambda u, h: ring(u, h, back=lambda S: S),
            "this is still a spectrum",
        ),
        ("complex", lambda u, h: ring(u, h), "imaginary part is only rounding"),
        (
            "forwards twice",
            lambda u, h: ring(u, h, back=torch.fft.fft).real,
            "forwards twice",
        ),
        (
            "added",
            lambda u, h: ring(u, h, lambda U, H: U + H).real,
            "the spectra were added",
        ),
        (
            "phases lost",
            lambda u, h: ring(u, h, lambda U, H: U.abs() * H.abs()).real,
            "only the sizes",
        ),
        ("padded", conv_padded, "nothing went round"),
        (
            "odd lengths",
            lambda u, h: irfft(rfft(u) * rfft(h)),
            "got L−1 samples",
        ),
        ("along the batch", rows_ring, "stopped with"),
        (
            "other axis",
            lambda u, h: (
                torch.fft.ifft(torch.fft.fft(u, dim=0) * torch.fft.fft(h), dim=0).real
            ),
            "transformed along the batch",
        ),
        ("in place", ring_in_place, "in place"),
        ("late", lambda u, h: ring(u, h).real.roll(1, -1), "one step late"),
        ("doubled", lambda u, h: 2 * ring(u, h).real, "constant factor"),
        ("single", lambda u, h: ring(u, h).real.half(), "dtype"),
        ("first signal", lambda u, h: ring(u, h).real.reshape(-1), "shape"),
        ("zeros", lambda u, h: torch.zeros_like(u), "every value is zero"),
        ("identity", lambda u, h: u.clone(), "differs first"),
        ("None", lambda u, h: None, "returned None"),
    ],
    "03.conv_fft": [
        (
            "no padding",
            lambda u, h: conv_padded(u, h, lambda L, K: L),
            "the tail wrapped onto the start",
        ),
        ("no padding, two sizes", conv_one_size, "does not even fit"),
        (
            "one zero too few",
            lambda u, h: conv_padded(u, h, lambda L, K: max(1, L + K - 2)),
            "one zero too few",
        ),
        (
            "odd length",
            conv_of_odd_size,
            "got 2L−2 samples: an odd-length spectrum needs `n=`",
        ),
        (
            "odd length, cut",
            lambda u, h: irfft(
                rfft(u, u.shape[-1] + len(h) - 1) * rfft(h, u.shape[-1] + len(h) - 1)
            )[..., : u.shape[-1]],
            "an odd-length spectrum needs `n=`",
        ),
        (
            "magnitude",
            lambda u, h: conv_by_complex(u, h).abs(),
            "every negative output turned positive",
        ),
        (
            "keeps the tail",
            lambda u, h: conv_padded(u, h, keep=lambda L: slice(None)),
            "length 2L returned",
        ),
        (
            "keeps all there is",
            lambda u, h: conv_padded(
                u, h, lambda L, K: L + K - 1, lambda L: slice(None)
            ),
            "L + K − 1 samples in all",
        ),
        (
            "keeps the end",
            lambda u, h: conv_padded(u, h, keep=lambda L: slice(-L, None)),
            "the last L were kept",
        ),
        (
            "keeps the middle",
            lambda u, h: conv_padded(
                u,
                h,
                keep=lambda L: slice((len(h) - 1) // 2, (len(h) - 1) // 2 + L),
            ),
            "a window in the middle",
        ),
        (
            "conjugate",
            lambda u, h: irfft(
                rfft(u, 2 * u.shape[-1]) * rfft(h, 2 * u.shape[-1]).conj()
            )[..., : u.shape[-1]],
            "correlation",
        ),
        (
            "no inverse scale",
            lambda u, h: 2 * u.shape[-1] * conv_padded(u, h),
            "n times too large",
        ),
        (
            "in time",
            lambda u, h: u * pad(h, (0, u.shape[-1] - len(h))),
            "multiply the spectra",
        ),
        ("delays", conv_by_delays, "the work grows as L times K"),
        ("a matrix", conv_by_matrix, "the work grows as L times K"),
        ("not flipped", conv_not_flipped, "correlation"),
        (
            "a mean",
            lambda u, h: conv_by_complex(u, h) + u.mean(-1, keepdim=True),
            "sees the future",
        ),
        ("in float32", conv_in_single, "right to six digits only"),
        (
            "complex",
            lambda u, h: conv_by_complex(u, h) + 0j,
            "imaginary part is only rounding",
        ),
        ("half", lambda u, h: conv_by_complex(u, h).half(), "dtype"),
        ("doubled", lambda u, h: 2 * conv_by_complex(u, h), "constant factor"),
        ("zeros", lambda u, h: torch.zeros_like(u), "every value is zero"),
        ("identity", lambda u, h: u.clone(), "differs first"),
        ("one row", lambda u, h: conv_by_complex(u, h).flatten(), "shape"),
        ("None", lambda u, h: None, "returned None"),
    ],
    "03.smallest_pad": [
        ("longest", max, "wraps K−1 samples"),
        ("the signal", lambda L, K: L, "wraps K−1 samples"),
        ("one too few", lambda L, K: L + K - 2, "wraps one sample"),
        ("one too many", lambda L, K: L + K, "exact, but L + K − 1 is too"),
        ("always double", lambda L, K: 2 * L, "wasteful when K is short"),
        ("double less one", lambda L, K: 2 * L - 1, "right for K = L only"),
        (
            "power of two",
            lambda L, K: 2 ** math.ceil(math.log2(L + K - 1)),
            "a power of two",
        ),
        ("zeros to add", lambda L, K: K - 1, "how many zeros to add"),
        ("by the filter", lambda L, K: 2 * K - 1, "the length of the filter decides"),
        ("products", lambda L, K: L * K, "products, not samples"),
        ("even", lambda L, K: (L + K) // 2 * 2, "L + K − 1 is too"),
        ("far too large", lambda L, K: 3 * L + K, "not the smallest"),
        ("too small", lambda L, K: L // 2 + 1, "too small"),
        ("a float", lambda L, K: float(L + K - 1), "of type float, not int"),
        ("a tensor", lambda L, K: torch.tensor(L + K - 1), "of type Tensor, not int"),
        ("zeros", lambda L, K: 0, "every value is zero"),
        ("identity", lambda L, K: (L, K), "of type tuple, not int"),
        ("None", lambda L, K: None, "returned None"),
    ],
}
