"""What decides a training run on text, and presets: a minute on a laptop, and more."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from minihyena.checkpoints import KINDS
from minihyena.corpora import load as load_corpus
from minihyena.errors import choose
from minihyena.hyena import HyenaConfig
from minihyena.model import LanguageModel, LMConfig
from minihyena.options import from_fields, to_fields
from minihyena.train_config import TrainConfig
from minihyena.training import Training, train

__all__ = ["PRESETS", "Plan"]


@dataclass(frozen=True)
class Plan:
    """Text, model, training and seed. The model's vocab_size comes from the text."""

    corpus: str = "python-docs"
    tokenizer: str = "character"
    model: LMConfig = field(default_factory=lambda: LMConfig(1))
    training: TrainConfig = field(default_factory=lambda: TrainConfig(minutes=2))
    seed: int = 0

    def begin(self, device: str | None = None) -> Training:
        """A run that has not taken a step. Raises as corpora.load and training.train.

        Dropout draws from torch's own generator, which the caller may seed.
        """
        corpus = load_corpus(self.corpus, tokenizer=self.tokenizer)
        config = replace(self.model, vocab_size=corpus.tokenizer.vocab_size)
        generator = torch.Generator().manual_seed(self.seed)
        model = LanguageModel(config, generator)
        recipe = replace(self.training, device=device or self.training.device)
        return train(model, corpus, recipe, generator=generator)

    def changed(self, changes: Mapping[str, Any]) -> "Plan":
        """Another plan: fields of this one, of its model or of its training, by name.

        `length` is that of windows and model; of `steps` and `minutes`, what is not
        named no longer ends the run. Raises ValueError for an unknown name.
        """
        own, model, training = dict[str, Any](), dict[str, Any](), dict[str, Any]()
        homes = dict.fromkeys(("corpus", "tokenizer", "seed"), own)
        homes |= dict.fromkeys(vars(self.model), model)
        homes |= dict.fromkeys(vars(self.training), training)
        if {"steps", "minutes"} & changes.keys():
            training |= {"steps": None, "minutes": None}
        for name, value in changes.items():
            homes[choose("setting", name, homes)][name] = value
        if "length" in changes:
            model["max_length"] = changes["length"]
        return replace(
            self,
            **own,
            model=replace(self.model, **model),
            training=replace(self.training, **training),
        )

    def fields(self) -> dict[str, Any]:
        """Plain values that `of` reads back."""
        plain: dict[str, Any] = to_fields(self, KINDS)
        plain = json.loads(json.dumps(plain))  # no tuples
        return plain

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Plan":
        """The plan of such fields; raises ValueError or TypeError if they are none."""
        if not {"model", "training"} <= {*fields}:
            raise ValueError(
                "the run that is kept says nothing of its plan: it was not begun by "
                "`python -m minihyena train`, and goes on where it was, in a notebook"
            )
        model = from_fields(LMConfig, fields["model"])
        training = from_fields(TrainConfig, fields["training"])
        return from_fields(cls, {**fields, "model": model, "training": training})


# Matrices that keep the size of what comes in, and four taps instead of three: both
# take a hundredth or two off the loss after a minute.
_HYENA = LMConfig(1, max_length=128, std=None, mixer=HyenaConfig(short_taps=4))
PRESETS = {
    "laptop": Plan(
        "tinyshakespeare",
        model=_HYENA,
        training=TrainConfig(minutes=1, length=128, batch_size=16, warmup=0.05),
    ),
    "best": Plan(
        "tinyshakespeare",
        model=replace(_HYENA, max_length=256, depth=6, dropout=0.1),
        training=TrainConfig(
            steps=6000,
            learning_rate=5e-3,
            final_rate=0.01,
            warmup=0.05,
            evaluate_every=250,
            evaluate_windows=None,
            patience=6,
        ),
    ),
    # The CPU recipe of karpathy/nanoGPT's README for the same text, with our
    # Transformer: rotary positions instead of learned ones.
    "nanogpt-cpu": Plan(
        "tinyshakespeare",
        model=LMConfig(1, max_length=64, depth=4, mixer="attention", mlp_ratio=4.0),
        training=TrainConfig(
            steps=2000,
            length=64,
            batch_size=12,
            learning_rate=1e-3,
            final_rate=0.1,
            warmup=0.05,
            betas=(0.9, 0.99),
            evaluate_every=250,
            evaluate_windows=None,
        ),
    ),
}
