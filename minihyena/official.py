"""The official operator's names and options, mapped to ours; imports nothing of ours.

Layout: `standalone_hyena.py` of HazyResearch/safari. Tensors keep their values and
only change their shape; which shape, the receiving module knows.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

from torch import Size, Tensor

__all__ = ["operator_keys", "operator_options", "operator_state"]

# official option -> (our option, our default for it is the official one)
FILTER_OPTIONS = {
    "filter_order": ("width", 64),
    "num_inner_mlps": ("depth", 2),
    "w": ("sine_frequency", 1.0),
    "modulate": ("window", True),
    "shift": ("shift", 0.0),
    "fast_decay_pct": ("fast_decay", 0.3),
    "slow_decay_pct": ("slow_decay", 1.5),
    "target": ("target", 0.01),
}
OTHER_OPTIONS = {"d_model", "l_max", "order", "emb_dim", "lr_pos_emb", "modulation_lr"}
WITHOUT_EFFECT = {  # accepted by the official code, without effect on the values
    "lr",
    "wd",
    "dropout",
    "filter_dropout",
    "normalized",
    "bias",
    "fused_fft_conv",
    "short_filter_order",
    "_name_",
}


def operator_options(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Constructor arguments of the official operator -> ours, in three groups.

    Returns {"shape": width and max_length, "operator": order, "filter": the rest}.
    Raises ValueError for an argument the official operator does not have, a missing
    d_model or l_max, or an even or too small emb_dim.
    """
    known = {*FILTER_OPTIONS, *OTHER_OPTIONS, *WITHOUT_EFFECT}
    if unknown := sorted(set(config) - known):
        raise ValueError(f"not options of the official operator: {', '.join(unknown)}")
    if missing := sorted({"d_model", "l_max"} - set(config)):
        raise ValueError(f"the official config lacks {' and '.join(missing)}")
    features = config.get("emb_dim", 3)
    if features < 3 or features % 2 == 0:
        raise ValueError(f"emb_dim must be odd and at least 3; got {features}")
    chosen = {
        ours: config.get(official, default)
        for official, (ours, default) in FILTER_OPTIONS.items()
    }
    position_rate = config.get("lr_pos_emb", 1e-5)
    decay_rate = config.get("modulation_lr", 0.0)
    return {
        "shape": {"width": config["d_model"], "max_length": config["l_max"]},
        "operator": {"order": config.get("order", 2)},
        "filter": {
            **chosen,
            "bands": (features - 1) // 2,
            "decays": "flat",
            "train_positions": position_rate != 0,
            "position_learning_rate": position_rate,
            "train_decay": decay_rate != 0,
            "decay_learning_rate": decay_rate,
        },
    }


def operator_keys(depth: int) -> dict[str, str]:
    """Our parameter and buffer names -> the official keys, for M = `depth`.

    The one trained frequency is listed M + 1 times there; the first stands for all.
    """
    inner = "filter_fn.implicit_filter"
    keys = {
        f"{part}.{kind}": f"{part}.{kind}"
        for part in ("in_proj", "short_filter", "out_proj")
        for kind in ("weight", "bias")
    }
    for layer in range(depth + 1):
        for kind in ("weight", "bias"):
            keys[f"filter.layers.{layer}.{kind}"] = f"{inner}.{2 * layer}.{kind}"
    return keys | {
        "filter.frequency": f"{inner}.1.freq",
        "filter.readout.weight": f"{inner}.{2 * depth + 2}.weight",
        "filter.positions": "filter_fn.pos_emb.z",
        "filter.times": "filter_fn.pos_emb.t",
        "filter.decays": "filter_fn.modulation.deltas",
        "skips": "filter_fn.bias",
    }


def official_shape(name: str, ours: Size) -> tuple[int, ...]:
    """The shape the official code gives the tensor that has shape `ours` here."""
    match name:
        case "filter.frequency":
            return (1, *ours)
        case "filter.positions":
            return (1, *ours)
        case "filter.times":
            return (1, *ours, 1)
        case "filter.decays":
            return (1, 1, prod(ours))
        case "skips":
            return (prod(ours),)
        case _:
            return tuple(ours)


def operator_state(
    state: Mapping[str, Tensor], shapes: Mapping[str, Size], depth: int
) -> dict[str, Tensor]:
    """Official tensors -> ours, for the names and `shapes` of our module's state.

    Raises ValueError naming every missing, extra or wrongly shaped key, and if the
    sines' frequencies, one tensor in the official module, are not all the same.
    """
    keys = {ours: key for ours, key in operator_keys(depth).items() if ours in shapes}
    tied = [f"filter_fn.implicit_filter.{2 * m + 1}.freq" for m in range(depth + 1)]
    faults = [f"missing {key}" for key in keys.values() if key not in state]
    faults += [
        f"unexpected {key}" for key in sorted({*state} - {*keys.values(), *tied})
    ]
    for ours, key in keys.items():
        wanted = official_shape(ours, shapes[ours])
        if key in state and tuple(state[key].shape) != wanted:
            faults.append(f"{key} has shape {tuple(state[key].shape)}, not {wanted}")
    first = state.get(tied[0])
    for key in tied[1:]:
        if first is not None and key in state and not state[key].equal(first):
            faults.append(f"{key} differs from {tied[0]}, but they are one tensor")
    if faults:
        raise ValueError("official state does not fit: " + "; ".join(faults))
    return {ours: state[key].reshape(shapes[ours]) for ours, key in keys.items()}
