"""Tokenizers: every text comes back, DNA as HyenaDNA reads it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minihyena.options import configure, to_fields
from minihyena.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    DNATokenizer,
    tokenizers,
)

SPECIAL = ["[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]"]


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    for tokenizer in (CharacterTokenizer.of(text), ByteTokenizer()):
        ids = tokenizer.encode(text)
        assert ids.dtype == torch.int64
        assert tokenizer.decode(ids) == text


@given(st.text("ACGTN"))
def test_every_dna_comes_back_letter_by_letter(text: str) -> None:
    ids = DNATokenizer().encode(text)
    assert len(ids) == len(text)
    assert all(7 <= i < 12 for i in ids.tolist())
    assert DNATokenizer().decode(ids) == text


def test_dna_has_the_official_numbers() -> None:
    dna = DNATokenizer()
    assert dna.vocab_size == 12
    assert dna.encode("ACGTN").tolist() == [7, 8, 9, 10, 11]
    assert dna.encode("".join(SPECIAL)).tolist() == [*range(7)]
    assert dna.encode("[BOS]AC[SEP]").tolist() == [2, 7, 8, 1]
    assert dna.decode([2, 7, 8, 1]) == "[BOS]AC[SEP]"


def test_what_is_no_letter_of_dna_is_unknown() -> None:
    assert DNATokenizer().encode("AxU\na[").tolist() == [7, 6, 6, 6, 6, 6]
    assert DNATokenizer().encode("").tolist() == []


def test_shorter_dna_is_padded_on_the_left() -> None:
    ids = DNATokenizer().batch(["ACG", "T", ""])
    assert ids.tolist() == [[7, 8, 9], [4, 4, 10], [4, 4, 4]]
    assert DNATokenizer().batch([]).shape == (0, 0)


@pytest.mark.parametrize("wrong", [12, 15, -1])
def test_an_id_beyond_the_vocabulary_stands_for_nothing(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"ids {wrong} stand for nothing; .* 12"):
        DNATokenizer().decode([7, wrong])
    with pytest.raises(ValueError, match=f"ids {wrong} stand for nothing; .* 2"):
        CharacterTokenizer("ab").decode([1, wrong])
    with pytest.raises(ValueError, match=r"ids 256 stand for nothing; .* 256"):
        ByteTokenizer().decode(torch.tensor([65, 256]))


def test_a_strange_character_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match="character '!' at position 2 is not in"):
        CharacterTokenizer("ab").encode("ab!")


@pytest.mark.parametrize(
    "made", [CharacterTokenizer("ba"), ByteTokenizer(), DNATokenizer()]
)
def test_a_tokenizer_can_be_written_down(made: object) -> None:
    written = to_fields(made, tokenizers)
    assert written["kind"] in tokenizers
    assert configure("tokenizer", written, tokenizers) == made
