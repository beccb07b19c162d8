"""Wrap-around: a convolution on a ring of n steps, and where its tail lands."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.conv import causal_conv
from minihyena.explore.base import Explorer
from minihyena.explore.parts import choice, slider, spans, to_numpy
from minihyena.explore.wrap_figure import draw, figure_of

__all__ = ["WrapAround", "product_of_spectra"]

Conv = Callable[..., Tensor]  # (u, h) on a ring, or (u, h, n)
TOLERANCE = 1e-5  # of the largest output; float32 rounding stays far below


def product_of_spectra(u: Tensor, h: Tensor, n: int) -> Tensor:
    """u: (L,), h: (K,) -> (n,): both with zeros up to n, spectra multiplied."""
    y: Tensor = torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(h, n), n)
    return y


class WrapAround(Explorer):
    """What the product of two spectra of size n gets wrong, for n from L to 2L.

    `conv`: yours, either `conv(u, h)`, which gets u and h with zeros up to n behind
    them, (n,) and (n,), or `conv(u, h, n)`, which gets u (L,) and h (K,) as they are.
    It returns all n samples, or the L that are kept. None: `product_of_spectra`.

    Everything is asked of that function and compared with the slow route, the
    library's convolution by delayed copies. Raises ValueError for another shape,
    TypeError for what is no real tensor or for a function of neither kind.
    """

    title = "Wrap-around"
    notice = (
        "A ring of n steps has no room for the tail: hatched, what came round. "
        "Add zeros, one by one. Which output heals first?"
    )
    narrowest = 600

    def __init__(
        self, conv: Conv | None = None, *, length: int = 8, seed: int = 5
    ) -> None:
        if length < 4:
            raise ValueError(f"length {length} leaves nothing to see; take 4 or more")
        self.conv: Conv = product_of_spectra if conv is None else conv
        self.sized = wants_size(self.conv)
        self.length = length
        self.inputs, self.filters = signals(length, seed)
        pickers = {
            "size": slider("FFT size n", range(length, 2 * length + 1), length),
            "filter": choice("Filter", list(self.filters)),
            "input": choice("Input", list(self.inputs)),
        }
        super().__init__(pickers, figure_of(length), surprise_seed=seed)

    def _compute(self) -> None:
        """The learner's function at every size; the slow route once."""
        now, length = self.state(), self.length
        u, h = self.inputs[now["input"]], self.filters[now["filter"]]
        taps = len(h)
        whole = pad(u, (0, taps - 1))  # with room for the tail
        whole = causal_conv(whole[None, None], h[None], method="direct")[0, 0]
        noise = TOLERANCE * float(whole.abs().max())
        seen = {n: self._ask(u, h, n) for n in self.controls["size"]}
        y, n = seen[now["size"]], now["size"]
        error = y[:length] - whole[:length]
        tail = whole[n:]
        come_round = pad(tail, (0, length - len(tail)))  # n >= L: once round at most
        off = ~(error.abs() <= noise)  # so that NaN is wrong, too
        wrapped = off & ((error - come_round).abs() <= noise)
        wrong = {
            size: _places(~((given[:length] - whole[:length]).abs() <= noise))
            for size, given in seen.items()
        }
        heights = torch.cat([whole, *seen.values()]).nan_to_num(0, 0, 0)
        self._span = float(heights.min()), float(heights.max())
        fitting = [n for n in seen if not any(wrong[m] for m in seen if m >= n)]
        self._facts = now | {
            "yours": self.conv is not product_of_spectra,
            "length": length,
            "taps": taps,
            "inputs": _values(u),
            "filter_taps": _values(h),
            "whole": _values(whole),
            "outputs": _values(y[:length]),
            "beyond": _values(y[length:]),
            "error": _values(error),
            "wrong": wrong[n],
            "wrapped": _places(wrapped),
            "unexplained": _places(off & ~wrapped),
            "wrong_at": wrong,
            "exact_from": min(fitting, default=None),
        }

    def _ask(self, u: Tensor, h: Tensor, n: int) -> Tensor:
        with torch.no_grad():
            y = self._call(u, h, n)
        wanted = {(n,), (self.length,)}
        if not isinstance(y, Tensor) or tuple(y.shape) not in wanted:
            got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            sizes = " and ".join(str(tuple(x.shape)) for x in (u, h))
            raise ValueError(
                f"at n = {n} your convolution turned {sizes} into {got}; it must give "
                f"all n samples, ({n},), or the first L, ({self.length},)"
            )
        return torch.from_numpy(to_numpy(y))

    def _call(self, u: Tensor, h: Tensor, n: int) -> Tensor:
        if self.sized:
            return self.conv(u, h, n)
        return self.conv(*(pad(x, (0, n - len(x))) for x in (u, h)))

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        start = f"FFT size {f['size']} for {f['length']} inputs and "
        start += f"{f['taps']} tap{'s' * (f['taps'] > 1)}: "
        wrong = f["wrong"]
        if not wrong:
            return f"{start}all {f['length']} outputs agree with the slow route."
        rest = [t for t in range(f["length"]) if t not in wrong]
        said = f"{_named('output', wrong)} differ{'s' * (len(wrong) == 1)} from the "
        said += "slow route"
        if rest:
            agree = f"agree{'s' * (len(rest) == 1)}"
            said += f", {_named('output', rest)} {agree}"
        if f["wrapped"]:
            came = [t + f["size"] for t in f["wrapped"]]
            on = spans(f["wrapped"]) if len(f["wrapped"]) < len(wrong) else "them"
            on = "it" if on == "them" and len(wrong) == 1 else on
            lands = f"land{'s' * (len(came) == 1)}"
            said += f"; {_named('sample', came)} of the tail {lands} on {on}"
        if f["unexplained"]:
            said += f"; wrap-around does not explain {spans(f['unexplained'])}"
        return f"{start}{said}."

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        exact = f["exact_from"]
        return {
            "Zeros behind the input": f["size"] - f["length"],
            "Samples of the whole convolution": f["length"] + f["taps"] - 1,
            "All outputs right from n =": "no size here" if exact is None else exact,
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Step", "input", "filter", "whole convolution", "FFT gives"]
        header += ["too much by", "verdict", "right for n from"]
        rows: list[tuple[Any, ...]] = []
        gives = f["outputs"] + f["beyond"]
        for t in range(max(len(f["whole"]), f["size"])):
            inside = t < f["length"]
            row = [t, _at(f["inputs"], t), _at(f["filter_taps"], t)]
            row += [_at(f["whole"], t), _at(gives, t)]
            row += [f["error"][t] if inside else "", _verdict(f, t)]
            well = [n for n, wrong in f["wrong_at"].items() if t not in wrong]
            row.append(min(well, default="none") if inside else "")
            rows.append(tuple(row))
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.facts(), self._span)


