"""Wrong answers to the exercises of notebook 06."""

import torch

from minihyena import HyenaConfig, HyenaOperator, ImplicitConfig


def conv(z, h):
    """(D, L) with (D, L), by the matrix of the filter."""
    length = z.shape[-1]
    rows = [
        torch.cat([h[:, : t + 1].flip(-1), 0 * h[:, t + 1 :]], -1)
        for t in range(length)
    ]
    return torch.einsum("dts,ds->dt", torch.stack(rows, 1), z)


def staged(step):
    """An operator whose stages are `step(z, x, h)`."""

    def operator(v, gates, filters):
        z = v
        for x, h in zip(gates, filters, strict=True):
            z = step(z, x, h)
        return z

    return operator


def right(v, gates, filters):
    return staged(lambda z, x, h: x * conv(z, h))(v, gates, filters)


def one_filter(v, gates, filters):
    return right(v, gates, [filters[0]] * len(gates))


def restarts(v, gates, filters):
    for x, h in zip(gates, filters, strict=True):
        y = x * conv(v, h)
    return y


def on_a_ring(z, h):
    spectrum = torch.fft.rfft(z) * torch.fft.rfft(h)
    return torch.fft.irfft(spectrum, z.shape[-1])


def by_fft(z, h):
    """Causal, though its rounding lets every input touch every output."""
    size = 2 * z.shape[-1]
    spectrum = torch.fft.rfft(z, size) * torch.fft.rfft(h, size)
    return torch.fft.irfft(spectrum, size)[..., : z.shape[-1]]


def correlation(z, h):
    return conv(z.flip(-1), h).flip(-1)


def in_place(v, gates, filters):
    for x, h in zip(gates, filters, strict=True):
        v.copy_(x * conv(v, h))
    return v


def untracked(v, gates, filters):
    with torch.no_grad():
        return right(v, gates, filters)


def half_tracked(v, gates, filters):
    return right(v, gates, [h.detach() for h in filters])


def impulse(h):
    """A filter (1, D, L) that gives back what goes in."""
    one = torch.zeros(1, *h.shape[1:], dtype=h.dtype)
    one[..., 0] = 1
    return one


def shifted(h, d):
    return h + d[..., None] * impulse(h)


def skip_in_place(h, d):
    h[..., 0] += d
    return torch.cat([impulse(h), h])


def skip_of_the_stage_before(h, d):
    return torch.cat([impulse(h), shifted(h, d.roll(1, 0) * 2)])


def one_delta_for_all_channels(h, d):
    one = impulse(h)
    one[:, 1:] = 0
    return torch.cat([one, shifted(h, d)])


def late_impulse(h, d):
    return torch.cat([impulse(h).roll(-1, -1), shifted(h, d)])


def true_count(D, N, F, K, convention, filters=None, skips=None, streams=None):
    """The sum over the table, with parts to be got wrong."""
    n = N - 1 if convention == "reference" else N
    filters = n if filters is None else filters
    skips = n * (convention == "reference") if skips is None else skips
    streams = (N + 1) * D if streams is None else streams
    network = (2 * K + 1) * F + F + 2 * (F * F + F) + F if filters else 0
    projections = streams * (D + 1) + 4 * (N + 1) * D + D * (D + 1)
    return projections + network + filters * F * D + skips * D


def count_a_real_operator(D, N, F, K, convention):
    """Not a mistake: another right answer."""
    config = HyenaConfig(N, convention, filter=ImplicitConfig(K, F))
    return sum(p.numel() for p in HyenaOperator(D, 4, config).parameters())


def weights_alone(D, N, F, K, convention):
    config = HyenaConfig(N, convention, filter=ImplicitConfig(K, F))
    found = HyenaOperator(D, 4, config).named_parameters()
    return sum(p.numel() for name, p in found if not name.endswith("bias"))


def rest(D, N, convention):
    skips = (N - 1) * D if convention == "reference" else 0
    return (N + 1) * D * (D + 1) + 4 * (N + 1) * D + D * (D + 1) + skips


def stores_taps(D, N, F, K, convention):
    n = N - 1 if convention == "reference" else N
    return rest(D, N, convention) + n * D * 1024


def cosines_only(D, N, F, K, convention):
    return true_count(D, N, F, K, convention) - K * F * (
        (N, convention) != (1, "reference")
    )


def no_frequencies(D, N, F, K, convention):
    return true_count(D, N, F, K, convention) - F * (
        (N, convention) != (1, "reference")
    )


