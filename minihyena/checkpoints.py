"""A trained model as one safetensors file: weights, configuration and tokenizer.

Weights that others have written are read too: an official HyenaDNA model, with its
config.json beside it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from minihyena import hub
from minihyena.files import write_whole
from minihyena.model import LanguageModel, LMConfig, mixers, no_larger
from minihyena.options import configure, from_fields, to_fields
from minihyena.rivals.filters import filter_families
from minihyena.shipped import shipped
from minihyena.tokenizers import DNATokenizer, Tokenizer, tokenizers

__all__ = ["Checkpoint", "load", "save"]

KINDS = mixers | filter_families
DAMAGE = (SafetensorError, AttributeError, TypeError, RuntimeError, ValueError)


class Checkpoint(NamedTuple):
    """A model, its tokenizer, and what was noted when it was saved."""

    model: LanguageModel
    tokenizer: Tokenizer
    notes: dict[str, Any]


def save(
    path: Path | str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the file whole or not at all; `notes` may hold whatever JSON can.

    Raises TypeError for a tokenizer that is none of `tokenizers`: `load` could not make
    another.
    """
    if type(tokenizer) not in tokenizers.values():
        raise TypeError(f"cannot save a {type(tokenizer).__name__} with a checkpoint")
    about = {
        "config": to_fields(model.config, KINDS),
        "tokenizer": to_fields(tokenizer, tokenizers),
        "notes": notes or {},
    }
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not (model.config.tied and name == "head.weight")
    }
    write_whole(path, to_bytes(weights, {"minihyena": json.dumps(about)}))


SHIPPED = shipped("data/checkpoints")


def load(path: Path | str) -> Checkpoint:
    """The model on the CPU in evaluation mode, its tokenizer and notes.

    A bare name, like "python_docs", is one of the models in the project's
    data/checkpoints. A folder, or a pickle (.ckpt, .pt, .pth, .bin), is read as an
    official HyenaDNA model, with config.json beside the weights (then the notes are
    that config); of a pickle the tensors are taken and nothing in it is run.

    Raises FileNotFoundError, or ValueError for a file that is damaged, is no
    checkpoint of minihyena, or whose weights do not fit its configuration.
    """
    path = named = Path(path)
    if len(named.parts) == 1 and not named.suffix and not named.exists():
        path = SHIPPED / f"{named}.safetensors"
    if not (path.is_dir() or path.is_file()):
        names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.safetensors")))
        raise FileNotFoundError(
            f"no checkpoint {named}; `python -m minihyena train --out {named}` writes "
            f"one; here by name: {names or 'none'}"
        )
    foreign = path.is_dir() or path.suffix in hub.PICKLES
    official = hub.read(path) if foreign else None
    try:
        return _ours(path) if official is None else _official(*official)
    except KeyError as error:
        raise ValueError(f"{path} is not a sound checkpoint: no {error}") from error
    except DAMAGE as error:
        raise ValueError(f"{path} is not a sound checkpoint: {error}") from error


def _ours(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {}).get("minihyena", "null"))
        if about is None:
            raise ValueError(
                "it was not written by minihyena; name the folder if it is a "
                "HyenaDNA model with a config.json"
            )
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config = from_fields(LMConfig, about["config"])
    with no_larger(weights):
        model = LanguageModel(config, torch.Generator())  # all of it is replaced below
    if config.tied:
        weights["head.weight"] = weights["embedding.weight"]
    model.load_state_dict(weights)
    tokenizer = configure("tokenizer", about["tokenizer"], tokenizers)
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(
            f"its tokenizer knows {tokenizer.vocab_size} tokens, its model "
            f"{config.vocab_size}"
        )
    return Checkpoint(model.eval(), tokenizer, {**about["notes"]})


def _official(options: dict[str, Any], state: dict[str, Tensor]) -> Checkpoint:
    model = LanguageModel.from_hyenadna(state, options).eval()
    return Checkpoint(model, DNATokenizer(), options)
