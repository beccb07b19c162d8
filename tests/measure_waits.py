"""How long a learner waits: `make waits` (for the import, a check, a redraw).

- `import minihyena`, torch not counted, as a share of torch's own import: the median of
  five fresh Pythons, in CPU time.
- A check: the slowest verdict of each exercise on its right and its wrong answers.
- A redraw, for each control of each explorer that computes when it is moved, the others
  where they are at first: the median and the longest of at least fifteen moves, the
  Python side only (the learner's object asked, the figure's changes and the sentence
  made; the browser's own work is not in it).

Fails if the import is above a tenth of torch's, a check above two seconds or a median
redraw above 100 milliseconds.
"""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from made_results import made_results
from made_texts import made_texts
from wrong_answers import BANK

from minihyena import LanguageModel, LMConfig, corpora, explore, lessons, tasks
from minihyena.lessons import Incorrect

MOVES = 15
IMPORT, CHECK, REDRAW = 0.1, 2000, 100  # a share, milliseconds
TWO_IMPORTS = """
from time import process_time
begun = process_time()
import torch
middle = process_time()
import minihyena
print((process_time() - middle) / (middle - begun))
"""
NINE = tuple(f"model {letter}" for letter in "abcdefghi")
LETTERS = ("to be or not to be, that is", "all the world's a stage")


def makers() -> dict[str, Callable[[], explore.Explorer]]:
    """Every explorer that computes when it is moved, by its name."""
    g, letters = torch.Generator().manual_seed(0), corpora.ByteTokenizer()
    twins = {
        name: LanguageModel(LMConfig(256, mixer=name, width=48), generator=g)
        for name in ("hyena", "attention")
    }
    model = twins["hyena"]
    small = {"recall": tasks.AssociativeRecall(12, 16), "mqar": tasks.MQAR(64, 32, 4)}
    results = made_results(models=NINE, widths=(16, 32, 64))
    plain = ["GatePlayground", "OrderBuilder", "FilterBuilder", "TokenMixer"]
    plain += ["SlideAndMultiply", "FilterPainter", "WrapAround", "ToeplitzExplorer"]
    plain += ["CausalityAuditor", "TurningHands", "ReverseComplement", "ImageFilter"]
    plain += ["ScalingPlot"]
    return {name: getattr(explore, name) for name in plain} | {
        "MatrixLens": lambda: explore.MatrixLens(
            twins, text=LETTERS, tokenizer=letters
        ),
        "FilterStudio": lambda: explore.FilterStudio(model),
        "TokenLoop": lambda: explore.TokenLoop(model),
        "OrderSlider": lambda: explore.OrderSlider(
            model, letters, text=LETTERS[0], prompt=LETTERS[1]
        ),
        "TaskTheatre": lambda: explore.TaskTheatre(twins, small),
        "LossPlot": lambda: explore.LossPlot(made_texts()),
        "EvidencePlot": lambda: explore.EvidencePlot(results),
    }


def moves(explorer: explore.Explorer, name: str) -> list[float]:
    """Milliseconds of each move of one control through all of its values."""
    explorer.reset()
    values, spent = explorer.controls[name], []
    for move in range(1 + max(MOVES, len(values))):
        begun = time.perf_counter()
        explorer.set(name, values[(move + 1) % len(values)])
        spent.append(1000 * (time.perf_counter() - begun))
    return spent[1:]  # the first one also warms up


def share_of_import() -> float:
    """The import of minihyena after torch, as a share of torch's."""
    python = [sys.executable, "-c", TWO_IMPORTS]
    return statistics.median(
        float(subprocess.run(python, capture_output=True, check=True).stdout)
        for _ in range(5)
    )


def verdicts(ex: lessons.Exercise) -> Iterator[float]:
    """Milliseconds of each verdict."""
    for answer in (ex.answer, *(wrong for _, wrong, _ in BANK[ex.id])):
        begun = time.perf_counter()
        with contextlib.suppress(Incorrect):
            ex.verify(answer)
        yield 1000 * (time.perf_counter() - begun)


def main() -> int:
    print(f"{Path(__file__).name}: torch {torch.__version__}, "
          f"{torch.get_num_threads()} threads, milliseconds")  # fmt: skip
    share = share_of_import()
    print(f"import minihyena: {share:.3f} of torch's own import")
    slow = share > IMPORT
    # The first optimiser imports a compiler; in the notebook it is made before a check.
    torch.optim.Adam([torch.zeros(1)])
    print(f"{'exercise':24}{'slowest check':>16}")
    for name, ex in lessons.exercises.items():
        most = max(verdicts(ex))
        print(f"{name:24}{most:16.0f}")
        slow |= most > CHECK
    print(f"{'explorer':16}{'control':16}{'median':>8}{'longest':>9}")
    for make in makers().values():
        explorer = make()
        for name in [n for n, v in explorer.controls.items() if len(v) > 1]:
            spent = moves(explorer, name)
            middle, most = statistics.median(spent), max(spent)
            print(f"{type(explorer).__name__:16}{name:16}{middle:8.0f}{most:9.0f}")
            slow |= middle > REDRAW
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
