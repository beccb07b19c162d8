"""Official weights: they compute here what they compute in the official code.

Recorded outputs and gradients where there are any (shared/reference); for every other
configuration a literal transcription of the published formulas, which shares no code
with the package.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor
from torch.nn.functional import gelu, layer_norm

from minihyena import HyenaOperator, LanguageModel, official, sample

State = dict[str, Tensor]
Config = dict[str, Any]


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Numbers that float32 holds exactly, as float64."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g).double()


def assert_equal(a: Tensor, b: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


# The operator.

GOLDEN = ["operator_order2", "operator_order3_short_input"]
Golden = tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]


@pytest.fixture(params=GOLDEN)
def golden(request: pytest.FixtureRequest, shared: Callable[[str], Path]) -> Golden:
    """Config, official state, and the other tensors, as recorded."""
    path = shared(f"reference/{request.param}.safetensors")
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = {k[6:]: v for k, v in tensors.items() if k.startswith("state.")}
    return config, state, tensors


def test_outputs_and_filters_equal_the_recorded_ones(golden: Golden) -> None:
    config, state, recorded = golden
    op = HyenaOperator.from_official(state, config)
    u = recorded["input"]
    torch.testing.assert_close(op(u), recorded["output"], atol=1e-5, rtol=0)
    dense = op.output(op.matrix(u) @ op.values(u))
    torch.testing.assert_close(dense, recorded["output"], atol=1e-5, rtol=0)
    filters = op.filter(u.shape[1]).flatten(0, 1).T
    torch.testing.assert_close(filters, recorded["filters"], atol=1e-5, rtol=0)


def test_every_gradient_equals_the_recorded_one(golden: Golden) -> None:
    config, state, recorded = golden
    op = HyenaOperator.from_official(state, config)
    u = recorded["input"].requires_grad_()
    op(u).backward(recorded["output_grad"])
    keys = official.operator_keys(op.config.filter.depth)
    ours = {f"grad.{keys[name]}": p.grad for name, p in op.named_parameters()}
    assert {*ours} == {key for key in recorded if key.startswith("grad.")}
    assert "grad.filter_fn.implicit_filter.1.freq" in ours  # one for its three uses
    for key, gradient in (ours | {"input_grad": u.grad}).items():
        expected = recorded[key]
        assert gradient is not None
        error = (gradient.reshape(expected.shape) - expected).abs().max()
        assert error <= 1e-4 * expected.abs().max(), key


def made_up(**options: Any) -> tuple[Config, State]:
    """A config and state in the standalone layout, of our own making."""
    config: Config = {"d_model": 4, "l_max": 12, "order": 2, "filter_order": 6}
    config |= {"emb_dim": 5, "w": 3, **options}
    width, l_max, e = config["d_model"], config["l_max"], config["emb_dim"]
    f, depth = config["filter_order"], config.get("num_inner_mlps", 2)
    streams, rows = (config["order"] + 1) * width, width * (config["order"] - 1)
    inner = "filter_fn.implicit_filter"
    shapes: dict[str, tuple[int, ...]] = {
        "in_proj.weight": (streams, width),
        "in_proj.bias": (streams,),
        "short_filter.weight": (streams, 1, 3),
        "short_filter.bias": (streams,),
        "out_proj.weight": (width, width),
        "out_proj.bias": (width,),
        "filter_fn.bias": (rows,),
        "filter_fn.pos_emb.z": (1, l_max, e),
        "filter_fn.pos_emb.t": (1, l_max, 1),
        "filter_fn.modulation.deltas": (1, 1, rows),
        f"{inner}.0.weight": (f, e),
        f"{inner}.0.bias": (f,),
        f"{inner}.{2 * depth + 2}.weight": (rows, f),
    }
    for m in range(1, depth + 1):
        shapes |= {f"{inner}.{2 * m}.weight": (f, f), f"{inner}.{2 * m}.bias": (f,)}
    state = {key: draw(*shape, seed=i) for i, (key, shape) in enumerate(shapes.items())}
    for m in range(depth + 1):
        state[f"{inner}.{2 * m + 1}.freq"] = draw(1, f, seed=99)
    return config, state


def literal(state: Mapping[str, Tensor], config: Config, u: Tensor) -> Tensor:
    """The official operator from its formulas, in float64: (B, L, D) -> (B, L, D)."""
    s = {key: tensor.double() for key, tensor in state.items()}
    width, order, length = config["d_model"], config["order"], u.shape[1]
    inner, depth = "filter_fn.implicit_filter", config.get("num_inner_mlps", 2)
    p = u @ s["in_proj.weight"].T + s["in_proj.bias"]
    q = torch.zeros_like(p) + s["short_filter.bias"]
    for t in range(length):
        for lag in range(min(t + 1, 3)):
            q[:, t] += s["short_filter.weight"][:, 0, 2 - lag] * p[:, t - lag]
    a = s["filter_fn.pos_emb.z"][0, :length]
    for m in range(depth + 1):
        a = a @ s[f"{inner}.{2 * m}.weight"].T + s[f"{inner}.{2 * m}.bias"]
        a = torch.sin(s[f"{inner}.{2 * m + 1}.freq"] * a)
    h = a @ s[f"{inner}.{2 * depth + 2}.weight"].T  # (L, (N - 1) D)
    if config.get("modulate", True):
        t = s["filter_fn.pos_emb.t"][0, :length]
        decay = torch.exp(-t * s["filter_fn.modulation.deltas"][0].abs())
        h = h * (decay + config.get("shift", 0.0))
    x = [q[..., i * width : (i + 1) * width] for i in range(order + 1)]
    v = x[order]
    for o in range(order - 1):
        z = x[order - 1 - o] * v
        rows = slice(o * width, (o + 1) * width)
        v = s["filter_fn.bias"][rows] * z
        for t in range(length):
            for lag in range(t + 1):
                v[:, t] += h[lag, rows] * z[:, t - lag]
    return (x[0] * v) @ s["out_proj.weight"].T + s["out_proj.bias"]


operators = st.fixed_dictionaries(
    {
        "order": st.integers(2, 4),
        "d_model": st.integers(1, 5),
        "filter_order": st.integers(1, 7),
        "emb_dim": st.sampled_from([3, 5, 9, 33]),
        "num_inner_mlps": st.integers(0, 3),
        "w": st.sampled_from([1, 3, 14]),
        "modulate": st.booleans(),
        "shift": st.sampled_from([0.0, 0.05, 0.3]),
        "lr_pos_emb": st.sampled_from([0.0, 1e-5]),
        "modulation_lr": st.sampled_from([0.0, 1e-4]),
    }
)


@torch.no_grad()
@given(operators, st.integers(1, 12))
def test_any_configuration_computes_what_the_formulas_say(
    options: Config, length: int
) -> None:
    config, state = made_up(**options)
    op = HyenaOperator.from_official(state, config).double()
    u = draw(2, length, config["d_model"], seed=7)
    assert_equal(op(u), literal(state, config, u))


def test_every_option_of_the_formulas_changes_the_result() -> None:
    config, state = made_up()
    u = draw(1, 12, 4, seed=7)
    plain = literal(state, config, u)
    for change in ({"modulate": False}, {"shift": 0.05}):
        assert (literal(state, config | change, u) - plain).abs().max() > 1e-3
        op = HyenaOperator.from_official(state, config | change).double()
        assert_equal(op(u), literal(state, config | change, u))


# The layouts of other code bases.


def in_safari_layout(state: State, order: int, width: int) -> State:
    """Filters within channels: row ch (N - 1) + o holds what was row o D + ch."""
    readout = max(k for k in state if k.endswith("weight") and "implicit" in k)
    moved = dict(state)
    for key in (readout, "filter_fn.bias", "filter_fn.modulation.deltas"):
        old = state[key].reshape(width * (order - 1), -1)
        new = old.clone()
        for o in range(order - 1):
            for channel in range(width):
                new[channel * (order - 1) + o] = old[o * width + channel]
        moved[key] = new.reshape(state[key].shape)
    return moved


def in_zoology_layout(state: State, width: int) -> State:
    """The gate before the convolution comes first, the one after it second."""
    moved = dict(state)
    for key in state:
        if key.startswith(("in_proj", "short_filter")):
            after, before, value = state[key].split(width)
            moved[key] = torch.cat([before, after, value])
    return moved


@torch.no_grad()
@pytest.mark.parametrize("order", [2, 3, 4])
def test_safari_rows_are_put_in_their_places(order: int) -> None:
    config, state = made_up(order=order)
    foreign, u = in_safari_layout(state, order, 4), draw(1, 12, 4, seed=7)
    expected = literal(state, config, u)
    op = HyenaOperator.from_official(foreign, config, "safari")
    assert_equal(op.double()(u), expected)
    wrong = HyenaOperator.from_official(foreign, config).double()(u)
    assert bool((wrong - expected).abs().max() > 1e-2) is (order > 2)


@torch.no_grad()
def test_zoology_gates_are_swapped_back() -> None:
    config, state = made_up()
    foreign, u = in_zoology_layout(state, 4), draw(1, 12, 4, seed=7)
    op = HyenaOperator.from_official(foreign, config, "zoology")
    assert_equal(op.double()(u), literal(state, config, u))
    wrong = HyenaOperator.from_official(foreign, config).double()(u)
    assert (wrong - literal(state, config, u)).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("layout", "order"), [("standalone", 3), ("safari", 3), ("zoology", 2)]
)
def test_there_and_back_is_exact(layout: str, order: int) -> None:
    config, state = made_up(order=order)
    op = HyenaOperator.from_official(state, config, layout)
    back = official.official_state(op.state_dict(), layout)
    assert {*back} == {*state}
    assert all(torch.equal(back[key].double(), state[key]) for key in state)


def test_a_layout_that_is_not_known_or_cannot_be_is_refused() -> None:
    config, state = made_up(order=3)
    with pytest.raises(ValueError, match="'safary'; known: standalone, safari, zool"):
        HyenaOperator.from_official(state, config, "safary")
    with pytest.raises(ValueError, match="zoology layout has order 2 only; got 3"):
        HyenaOperator.from_official(state, config, "zoology")
    config, state = made_up()
    for option in ({"normalized": True}, {"bias": False}):
        with pytest.raises(ValueError, match=r"not options .* this layout would"):
            HyenaOperator.from_official(state, config | option, "safari")


def test_official_tensors_land_where_the_layout_says() -> None:
    config, state = made_up(order=3)
    op = HyenaOperator.from_official(state, config)
    for ours, key in official.operator_keys(2).items():
        torch.testing.assert_close(
            op.state_dict()[ours].flatten(), state[key].flatten().float()
        )
    # Row o * D + channel belongs to filter o.
    assert op.skips[1, 2] == state["filter_fn.bias"][1 * 4 + 2].float()
    assert (
        op.filter.decays[1, 2] == state["filter_fn.modulation.deltas"][0, 0, 6].float()
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("lr_pos_emb", 0.0, {"train_positions": False}),
        ("lr_pos_emb", 1e-3, {"position_learning_rate": 1e-3}),
        ("modulation_lr", 1e-4, {"train_decay": True, "decay_learning_rate": 1e-4}),
        ("modulate", False, {"window": False}),
        ("shift", 0.05, {"shift": 0.05}),
        ("w", 14, {"sine_frequency": 14}),
    ],
)
def test_official_options_are_honoured(
    option: str, value: object, expected: Mapping[str, object]
) -> None:
    config, state = made_up()
    chosen = HyenaOperator.from_official(state, config | {option: value}).config.filter
    assert replace(chosen, **expected) == chosen
    plain = HyenaOperator.from_official(state, config).config.filter
    assert plain.train_positions
    assert plain.decays == "flat"


def test_official_options_without_effect_are_accepted() -> None:
    config, state = made_up()
    idle = {"lr": 1.0, "wd": 1.0, "dropout": 0.5, "normalized": True, "bias": False}
    a = HyenaOperator.from_official(state, config)
    b = HyenaOperator.from_official(state, config | idle)
    u = draw(1, 12, 4).float()
    assert torch.equal(a(u), b(u))


FREQUENCY = "filter_fn.implicit_filter.3.freq"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"in_proj.bias": None}, "missing in_proj.bias"),
        ({"extra.weight": torch.zeros(1)}, "unexpected extra.weight"),
        (
            {"out_proj.weight": torch.zeros(4, 5)},
            r"out_proj.weight has shape \(4, 5\), not \(4, 4\)",
        ),
        (
            {"filter_fn.pos_emb.z": torch.zeros(1, 13, 5)},
            r"pos_emb.z has shape \(1, 13, 5\), not \(1, 12, 5\)",
        ),
        ({FREQUENCY: torch.zeros(1, 6)}, f"{FREQUENCY} differs .* one tensor"),
        (
            {"in_proj.bias": None, "wrong": torch.zeros(1)},
            "missing in_proj.bias; unexpected wrong",
        ),
    ],
)
def test_an_official_state_that_does_not_fit_is_refused_by_name(
    change: dict[str, Tensor | None], words: str
) -> None:
    config, state = made_up()
    changed = {k: v for k, v in (state | change).items() if v is not None}
    with pytest.raises(ValueError, match=words):
        HyenaOperator.from_official(changed, config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"local_order": 7}, "not options of the official operator: local_order"),
        ({"filter_args": {"emb_dim": 5}}, "filter_args"),
        ({"d_model": None}, "lacks d_model"),
        ({"l_max": None, "d_model": None}, "lacks d_model and l_max"),
        ({"emb_dim": 4}, "odd and at least 3; got 4"),
        ({"emb_dim": 1}, "odd and at least 3; got 1"),
        ({"order": 3}, "has shape"),
    ],
)
def test_an_official_config_that_does_not_fit_is_refused(
    change: dict[str, object], words: str
) -> None:
    config, state = made_up()
    changed = {k: v for k, v in (config | change).items() if v is not None}
    with pytest.raises(ValueError, match=words):
        HyenaOperator.from_official(state, changed)


def test_the_shared_frequency_stays_one_parameter_after_save_and_load() -> None:
    config, state = made_up()
    op = HyenaOperator.from_official(state, config)
    again = HyenaOperator(4, 12, op.config)
    again.load_state_dict(op.state_dict())
    assert sum("freq" in name for name, _ in again.named_parameters()) == 1
    u = draw(1, 12, 4).float()
    assert torch.equal(again(u), op(u))


# The model.


def made_up_model(
    n_layer: int = 2, vocab_size: int = 12, **layer: Any
) -> tuple[Config, State]:
    """A HyenaDNA config and state of our own making."""
    config: Config = {"d_model": 4, "n_layer": n_layer, "d_inner": 10}
    config |= {"vocab_size": vocab_size, "pad_vocab_size_multiple": 8}
    fixed = {"l_max": 12, "filter_order": 6, "emb_dim": 5, "w": 3}
    config["layer"] = {"_name_": "hyena", **fixed, **layer}
    padded = math.ceil(vocab_size / 8) * 8
    state = {"backbone.embeddings.word_embeddings.weight": draw(padded, 4, seed=50)}
    for name in ("weight", "bias"):
        state[f"backbone.ln_f.{name}"] = draw(4, seed=51)
    for i in range(n_layer):
        at, (_, mixer) = f"backbone.layers.{i}", made_up(**layer)
        state |= {f"{at}.mixer.{key}": value / 2**i for key, value in mixer.items()}
        for norm in ("norm1", "norm2"):
            state |= {f"{at}.{norm}.{n}": draw(4, seed=i) for n in ("weight", "bias")}
        state[f"{at}.mlp.fc1.weight"] = draw(10, 4, seed=60 + i)
        state[f"{at}.mlp.fc1.bias"] = draw(10, seed=70 + i)
        state[f"{at}.mlp.fc2.weight"] = draw(4, 10, seed=80 + i)
        state[f"{at}.mlp.fc2.bias"] = draw(4, seed=90 + i)
    return config, state


def literal_model(state: State, config: Config, ids: Tensor, shift: float) -> Tensor:
    """The official model from its formulas, in float64: ids (B, L) -> logits."""
    s = {key.removeprefix("backbone."): tensor for key, tensor in state.items()}
    options = {"order": 2, "d_model": 4, "shift": shift, **config["layer"]}

    def norm(name: str, r: Tensor) -> Tensor:
        return layer_norm(r, (4,), s[f"{name}.weight"], s[f"{name}.bias"], 1e-5)

    embedding = s["embeddings.word_embeddings.weight"]
    r = embedding[ids]
    for i in range(config["n_layer"]):
        at = f"layers.{i}"
        mixer = {
            key.removeprefix(f"{at}.mixer."): tensor
            for key, tensor in s.items()
            if key.startswith(f"{at}.mixer.")
        }
        r = r + literal(mixer, options, norm(f"{at}.norm1", r))
        z = norm(f"{at}.norm2", r) @ s[f"{at}.mlp.fc1.weight"].T
        z = gelu(z + s[f"{at}.mlp.fc1.bias"], approximate="tanh")
        r = r + z @ s[f"{at}.mlp.fc2.weight"].T + s[f"{at}.mlp.fc2.bias"]
    return norm("ln_f", r) @ embedding.T


IDS = torch.tensor([[7, 8, 9, 10, 11, 7, 7, 0], [10, 10, 3, 8, 9, 7, 11, 6]])


@torch.no_grad()
def test_the_recorded_model_says_what_it_said(shared: Callable[[str], Path]) -> None:
    path = shared("reference/hyenadna_2_layers.safetensors")
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
        recorded = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = {k[6:]: v for k, v in recorded.items() if k.startswith("state.")}
    model = LanguageModel.from_hyenadna(state, config)
    hidden: list[Tensor] = []
    model.norm.register_forward_hook(lambda *call: hidden.append(call[-1]))
    logits = model(recorded["input_ids"])
    torch.testing.assert_close(logits, recorded["logits"], atol=1e-5, rtol=0)
    torch.testing.assert_close(hidden[0], recorded["hidden_states"], atol=1e-5, rtol=0)
    other = LanguageModel.from_hyenadna(state, config, shift=0.0)(recorded["input_ids"])
    assert (other - recorded["logits"]).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(
    "layer",
    [
        {"emb_dim": 5},
        {"order": 3, "emb_dim": 5},
        {"modulate": False, "w": 1, "emb_dim": 9},
        {"num_inner_mlps": 0, "emb_dim": 5},
    ],
)
def test_any_model_computes_what_the_formulas_say(layers: int, layer: Config) -> None:
    config, state = made_up_model(layers, **layer)
    model = LanguageModel.from_hyenadna(state, config).double()
    assert_equal(model(IDS), literal_model(state, config, IDS, 0.05))


@torch.no_grad()
def test_a_shift_in_the_config_goes_before_the_argument() -> None:
    config, state = made_up_model(shift=0.2)
    model = LanguageModel.from_hyenadna(state, config, shift=0.05).double()
    assert_equal(model(IDS), literal_model(state, config, IDS, 0.2))


@torch.no_grad()
def test_names_of_training_and_gradient_checkpointing_are_understood() -> None:
    config, state = made_up_model()
    renamed = {
        "model."
        + key.replace(".mixer.", ".mixer.layer.").replace(
            ".mlp.", ".mlp.layer."
        ): tensor
        for key, tensor in state.items()
    }
    head = state["backbone.embeddings.word_embeddings.weight"]
    model = LanguageModel.from_hyenadna(
        renamed | {"model.lm_head.weight": head}, config
    )
    assert torch.equal(model(IDS), LanguageModel.from_hyenadna(state, config)(IDS))


@torch.no_grad()
def test_a_model_of_order_3_in_safari_layout_is_converted() -> None:
    config, state = made_up_model(order=3)
    foreign = dict(state)
    for i in range(2):
        stem = f"backbone.layers.{i}.mixer."
        mixer = {k[len(stem) :]: v for k, v in state.items() if k.startswith(stem)}
        moved = in_safari_layout(mixer, 3, 4)
        foreign |= {stem + key: value for key, value in moved.items()}
    model = LanguageModel.from_hyenadna(foreign, config, 0.0, "safari").double()
    assert_equal(model(IDS), literal_model(state, config, IDS, 0.0))


def test_padding_of_the_vocabulary_is_never_read_nor_drawn() -> None:
    config, state = made_up_model()
    state["backbone.embeddings.word_embeddings.weight"][12:] = 100.0
    model = LanguageModel.from_hyenadna(state, config)
    assert model(IDS).shape == (2, 8, 16)
    assert bool((model(IDS).argmax(-1) >= 12).any())
    with pytest.raises(ValueError, match=r"to 12; the vocabulary has 12 \(0 .. 11\)"):
        model(torch.tensor([[12]]))
    for temperature in (0.0, 5.0):
        g = torch.Generator().manual_seed(0)
        prompt = IDS[:, :2].repeat(20, 1)
        for ids in sample(model, prompt, 10, temperature=temperature, generator=g):
            assert int(ids.max()) < 12


@pytest.mark.parametrize("depth", [1, 3])
def test_frequency_and_head_stay_one_tensor_each(depth: int) -> None:
    config, state = made_up_model(num_inner_mlps=depth)
    model = LanguageModel.from_hyenadna(state, config)
    assert model.head.weight is model.embedding.weight
    names = [name for name, _ in model.named_parameters() if "frequency" in name]
    assert len(names) == 2


FIRST = "backbone.layers.0"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({f"{FIRST}.norm1.bias": None}, rf"missing {FIRST}\.norm1\.bias"),
        ({f"{FIRST}.mixer.in_proj.bias": None}, r"missing .*mixer\.in_proj\.bias"),
        ({"backbone.layers.2.norm1.bias": torch.zeros(4)}, r"unexpected .*layers\.2"),
        ({"lm_head.weight": torch.zeros(16, 4)}, "lm_head.weight differs from .* one"),
        (
            {f"{FIRST}.mlp.fc1.weight": torch.zeros(10, 5)},
            r"fc1\.weight has shape \(10, 5\), not \(10, 4\)",
        ),
        ({f"model.{FIRST}.norm1.bias": torch.zeros(4)}, "names some tensors twice"),
    ],
)
def test_a_model_state_that_does_not_fit_is_refused_by_name(
    change: dict[str, Tensor | None], words: str
) -> None:
    config, state = made_up_model()
    changed = {k: v for k, v in (state | change).items() if v is not None}
    with pytest.raises(ValueError, match=words):
        LanguageModel.from_hyenadna(changed, config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_layers": 2}, "not options of the official model: n_layers"),
        ({"use_head": True}, "use_head = True .only False: .* classifier"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon"),
        ({"attn_layer_idx": [1]}, "attention layers are not mapped"),
        ({"n_layer": None}, "lacks n_layer"),
        ({"layer": {"_name_": "mha"}}, "must be the options of a hyena layer"),
        ({"layer": {"l_max": 12, "d_model": 5}}, "d_model is 4, but 5 in `layer`"),
        ({"layer": {"l_max": 12, "emb_dims": 5}}, "operator: emb_dims"),
        ({"vocab_size": 20}, r"word_embeddings.weight has shape \(16, 4\), not \(24,"),
    ],
)
def test_a_model_config_that_does_not_fit_is_refused(
    change: Config, words: str
) -> None:
    config, state = made_up_model()
    changed = {k: v for k, v in (config | change).items() if v is not None}
    with pytest.raises(ValueError, match=words):
        LanguageModel.from_hyenadna(state, changed)


def test_idle_options_of_the_model_change_nothing() -> None:
    config, state = made_up_model()
    idle = {"fused_mlp": True, "resid_dropout": 0.5, "residual_in_fp32": False}
    a = LanguageModel.from_hyenadna(state, config)
    b = LanguageModel.from_hyenadna(state, config | idle)
    assert torch.equal(a(IDS), b(IDS))
