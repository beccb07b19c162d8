"""Options: a word, a frozen dataclass, or plain values from a file; all mean one.

LMConfig(65, mixer="hyena")
LMConfig(65, mixer=HyenaConfig(order=3, filter="s4d"))
LMConfig(65, mixer={"kind": "hyena", "order": 3, "filter": {"kind": "s4d"}})
"""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

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
    """A dataclass from plain values; lists become the tuples that it wants.

    Raises ValueError naming an unknown field and the known ones, nearest first;
    TypeError for a value of another type than the field's, or a missing one.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{kind.__name__} takes fields by name; got {values!r:.40}")
    known = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    made = {}
    for name, value in values.items():
        wanted = known[choose(f"{kind.__name__} field", name, known)]
        try:
            made[name] = _typed(value, wanted)
        except TypeError as error:
            raise TypeError(f"{kind.__name__} field {name}: {error}") from None
    return kind(**made)


def _typed(value: Any, kind: Any) -> Any:
    """The value as a field of this type has it. Numbers are finite."""
    inner = get_args(kind)
    if kind is Any or (value is None and type(None) in inner):
        return value
    if isinstance(kind, UnionType):  # int | None
        return _typed(value, inner[0])
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(map(_typed, value, kinds))
    elif get_origin(kind) is dict and isinstance(value, Mapping):
        return {name: _typed(one, inner[1]) for name, one in value.items()}
    elif kind in (int, float):
        plain = isinstance(value, Integral if kind is int else Real)
        if plain and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
            return value
    elif isinstance(value, get_origin(kind) or kind):
        return value
    raise TypeError(f"{value!r:.40} is no {getattr(kind, '__name__', kind)}")


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
