"""Options: a word, a frozen dataclass, or plain values from a file; all mean one.

LMConfig(65, mixer="hyena")
LMConfig(65, mixer=HyenaConfig(order=3, filter="s4d"))
LMConfig(65, mixer={"kind": "hyena", "order": 3, "filter": {"kind": "s4d"}})
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from minihyena.errors import choose

__all__ = ["configure", "from_fields", "to_fields"]

Config = TypeVar("Config")


def configure(what: str, chosen: Any, known: Mapping[str, type]) -> Any:
    """What was chosen, as options of a kind in `known`; a word means its defaults.

    Raises ValueError for a word that is not known and for misspelt fields, naming the
    nearest, TypeError for options of another kind.
    """
    if isinstance(chosen, str):
        return known[choose(what, chosen, known)]()
    if isinstance(chosen, Mapping):
        values = dict(chosen)
        kind = choose(what, values.pop("kind", "none (no `kind`)"), known)
        return from_fields(known[kind], values)
    if not isinstance(chosen, tuple(known.values())):
        raise TypeError(
            f"{what} is one of {', '.join(known)}, or the options of one "
            f"({', '.join(k.__name__ for k in known.values())}); got {chosen!r}"
        )
    return chosen


def from_fields(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration dataclass from plain values; a misspelt field is an error.

    Raises ValueError naming the unknown field and the known ones, nearest first.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        choose(f"{kind.__name__} field", name, known)
    return kind(**values)


def to_fields(config: Any, names: Mapping[str, type]) -> dict[str, Any]:
    """Plain values that `configure` and `from_fields` read back.

    Options whose type is among `names` carry that name under "kind".
    """
    kind = next((name for name, kind in names.items() if type(config) is kind), None)
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return ({} if kind is None else {"kind": kind}) | {
        name: to_fields(value, names) if is_dataclass(value) else value
        for name, value in values.items()
    }
