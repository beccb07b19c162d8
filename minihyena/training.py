"""One training loop, an iterator of steps: notebooks, terminal and tests all use it.

for record in train(model, corpus, TrainConfig(steps=1000)):
    ...                     # stop by leaving the loop, pause by not asking for more
"""

import math
import time
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from minihyena.batch_memory import check_batch
from minihyena.errors import check_device
from minihyena.losses import Source, evaluate, token_loss
from minihyena.processes import count, from_all, over_processes, rank
from minihyena.tasks.base import is_scored
from minihyena.train_config import Record, TrainConfig
from minihyena.training_state import Snapshot, random_state, set_random_state

__all__ = ["Diverged", "Record", "TrainConfig", "Training", "train"]


class Diverged(FloatingPointError):
    """Loss or gradient is not finite; the model is back at its last good state."""


class Training(Iterator[Record]):
    """A run of training: each `next` takes a step. `train` begins one.

    Everything that decides how it goes on is in its `state_dict`: a run that loads it
    continues as this one would have, bit for bit on the same machine.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        config: TrainConfig,
        generator: torch.Generator | None = None,
    ) -> None:
        for split in ("train", "validation"):
            source.windows(split, config.length)
        check_device(config.device)
        _check_vocabulary(model, source)
        _check_rows(config)
        self.model = model.to(config.device)
        self.source, self.config, self.generator = source, config, generator
        self._shared = DistributedDataParallel(model) if count() > 1 else model
        self._optimizer = torch.optim.AdamW(
            _groups(model, config), betas=config.betas, eps=1e-8, fused=True
        )
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        # The model at its last finite loss, and at its best one on held-out text.
        self._good = Snapshot(self._parameters)
        patient = config.patience is not None
        self._best = Snapshot(self._parameters) if patient else None
        flops = getattr(model, "flops", lambda length, batch: math.nan)
        self._cost = 3 * flops(config.length, config.batch_size)
        self.step, self.seconds = 0, 0.0
        self.lowest, self.waited = math.inf, 0  # the best held-out loss; looks since
        self.ended = self._within = False
        self._fresh = True  # no step has been taken here

    @property
    def progress(self) -> float:
        """Share of the run that is done: 0 .. 1."""
        return 1.0 if self.ended else self.config.progress(self.step, self.seconds)

    @property
    def between_steps(self) -> bool:
        """Whether there is a state to keep; not after an error within a step."""
        return not self._within

    def __next__(self) -> Record:
        if self._within:
            raise RuntimeError("the run was broken off within a step; begin another")
        if self.progress >= 1:
            raise StopIteration
        self._within = True
        record = self._take_step()
        self._within = False
        return record

    def _take_step(self) -> Record:
        config, model, started = self.config, self.model, time.perf_counter()
        step = self.step + 1
        factor = config.schedule(config.progress(step, self.seconds))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        model.train()
        inputs, targets = self.source.batch(
            "train", config.batch_size, config.length, generator=self.generator
        )
        scored = is_scored(targets).sum() / count()  # DDP takes the mean over processes
        if not scored:
            raise ValueError(f"step {step}: nothing is scored in this batch")
        x, y = (part[rank() :: count()].to(config.device) for part in (inputs, targets))
        # One of ours has `flops`: looking changes nothing in it.
        if self._fresh and hasattr(model, "flops"):
            check_batch(model, x, y)
        self._fresh = False
        loss = token_loss(self._shared, x, y, scored)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self._parameters, config.clip))
        mean = over_processes(loss.item())
        if not math.isfinite(mean):
            self._good.put_back()
        if not math.isfinite(mean + norm):
            found = f"loss {mean:.3g}, gradient norm {norm:.3g}"
            raise Diverged(_advice(step, found, config))
        self._good.take()
        self._optimizer.step()
        self.step = step
        self.seconds = over_processes(self.seconds + time.perf_counter() - started)
        last = config.progress(step, self.seconds) >= 1
        return Record(
            step,
            mean,
            config.learning_rate * factor,
            norm,
            step * config.batch_size * config.length,
            self._cost * step,
            self.seconds,
            self._validate() if last or step % config.evaluate_every == 0 else None,
        )

    def _validate(self) -> float:
        config = self.config
        held_out = evaluate(
            self.model, self.source, config.length, windows=config.evaluate_windows
        )
        loss = over_processes(held_out)
        if not math.isfinite(loss):  # this step's update spoilt the model
            self._good.put_back()
            raise Diverged(_advice(self.step, f"validation loss {loss:.3g}", config))
        self.waited += 1
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
            if self._best:
                self._best.take()
        if config.patience is not None and self.waited >= config.patience:
            self.ended = True
        if self._best and self.progress >= 1:
            self._best.put_back()
        return loss

    def state_dict(self) -> dict[str, Tensor]:
        """Model, optimiser, place in schedule and data, random generators: copies.

        Where processes share the work, all must ask. Raises RuntimeError after an error
        within a step.
        """
        if self._within:
            raise RuntimeError("the run was broken off within a step: it has no state")
        state = {n: torch.tensor(getattr(self, n)).double() for n in NUMBERS}
        state |= {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for i, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{i}.{name}": t for name, t in moments.items()}
        for name, snapshot in self._snapshots().items():
            state |= {f"{name}.{i}": copy for i, copy in enumerate(snapshot.copies)}
        if self.generator is not None:
            state["generator"] = self.generator.get_state()
        for i, own in enumerate(from_all(random_state(self._device))):  # of dropout
            state |= {f"random.{i}.{kind}": t for kind, t in own.items()}
        plain = torch.contiguous_format
        return {
            name: tensor.detach().cpu().clone(memory_format=plain)
            for name, tensor in state.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on where another run was; raises ValueError if it is not of this kind."""
        try:
            self.model.load_state_dict(_part(state, "model"))
            moments: dict[int, dict[str, Tensor]] = {}
            for name, tensor in _part(state, "optimizer").items():
                i, _, kind = name.partition(".")
                moments.setdefault(int(i), {})[kind] = tensor
            if state["step"] and not moments:
                raise ValueError("it has no optimiser")
            groups = self._optimizer.param_groups
            shapes = dict(enumerate(p.shape for g in groups for p in g["params"]))
            for key, found in moments.items():  # AdamW would read beyond smaller ones
                wanted = {"step": (), "exp_avg": shapes[key], "exp_avg_sq": shapes[key]}
                if {kind: tensor.shape for kind, tensor in found.items()} != wanted:
                    raise ValueError("its optimiser has other parameters")
            groups = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
            for name, snapshot in self._snapshots().items():
                copies = _part(state, name)
                snapshot.hold([copies[str(i)] for i in range(len(copies))])
            if self.generator is not None:
                self.generator.set_state(state["generator"])
            for name, number in NUMBERS.items():
                setattr(self, name, number(state[name]))
            own = _part(state, f"random.{rank()}")  # none of a process that is new
            set_random_state(own, self._device)
        except (KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"this is the state of another run: {error}") from error
        self._within = False

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _snapshots(self) -> dict[str, Snapshot]:
        kept = {"good": self._good}
        return kept if self._best is None else kept | {"best": self._best}


