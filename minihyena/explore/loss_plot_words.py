"""What the loss plot says, made from its facts alone."""

from typing import Any

from minihyena.explore.loss_plot_data import Goal, Spread
from minihyena.explore.parts import listed
from minihyena.explore.scaling_words import spoken

__all__ = ["AXES", "UNITS", "amount", "sentence", "share_of", "text_of"]

AXES = {  # as they are chosen, and as they stand below the picture
    "flops": ("FLOPs, as computed", "training FLOPs, as computed"),
    "flops_causal": (
        "FLOPs, the causal half of attention",
        "training FLOPs, of attention only the causal half",
    ),
    "tokens": ("characters read", "characters read in training"),
    "seconds": ("seconds", "seconds of training on the recorded machine"),
}
UNITS = {
    "flops": "FLOPs",
    "flops_causal": "FLOPs (causal half)",
    "tokens": "characters",
    "seconds": "seconds",
}
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def text_of(text: tuple[str, int]) -> str:
    """ "tinyshakespeare, windows of 2,048"."""
    return f"{text[0]}, windows of {text[1]:,}"


def amount(axis: str, spent: float) -> str:
    """Three digits and a unit: "3.12 TFLOP", "123,000 characters", "118 s"."""
    if axis in ("tokens", "seconds"):
        rounded = float(f"{spent:.3g}")
        number = f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
        return f"{number} {'s' if axis == 'seconds' else 'characters'}"
    size, prefix = next((p for p in PREFIXES if spent >= p[0]), (1.0, ""))
    return f"{spent / size:.3g} {prefix}FLOP"


def share_of(goal: Goal, spread: bool = False) -> str:
    """ "17 % (16 to 18, 3 seeds)" of what the rival spends; "" if it is not there."""
    if goal.share is None:
        return ""
    most = "at most " if goal.at_most else ""
    mean, low, high, seeds = goal.share
    percent = Spread(100 * mean, 100 * low, 100 * high, seeds)
    return most + _told(percent, spread, ".0f", " %")


def sentence(facts: dict[str, Any]) -> str:
    """One sentence: the losses at one amount, then what ours needs to be as good."""
    reads, lines, spread = facts["reads"], facts["lines"], facts["spread"]
    start = f"On {text_of(facts['text'])}, "
    if not reads:
        said = [f"{start}{_nothing(facts)}"]
    else:
        losses = [
            f"{spoken(model)} {_told(loss, spread)}" for model, loss in reads.items()
        ]
        after = amount(facts["axis"], facts["at"])
        said = [f"{start}held-out nats a character after {after}: {listed(losses)}"]
    for model, line in lines.items():
        if model not in reads:
            said.append(_outside(model, line, facts))
    said += _goals(facts)
    for model, (lost, seeds) in facts["diverged"].items():
        said.append(f"{spoken(model)} diverged from {lost} of {_seeds(seeds)}")
    if facts["not_run"] and lines:
        said.append(f"not run: {listed([spoken(m) for m in facts['not_run']])}")
    return f"{'; '.join(said)}."


def _nothing(facts: dict[str, Any]) -> str:
    if facts["lines"]:
        return f"no loss was taken after {amount(facts['axis'], facts['at'])}"
    return f"no run of {listed([*map(spoken, facts['models'])])} came to its end"


def _outside(model: str, line: Any, facts: dict[str, Any]) -> str:
    """Where its line is, which does not reach the amount that is read."""
    late = facts["at"] < line[0][0]
    spent, losses = line[0 if late else -1]
    how = "begins only" if late else "ends"
    where = amount(facts["axis"], spent)
    loss = _told(losses, facts["spread"])
    return f"the line of {spoken(model)} {how} at {where}, with {loss}"


def _goals(facts: dict[str, Any]) -> list[str]:
    """What ours needs to be as good as each rival, and whom it never equals."""
    ours, unit = spoken(facts["ours"]), UNITS[facts["axis"]]
    gets, never = [], []
    for rival, goal in facts["goals"].items():
        aim = f"as low as {spoken(rival)} ends, {goal.loss.mean:.2f}"
        if goal.share is not None:
            share = share_of(goal, facts["spread"])
            gets.append(f"{aim}, with {share} of the {unit}")
        elif goal.reached:
            gets.append(f"{aim}, from only {goal.reached} of {_seeds(goal.loss.seeds)}")
        else:
            never.append(aim)
    said = [f"{ours} gets {listed(gets)}"] if gets else []
    return [*said, f"{ours} never gets {listed(never)}"] if never else said


def _told(numbers: Spread, spread: bool, form: str = ".2f", unit: str = "") -> str:
    """ "1.76 (1.75 to 1.77, 3 seeds)"; one seed has no spread."""
    mean, low, high, seeds = numbers
    said = f"{mean:{form}}{unit}"
    if not spread:
        return said
    between = f"{low:{form}} to {high:{form}}, " if seeds > 1 else ""
    return f"{said} ({between}{_seeds(seeds)})"


def _seeds(number: int) -> str:
    return f"{number} seed{'s' * (number != 1)}"
