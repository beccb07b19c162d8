"""What imports what: quickly, downwards and never in a circle."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

import pytest
from pages import rows, sections

import minihyena

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minihyena"

MAP = sections((ROOT / "CONTRIBUTING.md").read_text("utf-8"))["Map"]
FLOORS = [row[1].replace("`", "").split() for row in rows(MAP)]
HEAVY = {"plotly", "ipywidgets", "anywidget", "IPython", "matplotlib", "scipy", "pooch"}


def modules() -> dict[str, ast.Module]:
    """Name -> syntax tree of every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def is_package(name: str) -> bool:
    return (ROOT / Path(*name.split(".")) / "__init__.py").exists()


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(name: str, node: ast.AST, inside: bool = True) -> set[str]:
    """Full names that a module imports; `inside`: in its functions too."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if for_types_only(child):
            continue
        if not inside and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom):
            package = name if is_package(name) else name.rpartition(".")[0]
            source = resolve_name("." * child.level + (child.module or ""), package)
            for alias in child.names:
                whole = f"{source}.{alias.name}"
                found.add(whole if whole in MODULES else source)
        else:
            found |= imports(name, child, inside)
    return found


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "minihyena"}


def floor(name: str) -> int:
    room = name.split(".")[1]
    [level] = [level for level, rooms in enumerate(FLOORS) if room in rooms]
    return level


def test_every_module_lives_on_a_floor() -> None:
    rooms = {name.split(".")[1] for name in MODULES if name != "minihyena"}
    known = {room for rooms in FLOORS for room in rooms}
    assert {"conv", "hyena", "model", "training"} < rooms <= known


def test_the_map_counts_the_lines_of_every_floor() -> None:
    for rooms, row in zip(FLOORS, rows(MAP), strict=True):
        files = [f for room in rooms for f in (PACKAGE / room).rglob("*.py")]
        files += [f for room in rooms if (f := PACKAGE / f"{room}.py").exists()]
        counted = sum(len(f.read_text("utf-8").splitlines()) for f in files)
        assert int(row[2].replace(",", "")) == pytest.approx(counted, rel=0.05), row[0]


def test_modules_import_downwards_only() -> None:
    upward = [
        f"{name} imports {target}"
        for name, tree in MODULES.items()
        if name != "minihyena"
        for target in own(imports(name, tree)) - {"minihyena"}
        if floor(target) > floor(name)
    ]
    assert upward == []


def test_only_the_upper_floor_goes_through_the_front_door() -> None:
    through = {
        name for name, tree in MODULES.items() if "minihyena" in imports(name, tree)
    }
    assert {name for name in through if floor(name) < len(FLOORS) - 1} == set()


def test_no_circle() -> None:
    graph = {
        name: own(imports(name, tree, inside=False)) - {name}
        for name, tree in MODULES.items()
    }
    order = [*TopologicalSorter(graph).static_order()]
    assert order.index("minihyena.conv") < order.index("minihyena.hyena")
    assert set(order) == set(MODULES)


def test_only_explore_imports_widgets_and_plots() -> None:
    # The doctor looks whether they are there, inside its functions.
    allowed = ("minihyena.explore", "minihyena.doctor")
    shown = {"plotly", "ipywidgets", "anywidget", "IPython"}
    elsewhere = {
        name: found
        for name, tree in MODULES.items()
        if not name.startswith(allowed)
        and (found := {n.split(".")[0] for n in imports(name, tree)} & shown)
    }
    assert elsewhere == {}


def test_official_imports_nothing_of_ours() -> None:
    assert own(imports("minihyena.official", MODULES["minihyena.official"])) == set()


LOOK = """
import json, sys
import torch
before = torch.get_rng_state()
import minihyena
print(json.dumps({
    "loaded": sorted({name.split(".")[0] for name in sys.modules}),
    "drew": not torch.equal(before, torch.get_rng_state()),
}))
"""


@pytest.fixture(scope="module")
def fresh() -> dict[str, Any]:
    """What importing minihyena does to a Python of its own."""
    command = [sys.executable, "-c", LOOK]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stderr == ""
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_importing_minihyena_loads_nothing_heavy(fresh: dict[str, Any]) -> None:
    assert {"torch", "minihyena"} <= set(fresh["loaded"])
    assert set(fresh["loaded"]) & HEAVY == set()


def test_importing_minihyena_draws_no_random_number(fresh: dict[str, Any]) -> None:
    assert fresh["drew"] is False


@pytest.mark.parametrize("name", [n for n in MODULES if not n.endswith("__main__")])
def test_every_module_lists_what_it_offers(name: str) -> None:
    module = import_module(name)
    assert module.__all__
    assert all(hasattr(module, offered) for offered in module.__all__)


def test_every_public_name_exists_and_they_are_few() -> None:
    assert all(hasattr(minihyena, name) for name in minihyena.__all__)
    assert len(set(minihyena.__all__)) == len(minihyena.__all__) <= 30


@pytest.mark.parametrize("package", ["torch", "numpy", "safetensors"])
def test_a_missing_package_is_named_with_the_command_that_mends_it(
    package: str,
) -> None:
    hidden = (
        "import importlib.util as u, runpy, sys; found = u.find_spec; "
        f"u.find_spec = lambda n, *a: None if n == {package!r} else found(n, *a); "
        "sys.argv = ['minihyena', 'doctor']; "
        "runpy.run_module('minihyena', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"minihyena needs {package}" in last
    assert "make lab" in last
