"""Machine card: what is here, what is missing, and the one command that mends it."""

from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Any

from minihyena.doctor import Finding, examine
from minihyena.explore.card import Card

__all__ = ["MachineCard"]


class MachineCard(Card):
    """The doctor's findings on a card. Behaves like an `Explorer` without controls.

    It needs no other package, so that it can say which are missing: with ipywidgets it
    is a live widget (versions are never saved in the notebook), without it plain HTML.
    """

    def __init__(self, examine: Callable[[], Iterable[Finding]] = examine) -> None:
        self.controls: dict[str, tuple[Any, ...]] = {}
        self.findings = list(examine())

    def facts(self) -> dict[str, Any]:
        """How many things were looked at, and what is wrong: name -> command."""
        wrong = {f.about: f.mend for f in self.findings if f.mend is not None}
        return {"looked_at": len(self.findings), "wrong": wrong}

    def describe(self) -> str:
        """The same on every machine where all is well."""
        wrong = self.facts()["wrong"]
        if not wrong:
            return "Everything the course needs is here."
        mends = "; ".join(f"{name}: {mend}" for name, mend in wrong.items())
        return f"Missing or too old: {len(wrong)}. To mend it, {mends}."

    def sweep(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """There is one state."""
        yield {}, self.facts()

    def html(self) -> str:
        """The card, faults first."""
        rows = sorted(self.findings, key=lambda finding: finding.mend is None)
        return (
            f'<div class="mh-title">Machine card</div>'
            f'<div class="mh-caption">{escape(self.describe())}</div>'
            f'<ul class="mh-findings">{"".join(map(_item, rows))}</ul>'
        )


def _item(finding: Finding) -> str:
    """One line: a mark, what was looked at, what was found, what mends it."""
    mark, word = ("✓", "well") if finding.mend is None else ("✗", "to mend")
    mend = f"<code>{escape(finding.mend)}</code>" if finding.mend else ""
    return (
        f'<li class="mh-{word.replace(" ", "-")}"><i aria-label="{word}">{mark}</i>'
        f"<b>{escape(finding.about)}</b> <span>{escape(finding.found)}</span> "
        f"{mend}</li>"
    )
