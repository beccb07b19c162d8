"""Loss plot: recorded language models, compared at equal cost and at equal loss."""

from collections.abc import Iterable
from typing import Any

from minihyena.experiments import Results
from minihyena.explore.base import Explorer
from minihyena.explore.loss_plot_data import Line, Spread, goal_of, line_of, twins_of
from minihyena.explore.loss_plot_figure import draw, figure_of
from minihyena.explore.loss_plot_words import AXES, amount, sentence, text_of
from minihyena.explore.parts import choice, slider
from minihyena.explore.scaling_words import spoken

__all__ = ["LossPlot"]

ALL = "all"
SHARES = tuple(percent / 100 for percent in range(5, 101, 5))


class LossPlot(Explorer):
    """How the held-out loss of recorded models falls by what they spend on training.

    `results`: what `experiments.load` returns of an experiment on texts. All losses are
    read at one amount: a share of what the rival spends in all, the rival being the
    first that is shown beside ours. The dotted way leads from the end of a rival, at
    the height of its last loss, to where ours was as low. Raises ValueError for results
    without runs on texts.
    """

    title = "Recorded losses"
    narrowest = 520

    def __init__(self, results: Results, *, seed: int = 0) -> None:
        self.results = results
        self.twins = twins_of(results)
        self.title = f"Recorded losses: {results.experiment.replace('_', ' ')}"
        self.notice = (
            f"{results.question} The dashed line reads all losses at a share of the "
            "rival's run; the dotted way leads from a rival's end to where the first "
            "model was as low."
        )
        ours, *others = self.twins.models
        pickers: dict[str, Any] = {
            "text": choice("Text", [(text_of(text), text) for text in self.twins.texts])
        }
        if len(others) > 1:
            pairs = [(f"{ours} and {spoken(other)}", other) for other in others]
            pickers["models"] = choice("Models", [(ALL, ALL), *pairs])
        axes = [(words, axis) for axis, (words, _) in AXES.items()]
        pickers["axis"] = choice("By", axes)
        spreads = [("from lowest to highest", True), ("not shown", False)]
        pickers["spread"] = choice("Seeds", spreads)
        shares = [(f"{round(100 * s)} %", s) for s in SHARES]
        pickers["share"] = slider("Read at", shares, self._latest())
        super().__init__(pickers, figure_of(self.twins.models), surprise_seed=seed)

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def _latest(self) -> float:
        """The largest share at which, in the first picture, every line can be read."""
        text = next(iter(self.twins.texts))
        lines = self._lines(text, "flops", self.twins.models)
        end = lines[_rival(lines)].end if lines else 0.0
        ends = (s for s in SHARES if all(line.at(s * end) for line in lines.values()))
        return max(ends, default=SHARES[-1])

    def _lines(self, text: Any, axis: str, models: Iterable[str]) -> dict[str, Line]:
        found = {m: line_of(self.twins.runs(text, m), axis) for m in models}
        return {model: line for model, line in found.items() if line}

    def _compute(self) -> None:
        now, twins = self.state(), self.twins
        text, axis = now["text"], now["axis"]
        ours, *others = twins.models
        chosen = now.get("models", ALL)
        models = [ours, *(m for m in others if chosen in (ALL, m))]
        runs = {model: twins.runs(text, model) for model in models}
        lines = self._lines(text, axis, models)
        at = now["share"] * lines[_rival(lines)].end if lines else 0.0
        reads = {model: line.at(at) for model, line in lines.items()}
        goals = {m: goal_of(runs[ours], runs[m], axis) for m in models[1:]}
        lost = {m: (twins.diverged(text, m), len(twins.texts[text].get(m, ())))
                for m in models}  # fmt: skip
        self._facts = {
            "experiment": self.results.experiment,
            "text": text,
            "axis": axis,
            "models": tuple(models),
            "ours": ours,
            "spread": now["spread"],
            "share": now["share"],
            "at": at,
            "lines": {model: line.points for model, line in lines.items()},
            "reads": {model: loss for model, loss in reads.items() if loss},
            "goals": {model: goal for model, goal in goals.items() if goal},
            "diverged": {model: pair for model, pair in lost.items() if pair[0]},
            "not_run": tuple(m for m in models if m not in twins.texts[text]),
        }

    def describe(self) -> str:
        return sentence(self.facts())

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        found = {m: runs[0] for m in f["models"] if (runs := self.runs(m))}
        details: dict[str, Any] = {"Recorded on": self.results.date}
        for model, run in found.items():
            details[f"{spoken(model)}:"] = (
                f"{run.parameters:,} parameters, learning rate {run.learning_rate:g}, "
                f"{amount('flops', run.flops)} a step"
            )
        if found:
            last = next(reversed(found.values()))
            details["each run:"] = f"{last.steps} steps of {last.tokens:,} characters"
        return details

    def runs(self, model: str) -> list[Any]:
        """Those of a model on the chosen text that came to their end."""
        return self.twins.runs(self.facts()["text"], model)

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        f = self.facts()
        axis, lines, reads = f["axis"], f["lines"], f["reads"]
        header = ["Model", "what", AXES[axis][0]]
        header += ["mean loss", "lowest", "highest", "seeds"]
        rows: list[tuple[Any, ...]] = []

        def add(model: str, what: str, spent: float, losses: Spread) -> None:
            rows.append((model, what, amount(axis, spent), *losses))

        for model, line in lines.items():
            for spent, losses in line:
                add(model, "its line", spent, losses)
            if model in reads:
                add(model, "read here", f["at"], reads[model])
            whole = Spread.of([run.loss for run in self.runs(model)])
            add(model, "whole held-out text", line[-1][0], whole)
        for rival, goal in f["goals"].items():
            what = f"as low as {rival} ends"
            if goal.spent:
                add(f["ours"], what, goal.spent.mean, goal.loss)
            else:
                rows.append((f["ours"], what, "never", *goal.loss))
        return header, rows

    def _draw(self) -> None:
        draw(self.figure, self.twins.models, self.facts())


def _rival(lines: dict[str, Line]) -> str:
    """The second, or the only one."""
    return [*lines][:2][-1]
