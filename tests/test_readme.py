"""What a page tells people to type can be typed, and does what the page says."""

import re
import shlex
from pathlib import Path

import pytest
from pages import LINK, ROOT, anchors
from test_setup import EXTRAS

from minihyena.__main__ import main, parser

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
    *sorted((ROOT / "notebooks").glob("*.md")),
    *sorted((ROOT / "notebooks" / "instructor").glob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
COMMANDS = "train", "sample", "experiment", "bench", "grade", "notebooks", "doctor"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(page: Path) -> list[str]:
    """All that stands as code: lines of a shell, indented lines, words between `."""
    text = page.read_text("utf-8")
    lines = [
        line
        for kind, block in FENCE.findall(text)
        if kind in ("bash", "")
        for line in block.splitlines()
    ]
    text = FENCE.sub("", text)
    lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def of_ours(page: Path) -> list[list[str]]:
    """The words after `python -m minihyena`, also where only they are named."""
    found = []
    for line in commands(page):
        _, named, rest = line.rpartition("-m minihyena ")
        words = shlex.split(rest.replace("\\", "/")) if named else line.split()
        if named or (words and words[0] in COMMANDS and "--" in line):
            found.append(words)
    return found


@every_page
def test_every_command_of_ours_is_understood(page: Path) -> None:
    for words in of_ours(page):
        parser().parse_args([word for word in words if word != "..."])


@every_page
def test_every_target_of_make_is_in_the_makefile(page: Path) -> None:
    for line in commands(page):
        if line.startswith("make "):
            words = [word for word in line.split()[1:] if "=" not in word]
            assert {word for word in words if re.fullmatch("[a-z]+", word)} <= TARGETS


@every_page
def test_every_extra_that_is_installed_exists(page: Path) -> None:
    for line in commands(page):
        for names in re.findall(r"\.\[([\w,]+)\]", line):
            assert set(names.split(",")) <= set(EXTRAS)


def headings(page: Path) -> set[str]:
    """What a link may name after #, as GitHub makes it of a page's headings."""
    titles = re.findall(r"^#+ +(.+?) *$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(
        r"`[^`\n]+`", lambda code: code[0].replace("](", ""), page.read_text("utf-8")
    )
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"https?:", target):
            continue
        name, _, heading = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), target
        if heading:
            known = headings(path) if path.suffix == ".md" else anchors(path)
            assert heading in known, target


def test_the_readme_names_commands_at_all() -> None:
    """The search above finds what it is meant to find."""
    named = {words[0] for words in of_ours(PAGES[0])}
    assert named == set(COMMANDS)
    assert "make lab" in commands(PAGES[0])


def test_the_two_commands_of_the_terminal_teach_and_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    learn, write, *_ = [w for w in of_ours(PAGES[0]) if w[0] in ("train", "sample")]
    assert learn[-2:] == ["--minutes", "2"]
    assert main([*learn[:-1], "0.02"]) == 0
    assert main([*write, "--length", "20"]) == 0
    assert capsys.readouterr().out.rpartition("\nThe ")[1]


EXAMPLES = [
    code
    for kind, code in FENCE.findall(PAGES[0].read_text("utf-8"))
    if kind == "python"
]


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_runs_as_it_stands(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(code.replace("steps=250", "steps=2"), {})  # that one takes most of a minute
