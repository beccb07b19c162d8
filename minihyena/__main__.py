"""The command line, python -m minihyena: from a text to a model to a text, and more."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import torch

from minihyena import checkpoints, shipped, train_command
from minihyena.errors import check_device, choose
from minihyena.experiments.results import FOLDER
from minihyena.generation import sample_text
from minihyena.processes import is_first, processes
from minihyena.train_command import LATEST
from minihyena.training import Record

FAULTS = (
    *(ValueError, ArithmeticError, TypeError, RuntimeError),
    *(OSError, MemoryError, ImportError),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 if it worked, 1 if not, 2 for bad usage."""
    try:
        try:
            options = parser().parse_args(arguments)
            return int(options.command(options))
        finally:
            sys.stdout.flush()  # here a pipe that was closed can still be caught
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads this, as `| head` does, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FAULTS as error:
        print(f"minihyena: {error}", file=sys.stderr)
        return 1


class Parser(argparse.ArgumentParser):
    """Options are whole words; one that is unknown is told beside those it may mean."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def parse_known_args(self, *args: Any) -> Any:  # type: ignore[override]
        """argparse asks the parser of a command, which knows the options, for this."""
        found, unknown = super().parse_known_args(*args)
        for word in unknown:
            if not word.startswith("-"):
                self.error(f"one word too many, {word!r}: put texts in quotes")
            try:
                choose("option", word.partition("=")[0], self._option_string_actions)
            except ValueError as error:
                self.error(str(error))
        return found, unknown


def parser() -> argparse.ArgumentParser:
    """The command line; its defaults are those of LMConfig and TrainConfig."""
    top = Parser(prog="python -m minihyena", description=__doc__)
    commands = top.add_subparsers(metavar="COMMAND")

    learn = commands.add_parser("train", help="train a language model on a text")
    learn.set_defaults(command=train_command.run_train)
    train_command.add_options(learn)

    write = commands.add_parser("sample", help="let a trained model write")
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
    add("--device", default="cpu")
    add("--out", type=Path, default=FOLDER, help=f"folder (default {FOLDER})")

    time = commands.add_parser(
        "bench",
        help="measure speed and memory beside what else there is",
    )
    time.set_defaults(command=run_bench)
    add = time.add_argument
    suites = "conv", "layer", "train", "generate"
    add(
        "suite",
        nargs="?",
        default="all",
        choices=[*suites, "race", "all"],
        help="all: every one but the race, which trains three models, for minutes",
    )
    add("--lengths", type=int, nargs="+", help="default: powers of two")
    add("--batch", type=int, nargs="+", help="one or more")
    add("--width", type=int, nargs="+", help="one or more")
    add("--rounds", type=int, default=15, help="at least 5; fewer for long calls")
    add("--threads", type=int, help="default: as many as torch takes")
    add("--device", default="cpu", help='"cuda" is written to SUITE_cuda.json')
    add("--out", type=Path, default=Path("runs"), help="folder of SUITE.json")

    mark = commands.add_parser("grade", help="grade what students handed in")
    mark.set_defaults(command=run_grade)
    add = mark.add_argument
    add("submissions", type=Path, help="a folder with a notebook or folder a student")
    add(
        "--seed",
        help="known to staff only; default: MINIHYENA_SEED, or that of the notebooks",
    )
    add("--out", type=Path, default=Path("grades"), help="folder (default grades)")
    add("--assignment", help="of notebooks that do not say it: A1")
    add("--parameters", type=Path, help="TOML: A1.routes.lengths = [3, 4] and so on")
    add("--marks", type=Path, help="CSV: student, assignment, part, level, comment")
    add("--gradescope", action="store_true", help="also write a results.json for each")
    add("--otter", action="store_true", help="also write otter-grader's test files")

    course = commands.add_parser("notebooks", help="copy the course into a folder")
    course.set_defaults(command=run_notebooks)
    course.add_argument("folder", type=Path, help="notebooks already there stay")
    course.add_argument("--lab", action="store_true", help="then open JupyterLab")

    check = commands.add_parser("doctor", help="is everything here that is needed?")
    check.set_defaults(command=run_doctor)
    top.set_defaults(command=lambda _: top.exit(2, top.format_help()))
    return top


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
            sizes = f"{len(one.models)} models, {one.sizes:2} sizes"
            print(f"{one.name:16}{sizes}  {one.question}")
        return 0
    chosen = choose("experiment", options.name, experiments.EXPERIMENTS)
    use_threads(options.threads)
    with processes(options.device) as device:
        made: Any = experiments.EXPERIMENTS[chosen]
        made = replace(made, training=replace(made.training, device=device))
        if options.steps not in (None, made.steps):  # a record of its own
            name = f"{made.name}_{options.steps}_steps"
            made = replace(made, name=name, steps=options.steps)
        first = is_first()
        bar = tqdm(bar_format="{postfix}", disable=None if first else True)

        def watch(trial: experiments.Trial, record: Record, _: float | None) -> None:
            where = f"{trial.model}, {trial.subject}, seed {trial.seed}"
            at = f"step {record.step} of {made.steps}, loss {record.loss:.3f}"
            bar.set_postfix_str(f"{where}: {at}", refresh=False)
            bar.update()

        for run in experiments.run(
            made, options.seeds, options.out, watch=watch, say=bar.write
        ):
            if first:
                bar.write(
                    f"{run.told}; learning rate {run.learning_rate:g}, start "
                    f"{run.start}, seed {run.seed}, {run.steps} steps in "
                    f"{run.seconds:.0f} s"
                )
        bar.close()
        if first:
            print(f"written to {options.out / made.name}.json")
    return 0


def run_bench(options: argparse.Namespace) -> int:
    """Measure the suites, print a table and write SUITE.json as the rows come in."""
    from minihyena import benchmark, subjects

    given = [options.lengths, options.batch, options.width]
    if min(number for numbers in given for number in numbers or [1]) < 1:
        raise ValueError("--lengths, --batch and --width must be positive")
    if options.rounds < 5:
        raise ValueError("--rounds must be at least 5")
    use_threads(options.threads)
    check_device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)  # fails now, not at the end
    if options.suite == "race":
        return run_race(options.out / "race.json")
    kind = torch.device(options.device).type
    ending = ".json" if kind == "cpu" else f"_{kind}.json"
    names = subjects.SUITES if options.suite == "all" else [options.suite]
    for name in names:
        suite, rows = subjects.SUITES[name], list[benchmark.Row]()
        for width in options.width or [suite.width]:
            for batch in options.batch or [suite.batch]:
                lengths = options.lengths or suite.lengths
                size = batch, width, lengths, options.rounds
                for found in suite.rows(*size, options.device):
                    print(*benchmark.table(found), sep="\n", flush=True)
                    rows += found
                    benchmark.save(benchmark.run(rows), options.out / (name + ending))
        print(f"written to {options.out / (name + ending)}")
    return 0


def use_threads(number: int | None) -> None:
    """Let torch compute in so many threads; far too many would end the process."""
    if number is not None:
        most = os.cpu_count() or 1
        if not 1 <= number <= most:
            raise ValueError(f"--threads must be 1 to {most} here; got {number}")
        torch.set_num_threads(number)


def run_race(path: Path) -> int:
    """Race the laptop preset against nanoGPT's CPU recipe, and tell how it stands."""
    from minihyena import race

    for lanes in race.race(race.against_nanogpt()):
        race.save(lanes, path)
        told = [
            f"{lane.name} {loss:.3f} after {seconds:.0f} s"
            for lane in lanes
            for _, seconds, loss in lane.curve[-1:]
        ]
        print("; ".join(told), flush=True)
    print(f"written to {path}")
    return 0


def run_grade(options: argparse.Namespace) -> int:
    """Grade a folder of submissions; write tables and a page for each."""
    from minihyena.grading import command

    return command.run_grade(options)


def run_notebooks(options: argparse.Namespace) -> int:
    """Copy the notebooks, leave those alone that are there, say how to open them."""
    folder: Path = options.folder
    new, kept = shipped.copy_notebooks(folder)
    print(f"notebooks copied to {folder}: {len(new)}")
    if kept:
        print(f"there before, and left as they were: {len(kept)}")
    if options.lab:
        return shipped.open_lab(folder)
    print(f'to open them: python -m minihyena notebooks "{folder}" --lab')
    return 0


def run_doctor(options: argparse.Namespace) -> int:
    """Check the installation and say how to mend it."""
    from minihyena import doctor

    return doctor.run()


if __name__ == "__main__":
    if isinstance(sys.stdout, TextIOWrapper):  # into a file, Windows writes few letters
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
