"""A training run on disk: saved while it trains, and resumed bit for bit.

for record in keep(train(model, corpus, config, generator=g), "runs/mine"):
    ...          # run the cell, the command or the machine again: it goes on from there

runs/mine.run and runs/mine.run.old are its last two states, runs/mine.csv its records.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, uint8

from minihyena.checkpoints import KINDS
from minihyena.files import beside, only_here, write_whole
from minihyena.model import LanguageModel
from minihyena.options import to_fields
from minihyena.processes import count, from_first, is_first, over_processes
from minihyena.run_log import RunLog
from minihyena.signals import signals_wait
from minihyena.training import Record, Training

__all__ = [
    "Kept",
    "differences",
    "forget",
    "keep",
    "load",
    "resume",
    "save",
    "settings",
]


class Kept(NamedTuple):
    """A run as it was saved: its state, how far it is, the settings it depends on, and
    notes.
    """

    state: dict[str, Tensor]
    step: int
    progress: float  # 0 .. 1
    settings: dict[str, Any]
    notes: dict[str, Any]


def keep(
    run: Training,
    path: Path | str,
    *,
    seconds: float = 30.0,
    notes: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """The steps of `run`, which first goes on from where it was kept, if it was.

    It is saved every so many `seconds`, at its end, when the loop is left, and on
    SIGINT or SIGTERM, which wait for the step in hand. A state that cannot be written
    (the disk is full) is a warning as long as the run goes on, an OSError at its end.
    Where processes share the work, the first one reads and writes.
    Raises as `resume`, and RuntimeError if another process keeps a run there.
    """
    # Of several processes one must not leave while the others wait for it.
    together: AbstractContextManager[list[int]] = nullcontext([])
    if count() > 1:
        together = signals_wait()
    with _mine(path), together as before:
        resume(run, path)
        log = RunLog(path, run.step) if is_first() else None
        saved, due = run.step, time.monotonic() + seconds
        try:
            while True:
                with signals_wait() as signals:
                    record = next(run, None)
                    if log and record:
                        log.add(record)
                    stop = over_processes(bool(before or signals)) > 0
                    late = over_processes(time.monotonic() >= due) > 0
                    if run.step > saved and (record is None or stop or late):
                        try:
                            save(run, path, notes, log)
                            saved = run.step
                        except OSError as error:
                            if record is None or stop:
                                raise
                            warnings.warn(
                                _unsaved(run.step, saved, error), stacklevel=2
                            )
                        due = time.monotonic() + seconds
                if record is None:
                    return
                if stop:  # this process or another was asked to end
                    raise KeyboardInterrupt
                yield record
        finally:
            if run.step > saved and run.between_steps and count() == 1:
                save(run, path, notes, log)
            elif log:
                log.flush()


def save(
    run: Training,
    path: Path | str,
    notes: Mapping[str, Any] | None = None,
    log: RunLog | None = None,
) -> None:
    """Write the run's state; the one before it stays as a second generation.

    At every moment one of the two is whole. Raises OSError; all processes must ask.
    """
    tensors = {name: t.detach().cpu().clone() for name, t in run.state_dict().items()}

    def write() -> None:
        if log:
            log.flush()  # every record up to this state is there before it
        about = {
            "step": run.step,
            "progress": run.progress,
            "settings": settings(run),
            "notes": dict(notes or {}),
            "sha256": _digest(tensors),
        }
        new, old = _files(path)
        content = to_bytes(tensors, {"minihyena run": json.dumps(about)})
        fresh = new.with_name(f"{new.name}.new")
        write_whole(fresh, content)
        if new.exists():
            new.replace(old)
        fresh.replace(new)

    from_first(write)


def resume(run: Training, path: Path | str) -> bool:
    """Put the run where it was kept; False if nothing was kept there.

    Raises ValueError if what is kept is a run of other settings, another model or
    another text, naming what differs, or if neither of its two states can be read.
    """
    kept = from_first(lambda: load(path))
    if kept is None:
        return False
    now = settings(run)
    if found := differences(kept.settings, now):
        raise ValueError(
            f"the run kept at {path} is another one: {'; '.join(found)}. Go on "
            "with the same, or choose another place"
        )
    run.load_state_dict(kept.state)
    return True


def load(path: Path | str) -> Kept | None:
    """The newest state that can be read of the run kept there; None if there is none.

    Raises ValueError if there are states and none can be read.
    """
    faults = []
    for file in _files(path):
        if file.exists():
            try:
                kept = _read(file)
            except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
                faults.append(f"{file}: {error}")
                continue
            if faults:
                warnings.warn(
                    f"{faults[0]}; the state before it is taken", stacklevel=2
                )
            return kept
    if faults:
        raise ValueError(f"no state of the run can be read: {'; '.join(faults)}")
    return None


def forget(path: Path | str) -> None:
    """Remove the states kept there, so that a run of any settings can be."""
    for file in _files(path):
        file.unlink(missing_ok=True)


def settings(run: Training) -> dict[str, Any]:
    """What a run depends on: equal for runs that would do the same."""
    model = run.model
    made = {n: list(p.shape) for n, p in model.named_parameters()}
    if isinstance(model, LanguageModel):
        made = to_fields(model.config, KINDS)
    training = to_fields(run.config, {})
    del training["device"]
    text = getattr(run.source, "about", {})
    kind = type(model).__name__
    found = {"model": {"kind": kind} | made, "training": training, "text": text}
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """ "learning_rate was 0.008 and is 0.004", for each value that is not the same."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [f"{name} was {before} and is {now}"]
    return [
        found
        for key in dict.fromkeys([*before, *now])
        for found in differences(before.get(key), now.get(key), f"{name} {key}".strip())
    ]


def _read(file: Path) -> Kept:
    with safe_open(file, framework="pt") as opened:
        about = json.loads((opened.metadata() or {})["minihyena run"])
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if _digest(state) != about.pop("sha256"):
        raise ValueError("its numbers are not those that were written")
    return Kept(state, **about)


def _digest(state: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode())
        found.update(state[name].flatten().view(uint8).numpy().tobytes())
    return found.hexdigest()


def _files(path: Path | str) -> tuple[Path, Path]:
    """Where the newest state is, and the one before it."""
    return beside(path, ".run"), beside(path, ".run.old")


def _unsaved(step: int, saved: int, error: OSError) -> str:
    return (
        f"step {step} could not be saved ({error}); training goes on, and what is kept "
        f"is step {saved}"
    )


@contextmanager
def _mine(path: Path | str) -> Iterator[None]:
    """No other run is kept at this place meanwhile; the first process sees to it."""
    lock = only_here(_files(path)[0])
    from_first(lock.__enter__)
    try:
        yield
    finally:
        if is_first():
            lock.__exit__(None, None, None)
