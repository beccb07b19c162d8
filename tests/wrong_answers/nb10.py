"""Wrong answers to the exercises of notebook 10, and right ones written otherwise."""

import math
import statistics
import time

import numpy as np
import torch
from torch.nn.functional import conv1d, pad

# ---- time_fn


def times(fn, repeats, warmup, clock, sync):
    for _ in range(warmup):
        fn()
    spent = []
    for _ in range(repeats):
        sync()
        start = clock()
        fn()
        sync()
        spent.append(clock() - start)
    return spent


def joined(join):
    """A time_fn that makes its number of the times in another way."""
    return lambda fn, *, repeats, warmup, clock, sync: join(
        times(fn, repeats, warmup, clock, sync)
    )


def time_by_marks(fn, *, repeats, warmup, clock, sync):
    """Right: the end of one call is the start of the next."""
    for _ in range(warmup):
        fn()
    sync()
    marks = [clock()]
    for _ in range(repeats):
        fn()
        sync()
        marks.append(clock())
    return statistics.median(np.diff(marks).tolist())


def time_without_warmup(fn, *, repeats, warmup, clock, sync):
    return statistics.median(times(fn, repeats, 0, clock, sync))


def time_without_sync(fn, *, repeats, warmup, clock, sync):
    return statistics.median(times(fn, repeats, warmup, clock, lambda: None))


def time_with_late_sync(fn, *, repeats, warmup, clock, sync):
    spent = []
    for _ in range(warmup + repeats):
        start = clock()
        fn()
        stop = clock()
        sync()
        spent.append(stop - start)
    return statistics.median(spent[warmup:])


def time_from_a_busy_device(fn, *, repeats, warmup, clock, sync):
    for _ in range(warmup):
        fn()
    spent = []
    for _ in range(repeats):
        start = clock()
        fn()
        sync()
        spent.append(clock() - start)
    return statistics.median(spent)


def time_of_the_warmup_too(fn, *, repeats, warmup, clock, sync):
    return statistics.median(times(fn, repeats + warmup, 0, clock, sync))


def time_in_one_go(fn, *, repeats, warmup, clock, sync):
    for _ in range(warmup):
        fn()
    sync()
    start = clock()
    for _ in range(repeats):
        fn()
    sync()
    return (clock() - start) / repeats


def time_by_another_clock(fn, *, repeats, warmup, clock, sync):
    return statistics.median(times(fn, repeats, warmup, time.perf_counter, sync))


def time_with_one_more(fn, *, repeats, warmup, clock, sync):
    return statistics.median(times(fn, repeats, warmup + 1, clock, sync))


def time_backwards(fn, *, repeats, warmup, clock, sync):
    return -statistics.median(times(fn, repeats, warmup, clock, sync))


# ---- fit_exponent


def logs(lengths, seconds):
    return np.log(np.asarray(lengths, float)), np.log(np.asarray(seconds, float))


def true_exponent(lengths, seconds):
    return float(np.polyfit(*logs(lengths, seconds), 1)[0])


def slopes(lengths, seconds):
    x, y = logs(lengths, seconds)
    return np.diff(y) / np.diff(x)


def ratio_of_logs(lengths, seconds):
    x, y = logs(lengths, seconds)
    return float(np.mean(y / x))


def through_the_origin(lengths, seconds):
    x, y = logs(lengths, seconds)
    return float(x @ y / (x @ x))


def correlation(lengths, seconds):
    return float(np.corrcoef(*logs(lengths, seconds))[0, 1])


# ---- multiplications


