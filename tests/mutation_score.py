"""What `mutmut run` found, file by file: how many mutants there are and were killed.

python tests/mutation_score.py [--folder FOLDER]: FOLDER holds `mutants`. A mutant that
makes a test wait too long counts as killed; one that no test reaches does not. The
survivors are listed with what was changed in them (`mutmut show NAME` says it, too).
A function that another one made at import is never exchanged: its mutants survive.
With --draw N only the names of N mutants of lesson checks are printed, to be run.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

KILLED = {1, 3, 24, 36, -24, -9, -11, 152, 255}  # failed, crashed, or out of time
UNSEEN = {None, 2}  # not run yet, or interrupted
LESSONS = "minihyena/lessons/"


def found(folder: Path) -> dict[str, dict[str, int | None]]:
    """How each mutant ended, by its name, by file; lessons by notebook."""
    ends: dict[str, dict[str, int | None]] = defaultdict(dict)
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        name = meta.relative_to(folder / "mutants").as_posix().removesuffix(".meta")
        if name.count("/") > LESSONS.count("/"):
            name = name.rpartition("/")[0]
        ends[name] |= json.loads(meta.read_text())["exit_code_by_key"]
    return ends


def score(folder: Path) -> None:
    """Print the table, then the survivors."""
    total, survivors = Counter[str](), list[str]()
    print("| file | mutants | run | killed | of those run |\n|---|---|---|---|---|")
    for file, codes in found(folder).items():
        seen = {name: code for name, code in codes.items() if code not in UNSEEN}
        killed = sum(code in KILLED for code in seen.values())
        survivors += [name for name, code in seen.items() if code not in KILLED]
        total += Counter(mutants=len(codes), run=len(seen), killed=killed)
        if seen:
            print(f"| `{file}` | {line(len(codes), len(seen), killed)} |")
    print(f"| all | {line(total['mutants'], total['run'], total['killed'])} |")
    for name in survivors:
        show = [sys.executable, "-m", "mutmut", "show", name]
        shown = subprocess.run(show, cwd=folder, capture_output=True, text=True).stdout
        changed = [text for text in shown.splitlines() if text[:1] in "-+"]
        print(name, *changed[2:], sep="\n    ")


def line(mutants: int, run: int, killed: int) -> str:
    """The numbers of a row."""
    return f"{mutants} | {run} | {killed} | {killed / max(1, run):.1%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--draw", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.draw is None:
        score(options.folder)
    else:
        checks = [
            name
            for file, ends in found(options.folder).items()
            if file.startswith(LESSONS)
            for name in ends
        ]
        print(
            *random.Random(options.seed).sample(checks, min(options.draw, len(checks)))
        )
