"""What a committed notebook must be: `faults(path)` says what is wrong with one.

publish.py refuses to write a notebook with a fault, the tests refuse to pass one.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
from additions import SETUP
from nbformat import NotebookNode
from releasing import assignment_of

__all__ = ["RULES", "faults", "named", "read"]

LARGEST = 300_000  # bytes of a notebook with its outputs
LONGEST = 15  # lines of code in a cell; a cell tagged "exercise" may be longer
FIRST = 6  # lines of code in the first code cell: imports and a generator
BEFORE = ["Prerequisites", "Objectives", "Time"]  # labels between title and Predict
HEADINGS = [
    "Predict",
    "Build",  # once for every idea: "## Build: a delay is a filter"
    "Check",
    "Play",
    "Break it",
    "Connect to the paper",
    "Exit ticket",
    "Summary",
    "Next",
]
PICTURES = {
    "image/png",
    "image/jpeg",
    "image/svg+xml",
    "application/vnd.plotly.v1+json",
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_TEXT = re.compile(
    r"^(Figure|FigureWidget|[HV]?Box|GridBox|Tab|Accordion|Output|HTML|Label|Image"
    r"|\w*(Slider|Button|Buttons|Progress|Text|Dropdown|Checkbox|interactive))\("
)
ABSOLUTE = re.compile(r"(?<![\w.:/])/(home|work|root|tmp|Users|opt|mnt)\b|\bC:\\")
NETWORK = re.compile(
    r"https?://|\burlopen\b|^\s*(import|from)\s+(requests|urllib|httpx|socket|pooch)\b"
    r"""|load\(\s*["']tinyshakespeare""",
    re.M,
)
COMMAND = re.compile(r"^\s*([!%].*)$", re.M)
VAGUE = re.compile(r"\b(understand|learn about|be familiar|appreciate)\b", re.I)
MARKERS = re.compile(r"NBVAL_(IGNORE_OUTPUT|SKIP)|nbval-(ignore-output|skip)")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}

Faults = Iterator[str]


def read(path: Path) -> NotebookNode:
    """The notebook as it is in the file: nothing added, nothing repaired."""
    notebook: NotebookNode = nbformat.v4.reads(path.read_text("utf-8"))
    return notebook


def named(
    folder: Path, beginnings: Iterable[str] = (), pattern: str = "*.ipynb"
) -> list[Path]:
    """The notebooks in a folder whose names begin so; or all. "**/*": also below it.

    Raises ValueError for a beginning that none has.
    """
    paths, beginnings = sorted(folder.glob(pattern)), tuple(beginnings)
    paths = [path for path in paths if ".ipynb_checkpoints" not in path.parts]
    known = sorted({path.name[:2] for path in paths})
    for beginning in beginnings:
        if not any(path.name.startswith(beginning) for path in paths):
            raise ValueError(
                f"no notebook begins with {beginning!r}; there are {len(known)}: "
                + ", ".join(known)
            )
    return [path for path in paths if path.name.startswith(beginnings or "")]


def faults(path: Path, notebook: NotebookNode | None = None) -> list[str]:
    """What breaks a rule, one line each; `notebook` instead of the file's contents."""
    if notebook is None:
        notebook = read(path)
    broken = list(is_valid(notebook, path))
    return broken or [line for rule in RULES for line in rule(notebook, path)]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def written_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that somebody wrote: all but the one for Colab, word for word."""
    return [cell for cell in code_cells(notebook) if cell.source != SETUP]


def prose(notebook: NotebookNode) -> str:
    """All markdown, without code blocks."""
    text = (c.source for c in notebook.cells if c.cell_type == "markdown")
    return FENCED.sub("", "\n\n".join(text))


def headings(notebook: NotebookNode) -> list[tuple[int, str]]:
    """(level, text) of each markdown heading, in order."""
    found = re.findall(r"^(#{1,6})\s+(.+?)\s*#*$", prose(notebook), re.M)
    return [(len(marks), text) for marks, text in found]


def lines_of_code(cell: NotebookNode) -> int:
    """Lines that are neither blank nor a comment."""
    lines = (line.strip() for line in cell.source.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def tagged(cell: NotebookNode, tag: str) -> bool:
    """True if the cell's metadata has this tag."""
    return tag in cell.metadata.get("tags", [])


