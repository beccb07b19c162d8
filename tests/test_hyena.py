"""Hyena: the recurrence, its definition and the two conventions."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from minihyena import (
    HyenaConfig,
    HyenaOperator,
    ImplicitConfig,
    filter_families,
    hyena_matrix,
    hyena_recurrence,
    mixers,
    recurrence,
    toeplitz,
)
from minihyena.model import drawing_from

WIDTH, LONGEST = 8, 24
CONVENTIONS = ["reference", "paper"]
LIVELY = ImplicitConfig(bands=4, width=16, depth=1, sine_frequency=10.0)
HYENAS = [HyenaConfig(n, c, filter=LIVELY) for c in CONVENTIONS for n in range(1, 5)]

every_hyena = pytest.mark.parametrize(
    "config", HYENAS, ids=[f"{c.convention}-{c.order}" for c in HYENAS]
)


def operator(config: HyenaConfig, width: int = WIDTH, seed: int = 0) -> HyenaOperator:
    with drawing_from(torch.Generator().manual_seed(seed)):
        return HyenaOperator(width, LONGEST, config).double()


def draw(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def assert_equal(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


# The recurrence, the matrix and the two conventions.


def by_definition(op: HyenaOperator, u: Tensor) -> Tensor:
    """Poli et al. 2023, Def. 3.1, term by term; "reference" by its identity with it."""
    _, length, width = u.shape
    order, taps = op.config.order, op.config.short_taps
    p = u @ op.in_proj.weight.T + op.in_proj.bias
    q = torch.zeros_like(p)
    for t in range(length):
        q[:, t] = op.short_filter.bias
        for j in range(taps):  # tap j meets p at t - (taps - 1 - j)
            if (s := t - (taps - 1 - j)) >= 0:
                q[:, t] += op.short_filter.weight[:, 0, j] * p[:, s]
    chunks = [q[..., i * width : (i + 1) * width] for i in range(order + 1)]
    z = chunks[order]
    filters = [] if op.filter is None else list(op.filter(length))
    if op.config.convention == "reference":
        impulse = torch.zeros(width, length, dtype=u.dtype)
        impulse[:, 0] = 1
        skips = [] if op.skips is None else list(op.skips)
        filters = [impulse] + [
            h + beta[:, None] * impulse for h, beta in zip(filters, skips, strict=True)
        ]
    for n in range(1, order + 1):
        convolved = torch.zeros_like(z)
        for t in range(length):
            for s in range(t + 1):
                convolved[:, t] += filters[n - 1][:, t - s] * z[:, s]
        z = chunks[order - n] * convolved
    return z @ op.out_proj.weight.T + op.out_proj.bias


@torch.no_grad()
@every_hyena
@pytest.mark.parametrize("length", [1, 11])
def test_the_operator_is_its_definition(config: HyenaConfig, length: int) -> None:
    op, u = operator(config), draw(2, length, WIDTH)
    assert_equal(op(u), by_definition(op, u))


class Given(nn.Module):
    """filter(length) of values that are given: (orders, D, L)."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Buffer(values)

    def forward(self, length: int) -> Tensor:
        return self.values[..., :length]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_reference_is_the_paper_with_the_first_filter_an_impulse(
    order: int,
) -> None:
    reference = operator(HyenaConfig(order))
    paper = operator(HyenaConfig(order, "paper"))
    impulse = torch.zeros(1, WIDTH, LONGEST, dtype=torch.float64)
    impulse[..., 0] = 1
    filters = [impulse]
    if reference.filter is not None:
        filters.append(reference.filter(LONGEST) + reference.skips[..., None] * impulse)
    paper.filter = Given(torch.cat(filters).detach())
    for name in ("in_proj", "short_filter", "out_proj"):
        state = getattr(reference, name).state_dict()
        getattr(paper, name).load_state_dict(state)
    u = draw(2, LONGEST, WIDTH)
    assert_equal(paper(u), reference(u))
    assert_equal(paper.matrix(u), reference.matrix(u))


def test_the_literal_definition_is_a_product_of_diagonal_and_toeplitz_matrices() -> (
    None
):
    x1, x2, x3, v = draw(4, 2, 3, 10)
    h1, h2, h3 = draw(3, 3, 10, seed=1)
    stages = [(x1, h1, None), (x2, h2, None), (x3, h3, None)]
    product = torch.eye(10, dtype=torch.float64)
    for gate, h, _ in stages:
        product = torch.diag_embed(gate) @ toeplitz(h, 10) @ product
    assert_equal(hyena_matrix(stages), product)
    expected = (product @ v[..., None]).squeeze(-1)
    assert_equal(hyena_recurrence(v, stages), expected)


@given(order=st.integers(1, 4), length=st.integers(1, 20), seed=st.integers(0, 9))
def test_columns_of_the_matrix_are_the_answers_to_unit_vectors(
    order: int, length: int, seed: int
) -> None:
    op = operator(HyenaConfig(order), width=3, seed=seed)
    with torch.no_grad():
        _, stages = op.streams(draw(2, length, 3, seed=seed))
        units = torch.eye(length, dtype=torch.float64)
        columns = [hyena_recurrence(e.expand(2, 3, -1), stages) for e in units]
        assert_equal(torch.stack(columns, dim=-1), hyena_matrix(stages))


