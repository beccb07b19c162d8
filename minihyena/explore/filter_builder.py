"""Filter builder: what bands, frequency, width and window make of a filter."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import ipywidgets as W
import torch

from minihyena.explore.base import Explorer, State
from minihyena.explore.filter_families import (
    FAMILIES,
    WINDOW,
    Build,
    Family,
    envelope,
)
from minihyena.explore.filter_figure import builder_figure, draw, numbers_of
from minihyena.explore.filter_views import Filter, parameters_of, reaches, taps, view
from minihyena.explore.parts import choice, row, slider
from minihyena.filters import ImplicitConfig
from minihyena.model import drawing_from

__all__ = ["FilterBuilder"]

CHANNELS = 16
LENGTHS = tuple(2**k for k in range(6, 13))
GROUPS = {
    "Drawn by": ("family", "bands", "omega", "size"),
    "Window": ("window", *WINDOW),
    "Look at": ("length", "channel"),
}
PRESETS = {  # settings that were published; what they leave open is as at first
    "Official default": {"bands": 1, "omega": 1.0},
    "Paper's language models": {"bands": 16, "omega": 14.0},
    "HyenaDNA": {"bands": 2, "omega": 10.0, "floor": 0.05},
}
OTHERS = "All other choices as at first"
YOURS = "yours"


class FilterBuilder(Explorer):
    """Build sixteen filters by choices, and see one of them, untrained, and its cost.

    Sine network: the library's `ImplicitFilter`; ReLU network: the same with another
    bend; exponentials and free taps: two of the library's rival filters. The weights
    are drawn anew from the same seed each time.
    `mine`: a learner's `mine(config, width, length)`, an `ImplicitConfig` and two
    numbers, to a filter `f(length) -> (D, L)`; its `.parameters()` are counted and its
    `.window` (D, L) is shown, where it has them.
    """

    title = "Filter builder"
    notice = (
        "Untrained filters, drawn by lot. What fills the spectrum, what makes some "
        "channels short-sighted, and what does the number of parameters depend on?"
    )
    narrowest = 640

    def __init__(self, mine: Build | None = None, *, seed: int = 4) -> None:
        self.seed = seed
        self.families = dict(FAMILIES)
        if mine is not None:
            like = FAMILIES["sine network"]
            words = like.words.replace("Sine network", "Your filter")
            self.families = {YOURS: Family(mine, like.controls, words), **FAMILIES}
        self._counted: dict[tuple[Any, ...], dict[int, int]] = {}
        pickers = {
            "family": choice("Family", list(self.families)),
            "bands": slider("Bands K", (1, 2, 4, 8, 16, 32), 4),
            "omega": slider("Frequency ω", (1.0, 2.0, 5.0, 10.0, 14.0, 20.0, 30.0)),
            "size": slider("Hidden width F", (8, 16, 32, 64, 128), 64),
            "window": choice("Window", [("on", True), ("off", False)]),
            "fast": slider(
                "Fastest at 1 % by", _of_length(0.02, 0.05, 0.1, 0.2, 0.3), 0.3
            ),
            "slow": slider(
                "Slowest at 1 % by", _of_length(0.3, 0.5, 1.0, 1.5, 3.0), 1.5
            ),
            "floor": slider("Floor", (0.0, 0.01, 0.05, 0.2)),
            "length": slider("Length L", LENGTHS, 1024),
            "channel": slider("Channel", range(CHANNELS), 8),
        }
        super().__init__(pickers, builder_figure(LENGTHS), surprise_seed=seed)

    def _controls(self) -> list[W.Widget]:
        """Three groups side by side, then the presets and the buttons."""
        columns = []
        for name, members in GROUPS.items():
            title = W.HTML(f"<b>{name}</b>")
            pickers = [self.pickers[member] for member in members]
            wide = W.Layout(width="min(100%, 330px)", overflow="visible")
            columns.append(W.VBox([title, *pickers], layout=wide))
        presets = [
            self._button(name, "sliders", OTHERS, partial(self._choose, settings))
            for name, settings in PRESETS.items()
        ]
        buttons = self._button_row()
        group = row(columns)
        group.layout.align_items = "flex-start"
        title = W.HTML("<b>Settings that were published</b>")
        published = row([title, *presets], "mh-buttons")
        published.layout.align_items = "center"
        return [group, published, buttons]

    def _choose(self, settings: State) -> None:
        """These, and all others as at first."""
        self._apply(self._first | settings)

    def sweep(self, cap: int = 100) -> Iterator[tuple[State, dict[str, Any]]]:
        """Every value of every control once, then states by lot, `cap` of them in all.

        The grid has too many states to walk along.
        """
        before, lot = self.state(), torch.Generator().manual_seed(0)
        controls = self.controls
        singles = [{name: v} for name, values in controls.items() for v in values]
        drawn = (
            {
                name: values[int(torch.randint(len(values), (), generator=lot))]
                for name, values in controls.items()
            }
            for _ in range(cap - len(singles))
        )
        try:
            for state in (*singles, *drawn):
                self._apply(before | state)
                yield self.state(), self.facts()
        finally:
            self._apply(before)

    @torch.no_grad()
    def _compute(self) -> None:
        now = self.state()
        family, length, channel = (now[k] for k in ("family", "length", "channel"))
        used = self.families[family].controls
        open_ = {"family", "length", "channel", *used}
        if "window" in open_ and now["window"]:
            open_ |= set(WINDOW)
        for name, picker in self.pickers.items():
            picker.disabled = name not in open_
        source = self._build(now, length)
        h = taps(source, length)[0]
        if len(h) != CHANNELS:
            raise ValueError(
                f"the filter has {len(h)} channels; it was asked for {CHANNELS}"
            )
        self.now, self.envelope = view(h[channel]), envelope(source, h, channel)
        key = family, now["bands"], now["size"]
        if key not in self._counted:
            self._counted[key] = {
                n: parameters_of(self._build(now, n)) for n in LENGTHS
            }
        self._facts = {name: value for name, value in now.items() if name in open_}
        self._facts |= {
            "words": self.families[family].words.format(**now),
            "parameters": parameters_of(source),
            "counts": tuple(self._counted[key].values()),
            "free_taps": CHANNELS * length,
            "reaches": tuple(reaches(h).tolist()),
            "reach": self.now.reach,
            "peak": self.now.peak,
            "band": self.now.band,
        }

    def _build(self, now: State, length: int) -> Filter:
        """The same draw every time."""
        config = ImplicitConfig(
            now["bands"], now["size"], sine_frequency=now["omega"],
            window=now["window"], fast_decay=now["fast"], slow_decay=now["slow"],
            shift=now["floor"],
        )  # fmt: skip
        with drawing_from(torch.Generator().manual_seed(self.seed)):
            build = self.families[now["family"]].build
            source: Filter = build(config, CHANNELS, length)
        return source

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)

    def describe(self) -> str:
        f = self.facts()
        at = f"at length {f['length']:,}"
        if len(set(f["counts"])) == 1:
            cost = f"at any length; free taps need {f['free_taps']:,} {at}"
        else:
            cost = f"{at}, {f['counts'][-1]:,} at length 4,096"
        return (
            f"{f['words']}: {f['parameters']:,} parameters {cost}. Its channels reach "
            f"back {min(f['reaches']):,} to {max(f['reaches']):,} lags; channel "
            f"{f['channel']} reaches {f['reach']:,}, and 90 % of its power lies below "
            f"{f['band']:.3f} cycles per token."
        )

    def _details(self) -> dict[str, Any]:
        f = self.facts()
        return {
            "parameters": f"{f['parameters']:,}",
            "free taps, 16 × L": f"{f['free_taps']:,}",
            "90 % of |h| by lag": f"{f['reach']:,}",
            "90 % of the power below": f"{f['band']:.3f}",
            "peak, cycles per token": f"{f['peak']:.3f}",
        }

    def _numbers(self) -> tuple[list[str], list[tuple[Any, ...]]]:
        header, rows = numbers_of(self.now)
        f = self.facts()
        lists: list[Any] = [range(CHANNELS), f["reaches"], LENGTHS, f["counts"]]
        header += ["channel", "reach", "length", "parameters"]
        if self.envelope is not None:
            header.append("window")
            lists.append(self.envelope.tolist())
        blank = [[*values, *[""] * (len(rows) - len(values))] for values in lists]
        more = zip(*blank, strict=True)
        return header, [(*a, *b) for a, b in zip(rows, more, strict=True)]

    def _draw(self) -> None:
        f = self.facts()
        *first, over, under, every, chosen, free, counted, here = self.figure.data
        draw(first, self.now, None)
        edge = [] if self.envelope is None else self.envelope.tolist()
        for trace, sign in ((over, 1), (under, -1)):
            trace.update(x=list(range(len(edge))), y=[sign * y for y in edge])
        every.update(x=list(range(CHANNELS)), y=f["reaches"])
        chosen.update(x=[f["channel"]], y=[f["reach"]])
        free.update(x=LENGTHS, y=[CHANNELS * n for n in LENGTHS])
        counted.update(x=LENGTHS, y=f["counts"])
        here.update(x=[f["length"]], y=[f["parameters"]])


def _of_length(*shares: float) -> list[tuple[str, float]]:
    return [(f"{share:g} L", share) for share in shares]
