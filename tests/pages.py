"""What the tests of written pages share: their tables, links, symbols and names."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import hygiene

import minihyena
from minihyena import lessons

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))

CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.S)
# How things are set, and what everybody knows from school; the rest is a symbol.
GROUP = r"\{(?:[^{}]|\{[^{}]*\})*\}"
PLAIN = re.findall(
    r"\S+",
    r"""\frac \tfrac \dots \cdots \cdot \circ \sum \log \ln \sin \cos \pi \le \neq \in
    \times \mid \lvert \rvert \lVert \rVert \qquad \quad \to \bmod \left \right \big
    \Big \bigl \bigr \Bigl \Bigr \lfloor \rfloor \lceil \rceil \min \max \colon
    \approx \ge \sqrt \infty \pm \mapsto \begin \end \mathbb""",
)


def sections(text: str) -> dict[str, str]:
    """Heading of level 2 -> what stands below it."""
    parts = re.split(r"^## +(.+?) *$", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """The cells of every line of every table, headers left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    ruled = [n for n, line in enumerate(lines) if set(line) <= set("|-: ")]
    return [
        [cell.strip() for cell in line]
        for n, line in enumerate(cells)
        if n not in ruled and n + 1 not in ruled
    ]


def prose(path: Path) -> str:
    """All markdown of a notebook, or a page, without its code."""
    if path.suffix == ".ipynb":
        text = hygiene.prose(hygiene.read(path))
    else:
        text = hygiene.FENCED.sub("", path.read_text("utf-8"))
    return CODE.sub("", text)


@cache
def anchors(path: Path) -> set[str]:
    """What a link may name after #, as JupyterLab and nbconvert make it of headings."""
    if path.suffix == ".ipynb":
        titles = [title for _, title in hygiene.headings(hygiene.read(path))]
    else:
        titles = re.findall(r"^#+ +(.+?) *$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[`*]", "", title).replace(" ", "-") for title in titles}


def broken(text: str, folder: Path) -> list[str]:
    """The links in a text that lead to no file or no heading."""
    found = []
    for target in LINK.findall(text):
        name, _, anchor = target.partition("#")
        path = folder / name
        if re.match(r"https?:", target):
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            found.append(target)
    return found


def formulas(text: str) -> list[str]:
    """What stands between $ and $, or $$ and $$."""
    return [wide or short for wide, short in MATH.findall(text)]


def symbols(tex: str, exponents: bool = True) -> set[str]:
    r"""The symbols of a formula, without indices: "\mathsf S_h u" -> \mathsf{S}, u.

    Without `exponents` what stands above is an index, too: "x^n" -> x.
    """
    marks = "_" if exponents else "_^"
    tex = re.sub(rf"[{marks}]\s*(?:{GROUP}|\\[A-Za-z]+|.)", " ", tex)
    tex = re.sub(rf"\\text\s*{GROUP}", " ", tex)
    named = r"\\(?:mathrm|operatorname)\s*\{(\w+)\}"
    upright = r"\\mathsf\s*\{?([A-Za-z])\}?"
    found = {rf"\mathsf{{{letter}}}" for letter in re.findall(upright, tex)}
    found |= set(re.findall(named, tex))
    tex = re.sub(rf"{named}|{upright}", " ", tex)
    found |= set(re.findall(r"\\[A-Za-z]+", tex)) - {*PLAIN}
    return found | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", tex)))


def shape_letters(text: str) -> set[str]:
    """The one-letter sizes of the shapes in a text: "u: (B, n, 2 D) -> (B, n)"."""
    found = set()
    for inside in re.findall(r"\(([^()]*)\)", text):
        large = set(re.findall(r"(?<![\w.-])[A-Z](?![\w.-])", inside))
        small = {size.strip() for size in inside.split(",")} if large else set()
        found |= large | {size for size in small if re.fullmatch("[a-z]", size)}
    return found


def public_docstrings() -> Iterator[tuple[str, str]]:
    """(where, docstring) of every public module, class, function and method."""
    for path in sorted((ROOT / "minihyena").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        waiting: list[ast.AST] = [tree]
        while waiting:
            node = waiting.pop()
            name = getattr(node, "name", "")
            if not name.startswith("_"):
                yield f"{path.relative_to(ROOT)} {name}", ast.get_docstring(node) or ""
                kinds = (ast.ClassDef, ast.FunctionDef)
                waiting += [x for x in node.body if isinstance(x, kinds)]


@cache
def modules() -> list[Any]:
    """minihyena and its modules, without those inside explore and lessons."""
    found = [found.name for found in walk_packages(minihyena.__path__, "minihyena.")]
    inner = re.compile(r"__main__|\.(explore|lessons)\.")
    names = (name for name in found if not inner.search(name))
    return [minihyena, *map(import_module, names)]


@cache
def functions(test: str) -> set[str]:
    """The names of the functions in a file of the folder tests."""
    tree = ast.parse((ROOT / "tests" / test).read_text("utf-8"))
    return {getattr(node, "name", "") for node in tree.body}


def member(owner: Any, name: str) -> Any:
    """owner.name, also where only objects of the class have it; else LookupError."""
    if hasattr(owner, name):
        return getattr(owner, name)
    if inspect.isclass(owner):
        if is_dataclass(owner) and name in {field.name for field in fields(owner)}:
            return name
        for base in owner.__mro__[:-1]:
            if name in inspect.get_annotations(base):
                return name
            if re.search(rf"\bself\.{name}\b.*=", inspect.getsource(base)):
                return name
    raise LookupError(name)


def exists(code: str) -> bool:
    """True for what can be imported from the library, or an exercise of the course.

    `conv.causal_conv`, `causal_conv(u, h)` with the names of its arguments,
    `HyenaOperator.skips`, an exercise `03.conv_fft`.
    """
    if code in lessons.exercises:
        return True
    path, _, arguments = code.rstrip(")").partition("(")
    for module in modules():
        try:
            found = module
            for name in path.split("."):
                found = member(found, name)
            known = inspect.signature(found).parameters if arguments else {}
        except (LookupError, TypeError, ValueError, OSError):
            continue
        if all(word.strip() in known for word in arguments.split(",") if arguments):
            return True
    return False
