"""Mixers that remember sums, or a state: AFT-conv, RWKV (version 4), GRU.

AFT and RWKV are one idea: every channel averages its values with weights
e^(k_s + p_{t-s}) from keys k and a profile p of lags. B batch, L length, D width.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena.conv import toeplitz
from minihyena.errors import at_least
from minihyena.mixer import DECODERS, Mixer

__all__ = ["GRU", "RWKV", "AFTConfig", "AFTConv", "GRUConfig", "RWKVConfig"]

STEEPEST = 600.0  # e^600 is a float64, and so are sums of it


@dataclass(frozen=True)
class AFTConfig:
    """S = taps: the nearest lags have a learned bias (at most max_length are made)."""

    taps: int = 64

    def __post_init__(self) -> None:
        at_least(self, taps=1)

    def build(self, width: int, max_length: int) -> "AFTConv":
        return AFTConv(width, max_length, self)


@dataclass(frozen=True)
class RWKVConfig:
    """Decays start log-uniform over the channels, from e^-5 to e^3 as in the source."""

    slow_decay: float = math.exp(-5)  # log weight lost with every step
    fast_decay: float = math.exp(3)

    def __post_init__(self) -> None:
        if not 0 < self.slow_decay <= self.fast_decay < math.inf:
            raise ValueError(
                "decays need 0 < slow_decay <= fast_decay; "
                f"got {self.slow_decay} and {self.fast_decay}"
            )

    def build(self, width: int, max_length: int) -> "RWKV":
        return RWKV(width, max_length, self)


@dataclass(frozen=True)
class GRUConfig:
    """Layers of the GRU, all of width D."""

    layers: int = 1

    def __post_init__(self) -> None:
        at_least(self, layers=1)

    def build(self, width: int, max_length: int) -> "GRU":
        return GRU(width, max_length, self)


# Sums, (3, ..., D): an exponent m and two numbers a, b. e^m a is a sum of e^k v and
# e^m b the same sum of e^k, so a / b is the average of the values.


def term(k: Tensor, v: Tensor) -> Tensor:
    """The sums of one term: (k, v, 1); half precision becomes float32."""
    work = torch.promote_types(k.dtype, torch.float32)
    return torch.stack([k, v, torch.ones_like(v)]).to(work)


def join(x: Tensor, y: Tensor, decay: Tensor | float = 0.0) -> Tensor:
    """Sums e^-decay x + y; m is the larger exponent, so no e^ here is above 1.

    The average does not depend on m, so no gradient need pass through it.
    """
    faded = x[0] - decay
    m = torch.maximum(faded, y[0]).detach()
    both = torch.exp(faded - m) * x[1:] + torch.exp(y[0] - m) * y[1:]
    return torch.cat([m[None], both])


def total(terms: Tensor) -> Tensor:
    """Terms (3, B, n, D) -> the sums of all of them, (3, B, 1, D)."""
    m = terms[0].amax(1, keepdim=True).detach()
    both = (torch.exp(terms[0] - m) * terms[1:]).sum(2, keepdim=True)
    return torch.cat([m[None], both])


def running(terms: Tensor, decay: Tensor) -> Tensor:
    """Terms (3, B, L, D), decay (D,) -> the sums after every step, in log2 L levels:
    S_t = e^-decay S_{t-1} + term_t.

    Terms joined two by two are a sequence of half the length and twice the decay; its
    sums are those after every second step, and one join more gives the others: 2 L
    joins in all. S_t is made of the terms 0 .. t alone.
    """
    length = terms.shape[-2]
    if length == 1:
        return terms
    terms = pad(terms, (0, 0, 0, length % 2))
    first, second = terms[..., ::2, :], terms[..., 1::2, :]
    odd = running(join(first, second, decay), 2 * decay)
    even = join(odd[..., :-1, :], first[..., 1:, :], decay)
    even = torch.cat([first[..., :1, :], even], dim=-2)
    return torch.stack([even, odd], dim=-2).flatten(-3, -2)[..., :length, :]


def windowed(x: Tensor, h: Tensor) -> Tensor:
    """x (N, D, L), h (D, S <= L) -> (N, D, L): causal_conv(x, h), in blocks of S steps.

    A block is an S x 2S matrix times itself and the block before. An FFT would be as
    quick, but spread the rounding error of a large e^k over the past.
    """
    taps, length = h.shape[1], x.shape[2]
    x = pad(x, (taps, -length % taps)).unfold(-1, 2 * taps, taps)
    matrix = pad(h.flip(-1), (taps, taps - 1)).unfold(-1, 2 * taps, 1).flip(-2)
    y = torch.einsum("ndbs,dts->ndbt", x, matrix).flatten(-2)
    return y[..., :length]


class AveragingMixer(Mixer):
    """y_t = gate_t * sum_s W[t, s] v_s per channel, W = softmax over s <= t of
    k_s + p_{t-s}; what AFT and RWKV share.
    """

    def streams(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u (B, L, D) -> gate in 0 .. 1, keys, values: (B, L, D) each."""
        raise NotImplementedError

    def profile(self, length: int) -> Tensor:
        """p: (D, length), what is added to the key at every lag."""
        raise NotImplementedError

    @property
    def decoders(self) -> tuple[str, ...]:
        return DECODERS

    def matrix(self, u: Tensor) -> Tensor:
        """(B, D, L, L): rows are non-negative and sum to the gate."""
        self.check_matrix(u, self.width)
        gate, k, _ = (x.transpose(1, 2) for x in self.streams(u))
        length = u.shape[1]
        scores = toeplitz(self.profile(length), length) + k[..., None, :]
        unread = scores.new_ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(unread, float("-inf")).softmax(-1)
        return gate[..., None] * weights.to(gate.dtype)

    def values(self, u: Tensor) -> Tensor:
        """v: (B, D, L, 1)."""
        return self.streams(u)[2].transpose(1, 2)[..., None]

    def nothing(self, batch: int) -> Tensor:
        """The sums of no terms: (3, B, 1, D)."""
        zero = self.zeros(batch, 1, self.width)
        m, a, b = term(zero - math.inf, zero)
        return torch.stack([m, a, 0 * b])

    def gated(self, gate: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Gate, sums of values and of weights (B, L, D) -> y (B, L, D)."""
        y: Tensor = self.out_proj(gate * (a / b).to(gate.dtype))
        return y


class AFTConv(AveragingMixer):
    """(B, L, D) -> (B, L, D): y_t = sigma(q_t) sum_s e^(k_s + w_{t-s}) v_s / sum_s ..

    w has S taps for each channel and is 0 beyond, where all of the past weighs alike.
    Source: Zhai et al. 2021, AFT-conv (arXiv 2105.14103), causal; heads of width 1, and
    w itself is trained, from normal(0, 0.01), not normalised.
    """

    def __init__(
        self, width: int, max_length: int, config: AFTConfig = AFTConfig()
    ) -> None:
        super().__init__(width, max_length)
        self.config = config
        self.in_proj = nn.Linear(width, 3 * width)
        self.bias = nn.Parameter(
            0.01 * torch.randn(width, min(config.taps, max_length))
        )
        self.out_proj = nn.Linear(width, width)

    def streams(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.check(u)
        q, k, v = self.in_proj(u).chunk(3, dim=-1)
        return q.sigmoid(), k, v

    def profile(self, length: int) -> Tensor:
        w = self.bias[:, :length]
        return pad(w, (0, length - w.shape[-1]))

    def forward(self, u: Tensor) -> Tensor:
        """The S nearest inputs by convolution, the rest by a cumulative sum.

        e^k is float64 and relative to the first key, which is in everybody's past: no
        maximum looks ahead. A key more than STEEPEST above the first would be too large
        for it; then the matrix does the work.
        """
        gate, k, v = self.streams(u)
        k, v = (x.transpose(1, 2).double() for x in (k, v))
        rise = k - k[..., :1]
        if bool((rise > STEEPEST).any()):
            return self.output(self.matrix(u) @ self.values(u))
        weight = rise.exp()
        sums = torch.stack([weight * v, weight])  # (2, B, D, L)
        near = self.bias[:, : u.shape[1]].double().exp()
        taps = near.shape[1]
        far = pad(sums, (taps, -taps)).cumsum(-1)
        sums = far + windowed(sums.flatten(0, 1), near).view_as(far)
        return self.gated(gate, *sums.transpose(-1, -2))

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        empty = self.zeros(batch, 0, self.width)
        return [empty, empty, self.nothing(batch)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        """The last S - 1 keys and values are kept; older ones are added up."""
        *past, far = memory
        gate, *new = self.streams(u)
        k, v = (torch.cat(pair, dim=1) for pair in zip(past, new, strict=True))
        if u.shape[1] > 1:
            y = self(u)
        else:
            near = term(k + self.bias[:, : k.shape[1]].T.flip(0), v)
            y = self.gated(gate, *total(torch.cat([far, near], dim=2))[1:])
        old = k.shape[1] + 1 - self.bias.shape[1]
        if old > 0:
            far = join(far, total(term(k[:, :old], v[:, :old])))
            k, v = k[:, old:], v[:, old:]
        return y, [k, v, far]

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections, two sums of S taps as they are computed, by S x 2S matrices,
        and 7 for the products, cumulative sums, quotient and gate of a step.
        """
        taps = min(self.bias.shape[1], length)
        blocks = 8 * taps**2 * -(-length // taps)
        return batch * self.width * ((8 * self.width + 7) * length + blocks)


class RWKV(AveragingMixer):
    """(B, L, D) -> (B, L, D): y_t = sigma(r_t) sum_s e^(k_s + p_{t-s}) v_s / sum_s ..

    p_0 = b, a bonus, and p_j = -(j - 1) w: an input counts e^-w less with every step.
    r, k and v are projections of mu u_t + (1 - mu) u_{t-1} (token shift). At the start
    mu grows over the channels from 0 to 1 and b = ln 0.3; in the source mu depends on
    the layer also, and b on the channel. Its projections have no biases.
    Source: Peng et al. 2023 (arXiv 2305.13048), version 4.
    """

    def __init__(
        self, width: int, max_length: int, config: RWKVConfig = RWKVConfig()
    ) -> None:
        super().__init__(width, max_length)
        self.config = config
        slow, fast = math.log(config.slow_decay), math.log(config.fast_decay)
        self.shift = nn.Parameter(torch.linspace(0, 1, width).repeat(3, 1))  # mu
        self.log_decay = nn.Parameter(torch.linspace(slow, fast, width))  # ln w
        self.bonus = nn.Parameter(torch.full((width,), math.log(0.3)))  # b
        self.projections = nn.ModuleList(
            nn.Linear(width, width, bias=False) for _ in range(3)
        )
        self.out_proj = nn.Linear(width, width, bias=False)

    def streams(
        self, u: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`before`: the input before the first one, (B, 1, D); None: zeros."""
        self.check(u)
        before = self.zeros(len(u), 1, self.width) if before is None else before
        change = u - torch.cat([before, u[:, :-1]], dim=1)
        r, k, v = (
            projection(u - (1 - mu) * change)
            for projection, mu in zip(self.projections, self.shift, strict=True)
        )
        return r.sigmoid(), k, v

    def profile(self, length: int) -> Tensor:
        lags = torch.arange(length - 1, device=self.bonus.device)
        faded = -self.log_decay.exp()[:, None] * lags
        return torch.cat([self.bonus[:, None], faded], dim=1)

    def forward(self, u: Tensor) -> Tensor:
        return self.advance(u, self.memory(len(u)), 0)[0]

    def memory(self, batch: int, length: int = 0, decoder: str = "") -> list[Any]:
        """The last input, and the sums over all of them."""
        return [self.zeros(batch, 1, self.width), self.nothing(batch)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        before, past = memory
        gate, k, v = self.streams(u, before)
        terms = torch.cat([past, term(k, v)], dim=2)
        sums = running(terms, self.log_decay.exp())
        now = join(sums[:, :, :-1], term(k + self.bonus, v))
        return self.gated(gate, *now[1:]), [u[:, -1:], sums[:, :, -1:]]

    def flops(self, length: int, batch: int = 1) -> float:
        """Projections, token shift, three joins for every step, quotient and gate."""
        return batch * (8 * self.width + 6 + 3 * 6 + 2) * self.width * length


class GRU(Mixer):
    """(B, L, D) -> (B, L, D): gated recurrent units, one step after the other.

    r = sigma(W_r u + U_r s), g = sigma(W_g u + U_g s), c = tanh(W_c u + r (U_c s)),
    s <- (1 - g) c + g s, each W and U with its bias; y = W_o s. The gates read the
    state, so no matrix times values gives y: `matrix` and `values` raise
    NotImplementedError. Source: Cho et al. 2014 (arXiv 1406.1078), as in torch.
    """

    def __init__(
        self, width: int, max_length: int, config: GRUConfig = GRUConfig()
    ) -> None:
        super().__init__(width, max_length)
        self.config = config
        self.cell = nn.GRU(width, width, config.layers, batch_first=True)
        self.out_proj = nn.Linear(width, width)

    def forward(self, u: Tensor) -> Tensor:
        self.check(u)
        y: Tensor = self.out_proj(self.cell(u)[0])
        return y

    def matrix(self, u: Tensor) -> Tensor:
        raise NotImplementedError(
            "a GRU has no matrix in closed form: its gates read its own state, so its "
            "output is not linear in any values; look at matrices.jacobian instead"
        )

    values = matrix

    @property
    def decoders(self) -> tuple[str, ...]:
        return DECODERS

    def memory(self, batch: int, length: int, decoder: str) -> list[Any]:
        return [self.zeros(self.config.layers, batch, self.width)]

    def advance(
        self, u: Tensor, memory: list[Any], time: int
    ) -> tuple[Tensor, list[Any]]:
        y, state = self.cell(u, memory[0])
        return self.out_proj(y), [state]

    def flops(self, length: int, batch: int = 1) -> float:
        """Six products and three gates in every layer, and the projection back."""
        layers, width = self.config.layers, self.width
        return batch * length * width * (layers * (12 * width + 3) + 2 * width)
