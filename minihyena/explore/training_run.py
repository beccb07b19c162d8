"""One training run and what became of it: losses, texts, filters. No widgets here."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from minihyena.corpora import Corpus
from minihyena.explore.filter_views import Filter, filters_of, reach_of, taps
from minihyena.explore.training_loop import Loop, Turns
from minihyena.generation import sample_text
from minihyena.training import Record, TrainConfig, train

__all__ = ["Run", "Writing", "smoothed"]

LEAST, PART = 5, 20  # smoothed: the mean of the last twentieth, of 5 steps at least
PROMPT = 16  # tokens of held-out text that a sample goes on from


def smoothed(records: Sequence[Record]) -> float:
    """The loss now: the mean of the last steps, see PART."""
    window = min(len(records), max(LEAST, len(records) // PART))
    return sum(record.loss for record in records[-window:]) / window


class Writing:
    """How the model is asked for text while it learns."""

    def __init__(self, corpus: Corpus, every: int, length: int, context: int) -> None:
        self.tokenizer = corpus.tokenizer
        if every < 1:
            raise ValueError(f"sample_every counts steps, 1 at least; got {every}")
        if context < 2:
            raise ValueError(
                "a window must hold a prompt and what is written after it: length 2 at "
                f"least; got {context}"
            )
        self.every = every
        start = corpus.validation[: min(PROMPT, context - 1)]
        self.prompt = corpus.tokenizer.decode(start)
        self.length = min(length, context - len(start))

    def __call__(self, model: nn.Module, generator: torch.Generator) -> str:
        pieces = sample_text(
            model, self.tokenizer, self.prompt, self.length, generator=generator
        )
        return "".join(pieces)


class Run:
    """A model, its loop, and everything the loop has told so far.

    `on_record` and `on_change` are called as in `Loop`; the books are kept within the
    step, so that all of it belongs together for whoever holds `turns`.
    """

    def __init__(
        self,
        model: nn.Module,
        corpus: Corpus,
        config: TrainConfig,
        writing: Writing,
        seed: int,
        on_record: Callable[[Record], None],
        on_change: Callable[[], None],
        turns: Turns,
    ) -> None:
        self.model, self.config, self.writing = model, config, writing
        self.turns = turns
        self.records: list[Record] = []
        self.smooth: list[float] = []  # as long as records, see PART
        self.texts: list[tuple[int, str]] = []  # step, what it wrote
        self.filters: list[Filter] = []
        if hasattr(model, "filters"):
            self.filters = filters_of(model)
        self.before = [self.taps(layer) for layer in range(len(self.filters))]
        self._draws = torch.Generator().manual_seed(seed + 1)
        batches = torch.Generator().manual_seed(seed)
        records = train(model, corpus, config, generator=batches)
        steps = self._noted(records)
        self.loop = Loop(steps, config.steps, on_record, on_change, turns)

    def taps(self, layer: int) -> Tensor:
        """(orders, D, L): what the filter of this layer is now."""
        f = self.filters[layer]
        length = min(reach_of(f, self.config.length), self.config.length)
        with self.turns:
            return taps(f, length).clone()

    @property
    def validations(self) -> list[tuple[int, float]]:
        """(step, loss) wherever the held-out text was looked at."""
        return [
            (record.step, record.validation_loss)
            for record in tuple(self.records)
            if record.validation_loss is not None
        ]

    def change(self) -> float | None:
        """How far the filters are from their start, relative to their size there."""
        if not self.before:
            return None
        with self.turns:  # all layers after the same step
            far = sum(
                float((self.taps(layer) - then).square().sum())
                for layer, then in enumerate(self.before)
            )
        size = sum(float(then.square().sum()) for then in self.before)
        return math.sqrt(far / max(size, 1e-30))

    def _noted(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            self.records.append(record)
            self.smooth.append(smoothed(self.records))
            due = record.step % self.writing.every == 0
            if due or record.step == self.config.steps:
                self.texts.append((record.step, self.writing(self.model, self._draws)))
            yield record
