"""Official operators' options, names, shapes and layouts, mapped to ours; imports
nothing of ours.

Source: `standalone_hyena.py` of HazyResearch/safari. Tensors keep their values; only
their shape and, in other layouts, the order of their rows change. N order, D width,
M hidden-to-hidden layers of the sine network. The whole model: official_model.py.
"""

import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["official_state", "operator_keys", "operator_options", "operator_state"]

LAYOUTS = ("standalone", "safari", "zoology")

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
# Accepted by the official code, without effect on the values.
WITHOUT_EFFECT = {"lr", "wd", "dropout", "filter_dropout", "fused_fft_conv", "_name_"}
WITHOUT_EFFECT_HERE = {"normalized", "bias"}  # in the standalone layout
# Options with only one possible value, and why.
TAPS = "the short filter of the standalone has 3 taps, whatever its config says"
FIXED = {"short_filter_order": (3, TAPS), "local_order": (3, TAPS)}
FIXED_ELSEWHERE = FIXED | {
    "normalized": (False, "this layout would divide its filters"),
    "bias": (True, "this layout would leave out its skips"),
}


def check_options(
    what: str,
    config: Mapping[str, Any],
    known: Iterable[str],
    fixed: Mapping[str, tuple[Any, str]],
    needed: Iterable[str],
) -> None:
    """ValueError naming all that is unknown, or lacking, or not the only value."""
    faults = sorted(set(config) - {*known, *fixed})
    faults += [
        f"{name} = {config[name]!r} (only {value!r}: {reason})"
        for name, (value, reason) in fixed.items()
        if config.get(name) not in (None, value)
    ]
    if faults:
        raise ValueError(f"not options of the official {what}: {', '.join(faults)}")
    if missing := sorted(set(needed) - set(config)):
        raise ValueError(f"the official config lacks {' and '.join(missing)}")


def check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")


def operator_options(
    config: Mapping[str, Any], layout: str = "standalone"
) -> tuple[dict[str, Any], ...]:
    """Constructor arguments of the official operator -> ours, in three groups.

    Returns width and max_length; order; the filter's options.
    Raises ValueError for an argument the official operator does not have or that ours
    cannot follow (FIXED), a missing d_model or l_max, an even or too small emb_dim, or
    the layout.
    """
    check_layout(layout)
    known = {*FILTER_OPTIONS, *OTHER_OPTIONS, *WITHOUT_EFFECT, *WITHOUT_EFFECT_HERE}
    fixed = FIXED if layout == "standalone" else FIXED_ELSEWHERE
    check_options("operator", config, known, fixed, {"d_model", "l_max"})
    features = config.get("emb_dim", 3)
    if not isinstance(features, int) or features < 3 or features % 2 == 0:
        raise ValueError(f"emb_dim must be odd and at least 3; got {features}")
    chosen = {
        ours: config.get(official, default)
        for official, (ours, default) in FILTER_OPTIONS.items()
    }
    position_rate = config.get("lr_pos_emb", 1e-5)
    decay_rate = config.get("modulation_lr", 0.0)
    return (
        {"width": config["d_model"], "max_length": config["l_max"]},
        {"order": config.get("order", 2)},
        {
            **chosen,
            "bands": (features - 1) // 2,
            "decays": "flat",
            "train_positions": position_rate != 0,
            "position_learning_rate": position_rate,
            "train_decay": decay_rate != 0,
            "decay_learning_rate": decay_rate,
        },
    )


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


FILTER_ROWS = ("filter.readout.weight", "filter.decays", "skips")


def official_shape(name: str, ours: tuple[int, ...]) -> tuple[int, ...]:
    """The shape the official code gives the tensor that has shape `ours` here."""
    match name:
        case "filter.frequency" | "filter.positions":
            return (1, *ours)
        case "filter.times":
            return (1, *ours, 1)
        case "filter.decays":
            return (1, 1, prod(ours))
        case "skips":
            return (prod(ours),)
        case _:
            return ours


class Place(NamedTuple):
    """Where a tensor of ours lies in the official state."""

    key: str
    shape: tuple[int, ...]
    rows: Tensor  # the official row of each of our rows; a single one: the whole


