"""The matrix lens shows what mixers do, and says what can be seen."""

import json
from types import SimpleNamespace

import pytest
import torch
from ipywidgets.widgets import widget as widget_module
from torch import nn

from minihyena import HyenaConfig, LanguageModel, LMConfig, causal_conv, mixers
from minihyena.corpora import ByteTokenizer, CharacterTokenizer
from minihyena.explore import MatrixLens
from minihyena.explore.matrix_figure import FRAMES
from minihyena.explore.matrix_views import look
from minihyena.model import drawing_from

TEXT = "the hyena laughs"  # 16 tokens: signs are not printed
SHORT = "return self."
TOKENIZER = CharacterTokenizer.of("abcdefghijklmnopqrstuvwxyz .\n")


@pytest.fixture(autouse=True)
def no_widget_is_left():
    yield
    widget_module.Widget.close_all()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def model(mixer="hyena", **options):
    config = LMConfig(29, max_length=64, width=8, depth=2, mixer=mixer, **options)
    made = LanguageModel(config, seeded(3))
    with torch.no_grad():  # gates as large as trained ones
        for block in made.blocks:
            block.mixer.in_proj.weight *= 20
    return made


def alone(name="hyena", width=8, length=64):
    """One mixer without a model, from a word or from its options."""
    options = mixers[name]() if isinstance(name, str) else name
    with drawing_from(seeded(5)):
        return options.build(width, length)


class Student(nn.Module):
    """A learner's own mixer: no base class, nothing but (B, L, D) -> (B, L, D)."""

    def __init__(self, width=3):
        super().__init__()
        with drawing_from(seeded(4)):
            self.gate = nn.Linear(width, width)

    def forward(self, u):
        return self.gate(u) * u.cumsum(1)


def letters(width):
    """Any ids to numbers, by a table drawn once."""
    numbers = torch.randn(256, width, generator=seeded(6))
    return lambda ids: numbers[ids]


def pair(text=TEXT, **options):
    models = {"hyena": model(), "attention": model("attention")}
    return MatrixLens(models, text=text, tokenizer=TOKENIZER, **options)


def shown(lens, side):
    return torch.from_numpy(lens._matrices[side])


def matrices_of(model, text, layer):
    """(C, L, L) of a layer, by walking through the model by hand."""
    with torch.no_grad():
        r = model.embedding(TOKENIZER.encode(text)[None])
        for block in model.blocks[:layer]:
            r = block(r)
        return model.blocks[layer].mixer.matrix(model.blocks[layer].norm1(r))[0]


def from_browser(widget, **state):
    """What the page sends when a hand moves a control."""
    data = {"method": "update", "state": state}
    widget._handle_msg({"content": {"data": data}, "buffers": []})


# ---- what is shown


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["hyena", "attention"])
@pytest.mark.parametrize("layer", [1, 2])
def test_each_side_shows_any_model_layer_and_channel(side, name, layer):
    lens = pair()
    lens.set(side, name)
    lens.set(f"{side}_layer", layer)
    lens.set(f"{side}_channel", 3)
    expected = matrices_of(lens.models[name], TEXT, layer - 1)[3]
    torch.testing.assert_close(shown(lens, side), expected)
    unit = "head" if name == "attention" else "channel"
    assert lens.facts()[side]["where"] == f"layer {layer}, {unit} 3"
    assert lens.pickers[f"{side}_channel"].description == f"{side.capitalize()} {unit}"


def test_the_two_sides_do_not_touch_each_other():
    lens = pair()
    before = shown(lens, "left")
    lens.set("right", "hyena")
    lens.set("right_layer", 2)
    lens.set("right_channel", 5)
    assert torch.equal(shown(lens, "left"), before)
    lens.set("left_layer", 2)
    lens.set("left_channel", 5)
    assert torch.equal(shown(lens, "left"), shown(lens, "right"))


