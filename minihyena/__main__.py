"""python -m minihyena train | sample | experiment | bench | doctor"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from minihyena import checkpoints, corpora
from minihyena.errors import choose
from minihyena.experiments.results import FOLDER
from minihyena.generation import sample_text
from minihyena.model import LanguageModel, LMConfig, mixers
from minihyena.training import Diverged, Record, TrainConfig, train

LATEST = Path("runs/latest.safetensors")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 if it worked, 1 if not, 2 for bad usage."""
    options = parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError, TypeError, RuntimeError) as error:
        print(f"minihyena: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line; its defaults are those of LMConfig and TrainConfig."""
    top = argparse.ArgumentParser(prog="python -m minihyena", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    model, recipe = LMConfig(vocab_size=1), TrainConfig(steps=1)
    learn = commands.add_parser(
        "train", help="train a language model on a text", allow_abbrev=False
    )
    learn.set_defaults(command=run_train)
    add = learn.add_argument
    add("--corpus", default="python-docs", help=f"{', '.join(corpora.CORPORA)} or file")
    add("--tokenizer", default="character", help=", ".join(corpora.TOKENIZERS))
    add("--minutes", type=float, help="training time (default 2 if no --steps)")
    add("--steps", type=int)
    add("--mixer", default=model.mixer, help=", ".join(mixers))
    add("--width", type=int, default=model.width)
    add("--depth", type=int, default=model.depth)
    add("--length", type=int, default=recipe.length, help="context, in tokens")
    add("--batch-size", type=int, default=recipe.batch_size)
    add("--learning-rate", type=float, default=recipe.learning_rate)
    add("--patience", type=int, help="stop after so many evaluations without a better")
    add("--device", default=recipe.device)
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=LATEST, help=f"checkpoint (default {LATEST})")

    write = commands.add_parser(
        "sample", help="let a trained model write", allow_abbrev=False
    )
    write.set_defaults(command=run_sample)
    add = write.add_argument
    add("--checkpoint", type=Path, default=LATEST, help=f"default {LATEST}")
    add("--prompt", default="The ")
    add("--length", type=int, default=400, help="new tokens")
    add("--temperature", type=float, default=0.8)
    add("--top-k", type=int)
    add("--top-p", type=float)
    add("--stop", nargs="+", help="end after one of these texts")
    add("--decoder", help="online, recurrent or recompute; default: the fastest exact")
    add(
        "--distill", type=int, metavar="ORDER", help="first take so many modes a filter"
    )
    add("--seed", type=int)

    study = commands.add_parser(
        "experiment",
        help="run a recorded comparison again, or go on with it",
        allow_abbrev=False,
    )
    study.set_defaults(command=run_experiment)
    add = study.add_argument
    add("name", nargs="?", help="without one, they are listed")
    add("--seeds", type=int, default=3)
    add(
        "--steps",
        type=int,
        help="more or fewer than planned; kept in NAME_STEPS_steps.json",
    )
    add("--threads", type=int, help="default: as many as torch takes")
    add("--device", default=recipe.device)
    add("--out", type=Path, default=FOLDER, help=f"folder (default {FOLDER})")

    time = commands.add_parser(
        "bench",
        help="measure speed and memory beside what else there is",
        allow_abbrev=False,
    )
    time.set_defaults(command=run_bench)
    add = time.add_argument
    suites = "conv", "layer", "train", "generate"
    add("suite", nargs="?", default="all", choices=[*suites, "all"])
    add("--lengths", type=int, nargs="+", help="default: powers of two")
    add("--batch", type=int, nargs="+", help="one or more")
    add("--width", type=int, nargs="+", help="one or more")
    add("--rounds", type=int, default=15, help="at least 5; fewer for long calls")
    add("--threads", type=int, help="default: as many as torch takes")
    add("--out", type=Path, default=Path("runs"), help="folder of SUITE.json")

    check = commands.add_parser("doctor", help="is everything here that is needed?")
    check.set_defaults(command=run_doctor)
    return top


def run_train(options: argparse.Namespace) -> int:
    """Train, print the curve, write the checkpoint; also after Ctrl-C or divergence."""
    from tqdm import tqdm

    minutes = options.minutes
    if minutes is None and options.steps is None:
        minutes = 2.0
    recipe = TrainConfig(
        steps=options.steps,
        minutes=minutes,
        length=options.length,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        patience=options.patience,
        device=options.device,
    )
    corpus = corpora.load(options.corpus, tokenizer=options.tokenizer)
    if options.out.is_dir():
        raise ValueError(f"--out {options.out} is a folder; name a file in it")
    options.out.parent.mkdir(parents=True, exist_ok=True)  # fails now, not at the end
    config = LMConfig(
        vocab_size=corpus.tokenizer.vocab_size,
        max_length=options.length,
        width=options.width,
        depth=options.depth,
        mixer=options.mixer,
    )
    generator = torch.Generator().manual_seed(options.seed)
    model = LanguageModel(config, generator)
    print(
        f"{options.mixer}, {model.parameter_count():,} parameters; {corpus.name}, "
        f"{len(corpus.train):,} tokens to learn from and {len(corpus.validation):,} "
        f"held out, of {config.vocab_size} kinds; a blind guess loses ln V = "
        f"{math.log(config.vocab_size):.2f} nats"
    )
    bar = tqdm(
        total=100, bar_format="{percentage:3.0f}%|{bar}|{postfix}", disable=None
    )  # no bar where standard error is no terminal
    curve: list[tuple[int, float, float]] = []
    code, record = 0, None
    try:
        for record in train(model, corpus, recipe, generator=generator):
            done = 100 * recipe.progress(record.step, record.seconds)
            bar.set_postfix_str(f" step {record.step}, loss {record.loss:.3f}", False)
            bar.update(done - bar.n)
            if record.validation_loss is None:
                continue
            if not curve:
                bar.write("  step      tokens  seconds   loss  held out")
            curve.append((record.step, record.seconds, record.validation_loss))
            bar.write(
                f"{record.step:6} {record.tokens:11,} {record.seconds:8.1f} "
                f"{record.loss:6.3f} {record.validation_loss:9.3f}"
            )
    except KeyboardInterrupt:
        bar.write("stopped")
    except Diverged as error:
        bar.write(f"diverged: {error}")
        code = 1
    finally:
        bar.close()
    if record is None:
        return code  # not a step was taken: an older checkpoint is worth more
    notes = {"corpus": corpus.name, "seed": options.seed, "validation": curve}
    checkpoints.save(options.out, model, corpus.tokenizer, notes)
    chosen = "" if options.out == LATEST else f" --checkpoint {options.out}"
    print(f"written to {options.out}; python -m minihyena sample{chosen} lets it write")
    return code


def run_sample(options: argparse.Namespace) -> int:
    """Stream the prompt's continuation to standard output."""
    model, tokenizer, _ = checkpoints.load(options.checkpoint)
    if options.distill is not None:
        model = model.distill(options.distill)
    generator = torch.Generator()
    if options.seed is None:
        generator.seed()
    else:
        generator.manual_seed(options.seed)
    pieces = sample_text(
        model,
        tokenizer,
        options.prompt,
        options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        generator=generator,
        stop=options.stop,
        decoder=options.decoder,
    )
    print(options.prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
    return 0


def run_experiment(options: argparse.Namespace) -> int:
    """Run what is missing of an experiment, with a line for each run, or list all."""
    from tqdm import tqdm

    from minihyena import experiments

    if options.name is None:
        for one in experiments.EXPERIMENTS.values():
            n = len(one.tasks) * len(one.widths)
            print(f"{one.name:16}{len(one.models)} models, {n:2} sizes  {one.question}")
        return 0
    chosen = choose("experiment", options.name, experiments.EXPERIMENTS)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    with experiments.processes(options.device) as device:
        made = experiments.EXPERIMENTS[chosen]
        made = replace(made, training=replace(made.training, device=device))
        if options.steps not in (None, made.steps):  # a record of its own
            name = f"{made.name}_{options.steps}_steps"
            made = replace(made, name=name, steps=options.steps)
        first = experiments.is_first()
        bar = tqdm(bar_format="{postfix}", disable=None if first else True)

        def watch(trial: experiments.Trial, record: Record, _: float | None) -> None:
            where = f"{trial.model}, {trial.task}, seed {trial.seed}"
            at = f"step {record.step} of {made.steps}, loss {record.loss:.3f}"
            bar.set_postfix_str(f"{where}: {at}", refresh=False)
            bar.update()

        for run in experiments.run(
            made, options.seeds, options.out, watch=watch, say=bar.write
        ):
            if first:
                sizes = ", ".join(f"{k} {v}" for k, v in run.sizes.items())
                bar.write(
                    f"{run.score:6.1%} {run.model}: {sizes}; learning rate "
                    f"{run.learning_rate:g}, start {run.start}, seed {run.seed}, "
                    f"{run.steps} steps in {run.seconds:.0f} s"
                )
        bar.close()
        if first:
            print(f"written to {options.out / made.name}.json")
    return 0


def run_bench(options: argparse.Namespace) -> int:
    """Measure the suites, print a table and write SUITE.json as the rows come in."""
    from minihyena import benchmark, subjects

    threads = torch.get_num_threads() if options.threads is None else options.threads
    given = [options.lengths, options.batch, options.width, [threads]]
    if min(number for numbers in given for number in numbers or [1]) < 1:
        raise ValueError("--lengths, --batch, --width and --threads must be positive")
    if options.rounds < 5:
        raise ValueError("--rounds must be at least 5")
    torch.set_num_threads(threads)
    options.out.mkdir(parents=True, exist_ok=True)  # fails now, not at the end
    names = subjects.SUITES if options.suite == "all" else [options.suite]
    for name in names:
        suite, rows = subjects.SUITES[name], list[benchmark.Row]()
        for width in options.width or [suite.width]:
            for batch in options.batch or [suite.batch]:
                lengths = options.lengths or suite.lengths
                for found in suite.rows(batch, width, lengths, options.rounds):
                    print(*benchmark.table(found), sep="\n", flush=True)
                    rows += found
                    benchmark.save(benchmark.run(rows), options.out / f"{name}.json")
        print(f"written to {options.out / name}.json")
    return 0


def run_doctor(options: argparse.Namespace) -> int:
    """Check the installation and say how to mend it."""
    from minihyena import doctor

    return doctor.run()


if __name__ == "__main__":
    sys.exit(main())
