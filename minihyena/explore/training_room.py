"""Training room: watch a model learn, stop it, ask it for text, go on."""

import inspect
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from minihyena.corpora import Corpus
from minihyena.explore.training_loop import Loop, Phase
from minihyena.explore.training_panel import TrainingPanel
from minihyena.explore.training_run import Run, Writing
from minihyena.generation import sample_text
from minihyena.model import mixers as all_mixers
from minihyena.training import TrainConfig

__all__ = ["TrainingRoom"]

SHORT = TrainConfig(steps=300)


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
        self.factory, self.corpus, self.seed = factory, corpus, seed
        self._config = config
        self._writing = Writing(corpus, sample_every, sample_length, config.length)
        named = any(
            parameter.default is parameter.empty or parameter.name == "mixer"
            for parameter in inspect.signature(factory).parameters.values()
        )
        super().__init__(corpus, config, mixers if named else (), name)

    # ---- what can be done

    def reset(self) -> None:
        """Stop; then a fresh, untrained model with the settings that are shown."""
        self.stop()
        self._run = self._begin(self._now.config, self._mixer)
        self.redraw()

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

    # ---- the run behind it

    @property
    def _now(self) -> Run:
        assert self._run is not None  # since the first redraw
        return self._run

    @property
    def _loop(self) -> Loop:
        return self._now.loop

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
