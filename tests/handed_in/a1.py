"""Wrong answers to A1."""

CORRELATION = """
def conv_direct(u, h):
    y = torch.zeros_like(u)
    for s in range(min(len(h), u.shape[-1])):
        y[..., : u.shape[-1] - s] += h[s] * u[..., s:]
    return y
"""
NO_PRESENT = """
def conv_direct(u, h):
    y = torch.zeros_like(u)
    for s in range(1, min(len(h), u.shape[-1])):
        y[..., s:] += h[s] * u[..., : u.shape[-1] - s]
    return y
"""
RING = """
def conv_fft(u, h):
    n = u.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(h[:n], n), n)
"""
SINGLE = """
def conv_matrix(u, h):
    return conv_direct(u.float(), h.float()).to(u.dtype)
"""
ZEROS = """
def conv_direct(u, h):
    return torch.zeros_like(u)

conv_matrix = conv_fft = conv_direct
"""
IDENTITY = """
def conv_direct(u, h):
    return u

conv_matrix = conv_fft = conv_direct
"""
COPIED = """
def conv_fft(u, h):
    return torch.tensor([0.85, -0.35, 1.25])[: u.shape[-1]]
"""
LIBRARY = """
from minihyena import causal_conv

def conv_fft(u, h):
    return causal_conv(u[None, None], h[None, : u.shape[-1]])[0, 0]
"""
READY = """
def conv_direct(u, h):
    x = torch.nn.functional.pad(u[None, None], (len(h) - 1, 0))
    return torch.nn.functional.conv1d(x, h.flip(0)[None, None])[0, 0]
"""
IN_PLACE = """
def conv_direct(u, h):
    u *= h[0]
    return u
"""
YES = """
def accepts(conv):
    return True
"""
NO = """
def accepts(conv):
    return False
"""
IMPULSE_ONLY = """
def accepts(conv):
    u = torch.zeros(8)
    u[0] = 1.0
    h = torch.tensor([1.0, 2.0, 3.0])
    return bool(torch.allclose(conv(u, h)[:3], h, atol=1e-5))
"""
EXACT = """
def accepts(conv):
    u = torch.linspace(0.1, 0.9, 9)
    h = torch.tensor([0.3, 0.7, 0.11])
    right = torch.zeros(9)
    for t in range(9):
        for s in range(min(t + 1, 3)):
            right[t] += h[s] * u[t - s]
    return bool((conv(u, h) == right).all())
"""
NO_TAILS = """
def conv_in_pieces(u, h, chunk):
    pieces = [conv_fft(u[i : i + chunk], h) for i in range(0, len(u), chunk)]
    return torch.cat(pieces)
"""
ONE_TAIL = """
def conv_in_pieces(u, h, chunk):
    y = torch.zeros(len(u) + 2 * chunk, dtype=u.dtype)
    for start in range(0, len(u), chunk):
        piece = torch.zeros(2 * chunk, dtype=u.dtype)
        piece[: len(u[start : start + chunk])] = u[start : start + chunk]
        y[start : start + 2 * chunk] += conv_fft(piece, h)
    return y[: len(u)]
"""
OVERHANG = """
def conv_in_pieces(u, h, chunk):
    padded = torch.cat([u, torch.zeros(-len(u) % chunk, dtype=u.dtype)])
    return conv_fft(padded, h)
"""
WRAPS = """
def conv_in_pieces(u, h, chunk):
    def ring(piece):
        n = len(piece)
        return torch.fft.irfft(torch.fft.rfft(piece) * torch.fft.rfft(h[:n], n), n)

    return torch.cat([ring(u[i : i + chunk]) for i in range(0, len(u), chunk)])
"""

BANK = [
    ("routes", "correlation", CORRELATION, 16, "correlation"),
    ("routes", "misses the present", NO_PRESENT, 16, "present"),
    ("routes", "wraps", RING, 16, "wrapped"),
    ("routes", "float32 inside", SINGLE, 16, "conv_matrix"),
    ("routes", "zeros", ZEROS, 0, "zero"),
    ("routes", "identity", IDENTITY, 0, "instead of"),
    ("routes", "copied numbers", COPIED, 16, "[0.85, -0.35, 1.25]"),
    ("routes", "the library's answer", LIBRARY, 0, "forbids minihyena"),
    ("routes", "ready-made", READY, 0, "conv1d"),
    ("routes", "changes its input", IN_PLACE, 16, "in place"),
    ("tests", "always yes", YES, 0, "accepts a convolution"),
    ("tests", "always no", NO, 0, "rejects a right"),
    ("tests", "an impulse alone", IMPULSE_ONLY, 13, "accepts a convolution"),
    ("tests", "exact equality", EXACT, 0, "rejects a right"),
    ("pieces", "no tails", NO_TAILS, 0, "forgets"),
    ("pieces", "room for one tail", ONE_TAIL, 8, "value"),
    ("pieces", "wraps in the piece", WRAPS, 0, "inside the piece"),
    ("pieces", "keeps the overhang", OVERHANG, 8, "shape"),
]
