"""The doctor sees what is missing, and gives the one command that mends it."""

import builtins
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from minihyena import corpora, doctor

ROOT = Path(__file__).resolve().parents[1]
ASKED = map(Requirement, metadata.requires("minihyena") or [])
RANGES = {asked.name: str(asked.specifier) for asked in ASKED}


def told() -> tuple[int, str]:
    lines: list[str] = []
    status = doctor.run(print=lines.append)
    return status, "\n".join(lines)


def pretend(monkeypatch: pytest.MonkeyPatch, package: str, version: str | None) -> None:
    """Make `package` look like `version`, or missing."""
    true_version = metadata.version

    def version_of(name: str) -> str:
        if name != package:
            return true_version(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", version_of)


def test_a_complete_machine_is_well() -> None:
    status, text = told()
    assert status == 0, text
    assert "MISSING" not in text
    assert f"torch: {metadata.version('torch')}" in text
    assert "anywidget" in text
    assert "a live figure: changed and rendered" in text
    assert re.search(r"\d threads? on \d", text)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, "anywidget", None)
    status, text = told()
    assert status == 1
    assert "MISSING  anywidget: not installed" in text
    assert f'-m pip install "anywidget{RANGES["anywidget"]}"' in text
    assert "1 of " in text


def test_a_package_that_is_too_old_is_named_with_both_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, "plotly", "5.24.1")
    status, text = told()
    assert status == 1
    assert f"MISSING  plotly: 5.24.1, not {RANGES['plotly']}" in text
    assert f'-m pip install "plotly{RANGES["plotly"]}"' in text


def test_a_live_figure_that_cannot_be_built_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = pytest.importorskip("plotly.graph_objects")

    def no_anywidget() -> None:
        raise ImportError("Please install anywidget to use the FigureWidget class")

    monkeypatch.setattr(objects, "FigureWidget", no_anywidget)
    status, text = told()
    assert status == 1
    assert "MISSING  a live figure: ImportError: Please install anywidget" in text
    assert '-m pip install "anywidget"' in text


def test_a_python_that_is_too_old_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    finding = doctor.python_version()
    assert finding.found == "3.9.1, not 3.11 to 3.13"
    assert finding.mend == "python3.13 -m venv --clear .venv"
    monkeypatch.setattr(doctor.os, "name", "nt")
    assert doctor.python_version().mend == "py -3.13 -m venv --clear .venv"


def test_a_python_in_a_folder_with_spaces_can_be_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\Python\python.exe")
    called = r'"C:\Program Files\Python\python.exe" -m pip install "torch"'
    assert doctor.install("torch") == called


def test_the_python_range_is_that_of_the_package() -> None:
    asked = metadata.metadata("minihyena")["Requires-Python"]
    oldest, newest = doctor.OLDEST, doctor.NEWEST
    lower, upper = f">={oldest[0]}.{oldest[1]}", f"<{newest[0]}.{newest[1] + 1}"
    assert set(asked.split(",")) == {lower, upper}


def test_a_download_folder_that_cannot_be_written_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(corpora, "cache_folder", lambda: tmp_path / "file")
    status, text = told()
    assert status == 1
    assert "MISSING  folder for downloads: FileExistsError" in text


def test_a_python_without_its_documentation_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    status, text = told()
    assert status == 1
    assert "MISSING  text to learn from: ModuleNotFoundError" in text


def test_without_packaging_the_doctor_still_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true_import = builtins.__import__

    def no_packaging(name: str, *rest: object) -> object:
        if name.startswith("packaging"):
            raise ImportError(name)
        return true_import(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", no_packaging)
    findings = list(doctor.packages())
    assert [(f.about, f.found) for f in findings] == [("packaging", "not installed")]
    assert findings[0].mend


def test_the_doctor_runs_where_the_package_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('broken torch')")
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "minihyena" / "doctor.py")],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "MISSING  torch: ImportError: broken torch" in done.stdout
    assert "ok       a figure: rendered" in done.stdout