# What a run counts; they are in its state.
NUMBERS = {"step": int, "seconds": float, "lowest": float, "waited": int, "ended": bool}


def _part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """What is called NAME.something, as something."""
    start = f"{name}."
    return {k[len(start) :]: t for k, t in state.items() if k.startswith(start)}


def train(
    model: nn.Module,
    source: Source,
    config: TrainConfig,
    *,
    generator: torch.Generator | None = None,
) -> Training:
    """Train `model` (ids (B, L) -> logits (B, L, V)) in place, one record a step.

    The last record always has a validation loss. `generator` draws the batches.
    Where torch.distributed has begun, each process takes its rows of the same batches
    (so all must draw alike) and every record tells of all: the run is that of one
    process. Raises ValueError if the source is shorter than one window or of another
    vocabulary, the device is not here or there are more processes than rows; with the
    first step MemoryError for a batch that cannot be held; Diverged when a loss is no
    longer finite, naming the step, with the parameters of the last finite loss put
    back.
    """
    return Training(model, source, config, generator)


def _advice(step: int, found: str, config: TrainConfig) -> str:
    return (
        f"step {step}: {found}; the model is back at its last good state; "
        f"try a learning rate below {config.learning_rate:g}"
    )


def _check_rows(config: TrainConfig) -> None:
    if count() > config.batch_size:
        raise ValueError(
            f"a batch of {config.batch_size} rows cannot be shared by {count()} "
            "processes; take a larger batch_size"
        )


def _check_vocabulary(model: nn.Module, source: Source) -> None:
    """Where both say what they are made for."""
    made_for = getattr(getattr(model, "config", None), "vocab_size", None)
    given = getattr(getattr(source, "tokenizer", None), "vocab_size", None)
    if None not in (made_for, given) and made_for != given:
        raise ValueError(
            f"the model knows {made_for} tokens and the text has {given}; make the "
            "model with vocab_size=corpus.tokenizer.vocab_size"
        )


def _groups(model: nn.Module, config: TrainConfig) -> list[dict[str, object]]:
    if hasattr(model, "parameter_groups"):
        groups = model.parameter_groups(  # type: ignore[operator]
            config.learning_rate, config.weight_decay
        )
    else:
        everything = {"params": list(model.parameters()), "lr": config.learning_rate}
        groups = [everything | {"weight_decay": config.weight_decay}]
    return [group for group in groups if group["params"]]
