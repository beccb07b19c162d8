"""Weights that others have written: found, read, and nothing in them is run."""

import json
import pickle
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy.testing._private.utils
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from minihyena import LanguageModel, LMConfig, checkpoints, hub, official
from minihyena.filters import ImplicitConfig
from minihyena.hyena import HyenaConfig
from minihyena.official_model import model_keys
from minihyena.tokenizers import DNATokenizer

CONFIG: dict[str, Any] = {
    "d_model": 8,
    "n_layer": 2,
    "d_inner": 16,
    "vocab_size": 12,
    "pad_vocab_size_multiple": 8,
    "layer": {"_name_": "hyena", "l_max": 34, "emb_dim": 5, "filter_order": 6, "w": 10},
}
IDS = torch.tensor([[7, 8, 9, 10, 11, 7, 7, 8]])


def official_model() -> tuple[LanguageModel, dict[str, Tensor]]:
    """A small model of ours, and its weights by their official names."""
    filter = ImplicitConfig(
        2, 6, sine_frequency=10.0, shift=0.05, decays="flat", train_positions=True
    )
    config = LMConfig(12, 34, 8, mixer=HyenaConfig(filter=filter), vocab_multiple=8)
    model = LanguageModel(config, torch.Generator().manual_seed(0)).eval()
    ours, state = model.state_dict(), {}
    for i, block in enumerate(model.blocks):
        for key, value in official.official_state(block.mixer.state_dict()).items():
            state[f"backbone.layers.{i}.mixer.{key}"] = value
    for name, key in model_keys(2, 2).items():
        if "mixer" not in name:
            state[key] = ours[name]
    return model, {key: value.clone() for key, value in state.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as on the hub: config.json and a checkpoint of the training program."""
    home = tmp_path / "hyenadna-tiny-1k-seqlen"
    home.mkdir()
    (home / "config.json").write_text(json.dumps(CONFIG))
    state = {
        f"model.{key}": value.clone() for key, value in official_model()[1].items()
    }
    hyper = Namespace(path=Path("data"), rates=OrderedDict(lr=6e-4))
    torch.save({"state_dict": state, "epoch": 3, "hyper": hyper}, home / "weights.ckpt")
    return home


# The whole way


def test_a_folder_as_on_the_hub_gives_the_model(folder: Path) -> None:
    expected = official_model()[0]
    model = LanguageModel.from_pretrained(folder)
    assert not model.training
    assert torch.equal(model(IDS), expected(IDS))
    assert model.state_dict().keys() == expected.state_dict().keys()
    again, tokenizer, notes = checkpoints.load(folder)
    assert torch.equal(again(IDS), expected(IDS))
    assert tokenizer == DNATokenizer()
    assert notes == CONFIG


def test_the_window_shift_can_be_chosen(folder: Path) -> None:
    model = LanguageModel.from_pretrained(folder, shift=0.0)
    assert model.config.mixer.filter.shift == 0.0
    assert not torch.allclose(model(IDS), official_model()[0](IDS))


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_pickle_of_tensors_is_read_with_the_config_beside_it(
    suffix: str, inside: bool, folder: Path
) -> None:
    model, state = official_model()
    file = folder / f"another{suffix}"
    torch.save({"state_dict": state} if inside else state, file)
    assert torch.equal(checkpoints.load(file).model(IDS), model(IDS))


def test_safetensors_go_before_pickles(folder: Path) -> None:
    model, state = official_model()
    changed = {key: 2 * value for key, value in state.items()}
    save_file(changed, folder / "model.safetensors")
    with torch.no_grad():
        found = LanguageModel.from_pretrained(folder)(IDS)
    assert not torch.allclose(found, model(IDS))


def test_a_model_that_was_read_can_be_saved_as_one_of_ours(folder: Path) -> None:
    model, tokenizer, _ = checkpoints.load(folder)
    checkpoints.save(folder / "ours", model, tokenizer)
    again, letters, _ = checkpoints.load(folder / "ours")
    assert torch.equal(again(IDS), model(IDS))
    assert again.config == model.config
    assert letters == tokenizer


def test_the_recorded_model_comes_through_a_folder(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    path = shared("reference/hyenadna_2_layers.safetensors")
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = {"model." + k[6:]: v for k, v in found.items() if k.startswith("state.")}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save({"state_dict": state}, tmp_path / "weights.ckpt")
    logits = LanguageModel.from_pretrained(tmp_path)(found["input_ids"])
    torch.testing.assert_close(logits, found["logits"], atol=1e-5, rtol=0)


# Names


def test_the_hubs_own_program_finds_a_model_in_its_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    commit = "0" * 40
    home = tmp_path / "cache" / "models--LongSafari--hyenadna-tiny-1k-seqlen"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    (home / "snapshots").mkdir()
    folder.rename(home / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = hub.fetch("hyenadna-tiny-1k")
    assert found == home / "snapshots" / commit
    with pytest.raises(ConnectionError, match="hyenadna-small-32k-seqlen could not be"):
        hub.fetch("hyenadna-small-32k")


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("hyenadna-tiny-1k", "LongSafari/hyenadna-tiny-1k-seqlen"),
        ("hyenadna-tiny-1k-seqlen", "LongSafari/hyenadna-tiny-1k-seqlen"),
        ("LongSafari/hyenadna-large-1m-seqlen", "LongSafari/hyenadna-large-1m-seqlen"),
        ("somebody/their-model", "somebody/their-model"),
    ],
)
def test_a_name_is_asked_for_in_full(
    name: str, repository: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(repo: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repo, revision, allow_patterns))
        return str(folder)

    fake = SimpleNamespace(snapshot_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    assert hub.fetch(name, "v2") == folder
    [(repo, revision, files)] = asked
    assert (repo, revision) == (repository, "v2")
    assert {"config.json", "weights.ckpt"} <= {*files}
    assert not any(file.endswith(".py") for file in files)  # no code is fetched


def test_without_the_hubs_program_the_command_that_brings_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"huggingface_hub: .*\[hub\]") as e:
        LanguageModel.from_pretrained("hyenadna-tiny-1k")
    assert "put config.json and the weights" in str(e.value)


def test_without_a_network_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(*args: Any, **options: Any) -> str:
        raise OSError("no route to host")

    fake = SimpleNamespace(snapshot_download=unreachable)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    with pytest.raises(ConnectionError, match=r"no route to host.* put config\.json"):
        LanguageModel.from_pretrained("hyenadna-tiny-1k")


@pytest.mark.parametrize("name", ["hyenadna-tiny", "tiny 1k", "a/b/c", "../away"])
def test_an_unknown_name_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown .* nearest first: hyenadna-"):
        hub.fetch(name)


# Nothing is run


class Trap:
    """Unpickled by an ordinary reader, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.mark), "w"))


