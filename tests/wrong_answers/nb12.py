"""Wrong answers to the exercises of notebook 12, and right ones written otherwise."""

import math
from functools import reduce

import torch
from torch.nn.functional import conv1d, conv2d, pad

# ---- reverse_complement


def table(ids, partners=(3, 2, 1, 0, 4)):
    return torch.tensor(partners)[ids]


def strand_by_where(ids):
    turned = ids.flip(ids.dim() - 1)
    return torch.where(turned < 4, 3 - turned, turned)


def strand_by_turns(ids):
    """Base after base, so that what has become a T becomes an A again."""
    turned = ids.flip(-1)
    for base, partner in ((0, 3), (3, 0), (1, 2), (2, 1)):
        turned = torch.where(turned == base, partner, turned)
    return turned


# ---- symmetrise


def rc(x):
    return x.flip(-1).flip(-2)


def symmetrised(there=rc, back=rc, weights=(0.5, 0.5)):
    """The mean over both strands, or with one thing in it changed."""

    def maker(f):
        return lambda x: weights[0] * f(x) + weights[1] * back(f(there(x)))

    return maker


def symmetrise_by_stack(f):
    def g(x):
        both = torch.stack([f(x), torch.flip(f(torch.flip(x, [1, 2])), [1, 2])])
        return both.mean(0)

    return g


def symmetrise_off_by(amount, dtype):
    def maker(f):
        g = symmetrise_by_stack(f)
        return lambda x: g(x) + amount * (x.dtype == dtype)

    return maker


# ---- motif_batch

BOX_35, BOX_10 = [3, 3, 2, 0, 1, 0], [3, 0, 3, 0, 0, 3]


def lot(high, generator, low=0):
    return int(torch.randint(low, high, (), generator=generator))


def motifs_by_rows(n, length, distance, *, generator, **slips):
    """Right, row after row; or with a slip by name."""
    label = slips.get("label", lambda: lot(2, generator))
    first_at = slips.get("first", lambda: lot(length - distance - 5, generator))
    gap = slips.get("gap", distance)
    rows, labels = [], []
    for _ in range(n):
        row = torch.randint(4, (length,), generator=generator).tolist()
        y, first = label(), first_at()
        if "background" in slips:
            row = slips["background"](row, y)
        second = first + gap
        while not y and (second == first + gap or abs(second - first) < 6):
            second = lot(length - 5, generator)
        if "pair" in slips:
            first, second = slips["pair"](y, first, second)
        write = slips.get("write", put)
        if y or not slips.get("bare"):
            write(row, first, BOX_35)
            write(row, second, BOX_10)
        rows.append(row[:length])
        labels.append(y)
    return torch.tensor(rows), torch.tensor(labels)


def put(row, start, motif):
    row[start : start + 6] = motif


def put_round(row, start, motif):
    for i, base in enumerate(motif):
        row[(start + i) % len(row)] = base


def motifs_with(**slips):
    """A motif_batch with slips; functions of (length, distance, generator)."""

    def slipped(n, length, distance, *, generator):
        made = {
            name: slip(length, distance, generator) if callable(slip) else slip
            for name, slip in slips.items()
        }
        return motifs_by_rows(n, length, distance, generator=generator, **made)

    return slipped


def motifs_then(change):
    return lambda *sizes, generator: change(
        *motifs_by_rows(*sizes, generator=generator)
    )


def motifs_by_scatter(n, length, distance, *, generator):
    """Falls off: the first begins anywhere, and indices run over the end."""
    ids = torch.randint(4, (n, length), generator=generator)
    start = torch.randint(length, (n,), generator=generator)
    at = torch.arange(6)
    ids[torch.arange(n)[:, None], start[:, None] + at] = torch.tensor(BOX_35)
    second = start + distance
    ids[torch.arange(n)[:, None], second[:, None] + at] = torch.tensor(BOX_10)
    return ids, torch.ones(n, dtype=torch.int64)


def motifs_globally(*sizes, generator):
    return motifs_by_rows(*sizes, generator=torch.default_generator)


