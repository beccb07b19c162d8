"""How long an explorer takes to compute and draw again: `make redraw`.

For each control of each explorer that computes when it is moved, the others where they
are at first: the median and the longest of at least fifteen moves, in milliseconds of
the Python side (the learner's object asked, the figure's changes and the sentence made;
the browser's own work is not in it). Fails if a median is above 100.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from minihyena import LanguageModel, LMConfig, corpora, explore

MOVES = 15
LIMIT = 100  # milliseconds
LETTERS = ("to be or not to be, that is", "all the world's a stage")


def explorers() -> Iterator[explore.Explorer]:
    yield explore.GatePlayground()
    yield explore.OrderBuilder()
    g = torch.Generator().manual_seed(0)
    twins = {
        name: LanguageModel(LMConfig(256, mixer=name, width=48), generator=g)
        for name in ("hyena", "attention")
    }
    yield explore.MatrixLens(twins, text=LETTERS, tokenizer=corpora.ByteTokenizer())
    yield explore.FilterStudio(twins["hyena"])
    yield explore.TokenMixer()
    yield explore.WrapAround()
    yield explore.TurningHands()
    yield explore.ScalingPlot()


def moves(explorer: explore.Explorer, name: str) -> list[float]:
    """Milliseconds of each move of one control through all of its values."""
    explorer.reset()
    values, spent = explorer.controls[name], []
    for move in range(1 + max(MOVES, len(values))):
        begun = time.perf_counter()
        explorer.set(name, values[(move + 1) % len(values)])
        spent.append(1000 * (time.perf_counter() - begun))
    return spent[1:]  # the first one also warms up


def main() -> int:
    print(f"{Path(__file__).name}: torch {torch.__version__}, "
          f"{torch.get_num_threads()} threads, milliseconds")  # fmt: skip
    print(f"{'explorer':16}{'control':16}{'median':>8}{'longest':>9}")
    slow = False
    for explorer in explorers():
        for name in [n for n, v in explorer.controls.items() if len(v) > 1]:
            spent = moves(explorer, name)
            middle, most = statistics.median(spent), max(spent)
            print(f"{type(explorer).__name__:16}{name:16}{middle:8.0f}{most:9.0f}")
            slow |= middle > LIMIT
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
