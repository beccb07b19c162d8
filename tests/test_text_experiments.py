"""Language-model twins: as large, with the same batches, and every run kept."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minihyena import (
    AttentionConfig,
    HyenaConfig,
    LanguageModel,
    LMConfig,
    __main__,
    corpora,
    evaluate,
    experiments,
)
from minihyena.experiments import (
    EXPERIMENTS,
    Text,
    TextExperiment,
    TextRun,
    TextTrial,
    Trial,
)
from minihyena.experiments import texts as texts_module
from minihyena.experiments.curves import curve_of
from minihyena.experiments.texts import HELD_OUT_TOKENS
from minihyena.experiments.trials import LATER, plain
from minihyena.rivals.attention import SlidingWindowConfig

ROOT = Path(__file__).parents[1]
WORDS = "the hyena laughs, the hyena listens; what it heard it tells. " * 40
MODELS: dict[str, Any] = {
    "hyena": HyenaConfig(),
    "transformer": AttentionConfig(),
    "transformer, short convolution": AttentionConfig(short_taps=3),
}


def tiny(folder: Path, words: str = WORDS, **changes: Any) -> TextExperiment:
    """Two lengths of a text in a file; the second with one seed."""
    path = folder / "words.txt"
    path.write_text(words)
    texts = Text(str(path), 32), Text(str(path), 16, seeds=1)
    made = TextExperiment("tiny", "Which?", texts, MODELS, steps=5, tokens=64)
    base = LMConfig(1, width=16, depth=1)
    return replace(made, **({"base": base, "learning_rates": (1e-3, 1e-2)} | changes))


def runs(made: TextExperiment, folder: Path, seeds: int = 2) -> list[TextRun]:
    found = list(experiments.run(made, seeds, folder, say=pytest.fail))
    assert all(isinstance(run, TextRun) for run in found)
    return found


def without_time(found: list[TextRun]) -> list[TextRun]:
    return [
        replace(
            r, seconds=0.0, pace=None, curve=tuple((s, 0.0, x) for s, _, x in r.curve)
        )
        for r in found
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextExperiment, Path]:
    """An experiment that ran to its end, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    made = tiny(folder)
    runs(made, folder)
    return made, folder


# What is compared


def twins() -> TextExperiment:
    made = EXPERIMENTS["lm-twins"]
    assert isinstance(made, TextExperiment)
    return made


def test_twins_are_as_large_get_as_many_tokens_and_as_many_steps() -> None:
    texts = tuple(text for text in twins().texts if text.corpus == "python-docs")
    trials = replace(twins(), texts=texts).trials
    assert len(trials) == 2 * 3
    for text in texts:
        mine = [trial for trial in trials if trial.text == text]
        assert [trial.model for trial in mine] == [*MODELS]
        assert [trial.config.mixer for trial in mine] == [*MODELS.values()]
        sizes = [trial.parameters for trial in mine]
        assert all(abs(size / sizes[0] - 1) <= 0.02 for size in sizes)
        assert len({trial.training for trial in mine}) == 1
        assert {trial.config.std for trial in mine} == {0.02}
    for training in {trial.training for trial in trials}:
        assert training.batch_size * training.length == 4096
        assert training.evaluate_windows == HELD_OUT_TOKENS // training.length
        assert training.steps == 20 * training.evaluate_every == 300


def test_the_text_that_is_told_first_is_run_first_and_with_every_seed() -> None:
    text, *others = twins().texts
    assert text == Text("tinyshakespeare", 2048)
    assert [other.seeds for other in others] == [1, 1, 1]


def test_every_model_is_tried_at_every_rate_and_goes_on_with_its_best(
    tmp_path: Path,
) -> None:
    plan, sent = tiny(tmp_path).plan(3), []
    trial: Trial = next(plan)
    done = trial.run()
    with suppress(StopIteration):
        while True:
            rate = trial.training.learning_rate
            sent.append((trial.subject.length, trial.model, rate, trial.seed))
            trial = plan.send(replace(done, loss=1e-3 / rate))
    tries = [(m, rate, 0) for m in MODELS for rate in (1e-3, 1e-2)]
    more = [(m, 1e-2, seed) for seed in (1, 2) for m in MODELS]
    assert sent == [(32, *t) for t in (*tries, *more)] + [(16, *t) for t in tries]


