"""The language model: starts blind, reads no future, refuses what is wrong."""

import math
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from minihyena import (
    AttentionConfig,
    HyenaConfig,
    ImplicitConfig,
    LanguageModel,
    LMConfig,
    filter_families,
    mixers,
)
from minihyena.model import no_larger
from minihyena.vector_model import VectorModel

TRAINED = ImplicitConfig(train_positions=True, train_decay=True, weight_decay=0.3)
CASES: dict[str, Any] = {
    **{name: name for name in mixers},
    **{f"hyena-{name}": HyenaConfig(filter=name) for name in filter_families},
    "hyena-1": HyenaConfig(1),
    "hyena-3-trained": HyenaConfig(3, filter=TRAINED),
    "hyena-paper": HyenaConfig(convention="paper"),
}
every_mixer = pytest.mark.parametrize("case", CASES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(case: str = "hyena", seed: int = 0, **options: Any) -> LanguageModel:
    sizes = {"vocab_size": 11, "max_length": 16, "width": 8, "depth": 2} | options
    return LanguageModel(LMConfig(mixer=CASES[case], **sizes), seeded(seed))


def draw_ids(*shape: int, vocab_size: int = 11, seed: int = 0) -> Tensor:
    return torch.randint(vocab_size, shape, generator=seeded(seed))


@torch.no_grad()
@every_mixer
@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_starts_at_that_of_a_blind_guess(case: str, tied: bool) -> None:
    v = 98
    model = build(case, vocab_size=v, width=128, max_length=64, tied=tied)
    ids = draw_ids(8, 65, vocab_size=v)
    loss = cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    assert float(loss) == pytest.approx(math.log(v), rel=0.02)


@torch.no_grad()
@every_mixer
def test_future_tokens_cannot_change_the_past(case: str) -> None:
    model, ids = build(case), draw_ids(2, 16)
    changed = ids.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 11
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9], atol=1e-5, rtol=0)
    assert (before[:, 9:] - after[:, 9:]).abs().amax((0, 2)).min() > 1e-3


@torch.no_grad()
@every_mixer
def test_the_logits_of_a_prefix_are_the_prefix_of_the_logits(case: str) -> None:
    model, ids = build(case), draw_ids(2, 16)
    logits = model(ids)
    for k in range(1, 17):
        torch.testing.assert_close(model(ids[:, :k]), logits[:, :k], atol=1e-5, rtol=0)


def test_logits_have_one_number_for_every_token_of_the_vocabulary() -> None:
    assert build()(draw_ids(3, 5)).shape == (3, 5, 11)
    assert build()(draw_ids(3, 5).int()).shape == (3, 5, 11)
    assert build()(draw_ids(0, 5)).shape == (0, 5, 11)


def test_head_and_embedding_are_one_weight_when_tied() -> None:
    tied, untied = build(), build(tied=False)
    assert tied.head.weight is tied.embedding.weight
    assert untied.head.weight is not untied.embedding.weight
    assert untied.parameter_count() - tied.parameter_count() == 11 * 8


def test_the_count_of_parameters_leaves_out_what_is_not_trained() -> None:
    model = build()
    total = sum(p.numel() for p in model.parameters())
    assert model.parameter_count() == total
    model.embedding.weight.requires_grad_(False)
    assert model.parameter_count() == total - 11 * 8