class Hidden(Trap):
    def __reduce__(self) -> tuple[Any, ...]:
        code = f"open({str(self.mark)!r}, 'w').close()"
        return (eval, (code,))


class Numpy(Trap):
    """By way of a package that keeps harmless things, too."""

    def __reduce__(self) -> tuple[Any, ...]:
        code = f"open({str(self.mark)!r}, 'w').close()"
        return (numpy.testing._private.utils.runstring, (code, {}))


@pytest.mark.parametrize("trap", [Trap, Hidden, Numpy])
@pytest.mark.parametrize("where", ["beside", "instead", "as the state", "raw"])
def test_a_pickle_with_code_in_it_is_refused_and_nothing_runs(
    trap: type[Trap], where: str, folder: Path, tmp_path: Path
) -> None:
    mark, file = tmp_path / "it ran", folder / "weights.ckpt"
    bomb, state = trap(mark), official_model()[1]
    content: Any = {
        "beside": {"state_dict": state, "extra": bomb},
        "instead": bomb,
        "as the state": {"state_dict": bomb},
        "raw": {"state_dict": bomb},
    }[where]
    if where == "raw":
        file.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, file)
    for load in (LanguageModel.from_pretrained, checkpoints.load):
        with pytest.raises(ValueError, match=r"weights\.ckpt cannot be read"):
            load(folder)
    assert not mark.exists()
    if where != "raw":
        with pytest.raises(ValueError, match=r"asks for .*, which is code"):
            hub.read_state(file)
        torch.load(file, weights_only=False)
        assert mark.exists()  # the trap does work


