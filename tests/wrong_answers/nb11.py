"""Wrong answers to the exercises of notebook 11, and right ones written otherwise."""

import torch
from torch.nn.functional import pad

# ---- ConvCache


def stepper(answer):
    """A class whose objects answer with answer(h, inputs so far); h (D, K)."""

    class Stepper:
        def __init__(self, h):
            self.h, self.inputs = h, []

        def step(self, u_t):
            self.inputs.append(u_t)
            return answer(self.h, self.inputs)

    return Stepper


def lasting(answer):
    """The same, but it stops where the filter ends."""

    def checked(h, inputs):
        if len(inputs) > h.shape[1]:
            raise IndexError("no tap is left")
        return answer(h, inputs)

    return stepper(checked)


def by_lags(h, inputs, first=0):
    """The sum over lags, `first` and later, with the tap that belongs to each."""
    y = 0 * inputs[-1]
    for lag in range(first, len(inputs)):
        y = y + h[:, lag] * inputs[-1 - lag]
    return y


class BufferCache:
    """Right: the outputs to come are kept, and each input is added to all of them."""

    def __init__(self, h):
        self.h, self.t = h, 0
        self.due = torch.zeros_like(h)

    def step(self, u_t):
        left = self.due.shape[1] - self.t
        self.due[:, self.t :] += self.h[:, :left] * u_t[:, None]
        self.t += 1
        return self.due[:, self.t - 1].clone()


class CommonPast:
    def __init__(self, h, past=[]):  # noqa: B006
        self.h, self.past = h, past

    def step(self, u_t):
        self.past.append(u_t.to(self.h.dtype))
        pairs = zip(self.h.unbind(1), reversed(self.past))  # noqa: B905
        return sum(tap * u for tap, u in pairs if u.shape == tap.shape)


class ClassPast(BufferCache):
    kept: dict = {}  # noqa: RUF012

    def __init__(self, h):
        self.h, self.t = h, 0
        self.due = self.kept.setdefault(h.shape, torch.zeros_like(h))


class PastTheEnd:
    def __init__(self, h):
        self.h, self.past = h, h[:, :0]

    def step(self, u_t):
        self.past = torch.cat([self.past, u_t[:, None]], 1)[:, -self.h.shape[1] :]
        return (self.h[:, : self.past.shape[1]] * self.past.flip(1)).sum(1)


class PreviousCache(BufferCache):
    def __init__(self, h):
        super().__init__(h)
        self.previous = torch.zeros_like(h[:, 0])

    def step(self, u_t):
        before, self.previous = self.previous, super().step(u_t)
        return before


def outputs_added(h, inputs):
    return sum(by_lags(h, inputs[: n + 1]) for n in range(len(inputs)))


def in_place(h, inputs):
    inputs[-1] *= h[:, 0]
    return inputs[-1]


# ---- Recurrent


def unit(update, read, early=False):
    class Unit:
        def __init__(self, poles, residues):
            self.poles, self.residues, self.x = poles, residues, 0 * poles

        def step(self, u_t):
            old, self.x = self.x, update(self.poles, self.x, u_t.unsqueeze(1))
            return read(self.residues, old if early else self.x)

    return Unit


def turn_and_add(poles, x, u):
    return u + x * poles


def real_sum(residues, x):
    return torch.real(torch.einsum("ds,ds->d", residues, x + 0 * residues))


class ResiduesFirst:
    """Right: the residues go in with the input, in real numbers all along."""

    def __init__(self, poles, residues):
        self.c, self.s = poles.real, poles.imag
        self.a, self.b = residues.real, residues.imag
        self.x, self.y = 0 * self.a, 0 * self.a

    def step(self, u_t):
        u = u_t[:, None]
        x, y = self.x, self.y
        self.x = self.c * x - self.s * y + self.a * u
        self.y = self.s * x + self.c * y + self.b * u
        return self.x.sum(1)


class Remembers:
    def __init__(self, poles, residues):
        self.poles, self.residues, self.past = poles, residues, []

    def step(self, u_t):
        self.past.append(u_t)
        lags = range(len(self.past))
        taps = [(self.residues * self.poles**t).sum(1).real for t in lags]
        return sum(h * u for h, u in zip(taps, reversed(self.past), strict=True))


class CommonState:
    states: dict = {}  # noqa: RUF012

    def __init__(self, poles, residues):
        self.poles, self.residues = poles, residues

    def step(self, u_t):
        key = self.poles.shape, self.poles.dtype
        self.states[key] = self.poles * self.states.get(key, 0) + u_t[:, None]
        return real_sum(self.residues, self.states[key])