@every_mixer
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_in_exactly_one_group(case: str, tied: bool) -> None:
    model = build(case, tied=tied)
    groups = model.parameter_groups(0.1, 0.2)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def rates_and_decays(model: nn.Module, groups: list[dict[str, Any]]) -> dict[str, Any]:
    names = {p: name for name, p in model.named_parameters()}
    return {
        names[p]: (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


@every_mixer
@pytest.mark.parametrize("tied", [True, False])
def test_matrices_decay_and_nothing_else_does(case: str, tied: bool) -> None:
    model = build(case, tied=tied)
    found = rates_and_decays(model, model.parameter_groups(0.1, 0.2))
    decaying = {
        name for name, (_, decay) in found.items() if decay and ".filter." not in name
    }
    ends = ("in_proj.weight", "out_proj.weight", "mlp.0.weight", "mlp.2.weight")
    ends += ("weight_ih_l0", "weight_hh_l0")  # of a GRU
    ends += tuple(f"projections.{i}.weight" for i in range(3))  # of RWKV
    expected = {name for name in found if name.endswith(ends)}
    assert decaying == expected | (set() if tied else {"head.weight"})
    assert len(expected) >= 8
    assert all(found[name] == (0.1, 0.2) for name in decaying)


def test_filters_keep_their_own_rates_and_decays() -> None:
    model = build("hyena-3-trained")
    found = rates_and_decays(model, model.parameter_groups(0.1, 0.2))
    of_filter = {
        name.split("filter.")[1]: value
        for name, value in found.items()
        if ".mixer.filter." in name
    }
    assert of_filter["positions"] == (1e-5, 0.0)
    assert of_filter["decays"] == (0.1, 0.0)
    assert of_filter["readout.weight"] == of_filter["frequency"] == (0.1, 0.3)
    assert found["blocks.0.mixer.skips"] == (0.1, 0.0)
    assert found["embedding.weight"] == (0.1, 0.0)


def test_filters_are_listed_in_depth_order_and_attention_has_none() -> None:
    model = build("hyena", depth=3)
    assert model.filters() == [block.mixer.filter for block in model.blocks]
    assert [f(16).shape for f in model.filters()] == [(1, 8, 16)] * 3
    assert build("attention").filters() == []
    assert build("hyena-1").filters() == []


def test_the_last_matrix_of_each_branch_starts_smaller() -> None:
    model = build(width=128, depth=8)
    for block in model.blocks:
        for last in (block.mixer.out_proj, block.mlp[-1]):
            assert float(last.weight.detach().std()) == pytest.approx(
                0.02 / 4, rel=0.05
            )
        projection = block.mixer.in_proj.weight.detach()
        assert float(projection.std()) == pytest.approx(0.02, rel=0.05)
        assert not block.mixer.in_proj.bias.any()


def test_filters_start_as_their_own_init_says() -> None:
    def spread(init: str) -> float:
        config = HyenaConfig(filter=ImplicitConfig(init=init))
        model = LanguageModel(LMConfig(11, 16, 8, mixer=config), seeded())
        return float(model.filters()[0].readout.weight.detach().std())

    assert spread("small") == pytest.approx(0.02, rel=0.2)
    assert spread("torch") == pytest.approx(1 / math.sqrt(3 * 64), rel=0.2)


@every_mixer
def test_the_same_generator_gives_the_same_model(case: str) -> None:
    one, same, other = (build(case, seed) for seed in (1, 1, 2))
    ids = draw_ids(2, 16)
    assert torch.equal(one(ids), same(ids))
    assert not torch.equal(one(ids), other(ids))


def test_a_generator_that_goes_on_gives_another_model() -> None:
    g = seeded()
    first, second = (LanguageModel(LMConfig(11, 16, 8), g) for _ in range(2))
    assert not torch.equal(first.embedding.weight, second.embedding.weight)


def test_building_with_a_generator_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    build()
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_acts_in_training_alone() -> None:
    model, ids = build(dropout=0.5), draw_ids(2, 16)
    with torch.random.fork_rng():
        assert not torch.equal(model(ids), model(ids))
        model.eval()
        assert torch.equal(model(ids), model(ids))


@every_mixer
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_gets_a_finite_gradient(case: str, tied: bool) -> None:
    model, ids = build(case, tied=tied), draw_ids(2, 17)
    cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
        assert p.grad.any(), name


def test_flops_of_the_mlp_and_the_head_are_those_torch_counts() -> None:
    model = build("hyena-1")  # no transforms, which torch does not count
    with FlopCounterMode(display=False) as counter:
        model(draw_ids(1, 16))
    gates = 2 * 8 * 16  # two blocks, one gate each, of width 8
    short = 2 * 2 * 3 * 2 * 8 * 16  # two streams each, three taps: shifted copies
    assert model.flops(16) == counter.get_total_flops() + gates + short


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        (draw_ids(2, 17), ValueError, r"length 17 .* max_length = 16; shorten"),
        (draw_ids(2, 0), ValueError, "length 0"),
        (draw_ids(5), ValueError, r"\(B, L\); got \(5,\)"),
        (draw_ids(1, 2, 3), ValueError, r"got \(1, 2, 3\)"),
        (torch.zeros(1, 4), TypeError, "integers; got torch.float32"),
        (torch.zeros(1, 4, dtype=torch.bool), TypeError, "got torch.bool"),
        (torch.tensor([[0, 11]]), ValueError, r"0 to 11; .* has 11 \(0 .. 10\)"),
        (torch.tensor([[-1, 3]]), ValueError, "ids run from -1 to 3"),
    ],
)
def test_wrong_ids_are_refused(ids: Tensor, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build()(ids)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: LMConfig(5, mixer="hyenna"),
            ValueError,
            "unknown mixer 'hyenna'; known, nearest first: hyena,",
        ),
        (
            lambda: LMConfig(5, mixer="attn"),
            ValueError,
            "known, nearest first: attention",
        ),
        (
            lambda: LMConfig(5, mixer=ImplicitConfig()),
            TypeError,
            "mixer is one of hyena, attention, .* got ImplicitConfig",
        ),
        (lambda: LMConfig(5, mixer=AttentionConfig), TypeError, "got <class"),
        (lambda: LMConfig(5, mixer={"heads": 2}), ValueError, "none .no `kind`."),
        (
            lambda: LMConfig(5, mixer={"kind": "attention", "head": 2}),
            ValueError,
            "'head'; known, nearest first: heads",
        ),
        (lambda: LMConfig(5, widht=8), TypeError, "widht"),  # type: ignore[call-arg]
        (lambda: LMConfig(0), ValueError, "vocab_size must be at least 1; got 0"),
        (lambda: LMConfig(5, max_length=0), ValueError, "max_length .* got 0"),
        (lambda: LMConfig(5, width=-8), ValueError, "width .* got -8"),
        (lambda: LMConfig(5, depth=0), ValueError, "depth .* got 0"),
        (
            lambda: LMConfig(5, mlp_ratio=0.0),
            ValueError,
            "mlp_ratio x width must be at least 1 .* got 0.0 x 128 and",
        ),
        (lambda: LMConfig(5, mlp_ratio=math.inf), ValueError, "got inf x 128"),
        (lambda: LMConfig(5, width=8, mlp_ratio=0.01), ValueError, "got 0.01 x 8"),
        (
            lambda: LMConfig(5, dropout=1.5),
            ValueError,
            "dropout at least 0 and below 1; got 2.0 x 128 and 1.5",
        ),
    ],
)
def test_an_impossible_configuration_is_refused(
    make: Callable[[], LMConfig], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make()


def test_matrices_that_start_at_one_over_root_inputs_keep_the_size_of_what_comes() -> (
    None
):
    made = LanguageModel(
        LMConfig(50, 64, width=128, std=None), torch.Generator().manual_seed(0)
    )
    block = made.blocks[0]
    spread = {
        weight: float(weight.detach().std())
        for weight in (
            block.mixer.in_proj.weight,
            block.mlp[0].weight,
            block.mlp[-1].weight,
            made.embedding.weight,
        )
    }
    expected = [128**-0.5, 128**-0.5, (256 * 4) ** -0.5, 0.02]  # the last of a branch
    assert [*spread.values()] == pytest.approx(expected, rel=0.05)  # / sqrt(2 depth)


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
def test_a_start_without_size_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match="std must be above 0 and finite"):
        LMConfig(5, std=std)


