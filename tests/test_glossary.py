"""The glossary has every symbol that is used, and nothing that is not there."""

import re
from pathlib import Path

import pages
import pytest
from pages import NOTEBOOKS, ROOT, formulas, rows, sections, shape_letters, symbols

GLOSSARY = ROOT / "notebooks" / "glossary.md"
TEXT = GLOSSARY.read_text("utf-8")
WORDS, JOBS = "Words", "One letter, several jobs"
TABLES = {title: text for title, text in sections(TEXT).items() if title != JOBS}
SYMBOLS = [
    row for title, text in TABLES.items() if title != WORDS for row in rows(text)
]
THEMES = {
    "Sequence and shapes",
    "Convolution",
    "Spectra",
    "Filters",
    "Gates and hierarchy",
    "Matrices",
    "Training and tasks",
    "Cost",
    "Generation",
}
# The symbols of sections 2 and 3 of the paper, as it writes them.
PAPER = re.findall(
    r"\S+",
    r"""
    u y t L D h M \delta_t \gamma_\theta \theta \mathsf{A} \mathsf{B} \mathsf{C}
    \mathsf{D} \hat{\mathsf{S}}_h \mathsf{W} \mathsf{D}_H H z e i x_t \partial
    \mathsf{A}(u) \mathsf{M}_q \mathsf{M}_k \mathsf{M}_v q k v \mathsf{A}(q,k)
    \mathsf{H}(u) N x^n h^n z^n \text{Hyena}_N \hat{x} \hat{u} \mathsf{D}_q
    \mathsf{D}_k \mathsf{S}_\psi \mathsf{S}_\varphi \psi \varphi \mathsf{D}_x
    \mathsf{S}_h \text{Window} \text{FFN} \text{PositionalEncoding} \alpha \hat{z}
    \hat{h} D_e \mathcal{O} \leftarrow n \cdot *
    """,
)


def known() -> set[str]:
    """All symbols that have a row."""
    cells = [tex for row in SYMBOLS for tex in formulas(row[0])]
    return {symbol for tex in cells for symbol in symbols(tex, exponents=False)}


def lacking(used: set[str]) -> list[str]:
    return sorted(used - known())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_symbol_of_a_notebook_has_a_row(path: Path) -> None:
    used = (symbols(tex) for tex in formulas(pages.prose(path)))
    assert lacking(set().union(*used)) == []


def test_every_letter_of_a_shape_in_the_library_has_a_row() -> None:
    letters = {
        letter: place
        for place, text in pages.public_docstrings()
        for letter in shape_letters(text)
    }
    assert {x: letters[x] for x in lacking(set(letters))} == {}


def test_every_symbol_of_the_papers_sections_has_its_place() -> None:
    places = [tex.replace(", ", ",") for row in SYMBOLS for tex in formulas(row[4])]
    for symbol in PAPER:
        whole = rf"(?<![A-Za-z\\]){re.escape(symbol)}(?![A-Za-z])"
        assert any(re.search(whole, tex) for tex in places), symbol


def test_every_table_is_there_and_every_row_is_whole() -> None:
    assert {*TABLES} == {*THEMES, WORDS}
    assert {len(row) for row in SYMBOLS} == {6}
    assert [row for row in SYMBOLS if not all(row)] == []
    assert [row for row in SYMBOLS if not pages.LINK.search(row[5])] == []


def test_every_name_of_our_code_exists() -> None:
    names = {name for row in SYMBOLS for name in pages.CODE.findall(row[3])}
    ours = names - {"*", "=", "1j"}
    assert len(ours) > 40
    assert [name for name in sorted(ours) if not pages.exists(name)] == []


def test_every_link_leads_to_a_heading() -> None:
    assert pages.broken(TEXT, GLOSSARY.parent) == []


def test_words_are_in_order_and_each_is_told_in_one_sentence() -> None:
    table = rows(TABLES[WORDS])
    words = [row[0] for row in table]
    assert words == sorted(words, key=str.lower)
    assert {"tap", "channel", "causal", "mixer", "gate", "order", "skip"} <= {*words}
    assert {"implicit filter", "window", "mode"} <= {*words}
    for word, sentence, place in table:
        assert re.fullmatch(r"[A-Z]([^.?!]|\.(?=\d))*\.", sentence), word
        assert pages.LINK.search(place), word


@pytest.mark.parametrize(
    ("tex", "found"),
    [
        (r"\mathsf{S}_h u", {r"\mathsf{S}", "u"}),
        (
            r"\hat{\mathsf S}_h = \mathsf W^{-1}",
            {r"\hat", r"\mathsf{S}", r"\mathsf{W}"},
        ),
        (r"\mathsf{D}_{x^{N}} a^{(m+1)}", {r"\mathsf{D}", "a", "m"}),
        (r"e^{-2\pi i\,k t/n}\; u_t", {"e", "i", "k", "t", "n", "u"}),
        (
            r"\operatorname{Re} \sum_{j=1}^{S} R_j \lambda_j^t",
            {*"SRt", "Re", r"\lambda"},
        ),
        (r"S_\psi \text{ where } \tfrac12 D", {"S", "D"}),
    ],
)
def test_a_formula_is_taken_apart_into_its_symbols(tex: str, found: set[str]) -> None:
    assert symbols(tex) == found


def test_an_unknown_symbol_shape_name_or_link_is_found() -> None:
    assert lacking(symbols(r"\xi_t = \mathsf{Q} u")) == [r"\mathsf{Q}", r"\xi"]
    assert shape_letters("a (B, L, n) -> (2 Q,) (see Eq. 4)") == {*"BLnQ"}
    assert not pages.exists("causal_conv(filter)")
    assert not pages.exists("HyenaOperator.gate")
    assert not pages.exists("03.convolve")
    missing = "[a](05_gating.ipynb#Build:-the-hedge) [b](gone.md)"
    assert len(pages.broken(missing, GLOSSARY.parent)) == 2
