import gc
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from types import SimpleNamespace

import ipywidgets
import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from ipywidgets.widgets import widget as widget_module
from made_results import made_results
from made_texts import made_texts
from torch import nn

from minihyena import LanguageModel, LMConfig, TrainConfig, mixers, train
from minihyena.corpora import CharacterTokenizer, Corpus
from minihyena.doctor import Finding
from minihyena.explore import (
    Card,
    CausalityAuditor,
    EvidencePlot,
    FilterBuilder,
    FilterPainter,
    FilterStudio,
    ImageFilter,
    LossPlot,
    MachineCard,
    OrderBuilder,
    OrderSlider,
    ReverseComplement,
    SlideAndMultiply,
    TaskTheatre,
    ToeplitzExplorer,
    TokenLoop,
    TokenMixer,
    TrainingDashboard,
    TrainingRoom,
    TurningHands,
    WrapAround,
    snapshot,
    table,
    texts,
    training_panel,
    training_run,
)
from minihyena.explore.live import MEND
from minihyena.explore.parts import spans, states, to_numpy
from minihyena.explore.picture import shared
from minihyena.explore.style import PALETTE
from minihyena.explore.training_controls import Trainer
from minihyena.explore.training_figure import POINTS, thin
from minihyena.explore.training_loop import Loop, Turns
from minihyena.tasks import AssociativeRecall, Counting
from minihyena.training import Diverged, Record

LENGTH, STEPS = 32, 30
CONFIG = TrainConfig(
    steps=STEPS, length=LENGTH, batch_size=2, evaluate_every=10, evaluate_windows=2
)
RECALL = AssociativeRecall(12, 16)
THEATRE = {"recall": RECALL, "counting": Counting(4, 16, 6)}
SHORT = TrainConfig(steps=STEPS, length=18, batch_size=2, evaluate_every=10)
PLOTLY = "application/vnd.plotly.v1+json"
VIEW = "application/vnd.jupyter.widget-view+json"


pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture(scope="module")
def corpus():
    text = "the quick brown fox jumps over the lazy dog. " * 40
    tokenizer = CharacterTokenizer.of(text)
    ids = tokenizer.encode(text)
    return Corpus("fox", text, tokenizer, ids[:1500], ids[1500:])


@pytest.fixture(scope="module")
def factory(corpus):
    def build(mixer):
        config = LMConfig(
            corpus.tokenizer.vocab_size, max_length=LENGTH, width=8, mixer=mixer
        )
        return LanguageModel(config, torch.Generator().manual_seed(0))

    return build


@pytest.fixture
def room(factory, corpus):
    room = make_room(factory, corpus)
    yield room
    room.stop()


def make_room(factory, corpus, config=CONFIG, **options):
    options = {"sample_every": 15, "sample_length": 5} | options
    return TrainingRoom(factory, corpus, config, **options)


class Student(nn.Module):
    """A learner's own model: no base class, nothing but ids to logits."""

    def __init__(self, vocab=28, poison=None):
        super().__init__()
        self.embed, self.head = nn.Embedding(vocab, 8), nn.Linear(8, vocab)
        self.poison, self.calls = poison, 0

    def forward(self, ids):
        self.calls += 1
        steps = torch.arange(1, ids.shape[1] + 1)[:, None]
        logits = self.head(self.embed(ids).cumsum(1) / steps)
        return logits * (math.nan if self.calls == self.poison else 1)


def from_browser(widget, **state):
    """What the page sends when a hand moves a control."""
    data = {"method": "update", "state": state}
    widget._handle_msg({"content": {"data": data}, "buffers": []})


def press(button):
    message = {"method": "custom", "content": {"event": "click"}}
    button._handle_msg({"content": {"data": message}, "buffers": []})


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


# ---- every explorer


@pytest.fixture(
    params=[
        "mixer",
        "studio",
        "compared studio",
        "filter builder",
        "room",
        "order builder",
        "slide and multiply",
        "filter painter",
        "wrap-around",
        "toeplitz explorer",
        "causality auditor",
        "turning hands",
        "reverse complement",
        "image filter",
        "token loop",
        "order slider",
        "evidence plot",
        "loss plot",
        "task theatre",
        "training dashboard",
    ]
)
def explorer(request, factory, corpus):
    model = factory("hyena")
    made = {
        "mixer": TokenMixer,
        "filter builder": FilterBuilder,
        "order builder": OrderBuilder,
        "slide and multiply": SlideAndMultiply,
        "filter painter": FilterPainter,
        "wrap-around": WrapAround,
        "toeplitz explorer": ToeplitzExplorer,
        "causality auditor": CausalityAuditor,
        "turning hands": TurningHands,
        "reverse complement": ReverseComplement,
        "image filter": ImageFilter,
        "evidence plot": lambda: EvidencePlot(made_results()),
        "loss plot": lambda: LossPlot(made_texts()),
        "task theatre": lambda: TaskTheatre({"ours": model}, THEATRE),
        "training dashboard": lambda: TrainingDashboard(
            {name: lambda: Student(12) for name in ("a", "b")}, RECALL, SHORT
        ),
        "token loop": lambda: TokenLoop(model),
        "order slider": lambda: OrderSlider(model, corpus.tokenizer, text="the fox"),
        "studio": lambda: FilterStudio(model),
        "compared studio": lambda: FilterStudio(model, snapshot(model)),
        "room": lambda: make_room(factory, corpus),
    }[request.param]()
    yield made
    if isinstance(made, Trainer):
        made.stop()


