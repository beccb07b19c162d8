"""A trained model as one safetensors file: weights, configuration and tokenizer."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from minihyena.corpora import ByteTokenizer, CharacterTokenizer, Tokenizer
from minihyena.errors import choose
from minihyena.model import MIXERS, LanguageModel, LMConfig

__all__ = ["Checkpoint", "from_fields", "load", "save"]

Config = TypeVar("Config")
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

    Raises TypeError for a tokenizer that is neither CharacterTokenizer nor
    ByteTokenizer: `load` could not make another.
    """
    if not isinstance(tokenizer, CharacterTokenizer | ByteTokenizer):
        raise TypeError(f"cannot save a {type(tokenizer).__name__} with a checkpoint")
    alphabet = getattr(tokenizer, "alphabet", None)
    about = {"config": asdict(model.config), "alphabet": alphabet, "notes": notes or {}}
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not (model.config.tied and name == "head.weight")
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(weights, draft, {"minihyena": json.dumps(about)})
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path | str) -> Checkpoint:
    """The model on the CPU in evaluation mode, its tokenizer and notes.

    Raises FileNotFoundError, or ValueError for a file that is damaged, is no
    checkpoint of minihyena, or whose weights do not fit its configuration.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"no checkpoint {path}; `python -m minihyena train --out {path}` writes one"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("minihyena", "null"))
            if about is None:
                raise ValueError("it was not written by minihyena")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        values = dict(about["config"])
        kind = MIXERS[choose("mixer", values["mixer"], MIXERS)]
        values["mixer_config"] = from_fields(kind.config, values["mixer_config"])
        config = from_fields(LMConfig, values)
        model = LanguageModel(config, torch.Generator())  # all of it is replaced below
        if model.config.tied:
            weights["head.weight"] = weights["embedding.weight"]
        model.load_state_dict(weights)
        notes, alphabet = about["notes"], about["alphabet"]
    except KeyError as error:
        raise ValueError(f"{path} is not a sound checkpoint: no {error}") from error
    except DAMAGE as error:
        raise ValueError(f"{path} is not a sound checkpoint: {error}") from error
    tokenizer = ByteTokenizer() if alphabet is None else CharacterTokenizer(alphabet)
    return Checkpoint(model.eval(), tokenizer, notes)


def from_fields(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration dataclass from plain values; a misspelt field is an error.

    Raises ValueError naming the unknown field and the known ones, nearest first.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    made = {}
    for name, value in values.items():
        choose(f"{kind.__name__} field", name, known)
        if is_dataclass(hints[name]) and isinstance(value, Mapping):
            value = from_fields(hints[name], value)
        made[name] = value
    return kind(**made)