@pytest.mark.parametrize("convention", ["reference", "paper"])
def test_an_order_is_the_product_of_the_first_stages(convention):
    operator = alone(HyenaConfig(3, convention), 4, 10)
    u = torch.randn(1, 10, 4, generator=seeded())
    lens = MatrixLens(operator, u=u)
    assert lens.controls["left_order"] == (0, 1, 2)
    v, stages = operator.streams(u)
    product = torch.eye(10)
    for order, (gate, h, skip) in enumerate(stages, 1):
        if h is not None:  # unit vectors, one after the other, through the stage
            eye = torch.eye(10).expand(4, -1, -1).transpose(0, 1)
            product = causal_conv(eye, h, skip).permute(1, 2, 0) @ product
        product = gate[0, :, :, None] * product
        lens.set("left_order", order % 3)
        for channel in (0, 3):
            lens.set("left_channel", channel)
            torch.testing.assert_close(
                shown(lens, "left"), product[channel].detach(), atol=1e-6, rtol=1e-4
            )
        said = f"up to order {order} of 3"
        assert (said in lens.facts()["left"]["kind"]) == (order < 3)
    torch.testing.assert_close(
        (product @ v[0, ..., None])[..., 0],
        (operator.matrix(u) @ operator.values(u))[0, ..., 0],
        atol=1e-6,
        rtol=1e-4,
    )


def test_what_has_no_orders_offers_none():
    lens = pair()
    assert "left_order" in lens.controls
    assert "right_order" not in lens.controls
    lens.set("left", "attention")
    assert "left_order" not in lens.controls


@pytest.mark.parametrize("name", [*mixers])
def test_every_mixer_of_the_library_fits_and_none_reads_the_future(name):
    mixer = alone(name)
    lens = MatrixLens(
        mixer, text="any Text, by bytes", tokenizer=ByteTokenizer(), u=letters(8)
    )
    kind = {"hyena": "H(u)", "gru": "the Jacobian"}.get(name, "the matrix")
    for side in ("left", "right"):
        assert lens.facts()[side]["kind"] == kind
        assert lens.facts()[side]["causal"]


def test_a_text_that_is_typed_is_read():
    lens = pair()
    box = lens.pickers["text"]
    from_browser(box, value="a cat")
    expected = matrices_of(lens.models["hyena"], "a cat", 0)[0]
    torch.testing.assert_close(shown(lens, "left"), expected)
    assert lens.facts()["words"] == ("a", "␣", "c", "a", "t")
    assert lens.describe().startswith("5 tokens: ")
    assert box.options == (TEXT, "a cat"), "what was typed is offered again"
    lens.set("text", TEXT)
    assert len(lens.facts()["words"]) == 16


def test_one_other_letter_moves_no_earlier_row():
    lens = pair()
    for name in lens.models:
        for layer in (1, 2):
            lens.set("left", name)
            lens.set("left_layer", layer)
            lens.set("text", TEXT)
            before = shown(lens, "left")
            lens.set("text", TEXT[:9] + "z" + TEXT[10:])
            change = (shown(lens, "left") - before).abs().amax(1)
            assert change[:9].max() <= 1e-5 * before.abs().max()
            assert change[9] > 1e-3 * before.abs().max()


def test_shuffled_weights_are_another_model_and_the_same_every_time():
    lens = pair()
    lens.set("left", "hyena, shuffled")
    first = shown(lens, "left")
    assert not torch.equal(first, matrices_of(lens.models["hyena"], TEXT, 0)[0])
    lens.redraw()
    assert torch.equal(shown(lens, "left"), first)
    one = MatrixLens(model(), text=TEXT, tokenizer=TOKENIZER)
    assert one.state()["right"] == "yours, shuffled"


def test_more_training_is_seen_when_asked_again():
    lens = pair()
    before = shown(lens, "left")
    with torch.no_grad():
        lens.models["hyena"].blocks[0].mixer.in_proj.weight *= 2
    lens.redraw()
    assert not torch.equal(shown(lens, "left"), before)


# ---- what is said