@pytest.fixture
def alone() -> None:
    """No widget is open that another test has left."""
    widget_module.Widget.close_all()


def test_what_is_closed_leaves_no_widget_and_no_thread_behind(alone, explorer):
    """A kernel keeps every widget that is open, and all that it shows, to its end."""
    if isinstance(explorer, Trainer):
        explorer.start()
    explorer.close()
    explorer.close()  # once more does nothing
    open_for_all = {shared(), shared().layout, shared().style}
    assert set(widget_module._instances.values()) <= open_for_all
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"training", "measuring"}


def test_a_sweep_visits_every_value_of_every_control_and_comes_back(explorer):
    controls, before = explorer.controls, explorer.state()
    seen = {name: set() for name in controls}
    count = 0
    for state, facts in explorer.sweep():
        count += 1
        assert facts == explorer.facts()
        for name in controls:
            seen[name].add(state[name])
    assert all(set(values) <= seen[name] for name, values in controls.items())
    assert count <= 220
    assert explorer.state() == before


def test_the_saved_text_the_caption_and_describe_are_one_sentence(explorer):
    data, metadata = explorer._repr_mimebundle_()
    assert data["text/plain"] == explorer.describe()
    assert explorer.describe() in explorer.caption.value.replace("&#x27;", "'")
    assert explorer.describe().endswith(".")
    assert VIEW in data
    assert metadata == {}


def test_describe_uses_the_facts_alone(explorer):
    facts = explorer.facts()
    only_facts = SimpleNamespace(facts=lambda: facts)
    assert type(explorer).describe(only_facts) == explorer.describe()


def test_reset_brings_the_first_state_back(explorer):
    first = explorer.state(), explorer.describe()
    name, values = next(iter(explorer.controls.items()))
    explorer.set(name, values[-1])
    if isinstance(explorer, Trainer):
        explorer.set(name, first[0][name])
    explorer.reset()
    assert (explorer.state(), explorer.describe()) == first


def test_a_control_refuses_what_it_cannot_be(explorer):
    with pytest.raises(ValueError, match="unknown control 'colour'; known"):
        explorer.set("colour", "red")
    name = next(iter(explorer.controls))
    with pytest.raises(ValueError, match=f"{name} can be"):
        explorer.set(name, "nonsense")


def inside(widget):
    """The widget, and all that it holds at any depth."""
    return [widget, *(w for c in getattr(widget, "children", ()) for w in inside(c))]


def test_numbers_take_the_place_of_the_picture_and_give_it_back(explorer):
    picture, numbers = explorer._stage.children
    assert explorer.figure in inside(picture)
    assert explorer.caption.layout.visibility is None
    assert [w.layout.visibility for w in (picture, numbers)] == [None, "hidden"]
    explorer.show_numbers.value = True
    assert [w.layout.visibility for w in (picture, numbers)] == ["hidden", None]
    untrained = isinstance(explorer, TrainingDashboard)  # so has no numbers yet
    assert explorer.numbers.value.count("<tr>") > (1 if untrained else 8)
    explorer.show_numbers.value = False
    assert [w.layout.visibility for w in (picture, numbers)] == [None, "hidden"]


def test_the_page_is_told_of_a_picture_that_is_complete(explorer):
    """What a busy page is told after that is lost."""
    live = explorer.figure
    told = go.Figure(live._widget_data, live._widget_layout)
    assert json.loads(told.to_json()) == json.loads(live.to_json())


