"""python -m minihyena train: a text becomes a model, and nothing is lost on the way."""

import argparse
import math
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from minihyena import checkpoints, corpora, runs
from minihyena.benchmark import command, provenance
from minihyena.errors import choose
from minihyena.files import beside
from minihyena.model import LanguageModel, mixers
from minihyena.presets import PRESETS, Plan
from minihyena.processes import from_first, is_first, processes, rank
from minihyena.run_log import EventLog, read_log
from minihyena.training import Diverged, Record, Training

__all__ = ["LATEST", "add_options", "now", "run_train"]

LATEST = Path("runs/latest.safetensors")
YEAR = 365 * 24 * 3600  # s
CHANGES = (  # options that change a plan: as Plan.changed names them
    "corpus",
    "tokenizer",
    "minutes",
    "steps",
    "mixer",
    "width",
    "depth",
    "dropout",
    "length",
    "batch_size",
    "learning_rate",
    "patience",
    "device",
    "seed",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `train`; what is not given is as in the preset, or in Plan."""
    plan = Plan()
    model, recipe = plan.model, plan.training
    add = parser.add_argument
    add("--preset", help=f"settings to begin with: {', '.join(PRESETS)}")
    known = ", ".join(corpora.CORPORA)
    add("--corpus", help=f"{known} or file (default {plan.corpus})")
    known = ", ".join(corpora.TOKENIZERS)
    add("--tokenizer", help=f"{known} (default {plan.tokenizer})")
    add("--minutes", type=float, help="training time (default 2 if no --steps)")
    add("--steps", type=int, help="end after so many batches")
    add("--mixer", help=f"{', '.join(mixers)} (default hyena)")
    add("--width", type=int, help=f"numbers for each token (default {model.width})")
    add("--depth", type=int, help=f"blocks, one on another (default {model.depth})")
    add("--dropout", type=float, help=f"share left out (default {model.dropout:g})")
    add("--length", type=int, help=f"context, in tokens (default {recipe.length})")
    add("--batch-size", type=int, help=f"pieces a step (default {recipe.batch_size})")
    most = recipe.learning_rate
    add("--learning-rate", type=float, help=f"the largest (default {most:g})")
    add("--patience", type=int, help="stop after so many evaluations without a better")
    add("--device", help=f"cpu, cuda or mps (default {recipe.device})")
    add("--seed", type=int, help="of weights and batches (default 0)")
    add("--out", type=Path, default=LATEST, help=f"checkpoint (default {LATEST})")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run kept beside --out; begin if there is none",
    )
    again.add_argument(
        "--fresh",
        action="store_true",
        help="begin anew even if an unfinished run is kept beside --out",
    )
    add(
        "--save-every",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how often the run is kept (default 30)",
    )
    add(
        "--tensorboard",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="write event files too (default folder: OUT.events)",
    )


def run_train(options: argparse.Namespace) -> int:
    """Train, print the curve, write the checkpoint; also after Ctrl-C or divergence."""
    if options.out.is_dir():
        raise ValueError(f"--out {options.out} is a folder; name a file in it")
    if not 0 <= options.save_every < math.inf:
        raise ValueError(f"--save-every must be 0 s or more; got {options.save_every}")
    kept = None if options.fresh else runs.load(options.out)
    kept = kept and replace(kept, state={})  # too large to be held for a whole run
    begun = Plan.of(kept.notes.get("plan", {})) if kept and options.resume else None
    # Where machines do not share files, each must be told the device.
    device = options.device or (begun.training.device if begun else "cpu")
    with processes(device) as here, _terminated_as_interrupted():
        begun, kept = from_first(lambda: (begun, kept))
        plan = _resumed(begun, options) if begun else _planned(kept, options)
        notes: dict[str, Any] = {"command": command(), "plan": plan.fields()}
        if begun and kept:
            notes |= kept.notes
        torch.manual_seed(plan.seed + rank())  # of dropout
        run = plan.begin(here)
        if is_first():
            print(_heading(plan, run), flush=True)
        code = _steps(run, notes, options)
        if is_first() and run.step:
            _write(run, plan, options.out, notes["command"])
    return code


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for on the command line, by its name in a plan."""
    return {n: v for n in CHANGES if (v := getattr(options, n)) is not None}


def _planned(kept: runs.Kept | None, options: argparse.Namespace) -> Plan:
    """The preset, or the defaults, with what was asked for."""
    if kept and kept.progress < 1:
        raise ValueError(
            f"an unfinished run is kept beside {options.out}, at step "
            f"{kept.step}: --resume goes on with it, --fresh begins anew, or "
            "choose another --out"
        )
    plan = Plan()
    if options.preset is not None:
        plan = PRESETS[choose("preset", options.preset, PRESETS)]
    return plan.changed(_given(options))


def _resumed(begun: Plan, options: argparse.Namespace) -> Plan:
    """The plan as it was begun, if what was asked for is nothing else; but a run may go
    on elsewhere.
    """
    end = {"steps": begun.training.steps, "minutes": begun.training.minutes}
    given = end | _given(options)
    wanted = begun
    if options.preset is not None:
        wanted = PRESETS[choose("preset", options.preset, PRESETS)]
        given = _given(options)
    wanted = wanted.changed(given).changed({"device": begun.training.device})
    if differences := runs.differences(begun.fields(), wanted.fields()):
        raise ValueError(
            f"the run kept beside {options.out} was begun otherwise: "
            f"{'; '.join(differences)}; leave that out, or begin a --fresh one"
        )
    return begun


def _heading(plan: Plan, run: Training) -> str:
    model, corpus = _parts(run)
    vocab_size = corpus.tokenizer.vocab_size
    kind = next(n for n, k in mixers.items() if type(plan.model.mixer) is k)
    return (
        f"{kind}, {model.parameter_count():,} parameters; {corpus.name}, "
        f"{len(corpus.train):,} tokens to learn from and {len(corpus.validation):,} "
        f"held out, of {vocab_size} kinds; a blind guess loses ln V = "
        f"{math.log(vocab_size):.2f} nats"
    )


def _steps(run: Training, notes: dict[str, Any], options: argparse.Namespace) -> int:
    """All steps, each told in a bar, its evaluations in lines; the exit code."""
    from tqdm import tqdm

    silent = None if is_first() else True  # None: where standard error is no terminal
    bar = tqdm(
        total=100, bar_format="{percentage:3.0f}%|{bar}|{postfix}", disable=silent
    )
    say = bar.write if is_first() else lambda line: None
    first = None
    try:
        keeping = {"seconds": options.save_every, "fresh": not options.resume}
        steps = runs.keep(run, options.out, notes=notes, **keeping)
        with _events(options) as events, closing(steps):
            for record in steps:
                if first is None:
                    first = record
                    if record.step > 1:
                        say(f"goes on after step {record.step - 1}")
                if events:
                    events.add(record)
                bar.set_postfix_str(now(first, record, run.progress), refresh=False)
                bar.update(100 * run.progress - bar.n)
                if record is first:
                    say("  step      tokens  seconds   loss  held out")
                held_out = record.validation_loss
                if held_out is not None or record is first:
                    told = "" if held_out is None else f" {held_out:9.3f}"
                    say(
                        f"{record.step:6} {record.tokens:11,} {record.seconds:8.1f} "
                        f"{record.loss:6.3f}{told}"
                    )
        if first is None:
            say(f"the run kept beside {options.out} has ended, at step {run.step}")
    except KeyboardInterrupt:
        say(f"stopped after step {run.step}; --resume goes on from here")
    except Diverged as error:
        say(f"diverged: {error}")
        return 1
    finally:
        bar.close()
    return 0


def now(first: Record, record: Record, progress: float) -> str:
    """Step, loss, speed and time left, for the bar."""
    parts = [f" step {record.step}", f"loss {record.loss:.3f}"]
    seconds = record.seconds - first.seconds
    if seconds > 0:
        parts.append(f"{(record.tokens - first.tokens) / seconds:,.0f} tokens/s")
        left = record.seconds * (1 / progress - 1)
        if left < YEAR:
            parts.append(f"{timedelta(seconds=round(left))} left")
    return ", ".join(parts)


def _events(options: argparse.Namespace) -> AbstractContextManager[EventLog | None]:
    """TensorBoard's files, if they are wanted."""
    if options.tensorboard is None or not is_first():
        return nullcontext()
    return EventLog(options.tensorboard or beside(options.out, ".events"))


def _parts(run: Training) -> tuple[LanguageModel, corpora.Corpus]:
    model, corpus = run.model, run.source
    assert isinstance(model, LanguageModel)
    assert isinstance(corpus, corpora.Corpus)
    return model, corpus


def _write(run: Training, plan: Plan, out: Path, began: str) -> None:
    """The checkpoint, with a card: what the model is and how it was made."""
    model, corpus = _parts(run)
    curve = [
        (record.step, record.seconds, record.validation_loss)
        for record in read_log(out)
        if record.validation_loss is not None
    ]
    notes = {
        "corpus": corpus.name,
        "text": corpus.about,
        "licence": corpora.LICENCES.get(plan.corpus, "that of the text"),
        "plan": plan.fields(),
        "seed": plan.seed,
        "steps": run.step,
        "loss": _loss(run, curve),
        "validation": curve,
        "command": began,
        **provenance(),
    }
    checkpoints.save(out, model, corpus.tokenizer, notes)
    chosen = "" if out == LATEST else f' --checkpoint "{out}"'
    print(f"written to {out}; python -m minihyena sample{chosen} lets it write")


def _loss(run: Training, curve: list[tuple[int, float, float]]) -> float | None:
    """That of the model as it is: with patience the best is put back at the end."""
    if curve and run.config.patience is not None and run.progress >= 1:
        return min(loss for _, _, loss in curve)
    return curve[-1][2] if curve else None


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
