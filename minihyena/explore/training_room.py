"""Training room: watch a model learn, stop it, ask it for text, go on."""

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from minihyena.corpora import Corpus
from minihyena.explore.training_loop import Phase
from minihyena.explore.training_panel import SETTINGS, TrainingPanel
from minihyena.explore.training_run import Run, Writing
from minihyena.generation import sample_text
from minihyena.model import mixers as all_mixers
from minihyena.training import Record, TrainConfig

__all__ = ["TrainingRoom"]

REDRAW_S = 0.2  # at most so often, and drawing takes at most a fifth of the time
SHORT = TrainConfig(steps=300)
# A cell that is run again stops its old room.
_ROOMS: WeakValueDictionary[str, "TrainingRoom"] = WeakValueDictionary()


class TrainingRoom(TrainingPanel):
    """Train a model live; any `model(ids (B, L)) -> logits (B, L, V)` fits.

    `factory` makes a fresh, untrained model: `factory(mixer)` if it asks for a name, so
    that the mixer can be chosen, else `factory()`. `model.filters()`, if any, is seen.
    Batches are drawn from a generator seeded with `seed`, afresh in every run. The
    buttons train in a thread; `run()` and `train(steps)` in the cell that calls them.
    To use the model meanwhile: `room.sample(...)`, or `with room.turns: ...`. A second
    room of the same `name` stops the first.
    """

    def __init__(
        self,
        factory: Callable[..., nn.Module],
        corpus: Corpus,
        config: TrainConfig = SHORT,
        *,
        mixers: tuple[str, ...] = tuple(all_mixers),
        sample_every: int = 100,
        sample_length: int = 120,
        seed: int = 0,
        name: str = "training room",
    ) -> None:
        if old := _ROOMS.get(name):
            old.stop()
        self.factory, self.corpus, self.seed = factory, corpus, seed
        self._config = config
        self._writing = Writing(corpus, sample_every, sample_length, config.length)
        self._next_redraw = 0.0
        named = any(
            parameter.default is parameter.empty or parameter.name == "mixer"
            for parameter in inspect.signature(factory).parameters.values()
        )
        super().__init__(corpus, config, mixers if named else ())
        self._go.on_click(lambda _: self._guard(self._start_or_pause))
        self._halt.on_click(lambda _: self._guard(self.stop))
        self._fresh.on_click(lambda _: self._guard(self.reset))
        _ROOMS[name] = self

    # ---- what can be done

    def start(self) -> None:
        """Train in the background and return at once; after a pause, go on."""
        self._now.loop.start()

    def resume(self) -> None:
        """Go on after a pause."""
        self._now.loop.start()

    def pause(self) -> None:
        """Rest after the step in hand; the model can be used meanwhile."""
        self._now.loop.pause()

    def stop(self) -> None:
        """End this run after the step in hand; the model stays as it is."""
        self._now.loop.stop()

    def reset(self) -> None:
        """Stop; then a fresh, untrained model with the settings that are shown."""
        self.stop()
        self._run = self._begin(self._now.config, self._mixer)
        self.redraw()

    def run(self) -> None:
        """Train to the end here and now; errors are raised."""
        self._now.loop.run()

    def train(self, steps: int) -> None:
        """Train `steps` steps here and now, then pause; errors are raised."""
        self._now.loop.run(steps)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the background; an error of the run is raised here."""
        self._now.loop.join(timeout)

    def sample(
        self,
        prompt: str,
        length: int = 120,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> str:
        """What the model, as it is now, writes after `prompt`."""
        with self.turns:
            pieces = sample_text(
                self.model, self.corpus.tokenizer, prompt, length,
                temperature=temperature, generator=generator,
            )  # fmt: skip
            return "".join(pieces)

    @property
    def model(self) -> nn.Module:
        """The model of this run."""
        return self._now.model

    @property
    def history(self) -> Run:
        """The run itself: records, smoothed losses, texts, filters at the start."""
        return self._now

    @property
    def phase(self) -> Phase:
        """Ready, running, paused, stopped, finished or failed."""
        return self._now.loop.phase

    def set(self, name: str, value: Any) -> None:
        """Move one control; RuntimeError for a setting of a run that has begun."""
        if name in SETTINGS and self.phase != Phase.READY:
            raise RuntimeError(f"{name} is fixed once training began; reset() first")
        super().set(name, value)

    # ---- the run behind it

    @property
    def _now(self) -> Run:
        assert self._run is not None  # since the first redraw
        return self._run

    def _current(self) -> Run:
        """The run at hand; a fresh one if its settings were moved before it began."""
        old, state = self._run, self.state()
        mixer = state.get("mixer")
        config = replace(
            self._config,
            learning_rate=state["learning_rate"],
            steps=state["steps"] or None,
        )
        if old and old.loop.phase != Phase.READY:
            return old
        if old and (old.config, self._mixer) == (config, mixer):
            return old
        return self._begin(config, mixer, old.model if old else None)

    def _begin(
        self, config: TrainConfig, mixer: str | None, model: nn.Module | None = None
    ) -> Run:
        """A run that has not started, of `model` if it has that mixer."""
        if model is None or mixer != self._mixer:
            model = self.factory(mixer) if mixer is not None else self.factory()
        self._mixer = mixer
        return Run(
            model, self.corpus, config, self._writing, self.seed,
            self._on_record, self._on_change, self.turns,
        )  # fmt: skip

    def _on_record(self, _: Record) -> None:
        began = time.monotonic()
        if began >= self._next_redraw:
            self.redraw()
            spent = time.monotonic() - began
            self._next_redraw = began + max(REDRAW_S, 5 * spent)

    def _on_change(self) -> None:
        self._guard(self.redraw)

    def _start_or_pause(self) -> None:
        if self.phase == Phase.RUNNING:
            self.pause()
        else:
            self.start()
