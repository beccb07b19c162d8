"""What all tests share: files that are not in the repository, the browser, settings."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
import torch
from ipywidgets.widgets import widget as widget_module
from properties import TIMES, USUAL

ROOT = Path(__file__).resolve().parents[1]

# Time limits of single examples would measure the machine; on a build server the
# examples are the same every time.
hypothesis.settings.register_profile(
    "minihyena",
    max_examples=USUAL * TIMES,
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
)
hypothesis.settings.load_profile("minihyena")

# Tests are small: a second thread has nothing to do but wait, and on a busy machine
# it makes them ten times slower.
torch.set_num_threads(1)


def skip_or_fail(reason: str, *, required: bool) -> NoReturn:
    """Skip with `reason`; where the thing is required, its absence is a failure."""
    if required:
        pytest.fail(f"{reason}, and here it is required", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """`shared("reference/x")`: a file of the developers' folder beside the checkout.

    Without the folder the test is skipped, or fails if MINIHYENA_REQUIRE_SHARED is
    set. A file missing in a folder that is there fails under CI=true.
    """

    def find(path: str) -> Path:
        folder = Path(os.environ.get("MINIHYENA_SHARED") or ROOT.parent / "shared")
        file = folder / path
        if not folder.is_dir():
            skip_or_fail(
                "there is no folder shared/ beside the checkout",
                required=bool(os.environ.get("MINIHYENA_REQUIRE_SHARED")),
            )
        if not file.exists():
            skip_or_fail(
                f"shared/{path} is missing", required=os.environ.get("CI") == "true"
            )
        return file

    return find


@pytest.fixture(scope="session")
def chromium() -> str:
    """A Chromium to drive; without one the test is skipped.

    MINIHYENA_CHROMIUM names another one; MINIHYENA_REQUIRE_BROWSER=1 turns the skip
    into a failure.
    """
    names = ["chromium", "chromium-browser", "google-chrome", "chrome"]
    found = os.environ.get("MINIHYENA_CHROMIUM") or next(
        filter(None, map(shutil.which, names)), None
    )
    if not found:
        skip_or_fail(
            "no Chromium on PATH",
            required=bool(os.environ.get("MINIHYENA_REQUIRE_BROWSER")),
        )
    return found


@pytest.fixture
def widget_errors_fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Outside IPython ipywidgets only logs the errors of buttons; here they fail."""

    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        for callback in list(self.callbacks):
            callback(*args, **kwargs)

    monkeypatch.setattr(widget_module.CallbackDispatcher, "__call__", call)
    yield
    widget_module.Widget.close_all()
