"""Evidence plot: recorded scores, cut along any of the sizes that were varied."""

from typing import Any

from minihyena.experiments import Results
from minihyena.explore.base import Explorer
from minihyena.explore.evidence_plot_data import (
    Evidence,
    evidence_of,
    of_size,
    text_of,
    words_of,
)
from minihyena.explore.evidence_plot_figure import draw, figure_of
from minihyena.explore.parts import choice, listed, slider
from minihyena.explore.scaling_words import spoken

__all__ = ["EvidencePlot"]

ALL = "all"


class EvidencePlot(Explorer):
    """How models scored in a recorded experiment, by task and by size.

    `results`: what `experiments.load` returns. There is a slider for every size that
    was varied; together they name one cell, which the sentence tells of and a band
    marks. The picture goes through that cell along one of the sizes. What was not run
    is shown as not run. Raises ValueError for results without runs.
    """

    title = "Recorded evidence"
    narrowest = 560

    def __init__(self, results: Results, *, seed: int = 0) -> None:
        self.results = results
        self.evidence: Evidence = evidence_of(results)
        self.title = f"Recorded evidence: {results.experiment.replace('_', ' ')}"
        models, axes = self.evidence.models, self.evidence.axes
        varied = {name: values for name, values in axes.items() if len(values) > 1}
        asked = results.question.removesuffix(": one table")  # as older files put it
        self.notice = asked if asked.endswith(("?", ".")) else f"{asked}."
        if varied:
            self.notice += " The band marks what the sentence tells of."
        pickers: dict[str, Any] = {}
        if len(varied) > 1:
            pickers["across"] = choice("Across", [(of_size(n), n) for n in varied])
        for name, values in varied.items():
            options = [(text_of(value), value) for value in values]
            make = choice if isinstance(values[0], str) else slider
            first = values[0] if name == "task" else values[-1]
            pickers[name] = make(of_size(name).capitalize(), options, first)
        pairs = [(f"{models[0]} and {other}", other) for other in models[1:]]
        if len(pairs) > 1:
            pickers["models"] = choice("Models", [(ALL, ALL), *pairs])
        spreads = [("from lowest to highest", True), ("not shown", False)]
        pickers["spread"] = choice("Seeds", spreads)
        super().__init__(pickers, figure_of(models), surprise_seed=seed)

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def _compute(self) -> None:
        now, evidence = self.state(), self.evidence
        axes = evidence.axes
        place = {name: now.get(name, values[0]) for name, values in axes.items()}
        cell = tuple(place.values())
        varied = [name for name, values in axes.items() if len(values) > 1]
        across = now.get("across", (varied or list(axes))[0])
        line = evidence.along(across, cell)
        ours, *others = evidence.models
        chosen = now.get("models", ALL)
        shown = [ours, *(m for m in others if chosen in (ALL, m))]
        scores = {
            model: {
                value: (s.mean, s.low, s.high, len(s.scores))
                for value, at in line.items()
                if (s := evidence.found.get((model, at)))
            }
            for model in shown
        }
        self._facts = {
            "experiment": self.results.experiment,
            "ours": ours,
            "across": across,
            "values": axes[across],
            "at": place[across],
            "place": place,
            "held": {name: place[name] for name in varied if name != across},
            "spread": now["spread"],
            "scores": scores,
            "not_run": {
                model: tuple(value for value in line if value not in points)
                for model, points in scores.items()
            },
            "chance": {
                value: chance
                for value, at in line.items()
                if (chance := evidence.chance(at)) is not None
            },
        }

    def describe(self) -> str:
        f = self.facts()
        at, scores, spread = f["at"], f["scores"], f["spread"]
        here = {m: points[at] for m, points in scores.items() if at in points}
        missing = [spoken(model) for model in scores if model not in here]
        where = words_of(f["place"])
        start = f"{where[0].upper()}{where[1:]},"
        if not here:
            return f"{start} none of these models was run."
        mine = here.pop(f["ours"], None)
        said = "was not run" if mine is None else f"scores {_score(mine, spread)}"
        parts = [f"{start} {spoken(f['ours'])} {said}"]
        if here:
            best = max(here, key=lambda model: here[model][0])
            word = "the best other is" if len(scores) > 2 else "beside it"
            parts.append(f"{word} {spoken(best)} with {_score(here[best], spread)}")
        parts.append(f"a blind guess scores {f['chance'][at]:.2g}")
        others = missing[mine is None :]
        if others:
            parts.append(f"not run: {listed(others)}")
        return f"{'; '.join(parts)}."

    def _details(self) -> dict[str, Any]:
        f, cell = self.facts(), tuple(self.facts()["place"].values())
        mine = self.evidence.found.get((f["ours"], cell))
        details = {"Recorded on": self.results.date, "Runs": len(self.results.runs)}
        if mine is not None:
            details[f"Parameters of {f['ours']}"] = f"{mine.parameters:,}"
            details["its learning rate"] = f"{mine.learning_rate:g}"
            details["std of its matrices at the start"] = mine.start
        return details

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        evidence, shown = self.evidence, self.facts()["scores"]
        header = ["Model", *map(of_size, evidence.axes), "mean", "lowest", "highest"]
        header += ["seeds", "chance", "learning rate", "start", "parameters"]
        rows: list[tuple[Any, ...]] = []
        cells = dict.fromkeys(cell for _, cell in evidence.found)
        for model in shown:
            for cell in cells:
                s = evidence.found.get((model, cell))
                place = (model, *map(text_of, cell))
                if s is None:
                    rows.append((*place, "not run", *["–"] * 7))
                    continue
                score = s.mean, s.low, s.high, len(s.scores), s.chance
                rows.append((*place, *score, s.learning_rate, s.start, s.parameters))
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.evidence.models, self.facts())


def _score(score: tuple[float, float, float, int], spread: bool) -> str:
    """ "0.98 (0.97 to 0.99, 3 seeds)"; one seed has no spread."""
    mean, low, high, seeds = score
    if not spread:
        return f"{mean:.3g}"
    if seeds == 1:
        return f"{mean:.3g} (1 seed)"
    return f"{mean:.3g} ({low:.3g} to {high:.3g}, {seeds} seeds)"
