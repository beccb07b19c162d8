"""12.conv2d_fft: a picture convolved with a filter, along both axes at once."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, attempt, pick, short, show
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_03.answers import Watch, as_signal

__all__ = ["EXERCISE"]

SIDE = 24  # of the picture at which the work is counted


def conv2d_fft(image: Tensor, filt: Tensor) -> Tensor:
    """image (..., H, W), filt (h <= H, w <= W) -> (..., H, W).

    y[i, j] = sum of filt[a, b] image[i - a, j - b]: each pixel reads those above it and
    to its left. Outside the picture there is nothing. By multiplying two spectra.
    """
    height, width = image.shape[-2:]
    size = height + filt.shape[0] - 1, width + filt.shape[1] - 1
    product = torch.fft.rfft2(image, size) * torch.fft.rfft2(filt, size)
    y = torch.fft.irfft2(product, size)
    return y[..., :height, :width]  # type: ignore[no-any-return]


def by_loops(image: Tensor, filt: Tensor) -> Tensor:
    picture, taps = image.double(), filt.double()
    y = torch.zeros_like(picture)
    for i in range(image.shape[-2]):
        for j in range(image.shape[-1]):
            for a in range(min(i + 1, len(filt))):
                for b in range(min(j + 1, filt.shape[1])):
                    y[..., i, j] += taps[a, b] * picture[..., i - a, j - b]
    return y.to(image.dtype)


def product(image: Tensor, filt: Tensor, height: int, width: int) -> Tensor:
    size = height, width
    made: Tensor = torch.fft.rfft2(image, size) * torch.fft.rfft2(filt, size)
    return made


def at_size(image: Tensor, filt: Tensor, height: int, width: int) -> Tensor:
    """All samples of the product of spectra of this size."""
    spectrum = product(image, filt, height, width)
    y: Tensor = torch.fft.irfft2(spectrum, (height, width))
    return y


def room(image: Tensor, filt: Tensor, less: int = 0) -> tuple[int, int]:
    """The smallest size with room for both tails, or one with less of it."""
    height, width = image.shape[-2:]
    return height + len(filt) - 1 - less, width + filt.shape[1] - 1 - less


def padded(
    image: Tensor, filt: Tensor, rows: bool = True, columns: bool = True
) -> Tensor:
    """All samples, with room for the tail along the named axes only."""
    height, width = image.shape[-2:]
    more = filt.shape[0] * rows, filt.shape[1] * columns
    return at_size(image, filt, height + more[0], width + more[1])


def added(image: Tensor, filt: Tensor) -> Tensor:
    """The sum of two spectra is the spectrum of the sum."""
    height, width = image.shape[-2:]
    return image + pad(filt, (0, width - filt.shape[1], 0, height - len(filt)))


def kept(y: Tensor, image: Tensor, down: int = 0, right: int = 0) -> Tensor:
    height, width = image.shape[-2:]
    return y[..., down : down + height, right : right + width]


def in_raster_order(image: Tensor, filt: Tensor) -> Tensor:
    """One long line of pixels, row after row, and the filter's rows as far apart."""
    width = image.shape[-1]
    line = image.flatten(-2)
    taps = pad(filt, (0, width - filt.shape[1])).flatten()
    n = line.shape[-1] + len(taps)
    y = torch.fft.irfft(torch.fft.rfft(line, n) * torch.fft.rfft(taps, n), n)
    made: Tensor = y[..., : line.shape[-1]].reshape(image.shape)
    return made


def all_flat(image: Tensor, filt: Tensor) -> Tensor:
    line, taps = image.flatten(-2), filt.flatten()
    n = line.shape[-1] + len(taps)
    y = torch.fft.irfft(torch.fft.rfft(line, n) * torch.fft.rfft(taps, n), n)
    made: Tensor = y[..., : line.shape[-1]].reshape(image.shape)
    return made


