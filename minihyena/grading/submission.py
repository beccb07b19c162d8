"""What was handed in: a notebook read with no more trust than it deserves.

Nothing of it is run here. For a part, `program` takes from the code cells the
definitions, imports and assignments that the part's functions need, and nothing else:
a cell that trains for an hour, draws a widget or never ends costs only what needs it.
"""

import ast
import base64
import builtins
import inspect
import json
import re
import symtable
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Program", "Submission", "read", "read_cells", "refused"]

LARGEST = 20 * 2**20  # bytes of a notebook
PICTURE = 2 * 2**20  # bytes of a picture in it
MOST_CODE = 500_000  # characters of all code cells
MOST_STATEMENTS = 5_000
PARSED = 400_000  # characters, while lines for IPython are looked for one by one
MODULES = {
    *("__future__", "abc", "bisect", "cmath", "collections", "contextlib", "copy"),
    *("dataclasses", "decimal", "enum", "fractions", "functools", "heapq", "itertools"),
    *("math", "numbers", "numpy", "operator", "random", "re", "statistics", "string"),
    *("time", "torch", "types", "typing", "typing_extensions", "warnings"),
}
DETOURS = frozenset(["__import__", "eval", "exec", "compile", "open", "globals"])


@dataclass(frozen=True)
class Cell:
    """A cell: its name for graders (or ""), its text, the pictures it shows (PNG)."""

    name: str
    source: str
    code: bool
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """What some functions need of a notebook, as one text, and what is wrong there."""

    text: str = ""
    fault: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """One file of one student; `fault` says why it cannot be graded at all.

    number: which of the student's files for this assignment it is.
    """

    student: str
    path: Path
    assignment: str = ""
    cells: tuple[Cell, ...] = ()
    fault: str = ""
    notes: tuple[str, ...] = ()
    number: int = 1

    def named(self, name: str) -> list[Cell]:
        """The cells of this name; more than one if somebody copied it."""
        return [cell for cell in self.cells if cell.name == name]

    def program(
        self, names: Sequence[str], library: bool = False, forbidden: Iterable[str] = ()
    ) -> Program:
        """The statements that define these names, and all that those need."""
        missing = [name for name in names if name not in self._bound]
        if missing:
            return Program(fault=self._why_missing(missing[0]))
        needed, taken, queue = set(names), set[int](), list(names)
        while queue:
            for number in self._bound.get(queue.pop(), ()):
                if number not in taken:
                    taken.add(number)
                    new = self._statements[number].uses - needed
                    needed |= new
                    queue += new
        statements = [self._statements[number] for number in sorted(taken)]
        futures = [one for one in self._statements if "__future__" in one.imported]
        unknown = needed - self._bound.keys() - vars(builtins).keys()
        stars = self._stars if unknown else []  # perhaps a star brings them
        statements = [*futures, *stars, *statements]
        own = self._bound.keys()
        fault = _forbidden(statements, library, frozenset(forbidden), own)
        notes = [
            f"{name} is defined {count} times; the last one counts"
            for name in names
            if (count := len(self._bound[name])) > 1
        ]
        text = "\n".join(statement.text for statement in statements)
        return Program(text, fault, tuple(notes))

    @cached_property
    def _parsed(self) -> tuple[list["Statement"], list[str]]:
        """The top-level statements of all cells, and a sentence for each bad cell."""
        statements: list[Statement] = []
        broken: list[str] = []
        code = [cell.source for cell in self.cells if cell.code]
        if sum(map(len, code)) > MOST_CODE:
            return [], [f"over {MOST_CODE:,} characters of code\n"]
        for count, source in enumerate(code, 1):
            try:
                own = [*map(Statement.of, _one_by_one(_parse(source).body))]
            except SyntaxError as error:
                where = f"code cell {count}, line {error.lineno}: {error.msg}"
                broken.append(f"{where}\n{source}")
            except (ValueError, RecursionError, MemoryError) as error:
                broken.append(f"code cell {count}: {error}\n{source}")
            else:
                statements += own
            if len(statements) > MOST_STATEMENTS:
                return [], [f"over {MOST_STATEMENTS:,} statements\n"]
        return statements, broken

    @property
    def unreadable(self) -> list[str]:
        """A sentence for each cell whose names the other cells will miss."""
        places = [broken.partition("\n")[0] for broken in self._parsed[1]]
        return [
            f"Python cannot read {place}. What it defines is missing in every part"
            for place in places
        ]

    @property
    def _statements(self) -> list["Statement"]:
        return self._parsed[0]

    @cached_property
    def _bound(self) -> dict[str, list[int]]:
        """Which statements give a value to a name, or change it.

        What was imported is not changed: `torch.x = ...` would be for all parts.
        """
        found: dict[str, list[int]] = {}
        imported = {name for one in self._statements for name in one.brings}
        for number, statement in enumerate(self._statements):
            for name in statement.binds | (statement.changes - imported):
                found.setdefault(name, []).append(number)
        return found

    @property
    def _stars(self) -> list["Statement"]:
        return [one for one in self._statements if "*" in one.binds]

    def _why_missing(self, name: str) -> str:
        for broken in self._parsed[1]:
            where, _, source = broken.partition("\n")
            if re.search(rf"\b(def|class)\s+{re.escape(name)}\b", source):
                return f"{name} is in a cell that Python cannot read: {where}"
        said = f"the notebook defines no {name}"
        return "; ".join([said, *self.unreadable[:1]])