def test_figures_have_no_tex_and_only_letters_that_can_be_read(explorer):
    drawing = json.loads(explorer.figure.to_json())
    assert "$" not in json.dumps(drawing["layout"].get("annotations", []))
    sizes = []

    def visit(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key == "font" and isinstance(value, dict) and "size" in value:
                sizes.append(value["size"])
            if isinstance(value, dict | list):
                visit(value)

    visit({k: v for k, v in drawing["layout"].items() if k != "template"})
    template = explorer.figure.layout.template.layout
    sizes += [
        template.font.size,
        template.xaxis.tickfont.size,
        template.legend.font.size,
    ]
    assert min(sizes) >= 13


def test_every_curve_differs_from_its_neighbours_by_more_than_its_colour(explorer):
    looks = {}
    for trace in explorer.figure.data:
        if trace.showlegend is False or trace.type != "scatter":
            continue
        cue = (trace.mode, trace.line.dash, trace.line.width, trace.marker.symbol)
        panel = trace.xaxis or "x"
        assert looks.setdefault((panel, cue), trace.name) == trace.name
    bars = isinstance(
        explorer,
        SlideAndMultiply
        | FilterPainter
        | ReverseComplement
        | WrapAround
        | TaskTheatre
        | ToeplitzExplorer
        | CausalityAuditor,
    )  # which are told apart by hatching
    assert len(looks) >= 2 or bars


@pytest.mark.parametrize("kind", [TokenMixer, TokenLoop, TaskTheatre])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_explorer_that_cannot_begin_leaves_no_widget_behind(
    alone, factory, kind, error, monkeypatch
):
    def fail(self):
        raise error

    shown = [{"ours": factory("hyena")}, THEATRE] if kind is TaskTheatre else []
    monkeypatch.setattr(kind, "_compute", fail)
    with pytest.raises(error):
        kind(*shown)
    assert not widget_module._instances


def test_an_error_is_told_on_the_status_line_and_still_raised():
    calls = {"broken": False}

    def op(u):
        if calls["broken"]:
            raise ZeroDivisionError("no such mixer today")
        return u

    mixer = TokenMixer(op)
    calls["broken"] = True
    with pytest.raises(ZeroDivisionError):
        mixer.set("position", 5)
    assert "ZeroDivisionError: no such mixer today" in mixer.status.value
    assert "mh-stale" in mixer._dom_classes, "the picture of before is faint"
    calls["broken"] = False
    mixer.set("position", 6)
    assert mixer.status.value == ""
    assert "mh-stale" not in mixer._dom_classes
    assert mixer.facts()["moved"] == (6,)


def test_without_anywidget_the_figure_stands_still_and_says_so(monkeypatch):
    class Missing:  # what plotly has in its place
        def __init__(self, *args, **kwargs):
            raise ImportError("Please install anywidget to use the FigureWidget class")

    monkeypatch.setattr(go, "FigureWidget", Missing)
    monkeypatch.delitem(sys.modules, "minihyena.explore.picture", raising=False)
    mixer = TokenMixer()
    data, _ = mixer._repr_mimebundle_()
    assert VIEW not in data
    assert data["text/plain"] == mixer.describe()
    texts = [note["text"] for note in data[PLOTLY]["layout"]["annotations"]]
    assert texts[-1].endswith(MEND)
    assert texts[-1].replace("<br>", " ").startswith(mixer.describe())
    mixer.set("position", 6)
    moved = mixer._repr_mimebundle_()[0][PLOTLY]
    assert moved != data[PLOTLY]


def test_what_is_missing_is_named_where_widgets_cannot_be_made():
    code = """
import sys
sys.modules["ipywidgets"] = sys.modules["plotly"] = None
from minihyena.explore import MachineCard
data = MachineCard()._repr_mimebundle_()
assert "plotly" in data["text/html"] and "plotly" in data["text/plain"]
try:
    from minihyena.explore import TokenMixer
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "TokenMixer needs ipywidgets; mend it: pip install" in done.stdout, (
        done.stderr
    )


def test_the_published_output_has_the_picture_of_the_figure(chromium, monkeypatch):
    mixer = TokenMixer()
    monkeypatch.setenv("MINIHYENA_STATIC", "1")
    monkeypatch.setattr(TokenMixer, "picture", lambda self: self.seen)
    mixer.seen = super(TokenMixer, mixer).picture(width=600)
    data, metadata = mixer._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    assert 5_000 < len(data["image/png"]) < 90_000
    assert metadata["image/png"]["alt"] == mixer.describe()


# ---- machine card


def test_the_machine_card_says_the_same_wherever_all_is_well():
    well = [Finding("torch", "9.9"), Finding("plotly", "7.0")]
    card = MachineCard(lambda: well)
    data = card._repr_mimebundle_()
    assert data["text/plain"] == "Everything the course needs is here."
    assert "9.9" not in json.dumps(data)
    assert "9.9" in card.html()
    assert VIEW in data
    assert list(card.sweep()) == [({}, {"looked_at": 2, "wrong": {}})]


def test_the_machine_card_gives_the_command_for_each_thing_that_is_wrong():
    card = MachineCard(
        lambda: [Finding("torch", "2.1"), Finding("plotly", "none", "pip install 'x'")]
    )
    assert card.facts()["wrong"] == {"plotly": "pip install 'x'"}
    assert "plotly: pip install 'x'" in card.describe()
    assert card.html().index("plotly") < card.html().index("<b>torch")
    assert "<code>pip install &#x27;x&#x27;</code>" in card.html()


def test_the_machine_card_asks_the_doctor():
    about = {finding.about for finding in MachineCard().findings}
    assert {"Python", "torch", "a live figure"} <= about


# ---- token mixer


def test_the_moves_of_an_average_are_what_arithmetic_says():
    mixer = TokenMixer()
    mixer.set("mixer", "average")
    for position in range(8):
        for amount in (-2.0, 0.5):
            mixer.set("position", position)
            mixer.set("amount", amount)
            expected = [abs(amount) / (t + 1) if t >= position else 0 for t in range(8)]
            np.testing.assert_allclose(mixer.facts()["moved_by"], expected, atol=1e-6)
            np.testing.assert_allclose(mixer.figure.data[6].y, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "listens"),
    [("average", False), ("convolution", False), ("gated", True), ("attention", True)],
)
def test_only_gates_and_attention_listen_to_the_other_inputs(name, listens):
    mixer = TokenMixer()
    mixer.set("mixer", name)
    moves = []
    for content in range(4):
        mixer.set("content", content)
        assert mixer.facts()["listens"] is listens
        moves.append(mixer.facts()["moved_by"])
    assert bool(np.ptp(moves, axis=0).max() > 1e-3) is listens


def test_standard_mixers_move_clearly_or_not_at_all():
    """So that every machine writes the same sentence."""
    mixer = TokenMixer()
    for state, facts in mixer.sweep():
        moves = np.array(facts["moved_by"])
        changed = state["amount"] != 0
        expected = tuple(range(state["position"], 8)) if changed else ()
        assert facts["moved"] == expected
        assert moves[: state["position"]].max(initial=0) < 1e-6
        assert not changed or moves[state["position"] :].min() > 1e-3


def test_a_mixer_that_reads_the_future_is_found_out():
    mixer = TokenMixer({"reversed": lambda u: u.flip(1)})
    mixer.set("position", 6)
    assert mixer.facts()["moved"] == (1,)
    assert "moved output 1 (1 before the change)" in mixer.describe()


def test_a_mixer_of_several_channels_fits_and_a_wrong_shape_is_named():
    layer = nn.Conv1d(4, 4, 1)
    mixer = TokenMixer(lambda u: layer(u.transpose(1, 2)).transpose(1, 2), width=4)
    assert mixer.facts()["moved"] == (3,)
    with pytest.raises(ValueError, match=r"\(36, 8, 1\) into \(36, 7, 1\)"):
        TokenMixer(lambda u: u[:, 1:])


def test_the_browser_moves_the_mixer():
    mixer = TokenMixer()
    from_browser(mixer.pickers["position"], index=6)
    assert mixer.facts()["moved"] == (6, 7)
    assert mixer.figure.layout.shapes[0].x1 == 5.5


def test_surprises_come_in_the_same_order_from_the_same_seed():
    first, second, other = TokenMixer(), TokenMixer(), TokenMixer(seed=8)
    world = torch.get_rng_state()
    drawn = []
    for mixer in (first, second, other):
        states_seen = []
        for _ in range(4):
            mixer.surprise()
            states_seen.append(tuple(mixer.state().values()))
        drawn.append(states_seen)
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 1
    assert torch.equal(torch.get_rng_state(), world)


# ---- filter studio


def test_the_studio_draws_the_taps_of_the_model_and_their_spectrum(factory):
    model = factory("hyena")
    studio = FilterStudio(model)
    studio.set("filter", (1, 0))
    studio.set("channel", 5)
    studio.set("length", 16)
    h = model.filters()[1](16)[0, 5].detach().numpy()
    gain = np.abs(np.fft.rfft(h, 32))
    time_curve, spectrum, edge, peak = studio.figure.data
    np.testing.assert_allclose(time_curve.y, h, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(spectrum.y, gain, rtol=1e-4, atol=1e-6)
    facts = studio.facts()
    reach = np.searchsorted(np.cumsum(np.abs(h)), 0.9 * np.abs(h).sum())
    assert facts["reach"] == reach == edge.x[0]
    assert facts["peak"] == pytest.approx(gain.argmax() / 32) == peak.x[0]
    centroid = (gain**2 * np.arange(17) / 32).sum() / (gain**2).sum()
    assert facts["centroid"] == pytest.approx(centroid, rel=1e-4)
    assert facts["layer"] == 2
    assert f"lags 0 to {reach}" in studio.describe()


def test_the_parameter_count_does_not_move_with_the_length(factory):
    studio = FilterStudio(factory("hyena"))
    counts = {facts["parameters"] for _, facts in studio.sweep()}
    expected = sum(p.numel() for p in studio.filters[0].parameters())
    assert counts == {expected}


def test_before_and_after_are_two_curves_and_an_unchanged_filter_says_so(factory):
    model = factory("hyena")
    studio = FilterStudio(model, snapshot(model))
    assert studio.facts()["change"] == 0
    assert studio.describe().endswith("it changed by at most 1 % of its size.")
    with torch.no_grad():
        model.filters()[0].readout.weight *= 2
    studio.redraw()
    before, _, after, *_ = studio.figure.data
    np.testing.assert_allclose(after.y, 2 * np.array(before.y), rtol=1e-5, atol=1e-7)
    assert studio.facts()["change"] == pytest.approx(1, rel=1e-4)
    assert studio.describe().endswith("it changed by more than 1 % of its size.")


def test_any_function_of_the_length_is_a_filter():
    def fading(length):
        return torch.stack([0.5 ** torch.arange(length), torch.ones(length)])

    studio = FilterStudio(fading, length=64)
    assert studio.facts()["reach"] == 3
    assert studio.facts()["peak"] == 0
    studio.set("channel", 1)
    assert studio.facts()["reach"] == 57
    fixed = FilterStudio(torch.eye(3, 20), torch.zeros(3, 20))
    assert fixed.controls["length"] == (16, 20)
    assert fixed.facts()["change"] > 1


def test_what_is_no_filter_is_refused(factory):
    with pytest.raises(ValueError, match="no long filters"):
        FilterStudio(factory("attention"))
    with pytest.raises(ValueError, match=r"got \(20,\)"):
        FilterStudio(lambda length: torch.ones(20), length=20)
    with pytest.raises(ValueError, match="take the snapshot from the same model"):
        FilterStudio(factory("hyena"), torch.zeros(3, 40))


def test_complex_numbers_are_not_drawn_and_gradients_are():
    assert to_numpy(torch.ones(2, requires_grad=True).bfloat16()).dtype == np.float32
    with pytest.raises(TypeError, match=r"shape \(2,\).*\.abs\(\)"):
        to_numpy(torch.ones(2, dtype=torch.complex64))


# ---- training room


def test_the_room_learns_exactly_what_a_plain_loop_learns(room, factory, corpus):
    room.run()
    generator = torch.Generator().manual_seed(0)
    records = list(train(factory("hyena"), corpus, CONFIG, generator=generator))
    losses = [record.loss for record in records]
    assert [record.loss for record in room.history.records] == losses
    facts = room.facts()
    assert facts["phase"] == "finished"
    assert facts["step"] == STEPS
    assert facts["first_loss"] == losses[0]
    assert facts["loss"] == pytest.approx(np.mean(losses[-5:]))
    assert room.history.smooth[2] == pytest.approx(np.mean(losses[:3]))
    assert facts["validation_loss"] == records[-1].validation_loss
    assert facts["validation_bits"] == records[-1].validation_loss / math.log(2)
    batch, smooth, held = room.figure.data[:3]
    assert list(batch.y) == losses
    assert len(smooth.y) == STEPS
    assert list(held.x) == [10, 20, 30]
    assert [step for step, _ in room.history.texts] == [15, 30]
    assert "What it writes after 30 steps" in room.texts.value
    assert room.progress.value == 1


def test_sentences_of_the_room_follow_its_phases(room):
    assert room.describe() == "Not started: mixer hyena, step 0 of 30."
    room.train(4)
    assert room.describe().startswith("Paused after 4 of 30 steps; ")
    room.stop()
    assert room.describe().startswith("Stopped after 4 of 30 steps; ")
    room.reset()
    assert room.describe() == "Not started: mixer hyena, step 0 of 30."


def test_halved_is_read_from_the_losses(factory, corpus):
    config = TrainConfig(
        steps=60, length=16, batch_size=8, learning_rate=3e-2, evaluate_every=60
    )
    room = make_room(factory, corpus, config)
    room.run()
    facts = room.facts()
    assert facts["halved"] == (facts["loss"] < facts["first_loss"] / 2) is True
    assert room.describe().endswith("the loss fell below half its start.")
    assert facts["filter_change"] > 0
    layer = zip(room.model.filters(), room.history.before, strict=True)
    pairs = [(f(16).detach(), then) for f, then in layer]
    far = sum((now - then).square().sum() for now, then in pairs)
    size = sum(then.square().sum() for _, then in pairs)
    assert facts["filter_change"] == pytest.approx(float((far / size).sqrt()), rel=1e-3)


def test_start_pause_resume_and_stop_from_the_browser(factory, corpus):
    room = make_room(factory, corpus, TrainConfig(steps=10**6, length=LENGTH))
    assert room._go.description == "Start"
    press(room._go)
    wait_for(lambda: room.facts()["step"] > 2)
    assert room._go.description == "Pause"
    assert room.pickers["mixer"].disabled
    press(room._go)
    wait_for(lambda: room._go.description == "Resume")
    rested = len(room.history.records)
    time.sleep(0.1)
    assert len(room.history.records) == rested == room.facts()["step"]
    press(room._go)
    wait_for(lambda: len(room.history.records) > rested + 2)
    press(room._halt)
    wait_for(lambda: room._go.disabled)
    assert room.phase == "stopped"
    assert room.describe().startswith("Stopped after")
    assert len(room.figure.data[0].y) == room.facts()["step"]
    press(room._fresh)
    assert room.phase == "ready"
    assert room.facts()["step"] == 0
    assert room.figure.data[0].y in ((), None)
    assert not room.pickers["mixer"].disabled


def test_reset_makes_a_fresh_model_that_learns_the_same(room):
    room.train(5)
    first, model = [r.loss for r in room.history.records], room.model
    room.reset()
    assert room.model is not model
    room.train(5)
    assert [r.loss for r in room.history.records] == first


def test_the_settings_shape_the_run_until_it_begins(room):
    model = room.model
    room.set("learning_rate", 1e-3)
    room.set("steps", 50)
    assert room.model is model
    assert room.history.config.learning_rate == 1e-3
    assert room.facts()["steps"] == 50
    room.set("mixer", "attention")
    assert room.model is not model
    assert type(room.model.config.mixer) is mixers["attention"]
    room.train(2)
    assert room.history.records[-1].learning_rate <= 1e-3
    with pytest.raises(RuntimeError, match="steps is fixed once training began"):
        room.set("steps", 100)
    assert "steps" not in room.controls


def test_time_can_be_the_only_limit(factory, corpus):
    config = TrainConfig(minutes=0.004, length=LENGTH, evaluate_every=1000)
    room = make_room(factory, corpus, config)
    assert room.describe() == "Not started: mixer hyena, step 0."
    room.run()
    assert room.phase == "finished"
    assert room.history.records[-1].seconds >= 0.24
    assert room.progress.value == 1


def test_a_model_without_long_filters_says_so_in_the_picture(room):
    (note,) = room.figure.select_annotations({"name": "nothing to watch"})
    assert not note.visible
    room.set("mixer", "attention")
    assert note.visible
    assert room.facts()["filter_change"] is None
    assert "filter" not in room.controls


def test_the_watched_filter_is_drawn_now_and_as_it_was(room):
    room.train(3)
    room.set("filter", (1, 0))
    room.set("channel", 4)
    room.set("view", "in time")
    old, new = room.figure.data[-2:]
    now = room.model.filters()[1](LENGTH)[0, 4].detach()
    np.testing.assert_allclose(new.y, now, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(old.y, room.history.before[1][0, 4], rtol=1e-6)
    room.set("view", "in frequency")
    gain = torch.fft.rfft(now, 2 * LENGTH).abs()
    np.testing.assert_allclose(new.y, gain, rtol=1e-4, atol=1e-6)


def test_an_error_ends_the_run_is_shown_and_fails_the_check_cell(corpus):
    room = make_room(lambda: Student(poison=7), corpus)
    room.start()
    with pytest.raises(Diverged, match="step 7"):
        room.join()
    assert room.phase == "failed"
    assert "Diverged: step 7" in room.status.value
    assert room.describe() == "Failed after 6 of 30 steps: Diverged."
    with pytest.raises(RuntimeError, match=r"has failed; reset\(\)"):
        room.start()
    room.reset()
    assert room.status.value == ""


def test_an_error_of_a_run_in_the_cell_is_raised_there(corpus):
    room = make_room(lambda: Student(poison=3), corpus)
    with pytest.raises(Diverged, match="step 3"):
        room.run()
    assert room.phase == "failed"


def test_a_corpus_shorter_than_a_window_fails_with_the_numbers(corpus):
    with pytest.raises(ValueError, match="1500 tokens, one of length 4096 needs 4097"):
        make_room(Student, corpus, TrainConfig(steps=3, length=4096))


def test_a_students_module_of_ten_lines_trains_and_writes(corpus):
    room = make_room(Student, corpus)
    assert "mixer" not in room.controls
    room.start()
    room.join(20)
    assert room.phase == "finished"
    assert room.facts()["loss"] < room.facts()["first_loss"]
    assert room.facts()["filter_change"] is None
    assert len(room.sample("the ", 6)) == 6


def test_the_model_writes_while_it_rests_and_while_it_learns(factory, corpus):
    room = make_room(factory, corpus, TrainConfig(steps=10**6, length=LENGTH))
    room.start()
    draws = [torch.Generator().manual_seed(3) for _ in range(2)]
    assert len(room.sample("the ", 10, generator=draws[0])) == 10
    room.pause()
    texts = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        texts.append(room.sample("the ", 10, temperature=0.5, generator=generator))
    assert texts[0] == texts[1]
    assert not room.history.loop._thread.is_alive()
    room.stop()


def test_a_cell_that_is_run_again_stops_its_old_room(factory, corpus):
    config = TrainConfig(steps=10**6, length=LENGTH)
    old = make_room(factory, corpus, config)
    other = make_room(factory, corpus, config, name="the other room")
    old.start()
    other.start()
    new = make_room(factory, corpus, config)
    assert old.phase == "stopped"
    assert not old.history.loop._thread.is_alive()
    assert (new.phase, other.phase) == ("ready", "running")
    other.stop()


def test_a_kernel_interrupt_stops_the_cell_and_not_the_thread(factory, corpus):
    room = make_room(factory, corpus, TrainConfig(steps=10**6, length=LENGTH))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a kernel
    room.start()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(20)
    signal.signal(signal.SIGINT, before)
    seen = len(room.history.records)
    wait_for(lambda: len(room.history.records) > seen + 2)
    assert room.phase == "running"
    room.stop()


def endless(factory, corpus):
    return make_room(factory, corpus, TrainConfig(steps=10**6, length=LENGTH))


def within(seconds, action):
    """Do it in a thread that is given up when it hangs."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"hangs for {seconds} s"


def test_pause_and_stop_work_for_whoever_holds_the_model(factory, corpus):
    room, seen = endless(factory, corpus), []

    def hold():
        with room.turns:
            for act in (room.pause, room.resume, room.pause, room.stop):
                act()
                seen.append((room.phase, len(room.history.records)))
            time.sleep(0.1)  # the thread is at the door by now

    room.start()
    wait_for(lambda: room.history.records)
    within(20, hold)
    room.join(20)
    assert [phase for phase, _ in seen] == ["paused", "running", "paused", "stopped"]
    assert {count for _, count in seen} == {len(room.history.records)}
    assert room.describe().startswith(f"Stopped after {seen[0][1]:,}")


def test_waiting_for_the_end_while_holding_the_model_is_refused(factory, corpus):
    room = endless(factory, corpus)
    room.start()
    with room.turns, pytest.raises(RuntimeError, match=r"join\(\) after it"):
        room.join()
    room.stop()


def test_a_failed_run_spoils_neither_reset_nor_the_next_room(corpus):
    for go_on in (TrainingRoom.stop, TrainingRoom.reset, lambda _: None):
        room = make_room(lambda: Student(poison=2), corpus)
        room.start()
        wait_for(lambda room=room: room.phase == "failed")
        go_on(room)
    assert make_room(Student, corpus).phase == "ready"
    with pytest.raises(Diverged, match="step 2"):
        room.join()


def test_an_interrupt_while_the_start_is_drawn_stops_the_run(room, monkeypatch):
    def interrupted():
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(room.history.loop, "on_change", interrupted)
    with pytest.raises(KeyboardInterrupt):
        room.run()
    assert room.phase == "stopped"


def test_a_room_that_could_never_write_is_refused(corpus):
    with pytest.raises(ValueError, match=r"sample_every counts steps.*got 0"):
        make_room(Student, corpus, sample_every=0)
    with pytest.raises(ValueError, match="length 2 at least; got 1"):
        make_room(Student, corpus, TrainConfig(steps=3, length=1))
    shortest = make_room(Student, corpus, TrainConfig(steps=1, length=2))
    shortest.run()
    assert [len(text) for _, text in shortest.history.texts] == [1]


def test_every_loss_says_of_which_text_it_is(room):
    room.train(3)
    assert "smoothed batch loss <b>" in room.details.value
    assert "bits" not in room.details.value  # nothing held out has been read so far
    room.run()
    bits = f"{room.facts()['validation_loss'] / math.log(2):.4g}"
    assert f"held-out bits per character <b>{bits}</b>" in room.details.value
    header, rows = room._numbers()
    row = dict(zip(header, rows[STEPS - 1], strict=True))
    last = room.history.records[-1]
    assert row["batch loss"] == last.loss
    assert row["smoothed batch loss"] == room.facts()["loss"]
    assert row["held-out loss"] == last.validation_loss
    assert row["batch bits per character"] == last.loss / math.log(2)


def test_filters_are_read_between_two_steps_and_drawn_outside_them(
    factory, corpus, monkeypatch
):
    room, held = endless(factory, corpus), {"read": set(), "drawn": set()}

    def watch(owner, name, what):
        true = getattr(owner, name)

        def watched(*args):
            held[what].add(room.turns.mine)
            return true(*args)

        monkeypatch.setattr(owner, name, watched)

    watch(training_run, "taps", "read")
    watch(training_panel, "view", "read")
    watch(training_panel, "draw_losses", "drawn")
    room.start()
    wait_for(lambda: len(room.history.records) > 2)
    room.set("channel", 3)
    room.history.change()
    room.history.taps(0)
    room.stop()
    assert held == {"read": {True}, "drawn": {False}}


def test_controls_can_be_moved_by_whoever_holds_the_model(factory, corpus):
    room = endless(factory, corpus)
    room._next_redraw = -math.inf

    def hold():
        for channel in [*range(8)] * 3:
            with room.turns:
                time.sleep(0.005)
                room.set("channel", channel)

    room.start()
    within(30, hold)
    room.stop()
    assert room.state()["channel"] == 7


def test_a_room_that_nobody_uses_is_forgotten(corpus):
    room = weakref.ref(make_room(Student, corpus, name="a room to forget"))
    assert room() is not None
    widget_module.Widget.close_all()
    gc.collect()
    assert room() is None


def test_the_room_keeps_the_best_model_as_a_plain_loop_does(factory, corpus):
    config = replace(CONFIG, learning_rate=0.5, evaluate_every=1, patience=STEPS)
    room, model = make_room(factory, corpus, config), factory("hyena")
    room.run()
    losses = [loss for _, loss in room.history.validations]
    assert min(losses) < losses[-1]
    list(train(model, corpus, config, generator=torch.Generator().manual_seed(0)))
    pairs = zip(room.model.parameters(), model.parameters(), strict=True)
    assert all(torch.equal(mine, plain) for mine, plain in pairs)


def test_a_failing_picture_fails_the_run_instead_of_hiding(room, monkeypatch):
    def broken(*args):
        raise ArithmeticError("cannot draw")

    monkeypatch.setattr("minihyena.explore.training_panel.draw_losses", broken)
    with pytest.raises(ArithmeticError):
        room.train(3)
    assert "ArithmeticError: cannot draw" in room.status.value


# ---- the parts


def make_loop(steps, seen, delay=0.0):
    def records():
        for step in range(1, steps + 1):
            time.sleep(delay)
            yield Record(step, 1.0, 0.1, 1.0, step, 0.0, 0.0)

    return Loop(records(), steps, seen.append, lambda: None, Turns())


def test_a_loop_takes_the_steps_it_is_asked_for_and_no_more():
    seen = []
    loop = make_loop(5, seen)
    loop.run(2)
    assert (len(seen), loop.phase) == (2, "paused")
    loop.start()
    loop.join(5)
    assert (len(seen), loop.phase) == (5, "finished")
    with pytest.raises(RuntimeError, match="has finished"):
        loop.run()


def test_a_loop_that_runs_cannot_be_started_twice():
    loop = make_loop(10**6, [], delay=0.001)
    loop.start()
    with pytest.raises(RuntimeError, match="running already"):
        loop.start()
    with pytest.raises(TimeoutError, match="still training"):
        loop.join(0.05)
    loop.stop()
    loop.join()
    assert loop.phase == "stopped"


def test_a_stop_is_never_turned_into_a_pause():
    loop = make_loop(10**6, [], delay=0.001)
    loop.start()
    loop.stop()
    loop.pause()
    assert loop.phase == "stopped"
    with pytest.raises(RuntimeError, match="has stopped"):
        loop.start()


def test_a_pause_is_taken_back_at_once():
    seen = []
    loop = make_loop(50, seen, delay=0.001)
    for _ in range(10):
        loop.start()
        with loop.turns:
            loop.pause()
            assert loop.phase == "paused"
    loop.start()
    loop.join(20)
    assert [record.step for record in seen] == list(range(1, 51))
    assert loop.phase == "finished"


def test_a_thread_that_was_paused_leaves_the_steps_to_the_cell_that_goes_on():
    loop, seen = make_loop(100, []), []

    def slowly(record):
        seen.append(threading.current_thread().name)
        time.sleep(0.05)

    loop.on_record = slowly
    loop.start()
    wait_for(lambda: seen)
    with loop.turns:  # the thread still looks at its last record
        loop.pause()
        before = len(seen)
    loop.run(4)
    assert seen[before:].count("MainThread") == 4
    assert len(seen) - before <= 5
    assert loop.phase == "paused"
    loop.join(5)
    assert loop.step == len(seen)


def test_an_interrupt_in_the_cell_that_trains_stops_the_run():
    def interrupt(record):
        raise KeyboardInterrupt

    loop = make_loop(5, [])
    loop.on_record = interrupt
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert (loop.phase, loop.error) == ("stopped", None)


def test_whoever_asks_for_the_model_gets_the_next_turn():
    turns, rounds, done = Turns(), [], threading.Event()

    def busy():
        while not done.is_set():
            with turns:
                rounds.append(1)
                time.sleep(0.002)

    thread = threading.Thread(target=busy)
    thread.start()
    wait_for(lambda: rounds)
    waited = []
    for _ in range(15):
        time.sleep(0.01)  # let the other one get going again
        before = len(rounds)
        with turns, turns:  # the same thread may enter again
            waited.append(len(rounds) - before)
    done.set()
    thread.join()
    assert sorted(waited)[7] == 0  # no turn was given in between
    assert max(waited) <= 3


def test_long_curves_are_thinned_and_keep_their_ends():
    assert list(thin(5)) == [0, 1, 2, 3, 4]
    chosen = thin(10 * POINTS)
    assert len(chosen) == POINTS
    assert (chosen[0], chosen[-1]) == (0, 10 * POINTS - 1)


def test_runs_of_numbers_are_put_in_words():
    assert spans([]) == ""
    assert spans([4]) == "4"
    assert spans([0, 1, 2, 5]) == "0 to 2 and 5"
    assert spans([0, 2, 3, 7]) == "0, 2 to 3 and 7"


def test_states_of_a_large_grid_keep_to_the_cap_and_miss_no_value():
    controls = {"a": tuple(range(10)), "b": tuple(range(40)), "c": (True, False)}
    found = list(states(controls, {"a": 0, "b": 0, "c": True}, 100))
    assert len(found) <= 105
    for name, values in controls.items():
        assert {state[name] for state in found} == set(values)


def test_the_palette_is_okabe_and_itos():
    assert set(PALETTE) == {
        "#000000", "#E69F00", "#56B4E9", "#009E73",
        "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    }  # fmt: skip


def test_controls_are_native_and_have_full_length_labels(explorer):
    native = ipywidgets.Dropdown | ipywidgets.SelectionSlider
    for picker in explorer.pickers.values():
        assert isinstance(picker, native)
        assert picker.description
        assert picker.style.description_width == "initial"


def test_a_card_shows_its_html_live_and_saves_only_its_sentence(monkeypatch):
    page = table("Losses", ["model", "loss"], [("<b>", 1.23456)])
    card = Card("Two numbers.", page + texts({"T = 1": "a < b"}))
    bundle = card._repr_mimebundle_()
    assert card.describe() == bundle["text/plain"] == "Two numbers."
    assert "1.235" not in str(bundle), "the numbers of this machine stay live"
    assert "&lt;b&gt;" in card.html()
    assert "a &lt; b" in card.html()
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert "1.235" in card._repr_mimebundle_()["text/html"]
