"""Kill training again and again, and see that nothing is lost.

python tests/kill_and_resume.py [KILLS] [SEED]     (make kills)

A small training run is killed (-9) at random moments, most of them while it writes, as
it saves after every step, and resumed each time. After every kill there must be a state
that can be read; in the end weights and records must equal, bit for bit, those of a run
that was never disturbed.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from minihyena import checkpoints, runs
from minihyena.run_log import read_log

TEXT = "The hyena laughs. The long filter listens. " * 60
SIZES = "--width 16 --depth 1 --length 16 --batch-size 4 --dropout 0.1"
TRAIN = [sys.executable, "-m", "minihyena", "train"]
LONGEST = 0.3  # seconds after the start of training until the kill


def main(kills: int = 50, seed: int = 0) -> str:
    """What was seen, in a sentence; AssertionError if anything was lost."""
    draw = random.Random(seed)
    steps = max(60, 30 * kills)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = folder / "laughs.txt"
        text.write_text(TEXT)
        options = ["--corpus", str(text), *SIZES.split(), "--steps", str(steps)]
        whole, out = folder / "whole", folder / "out"
        run([*options, "--out", str(whole)])
        again = [*options, "--save-every", "0", "--resume", "--out", str(out)]
        left = Counter[str]()
        for _ in range(kills):
            kill(again, draw.uniform(0, LONGEST))
            kept = runs.load(out)  # never unreadable
            left["before its first save" if kept is None else "with a state"] += 1
            for half in folder.glob("*.run.new"):
                left["while one was written"] += 1
                half.unlink()
            assert kept is None or kept.progress < 1, "it ended before all kills"
        run(again)
        one, other = (checkpoints.load(p).model.state_dict() for p in (whole, out))
        assert all(torch.equal(one[name], other[name]) for name in one)
        records = [
            [(r.step, r.loss, r.gradient_norm, r.validation_loss) for r in read_log(p)]
            for p in (whole, out)
        ]
        assert records[0] == records[1]
        assert len(records[0]) == steps
    found = ", ".join(f"{count} {what}" for what, count in left.items())
    return (
        f"{kills} kills ({found}): {steps} steps, weights and records as if undisturbed"
    )


def run(options: list[str]) -> None:
    """A run that nobody kills."""
    subprocess.run([*TRAIN, *options], check=True, stdout=subprocess.DEVNULL)


def kill(options: list[str], seconds: float) -> None:
    """Start, wait for so long after training has begun, and kill."""
    process = subprocess.Popen(
        [*TRAIN, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()  # told right before the first step
    time.sleep(seconds)
    process.kill()
    process.communicate()


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
