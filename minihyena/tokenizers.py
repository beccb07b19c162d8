"""Text to ids and back: characters, bytes, and the letters of DNA."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = [
    "ByteTokenizer",
    "CharacterTokenizer",
    "DNATokenizer",
    "Tokenizer",
    "tokenizers",
]


class Tokenizer(Protocol):
    """Text to ids in 0 .. vocab_size - 1 and back."""

    @property
    def vocab_size(self) -> int: ...
    def encode(self, text: str) -> Tensor: ...
    def decode(self, ids: Tensor | Sequence[int]) -> str: ...


def known(ids: Tensor | Sequence[int], vocab_size: int) -> list[int]:
    """The ids as numbers; ValueError unless all of them are below `vocab_size`."""
    numbers = [int(i) for i in ids]
    if strangers := {i for i in numbers if not 0 <= i < vocab_size}:
        some = ", ".join(map(str, sorted(strangers)[:8]))
        more = ", ..." * (len(strangers) > 8)
        raise ValueError(f"ids {some}{more} stand for nothing; there are {vocab_size}")
    return numbers


@dataclass(frozen=True)
class CharacterTokenizer:
    """One id for every character of `alphabet`, in its order."""

    alphabet: str

    @classmethod
    def of(cls, text: str) -> "CharacterTokenizer":
        """The tokenizer of the characters that occur in `text`, sorted."""
        return cls("".join(sorted(set(text))))

    @property
    def vocab_size(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> Tensor:
        """text -> ids (len(text),) int64; ValueError for a character not in it."""
        index = {character: i for i, character in enumerate(self.alphabet)}
        try:
            return torch.tensor([index[c] for c in text], dtype=torch.int64)
        except KeyError as error:
            stranger = error.args[0]
            raise ValueError(
                f"character {stranger!r} at position {text.index(stranger)} is not in "
                f"the vocabulary of {self.vocab_size}; remove it, or train with the "
                'tokenizer "byte", which knows every text'
            ) from None

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """ValueError for an id outside 0 .. vocab_size - 1."""
        return "".join(self.alphabet[i] for i in known(ids, self.vocab_size))


@dataclass(frozen=True)
class ByteTokenizer:
    """The 256 bytes of UTF-8: knows every text, at more ids for non-English ones."""

    @property
    def vocab_size(self) -> int:
        return 256

    def encode(self, text: str) -> Tensor:
        """text -> ids (number of bytes,) int64."""
        return torch.tensor(list(text.encode()), dtype=torch.int64)

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """Bytes that are no UTF-8 become the replacement character; ValueError for an
        id outside 0 .. 255.
        """
        return bytes(known(ids, 256)).decode(errors="replace")


SPECIAL = ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]")
DNA = (*SPECIAL, *"ACGTN")  # what an id stands for
DNA_IDS = {token: i for i, token in enumerate(DNA)}
DNA_TOKEN = re.compile("|".join(map(re.escape, SPECIAL)) + "|.", re.DOTALL)


@dataclass(frozen=True)
class DNATokenizer:
    """The vocabulary of HyenaDNA: seven special tokens (0 .. 6), then A C G T N.

    Any other character, a small letter too, becomes [UNK]: write `text.upper()` where
    small letters only mark repeats. Nothing is added at the ends. The model reads from
    left to right, so sequences of unequal length are padded on the left: `batch`.
    Source: standalone_hyenadna.py of HazyResearch/hyena-dna.
    """

    @property
    def vocab_size(self) -> int:
        return len(DNA)

    def encode(self, text: str) -> Tensor:
        """text -> ids (L,) int64, one for a character or a special token by name."""
        unknown = DNA_IDS["[UNK]"]
        ids = [DNA_IDS.get(token, unknown) for token in DNA_TOKEN.findall(text)]
        return torch.tensor(ids, dtype=torch.int64)

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """Special tokens by name; ValueError for an id outside 0 .. 11."""
        return "".join(DNA[i] for i in known(ids, len(DNA)))

    def batch(self, texts: Sequence[str]) -> Tensor:
        """texts -> ids (B, L of the longest); the shorter ones begin with [PAD]."""
        rows = [self.encode(text) for text in texts]
        ids = torch.full((len(rows), max(map(len, rows), default=0)), DNA_IDS["[PAD]"])
        for padded, row in zip(ids, rows, strict=True):
            padded[len(padded) - len(row) :] = row
        return ids


tokenizers: dict[str, type] = {
    "character": CharacterTokenizer,
    "byte": ByteTokenizer,
    "dna": DNATokenizer,
}
