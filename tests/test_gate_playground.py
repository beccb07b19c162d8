"""The gate playground says of an operator what the operator does."""

import json
from types import SimpleNamespace

import pytest
import torch
from ipywidgets.widgets import widget as widget_module
from torch import nn

from minihyena import AttentionConfig, HyenaConfig, HyenaOperator, causal_conv
from minihyena.explore import GatePlayground
from minihyena.explore.gate_figure import MINUS, PLUS
from minihyena.explore.gate_tables import WORDS, presets, reader
from minihyena.model import drawing_from

BOTH = [(True, True), (True, False), (False, True), (False, False)]


@pytest.fixture(autouse=True)
def no_widget_is_left():
    yield
    widget_module.Widget.close_all()


def built(config, width=4, length=8):
    with drawing_from(torch.Generator().manual_seed(3)):
        return config.build(width, length)


class Student(nn.Module):
    """A learner's own gate: no base class, nothing but (B, L, D) -> (B, L, D)."""

    def __init__(self, width=3):
        super().__init__()
        with drawing_from(torch.Generator().manual_seed(4)):
            self.gate = nn.Linear(width, width)

    def forward(self, u):
        return self.gate(u) * u.cumsum(1)


def matrix(playground):
    return torch.tensor(playground.facts()["matrix"])


def by_hand(words, h, pre=True, post=True):
    """q_t h_{t-s} k_s, entry by entry, from the two numbers of each word."""
    numbers = [WORDS[word] for word in words]
    return torch.tensor(
        [
            [
                (numbers[t][1] if post else 1)
                * (h[t - s] if s <= t else 0)
                * (numbers[s][0] if pre else 1)
                for s in range(len(words))
            ]
            for t in range(len(words))
        ]
    )


@pytest.mark.parametrize(("pre", "post"), BOTH)
@pytest.mark.parametrize("name", presets(8))
def test_the_matrix_is_query_times_filter_times_key(name, pre, post):
    playground = GatePlayground()
    for control, value in (("filter", name), ("pre", pre), ("post", post)):
        playground.set(control, value)
    facts = playground.facts()
    expected = by_hand(facts["tokens"], presets(8)[name].tolist(), pre, post)
    torch.testing.assert_close(matrix(playground), expected, atol=1e-6, rtol=1e-5)
    d_q, s, d_k = (torch.tensor(facts["factors"][n]) for n in ("D_q", "S", "D_k"))
    torch.testing.assert_close(d_q @ s @ d_k, expected, atol=1e-6, rtol=1e-5)


def test_the_operator_behind_it_computes_with_that_matrix():
    operator = reader(8)
    playground = GatePlayground()
    playground.set("filter", "its own")
    words = playground.facts()["tokens"]
    u = torch.tensor([[WORDS[word] for word in words]])
    torch.testing.assert_close(matrix(playground), operator.matrix(u)[0, 0])
    y = operator.output(operator.matrix(u) @ operator.values(u))
    torch.testing.assert_close(operator(u), y)


@pytest.mark.parametrize("watch", [0, 3, 7])
@pytest.mark.parametrize(("pre", "post"), BOTH)
def test_a_token_moves_its_row_and_its_column_and_nothing_else(watch, pre, post):
    playground = GatePlayground()
    for control, value in (("watch", watch), ("pre", pre), ("post", post)):
        playground.set(control, value)
    row = {(watch, s) for s in range(watch + 1)} if post else set()
    column = {(t, watch) for t in range(watch, 8)} if pre else set()
    facts = playground.facts()
    assert set(facts["moved"]) == row | column
    assert facts["moved_factors"] == {"S": 0, "D_q": int(post), "D_k": int(pre)}
    assert facts["entries"] == 36
    assert facts["one_weight_a_diagonal"] == (not pre and not post)


def test_what_moves_is_what_a_hand_that_changes_the_word_sees():
    playground = GatePlayground(length=12)
    playground.set("watch", 5)
    told, seen = set(playground.facts()["moved"]), set()
    before = matrix(playground)
    for word in WORDS:
        playground.set("token 5", word)
        seen |= {tuple(p) for p in (matrix(playground) != before).nonzero().tolist()}
    assert seen == told
    assert len(told) == 12


def test_a_comma_neither_says_nor_hears_anything():
    playground = GatePlayground()
    playground.set("token 4", ",")
    assert not matrix(playground)[4].any()
    assert not matrix(playground)[:, 4].any()


