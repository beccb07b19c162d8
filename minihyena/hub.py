"""Weights that others have written: found by name, and read without running anything.

A pickle can hold any program. Here its tensors are taken, through torch's reader for
weights alone, and nothing in it is run.
"""

import re
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from minihyena.errors import choose
from minihyena.files import read_json

__all__ = ["MODELS", "fetch", "read", "read_state"]

MODELS = {
    f"hyenadna-{size}": f"LongSafari/hyenadna-{size}-seqlen"
    for size in ("tiny-1k", "small-32k", "medium-160k", "medium-450k", "large-1m")
}
PICKLES = (".ckpt", ".pt", ".pth", ".bin")
WEIGHTS = (  # in a folder, the first that is there
    "weights.safetensors",
    "model.safetensors",
    "weights.ckpt",
    "pytorch_model.bin",
)
# What training programs keep beside the weights; stand-ins of it are made, not it.
BOOKKEEPING = re.compile(
    r"(omegaconf|pytorch_lightning|lightning|lightning_fabric)(\.\w+)*\.[A-Z]\w*"
    r"|argparse\.Namespace|pathlib\.(Pure)?(Posix|Windows)?Path|typing\.\w+"
    r"|collections\.(defaultdict|OrderedDict|Counter)|abc\.ABCMeta"
    r"|numpy\.(ndarray|dtype|dtypes\.\w+|(_core|core)\.multiarray\.(scalar|_reconstruct))"
    r"|builtins\.(dict|list|tuple|set|str|bytes|int|float|bool|object|type)"
)


def fetch(name: Path | str, revision: str | None = None) -> Path:
    """A file or folder if `name` is one, else the folder of that model, downloaded.

    `name` is one of MODELS ("hyenadna-tiny-1k") or "owner/repository" on the Hugging
    Face hub; `revision` a branch, tag or commit there. A download is kept by
    huggingface_hub, in the user's cache.

    Raises ValueError for an unknown name, ModuleNotFoundError without huggingface_hub,
    ConnectionError if the files could not be had.
    """
    if Path(name).exists():
        return Path(name)
    short = str(name).removeprefix("LongSafari/").removeprefix("hyenadna-")
    repository = MODELS.get(f"hyenadna-{short.removesuffix('-seqlen')}", str(name))
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        choose("file, folder or model", repository, MODELS)
    address = f"https://huggingface.co/{repository}"
    way_out = f"or put config.json and the weights of {address} in a folder and name it"
    try:
        hub: Any = import_module("huggingface_hub")
    except ImportError as error:
        raise ModuleNotFoundError(
            f"to fetch {name} minihyena needs huggingface_hub: "
            f'python -m pip install -c constraints.txt -e ".[hub]"; {way_out}',
            name="huggingface_hub",
        ) from error
    try:
        wanted = ["config.json", *WEIGHTS]
        return Path(
            hub.snapshot_download(repository, revision=revision, allow_patterns=wanted)
        )
    except (OSError, ValueError) as error:  # what the hub's own errors are
        raise ConnectionError(
            f"{address} could not be fetched ({error}); look at the name and the "
            f"network, {way_out}"
        ) from error


def read(path: Path | str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and state of a folder with config.json and weights, or of such weights.

    Raises FileNotFoundError for what is not there, ValueError as `read_state` and for
    a config that is no JSON object.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        path = next((folder / n for n in WEIGHTS if (folder / n).is_file()), path)
    for file, wanted in ((folder / "config.json", "config"), (path, "weights")):
        if not file.is_file():
            raise FileNotFoundError(
                f"no {wanted} in {folder}; it needs config.json and one of "
                f"{', '.join(WEIGHTS)}"
            )
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise ValueError(f"{folder / 'config.json'} does not hold an object")
    return config, read_state(path)


def read_state(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a pickle (.ckpt, .pt, .pth, .bin).

    If the pickle has an entry `state_dict`, its tensors; what else a training program
    put beside it is passed over. Raises FileNotFoundError; ValueError for a damaged
    file, one that holds anything but tensors by name, and a pickle that needs code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix not in (".safetensors", *PICKLES):
        raise ValueError(
            f"{path} has none of the suffixes .safetensors, {', '.join(PICKLES)}"
        )
    try:
        found = unpickle(path) if path.suffix in PICKLES else load_file(path)
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read as weights: {error}") from error
    if isinstance(found, Mapping):
        found = found.get("state_dict", found)
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} holds a {type(found).__name__}, no tensors by name")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"{path} holds a {type(value).__name__} under {name!r}; only tensors "
                "by name, or such under `state_dict`, are weights"
            )
        dense = value.layout is torch.strided and value.is_floating_point()
        if not dense or value.is_meta:
            raise ValueError(f"{path} holds no plain numbers under {name!r}")
    return dict(found)


def unpickle(path: Path) -> Any:
    """What torch's reader of weights makes of the file.

    Raises FileNotFoundError; ValueError for a damaged file, one that needs code, and
    one that is packed, for it could hold any number of bytes.
    """
    try:
        return _unpickle(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # damage can make anything of a reader
        # What torch advises, to read it without the guard, is left out.
        reason = str(error).rpartition("WeightsUnpickler error: ")[2].partition("\n")[0]
        raise ValueError(reason or type(error).__name__) from error


def _unpickle(path: Path) -> Any:
    names = []  # torch looks into its own format only, not into older ones
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            size = sum(entry.file_size for entry in file.infolist())
        if size > path.stat().st_size:
            raise ValueError(f"it is packed, and would be {size:,} bytes")
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    if code := sorted(name for name in names if not BOOKKEEPING.fullmatch(name)):
        raise ValueError(
            f"it asks for {', '.join(code):.200}, which is code; nothing in such a "
            "file is run. If you trust it, open it with the program that wrote it and "
            "save the tensors alone: "
            "torch.save({'state_dict': model.state_dict()}, path)"
        )
    with torch.serialization.safe_globals([stand_in(name) for name in names]):
        return torch.load(path, map_location="cpu", weights_only=True)


def stand_in(name: str) -> type:
    """A class that goes by `name`, takes whatever it is given and keeps nothing."""
    module, _, own = name.rpartition(".")

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        # Entries may be set in a dict only, and attributes in anything but a dict.
        return {} if own.lower().endswith("dict") else object.__new__(cls)

    body = {"__new__": new, "__init__": ignore, "__setstate__": ignore}
    return type(own, (), {**body, "__module__": module})


def ignore(self: object, *args: Any, **kwargs: Any) -> None:
    pass
