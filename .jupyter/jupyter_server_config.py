"""Files keep what a widget said, not the widget: without its kernel it is nothing.

JupyterLab would show "model not found" in its place, and not the words beside it.
"""

import warnings
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"


def leave_views_out(model: dict[str, Any], **_: Any) -> None:
    """Before a notebook is saved, unless what the widgets need is saved with it."""
    if model["type"] == "notebook" and "widgets" not in model["content"]["metadata"]:
        for cell in model["content"]["cells"]:
            for output in cell.get("outputs", []):
                output.get("data", {}).pop(VIEW, None)


# Every function set here is said to override itself.
warnings.filterwarnings("ignore", "Overriding existing pre_save_hook")
c.ContentsManager.pre_save_hook = leave_views_out  # type: ignore  # noqa: F821