class Spied:
    """A corpus that remembers the batches it gave."""

    def __init__(self, corpus: corpora.Corpus) -> None:
        self.corpus, self.given = corpus, list[Tensor]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.corpus, name)

    def batch(self, *options: Any, **more: Any) -> tuple[Tensor, Tensor]:
        inputs, targets = self.corpus.batch(*options, **more)
        self.given.append(inputs)
        return inputs, targets


def test_all_models_see_the_same_batches_and_another_seed_others(
    tmp_path: Path,
) -> None:
    def seen(trial: TextTrial) -> Tensor:
        spied: Any = Spied(trial.corpus)
        replace(trial, corpus=spied).run()
        assert len(spied.given) == 5
        return torch.stack(spied.given)

    one, *others = tiny(tmp_path).trials[:3]
    batches = seen(one)
    assert batches.shape == (5, 2, 32)
    assert all(torch.equal(seen(other), batches) for other in others)
    assert not torch.equal(seen(replace(one, seed=1)), batches)


def test_an_experiment_without_something_to_compare_is_refused(tmp_path: Path) -> None:
    for name in ("texts", "models", "learning_rates"):
        with pytest.raises(ValueError, match=f"has no {name}"):
            tiny(tmp_path, **{name: ()})


def test_the_short_filters_of_a_transformer_do_not_decay() -> None:
    config = LMConfig(9, 32, 16, 1, AttentionConfig(short_taps=3))
    model = LanguageModel(config, torch.Generator().manual_seed(0))
    groups = model.parameter_groups(1e-3, 0.1)
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert any("in_proj" in name for name in names)
    assert not any("short_filter" in name for name in names)


# What a run says


def test_a_run_says_what_is_needed_to_judge_it(
    whole: tuple[TextExperiment, Path],
) -> None:
    made, folder = whole
    found = experiments.load(folder / "tiny.json")
    trials = {trial.key: trial for trial in made.trials}
    assert len(found.runs) == 6 + 3 + 6
    for run in found.runs:
        assert isinstance(run, TextRun)
        trial = trials[run.key]
        model = trial.build(torch.Generator())
        assert run.model == trial.model
        assert run.sha256 == trial.corpus.sha256
        assert (run.width, run.depth) == (trial.config.width, 1)
        assert run.parameters == model.parameter_count()
        assert (run.length, run.steps, run.tokens) == (trial.text.length, 5, 64)
        assert run.flops == 3 * model.flops(run.length, 64 // run.length)
        masked = 4 * run.width * run.length * (run.length - 1) / 2
        rows = 64 // run.length * ("transformer" in run.model)
        assert run.flops - run.flops_causal == pytest.approx(3 * rows * masked)
        assert [step for step, _, _ in run.curve] == [1, 2, 3, 4, 5]
        assert list(run.curve) == sorted(run.curve)


def test_the_loss_is_of_all_that_is_held_out_the_curve_of_some_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments.texts, "HELD_OUT_TOKENS", 64)
    trial = tiny(tmp_path).trials[0]
    run = trial.run()
    model, steps = trial.begun(trial.corpus)
    assert len(list(steps)) == 5
    loss, some = (evaluate(model, trial.corpus, 32, windows=w) for w in (None, 2))
    assert run.loss == pytest.approx(loss, abs=1e-4)
    assert run.curve[-1][2] == pytest.approx(some, abs=1e-4)
    assert abs(loss - some) > 1e-3


def test_a_model_that_diverges_has_no_loss_and_the_least_merit(tmp_path: Path) -> None:
    wild = tiny(tmp_path, learning_rates=(1e30, 1e-3), models={"h": "hyena"})
    runs(wild, tmp_path, seeds=1)
    bad, good, *_ = runs(wild, tmp_path, seeds=1)  # with their pace
    assert (bad.loss, bad.learning_rate) == (None, 1e30)
    assert bad.steps < 5
    assert bad.merit < good.merit
    assert runs(wild, tmp_path, seeds=1)[0] == bad  # it is known
    assert experiments.load(tmp_path / "tiny.json").chosen()[0] == [good]
    assert "diverged h" in bad.told


