"""Comparisons: models of one size, runs that are never lost, shared or made twice."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from minihyena import (
    HyenaConfig,
    LanguageModel,
    LMConfig,
    TrainConfig,
    experiments,
    filter_families,
    mixers,
    records,
    train,
)
from minihyena.experiments import (
    EXPERIMENTS,
    RECIPES,
    Experiment,
    Run,
    TaskRun,
    Trial,
    equal_parameters,
    parameter_count,
    trials,
)
from minihyena.experiments.trials import Lessons
from minihyena.rivals.attention import AttentionConfig
from minihyena.tasks import AssociativeRecall, Examples, LinearFunctions, Majority
from minihyena.vector_model import VectorModel

ROOT = Path(__file__).parents[1]

WORDS = ["hyena", *(word for word in mixers if word != "hyena")]


@pytest.mark.parametrize("width", [32, 64, 100])
def test_every_mixer_gets_as_many_parameters_as_the_first(width: int) -> None:
    configs = [LMConfig(65, 256, width, mixer=mixer) for mixer in WORDS]
    sizes = [
        sum(p.numel() for p in LanguageModel(config).parameters())
        for config in equal_parameters(configs)
    ]
    assert all(abs(size / sizes[0] - 1) <= 0.02 for size in sizes)


def test_every_filter_gets_as_many_parameters_as_the_first() -> None:
    configs = [
        LMConfig(30, 512, 64, mixer=HyenaConfig(filter=f)) for f in filter_families
    ]
    made = equal_parameters(configs)
    sizes = [parameter_count(config) for config in made]
    assert all(abs(size / sizes[0] - 1) <= 0.02 for size in sizes)
    assert len({config.width for config in made}) > 1


def test_only_the_widths_change() -> None:
    configs = [LMConfig(65, 256, 64, 3, mixer, mlp_ratio=4.0) for mixer in WORDS]
    for before, after in zip(configs, equal_parameters(configs), strict=True):
        same = replace(after, width=before.width, mlp_ratio=before.mlp_ratio)
        assert same == before
    assert equal_parameters(configs)[0] == configs[0]


def test_the_mlp_makes_up_for_what_the_heads_do_not_allow() -> None:
    heads = LMConfig(65, 64, 64, mixer=AttentionConfig(heads=16))
    [first, twin] = equal_parameters([LMConfig(65, 64, 64), heads])
    assert twin.width % 32 == 0  # 16 heads of an even width
    assert twin.mlp_ratio != 2.0
    assert abs(parameter_count(twin) / parameter_count(first) - 1) <= 0.02


def test_the_width_it_was_given_does_not_matter() -> None:
    first = LMConfig(65, 64, 48)
    twins = [LMConfig(65, 64, width, mixer="attention") for width in (8, 47, 400)]
    made = [equal_parameters([first, twin])[1] for twin in twins]
    assert made[0] == made[1] == made[2]


def test_a_count_needs_no_model() -> None:
    config = LMConfig(65, 64, 48)
    assert parameter_count(config) == LanguageModel(config).parameter_count()
    assert parameter_count(LMConfig(50_000, 2048, 2048, 36)) > 10**9


def test_what_cannot_be_as_large_is_refused() -> None:
    many = LMConfig(65, 64, 512, mixer=AttentionConfig(heads=256))
    with pytest.raises(ValueError, match=r"cannot have .* within 2.0%: at width 512"):
        equal_parameters([LMConfig(65, 64, 8), many])


def test_models_of_vectors_are_made_as_large_too() -> None:
    task = LinearFunctions(3, 8)
    configs = replace(TINY, tasks=(task,), models={w: w for w in WORDS}).configs(
        task, 32
    )
    sizes = [
        sum(p.numel() for p in VectorModel(config, 4).parameters())
        for config in configs.values()
    ]
    assert all(abs(size / sizes[0] - 1) <= 0.02 for size in sizes)


# What an experiment is

TINY = Experiment(
    "tiny",
    "Is it kept?",
    (AssociativeRecall(8, 12), Majority(4, 9)),
    {"hyena": "hyena", "gru": "gru"},
    widths=(8,),
    learning_rates=(1e-3, 1e-2),
    steps=4,
    tokens=64,
    training=TrainConfig(steps=1, evaluate_every=2),
)
TRIALS = 12  # 4 models, 2 learning rates and one more seed


def runs(folder: Path, experiment: Experiment = TINY, seeds: int = 2) -> list[Run]:
    return list(experiments.run(experiment, seeds, folder, say=pytest.fail))


def without_time(found: Iterator[Run] | list[Run]) -> list[Run]:
    return [replace(run, seconds=0.0) for run in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment that ran to its end."""
    folder = tmp_path_factory.mktemp("whole")
    runs(folder)
    return folder


