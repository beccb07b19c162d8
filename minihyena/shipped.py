"""What comes with the package beside its code: notebooks, trained models, results."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from minihyena.files import write_whole

__all__ = ["copy_notebooks", "open_lab", "shipped"]

FIRST = "00_start_here.ipynb"
SETTINGS = ".jupyter"  # Lab's, without which callbacks of widgets run in two threads


def shipped(name: str) -> Path:
    """A file or folder, like "data/results": of the checkout, or inside the wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "shipped"
    return (inside if inside.is_dir() else package.parent) / name


def copy_notebooks(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy the course to `folder`: the notebooks that are new and those kept there.

    One that is there already is never touched: it may hold somebody's work.
    Raises OSError for a folder that cannot be written.
    """
    source = shipped("notebooks")
    new, kept = list[Path](), list[Path]()
    for path in sorted([*source.glob("*.ipynb"), *source.glob("*/release/*/*.ipynb")]):
        copy = folder / path.relative_to(source)
        (kept if copy.exists() else new).append(copy)
        if not copy.exists():
            write_whole(copy, path.read_bytes())
    return new, kept


def open_lab(folder: Path) -> int:
    """Run JupyterLab on the first notebook of `folder` until it is stopped.

    Raises ImportError without JupyterLab.
    """
    if find_spec("jupyterlab") is None:
        raise ImportError(
            "JupyterLab is not installed; `python -m minihyena doctor` says how to "
            "install what the notebooks need"
        )
    lab = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    lab += [f"--LabApp.default_url=/lab/tree/{FIRST}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        lab += ["--allow-root"]
    settings = str(shipped(SETTINGS))
    return subprocess.call(lab, env={**os.environ, "JUPYTER_CONFIG_PATH": settings})
