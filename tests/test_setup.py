"""The set-up says one thing in five files, and the Makefile explains its failures."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import minihyena

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"pytorch": "torch"}
NEEDS_MAKE = pytest.mark.skipif(not shutil.which("make"), reason="no make here")


def pins() -> dict[str, Version]:
    """constraints.txt: canonical name -> version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def requirements() -> list[Requirement]:
    """Everything pyproject.toml asks for, all extras included."""
    lines = [*PROJECT["dependencies"], *(line for e in EXTRAS.values() for line in e)]
    return [Requirement(line) for line in lines]


def needs(requirement: Requirement, extras: set[str]) -> bool:
    """True if the requirement applies to this Python with any of these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": e}) for e in extras | {""})


def installed_below(wanted: list[Requirement]) -> Iterator[str]:
    """Names of the distributions here that `wanted` leads to, directly or not."""
    queue = [(canonicalize_name(r.name), frozenset(r.extras)) for r in wanted]
    seen = set()
    while queue:
        name, extras = queue.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        yield name
        for line in distribution.requires or []:
            requirement = Requirement(line)
            if needs(requirement, set(extras)):
                queue.append(
                    (canonicalize_name(requirement.name), frozenset(requirement.extras))
                )


def test_every_constraint_is_one_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    bad = [e for e in entries if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", e)]
    assert bad == []
    assert len(pins()) == len(entries) > 50
    assert pins()["torch"] == Version("2.13.0")


def test_every_requirement_admits_the_version_it_was_tested_with() -> None:
    for requirement in requirements():
        version = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}, not {version}"


def test_everything_the_extras_lead_to_is_constrained() -> None:
    reached = set(installed_below(requirements()))
    assert {"torch", "sympy", "jupyterlab", "tornado", "pytest"} <= reached
    assert reached - set(pins()) == set()


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_what_is_constrained_installs_on_every_supported_python(python: str) -> None:
    """The first release of each: a system's Python is often an early one."""
    needed = {
        name: SpecifierSet(metadata.metadata(name).get("Requires-Python") or "")
        for name in installed_below(requirements())
    }
    refusing = {name: str(p) for name, p in needed.items() if not p.contains(python)}
    assert refusing == {}


def test_conda_gets_the_same_packages_and_ranges_as_pip() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"][0] == "conda-forge"
    *packages, pip = environment["dependencies"]
    conda = {}
    for line in packages:
        name, _, ranges = line.partition(" ")
        conda[CONDA_NAMES.get(name, name)] = SpecifierSet(ranges)
    assert conda.pop("pip") == SpecifierSet()
    assert conda.pop("python") == SpecifierSet(PROJECT["requires-python"])
    asked = map(Requirement, PROJECT["dependencies"] + EXTRAS["lab"])
    assert conda == {r.name: r.specifier for r in asked}
    assert pip == {"pip": ["-e ."]}


def test_this_python_is_one_of_those_promised() -> None:
    running = ".".join(map(str, sys.version_info[:3]))
    assert running in SpecifierSet(PROJECT["requires-python"])
    listed = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if " :: 3." in c]
    admitted = [v for v in ("3.10", "3.11", "3.12", "3.13", "3.14")
                if v in SpecifierSet(PROJECT["requires-python"])]  # fmt: skip
    assert listed == admitted


def test_a_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(built) as wheel:
        names = wheel.namelist()
    folders = {name.split("/")[0] for name in names}
    assert folders == {"minihyena", f"minihyena-{minihyena.__version__}.dist-info"}
    assert "minihyena/doctor.py" in names
    assert not [name for name in names if "__pycache__" in name]
    inside = {name for name in names if name.startswith("minihyena/shipped/")}
    shipped = ["notebooks/*.ipynb", "notebooks/assignments/release/*/*.ipynb"]
    shipped += ["notebooks/*.md", "data/README.md", "data/checkpoints/*.safetensors"]
    shipped += ["data/results/*.json", ".jupyter/*.py", ".jupyter/labconfig/*.json"]
    files = [path for pattern in shipped for path in ROOT.glob(pattern)]
    assert len(files) > 13 + 4 + 4 + 10
    assert inside == {f"minihyena/shipped/{p.relative_to(ROOT)}" for p in files}