@every_hyena
def test_it_is_linear_in_the_values_while_the_gates_are_frozen(
    config: HyenaConfig,
) -> None:
    op = operator(config)
    v, stages = op.streams(draw(2, LONGEST, WIDTH))
    w = draw(*v.shape, seed=1)
    mixed = hyena_recurrence(v - 3 * w, stages)
    assert_equal(mixed, hyena_recurrence(v, stages) - 3 * hyena_recurrence(w, stages))


@every_hyena
def test_it_is_not_linear_in_its_input(config: HyenaConfig) -> None:
    op = operator(config)
    a, b = draw(2, 2, LONGEST, WIDTH)
    zero = torch.zeros_like(a)
    bend = op(a + b) - op(a) - op(b) + op(zero)
    assert bend.abs().max() > 0.1 * (op(a) - op(zero)).abs().max()


def test_the_matrix_depends_on_the_input() -> None:
    op = operator(HyenaConfig())
    a, b = (op.matrix(draw(1, LONGEST, WIDTH, seed=seed)) for seed in (0, 1))
    assert (a - b).abs().max() > 1e-3


def test_reference_order_1_is_plain_gating_without_a_filter() -> None:
    op, u = operator(HyenaConfig(1)), draw(2, LONGEST, WIDTH)
    assert op.filter is None
    assert op.skips is None
    v, [(gate, h, skip)] = op.streams(u)
    assert h is None
    assert skip is None
    assert_equal(op(u), op.out_proj((gate * v).transpose(1, 2)))


def test_gates_are_applied_from_the_last_chunk_to_the_first() -> None:
    op, u = operator(HyenaConfig(3)), draw(2, LONGEST, WIDTH)
    with torch.no_grad():
        op.short_filter.weight[:] = torch.tensor([0.0, 0.0, 1.0])
        op.short_filter.bias.zero_()
    chunks = op.in_proj(u).transpose(1, 2).chunk(4, dim=1)
    v, stages = op.streams(u)
    assert_equal(v, chunks[3])
    for (gate, _, _), chunk in zip(stages, chunks[2::-1], strict=True):
        assert_equal(gate, chunk)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_number_of_parameters_is_that_of_the_formula(order: int) -> None:
    op = operator(HyenaConfig(order))
    filters = 0 if op.filter is None else sum(p.numel() for p in op.filter.parameters())
    d, n = WIDTH, order
    expected = (n + 1) * d * (d + 1) + 4 * (n + 1) * d + d * (d + 1) + d * (n - 1)
    assert sum(p.numel() for p in op.parameters()) == expected + filters


def test_the_papers_operator_has_2_432_064_parameters() -> None:
    with torch.device("meta"):
        op = HyenaOperator(768, 2048, HyenaConfig(filter=ImplicitConfig(bands=16)))
    assert sum(p.numel() for p in op.parameters()) == 2_432_064


def test_any_filter_module_may_take_its_place() -> None:
    op, u = operator(HyenaConfig()), draw(2, LONGEST, WIDTH)
    op.filter = Given(draw(1, WIDTH, LONGEST))
    assert_equal(op.output(op.matrix(u) @ op.values(u)), op(u))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HyenaConfig(order=0), "order must be at least 1; got 0"),
        (lambda: HyenaConfig(short_taps=0), "short_taps must be at least 1; got 0"),
        (lambda: HyenaConfig(filter="s4"), "'s4'; known, nearest first: s4d"),
        (lambda: HyenaConfig(filter={"kind": "fir", "tap": 3}), "'tap'; known.* taps"),
        (lambda: HyenaConfig(filter={"taps": 3}), "unknown long filter 'none"),
        (
            lambda: HyenaConfig(convention="papers"),
            "unknown convention 'papers'; known, nearest .* paper",
        ),
    ],
)
def test_an_impossible_mixer_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("convention", ["reference", "paper"])
@pytest.mark.parametrize("orders", [1, 4])
def test_a_filter_of_ones_own_with_too_few_or_too_many_orders_is_refused(
    convention: str, orders: int
) -> None:
    op = operator(HyenaConfig(3, convention))
    op.filter = ImplicitConfig().build(WIDTH, orders, LONGEST).double()
    with pytest.raises(ValueError, match=f"{orders} long filters where"):
        op(draw(1, 5, WIDTH))


@pytest.mark.parametrize("family", filter_families)
@pytest.mark.parametrize("order", [2, 3])
def test_a_filter_is_one_word(family: str, order: int) -> None:
    config = HyenaConfig(order, filter=family)
    assert config.filter == filter_families[family]()
    op = operator(config)
    assert op.filter(7).shape == (order - 1, WIDTH, 7)
    assert HyenaConfig(order, filter={"kind": family}) == config