def test_every_model_is_tried_at_every_rate_and_goes_on_with_its_best(
    whole: Path,
) -> None:
    found = experiments.load(whole / "tiny.json")
    assert len(found.runs) == TRIALS
    for summary in found.summary():
        mine = [
            r
            for r in found.runs
            if (r.model, r.sizes) == (summary.model, summary.sizes)
        ]
        first = {r.learning_rate: r.merit for r in mine if r.seed == 0}
        assert set(first) == {1e-3, 1e-2}
        assert summary.learning_rate == max(first, key=lambda rate: first[rate])
        chosen = {
            r.seed: r.score for r in mine if r.learning_rate == summary.learning_rate
        }
        assert summary.scores == (chosen[0], chosen[1])
        assert len(mine) == 3
        assert summary.low <= summary.mean <= summary.high


ONE = replace(TINY, tasks=TINY.tasks[:1], models={"h": "hyena"})


@pytest.mark.parametrize(("best", "tries"), [(0.5, 4), (0.99, 3)])
def test_starts_are_tried_like_rates_until_one_reaches_the_goal(
    best: float, tries: int
) -> None:
    plan, sent = replace(ONE, stds=(3.0, 3.0)).plan(3), []
    trial = next(plan)
    with suppress(StopIteration):
        while True:
            _, *setting = trial.setting
            sent.append((*setting, trial.seed))
            score = best if setting == [3.0, 1e-3] else 0.1
            trial = plan.send(done(trial, held_out=score))
    all_tries = [(std, rate, 0) for std in (None, 3.0) for rate in (1e-3, 1e-2)]
    assert sent == [*all_tries[:tries], (3.0, 1e-3, 1), (3.0, 1e-3, 2)]


@pytest.mark.parametrize("std", [3.0, 1e-9])
def test_a_record_without_a_start_goes_on_with_it(std: float, tmp_path: Path) -> None:
    """And its summary is of the best, whatever else was run before."""
    before = runs(tmp_path, ONE)
    after = runs(tmp_path, replace(ONE, stds=(std,)))
    kept = experiments.load(tmp_path / "tiny.json")
    assert all(run in kept.runs for run in before)
    tried = [run for run in after if run.seed == 0]
    assert [run.std for run in tried] == [None, None, std, std]
    best = max(tried, key=lambda run: run.merit)
    (line,) = kept.summary()
    assert (line.start, line.learning_rate) == (best.start, best.learning_rate)
    assert line.scores == (best.score, after[-1].score)
    assert after[-1].setting == best.setting
    assert runs(tmp_path, replace(ONE, stds=(std,))) == after  # all are known


def test_a_start_is_told_in_words() -> None:
    trial = TINY.trials[0]
    small = replace(trial, config=replace(trial.config, std=0.02))
    assert done(trial).start == "1/sqrt(inputs)"
    assert done(small).start == "0.02"


def test_all_models_of_a_task_see_the_same_batches_for_as_many_steps() -> None:
    for task in TINY.tasks:
        trainings = [t.training for t in TINY.trials if t.task == task]
        assert len(set(trainings)) == 1
        rows = trainings[0].batch_size
        assert rows * task.input_length <= 64 < (rows + 1) * task.input_length


