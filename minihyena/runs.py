"""A training run on disk: saved while it trains, and resumed bit for bit.

for record in keep(train(model, corpus, config, generator=g), "runs/mine"):
    ...          # run the cell, the command or the machine again: it goes on from there

runs/mine.run and runs/mine.run.old are its last two states, runs/mine.csv its records.
A run that ends after `steps` gives the same numbers as if it had never been left, on
the same machine with as many threads; the schedule of one that ends after `minutes`
follows the clock.
"""

import json
import time
import warnings
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from minihyena.checkpoints import KINDS
from minihyena.model import LanguageModel
from minihyena.options import to_fields
from minihyena.processes import count, from_first, only_ours, over_processes
from minihyena.run_files import Kept, forget, load, newest, write
from minihyena.run_log import RunLog
from minihyena.signals import signals_wait
from minihyena.training import Record, Training

__all__ = ["Kept", "differences", "forget", "keep", "load", "resume", "settings"]


def keep(
    run: Training,
    path: Path | str,
    *,
    seconds: float = 30.0,
    notes: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Generator[Record, None, None]:
    """The steps of `run`, which first goes on from where it was kept, if it was.

    It is saved every so many `seconds`, at its end, on SIGINT or SIGTERM within a step,
    which wait for the step, and when the loop is left. (Where processes share the work,
    it is not when the loop is left: they would wait for one another. And a signal to
    the body of the loop does there what it does anywhere.) A state that cannot be
    written (the disk is full) is a warning as long as the run goes on, an OSError at
    its end. A `fresh` run begins anew, and with its first state replaces what was kept.
    Where processes share the work, the first one reads and writes.
    Raises as `resume`, and RuntimeError if another process keeps a run there.
    """
    # Of several processes one must not leave while the others wait for it.
    together: AbstractContextManager[list[int]] = nullcontext([])
    if count() > 1:
        together = signals_wait()
    with only_ours(newest(path)), together as before:
        if not fresh:
            resume(run, path)
        log = _first_only(lambda: RunLog(path, run.step))
        saved, due = run.step, time.monotonic() + seconds

        def save() -> None:
            nonlocal saved, fresh
            kept = Kept(
                run.state_dict(),
                run.step,
                run.progress,
                settings(run),
                {**(notes or {})},
            )
            from_first(lambda: _write(kept, path, fresh, log))
            saved, fresh = run.step, False

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
                            save()
                        except OSError as error:
                            if record is None or stop:
                                raise
                            warnings.warn(
                                f"step {run.step} could not be saved ({error}); "
                                f"training goes on, and what is kept is step {saved}",
                                stacklevel=2,
                            )
                        due = time.monotonic() + seconds
                if record is None:
                    return
                if stop:  # this process or another was asked to end
                    raise KeyboardInterrupt
                yield record
        finally:
            if run.step > saved and run.between_steps and count() == 1:
                save()
            _flush(log)


def _write(kept: Kept, path: Path | str, fresh: bool, log: RunLog | None) -> None:
    """Records first, so that none is missing up to the state."""
    _flush(log)
    write(kept, path, fresh)


def _flush(log: RunLog | None) -> None:
    """A table that cannot be written is worth a warning: the state is what counts."""
    try:
        if log:
            log.flush()
    except OSError as error:
        warnings.warn(f"{error}: steps are missing in the table", stacklevel=2)


def _first_only(make: Any) -> Any:
    """What the first process makes; None in the others. An error is raised in all."""
    made: list[Any] = []
    from_first(lambda: made.append(make()))
    return made[0] if made else None


def resume(run: Training, path: Path | str) -> bool:
    """Put the run where it was kept; False if nothing was kept there.

    Raises ValueError if what is kept is a run of other settings, another model or
    another text, naming what differs, or if neither of its two states can be read.
    """
    kept = from_first(lambda: load(path, mend=True))
    if kept is None:
        return False
    if found := differences(kept.settings, settings(run)):
        raise ValueError(
            f"the run kept at {path} is another one: {'; '.join(found)}. Go on "
            "with the same, choose another place, or begin a fresh one"
        )
    try:
        run.load_state_dict(kept.state)
    except ValueError as error:
        raise ValueError(f"the run kept at {path} cannot go on: {error}") from error
    return True


def settings(run: Training) -> dict[str, Any]:
    """What a run depends on: equal for runs that would do the same.

    A source says what it is by `about`; of one that does not, nothing is known.
    """
    model = run.model
    made = {n: list(p.shape) for n, p in model.named_parameters()}
    if isinstance(model, LanguageModel):
        made = to_fields(model.config, KINDS)
    training = to_fields(run.config, {})
    del training["device"]
    found = {
        "model": {"kind": type(model).__name__} | made,
        "training": training,
        "text": getattr(run.source, "about", {}),
        "generator": run.generator is not None,
    }
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
