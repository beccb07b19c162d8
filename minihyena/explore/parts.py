"""The small parts widgets are made of: pickers, buttons, tables, plain numbers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import product
from typing import Any

import ipywidgets as W
import numpy as np
from torch import Tensor

__all__ = [
    "button",
    "chips",
    "choice",
    "listed",
    "row",
    "sideways",
    "slider",
    "spans",
    "states",
    "table",
    "texts",
    "to_numpy",
    "widgets_of",
]

Options = Sequence[Any]  # values, or (label, value) pairs


def to_numpy(x: Tensor) -> np.ndarray:
    """Any real tensor (gradient, half precision, GPU) as a float32 array to draw.

    Raises TypeError for complex numbers: say which part is meant (.abs(), .real).
    """
    if x.is_complex():
        raise TypeError(
            f"cannot draw complex numbers of shape {tuple(x.shape)}; "
            "take .abs(), .angle(), .real or .imag first"
        )
    array: np.ndarray = x.detach().float().cpu().numpy()
    return array


def choice(label: str, options: Options, value: Any = None) -> W.Dropdown:
    """A dropdown list; starts at `value`, else at the first option."""
    return _picker(W.Dropdown, label, options, value, "auto")


def slider(label: str, options: Options, value: Any = None) -> W.SelectionSlider:
    """A slider over listed values only, so that no test and no hand can leave them."""
    return _picker(W.SelectionSlider, label, options, value, "min(100%, 360px)")


def _picker(
    kind: type[W.Widget], label: str, options: Options, value: Any, width: str
) -> Any:
    if not len(options):
        raise ValueError(f"there is nothing to choose from for {label!r}")
    picker = kind(
        options=options,
        description=label,
        style={"description_width": "initial"},
        layout=W.Layout(width=width, max_width="100%"),
    )
    if value is not None:
        picker.value = value
    return picker


def button(label: str, icon: str, tooltip: str, go: bool = False) -> W.Button:
    """A push button; `go` marks the one that starts things."""
    made = W.Button(
        description=label, icon=icon, tooltip=tooltip, layout=W.Layout(width="auto")
    )
    if go:
        made.add_class("mh-go")
    return made


def row(children: Iterable[W.Widget], name: str = "mh-row") -> W.Box:
    """Widgets side by side, wrapping when the page is narrow or zoomed."""
    box = W.Box(list(children), layout=W.Layout(width="100%"))
    box.add_class(name)
    return box


def sideways(children: Iterable[W.Widget], width: int) -> W.Box:
    """Widgets below each other, `width` px wide at least; less scrolls sideways."""
    inner = W.VBox(
        list(children), layout=W.Layout(width="100%", min_width=f"{width}px")
    )
    box = row([inner], "mh-sideways")
    box.tabbable = True  # to scroll by keyboard
    return box


def widgets_of(widget: W.Widget) -> Iterator[W.Widget]:
    """A widget, the widgets inside it, and the layout and style of each."""
    for name in ("layout", "style"):
        if widget.has_trait(name):
            yield getattr(widget, name)
    for child in getattr(widget, "children", ()):
        yield from widgets_of(child)
    yield widget


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """HTML of a table, numbers to four digits: the text alternative of a picture."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in cells) + "</tr>"
        for cells in rows
    )
    return (
        '<div class="mh-table" tabindex="0"><table>'
        f"<caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def texts(named: dict[str, str]) -> str:
    """HTML of texts as a model wrote them, each under its name."""
    return "".join(
        f'<div class="mh-notice">{escape(name)}</div>'
        f'<div class="mh-text">{escape(text)}</div>'
        for name, text in named.items()
    )


def chips(values: dict[str, Any]) -> str:
    """HTML of named numbers in a line; they may differ between machines."""
    items = "".join(
        f"<span>{escape(name)} <b>{escape(_text(value))}</b></span>"
        for name, value in values.items()
    )
    return f'<div class="mh-chips">{items}</div>'


def spans(numbers: Iterable[int]) -> str:
    """Sorted numbers in words: [0, 1, 2, 5] -> "0 to 2 and 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return listed([f"{r[0]} to {r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs])


def listed(parts: Sequence[str]) -> str:
    """Words in words: ["a", "b", "c"] -> "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def states(
    controls: dict[str, tuple[Any, ...]], now: dict[str, Any], cap: int
) -> Iterator[dict[str, Any]]:
    """Every state if few; else each value once, then states spread over the grid."""
    total = math.prod(map(len, controls.values()))
    grid = (dict(zip(controls, v, strict=True)) for v in product(*controls.values()))
    if total <= cap:
        yield from grid
        return
    singles = [now | {name: v} for name, values in controls.items() for v in values]
    yield from singles
    step = math.ceil(total / max(1, cap - len(singles)))
    step += step % 2 == 0  # odd, so that even grids are not met at one column only
    yield from (state for i, state in enumerate(grid) if i % step == 0)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
