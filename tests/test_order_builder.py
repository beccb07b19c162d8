"""The order builder shows what a real operator is made of, and what a learner's is."""

from math import comb

import pytest
import torch
from ipywidgets.widgets import widget as widget_module

from minihyena import HyenaConfig, HyenaOperator, hyena_matrix, hyena_recurrence
from minihyena.explore import OrderBuilder
from minihyena.explore.order_builder import LENGTH, ORDERS, ROUGH
from minihyena.explore.order_views import (
    factors_of,
    flows_through,
    reached_from,
    routes_through,
    unit_matrix,
)

CONVENTIONS = ("reference", "paper")


@pytest.fixture(autouse=True)
def _close_widgets():
    yield
    widget_module.Widget.close_all()


@pytest.fixture(scope="module")
def builder():
    return OrderBuilder()


def conv(z, h):
    """A learner's convolution: (D, L) with (D, L), by shifted copies."""
    y = h[:, :1] * z
    for lag in range(1, z.shape[-1]):
        y[:, lag:] = y[:, lag:] + h[:, lag, None] * z[:, :-lag]
    return y


def by_the_paper(v, gates, filters):
    for x, h in zip(gates, filters, strict=True):
        v = x * conv(v, h)
    return v


def by_the_code(v, gates, filters):
    *early, last = gates
    for x, h in zip(early, filters, strict=True):
        v = conv(x * v, h)
    return last * v


by_the_code.convention = "reference"


def stages_of(order, convention, width=3):
    operator = HyenaOperator(width, LENGTH, HyenaConfig(order, convention))
    with torch.no_grad():
        return operator.streams(torch.randn(2, LENGTH, width))


# ---- the chain of matrices


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("order", ORDERS)
def test_the_factors_multiply_to_the_matrix_of_the_operator(order, convention):
    _, stages = stages_of(order, convention)
    named = factors_of(stages)
    product = torch.eye(LENGTH)
    for factor in named.values():
        product = product @ factor
    torch.testing.assert_close(product, hyena_matrix(stages))
    kinds = "".join(name[0] for name in named)
    assert kinds == "DS" * (order - 1) + ("DS" if convention == "paper" else "D")


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("output", [0, 2, LENGTH - 1])
def test_the_flows_through_each_factor_add_up_to_the_output(convention, output):
    v, stages = stages_of(3, convention)
    chain = [factor[1, 2] for factor in factors_of(stages).values()]
    y = hyena_recurrence(v, stages)[1, 2, output]
    flows = flows_through(output, chain, v[1, 2])
    assert len(flows) == len(chain)
    for flow in flows:
        torch.testing.assert_close(flow.sum(), y, rtol=1e-4, atol=1e-6)
    left = flows[-1].sum(0)  # what each value contributes, whatever its route
    torch.testing.assert_close(
        left, hyena_matrix(stages)[1, 2, output] * v[1, 2], rtol=1e-4, atol=1e-6
    )


def test_routes_are_counted_as_by_walking_them():
    lower = torch.ones(4, 4).tril()
    gate = torch.diag(torch.tensor([1.0, 0.0, 2.0, 3.0]))  # shut at position 1
    chain = [lower, gate, lower]
    walked = [
        sum(1 for m in range(4) if s <= m <= 3 and gate[m, m] != 0) for s in range(4)
    ]
    assert routes_through(3, chain) == walked == [3, 2, 2, 1]
    assert reached_from(3, chain)[1:3] == [[True] * 4, [True, False, True, True]]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("order", ORDERS)
def test_every_long_filter_multiplies_the_routes(builder, order, convention):
    builder.set("order", order)
    builder.set("convention", convention)
    builder.set("output", LENGTH - 1)
    filters = order - (convention == "reference")
    for s, count in enumerate(builder.facts()["routes"]):
        lag = LENGTH - 1 - s
        assert count == (comb(lag + filters - 1, lag) if filters else int(lag == 0))


# ---- the counters


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("order", ORDERS)
def test_counters_are_those_of_the_operator_of_that_order(builder, order, convention):
    builder.set("order", order)
    builder.set("convention", convention)
    facts = builder.facts()
    operator = HyenaOperator(64, 1024, HyenaConfig(order, convention, filter=ROUGH))
    assert facts["gates"] == order
    assert facts["long_filters"] == order - (convention == "reference")
    assert facts["parameters"] == sum(p.numel() for p in operator.parameters())
    assert facts["operations"] == operator.flops(1024)


def test_a_gate_stays_the_same_when_the_convention_changes(builder):
    builder.reset()
    kept = []
    for convention in CONVENTIONS:
        builder.set("convention", convention)
        kept.append(builder.facts()["factors"]["D(x²)"])
    assert kept[0] == kept[1]


# ---- what is said and drawn


def test_the_sentence_says_what_the_operator_is_made_of(builder):
    builder.reset()
    assert builder.describe().startswith(
        "Order 2 of the reference convention is D S D: 2 gates, 1 long filter, "
    )
    assert builder.describe().endswith(
        "inputs 0 to 5 reach output 5, input 0 by 1 route."
    )
    builder.set("convention", "paper")
    builder.set("output", 2)
    assert "is D S D S: 2 gates, 2 long filters, " in builder.describe()
    assert builder.describe().endswith(
        "inputs 0 to 2 reach output 2, input 0 by 3 routes."
    )
    builder.set("order", 1)
    builder.set("convention", "reference")
    assert "is D: 1 gate, 0 long filters, 12,992 parameters" in builder.describe()
    assert builder.describe().endswith("only input 2 reaches output 2, by 1 route.")


