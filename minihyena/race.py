"""Recipes raced in one run, in turn: which loss each has after how many seconds.

Trainings that are timed one after the other, on a machine that also does other things,
cannot be compared. Here each trains for a few seconds and waits for the others, so that
whatever slows the machine down slows all of them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minihyena import records
from minihyena.benchmark import command, provenance
from minihyena.options import from_fields
from minihyena.presets import PRESETS, Plan

__all__ = ["Lane", "against_nanogpt", "load", "race", "save"]

TURN = 5.0  # seconds of training until it is the next one's turn
PACE_STEPS = 40  # by which the time of a whole run is told in advance


@dataclass(frozen=True)
class Lane:
    """One recipe, and its losses on the held-out text by seconds of training."""

    name: str
    parameters: int
    plan: dict[str, Any]
    curve: tuple[tuple[int, float, float], ...]  # step, seconds, loss

    def reached(self, loss: float) -> float | None:
        """Seconds until the loss was first as low as this; None if it never was."""
        return next((s for _, s, found in self.curve if found <= loss), None)

    def loss_after(self, seconds: float) -> float | None:
        """The last loss that was known after so many seconds; None before the first."""
        known = [loss for _, s, loss in self.curve if s <= seconds]
        return known[-1] if known else None


def race(plans: Mapping[str, Plan], turn: float = TURN) -> Iterator[list[Lane]]:
    """Train all plans, `turn` seconds at a time, in an order drawn for every round.

    Yields all lanes after each round. Raises as Plan.begin.
    """
    runs = {name: plan.begin() for name, plan in plans.items()}
    sizes = {
        name: sum(p.numel() for p in run.model.parameters())
        for name, run in runs.items()
    }
    curves: dict[str, list[tuple[int, float, float]]] = {name: [] for name in plans}
    draw = random.Random(0)
    while open_runs := [name for name, run in runs.items() if run.progress < 1]:
        for name in draw.sample(open_runs, len(open_runs)):
            run = runs[name]
            until = run.seconds + turn
            for record in run:
                if record.validation_loss is not None:
                    loss = round(record.validation_loss, 4)
                    curves[name].append((record.step, round(record.seconds, 2), loss))
                if record.seconds >= until:
                    break
        yield [
            Lane(name, sizes[name], plan.fields(), tuple(curves[name]))
            for name, plan in plans.items()
        ]


def against_nanogpt(share: float = 0.1) -> dict[str, Plan]:
    """nanoGPT's CPU recipe, and the laptop preset in as much time and in a share of it.

    The time is told in advance from the recipe's first steps, which are run for it.
    """
    rival, ours = PRESETS["nanogpt-cpu"], PRESETS["laptop"]
    run = rival.begin()
    first, *_, last = (next(run) for _ in range(PACE_STEPS))
    a_step = (last.seconds - first.seconds) / (PACE_STEPS - 1)
    minutes = (rival.training.steps or 0) * a_step / 60
    ours = ours.changed({"evaluate_every": 20, "evaluate_windows": None})
    return {
        "nanogpt-cpu": rival,
        "hyena, as long": ours.changed({"minutes": minutes}),
        f"hyena, {share:.0%} of it": ours.changed({"minutes": share * minutes}),
    }


def save(lanes: Sequence[Lane], path: Path | str) -> None:
    """Write JSON: how it was measured, and a row a lane."""
    records.write(
        path, {"command": command()} | provenance(), [asdict(lane) for lane in lanes]
    )


def load(path: Path | str) -> list[Lane]:
    """What `save` wrote; raises FileNotFoundError, and ValueError for another file."""
    _, rows = records.read(path)
    try:
        return [from_fields(Lane, row) for row in rows]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no race: {error}") from None
