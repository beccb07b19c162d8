"""The theatre shows what models answer and read, checked by slower ways."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from minihyena import LanguageModel, LMConfig, tasks
from minihyena.explore import TaskTheatre
from minihyena.explore.matrix_views import inputs_of
from minihyena.explore.task_theatre_figure import WINDOW
from minihyena.explore.task_theatre_stage import decisive, looks_of
from minihyena.model import drawing_from

pytestmark = pytest.mark.usefixtures("widget_errors_fail")

RECALL = tasks.AssociativeRecall(12, 16)
TASKS = {
    "recall": RECALL,
    "mqar": tasks.MQAR(30, 16, 3),
    "induction": tasks.InductionHeads(20, 40),
    "copying": tasks.SelectiveCopying(16, 40, 4),
    "majority": tasks.Majority(),
    "counting": tasks.Counting(),
    "addition": tasks.Addition(3),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def model(mixer="hyena", length=66, vocabulary=30):
    config = LMConfig(vocabulary, max_length=length, width=8, mixer=mixer, std=None)
    return LanguageModel(config, seeded(3))


class Student(nn.Module):
    """A learner's own model: no base class, nothing but ids to logits."""

    def __init__(self, vocabulary=30):
        super().__init__()
        with drawing_from(seeded(4)):
            self.embed = nn.Embedding(vocabulary, 6)
            self.head = nn.Linear(6, vocabulary)

    def body(self, x):
        return self.head((x * x.cumsum(1)).tanh())

    def forward(self, ids):
        return self.body(self.embed(ids))


class Counts(nn.Module):
    """No embedding: the logits are how often each token came so far."""

    def forward(self, ids):
        return nn.functional.one_hot(ids, 30).cumsum(1).float()


class Knows(nn.Module):
    """Answers by the exact solver."""

    def __init__(self, task, vocabulary=30):
        super().__init__()
        self.task, self.vocabulary = task, vocabulary

    def forward(self, ids):
        answers = self.task.solve(ids).clamp(min=0)
        return nn.functional.one_hot(answers, self.vocabulary).float()


def theatre(**models):
    return TaskTheatre(models or {"hyena": model(), "own": Student()}, TASKS)


# ---- who looks where


@pytest.mark.parametrize("mixer", ["hyena", "attention", "aft", "h3"])
def test_rows_are_those_of_the_whole_matrix(mixer):
    made, t = model(mixer), 9
    ids = torch.randint(30, (1, 18), generator=seeded())
    looks = looks_of(made, ids, t, 0)
    assert looks.kind == ("H(u)" if mixer == "hyena" else "the matrix")
    for row, block, u in zip(
        looks.sizes, made.blocks, inputs_of(made, ids), strict=True
    ):
        size = block.mixer.matrix(u)[0, :, t].abs().mean(0).detach()
        np.testing.assert_allclose(row, size / size.sum(), rtol=1e-3, atol=1e-6)
        assert row[t + 1 :].max() == 0


