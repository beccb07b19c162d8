"""What is measured: our convolution, operator and models, and what one would use else.

Each is called as its users call it. The textbook forms are plain twins of the fast
ones: the same numbers, written the way they are usually written.
B batch, D width, L length.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad, scaled_dot_product_attention

from minihyena.benchmark import OURS, Row, measure
from minihyena.conv import causal_conv, conv_flops, filter_spectrum
from minihyena.experiments import equal_parameters
from minihyena.generation import sample
from minihyena.hyena import HyenaConfig, HyenaOperator, hyena_recurrence
from minihyena.losses import token_loss
from minihyena.model import LanguageModel, LMConfig, drawing_from
from minihyena.rivals.attention import AttentionConfig, SoftmaxAttention
from minihyena.rivals.modal import ModalConfig

__all__ = [
    "SUITES",
    "conv_subjects",
    "layer_subjects",
    "mixing_subjects",
    "textbook_conv",
    "textbook_operator",
]

Call = Callable[[], object]
SHORT = "attention, short convolution"
KEPT = "minihyena, filter kept"  # its spectrum too, as in evaluation
NEW, MODES = 1000, 16  # tokens to write, modes of a recurrent filter
QUADRATIC = 4096  # the longest signal that is convolved tap by tap


def textbook_conv(u: Tensor, h: Tensor) -> Tensor:
    """u (B, D, L), h (D, L) -> (B, D, L): all at once, padded to 2L."""
    n = 2 * u.shape[-1]
    y: Tensor = torch.fft.irfft(torch.fft.rfft(u, n=n) * torch.fft.rfft(h, n=n), n=n)
    return y[..., : u.shape[-1]]


def textbook_operator(operator: HyenaOperator, u: Tensor) -> Tensor:
    """operator(u), order 2 or more of the reference convention, as its authors' code
    arranges it: u (B, L, D) -> (B, L, D).
    """
    p = operator.in_proj(u).transpose(1, 2)
    p = operator.short_filter(pad(p, (operator.config.short_taps - 1, 0)))
    *gates, v = p.split(operator.width, dim=1)
    filters: Any = operator.filter(u.shape[1])
    skips: Any = operator.skips
    for gate, h, skip in zip(gates[:0:-1], filters, skips, strict=True):
        z = gate * v
        v = textbook_conv(z, h) + skip[:, None] * z
    y: Tensor = operator.out_proj((gates[0] * v).transpose(1, 2))
    return y


def conv_subjects(u: Tensor, h: Tensor, task: str = "forward") -> dict[str, Call]:
    """u (B, D, L), h (D, L): name -> one call of a causal convolution.

    `task` is "forward" or "forward+backward" (all gradients, from a given one).
    """
    length = u.shape[-1]
    functions: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        OURS: causal_conv,
        "textbook": textbook_conv,
    }
    if length <= QUADRATIC:
        functions["F.conv1d"] = lambda u, h: conv1d(
            pad(u, (length - 1, 0)), h.flip(-1)[:, None], groups=len(h)
        )
    if find_spec("torchaudio"):
        from torchaudio.functional import fftconvolve  # type: ignore[import-not-found]

        functions["torchaudio fftconvolve"] = lambda u, h: fftconvolve(
            u, h.expand_as(u)
        )[..., :length]
    if task != "forward":
        return {name: both_ways(f, u, h) for name, f in functions.items()}
    calls = {name: forward(f, u, h) for name, f in functions.items()}
    known = filter_spectrum(u, h)
    calls[KEPT] = forward(causal_conv, u, known)
    return calls | (_scipy_subjects(u, h) if u.device.type == "cpu" else {})


def _scipy_subjects(u: Tensor, h: Tensor) -> dict[str, Call]:
    from scipy import signal

    x, taps = u.numpy(), h.numpy()[None]

    def cut(convolve: Callable[..., Any]) -> object:
        return convolve(x, taps, axes=-1)[..., : u.shape[-1]]

    return {
        "scipy fftconvolve": partial(cut, signal.fftconvolve),
        "scipy oaconvolve": partial(cut, signal.oaconvolve),
    }


def layer_subjects(
    batch: int, width: int, length: int, task: str = "forward", device: str = "cpu"
) -> dict[str, Call]:
    """Name -> one call of a layer on (B, L, D): Hyena of order 2, its textbook twin,
    and attention. With gradients attention is left out where it would take minutes.
    """
    u, hyena, attention = _layers(batch, width, length, device)
    functions: dict[str, Callable[..., Tensor]] = {
        OURS: hyena,
        "textbook": partial(textbook_operator, hyena),
    }
    if task != "forward":
        weights = [*hyena.parameters()]
        calls = {n: both_ways(f, u, weights=weights) for n, f in functions.items()}
        if length <= 2 * QUADRATIC:
            weights = [*attention.parameters()]
            calls["attention"] = both_ways(attention, u, weights=weights)
        return calls
    functions["attention"] = attention
    calls = {name: forward(f, u) for name, f in functions.items()}
    calls[KEPT] = forward(deepcopy(hyena).eval(), u)
    return calls


def mixing_subjects(
    batch: int, width: int, length: int, device: str = "cpu"
) -> dict[str, Call]:
    """Name -> one call of what is left of a layer without its projections: streams go
    in, mixed values come out.
    """
    u, hyena, attention = _layers(batch, width, length, device)
    with torch.no_grad():
        v, stages = hyena.streams(u)
        known = hyena.transformed(v, stages)
        q, k, values = attention.heads(u)
    return {
        OURS: forward(hyena_recurrence, v, stages),
        KEPT: forward(hyena_recurrence, v, known),
        "attention": forward(
            partial(scaled_dot_product_attention, is_causal=True), q, k, values
        ),
    }


def _layers(
    batch: int, width: int, length: int, device: str
) -> tuple[Tensor, HyenaOperator, SoftmaxAttention]:
    with drawing_from(torch.Generator().manual_seed(length)):
        u = torch.randn(batch, length, width)
        hyena = HyenaConfig().build(width, length)
        attention = AttentionConfig().build(width, length)
    return u.to(device), hyena.to(device), attention.to(device)


def forward(function: Callable[..., object], *inputs: Any) -> Call:
    """A call without gradients."""

    def call() -> object:
        with torch.no_grad():
            return function(*inputs)

    return call


def both_ways(
    function: Callable[..., Tensor], *inputs: Tensor, weights: Iterable[Tensor] = ()
) -> Call:
    """A call, and the gradients of all inputs and weights from one of the output."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    wanted = [*leaves, *weights]
    with torch.no_grad():
        g = torch.ones_like(function(*leaves))
    return lambda: torch.autograd.grad(function(*leaves), wanted, g)


