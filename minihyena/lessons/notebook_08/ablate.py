"""08.ablate: one part taken away at a time."""

from dataclasses import replace

import torch

from minihyena.filters import ImplicitConfig
from minihyena.hyena import HyenaConfig
from minihyena.lessons.comparing import attempt, pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.options import to_fields

__all__ = ["EXERCISE"]


def ablate(config: HyenaConfig) -> dict[str, HyenaConfig]:
    """Three operators, each without one part of this one, and otherwise the same.

    "no gate": every gate is 1. "no window": the filter's values as its network gives
    them. "no short convolution": projections see their own place only.
    """
    filter = replace(config.filter, window=False)
    return {
        "no gate": replace(config, gated=False),
        "no window": replace(config, filter=filter),
        "no short convolution": replace(config, short_taps=1),
    }


PARTS: dict[str, tuple[str, object]] = {  # name -> the field that goes, its value
    "no gate": ("gated", False),
    "no window": ("filter.window", False),
    "no short convolution": ("short_taps", 1),
}
INSTEAD = {  # changed instead of the right field -> what that does
    "no gate": {
        "order": "fewer gates are not none: order 1 still has one; look for gated",
    },
    "no window": {
        "filter": "another kind of filter is not this filter without its window",
        "filter.shift": "a window with a floor is still a window",
        "filter.slow_decay": "a slower window is still a window",
        "filter.fast_decay": "a slower window is still a window",
    },
}
QUESTION = "Which single field says whether this part is there?"


def flat(config: HyenaConfig) -> dict[str, object]:
    """Every field, those of the filter too, under one name each."""
    fields = to_fields(config, {})
    inner = fields.pop("filter")
    kind = {"filter": type(config.filter).__name__}
    return fields | kind | {f"filter.{name}": value for name, value in inner.items()}


def verdict(name: str, config: HyenaConfig, said: object) -> str:
    """What is wrong with the operator under this name; "" if nothing is."""
    if not isinstance(said, HyenaConfig):
        return f"under {name!r} stands a {type(said).__name__}, not a HyenaConfig"
    field, wanted = PARTS[name]
    before, after = flat(config), flat(said)
    changed = [key for key in before if before[key] != after.get(key, ...)]
    if not changed:
        return f"{name!r} is still the whole operator: nothing was taken away"
    if field not in changed or "filter" in changed:
        known = INSTEAD.get(name, {})
        told = next((known[key] for key in known if key in changed), "")
        if told and not (name == "no gate" and len(changed) > 1):
            return told
        if field not in changed:
            return f"{name!r} changes {changed[0]} and leaves {field} as it was"
    others = [key for key in changed if key != field]
    if others:
        return (
            f"{name!r} takes away more than one thing, also {others[0]}: then nobody "
            "can say which of them was missed"
        )
    if after[field] != wanted:
        return f"{after[field]} taps still look back; a single one, now, does not"
    return ""


def check_ablate(fn: Function, *, generator: torch.Generator) -> None:
    """The default operator, then others of which nothing may get lost."""
    rough = ImplicitConfig(bands=2, sine_frequency=10.0, shift=0.05, slow_decay=1.2)
    order, taps, bands = (pick(low, low + 2, generator) for low in (3, 4, 5))
    filter = replace(rough, bands=bands)
    for config in (
        HyenaConfig(),
        HyenaConfig(order=order, filter=filter),
        HyenaConfig(convention="paper", short_taps=taps, filter=filter),
    ):
        given = (
            f"order {config.order}, {config.convention!r}, {config.short_taps} taps, "
            f"{config.filter.bands} bands"
        )
        try:
            said = attempt(fn, config)
        except Incorrect as error:
            raise Incorrect(error.misconception, given, question=QUESTION) from error
        if not isinstance(said, dict):
            sentence = f"the answer is of type {type(said).__name__}, not dict"
            raise Incorrect(sentence, given, question="Which names should it hold?")
        if set(said) != set(PARTS):
            names = ", ".join(map(repr, PARTS))
            odd = sorted(map(repr, set(said) ^ set(PARTS)))[0]
            sentence = f"the names are {names}: {odd} is missing or too many"
            raise Incorrect(sentence, given, question="What are the three called?")
        for name in PARTS:
            if sentence := verdict(name, config, said[name]):
                raise Incorrect(sentence, given, question=QUESTION)


EXERCISE = Exercise(
    id="08.ablate",
    objective="Take one part of the operator away at a time, and nothing else.",
    answer=ablate,
    hints=(
        "If two parts are missing and the score falls, which one was needed?",
        "dataclasses.replace(config, field=value) copies all fields but one. The "
        "window is a field of config.filter, so replace that first.",
    ),
    checker=check_ablate,
    points=10,
    minutes=10,
    stars=2,
)
