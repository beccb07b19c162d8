"""The map of the course in the README says what the notebooks themselves say."""

import re
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import hygiene
import pages
import pytest
from pages import NOTEBOOKS, ROOT, rows, sections

README = ROOT / "README.md"
NUMBER = re.compile(r"\b(?:0\d|1[0-2])\b")
Needs = dict[str, set[str]]
KEPT = r"read (\d+) min · do (\d+) min · machine ([^,.]+)"


def the_map() -> str:
    """The README's section about the notebooks."""
    return sections(README.read_text("utf-8"))["The notebooks"]


def lines() -> dict[str, list[str]]:
    """Number of a notebook -> link, needs, time, question, what one will have done."""
    return {number: cells for number, *cells in rows(the_map())}


def label(path: Path, name: str) -> str:
    """What a notebook says behind **Name:**."""
    found = re.search(
        rf"^\*\*{name}:\*\* (.+)$", hygiene.prose(hygiene.read(path)), re.M
    )
    assert found, f"{path.name} has no **{name}:**"
    return found[1]


def prerequisites(path: Path) -> tuple[set[str], set[str]]:
    """Needed: linked in the first sentence. Told again: named after it."""
    first, *others = re.split(r"(?<=[.;]) ", label(path, "Prerequisites"))
    needed = {target[:2] for target in pages.LINK.findall(first)}
    told = {x for part in others if "nothing" not in part for x in NUMBER.findall(part)}
    return needed, told - needed


def drawn() -> Needs:
    """What the fenced graph says each notebook needs: "03, 06 → 10"."""
    found: Needs = {}
    for line in re.search(r"```text\n(.+?)```", the_map(), re.S)[1].splitlines():
        chain = [NUMBER.findall(part) for part in line.split("→")]
        for before, after in pairwise(chain):
            for number in after:
                found.setdefault(number, set()).update(before)
    return found


def all_before(needs: Needs) -> Needs:
    """Notebook -> all that come before it; an error if there is a circle."""
    found: Needs = {}
    for number in TopologicalSorter(needs).static_order():
        direct = needs.get(number, set())
        found[number] = direct.union(*(found[before] for before in direct))
    return found


def test_every_notebook_is_on_the_map_once_and_in_order() -> None:
    numbers = [cells[0] for cells in rows(the_map())]
    assert numbers == [path.name[:2] for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_line_of_the_map_is_what_the_notebook_says(path: Path) -> None:
    link, needs, time, question, done = lines()[path.name[:2]]
    title, target = re.fullmatch(r"\[(.+)\]\((.+)\)", link).groups()
    assert target == f"notebooks/{path.name}"
    whole = hygiene.headings(hygiene.read(path))[0][1]
    assert title.lower() in whole.lower()
    before, _, brackets = needs.partition("(")
    said = {*NUMBER.findall(before)}, {*NUMBER.findall(brackets)}
    assert said == prerequisites(path)
    read, do, machine = re.match(KEPT, label(path, "Time")).groups()
    assert time == f"{read} · {do} · {machine}"
    assert question.endswith("?")
    assert done[0].islower()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_there_is_time_for_all_exercises(path: Path) -> None:
    _, do, _ = re.match(KEPT, label(path, "Time")).groups()
    minutes = re.findall(
        r"^### Exercise.* (\d+) min$", hygiene.prose(hygiene.read(path)), re.M
    )
    assert int(do) >= sum(map(int, minutes)) > 0


def test_the_graph_is_the_same_relation_and_has_no_circle() -> None:
    needed = {path.name[:2]: prerequisites(path)[0] for path in NOTEBOOKS}
    before = all_before(needed)
    assert all(max(some) < number for number, some in before.items() if some)
    assert all_before(drawn()) == before


def test_a_circle_would_be_found() -> None:
    assert all_before({"02": {"01"}, "01": {"00"}})["02"] == {"00", "01"}
    with pytest.raises(ValueError, match="cycle"):
        all_before({"01": {"02"}, "02": {"01"}})
