"""The course can be taken along: copied out of the package, and opened."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minihyena import shipped
from minihyena.__main__ import main

ROOT = Path(__file__).resolve().parents[1]


def test_every_notebook_and_release_is_copied_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my course"
    assert main(["notebooks", str(folder)]) == 0
    published = ROOT / "notebooks"
    copied = {path.relative_to(folder): path for path in folder.rglob("*.ipynb")}
    assert len(copied) == 13 + 4
    for name, path in copied.items():
        assert path.read_bytes() == (published / name).read_bytes()
    told = capsys.readouterr().out
    assert told.startswith(f"notebooks copied to {folder}: 17\n")
    assert f'notebooks "{folder}" --lab' in told


def test_work_that_is_already_there_is_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "03_the_fourier_shortcut.ipynb"
    mine.write_text("my answers")
    assert main(["notebooks", str(tmp_path)]) == 0
    assert mine.read_text() == "my answers"
    assert not (tmp_path / ".jupyter").exists(), "it may be somebody's own"
    assert f"copied to {tmp_path}: 16\n" in (told := capsys.readouterr().out)
    assert "there before, and left as they were: 1\n" in told
    assert shipped.copy_notebooks(tmp_path)[0] == []  # and once more: all of them stay


def test_lab_is_opened_in_that_folder_with_the_settings_of_the_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def call(command: list[str], env: dict[str, str]) -> int:
        seen.append((command, env))
        return 3

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.chdir(tmp_path)
    assert main(["notebooks", "course", "--lab"]) == 3
    [(command, env)] = seen
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--ServerApp.root_dir=course" in command
    [first] = [part.rpartition("/")[2] for part in command if "default_url" in part]
    assert (tmp_path / "course" / first).is_file()
    settings = Path(env["JUPYTER_CONFIG_PATH"])
    assert settings.is_absolute()
    overrides = settings / "labconfig" / "default_setting_overrides.json"
    kernels = json.loads(overrides.read_text())
    assert "disabled" in str(kernels["@jupyterlab/apputils-extension:kernels-settings"])


def test_without_jupyterlab_the_command_says_who_knows_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shipped, "find_spec", lambda name: None)
    assert main(["notebooks", str(tmp_path), "--lab"]) == 1
    assert "python -m minihyena doctor" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_a_readable_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["notebooks", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("minihyena: ")
