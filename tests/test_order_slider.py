"""The order slider: a filter as a sum of modes, and the model with all filters so."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minihyena import HyenaConfig, ImplicitConfig, LanguageModel, LMConfig, sample_text
from minihyena.explore import OrderSlider
from minihyena.tokenizers import CharacterTokenizer

TEXT = "the quick brown fox jumps over the lazy dog"
TAPS = 40


pytestmark = pytest.mark.usefixtures("widget_errors_fail")


@pytest.fixture(scope="module")
def tokenizer():
    return CharacterTokenizer.of(TEXT)


@pytest.fixture(scope="module")
def models(tokenizer):
    starts = {"smooth": {}, "rough": {"bands": 16, "sine_frequency": 14}}
    return {
        name: LanguageModel(
            LMConfig(
                tokenizer.vocab_size,
                max_length=TAPS,
                width=6,
                mixer=HyenaConfig(filter=ImplicitConfig(**start)),
            ),
            torch.Generator().manual_seed(0),
        ).eval()
        for name, start in starts.items()
    }


@pytest.fixture
def slider(models, tokenizer):
    return OrderSlider(models, tokenizer, text=TEXT, prompt="the ", length=12)


def filter_of(model, state):
    layer, order = state["filter"]
    with torch.no_grad():
        h = model.filters()[layer](TAPS)[order, state["channel"]]
    return h.double().numpy()


def written_out(poles, residues, direct):
    """The modes' filter, term by term; only the sizes of the residues are facts."""
    t = np.arange(TAPS - 1)
    terms = residues[:, None] * np.asarray(poles)[:, None] ** t
    return np.concatenate([[direct], terms.sum(0).real])


# ---- the facts


def test_every_state_agrees_with_numpy(slider, models):
    states = 0
    for state, facts in slider.sweep(cap=60):
        states += 1
        h = filter_of(models[state["model"]], state)
        half = TAPS // 2
        table = np.array([h[1 + i : 1 + i + TAPS - half] for i in range(half)])
        values = np.linalg.svd(table, compute_uv=False)
        assert len(facts["values"]) == half
        assert np.allclose(facts["values"], values, atol=1e-6 * values[0])
        clear = np.abs(values / values[0] - 0.01).min() > 1e-6
        assert not clear or facts["rank"] == (values > 0.01 * values[0]).sum()
        made = slider.shown[1].double().numpy()
        error = np.linalg.norm(made - h) / np.linalg.norm(h)
        assert facts["error"] == pytest.approx(error, rel=1e-3, abs=1e-6)
        assert facts["error"] == pytest.approx(
            facts["errors"][state["order"]], rel=1e-3, abs=1e-6
        )
        assert len(facts["poles"]) == len(facts["residues"]) <= state["order"]
        assert all(abs(p) < 1 for p in facts["poles"])
    assert states >= sum(map(len, slider.controls.values()))


def test_the_poles_make_the_filter_that_is_drawn(slider, models):
    slider.set("model", "rough")
    slider.set("order", 16)
    facts = slider.facts()
    h = filter_of(models["rough"], slider.state())
    powers = np.asarray(facts["poles"])[None] ** np.arange(TAPS - 1)[:, None]
    columns = np.concatenate([powers.real, -powers.imag], 1)
    best, *_ = np.linalg.lstsq(columns, h[1:], rcond=1e-12)
    size = np.linalg.norm(h)
    off = np.linalg.norm(columns @ best - h[1:]) / size
    assert facts["error"] == pytest.approx(off, rel=0.05, abs=1e-5)


def test_a_filter_of_two_modes_needs_four_states():
    t = np.arange(60)
    h = 0.9**t * np.cos(0.3 * t + 1) + 0.7**t * np.cos(1.5 * t)
    slider = OrderSlider(torch.tensor(h)[None].float())
    assert slider.facts()["rank"] == 4
    slider.set("order", 4)
    assert slider.facts()["error"] < 1e-3
    found = sorted(abs(p) for p in slider.facts()["poles"])
    assert found == pytest.approx([0.7, 0.9], abs=1e-2)
    slider.set("order", 2)
    assert slider.facts()["error"] > 0.05
    assert "output_error" not in slider.facts()
    assert "logits" not in slider.describe()


