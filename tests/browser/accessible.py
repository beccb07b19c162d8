"""What axe-core finds wrong in a page, or in parts of it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

__all__ = ["barriers"]

# Style sheets are not fetched once more: a page in a folder may not.
OPTIONS = {"resultTypes": ["violations"], "preload": False}


def barriers(page: Page, parts: str | None = None) -> list[str]:
    """Serious and critical violations within `parts` (a selector), a line for each."""
    found = Axe().run(page, parts, OPTIONS).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:150]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