def counted(kind, L, D, N, **slips):
    """The right count, or with one thing in it changed by name."""
    s = {"in_and_out": N + 2, "attention": 4, "filters": N - 1, "short": 3, "gates": N}
    s |= {"scores": L * L, "mixing": L * L, "direct": L * (L + 1) / 2, "matrix": L * L}
    s |= {"n": 2 * L, "transforms": 3, "log": np.log2, "product": 4 * (L + 1), "D": D}
    s |= {name: f(L, N) for name, f in slips.items()}
    D = s["D"]
    if kind == "attention":
        return s["attention"] * D**2 * L + (s["scores"] + s["mixing"]) * D
    transformed = s["transforms"] * s["n"] * s["log"](s["n"]) + s["product"]
    long = {"direct": s["direct"], "matrix": s["matrix"], "fft": transformed}[kind]
    layer = s["in_and_out"] * D * D * L + s["short"] * (N + 1) * D * L
    return float(layer + s["gates"] * D * L + s["filters"] * D * long)


def slip(**slips):
    return lambda kind, L, D, N: counted(kind, L, D, N, **slips)


# ---- crossover


def crossover_from_the_end(lengths, a, b):
    """Right: back from the last length, as long as a is ahead."""
    found = None
    for length, one, other in reversed(list(zip(lengths, a, b, strict=True))):
        if one >= other:
            break
        found = length
    return found


def wins(lengths, a, b):
    return [n for n, s, t in zip(lengths, a, b, strict=True) if s < t]


def before(lengths, a, b):
    found = crossover_from_the_end(lengths, a, b)
    return lengths[max(lengths.index(found) - 1, 0)] if found else None


def after(lengths, a, b):
    found = crossover_from_the_end(lengths, a, b)
    return lengths[min(lengths.index(found) + 1, len(lengths) - 1)] if found else None


def crossover_with_ties(lengths, a, b):
    return crossover_from_the_end(lengths, a, [t * (1 + 1e-9) for t in b])


def in_between(lengths, a, b):
    found = crossover_from_the_end(lengths, a, b)
    if not found or found == lengths[0]:
        return found
    return (found + lengths[lengths.index(found) - 1]) / 2


# ---- unfair

DIFFER = ("length", "width", "dtype", "device", "threads", "compiled")


def unfair_by_rules(benchmark):
    """Right: a list of names, and other tests."""
    found = [name for name in DIFFER if len(set(benchmark[name])) > 1]
    found += ["warmup"] * (min(benchmark["warmup"]) < 1)
    for device, waits in zip(*(benchmark[n] for n in ("device", "sync")), strict=True):
        if device != "cpu" and not waits and "sync" not in found:
            found.append("sync")
    return found


def all_but(*names):
    return lambda benchmark: set(unfair_by_rules(benchmark)) - set(names)


def also(name, rule):
    return lambda benchmark: (
        set(unfair_by_rules(benchmark)) | ({name} if rule(benchmark[name]) else set())
    )


def changes_the_benchmark(benchmark):
    return {name for name in list(benchmark) if benchmark.pop(name)[0] is None}


# ---- conv_chunked


def chunked_by_matrix(u, h, chunk):
    """Right: each block by a table, its rows as many as its tail needs."""
    taps, length = h.shape[-1], u.shape[-1]
    y = torch.zeros(len(u), length + chunk + taps, dtype=u.dtype)
    for start in range(0, length, chunk):
        block = u[:, start : start + chunk]
        steps = torch.arange(block.shape[1] + taps - 1)
        lag = steps[:, None] - torch.arange(block.shape[1])
        table = h[:, lag.clamp(0, taps - 1)] * ((lag >= 0) & (lag < taps))
        y[:, start : start + len(steps)] += (table @ block[..., None])[..., 0]
    return y[:, :length]


def whole(u, h, chunk=0):
    n = u.shape[-1] + h.shape[-1] - 1
    return torch.fft.irfft(torch.fft.rfft(u, n) * torch.fft.rfft(h, n), n)


def all_at_once(u, h, chunk):
    return whole(u, h)[:, : u.shape[1]]


