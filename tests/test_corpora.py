"""Text to learn from: nothing lost, nothing seen twice, every byte checked."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minihyena import corpora
from minihyena.corpora import (
    CORPORA,
    ByteTokenizer,
    CharacterTokenizer,
    Corpus,
    Download,
    load,
)

BODY = "Laughing, the hyena reads on. Größe: 3 µm €.\n".encode() * 20


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("no network in this test")

    monkeypatch.setattr("socket.socket.connect", refuse)


def counting(length: int, validation: int = 30) -> Corpus:
    """A corpus whose ids are 0, 1, 2, .. so that every window tells its place."""
    ids = torch.arange(length)
    tokenizer = CharacterTokenizer("".join(map(chr, range(length))))
    cut = length - validation
    return Corpus("counting", tokenizer.alphabet, tokenizer, ids[:cut], ids[cut:])


# Tokenizers


@given(st.text())
def test_every_text_survives_both_tokenizers(text: str) -> None:
    for tokenizer in (CharacterTokenizer.of(text), ByteTokenizer()):
        ids = tokenizer.encode(text)
        assert ids.dtype == torch.int64
        assert ids.dim() == 1
        assert tokenizer.decode(ids) == tokenizer.decode(ids.tolist()) == text


@given(st.text(min_size=1))
def test_character_ids_are_the_sorted_alphabet_without_gaps(text: str) -> None:
    tokenizer = CharacterTokenizer.of(text)
    assert tokenizer.alphabet == "".join(sorted(set(text)))
    ids = tokenizer.encode(text)
    assert sorted(set(ids.tolist())) == list(range(tokenizer.vocab_size))


@given(st.text())
def test_byte_ids_are_the_bytes(text: str) -> None:
    assert ByteTokenizer().encode(text).tolist() == list(text.encode())
    assert ByteTokenizer().vocab_size == 256


def test_a_character_outside_the_vocabulary_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"'z' at position 2 .* of 3; .*\"byte\""):
        CharacterTokenizer("abc").encode("abzz")


def test_half_a_character_becomes_the_replacement_character() -> None:
    assert ByteTokenizer().decode([97, 0xC3]) == "a\N{REPLACEMENT CHARACTER}"


# What is there without a network


@pytest.mark.usefixtures("no_network")
def test_the_default_corpus_is_always_there() -> None:
    corpus = load()
    assert corpus.name == "python-docs"
    assert len(corpus.text) > 300_000
    assert "lambda_expr ::=" in " ".join(corpus.text.split())
    assert corpus.text == load("python-docs").text


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("tokenizer", ["character", "byte"])
@pytest.mark.parametrize("validation", [0.0, 0.1, 0.5])
def test_the_split_is_complete_and_never_overlaps(
    tokenizer: str, validation: float, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(BODY)
    corpus = load(path, tokenizer, validation)
    ids = torch.cat([corpus.train, corpus.validation])
    assert torch.equal(ids, corpus.tokenizer.encode(BODY.decode()))
    assert len(corpus.validation) == round(validation * len(ids))
    assert corpus.tokenizer.decode(ids) == corpus.text == BODY.decode()


@pytest.mark.usefixtures("no_network")
def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    path = tmp_path / "no_suffix"
    path.write_bytes(BODY)
    assert load(str(path)).text == load(path).text == BODY.decode()
    assert load(str(path)).name == str(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p, r": a folder; known corpora: python-docs, tinyshakespeare"),
        (lambda p: p / "missing.txt", r"missing.txt: no such file; known .*python-"),
        (lambda p: p / "missing", "no such file"),
        (lambda p: "tinyshakespear", "known, nearest first: tinyshakespeare, python"),
        (lambda p: "pythondocs", "known, nearest first: python-docs, tinyshakes"),
        (lambda p: "", "unknown corpus ''"),
    ],
)
def test_an_unknown_corpus_is_told_the_known_ones(
    make: Callable[[Path], Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        load(make(tmp_path))


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("Gr\xf6\xdfe".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.txt is not UTF-8 text: byte 2"):
        load(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match=r"empty.txt holds no text"):
        load(tmp_path / "empty.txt")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokenizer": "bytes"}, "unknown tokenizer 'bytes'; known, nearest .* byte,"),
        ({"validation": 1.0}, "0 <= validation < 1; got 1.0"),
        ({"validation": -0.1}, "got -0.1"),
    ],
)
def test_an_impossible_wish_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load("python-docs", **options)


# Windows


@given(
    length=st.integers(31, 200),
    validation=st.integers(2, 29),
    window=st.integers(1, 28),
)
def test_windows_follow_each_other_and_lose_less_than_one(
    length: int, validation: int, window: int
) -> None:
    corpus = counting(length, validation)
    for split, first, size in (
        ("train", 0, length - validation),
        ("validation", length - validation, validation),
    ):
        if size < window + 1:
            with pytest.raises(ValueError, match=f"has {size} tok.* {window + 1};"):
                corpus.windows(split, window)
            continue
        inputs, targets = corpus.windows(split, window)
        assert torch.equal(targets, inputs + 1)
        read = inputs.flatten()
        assert torch.equal(read, first + torch.arange(len(read)))
        assert size - 1 - window < len(read) <= size - 1


def test_batches_are_windows_of_their_own_split_and_reach_all_of_it() -> None:
    corpus = counting(100, 30)
    for split, low, high in (("train", 0, 70), ("validation", 70, 100)):
        inputs, targets = corpus.batch(
            split, 500, 9, generator=torch.Generator().manual_seed(0)
        )
        assert inputs.shape == targets.shape == (500, 9)
        assert torch.equal(targets, inputs + 1)
        assert (inputs.diff(dim=1) == 1).all()
        assert inputs.min() == low
        assert targets.max() == high - 1


def test_one_window_is_enough_for_a_batch() -> None:
    inputs, targets = counting(40, 10).batch("validation", 3, 9)
    assert inputs.tolist() == [list(range(30, 39))] * 3
    assert targets.tolist() == [list(range(31, 40))] * 3


def test_the_same_generator_gives_the_same_batch() -> None:
    corpus = counting(100)

    def run(seed: int) -> list[list[int]]:
        g = torch.Generator().manual_seed(seed)
        inputs: torch.Tensor = corpus.batch("train", 4, 5, generator=g)[0]
        return inputs.tolist()

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("length", [0, -3])
def test_a_window_of_nothing_is_refused(length: int) -> None:
    for take in (
        counting(100).windows,
        lambda *a: counting(100).batch("train", 1, a[1]),
    ):
        with pytest.raises(ValueError, match=f"window .* at least 1; got {length}"):
            take("train", length)


def test_an_unknown_split_is_told_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"unknown split 'valid'; known, .*: validation"
    ):
        counting(100).windows("valid", 5)


# Downloads, from a server of our own


class Server(ThreadingHTTPServer):
    """Serves `body` at every path and counts the requests."""

    body, status, requests = BODY, 200, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/text.txt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose text is known as the corpus "served"."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as server:
        digest = hashlib.sha256(BODY).hexdigest()
        monkeypatch.setitem(CORPORA, "served", Download(server.address, digest))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_download_happens_once(server: Server, tmp_path: Path) -> None:
    first = load("served", cache=tmp_path / "new" / "cache")
    again = load("served", cache=tmp_path / "new" / "cache")
    assert first.text == again.text == BODY.decode()
    assert first.name == "served"
    assert server.requests == 1


def test_a_wrong_hash_is_refused_and_nothing_is_kept(
    server: Server, tmp_path: Path
) -> None:
    server.body = BODY[:-1] + b"!"
    with pytest.raises(ValueError, match=r"does not have SHA-256 .*removed, try again"):
        load("served", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.body = BODY
    assert load("served", cache=tmp_path).text == BODY.decode()


def test_a_damaged_file_in_the_cache_is_fetched_anew(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "served.txt").write_bytes(BODY[:100])
    assert load("served", cache=tmp_path).text == BODY.decode()
    assert server.requests == 1


def test_a_damaged_file_is_removed_if_the_new_one_is_wrong_too(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "served.txt").write_bytes(BODY[:100])
    server.body = b"something else"
    with pytest.raises(ValueError, match="SHA-256"):
        load("served", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_has_lost_the_file_is_a_connection_error(
    server: Server, tmp_path: Path
) -> None:
    server.status = 404
    with pytest.raises(ConnectionError, match=r"served could not be downloaded from"):
        load("served", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_a_connection_error_that_says_what_to_do(
    server: Server, tmp_path: Path
) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError) as caught:
        load("served", cache=tmp_path)
    for words in (server.address, '"python-docs"', str(tmp_path / "served.txt")):
        assert words in str(caught.value)


def test_a_cache_that_cannot_be_written_is_not_blamed_on_the_network(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=str(tmp_path / "file")) as caught:
        load("served", cache=tmp_path / "file" / "cache")
    assert not isinstance(caught.value, ConnectionError)


@pytest.mark.usefixtures("no_network")
def test_tiny_shakespeare_is_accepted_by_its_hash(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    text = shared("data/tinyshakespeare.txt").read_bytes()
    (tmp_path / "tinyshakespeare.txt").write_bytes(text)
    corpus = load("tinyshakespeare", cache=tmp_path)
    assert len(corpus.text) == 1_115_394
    assert corpus.tokenizer.vocab_size == 65


def test_the_default_cache_is_the_projects_own_where_there_is_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert corpora.cache_folder() == Path(__file__).parents[1] / "data" / "cache"
    monkeypatch.setattr(corpora, "cache_folder", lambda: tmp_path)
    load("served")
    assert [path.name for path in tmp_path.iterdir()] == ["served.txt"]


def test_no_long_passage_of_the_python_docs_is_both_learned_and_held_out() -> None:
    corpus = load()
    learned = corpus.text[: len(corpus.train)]
    held_out = corpus.text[len(corpus.train) :]
    runs = {learned[i : i + 100] for i in range(len(learned) - 99)}
    assert not [i for i in range(len(held_out) - 99) if held_out[i : i + 100] in runs]


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    path = tmp_path / "marked.txt"
    path.write_bytes("hyena".encode("utf-8-sig"))
    assert load(path).text == "hyena"
