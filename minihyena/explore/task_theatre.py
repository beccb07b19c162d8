"""Task theatre: an example, what models answer, and where one of them looks."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets as W
import numpy as np
import torch
from torch import nn

from minihyena.explore.base import Explorer, State
from minihyena.explore.parts import choice, row, slider, spans
from minihyena.explore.task_theatre_figure import WINDOW, draw, theatre_figure
from minihyena.explore.task_theatre_stage import (
    FIELDS,
    answers_of,
    decisive,
    looks_of,
    misfit,
    offers,
    resized,
    size_of,
)
from minihyena.explore.task_theatre_words import noted, said_of
from minihyena.tasks import Task

__all__ = ["TaskTheatre"]

EXAMPLES, ASKED, TOP = 12, 24, 3
VIEWS = (
    ("the asked position", "asked"),
    ("where it looks most", "most"),
    ("what decides the answer", "decisive"),
)


class TaskTheatre(Explorer):
    """One example of a task, every model's answers, and where one model looks.

    `models`: name -> any `model(ids (B, L)) -> logits (B, L, V)`; `tasks`: name -> a
    task of ids. A model whose blocks' mixers have `matrix(u)` shows its row at the
    asked position, averaged in size over channels; any other the gradient of the logit
    that it answers with, by the embeddings, and the widget says which. Raises
    ValueError for a task of vectors, and for one that a model's `config` rules out.
    """

    title = "Task theatre"
    notice = (
        "What decides the answer is orange in the example and hatched in the bars. "
        "Which layer looks at a key, which at its value? Where does a model look when "
        "its answer is wrong?"
    )
    narrowest = 560

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        tasks: Mapping[str, Task],
        *,
        seed: int = 0,
    ) -> None:
        if not models or not tasks:
            raise ValueError("the theatre needs a model and a task at least")
        self.models, self.tasks, self.seed = dict(models), dict(tasks), seed
        for name, task in self.tasks.items():
            if not task.vocab_size:
                raise ValueError(
                    f"{name} reads vectors, not tokens; the theatre shows tokens"
                )
            if why := misfit(task, task, self.models):
                raise ValueError(f"{name} cannot be shown: {why}")
        self._refused: dict[str, dict[int, str]] = {}
        pickers = {
            "task": choice("Task", list(tasks)),
            "model": choice("Where looks", list(models)),
            "layer": choice("Layer", (1,)),
            "length": slider("Length", (0,)),
            "vocabulary": slider("Vocabulary", (0,)),
            "example": slider("Example", range(1, EXAMPLES + 1)),
            "asked": slider("Asked position", (0,)),
            "view": choice("Show", VIEWS),
        }
        self._played: str | None = None  # the task whose sizes are offered
        self._now = next(iter(self.tasks.values()))
        self.sizes_note = W.HTML(layout=W.Layout(width="100%"))
        self._beside = [self.sizes_note]
        super().__init__(pickers, theatre_figure(len(self.models)), surprise_seed=seed)
        self._first = self.state()  # the sizes were offered by the first redraw

    # ---- controls

    def _controls(self) -> list[W.Widget]:
        buttons = self._button_row()
        p = self.pickers
        return [
            row(p[n] for n in ("task", "length", "vocabulary", "example")),
            self.sizes_note,
            row(p[n] for n in ("model", "layer", "asked", "view")),
            buttons,
        ]

    def set(self, name: str, value: Any) -> None:
        """Move one control; ValueError for what it cannot be, with the reason."""
        if value in (refused := self._refused.get(name, {})):
            raise ValueError(f"{name} cannot be {value}: {refused[value]}")
        super().set(name, value)

    def _apply(self, state: State) -> None:
        """Also where one control opens up another, and that a third."""
        for _ in range(2):
            super()._apply(state)
            if self.state() == self.state() | state:
                break

    def _offer(self, name: str, options: Sequence[Any], value: Any) -> None:
        """Set what a picker offers and where it stands, without drawing."""
        picker, quiet = self.pickers[name], self._quiet
        self._quiet = True
        try:
            if tuple(picker.options) != tuple(options):
                picker.options = options
            picker.value = value
        finally:
            self._quiet = quiet
        picker.disabled = len(options) < 2

    def _task(self) -> Task:
        """The task at the sizes shown; offers the sizes that all models take."""
        name = self.pickers["task"].value
        own = now = self.tasks[name]
        if name == self._played:
            now = self._moved(own)
        self._played, self._now = name, now
        for size in FIELDS:
            good, self._refused[size] = offers(own, size, now, self.models)
            self._offer(size, good or (0,), size_of(now, size) or 0)
        return now

    def _moved(self, own: Task) -> Task:
        """At the sizes that stand in the pickers; the last one where they clash."""
        try:
            now = resized(own, **{size: self.pickers[size].value for size in FIELDS})
        except ValueError:
            return self._now
        return self._now if misfit(now, own, self.models) else now

    # ---- the play

    def _compute(self) -> None:
        task, number = self._task(), self.pickers["example"].value
        draws = torch.Generator().manual_seed(1000 * self.seed + number)
        inputs, labels = batch = task.batch(1, generator=draws)
        ids, asked_for, words = inputs[0].tolist(), labels[0].tolist(), task.words
        scored = batch.mask[0].nonzero()[:, 0].tolist()
        few = np.linspace(0, len(scored) - 1, min(ASKED, len(scored))).round()
        offered = [scored[int(i)] for i in few]
        asked = self.pickers["asked"].value
        asked = asked if asked in offered else offered[-1]
        self._offer("asked", offered, asked)
        said = {name: answers_of(m, task, inputs) for name, m in self.models.items()}
        model = self.pickers["model"].value
        looks = looks_of(self.models[model], inputs, asked, said[model][asked])
        layers = len(looks.sizes)
        layer = min(self.pickers["layer"].value, layers)
        self._offer("layer", range(1, layers + 1), layer)
        share = looks.sizes[layer - 1]
        most = np.argsort(-share, kind="stable")[:TOP].tolist() if looks.kind else []
        deciding = decisive(task, ids, asked)
        view, centre = self.pickers["view"].value, asked
        if view == "most" and most:
            centre = most[0]
        elif view == "decisive" and deciding:
            centre = max(deciding)
        first = max(0, min(centre - WINDOW // 2, len(ids) - WINDOW))
        goal = [s for s, role in deciding.items() if role != "key"]
        self._sizes = looks.sizes
        self._facts = {
            "task": self.pickers["task"].value,
            "length": size_of(task, "length"),
            "vocabulary": size_of(task, "vocabulary"),
            "example": number,
            "inputs": tuple(ids),
            "words": tuple(words[i] for i in ids),
            "asked": asked,
            "targets": {t: words[asked_for[t]] for t in scored},
            "answers": {
                name: {t: words[answers[t]] for t in scored}
                for name, answers in said.items()
            },
            "right": {
                name: tuple(t for t in scored if answers[t] == asked_for[t])
                for name, answers in said.items()
            },
            "model": model,
            "kind": looks.kind,
            "layer": layer,
            "layers": layers,
            "top": tuple(most),
            "decisive": deciding,
            "found": bool(set(most) & set(goal)) if goal and most else None,
            "window": (first, min(first + WINDOW, len(ids)) - 1),
            "refused": {size: dict(why) for size, why in self._refused.items()},
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        """Who is right, and whether the model looks there; the rest is in the table."""
        return said_of(self.facts())

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        details: dict[str, Any] = {
            f"{name} right": f"{len(at)} of {len(f['targets'])}"
            for name, at in f["right"].items()
        }
        if f["top"]:
            details["Most read positions"] = ", ".join(map(str, f["top"]))
        if f["decisive"]:
            details["What decides"] = spans(sorted(f["decisive"]))
        return details

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        header = ["Position", "reads", "should say", *f["answers"], "decides"]
        header += [f"{f['model']}, layer {n} reads" for n in range(1, f["layers"] + 1)]
        rows = [
            (
                t,
                word,
                f["targets"].get(t, ""),
                *(answers.get(t, "") for answers in f["answers"].values()),
                f["decisive"].get(t, ""),
                *map(float, self._sizes[:, t]),
            )
            for t, word in enumerate(f["words"])
        ]
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.facts(), self._sizes)

    def _refresh_text(self) -> None:
        super()._refresh_text()
        note = noted(self.facts())
        with self._lock:
            self.sizes_note.value = f'<div class="mh-notice">{escape(note)}</div>'
