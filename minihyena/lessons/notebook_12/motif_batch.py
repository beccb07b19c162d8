"""12.motif_batch: two motifs in random DNA, at the distance that counts or not."""

import re

import torch
from torch import Tensor

from minihyena.lessons.comparing import pick
from minihyena.lessons.exercise import Exercise, Function, Incorrect
from minihyena.lessons.notebook_08.batches import Drawn, check_draws, drawn

__all__ = ["EXERCISE"]


def motif_batch(
    n: int, length: int, distance: int, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """n rows of bases A C G T = 0 1 2 3 -> ids (n, length), labels (n,) of 0 and 1.

    Every row is random, but for two motifs at places drawn by lot, whole and not over
    each other: TTGACA = 3 3 2 0 1 0 and TATAAT = 3 0 3 0 0 3. In about half of the
    rows the second begins `distance` places after the first begins: label 1. In the
    others it stands somewhere else: label 0. All draws come from `generator`.
    """
    motifs = torch.tensor([[3, 3, 2, 0, 1, 0], [3, 0, 3, 0, 0, 3]])
    room = length - distance - 5  # places where the first of a pair may begin
    ids = torch.randint(4, (n, length), generator=generator)
    labels = torch.randint(2, (n,), generator=generator)
    first, other = torch.randint(room, (2, n), generator=generator)
    wrong = labels == 0
    while wrong.any():  # the second motif as if for another first one
        other[wrong] = torch.randint(room, (int(wrong.sum()),), generator=generator)
        over = (other + distance - first).abs() < 6
        wrong = (labels == 0) & ((other == first) | over)
    second = torch.where(labels == 1, first, other) + distance
    for motif, start in zip(motifs, (first, second), strict=True):
        ids.scatter_(1, start[:, None] + torch.arange(6), motif.expand(n, 6))
    return ids, labels


FIRST, SECOND = bytes([3, 3, 2, 0, 1, 0]), bytes([3, 0, 3, 0, 0, 3])
Row = tuple[int, int, list[int], list[int]]  # its number, label, places of both motifs
CHANCES = 0.02  # share of rows in which a motif may turn up by chance as well
END = "Which is the last place where the first motif may begin?"
KNOW = "What does a model need to know that tells the two kinds of rows apart?"


def places(row: bytes, motif: bytes) -> list[int]:
    """Where the motif begins, overlaps included."""
    return [
        found.start() for found in re.finditer(b"(?=" + re.escape(motif) + b")", row)
    ]


def where(batch: Drawn) -> list[Row]:
    rows = zip(batch.inputs.tolist(), batch.answers.tolist(), strict=True)
    return [
        (number, label, places(bytes(ids), FIRST), places(bytes(ids), SECOND))
        for number, (ids, label) in enumerate(rows)
    ]


def check_ids(batch: Drawn, length: int) -> None:
    """Incorrect unless rows hold `length` bases and labels are 0 and 1."""
    got = batch.inputs.shape[1]
    if got != length:
        sentence = f"rows have {got} bases, not length = {length}"
        raise batch.wrong(sentence, 0, f"{length} bases", END)
    if not ((batch.inputs >= 0) & (batch.inputs < 4)).all():
        sentence = "bases are 0 to 3; there is another number"
        row = int(((batch.inputs < 0) | (batch.inputs > 3)).any(1).int().argmax())
        raise batch.wrong(sentence, row, "ids below 4", "Which letters has DNA?")
    if not ((batch.answers == 0) | (batch.answers == 1)).all():
        row = int(((batch.answers < 0) | (batch.answers > 1)).int().argmax())
        sentence = "labels are 0 and 1; there is another number"
        raise batch.wrong(sentence, row, "0 or 1", "Is the pair there, yes or no?")


def check_motifs(batch: Drawn, found: list[Row], length: int, distance: int) -> None:
    """Incorrect at the first row that lacks a motif, or a pair that its label wants."""
    for row, label, first, second in found:
        if first and second:
            continue
        name = "TATAAT, the second" if first else "TTGACA, the first"
        sentence = f"a row has no {name} motif, or not all of it"
        if label == 0:
            sentence = (
                "rows with label 0 lack a motif: base frequencies alone predict the "
                "label, or the motif's being there"
            )
        elif first and first[-1] + distance + 6 > length:
            sentence = "second motif ends beyond the sequence: it is cut off, or gone"
        raise batch.wrong(sentence, row, "both motifs, whole", END if label else KNOW)
    lags = [
        {s - f for f in first for s in second}
        for _, label, first, second in found
        if label
    ]
    for lag, sentence in (
        (distance + 6, "distance is start to start: yours is from the first one's end"),
        (
            distance + 5,
            "distance is start to start: yours is from the first's last base",
        ),
        (-distance, "the motifs changed places: TTGACA comes first"),
        (distance - 6, "distance is start to start: yours is to the second one's end"),
        (distance + 1, "the second motif begins one place late"),
        (distance - 1, "the second motif begins one place early"),
        (distance - length, "second motif ends beyond the sequence, and came round"),
    ):
        if lags and all(lag in each for each in lags) and lag != distance:
            row = int(batch.answers.argmax())
            raise batch.wrong(
                sentence,
                row,
                f"{distance} places from start to start",
                "Between which two bases is the distance measured?",
            )


def check_labels(batch: Drawn, found: list[Row], distance: int) -> None:
    """Incorrect where a label does not say whether the pair is there."""
    lying = []
    for row, label, first, second in found:
        there = distance in {s - f for f in first for s in second}
        if label and not there:
            sentence = "label 1, but no second motif begins there"
            expected = f"{distance} places from start to start"
            raise batch.wrong(sentence, row, expected, "What does label 1 promise?")
        if there and not label:
            lying.append(row)
    if len(lying) > max(1, CHANCES * len(batch.answers)):
        raise batch.wrong(
            "label 0, but the pair stands at the distance, and in more rows than by "
            "chance",
            lying[0],
            "label 1, or another distance",
            "How do you make sure that the other distance is another one?",
        )


def check_fair(batch: Drawn, found: list[Row], distance: int) -> None:
    """Incorrect if many rows together give the label away."""
    yes = batch.answers == 1
    share = float(yes.double().mean())
    if not 0.44 < share < 0.56:
        sentence = f"{share:.0%} of the labels are 1: a constant guess wins"
        batch.unfair(sentence, "about 50 %", f"{share:.0%}", "Who draws the label?")
    counts = torch.nn.functional.one_hot(batch.inputs.long(), 4).sum(1).double()
    gap = (counts[yes].mean(0) - counts[~yes].mean(0)).abs()
    if float(gap.max()) > 0.8:
        letter, more = "ACGT"[int(gap.argmax())], float(gap.max())
        sentence = "base frequencies alone predict the label"
        got = f"{more:.1f} bases {letter} more in one kind"
        batch.unfair(sentence, "as many of each base in both", got, KNOW)
    spread = counts.sum(0) / counts.sum()
    if float(spread.max()) > 0.45:
        letter = "ACGT"[int(spread.argmax())]
        sentence = f"{float(spread.max()):.0%} of all bases are {letter}: nothing hides"
        batch.unfair(sentence, "random bases", letter, "From what are the rows drawn?")
    lags = torch.tensor([row[3][0] - row[2][0] for row in found if not row[1]])
    usual = int(lags.mode().values)
    for these, sentence in (
        (lags < 0, "with label 0 TATAAT stands first: the order tells the label"),
        (lags == usual, f"with label 0 it stands {usual} places on, and nowhere else"),
        (lags < distance, "with label 0 the motifs are nearer, and never farther"),
        (lags > distance, "with label 0 the motifs are farther, and never nearer"),
    ):
        often = float(these.double().mean())
        if often > 0.9:
            got = f"{often:.0%} of these rows"
            batch.unfair(sentence, "many other distances", got, KNOW)
    for which, name in ((2, "TTGACA"), (3, "TATAAT")):
        seen: dict[int, list[int]] = {}
        for row in found:
            seen.setdefault(row[which][0], []).append(row[1])  # type: ignore[index]
        most = max(map(len, seen.values())) / len(found)
        if most > 0.5:
            sentence = f"{name} begins at the same place in {most:.0%} of the rows"
            batch.unfair(sentence, "places drawn by lot", f"{most:.0%}", KNOW)
        told = sum(max(sum(x), len(x) - sum(x)) for x in seen.values()) / len(found)
        if told > 0.85:
            sentence = f"where {name} stands tells the label in {told:.0%} of the rows"
            batch.unfair(sentence, "both motifs needed", f"{told:.0%}", KNOW)


def check_motif_batch(fn: Function, *, generator: torch.Generator) -> None:
    """Row by row, then the stream, then what only many rows show."""
    seed = pick(0, 2**31 - 2, generator)
    stream = torch.Generator().manual_seed(seed)
    gap = pick(13, 20, generator)
    several = 32, gap + pick(24, 40, generator), gap
    for sizes in ((16, 36, 13), several, (32, 1100, 1000), (4096, 48, 15)):
        n, length, distance = sizes
        given = f"n = {n}, length = {length}, distance = {distance}"
        try:
            batch = drawn(fn, sizes, stream, given)
            check_ids(batch, length)
            found = where(batch)
            check_motifs(batch, found, length, distance)
            check_labels(batch, found, distance)
        except Incorrect as error:
            if "IndexError" in error.misconception or "out of bounds" in str(error):
                sentence = (
                    f"second motif ends beyond the sequence? {error.misconception}"
                )
                raise Incorrect(sentence, given, question=END) from error
            check_draws(fn, several, seed)  # a wrong stream shows up as anything
            raise
        check_draws(fn, several, seed)
    check_fair(batch, found, distance)


EXERCISE = Exercise(
    id="12.motif_batch",
    objective="Generate DNA with two motifs in which only their distance tells.",
    answer=motif_batch,
    hints=(
        "If rows with label 0 had no motifs, what would a model have to look for? And "
        "where may the first motif begin, so that the second still fits?",
        "There are length - distance - 5 places for the first one. For label 0 put the "
        "second where it would belong to *another* first one, and draw again while "
        "that is the same place, or over the first. ids.scatter_(1, places, letters) "
        "writes into all rows at once; a loop over rows is fine, too.",
    ),
    checker=check_motif_batch,
    points=12,
    minutes=12,
    stars=2,
)
