"""Whether anything grows that should not: `make growth`.

Memory of the process, its threads, open files and live widgets, while

- a small model trains for 10,000 steps, evaluates and keeps its state;
- models write 20,000 tokens: in a window that slides, and in one that holds them all,
  with every decoder that remembers;
- every explorer has a control moved 2,000 times, and is closed.

Each in a Python of its own, looked at twenty times. Fails if the second half of a curve
lies more than a twentieth above the first quarter (a fifth where all is remembered), or
if threads, files or widgets are left over.
"""

import gc
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil
import torch
from ipywidgets.widgets.widget import _instances
from measure_waits import makers

from minihyena import LanguageModel, LMConfig, TrainConfig, corpora, runs, sample, train
from minihyena.explore import Explorer

STEPS, TOKENS, MOVES, LOOKS = 10_000, 20_000, 2_000, 20
GROWTH = {"whole": 1.2}  # which remembers all that it read, and settles larger tiles
SHARED = 3  # widgets of a figure that all figures of a kernel share
DECODERS = ("hyena", "online"), ("hyena", "recurrent"), ("attention", "online")


def training() -> Iterator[object]:
    corpus = corpora.load("python-docs")
    generator = torch.Generator().manual_seed(0)
    sizes = {"max_length": 32, "width": 16, "depth": 1}
    model = LanguageModel(LMConfig(corpus.tokenizer.vocab_size, **sizes), generator)
    options = {"length": 32, "batch_size": 4, "evaluate_every": 500}
    config = TrainConfig(steps=STEPS, **options)
    run = train(model, corpus, config, generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        yield from runs.keep(run, Path(folder) / "run", seconds=2)


def writing(mixer: str, decoder: str, slide: bool) -> Iterator[object]:
    longest = 256 if slide else TOKENS + 8
    config = LMConfig(65, max_length=longest, width=32, depth=2, mixer=mixer)
    model = LanguageModel(config, torch.Generator().manual_seed(0)).eval()
    if decoder == "recurrent":
        model = model.distill(8)
    ids = torch.zeros(1, 8, dtype=torch.int64)
    options = {"slide": slide, "generator": torch.Generator().manual_seed(0)}
    yield from sample(model, ids, TOKENS, decoder=decoder, **options)


def moving(make: Callable[[], Explorer]) -> Iterator[object]:
    explorer = make()
    name, values = max(explorer.controls.items(), key=lambda item: len(item[1]))
    for value in islice(cycle(values), MOVES):
        explorer.set(name, value)
        yield value
    explorer.close()


def subjects() -> dict[str, tuple[int, Callable[[], Iterator[object]]]]:
    """How often each does what, by its name on the command line."""
    found: dict[str, Any] = {"training": (STEPS, training)}
    for mixer, decoder in DECODERS:
        for slide in (True, False):
            name = f"{mixer}, {decoder}, {'sliding' if slide else 'whole'}"
            found[name] = TOKENS, partial(writing, mixer, decoder, slide)
    for name, make in makers().items():
        found[name] = MOVES, partial(moving, make)
    return found


def things() -> tuple[int, int, int]:
    """Threads, open files, live widgets."""
    return threading.active_count(), psutil.Process().num_fds(), len(_instances)


def look(name: str) -> None:
    """Print the curve of one of them; AssertionError if it grows."""
    size, begin = subjects()[name]
    process, curve, before = psutil.Process(), list[float](), things()
    for number, _ in enumerate(begin(), 1):
        if number % (size // LOOKS) == 0:
            gc.collect()
            curve.append(process.memory_info().rss / 2**20)
    gc.collect()
    left = [after - was for after, was in zip(things(), before, strict=True)]
    print(f"{name}: {' '.join(f'{mib:.0f}' for mib in curve)} MiB; {left}", flush=True)
    assert len(curve) == LOOKS, f"{name} ended early"
    allowed = GROWTH.get(name.rpartition(", ")[2], 1.05)
    assert max(curve[LOOKS // 2 :]) <= allowed * max(curve[: LOOKS // 4]), "it grows"
    left[-1] -= SHARED * (name in makers())
    assert max(left) <= 0, "threads, files or widgets are left"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        look(sys.argv[1])
    else:
        python = [sys.executable, __file__]
        done = [subprocess.run([*python, name]).returncode for name in subjects()]
        sys.exit(any(done))
