"""Wrong answers to A3."""

FROM_THE_RIGHT = """
def hyena_matrix(gates, filters):
    time = torch.arange(gates[0].shape[-1])
    lag = time[:, None] - time
    matrix = torch.eye(len(time), dtype=gates[0].dtype)
    for x, h in zip(gates, filters):
        matrix = matrix @ (x[..., None] * h[:, lag].tril())
    return matrix
"""
MAGNITUDE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates, filters).abs()
"""
BATCH_MEAN = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right([x.mean(0, keepdim=True).expand_as(x) for x in gates], filters)
"""
COLUMNS = """
def hyena_matrix(gates, filters):
    time = torch.arange(gates[0].shape[-1])
    lag = time[:, None] - time
    matrix = torch.eye(len(time), dtype=gates[0].dtype)
    for x, h in zip(gates, filters):
        matrix = (h[:, lag].tril() * x[:, :, None]) @ matrix
    return matrix
"""
WRAPS = """
def hyena_matrix(gates, filters):
    time = torch.arange(gates[0].shape[-1])
    matrix = torch.eye(len(time), dtype=gates[0].dtype)
    for x, h in zip(gates, filters):
        matrix = x[..., None] * (h[:, time[:, None] - time] @ matrix)
    return matrix
"""
ONE_FILTER = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates, [filters[0]] * len(gates))
"""
BY_FFT = """
def hyena_matrix(gates, filters):
    size = gates[0].shape[-1]
    z = torch.eye(size, dtype=gates[0].dtype)
    for x, h in zip(gates, filters):
        spectrum = torch.fft.rfft(z, 2 * size, dim=-2)
        spectrum = spectrum * torch.fft.rfft(h, 2 * size)[..., None]
        z = x[..., None] * torch.fft.irfft(spectrum, 2 * size, dim=-2)[..., :size, :]
    return z
"""
SINGLE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    gates32, filters32 = [[x.float() for x in part] for part in (gates, filters)]
    return right(gates32, filters32).to(gates[0].dtype)
"""
ONE_SEQUENCE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates, filters)[0]
"""
ZEROS = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return torch.zeros_like(right(gates, filters))
"""
IDENTITY = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return torch.eye(gates[0].shape[-1]).to(gates[0]).expand_as(right(gates, filters))
"""
LIBRARY = """
from minihyena import recurrence

def hyena_matrix(gates, filters):
    return recurrence.hyena_matrix([(x, h, None) for x, h in zip(gates, filters)])
"""

# An auditor that is right, with something to put wrong.
AUDITOR = """
def leaks(op, length, width):
    generator = torch.Generator().manual_seed(0)
    found = set()
    for loud in {louds}:
        u = loud * torch.randn(1, length, width, generator=generator)
        y = op(u)
        for s in {inputs}:
            changed = u.clone()
            changed[:, s] += loud + 1
            moves = (op(changed) - y)[0, :, {channels}].abs().amax(-1)
            for t in {outputs}:
                if moves[t] > {allowed}:
                    found.add((t, s))
    return sorted(found)
"""
RIGHT = {
    "louds": "[1, 2, 4, 1, 2, 4]",
    "inputs": "range(1, length)",
    "outputs": "range(s)",
    "channels": ":",
    "allowed": "1e-5 * max(1, y.abs().max())",
}


def auditor(**other: str) -> str:
    return AUDITOR.format(**{**RIGHT, **other})


ONE_INPUT = auditor(louds="[4]").replace("seed(0)", "seed(2)")
BLOCKS = auditor().replace("changed[:, s] +=", "changed[:, s:] +=")
NO_BEFORE = """
def leaks(op, length, width):
    found = []
    for s in range(1, length):
        impulse = torch.zeros(1, length, width)
        impulse[:, s] = 1
        y = op(impulse)[0].abs().amax(-1)
        found += [(t, s) for t in range(s) if y[t] > 1e-4]
    return found