def motifs_reseeded(*sizes, generator):
    return motifs_by_rows(*sizes, generator=generator.manual_seed(1))


# ---- conv2d_fft


def by_torch(image, filt):
    """Right numbers by torch's own, which correlates, without a spectrum."""
    h, w = filt.shape
    flat = image.reshape(-1, 1, *image.shape[-2:])
    padded = pad(flat, (w - 1, 0, h - 1, 0))
    return conv2d(padded, filt.flip(0, 1)[None, None]).reshape(image.shape)


def by_whole_spectra(image, filt):
    """Right: the long spectra, room for twice the picture."""
    size = [2 * side for side in image.shape[-2:]]
    y = torch.fft.ifft2(torch.fft.fft2(image, size) * torch.fft.fft2(filt, size)).real
    return y[..., : image.shape[-2], : image.shape[-1]]


def by_shifts(image, filt):
    """Right numbers, and slow: a shifted picture for every tap."""
    y, (height, width) = torch.zeros_like(image), image.shape[-2:]
    for a, row in enumerate(filt):
        for b, tap in enumerate(row):
            y = y + tap * pad(image, (b, 0, a, 0))[..., :height, :width]
    return y


def room(image, filt):
    return [n + k - 1 for n, k in zip(sides(image), filt.shape, strict=True)]


def spectra(image, filt, size, crop=True, told=True):
    product = torch.fft.rfft2(image, s=size) * torch.fft.rfft2(filt, s=size)
    y = torch.fft.irfft2(product, s=size if told else None)
    return y[..., : image.shape[-2], : image.shape[-1]] if crop else y


def sides(image):
    return image.shape[-2], image.shape[-1]


def as_line(image, filt):
    h, w = sides(image)
    line, taps = image.reshape(-1, h * w), pad(filt, (0, w - filt.shape[1])).reshape(-1)
    n = 2 * h * w
    y = torch.fft.irfft(torch.fft.rfft(line, n) * torch.fft.rfft(taps, n), n)
    return y[:, : h * w].reshape(image.shape)


def end_to_end(image, filt):
    line, taps = image.reshape(-1, 1, math.prod(sides(image))), filt.flatten()
    weight = taps.flip(0)[None, None]
    return conv1d(pad(line, (len(taps) - 1, 0)), weight).reshape(image.shape)


def conv2d_off_by(amount, dtype):
    return lambda image, filt: (
        by_whole_spectra(image, filt) + amount * (image.dtype == dtype)
    )


ALSO_RIGHT = {
    "12.reverse_complement": strand_by_where,
    "12.symmetrise": symmetrise_by_stack,
    "12.motif_batch": motifs_by_rows,
    "12.context_span": lambda lengths: sum(lengths) - len(lengths) + 1,
    "12.conv2d_fft": by_whole_spectra,
}

TOO_FAR = {
    "12.reverse_complement": [lambda ids: (strand_by_where(ids) + 1) % 5],
    "12.symmetrise": [
        symmetrise_off_by(1e-4, torch.float32),
        symmetrise_off_by(1e-9, torch.float64),
    ],
    "12.motif_batch": [
        motifs_with(gap=lambda length, distance, generator: distance + 1)
    ],
    "12.context_span": [lambda lengths: sum(lengths) - len(lengths) + 2],
    "12.conv2d_fft": [
        conv2d_off_by(1e-3, torch.float32),
        conv2d_off_by(1e-8, torch.float64),
    ],
}