def test_the_model_of_modes_is_run_and_writes(slider, models, tokenizer):
    facts = slider.facts()
    small = models["smooth"].distill(facts["order"])
    ids = tokenizer.encode(TEXT)[None, :TAPS]
    with torch.no_grad():
        a, b = models["smooth"](ids), small(ids)
    wanted = float((b - a).norm() / a.norm())
    assert facts["output_error"] == pytest.approx(wanted, rel=1e-2)
    for model, key in ((models["smooth"], "written"), (small, "written_by_modes")):
        text = "".join(sample_text(model, tokenizer, "the ", 12, temperature=0))
        assert facts[key] == text
    one, other = facts["written"], facts["written_by_modes"]
    same = facts["same_text"]
    assert one[:same] == other[:same]
    assert same == len(one) or one[same] != other[same]
    assert facts["written"] in slider.details.value.replace("&#x27;", "'")


def test_texts_are_compared_from_their_start(models, tokenizer, monkeypatch):
    texts = iter(["the fox", "the dog"])
    monkeypatch.setattr(OrderSlider, "_write", lambda self, model: next(texts))
    slider = OrderSlider(models["smooth"], tokenizer, text=TEXT)
    assert slider.facts()["same_text"] == 4
    assert slider._details()["text the same for"] == "4 of 7 characters"


def test_more_modes_leave_less_over(slider):
    for name in ("smooth", "rough"):
        slider.set("model", name)
        errors = slider.facts()["errors"]
        assert errors[16] < errors[1]
    assert slider.facts()["errors"][4] > 0.1
    slider.set("model", "smooth")
    assert slider.facts()["errors"][8] < 0.01


def test_logits_are_compared_where_they_were_asked(slider):
    assert set(slider.facts()["model_errors"]) == {8}
    slider.set("order", 2)
    assert set(slider.facts()["model_errors"]) == {8, 2}
    slider.set("model", "rough")
    assert set(slider.facts()["model_errors"]) == {2}


# ---- what is said and drawn


def test_the_sentence_is_made_of_the_facts(slider):
    for _, facts in slider.sweep(cap=30):
        said = slider.describe()
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert OrderSlider.describe(only_facts) == said
        assert f"{facts['rank']} of 20 singular values" in said
        limit = said.split("the filter is off by ")[1].split(" %")[0]
        kind, share = limit.rsplit(" ", 1)
        error = 100 * facts["error"]
        assert (error < float(share)) == (kind == "less than")


def test_the_figure_draws_the_facts(slider):
    slider.set("order", 4)
    facts = slider.facts()
    traces = {trace.name: trace for trace in slider.figure.data}
    assert len(traces["kept"].x) == 4
    assert len(traces["left out"].x) == 16
    assert list(traces["pole"].x) == [p.real for p in facts["poles"]]
    sizes = list(traces["pole"].marker.size)
    assert sizes.index(max(sizes)) == facts["residues"].index(max(facts["residues"]))
    assert list(traces["chosen S"].x) == [4]
    assert list(traces["error of the filter"].x) == list(facts["errors"])
    x, y = slider.figure.layout.xaxis2.range, slider.figure.layout.yaxis2.range
    for p in facts["poles"]:
        assert x[0] <= p.real <= x[1]
        assert y[0] <= p.imag <= y[1]


def test_the_table_holds_what_is_drawn(slider):
    header, rows = slider._numbers()
    assert len(rows) == TAPS
    assert all(len(row) == len(header) for row in rows)
    assert [row[1] for row in rows] == pytest.approx(slider.shown[0].tolist())
    assert [row[3] for row in rows[:20]] == list(slider.facts()["values"])
    orders = [row[6] for row in rows if row[6] != ""]
    assert orders == list(slider.controls["order"])


def test_a_learners_own_filter_and_a_model_without_text(models):
    class Decay(torch.nn.Module):
        def forward(self, length):
            t = torch.arange(length)
            return torch.stack([0.9**t, 0.5**t])

    mine = OrderSlider(Decay())
    assert mine.taps == 256
    mine.set("channel", 1)
    mine.set("order", 1)
    assert mine.facts()["error"] < 1e-4
    assert mine.facts()["poles"][0] == pytest.approx(0.5, abs=1e-3)
    silent = OrderSlider(models["smooth"])
    assert "written" not in silent.facts()
    assert silent.describe().startswith("This model, layer 1")


def test_it_keeps_to_what_an_explorer_promises(slider):
    first = slider.state(), slider.describe()
    slider.surprise()
    slider.reset()
    assert (slider.state(), slider.describe()) == first
    with pytest.raises(ValueError, match="order can be"):
        slider.set("order", 3)
