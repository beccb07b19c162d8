"""Wrong answers to the exercises of notebook 07."""

from copy import deepcopy

import torch


def convolution(h):
    time = torch.arange(len(h))
    return h[time[:, None] - time].tril()


def stage(x, h):
    return x[:, :, None] * convolution(h)


def true_matrix(gates, filters):
    matrix = stage(gates[0], filters[0])
    for x, h in zip(gates[1:], filters[1:], strict=True):
        matrix = stage(x, h) @ matrix
    return matrix


def matrix_in_reverse(gates, filters):
    matrix = torch.eye(gates[0].shape[-1], dtype=gates[0].dtype)
    for x, h in zip(gates, filters, strict=True):
        matrix = matrix @ stage(x, h)
    return matrix


def matrix_of_the_whole_derivative(gates, filters):
    """v and the gates all grow with u; the derivative at u = 1, by autograd."""

    def output(u):
        z = u
        for x, h in zip(gates, filters, strict=True):
            z = (x * u) * (z @ convolution(h).T)
        return z

    u = torch.ones_like(gates[0])
    full = torch.autograd.functional.jacobian(output, u)  # (B, L, B, L)
    return torch.stack([full[b, :, b] for b in range(len(u))])


def matrix_of_the_mean(gates, filters):
    return true_matrix([x.mean(0).expand_as(x) for x in gates], filters)


def matrix_for_the_batch(gates, filters):
    return true_matrix([x.mean(0)[None] for x in gates], filters)[0]


def matrix_gating_first(gates, filters):
    matrix = torch.eye(gates[0].shape[-1], dtype=gates[0].dtype)
    for x, h in zip(gates, filters, strict=True):
        matrix = (convolution(h) * x[:, None, :]) @ matrix
    return matrix


def matrix_wrapped_round(gates, filters):
    time = torch.arange(gates[0].shape[-1])
    matrix = torch.eye(len(time), dtype=gates[0].dtype)
    for x, h in zip(gates, filters, strict=True):
        matrix = x[:, :, None] * (h[(time[:, None] - time) % len(time)] @ matrix)
    return matrix


def matrix_by_fft(gates, filters):
    """Unit vectors through an FFT: right, but for rounding above the diagonal."""
    length = gates[0].shape[-1]
    columns = torch.eye(length, dtype=gates[0].dtype).expand(len(gates[0]), -1, -1)
    for x, h in zip(gates, filters, strict=True):
        spectrum = torch.fft.rfft(h, 2 * length)
        rows = torch.fft.irfft(
            spectrum * torch.fft.rfft(columns.mT, 2 * length), 2 * length
        )
        columns = x[:, :, None] * rows[..., :length].mT
    return columns


def matrix_of_gated_filters(gates, filters):
    """Gate and filter multiplied first: one filter for each sequence."""
    rows = [
        torch.stack([convolution(x[b] * h) for b in range(len(x))])
        for x, h in zip(gates, filters, strict=True)
    ]
    matrix = rows[0]
    for row in rows[1:]:
        matrix = row @ matrix
    return matrix


def matrix_in_place(gates, filters):
    for x in gates:
        x.mul_(1)
        x[0, 0] += 1
    return true_matrix(gates, filters)


def lag(M):
    time = torch.arange(len(M))
    return time[:, None] - time


def far(M):
    return (M.abs() * lag(M)).sum() / M.abs().sum()


def true_facts(M):
    return {
        "causal": not M.triu(1).any(),
        "non_negative": bool((M >= 0).all()),
        "rows_sum_to_one": torch.allclose(M.sum(1), torch.ones_like(M[0]), atol=1e-5),
        "rank": int(torch.linalg.svdvals(M.double()).gt(1e-6).sum()),
    }


def facts_but(**rules):
    return lambda M: true_facts(M) | {name: rule(M) for name, rule in rules.items()}


def shares(stack, offset=-1):
    weight = stack.abs()
    everything = weight.sum((1, 2)).clamp(min=1e-30)
    return weight.diagonal(offset, 1, 2).sum(1) / everything