"""
DERIVATIVE = """
def leaks(op, length, width):
    u = torch.randn(1, length, width, generator=torch.Generator().manual_seed(0))
    u.requires_grad_()
    [slopes] = torch.autograd.grad(op(u)[:, 0].sum(), u)
    return [(0, s) for s in range(1, length) if slopes[0, s].abs().max() > 1e-4]
"""
NEVER = """
def leaks(op, length, width):
    return []
"""
ALWAYS = """
def leaks(op, length, width):
    return [(0, 1)]
"""
YES_OR_NO = """
auditor = leaks

def leaks(op, length, width):
    return bool(auditor(op, length, width))
"""

CAN_BE_ZERO = """
def null_share(statistic, trained, draw, n, generator):
    own = statistic(trained)
    return sum(statistic(draw(generator)) >= own for _ in range(n)) / n
"""
STRICT = """
def null_share(statistic, trained, draw, n, generator):
    own = statistic(trained)
    return (1 + sum(statistic(draw(generator)) > own for _ in range(n))) / (n + 1)
"""
OTHER_SIDE = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    return right(lambda weights: -statistic(weights), trained, draw, n, generator)
"""
SHUFFLES_NOTHING = """
def null_share(statistic, trained, draw, n, generator):
    own = statistic(trained)
    return (1 + sum(statistic(trained) >= own for _ in range(n))) / (n + 1)
"""
ONE_DRAW = """
def null_share(statistic, trained, draw, n, generator):
    weights = draw(generator)
    count = sum(statistic(weights) >= statistic(trained) for _ in range(n))
    return (1 + count) / (n + 1)
"""
OWN_GENERATOR = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    own = torch.Generator().manual_seed(0)
    return right(statistic, trained, draw, n, own)
"""
WORLD = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    torch.manual_seed(0)
    return right(statistic, trained, draw, n, torch.default_generator)
"""
RESEEDS = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    generator.manual_seed(0)
    return right(statistic, trained, draw, n, generator)
"""
PUT_BACK = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    state = generator.get_state()
    share = right(statistic, trained, draw, n, generator)
    generator.set_state(state)
    return share
"""
EDITS = """
def null_share(statistic, trained, draw, n, generator):
    own, count = statistic(trained), 1
    for _ in range(n):
        trained[:] = draw(generator)
        count += statistic(trained) >= own
    return count / (n + 1)
"""
NOTHING = """
def null_share(statistic, trained, draw, n, generator):
    return 0.0
"""
P_VALUE = """
from minihyena.matrices import p_value

def null_share(statistic, trained, draw, n, generator):
    values = [statistic(draw(generator)) for _ in range(n)]
    return p_value(statistic(trained), torch.tensor(values))
"""

RING_THEN_TRIL = """
def hyena_matrix(gates, filters):
    time = torch.arange(gates[0].shape[-1])
    made = torch.eye(len(time), dtype=gates[0].dtype)
    for x, h in zip(gates, filters):
        made = x[..., None] * (h[:, time[:, None] - time] @ made)
    return made.tril()
"""
FIRST_GATES = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right([x[:1].expand_as(x) for x in gates], filters)
"""
BACKWARDS = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates, [h.flip(-1) for h in filters])
"""
GATES_LAST = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    ones = [torch.ones_like(x) for x in gates[1:]]
    return right([*ones, torch.stack(list(gates)).prod(0)], filters)
"""
ONE_STAGE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    return right(gates[:1], filters[:1])
"""
NO_FIRST_GATE = """
right = hyena_matrix

def hyena_matrix(gates, filters):
    kept = [torch.ones_like(x) for x in gates[:-1]] + list(gates[-1:])
    return right(kept, filters)
"""
SIZE_OF = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    return right(lambda w: abs(statistic(w)), trained, draw, n, generator)
"""
ROUNDED = """
right = null_share

def null_share(statistic, trained, draw, n, generator):
    return round(right(statistic, trained, draw, n, generator), 2)
