"""Official models' options and names, mapped to ours.

Source: `standalone_hyenadna.py` of HazyResearch/hyena-dna; the language models of
HazyResearch/safari have the same names. M hidden-to-hidden layers of the sine network.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from minihyena.official import (
    check_options,
    filter_depth,
    operator_keys,
    operator_options,
    our_state,
)

__all__ = ["model_keys", "model_options", "model_state"]

NEEDED = {"d_model", "n_layer", "vocab_size", "layer"}
OPTIONS = NEEDED | {"d_inner", "pad_vocab_size_multiple"}
WITHOUT_EFFECT = {  # on the values, in evaluation mode
    *("resid_dropout", "embed_dropout", "dropout_cls", "initializer_cfg", "_name_"),
    *("residual_in_fp32", "fused_mlp", "fused_dropout_add_ln", "use_flashfftconv"),
    *("checkpoint_mixer", "checkpoint_mlp", "process_group", "sequence_parallel"),
    *("device", "dtype", "attn_cfg", "n_classes", "return_hidden_state"),
}
FIXED = {  # option: (its only value, why)
    "layer_norm_epsilon": (1e-5, "that of the norms here"),
    "attn_layer_idx": ([], "attention layers are not mapped"),
    "max_position_embeddings": (0, "there is no positional embedding here"),
    "use_head": (False, "with it the model is a classifier"),
    "identity_mlp": (False, "a block without MLP is not mapped"),
}


def model_options(
    config: Mapping[str, Any], shift: float, layout: str = "standalone"
) -> tuple[dict[str, Any], ...]:
    """Constructor arguments of the official model -> ours, in three groups.

    Returns the model's own; order; the filter's options. `shift` is the window's if
    the config's `layer` does not state it. Raises ValueError as `operator_options`.
    """
    check_options("model", config, OPTIONS | WITHOUT_EFFECT, FIXED, NEEDED)
    width, layer = config["d_model"], config["layer"]
    if not isinstance(layer, Mapping) or layer.get("_name_", "hyena") != "hyena":
        raise ValueError(f"`layer` must be the options of a hyena layer; got {layer}")
    shape, operator, filter = operator_options(
        {"d_model": width, "shift": shift, **layer}, layout
    )
    if shape["width"] != width:
        raise ValueError(f"d_model is {width}, but {shape['width']} in `layer`")
    inner = config.get("d_inner")
    try:
        ratio = 4.0 if inner is None else inner / width
    except (TypeError, ArithmeticError):
        raise ValueError(
            f"d_inner and d_model must be numbers from 1; got {inner!r} and {width!r}"
        ) from None
    fields = {
        "vocab_size": config["vocab_size"],
        "vocab_multiple": config.get("pad_vocab_size_multiple", 1),
        "depth": config["n_layer"],
        "mlp_ratio": ratio,
    }
    return shape | fields, operator, filter


def model_keys(blocks: int, depth: int) -> dict[str, str]:
    """Our names -> the official keys, for a model of that many blocks, M = `depth`.

    Embedding and head are one tensor.
    """
    embedding = "backbone.embeddings.word_embeddings.weight"
    keys = {"embedding.weight": embedding, "head.weight": embedding}
    block = {f"mixer.{a}": f"mixer.{b}" for a, b in operator_keys(depth).items()}
    for kind in ("weight", "bias"):
        keys[f"norm.{kind}"] = f"backbone.ln_f.{kind}"
        block |= {f"{norm}.{kind}": f"{norm}.{kind}" for norm in ("norm1", "norm2")}
        block |= {
            f"mlp.0.{kind}": f"mlp.fc1.{kind}",
            f"mlp.2.{kind}": f"mlp.fc2.{kind}",
        }
    return keys | {
        f"blocks.{i}.{a}": f"backbone.layers.{i}.{b}"
        for i in range(blocks)
        for a, b in block.items()
    }


def model_state(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    layout: str = "standalone",
) -> dict[str, Tensor]:
    """As `operator_state`, for the whole model.

    The prefix `model.` of training and the `.layer` of gradient checkpointing may be
    there, and the head if it equals the embedding.
    """
    plain = {
        re.sub(r"\.(mixer|mlp)\.layer\.", r".\1.", key.removeprefix("model.")): tensor
        for key, tensor in state.items()
    }
    if len(plain) < len(state):
        raise ValueError("official state does not fit: it names some tensors twice")
    blocks = sum(name.endswith("norm1.weight") for name in shapes)
    keys = model_keys(blocks, filter_depth(shapes))
    return our_state(plain, shapes, keys, layout)