@pytest.mark.parametrize("side", ["left", "right"])
def test_facts_are_those_of_arithmetic(side):
    lens = pair()
    lens.set("row", 11)
    lens.set("column", 4)
    M, facts = shown(lens, side).double().tolist(), lens.facts()[side]
    size = len(M)
    total = sum(abs(x) for line in M for x in line)
    far = sum(abs(M[t][s]) * (t - s) for t in range(size) for s in range(t + 1))
    below = sum(-x for line in M for x in line if x < 0)
    assert facts["distance"] == pytest.approx(far / total, rel=1e-5)
    assert facts["negative_share"] == pytest.approx(below / total, rel=1e-5, abs=1e-9)
    assert facts["row_sum"] == pytest.approx(sum(M[11]), rel=1e-5, abs=1e-7)
    assert facts["cell"] == M[11][4]
    share = abs(M[11][4]) / sum(map(abs, M[11]))
    assert facts["cell_share"] == pytest.approx(share, rel=1e-5)
    assert facts["lowest"] == min(map(min, M))
    assert facts["highest"] == max(map(max, M))
    assert facts["causal"] == all(
        M[t][s] == 0 for t in range(size) for s in range(t + 1, size)
    )
    sums = [abs(sum(line) - 1) < 1e-4 for line in M]
    assert facts["rows_sum_to_one"] == all(sums) == (side == "right")
    assert facts["negative"] == (side == "left")


def test_the_sentence_states_the_facts_of_both_pictures():
    lens = pair()
    assert lens.describe() == (
        "16 tokens: on the left, H(u) of hyena (layer 1, channel 0) has entries of "
        "both signs and its rows do not all sum to 1; on the right, the matrix of "
        "attention (layer 1, head 0) has no negative entry and its rows all sum to 1; "
        "no output reads the future."
    )
    lens.set("colours", "off centre")
    assert lens.describe().endswith("; the colours do not show where 0 is.")
    lens.set("left_order", 1)
    assert "H(u) up to order 1 of 2 of hyena" in lens.describe()


def test_a_module_that_reads_the_future_is_told():
    u = torch.randn(1, 6, 3, generator=seeded())
    turned = MatrixLens(
        {
            "mine": Student(),
            "ring": lambda x: x.roll(1, 1),
            "back": lambda x: -x.flip(1),
        },
        u=u,
    )
    assert turned.describe().endswith("outputs read the future on the right.")
    turned.set("left", "back")
    said = turned.describe()
    assert said.endswith("outputs read the future on the left and the right.")
    assert "the Jacobian of back (channel 0) has no positive entry" in said
    assert "the Jacobian of ring (channel 0) has no negative entry" in said
    assert "its rows all sum to 1" in said
    lens = MatrixLens(lambda x: 0 * x, u=u)
    assert "is 0 everywhere" in lens.describe()


def test_describe_uses_the_facts_alone():
    lens = pair()
    facts = lens.facts()
    only_facts = SimpleNamespace(facts=lambda: facts)
    assert MatrixLens.describe(only_facts) == lens.describe()
    data, _ = lens._repr_mimebundle_()
    assert data["text/plain"] == lens.describe()
    assert lens.describe() in lens.caption.value


def test_the_numbers_under_the_cursor_stand_below_and_move_with_it():
    lens = pair()
    lens.set("row", 10)
    lens.set("column", 8)
    M = shown(lens, "left")
    assert "output 10 “l” reads input 8 “a” by" in lens.details.value
    for value in (M[10, 8], M[10].sum(), shown(lens, "right")[10, 8]):
        assert f"<td>{float(value):.3g}</td>" in lens.details.value
    from_browser(lens.pickers["row"], index=12)  # an arrow key
    from_browser(lens.pickers["column"], index=2)
    assert (lens.facts()["row"], lens.facts()["column"]) == (12, 2)
    assert "output 12 “u” reads input 2 “e” by" in lens.details.value
    frames = lens.figure.layout.shapes
    for number in (0, 1):
        row, cell = frames[4 * number + 1], frames[4 * number + 3]
        assert (row.y0, row.y1, row.x0, row.x1) == (11.5, 12.5, -0.5, 15.5)
        assert (cell.y0, cell.x0, cell.x1) == (11.5, 1.5, 2.5)
    assert len(frames) == 2 * len(FRAMES)