def test_the_sentence_names_row_column_and_what_stays():
    playground = GatePlayground()
    assert playground.describe() == (
        "With the filter “echo” and both gates listening, another word at position 3 "
        "(now “not”) moves 8 of 36 entries, in row 3 and column 3 and nowhere else; "
        "S does not move."
    )
    playground.set("pre", False)
    assert "moves 4 of 36 entries, in row 3 and nowhere else" in playground.describe()
    playground.set("post", False)
    assert playground.describe().endswith(
        "moves none of the 36 entries; each diagonal holds one number."
    )
    playground.set("pre", True)
    assert "5 of 36 entries, in column 3 and nowhere else" in playground.describe()
    playground.set("filter", "one step late")
    assert "moves 1 of 7 entries, in column 3 and" in playground.describe()
    playground.set("filter", "echo")
    playground.set("watch", 7)
    assert "moves 1 of 36 entries, in row 7 and column 7" in playground.describe()


def test_a_filter_that_listened_would_be_told():
    class Fickle(HyenaOperator):
        def streams(self, u):
            v, [pre, (q, h, skip)] = super().streams(u)
            return v, [pre, (q, h + u.sum(), skip)]

    operator = Fickle(4, 8, HyenaConfig(short_taps=1))
    playground = GatePlayground(operator)
    assert playground.facts()["moved_factors"]["S"] == 36
    assert "S does not move" not in playground.describe()


# ---- any operator fits


def test_the_learners_own_function_is_asked_and_not_the_librarys():
    asked = []

    def mine(v, x, h):
        asked.append(tuple(v.shape))
        return x * causal_conv(v, h)

    def sums(v, x, h):
        return x + causal_conv(v, h)

    right, wrong = GatePlayground(gated_conv=mine), GatePlayground(gated_conv=sums)
    assert asked
    assert set(asked) == {(8, 1, 8)}
    torch.testing.assert_close(matrix(right), matrix(GatePlayground()))
    assert right.facts()["by"] == "gated_conv"
    assert right.facts()["causal"]
    assert not wrong.facts()["causal"]


def test_a_learners_function_of_a_wrong_shape_is_told_both_shapes():
    with pytest.raises(ValueError, match=r"\(8, 1, 8\) into \(8, 8\)"):
        GatePlayground(gated_conv=lambda v, x, h: v[:, 0])


@pytest.mark.parametrize("width", [1, 4])
def test_a_hyena_operator_shows_its_own_matrix_and_factors(width):
    operator = built(HyenaConfig(), width)
    playground = GatePlayground(operator)
    words = [[*WORDS].index(w) for w in playground.facts()["tokens"]]
    channel = width - 1
    if width > 1:
        playground.set("channel", channel)
    with torch.no_grad():
        expected = operator.matrix(playground.tables.embedding[words][None])[0, channel]
    torch.testing.assert_close(matrix(playground), expected, atol=1e-6, rtol=1e-5)
    assert playground.facts()["filter"] == "its own"
    assert set(playground.facts()["factors"]) == {"D_q", "S", "D_k"}
    assert playground.facts()["moved_factors"]["S"] == 0
    rows = {t for t, _ in playground.facts()["moved"]}
    assert rows == set(range(3, 8)), "the short convolution tells three places"


@pytest.mark.parametrize("order", [1, 3])
def test_a_hyena_of_another_order_shows_its_matrix_without_factors(order):
    operator = built(HyenaConfig(order=order))
    playground = GatePlayground(operator)
    assert not playground.facts()["factors"]
    assert "filter" not in playground.controls
    words = [[*WORDS].index(w) for w in playground.facts()["tokens"]]
    expected = operator.matrix(playground.tables.embedding[words][None])[0, 0]
    torch.testing.assert_close(matrix(playground), expected.detach())


def test_attention_moves_every_later_row():
    playground = GatePlayground(built(AttentionConfig(heads=1)))
    assert playground.facts()["kind"] == "H(u)"
    expected = {(t, s) for t in range(3, 8) for s in range(t + 1)}
    assert set(playground.facts()["moved"]) == expected
    assert playground.describe() == (
        "In the matrix H(u) of this operator, channel 0, another word at position 3 "
        "(now “not”) moves 30 of 36 entries, in rows 3 to 7."
    )
    playground.set("watch", 0)
    assert len(playground.facts()["moved"]) == 35


def test_a_module_without_a_matrix_shows_its_jacobian_and_says_so():
    student = Student()
    playground = GatePlayground(student, width=3)
    playground.set("channel", 2)
    assert playground.describe().startswith("In the Jacobian ∂y/∂u of this operator")
    assert "Jacobian" in playground.figure.layout.annotations[0].text
    words = [[*WORDS].index(w) for w in playground.facts()["tokens"]]
    u = playground.tables.embedding[words][None]
    full = torch.autograd.functional.jacobian(student, u)
    torch.testing.assert_close(matrix(playground), full[0, :, 2, 0, :, 2])


def test_a_plain_function_fits_too():
    playground = GatePlayground(lambda u: u * u.cumsum(1))
    assert playground.facts()["kind"] == "Jacobian"
    assert playground.facts()["causal"]


