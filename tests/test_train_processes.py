"""torchrun: several processes train as one, stop as one and go on as one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import kill_and_resume
import pytest
import torch

from minihyena import checkpoints
from minihyena.__main__ import main
from minihyena.processes import processes
from minihyena.run_log import read_log

TEXT = "The hyena laughs. The long filter listens. " * 60
SIZES = "--width 16 --depth 1 --length 16 --batch-size 4 --dropout 0.0 --steps 50"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
BOTH = [*TORCHRUN, "--nproc-per-node", "2", "-m", "minihyena", "train"]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    text = tmp_path / "laughs.txt"
    text.write_text(TEXT)
    return ["--corpus", str(text), *SIZES.split()]


def losses(out: Path) -> list[tuple[int, float, float, float | None]]:
    return [(r.step, r.loss, r.gradient_norm, r.validation_loss) for r in read_log(out)]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Both to their end; what they had to say if it was a bad one."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_train_as_one(options: list[str], tmp_path: Path) -> None:
    """The same losses, within 1e-5, over 50 steps of the same global batches."""
    one, two = tmp_path / "one", tmp_path / "two"
    done = run([*BOTH, *options, "--out", str(two)])
    assert done.stdout.count("written to") == 1  # one of them speaks
    assert main(["train", *options, "--out", str(one)]) == 0
    mine, theirs = losses(one), losses(two)
    assert len(mine) == len(theirs) == 50
    for ours, other in zip(mine, theirs, strict=True):
        assert other[:2] == pytest.approx(ours[:2], abs=1e-5)
    assert theirs[-1][3] == pytest.approx(mine[-1][3], abs=1e-5)
    models = [checkpoints.load(out).model.state_dict() for out in (one, two)]
    for name, weight in models[0].items():
        torch.testing.assert_close(models[1][name], weight, rtol=0, atol=1e-4)


def test_two_processes_that_were_stopped_go_on_bit_for_bit(
    options: list[str], tmp_path: Path
) -> None:
    """With dropout, of which each process draws its own."""
    options = [*options, "--dropout", "0.2", "--steps", "300", "--save-every", "0"]
    whole, out = tmp_path / "whole", tmp_path / "out"
    run([*BOTH, *options, "--out", str(whole)])

    first = subprocess.Popen([*BOTH, *options, "--out", str(out)])
    state = out.with_suffix(".run.old")  # two steps are saved
    while not state.exists():
        time.sleep(0.01)
        assert first.poll() is None
    first.send_signal(signal.SIGTERM)  # torchrun hands it on to both
    first.wait(timeout=60)
    stopped = len(read_log(out))
    assert 2 <= stopped < 300
    assert checkpoints.load(out).notes["steps"] == stopped

    run([*BOTH, "--resume", "--out", str(out)])
    assert losses(out) == losses(whole)
    models = [checkpoints.load(o).model.state_dict() for o in (whole, out)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_device_that_is_not_here_is_told_by_every_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    told = pytest.raises(ValueError, match="'cuda:1' cannot be used here")
    with told, processes("cuda"):
        pytest.fail("it began")


def test_a_run_killed_at_random_moments_loses_nothing() -> None:
    """Four of the kills of `make kills`."""
    assert "as if undisturbed" in kill_and_resume.main(kills=4, seed=1)