def is_sentence(text: str) -> bool:
    """True for words that end in a full stop and are no repr."""
    text = text.strip()
    return (
        text.endswith((".", "!", "?"))
        and len(text.split()) >= 3
        and not re.match(r"\w+\(|<", text)
    )


def is_valid(notebook: NotebookNode, path: Path) -> Faults:
    """The format's own rules: version, cell ids present and each used once."""
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        yield "cells without an id, or two with the same"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            nbformat.validate(notebook)
        except nbformat.ValidationError as error:
            yield f"not a valid notebook: {error.message.splitlines()[0]}"


def is_small(notebook: NotebookNode, path: Path) -> Faults:
    size = len(nbformat.writes(notebook).encode())
    if size > LARGEST:
        yield f"{size:,} bytes, at most {LARGEST:,}"


def ran_in_order(notebook: NotebookNode, path: Path) -> Faults:
    """Counts 1..n: a cell without a count is compared with nothing."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if not counts:
        yield "no code cell"
    elif counts != list(range(1, len(counts) + 1)):
        yield f"execution counts {counts}, not 1 to {len(counts)} in order"


def has_no_errors(notebook: NotebookNode, path: Path) -> Faults:
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {cell.execution_count} ended in {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {cell.execution_count} wrote to stderr"


def has_no_widget_state(notebook: NotebookNode, path: Path) -> Faults:
    if "widgets" in notebook.metadata:
        yield "widget state in the metadata (5 MB for each figure)"
    for cell in code_cells(notebook):
        if any(WIDGET_VIEW in output.get("data", {}) for output in cell.outputs):
            yield f"cell {cell.execution_count} keeps a widget view"
        if "execution" in cell.metadata:
            yield f"cell {cell.execution_count} keeps its execution times"


def describes_pictures(notebook: NotebookNode, path: Path) -> Faults:
    """Every figure and widget comes with one sentence: it is what tests compare."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            text = "".join(data.get("text/plain", ""))
            said = f"described by {text[:60]!r}"
            if PICTURES & set(data) and not is_sentence(text):
                yield f"cell {cell.execution_count}: a picture {said}"
            elif WIDGET_TEXT.match(text):
                yield f"cell {cell.execution_count}: a widget {said}"


def has_no_absolute_path(notebook: NotebookNode, path: Path) -> Faults:
    for number, cell in enumerate(notebook.cells, 1):
        texts = [cell.source]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [str(text) for mime, text in data.items() if mime[:6] != "image/"]
            texts += [str(data.get("image/svg+xml", ""))]
            texts += ["".join(output.get("text", "")), *output.get("traceback", [])]
        for found in map(ABSOLUTE.search, texts):
            if found:
                yield f"cell {number} of all names the path {found.group()!r}"


def is_offline(notebook: NotebookNode, path: Path) -> Faults:
    """No network, no installing, no magics: the notebook is plain Python.

    But for the one cell that publishing writes, which does something on Colab only.
    """
    for cell in written_cells(notebook):
        for found in NETWORK.finditer(cell.source):
            yield f"cell {cell.execution_count} goes to the network: {found.group()!r}"
        for found in COMMAND.finditer(cell.source):
            yield f"cell {cell.execution_count} has the command {found.group(1)!r}"


def draws_from_generators(notebook: NotebookNode, path: Path) -> Faults:
    """Randomness is an argument; a cell tagged "deliberate" shows what happens else."""
    for cell in code_cells(notebook):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            continue  # is_offline names the magics, running it names the rest
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in calls if not tagged(cell, "deliberate") else []:
            name = ast.unparse(call.func)
            seeded = any(word.arg == "generator" for word in call.keywords)
            module, _, function = name.rpartition(".")
            if (
                (module == "torch" and function in DRAWS and not seeded)
                or name in {"torch.manual_seed", "random.seed"}
                or (module == "np.random" and function != "default_rng")
            ):
                yield f"cell {cell.execution_count}: {name} without a generator"