# ---- fit_modes


def powers_of(poles, length, start=0):
    rows = [poles ** (start + t) for t in range(length)]
    return torch.stack(rows, 1)


def least(columns, h):
    """The least squares by normal equations, in float64."""
    a = columns.to(torch.complex128 if columns.is_complex() else torch.float64)
    b = h.to(a.dtype)[..., None]
    return torch.linalg.solve(a.mH @ a, a.mH @ b)[..., 0]


def fit_by_equations(h, poles):
    """Right: the normal equations, imaginary parts first."""
    v = powers_of(poles.to(torch.complex128), h.shape[1])
    b, a = least(torch.cat([-v.imag, v.real], 2), h).chunk(2, -1)
    return torch.complex(a, b).to(poles.dtype)


def fit_alone(h, poles):
    parts = [fit_by_equations(h, poles[:, j, None]) for j in range(poles.shape[1])]
    return torch.cat(parts, 1)


def fit_start(h, poles):
    return fit_by_equations(h[:, : 2 * poles.shape[1]], poles)


def fit_complex(h, poles):
    return least(powers_of(poles, h.shape[1]), h).to(poles.dtype)


def fit_cosines(h, poles):
    return (least(powers_of(poles, h.shape[1]).real, h) + 0j).to(poles.dtype)


def fit_from_one(h, poles):
    v = powers_of(poles.to(torch.complex128), h.shape[1], 1)
    a, b = least(torch.cat([v.real, -v.imag], 2), h).chunk(2, -1)
    return torch.complex(a, b).to(poles.dtype)


# ---- online_conv


def online(contribute, hear=lambda y: y, first=0):
    """contribute(y, u, h, n): after n inputs, add what is due to y[n:]."""

    def run(next_input, h, length):
        u, y, last = torch.zeros_like(h[:length]), torch.zeros_like(h[:length]), 0.0
        for t in range(length):
            u[t] = next_input(t, hear(last))
            y[t] += h[0] * u[t] if first == 0 else 0
            last = y[t].item()
            contribute(y, u, h, t + 1)
        return y

    return run


def block(side, size=lambda w: 2 * w, start=lambda w: w - 1, taps=None, whole=False):
    """Blocks by FFT: side(n) gives the sides."""

    def contribute(y, u, h, n):
        for w in side(n):
            m = min(w, len(y) - n)
            if m <= 0 or (whole and m < w):
                continue
            g = h[1 : 2 * w] if taps is None else taps(h, w)
            g = pad(g, (0, max(0, 2 * w - 1 - len(g))))
            spectra = [torch.fft.fft(x, size(w)) for x in (u[n - w : n], g)]
            sent = torch.fft.ifft(spectra[0] * spectra[1]).real
            y[n : n + m] += sent[start(w) :][:m]

    return contribute


def low_bit(n):
    w = 1
    while n % (2 * w) == 0:
        w *= 2
    return [w]


def ring_of_w(w):
    return w


def refreshed(next_input, h, length):
    """Right, and sub-quadratic: the whole future anew every 32 steps, else a sum."""
    every, u = 32, h.new_zeros(length)
    y, last = h.new_zeros(length), 0.0
    for t in range(length):
        if t and t % every == 0:
            n = 2 * length
            new = u[t - every : t]
            sent = torch.fft.irfft(torch.fft.rfft(new, n) * torch.fft.rfft(h, n), n)
            y[t:] += sent[every : every + length - t]
        u[t] = next_input(t, last)
        near = u[t - t % every : t + 1]
        y[t] += (near * h[: len(near)].flip(0)).sum()
        last = float(y[t])
    return y


def slow_online(next_input, h, length):
    u, y = [], []
    for t in range(length):
        u.append(next_input(t, y[-1] if y else 0.0))
        past = torch.tensor(u, dtype=h.dtype)
        y.append((past.flip(0) * h[: t + 1]).sum())
    return torch.stack(y)


def slow_dots(next_input, h, length):
    back, u, y = h.flip(0), h.new_zeros(length), h.new_zeros(length)
    for t in range(length):
        u[t] = next_input(t, y[t - 1] if t else 0.0)
        y[t] = torch.dot(u[: t + 1], back[len(h) - 1 - t :])
    return y


def all_first(next_input, h, length):
    u = torch.tensor([next_input(t, 0) for t in range(length)], dtype=h.dtype)
    return torch.stack([(h[: t + 1].flip(0) * u[: t + 1]).sum() for t in range(length)])