def done(trial: Trial, **fields: Any) -> Run:
    """What might have come out of a trial."""
    made = {"sizes": {}, "chance": 0.5, "parameters": 1, "steps": 1, "score": 0.5}
    made |= {"held_out": 0.5, "loss": 1.0, "seconds": 1.0, "curve": ()}
    rate, seed = trial.training.learning_rate, trial.seed
    known = {"key": trial.key, "model": trial.model, "task": "a task"}
    known |= {"std": trial.config.std, "learning_rate": rate, "seed": seed}
    return TaskRun(**(known | made | fields))


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        ({"held_out": 0.3}, {"held_out": 0.4}, 1e-2),
        ({"held_out": 0.4}, {"held_out": 0.3}, 1e-3),
        ({"loss": 0.8}, {"loss": 0.9}, 1e-3),
        ({"loss": 0.9}, {"loss": 0.8}, 1e-2),
        ({"held_out": -0.1}, {"held_out": 0.0, "loss": None}, 1e-3),  # it diverged
        ({"held_out": 0.7, "loss": None}, {"held_out": 0.1}, 1e-2),
    ],
)
def test_the_other_seeds_use_the_rate_that_did_best_on_held_out_rows(
    first: dict[str, Any], second: dict[str, Any], chosen: float
) -> None:
    one = replace(TINY, tasks=TINY.tasks[:1], models={"hyena": "hyena"})
    plan = one.plan(seeds=3)
    trial = next(plan)
    trial = plan.send(done(trial, **first))
    trial = plan.send(done(trial, **second))
    assert (trial.seed, trial.training.learning_rate) == (1, chosen)
    results = [
        done(replace(t, training=replace(t.training, learning_rate=rate)), **fields)
        for t, rate, fields in [(trial, 1e-3, first), (trial, 1e-2, second)]
    ]
    found = experiments.Results("", "", "", "", {}, {}, 1, tuple(results))
    assert found.summary()[0].learning_rate == chosen


def test_a_model_that_has_reached_the_goal_is_not_tried_at_other_rates() -> None:
    plan = TINY.plan(seeds=1)
    rates, trial = [], next(plan)
    while trial.model == "hyena" and trial.task == TINY.tasks[0]:
        rates.append(trial.training.learning_rate)
        trial = plan.send(done(trial, held_out=1.0))
    assert rates == [1e-3]


def test_a_run_ends_once_it_has_reached_the_goal_twice_in_a_row() -> None:
    trial = replace(TINY.trials[0], goal=0.0)
    longer = replace(trial, training=replace(trial.training, steps=20))
    assert longer.run().steps == 4  # looked at after 2 and 4
    never = replace(longer, goal=1.1)
    assert never.run().steps == 20