def conv_rows(
    batch: int, width: int, lengths: Sequence[int], rounds: int, device: str = "cpu"
) -> Iterator[list[Row]]:
    """Convolutions with a filter as long as the signal, with and without gradients."""
    for length in lengths:
        g = torch.Generator().manual_seed(length)
        u = torch.randn(batch, width, length, generator=g)
        h = torch.randn(width, length, generator=g) / length**0.5
        u, h = u.to(device), h.to(device)
        for task, passes in ("forward", 1), ("forward+backward", 3):
            calls = conv_subjects(u, h, task)
            work = passes * batch * width * conv_flops(length)
            flops = dict.fromkeys(calls, work)
            if "F.conv1d" in calls:  # half of its products are with the padding
                flops["F.conv1d"] = passes * 2.0 * batch * width * length**2
            size = (batch, width, length)
            yield measure("conv", task, size, calls, rounds, flops)


def layer_rows(
    batch: int, width: int, lengths: Sequence[int], rounds: int, device: str = "cpu"
) -> Iterator[list[Row]]:
    """Layers, and their mixing alone. Gradients are compared with the textbook's."""
    for length in lengths:
        _, hyena, attention = _layers(batch, width, length, device)
        size = (batch, width, length)
        ours = hyena.flops(length, batch)
        flops = dict.fromkeys([OURS, KEPT, "textbook"], ours)
        flops["attention"] = attention.flops(length, batch)
        for task, passes in ("forward", 1), ("forward+backward", 3):
            calls = layer_subjects(*size, task, device)
            work = {name: passes * flops[name] for name in calls}
            yield measure("layer", task, size, calls, rounds, work)
        mixing = {
            OURS: batch * width * (2 * length + conv_flops(length)),
            "attention": 2.0 * batch * width * length * (length + 1),
        }
        mixing[KEPT] = mixing[OURS]
        calls = mixing_subjects(*size, device)
        yield measure("layer", "mixing", size, calls, rounds, mixing)