def scrambled(model, generator):
    other = deepcopy(model)
    with torch.no_grad():
        for p in other.parameters():
            order = torch.randperm(p.numel(), generator=generator)
            p.copy_(p.flatten()[order].view_as(p))
    return other


def counted(model, statistic, n, generator):
    observed = statistic(model)
    return sum(statistic(scrambled(model, generator)) >= observed for _ in range(n))


def p_shuffling_the_input(model, statistic, n, *, generator):
    """The statistic asks the same weights again and again, of another text."""
    observed = statistic(model)
    count = sum(statistic(lambda u: model(u.flip(1))) >= observed for _ in range(n))
    return (count + 1) / (n + 1)


def p_that_can_be_zero(model, statistic, n, *, generator):
    return counted(model, statistic, n, generator) / n


def p_editing_the_model(model, statistic, n, *, generator):
    observed, count = statistic(model), 0
    for _ in range(n):
        for p in model.parameters():
            order = torch.randperm(p.numel(), generator=generator)
            p.data = p.data.flatten()[order].view_as(p)
        count += statistic(model) >= observed
    return (count + 1) / (n + 1)


def p_of_larger_ones_only(model, statistic, n, *, generator):
    observed = statistic(model)
    others = [statistic(scrambled(model, generator)) for _ in range(n)]
    return (sum(x > observed for x in others) + 1) / (n + 1)


def p_of_smaller_ones(model, statistic, n, *, generator):
    observed = statistic(model)
    others = [statistic(scrambled(model, generator)) for _ in range(n)]
    return (sum(x <= observed for x in others) + 1) / (n + 1)


def p_from_the_world(model, statistic, n, *, generator):
    count = counted(model, statistic, n, torch.default_generator)
    return (count + 1) / (n + 1)


def p_from_new_seeds(model, statistic, n, *, generator):
    observed, count = statistic(model), 0
    for _ in range(n):
        fresh = torch.Generator().manual_seed(0)
        count += statistic(scrambled(model, fresh)) >= observed
    return (count + 1) / (n + 1)


def p_of_redrawn_weights(model, statistic, n, *, generator):
    observed, count = statistic(model), 0
    for _ in range(n):
        other = deepcopy(model)
        for p in other.parameters():
            p.data = torch.randn(p.shape, generator=generator)
        count += statistic(other) >= observed
    return (count + 1) / (n + 1)


def p_of_rows(model, statistic, n, *, generator):
    observed, count = statistic(model), 0
    for _ in range(n):
        other = deepcopy(model)
        for p in other.parameters():
            p.data = p.data[torch.randperm(len(p), generator=generator)]
        count += statistic(other) >= observed
    return (count + 1) / (n + 1)


def p_of_one_parameter(model, statistic, n, *, generator):
    observed, count = statistic(model), 0
    for _ in range(n):
        other = deepcopy(model)
        p = next(other.parameters())
        p.data = p.data.flatten()[
            torch.randperm(p.numel(), generator=generator)
        ].view_as(p)
        count += statistic(other) >= observed
    return (count + 1) / (n + 1)


def p_of_one_too_few(model, statistic, n, *, generator):
    return (counted(model, statistic, n - 1, generator) + 1) / n


def matrix_by_delays(gates, filters):
    """Every column through the recurrence, one delayed copy for every tap."""
    columns = torch.eye(gates[0].shape[-1], dtype=gates[0].dtype)
    columns = columns.expand(len(gates[0]), -1, -1)
    for x, h in zip(gates, filters, strict=True):
        after = h[0] * columns
        for k in range(1, len(h)):
            after[:, k:] += h[k] * columns[:, :-k]
        columns = torch.einsum("bt,bts->bts", x, after)
    return columns


def matrix_off_by(amount, dtype):
    def matrix(gates, filters):
        right = matrix_by_delays(gates, filters)
        return right + amount * (right.dtype == dtype) * torch.ones_like(right).tril()

    return matrix


def distance_by_diagonals(M):
    sizes = [float(M.diagonal(-k).abs().sum()) for k in range(len(M))]
    return sum(k * size for k, size in enumerate(sizes)) / sum(sizes)


