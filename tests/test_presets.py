"""Presets and plans: one place for settings, and a race that is fair."""

import json
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minihyena import HyenaConfig, LMConfig, TrainConfig, race, training
from minihyena.presets import PRESETS, Plan
from minihyena.rivals.attention import AttentionConfig

TEXT = "The hyena laughs. The long filter listens. " * 60


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    text = tmp_path / "laughs.txt"
    text.write_text(TEXT)
    small = {"width": 16, "depth": 1, "length": 16, "batch_size": 4, "steps": 9}
    return Plan(str(text)).changed(small | {"evaluate_every": 3})


def test_nanogpts_recipe_is_as_published() -> None:
    """The CPU line of karpathy/nanoGPT's README, over its train_shakespeare_char."""
    plan = PRESETS["nanogpt-cpu"]
    model, training = plan.model, plan.training
    assert (model.depth, model.width, model.mlp_ratio) == (4, 128, 4.0)
    assert model.mixer == AttentionConfig(heads=4)
    assert (model.max_length, model.dropout) == (64, 0.0)
    assert (training.length, training.batch_size, training.steps) == (64, 12, 2000)
    rates = [
        training.schedule(step / 2000) * training.learning_rate for step in (100, 2000)
    ]
    assert rates == pytest.approx([1e-3, 1e-4])
    assert training.warmup * 2000 == 100
    assert training.betas == (0.9, 0.99)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_begin(name: str, plan: Plan) -> None:
    preset = PRESETS[name].changed({"corpus": plan.corpus})
    assert preset.model.max_length == preset.training.length
    model: Any = preset.begin().model
    assert model.config.width == preset.model.width


def test_a_plan_comes_back_from_json() -> None:
    for plan in (*PRESETS.values(), Plan()):
        assert Plan.of(json.loads(json.dumps(plan.fields()))) == plan


def test_changes_find_their_place() -> None:
    plan = Plan().changed(
        {"length": 32, "width": 48, "mixer": "h3", "clip": 0.5, "seed": 4, "steps": 7}
    )
    assert plan.model.max_length == plan.training.length == 32
    assert (plan.model.width, type(plan.model.mixer).__name__) == (48, "H3Config")
    assert (plan.training.clip, plan.seed) == (0.5, 4)
    assert (plan.training.steps, plan.training.minutes) == (7, None)
    both = plan.changed({"minutes": 1.0, "steps": 7}).training
    assert (both.steps, both.minutes) == (7, 1.0)
    assert Plan().changed({}) == Plan()


def test_an_unknown_setting_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown setting 'widht'.*width"):
        Plan().changed({"widht": 8})


def test_the_defaults_are_those_of_the_library() -> None:
    assert Plan().model == LMConfig(1, mixer=HyenaConfig())
    assert Plan().training == TrainConfig(minutes=2)


def test_racers_take_turns_and_each_trains_as_it_would_alone(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(perf_counter=count().__next__)  # a second at each look
    monkeypatch.setattr(training, "time", clock)
    plans = {"one": plan, "two": plan.changed({"mixer": "attention", "steps": 6})}
    rounds = list(race.race(plans, turn=0.0))  # a step at a time
    assert [len(lane.curve) for lane in rounds[2]] == [1, 1]
    for lane, chosen in zip(rounds[-1], plans.values(), strict=True):
        alone = [r for r in chosen.begin() if r.validation_loss is not None]
        found = [(step, loss) for step, _, loss in lane.curve]
        assert found == [(r.step, round(r.validation_loss or 0, 4)) for r in alone]
        assert all(a < b for (_, a, _), (_, b, _) in pairwise(lane.curve))
        assert Plan.of(lane.plan) == chosen
    race.save(rounds[-1], tmp_path / "race.json")
    assert race.load(tmp_path / "race.json") == rounds[-1]


def test_a_turn_lasts_for_so_many_seconds_of_training(plan: Plan) -> None:
    plans = {"one": plan.changed({"steps": 200}), "two": plan.changed({"steps": 200})}
    lanes = next(race.race(plans, turn=1e9))  # each to its end
    assert [lane.curve[-1][0] for lane in lanes] == [200, 200]


def test_what_was_reached_is_read_off_the_curve() -> None:
    lane = race.Lane("a", 1, {}, ((1, 2.0, 3.0), (2, 4.0, 1.5), (3, 6.0, 1.7)))
    assert lane.reached(3.5) == 2.0
    assert lane.reached(1.6) == 4.0
    assert lane.reached(1.0) is None
    assert lane.loss_after(5.0) == 1.5
    assert lane.loss_after(1.0) is None


def test_ours_gets_the_rivals_time_and_a_tenth_of_it(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "nanogpt-cpu", plan.changed({"steps": 4000}))
    monkeypatch.setitem(PRESETS, "laptop", plan.changed({"minutes": 1.0}))
    rival, long, short = race.against_nanogpt().values()
    assert rival.training.steps == 4000
    assert long.training.minutes == pytest.approx(10 * (short.training.minutes or 0))
    assert 1 / 60 < (long.training.minutes or 0) < 20


def test_another_file_is_no_race(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"rows": [{"name": 1}]}')
    with pytest.raises(ValueError, match="holds no race"):
        race.load(tmp_path / "x.json")