@dataclass(frozen=True)
class Statement:
    """A top-level statement: the names it gives a value, changes, and needs."""

    node: ast.stmt
    text: str
    binds: frozenset[str]
    changes: frozenset[str]
    uses: frozenset[str]

    @classmethod
    def of(cls, node: ast.stmt) -> "Statement":
        text = ast.unparse(node)
        try:
            table = symtable.symtable(text, "answer", "exec")
        except SyntaxError:
            compile(ast.Module([node], []), "answer", "exec")  # the same, with its line
            raise
        binds = {s.get_name() for s in table.get_symbols() if _binds(s)}
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            binds.add("*")
        names = binds, _mutated(node), _globals(table)
        return cls(node, text, *map(frozenset, names))

    @cached_property
    def words(self) -> set[str]:
        """Every attribute, imported name and quoted text in it."""
        found = set()
        for node in ast.walk(self.node):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.alias):
                found |= {node.name, *node.name.split(".")}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
        return found

    @property
    def brings(self) -> frozenset[str]:
        """The names it binds by importing."""
        imports = isinstance(self.node, ast.Import | ast.ImportFrom)
        return self.binds if imports else frozenset()

    @property
    def imported(self) -> set[str]:
        """The packages it imports, also inside functions."""
        found = set()
        for node in ast.walk(self.node):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or ".").partition(".")[0])
        return found


def read(path: Path, student: str) -> Submission:
    """The notebook or Python file at this path; nothing that is in it raises."""
    fault = ""
    try:
        if path.is_symlink() or not path.is_file():
            fault = "this is a link or a device, not a file"
        elif path.stat().st_size > LARGEST:
            fault = f"over {LARGEST:,} bytes: clear the outputs and hand in again"
        elif path.suffix == ".py":
            cell = Cell("", path.read_text("utf-8-sig"), code=True)
            return Submission(student, path, _assignment(path, {}), (cell,))
        else:
            return read_cells(json.loads(path.read_text("utf-8-sig")), path, student)
    except OSError as error:
        fault = f"the file cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        fault = "not a text in UTF-8"
    except (ValueError, RecursionError):
        fault = "not a notebook: this is not JSON"
    return Submission(student, path, _assignment(path, {}), fault=fault)


def read_cells(data: Any, path: Path, student: str) -> Submission:
    """The notebook, as JSON gives it; `path` is where it came from."""
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        fault = "not a notebook: it has no list of cells (format 4)"
        return Submission(student, path, _assignment(path, {}), fault=fault)
    metadata = _table(data.get("metadata"))
    kernel, info = _table(metadata.get("kernelspec")), metadata.get("language_info")
    language = kernel.get("language") or _table(info).get("name") or "python"
    notes = []
    if str(language).lower() not in ("python", "ipython", "python3"):
        notes.append(f"the kernel is of {language!s:.40}, not Python")
    read = tuple(_cell(cell) for cell in cells if isinstance(cell, dict))
    fault = "" if read else "an empty notebook"
    assignment = _assignment(path, metadata)
    return Submission(student, path, assignment, read, fault, tuple(notes))


def _assignment(path: Path, metadata: dict[str, Any]) -> str:
    """ "A1", by the notebook's own word, else by the name of the file or its folder."""
    own = _table(metadata.get("minihyena")).get("assignment")
    if isinstance(own, str):
        return own
    found = re.findall(r"(?<![A-Za-z0-9])A\d+(?!\d)", "/".join(path.parts[-2:]))
    return found[-1] if found else ""