BANK = {
    "12.reverse_complement": [
        ("complement only", table, "wrong direction"),
        ("reverse only", lambda ids: ids.flip(-1), "bases are not paired"),
        ("arithmetic", lambda ids: 3 - ids, "unknown base N was changed"),
        (
            "arithmetic, turned",
            lambda ids: (3 - ids).flip(-1),
            "unknown base N was changed",
        ),
        ("four minus", lambda ids: (4 - ids).flip(-1), "from the outside"),
        (
            "A with G",
            lambda ids: table(ids, (2, 3, 0, 1, 4)).flip(-1),
            "paired with G",
        ),
        (
            "A with C",
            lambda ids: table(ids, (1, 0, 3, 2, 4)).flip(-1),
            "neighbours in the alphabet",
        ),
        ("first axis", lambda ids: table(ids).flip(0), "rows changed places"),
        (
            "all axes",
            lambda ids: table(ids).flip(*range(ids.dim())),
            "rows changed places",
        ),
        (
            "a table of four",
            lambda ids: torch.tensor([3, 2, 1, 0])[ids].flip(-1),
            "there is a fifth letter",
        ),
        (
            "letters",
            lambda ids: "".join("TGCAN"[i] for i in ids.flatten().tolist())[::-1],
            "of type str",
        ),
        (
            "real numbers",
            lambda ids: strand_by_where(ids).double(),
            "the dtype is torch.float64",
        ),
        (
            "in place",
            lambda ids: ids.copy_(strand_by_where(ids)),
            "in place",
        ),
        ("one after another", strand_by_turns, "exchanged back"),
        (
            "A and T only",
            lambda ids: torch.where(ids % 3 == 0, 3 - ids, ids).flip(-1),
            "only A and T",
        ),
        (
            "C and G only",
            lambda ids: torch.where((ids - 1) // 2 == 0, 3 - ids, ids).flip(-1),
            "only C and G",
        ),
        ("N to A", lambda ids: (3 - ids.flip(-1)).clamp(0), "N was changed"),
        ("N to T", lambda ids: (3 - ids.flip(-1)) % 4, "N was changed"),
        ("zeros", torch.zeros_like, "every value is zero"),
        ("identity", lambda ids: ids, "nothing was done"),
        ("None", lambda ids: None, "returned None"),
    ],
    "12.symmetrise": [
        ("not mapped back", symmetrised(back=lambda x: x), "does not map back"),
        (
            "reverse only",
            symmetrised(lambda x: x.flip(1), lambda x: x.flip(1)),
            "paired bases were not swapped",
        ),
        (
            "complement only",
            symmetrised(lambda x: x.flip(2), lambda x: x.flip(2)),
            "not turned round",
        ),
        ("sums twice", symmetrised(weights=(1, 1)), "was doubled"),
        (
            "places back only",
            symmetrised(back=lambda x: x.flip(1)),
            "channels were not",
        ),
        (
            "channels back only",
            symmetrised(back=lambda x: x.flip(2)),
            "places were not",
        ),
        ("other strand only", symmetrised(weights=(0, 1)), "other strand alone"),
        ("one strand only", symmetrised(there=lambda x: x), "one strand only"),
        (
            "mixes before",
            lambda f: lambda x: f((x + rc(x)) / 2),
            "mixed before f saw them",
        ),
        ("minus", symmetrised(weights=(0.5, -0.5)), "with a minus"),
        ("calls at once", lambda f: f(torch.zeros(1, 3, 4)), "a Tensor"),
        (
            "last axes of one",
            lambda f: lambda x: (f(x) + f(x.flip(-1)[0])[None].flip(-1)) / 2,
            "differs first",
        ),
        ("no return inside", lambda f: lambda x: None, "returned None"),
        ("zeros", lambda f: torch.zeros_like, "every value is zero"),
        ("identity", lambda f: f, "came back as it was"),
        ("None", lambda f: None, "returned None"),
    ],
    "12.motif_batch": [
        ("falls off", motifs_by_scatter, "ends beyond the sequence"),
        (
            "cut off",
            motifs_with(first=lambda L, d, g: lambda: lot(L - 5, g)),
            "ends beyond the sequence",
        ),
        (
            "comes round",
            motifs_with(
                first=lambda L, d, g: lambda: lot(L - 5, g),
                write=lambda L, d, g: put_round,
            ),
            "beyond the sequence",
        ),
        (
            "shortcut",
            motifs_with(bare=True),
            "base frequencies alone predict the label",
        ),
        (
            "measured from the end",
            motifs_with(
                gap=lambda L, d, g: d + 6,
                first=lambda L, d, g: lambda: lot(L - d - 11, g),
            ),
            "start to start",
        ),
        (
            "end to start",
            motifs_with(gap=lambda L, d, g: d - 6),
            "start to start",
        ),
        (
            "one late",
            motifs_with(
                gap=lambda L, d, g: d + 1,
                first=lambda L, d, g: lambda: lot(L - d - 6, g),
            ),
            "one place late",
        ),
        (
            "changed places",
            motifs_with(
                first=lambda L, d, g: lambda: d + lot(L - d - 5, g),
                gap=lambda L, d, g: -d,
            ),
            "changed places",
        ),
        (
            "one place",
            motifs_with(
                first=lambda L, d, g: lambda: 3,
            ),
            "begins at the same place",
        ),
        (
            "biased",
            motifs_with(label=lambda L, d, g: lambda: int(lot(3, g) > 0)),
            "a constant guess wins",
        ),
        (
            "all pairs",
            motifs_with(
                pair=lambda L, d, g: lambda y, first, second: (first, first + d),
            ),
            "label 0, but the pair stands",
        ),
        (
            "the other order",
            motifs_with(
                pair=lambda L, d, g: lambda y, *two: two if y else sorted(two)[::-1],
            ),
            "the order tells the label",
        ),
        (
            "always one more",
            motifs_with(
                first=lambda L, d, g: lambda: lot(L - d - 6, g),
                pair=lambda L, d, g: lambda y, first, _: (first, first + d + 1 - y),
            ),
            "16 places on, and nowhere else",
        ),
        (
            "never farther",
            motifs_with(
                pair=lambda L, d, g: (
                    lambda y, first, second: (
                        (first, second if y else first + lot(d, g, 6))
                    )
                ),
            ),
            "the motifs are nearer",
        ),
        (
            "always farther",
            motifs_with(
                first=lambda L, d, g: lambda: lot(L - d - 6, g),
                pair=lambda L, d, g: (
                    lambda y, first, second: (
                        (first, second if y else first + lot(L - 5 - first, g, d + 1))
                    )
                ),
            ),
            "the motifs are farther",
        ),
        (
            "labels swapped",
            motifs_then(lambda ids, labels: (ids, 1 - labels)),
            "label 1, but no second motif",
        ),
        (
            "empty background",
            motifs_with(background=lambda L, d, g: lambda row, y: [0] * len(row)),
            "of all bases are A",
        ),
        (
            "other background",
            motifs_with(
                background=lambda L, d, g: (
                    lambda row, y: row if y else [base % 3 for base in row]
                )
            ),
            "base frequencies alone predict the label",
        ),
        ("global draw", motifs_globally, "equal seeds gave different numbers"),
        ("reseeds", motifs_reseeded, "two draws from one generator"),
        (
            "letters",
            motifs_then(lambda ids, labels: (ids + 4, labels)),
            "bases are 0 to 3",
        ),
        (
            "yes and no",
            motifs_then(lambda ids, labels: (ids, labels == 1)),
            "ids are whole numbers",
        ),
        ("no labels", motifs_then(lambda ids, labels: ids), "is not the pair"),
        (
            "labels in the rows",
            motifs_then(
                lambda ids, labels: (torch.cat([ids, labels[:, None]], 1), labels)
            ),
            "not length",
        ),
        (
            "zeros",
            motifs_then(lambda ids, labels: (0 * ids, 0 * labels)),
            "two draws from one generator",
        ),
        ("identity", lambda *sizes, generator: sizes, "is not the pair"),
        ("None", lambda *sizes, generator: None, "returned None"),
    ],
    "12.context_span": [
        ("product", math.prod, "do not multiply"),
        ("maximum", lambda lengths: max([1, *lengths]), "further than the longest"),
        ("plain sum", sum, "the present is shared"),
        (
            "nothing of nothing",
            lambda lengths: sum(lengths) - len(lengths) + (lengths != []),
            "with no filter at all",
        ),
        (
            "without the present",
            lambda lengths: sum(lengths) - len(lengths),
            "the present is missing",
        ),
        ("plus one", lambda lengths: sum(lengths) + 1, "one input too many"),
        ("the last", lambda lengths: [1, *lengths][-1], "only the last filter"),
        ("the first", lambda lengths: [*lengths, 1][0], "only the first filter"),
        (
            "all alike",
            lambda lengths: 1 + len(lengths) * ([*lengths, 1][0] - 1),
            "the filters may differ",
        ),
        (
            "crashes",
            lambda lengths: reduce(lambda a, b: a + b - 1, lengths),
            "stopped with TypeError",
        ),
        (
            "real",
            lambda lengths: float(sum(lengths) - len(lengths) + 1),
            "of type float",
        ),
        ("zeros", lambda lengths: 0, "every value is zero"),
        ("identity", lambda lengths: lengths, "of type list"),
        ("None", lambda lengths: None, "returned None"),
    ],
    "12.conv2d_fft": [
        ("torch's own", by_torch, "the work grows as pixels times taps"),
        (
            "pads columns only",
            lambda x, f: spectra(x, f, (x.shape[-2], 2 * x.shape[-1])),
            "last rows wrapped to the top",
        ),
        (
            "pads rows only",
            lambda x, f: spectra(x, f, (2 * x.shape[-2], x.shape[-1])),
            "last columns wrapped",
        ),
        ("pads nothing", lambda x, f: spectra(x, f, sides(x)), "no room at all"),
        (
            "one short",
            lambda x, f: spectra(x, f, [n - 1 for n in room(x, f)]),
            "one short",
        ),
        (
            "no size for the way back",
            lambda x, f: spectra(x, f, room(x, f), told=False),
            "was not told the size",
        ),
        (
            "the last rows",
            lambda x, f: spectra(x, f, room(x, f), crop=False)[
                ..., -x.shape[-2] :, -x.shape[-1] :
            ],
            "the last H rows",
        ),
        (
            "added",
            lambda x, f: x + spectra(torch.ones(1, 1).to(f), f, sides(x), crop=False),
            "the spectra were added",
        ),
        ("end to end", end_to_end, "the filter's rows were laid end to end"),
        ("flattens", as_line, "a pixel leaked from one row's end"),
        (
            "centred",
            lambda x, f: spectra(x, f, [2 * n for n in sides(x)], crop=False)[
                ...,
                len(f) // 2 : len(f) // 2 + x.shape[-2],
                f.shape[1] // 2 : f.shape[1] // 2 + x.shape[-1],
            ],
            "moved by half a filter",
        ),
        (
            "keeps all",
            lambda x, f: spectra(x, f, [2 * n for n in sides(x)], crop=False),
            "tail and zeros",
        ),
        (
            "keeps the tail",
            lambda x, f: spectra(x, f, room(x, f), crop=False),
            "the tail is still there",
        ),
        (
            "correlation",
            lambda x, f: conv2d(
                pad(
                    x.reshape(-1, 1, *sides(x)),
                    (0, f.shape[1] - 1, 0, len(f) - 1),
                ),
                f[None, None],
            ).reshape(x.shape),
            "this is correlation",
        ),
        (
            "not flipped",
            lambda x, f: by_torch(x, f.flip(0, 1)),
            "the filter is turned round",
        ),
        ("magnitude", lambda x, f: by_torch(x, f).abs(), "turned positive"),
        (
            "in place of spectra",
            lambda x, f: (
                x * pad(f, (0, x.shape[-1] - f.shape[1], 0, x.shape[-2] - len(f)))
            ),
            "multiply the spectra",
        ),
        (
            "first row of the filter",
            lambda x, f: by_torch(x, f[:1]),
            "only the rows were filtered",
        ),
        ("slowly", by_shifts, "the right numbers, and slowly"),
        (
            "a spectrum",
            lambda x, f: torch.fft.fft2(x),
            "the dtype is torch.complex64",
        ),
        ("twice", lambda x, f: 2 * by_torch(x, f), "constant factor"),
        ("zeros", lambda x, f: torch.zeros_like(x), "every value is zero"),
        ("identity", lambda x, f: x, "this is the picture itself"),
        ("None", lambda x, f: None, "returned None"),
    ],
}