# Vectors instead of tokens


def vectors(seed: int = 0, **options: Any) -> VectorModel:
    config = LMConfig(1, 20, width=16, **options)
    return VectorModel(config, 4, torch.Generator().manual_seed(seed))


def test_a_model_of_vectors_says_a_number_for_each() -> None:
    model, x = vectors(), torch.randn(3, 20, 4, generator=torch.Generator())
    said = model(x)
    assert said.shape == (3, 20)
    again = model(x.index_fill(1, torch.tensor([12]), 7.0))
    assert torch.equal(said[:, :12].round(decimals=5), again[:, :12].round(decimals=5))
    assert not torch.allclose(said[:, 12:], again[:, 12:])
    assert model.decoders == ()


@pytest.mark.parametrize("shape", [(2, 21, 4), (2, 5, 3), (5, 4), (1, 0, 4)])
def test_vectors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected vectors|length"):
        vectors()(torch.zeros(shape))


def test_every_number_of_a_model_of_vectors_is_trained_once() -> None:
    model = vectors()
    grouped = [p for g in model.parameter_groups(0.1, 0.1) for p in g["params"]]
    assert len(grouped) == len(set(grouped)) == len(list(model.parameters()))


def test_what_another_thread_builds_is_not_counted_against_a_file() -> None:
    """A notebook may build a model while a checkpoint is being read."""
    built = list[nn.Module]()
    with no_larger({"weight": torch.zeros(2)}):
        thread = Thread(target=lambda: built.append(nn.Linear(30, 30)))
        thread.start()
        thread.join()
        with pytest.raises(ValueError, match="its 8 bytes are too few"):
            nn.Linear(30, 30)
    assert len(built) == 1