def refused(
    fn: Any, library: bool, forbidden: Iterable[str], within: tuple[Any, ...] = ()
) -> str:
    """What of a function's own text, where it can be had, a grader would refuse.

    Or of the text of the functions beside it that it calls; within: who calls it.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(fn)))
        statements = [Statement.of(node) for node in tree.body]
    except (OSError, TypeError, SyntaxError):
        return ""
    known = getattr(fn, "__globals__", {})
    own = [k for k, v in known.items() if getattr(v, "__module__", 0) == fn.__module__]
    found = _forbidden(statements, library, frozenset(forbidden), own)
    for name in sorted({name for one in statements for name in one.uses}):
        value = known.get(name)
        where = value.__name__ if inspect.ismodule(value) else _origin(value)
        if where and not found:
            modules = [ast.Import([ast.alias(where)])]
            found = _forbidden(map(Statement.of, modules), library, frozenset())
        own_one = inspect.isfunction(value) and value.__module__ == fn.__module__
        if own_one and not found and value not in (fn, *within):
            found = refused(value, library, forbidden, (fn, *within))
    return found


def _origin(value: Any) -> str:
    """Whether the library made this value: "minihyena" or ""."""
    module = str(getattr(value, "__module__", ""))
    return "minihyena" if module.partition(".")[0] == "minihyena" else ""


def _cell(cell: dict[str, Any]) -> Cell:
    metadata = _table(cell.get("metadata"))
    name = _table(metadata.get("nbgrader")).get("grade_id") or cell.get("id")
    source = _joined(cell.get("source"))
    outputs = cell.get("outputs")
    pictures = tuple(
        picture
        for output in (outputs if isinstance(outputs, list) else [])
        if (picture := _joined(_table(_table(output).get("data")).get("image/png")))
        and _is_png(picture)
    )
    code = cell.get("cell_type") == "code"
    return Cell(name if isinstance(name, str) else "", source, code, pictures)


def _is_png(picture: str) -> bool:
    try:
        return len(picture) < PICTURE and base64.b64decode(
            picture.replace("\n", ""), validate=True
        ).startswith(b"\x89PNG")
    except ValueError:
        return False


def _joined(source: Any) -> str:
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    return text.encode("utf-8", "backslashreplace").decode()


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parse(source: str) -> ast.Module:
    """Python; a line that only IPython understands is left out where Python stops.

    All of them, also within texts, where that is slow or Python stops elsewhere.
    """
    lines = re.split("\r\n?|\n", source)
    for _ in range(max(1, PARSED // (1 + len(source)))):
        try:
            return ast.parse("\n".join(lines))
        except SyntaxError as error:
            number = min(error.lineno or 1, len(lines)) - 1
            whole, lines[number] = lines[number], _without_magic(lines[number])
            if lines[number] == whole:
                break
    return ast.parse("\n".join(map(_without_magic, lines)))


HELP = re.compile(r"\s*[\w.*]+\?{1,2}\s*")  # IPython's: name?


def _without_magic(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    name, equals, rest = line.partition("=")
    magic = line.lstrip()[:1] in ("%", "!", "?") or HELP.fullmatch(line)
    if equals and name.strip().isidentifier() and rest.lstrip()[:1] in ("%", "!"):
        return f"{indent}{name.strip()} = None"
    return f"{indent}pass" if magic else line


def _one_by_one(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """`from a import b, c` as two statements: only one of them may be needed."""
    for node in body:
        if isinstance(node, ast.Import):
            parts: list[ast.stmt] = [ast.Import([alias]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module, level = node.module, node.level
            parts = [ast.ImportFrom(module, [a], level) for a in node.names]
        else:
            parts = [node]
        yield from (ast.copy_location(part, node) for part in parts)


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _globals(table: symtable.SymbolTable) -> Iterable[str]:
    """Names looked up in the module, here and in the functions inside."""
    outside = table.get_type() in ("module", "class")
    for symbol in table.get_symbols():
        looked_up = symbol.is_referenced() and (outside or symbol.is_global())
        if looked_up or symbol.is_declared_global():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)


def _mutated(node: ast.AST) -> Iterable[str]:
    """The root of `a.b = ...`, `a[b] = ...` and `a.append(...)`: changed, not bound."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    stored = isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)
    inner: ast.AST = node.func if isinstance(node, ast.Call) else node
    if isinstance(inner, ast.Attribute | ast.Subscript) and (
        inner is not node or stored
    ):
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield inner.id
    for child in ast.iter_child_nodes(node):
        yield from _mutated(child)


def _forbidden(
    statements: Iterable[Statement],
    library: bool,
    forbidden: frozenset[str],
    own: Collection[str] = (),
) -> str:
    """What of this the part does not allow, in words, or ""."""
    allowed = {*MODULES, *(["minihyena"] if library else [])}
    for statement in statements:
        for package in sorted(statement.imported - allowed):
            if package == "minihyena":
                return "this part forbids minihyena: write it yourself"
            return f"this part may not import {package}"
        names = statement.uses - {*own}  # a helper may be called as it likes
        for word in sorted(statement.words & forbidden | names & (forbidden | DETOURS)):
            return f"this part may not use {word}"
    return ""
