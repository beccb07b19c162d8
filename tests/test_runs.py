"""A run on disk: it survives anything, and goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minihyena import LanguageModel, LMConfig, TrainConfig, runs, train
from minihyena.corpora import ByteTokenizer, CharacterTokenizer, Corpus
from minihyena.run_log import read_log
from minihyena.training import Diverged, Record, Training

TEXT = "the hyena laughs, the hyena listens. " * 40
LENGTH = 16
ROOT = Path(__file__).resolve().parents[1]


def corpus(text: str = TEXT, tokenizer: Any = None) -> Corpus:
    tokenizer = tokenizer or CharacterTokenizer.of(text)
    ids = tokenizer.encode(text)
    return Corpus("laughs", text, tokenizer, ids[:-300], ids[-300:])


def begin(
    text: Corpus | None = None, model: dict[str, Any] | None = None, **recipe: Any
) -> Training:
    """A run that has not begun, always from the same seeds."""
    text = text or corpus()
    sizes = {"max_length": LENGTH, "width": 16, "depth": 1, "dropout": 0.2}
    config = LMConfig(text.tokenizer.vocab_size, **(sizes | (model or {})))
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)  # of dropout
    net = LanguageModel(config, generator)
    options = {"length": LENGTH, "batch_size": 4, "evaluate_every": 3}
    recipe = {"steps": 12} | recipe
    return train(net, text, TrainConfig(**(options | recipe)), generator=generator)


def told(records: Iterator[Record]) -> list[tuple[Any, ...]]:
    """All that does not depend on the clock."""
    return [(r.step, r.loss, r.gradient_norm, r.validation_loss) for r in records]


def weights(run: Training) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in run.model.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "mine.safetensors"


# The state


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("mixer", ["hyena", "attention"])
def test_a_run_that_loads_a_state_goes_on_as_the_other_would_have(
    mixer: str, stop: int
) -> None:
    whole = begin(model={"mixer": mixer})
    expected = told(whole)
    first = begin(model={"mixer": mixer})
    for _ in range(stop):
        next(first)
    state = {name: t.clone() for name, t in first.state_dict().items()}
    list(first)  # what became of the first does not matter
    torch.manual_seed(99)
    second = begin(model={"mixer": mixer})
    torch.manual_seed(99)
    second.load_state_dict(state)
    assert told(second) == expected[stop:]
    assert_same(weights(second), weights(whole))


def test_a_state_asked_for_changes_nothing() -> None:
    run = begin()
    records = []
    for record in run:
        run.state_dict()
        records.append(record)
    assert told(iter(records)) == told(begin())


def test_the_best_model_and_the_patience_spent_are_part_of_the_state() -> None:
    options = {"patience": 2, "learning_rate": 0.3, "warmup": 0.0, "steps": 60}
    expected = told(whole := begin(**options))
    assert len(expected) < 60  # patience ended it
    first = begin(**options)
    for _ in range(len(expected) - 2):
        next(first)
    state = first.state_dict()
    second = begin(**options)
    second.load_state_dict(state)
    assert told(second) == expected[-2:]
    assert_same(weights(second), weights(whole))


def test_the_last_good_state_survives_too() -> None:
    """After a divergence right behind the resumed step the same model is put back."""
    found = []
    for resumed in (False, True):
        run = begin(learning_rate=1e30, warmup=0.5, evaluate_every=100)
        next(run)
        if resumed:
            state = run.state_dict()
            run = begin(learning_rate=1e30, warmup=0.5, evaluate_every=100)
            run.load_state_dict(state)
        with pytest.raises(Diverged):
            list(run)
        found.append(weights(run))
    assert_same(*found)


def test_a_run_broken_off_within_a_step_has_no_state_and_takes_no_other() -> None:
    class Failing:
        def __init__(self) -> None:
            self.corpus, self.batches = corpus(), 0

        def batch(self, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
            self.batches += 1
            if self.batches == 2:
                raise KeyboardInterrupt
            return self.corpus.batch(*args, **options)

        def windows(self, *args: Any) -> tuple[Tensor, Tensor]:
            return self.corpus.windows(*args)

    run = begin()
    run.source = Failing()
    next(run)
    with pytest.raises(KeyboardInterrupt):
        next(run)
    assert not run.between_steps
    with pytest.raises(RuntimeError, match="within a step"):
        run.state_dict()
    assert list(run) == []


def test_a_state_of_another_model_is_refused() -> None:
    run = begin()
    next(run)
    with pytest.raises(ValueError, match="state of another run"):
        begin(model={"width": 8}).load_state_dict(run.state_dict())


# On disk


def test_a_kept_run_that_was_left_goes_on_with_the_same_numbers(place: Path) -> None:
    expected = told(whole := begin())
    found = []
    for most in (1, 4, 2, 99):  # left three times
        run = begin()
        for taken, record in enumerate(runs.keep(run, place), start=1):
            found.append(record)
            if taken == most:
                break
    assert told(iter(found)) == expected
    assert_same(weights(run), weights(whole))
    assert told(iter(read_log(place))) == expected
    assert list(runs.keep(begin(), place)) == []  # it has ended


def test_what_is_kept_is_two_states_and_a_table(place: Path) -> None:
    list(runs.keep(begin(), place, seconds=0.0))
    names = {path.name for path in place.parent.iterdir()}
    assert names - {"mine.run.lock"} == {"mine.run", "mine.run.old", "mine.csv"}
    assert runs.load(place).step == 12  # type: ignore[union-attr]
    place.with_suffix(".run").unlink()
    assert runs.load(place).step == 11  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["m.v1", "x.run", "x.csv", "ü", ".hidden", "a b.c.d"])
def test_no_name_makes_two_runs_share_a_file(name: str, tmp_path: Path) -> None:
    made = []
    for place in (tmp_path / name, tmp_path / "m.v2"):
        before = {*tmp_path.iterdir()}
        list(runs.keep(begin(steps=2), place, seconds=0.0))
        made.append({*tmp_path.iterdir()} - before)
        assert place not in made[-1]  # it is the checkpoint's
    assert [len(files) for files in made] == [4, 4]


def test_notes_come_back(place: Path) -> None:
    list(runs.keep(begin(), place, notes={"mine": [1, "ü"]}))
    kept = runs.load(place)
    assert kept is not None
    assert kept.notes == {"mine": [1, "ü"]}
    assert kept.progress == 1.0


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "head"])
def test_a_damaged_state_gives_way_to_the_one_before_it(
    damage: str, place: Path
) -> None:
    expected = told(begin())
    list(runs.keep(begin(steps=12), place, seconds=0.0))
    newest = place.with_suffix(".run")
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        del content[-100:]
    elif damage == "flipped":
        content[-50] ^= 1
    elif damage == "empty":
        content.clear()
    elif damage == "other":
        content = bytearray(b"a letter to my mother" * 20)
    else:
        content[0] ^= 255
    newest.write_bytes(content)
    again = begin()
    with pytest.warns(UserWarning, match="the state before it is taken"):
        records = list(runs.keep(again, place))
    assert told(iter(records)) == expected[11:]


def test_if_no_state_can_be_read_that_is_said_and_nothing_is_overwritten(
    place: Path,
) -> None:
    list(runs.keep(begin(), place, seconds=0.0))
    for suffix in (".run", ".run.old"):
        place.with_suffix(suffix).write_bytes(b"gone")
    with pytest.raises(ValueError, match="no state of the run can be read"):
        list(runs.keep(begin(), place))
    assert place.with_suffix(".run").read_bytes() == b"gone"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"learning_rate": 0.5}, "training learning_rate was 0.008 and is 0.5"),
        ({"steps": 13}, "training steps was 12 and is 13"),
        ({"model": {"width": 24}}, "model width was 16 and is 24"),
        ({"model": {"mixer": "h3"}}, "model mixer kind was hyena and is h3"),
        (
            {"text": corpus(TEXT.replace("laughs", "sleeps"))},
            "vocab_size was 14 and is 13",
        ),
        ({"text": corpus(TEXT.replace("hyena", "henya"))}, "text SHA-256 was"),
        ({"text": corpus(tokenizer=ByteTokenizer())}, "vocab_size was 14 and is 256"),
    ],
)
def test_a_run_of_other_settings_or_of_another_text_is_refused(
    other: dict[str, Any], words: str, place: Path
) -> None:
    next(steps := runs.keep(begin(), place))
    steps.close()  # type: ignore[attr-defined]
    before = place.with_suffix(".run").read_bytes()
    with pytest.raises(ValueError, match=f"another one: .*{words}"):
        list(runs.keep(begin(**other), place))
    assert place.with_suffix(".run").read_bytes() == before


def test_another_device_is_no_other_run() -> None:
    assert "device" not in runs.settings(begin())["training"]


def test_the_name_of_a_text_does_not_matter_but_its_split_does() -> None:
    one = corpus()
    named = Corpus("x", "", one.tokenizer, one.train, one.validation)
    assert one.about == named.about
    cut = len(one.train) - 1
    both = torch.cat([one.train, one.validation])
    other = Corpus("laughs", TEXT, one.tokenizer, both[:cut], both[cut:])
    assert one.sha256 != other.sha256


def full_disk(monkeypatch: pytest.MonkeyPatch, works: int) -> None:
    """The disk takes `works` more files, and is full then."""
    fsync, left = os.fsync, [works]

    def sync(number: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        fsync(number)

    monkeypatch.setattr(os, "fsync", sync)


@pytest.mark.filterwarnings("default")  # simplefilter below lasts for this test
def test_a_full_disk_is_a_warning_while_the_run_goes_on_and_an_error_at_its_end(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = runs.keep(begin(), place, seconds=0.0)
    for _ in range(3):
        next(steps)
    full_disk(monkeypatch, 0)
    with pytest.warns(UserWarning, match=r"step 4 .*No space left.*kept is step 3"):
        next(steps)
    warnings.simplefilter("ignore")
    with pytest.raises(OSError, match="No space left"):
        list(steps)
    monkeypatch.undo()
    kept = runs.load(place)
    assert kept is not None
    assert kept.step == 3  # whole
    again = begin()
    assert told(runs.keep(again, place)) == told(begin())[3:]


def test_two_runs_are_never_kept_at_one_place(place: Path) -> None:
    next(steps := runs.keep(begin(), place))
    code = f"from tests.test_runs import *; next(runs.keep(begin(), {str(place)!r}))"
    second = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert "another run is writing" in second.stderr
    assert len(list(steps)) == 11


def test_a_signal_waits_for_the_step_and_the_save(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()

    def interrupting(split: str, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        if run.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return batch(split, *args, **options)

    batch = run.source.batch
    monkeypatch.setattr(Corpus, "batch", lambda _, *a, **o: interrupting(*a, **o))
    with pytest.raises(KeyboardInterrupt):
        list(runs.keep(run, place))
    monkeypatch.undo()
    kept = runs.load(place)
    assert kept is not None
    assert kept.step == 5  # the step in hand was taken and saved
    assert told(runs.keep(begin(), place)) == told(begin())[5:]


def test_signals_do_afterwards_what_they_did_before(place: Path) -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    for _ in runs.keep(begin(), place):
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_thread_keeps_runs_too(place: Path) -> None:
    found: list[Record] = []
    thread = threading.Thread(target=lambda: found.extend(runs.keep(begin(), place)))
    thread.start()
    thread.join()
    assert told(iter(found)) == told(begin())


def test_a_divergence_leaves_the_last_state_that_was_saved(place: Path) -> None:
    options: dict[str, Any] = {"learning_rate": 1e30, "warmup": 0.5}
    steps = runs.keep(begin(**options), place, seconds=0.0)
    with pytest.raises(Diverged):
        list(steps)
    kept = runs.load(place)
    assert kept is not None
    assert all(t.isfinite().all() for n, t in kept.state.items() if n != "_lowest")


# The table


def test_the_table_gives_back_every_record(place: Path) -> None:
    records = list(runs.keep(begin(), place))
    assert read_log(place) == records
    assert place.with_suffix(".csv").read_text().startswith("step,loss,learning_rate,")


def test_a_table_of_something_else_is_refused(place: Path) -> None:
    place.parent.mkdir()
    place.with_suffix(".csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no log of a training run"):
        read_log(place)


def test_lines_after_the_state_and_half_a_line_go(place: Path) -> None:
    next(steps := runs.keep(begin(), place))
    steps.close()  # type: ignore[attr-defined]
    table = place.with_suffix(".csv")
    lines = table.read_text()
    ahead = lines.splitlines()[1].split(",", 1)[1]
    table.write_text(f"{lines}2,{ahead}\n3,2.5,0.0")
    assert told(runs.keep(begin(), place)) == told(begin())[1:]
    assert told(iter(read_log(place))) == told(begin())
