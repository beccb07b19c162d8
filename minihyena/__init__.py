"""minihyena: long-convolution language models to read, run and trust line by line.

Hyena (Poli et al. 2023, arXiv 2302.10866) replaces attention by implicitly
parametrised long convolutions interleaved with data-controlled gating.
"""

from importlib.util import find_spec

for _needed in ("torch", "numpy", "safetensors", "psutil"):
    if find_spec(_needed) is None:
        raise ModuleNotFoundError(
            f"minihyena needs {_needed}; in the project's folder `make lab` installs "
            'all of it, or: python -m pip install -c constraints.txt -e ".[lab]" '
            "(python -P minihyena/doctor.py tells all that is missing)",
            name=_needed,
        )

from minihyena import checkpoints, corpora, matrices, tasks
from minihyena.conv import causal_conv, toeplitz
from minihyena.filters import ImplicitConfig, ImplicitFilter
from minihyena.generation import sample, sample_text
from minihyena.hyena import (
    HyenaConfig,
    HyenaOperator,
    hyena_matrix,
    hyena_recurrence,
)
from minihyena.losses import evaluate
from minihyena.model import LanguageModel, LMConfig, mixers
from minihyena.rivals.attention import AttentionConfig, SoftmaxAttention
from minihyena.rivals.filters import filter_families
from minihyena.training import Diverged, Record, TrainConfig, train

__version__ = "0.2.0"

__all__ = [
    "AttentionConfig",
    "Diverged",
    "HyenaConfig",
    "HyenaOperator",
    "ImplicitConfig",
    "ImplicitFilter",
    "LMConfig",
    "LanguageModel",
    "Record",
    "SoftmaxAttention",
    "TrainConfig",
    "causal_conv",
    "checkpoints",
    "corpora",
    "evaluate",
    "filter_families",
    "hyena_matrix",
    "hyena_recurrence",
    "matrices",
    "mixers",
    "sample",
    "sample_text",
    "tasks",
    "toeplitz",
    "train",
]
