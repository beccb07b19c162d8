"""Walk through the notebooks as three learners: `make walk` (names: NB="00 09").

One leaves every exercise undone, one answers each wrongly (the first answer of its
bank), one gets all of them right. For each: no cell may fail, and every check must say
what it should. With right answers, or with none, what the other cells print must be
what the committed notebook says.

Each walk is a Python of its own, with IPython but without a browser.
"""

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from hygiene import code_cells, named, read, tagged
from IPython.core.interactiveshell import InteractiveShell
from wrong_answers import BANK

from minihyena import lessons

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
DEFINED = re.compile(r"^(?:def|class) (\w+)", re.M)
VERDICTS = {"nothing": "○ Not attempted", "wrong": "✗ Incorrect", "right": "✓ Correct"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help='how names begin, "09"; default: all')
    parser.add_argument(
        "--answers", choices=VERDICTS, help="one learner, in this Python"
    )
    options = parser.parse_args(arguments)
    try:
        paths = named(FOLDER, options.names)
    except ValueError as error:
        parser.error(str(error))
    found = 0
    for path in paths:
        if options.answers:
            for line in walk(path, options.answers):
                found += 1
                print(f"{path.stem}, {options.answers}: {line}", flush=True)
            continue
        for answers in VERDICTS:
            command = [sys.executable, __file__, path.stem, "--answers", answers]
            found += subprocess.run(command).returncode != 0
    return int(found > 0)


def walk(path: Path, answers: str) -> Iterator[str]:
    """What is wrong when somebody with these answers runs the notebook."""
    os.environ["MINIHYENA_STATIC"] = ""
    os.chdir(FOLDER)  # where a notebook finds what it opens
    shell = InteractiveShell.instance()
    shell.ast_node_interactivity = "none"  # what a cell prints, and not what it shows
    checks = 0
    exercises = [ex for ex in lessons.exercises.values() if ex.id[:2] == path.stem[:2]]
    for cell in code_cells(read(path)):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            source = cell.source
            if tagged(cell, "exercise"):
                name = DEFINED.findall(source)[-1]
                ex = next(ex for ex in exercises if ex.name == name)
                if answers == "right":
                    source = ex.source
                elif answers == "wrong":
                    shell.push({name: BANK[ex.id][0][1]})
                    continue
            outcome = shell.run_cell(source)
        if not outcome.success:
            yield f"cell {cell.id} ended in {outcome.error_in_exec!r}"
        printed = said.getvalue()
        if "lessons.exercise(" in cell.source:
            checks += 1
            if VERDICTS[answers] not in printed:
                yield f"cell {cell.id} said {printed.splitlines()[:1]}"
        elif "lessons.summary(" not in cell.source and answers != "wrong":
            ours = "".join(o.text for o in cell.outputs if o.output_type == "stream")
            if ours != printed:
                yield f"cell {cell.id} printed\n{printed}instead of\n{ours}"
    if checks != len(exercises):
        yield f"{checks} checks for {len(exercises)} exercises"


if __name__ == "__main__":
    sys.exit(main())