def by_blocks(size, keep=None, *, add=True, whole_only=False, cut=True):
    """Overlap-add with an FFT of size(chunk, taps), keeping `keep` steps of each."""

    def convolve(u, h, chunk):
        length, taps = u.shape[-1], h.shape[-1]
        n = max(size(chunk, taps), 1)
        y = torch.zeros(len(u), length + n + taps, dtype=u.dtype)
        last = length - chunk + 1 if whole_only else length
        for start in range(0, last, chunk):
            block = u[:, start : start + chunk]
            made = torch.fft.irfft(torch.fft.rfft(block, n) * torch.fft.rfft(h, n), n)
            made = made[:, : keep(chunk)] if keep else made
            part = slice(start, start + made.shape[1])
            y[:, part] = y[:, part] + made if add else made
        return y[:, : length if cut else length + taps - 1]

    return convolve


def full_size(chunk, taps):
    return chunk + taps - 1


def chunked_in_place(u, h, chunk):
    y = chunked_by_matrix(u, h, chunk)
    u.copy_(y)
    return y


def chunked_centred(u, h, chunk):
    padded = pad(u, (0, h.shape[1] - 1))
    return conv1d(padded[None], h[:, None], groups=len(h))[0]


ALSO_RIGHT = {
    "10.time_fn": time_by_marks,
    "10.fit_exponent": true_exponent,
    "10.multiplications": counted,
    "10.crossover": crossover_from_the_end,
    "10.unfair": unfair_by_rules,
    "10.conv_chunked": chunked_by_matrix,
}


def off_by(amount, dtype):
    """Right but for `amount`, in one precision only."""
    return lambda u, *rest: chunked_by_matrix(u, *rest) + amount * (u.dtype == dtype)


# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "10.time_fn": [joined(lambda spent: statistics.median(spent) + 1e-4)],
    "10.fit_exponent": [lambda *args: true_exponent(*args) + 2e-4],
    "10.multiplications": [lambda *args: counted(*args) + 1],
    "10.crossover": [lambda *args: crossover_from_the_end(*args) or args[0][-1]],
    "10.unfair": [all_but("sync"), also("repeats", lambda pair: 1 in pair)],
    "10.conv_chunked": [
        off_by(1e-4, torch.float32),
        off_by(1e-9, torch.float64),
        all_at_once,
    ],
}