def test_the_models_of_a_text_are_timed_in_turn_once_all_of_them_are_done(
    whole: tuple[TextExperiment, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = whole
    path = folder / "tiny.json"
    before, found = path.read_text(), experiments.load(path).runs
    paces = {(run.length, run.model): run.pace for run in found}  # type: ignore[attr-defined]
    assert len(paces) == 2 * 3
    assert all(pace and 0 < pace < 5 for pace in paces.values())
    monkeypatch.setattr(texts_module, "compare", lambda *_: pytest.fail("timed again"))
    runs(made, folder)
    assert path.read_text() == before


def test_seconds_are_told_at_that_pace(whole: tuple[TextExperiment, Path]) -> None:
    run = experiments.load(whole[1] / "tiny.json").runs[0]
    assert isinstance(run, TextRun)
    assert run.pace
    at_pace = [(step * run.pace, loss) for step, _, loss in run.curve]
    assert curve_of(run, "seconds") == at_pace
    measured = [(seconds, loss) for _, seconds, loss in run.curve]
    assert curve_of(replace(run, pace=None), "seconds") == measured


def test_texts_have_no_scores_to_summarise(whole: tuple[TextExperiment, Path]) -> None:
    with pytest.raises(ValueError, match="tiny is of texts, which have no scores"):
        experiments.load(whole[1] / "tiny.json").summary()


def test_every_setting_but_start_rate_seed_and_device_makes_another_key(
    tmp_path: Path,
) -> None:
    trial = tiny(tmp_path).trials[1]
    other_words = tiny(tmp_path, WORDS[1:]).trials[1]
    same = [
        replace(trial, seed=3),
        replace(trial, config=replace(trial.config, std=3.0)),
        replace(trial, training=replace(trial.training, learning_rate=0.5)),
        replace(trial, training=replace(trial.training, device="cuda")),
        replace(trial, text=replace(trial.text, seeds=7)),
    ]
    short = AttentionConfig(short_taps=3)
    others = [
        replace(trial, corpus=other_words.corpus),  # the name is the same
        replace(trial, text=replace(trial.text, corpus="other")),
        replace(trial, model="other"),
        replace(trial, config=replace(trial.config, mixer=short)),
        replace(trial, training=replace(trial.training, steps=6)),
        replace(trial, training=replace(trial.training, batch_size=3)),
    ]
    assert {t.key for t in same} == {trial.key}
    assert len({t.key for t in [trial, *others]}) == 1 + len(others)


@pytest.mark.parametrize("kind", [AttentionConfig, SlidingWindowConfig])
def test_attention_without_short_convolution_keeps_its_key(kind: type) -> None:
    assert (kind.__name__, "short_taps") in LATER
    assert "short_taps" not in plain(kind())
    assert plain(kind(short_taps=3))["short_taps"] == 3


# What is kept of it


@pytest.mark.parametrize("after", [1, 8])
def test_a_run_that_was_stopped_goes_on_where_it_was(
    after: int, tmp_path: Path, whole: tuple[TextExperiment, Path]
) -> None:
    made, folder = whole
    going = experiments.run(made, 2, tmp_path)
    for _ in range(after):
        next(going)
    going.close()
    again: list[Trial] = []

    def watch(trial: Trial, *_: Any) -> None:
        if trial not in again:
            again.append(trial)

    found: Any = list(experiments.run(made, 2, tmp_path, watch=watch))
    assert len(again) == 15 - after
    before: Any = experiments.load(folder / "tiny.json").runs
    assert without_time(found) == without_time(before)


def test_a_text_with_more_seeds_later_keeps_its_runs(tmp_path: Path) -> None:
    made = tiny(tmp_path, models={"hyena": "hyena"})
    before = runs(made, tmp_path)
    texts = tuple(replace(text, seeds=None) for text in made.texts)
    after = runs(replace(made, texts=texts), tmp_path)
    assert without_time(after[: len(before)]) == without_time(before)
    assert [(r.length, r.seed) for r in after[len(before) :]] == [(16, 1)]


def test_runs_on_another_text_of_the_same_name_are_laid_aside(tmp_path: Path) -> None:
    said: list[str] = []
    one = {"models": {"hyena": "hyena"}, "learning_rates": (1e-3,)}
    runs(tiny(tmp_path, **one), tmp_path, seeds=1)
    changed = tiny(tmp_path, WORDS[1:], **one)
    found = list(experiments.run(changed, 1, tmp_path, say=said.append))
    assert len(found) == 2
    assert "2 runs" in said[0]
    assert "other settings" in said[0]
    assert (tmp_path / "tiny.1.json.old").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": 5},
        {"flops": "many"},
        {"flops_causal": None},
        {"tokens": 1.5},
        {"loss": float("nan")},
        {"curve": [[1, 2.0]]},
        {"curve": [[1, 2.0, float("inf")]]},
        {"corpus": None},
        {"device": 0},
        {"score": 0.5},
    ],
)
def test_a_row_with_wrong_values_is_made_again(
    change: dict[str, Any], tmp_path: Path, whole: tuple[TextExperiment, Path]
) -> None:
    made, folder = whole
    lines = (folder / "tiny.json").read_text().splitlines()
    row = [n for n, line in enumerate(lines) if line.startswith("  {")][1]
    fields = json.loads(lines[row].rstrip(",")) | change
    lines[row] = f"  {json.dumps(fields)},"
    (tmp_path / "tiny.json").write_text("\n".join(lines))
    said: list[str] = []
    found: Any = list(experiments.run(made, 2, tmp_path, say=said.append))
    good: Any = experiments.load(folder / "tiny.json").runs
    assert without_time(found) == without_time(good)
    assert "damaged: 14 of its runs" in said[0]
    assert (tmp_path / "tiny.1.json.old").exists()