def test_a_package_made_of_the_sdist_is_the_same(tmp_path: Path) -> None:
    """The sdist alone, away from the checkout and its git, makes the same wheel."""
    (source,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"minihyena-{minihyena.__version__}"
    assert {"Makefile", "README.md", "tests", "notebooks"} <= {
        path.name for path in folder.iterdir()
    }
    names = []
    for root in (ROOT, folder):
        (built,) = WheelBuilder(str(root)).build(directory=str(tmp_path / "wheel"))
        with zipfile.ZipFile(built) as wheel:
            names.append(sorted(wheel.namelist()))
    assert names[0] == names[1]


def test_the_version_is_the_same_everywhere() -> None:
    assert metadata.version("minihyena") == minihyena.__version__
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest
    assert newest.group(1) == minihyena.__version__


def test_lab_settings_keep_callbacks_in_one_thread_and_ask_the_net_nothing() -> None:
    folder = ROOT / ".jupyter" / "labconfig"
    settings = json.loads((folder / "default_setting_overrides.json").read_text())
    plugin = "@jupyterlab/apputils-extension:"
    assert settings[f"{plugin}kernels-settings"] == {"commsOverSubshells": "disabled"}
    assert settings[f"{plugin}notification"]["fetchNews"] == "false"


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make on a copy of our Makefile in `folder`."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder)
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


def python_that(folder: Path, script: str) -> str:
    """A program that stands in for Python."""
    program = folder / "some-python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"PYTHON={program}"


@NEEDS_MAKE
def test_make_alone_names_every_target(tmp_path: Path) -> None:
    done = make(tmp_path)
    assert done.returncode == 0
    for target in ("lab", "test", "check", "notebooks", "waits", "clean"):
        assert f"make {target}" in done.stdout
    assert not (tmp_path / ".venv").exists()


@NEEDS_MAKE
def test_make_says_when_python_is_too_old(tmp_path: Path) -> None:
    old = 'case "$1" in --version) echo Python 3.8.1;; *) exit 1;; esac'
    done = make(tmp_path, "check", python_that(tmp_path, old))
    assert done.returncode != 0
    assert "needs Python 3.11" in done.stderr
    assert "Python 3.8.1" in done.stderr
    assert "make check PYTHON=" in done.stderr


@NEEDS_MAKE
def test_make_says_when_python_has_no_venv(tmp_path: Path) -> None:
    bare = 'case "$1" in -m) exit 1;; *) exit 0;; esac'
    done = make(tmp_path, "check", python_that(tmp_path, bare))
    assert done.returncode != 0
    assert "python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


@NEEDS_MAKE
def test_make_installs_only_when_something_changed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stand_in = python_that(
        tmp_path,
        f"""case "$*" in "-m "*) echo "$*" >> {log};; esac
        case "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; esac""",
    )

    def commands() -> list[str]:
        """What `make check` asked Python to do for the environment."""
        log.write_text("")
        assert make(tmp_path, "check", stand_in).returncode == 0
        said = [line.split()[1] for line in log.read_text().splitlines()]
        assert said[-3:] == ["ruff", "ruff", "mypy"]
        return said[:-3]

    assert commands() == ["venv", "pip"]
    assert commands() == []
    ready = tmp_path / ".venv" / ".ready"
    os.utime(ready, (0, 0))  # older than pyproject.toml and constraints.txt
    assert commands() == ["pip"]
    ready.write_text("/where/it/was/made\n")  # moved or copied: its paths are wrong
    assert commands() == ["venv", "pip"]
    ready.unlink()  # an installation that was interrupted
    assert commands() == ["pip"]


@pytest.mark.parametrize(
    ("ci", "required", "folder_is_there", "outcome"),
    [
        ("", "", False, pytest.skip.Exception),
        ("true", "", False, pytest.skip.Exception),
        ("true", "1", False, pytest.fail.Exception),
        ("", "", True, pytest.skip.Exception),
        ("true", "", True, pytest.fail.Exception),
    ],
)
def test_a_shared_file_that_should_be_there_is_not_skipped_over(
    shared: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ci: str,
    required: str,
    folder_is_there: bool,
    outcome: type[BaseException],
) -> None:
    folder = tmp_path if folder_is_there else tmp_path / "none"
    monkeypatch.setenv("MINIHYENA_SHARED", str(folder))
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("MINIHYENA_REQUIRE_SHARED", required)
    with pytest.raises(outcome, match="shared"):
        shared("a/file")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIHYENA_SHARED", str(tmp_path))
    assert shared("file") == tmp_path / "file"