def wants_size(conv: Conv) -> bool:
    """Whether conv is called as conv(u, h, n); else as conv(u, h).

    Raises TypeError for a function that can be called neither way.
    """
    try:
        signature = inspect.signature(conv)
    except ValueError:  # some built-in functions do not say
        return False
    needed = [p for p in signature.parameters.values() if p.default is p.empty]
    needed = [
        p for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    size = "n" in signature.parameters or len(needed) == 3
    try:
        signature.bind(*"uhn"[: 3 if size else 2])
    except TypeError:
        said = f"a convolution takes (u, h) or (u, h, n); yours takes {signature}"
        raise TypeError(said) from None
    return size


def signals(length: int, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Named inputs (L,) and filters (K <= L,)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = 0.3 + torch.rand(length, generator=generator)
    signed = torch.randn(length, generator=generator)
    pulse = torch.zeros(length)
    pulse[-1] = 1
    inputs = {
        "eight notes": drawn,
        "of both signs": signed,
        "one pulse, at the end": pulse,
        "all ones": torch.ones(length),
    }
    lags = torch.arange(length)
    late = torch.zeros(length // 2 + 1)
    late[0], late[-1] = 1, 0.6
    filters = {
        "fading echo": 0.75**lags,
        "running sum": torch.ones(length),
        "three taps": torch.tensor([0.5, 0.3, 0.2]),
        "late echo": late,
        "there and back": torch.tensor([1.0, -1.0]),
        "one tap": torch.tensor([0.8]),
    }
    return inputs, filters


def _places(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[:, 0].tolist())


def _values(x: Tensor) -> tuple[float, ...]:
    return tuple(x.tolist())


def _at(values: tuple[float, ...], t: int) -> Any:
    return values[t] if t < len(values) else ""


def _named(noun: str, numbers: Any) -> str:
    return f"{noun}{'s' * (len(numbers) > 1)} {spans(numbers)}"


def _verdict(facts: dict[str, Any], t: int) -> str:
    if t >= facts["length"]:
        home = t - facts["size"]
        return f"lands on {home}" if home in facts["wrapped"] else "cut off"
    if t in facts["wrapped"]:
        return f"wrong: {t + facts['size']} came round"
    return "wrong" if t in facts["wrong"] else "right"