"""

BANK = [
    ("matrix", "multiplies from the right", FROM_THE_RIGHT, 10, "from the left"),
    ("matrix", "magnitude", MAGNITUDE, 5, "signs are gone"),
    ("matrix", "batch mean", BATCH_MEAN, 12, "averaged"),
    ("matrix", "gates the columns", COLUMNS, 0, "columns, not rows"),
    ("matrix", "wraps", WRAPS, 0, "wraps round"),
    ("matrix", "wraps between stages", RING_THEN_TRIL, 10, "between the stages"),
    ("matrix", "the first gates", FIRST_GATES, 12, "gates of the first one"),
    ("matrix", "backwards", BACKWARDS, 0, "read backwards"),
    ("matrix", "gates last", GATES_LAST, 10, "stand at the end"),
    ("matrix", "one stage", ONE_STAGE, 10, "after the first"),
    ("matrix", "no first gate", NO_FIRST_GATE, 5, "just change its own"),
    ("matrix", "one filter for all", ONE_FILTER, 10, "first filter"),
    ("matrix", "rounding above the diagonal", BY_FFT, 17, "instead of 0"),
    ("matrix", "float32 inside", SINGLE, 0, "float32"),
    ("matrix", "the first sequence alone", ONE_SEQUENCE, 0, "shape"),
    ("matrix", "zeros", ZEROS, 0, "zero"),
    ("matrix", "identity", IDENTITY, 0, "instead of"),
    ("matrix", "the library's answer", LIBRARY, 0, "forbids minihyena"),
    ("auditor", "silence behind", auditor(louds="[0]"), 13, "silence"),
    ("auditor", "quiet inputs", auditor(louds="[1] * 6"), 13, "loud"),
    ("auditor", "one input", ONE_INPUT, 13, "every second sequence"),
    ("auditor", "the next input", auditor(inputs="[1]"), 7, "how far ahead"),
    ("auditor", "too loose", auditor(allowed="0.01"), 14, "0.001"),
    ("auditor", "exact", auditor(allowed="0"), 0, "FFT"),
    ("auditor", "the last input", auditor(inputs="[length - 1]"), 14, "alone"),
    ("auditor", "the first output", auditor(outputs="[0]"), 14, "alone"),
    ("auditor", "the first channel", auditor(channels=":1"), 14, "one channel"),
    ("auditor", "the present", auditor(outputs="range(s + 1)"), 0, "not later"),
    ("auditor", "all later inputs at once", BLOCKS, 7, "do not move"),
    ("auditor", "no before", NO_BEFORE, 0, "adds a constant"),
    ("auditor", "derivatives", DERIVATIVE, 0, "stopped with"),
    ("auditor", "never", NEVER, 0, "clears"),
    ("auditor", "always", ALWAYS, 0, "blames"),
    ("auditor", "yes or no", YES_OR_NO, 0, "list of pairs"),
    ("null", "can be 0", CAN_BE_ZERO, 4, "p can be 0"),
    ("null", "strict", STRICT, 10, "a tie counts"),
    ("null", "sizes", SIZE_OF, 4, "not the share"),
    ("null", "rounded", ROUNDED, 0, "not the share"),
    ("null", "at most as large", OTHER_SIDE, 4, "at most as large"),
    ("null", "shuffles nothing", SHUFFLES_NOTHING, 0, "called 0 times"),
    ("null", "one draw for all", ONE_DRAW, 0, "called 1 times"),
    ("null", "a generator of its own", OWN_GENERATOR, 11, "the generator"),
    ("null", "the global generator", WORLD, 11, "the generator"),
    ("null", "reseeds", RESEEDS, 11, "the generator"),
    ("null", "puts the state back", PUT_BACK, 11, "stands elsewhere"),
    ("null", "edits the trained weights", EDITS, 11, "trained weights"),
    ("null", "zero", NOTHING, 0, "called 0 times"),
    ("null", "the library's answer", P_VALUE, 0, "forbids minihyena"),
]
