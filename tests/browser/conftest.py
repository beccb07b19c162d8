"""One JupyterLab and one Chromium for all browser tests; evidence when one fails."""

import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Error, sync_playwright
from xdist.scheduler import LoadScopeScheduling

from .laboratory import PICTURES, ROOT, Notebook, chromium_at, jupyter


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium_at(chromium, playwright) as browser:
        yield browser


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a copy of the notebooks lives: Lab saves what it shows."""
    folder = tmp_path_factory.mktemp("laboratory")
    leave = shutil.ignore_patterns("*.py", "__pycache__", ".ipynb_checkpoints")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=leave)
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="package")
def lab(folder: Path) -> Iterator[str]:
    """The address of the running JupyterLab."""
    with jupyter(folder) as address:
        yield address


@contextmanager
def opened(browser: Browser, lab: str, folder: Path, name: str) -> Iterator[Notebook]:
    published = ROOT / "notebooks" / name
    if published.exists():  # as it is, not as Lab saved it when it last stood open
        shutil.copy(published, folder / "notebooks" / name)
    notebook = Notebook(browser, lab, name)
    try:
        with evidence(notebook, folder):
            notebook.open()
        yield notebook
    finally:
        notebook.close()


def written(folder: Path, name: str, *sources: str) -> str:
    """A notebook of these cells where Lab finds it; the name of its file."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source.strip()) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(made, folder / "notebooks" / f"{name}.ipynb")
    return f"{name}.ipynb"


@contextmanager
def shown(
    browser: Browser, lab: str, folder: Path, name: str, source: str
) -> Iterator[Notebook]:
    """A notebook of its own, NAME.ipynb, that has run this one cell."""
    with opened(browser, lab, folder, written(folder, name, source)) as notebook:
        with evidence(notebook, folder):
            notebook.run_all()
        yield notebook


@pytest.fixture(scope="package")
def notebook(
    request: pytest.FixtureRequest, browser: Browser, lab: str, folder: Path
) -> Iterator[Notebook]:
    """The notebook that a test is parametrised by: opened, and all its cells run."""
    with opened(browser, lab, folder, request.param) as notebook:
        with evidence(notebook, folder):
            notebook.run_all()
        yield notebook


class ByNotebook(LoadScopeScheduling):
    """Tests of one notebook, and those of one file without one, stay in one worker."""

    def _split_scope(self, nodeid: str) -> str:
        notebook = re.search(r"[\w/]+\.ipynb", nodeid)
        return notebook.group() if notebook else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByNotebook:
    return ByNotebook(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each notebook is opened and run once: first for the tests that know it."""

    def turn(item: pytest.Item) -> tuple[str, bool]:
        callspec = getattr(item, "callspec", None)
        name = callspec.params.get("notebook", "") if callspec else ""
        return name, item.path.name == "test_every_notebook.py"

    items.sort(key=turn)


@contextmanager
def evidence(notebook: Notebook, folder: Path) -> Iterator[None]:
    """If this fails, the error says where to find what the page looked like."""
    try:
        yield
    except Exception as error:
        saved = folder / f"failed-{len(list(folder.glob('failed-*')))}"
        saved.mkdir()
        error.add_note(f"screenshot, console and server log: {saved}")
        (saved / "console.txt").write_text("\n".join(notebook.console), "utf-8")
        shutil.copy(folder / "server.log", saved)
        with suppress(Error):  # the page may be gone
            notebook.page.screenshot(path=saved / "page.png")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Every test of a notebook also fails if anything went wrong meanwhile."""
    notebook = item.funcargs.get("notebook")
    if notebook is None:
        return (yield)
    with evidence(notebook, item.funcargs["folder"]):
        yield
        assert notebook.faults() == []
