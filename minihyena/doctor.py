"""Is everything here that the lab needs? Says what is missing and how to mend it.

Imports nothing of ours and nothing to be installed until it looks for it, so that it
also runs where minihyena itself cannot be imported: python -P minihyena/doctor.py
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

__all__ = ["Finding", "examine", "run"]

OLDEST, NEWEST = (3, 11), (3, 13)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Finding(NamedTuple):
    """One thing looked at; `mend`: the command that repairs it, None if it is well."""

    about: str
    found: str
    mend: str | None = None


def run(print: Callable[[str], object] = print) -> int:
    """Print one line for each finding, its remedy below; 0 if all is well, else 1."""
    findings = list(examine())
    for finding in findings:
        mark = "ok     " if finding.mend is None else "MISSING"
        print(f"{mark}  {finding.about}: {finding.found}")
        if finding.mend is not None:
            print(f"         mend it:  {finding.mend}")
    faults = sum(finding.mend is not None for finding in findings)
    print(
        "All is well." if not faults else f"{faults} of {len(findings)} need mending."
    )
    return 1 if faults else 0


def examine() -> Iterator[Finding]:
    """Look at Python, the packages, then at what they can do together."""
    yield python_version()
    yield from packages()
    for about, look, mend in (
        ("a figure", draw_figure, install("plotly")),
        ("a widget", move_widget, install("ipywidgets")),
        ("a live figure", change_live_figure, install("anywidget")),
        ("text to learn from", read_offline_text, "install a complete Python, then: "
         f"{python()} -m venv --clear .venv"),
        ("folder for downloads", write_to_cache, "make the folder writable, "
         'or use the corpus "python-docs", which needs none'),
        ("torch", multiply, install("torch")),
    ):  # fmt: skip
        try:
            yield Finding(about, look())
        except Exception as error:
            yield Finding(about, f"{type(error).__name__}: {error}", mend)


def python() -> str:
    """How this Python is called on the command line."""
    found = shutil.which("python")
    same = found and Path(found).resolve() == Path(sys.executable).resolve()
    return "python" if same else f'"{sys.executable}"'


def install(requirement: str) -> str:
    """The command that installs `requirement` into this Python."""
    return f'{python()} -m pip install "{requirement}"'


def python_version() -> Finding:
    """Is it one of the versions we support?"""
    version = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return Finding("Python", version)
    wanted = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    newest = ("py -" if os.name == "nt" else "python") + f"{NEWEST[0]}.{NEWEST[1]}"
    return Finding(
        "Python", f"{version}, not {wanted}", f"{newest} -m venv --clear .venv"
    )


def packages() -> Iterator[Finding]:
    """Compare what is installed with what our own metadata asks for."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        yield Finding("packaging", "not installed", install("packaging"))
        return
    try:
        asked = metadata.requires("minihyena") or []
    except metadata.PackageNotFoundError:
        mend = f'{python()} -m pip install -e ".[lab]"'
        yield Finding("minihyena", "not installed", mend)
        return
    for requirement in map(Requirement, asked):
        marker = requirement.marker
        if marker and not marker.evaluate({"extra": "lab"}):
            continue  # of another extra, or for another system
        name, mend = requirement.name, f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name, "not installed", install(mend))
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding(name, version)
        else:
            wrong = f"{version}, not {requirement.specifier}"
            yield Finding(name, wrong, install(mend))


def draw_figure() -> str:
    """Build a plotly figure and render what a notebook would be given."""
    figure = import_module("plotly.graph_objects").Figure()
    figure.add_scatter(y=[1.0, 0.5, 0.25])
    renderer = import_module("plotly.io").renderers["plotly_mimetype"]
    (drawing,) = renderer.to_mimebundle(figure.to_dict()).values()
    if len(drawing["data"]) != 1:
        raise RuntimeError(f"1 curve drawn, {len(drawing['data'])} rendered")
    return "rendered"


def move_widget() -> str:
    """Move a slider and see that it tells, and that a notebook could show it."""
    seen: list[float] = []
    slider = import_module("ipywidgets").FloatSlider(value=0.0, max=1.0)
    try:
        slider.observe(lambda change: seen.append(change["new"]), "value")
        slider.value = 0.5
        if seen != [0.5] or WIDGET_VIEW not in slider._repr_mimebundle_():
            raise RuntimeError(f"a slider moved to 0.5 reported {seen}")
    finally:
        slider.close()
    return "moved, and it noticed"


def change_live_figure() -> str:
    """Build plotly's FigureWidget, change its curve, render it."""
    figure = import_module("plotly.graph_objects").FigureWidget()
    try:
        figure.add_scatter(y=[0.0, 0.0])
        figure.data[0].y = [0.0, 1.0]
        if list(figure.data[0].y) != [0.0, 1.0]:
            raise RuntimeError("its curve did not change")
        if WIDGET_VIEW not in figure._repr_mimebundle_():
            raise RuntimeError("it has no view to show in a notebook")
    finally:
        figure.close()
    return "changed and rendered"


def read_offline_text() -> str:
    """The topics of the language reference, inside CPython."""
    topics = import_module("pydoc_data.topics").topics
    size = sum(map(len, topics.values()))
    if size < 100_000:
        raise RuntimeError(f"pydoc_data.topics has only {size:,} characters")
    return f"{size:,} characters inside this Python, repeats among them"


def write_to_cache() -> str:
    """Write a file where downloaded texts go."""
    folder: Path = import_module("minihyena.corpora").cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
    free = shutil.disk_usage(folder).free / 1e9
    return f"{folder} is writable, {free:.0f} GB free"


def multiply() -> str:
    """Add up 1 + ... + 8 on the device training would use; say threads and device."""
    torch = import_module("torch")
    device, name = "cpu", "CPU"
    if torch.cuda.is_available():
        device, name = "cuda", torch.cuda.get_device_name()
    total = torch.arange(9.0, device=device).sum().item()
    if total != 36:
        raise RuntimeError(f"1 + ... + 8 gave {total} on {name}")
    count = torch.get_num_threads()
    threads = f"{count} thread{'s' * (count > 1)}"
    return f"{name}, {threads} on {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(run())