def test_the_command_runs_goes_on_with_and_lists_a_text_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny(tmp_path, models={"hyena": "hyena"})
    monkeypatch.setitem(EXPERIMENTS, "tiny", made)
    command = ["experiment", "tiny", "--seeds", "1", "--out", str(tmp_path)]
    assert __main__.main([*command, "--threads", "1"]) == 0
    found = experiments.load(tmp_path / "tiny.json")
    assert found.command == "python -m minihyena experiment tiny --seeds 1 --steps 5"
    assert __main__.main([*command, "--steps", "2"]) == 0
    shorter = experiments.load(tmp_path / "tiny_2_steps.json")
    assert {run.steps for run in shorter.runs} == {2}
    assert __main__.main(["experiment"]) == 0
    out = capsys.readouterr().out
    assert f"{found.runs[0].loss:.4f} hyena: " in out
    assert ", length 32; learning rate 0.001, start 0.02, seed 0, 5 steps in" in out
    assert "1 models,  2 sizes  Which?" in out
    assert "lm-twins" in out


SCRIPT = """
import sys
from pathlib import Path
from minihyena import experiments
from minihyena.processes import processes
from test_text_experiments import tiny

with processes("cpu"):
    folder = Path(sys.argv[1])
    made = tiny(folder, models={"hyena": "hyena"}, learning_rates=(1e-3,))
    print(len(list(experiments.run(made, 2, folder))))
"""


def test_two_processes_are_one_with_the_same_batches(tmp_path: Path) -> None:
    one = tiny(tmp_path, models={"hyena": "hyena"}, learning_rates=(1e-3,))
    alone = runs(one, tmp_path)
    (tmp_path / "tiny.json").unlink()
    (tmp_path / "two.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(tmp_path / "two.py"), str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    together = experiments.load(tmp_path / "tiny.json").runs
    assert [run.key for run in together] == [run.key for run in alone]
    for mine, theirs in zip(alone, together, strict=True):
        assert theirs.processes == 2
        assert theirs.loss == pytest.approx(mine.loss, abs=1e-3)
        assert theirs.flops == mine.flops


# What is recorded


def recorded() -> list[tuple[Text, list[TextRun]]]:
    """The texts of the twins that are recorded, and their runs."""
    if not (ROOT / "data/results/lm-twins.json").exists():
        return []
    found = [r for r in experiments.load("lm-twins").runs if isinstance(r, TextRun)]
    places = [(text, (text.corpus, text.length)) for text in twins().texts]
    return [
        (text, [run for run in found if (run.corpus, run.length) == place])
        for text, place in places
    ]


@pytest.mark.parametrize(("text", "found"), recorded())
def test_recorded_runs_belong_to_the_plan(
    text: Text,
    found: list[TextRun],
    shared: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the text is here, and the same: Python's own text changes with it."""
    if not found:
        pytest.skip(f"nothing is recorded yet of {text}")
    if corpora.CORPORA[text.corpus]:  # it would be downloaded
        cache = shared(f"data/{text.corpus}.txt").parent
        monkeypatch.setattr(corpora, "cache_folder", lambda: cache)
    corpus = corpora.load(text.corpus)
    if corpus.sha256 != found[0].sha256 and text.corpus == "python-docs":
        pytest.skip("another Python, another text")
    plan = replace(twins(), texts=(text,))
    tries = [trial for first in plan.trials for trial in plan.tries(first)]
    assert {run.setting for run in found} <= {trial.setting for trial in tries}
