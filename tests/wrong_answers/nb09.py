"""Wrong answers to the exercises of notebook 09."""

import math

import torch
from torch.nn import functional as F


def cut(ids, length, first, shift):
    """Inputs from `first`, targets `shift` further, as many rows as fit."""
    rows = range(len(ids) - length - max(first, first + shift) + 1)
    inputs = [ids[i + first : i + first + length] for i in rows]
    targets = [ids[i + first + shift : i + first + shift + length] for i in rows]
    return torch.stack(inputs), torch.stack(targets)


def windows_beyond_the_split(ids, length):
    text = torch.cat([ids, 1000 + ids])
    return cut(text, length, 0, 1)


def windows_by_strides(ids, length):
    rows = ids.as_strided((len(ids), length + 1), (1, 1))
    return rows[:, :-1], rows[:, 1:]


def windows_with_targets_further_on(ids, length):
    rows = ids.unfold(0, length + 1, 1)
    return rows[:, :-1], rows[:, 1:].roll(1, 0)


def windows_in_blocks(ids, length):
    inputs, targets = cut(ids, length, 0, 1)
    return inputs[::length], targets[::length]


def windows_of_different_length(ids, length):
    return ids.unfold(0, length, 1), ids.unfold(0, length + 1, 1)[:, 1:]


def windows_in_place(ids, length):
    pair = cut(ids.clone(), length, 0, 1)
    ids.zero_()
    return pair


def loss_of(model, batch):
    logits = model(batch[0])
    return F.cross_entropy(logits.flatten(0, 1), batch[1].flatten())


def step_without_zero_grad(model, optimiser, batch):
    loss = loss_of(model, batch)
    loss.backward()
    optimiser.step()
    return loss.item()


def step_returning_a_graph(model, optimiser, batch):
    loss = loss_of(model, batch)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


def step_returning_a_tensor(model, optimiser, batch):
    return step_returning_a_graph(model, optimiser, batch).detach()


def step_with_axes_mixed_up(model, optimiser, batch):
    inputs, targets = batch
    loss = F.cross_entropy(model(inputs), targets)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def step_without_backward(model, optimiser, batch):
    loss = loss_of(model, batch)
    optimiser.zero_grad()
    optimiser.step()
    return loss.item()


def step_before_backward(model, optimiser, batch):
    loss = loss_of(model, batch)
    optimiser.step()
    optimiser.zero_grad()
    loss.backward()
    return loss.item()


def step_erasing_gradients(model, optimiser, batch):
    loss = loss_of(model, batch)
    loss.backward()
    optimiser.zero_grad()
    optimiser.step()
    return loss.item()


def step_on_the_sum(model, optimiser, batch):
    loss = loss_of(model, batch) * batch[0].numel()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def step_uphill(model, optimiser, batch):
    loss = loss_of(model, batch)
    optimiser.zero_grad()
    (-loss).backward()
    optimiser.step()
    return loss.item()


def step_on_the_last_token(model, optimiser, batch):
    loss = F.cross_entropy(model(batch[0])[:, -1], batch[1][:, -1])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def step_measured_after(model, optimiser, batch):
    step_returning_a_graph(model, optimiser, batch)
    return loss_of(model, batch).item()


def drawing(weigh):
    def sample(logits, temperature, *, generator):
        weights = weigh(logits, temperature)
        return torch.multinomial(weights, 1, generator=generator)[:, 0]

    return sample


def true_sample(logits, temperature, *, generator):
    if temperature == 0:
        return logits.argmax(-1)
    weights = torch.softmax(logits / temperature, -1)
    return torch.multinomial(weights, 1, generator=generator)[:, 0]


def sample_from_the_world(logits, temperature, *, generator):
    return true_sample(logits, temperature, generator=torch.default_generator)


def sample_from_a_new_seed(logits, temperature, *, generator):
    generator.manual_seed(0)
    return true_sample(logits, temperature, generator=generator)


def sample_keeping_the_axis(logits, temperature, *, generator):
    return true_sample(logits, temperature, generator=generator)[:, None]


def sample_one_for_all(logits, temperature, *, generator):
    first = true_sample(logits[:1], temperature, generator=generator)
    return first.expand(len(logits))


def sample_along_the_wrong_axis(logits, temperature, *, generator):
    chances = torch.softmax(logits / max(temperature, 1e-3), 0)
    return torch.multinomial(chances, 1, generator=generator)[:, 0]


def sample_without_t_zero(logits, temperature, *, generator):
    return drawing(lambda x, t: (x * (1 / t)).softmax(-1))(
        logits, temperature, generator=generator
    )


