"""Behind the task theatre: sizes that fit, what decides an answer, who looks where.

L length, V vocabulary. Draws nothing.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena.explore.matrix_views import inputs_of, look, mixers_of
from minihyena.explore.parts import to_numpy
from minihyena.hyena import HyenaOperator
from minihyena.recurrence import hyena_recurrence
from minihyena.tasks import (
    MQAR,
    AssociativeRecall,
    Counting,
    InductionHeads,
    Majority,
    SelectiveCopying,
    Task,
)

__all__ = [
    "FIELDS",
    "Looks",
    "answers_of",
    "decisive",
    "looks_of",
    "misfit",
    "offers",
    "resized",
    "size_of",
]

FIELDS = {"length": ("length", "digits"), "vocabulary": ("vocab_size", "symbols")}
STEPS = range(-2, 4)  # sizes offered: a quarter of the task's own up to eight times
NUMBERS = 2**25  # in a layer's matrices, at most; with more the gradient is asked
GRADIENT = "the gradient of its answer"


# ---- sizes


def size_of(task: Task, size: str) -> int | None:
    """Its length or vocabulary, as the task counts it; None if it is fixed."""
    field = _field(task, size)
    return getattr(task, field) if field else None


def resized(task: Task, **sizes: int | None) -> Task:
    """The same task at another length or vocabulary; None leaves a size as it is."""
    changed = {_field(task, name): value for name, value in sizes.items()}
    return replace(task, **{f: v for f, v in changed.items() if f and v})  # type: ignore[type-var]


def offers(
    task: Task, size: str, now: Task, models: Mapping[str, nn.Module]
) -> tuple[list[int], dict[int, str]]:
    """Values of a size that all models take, `task` being at its own sizes and `now`
    at those shown; and those refused, with the reason.
    """
    own = size_of(task, size)
    if own is None:
        return [], {}
    good, refused = [], {}
    for value in sorted({own * 2**k if k >= 0 else own // 2**-k for k in STEPS} - {0}):
        try:
            why = misfit(resized(now, **{size: value}), task, models)
        except ValueError as error:
            why = str(error)
        if why:
            refused[value] = why
        else:
            good.append(value)
    return good, refused


def misfit(task: Task, own: Task, models: Mapping[str, nn.Module]) -> str:
    """Why a model cannot read the task; "" if all can.

    A model that does not say what it takes is given nothing above `own`.
    """
    for name, model in models.items():
        config = getattr(model, "config", None)
        most = getattr(config, "max_length", own.input_length)
        if task.input_length > most:
            return f"{name} holds {most} positions, not {task.input_length}"
        most = getattr(config, "vocab_size", own.vocab_size)
        if task.vocab_size > most:
            return f"{name} knows {most} tokens, not {task.vocab_size}"
    return ""


def _field(task: Task, size: str) -> str | None:
    known = {field.name for field in fields(task)}  # type: ignore[arg-type]
    return next((name for name in FIELDS[size] if name in known), None)


# ---- what decides


def decisive(task: Task, ids: list[int], t: int) -> dict[int, str]:
    """Positions that decide the answer at t, and what stands there: "key", "value",
    "copied" or "counted". Empty for a task that this does not know.
    """
    match task:
        case AssociativeRecall() | MQAR():
            keys = [s for s in range(0, min(t, 2 * task.pairs), 2) if ids[s] == ids[t]]
            return {p: role for s in keys for p, role in ((s, "key"), (s + 1, "value"))}
        case InductionHeads():
            ahead = t - task.length  # tokens of the answer that are said already
            starts = [s for s in range(task.length) if ids[s] == task.arrow]
            pairs = ((s + ahead, s + ahead + 1) for s in starts)
            return {p: r for k, v in pairs for p, r in ((k, "key"), (v, "value"))}
        case SelectiveCopying():
            prompt, blank = ids[: -task.tokens - 1], task.vocab_size - 2
            places = [s for s, token in enumerate(prompt) if token != blank]
            return {places[t - task.length + task.tokens]: "copied"}
        case Counting() | Majority():
            winner = ids[t]
            if isinstance(task, Majority):
                winner = int(task.solve(torch.tensor([ids]))[0, t])
            return {s: "counted" for s in range(t) if ids[s] == winner}
    return {}


# ---- who says what, and looks where


@dataclass(frozen=True)
class Looks:
    """How much each layer reads each position: sizes (layers, L), rows sum to 1.

    kind: "H(u)", "the matrix" or "the gradient of its answer", which has one row;
    "" if the model cannot be looked into.
    """

    kind: str
    sizes: np.ndarray


@contextmanager
def evaluating(model: nn.Module) -> Any:
    """In evaluation mode; afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@torch.no_grad()
