"""What the training room shows: settings, losses, one filter, what the model writes."""

import math
from html import escape
from itertools import zip_longest
from typing import Any

import ipywidgets as W

from minihyena.corpora import ByteTokenizer, CharacterTokenizer, Corpus
from minihyena.explore.filter_views import FilterView, names_of, view
from minihyena.explore.parts import choice, row, slider
from minihyena.explore.training_controls import SETTINGS, Trainer, settings
from minihyena.explore.training_figure import (
    draw_filter,
    draw_losses,
    room_figure,
    thin,
)
from minihyena.explore.training_loop import Phase
from minihyena.explore.training_run import Run
from minihyena.training import TrainConfig

__all__ = ["TrainingPanel"]

ROWS = 200  # of the table of losses, at most


class TrainingPanel(Trainer):
    """The face of a run; a subclass says which run it is and what the buttons do."""

    title = "Training room"
    narrowest = 600
    notice = (
        "The loss starts near ln V, the loss of a blind guess. What does the model "
        "learn first, and how much do its filters change?"
    )

    def __init__(
        self, corpus: Corpus, config: TrainConfig, mixers: tuple[str, ...], name: str
    ) -> None:
        self.blind = math.log(corpus.tokenizer.vocab_size)
        kinds = {CharacterTokenizer: "character", ByteTokenizer: "byte"}
        self.unit = kinds.get(type(corpus.tokenizer), "token")
        self._run: Run | None = None
        self._mixer: str | None = None
        self._views: tuple[FilterView, FilterView] | None = None
        self.texts = W.HTML(layout=W.Layout(width="100%"))
        figure = room_figure(self.blind, self.unit)
        super().__init__(_pickers(config, mixers), figure, name)

    def _current(self) -> Run:
        """The run to show."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        """True on every machine while the loss is well away from half its start."""
        f = self.facts()
        limit = f" of {f['steps']:,}" if f["steps"] else ""
        start = f"{f['phase'].capitalize()} after {f['step']:,}{limit} steps"
        if f["phase"] == Phase.READY:
            mixer = f"mixer {f['mixer']}, " if f["mixer"] else ""
            return f"Not started: {mixer}step 0{limit}."
        if f["phase"] == Phase.FAILED:
            return f"{start}: {f['error']}."
        if f["phase"] == Phase.RUNNING:  # read aloud when it changes, so rarely
            start = "Training"
        fell = "fell" if f["halved"] else "has not fallen"
        return f"{start}; the loss {fell} below half its start."

    def _controls(self) -> list[W.Widget]:
        fixed = [self.pickers[n] for n in SETTINGS if n in self.pickers]
        watching = [p for n, p in self.pickers.items() if n not in SETTINGS]
        return [
            row(fixed),
            row(self._buttons(), "mh-buttons"),
            self.progress,
            row(watching),
        ]

    def _below(self) -> list[W.Widget]:
        return [self.texts]

    def _read(self) -> None:
        run = self._run = self._current()
        self._offer(run)
        where, channel = (self.pickers[n].value for n in ("filter", "channel"))
        views = None
        if where:
            layer, order = where
            now, then = run.taps(layer), run.before[layer]
            views = view(now[order, channel]), view(then[order, channel])
        self._views = views
        n = len(run.records)
        first, loss = (run.records[0].loss, run.smooth[n - 1]) if n else (None, None)
        held = run.validations[-1][1] if run.validations else None
        self._facts = {
            "phase": run.loop.phase,
            "step": run.records[n - 1].step if n else 0,
            "steps": run.config.steps,
            "mixer": self._mixer,
            "learning_rate": run.config.learning_rate,
            "parameters": sum(p.numel() for p in run.model.parameters()),
            "blind_loss": self.blind,
            "first_loss": first,
            "loss": loss,  # smoothed
            "validation_loss": held,
            "validation_bits": None if held is None else held / math.log(2),
            "halved": bool(first and loss is not None and loss < first / 2),
            "filter_change": run.change(),
            "error": type(run.loop.error).__name__ if run.loop.error else None,
        }

    def _offer(self, run: Run) -> None:
        """The watch controls offer the filters that this model has."""
        width = min((h.shape[1] for h in run.before), default=0)
        offers = {
            "filter": tuple(names_of(run.before).items()) or (("none", ()),),
            "channel": tuple(range(max(width, 1))),
        }
        for name, options in offers.items():
            if self.pickers[name].options != options:
                quiet, self._quiet = self._quiet, True
                self.pickers[name].options = options
                self._quiet = quiet
        for name in (*offers, "view"):
            self.pickers[name].disabled = not width

    def _draw(self) -> None:
        assert self._run is not None
        draw_losses(self.figure, self._run, self.blind)
        draw_filter(self.figure, self._views, self.pickers["view"].value)

    def _details(self) -> dict[str, Any]:
        assert self._run is not None
        f = self.facts()
        chips: dict[str, Any] = {"parameters": f["parameters"]}
        if not f["step"]:
            return chips
        chips |= {"step": f["step"], "smoothed batch loss": f["loss"]}
        if f["validation_loss"] is not None:
            chips["held-out loss"] = f["validation_loss"]
            chips[f"held-out bits per {self.unit}"] = f["validation_bits"]
        last = self._run.records[-1]
        chips["tokens a second"] = round(last.tokens / max(last.seconds, 1e-9))
        if f["filter_change"] is not None:
            chips["filters changed by"] = f"{f['filter_change']:.0%}"
        return chips

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        assert self._run is not None
        run, held = self._run, dict(self._run.validations)
        header = ["step", "batch loss", "smoothed batch loss", "held-out loss"]
        header.append(f"batch bits per {self.unit}")
        losses: list[tuple[Any, ...]] = []
        for i in thin(len(run.records), ROWS):
            step, loss = run.records[i].step, run.records[i].loss
            bits = loss / math.log(2)
            losses.append((step, loss, run.smooth[i], held.get(step, ""), bits))
        curves: list[tuple[Any, ...]] = []
        if self._views:
            header += [self.figure.layout.xaxis2.title.text, "now", "at the start"]
            old, new = self.figure.data[-2:]
            curves = list(zip(new.x, new.y, old.y, strict=True))
        blank, gap = ("",) * 5, ("",) * (len(header) - 5)
        rows = zip_longest(losses, curves)
        return header, [(*(left or blank), *(right or gap)) for left, right in rows]

    def _done(self) -> float:
        assert self._run is not None
        run = self._run
        seconds = run.records[-1].seconds if run.records else 0.0
        return run.config.progress(len(run.records), seconds)

    def _refresh_text(self) -> None:
        super()._refresh_text()
        assert self._run is not None
        run = self._run
        prompt = f"<b>{escape(run.writing.prompt)}</b>"
        self.texts.value = "".join(
            f'<div class="mh-notice">What it writes after {step:,} steps</div>'
            f'<div class="mh-text">{prompt}{escape(text)}</div>'
            for step, text in reversed(run.texts[-3:])
        )


def _pickers(config: TrainConfig, mixers: tuple[str, ...]) -> dict[str, Any]:
    return ({"mixer": choice("Mixer", mixers)} if mixers else {}) | {
        **settings(config),
        "filter": choice("Watch filter", (("none", ()),)),
        "channel": slider("Channel", (0,)),
        "view": choice("View", ("in time", "in frequency")),
    }
