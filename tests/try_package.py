"""The wheel, in an empty environment and away from the checkout, does all it promises.

python tests/try_package.py WHEEL PYTHON: `PYTHON` makes the environment. That of a
virtual environment is used as it is, unless it is that of the checkout: it may hold
torch already.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "--width",
    "16",
    "--depth",
    "1",
    "--length",
    "32",
    "--batch-size",
    "4",
    "--steps",
    "30",
]
RELEASE = "assignments/release/A1/A1_convolution_three_ways.ipynb"


def say(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command; its output, or the end of this program if it failed."""
    start = time.perf_counter()
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)
    shown = " ".join(word for word in words[1:] if "\n" not in word)
    print(
        f"{time.perf_counter() - start:6.1f} s  {done.returncode}  {shown}", flush=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def environment(wheel: Path, python: str, folder: Path) -> Path:
    """A Python that has the wheel and JupyterLab, but knows nothing of the checkout."""
    home = Path(python).absolute().parents[1]
    if home.is_relative_to(ROOT):
        sys.exit(f"{python} is of the checkout: give a Python from elsewhere")
    if not (home / "pyvenv.cfg").exists():
        say(python, "-m", "venv", str(folder / "venv"))
        bin = "Scripts" if os.name == "nt" else "bin"
        python = str(folder / "venv" / bin / "python")
    constraints = ["-c", str(ROOT / "constraints.txt")]
    pip = [python, "-m", "pip", "install", "--quiet", *constraints]
    say(*pip, "--force-reinstall", "--no-deps", str(wheel))
    say(*pip, f"{wheel}[lab]", "pytest", "nbval")
    return Path(python)


def try_commands(python: Path, folder: Path, env: dict[str, str]) -> None:
    """Every command of `python -m minihyena`, in an empty folder."""

    def run(*words: str) -> str:
        return say(str(python), "-m", "minihyena", *words, cwd=folder, env=env)

    assert "All is well." in run("doctor")
    (folder / "own.txt").write_text("To be or not to be. " * 200, encoding="utf-8")
    run("train", "--corpus", "own.txt", *SMALL)
    assert run("sample", "--prompt", "To ", "--length", "20").startswith("To ")
    assert len(run("sample", "--checkpoint", "python_docs", "--length", "20")) > 20
    lengths = ["--lengths", "256", "--rounds", "5"]
    assert "runs" in run("bench", "conv", *lengths)
    assert "recall_rivals" in run("experiment")
    tried = ["--steps", "2", "--seeds", "1", "--out", "results"]
    assert "written to" in run("experiment", "plateau", *tried)
    assert "course: 17" in run("notebooks", "course")
    handed_in = folder / "handed in"
    handed_in.mkdir()
    (handed_in / "ann.ipynb").write_bytes((folder / "course" / RELEASE).read_bytes())
    run("grade", "handed in")
    assert "ann" in (folder / "grades" / "totals.csv").read_text(encoding="utf-8")


def try_notebooks(python: Path, folder: Path, env: dict[str, str]) -> None:
    """Lab answers, and every notebook says what its published output says."""
    where = "import minihyena; print(minihyena.__file__)"
    assert str(ROOT) not in say(str(python), "-c", where, cwd=folder, env=env)
    say(str(python), "-m", "jupyterlab", "--version", cwd=folder, env=env)
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=240", "-q"]
    options += ["-p", "no:cacheprovider"]
    options += ["--nbval-sanitize-with", str(ROOT / "tests" / "nbval.cfg")]
    for notebook in sorted((folder / "course").glob("*.ipynb")):
        name = f"course/{notebook.name}"
        say(str(python), "-m", "pytest", name, *options, cwd=folder, env=env)


if __name__ == "__main__":
    wheel, named = sys.argv[1:]
    chosen = shutil.which(named) or sys.exit(f"no {named} here")
    with tempfile.TemporaryDirectory(prefix="away-from-the-checkout-") as made:
        away = Path(made)
        python = environment(Path(wheel).resolve(), chosen, away)
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        ours = "PYTHON", "JUPYTER"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        clean |= {"PATH": path}
        try_commands(python, away, clean)
        try_notebooks(python, away, clean)
    print("the package does all it promises")
