"""The dashboard trains as the plain loop does, every model on the same batches."""

import math
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from minihyena import LanguageModel, LMConfig, TrainConfig, tasks, train
from minihyena.explore import TrainingDashboard
from minihyena.model import drawing_from
from minihyena.training import Diverged

pytestmark = pytest.mark.usefixtures("widget_errors_fail")

TASK = tasks.AssociativeRecall(12, 16)
CONFIG = TrainConfig(
    steps=12, length=18, batch_size=4, learning_rate=3e-3, evaluate_every=5
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def language_model(mixer):
    def build():
        config = LMConfig(12, max_length=18, width=8, depth=1, mixer=mixer)
        return LanguageModel(config, seeded())

    return build


class Student(nn.Module):
    """A learner's own model: no base class, nothing but ids to logits."""

    def __init__(self, poison=None):
        super().__init__()
        with drawing_from(seeded(4)):
            self.embed, self.head = nn.Embedding(12, 8), nn.Linear(8, 12)
        self.poison, self.seen = poison, []

    def forward(self, ids):
        if self.training:
            self.seen.append(ids)
        logits = self.head(self.embed(ids).cumsum(1))
        return logits * (math.nan if len(self.seen) == self.poison else 1)


class Knows(Student):
    """Right from the start, whatever it is taught."""

    def forward(self, ids):
        answers = TASK.solve(ids).clamp(min=0)
        return super().forward(ids) * 0 + 9 * nn.functional.one_hot(answers, 12)


MODELS = {"hyena": language_model("hyena"), "attention": language_model("attention")}


@pytest.fixture
def dashboard():
    made = TrainingDashboard(MODELS, TASK, CONFIG, test_size=32)
    yield made
    made.stop()


def make(models, **options):
    return TrainingDashboard(models, TASK, CONFIG, test_size=32, **options)


def test_each_model_learns_what_the_plain_loop_teaches_it(dashboard):
    dashboard.run()
    test = TASK.batch(32, generator=seeded(1))
    source = tasks.Examples(replace(TASK, scored="answerable"))
    for name, build in MODELS.items():
        plain, scores = build(), {}
        losses = []
        for record in train(plain, source, CONFIG, generator=seeded(0)):
            losses.append(record.loss)
            if record.step in (5, 10, 12):
                answers = plain(test.inputs)[..., :12].argmax(-1)[:, -1]
                scores[record.step] = float(
                    (answers == test.labels[:, -1]).float().mean()
                )
                plain.train()
        lane = dashboard.race.lanes[name]
        assert [record.loss for record in lane.records] == losses
        assert {t.step: t.score for t in lane.tests} == pytest.approx(scores)
        pairs = zip(lane.model.parameters(), plain.parameters(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_all_see_the_same_batches_in_turn():
    shown = make({"a": Student, "b": Student})
    shown.train(3)
    a, b = (lane.model.seen for lane in shown.race.lanes.values())
    assert len(a) == len(b) == 3
    assert all(torch.equal(*pair) for pair in zip(a, b, strict=True))
    assert not torch.equal(a[0], a[1])


def test_steps_in_the_cell_then_in_a_thread_are_one_run(dashboard):
    dashboard.train(3)
    assert (dashboard.phase, dashboard.facts()["step"]) == ("paused", 3)
    assert dashboard.describe().startswith("Paused after 3 of 12 steps")
    dashboard.start()
    dashboard.join(60)
    f = dashboard.facts()
    assert (f["phase"], f["step"]) == ("finished", 12)
    steps = [[t.step for t in lane.tests] for lane in dashboard.race.lanes.values()]
    assert steps == [[5, 10, 12]] * 2
    assert dashboard.progress.value == 1.0


def test_stop_ends_it_and_reset_brings_fresh_models(dashboard):
    first = dashboard.describe()
    dashboard.train(2)
    used = dashboard.race.lanes["hyena"].model
    dashboard.stop()
    assert dashboard.phase == "stopped"
    with pytest.raises(RuntimeError, match="has stopped"):
        dashboard.start()
    dashboard.reset()
    assert dashboard.describe() == first
    fresh = dashboard.race.lanes["hyena"].model
    assert fresh is not used
    assert not any(t.name == "training" for t in threading.enumerate())


def test_settings_are_fixed_once_it_has_begun(dashboard):
    dashboard.set("learning_rate", 1e-2)
    dashboard.set("steps", 50)
    assert dashboard.race.config.learning_rate == 1e-2
    dashboard.train(1)
    with pytest.raises(RuntimeError, match="fixed once training began"):
        dashboard.set("steps", 100)
    assert dashboard.controls == {"across": ("steps", "seconds")}


def test_moved_settings_keep_the_untrained_models(dashboard):
    before = dashboard.race.lanes["hyena"].model
    dashboard.set("learning_rate", 1e-2)
    assert dashboard.race.lanes["hyena"].model is before


def test_who_reaches_the_goal_is_named_with_the_first_test_that_met_it():
    shown = make({"knows": Knows, "own": Student})
    shown.run()
    f = shown.facts()["models"]
    assert (f["knows"]["reached_step"], f["own"]["reached_step"]) == (5, None)
    assert f["knows"]["reached_seconds"] == shown.race.lanes["knows"].records[4].seconds
    assert f["knows"]["score"] == f["knows"]["best_score"] == 1
    assert shown.describe() == (
        "Finished after 12 of 12 steps; knows reached 99% on rows never seen, "
        "own did not."
    )
    assert "99% at step 5" in shown.details.value


def test_the_picture_shows_the_records_over_steps_or_over_seconds(dashboard):
    dashboard.run()
    lanes = list(dashboard.race.lanes.values())
    loss, score = dashboard.figure.data[2:4]
    assert list(loss.x) == list(range(1, 13))
    assert list(loss.y) == lanes[1].smooth
    assert list(score.x) == [5, 10, 12]
    assert list(score.y) == [test.score for test in lanes[1].tests]
    dashboard.set("across", "seconds")
    assert list(loss.x) == [record.seconds for record in lanes[1].records]
    assert list(score.x) == [test.seconds for test in lanes[1].tests]
    assert dashboard.figure.layout.xaxis.title.text == "seconds of training"
    line = dashboard.figure.layout.shapes[0]
    assert line.y0 == line.y1 == TASK.chance == dashboard.facts()["chance"]


def test_evaluations_can_be_asked_for_more_often():
    shown = make({"own": Student}, every=2)
    shown.train(6)
    assert [test.step for test in shown.race.lanes["own"].tests] == [2, 4, 6]


def test_models_of_unequal_size_are_called_so(dashboard):
    sizes = [sum(p.numel() for p in MODELS[n]().parameters()) for n in MODELS]
    f = dashboard.facts()
    assert [m["parameters"] for m in f["models"].values()] == sizes
    assert f["parameters_differ"] == pytest.approx(max(sizes) / min(sizes) - 1)
    assert "parameters differ by" in dashboard.describe()
    assert "differ" not in make({"a": Student, "b": Student}).describe()


def test_a_model_that_diverges_is_named():
    shown = make({"own": Student, "bad": lambda: Student(poison=3)})
    with pytest.raises(Diverged, match="bad: step 3"):
        shown.run()
    assert shown.phase == "failed"
    assert "Diverged: bad: step 3" in shown.status.value
    assert shown.describe() == "Failed after 3 of 12 steps: Diverged."


def test_a_model_that_loses_patience_waits_for_the_others():
    patient = replace(CONFIG, patience=1, evaluate_every=2, steps=40)
    models = {"knows": Knows, "own": Student}
    shown = TrainingDashboard(models, TASK, patient, test_size=8)
    shown.run()
    assert shown.phase == "finished"
    lengths = [len(lane.records) for lane in shown.race.lanes.values()]
    assert min(lengths) < max(lengths)


def test_the_table_has_every_step_of_every_model(dashboard):
    dashboard.run()
    header, rows = dashboard._numbers()
    assert len(rows) == 12
    assert len(header) == 9
    assert [row[0] for row in rows if row[4] != ""] == [5, 10, 12]
    assert rows[11][8] == dashboard.race.lanes["attention"].tests[-1].score


def test_the_sentence_is_made_of_the_facts(dashboard):
    f = dashboard.facts() | {"phase": "running", "step": 7}
    told = SimpleNamespace(facts=lambda: f)
    assert TrainingDashboard.describe(told).startswith("Training (parameters differ")


def test_a_second_dashboard_of_the_name_stops_the_first(dashboard):
    dashboard.train(1)
    other = make({"own": Student})
    assert dashboard.phase == "stopped"
    make({"own": Student}, name="another")
    assert other.phase == "ready"


def test_training_leaves_the_global_random_state_alone(dashboard):
    world = torch.get_rng_state()
    dashboard.train(2)
    assert torch.equal(torch.get_rng_state(), world)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="compare 1 to 10 models; got 0"):
        make({})
    with pytest.raises(ValueError, match=r"give config\.steps"):
        TrainingDashboard(MODELS, TASK, replace(CONFIG, steps=None, minutes=1))
    with pytest.raises(ValueError, match="18 positions: set length"):
        TrainingDashboard(MODELS, TASK, replace(CONFIG, length=16))
    with pytest.raises(ValueError, match="test_size counts rows"):
        TrainingDashboard(MODELS, TASK, CONFIG, test_size=0)
