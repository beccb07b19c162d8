"""The command line: two commands from a text to a text, and errors one can read."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minihyena.__main__ as command_line
from minihyena import checkpoints
from minihyena.__main__ import main
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
    assert f"--checkpoint {out}" in printed
    curve = re.findall(r"^ +(\d+) +[\d,]+ +[\d.]+ +[\d.]+ +([\d.]+)$", printed, re.M)
    assert [int(step) for step, _ in curve] == [100, 200]
    first, last = (float(loss) for _, loss in curve)
    assert last < first < 2.5
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


def test_ctrl_c_keeps_what_was_learnt(
    text: str,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> Iterator[Record]:
        yield Record(1, 3.0, 0.1, 1.0, 64, 1.0, 0.5, validation_loss=2.5)
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "train", interrupted)
    assert teach(text, out, "--steps", "9") == 0
    assert "stopped" in capsys.readouterr().out
    assert checkpoints.load(out).notes["validation"] == [[1, 0.5, 2.5]]


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
        ("train --corpus {text} --tokenizer word", "unknown tokenizer 'word'"),
        ("train --corpus {text} --steps 0", "steps must be above 0 and finite; got 0"),
        ("train --corpus {text} --depth 0", "depth must be at least 1; got 0"),
        ("train --corpus {text} --length 99999", "one window needs 100000"),
        ("train --corpus {text} --device cuda:77", "device 'cuda:77' cannot be used"),
        ("train --corpus {text} --steps 1 --out {folder}", "is a folder; name a file"),
        ("train --corpus {text} --steps 1 --out {text}/model", "laughs.txt"),
        ("sample --checkpoint {folder}/none", "no checkpoint"),
        ("sample --checkpoint {text}", "is not a sound checkpoint"),
        ("sample --checkpoint {model} --prompt {euro}", "character '€' at position 0"),
        ("sample --checkpoint {model} --temperature -1", "temperature .* got -1.0"),
        ("sample --checkpoint {model} --top-p 2", "0 < top_p <= 1; got 2.0"),
        ("sample --checkpoint {model} --prompt", "at least one token"),
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
    "arguments", ["train --step 5", "train --widht 8", "trane", "", "sample --top-k x"]
)
def test_bad_usage_is_exit_code_2(
    arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert "usage: python -m minihyena" in capsys.readouterr().err


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


def test_an_interrupt_before_the_first_step_keeps_the_older_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "model.safetensors"
    out.write_bytes(b"older")
    monkeypatch.setattr("minihyena.__main__.train", interrupted)
    assert main(["train", "--steps", "1", "--out", str(out)]) == 0
    assert out.read_bytes() == b"older"
