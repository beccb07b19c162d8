"""Training dashboard: models learn a task side by side, on the same batches."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ipywidgets as W
from torch import nn

from minihyena.explore.look import LOOKS
from minihyena.explore.parts import choice, listed, row
from minihyena.explore.training_controls import SETTINGS, Trainer, settings
from minihyena.explore.training_dashboard_figure import dashboard_figure, draw_lanes
from minihyena.explore.training_figure import thin
from minihyena.explore.training_loop import Loop, Phase
from minihyena.explore.training_race import GOAL, Lane, Race
from minihyena.tasks import Task
from minihyena.training import TrainConfig

__all__ = ["TrainingDashboard"]

ALIKE = 0.02  # parameters may differ by so much and count as equal
ROWS = 200  # of the table, at most


class TrainingDashboard(Trainer):
    """Train models side by side, a step each in turn, all on the same batches.

    `models`: name -> a function that makes a fresh, untrained model, any
    `model(ids (B, L)) -> logits (B, L, V)`. They train on `task.for_training` and are
    tested on `test_size` rows of `task`, every `every` steps (config.evaluate_every)
    and after the last. `config.length` must be the task's input_length. The seconds
    are those of training alone. The buttons train in a thread, `run()` and
    `train(steps)` in the cell that calls them; `race.lanes[name]` holds the records,
    tests and model. A second dashboard of the same `name` stops the first.
    Raises ValueError for no or too many models, and for a config without `steps`.
    """

    title = "Training dashboard"
    notice = (
        "The same batches for all. The loss can fall long before the score rises. Who "
        "leaves the blind guess first, in steps and in seconds?"
    )
    narrowest = 560

    def __init__(
        self,
        models: Mapping[str, Callable[[], nn.Module]],
        task: Task,
        config: TrainConfig,
        *,
        test_size: int = 256,
        seed: int = 0,
        every: int | None = None,
        name: str = "training dashboard",
    ) -> None:
        if not 1 <= len(models) <= len(LOOKS):
            raise ValueError(f"compare 1 to {len(LOOKS)} models; got {len(models)}")
        if config.steps is None:
            raise ValueError("models are compared step by step: give config.steps")
        if test_size < 1:
            raise ValueError(f"test_size counts rows, 1 at least; got {test_size}")
        if config.length != task.input_length:
            raise ValueError(
                f"{task} has inputs of {task.input_length} positions: set length to it "
                f"in the config, which says {config.length}"
            )
        self.models, self.task = dict(models), task
        self.test_size, self.seed = test_size, seed
        self._config = (
            config if every is None else replace(config, evaluate_every=every)
        )
        self._race: Race | None = None
        across = choice("Across", (("steps", "steps"), ("seconds", "seconds")))
        pickers = {**settings(config), "across": across}
        super().__init__(pickers, dashboard_figure(list(models), task.chance), name)

    @property
    def race(self) -> Race:
        """The run at hand: its lanes, by name."""
        assert self._race is not None  # since the first redraw
        return self._race

    def reset(self) -> None:
        """Stop; then fresh, untrained models with the settings that are shown."""
        self.stop()
        self._race = self._begin(self.race.config)
        self.redraw()

    # ---- the run behind it

    @property
    def _loop(self) -> Loop:
        return self.race.loop

    def _begin(
        self, config: TrainConfig, models: dict[str, nn.Module] | None = None
    ) -> Race:
        """A race that has not started, of fresh models if none are given."""
        models = models or {name: make() for name, make in self.models.items()}
        return Race(
            models, self.task, config, self.test_size, self.seed,
            self._on_record, self._on_change, self.turns,
        )  # fmt: skip

    def _current(self) -> Race:
        """The race at hand; another if its settings were moved before it began."""
        old = self._race
        moved = {name: self.pickers[name].value for name in ("learning_rate", "steps")}
        config = replace(self._config, **moved)
        if old and (old.loop.phase != Phase.READY or old.config == config):
            return old
        untrained = (
            {name: lane.model for name, lane in old.lanes.items()} if old else None
        )
        return self._begin(config, untrained)

    def _done(self) -> float:
        race = self.race
        return race.config.progress(race.loop.step, 0.0)

    # ---- what is said

    def _read(self) -> None:
        race = self._race = self._current()
        sizes = [lane.parameters for lane in race.lanes.values()]
        step = max((len(lane.records) for lane in race.lanes.values()), default=0)
        self._facts = {
            "phase": race.loop.phase,
            "step": step,
            "steps": race.config.steps,
            "learning_rate": race.config.learning_rate,
            "across": self.pickers["across"].value,
            "chance": self.task.chance,
            "parameters_differ": max(sizes) / max(min(sizes), 1) - 1,
            "models": {name: _facts_of(lane) for name, lane in race.lanes.items()},
            "error": type(race.loop.error).__name__ if race.loop.error else None,
        }

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        """True on every machine while the scores are well away from the goal."""
        f = self.facts()
        names = listed(list(f["models"]))
        much = f["parameters_differ"]
        unequal = f" (parameters differ by {much:.0%})" if much > ALIKE else ""
        if f["phase"] == Phase.READY:
            return f"Not started: {names}{unequal}, step 0 of {f['steps']:,}."
        start = f"{f['phase'].capitalize()} after {f['step']:,} of {f['steps']:,} steps"
        if f["phase"] == Phase.FAILED:
            return f"{start}: {f['error']}."
        if f["phase"] == Phase.RUNNING:  # read aloud when it changes, so rarely
            start = "Training"
        there = [name for name, m in f["models"].items() if m["reached_step"]]
        others = [name for name in f["models"] if name not in there]
        said = (
            f"{listed(there) or 'none of them'} reached {GOAL:.0%} on rows never seen"
        )
        if there and others:
            said += f", {listed(others)} did not"
        return f"{start}{unequal}; {said}."

    def _controls(self) -> list[W.Widget]:
        fixed = [p for n, p in self.pickers.items() if n in SETTINGS]
        buttons = row(self._buttons(), "mh-buttons")
        return [row(fixed), buttons, self.progress, row([self.pickers["across"]])]

    def _details(self) -> dict[str, Any]:
        details: dict[str, Any] = {}
        for name, m in self.facts()["models"].items():
            said = [f"{m['parameters']:,} parameters"]
            if m["step"]:
                said.append(f"{m['seconds']:.1f} s")
            if m["score"] is not None:
                said.append(f"score {m['score']:.1%}")
            if m["reached_step"]:
                at = f"step {m['reached_step']:,}, {m['reached_seconds']:.1f} s"
                said.append(f"{GOAL:.0%} at {at}")
            details[name] = ", ".join(said)
        return details

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        lanes, header = self.race.lanes, ["step"]
        for name in lanes:
            header += [f"{name}: seconds", "loss", "smoothed", "score"]
        rows: list[tuple[Any, ...]] = []
        most = max((len(lane.smooth) for lane in lanes.values()), default=0)
        for i in thin(most, ROWS) if most else (-1,):
            cells: list[Any] = []
            for lane in lanes.values():
                cells += _cells(lane, i)
            rows.append((i + 1, *cells))
        return header, rows

    def _draw(self) -> None:
        race = self.race
        draw_lanes(
            self.figure, race.lanes, self.pickers["across"].value, race.config.steps
        )


def _facts_of(lane: Lane) -> dict[str, Any]:
    last = lane.records[-1] if lane.records else None
    reached = lane.reached
    return {
        "parameters": lane.parameters,
        "step": len(lane.records),
        "loss": lane.smooth[-1] if lane.smooth else None,
        "score": lane.tests[-1].score if lane.tests else None,
        "best_score": max((test.score for test in lane.tests), default=None),
        "seconds": last.seconds if last else 0.0,
        "reached_step": reached.step if reached else None,
        "reached_seconds": reached.seconds if reached else None,
    }


def _cells(lane: Lane, i: int) -> tuple[Any, ...]:
    """Seconds, loss, smoothed loss and score of step i + 1, as far as it went."""
    if not 0 <= i < len(lane.smooth):
        return ("", "", "", "")
    record = lane.records[i]
    scores = {test.step: test.score for test in lane.tests}
    return record.seconds, record.loss, lane.smooth[i], scores.get(record.step, "")
