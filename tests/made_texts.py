"""Runs on texts that nobody recorded, for tests of what shows losses."""

from collections.abc import Collection, Mapping, Sequence
from itertools import product

from minihyena.experiments import Results, TextRun

__all__ = ["COSTS", "GONE", "LOST", "TEXTS", "made_texts"]

TEXTS = (("a play", 2048), ("a play", 256), ("a manual", 256))
COSTS = {  # FLOPs of a step, and without attention's masked half; how slowly it learns
    "ours": (1e9, 1e9, 1.0),
    "other": (4e9, 3e9, 1.5),
    "third, slow": (5e9, 4e9, 1.2),
}
GONE = {("third, slow", TEXTS[2])}  # never run
LOST = {("ours", TEXTS[1], 2)}  # diverged, from this seed
STEPS = range(10, 101, 10)


def made_texts(
    texts: Sequence[tuple[str, int]] = TEXTS,
    seeds: Mapping[str, int] | int = 3,
    gone: Collection[tuple[str, tuple[str, int]]] = GONE,
    lost: Collection[tuple[str, tuple[str, int], int]] = LOST,
    models: Sequence[str] = tuple(COSTS),
) -> Results:
    """Two learning rates from seed 0, the better one from the other seeds too.

    The loss after n steps is slow * 4 / n ** 0.2, a little more with every seed.
    """
    runs = []
    for text, model in product(texts, models):
        if (model, text) in gone:
            continue
        flops, causal, slow = COSTS[model]
        number = seeds if isinstance(seeds, int) else seeds[model]
        for rate, seed in [(0.01, 0), *((0.005, seed) for seed in range(number))]:
            worse = (rate == 0.01) + seed / 20
            curve = tuple(
                (n, n * (slow + seed / 50), round(worse + slow * 4 / n**0.2, 4))
                for n in STEPS
            )
            diverged = (model, text, seed) in lost and rate == 0.005
            curve = curve[:4] if diverged else curve
            end = None if diverged else curve[-1][2] + 0.01  # of the whole text
            runs.append(
                TextRun(f"{model} {text}", model, text[0], "5a", text[1], 64, 2, 64_000,
                    flops, causal, 0.02, rate, seed, curve[-1][0], 4096, end,
                    curve[-1][1], curve)
            )  # fmt: skip
    head = "made_up", "Which of them reads?", "a command", "2026-11-27"
    return Results(*head, {"cores": 2}, {"torch": "2.13"}, 1, tuple(runs))