def backwards(next_input, h, length):
    u = [next_input(t, 0) for t in reversed(range(length))]
    return all_first(lambda t, _: u[-1 - t], h, length)


def half_asked(next_input, h, length):
    return refreshed(next_input, h, max(1, length // 2))


# ---- generate


def recited(model, prompt, n):
    """Right: one step more than needed, columns collected in a table."""
    logits, state = model.prefill(prompt)
    table = prompt.new_zeros(len(prompt), n)
    for i in range(n):
        table[:, i] = torch.max(logits, 1).indices
        logits, state = model.step(table[:, i], state)
    return table


def recomputed(model, prompt, n):
    ids = prompt
    for _ in range(n):
        ids = torch.cat([ids, model.prefill(ids)[0].argmax(-1)[:, None]], 1)
    return ids[:, prompt.shape[1] :]


def step_by_step(model, prompt, n):
    logits, state = model.prefill(prompt[:, :1])
    for ids in prompt[:, 1:].unbind(1):
        logits, state = model.step(ids, state)
    return continued(model, logits, state, n)


def continued(model, logits, state, n, follow=True, best=lambda x: x.argmax(-1)):
    ids = []
    for _ in range(n):
        ids.append(best(logits))
        logits, after = model.step(ids[-1], state)
        state = after if follow else state
    return torch.stack(ids, 1)


def without_prompt(model, prompt, n):
    return continued(model, *model.prefill(prompt[:, -1:]), n)


def first_of_prompt(model, prompt, n):
    return continued(model, *model.prefill(prompt[:, :1]), n)


def last_twice(model, prompt, n):
    _, state = model.prefill(prompt)
    return continued(model, *model.step(prompt[:, -1], state), n)


def restarted(model, prompt, n):
    ids = [model.prefill(prompt)[0].argmax(-1)]
    for _ in range(n - 1):
        ids.append(model.prefill(ids[-1][:, None])[0].argmax(-1))
    return torch.stack(ids, 1)


def chosen_by(best):
    return lambda model, prompt, n: continued(
        model, *model.prefill(prompt), n, best=best
    )


def stuck(model, prompt, n):
    return continued(model, *model.prefill(prompt), n, follow=False)


ALSO_RIGHT = {
    "11.ConvCache": BufferCache,
    "11.Recurrent": ResiduesFirst,
    "11.fit_modes": fit_by_equations,
    "11.online_conv": refreshed,
    "11.generate": recited,
}


def cache_off_by(amount, dtype):
    return lasting(lambda h, u: by_lags(h, u) + amount * (h.dtype == dtype))


def unit_off_by(amount, dtype):
    def read(residues, x):
        return real_sum(residues, x) + amount * (residues.dtype == dtype)

    return unit(turn_and_add, read)


# Right answers, off by ten times the tolerance of their check.
TOO_FAR = {
    "11.ConvCache": [
        cache_off_by(1e-3, torch.float32),
        cache_off_by(1e-8, torch.float64),
    ],
    "11.Recurrent": [
        unit_off_by(1e-3, torch.complex64),
        unit_off_by(1e-8, torch.complex128),
    ],
    "11.fit_modes": [
        lambda h, poles: fit_by_equations(h, poles) + 1e-3 * (h.dtype == torch.float32),
        lambda h, poles: fit_by_equations(h, poles) + 1e-7 * (h.dtype == torch.float64),
    ],
    "11.online_conv": [
        lambda ask, h, n: refreshed(ask, h, n) + 1e-2 * (h.dtype == torch.float32),
        lambda ask, h, n: refreshed(ask, h, n) + 1e-7 * (h.dtype == torch.float64),
    ],
    "11.generate": [lambda model, prompt, n: recited(model, prompt, n) + (n > 4)],
}

BANK = {
    "11.ConvCache": [
        (
            "stale",
            lasting(lambda h, u: by_lags(h, u, 1)),
            "y[t] ignores u[t]",
        ),
        ("off by one", PreviousCache, "y[t] equals the right y[t−1]"),
        ("shared", CommonPast, "started with the first one's past"),
        ("shared by class", ClassPast, "started with the first one's past"),
        ("past the end", PastTheEnd, "asked for tap K"),
        (
            "not turned round",
            lasting(lambda h, u: sum(h[:, i] * x for i, x in enumerate(u))),
            "tap 0 met the oldest input",
        ),
        ("newest only", lasting(lambda h, u: h[:, 0] * u[-1]), "only the newest input"),
        (
            "product",
            lasting(lambda h, u: h[:, len(u) - 1] * u[-1]),
            "tap t met input t",
        ),
        ("one tap", lasting(lambda h, u: h[:, 0] * sum(u)), "every input met tap 0"),
        ("running", lasting(outputs_added), "the outputs were added up"),
        (
            "short memory",
            lasting(lambda h, u: by_lags(h, u[-2:])),
            "older than one step",
        ),
        (
            "channels mixed",
            lasting(lambda h, u: by_lags(h, u).sum()),
            "the shape of output 0 is (), not",
        ),
        ("in place", lasting(in_place), "changed its input in place"),
        ("a float", lasting(lambda h, u: float(by_lags(h, u)[0])), "gave a float"),
        ("half", lasting(lambda h, u: by_lags(h, u).half()), "dtype"),
        ("doubled", lasting(lambda h, u: 2 * by_lags(h, u)), "constant factor"),
        ("no object", lambda h: h, "has no method step"),
        ("nothing made", lambda h: None, "returned None"),
        ("crash", lasting(lambda h, u: h[:, 99]), "stopped with"),
        ("zeros", lasting(lambda h, u: 0 * u[-1]), "every value is zero"),
        ("identity", lasting(lambda h, u: u[-1]), "instead of"),
        ("None", lasting(lambda h, u: None), "returned None"),
    ],
    "11.Recurrent": [
        ("reads early", unit(turn_and_add, real_sum, early=True), "delayed by one"),
        (
            "decays the input",
            unit(lambda p, x, u: p * (x + u), real_sum),
            "h[0] came out as Re Σ Rλ",
        ),
        (
            "drops imaginary",
            unit(lambda p, x, u: (p * x + u).real, real_sum),
            "the state must stay complex",
        ),
        (
            "real poles",
            unit(lambda p, x, u: p.real * x + u, real_sum),
            "the state must stay complex",
        ),
        (
            "real parts",
            unit(turn_and_add, lambda r, x: (r.real * x.real).sum(1)),
            "real part times real part",
        ),
        (
            "sizes",
            unit(turn_and_add, lambda r, x: (r * x).sum(1).abs()),
            "the size was taken",
        ),
        (
            "no residues",
            unit(turn_and_add, lambda r, x: x.real.sum(1)),
            "the residues are not used",
        ),
        (
            "mean",
            unit(turn_and_add, lambda r, x: (r * x).real.mean(1)),
            "the mean over the modes",
        ),
        ("no decay", unit(lambda p, x, u: x + u, real_sum), "nothing decays"),
        (
            "no memory",
            unit(lambda p, x, u: 0 * x + u, real_sum),
            "the newest input only",
        ),
        (
            "backwards",
            unit(lambda p, x, u: p.conj() * x + u, real_sum),
            "turn the wrong way",
        ),
        ("shared", CommonState, "started with the first one's past"),
        ("remembers all", Remembers, "a memory that grows"),
        (
            "complex",
            unit(turn_and_add, lambda r, x: (r * x).sum(1)),
            "the output is complex",
        ),
        (
            "modes not added",
            unit(turn_and_add, lambda r, x: (r * x).real[:, :2]),
            "the shape of output 0",
        ),
        (
            "zeros",
            unit(turn_and_add, lambda r, x: 0 * real_sum(r, x)),
            "every value is zero",
        ),
        ("identity", unit(lambda p, x, u: u, lambda r, x: x[:, 0] + 0), "instead of"),
        ("None", unit(turn_and_add, lambda r, x: None), "returned None"),
    ],
    "11.fit_modes": [
        ("real only", fit_cosines, "a sum of decaying cosines has no phase"),
        ("powers from 1", fit_from_one, "residues are off by a factor λ"),
        (
            "fits |h|",
            lambda h, poles: fit_by_equations(h.abs(), poles),
            "signs are lost",
        ),
        ("complex fit", fit_complex, "asked to be real by itself"),
        (
            "conjugated",
            lambda h, poles: fit_by_equations(h, poles).conj(),
            "the residues are conjugated",
        ),
        ("one by one", fit_alone, "as if it were alone"),
        ("the first values", fit_start, "all of them count"),
        (
            "ones",
            lambda h, poles: torch.ones_like(poles),
            "every mode got the residue 1",
        ),
        (
            "real residues",
            lambda h, poles: fit_by_equations(h, poles).real,
            "the dtype is",
        ),
        (
            "double",
            lambda h, poles: 2 * fit_by_equations(h, poles),
            "constant factor",
        ),
        ("transposed", lambda h, poles: fit_by_equations(h, poles)[..., None], "shape"),
        ("a list", lambda h, poles: poles.tolist(), "of type list"),
        ("zeros", lambda h, poles: 0 * poles, "every value is zero"),
        ("identity", lambda h, poles: poles.clone(), "instead of"),
        ("None", lambda h, poles: None, "returned None"),
    ],
    "11.online_conv": [
        ("asks early", all_first, "asked for u[1] before giving y[0]"),
        ("neighbours only", online(block(lambda n: [1])), "older than one step"),
        (
            "block wraps",
            online(block(low_bit, size=ring_of_w)),
            "a block's tail came back on its head",
        ),
        (
            "counted twice",
            online(block(lambda n: [2**q for q in range(9) if n % 2**q == 0])),
            "one pair (s, t) was added by two blocks",
        ),
        (
            "largest below",
            online(block(lambda n: [2 ** (len(bin(n)) - 3)])),
            "overlap and leave gaps",
        ),
        (
            "whole blocks only",
            online(block(low_bit, whole=True)),
            "was left out: cut it short",
        ),
        (
            "head",
            online(block(low_bit, start=lambda w: 0)),
            "the head of the block's convolution",
        ),
        (
            "taps from 0",
            online(block(low_bit, taps=lambda h, w: h[: 2 * w - 1])),
            "every lag is one too small",
        ),
        (
            "taps to w",
            online(block(low_bit, taps=lambda h, w: h[1 : w + 1])),
            "those after w are missing",
        ),
        ("no tap 0", online(block(low_bit), first=1), "y[t] ignores u[t]"),
        ("pair by pair", slow_online, "the work grows as L²"),
        ("dot by dot", slow_dots, "the work grows as L²"),
        ("from the end", backwards, "asked for u["),
        ("half", half_asked, "inputs, not"),
        (
            "says nothing",
            online(block(low_bit), hear=lambda y: None),
            "must be given as a number",
        ),
        (
            "late",
            lambda ask, h, n: refreshed(ask, h, n).roll(1) * (torch.arange(n) > 0),
            "one step late",
        ),
        ("doubled", lambda ask, h, n: 2 * refreshed(ask, h, n), "constant factor"),
        ("a list", lambda ask, h, n: refreshed(ask, h, n).tolist(), "of type list"),
        (
            "zeros",
            lambda ask, h, n: 0 * refreshed(ask, h, n),
            "every value is zero",
        ),
        (
            "identity",
            lambda ask, h, n: torch.tensor(
                [ask(t, 0) for t in range(n)], dtype=h.dtype
            ),
            "instead of",
        ),
        ("None", lambda ask, h, n: None, "returned None"),
    ],
    "11.generate": [
        ("prompt dropped", without_prompt, "the continuation ignores the prompt"),
        ("first id only", first_of_prompt, "but its first id"),
        ("last token twice", last_twice, "the last prompt token was fed again"),
        ("position restarts", restarted, "as if it stood alone"),
        ("the worst", chosen_by(lambda x: x.argmin(-1)), "the least likely id"),
        (
            "one for all",
            chosen_by(lambda x: x.max(0).values.argmax().repeat(len(x))),
            "one id for the whole batch",
        ),
        ("stuck", stuck, "forgets what it has written"),
        (
            "first one lost",
            lambda model, prompt, n: recited(model, prompt, n + 1)[:, 1:],
            "the first new id is missing",
        ),
        (
            "prompt too",
            lambda model, prompt, n: torch.cat([prompt, recited(model, prompt, n)], 1),
            "only the new ids",
        ),
        (
            "one too many",
            lambda model, prompt, n: recited(model, prompt, n + 1),
            "one id too many",
        ),
        (
            "one too few",
            lambda model, prompt, n: recited(model, prompt, n)[:, :-1],
            "the shape is",
        ),
        ("read again", recomputed, "at the price of reading again"),
        ("prompt by steps", step_by_step, "at the price of reading again"),
        ("one row", lambda model, prompt, n: recited(model, prompt, n)[0], "shape"),
        (
            "a list",
            lambda model, prompt, n: recited(model, prompt, n).tolist(),
            "of type list",
        ),
        (
            "zeros",
            lambda model, prompt, n: 0 * recited(model, prompt, n),
            "every value is zero",
        ),
        (
            "identity",
            lambda model, prompt, n: prompt[:, -1:].expand(-1, n).clone(),
            "instead of",
        ),
        ("None", lambda model, prompt, n: None, "returned None"),
    ],
}
