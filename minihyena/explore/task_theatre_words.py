"""The sentence of the task theatre, and the reasons for sizes that are not offered."""

from typing import Any

from minihyena.explore.parts import listed
from minihyena.explore.task_theatre_stage import FIELDS

__all__ = ["noted", "said_of"]

GOALS = {
    "value": "the value of the matching key",
    "copied": "the token to be copied",
    "counted": "a symbol that counts",
}


def said_of(f: dict[str, Any]) -> str:
    """One sentence of the facts of a TaskTheatre; shares are left to the table."""
    sizes = [f"{n} {f[n]:,}" for n in FIELDS if f[n]]
    place = f"{f['task']}, {listed(sizes)}" if sizes else f["task"]
    t, verdicts = f["asked"], []
    right = [name for name, places in f["right"].items() if t in places]
    wrong = [name for name in f["answers"] if name not in right]
    for names, verdict in ((right, "right"), (wrong, "wrong")):
        if names:
            verdicts.append(
                f"{listed(names)} answer{'s' * (len(names) == 1)} {verdict}"
            )
    return (
        f"{place}, example {f['example']}: at position {t} (“{f['words'][t]}”) the "
        f"answer is “{f['targets'][t]}”; {', '.join(verdicts)}; {_look(f)}."
    )


def _look(f: dict[str, Any]) -> str:
    model = f["model"]
    if not f["kind"]:
        return f"{model} cannot be looked into, as it has no nn.Embedding"
    where = f"{f['kind']}, layer {f['layer']}" if f["layers"] > 1 else f["kind"]
    if f["found"] is None:
        return f"where {model} looks is read from {where}"
    goal = GOALS[next(role for role in f["decisive"].values() if role != "key")]
    most = len(f["top"])
    among = "among" if f["found"] else "not among"
    return f"{goal} is {among} the {most} positions that {model} reads most ({where})"


def noted(f: dict[str, Any]) -> str:
    """The next larger length and vocabulary that are not offered, and why."""
    said = []
    for size, reasons in f["refused"].items():
        larger = [value for value in reasons if value > (f[size] or 0)]
        if larger:
            said.append(f"{size} {larger[0]:,} ({reasons[larger[0]]})")
    return f"Not offered: {listed(said)}." if said else ""
