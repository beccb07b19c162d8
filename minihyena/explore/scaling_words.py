"""What the scaling plot says, made from its facts alone."""

from collections.abc import Mapping
from typing import Any

from minihyena.explore.parts import listed
from minihyena.explore.scaling_data import Value
from minihyena.explore.training_loop import Phase

__all__ = ["sentence", "spoken"]

UNITS = {"memory": "MiB", "operations": "million operations"}


def spoken(name: str) -> str:
    """A name as it stands in a list: "ours, filter kept" -> "ours (filter kept)"."""
    head, _, rest = name.partition(", ")
    return f"{head} ({rest})" if rest else head


def sentence(facts: dict[str, Any]) -> str:
    """One sentence; of this machine only once something was measured on it."""
    quantity, lengths = facts["quantity"], facts["lengths"]
    start = f"{quantity.capitalize()} of {_what(facts)}, L = {_span(lengths)}"
    if quantity == "times faster":
        said = f"{_what(facts).capitalize()}, L = {_span(lengths)}: {_faster(facts)}"
    elif quantity == "time":
        said = f"{start}: {_exponents(facts['exponents'])}{_leads(facts)}"
    else:
        ends = _at_the_end(facts["values"], UNITS[quantity])
        said = f"{start}: {_exponents(facts['exponents'])}; {ends}"
    return f"{said}{_here(facts)}."


def _what(facts: dict[str, Any]) -> str:
    if facts["ours"] == "minihyena":
        return f"the {facts['comparison']}, as recorded"
    return f"{facts['comparison']}, as quoted"


def _exponents(exponents: Mapping[str, float]) -> str:
    if not exponents:
        return "no exponent, since there is only one length"
    parts = [f"{power:.1f} for {spoken(name)}" for name, power in exponents.items()]
    return f"the exponent is {listed(parts)}"


def _leads(facts: dict[str, Any]) -> str:
    """From which length on `ours` stays ahead of each of the others."""
    groups: dict[str, list[str]] = {}
    for name, lead in facts["ahead"].items():
        if name.startswith(f"{facts['ours']}, "):  # the same program, in another use
            continue
        groups.setdefault(_since(lead), []).append(spoken(name))
    parts = [f"of {listed(names)} {since}" for since, names in groups.items()]
    return f"; {facts['ours']} is ahead {listed(parts)}" if parts else ""


def _since(lead: Mapping[str, int | None]) -> str:
    first, median, surely = lead["first"], lead["median"], lead["surely"]
    if median is None:
        return "from no length on"
    words = "at every length measured" if median == first else f"from {median:,} on"
    if surely == median:
        return words
    sure = f"from {surely:,}" if surely is not None else "nowhere"
    return f"{words} (beyond the quartiles {sure})"


def _faster(facts: dict[str, Any]) -> str:
    groups: dict[int, list[str]] = {}
    for name, points in facts["values"].items():
        length, (middle, low, high) = max(points.items())
        spread = f" ({_two(low)} to {_two(high)})" if high > low else ""
        said = f"{_two(middle)}{spread} times as fast as {spoken(name)}"
        groups.setdefault(length, []).append(said)
    failed = [
        f"{spoken(name)} from {min(at):,} on"
        for name, lengths in facts["failed"].items()
        if (at := set(lengths) & set(facts["lengths"]))
    ]
    words = f"{facts['ours']} is, {_by_length(groups)}" if groups else "no other"
    return f"{words}; not run: {listed(failed)}" if failed else words


def _at_the_end(values: Mapping[str, Mapping[int, Value]], unit: str) -> str:
    groups: dict[int, list[str]] = {}
    for name, points in values.items():
        length, (middle, _, _) = max(points.items())
        groups.setdefault(length, []).append(f"{spoken(name)} {_two(middle)}")
    return f"in {unit}: {_by_length(groups)}"


def _by_length(groups: Mapping[int, list[str]]) -> str:
    """What there is to say of each length, the longest first."""
    ordered = sorted(groups.items(), reverse=True)
    return "; ".join(f"at L = {length:,}, {listed(said)}" for length, said in ordered)


def _here(facts: dict[str, Any]) -> str:
    """Nothing until something was measured."""
    if facts["phase"] == Phase.READY or not facts["here"]:
        return ""
    lengths = sorted({n for points in facts["here"].values() for n in points})
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)}"
    start = f". Measured here on {threads}, L = {_span(lengths)}: "
    if facts["quantity"] == "times faster":
        last = {name: max(points.items()) for name, points in facts["here"].items()}
        parts = [
            f"{_two(v[0])} for {spoken(name)} at {n:,}" for name, (n, v) in last.items()
        ]
        return f"{start}the ratio is {listed(parts)}"
    if facts["exponents_here"]:
        return start + _exponents(facts["exponents_here"])
    return start + f"{listed([*map(spoken, facts['here'])])}, at one length so far"


def _two(x: float) -> str:
    """Two significant digits: 0.83, 11, 240, 1,100."""
    if x < 10:
        return f"{x:.2g}"
    return f"{float(f'{x:.2g}'):,.0f}"


def _span(lengths: Any) -> str:
    first, last = lengths[0], lengths[-1]
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"