def network_at_order_one(D, N, F, K, convention):
    count = true_count(D, N, F, K, convention)
    network = (2 * K + 1) * F + F + 2 * (F * F + F) + F
    return count + network * ((N, convention) == (1, "reference"))


def one_hidden_layer(D, N, F, K, convention):
    count = true_count(D, N, F, K, convention)
    return count - (F * F + F) * ((N, convention) != (1, "reference"))


def networks(D, N, F, K, convention):
    n = N - 1 if convention == "reference" else N
    network = (2 * K + 1) * F + F + 2 * (F * F + F) + F
    return true_count(D, N, F, K, convention) + max(n - 1, 0) * network


def gain_in_place(h):
    h /= h.norm(dim=-1, keepdim=True)
    return h


V = torch.tensor([[0.3, -1.2, 0.7, 2.0, -0.4, 1.1]])
ONES, SHUT = torch.ones(1, 6), torch.zeros(1)
PULSE = torch.eye(6)[:1]
RAMPS = [torch.arange(1.0, 7)[None] * n for n in (1, -1, 2)]
GATES = [V + 1, V.flip(-1), V * V]
SKIPS = [torch.tensor([d]) for d in (0.5, 2.0, -1.0)]


def truth(v, gates, filters, skips):
    for x, h, d in zip(gates, filters, skips, strict=True):
        v = x * (conv(v, h) + d[:, None] * v)
    return v


def agrees(op, v, gates, filters, skips):
    y = op(v, gates, filters, skips)
    return torch.allclose(y, truth(v, gates, filters, skips), rtol=1e-3, atol=1e-3)


def leaks(op, order=3):
    later = V.clone()
    later[:, -1] += 1
    before, after = (op(z, *three(order)) for z in (V, later))
    return not torch.allclose(before[:, :-1], after[:, :-1], rtol=1e-3, atol=1e-3)


def three(order=3):
    return GATES[:order], RAMPS[:order], SKIPS[:order]


def only_causality(op):
    return "leaks" if leaks(op) else "correct"


def one_stage(op):
    if leaks(op, order=1):
        return "leaks"
    quiet = [0 * ONES]
    if not agrees(op, V, [ONES], quiet, SKIPS[:1]):
        return "missing skip"
    if not agrees(op, V, GATES[:1], RAMPS[:1], [SHUT]):
        return "gate order"
    return "correct"


def with_open_gates(op):
    if leaks(op):
        return "leaks"
    if not agrees(op, V, [ONES] * 3, [0 * ONES] * 3, SKIPS):
        return "missing skip"
    if not agrees(op, V, [ONES] * 3, RAMPS, [SHUT] * 3):
        return "shared filter"
    return "correct"


def without_skips(op):
    if leaks(op):
        return "leaks"
    if not agrees(op, V, [ONES] * 3, RAMPS, [SHUT] * 3):
        return "shared filter"
    return "correct" if agrees(op, V, GATES, RAMPS, [SHUT] * 3) else "gate order"


def filters_first(op):
    if not agrees(op, V, [ONES] * 3, RAMPS, [SHUT] * 3):
        return "shared filter"
    if leaks(op):
        return "leaks"
    if not agrees(op, V, [ONES] * 3, [0 * ONES] * 3, SKIPS):
        return "missing skip"
    return "correct" if agrees(op, V, GATES, RAMPS, SKIPS) else "gate order"


def by_elimination(op):
    """Not a mistake: another right answer."""
    if leaks(op):
        return "leaks"
    if not agrees(op, V, [ONES] * 3, [0 * ONES] * 3, SKIPS):
        return "missing skip"
    if not agrees(op, V, [ONES] * 3, RAMPS, [SHUT] * 3):
        return "shared filter"
    return "correct" if agrees(op, V, GATES, RAMPS, SKIPS) else "gate order"


def any_difference(op):
    return "correct" if agrees(op, V, *three()) else "missing skip"


def forgets_the_skips(op):
    op(V, GATES, RAMPS)
    return "correct"


