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
from torch import Tensor, nn

from minihyena import LanguageModel, LMConfig, TrainConfig, run_log, runs, train
from minihyena.corpora import ByteTokenizer, CharacterTokenizer, Corpus
from minihyena.run_log import RunLog, read_log
from minihyena.tasks import MQAR, AssociativeRecall, Examples
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


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """As in a terminal: Ctrl-C is not ignored, whatever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
    with pytest.raises(RuntimeError, match="begin another"):
        next(run)


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
    steps.close()
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


def test_a_draft_is_whole_before_it_takes_the_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file that is given its name has been brought to the disk before."""
    synced: list[int] = []
    fsync, replaced = os.fsync, Path.replace

    def sync(number: int) -> None:
        synced.append(os.fstat(number).st_ino)
        fsync(number)

    def replace(self: Path, target: Path) -> Path:
        assert self.stat().st_ino in synced
        return replaced(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    list(runs.keep(begin(), place, seconds=0.0))
    assert len(synced) > 2 * 12


def test_a_fresh_run_replaces_what_was_kept_with_its_first_state(place: Path) -> None:
    list(runs.keep(begin(), place, seconds=0.0))
    before = place.with_suffix(".run").read_bytes()
    steps = runs.keep(begin(steps=5), place, fresh=True)
    next(steps)
    assert place.with_suffix(".run").read_bytes() == before  # nothing is saved yet
    assert told(steps) == told(begin(steps=5))[1:]
    assert runs.load(place).step == 5  # type: ignore[union-attr]
    assert not place.with_suffix(".run.old").exists()
    assert len(read_log(place)) == 5


def test_a_fresh_run_gets_past_damage(place: Path) -> None:
    list(runs.keep(begin(), place, seconds=0.0))
    for suffix in (".run", ".run.old"):
        place.with_suffix(suffix).write_bytes(b"gone")
    assert told(runs.keep(begin(), place, fresh=True)) == told(begin())


def test_a_damaged_state_never_replaces_the_one_that_saved_the_run(place: Path) -> None:
    list(runs.keep(begin(), place, seconds=0.0))
    place.with_suffix(".run").write_bytes(b"gone")
    with pytest.warns(UserWarning, match="the state before it is taken"):
        next(steps := runs.keep(begin(), place, seconds=0.0))
    steps.close()
    place.with_suffix(".run").unlink()
    assert runs.load(place).step == 11  # type: ignore[union-attr]


def test_time_is_part_of_the_state() -> None:
    run = begin(steps=None, minutes=5.0)
    run.seconds = 120.0
    again = begin(steps=None, minutes=5.0)
    again.load_state_dict(run.state_dict())
    assert again.seconds == 120.0
    assert again.progress == 0.4


def test_a_run_that_patience_has_ended_stays_ended() -> None:
    options: dict[str, Any] = {"patience": 2, "learning_rate": 0.3, "warmup": 0.0}
    list(run := begin(steps=60, **options))
    assert run.step < 60
    again = begin(steps=60, **options)
    again.load_state_dict(run.state_dict())
    assert list(again) == []


def test_a_state_is_a_copy() -> None:
    one, other = begin(), begin()
    next(one)
    state = one.state_dict()
    other.load_state_dict(state)
    list(one)
    now = other.state_dict()
    for name in ("random.0.cpu", "random.0.cuda"):  # shared by all runs of a process
        state.pop(name, None), now.pop(name, None)
    assert_same(state, now)


def test_a_state_without_optimiser_is_refused() -> None:
    next(run := begin())
    state = {n: t for n, t in run.state_dict().items() if "optimizer" not in n}
    with pytest.raises(ValueError, match="it has no optimiser"):
        begin().load_state_dict(state)


def test_a_plain_module_is_kept_whatever_its_layout(place: Path) -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            size = corpus().tokenizer.vocab_size
            self.table = nn.Parameter(torch.zeros(size, size).T)

        def forward(self, ids: Tensor) -> Tensor:
            return self.table[ids]

    config = TrainConfig(steps=6, length=LENGTH, batch_size=4)
    generator = torch.Generator().manual_seed(0)
    run = train(Plain(), corpus(), config, generator=generator)
    next(steps := runs.keep(run, place))
    steps.close()
    assert (
        len(
            list(
                runs.keep(train(Plain(), corpus(), config, generator=generator), place)
            )
        )
        == 5
    )


def test_another_task_or_no_generator_is_another_run(place: Path) -> None:
    def run(vocab_size: int, generator: torch.Generator | None) -> Training:
        task = AssociativeRecall(vocab_size, 16)
        model = LanguageModel(LMConfig(12, max_length=18, width=8, depth=1))
        config = TrainConfig(steps=3, length=18, batch_size=2)
        return train(model, Examples(task), config, generator=generator)

    draws = torch.Generator().manual_seed(0)
    next(steps := runs.keep(run(10, draws), place))
    steps.close()
    with pytest.raises(ValueError, match="task vocab_size was 10 and is 12"):
        next(runs.keep(run(12, draws), place))
    with pytest.raises(ValueError, match="generator was True and is False"):
        next(runs.keep(run(10, None), place))


def test_a_task_with_tables_of_its_own_is_kept_too(place: Path) -> None:
    """What a task has worked out for itself is no part of what it is."""
    source = Examples(MQAR(64, 16, 2))
    before = source.about
    model = LanguageModel(LMConfig(64, max_length=16, width=8, depth=1))
    config = TrainConfig(steps=2, length=16, batch_size=2)
    generator = torch.Generator().manual_seed(0)
    list(runs.keep(train(model, source, config, generator=generator), place))
    assert source.about == before == Examples(MQAR(64, 16, 2)).about
    assert before["task"]["kind"] == "MQAR"
    assert before["task"]["pairs"] == 2


def test_a_state_that_was_read_leaves_its_file_alone(place: Path) -> None:
    """Windows replaces no file that is still in use."""
    list(runs.keep(begin(), place))
    kept = runs.load(place)
    assert kept is not None
    read = {name: tensor.clone() for name, tensor in kept.state.items()}
    with place.with_suffix(".run").open("r+b") as file:
        file.write(bytes(place.with_suffix(".run").stat().st_size))
    assert_same(kept.state, read)


def test_a_fresh_run_is_never_without_a_state_that_can_be_read(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(runs.keep(begin(), place, seconds=0.0))

    def replace(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        list(runs.keep(begin(steps=5), place, fresh=True))
    assert runs.load(place).step == 12  # type: ignore[union-attr]


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


def test_a_signal_that_is_ignored_stays_ignored(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a command that was started with nohup."""
    batch, expected = Corpus.batch, told(begin())

    def told_to_stop(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        os.kill(os.getpid(), signal.SIGINT)  # within a step
        return batch(*args, **options)

    monkeypatch.setattr(Corpus, "batch", told_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found = []
    for record in runs.keep(begin(), place):
        os.kill(os.getpid(), signal.SIGINT)
        found.append(record)
    assert told(iter(found)) == expected


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
    assert all(t.isfinite().all() for n, t in kept.state.items() if n != "lowest")


# The table


def test_the_table_gives_back_every_record(place: Path) -> None:
    records = list(runs.keep(begin(), place))
    assert read_log(place) == records
    assert place.with_suffix(".csv").read_text().startswith("step,loss,learning_rate,")


def test_a_table_of_something_else_is_refused_and_stays(place: Path) -> None:
    place.parent.mkdir()
    table = place.with_suffix(".csv")
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no table of a training run; move it"):
        read_log(place)
    with pytest.raises(ValueError, match="no table of a training run; move it"):
        list(runs.keep(begin(), place))
    assert table.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("spoilt", ["gone", "empty", "garbage"])
def test_a_spoilt_table_does_not_stop_a_run(spoilt: str, place: Path) -> None:
    table = place.with_suffix(".csv")
    next(steps := runs.keep(begin(), place, seconds=0.0))
    next(steps)
    next(steps)
    steps.close()
    if spoilt == "gone":
        table.unlink()
    elif spoilt == "empty":
        table.write_text("")
    else:
        head, first, _, third = table.read_text().splitlines()
        table.write_bytes("\n".join([head, first, "\0\0", third]).encode() + b"\xff\n")
    assert told(runs.keep(begin(), place)) == told(begin())[3:]
    found = [record.step for record in read_log(place)]
    assert found == {"garbage": [1, *range(4, 13)]}.get(spoilt, [*range(4, 13)])


def test_a_table_that_cannot_be_written_costs_no_state(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: RunLog) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunLog, "flush", broken)
    with pytest.warns(UserWarning, match="steps are missing in the table"):
        list(runs.keep(begin(), place))
    assert runs.load(place).step == 12  # type: ignore[union-attr]


def test_half_a_write_is_taken_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunLog(place)
    records = list(begin())
    log.add(records[0])
    log.flush()
    before = log.path.read_bytes()
    log.add(records[1])
    table = run_log._table
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            log.flush()
    assert log.path.read_bytes() == before
    log.add(records[2])
    log.flush()
    assert read_log(place) == records[:3]
    assert table([]) == b""


def test_lines_after_the_state_and_half_a_line_go(place: Path) -> None:
    next(steps := runs.keep(begin(), place))
    steps.close()
    table = place.with_suffix(".csv")
    lines = table.read_text()
    ahead = lines.splitlines()[1].split(",", 1)[1]
    whole = len(read_log(place))
    for cut in range(1, len(lines.splitlines()[-1])):  # also within its last number
        table.write_text(lines[:-cut])
        assert len(read_log(place)) < whole
    table.write_text(f"{lines}2,{ahead}\n3,2.5,0.0")
    assert told(runs.keep(begin(), place)) == told(begin())[1:]
    assert told(iter(read_log(place))) == told(begin())