def test_the_picture_holds_the_factors_scaled_each_by_its_own(builder):
    builder.reset()
    facts = builder.facts()
    chain = builder.figure.data[0]
    for b, part in enumerate([facts["matrix"], *facts["factors"].values()]):
        start = round(builder.figure.data[2].x[b] - (LENGTH - 1) / 2)
        drawn = torch.tensor([line[start : start + LENGTH] for line in chain.z])
        wanted = torch.tensor(part)
        torch.testing.assert_close(
            drawn.float(), wanted / wanted.abs().max(), atol=1e-3, rtol=0
        )
        signs = [line[start : start + LENGTH] for line in chain.text]
        words = {1: "+", -1: "−", 0: ""}
        assert signs == [[words[int(z)] for z in line] for line in wanted.sign()]


def test_a_small_weight_keeps_its_sign_in_the_picture(builder):
    builder.reset()
    builder.set("convention", "paper")
    builder.set("order", 5)
    matrix, drawn = builder.facts()["matrix"], builder.figure.data[0].text
    signs = {1: "+", -1: "−"}
    for t in range(LENGTH):
        for s in range(t + 1):
            assert drawn[t][s] == signs[int(matrix[t][s] > 0) * 2 - 1]


def test_thick_lines_are_the_large_flows_and_their_dash_is_the_sign(builder):
    builder.reset()
    drawn = 0
    for order in ORDERS:
        builder.set("order", order)
        facts = builder.facts()
        _, more, less = builder.figure.data[5:8]
        assert more.line.dash != less.line.dash
        for trace, sign in ((more, 1), (less, -1)):
            flows = [
                sign * flow[int(t)][int(s)]
                for flow, t, s in lines_of(trace, facts["flows"])
            ]
            assert all(flow > 0 for flow in flows)
            drawn += len(flows)
    assert drawn > 20


def lines_of(trace, flows):
    """The flow that each line of a trace stands for, with its two positions."""
    columns = [LENGTH - 0.5 + 1 + b * (LENGTH + 2) for b in range(len(flows) + 1)]
    points = list(zip(trace.x, trace.y, strict=True))[1:]
    for (x, t), (_, s) in zip(points[::3], points[1::3], strict=True):
        yield flows[columns.index(x)], t, s


def test_the_table_holds_every_number_that_is_drawn(builder):
    builder.reset()
    header, rows = builder._numbers()
    facts = builder.facts()
    assert header[2:6] == ["H", "D(x²)", "S(h²)", "D(x¹)"]
    assert len(rows) == LENGTH * (LENGTH + 1) // 2
    for row in rows:
        t, s = row[:2]
        assert row[2] == facts["matrix"][t][s]
        assert row[-1] == facts["flows"][-1][t][s]


# ---- a learner's operator


@pytest.mark.parametrize("op", [by_the_paper, by_the_code])
def test_a_learners_operator_has_the_matrix_of_its_convention(op):
    builder = OrderBuilder(op)
    assert builder.controls["convention"] == (getattr(op, "convention", "paper"),)
    library = OrderBuilder()
    library.set("convention", builder.state()["convention"])
    for order in ORDERS:
        builder.set("order", order)
        library.set("order", order)
        assert builder.facts()["product"]
        assert builder.facts()["causal"]
        torch.testing.assert_close(
            torch.tensor(builder.facts()["matrix"]),
            torch.tensor(library.facts()["matrix"]),
        )
    assert builder.describe().startswith("Your operator, ")


def test_a_learners_mistake_shows_in_the_matrix():
    def filters_reversed(v, gates, filters):
        return by_the_paper(v, gates, filters[::-1])

    builder = OrderBuilder(filters_reversed)
    assert "is not the product D S D S; " in builder.describe()
    assert builder.describe().endswith("; no output reads a later input.")
    signs = builder.figure.data[3]
    assert signs.text[0] == "≠", "the picture may not claim what is false"
    builder.set("order", 1)
    assert builder.facts()["product"], "one filter cannot be in the wrong place"
    assert "is the product D S; " in builder.describe()
    assert signs.text[0] == "="

    leaky = OrderBuilder(
        lambda v, gates, filters: by_the_paper(v, gates, filters).flip(-1)
    )
    assert leaky.describe().endswith("; some output reads a later input.")


def test_an_operator_that_changes_the_shape_is_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"\(64, 6\) into \(6,\)"):
        OrderBuilder(lambda v, gates, filters: v.sum(0))
    with pytest.raises(ValueError, match="into None"):
        OrderBuilder(lambda v, gates, filters: None)


def test_an_unknown_convention_is_refused():
    def op(v, gates, filters):
        return v

    op.convention = "papr"
    with pytest.raises(ValueError, match="unknown convention 'papr'"):
        OrderBuilder(op)


def test_unit_vectors_find_the_matrix_of_an_operator():
    v, stages = stages_of(2, "paper")
    gates, filters = [x[0] for x, _, _ in stages], [h for _, h, _ in stages]
    found = unit_matrix(by_the_paper, gates, filters)
    torch.testing.assert_close(found, hyena_matrix(stages)[0])
    torch.testing.assert_close(
        (found @ v[0][..., None])[..., 0], hyena_recurrence(v, stages)[0]
    )