BANK = {
    "06.hyena_operator": [
        ("gate first", staged(lambda z, x, h: conv(x * z, h)), "before it convolves"),
        ("one filter", one_filter, "every stage has its own filter"),
        ("reversed gates", lambda v, x, h: right(v, x[::-1], h), "last gate was used"),
        ("reversed filters", lambda v, x, h: right(v, x, h[::-1]), "last filter was"),
        ("reversed", lambda v, x, h: right(v, x[::-1], h[::-1]), "last stage came"),
        ("restarts", restarts, "began again from v"),
        ("on a ring", staged(lambda z, x, h: x * on_a_ring(z, h)), "tail came round"),
        ("no gates", staged(lambda z, x, h: conv(z, h)), "no gate is applied"),
        ("no filters", staged(lambda z, x, h: x * z), "nothing is carried"),
        ("adds the gate", staged(lambda z, x, h: x + conv(z, h)), "gate multiplies"),
        ("multiplies", staged(lambda z, x, h: x * h * z), "multiplied, not convolved"),
        ("adds z", staged(lambda z, x, h: z + x * conv(z, h)), "no way round a stage"),
        ("one stage", lambda v, x, h: right(v, x[:1], h[:1]), "only the first stage"),
        ("correlation", staged(lambda z, x, h: x * correlation(z, h)), "the future"),
        ("sigmoid", staged(lambda z, x, h: x.sigmoid() * conv(z, h)), "instead of"),
        ("tanh, by FFT", staged(lambda z, x, h: x.tanh() * by_fft(z, h)), "instead of"),
        ("in place", in_place, "in place"),
        ("no gradient", untracked, "carries no gradient"),
        ("half a gradient", half_tracked, "differs first"),
        ("double", lambda v, x, h: right(v, x, h).double(), "dtype"),
        ("zeros", lambda v, x, h: 0 * v, "every value is zero"),
        ("identity", lambda v, x, h: v, "came back as it was"),
        ("None", lambda v, x, h: None, "returned None"),
        ("all stages", lambda v, x, h: [v] * len(x), "of type list"),
        ("wrong shape", lambda v, x, h: right(v, x, h)[None], "shape"),
    ],
    "06.as_paper": [
        (
            "ones",
            lambda h, d: torch.cat([torch.ones_like(impulse(h)), shifted(h, d)]),
            "running sum",
        ),
        (
            "identity last",
            lambda h, d: torch.cat([shifted(h, d), impulse(h)]),
            "before the first gate",
        ),
        (
            "skip everywhere",
            lambda h, d: torch.cat([impulse(h), h + d[..., None]]),
            "at lag 0 only",
        ),
        ("no skip", lambda h, d: torch.cat([impulse(h), h]), "the skips are missing"),
        (
            "skip on the last tap",
            lambda h, d: torch.cat([impulse(h), shifted(h.flip(-1), d).flip(-1)]),
            "oldest input",
        ),
        (
            "skip in place of tap 0",
            lambda h, d: torch.cat(
                [impulse(h), h * (1 - impulse(h)) + d[..., None] * impulse(h)]
            ),
            "added to what stands there",
        ),
        (
            "minus the skip",
            lambda h, d: torch.cat([impulse(h), shifted(h, -d)]),
            "taken away",
        ),
        ("one too few", shifted, "one filter is missing"),
        (
            "a zero filter",
            lambda h, d: torch.cat([0 * impulse(h), shifted(h, d)]),
            "of zeros lets",
        ),
        ("in place", skip_in_place, "in place"),
        ("another stage's skip", skip_of_the_stage_before, "differs first"),
        ("one channel only", one_delta_for_all_channels, "differs first"),
        ("late impulse", late_impulse, "differs first"),
        ("zeros", lambda h, d: torch.zeros(len(h) + 1, *h.shape[1:]).to(h), "is zero"),
        ("identity", lambda h, d: h, "shape"),
        ("None", lambda h, d: None, "returned None"),
        (
            "wrong shape",
            lambda h, d: torch.cat([impulse(h), shifted(h, d)]).flatten(0, 1),
            "shape",
        ),
        ("a pair", lambda h, d: (impulse(h), shifted(h, d)), "shape"),
    ],
    "06.count_parameters": [
        (
            "N projections",
            lambda D, N, F, K, c: true_count(D, N, F, K, c, streams=N * D),
            "value needs one too: N + 1",
        ),
        (
            "N streams",
            lambda D, N, F, K, c: true_count(D, N, F, K, c) - D * (D + 1) - 4 * D,
            "value is a stream too",
        ),
        (
            "same filters",
            lambda D, N, F, K, c: true_count(
                D, N, F, K, c, filters=N, skips=N * (c == "reference")
            ),
            "one long filter fewer",
        ),
        (
            "always the paper's",
            lambda D, N, F, K, c: true_count(D, N, F, K, "paper"),
            "one long filter fewer",
        ),
        (
            "always one fewer",
            lambda D, N, F, K, c: true_count(D, N, F, K, c, filters=N - 1),
            "Def. 3.1 has N long filters",
        ),
        ("times L", stores_taps, "do not store taps"),
        (
            "no skips",
            lambda D, N, F, K, c: true_count(D, N, F, K, c, skips=0),
            "skips are not counted",
        ),
        (
            "skips in both",
            lambda D, N, F, K, c: true_count(
                D, N, F, K, c, skips=N if c == "paper" else None
            ),
            "Def. 3.1 has none",
        ),
        ("cosines only", cosines_only, "K cosines and K sines"),
        ("no frequencies", no_frequencies, "frequencies of the sines"),
        ("a network at order 1", network_at_order_one, "and so no network"),
        ("a network for each", networks, "one network draws all"),
        ("one hidden layer", one_hidden_layer, "instead of"),
        (
            "no short convolution",
            lambda D, N, F, K, c: true_count(D, N, F, K, c) - 4 * (N + 1) * D,
            "short convolution is not counted",
        ),
        (
            "no readout",
            lambda D, N, F, K, c: (
                true_count(D, N, F, K, c) - (N - (c == "reference")) * F * D
            ),
            "the readout is not counted",
        ),
        ("weights alone", weights_alone, "the biases are not counted"),
        (
            "no way out",
            lambda D, N, F, K, c: true_count(D, N, F, K, c) - D * (D + 1),
            "and one out",
        ),
        (
            "no network",
            lambda D, N, F, K, c: rest(D, N, c),
            "network that draws the filters",
        ),
        (
            "exchanged",
            lambda D, N, F, K, c: true_count(
                D, N, F, K, "paper" if c == "reference" else "reference"
            ),
            "changed places",
        ),
        ("a float", lambda *sizes: float(true_count(*sizes)), "of type float"),
        ("zeros", lambda *sizes: 0, "every value is zero"),
        ("identity", lambda D, N, F, K, c: D, "instead of"),
        ("None", lambda *sizes: None, "returned None"),
    ],
    "06.unit_gain": [
        ("sum of sizes", lambda h: h / h.abs().sum(-1, keepdim=True), "adds squares"),
        ("peak", lambda h: h / h.abs().amax(-1, keepdim=True), "on all taps"),
        ("across channels", lambda h: h / h.norm(dim=0), "channel 0 still amplifies"),
        ("one factor", lambda h: h / h.norm(), "share one factor"),
        ("variance", lambda h: h / h.square().sum(-1, keepdim=True), "square root"),
        ("sum", lambda h: h / h.sum(-1, keepdim=True), "taps sum to 1"),
        ("mean", lambda h: h / h.square().mean(-1, keepdim=True).sqrt(), "the mean"),
        ("deviation", lambda h: h / h.std(-1, keepdim=True), "mean of the taps"),
        ("first tap", lambda h: h / h[:, :1], "tap 0 alone"),
        ("softmax", lambda h: h.softmax(-1), "differs first"),
        ("sizes", lambda h: (h / h.norm(dim=-1, keepdim=True)).abs(), "differs first"),
        ("in place", gain_in_place, "in place"),
        ("forgets keepdim", lambda h: h / h.norm(dim=-1), "stopped with RuntimeError"),
        ("the factor", lambda h: 1 / h.norm(dim=-1, keepdim=True), "shape"),
        ("zeros", lambda h: 0 * h, "every value is zero"),
        ("identity", lambda h: h, "nothing was rescaled"),
        ("None", lambda h: None, "returned None"),
    ],
    "06.diagnose": [
        ("only causality", only_causality, "called a shared filter correct"),
        ("only N = 1", one_stage, "a shared filter is invisible with one stage"),
        ("always the same", lambda op: "gate order", "a correct operator was blamed"),
        ("always correct", lambda op: "correct", "never ran the operator"),
        ("open gates", with_open_gates, "called a wrong gate order correct"),
        ("never a skip", without_skips, "called a missing skip correct"),
        ("filters first", filters_first, "took a leak for a shared filter"),
        ("any difference", any_difference, "took a shared filter for a missing skip"),
        ("capitals", lambda op: by_elimination(op).upper(), "none of the five words"),
        ("forgets the skips", forgets_the_skips, "stopped with TypeError"),
        ("yes or no", lambda op: agrees(op, V, *three()), "none of the five words"),
        ("zeros", lambda op: 0, "none of the five words"),
        ("identity", lambda op: op, "none of the five words"),
        ("None", lambda op: None, "returned None"),
    ],
}