@pytest.mark.parametrize("task", [AssociativeRecall(6, 4), Majority(2, 5)])
def test_what_is_tested_was_neither_learned_nor_used_to_choose(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even of a task with so few rows that most are met again and again."""
    monkeypatch.setattr(trials, "TEST_ROWS", (6, 6))
    monkeypatch.setattr(trials, "HELD_OUT_ROWS", (5, 5))
    lessons = Lessons(replace(TINY, tasks=(task,)).trials[0])
    g, length = torch.Generator().manual_seed(0), task.input_length
    learned = [lessons.batch("train", 9, length, generator=g) for _ in range(40)]
    rows = {tuple(r) for batch in learned for r in batch.inputs.tolist()}
    held_out, test = (
        {tuple(r) for r in part.inputs.tolist()}
        for part in (lessons.held_out, lessons.test)
    )
    assert held_out != test
    assert not rows & (held_out | test)
    for batch in learned:
        assert len(batch.inputs) == 9
        assert torch.equal(task.for_training.solve(batch.inputs), batch.labels)


def test_a_task_that_is_all_test_is_refused() -> None:
    trial = replace(TINY, tasks=(AssociativeRecall(4, 2),)).trials[0]  # one row
    with pytest.raises(ValueError, match="too few different rows to keep 1 of them"):
        trial.run()


def test_what_is_used_to_choose_is_not_what_is_tested() -> None:
    lessons = Lessons(replace(TINY, tasks=(AssociativeRecall(40, 64),)).trials[0])
    rows = torch.cat([lessons.held_out.inputs, lessons.test.inputs])
    assert len(torch.unique(rows, dim=0)) == len(rows)
    answers = (lessons.held_out.labels != -100).sum(1)
    assert (answers == 1).all()  # the last alone, whatever was trained on
    g = torch.Generator().manual_seed(0)
    assert (lessons.batch("train", 4, 66, generator=g).labels != -100).sum() > 20


def test_prompts_begin_short_and_end_whole_with_as_many_tokens_in_every_step() -> None:
    task = AssociativeRecall(8, 64)
    staged = replace(
        TINY, tasks=(task,), steps=10, tokens=660, length_warmup=((0.5, 8), (0.8, 16))
    )
    lessons = Lessons(staged.trials[0])
    g = torch.Generator().manual_seed(0)
    shapes = [
        tuple(lessons.batch("train", 10, 66, generator=g).inputs.shape)
        for _ in range(10)
    ]
    assert shapes == 5 * [(66, 10)] + 3 * [(36, 18)] + 2 * [(10, 66)]
    assert lessons.windows("validation", 66).inputs.shape[1] == 66


def test_short_prompts_are_no_more_tokens_though_one_whole_prompt_is() -> None:
    task = AssociativeRecall(8, 64)
    staged = replace(
        TINY, tasks=(task,), steps=10, tokens=33, length_warmup=((0.5, 8),)
    )
    trial = staged.trials[0]
    assert trial.training.batch_size == 1  # of 66 tokens
    lessons, g = Lessons(trial), torch.Generator().manual_seed(0)
    assert lessons.batch("train", 1, 66, generator=g).inputs.shape == (3, 10)


def test_a_stage_longer_than_the_task_plays_no_part() -> None:
    staged = replace(
        TINY, tasks=(AssociativeRecall(8, 16),), length_warmup=((0.9, 32),)
    )
    lessons = Lessons(staged.trials[0])
    assert lessons.batch("train", 4, 18, generator=torch.Generator()).inputs.shape == (
        4,
        18,
    )


def test_a_changed_default_makes_another_key_and_a_later_field_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = TINY.trials[0]
    said = trials.plain(trial.config)
    assert said["kind"] == "LMConfig"
    assert said["mixer"]["filter"]["sine_frequency"] == 1.0  # at its default, told
    monkeypatch.setattr(trials, "LATER", {("LMConfig", "width"), ("LMConfig", "depth")})
    later = trials.plain(trial.config)
    assert "depth" not in later  # at its default
    assert later["width"] == 8  # not at its default


def test_every_setting_but_start_rate_seed_and_device_makes_another_key() -> None:
    trial = TINY.trials[0]
    same = [
        replace(trial, seed=3),
        replace(trial, config=replace(trial.config, std=3.0)),
        replace(trial, training=replace(trial.training, learning_rate=0.5)),
        replace(trial, training=replace(trial.training, device="cuda")),
    ]
    others = [
        replace(trial, model="other"),
        replace(trial, goal=0.5),
        replace(trial, width=9),
        replace(trial, stages=((0.5, 4, 7),)),
        replace(trial, task=AssociativeRecall(8, 10)),
        replace(trial, config=replace(trial.config, depth=3)),
        replace(trial, config=replace(trial.config, mixer=HyenaConfig(short_taps=4))),
        replace(trial, training=replace(trial.training, steps=5)),
    ]
    assert {t.key for t in same} == {trial.key}
    assert len({t.key for t in [trial, *others]}) == 1 + len(others)


def test_a_trial_is_the_same_every_time() -> None:
    trial = TINY.trials[0]
    one, two, other = (
        replace(t.run(), seconds=0.0) for t in (trial, trial, replace(trial, seed=1))
    )
    assert one == two
    assert one.curve != other.curve or one.loss != other.loss


def test_another_seed_starts_from_other_weights_and_learns_from_other_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def look(
        model: LanguageModel, lessons: Lessons, _: TrainConfig, generator: Any
    ) -> Iterator[Any]:
        batch = lessons.batch("train", 4, 14, generator=generator)
        seen.append((model.embedding.weight.detach().clone(), batch.inputs))
        return iter(())

    monkeypatch.setattr(trials, "train", look)
    trial = TINY.trials[0]
    for one in (trial, replace(trial, seed=1), trial):
        one.run()
    for first, other, again in zip(*seen, strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_a_model_that_diverges_has_no_loss_and_the_least_merit(tmp_path: Path) -> None:
    task = LinearFunctions(3, 6)
    wild = replace(TINY, tasks=(task,), learning_rates=(1e6, 1e-3), steps=20)
    bad, good = list(experiments.run(replace(wild, models={"h": "hyena"}), 1, tmp_path))
    assert bad.loss is None
    assert bad.steps < 20
    assert bad.merit < good.merit
    assert experiments.load(tmp_path / "tiny.json").summary()[0].learning_rate == 1e-3


# What is kept of it


def test_the_file_tells_how_it_was_made(whole: Path) -> None:
    found = experiments.load(whole / "tiny.json")
    assert found.experiment == "tiny"
    assert found.question == "Is it kept?"
    assert found.command == "python -m minihyena experiment tiny --seeds 2 --steps 4"
    assert found.versions["torch"] == version("torch")
    assert {(run.device, run.processes) for run in found.runs} == {("cpu", 1)}
    assert found.machine["cores"] >= 1
    assert str(ROOT) not in (whole / "tiny.json").read_text()


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_a_run_that_was_stopped_goes_on_where_it_was(
    after: int, tmp_path: Path, whole: Path
) -> None:
    going = experiments.run(TINY, 2, tmp_path)
    for _ in range(after):
        next(going)
    going.close()
    made: list[Trial] = []

    def watch(trial: Trial, *_: Any) -> None:
        if trial not in made:
            made.append(trial)

    found = list(experiments.run(TINY, 2, tmp_path, watch=watch))
    assert len(made) == TRIALS - after
    assert without_time(found) == without_time(
        list(experiments.load(whole / "tiny.json").runs)
    )


def test_more_seeds_later_add_only_theirs(tmp_path: Path) -> None:
    first = {run.setting: run for run in runs(tmp_path, seeds=1)}
    assert len(first) == 8
    assert len(runs(tmp_path, seeds=2)) == TRIALS
    later = experiments.load(tmp_path / "tiny.json").runs
    assert {r.setting: r for r in later if r.seed == 0} == first  # their time as well
    runs(tmp_path, seeds=1)  # fewer again: nothing is lost
    assert set(map(repr, experiments.load(tmp_path / "tiny.json").runs)) == set(
        map(repr, later)
    )


COMMAND = [sys.executable, "-m", "minihyena", "experiment", "first_look"]
QUICK = ["--steps", "40", "--seeds", "2", "--threads", "1"]


@pytest.mark.parametrize("wait", [0.0, 0.7, 1.9])
def test_a_killed_process_leaves_every_finished_run(
    wait: float, tmp_path: Path
) -> None:
    path = tmp_path / "first_look_40_steps.json"
    command = [*COMMAND, *QUICK, "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        began = time.monotonic()
        while not path.exists() and time.monotonic() - began < 60:
            time.sleep(0.02)
        time.sleep(wait)
        process.kill()
    before = experiments.load(path).runs
    assert before
    found = list(experiments.run(fewer(40), 2, tmp_path))
    assert without_time(found)[: len(before)] == without_time(list(before))
    assert [r.seconds for r in found[: len(before)]] == [r.seconds for r in before]
    assert len(found) == 4


TASKS = {name: e for name, e in EXPERIMENTS.items() if isinstance(e, Experiment)}
FIRST = TASKS["first_look"]


def fewer(steps: int) -> Experiment:
    """As the command makes it with --steps."""
    return replace(FIRST, name=f"first_look_{steps}_steps", steps=steps)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_the_command_and_keeps_what_is_done(tmp_path: Path) -> None:
    command = [*COMMAND, "--seeds", "9", "--out", str(tmp_path), "--threads", "1"]
    path = tmp_path / "first_look.json"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,  # and as in a terminal, where Ctrl-C is not ignored:
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        began = time.monotonic()
        while not path.exists() and time.monotonic() - began < 60:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert experiments.load(path).runs


@pytest.mark.parametrize("cut", [2, 40, 400])
def test_a_file_that_was_cut_off_gives_back_its_whole_runs(
    cut: int, tmp_path: Path, whole: Path
) -> None:
    text = (whole / "tiny.json").read_text()
    path = tmp_path / "tiny.json"
    path.write_text(text[:-cut])
    with pytest.raises(ValueError, match="cannot be read as records"):
        experiments.load(path)
    said: list[str] = []
    found = list(experiments.run(TINY, 2, tmp_path, say=said.append))
    assert [r.seconds for r in found[:10]] == [
        r.seconds for r in experiments.load(whole / "tiny.json").runs[:10]
    ]
    assert len(experiments.load(path).runs) == TRIALS
    assert "is damaged" in said[0]
    assert "kept as" in said[1]
    assert (tmp_path / "tiny.1.json.old").read_text() == text[:-cut]


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", "not json", '{"rows": 3}'])
def test_a_file_that_is_something_else_is_laid_aside(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(text)
    said: list[str] = []
    next(iter(experiments.run(TINY, 1, tmp_path, say=said.append)))
    assert (tmp_path / "tiny.1.json.old").read_text() == text
    assert ["damaged" in told for told in said] == [True, False]
    assert len(experiments.load(path).runs) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"score": "abc"},
        {"seed": "0"},
        {"held_out": None},
        {"curve": 5},
        {"key": [1]},
        {"learning_rate": [1]},
        {"std": "0.02"},
        {"loss": float("nan")},
        {"unheard of": 1},
    ],
)
def test_a_row_with_wrong_values_is_made_again(
    change: dict[str, Any], tmp_path: Path, whole: Path
) -> None:
    path = tmp_path / "tiny.json"
    head = json.loads((whole / "tiny.json").read_text())
    good = experiments.load(whole / "tiny.json").runs
    head["rows"][1] |= change
    path.write_text(json.dumps(head))
    said: list[str] = []
    found = list(experiments.run(TINY, 2, tmp_path, say=said.append))
    assert without_time(found) == without_time(list(good))
    assert "damaged" in said[0]
    assert (tmp_path / "tiny.1.json.old").exists()


def test_rows_that_the_plan_does_not_have_are_not_believed(
    tmp_path: Path, whole: Path
) -> None:
    path = tmp_path / "tiny.json"
    head = json.loads((whole / "tiny.json").read_text())
    head["rows"] += [head["rows"][0], head["rows"][0] | {"learning_rate": 0.5}]
    path.write_text(json.dumps(head))
    good = experiments.load(whole / "tiny.json")
    list(experiments.run(TINY, 2, tmp_path, say=lambda _: None))
    assert experiments.load(path).runs == good.runs
    assert experiments.load(path).summary() == good.summary()


@pytest.mark.parametrize("field", ["tasks", "models", "widths", "learning_rates"])
def test_an_experiment_without_something_to_compare_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"has no {field}"):
        replace(TINY, **{field: ()})


def test_stages_of_a_task_without_length_are_refused() -> None:
    with pytest.raises(ValueError, match="must be recall"):
        replace(TINY, length_warmup=((0.5, 4),))


def test_runs_of_other_settings_are_not_mixed_in(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_text((whole / "tiny.json").read_text())
    said: list[str] = []
    changed = replace(TINY, steps=3)
    found = list(experiments.run(changed, 1, tmp_path, say=said.append))
    assert {r.steps for r in found} == {3}
    assert {r.steps for r in experiments.load(path).runs} == {3}
    assert "12 runs" in said[0]
    assert "other settings" in said[0]
    assert "kept as" in said[1]
    assert (tmp_path / "tiny.1.json.old").exists()


def test_two_runs_never_write_the_same_file(tmp_path: Path) -> None:
    going = experiments.run(TINY, 1, tmp_path)
    next(going)
    with pytest.raises(RuntimeError, match="another run is writing"):
        next(experiments.run(TINY, 1, tmp_path))
    going.close()
    next(experiments.run(TINY, 1, tmp_path))  # now it may


def test_a_second_command_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with FileLock(tmp_path / "first_look.json.lock"):
        done = subprocess.run(
            [*COMMAND, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 1
    assert "another run is writing" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seeds must be at least 1; got 0"):
        next(experiments.run(TINY, 0, tmp_path))


def test_another_number_of_steps_is_a_record_of_its_own(tmp_path: Path) -> None:
    command = [*COMMAND, "--seeds", "1", "--threads", "1", "--out", str(tmp_path)]
    subprocess.run([*command, "--steps", "2"], cwd=ROOT, check=True)
    [path] = tmp_path.glob("*.json")
    assert path.name == "first_look_2_steps.json"
    found = experiments.load(path)
    assert found.command.endswith("experiment first_look --seeds 1 --steps 2")
    assert {run.steps for run in found.runs} == {2}


def test_numbers_that_json_has_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        records.write(tmp_path / "some.json", {}, [{"b": math.inf}])


def test_records_keep_the_old_file_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some.json"
    records.write(path, {"a": 1}, [{"b": 2}, {"b": None}])
    assert records.read(path) == ({"a": 1}, [{"b": 2}, {"b": None}])
    before = path.read_text()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        records.write(path, {"a": 2}, [])
    assert path.read_text() == before
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("cut", range(1, 60))
def test_no_cut_file_is_read_as_if_it_were_whole(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    rows = [{"n": n, "text": "x, y}"} for n in range(3)]
    records.write(path, {"head": [1, 2]}, rows)
    text = path.read_text().rstrip()
    path.write_text(text[:-cut])
    with pytest.raises(ValueError, match="cannot be read as records"):
        records.read(path)
    assert records.rescue(path) == rows[: len(records.rescue(path))]


# Several processes


def test_two_processes_are_one_with_the_same_batches(tmp_path: Path) -> None:
    """torchrun with gloo: the losses of one process with the same global batch."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", *COMMAND[2:]]
    out = ["--out", str(tmp_path / "two")]
    steps = ["--steps", "50", "--seeds", "1", "--threads", "1"]
    done = subprocess.run(
        [*command, *steps, *out], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written to") == 1  # one of them speaks
    two = experiments.load(tmp_path / "two" / "first_look_50_steps.json").runs
    one = list(experiments.run(fewer(50), 1, tmp_path / "one"))
    assert [r.key for r in two] == [r.key for r in one]
    for mine, theirs in zip(one, two, strict=True):
        assert theirs.loss == pytest.approx(mine.loss, abs=1e-4)
        assert (mine.processes, theirs.processes) == (1, 2)
        assert theirs.score == pytest.approx(mine.score, abs=0.005)


# What is in the list


@pytest.mark.parametrize("name", TASKS)
def test_every_experiment_can_be_run(name: str) -> None:
    """Every model fits its task: two steps, at a length that a test can afford."""
    experiment = TASKS[name]
    assert experiment.name == name
    sizes = {}
    for trial in experiment.trials:
        sizes.setdefault((trial.task, trial.width), []).append(trial.parameters)
    for counts in sizes.values():
        assert max(counts) / counts[0] - 1 <= 0.02
        assert 1 - min(counts) / counts[0] <= 0.02
    shorter = {
        replace(t, length=min(t.length, 128)) if hasattr(t, "length") else t: None
        for t in experiment.tasks
    }
    small = replace(
        experiment,
        tasks=tuple(shorter)[:2],
        widths=experiment.widths[:1],
        steps=2,
        tokens=256,
    )
    for trial in small.trials:
        source = Examples(trial.task.for_training, 2)
        model = trial.build(torch.Generator().manual_seed(0))
        records_ = list(
            train(model, source, trial.training, generator=torch.Generator())
        )
        assert len(records_) == 2


def test_the_longest_recall_is_the_one_of_the_abstract() -> None:
    [task] = TASKS["recall_131k"].tasks
    assert task == AssociativeRecall(30, 131_072)
    parameters = {t.model: t.parameters for t in TASKS["recall_131k"].trials}
    assert "hyena" in parameters
    assert len(parameters) > 1


def test_the_quick_recipe_differs_from_the_textbook_in_its_start_alone() -> None:
    quick, textbook = RECIPES["quick"], RECIPES["textbook"]
    task = AssociativeRecall(12, 128)
    assert quick.training == textbook.training
    mine, theirs = (RECIPES[name].config(task) for name in ("quick", "textbook"))
    same = replace(mine, std=theirs.std, mixer=theirs.mixer)
    assert same == theirs
    wider = parameter_count(mine) - parameter_count(theirs)
    assert 0 < wider < 0.02 * parameter_count(theirs)  # four more features


def test_the_experiments_are_listed_by_the_command() -> None:
    done = subprocess.run(COMMAND[:-1], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert all(name in done.stdout for name in EXPERIMENTS)


def test_an_unknown_experiment_is_named_with_the_nearest() -> None:
    done = subprocess.run(
        [*COMMAND[:-1], "recal_filters"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "recall_filters" in done.stderr


# The recorded ones


RECORDED = {path.stem for path in (ROOT / "data/results").glob("*.json")}


@pytest.mark.parametrize("name", sorted(RECORDED & TASKS.keys()))
def test_every_recorded_experiment_belongs_to_its_plan(name: str) -> None:
    found = experiments.load(name)
    plan = TASKS[name]
    tries = [trial for first in plan.trials for trial in plan.tries(first)]
    assert {run.setting for run in found.runs} <= {trial.setting for trial in tries}
    text = (ROOT / f"data/results/{name}.json").read_text()
    assert json.loads(text)["experiment"] == name