def places(
    shapes: Mapping[str, tuple[int, ...]], keys: Mapping[str, str], layout: str
) -> dict[str, Place]:
    """The place of every name in `shapes`, the shapes of our state.

    "safari" counts filters within channels (row ch * (N - 1) + o, not o * D + ch);
    "zoology" has the gate before the convolution first, the one after it second.
    """
    check_layout(layout)
    skips = [shape for name, shape in shapes.items() if name.endswith("skips")]
    orders, width = skips[0] if skips else (0, 0)
    if layout == "zoology" and orders != 1:
        raise ValueError(f"the zoology layout has order 2 only; got {orders + 1}")
    within_channels = torch.arange(orders * width).view(width, orders).T.flatten()
    first, second, value = torch.arange(3 * width).view(3, width)
    gates_swapped = torch.cat([second, first, value])

    def place(name: str, shape: tuple[int, ...]) -> Place:
        part, rows = name.rpartition("mixer.")[2], torch.arange(1)
        if layout == "safari" and part in FILTER_ROWS:
            rows = within_channels
        if layout == "zoology" and part.startswith(("in_proj", "short_filter")):
            rows = gates_swapped
        return Place(keys[name], official_shape(part, shape), rows)

    return {name: place(name, tuple(shape)) for name, shape in shapes.items()}


def filter_depth(names: Iterable[str]) -> int:
    """M of the filters among our names; -1 if there are none (order 1)."""
    layers = [re.search(r"filter\.layers\.(\d+)\.weight$", name) for name in names]
    return max((int(layer[1]) for layer in layers if layer), default=-1)


def other_names(keys: Iterable[str], depth: int) -> dict[str, str]:
    """Further official keys of one and the same tensor -> the first of its keys."""
    found: dict[str, str] = {}
    for key in keys:
        if key.endswith("implicit_filter.1.freq"):
            stem = key.removesuffix("1.freq")
            found |= {f"{stem}{2 * m + 1}.freq": key for m in range(1, depth + 1)}
        if key.endswith("word_embeddings.weight"):
            found["lm_head.weight"] = key
    return found


def operator_state(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    layout: str = "standalone",
) -> dict[str, Tensor]:
    """Official tensors -> ours, for the names and `shapes` of our module's state.

    Raises ValueError naming every missing, extra or wrongly shaped key, if keys of one
    tensor hold different values, and for a layout that is not known or cannot be. The
    filter that the official code keeps at order 1, without effect, may be there.
    """
    return our_state(state, shapes, operator_keys(filter_depth(shapes)), layout)


def our_state(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    keys: Mapping[str, str],
    layout: str,
) -> dict[str, Tensor]:
    """Official tensors -> ours, our names -> official `keys`; see `operator_state`."""
    depth = filter_depth(shapes)
    found = places(shapes, keys, layout)
    wanted = {place.key: place.shape for place in found.values()}
    again = other_names(wanted, depth)
    faults = [f"missing {key}" for key in wanted if key not in state]
    faults += [
        f"unexpected {key}"
        for key in sorted({*state} - {*wanted, *again})
        if depth >= 0 or "filter_fn." not in key
    ]
    for key, shape in wanted.items():
        if key in state and tuple(state[key].shape) != shape:
            faults.append(f"{key} has shape {tuple(state[key].shape)}, not {shape}")
    for key, first in again.items():
        if {key, first} <= {*state} and not state[key].equal(state[first]):
            faults.append(f"{key} differs from {first}, but they are one tensor")
    if faults:
        raise ValueError("official state does not fit: " + "; ".join(faults))
    return {
        name: state[key].reshape(len(rows), -1)[rows].reshape(shapes[name])
        for name, (key, _, rows) in found.items()
    }


def official_state(
    state: Mapping[str, Tensor], layout: str = "standalone"
) -> dict[str, Tensor]:
    """The inverse of `operator_state`: the state of our operator -> official tensors.

    Raises ValueError for a layout that is not known or cannot be.
    """
    depth = filter_depth(state)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    found = places(shapes, operator_keys(depth), layout)
    made = {
        key: state[name].reshape(len(rows), -1)[rows.argsort()].reshape(shape)
        for name, (key, shape, rows) in found.items()
    }
    return made | {key: made[first] for key, first in other_names(made, depth).items()}