def test_any_other_model_shows_the_gradient_of_its_answer():
    own, t, answer = Student().double(), 5, 7
    ids = torch.randint(30, (1, 9), generator=seeded())
    looks = looks_of(own, ids, t, answer)
    x, step = own.embed(ids).detach(), 1e-6
    slopes = torch.zeros(9, 6, dtype=torch.float64)
    for s in range(9):
        for d in range(6):
            near = [x.clone(), x.clone()]
            near[0][0, s, d] += step
            near[1][0, s, d] -= step
            up, down = (own.body(moved)[0, t, answer].detach() for moved in near)
            slopes[s, d] = (up - down) / (2 * step)
    size = slopes.norm(dim=1)
    assert looks.kind == "the gradient of its answer"
    np.testing.assert_allclose(looks.sizes[0], size / size.sum(), atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_gru_is_asked_for_its_gradient_even_when_it_is_frozen(frozen):
    gru = model("gru").requires_grad_(not frozen)
    looks = looks_of(gru, torch.arange(12)[None], 6, 3)
    assert looks.kind == "the gradient of its answer"
    assert looks.sizes.shape == (1, 12)
    assert looks.sizes[0, :7].min() > 0 == looks.sizes[0, 7:].max()


def test_positions_have_an_embedding_of_their_own_which_is_not_taken():
    class WithPlaces(Student):
        def __init__(self):
            super().__init__()
            self.places = nn.Embedding(40, 6)

        def forward(self, ids):
            places = self.places(torch.arange(ids.shape[1])[None])
            return self.head(self.embed(ids) + 0 * places)

    looks = looks_of(WithPlaces(), torch.randint(30, (1, 8)), 3, 1)
    assert looks.sizes[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_a_model_without_an_embedding_says_so():
    shown = theatre(counts=Counts())
    assert shown.facts()["kind"] == ""
    assert "counts cannot be looked into" in shown.describe()
    assert "cannot be looked into" in shown.figure.layout.annotations[1].text


def test_looking_leaves_the_model_as_it_was():
    made = model().train()
    before = [p.clone() for p in made.parameters()]
    world = torch.get_rng_state()
    theatre(hyena=made, own=Student()).redraw()
    assert made.training
    assert all(p.grad is None for p in made.parameters())
    assert all(
        torch.equal(*pair) for pair in zip(before, made.parameters(), strict=True)
    )
    assert torch.equal(torch.get_rng_state(), world)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in made.modules())


# ---- what decides


@pytest.mark.parametrize("name", ["recall", "mqar", "induction", "copying"])
def test_changing_what_decides_changes_the_right_answer(name):
    task = TASKS[name]
    inputs, labels = task.batch(20, generator=seeded())
    asked = 0
    for row, label in zip(inputs, labels, strict=True):
        for t in (label != tasks.IGNORED).nonzero()[:, 0].tolist():
            found = decisive(task, row.tolist(), t)
            values = [s for s, role in found.items() if role != "key"]
            assert values
            assert all(row[s] == label[t] for s in values)
            assert all(row[s] == row[t] for s, r in found.items() if r == "key")
            other = int(label[t]) - 1 if label[t] > 1 else int(label[t]) + 1
            changed = row.clone()
            changed[values] = other
            assert task.solve(changed[None])[0, t] == other
            asked += 1
    assert asked >= 20


def test_what_is_counted_is_every_copy():
    ids = [0, 1, 0, 2, 1, 1]
    assert decisive(tasks.Counting(3, 6, 3), ids, 5) == {1: "counted", 4: "counted"}
    found = decisive(tasks.Majority(3, 6), [0, 1, 0, 2, 0, 1, 3], 6)
    assert found == dict.fromkeys((0, 2, 4), "counted")


# ---- the play


def test_every_state_agrees_with_the_models_and_the_solver():
    models = {"hyena": model(), "own": Student()}
    shown = TaskTheatre(models, {"recall": RECALL, "copying": TASKS["copying"]})
    states = 0
    for _, f in shown.sweep(60):
        states += 1
        sizes = {"vocab_size": f["vocabulary"], "length": f["length"]}
        task = replace(shown.tasks[f["task"]], **sizes)
        ids = torch.tensor([f["inputs"]])
        [solved] = task.solve(ids).tolist()
        words = task.words
        assert f["words"] == tuple(words[i] for i in f["inputs"])
        targets = {t: words[i] for t, i in enumerate(solved) if i != tasks.IGNORED}
        assert f["targets"] == targets
        assert f["asked"] in targets
        for name in ("hyena", "own"):
            logits = models[name](ids)[0, :, : task.vocab_size].tolist()
            said = {t: words[np.argmax(logits[t])] for t in targets}
            assert f["answers"][name] == said
            right = tuple(t for t in targets if said[t] == targets[t])
            assert f["right"][name] == right
        share = looks_of(models[f["model"]], ids, f["asked"], 0).sizes
        if f["kind"] == "H(u)":
            top = sorted(share[f["layer"] - 1].tolist())[-3:]
            seen = [share[f["layer"] - 1][s] for s in f["top"]]
            assert seen == pytest.approx(top[::-1], rel=1e-4)
    assert states > 40


def test_the_one_who_knows_is_always_right():
    for name, task in TASKS.items():
        shown = TaskTheatre({"own": Student(), "knows": Knows(task)}, {name: task})
        f = shown.facts()
        assert f["right"]["knows"] == tuple(f["targets"])
        assert (
            "knows answers right" in shown.describe() or "own and" in shown.describe()
        )


def test_the_strip_shows_tokens_targets_and_answers_with_two_cues():
    shown = TaskTheatre({"own": Student(), "knows": Knows(RECALL)}, {"recall": RECALL})
    strip = shown.figure.data[0]
    rows = dict(zip(strip.y, strip.text, strict=True))
    f = shown.facts()
    assert tuple(rows["reads"]) == f["words"]
    target = f["targets"][17]
    assert rows["should say"][17] == target
    assert rows["knows"][17] == f"{target} ✓"
    assert rows["own"][17] == f"{f['answers']['own'][17]} ✗"
    colours = dict(zip(strip.y, strip.z, strict=True))
    assert colours["knows"][17] != colours["own"][17]
    assert not any(rows["own"][:17])


def test_a_long_input_is_seen_through_a_window():
    task = tasks.AssociativeRecall(12, 2046)
    made = {"hyena": model(length=2048, vocabulary=12)}
    shown = TaskTheatre(made, {"recall": task})
    for view, inside in (("asked", 2047), ("most", None), ("decisive", None)):
        shown.set("view", view)
        f = shown.facts()
        first, last = f["window"]
        assert last - first + 1 == WINDOW
        inside = inside or (f["top"][0] if view == "most" else max(f["decisive"]))
        assert first <= inside <= last
        assert len(shown.figure.data[0].x) == WINDOW
    assert len(shown.figure.data[3].x) == 256
    drawing = json.loads(shown.figure.to_json())
    assert "2048" in drawing["layout"]["annotations"][0]["text"]


# ---- sizes


def test_sizes_that_a_model_cannot_hold_are_refused_with_the_reason():
    shown = theatre()
    assert shown.controls["length"] == (4, 8, 16)  # the student promises no more
    with pytest.raises(ValueError, match="length cannot be 32: own holds 18 positions"):
        shown.set("length", 32)
    with pytest.raises(ValueError, match="vocabulary can be"):
        shown.set("vocabulary", 5)
    assert "Not offered: length 32 (own holds 18 positions, not 34)" in (
        shown.sizes_note.value
    )
    alone = theatre(hyena=model())
    assert alone.controls["length"] == (4, 8, 16, 32, 64)
    assert alone.controls["vocabulary"] == (6, 12, 24)
    alone.set("length", 64)
    assert len(alone.facts()["inputs"]) == 66


def test_sizes_that_clash_fall_back_to_the_last_ones():
    made = model(length=128, vocabulary=128)
    shown = TaskTheatre({"hyena": made}, {"mqar": tasks.MQAR(64, 32, 2)})
    shown.set("vocabulary", 128)
    assert 64 in shown.controls["length"]
    shown._apply({"vocabulary": 64, "length": 64})
    f = shown.facts()
    assert f["vocabulary"] > f["length"]
    assert (shown.state()["length"], shown.state()["vocabulary"]) == (
        f["length"],
        f["vocabulary"],
    )


def test_another_task_starts_at_its_own_sizes_and_reset_comes_back():
    shown = theatre(hyena=model())
    first = shown.state(), shown.describe()
    shown.set("length", 8)
    shown.set("task", "copying")
    assert (shown.facts()["length"], shown.facts()["vocabulary"]) == (40, 16)
    shown.set("task", "addition")
    assert shown.facts()["length"] == 3
    assert "vocabulary" not in shown.controls
    shown.reset()
    assert (shown.state(), shown.describe()) == first
    shown.set("length", 64)
    shown.reset()
    assert (shown.state(), shown.describe()) == first


def test_what_cannot_be_played_is_refused_at_once():
    with pytest.raises(ValueError, match="functions reads vectors, not tokens"):
        TaskTheatre({"own": Student()}, {"functions": tasks.LinearFunctions()})
    with pytest.raises(ValueError, match="small holds 10 positions, not 18"):
        TaskTheatre({"small": model(length=10)}, {"recall": RECALL})
    with pytest.raises(ValueError, match="small knows 9 tokens, not 12"):
        TaskTheatre({"small": model(vocabulary=9)}, {"recall": RECALL})
    with pytest.raises(ValueError, match="a model and a task"):
        TaskTheatre({}, TASKS)


# ---- the sentence


def test_the_sentence_names_right_and_wrong_and_whether_it_looks_there():
    facts = theatre(own=Student(), knows=Knows(RECALL)).facts()
    for found, word in ((True, "is among"), (False, "is not among")):
        told = SimpleNamespace(facts=lambda found=found: facts | {"found": found})
        said = TaskTheatre.describe(told)
        assert f"the value of the matching key {word} the 3 positions" in said
        assert "knows answers right, own answers wrong" in said
        assert "that own reads most (the gradient of its answer)" in said


def test_the_table_has_every_position_and_shares_that_sum_to_one():
    shown = theatre(hyena=model())
    header, rows = shown._numbers()
    assert len(rows) == 18
    assert header[-2:] == ["hyena, layer 1 reads", "hyena, layer 2 reads"]
    for column in (-2, -1):
        assert sum(row[column] for row in rows) == pytest.approx(1)
