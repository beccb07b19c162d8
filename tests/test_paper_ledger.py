"""The ledger names what is there: functions, tests, headings, and all of the paper."""

import re
from pathlib import Path

import hygiene
import pages
import pytest
from pages import NOTEBOOKS, ROOT, rows, sections

LEDGER = ROOT / "notebooks" / "paper_ledger.md"
TEXT = LEDGER.read_text("utf-8")
PARTS = sections(TEXT)
ABSTRACT = "The abstract, sentence by sentence"
ROWS = [row for title, text in PARTS.items() if title != ABSTRACT for row in rows(text)]

NUMBER = r"\(?(?:[A-D]\.\d+|\d+(?:\.\d+)?)\)?"
ITEM = re.compile(
    r"\b(Eq|Table|Figure|Algorithm|Remark|Prop|Def)(?:s|\.|\b|uation|osition|inition)"
    rf"s?\.?\s+({NUMBER}(?:\s*(?:,|and|to)\s+{NUMBER})*)",
    re.I,
)
# All that has a number in the paper.
NUMBERED = {
    "eq": [str(n) for n in range(1, 23)],
    "def": ["3.1"],
    "prop": ["3.1", "3.2"],
    "remark": ["2.1", "3.1", "3.2", "3.3"],
    "algorithm": ["1", "2", "3"],
    "table": [
        *(f"4.{n}" for n in range(1, 8)),
        *(f"A.{n}" for n in range(1, 6)),
        "C.1",
    ],
    "figure": ["1.1", "2.1", "3.1", "4.1", "4.2", "4.3", "C.1"]
    + [f"D.{n}" for n in range(1, 10)],
}


def items(text: str) -> set[tuple[str, str]]:
    """What is named in a text: "Eqs (5) and (6)" -> ("eq", "5"), ("eq", "6")."""
    found = set()
    for kind, numbers in ITEM.findall(text):
        known = NUMBERED[kind.lower()]
        for few in re.split(r",|\band\b", re.sub(r"[()]", "", numbers)):
            ends = [end.strip().upper() for end in few.split("to")]
            if {*ends} <= {*known}:
                ends = known[known.index(ends[0]) : known.index(ends[-1]) + 1]
            found |= {(kind.lower(), number) for number in ends}
    return found


def test_everything_that_has_a_number_has_a_row_and_nothing_else() -> None:
    every = {(kind, number) for kind, known in NUMBERED.items() for number in known}
    assert set().union(*(items(row[0]) for row in ROWS)) == every


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_connects_to_the_paper_leads_back_to_it(path: Path) -> None:
    connected = sections(hygiene.prose(hygiene.read(path)))["Connect to the paper"]
    back = (items(row[0]) for row in ROWS if f"({path.name}#" in row[3])
    assert sorted(items(connected) - set().union(*back)) == []


def test_the_abstract_has_seven_sentences_and_each_can_be_seen_somewhere() -> None:
    table = rows(PARTS[ABSTRACT])
    assert [row[0] for row in table] == [str(n) for n in range(1, 8)]
    for _, says, place, verdict in table:
        assert len(says.split()) < 20  # a few words of ours, not the sentence
        assert pages.LINK.search(place)
        assert re.match(r"(Yes|No|In part)[:,]", verdict)


def test_every_function_that_is_named_exists() -> None:
    names = {name for row in ROWS for name in pages.CODE.findall(row[2])}
    last = PARTS["What we do not reproduce"]
    names |= {name for name in pages.CODE.findall(last) if name.startswith(("H", "L"))}
    assert len(names) > 30
    assert [name for name in sorted(names) if not pages.exists(name)] == []


def test_every_test_that_is_named_exists() -> None:
    named = {name for row in ROWS for name in pages.CODE.findall(row[4])}
    assert len(named) > 40
    for name in sorted(named):
        file, _, function = name.partition("::")
        assert function in pages.functions(file), name


def test_every_link_leads_to_a_heading() -> None:
    assert pages.broken(TEXT, LEDGER.parent) == []


def test_every_row_is_whole_and_what_is_not_here_is_said() -> None:
    assert {len(row) for row in ROWS} == {6}
    assert [row for row in ROWS if not all(row)] == []
    for row in ROWS:
        if "–" in (row[2], row[3], row[4]):
            assert row[5] != "–", row[0]
    assert "not reproduce" in TEXT


def test_names_of_the_paper_are_read_in_every_form() -> None:
    assert items("Definition 3.1, Eq. (4)") == {("def", "3.1"), ("eq", "4")}
    assert items("Eqs (8) to (10), Def. 3.1, Prop. 3.2") == {
        *(("eq", n) for n in ("8", "9", "10")),
        ("def", "3.1"),
        ("prop", "3.2"),
    }
    assert items("Figures D.8 to D.9; Tables 4.3 and 4.4") == {
        *(("figure", n) for n in ("D.8", "D.9")),
        *(("table", n) for n in ("4.3", "4.4")),
    }
    assert items("Algorithms 1, 2; its figure 1.1; Eq. 7") == {
        *(("algorithm", n) for n in ("1", "2")),
        ("figure", "1.1"),
        ("eq", "7"),
    }
    assert items("a table of 12, figures, definitions, 3 equations") == set()