def test_an_operator_of_double_precision_is_given_double_precision():
    playground = GatePlayground(built(HyenaConfig()).double())
    assert playground.facts()["entries"] == 36


def test_gates_for_an_operator_that_has_none_are_refused():
    with pytest.raises(ValueError, match="leave op out"):
        GatePlayground(Student(), width=3, gated_conv=lambda v, x, h: v)


def test_a_matrix_of_a_wrong_shape_is_told_both_shapes():
    class Short(Student):
        def matrix(self, u):
            return torch.zeros(1, 1, 4, 4)

    with pytest.raises(ValueError, match=r"\(4, 4\).*must be \(8, 8\)"):
        GatePlayground(Short(), width=3)


# ---- what every explorer keeps


@pytest.fixture(params=["words", "twelve", "hyena", "attention", "student", "yours"])
def explorer(request):
    return {
        "words": GatePlayground,
        "twelve": lambda: GatePlayground(length=12),
        "hyena": lambda: GatePlayground(built(HyenaConfig())),
        "attention": lambda: GatePlayground(built(AttentionConfig(heads=2))),
        "student": lambda: GatePlayground(Student(), width=3),
        "yours": lambda: GatePlayground(
            gated_conv=lambda *a: a[1] * causal_conv(a[0], a[2])
        ),
    }[request.param]()


def test_a_sweep_visits_every_value_of_every_control_and_comes_back(explorer):
    controls, before = explorer.controls, explorer.state()
    seen = {name: set() for name in controls}
    count = 0
    for state, facts in explorer.sweep(90):
        count += 1
        assert facts == explorer.facts()
        assert explorer.describe().endswith(".")
        for name in controls:
            seen[name].add(state[name])
    assert all(set(values) <= seen[name] for name, values in controls.items())
    assert count == max(90, sum(map(len, controls.values())))
    assert explorer.state() == before


def test_describe_uses_the_facts_alone(explorer):
    facts = explorer.facts()
    only_facts = SimpleNamespace(facts=lambda: facts)
    assert GatePlayground.describe(only_facts) == explorer.describe()
    data, _ = explorer._repr_mimebundle_()
    assert data["text/plain"] == explorer.describe()


def test_reset_brings_the_first_state_back(explorer):
    first = explorer.state(), explorer.describe(), explorer.facts()
    explorer.surprise()
    assert explorer.state() != first[0]
    explorer.reset()
    assert (explorer.state(), explorer.describe(), explorer.facts()) == first


def test_every_weight_that_is_drawn_is_in_the_table(explorer):
    explorer.show_numbers.value = True
    html, facts = explorer.numbers.value, explorer.facts()
    for t, weights in enumerate(facts["matrix"]):
        line = html.split("<tr>")[t + 2]
        assert all(f"<td>{weight:.4g}</td>" in line for weight in weights)
        for factor in facts["factors"].values():
            shown = factor[t][0] if factor is facts["factors"]["S"] else factor[t][t]
            assert f"<td>{shown:.4g}</td>" in line


def test_the_picture_shows_the_numbers_their_signs_and_what_moves(explorer):
    facts, traces = explorer.facts(), {t.name: t for t in explorer.figure.data}
    tables = {"H": facts["matrix"], **facts["factors"]}
    for name, table in tables.items():
        drawn, true = torch.tensor(traces[name].z), torch.tensor(table)
        torch.testing.assert_close(torch.tensor(traces[name].customdata), true)
        scale = drawn.abs().max() / true.abs().max()
        torch.testing.assert_close(drawn, true * scale, atol=1e-6, rtol=1e-4)
        assert drawn.abs().max() <= 1 + 1e-6
        signs = torch.zeros_like(true)
        marks = traces[f"signs {name}"]
        for s, t, mark in zip(marks.x, marks.y, marks.marker.symbol, strict=True):
            signs[t, s] = {PLUS: 1, MINUS: -1}[mark]
        assert torch.equal(signs, torch.sign(true))
    x, y = traces["moves H"].x, traces["moves H"].y
    corners = set(zip(y[::6], x[::6], strict=True))
    assert corners == {(t - 0.5, s - 0.5) for t, s in facts["moved"]}


def test_letters_can_be_read_and_nothing_is_tex(explorer):
    drawing = explorer.figure.to_json()
    sizes = []

    def visit(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key in ("font", "textfont", "tickfont") and "size" in value:
                sizes.append(value["size"])
            if isinstance(value, dict | list):
                visit(value)

    layout = {k: v for k, v in json.loads(drawing)["layout"].items() if k != "template"}
    visit(layout)
    visit(json.loads(drawing)["data"])
    assert min(sizes) >= 13
    assert "$" not in json.dumps(layout)


def test_signs_give_way_where_there_is_no_room():
    signs = GatePlayground(length=16).figure.select_traces({"mode": "markers"})
    assert [trace.x for trace in signs] == [None] * 4