def train_rows(
    batch: int, width: int, lengths: Sequence[int], rounds: int, device: str = "cpu"
) -> Iterator[list[Row]]:
    """One step of training for language models of equal size: Hyena, attention, and
    attention with Hyena's short convolution.
    """
    for length in lengths:
        short = {SHORT: AttentionConfig(short_taps=3)}
        models = _models(width, length, device, others=short)
        ids = torch.randint(65, (batch, length + 1), generator=_seeded(length))
        ids = ids.to(device)
        calls, flops = {}, {}
        for name, model in models.items():
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
            calls[name] = partial(_train_step, model.train(), optimizer, ids)
            flops[name] = 3 * model.flops(length, batch)
        size = (batch, width, length)
        yield measure("train", "one step", size, calls, rounds, flops)


def _train_step(
    model: LanguageModel, optimizer: torch.optim.Optimizer, ids: Tensor
) -> None:
    optimizer.zero_grad()
    loss = token_loss(model, ids[:, :-1], ids[:, 1:])
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def generate_rows(
    batch: int, width: int, lengths: Sequence[int], rounds: int, device: str = "cpu"
) -> Iterator[list[Row]]:
    """Writing with four layers: a token after a prompt, in the mean of 1,000 with the
    prompt included, and the slowest of them; and as many tokens as `length` from one.
    Recomputing is timed over four tokens, as each of them costs the same.
    """
    for length in lengths:
        models = _models(width, length + NEW, device, depth=4)
        modal = replace(models[OURS].config.mixer, filter=ModalConfig(MODES))
        config = replace(models[OURS].config, mixer=modal)
        writers = {
            OURS: _Writer(models[OURS], "online", NEW),
            "recomputed": _Writer(models[OURS], "recompute", 4),
            f"recurrent, {MODES} modes": _Writer(
                LanguageModel(config, _seeded(0)).to(device), "recurrent", NEW
            ),
            "attention, KV cache": _Writer(models["attention"], "online", NEW),
        }
        size = (batch, width, length)
        ids = torch.randint(65, (batch, length), generator=_seeded(length)).to(device)
        calls: dict[str, Call] = {
            name: partial(writer, ids) for name, writer in writers.items()
        }
        units = {name: writer.tokens for name, writer in writers.items()}
        rows = measure("generate", "a token", size, calls, rounds, units=units)
        slowest = [
            replace(
                row,
                task="slowest token",
                seconds=tuple(writers[row.name].slowest[-len(row.seconds) :]),
                peak_bytes=None,
            )
            for row in rows
        ]
        yield rows + slowest
        from_one: dict[str, Call] = {OURS: partial(writers[OURS], ids[:, :1], length)}
        yield measure("generate", "all tokens", size, from_one, rounds)


class _Writer:
    """Lets a model write, and notes how long its slowest token took: the first one,
    which waits for the prompt, apart.
    """

    def __init__(self, model: LanguageModel, decoder: str, tokens: int) -> None:
        self.model, self.decoder, self.tokens = model.eval(), decoder, tokens
        self.slowest: list[float] = []

    def __call__(self, ids: Tensor, tokens: int | None = None) -> None:
        stream = sample(
            self.model,
            ids,
            tokens or self.tokens,
            decoder=self.decoder,
            generator=_seeded(0),
        )
        next(stream)
        slowest, before = 0.0, time.perf_counter()
        for _ in stream:
            now = time.perf_counter()
            slowest, before = max(slowest, now - before), now
        self.slowest.append(slowest)


def _models(
    width: int,
    length: int,
    device: str,
    depth: int = 2,
    others: Mapping[str, Any] | None = None,
) -> dict[str, LanguageModel]:
    """As many layers each, the others as large as the Hyena model."""
    kinds = {OURS: "hyena", "attention": "attention"} | dict(others or {})
    configs = equal_parameters(
        [LMConfig(65, length, width, depth, mixer=kind) for kind in kinds.values()]
    )
    pairs = zip(kinds, configs, strict=True)
    return {n: LanguageModel(c, _seeded(0)).to(device) for n, c in pairs}


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Suite:
    """What one word of `python -m minihyena bench` measures, and at which sizes."""

    rows: Callable[[int, int, Sequence[int], int, str], Iterator[list[Row]]]
    batch: int
    width: int
    lengths: tuple[int, ...]


SUITES = {
    "conv": Suite(conv_rows, 1, 256, tuple(2**i for i in range(6, 18))),
    "layer": Suite(layer_rows, 1, 256, tuple(2**i for i in range(8, 17))),
    "train": Suite(train_rows, 4, 128, (256, 1024, 4096)),
    "generate": Suite(generate_rows, 1, 128, (1024, 8192, 16384)),
}