def channel_by_masks(stack):
    found = []
    for M in stack.abs():
        line = M.tril(-1) - M.tril(-2)
        found.append(float(line.sum() / M.sum()) if M.any() else 0.0)
    return max(range(len(found)), key=found.__getitem__)


def p_by_lending(model, statistic, n, *, generator):
    """The model itself is shuffled n times, and gets its weights back at the end."""
    observed = statistic(model)
    own = {name: p.clone() for name, p in model.state_dict().items()}
    others = []
    for _ in range(n):
        mixed = {
            name: p.flatten()[
                torch.rand(p.numel(), generator=generator).argsort()
            ].view_as(p)
            for name, p in own.items()
        }
        model.load_state_dict(mixed)
        others.append(statistic(model))
    model.load_state_dict(own)
    return torch.tensor([observed, *others]).ge(observed).double().mean()


ALSO_RIGHT = {
    "07.hyena_matrix": matrix_by_delays,
    "07.effective_distance": distance_by_diagonals,
    "07.facts": true_facts,
    "07.copying_channel": channel_by_masks,
    "07.null_p": p_by_lending,
}

# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "07.hyena_matrix": [
        matrix_off_by(1e-3, torch.float32),
        matrix_off_by(1e-8, torch.float64),
        matrix_by_fft,
    ],
    "07.effective_distance": [lambda M: distance_by_diagonals(M) * (1 + 1e-4) + 1e-4],
    "07.facts": [
        facts_but(rows_sum_to_one=lambda M: bool(((M.sum(1) - 1).abs() < 1e-4).all())),
        facts_but(rank=lambda M: true_facts(M)["rank"] + 1),
    ],
    "07.copying_channel": [lambda stack: (channel_by_masks(stack) + 1) % len(stack)],
    "07.null_p": [
        lambda model, statistic, n, *, generator: (
            p_by_lending(model, statistic, n, generator=generator) + 1e-5
        )
    ],
}