@pytest.mark.parametrize("order", [2, 3, 4])
def test_every_long_convolution_gets_the_full_range_of_decays(order: int) -> None:
    spread = operator(HyenaConfig(order)).filter.decays
    flat = operator(HyenaConfig(order, filter=ImplicitConfig(decays="flat")))
    for row in spread:
        assert_equal(row, spread[0])
        assert float(row.max() - row.min()) == pytest.approx(15.35 - 3.07, abs=0.01)
    rows = flat.filter.decays
    assert_equal(rows.flatten(), rows.flatten().sort(descending=True).values)


@torch.no_grad()
@every_hyena
def test_flops_are_those_torch_counts_and_the_transforms(config: HyenaConfig) -> None:
    op, u, n = operator(config), draw(3, LONGEST, WIDTH), 2 * LONGEST
    with FlopCounterMode(display=False) as counter:
        op(u)
    gates = config.order * WIDTH * LONGEST
    # Three transforms, 2.5 n log2 n each; a complex product is 6 operations.
    a_filter = 3 * 2.5 * n * math.log2(n) + 6 * LONGEST
    short = 2 * config.short_taps * (config.order + 1) * WIDTH * LONGEST
    expected = gates + short + config.long_filters * WIDTH * a_filter
    counted = counter.get_total_flops()
    assert op.flops(LONGEST, batch=3) == pytest.approx(counted + 3 * expected)
    assert op.flops(LONGEST) == op.flops(LONGEST, batch=1)


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(TypeError, match="ordr"):
        HyenaConfig(ordr=3)  # type: ignore[call-arg]


def test_a_filter_of_another_kind_is_refused() -> None:
    for wrong in (HyenaConfig(), ImplicitConfig, 3, None):
        with pytest.raises(TypeError, match="long filter is one of implicit, fir"):
            HyenaConfig(filter=wrong)


@torch.no_grad()
def test_autocast_leaves_a_rough_filter_its_digits() -> None:
    rough = ImplicitConfig(bands=16, sine_frequency=14.0)
    op = operator(HyenaConfig(filter=rough)).float()
    exact = op.filter(LONGEST)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(op.filter(LONGEST), exact)


def test_the_memory_a_matrix_is_said_to_need_grows_with_what_a_gradient_keeps() -> None:
    said = []
    u = torch.zeros(1, 2**19, 4)
    for order, keep in ((2, False), (4, False), (4, True)):
        op = HyenaOperator(4, 2**19, HyenaConfig(order))
        with torch.set_grad_enabled(keep), pytest.raises(MemoryError) as error:
            op.matrix(u)
        said.append(
            float(str(error.value).split("need ")[1].split()[0].replace(",", ""))
        )
    assert said == [said[0], said[0], pytest.approx(said[0] * 14 / 6)]


@pytest.mark.parametrize("block", [1, 100, 10**6])
@pytest.mark.parametrize("name", ["hyena", "multihead_hyena"])
def test_in_place_and_block_by_block_the_short_convolution_is_the_same(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixer = mixers[name]().build(8, 20)
    u = torch.randn(2, 20, 8)
    before, y = u.clone(), mixer(u)
    monkeypatch.setattr(recurrence, "RECYCLED_BYTES", 0)
    monkeypatch.setattr(recurrence, "BLOCK_BYTES", block)
    with torch.no_grad():
        torch.testing.assert_close(mixer(u), y)
        p = mixer.in_proj(u).mT.contiguous()
        assert recurrence.short_conv(mixer.short_filter, p) is p
    assert torch.equal(u, before)
    trained = mixer(u)  # with gradients nothing is overwritten
    torch.testing.assert_close(trained, y)
    trained.sum().backward()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_without_gates_the_operator_adds_up(order: int) -> None:
    """It is affine: long convolutions of the sum of what comes in."""
    with drawing_from(torch.Generator().manual_seed(0)):
        plain = HyenaConfig(order, gated=False).build(6, 20).double()
    u, w = torch.randn(2, 1, 20, 6, generator=torch.Generator(), dtype=torch.float64)
    base = plain(torch.zeros_like(u))
    torch.testing.assert_close(plain(u + w) - base, plain(u) + plain(w) - 2 * base)
    assert plain.in_proj.out_features == 6


def test_gates_that_are_all_one_are_no_gates() -> None:
    with drawing_from(torch.Generator().manual_seed(0)):
        gated, plain = (
            HyenaConfig(gated=gated).build(6, 20).double() for gated in (True, False)
        )
    state = dict(gated.state_dict())
    with torch.no_grad():
        for name in ("in_proj.weight", "in_proj.bias", "short_filter.weight"):
            state[name][:12] = 0
        state["short_filter.bias"][:12] = 1
    gated.load_state_dict(state)
    plain.load_state_dict(
        {
            name: tensor[12:]
            if name.startswith(("in_proj", "short_filter"))
            else tensor
            for name, tensor in state.items()
        }
    )
    u = torch.randn(2, 20, 6, generator=torch.Generator(), dtype=torch.float64)
    torch.testing.assert_close(gated(u), plain(u))
