"""Wrong answers to the exercises of notebook 08, and right ones written otherwise."""

from dataclasses import replace

import torch
from torch import nn

from minihyena import HyenaConfig, ImplicitConfig

# ---- recall_batch


def lot(high, shape, generator):
    return torch.randint(high, shape, generator=generator)


def recall(n, length, n_keys, n_values, *, generator, **slips):
    """Recall as asked for, or with one thing in it changed by name."""
    steps = {
        "values": lambda: n_keys + lot(n_values, (n, n_keys), generator),
        "keys": lambda: lot(n_keys, (n, length // 2), generator),
        "found": lambda values, keys: values.gather(1, keys),
        "query": lambda keys: keys.gather(1, lot(length // 2, (n, 1), generator)),
        "answer": lambda values, query: values.gather(1, query)[:, 0],
        "row": lambda pairs, query, answer: torch.cat([pairs, query], 1),
    } | slips
    values, keys = steps["values"](), steps["keys"]()
    query = steps["query"](keys)
    found = steps["found"](values, keys)
    pairs = torch.stack([keys, found], 2).flatten(1)
    answer = steps["answer"](values, query)
    return steps["row"](pairs, query, answer), answer


def recall_with(**makers):
    """A recall_batch with slips; each is made from (n, length, K, V, generator)."""

    def slipped(n, length, n_keys, n_values, *, generator):
        sizes = n, length, n_keys, n_values
        slips = {name: make(*sizes, generator) for name, make in makers.items()}
        return recall(*sizes, generator=generator, **slips)

    return slipped


def recall_by_loops(n, length, n_keys, n_values, *, generator):
    """Right: row after row, the query from the keys that occurred."""
    rows, answers = [], []
    for _ in range(n):
        value_of = (n_keys + lot(n_values, (n_keys,), generator)).tolist()
        keys = lot(n_keys, (length // 2,), generator).tolist()
        present = sorted(set(keys))
        query = present[lot(len(present), (1,), generator).item()]
        prompt = [token for key in keys for token in (key, value_of[key])]
        rows.append([*prompt, query])
        answers.append(value_of[query])
    return torch.tensor(rows), torch.tensor(answers)


def recall_reseeded(*sizes, generator):
    return recall(*sizes, generator=generator.manual_seed(0))


def recall_globally(*sizes, generator):
    return recall(*sizes, generator=torch.default_generator)


def recall_own_generator(*sizes, generator):
    return recall(*sizes, generator=torch.Generator().manual_seed(3))


def rarely_unasked(*sizes, generator):
    """Nearly right: one answer in a hundred is another value."""
    inputs, answers = recall(*sizes, generator=generator)
    n, _, n_keys, n_values = sizes
    other = n_keys + (answers - n_keys + 1) % n_values
    return inputs, torch.where(torch.arange(n) % 100 == 15, other, answers)


# ---- majority_batch


def counts_of(x, vocab):
    return nn.functional.one_hot(x, vocab).sum(1)


def majority_by_loops(n, length, vocab, *, generator):
    """Right: one row at a time, until it has a winner."""
    rows, answers = [], []
    while len(rows) < n:
        row = lot(vocab, (length,), generator).tolist()
        ranked = sorted(range(vocab), key=row.count, reverse=True)
        if row.count(ranked[0]) > row.count(ranked[1]):
            rows.append(row)
            answers.append(ranked[0])
    return torch.tensor(rows), torch.tensor(answers)


def majority_with_ties(n, length, vocab, *, generator):
    x = lot(vocab, (n, length), generator)
    return x, x.mode(-1).values


def majority_biased(n, length, vocab, *, generator):
    """Token 0 wins in six of ten rows."""
    x, y = majority_by_loops(3 * n + 20, length, vocab, generator=generator)
    zero = (y == 0).nonzero().flatten()
    others = (y != 0).nonzero().flatten()
    some = torch.rand(n, generator=generator) < 0.4
    rows = [(others if s else zero)[i % len(zero)] for i, s in enumerate(some)]
    rows = torch.stack(rows)
    return x[rows], y[rows]


def majority_told_at(place):
    def told(n, length, vocab, *, generator):
        x, y = majority_by_loops(n, length, vocab, generator=generator)
        for row, winner in zip(x, y, strict=True):
            at = (row == winner).nonzero()[0, 0].item()
            row[at], row[place] = row[place].item(), winner
        return x, y

    return told


def majority_then(change):
    def changed(n, length, vocab, *, generator):
        x, y = majority_by_loops(n, length, vocab, generator=generator)
        return change(x, y, vocab)

    return changed


def majority_reseeded(n, length, vocab, *, generator):
    again = torch.Generator().manual_seed(0)
    return majority_by_loops(n, length, vocab, generator=again)


def majority_globally(n, length, vocab, *, generator):
    return majority_by_loops(n, length, vocab, generator=torch.default_generator)


# ---- chance


def asked(labels):
    return labels[labels != -100]


def chance_by_unique(labels):
    counts = asked(labels).unique(return_counts=True)[1]
    return (counts.max() / counts.sum()).item()


# ---- accuracy


def right(logits, y):
    return (logits.argmax(-1) == y).float()


def accuracy_by_weights(logits, targets, mask):
    best = logits.max(-1).indices.eq(targets)
    return ((best & mask).sum() / mask.sum()).item()


def accuracy_off(dtype):
    """Right, but for ten tolerances in one precision."""
    return lambda logits, *args: (
        accuracy_by_weights(logits, *args) + 1e-4 * (logits.dtype == dtype)
    )


def mean_of_means(logits, y, mask):
    rows = [
        right(x[None], t)[0][m].mean() for x, t, m in zip(logits, y, mask, strict=True)
    ]
    return torch.stack(rows).mean().item()


# ---- leaky_positions


def leaky_by_sets(inputs, targets):
    places = set(range(inputs.shape[1]))
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        places -= {t for t in places if row[t] != target}
    return places


def same(inputs, targets):
    return inputs == targets[:, None]


def places(mask):
    return mask.nonzero().flatten().tolist()


# ---- match_width


def trained(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def width_by_distance(build, target, widths):
    misses = torch.tensor([trained(build(w)) - target for w in widths])
    return widths[misses.abs().argmin().item()]


def width_by(size):
    """The nearest width by another size."""
    return lambda build, target, widths: min(
        widths, key=lambda w: abs(size(build(w)) - target)
    )


def bound(build, target, widths, above):
    sizes = {w: trained(build(w)) for w in widths}
    if above:
        return next((w for w in widths if sizes[w] >= target), widths[-1])
    return next((w for w in reversed(widths) if sizes[w] <= target), widths[0])


# ---- ablate


def ablated(config, **changes):
    """As asked for, or with other changes under one of the names (x for a space)."""
    window = {"filter": replace(config.filter, window=False)}
    found = {
        "no gate": {"gated": False},
        "no window": window,
        "no short convolution": {"short_taps": 1},
    } | {name.replace("_", " "): change for name, change in changes.items()}
    return {name: replace(config, **fields) for name, fields in found.items()}


def ablate_by_constructor(config):
    """Right: every field written out."""
    kept = vars(config)
    inner = vars(config.filter) | {"window": False}
    return {
        "no short convolution": HyenaConfig(**kept | {"short_taps": 1}),
        "no window": HyenaConfig(**kept | {"filter": ImplicitConfig(**inner)}),
        "no gate": HyenaConfig(**kept | {"gated": False}),
    }


ALSO_RIGHT = {
    "08.recall_batch": recall_by_loops,
    "08.majority_batch": majority_by_loops,
    "08.chance": chance_by_unique,
    "08.accuracy": accuracy_by_weights,
    "08.leaky_positions": leaky_by_sets,
    "08.match_width": width_by_distance,
    "08.ablate": ablate_by_constructor,
}

TOO_FAR = {
    "08.recall_batch": [rarely_unasked],
    "08.majority_batch": [majority_then(lambda x, y, v: (x, y.where(y < 9, 0) * 0))],
    "08.chance": [lambda labels: chance_by_unique(labels) + 1e-4],
    "08.accuracy": [accuracy_off(torch.float32), accuracy_off(torch.float64)],
    "08.leaky_positions": [lambda *args: leaky_by_sets(*args) | {0}],
    "08.match_width": [lambda *args: width_by_distance(*args) + 1],
    "08.ablate": [lambda config: ablated(config, no_gate={"gated": True})],
}

BANK = {
    "08.recall_batch": [
        (
            "answer shown",
            recall_with(
                row=lambda *_: lambda pairs, q, a: torch.cat([pairs, q, a[:, None]], 1)
            ),
            "right after the query",
        ),
        (
            "two answers",
            recall_with(
                found=lambda n, L, K, V, g: (
                    lambda values, keys: K + lot(V, keys.shape, g)
                )
            ),
            "one key has two values",
        ),
        (
            "unasked key",
            recall_with(query=lambda n, L, K, V, g: lambda keys: lot(K, (n, 1), g)),
            "the query never occurred",
        ),
        ("global draw", recall_globally, "equal seeds gave different numbers"),
        ("reseeds", recall_reseeded, "two draws from one generator were identical"),
        ("own generator", recall_own_generator, "two draws from one generator"),
        (
            "one map for all",
            recall_with(
                values=lambda n, L, K, V, g: (
                    lambda: (K + lot(V, (1, K), g)).expand(n, K)
                )
            ),
            "same value in every example",
        ),
        (
            "always the last",
            recall_with(query=lambda *_: lambda keys: keys[:, -1:]),
            "always the key of pair 2",
        ),
        (
            "always the first",
            recall_with(query=lambda *_: lambda keys: keys[:, :1]),
            "always the key of pair 0",
        ),
        (
            "keys in order",
            recall_with(
                keys=lambda n, L, K, V, g: (
                    lambda: (torch.arange(L // 2) % K).expand(n, L // 2)
                )
            ),
            "the same key in every example",
        ),
        (
            "shared ids",
            recall_with(values=lambda n, L, K, V, g: lambda: lot(V, (n, K), g)),
            "keys and values share ids",
        ),
        (
            "a value too many",
            recall_with(values=lambda n, L, K, V, g: lambda: K + lot(V + 1, (n, K), g)),
            "is too large",
        ),
        (
            "answers the key",
            recall_with(answer=lambda *_: lambda values, query: query[:, 0]),
            "the answer is the query itself",
        ),
        (
            "answers the last value",
            lambda *sizes, generator: (
                x := recall(*sizes, generator=generator)[0],
                x[:, -2],
            ),
            "not the value that stood after",
        ),
        (
            "no query",
            recall_with(row=lambda *_: lambda pairs, query, answer: pairs),
            "the query is missing",
        ),
        (
            "a favourite",
            recall_with(
                values=lambda n, L, K, V, g: (
                    lambda: (
                        K + lot(V, (n, K), g) * (torch.rand(n, K, generator=g) < 0.7)
                    )
                )
            ),
            "a constant guess wins",
        ),
        (
            "real numbers",
            lambda *sizes, generator: [
                part.float() for part in recall(*sizes, generator=generator)
            ],
            "ids are whole numbers",
        ),
        (
            "inputs only",
            lambda *sizes, generator: recall(*sizes, generator=generator)[0],
            "is not the pair",
        ),
        (
            "wrong shape",
            lambda *sizes, generator: [
                part[None] for part in recall(*sizes, generator=generator)
            ],
            "the shapes are",
        ),
        (
            "zeros",
            lambda n, length, K, V, *, generator: (
                torch.zeros(n, length + 1, dtype=torch.int64),
                torch.zeros(n, dtype=torch.int64),
            ),
            "two draws from one generator were identical",
        ),
        ("identity", lambda *sizes, generator: sizes, "is not the pair"),
        ("None", lambda *sizes, generator: None, "returned None"),
    ],
    "08.majority_batch": [
        ("ties", majority_with_ties, "two tokens share the top count"),
        ("class bias", majority_biased, "a constant guess wins"),
        ("last token", majority_told_at(-1), "always equals the last token"),
        ("first token", majority_told_at(0), "always equals the token at place 0"),
        (
            "says the last token",
            majority_then(lambda x, y, v: (x, x[:, -1])),
            "the answer is the last token",
        ),
        (
            "how often",
            majority_then(lambda x, y, v: (x, counts_of(x, v).max(1).values)),
            "this is how often the winner occurs",
        ),
        (
            "the largest id",
            majority_then(lambda x, y, v: (x, x.max(1).values)),
            "the largest id",
        ),
        (
            "the rarest",
            majority_then(lambda x, y, v: (x, counts_of(x, v).argmin(1))),
            "not the token that occurs most often",
        ),
        (
            "a token too many",
            lambda n, L, v, *, generator: majority_by_loops(
                n, L, v + 1, generator=generator
            ),
            "this is another",
        ),
        (
            "a token too few",
            lambda n, L, v, *, generator: (
                majority_by_loops(n, L, v - 1, generator=generator)
                if v > 2
                else majority_by_loops(n, L, v, generator=generator)
            ),
            "a constant guess wins",
        ),
        (
            "answer shown",
            majority_then(lambda x, y, v: (torch.cat([x, y[:, None]], 1), y)),
            "not length",
        ),
        ("global draw", majority_globally, "equal seeds gave different numbers"),
        ("own generator", majority_reseeded, "two draws from one generator"),
        (
            "real numbers",
            majority_then(lambda x, y, v: (x.float(), y)),
            "ids are whole numbers",
        ),
        ("inputs only", majority_then(lambda x, y, v: x), "is not the pair"),
        (
            "zeros",
            majority_then(lambda x, y, v: (x * 0, y * 0)),
            "two draws from one generator were identical",
        ),
        ("identity", lambda *sizes, generator: sizes, "is not the pair"),
        ("None", lambda *sizes, generator: None, "returned None"),
    ],
    "08.chance": [
        (
            "whole vocabulary",
            lambda labels: 1 / (1 + labels.max().item()),
            "keys can never be answers",
        ),
        ("length", lambda labels: 1 / len(labels[0]), "values, not places"),
        (
            "ignores bias",
            lambda labels: 1 / len(set(asked(labels).tolist())),
            "not equally frequent",
        ),
        (
            "of all places",
            lambda labels: (
                chance_by_unique(labels) * len(asked(labels)) / labels.numel()
            ),
            "were divided by, too",
        ),
        (
            "the mark counts",
            lambda labels: (
                (labels == labels.flatten().mode().values).float().mean().item()
            ),
            "-100 is no answer",
        ),
        (
            "dice",
            lambda labels: sum(
                (asked(labels) == i).float().mean().item() ** 2
                for i in set(asked(labels).tolist())
            ),
            "throws dice",
        ),
        ("wrong share", lambda labels: 1 - chance_by_unique(labels), "wrong guesses"),
        ("the guess", lambda labels: asked(labels).mode().values.item(), "itself"),
        (
            "a count",
            lambda labels: max(map(asked(labels).tolist().count, asked(labels))),
            "how many times",
        ),
        ("per cent", lambda labels: 100 * chance_by_unique(labels), "constant factor"),
        ("crashes", lambda labels: torch.bincount(labels).max(), "stopped with"),
        ("a list", lambda labels: [chance_by_unique(labels)], "of type list"),
        ("zeros", lambda labels: 0.0, "every value is zero"),
        ("identity", lambda labels: labels, "of type Tensor"),
        ("None", lambda labels: None, "returned None"),
    ],
    "08.accuracy": [
        (
            "all positions",
            lambda logits, y, mask: right(logits, y).mean().item(),
            "unasked positions",
        ),
        (
            "wrong axis",
            lambda logits, y, mask: (logits.argmax(1) == y)[mask].float().mean().item(),
            "argmax ran over time",
        ),
        ("mean of means", mean_of_means, "weigh more"),
        (
            "of all positions",
            lambda logits, y, mask: (right(logits, y) * mask).mean().item(),
            "divided by all positions",
        ),
        (
            "a count",
            lambda logits, y, mask: right(logits, y)[mask].sum().item(),
            "how many are right",
        ),
        (
            "errors",
            lambda logits, y, mask: (
                (logits.argmax(-1) != y)[mask].float().mean().item()
            ),
            "wrong answers",
        ),
        (
            "whole rows",
            lambda logits, y, mask: (
                torch.where(mask, right(logits, y), 1.0).prod(1).mean().item()
            ),
            "rows without a mistake",
        ),
        (
            "the last place",
            lambda logits, y, mask: right(logits[:, -1], y[:, -1]).mean().item(),
            "only the last place",
        ),
        (
            "shifted",
            lambda logits, y, mask: (
                right(logits[:, :-1], y[:, 1:])[mask[:, 1:]].mean().item()
            ),
            "shifted once more",
        ),
        (
            "confidence",
            lambda logits, y, mask: (
                logits.softmax(-1).gather(2, y[..., None])[mask].mean().item()
            ),
            "how sure the model is",
        ),
        (
            "mask inverted",
            lambda logits, y, mask: right(logits, y)[mask.logical_not()].mean().item(),
            "the wrong way round",
        ),
        (
            "per cent",
            lambda *args: 100 * accuracy_by_weights(*args),
            "constant factor",
        ),
        (
            "a vector",
            lambda logits, y, mask: right(logits, y)[mask],
            "of type Tensor",
        ),
        ("zeros", lambda logits, y, mask: 0.0, "every value is zero"),
        ("identity", lambda logits, y, mask: logits, "of type Tensor"),
        ("None", lambda logits, y, mask: None, "returned None"),
    ],
    "08.leaky_positions": [
        (
            "one example",
            lambda x, y: places(x[0] == y[0]),
            "coincidence in example 0",
        ),
        ("any", lambda x, y: places(same(x, y).any(0)), "sometimes is not a leak"),
        (
            "mostly",
            lambda x, y: places(same(x, y).double().mean(0) > 0.5),
            "mostly is not always",
        ),
        (
            "same index only",
            lambda x, y: [x.shape[1] - 1] if bool((x[:, -1] == y).all()) else [],
            "only the last place",
        ),
        (
            "the first leak",
            lambda x, y: places(same(x, y).all(0))[:1],
            "this is the first leak",
        ),
        (
            "the last leak",
            lambda x, y: places(same(x, y).all(0))[-1:],
            "this is the last leak",
        ),
        (
            "never changes",
            lambda x, y: [
                t for t in range(x.shape[1]) if len(set(x[:, t].tolist())) < 2
            ],
            "a token that never changes",
        ),
        (
            "inverted",
            lambda x, y: places(~same(x, y).all(0)),
            "do not leak",
        ),
        ("rows", lambda x, y: places(same(x, y).any(1)), "examples, not positions"),
        ("a mask", lambda x, y: same(x, y).all(0), "yes or no"),
        (
            "two numbers",
            lambda x, y: places(same(x, y).all(0)) or [0],
            "length 1, not 0",
        ),
        ("words", lambda x, y: ["last"], "does not hold whole numbers"),
        ("crashes", lambda x, y: places((x == y).all(0)), "stopped with"),
        ("in place", lambda x, y: places(x.sub_(y[:, None]) == 0), "in place"),
        ("zeros", lambda x, y: [0], "length 1, not 0"),
        ("identity", lambda x, y: x, "length"),
        ("None", lambda x, y: None, "returned None"),
    ],
    "08.match_width": [
        ("equal width", lambda build, target, widths: widths[0], "more than 2 %"),
        (
            "linear guess",
            lambda build, target, widths: round(
                widths[0] * target / trained(build(widths[0]))
            ),
            "square of the width",
        ),
        (
            "nearest to a line",
            lambda build, target, widths: min(
                widths,
                key=lambda w: abs(w - widths[0] * target / trained(build(widths[0]))),
            ),
            "square of the width",
        ),
        (
            "counts buffers",
            width_by(lambda m: sum(t.numel() for t in m.state_dict().values())),
            "buffers are not trained",
        ),
        (
            "counts frozen",
            width_by(lambda m: sum(p.numel() for p in m.parameters())),
            "frozen parameters",
        ),
        ("below", lambda *args: bound(*args, above=False), "nearest from below"),
        ("above", lambda *args: bound(*args, above=True), "nearest from above"),
        (
            "a place",
            lambda *args: args[2].index(width_by_distance(*args)),
            "a place in",
        ),
        (
            "a size",
            lambda *args: trained(args[0](width_by_distance(*args))),
            "this is the size",
        ),
        (
            "by width",
            lambda build, target, widths: min(widths, key=lambda w: abs(w - target)),
            "nearest to the target",
        ),
        (
            "counts tensors",
            width_by(lambda m: len(list(m.parameters()))),
            "more than 2 %",
        ),
        ("a list", lambda *args: [width_by_distance(*args)], "of type list"),
        ("real", lambda *args: float(width_by_distance(*args)), "of type float"),
        ("zeros", lambda build, target, widths: 0, "zero"),
        ("identity", lambda build, target, widths: widths, "of type list"),
        ("None", lambda build, target, widths: None, "returned None"),
    ],
    "08.ablate": [
        (
            "one gate left",
            lambda config: ablated(config, no_gate={"order": 1}),
            "order 1 still has one",
        ),
        (
            "from scratch",
            lambda config: {
                "no gate": HyenaConfig(gated=False),
                "no window": HyenaConfig(filter=ImplicitConfig(window=False)),
                "no short convolution": HyenaConfig(short_taps=1),
            },
            "more than one thing",
        ),
        (
            "one after the other",
            lambda config: ablated(
                config,
                no_window={
                    "gated": False,
                    "filter": replace(config.filter, window=False),
                },
            ),
            "more than one thing, also gated",
        ),
        (
            "another filter",
            lambda config: ablated(config, no_window={"filter": "fir"}),
            "another kind of filter",
        ),
        (
            "a new filter",
            lambda config: ablated(
                config, no_window={"filter": ImplicitConfig(window=False)}
            ),
            "more than one thing, also filter.",
        ),
        (
            "a floor",
            lambda config: ablated(
                config, no_window={"filter": replace(config.filter, shift=1.0)}
            ),
            "a window with a floor",
        ),
        (
            "a slow window",
            lambda config: ablated(
                config, no_window={"filter": replace(config.filter, slow_decay=99.0)}
            ),
            "a slower window",
        ),
        (
            "two taps",
            lambda config: ablated(config, no_short_convolution={"short_taps": 2}),
            "2 taps still look back",
        ),
        (
            "no taps",
            lambda config: ablated(config, no_short_convolution={"short_taps": 0}),
            "stopped with ValueError",
        ),
        ("nothing", lambda config: ablated(config, no_gate={}), "nothing was taken"),
        (
            "the wrong part",
            lambda config: ablated(config, no_short_convolution={"gated": False}),
            "leaves short_taps as it was",
        ),
        (
            "one missing",
            lambda config: {"no gate": replace(config, gated=False)},
            "is missing",
        ),
        ("a list", lambda config: list(ablated(config).values()), "of type list"),
        (
            "fields only",
            lambda config: {
                "no gate": {"gated": False},
                "no window": {"window": False},
                "no short convolution": {"short_taps": 1},
            },
            "not a HyenaConfig",
        ),
        ("zeros", lambda config: 0, "of type int"),
        ("identity", lambda config: config, "of type HyenaConfig"),
        ("None", lambda config: None, "returned None"),
    ],
}
