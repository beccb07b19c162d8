"""A language model that reads vectors and says numbers.

B batch, L length, E features, D width.
"""

from dataclasses import replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from minihyena.errors import check_length
from minihyena.filters import init_small
from minihyena.model import LanguageModel, LMConfig, drawing_from

__all__ = ["VectorModel"]


class VectorModel(LanguageModel):
    """vectors (B, L, E) -> numbers (B, L): the same blocks between two linear maps.

    The vocab_size of `config` plays no part.
    """

    def __init__(
        self,
        config: LMConfig,
        features: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(replace(config, vocab_size=1, tied=False), generator)
        with drawing_from(generator):
            self.embedding = nn.Linear(features, config.width)  # type: ignore[assignment]
            init_small(self.embedding, config.std)

    def forward(self, vectors: Tensor) -> Tensor:
        """Raises ValueError for a wrong shape and for more than max_length vectors."""
        features = self.embedding.weight.shape[1]
        if vectors.dim() != 3 or vectors.shape[2] != features:
            raise ValueError(
                f"expected vectors (B, L, {features}); got {tuple(vectors.shape)}"
            )
        check_length(vectors.shape[1], self.config.max_length)
        return self.through(self.embedding(vectors))[..., 0]

    def prefill(self, *_: Any, **__: Any) -> NoReturn:
        """Raises TypeError: what it says is no next token."""
        raise TypeError(
            "a model of vectors says numbers; it can neither write nor step"
        )

    step = prefill

    def distill(self, *_: Any, **__: Any) -> NoReturn:
        """Raises TypeError: only models of tokens are distilled."""
        raise TypeError("a model of vectors cannot be distilled")
