"""Checkpoints: what is saved comes back whole, and damage is noticed."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from minihyena import (
    AttentionConfig,
    HyenaConfig,
    ImplicitConfig,
    LanguageModel,
    LMConfig,
    checkpoints,
    sample_text,
)
from minihyena.losses import token_loss
from minihyena.options import from_fields
from minihyena.tasks import AssociativeRecall
from minihyena.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    DNATokenizer,
    Tokenizer,
)

CARDS = Path(__file__).parents[1] / "data/README.md"
LETTERS = CharacterTokenizer("\n abcdeé€😀")
TRAINED = ImplicitConfig(5, 6, 1, train_positions=True, train_decay=True, decays="flat")
CONFIGS: dict[str, dict[str, Any]] = {
    "hyena": {},
    "hyena-untied": {"tied": False, "dropout": 0.1, "mlp_ratio": 1.5},
    "hyena-3": {"mixer": HyenaConfig(3, short_taps=2)},
    "hyena-trained": {"mixer": HyenaConfig(4, "paper", filter=TRAINED)},
    "hyena-1": {"mixer": HyenaConfig(1)},
    "attention": {"mixer": AttentionConfig(2)},
}


def build(case: str = "hyena", tokenizer: Tokenizer = LETTERS) -> LanguageModel:
    sizes = {"max_length": 16, "width": 8, "depth": 2} | CONFIGS[case]
    config = LMConfig(tokenizer.vocab_size, **sizes)
    return LanguageModel(config, torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, build(), LETTERS, {"seed": 3})
    return path


@torch.no_grad()
@pytest.mark.parametrize("case", CONFIGS)
def test_a_model_comes_back_as_it_was(case: str, tmp_path: Path) -> None:
    model, path = build(case), tmp_path / "new" / "folder" / "model.safetensors"
    for p in model.parameters():  # far from any initial value
        p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    notes = {"corpus": "é", "curve": [[1, 2.5]], "nothing": None}
    checkpoints.save(path, model, LETTERS, notes)
    loaded = checkpoints.load(path)
    assert loaded.model.config == model.config
    assert loaded.tokenizer == LETTERS
    assert loaded.notes == notes
    assert not loaded.model.training
    ids = torch.arange(10)[None]
    assert torch.equal(loaded.model(ids), model(ids))
    before, after = model.state_dict(), loaded.model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_tied_weights_are_written_once_and_stay_tied(file: Path) -> None:
    model = checkpoints.load(file).model
    assert model.head.weight is model.embedding.weight
    assert b'"head.weight"' not in file.read_bytes()
    untied = file.with_name("untied")
    checkpoints.save(untied, build("hyena-untied"), LETTERS)
    assert b'"head.weight"' in untied.read_bytes()


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), DNATokenizer()])
def test_a_tokenizer_comes_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "model", build(tokenizer=tokenizer), tokenizer)
    assert checkpoints.load(tmp_path / "model").tokenizer == tokenizer


def test_a_loaded_model_goes_on_training(file: Path) -> None:
    model = checkpoints.load(file).model
    model(torch.arange(10)[None]).square().mean().backward()
    groups = model.parameter_groups(0.01, 0.1)
    torch.optim.AdamW(groups, fused=True).step()
    assert model.head.weight is model.embedding.weight
    assert not torch.equal(model.head.weight, build().head.weight)


def test_loading_leaves_the_global_random_state_alone(file: Path) -> None:
    before = torch.get_rng_state()
    checkpoints.load(file)
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_replaces_an_older_file_and_leaves_nothing_else(file: Path) -> None:
    checkpoints.save(file, build("attention"), LETTERS)
    assert checkpoints.load(file).model.config.mixer == AttentionConfig(2)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("cause", ["notes", "disk"])
def test_a_failed_save_leaves_the_older_file_whole(
    cause: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, notes = file.read_bytes(), {}
    if cause == "notes":
        notes = {"not": object()}
    else:

        def full(number: int) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((TypeError, OSError)):
        checkpoints.save(file, build("attention"), LETTERS, notes)
    assert file.read_bytes() == old
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_tokenizer_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    class Foreign:
        vocab_size = 11

    with pytest.raises(TypeError, match="cannot save a Foreign"):
        checkpoints.save(tmp_path / "model", build(), Foreign())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# Damage


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint .*none; .* train --out"
    ):
        checkpoints.load(tmp_path / "none")


def sound(path: Path) -> bool:
    """Whether it loads; anything but a ValueError that names the file is a bug."""
    try:
        checkpoints.load(path)
    except ValueError as error:
        if f"{path} is not a sound checkpoint: " not in str(error):
            raise
        return False
    return True


def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(file: Path) -> None:
    whole = file.read_bytes()
    for size in [0, 1, 7, 8, 9, 100, 1000, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:size])
        assert not sound(file), size
    file.write_bytes(whole)
    assert sound(file)


def test_a_flipped_bit_in_the_header_never_passes_as_another_error(
    file: Path,
) -> None:
    whole = file.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    refused, tried = 0, [*range(8), *range(8, 8 + size, 31)]
    for position in tried:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 7
        file.write_bytes(damaged)
        refused += not sound(file)
    assert refused > 0.9 * len(tried)  # the rest fell on notes, letters or blanks


def rewritten(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The same file with `change` applied to what it says about itself."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    about = json.loads(header["__metadata__"]["minihyena"])
    change(about)
    header["__metadata__"]["minihyena"] = json.dumps(about)
    new = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(new)) + new + data[8 + size :])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a["config"].update(widht=8), "'widht'; known, nearest .*: width"),
        (lambda a: a["config"].pop("vocab_size"), "vocab_size"),
        (lambda a: a["config"].update(mixer="hyen"), "mixer 'hyen'; known, .*: hyena"),
        (lambda a: a["config"].update(mixer=[]), "sound checkpoint"),
        (lambda a: a["config"]["mixer"].update(ordre=2), "HyenaConfig field"),
        (
            lambda a: a["config"]["mixer"]["filter"].update(band=2),
            "ImplicitConfig field 'band'; known, nearest first: bands",
        ),
        (lambda a: a["config"].update(width=16), "size mismatch"),
        (lambda a: a["config"].update(depth=3), "blocks.2"),
        (lambda a: a["config"].update(depth=1), "blocks.1"),
        (lambda a: a["config"].update(width="8"), "sound checkpoint"),
        (lambda a: a.pop("config"), "no 'config'"),
        (lambda a: a.pop("tokenizer"), "no 'tokenizer'"),
        (lambda a: a["tokenizer"].update(kind="letters"), "tokenizer 'letters'; known"),
        (lambda a: a.pop("notes"), "no 'notes'"),
        (lambda a: a["config"]["mixer"].pop("kind"), "unknown mixer"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    change: Callable[[dict[str, Any]], object], words: str, file: Path
) -> None:
    rewritten(file, lambda about: None)
    assert sound(file)
    rewritten(file, change)
    with pytest.raises(ValueError, match=words) as caught:
        checkpoints.load(file)
    assert f"{file} is not a sound checkpoint: " in str(caught.value)


def test_somebody_elses_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(3)}, path, metadata)
        words = (
            "sound checkpoint: it was not written by minihyena; name the folder if it "
            "is a HyenaDNA model with a config.json"
        )
        with pytest.raises(ValueError, match=f"{re.escape(words)}$"):
            checkpoints.load(path)


@pytest.mark.parametrize("content", [b"", b"just text", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not sound(tmp_path / "file")


def test_a_folder_without_an_official_model_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"needs config\.json"):
        checkpoints.load(tmp_path)


def test_fields_build_nested_configurations() -> None:
    made = from_fields(
        HyenaConfig, {"order": 3, "filter": {"kind": "implicit", "bands": 2}}
    )
    assert made == HyenaConfig(3, filter=ImplicitConfig(bands=2))


# What is shipped

SHIPPED = sorted(path.stem for path in checkpoints.SHIPPED.glob("*.safetensors"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_opened_by_name_is_small_and_has_a_card(name: str) -> None:
    model, tokenizer, notes = checkpoints.load(name)
    assert (checkpoints.SHIPPED / f"{name}.safetensors").stat().st_size < 4e6
    assert model.config.vocab_size == tokenizer.vocab_size
    assert {"licence", "seed", "loss", "command"} <= notes.keys()
    assert f"`checkpoints/{name}.safetensors`" in CARDS.read_text(encoding="utf-8")


def test_the_shipped_recall_model_recalls() -> None:
    model, tokenizer, notes = checkpoints.load("recall")
    task = AssociativeRecall(notes["task"]["vocab_size"], notes["task"]["length"])
    batch = task.batch(200, generator=torch.Generator().manual_seed(7))
    assert task.test(model, batch) > 0.98
    said = model(tokenizer.encode("2718" * 32 + ">2")[None])[0, -1].argmax()
    assert tokenizer.decode([int(said)]) == "7"


@pytest.mark.parametrize("name", [name for name in SHIPPED if "python_docs" in name])
def test_a_shipped_text_model_knows_the_text_it_never_saw(name: str) -> None:
    model, tokenizer, _ = checkpoints.load(name)
    held_out = checkpoints.load("python_docs").notes["held_out"]
    ids = tokenizer.encode(held_out)[: 32 * 256 + 1]
    with torch.no_grad():
        loss = token_loss(model, ids[:-1].view(32, 256), ids[1:].view(32, 256))
    assert loss < 1.5


def test_the_shipped_shakespeare_writes_verse() -> None:
    model, tokenizer, _ = checkpoints.load("shakespeare")
    generator = torch.Generator().manual_seed(0)
    pieces = sample_text(model, tokenizer, "ROMEO:\n", 200, generator=generator)
    words = set("".join(pieces).lower().split())
    assert len(words & {"the", "and", "to", "of", "my", "i", "is", "that", "a"}) >= 3


def test_a_name_that_is_not_here_is_told_with_those_that_are() -> None:
    names = r"python_docs, python_docs_transformer, recall, shakespeare$"
    with pytest.raises(
        FileNotFoundError, match=rf"no checkpoint recal;.* here by name: {names}"
    ):
        checkpoints.load("recal")


def test_where_no_model_is_shipped_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"here by name: none$"):
        checkpoints.load("recall")


def test_a_file_of_that_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    (tmp_path / "recall").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert checkpoints.load("recall").tokenizer == checkpoints.load(file).tokenizer