def answers_of(model: nn.Module, task: Task, inputs: Tensor) -> list[int]:
    """What the model says at every position of inputs (1, L)."""
    device = next((p.device for p in model.parameters()), inputs.device)
    with evaluating(model):
        found: list[int] = task.answers(model(inputs.to(device)))[0].tolist()
    return found


def looks_of(model: nn.Module, ids: Tensor, t: int, answer: int) -> Looks:
    """Where the model looks from position t of ids (1, L), answering `answer` there.

    Row t of every mixer's matrix, its size averaged over channels; of a model without
    such matrices, the size of d logit[t, answer] / d embedding[s].
    """
    with evaluating(model):
        kind, rows = _matrix_rows(model, ids, t)
        if not rows:
            kind, rows = GRADIENT, _gradient(model, ids, t, answer)
    if not rows:
        return Looks("", np.zeros((1, ids.shape[1])))
    sizes = to_numpy(torch.stack(rows))
    return Looks(kind, sizes / np.maximum(sizes.sum(1, keepdims=True), 1e-30))


def _matrix_rows(model: nn.Module, ids: Tensor, t: int) -> tuple[str, list[Tensor]]:
    """Row t of each layer (L,), sizes averaged over channels; none without matrices
    and where they are too large to make.
    """
    blocks = getattr(model, "blocks", ())
    if not blocks or not all(hasattr(getattr(b, "mixer", 0), "matrix") for b in blocks):
        return "", []
    found, kinds = [], []
    for mixer, u in zip(mixers_of(model), inputs_of(model, ids), strict=True):
        if isinstance(mixer, HyenaOperator):
            kinds.append("H(u)")
            found.append(_hyena_row(mixer, u, t).abs().mean(0))
            continue
        if getattr(mixer, "groups", u.shape[2]) * u.shape[1] ** 2 > NUMBERS:
            return "", []
        seen = look(mixer, u)
        if seen.kind == "the Jacobian":
            return "", []
        kinds.append(seen.kind)
        rows = [seen.matrix(channel)[t].abs() for channel in range(seen.channels)]
        found.append(torch.stack(rows).mean(0))
    return kinds[0] if len(set(kinds)) == 1 else "the matrix", found


def _hyena_row(mixer: HyenaOperator, u: Tensor, t: int) -> Tensor:
    """(D, L): row t of H(u). H is linear in v, so its row is a gradient, and one pass
    back gives it for all channels without making any L x L matrix.
    """
    with torch.no_grad():
        v, stages = mixer.streams(u)
    length = v.shape[-1]
    v = v[..., : t + 1].requires_grad_()  # without the future, which is not read
    past = [
        (gate[..., : t + 1], h if h is None else h[..., : t + 1], skip)
        for gate, h, skip in stages
    ]
    with torch.enable_grad():
        y = hyena_recurrence(v, past)[0, :, t].sum()
    [row] = torch.autograd.grad(y, v)
    return pad(row[0], (0, length - 1 - t))


def _gradient(model: nn.Module, ids: Tensor, t: int, answer: int) -> list[Tensor]:
    """[(L,)]: how the logit depends on each embedding; [] without an nn.Embedding."""
    device = next((p.device for p in model.parameters()), ids.device)
    ids, leaves = ids.to(device), []

    def keep(_: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if not isinstance(inputs[0], Tensor) or not torch.equal(inputs[0], ids):
            return None  # of positions, say
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    tables = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    hooks = [table.register_forward_hook(keep) for table in tables]
    try:
        with torch.enable_grad():
            logit = model(ids)[0, t, answer]
    finally:
        for hook in hooks:
            hook.remove()
    if not leaves or not logit.requires_grad:
        return []
    gradients = torch.autograd.grad(logit, leaves, allow_unused=True)
    squares = [g[0].square().sum(-1) for g in gradients if g is not None]
    return [torch.stack(squares).sum(0).sqrt()] if squares else []
