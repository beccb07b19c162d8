"""Text to learn from: a registry with addresses and hashes, and its batches."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minihyena.errors import choose
from minihyena.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    DNATokenizer,
    Tokenizer,
)

__all__ = [
    "CORPORA",
    "ByteTokenizer",
    "CharacterTokenizer",
    "Corpus",
    "DNATokenizer",
    "Tokenizer",
    "load",
]


class Download(NamedTuple):
    """A file on the network and its SHA-256."""

    address: str
    sha256: str


CORPORA: dict[str, Download | None] = {
    "python-docs": None,  # inside CPython: always there, no network
    "tinyshakespeare": Download(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/"
        "data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}

LICENCES = {
    "python-docs": "text: Python Software Foundation License Version 2",
    "tinyshakespeare": "text: public domain, compiled in an MIT-licensed repository",
}

TOKENIZERS: dict[str, Callable[[str], Tokenizer]] = {
    "character": CharacterTokenizer.of,
    "byte": lambda text: ByteTokenizer(),
}


@dataclass(frozen=True)
class Corpus:
    """A text as ids, split by position: validation is the end, train all before it."""

    name: str
    text: str
    tokenizer: Tokenizer
    train: Tensor  # (T,) int64
    validation: Tensor  # (S,) int64

    @property
    def sha256(self) -> str:
        """Of all that a model can see: how ids are read, and those of both splits."""
        found = hashlib.sha256(
            self.tokenizer.decode(range(self.tokenizer.vocab_size)).encode()
        )
        for ids in (self.train, self.validation):
            found.update(len(ids).to_bytes(8, "little") + ids.numpy().tobytes())
        return found.hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        """What tells it from other texts, whatever they are called."""
        return {
            "vocab_size": self.tokenizer.vocab_size,
            "tokens": len(self.train) + len(self.validation),
            "held out": len(self.validation),
            "SHA-256": self.sha256,
        }

    def split(self, name: str) -> Tensor:
        parts = {"train": self.train, "validation": self.validation}
        return parts[choose("split", name, parts)]

    def batch(
        self,
        split: str,
        batch_size: int,
        length: int,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Random windows: inputs and targets (B, L), targets one step ahead.

        Raises ValueError if the split is shorter than one window of L + 1 ids.
        """
        ids = self._at_least_one_window(split, length)
        starts = torch.randint(len(ids) - length, (batch_size, 1), generator=generator)
        windows = ids[starts + torch.arange(length + 1)]
        return windows[:, :-1], windows[:, 1:]

    def windows(self, split: str, length: int) -> tuple[Tensor, Tensor]:
        """All windows, one after the other without overlap: inputs, targets (n, L)."""
        ids = self._at_least_one_window(split, length)
        count = (len(ids) - 1) // length
        inputs, targets = ids[: count * length], ids[1 : count * length + 1]
        return inputs.view(count, length), targets.view(count, length)

    def _at_least_one_window(self, split: str, length: int) -> Tensor:
        ids = self.split(split)
        if length < 1:
            raise ValueError(f"the length of a window must be at least 1; got {length}")
        if len(ids) < length + 1:
            raise ValueError(
                f"the {split} split of {self.name!r} has {len(ids)} tokens, one of "
                f"length {length} needs {length + 1}; take a longer text or a shorter "
                "length"
            )
        return ids


def load(
    name: str | Path = "python-docs",
    tokenizer: str = "character",
    validation: float = 0.1,
    cache: Path | None = None,
) -> Corpus:
    """A corpus by name ("python-docs", "tinyshakespeare") or any UTF-8 file by path.

    The vocabulary is that of the whole text; the last `validation` part of the ids is
    held out. A download happens once, is checked against its SHA-256 and kept in
    `cache` (default: data/cache of the project, or the user's cache folder).

    Raises ValueError for an unknown name, a file that is not UTF-8, an empty text, a
    share outside 0 .. 1 or a wrong hash (the file is removed), ConnectionError
    without a network.
    """
    choose("tokenizer", tokenizer, TOKENIZERS)
    if not 0 <= validation < 1:
        raise ValueError(
            f"validation is a share, 0 <= validation < 1; got {validation}"
        )
    text = read(name, cache)
    if not text:
        raise ValueError(f"{name} holds no text")
    chosen = TOKENIZERS[tokenizer](text)
    ids = chosen.encode(text)
    cut = len(ids) - round(validation * len(ids))
    return Corpus(str(name), text, chosen, ids[:cut], ids[cut:])


def read(name: str | Path, cache: Path | None = None) -> str:
    """The text of a corpus; see `load`."""
    path = Path(name)
    if str(name) not in CORPORA and path.is_file():
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8 text: byte {error.start} does not fit; "
                "if it is text at all, save it as UTF-8 first"
            ) from None
    if str(name) not in CORPORA and (path.suffix or len(path.parts) > 1):
        what = "a folder" if path.is_dir() else "no such file"
        raise ValueError(f"{path}: {what}; known corpora: {', '.join(CORPORA)}")
    download = CORPORA[choose("corpus", str(name), CORPORA)]
    if download is None:
        return python_docs()
    return fetch(str(name), download, cache or cache_folder()).read_text("utf-8")


def python_docs() -> str:
    """The help topics of this Python in order, every paragraph once.

    Topics quote one another; a passage met twice would be held out and learned.
    """
    from pydoc_data.topics import topics

    paragraphs: dict[str, str] = {}
    for topic in sorted(topics):
        for paragraph in topics[topic].strip().split("\n\n"):
            paragraphs.setdefault(" ".join(paragraph.split()), paragraph)
    return "\n\n".join(paragraphs.values())


def fetch(name: str, download: Download, cache: Path) -> Path:
    """The downloaded file, from `cache` if it is there; see `load` for the errors."""
    import pooch

    path = cache / f"{name}.txt"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        pooch.retrieve(download.address, f"sha256:{download.sha256}", path.name, cache)
    except PermissionError:  # the folder's fault, not the network's
        raise
    except OSError as error:  # requests' connection errors are OSErrors
        raise ConnectionError(
            f"{name} could not be downloaded from {download.address}; without a "
            'network use "python-docs", or put the file at '
            f"{path}"
        ) from error
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise ValueError(
            f"{name} from {download.address} does not have SHA-256 "
            f"{download.sha256}; the file was removed, try again later"
        ) from error
    return path


def cache_folder() -> Path:
    """data/cache of a checkout, else the user's own cache folder."""
    data = Path(__file__).resolve().parents[1] / "data"
    if (data / "README.md").is_file():
        return data / "cache"
    import pooch

    return Path(pooch.os_cache("minihyena"))