def test_a_click_on_a_cell_moves_the_frame():
    lens = pair()
    lens._go(SimpleNamespace(point_inds=[(9, 3)]))
    assert (lens.state()["row"], lens.state()["column"]) == (9, 3)
    lens._go(SimpleNamespace(point_inds=[]))
    assert (lens.facts()["row"], lens.facts()["column"]) == (9, 3)
    for trace in lens.figure.data:
        assert trace._click_callbacks


def test_every_entry_is_in_the_table():
    lens = pair(SHORT)
    lens.show_numbers.value = True
    left, right = (shown(lens, side) for side in ("left", "right"))
    lines = lens.numbers.value.split("<tr>")[2:]
    assert len(lines) == 12 * 13 // 2
    words = SHORT.replace(" ", "␣")
    places = [(t, s) for t in range(12) for s in range(t + 1)]
    for line, (t, s) in zip(lines, places, strict=True):
        cells = (t, words[t], s, words[s])
        wanted = "".join(f"<td>{cell}</td>" for cell in cells)
        wanted += f"<td>{float(left[t, s]):.4g}</td><td>{float(right[t, s]):.4g}</td>"
        assert wanted in line


# ---- what is drawn


def test_signs_are_printed_where_there_is_room():
    lens = pair(SHORT)
    for number, side in enumerate(("left", "right")):
        M = shown(lens, side)
        signs = lens.figure.data[number].text
        for t in range(12):
            for s in range(12):
                tiny = abs(M[t, s]) <= 1e-6 * M.abs().max()
                sign = "" if tiny else "−" if M[t, s] < 0 else "+"
                assert signs[t][s] == sign
    lens.set("text", TEXT)
    assert not any(trace.text for trace in lens.figure.data)


@pytest.mark.parametrize("colours", ["signed", "sizes", "off centre"])
def test_colours_are_numbers_and_the_future_is_grey(colours):
    lens = pair()
    lens.set("colours", colours)
    for number, side in enumerate(("left", "right")):
        M, trace = shown(lens, side), lens.figure.data[number]
        wanted = M.abs() if colours == "sizes" else M
        for t in range(16):
            assert all(z is None for z in trace.z[t][t + 1 :])
            for s in range(t + 1):
                error = abs(trace.z[t][s] - float(wanted[t, s]))
                assert error < 1e-3 * float(M.abs().max())
    left, right = lens.figure.data
    if colours == "signed":
        assert left.zmin == -left.zmax, "0 in the middle"
        assert left.colorscale[1] == (0.5, "#FFFFFF")
        assert (right.zmin, right.zmax) == (0, 1), "shares"
    if colours == "sizes":
        assert left.zmin == 0
    if colours == "off centre":
        assert left.zmin == pytest.approx(float(shown(lens, "left").min()))


def test_a_picture_that_reads_the_future_has_no_grey():
    lens = MatrixLens(lambda x: x.flip(1), u=torch.randn(1, 5, 2, generator=seeded()))
    assert not any(z is None for line in lens.figure.data[0].z for z in line)


def test_long_texts_have_fewer_words_on_the_axes_than_tokens():
    lens = pair("abcdefgh" * 8)
    for axis, count, second in (("xaxis", 22, "d"), ("yaxis", 16, "e")):
        found = lens.figure.layout[axis]
        assert len(found.tickvals) == len(found.ticktext) == count
        assert found.ticktext[1] == second