BANK = {
    "07.hyena_matrix": [
        ("order", matrix_in_reverse, "multiplies from the left"),
        ("whole derivative", matrix_of_the_whole_derivative, "freeze them"),
        ("batch mean", matrix_of_the_mean, "changed when sequence 1 did"),
        ("one matrix for all", matrix_for_the_batch, "changed when sequence 1 did"),
        ("magnitude", lambda *parts: true_matrix(*parts).abs(), "signs are gone"),
        ("gate first", matrix_gating_first, "gates before it convolves"),
        ("transposed", lambda *parts: true_matrix(*parts).mT, "transposed"),
        ("wraps round", matrix_wrapped_round, "wraps round"),
        (
            "the last stage only",
            lambda gates, filters: stage(gates[-1], filters[-1]),
            "only one stage",
        ),
        (
            "a sum",
            lambda gates, filters: sum(map(stage, gates, filters)),
            "added",
        ),
        (
            "one filter",
            lambda gates, filters: true_matrix(gates, [filters[0]] * len(filters)),
            "first filter",
        ),
        (
            "no gates",
            lambda gates, filters: true_matrix(
                [torch.ones_like(x) for x in gates], filters
            ),
            "without the gates",
        ),
        ("by FFT", matrix_by_fft, "rounding"),
        ("gated filters", matrix_of_gated_filters, "differs first"),
        ("doubled", lambda *parts: 2 * true_matrix(*parts), "constant factor"),
        ("half precision", lambda *parts: true_matrix(*parts).half(), "dtype"),
        ("in place", matrix_in_place, "in place"),
        (
            "zeros",
            lambda gates, filters: 0 * true_matrix(gates, filters),
            "every value is zero",
        ),
        ("identity", lambda gates, filters: gates, "of type list, not Tensor"),
        ("None", lambda gates, filters: None, "returned None"),
        (
            "wrong shape",
            lambda *parts: true_matrix(*parts).flatten(1),
            "the shape is",
        ),
    ],
    "07.effective_distance": [
        ("signed weights", lambda M: (M * lag(M)).sum() / M.sum(), "cancelled"),
        (
            "signed above the line",
            lambda M: (M * lag(M)).sum() / M.abs().sum(),
            "cancelled above",
        ),
        ("unnormalised", lambda M: (M.abs() * lag(M)).sum(), "doubling M doubled"),
        ("mean of all", lambda M: (M.abs() * lag(M)).mean(), "number of entries"),
        (
            "row index",
            lambda M: (M.abs() * torch.arange(len(M))[:, None]).sum() / M.abs().sum(),
            "the lag is i − j",
        ),
        (
            "column index",
            lambda M: (M.abs() * torch.arange(len(M))).sum() / M.abs().sum(),
            "mean column",
        ),
        ("negative", lambda M: -far(M), "not j − i"),
        ("counts from one", lambda M: far(M) + 1, "starts at 0"),
        (
            "row by row",
            lambda M: ((M.abs() * lag(M)).sum(1) / M.abs().sum(1)).mean(),
            "same say",
        ),
        ("squares", lambda M: (M**2 * lag(M)).sum() / (M**2).sum(), "squares"),
        (
            "every entry alike",
            lambda M: (M.ne(0) * lag(M)).sum() / M.ne(0).sum(),
            "counted the same",
        ),
        ("the largest", lambda M: lag(M).flatten()[M.abs().argmax()], "largest entry"),
        ("halved", lambda M: far(M) / 2, "constant factor"),
        ("of length", lambda M: far(M) * len(M) * 3, "no mean of lags"),
        ("one for each row", lambda M: (M.abs() * lag(M)).sum(1), "not float"),
        ("zeros", lambda M: 0.0, "every value is zero"),
        ("identity", lambda M: M, "not float"),
        ("None", lambda M: None, "returned None"),
    ],
    "07.facts": [
        ("softmax first", lambda M: true_facts(M.softmax(-1)), "after softmax"),
        (
            "softmax for the sums",
            facts_but(
                rows_sum_to_one=lambda M: torch.allclose(
                    M.softmax(1).sum(1), torch.ones_like(M[0])
                )
            ),
            "after softmax",
        ),
        (
            "abs first",
            facts_but(non_negative=lambda M: (M.abs() >= 0).all()),
            "was hidden",
        ),
        ("abs of all", lambda M: true_facts(M.abs()), "was hidden"),
        (
            "counts rows",
            facts_but(rank=lambda M: M.any(-1).sum()),
            "two equal rows",
        ),
        ("all rows", facts_but(rank=len), "number of rows"),
        (
            "counts the diagonal",
            facts_but(rank=lambda M: M.diagonal().count_nonzero()),
            "zeros on the diagonal",
        ),
        (
            "looks left",
            facts_but(causal=lambda M: bool((M.tril(-1) == 0).all())),
            "right of it",
        ),
        (
            "forbids itself",
            facts_but(causal=lambda M: bool((M.triu() == 0).all())),
            "diagonal is no future",
        ),
        (
            "positive",
            facts_but(non_negative=lambda M: bool((M > 0).all())),
            "0 is not negative",
        ),
        (
            "columns",
            facts_but(
                rows_sum_to_one=lambda M: bool(((M.sum(0) - 1).abs() < 1e-5).all())
            ),
            "sums of the columns",
        ),
        (
            "exactly one",
            facts_but(rows_sum_to_one=lambda M: bool((M.sum(-1) == 1).all())),
            "1.0000001",
        ),
        (
            "all together",
            facts_but(rows_sum_to_one=lambda M: abs(float(M.sum()) - len(M)) < 1e-5),
            "together",
        ),
        (
            "any row",
            facts_but(
                rows_sum_to_one=lambda M: bool((M.sum(1).sub(1).abs() < 1e-5).any())
            ),
            "one row sums to 1",
        ),
        (
            "the rank of sizes",
            facts_but(rank=lambda M: int(torch.linalg.matrix_rank(M.abs()))),
            "'rank' is",
        ),
        (
            "one name short",
            lambda M: {k: v for k, v in true_facts(M).items() if k != "rank"},
            "has no 'rank'",
        ),
        ("a fraction", facts_but(rank=lambda M: 1.5), "whole number"),
        (
            "one for each row",
            facts_but(rows_sum_to_one=lambda M: (M.sum(1) - 1).abs() < 1e-5),
            "one answer for M",
        ),
        ("a tuple", lambda M: tuple(true_facts(M).values()), "of type tuple, not dict"),
        (
            "zeros",
            lambda M: (
                dict.fromkeys(("causal", "non_negative", "rows_sum_to_one"), 0)
                | {"rank": 0}
            ),
            "'causal' is False",
        ),
        ("identity", lambda M: M, "of type Tensor, not dict"),
        ("None", lambda M: None, "returned None"),
    ],
    "07.copying_channel": [
        ("loudest", lambda x: x.abs().flatten(1).amax(1).argmax(), "loud channel"),
        (
            "the largest sum",
            lambda x: x.abs().diagonal(-1, 1, 2).sum(-1).argmax(),
            "is no share",
        ),
        ("above", lambda x: shares(x, 1).argmax(), "the next token"),
        ("the diagonal", lambda x: shares(x, 0).argmax(), "the token itself"),
        ("two back", lambda x: shares(x, -2).argmax(), "two places before"),
        (
            "NaN",
            lambda x: (
                x.abs().diagonal(-1, 1, 2).sum(1) / x.abs().sum((1, 2))
            ).argmax(),
            "silent channel",
        ),
        (
            "signed",
            lambda x: (
                x.diagonal(-1, 1, 2).sum(1) / x.abs().sum((1, 2)).clamp(min=1e-30)
            ).argmax(),
            "minus sign",
        ),
        ("the smallest share", lambda x: shares(x).argmin(), "least"),
        (
            "a position",
            lambda x: x.abs().diagonal(-1, 1, 2).sum(0).argmax(),
            "a position",
        ),
        ("counts from one", lambda x: shares(x).argmax() + 1, "off by the same"),
        ("the share", lambda x: shares(x).max(), "this is a share"),
        ("all shares", shares, "not int"),
        ("zeros", lambda x: 0, "channel 0 every time"),
        ("identity", lambda x: x, "not int"),
        ("None", lambda x: None, "returned None"),
    ],
    "07.null_p": [
        ("shuffles input", p_shuffling_the_input, "not the text"),
        ("can be 0", p_that_can_be_zero, "use (count + 1) / (n + 1)"),
        ("edits the model", p_editing_the_model, "new weights after the call"),
        (
            "without the model",
            lambda m, s, n, *, generator: counted(m, s, n, generator) / (n + 1),
            "use (count + 1) / (n + 1)",
        ),
        (
            "of n",
            lambda m, s, n, *, generator: (counted(m, s, n, generator) + 1) / n,
            "n + 1 models",
        ),
        ("larger only", p_of_larger_ones_only, "a tie counts"),
        ("smaller", p_of_smaller_ones, "at most as large"),
        (
            "the others",
            lambda m, s, n, *, generator: (
                1 - (counted(m, s, n, generator) + 1) / (n + 1)
            ),
            "turn it round",
        ),
        (
            "a count",
            lambda m, s, n, *, generator: counted(m, s, n, generator) + 1,
            "a number of models",
        ),
        ("the global state", p_from_the_world, "global random state"),
        ("a new seed each time", p_from_new_seeds, "one and the same"),
        ("redrawn", p_of_redrawn_weights, "other numbers"),
        ("rows", p_of_rows, "whole rows"),
        ("one parameter", p_of_one_parameter, "kept its order"),
        ("one copy short", p_of_one_too_few, "of the model and of"),
        ("never asks", lambda m, s, n, *, generator: 0.5, "must be asked"),
        ("zeros", lambda m, s, n, *, generator: 0.0, "must be asked"),
        ("identity", lambda m, s, n, *, generator: m, "not float"),
        ("None", lambda m, s, n, *, generator: None, "returned None"),
        (
            "crashes",
            lambda m, s, n, *, generator: s(m).mean(),
            "stopped with AttributeError",
        ),
    ],
}
