"""2-D filter painter: a picture, a filter that fades and waves along two axes."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.explore.base import Explorer
from minihyena.explore.image_filter_figure import draw, figure_of
from minihyena.explore.parts import choice, row, slider, spans, to_numpy

__all__ = ["ImageFilter"]

Conv2d = Callable[[Tensor, Tensor], Tensor]
TAPS = 12  # along each axis
TOLERANCE = 1e-4  # of the largest output


def with_room(image: Tensor, filt: Tensor, down: int = 1, across: int = 1) -> Tensor:
    """Product of spectra, with room for the tail down and across, or without (0)."""
    height, width = image.shape
    size = height + TAPS * down, width + TAPS * across
    product = torch.fft.rfft2(image, size) * torch.fft.rfft2(filt, size)
    y: Tensor = torch.fft.irfft2(product, size)
    return y[:height, :width]


def one_long_line(image: Tensor, filt: Tensor) -> Tensor:
    """Row after row as one signal, the filter's rows as far apart as the picture's."""
    taps = pad(filt, (0, image.shape[1] - filt.shape[1])).flatten()
    n = image.numel() + len(taps)
    line = torch.fft.rfft(image.flatten(), n) * torch.fft.rfft(taps, n)
    y: Tensor = torch.fft.irfft(line, n)
    return y[: image.numel()].reshape(image.shape)


class ImageFilter(Explorer):
    """A picture under a filter filt[a, b] = down[a] * across[b], both fading waves.

    `conv2d`: yours, (H, W) and (h, w) -> (H, W), causal along both axes. It is asked
    for "your conv2d"; the other ways are mistakes to look at. Every pixel is compared
    with the slow route, a shifted picture for each tap.

    Raises ValueError for an output of another shape, naming both.
    """

    title = "2-D filter painter"
    notice = (
        "Each pixel adds up those above it and to its left. Down and across, how fast "
        "does the filter fade, how often does it wave? Then take away the room for "
        "the tail: crosses mark the pixels that come out wrong."
    )
    narrowest = 680

    def __init__(
        self, conv2d: Conv2d | None = None, *, size: int = 20, seed: int = 5
    ) -> None:
        if size < TAPS:
            raise ValueError(f"size {size} is less than the filter's {TAPS} taps")
        self.size = size
        self.ways: dict[str, Conv2d] = {
            "your conv2d" if conv2d else "spectra with room": conv2d or with_room,
            "room below only": lambda u, h: with_room(u, h, across=0),
            "room at the right only": lambda u, h: with_room(u, h, down=0),
            "no room": lambda u, h: with_room(u, h, 0, 0),
            "one long line": one_long_line,
        }
        self.pictures = pictures(size)
        fades = (0.0, 0.1, 0.2, 0.4, 0.8)
        pickers = {
            "fade_down": slider("Fading down", fades, 0.2),
            "waves_down": slider("Waves down", range(5), 0),
            "fade_across": slider("Fading across", fades, 0.1),
            "waves_across": slider("Waves across", range(5), 2),
            "picture": choice("Picture", list(self.pictures)),
            "way": choice("Way", list(self.ways)),
        }
        super().__init__(pickers, figure_of(size, TAPS), surprise_seed=seed)

    def _controls(self) -> list[Any]:
        buttons = self._button_row()
        down, up, left, right, *others = self.pickers.values()
        return [row([down, up]), row([left, right]), row(others), buttons]

    def _compute(self) -> None:
        now = self.state()
        down = fading_wave(now["fade_down"], now["waves_down"])
        across = fading_wave(now["fade_across"], now["waves_across"])
        filt, image = torch.outer(down, across), self.pictures[now["picture"]]
        y = self._ask(self.ways[now["way"]], image, filt)
        slow = by_shifts(image, filt)
        two = by_shifts(by_shifts(image, across[None]), down[:, None])
        scale = float(slow.abs().max())
        wrong = ~((y - slow).abs() <= TOLERANCE * scale)  # so that NaN is wrong, too
        self._facts = now | {
            "size": self.size,
            "taps": TAPS,
            "filter": _rows(filt),
            "image": _rows(image),
            "output": _rows(y),
            "scale": scale,
            "wrong": tuple(map(tuple, wrong.nonzero().tolist())),
            "rows": tuple(int(i) for i in wrong.any(1).nonzero()),
            "columns": tuple(int(j) for j in wrong.any(0).nonzero()),
            "two_passes_agree": bool(((two - slow).abs() <= TOLERANCE * scale).all()),
        }

    def _ask(self, conv2d: Conv2d, image: Tensor, filt: Tensor) -> Tensor:
        with torch.no_grad():
            y = conv2d(image.clone(), filt.clone())
        if not isinstance(y, Tensor) or y.shape != image.shape:
            got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ValueError(
                f"your conv2d turned a picture {tuple(image.shape)} and a filter "
                f"{tuple(filt.shape)} into {got}; it must give {tuple(image.shape)}"
            )
        return torch.from_numpy(to_numpy(y))

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        pixels = f["size"] ** 2
        start = f"“{f['picture'].capitalize()}” by {f['way']}: "
        if f["wrong"]:
            return (
                f"{start}{len(f['wrong'])} of {pixels} pixels differ from the slow "
                f"route, in rows {spans(f['rows'])} and columns {spans(f['columns'])}."
            )
        two = f"{f['taps']} taps across, then {f['taps']} down"
        same = "give the same" if f["two_passes_agree"] else "give something else"
        return (
            f"{start}all {pixels} pixels agree with the slow route, "
            f"{f['taps'] ** 2} taps; on that route {two} {same}."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        return {
            "Largest output": max(abs(v) for line in f["output"] for v in line),
            "Multiplications a pixel, all taps": f["taps"] ** 2,
            "in two passes": 2 * f["taps"],
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Row", *(f"column {j}" for j in range(f["size"])), "wrong columns"]
        rows: list[tuple[Any, ...]] = []
        for i, line in enumerate(f["output"]):
            wrong = [j for r, j in f["wrong"] if r == i]
            numbers = (f"{value:.3g}" for value in line)
            rows.append((i, *numbers, spans(wrong) if wrong else "none"))
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.facts())


def fading_wave(fade: float, waves: int) -> Tensor:
    """(TAPS,): exp(-fade n) cos(2 pi waves n / TAPS), sizes that sum to 1."""
    n = torch.arange(TAPS)
    h = torch.exp(-fade * n) * torch.cos(2 * math.pi * waves * n / TAPS)
    return h / h.abs().sum()


def by_shifts(image: Tensor, filt: Tensor) -> Tensor:
    """The slow route: a shifted picture for every tap."""
    y, (height, width) = torch.zeros_like(image), image.shape
    for a, line in enumerate(filt):
        for b, tap in enumerate(line):
            y[a:, b:] += tap * image[: height - a, : width - b]
    return y


def pictures(size: int) -> dict[str, Tensor]:
    """Named pictures (size, size) of numbers from 0 to 1."""
    i, j = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre, low = size // 2, size // 4
    box = (i >= low) & (i < size - low) & (j >= low) & (j < size - low)
    frame = box & ~((i > low) & (i < size - low - 1) & (j > low) & (j < size - low - 1))
    spot = (i == centre - 4) & (j == centre - 4)
    corner = (i >= size - 3) & (j >= size - 3)
    named = {
        "a frame": frame,
        "one pixel": spot,
        "a bright corner": corner,
        "stripes": (j // 2) % 2 == 0,
    }
    return {name: picture.float() for name, picture in named.items()}


def _rows(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))