def test_letters_can_be_read_and_nothing_is_tex():
    drawing = json.loads(pair(SHORT).figure.to_json())
    sizes = []

    def visit(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key in ("font", "textfont", "tickfont") and "size" in value:
                sizes.append(value["size"])
            if isinstance(value, dict | list):
                visit(value)

    layout = {k: v for k, v in drawing["layout"].items() if k != "template"}
    visit(layout)
    visit(drawing["data"])
    assert min(sizes) >= 13
    assert "$" not in json.dumps(layout)


# ---- any module fits


def test_a_module_of_ten_lines_shows_its_jacobian_and_says_so():
    student, make = Student(), letters(3)
    lens = MatrixLens(student, text=SHORT, tokenizer=ByteTokenizer(), u=make)
    lens.set("left_channel", 2)
    assert "the Jacobian of yours (channel 2)" in lens.describe()
    assert "the Jacobian" in lens.figure.layout.annotations[0].text
    u = make(ByteTokenizer().encode(SHORT))[None]
    full = torch.autograd.functional.jacobian(student, u)
    torch.testing.assert_close(shown(lens, "left"), full[0, :, 2, 0, :, 2])
    lens.set("right", "yours, shuffled")
    assert not torch.equal(shown(lens, "right"), shown(lens, "left"))


def test_models_and_mixers_stand_side_by_side():
    lens = MatrixLens(
        {"model": model(), "mine": Student(8)},
        text=TEXT,
        tokenizer=TOKENIZER,
        u=letters(8),
    )
    assert lens.facts()["left"]["kind"] == "H(u)"
    assert lens.facts()["right"]["kind"] == "the Jacobian"


def test_a_function_has_no_weights_to_shuffle():
    u = torch.randn(1, 6, 2, generator=seeded())
    lens = MatrixLens(lambda x: x, u=u)
    assert lens.controls["left"] == ("yours",)
    assert lens.facts()["words"] == tuple("012345")
    assert "text" not in lens.controls
    assert "output 5 reads input 4 by" in lens.details.value


@pytest.mark.parametrize(
    ("module", "both"),
    [
        (lambda x: x[:, 1:], r"\(1, 12, 3\) into \(1, 11, 3\)"),
        (lambda x: x.sum(-1), r"\(1, 12, 3\) into \(1, 12\)"),
    ],
)
def test_a_module_that_changes_the_shape_is_told_both_shapes(module, both):
    with pytest.raises(ValueError, match=both):
        MatrixLens(module, text=SHORT, tokenizer=ByteTokenizer(), u=letters(3))


def test_a_matrix_of_a_wrong_shape_is_told_both_shapes():
    class Short(Student):
        def matrix(self, u):
            return torch.zeros(1, 4, 4)

    match = r"\(1, 12, 3\) must be \(1, C, 12, 12\).*got \(1, 4, 4\)"
    with pytest.raises(ValueError, match=match):
        MatrixLens(Short(), text=SHORT, tokenizer=ByteTokenizer(), u=letters(3))


def test_a_number_called_matrix_is_no_method():
    student = Student()
    student.matrix = nn.Parameter(torch.ones(2))
    u = torch.randn(1, 5, 3, generator=seeded())
    assert look(student, u).kind == "the Jacobian"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"show models on text=\.\.\. with their tokenizer"),
        ({"text": TEXT}, r"show models on text=\.\.\. with their tokenizer"),
        ({"tokenizer": TOKENIZER}, r"show models on text=\.\.\. with"),
        ({"u": letters(3)}, r"show models on text=\.\.\. with"),
        ({"u": torch.zeros(1, 4, 3), "text": TEXT}, r"show models on text=\.\.\. with"),
        ({"u": torch.zeros(2, 4, 3)}, r"u must be \(1, L, D\).*got \(2, 4, 3\)"),
        ({"u": torch.zeros(1, 129, 3)}, r"L <= 128; got \(1, 129, 3\)"),
        ({"text": TEXT, "tokenizer": TOKENIZER}, "'yours' has no .blocks"),
        (
            {"text": TEXT, "tokenizer": TOKENIZER, "u": lambda ids: torch.zeros(1, 3)},
            r"made \(1, 3\) of ids \(1, 16\); it must be \(1, 16, D\)",
        ),
        ({"text": "", "tokenizer": TOKENIZER, "u": letters(3)}, "has 0 tokens"),
        ({"text": "a" * 65, "tokenizer": TOKENIZER, "u": letters(3)}, "has 65 tokens"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(options, message):
    with pytest.raises(ValueError, match=message):
        MatrixLens(Student(), **options)


def test_a_model_without_a_text_is_told_what_it_needs():
    with pytest.raises(ValueError, match=r"reads text: give text="):
        MatrixLens(model(), u=torch.zeros(1, 4, 8))


# ---- what every explorer keeps


def test_a_letter_outside_the_vocabulary_is_told_and_the_picture_stays():
    lens = pair()
    before = lens.describe(), shown(lens, "left")
    with pytest.raises(ValueError, match="character 'Ω' at position 2"):
        lens.set("text", "anΩ")
    assert "character &#x27;Ω&#x27; at position 2 is not in" in lens.status.value
    assert 'role="alert"' in lens.status.value
    assert lens.describe() == before[0]
    assert torch.equal(shown(lens, "left"), before[1])
    from_browser(lens.pickers["text"], value="an a")
    assert lens.status.value == ""
    assert "anΩ" not in lens.pickers["text"].options


@pytest.mark.parametrize("text", ["", "a" * 65])
def test_a_text_of_a_wrong_length_is_told_on_the_status_line(text):
    lens = pair()
    with pytest.raises(ValueError, match=f"has {len(text)} tokens"):
        lens.set("text", text)
    assert f"has {len(text)} tokens; the lens takes 1 to 64" in lens.status.value


def test_a_module_that_fails_later_is_told_on_the_status_line():
    class Fragile(Student):
        broken = False

        def forward(self, u):
            if self.broken:
                raise RuntimeError("no more")
            return super().forward(u)

    mine = Fragile()
    lens = MatrixLens(mine, u=torch.randn(1, 6, 3, generator=seeded()))
    mine.broken = True
    with pytest.raises(RuntimeError, match="no more"):
        lens.set("left_channel", 1)
    assert "RuntimeError: no more" in lens.status.value


def test_one_token_is_enough():
    lens = pair("a")
    assert lens.describe().startswith("1 tokens: ")
    assert "row" not in lens.controls


LENSES = {
    "pair": pair,
    "short": lambda: pair(SHORT),
    "one": lambda: MatrixLens(model(), text=(SHORT, "a cat"), tokenizer=TOKENIZER),
    "student": lambda: MatrixLens(
        {"mine": Student(), "gru": alone("gru", 3)},
        text=SHORT,
        tokenizer=ByteTokenizer(),
        u=letters(3),
    ),
    "tensor": lambda: MatrixLens(
        alone(HyenaConfig(3), 3, 8), u=torch.randn(1, 8, 3, generator=seeded())
    ),
}


@pytest.fixture(params=LENSES)
def explorer(request):
    return LENSES[request.param]()


def test_a_sweep_visits_every_value_of_every_control_and_comes_back(explorer):
    controls, before = explorer.controls, explorer.state()
    seen = {name: set() for name in controls}
    for state, facts in explorer.sweep(60):
        assert facts == explorer.facts()
        assert explorer.describe().endswith(".")
        for name in controls:
            seen[name].add(state[name])
    assert all(set(values) <= seen[name] for name, values in controls.items())
    assert explorer.state() == before


def test_reset_brings_the_first_state_back(explorer):
    first = explorer.state(), explorer.describe(), explorer.facts()
    explorer.surprise()
    assert explorer.state() != first[0]
    explorer.reset()
    assert (explorer.state(), explorer.describe(), explorer.facts()) == first


def test_a_browser_moves_every_control(explorer):
    for name in explorer.controls:
        explorer.reset()
        picker = explorer.pickers[name]
        before = explorer.facts()
        if name == "text":
            from_browser(picker, value="a dog")
        else:
            from_browser(picker, index=(picker.index + 1) % len(picker.options))
        assert explorer.facts() != before, name
        assert explorer.describe() in explorer.caption.value


def test_a_control_that_has_nothing_to_choose_is_hidden():
    lens = pair()
    assert lens.pickers["right_order"].layout.display == "none"
    assert lens.pickers["left_order"].layout.display is None
