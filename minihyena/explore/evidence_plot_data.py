"""Recorded results as the evidence plot draws them: a grid of the sizes that vary."""

from dataclasses import dataclass
from typing import Any

from minihyena.experiments import Results, Summary
from minihyena.explore.parts import listed
from minihyena.tasks import TASKS

__all__ = ["Evidence", "evidence_of", "of_size", "text_of", "words_of"]

Cell = tuple[Any, ...]  # one value of each axis, in the order of the axes
NAMES = {kind.__name__: name for name, kind in TASKS.items()}
WORDS = {"vocab_size": "vocabulary"}
COUNTED = {"pairs", "digits", "symbols", "tokens"}  # "8 pairs", not "pairs 8"
NONE = "none"  # the size of a task that has no such size


@dataclass(frozen=True)
class Evidence:
    """What came out, by model and cell; a cell that was not run is not in it."""

    models: tuple[str, ...]  # ours first
    axes: dict[str, tuple[Any, ...]]  # "task", and each size that varies -> its values
    found: dict[tuple[str, Cell], Summary]

    def along(self, axis: str, cell: Cell) -> dict[Any, Cell]:
        """Value of `axis` -> this cell with that value instead."""
        place = [*self.axes].index(axis)
        before, after = cell[:place], cell[place + 1 :]
        return {value: (*before, value, *after) for value in self.axes[axis]}

    def chance(self, cell: Cell) -> float | None:
        """That of a blind guess; None where nothing was run."""
        chances = (s.chance for (_, at), s in self.found.items() if at == cell)
        return next(chances, None)


def evidence_of(results: Results) -> Evidence:
    """The axes are the task and all sizes that vary within one; numbers ascend.

    Raises ValueError without runs, and if two results differ in none of the axes.
    """
    lines = results.summary()
    if not lines:
        raise ValueError(f"{results.experiment} holds no runs")
    every = [{"task": NAMES.get(s.task, s.task)} | s.sizes for s in lines]
    seen: dict[str, dict[str, set[Any]]] = {}  # size -> task -> its values there
    for place in every:
        for name, value in place.items():
            seen.setdefault(name, {}).setdefault(place["task"], set()).add(value)
    varying = [name for name, by in seen.items() if max(map(len, by.values())) > 1]
    axes = {
        name: tuple(dict.fromkeys(place.get(name, NONE) for place in every))
        for name in ("task", *varying)
    }
    for name, values in axes.items():
        if not any(isinstance(value, str) for value in values):
            axes[name] = tuple(sorted(values))
    found: dict[tuple[str, Cell], Summary] = {}
    for line, place in zip(lines, every, strict=True):
        cell = tuple(place.get(name, NONE) for name in axes)
        if (line.model, cell) in found:
            raise ValueError(
                f"{results.experiment} holds two results of {line.model} "
                f"{words_of(dict(zip(axes, cell, strict=True)))}"
            )
        found[line.model, cell] = line
    return Evidence(tuple(dict.fromkeys(s.model for s in lines)), axes, found)


def of_size(name: str) -> str:
    """A size in words: "vocab_size" -> "vocabulary"."""
    return WORDS.get(name, name.replace("_", " "))


def words_of(place: dict[str, Any]) -> str:
    """A place in words: "on recall, at vocabulary 30 and length 2,048"."""
    sizes = [
        f"{text_of(v)} {n}" if n in COUNTED else f"{of_size(n)} {text_of(v)}"
        for n, v in place.items()
        if n != "task"
    ]
    said = [f"on {place['task']}"] if "task" in place else []
    return ", ".join([*said, f"at {listed(sizes)}"] if sizes else said)


def text_of(value: Any) -> str:
    """A value as people read it, thousands with a comma."""
    return f"{value:,}" if isinstance(value, int) else str(value)