BANK = {
    "10.time_fn": [
        ("no warm-up", time_without_warmup, "the first call's set-up was timed"),
        ("mean", joined(statistics.fmean), "one stall of 1 s moved the result"),
        (
            "mean, no warm-up",
            lambda fn, *, repeats, warmup, clock, sync: statistics.fmean(
                times(fn, repeats, 0, clock, sync)
            ),
            "and it moved the mean",
        ),
        (
            "mean, no sync",
            lambda fn, *, repeats, warmup, clock, sync: statistics.fmean(
                times(fn, repeats, warmup, clock, lambda: None)
            ),
            "and a mean was taken",
        ),
        ("no sync", time_without_sync, "the clock stopped before the device did"),
        ("late sync", time_with_late_sync, "the clock stopped before the device did"),
        ("in one go", time_in_one_go, "all calls were timed in one go"),
        ("a busy device", time_from_a_busy_device, "the warm-up was still running"),
        ("warm-up timed", time_of_the_warmup_too, "the warm-up was timed, too"),
        ("sum", joined(sum), "all repeats together"),
        ("minimum", joined(min), "the luckiest call"),
        ("maximum", joined(max), "the unluckiest call"),
        ("first", joined(lambda spent: spent[0]), "only the first"),
        ("last", joined(lambda spent: spent[-1]), "only the last"),
        ("not sorted", joined(lambda s: s[len(s) // 2]), "sort first"),
        ("another clock", time_by_another_clock, "never read"),
        ("one call more", time_with_one_more, "the time is right, but fn ran"),
        ("backwards", time_backwards, "constant factor"),
        (
            "milliseconds",
            joined(lambda spent: 1000 * statistics.median(spent)),
            "constant factor",
        ),
        ("all times", joined(list), "of type list"),
        (
            "the time of day",
            lambda fn, *, repeats, warmup, clock, sync: (fn(), clock())[1],
            "the value is",
        ),
        (
            "never calls it",
            lambda fn, *, repeats, warmup, clock, sync: clock() - clock(),
            "fn never ran",
        ),
        (
            "times its argument",
            lambda fn, *, repeats, warmup, clock, sync: fn(repeats),
            "TypeError",
        ),
        ("zeros", lambda fn, **options: 0.0, "fn never ran"),
        ("identity", lambda fn, **options: fn, "fn never ran"),
        ("None", joined(lambda spent: None), "returned None"),
    ],
    "10.fit_exponent": [
        ("no logs", lambda L, s: np.polyfit(L, s, 1)[0], "raw times"),
        (
            "one log",
            lambda L, s: np.polyfit(L, np.log(s), 1)[0],
            "only the times have one",
        ),
        (
            "the other log",
            lambda L, s: np.polyfit(np.log(L), s, 1)[0],
            "only the lengths have one",
        ),
        (
            "two points",
            lambda L, s: math.log(s[-1] / s[0]) / math.log(L[-1] / L[0]),
            "one noisy end moved the slope",
        ),
        (
            "neighbours",
            lambda L, s: float(slopes(L, s).mean()),
            "between neighbours",
        ),
        ("ratio of logs", ratio_of_logs, "depends on the unit"),
        ("no constant", through_the_origin, "forced through the origin"),
        (
            "turned round",
            lambda L, s: float(np.polyfit(*logs(L, s)[::-1], 1)[0]),
            "exchanged",
        ),
        ("rounded", lambda *args: float(round(true_exponent(*args))), "do not round"),
        (
            "the constant",
            lambda L, s: float(np.polyfit(*logs(L, s), 1)[1]),
            "the constant c",
        ),
        (
            "log2 and ln",
            lambda L, s: float(np.polyfit(np.log2(L), np.log(s), 1)[0]),
            "two different logarithms",
        ),
        ("correlation", correlation, "the correlation"),
        (
            "a robust slope",
            lambda *args: float(np.median(slopes(*args))),
            "the value is",
        ),
        ("doubled", lambda *args: 2 * true_exponent(*args), "constant factor"),
        ("one too many", lambda *args: true_exponent(*args) + 1, "same amount"),
        (
            "both numbers",
            lambda L, s: torch.tensor(np.polyfit(*logs(L, s), 1)),
            "of type Tensor, not float",
        ),
        ("two, always", lambda L, s: 2.0, "the value is"),
        ("zeros", lambda L, s: 0.0, "every value is zero"),
        ("identity", lambda L, s: s, "of type list"),
        ("None", lambda L, s: None, "returned None"),
    ],
    "10.multiplications": [
        (
            "no projections",
            slip(in_and_out=lambda L, N: 0, attention=lambda L, N: 0),
            "at small L the D² terms dominate",
        ),
        (
            "only what grows",
            slip(
                in_and_out=lambda L, N: 0,
                attention=lambda L, N: 0,
                short=lambda L, N: 0,
                gates=lambda L, N: 0,
            ),
            "only the long part",
        ),
        ("nothing leads out", slip(in_and_out=lambda L, N: N + 1), "one back out"),
        ("N projections", slip(in_and_out=lambda L, N: N), "one leads back out"),
        ("three for attention", slip(attention=lambda L, N: 3), "four projections"),
        ("no short one", slip(short=lambda L, N: 0), "short convolution is missing"),
        ("no gates", slip(gates=lambda L, N: 0), "the gates are missing"),
        (
            "unpadded",
            slip(n=lambda L, N: L, product=lambda L, N: 4 * (L // 2 + 1)),
            "the FFT runs at length 2L",
        ),
        ("one FFT", slip(transforms=lambda L, N: 1), "forward twice, back once"),
        ("two FFTs", slip(transforms=lambda L, N: 2), "the way back is missing"),
        (
            "no product",
            slip(product=lambda L, N: 0),
            "product of the two spectra is missing",
        ),
        ("natural logarithm", slip(log=lambda L, N: np.log), "base 2"),
        ("N filters", slip(filters=lambda L, N: N), "one fewer than gates"),
        ("one filter", slip(filters=lambda L, N: 1), "only one long convolution"),
        ("all of the past", slip(direct=lambda L, N: L * L), "reads t + 1 inputs"),
        (
            "not itself",
            slip(direct=lambda L, N: L * (L - 1) / 2),
            "its own input, too",
        ),
        (
            "half a matrix",
            slip(matrix=lambda L, N: L * (L + 1) / 2),
            "the zeros above the diagonal",
        ),
        (
            "half a square",
            slip(
                scores=lambda L, N: L * (L + 1) / 2,
                mixing=lambda L, N: L * (L + 1) / 2,
            ),
            "the whole square",
        ),
        ("no mixing", slip(mixing=lambda L, N: 0), "must be made, and then applied"),
        ("one channel", lambda kind, L, D, N: counted(kind, L, 1, N), "one channel"),
        ("additions too", lambda *args: 2 * counted(*args), "additions"),
        (
            "a matrix for each step",
            slip(matrix=lambda L, N: L**3),
            "only the kind 'matrix'",
        ),
        ("offset", lambda *args: counted(*args) + 1, "off by the same"),
        ("the names", lambda kind, L, D, N: kind, "of type str"),
        (
            "another word",
            lambda kind, *sizes: counted({"fft": "FFT"}.get(kind, kind), *sizes),
            "KeyError",
        ),
        ("zeros", lambda kind, L, D, N: 0, "every value is zero"),
        ("identity", lambda kind, L, D, N: (kind, L, D, N), "of type tuple"),
        ("None", lambda kind, L, D, N: None, "returned None"),
    ],
    "10.crossover": [
        (
            "first win",
            lambda L, a, b: next(
                (n for n, s, t in zip(L, a, b, strict=True) if s <= t), None
            ),
            "noise",
        ),
        ("first sure win", lambda *args: next(iter(wins(*args)), None), "noise"),
        ("one early", before, "a is still behind"),
        ("one late", after, "one length earlier already"),
        (
            "always answers",
            lambda *args: crossover_from_the_end(*args) or args[0][-1],
            "a never stays ahead",
        ),
        (
            "answers the first",
            lambda *args: crossover_from_the_end(*args) or args[0][0],
            "a never stays ahead",
        ),
        (
            "a place",
            lambda *args: (
                args[0].index(found)
                if (found := crossover_from_the_end(*args))
                else None
            ),
            "a place in the list",
        ),
        (
            "exchanged",
            lambda L, a, b: crossover_from_the_end(L, b, a),
            "the two are exchanged",
        ),
        ("ties", crossover_with_ties, "a tie is no lead"),
        ("the last win", lambda *args: (wins(*args) or [None])[-1], "the last length"),
        (
            "the last change",
            lambda L, a, b: next(
                (
                    L[i]
                    for i in range(len(L) - 1, 0, -1)
                    if (a[i] < b[i]) != (a[i - 1] < b[i - 1])
                ),
                None,
            ),
            "the last change of the lead",
        ),
        ("in between", in_between, "none of the lengths"),
        ("never", lambda L, a, b: None if len(L) else 0, "None was returned"),
        ("a list", lambda *args: [crossover_from_the_end(*args)], "of type list"),
        ("wrong type", lambda *args: str(crossover_from_the_end(*args)), "of type str"),
        (
            "a truth",
            lambda *args: crossover_from_the_end(*args) is not None,
            "of type bool",
        ),
        ("crashes", lambda L, a, b: L[(a < b).argmax()], "stopped with"),
        ("zeros", lambda L, a, b: 0, "none of the lengths"),
        ("identity", lambda L, a, b: L, "of type list"),
        ("None", lambda L, a, b: None, "None was returned"),
    ],
    "10.unfair": [
        ("flags all", lambda benchmark: set(benchmark), "equal seeds are not"),
        ("flags none", lambda benchmark: set(), "ran at different lengths"),
        ("flags style", lambda benchmark: {"repeats"}, "imprecise, not unfair"),
        (
            "whatever differs",
            lambda benchmark: {n for n, (s, t) in benchmark.items() if s != t},
            "nor are different ones",
        ),
        (
            "different repeats",
            also("repeats", lambda pair: pair[0] != pair[1]),
            "imprecise, not unfair",
        ),
        ("width forgotten", all_but("width"), "different widths"),
        ("dtype forgotten", all_but("dtype"), "half the digits"),
        ("threads forgotten", all_but("threads"), "more threads"),
        ("no warm-up", all_but("warmup"), "set-up is timed"),
        (
            "one side's warm-up",
            lambda benchmark: (
                set(unfair_by_rules(benchmark)) - {"warmup"}
                | ({"warmup"} if benchmark["warmup"][0] == 0 else set())
            ),
            "set-up is timed",
        ),
        (
            "other warm-ups",
            also("warmup", lambda pair: pair[0] != pair[1]),
            "both sides have had their set-up",
        ),
        ("compiled forgotten", all_but("compiled"), "only one side was compiled"),
        ("compiling at all", also("compiled", any), "both sides were compiled"),
        ("no waiting", all_but("sync"), "no sync, no time"),
        (
            "waiting on a CPU",
            also("sync", lambda pair: not all(pair)),
            "there is nothing to wait for",
        ),
        (
            "unequal waiting",
            also("sync", lambda pair: pair[0] != pair[1]),
            "there is nothing to wait for",
        ),
        ("device forgotten", all_but("device"), "different devices"),
        (
            "one thread",
            also("threads", lambda pair: 1 in pair),
            "both sides had the same threads",
        ),
        ("own words", lambda benchmark: {"no seed"}, "none of the names"),
        ("a word", lambda benchmark: "length", "of type str"),
        ("in place", changes_the_benchmark, "ran at different lengths"),
        ("wrong key", lambda benchmark: {benchmark["lenght"]}, "KeyError"),
        ("zeros", lambda benchmark: 0, "of type int"),
        ("identity", lambda benchmark: benchmark, "of type dict"),
        ("None", lambda benchmark: None, "returned None"),
    ],
    "10.conv_chunked": [
        ("no tails", by_blocks(full_size, lambda c: c), "forgets the one before"),
        ("written over", by_blocks(full_size, add=False), "forgets the one before"),
        (
            "wraps in the block",
            by_blocks(lambda c, k: c, lambda c: c),
            "FFT size must be chunk + K − 1",
        ),
        (
            "wraps, long filters",
            by_blocks(max),
            "FFT size must be chunk + K − 1",
        ),
        ("one too short", by_blocks(lambda c, k: c + k - 2), "one value comes round"),
        ("keeps overhang", by_blocks(full_size, cut=False), "length exceeds L"),
        (
            "short tails",
            by_blocks(full_size, lambda c: 2 * c),
            "ends in the next block",
        ),
        ("last block lost", by_blocks(full_size, whole_only=True), "was left out"),
        (
            "one late",
            lambda u, h, c: pad(chunked_by_matrix(u, h, c), (1, 0))[:, :-1],
            "one step late",
        ),
        (
            "correlation",
            lambda u, h, c: chunked_by_matrix(u, h.flip(-1), c),
            "the wrong way round",
        ),
        (
            "a short filter",
            lambda u, h, c: chunked_by_matrix(u, h[:, :c], c),
            "cut to a block",
        ),
        ("all at once", all_at_once, "piece by piece"),
        ("centred", chunked_centred, "sees the future"),
        ("not padded", lambda u, h, c: h[:, :1] * u, "differs first"),
        ("in place", chunked_in_place, "in place"),
        ("doubled", lambda *args: 2 * chunked_by_matrix(*args), "constant factor"),
        ("single", lambda *args: chunked_by_matrix(*args).float(), "dtype"),
        ("wrong shape", lambda *args: chunked_by_matrix(*args)[None], "the shape is"),
        ("zeros", lambda u, h, c: torch.zeros_like(u), "every value is zero"),
        ("identity", lambda u, h, c: u.clone(), "differs first"),
        ("None", lambda u, h, c: None, "returned None"),
    ],
}