@pytest.mark.parametrize("name", ["os.system", "builtins.getattr", "numpy.f2py.main"])
def test_a_stand_in_keeps_and_does_nothing(name: str) -> None:
    made = hub.stand_in(name)("rm", key=1)
    assert not vars(made)


def test_an_older_pickle_says_what_it_asks_for(tmp_path: Path) -> None:
    file, mark = tmp_path / "old.pt", tmp_path / "it ran"
    torch.save({"a": Trap(mark)}, file, _use_new_zipfile_serialization=False)
    with pytest.raises(
        ValueError, match=r"as weights: Unsupported global: .*open"
    ) as e:
        hub.read_state(file)
    assert "weights_only" not in str(e.value)
    assert not mark.exists()


def test_what_training_programs_keep_beside_the_weights_is_passed_over(
    folder: Path,
) -> None:
    state = hub.read_state(folder / "weights.ckpt")
    assert all(isinstance(value, Tensor) for value in state.values())
    assert "epoch" not in state


# Damage


def test_a_truncated_file_is_refused_wherever_it_was_cut(folder: Path) -> None:
    state = official_model()[1]
    for name in ("weights.safetensors", "weights.ckpt"):
        file = folder / name
        if name.endswith("safetensors"):
            save_file(state, file)
        whole = file.read_bytes()
        for size in [0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1]:
            file.write_bytes(whole[:size])
            with pytest.raises(ValueError, match="cannot be read as weights"):
                LanguageModel.from_pretrained(folder)
        file.unlink()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list, no tensors by name"),
        ({"state_dict": [1]}, "holds a list, no tensors by name"),
        ({"state_dict": {"a": 1.0}}, "holds a float under 'a'"),
        ({"state_dict": {"a": {"b": torch.zeros(1)}}}, "holds a dict under 'a'"),
        ({3: torch.zeros(1)}, "holds a Tensor under 3"),
    ],
)
def test_what_is_no_tensors_by_name_is_refused(
    content: Any, words: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=words):
        hub.read_state(tmp_path / "a.pt")


def test_a_zip_or_text_is_no_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("weights")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as zipped:
        zipped.writestr("readme", "no weights")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match="cannot be read as weights"):
            hub.read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("config", "words"),
    [("{", "is no JSON"), ("[1]", "does not hold an object"), ("\xff", "no JSON")],
)
def test_a_config_that_is_none_is_refused(
    config: str, words: str, folder: Path
) -> None:
    (folder / "config.json").write_bytes(config.encode("latin-1"))
    with pytest.raises(ValueError, match=words):
        hub.read(folder)


def test_a_folder_that_lacks_something_says_what(folder: Path) -> None:
    (folder / "weights.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights in .* one of weights\.sa"):
        LanguageModel.from_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="no config in"):
        LanguageModel.from_pretrained(folder)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        hub.read_state(folder / "weights.ckpt")
    (folder / "weights.h5").touch()
    with pytest.raises(ValueError, match=r"none of the suffixes \.safetensors, \.ckpt"):
        hub.read_state(folder / "weights.h5")


def test_a_state_that_does_not_fit_its_config_is_refused_by_name(folder: Path) -> None:
    state = official_model()[1]
    del state["backbone.ln_f.bias"]
    torch.save(state, folder / "weights.ckpt")
    for load in (LanguageModel.from_pretrained, checkpoints.load):
        with pytest.raises(ValueError, match=r"missing backbone\.ln_f\.bias"):
            load(folder)
