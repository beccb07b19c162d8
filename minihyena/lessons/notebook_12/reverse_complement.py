"""12.reverse_complement: the same molecule, read from its other strand."""

import torch
from torch import Tensor

from minihyena.lessons.checking import Mistake, examine
from minihyena.lessons.comparing import Case, pick
from minihyena.lessons.exercise import Exercise, Function
from minihyena.lessons.probes import Failures

__all__ = ["EXERCISE"]

LETTERS = "ACGTN"


def reverse_complement(ids: Tensor) -> Tensor:
    """ids (..., L) of A C G T N as 0 1 2 3 4 -> (..., L): the other strand.

    It is read from its own beginning, which lies at the end of this one. A pairs with
    T, C with G; where a base is unknown, N, its partner is unknown, too.
    """
    partner = torch.tensor([3, 2, 1, 0, 4])
    return partner[ids].flip(-1)


def by_letters(ids: Tensor) -> Tensor:
    """The oracle: letter after letter, row after row."""
    pairs = dict(zip("ACGTN", "TGCAN", strict=True))
    rows = []
    for row in ids.reshape(-1, ids.shape[-1]).tolist():
        other = [pairs[LETTERS[i]] for i in row]
        rows.append([LETTERS.index(letter) for letter in other[::-1]])
    return torch.tensor(rows).reshape(ids.shape)


def paired(ids: Tensor, partners: tuple[int, ...] = (3, 2, 1, 0, 4)) -> Tensor:
    return torch.tensor(partners)[ids]


TURN = "At which end of your strand does the other one begin?"
PAIR = "Which letter stands opposite an A, and which opposite a G?"
MISTAKES = (
    Mistake(
        "strand is read in the wrong direction: every base was paired, none moved",
        paired,
        TURN,
    ),
    Mistake(
        "bases are not paired: this is your own strand, backwards",
        lambda ids: ids.flip(-1),
        PAIR,
    ),
    Mistake(
        "the unknown base N was changed: it has no partner to be told from its number",
        lambda ids: 3 - ids.flip(-1),
        "What is 3 - 4, and which base is that?",
    ),
    Mistake(
        "the unknown base N was changed, and the strand is read in the wrong direction",
        lambda ids: 3 - ids,
        "What is 3 - 4, and at which end does the other strand begin?",
    ),
    Mistake(
        "the unknown base N was changed: five letters are not paired from the outside",
        lambda ids: 4 - ids.flip(-1),
        "What comes out for an A?",
    ),
    Mistake(
        "there is a fifth letter: the unknown base N is its own partner",
        lambda ids: paired(ids, (3, 2, 1, 0)).flip(-1),
        "Which numbers stand in ids?",
    ),
    Mistake(
        "every partner was exchanged back: once all A are T, all T become A, the new "
        "ones too",
        lambda ids: paired(ids, (0, 1, 1, 0, 4)).flip(-1),
        "After the first exchange, which T has been an A before?",
    ),
    Mistake(
        "only A and T found their partners",
        lambda ids: paired(ids, (3, 1, 2, 0, 4)).flip(-1),
        PAIR,
    ),
    Mistake(
        "only C and G found their partners",
        lambda ids: paired(ids, (0, 2, 1, 3, 4)).flip(-1),
        PAIR,
    ),
    Mistake(
        "A was paired with G and C with T: those are alike in shape, no partners",
        lambda ids: paired(ids, (2, 3, 0, 1, 4)).flip(-1),
        PAIR,
    ),
    Mistake(
        "A was paired with C and G with T, which are neighbours in the alphabet only",
        lambda ids: paired(ids, (1, 0, 3, 2, 4)).flip(-1),
        PAIR,
    ),
    Mistake(
        "the rows changed places: a strand runs along the last axis",
        lambda ids: paired(ids).flip(0),
        "Which axis is turned round?",
    ),
    Mistake(
        "the rows changed places, too: turn the last axis round and no other",
        lambda ids: paired(ids).flip(tuple(range(ids.dim()))),
        "Which axis is turned round?",
    ),
    Mistake("this is the strand itself: nothing was done to it", lambda ids: ids, PAIR),
)


def only_the_unknown(fn: Function, failures: Failures) -> str | None:
    """Is each base of A C G T right, and N is not?"""
    changed = False
    for case, got in failures:
        if not isinstance(got, Tensor) or not isinstance(case.expected, Tensor):
            return None
        if got.shape != case.expected.shape:
            return None
        differs = got != case.expected
        if (differs & (case.expected < 4)).any():
            return None
        changed |= bool(differs.any())
    return "the unknown base N was changed: its partner is N" if changed else None


def check_reverse_complement(fn: Function, *, generator: torch.Generator) -> None:
    """Strands with and without N, short and long, single and in batches."""
    cases = []
    for shape in ((2,), (3,), (5,), (pick(6, 9, generator),), (2, 4), (2, 3, 5)):
        for unknown in (False, True):
            ids = torch.randint(4 + unknown, shape, generator=generator)
            ids.view(-1)[: 2 + unknown] = torch.tensor([0, 1, 4])[: 2 + unknown][
                : ids.numel()
            ]
            strands = ["".join(LETTERS[i] for i in r) for r in ids.view(-1, shape[-1])]
            given = f"ids of {', '.join(strands[:2])}, shape {shape}"
            cases.append(Case((ids,), by_letters(ids), given))
    question = "Write both strands down, one under the other: what do you read?"
    examine(fn, cases, MISTAKES, (only_the_unknown,), question)


EXERCISE = Exercise(
    id="12.reverse_complement",
    objective="Compute what the other strand of a DNA molecule says.",
    answer=reverse_complement,
    hints=(
        "Write ACCGN on paper, its partners below it, and read the lower line from "
        "right to left. Which two things have you done?",
        "A tensor can be asked with a tensor of ids: table[ids]. Put each base's "
        "partner into a table of five, then flip(-1).",
    ),
    checker=check_reverse_complement,
    points=5,
    minutes=5,
    stars=1,
)
