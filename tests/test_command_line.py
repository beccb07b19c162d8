"""The command line: two commands from a text to a text, and errors one can read."""

import io
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

import minihyena
from minihyena import checkpoints, run_files, runs, train_command
from minihyena.__main__ import main
from minihyena.files import only_here, write_whole
from minihyena.presets import Plan
from minihyena.run_log import read_log
from minihyena.training import Record

TEXT = "The hyena laughs. The long filter listens. " * 60
SMALL = ["--width", "16", "--depth", "1", "--length", "16", "--batch-size", "4"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what is written by default is written there


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "laughs.txt"
    path.write_text(TEXT)
    return str(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "model.safetensors"


def teach(text: str, out: Path, *options: str) -> int:
    return main(["train", "--corpus", text, *SMALL, *options, "--out", str(out)])


@pytest.mark.parametrize("mixer", ["hyena", "attention"])
def test_a_model_is_trained_then_writes(
    mixer: str, text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--steps", "200", "--learning-rate", "0.01", "--mixer", mixer]
    assert teach(text, out, *options) == 0
    printed = capsys.readouterr().out
    assert f"{mixer}, " in printed
    assert f'--checkpoint "{out}"' in printed
    curve = re.findall(r"^ +(\d+) +[\d,]+ +[\d.]+ +[\d.]+ +([\d.]+)$", printed, re.M)
    assert [int(step) for step, _ in curve] == [100, 200]
    first, last = (float(loss) for _, loss in curve)
    assert last < first < 2.5
    assert re.search(r"^     1 +[\d,]+ +[\d.]+ +[\d.]+$", printed, re.M), "told at once"
    noted = checkpoints.load(out).notes["validation"]
    assert noted[-1][2] == pytest.approx(last, abs=1e-3)

    writing = ["sample", "--checkpoint", str(out), "--prompt", "The hy"]
    assert main([*writing, "--length", "40", "--temperature", "0"]) == 0
    written = capsys.readouterr().out
    assert written.startswith("The hyena laughs.")
    assert len(written) == len("The hy") + 40 + 1


def test_the_same_seeds_give_the_same_model_and_text(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for name, train_seed, seed in (("a", 1, 2), ("b", 1, 2), ("c", 1, 3), ("d", 4, 2)):
        path = tmp_path / name
        assert teach(text, path, "--steps", "2", "--seed", str(train_seed)) == 0
        capsys.readouterr()
        assert main(["sample", "--checkpoint", str(path), "--seed", str(seed)]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_sampling_ends_after_the_stop(
    text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teach(text, out, "--steps", "2")
    capsys.readouterr()
    options = ["--stop", "e", "--top-k", "9", "--top-p", "0.99", "--prompt", "T"]
    assert main(["sample", "--checkpoint", str(out), *options]) == 0
    written = capsys.readouterr().out
    assert written.count("e") == 1
    assert written.endswith("e\n")


def test_minutes_alone_end_a_run(text: str, out: Path) -> None:
    assert teach(text, out, "--minutes", "0.001", "--tokenizer", "byte") == 0
    assert checkpoints.load(out).tokenizer.vocab_size == 256


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_learnt_and_the_run_goes_on(
    sent: signal.Signals, text: str, out: Path, tmp_path: Path
) -> None:
    options = ["--steps", "200", "--save-every", "0"]
    assert teach(text, tmp_path / "whole", *options) == 0

    command = [sys.executable, "-m", "minihyena", "train", "--corpus", text, *SMALL]
    process = subprocess.Popen(
        [*command, *options, "--out", str(out)],
        stdout=subprocess.PIPE,
        text=True,  # and as in a terminal, where Ctrl-C is not ignored:
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    table = out.with_suffix(".csv")
    while not table.exists() or table.read_text().count("\n") < 10:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(sent)
    printed, _ = process.communicate()
    assert process.returncode == 0
    steps = checkpoints.load(out).notes["steps"]
    assert f"stopped after step {steps}; --resume goes on from here" in printed
    assert 8 < steps < 200

    assert main(["train", "--resume", "--out", str(out)]) == 0
    assert losses_of(out) == losses_of(tmp_path / "whole")
    again, whole = (checkpoints.load(p).model for p in (out, tmp_path / "whole"))
    pairs = zip(again.state_dict().values(), whole.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def losses_of(out: Path) -> list[tuple[int, float, float | None]]:
    return [(r.step, r.loss, r.validation_loss) for r in read_log(out)]


def stopped_early(text: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 20 steps that is left after 3."""
    keep = runs.keep

    def three(*args: Any, **options: Any) -> Iterator[Record]:
        steps = keep(*args, **options)
        yield from islice(steps, 3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "keep", three)
        assert teach(text, out, "--steps", "20") == 0


def test_an_unfinished_run_is_not_overwritten_unasked(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped_early(text, out, monkeypatch)
    assert teach(text, out, "--steps", "20") == 1
    assert "at step 3: --resume goes on with it, --fresh" in capsys.readouterr().err
    assert teach(text, out, "--steps", "2", "--fresh") == 0
    assert len(read_log(out)) == 2
    assert teach(text, out, "--steps", "4") == 0  # that one had ended
    assert len(read_log(out)) == 4


def test_resume_takes_the_settings_of_the_run_and_no_others(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped_early(text, out, monkeypatch)
    resume = ["train", "--resume", "--out", str(out)]
    assert main([*resume, "--width", "32"]) == 1
    assert "begun otherwise: model width was 16 and is 32" in capsys.readouterr().err
    assert main([*resume, "--width", "16", "--corpus", text]) == 0
    printed = capsys.readouterr().out
    assert "goes on after step 3" in printed
    assert checkpoints.load(out).notes["steps"] == 20
    assert main(resume) == 0
    assert "has ended, at step 20" in capsys.readouterr().out


def test_resume_takes_the_preset_it_was_begun_with_and_no_other(
    text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = ["train", "--corpus", text, "--out", str(out), "--preset", "nanogpt-cpu"]
    begun += ["--width", "16", "--depth", "1", "--steps", "1"]
    assert main(begun) == 0
    assert main([*begun, "--resume"]) == 0
    assert main(["train", "--resume", "--preset", "best", "--out", str(out)]) == 1
    assert "begun otherwise: " in capsys.readouterr().err


def test_a_run_may_go_on_elsewhere_and_its_device_is_remembered(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped_early(text, out, monkeypatch)
    kept = runs.load(out)
    assert kept is not None
    kept.notes["plan"]["training"]["device"] = "cuda:77"
    run_files.write(kept, out)
    resume = ["train", "--resume", "--out", str(out)]
    assert main(resume) == 1
    assert "device 'cuda:77' cannot be used" in capsys.readouterr().err
    assert main([*resume, "--device", "cpu"]) == 0
    assert len(read_log(out)) == 20


def test_a_run_of_a_notebook_is_told_apart(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped_early(text, out, monkeypatch)
    kept = runs.load(out)
    assert kept is not None
    run_files.write(replace(kept, notes={}), out)
    assert main(["train", "--resume", "--out", str(out)]) == 1
    assert "goes on where it was, in a notebook" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_folder_that_takes_no_files_is_no_run_of_another(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach(text, Path("/proc/model.safetensors"), "--steps", "1") == 1
    assert "no file can be made in /proc" in capsys.readouterr().err


def test_fresh_gets_past_a_damaged_run_and_takes_none_that_is_going(
    text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach(text, out, "--steps", "3", "--save-every", "0") == 0
    states = [out.with_suffix(".run"), out.with_suffix(".run.old")]
    before = [state.read_bytes() for state in states]
    with only_here(states[0]):
        assert teach(text, out, "--steps", "3", "--fresh") == 1
    assert "another run is writing" in capsys.readouterr().err
    assert [state.read_bytes() for state in states] == before
    for state in states:
        state.write_bytes(b"gone")
    assert teach(text, out, "--steps", "3") == 1
    assert "fresh" in capsys.readouterr().err
    assert teach(text, out, "--steps", "3", "--fresh") == 0


def test_with_patience_the_card_tells_the_loss_of_the_model_that_was_kept(
    text: str, out: Path
) -> None:
    options = ["--steps", "2000", "--patience", "1", "--learning-rate", "0.5"]
    assert teach(text, out, *options) == 0
    notes = checkpoints.load(out).notes
    assert notes["loss"] == min(loss for _, _, loss in notes["validation"])
    assert notes["loss"] < notes["validation"][-1][2]


def test_a_table_of_the_users_own_is_not_overwritten(
    text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.parent.mkdir()
    out.with_suffix(".csv").write_text("my,poems\n")
    assert teach(text, out, "--steps", "2") == 1
    assert "no table of a training run; move it" in capsys.readouterr().err
    assert out.with_suffix(".csv").read_text() == "my,poems\n"


def test_resume_with_nothing_to_resume_begins(text: str, out: Path) -> None:
    assert teach(text, out, "--steps", "3", "--resume") == 0
    assert len(read_log(out)) == 3


def test_a_text_that_was_changed_since_is_noticed(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped_early(text, out, monkeypatch)
    Path(text).write_text(TEXT.replace("laughs", "coughs"))
    assert main(["train", "--resume", "--out", str(out)]) == 1
    assert "text SHA-256 was" in capsys.readouterr().err
    Path(text).write_text(TEXT + "?")
    assert main(["train", "--resume", "--out", str(out)]) == 1
    assert "vocab_size was" in capsys.readouterr().err


def test_the_bar_tells_speed_and_time_left(
    text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Record(1, 2.0, 0.1, 1.0, 100, 1.0, 10.0)
    later = Record(5, 1.5, 0.1, 1.0, 500, 5.0, 18.0)
    assert train_command.now(first, later, 0.25) == (
        " step 5, loss 1.500, 50 tokens/s, 0:00:54 left"
    )
    assert train_command.now(first, first, 0.1) == " step 1, loss 2.000"
    endless = train_command.now(first, later, 1e-14)
    assert endless.endswith("50 tokens/s"), "of years, nothing is told"


def test_tensorboard_files_hold_every_step_once(
    text: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    stopped_early(text, out, monkeypatch)
    options = ["--resume", "--out", str(out), "--tensorboard"]
    assert main(["train", *options]) == 0
    events = accumulator.EventAccumulator(str(out.with_suffix(".events")))
    events.Reload()
    expected = losses_of(out)[3:]
    found = [(e.step, e.value) for e in events.Scalars("loss/batch")]
    assert found == [(step, pytest.approx(loss)) for step, loss, _ in expected]
    assert [e.step for e in events.Scalars("loss/held out")] == [20]


def test_without_tensorboard_the_option_says_how_to_get_it(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert teach(text, out, "--steps", "2", "--tensorboard") == 1
    assert "pip install" in capsys.readouterr().err


def test_a_preset_is_where_settings_begin(text: str, out: Path) -> None:
    options = ["--preset", "nanogpt-cpu", "--steps", "1", "--width", "16"]
    command = ["train", *options, "--corpus", text, "--out", str(out)]
    assert main(command) == 0
    model, _, notes = checkpoints.load(out)
    assert type(model.config.mixer).__name__ == "AttentionConfig"
    assert (model.config.width, model.config.depth) == (16, 4)
    assert Plan.of(notes["plan"]).training.betas == (0.9, 0.99)


def test_a_checkpoint_carries_its_card(text: str, out: Path) -> None:
    teach(text, out, "--steps", "2", "--seed", "3")
    notes = checkpoints.load(out).notes
    assert notes["text"]["tokens"] == len(TEXT)
    assert (notes["seed"], notes["steps"]) == (3, 2)
    assert notes["licence"] == "that of the text"
    plan = Plan.of(notes["plan"])
    assert (plan.corpus, plan.model.width, plan.training.steps) == (text, 16, 2)


def test_a_divergence_is_told_and_the_last_good_model_kept(
    text: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach(text, out, "--steps", "9", "--learning-rate", "1e30") == 1
    assert re.search(r"diverged: step \d: .*learning rate", capsys.readouterr().out)
    weights = checkpoints.load(out).model.state_dict().values()
    assert all(weight.isfinite().all() for weight in weights)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train --corpus pythondocs", "known, nearest first: python-docs"),
        (
            "train --corpus {text} --mixer hyenna",
            "nearest first: hyena, multihead_hyena",
        ),
        ("train --preset lapdog", "unknown preset 'lapdog'.*nearest first: laptop"),
        ("train --corpus {text} --save-every -1", "must be 0 s or more; got -1.0"),
        ("train --corpus {text} --tokenizer word", "unknown tokenizer 'word'"),
        ("train --corpus {text} --steps 0", "steps must be above 0 and finite; got 0"),
        ("train --corpus {text} --depth 0", "depth must be at least 1; got 0"),
        ("train --corpus {text} --length 99999", "of length 99999 needs 100000"),
        ("train --corpus {text} --device cuda:77", "device 'cuda:77' cannot be used"),
        ("train --corpus {text} --device meta", "device 'meta' cannot be used"),
        ("train --corpus {text} --device gpu", "unknown device 'gpu'; known, "),
        ("train --corpus {text} --steps 1 --out {folder}", "is a folder; name a file"),
        ("train --corpus {text} --steps 1 --out {text}/model", "laughs.txt"),
        ("sample --checkpoint {folder}/none", "no checkpoint"),
        ("sample --checkpoint {text}", "is not a sound checkpoint"),
        ("sample --checkpoint {model} --prompt {euro}", "character '€' at position 0"),
        ("sample --checkpoint {model} --temperature -1", "temperature .* got -1.0"),
        ("sample --checkpoint {model} --top-p 2", "0 < top_p <= 1; got 2.0"),
        ("sample --checkpoint {model} --prompt", "a prompt is empty"),
    ],
)
def test_an_error_is_one_readable_line_and_exit_code_1(
    arguments: str,
    words: str,
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "model"
    if "{model}" in arguments:
        teach(text, model, "--steps", "1")
        capsys.readouterr()
    filled = arguments.format(text=text, folder=tmp_path, model=model, euro="€")
    empty_prompt = [""] if filled.endswith("--prompt") else []
    assert main([*filled.split(), *empty_prompt]) == 1
    output = capsys.readouterr()
    assert re.search(words, output.err)
    assert output.err.startswith("minihyena: ")
    assert len(output.err.splitlines()) == 1
    assert "Traceback" not in output.err + output.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train --step 5", "unknown option '--step'; known, nearest first: --steps, "),
        (
            "train --widht=8",
            "unknown option '--widht'; known, nearest first: --width, ",
        ),
        ("train --resume --fresh", "not allowed with"),
        ("trane", "invalid choice: 'trane'"),
        ("", "train a language model on a text"),
        (
            "sample --promt x",
            "unknown option '--promt'; known, nearest first: --prompt",
        ),
        ("sample --top-k x", "invalid int value: 'x'"),
        ("sample --prompt The cat", "one word too many, 'cat': put texts in quotes"),
    ],
)
def test_bad_usage_is_exit_code_2(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    said = capsys.readouterr().err
    command = arguments.partition(" ")[0] if " " in arguments else ""
    assert f"usage: python -m minihyena {command}" in said
    assert words in said


@pytest.mark.parametrize("command", ["train", "sample", "doctor"])
def test_every_command_has_a_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"minihyena {command}" in capsys.readouterr().out


def test_it_runs_as_a_module_and_hands_on_the_exit_code(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "minihyena", "sample", "--checkpoint", "none"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert run.returncode == 1
    assert run.stderr.startswith("minihyena: no checkpoint none")
    assert run.stdout == ""


def test_two_threads_that_write_one_file_leave_it_whole(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [b"a" * 99_999, b"b" * 99_999]
    with ThreadPoolExecutor(2) as pool:
        [*pool.map(lambda content: write_whole(path, content), 20 * contents)]
    assert path.read_bytes() in contents
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("word", ["experiment", "--help"])
def test_who_has_read_enough_may_close_the_pipe(word: str, unbuffered: str) -> None:
    command, here = [sys.executable, "-m", "minihyena", word], Path(__file__).parents[1]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    into, out = subprocess.PIPE, subprocess.Popen
    with out(command, stdout=into, stderr=into, cwd=here, env=env) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 1 or (word == "--help" and not run.returncode)


def test_a_file_of_few_letters_takes_any_text(
    text: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows writes into a file or a pipe with 256 letters."""
    (Path(text)).write_text("Schrödinger → 1 ψ, " * 60, encoding="utf-8")
    assert teach(text, out, "--tokenizer", "byte", "--steps", "1") == 0
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252"))
    command = ["minihyena", "sample", "--checkpoint", str(out), "--prompt", "ψ: "]
    monkeypatch.setattr(sys, "argv", [*command, "--length", "9", "--seed", "0"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(
            Path(minihyena.__file__).parent / "__main__.py", run_name="__main__"
        )
    sys.stdout.flush()
    assert ended.value.code == 0
    assert written.getvalue().startswith(b"?: ")


def test_an_interrupt_before_the_first_step_keeps_the_older_checkpoint(
    monkeypatch: pytest.MonkeyPatch, out: Path, text: str
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    out.parent.mkdir()
    out.write_bytes(b"older")
    monkeypatch.setattr(runs, "keep", interrupted)
    assert teach(text, out, "--steps", "1") == 0
    assert out.read_bytes() == b"older"
