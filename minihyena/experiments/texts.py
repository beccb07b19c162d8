"""Language models on text: as large, with the same batches for as many steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from statistics import median
from typing import Any

import torch

from minihyena import corpora
from minihyena.benchmark import compare
from minihyena.corpora import Corpus
from minihyena.experiments.plans import Comparison
from minihyena.experiments.rows import Run, TextRun
from minihyena.experiments.trials import Trial, Watch, plain
from minihyena.losses import evaluate
from minihyena.model import LanguageModel, LMConfig
from minihyena.processes import over_processes
from minihyena.rivals.attention import SoftmaxAttention
from minihyena.training import Diverged, TrainConfig

__all__ = ["Text", "TextExperiment", "TextTrial"]

ROUNDS = 7  # of a step of every model, to tell their pace
LOOKS = 20  # at held-out text while it trains ...
HELD_OUT_TOKENS = 2**16  # ... of so many tokens at most
_BASE = LMConfig(1, width=128, depth=2)
_GENTLE = TrainConfig(steps=1, warmup=0.05, final_rate=0.05)


@dataclass(frozen=True)
class Text:
    """A corpus by the name that corpora.load knows, in windows of one length."""

    corpus: str
    length: int
    seeds: int | None = None  # at most; None: as many as are asked for

    def __str__(self) -> str:
        return f"{self.corpus}, length {self.length}"


@dataclass(frozen=True)
class TextTrial(Trial):
    """One model on one text."""

    text: Text
    corpus: Corpus = field(compare=False, repr=False)

    @property
    def subject(self) -> Text:
        return self.text

    @property
    def settings(self) -> list[Any]:
        configs = map(plain, (self.config, self.training))
        return [self.model, self.text.corpus, self.corpus.sha256, *configs]

    def build(self, generator: torch.Generator) -> LanguageModel:
        return LanguageModel(self.config, generator)

    def run(self, watch: Watch | None = None) -> TextRun:
        """Train from scratch, then take the loss of the whole held-out text.

        A model that diverges has no loss.
        """
        model, steps = self.begun(self.corpus)
        length, rows = self.training.length, self.training.batch_size
        curve: list[tuple[int, float, float]] = []
        step, seconds, loss = 0, 0.0, None
        try:
            for record in steps:
                step, seconds = record.step, record.seconds
                if record.validation_loss is not None:
                    held_out = round(record.validation_loss, 4)
                    curve.append((step, round(seconds, 2), held_out))
                if watch:
                    watch(self, record, record.validation_loss)
            loss = round(over_processes(evaluate(model, self.corpus, length)), 4)
        except Diverged:
            pass
        flops = model.flops(length, rows)
        return TextRun(
            **self.common(model),
            corpus=self.text.corpus,
            sha256=self.corpus.sha256,
            length=length,
            width=self.config.width,
            depth=self.config.depth,
            flops=3 * flops,
            flops_causal=3 * (flops - _masked_flops(model, length, rows)),
            steps=step,
            tokens=rows * length,
            loss=loss,
            seconds=round(seconds, 2),
            curve=tuple(curve),
        )


def _masked_flops(model: LanguageModel, length: int, rows: int) -> float:
    layers = [m for m in model.modules() if isinstance(m, SoftmaxAttention)]
    return sum(layer.masked_flops(length, rows) for layer in layers)


def pace(trials: Sequence[TextTrial], rounds: int = ROUNDS) -> dict[str, float]:
    """Key -> seconds of a step of training: the median of rounds in which every trial
    takes one, in turn, and learns next to nothing.
    """
    calls = {}
    for trial in trials:
        still: dict[str, Any] = {
            "learning_rate": 1e-9,
            "steps": 10**9,
            "evaluate_every": 10**9,
        }
        endless = replace(trial, training=replace(trial.training, **still))
        _, steps = endless.begun(trial.corpus)
        calls[trial.key] = partial(next, steps)
    spent = compare(calls, rounds)
    return {key: float(f"{median(seconds):.4g}") for key, seconds in spent.items()}


@dataclass(frozen=True)
class TextExperiment(Comparison):
    """Every model on every text, as it learns best, from several seeds.

    The first model sets the size; the others get as many parameters, the same batches
    for the same seed, `tokens` a step (one window at least), and as many steps.
    """

    name: str
    question: str
    texts: tuple[Text, ...]
    models: Mapping[str, Any]
    base: LMConfig = _BASE  # vocab_size and max_length come from the text
    learning_rates: tuple[float, ...] = (8e-3, 3e-3)
    stds: tuple[float, ...] = ()
    steps: int = 300
    tokens: int = 4096
    training: TrainConfig = _GENTLE

    def __post_init__(self) -> None:
        for name in ("texts", "models", "learning_rates"):
            if not getattr(self, name):
                raise ValueError(f"experiment {self.name} has no {name}")

    @cached_property
    def trials(self) -> list[TextTrial]:
        """One for each text and model: seed 0, the first learning rate.

        Raises as corpora.load.
        """
        names = dict.fromkeys(text.corpus for text in self.texts)
        loaded = {name: corpora.load(name) for name in names}
        return [
            TextTrial(name, config, self.train_config(text), 0, text, corpus)
            for text in self.texts
            for corpus in [loaded[text.corpus]]
            for name, config in self.configs(text, corpus).items()
        ]

    def configs(self, text: Text, corpus: Corpus) -> dict[str, LMConfig]:
        """Name -> the models' configurations for this text, all as large."""
        vocab_size = corpus.tokenizer.vocab_size
        return self.equally_large(
            replace(self.base, vocab_size=vocab_size, max_length=text.length)
        )

    def train_config(self, text: Text) -> TrainConfig:
        """How all models are trained on this text."""
        return replace(
            self.training,
            steps=self.steps,
            length=text.length,
            batch_size=max(1, self.tokens // text.length),
            learning_rate=self.learning_rates[0],
            evaluate_every=max(1, self.steps // LOOKS),
            evaluate_windows=max(1, HELD_OUT_TOKENS // text.length),
        )

    def finished(self, runs: Sequence[Run]) -> list[Run]:
        """With the pace of every model: runs that followed one another, on a machine
        that did other things as well, cannot be compared by their seconds.
        """
        found = [run for run in runs if isinstance(run, TextRun)]
        slow = {(r.corpus, r.length) for r in found if r.pace is None}
        paces: dict[str, float] = {}
        for text in self.texts:
            if (text.corpus, text.length) in slow:
                paces |= pace([trial for trial in self.trials if trial.text == text])
        return [r if r.pace else replace(r, pace=paces[r.key]) for r in found]

    @property
    def sizes(self) -> int:
        return len(self.texts)

    def seeds(self, trial: Trial, asked: int) -> int:
        return min(asked, trial.subject.seeds or asked)
