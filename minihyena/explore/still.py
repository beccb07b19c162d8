"""An explorer for a page without a kernel: its figure, and what each control would do.

Every control is moved alone, from where all are now; of each state only what differs
is kept. Numbers are rounded: a page is looked at.
"""

import json
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import ipywidgets as W
import numpy as np

if TYPE_CHECKING:
    from minihyena.explore.base import Explorer

__all__ = ["changes", "light", "still"]

LARGEST = 400_000  # characters that the states of one control may take
SLOWEST = 20.0  # seconds for the states of one control


def still(explorer: "Explorer") -> dict[str, Any]:
    """Title, `figure`, and `controls`: label, options, and for each its state.

    Controls that are too slow, too large or that fail when moved alone are left out.
    """
    figure = drawn(explorer)
    controls = []
    if explorer.moves_alone:
        for name in explorer.controls:
            if not isinstance(explorer.pickers[name], W.Dropdown | W.SelectionSlider):
                continue  # what is typed has no list of states
            states = list(states_of(explorer, name, figure))
            size = len(json.dumps(states))
            if len(states) == len(explorer.controls[name]) > 1 and size < LARGEST:
                controls.append(labelled(explorer.pickers[name], states))
    return {
        "title": explorer.title,
        "notice": explorer.notice,
        "narrowest": explorer.narrowest,
        "figure": figure,
        "controls": controls,
    }


def drawn(explorer: "Explorer") -> dict[str, Any]:
    """The figure as it is now: {"data": [...], "layout": {...}} in plain numbers."""
    shown: dict[str, Any] = light(json.loads(explorer.figure.to_json()))
    return shown


def states_of(
    explorer: "Explorer", name: str, figure: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The sentence and the changes of every value of one control; it moves back."""
    before, begun = explorer.state(), time.monotonic()
    try:
        for value in explorer.controls[name]:
            explorer.set(name, value)
            yield {
                "sentence": explorer.describe(),
                "changes": changes(figure, drawn(explorer)),
            }
            if time.monotonic() - begun > SLOWEST:
                return
    except Exception:  # the learner's own function may fail at other values
        return
    finally:
        explorer._apply(before)


def labelled(picker: W.Widget, states: list[dict[str, Any]]) -> dict[str, Any]:
    """A control as the page shows it."""
    return {
        "label": picker.description,
        "slides": isinstance(picker, W.SelectionSlider),
        "options": [label for label, _ in picker._options_full],
        "first": picker.index,
        "states": states,
    }


def light(value: Any) -> Any:
    """Plotly's JSON with its packed arrays as lists, numbers to five digits."""
    if isinstance(value, dict) and "bdata" in value:
        array = np.frombuffer(b64decode(value["bdata"]), value["dtype"])
        shape = [int(n) for n in str(value.get("shape", array.size)).split(",")]
        return light(array.reshape(shape).tolist())
    if isinstance(value, dict):
        return {key: light(part) for key, part in value.items()}
    if isinstance(value, list):
        return [light(part) for part in value]
    if isinstance(value, float):
        rounded = float(f"{value:.5g}")
        return int(rounded) if rounded.is_integer() else rounded
    return value


def changes(old: Any, new: Any) -> Any:
    """What of `new` differs from `old`: {} if nothing; a key that is gone is None.

    Lists of dictionaries, as are traces and annotations, are compared one by one.
    """
    lists = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    if lists and all(isinstance(part, dict) for part in [*old, *new]):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {key: None for key in old if key not in new} | {
        key: changes(old.get(key), value)
        for key, value in new.items()
        if key not in old or old[key] != value
    }