BANK = {
    "09.windows": [
        ("no shift", lambda ids, n: cut(ids, n, 0, 0), "copying wins"),
        ("backwards", lambda ids, n: cut(ids, n, 0, 1)[::-1], "previous character"),
        ("crosses the split", windows_beyond_the_split, "held-out text"),
        ("strides past the end", windows_by_strides, "held-out text"),
        ("no shift, fewer rows", lambda i, n: cut(i[:-1], n, 0, 0), "copying wins"),
        ("one row short", lambda i, n: cut(i[:-1], n, 0, 1), "last window is missing"),
        (
            "wraps round",
            lambda ids, n: (ids.unfold(0, n, 1), ids.roll(-1).unfold(0, n, 1)),
            "wrapped round",
        ),
        ("in blocks", windows_in_blocks, "do not overlap"),
        ("shifted by two", lambda ids, n: cut(ids, n, 0, 2), "shape"),
        ("targets of another row", windows_with_targets_further_on, "differs first"),
        ("different lengths", windows_of_different_length, "different shapes"),
        ("in place", windows_in_place, "in place"),
        (
            "zeros",
            lambda i, n: (torch.zeros(len(i) - n, n).long(),) * 2,
            "copying wins",
        ),
        ("identity", lambda ids, n: ids, "two tensors"),
        ("None", lambda ids, n: None, "returned None"),
        ("one window", lambda ids, n: (ids[:n], ids[1 : n + 1]), "shape"),
    ],
    "09.initial_loss": [
        ("bits", math.log2, "in nats"),
        ("probability", lambda vocab: 1 / vocab, "minus its log"),
        ("corpus", lambda vocab: math.log(450_000), "not among positions"),
        ("the log-probability", lambda vocab: math.log(1 / vocab), "the sign"),
        ("identity", lambda vocab: vocab, "number of choices"),
        ("digits", math.log10, "base 10"),
        ("zeros", lambda vocab: 0.0, "every value is zero"),
        ("None", lambda vocab: None, "returned None"),
        ("wrong shape", lambda v: torch.full((v,), math.log(v)), "not float"),
        ("one id fewer", lambda vocab: math.log(vocab - 1), "instead of"),
        ("half", lambda vocab: math.log(vocab) / 2, "constant factor"),
        ("infinite", lambda vocab: math.inf, "an infinity"),
    ],
    "09.train_step": [
        ("no zero_grad", step_without_zero_grad, "still there in step 2"),
        ("returns a graph", step_returning_a_graph, "memory grows"),
        ("axes", step_with_axes_mixed_up, "class axis is last"),
        ("no backward", step_without_backward, "parameters did not move"),
        ("returns a tensor", step_returning_a_tensor, "not float"),
        ("steps first", step_before_backward, "before backward"),
        ("erases the gradients", step_erasing_gradients, "parameters did not move"),
        ("the sum", step_on_the_sum, "summed"),
        ("uphill", step_uphill, "differs first"),
        ("the last token", step_on_the_last_token, "differs first"),
        ("the loss after the step", step_measured_after, "differs first"),
        ("zeros", lambda model, optimiser, batch: 0.0, "parameters did not move"),
        ("None", lambda model, optimiser, batch: None, "returned None"),
        ("identity", lambda model, optimiser, batch: batch, "not float"),
    ],
    "09.sample": [
        ("multiplies", drawing(lambda x, t: (x * t).softmax(-1)), "made it surer"),
        (
            "after softmax",
            drawing(lambda x, t: x.softmax(-1) / max(t, 1e-3)),
            "after renormalising",
        ),
        (
            "after softmax, at T = 0 too",
            drawing(lambda x, t: x.softmax(-1) / t),
            "after renormalising",
        ),
        ("ignores T", drawing(lambda x, t: x.softmax(-1)), "T has no effect"),
        ("always best", lambda x, t, *, generator: x.argmax(-1), "same at T = 1"),
        ("zero", drawing(lambda x, t: (x / t).softmax(-1)), "T = 0 means the best"),
        ("zero, in Python", sample_without_t_zero, "T = 0 means the best"),
        ("uniform", drawing(lambda x, t: torch.ones_like(x)), "logits are not used"),
        ("the global state", sample_from_the_world, "equal seeds gave"),
        ("a new seed each time", sample_from_a_new_seed, "must move on"),
        ("a spare axis", sample_keeping_the_axis, "shape"),
        ("one id for all", sample_one_for_all, "differs first"),
        ("the wrong axis", sample_along_the_wrong_axis, "differs first"),
        (
            "zeros",
            lambda x, t, *, generator: torch.zeros(len(x)).long(),
            "differs first",
        ),
        ("identity", lambda x, t, *, generator: x, "shape"),
        ("None", lambda x, t, *, generator: None, "returned None"),
        ("floats", lambda x, t, *, generator: x[:, 0], "int64"),
        ("the worst id", lambda x, t, *, generator: x.argmin(-1), "differs first"),
        ("outside", lambda x, t, *, generator: x.argmax(-1) + 9, "ids run from 0"),
    ],
    "09.perplexity": [
        (
            "mean of exps",
            lambda losses, counts: losses.exp().mean(),
            "average the loss",
        ),
        (
            "weighted mean of exps",
            lambda losses, counts: (losses.exp() * counts).sum() / counts.sum(),
            "average the loss",
        ),
        ("base 2", lambda losses, counts: 2 ** losses.mean(), "not 2"),
        (
            "base 2, weighted",
            lambda losses, counts: 2 ** ((losses * counts).sum() / counts.sum()).item(),
            "not 2",
        ),
        ("unweighted", lambda losses, counts: losses.mean().exp(), "weigh the same"),
        (
            "no exponential",
            lambda losses, counts: (losses * counts).sum() / counts.sum(),
            "its exponential",
        ),
        ("zeros", lambda losses, counts: 0.0, "every value is zero"),
        ("identity", lambda losses, counts: losses, "not float"),
        ("None", lambda losses, counts: None, "returned None"),
        ("adds up", lambda losses, counts: losses.sum().exp(), "instead of"),
        ("inverse", lambda losses, counts: (-losses.mean()).exp(), "instead of"),
        (
            "counts in place",
            lambda losses, counts: losses.mul_(counts).sum() / counts.sum(),
            "in place",
        ),
    ],
}
