"""A card: what differs between machines, shown live; a file keeps its sentence only."""

import os
from typing import Any

from minihyena.explore.style import STYLE

__all__ = ["Card"]


class Card:
    """HTML in the look of the widgets, with a sentence that is true everywhere.

    With ipywidgets it is a live widget, so that no number of this machine is saved in
    the notebook; without it, and for the site, plain HTML.
    """

    def __init__(self, sentence: str, html: str) -> None:
        self._sentence, self._html = sentence, html

    def describe(self) -> str:
        """The same on every machine."""
        return self._sentence

    def html(self) -> str:
        """What is on the card."""
        return self._html

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        data: dict[str, Any] = {"text/plain": self.describe()}
        html = f'{STYLE}<div class="minihyena">{self.html()}</div>'
        if os.environ.get("MINIHYENA_STATIC") == "site":
            return data | {"text/html": html}
        try:
            import ipywidgets
        except ImportError:
            return data | {"text/html": html}
        view: dict[str, Any] = ipywidgets.HTML(html)._repr_mimebundle_(**kwargs)
        return view | data