def has_short_cells(notebook: NotebookNode, path: Path) -> Faults:
    for index, cell in enumerate(written_cells(notebook)):
        lines = lines_of_code(cell)
        most = FIRST if index == 0 else LONGEST
        if lines > most and not tagged(cell, "exercise"):
            yield f"cell {cell.execution_count} has {lines} lines of code, limit {most}"
        if not cell.source.strip():
            yield f"code cell {index + 1} is empty"


def has_few_unchecked_cells(notebook: NotebookNode, path: Path) -> Faults:
    """Under 5 % of the cells may keep their output from being compared."""
    cells = code_cells(notebook)
    tags = (f"{cell.source} {cell.metadata.get('tags', '')}" for cell in cells)
    skipped = sum(bool(MARKERS.search(text)) for text in tags)
    if skipped and skipped >= 0.05 * len(cells):
        yield f"{skipped} of {len(cells)} code cells are not compared, limit 5 %"


def has_the_headings(notebook: NotebookNode, path: Path) -> Faults:
    """One title, no level left out, the same parts in the same order everywhere."""
    found = headings(notebook)
    levels = [level for level, _ in found]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"{levels.count(1)} titles (#), not one at the top"
    for (above, _), (level, text) in pairwise(found):
        if level > above + 1:
            yield f"heading {text!r} skips a level: {level} under {above}"
    parts: list[str] = []
    if assignment_of(notebook):
        yield from has_the_parts([text for level, text in found if level == 2])
        return
    for text in (text for level, text in found if level == 2 and text not in BEFORE):
        known = [part for part in HEADINGS if re.match(rf"{part}\b", text)]
        if not known:
            yield f"heading {text!r} begins with none of {', '.join(HEADINGS)}"
        elif known != ["Build"] or parts[-1:] != known:
            parts += known
    if parts != HEADINGS:
        yield f"parts {', '.join(parts) or 'none'}; expected {', '.join(HEADINGS)}"
    start = re.split(r"^##\s+Predict\b", prose(notebook), maxsplit=1, flags=re.M)[0]
    marks = [re.search(rf"^(#+ |\*\*){label}\b", start, re.M) for label in BEFORE]
    places = [mark.start() for mark in marks if mark]
    if len(places) < len(BEFORE) or places != sorted(places):
        yield f"before Predict: **{'**, **'.join(BEFORE)}** in this order"


def has_the_parts(found: list[str]) -> Faults:
    """Of an assignment: Rules, Part 1, Part 2 and so on, Hand in."""
    count = len(found) - 2
    wanted = ["Rules", *(f"Part {n}: " for n in range(1, count + 1)), "Hand in"]
    if count < 1 or not all(map(str.startswith, found, wanted)):
        yield f"parts {', '.join(found) or 'none'}; expected {', '.join(wanted)}"


def has_observable_objectives(notebook: NotebookNode, path: Path) -> Faults:
    """Objectives are what somebody can be seen to do."""
    text = re.search(
        r"^(?:#+ |\*\*)Objectives\b(.*?)(?=^(?:#|\*\*Time)|\Z)",
        prose(notebook),
        re.M | re.S,
    )
    for found in VAGUE.finditer(text.group(1) if text else ""):
        yield f"objective says {found.group()!r}; say what can be seen being done"


def has_good_links(notebook: NotebookNode, path: Path) -> Faults:
    for image, words, target in LINK.findall(prose(notebook)):
        if image and not words.strip():
            yield f"image {target} has no alternative text"
        if words.strip().lower() in {"here", "click here", "link", "this"}:
            yield f"link to {target} says only {words!r}"
        file = unquote(target.partition("#")[0])
        if re.match(r"[a-z]+:", target) or not file:
            continue
        if not (path.parent / file).exists():
            yield f"link to {target}, which is not there"


RULES: list[Callable[[NotebookNode, Path], Faults]] = [
    is_small,
    ran_in_order,
    has_no_errors,
    has_no_widget_state,
    describes_pictures,
    has_no_absolute_path,
    is_offline,
    draws_from_generators,
    has_short_cells,
    has_few_unchecked_cells,
    has_the_headings,
    has_observable_objectives,
    has_good_links,
]