ROOM = "A picture of H rows and a filter of h: how many rows come out?"
KEPT = "Which of the samples belong to pixels that exist?"
MISTAKES = (
    Mistake(
        "the last rows wrapped to the top: only the columns have room for the tail",
        lambda image, filt: kept(padded(image, filt, rows=False), image),
        ROOM,
    ),
    Mistake(
        "the last columns wrapped to the left: only the rows have room for the tail",
        lambda image, filt: kept(padded(image, filt, columns=False), image),
        "And how many columns come out?",
    ),
    Mistake(
        "both tails came round, over the top and over the left edge: no room at all",
        lambda image, filt: at_size(image, filt, *image.shape[-2:]),
        ROOM,
    ),
    Mistake(
        "last row and column came round to the first: the room is one short",
        lambda image, filt: kept(at_size(image, filt, *room(image, filt, 1)), image),
        ROOM,
    ),
    Mistake(
        "irfft2 was not told the size, and takes an odd number of columns for even",
        lambda image, filt: kept(
            torch.fft.irfft2(product(image, filt, *room(image, filt))), image
        ),
        "Which two numbers have you given to rfft2?",
    ),
    Mistake(
        "a pixel leaked from one row's end into the next row: a picture is no line",
        in_raster_order,
        "What stands right of the last pixel of a row, and what follows it in memory?",
    ),
    Mistake(
        "the filter's rows were laid end to end, and so was the picture: what stood "
        "below now comes after",
        all_flat,
        "How many steps of the line is one row of the picture, and one of the filter?",
    ),
    Mistake(
        "picture moved by half a filter: this is the middle of the whole convolution",
        lambda image, filt: kept(
            padded(image, filt), image, len(filt) // 2, filt.shape[1] // 2
        ),
        "Which pixels may the top left one read?",
    ),
    Mistake(
        "picture moved by half a filter: this is the middle of the whole convolution",
        lambda image, filt: kept(
            padded(image, filt), image, (len(filt) - 1) // 2, (filt.shape[1] - 1) // 2
        ),
        "Which pixels may the top left one read?",
    ),
    Mistake(
        "these are the last H rows and W columns; the first ones are the picture",
        lambda image, filt: kept(
            padded(image, filt), image, len(filt) - 1, filt.shape[1] - 1
        ),
        KEPT,
    ),
    Mistake(
        "the tail is still there, H + h − 1 rows in all; keep the first H, W",
        lambda image, filt: at_size(image, filt, *room(image, filt)),
        KEPT,
    ),
    Mistake(
        "this is all of it, tail and zeros; keep the first H rows and W columns",
        lambda image, filt: at_size(
            image, filt, 2 * image.shape[-2], 2 * image.shape[-1]
        ),
        KEPT,
    ),
    Mistake(
        "the filter is turned round in both axes: this is correlation",
        lambda image, filt: kept(
            padded(image, filt.flip(0, 1)), image, len(filt) - 1, filt.shape[1] - 1
        ),
        "A single bright pixel: which way round should the filter appear?",
    ),
    Mistake(
        "the filter is turned round in both axes",
        lambda image, filt: kept(padded(image, filt.flip(0, 1)), image),
        "A single bright pixel: which way round should the filter appear?",
    ),
    Mistake(
        "every negative pixel turned positive: take the real part, not the size",
        lambda image, filt: kept(padded(image, filt), image).abs(),
        "What is the size of -2 + 0i, and what its real part?",
    ),
    Mistake(
        "the spectra were added, which lays the filter over the picture: multiply them",
        added,
        "What carries anything from one pixel to another?",
    ),
    Mistake(
        "multiply the spectra, not the pictures",
        lambda image, filt: (
            image
            * pad(
                filt,
                (0, image.shape[-1] - filt.shape[1], 0, image.shape[-2] - len(filt)),
            )
        ),
        "What carries anything from one pixel to another?",
    ),
    Mistake(
        "this is the picture itself: no filter has been at it",
        lambda image, filt: image,
        "A single bright pixel: what should become of it?",
    ),
    Mistake(
        "only the rows were filtered, each with the filter's first row",
        lambda image, filt: kept(padded(image, filt[:1]), image),
        "Which pixels above does a pixel read?",
    ),
)


def is_quick(fn: Function, generator: torch.Generator) -> None:
    """Incorrect if the work grows with the pixels times the taps."""
    made = []
    for side in (SIDE // 2, SIDE):
        image, filt = torch.randn(2, side, side, generator=generator)
        watch = Watch.of(fn, Case((image, filt), image, ""))
        made.append(watch.made)
    ready_made = any(name.startswith("conv") for name in watch.names)
    if ready_made or made[1] > 10 * made[0]:  # 16 times for taps, about 4 for spectra
        raise Incorrect(
            "the right numbers, and slowly: the work grows as pixels times taps",
            f"a picture and a filter of {SIDE} times {SIDE}",
            f"a few spectra of about {(2 * SIDE) ** 2:,} samples",
            "torch's own convolution, tap by tap"
            if ready_made
            else f"{made[1]:,} numbers made on the way, {made[0]:,} for half the side",
            "What does one multiplication of two spectra do for all shifts at once?",
        )


def check_conv2d_fft(fn: Function, *, generator: torch.Generator) -> None:
    """Pictures and filters of odd shapes, batches, both precisions, against loops."""
    a, b = pick(3, 6, generator), pick(4, 7, generator)
    cases = []
    for shape, taps in (
        ((2, 2), (2, 2)),
        ((2, 3), (2, 2)),
        ((3, 2), (2, 2)),
        ((3, 4), (1, 3)),
        ((4, 3), (3, 1)),
        ((3, 3), (3, 3)),
        ((2, 4, 5), (3, 2)),
        ((a, b), (pick(2, a, generator), pick(2, b, generator))),
    ):
        picture, filter = (short(*s, generator=generator) for s in (shape, taps))
        for dtype in (torch.float32, torch.float64):
            image, filt = picture.to(dtype), filter.to(dtype)

            def run(
                fn: Function, args: tuple[Tensor, Tensor] = (image, filt)
            ) -> object:
                return as_signal(attempt(fn, *args))

            given = f"image {shape} = {show(image)}, filt {taps} = {show(filt)}"
            cases.append(Case((image, filt), by_loops(image, filt), given, run))
    question = "Which pixels should the top left one read, and which the last one?"
    examine(fn, cases, MISTAKES, question=question)
    is_quick(fn, generator)


EXERCISE = Exercise(
    id="12.conv2d_fft",
    objective="Convolve a picture along both axes, by two-dimensional spectra.",
    answer=conv2d_fft,
    hints=(
        "Along one axis, L steps and K taps needed room for L + K - 1. What room does "
        "each of the two axes need now?",
        "rfft2(x, (rows, columns)) puts the zeros below and to the right for you; "
        "irfft2 wants the same two numbers again. The first H rows and W columns stay.",
    ),
    checker=check_conv2d_fft,
    points=12,
    minutes=12,
    stars=2,
)
