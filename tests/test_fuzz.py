"""Whatever a file holds, its loader reads it or refuses it by name, and that is all."""

import base64
import io
import json
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_results import made_results
from made_texts import made_texts
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file
from test_hub import CONFIG, official_model
from test_runs import begin

from minihyena import (
    HyenaConfig,
    LanguageModel,
    LMConfig,
    benchmark,
    checkpoints,
    corpora,
    race,
    runs,
    sample_text,
)
from minihyena.__main__ import parser
from minihyena.experiments import results
from minihyena.explore.scaling_data import comparisons
from minihyena.grading import command, files, submission
from minihyena.mixer import State
from minihyena.presets import PRESETS, Plan
from minihyena.run_files import write
from minihyena.run_log import RunLog, read_log
from minihyena.tokenizers import CharacterTokenizer
from minihyena.train_config import Record

# Kinds of files


@dataclass(frozen=True)
class Kind:
    """Files that one loader reads; those that are wrapped say inside what they are."""

    name: str
    make: Callable[[Path], object]
    load: Callable[[Path], object]
    unwrap: Callable[[bytes], bytes] = bytes
    wrap: Callable[[bytes, bytes], bytes] = lambda whole, inside: inside


def header(whole: bytes) -> dict[str, Any]:
    """That of a safetensors file."""
    found: dict[str, Any] = json.loads(whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]])
    return found


def about(whole: bytes) -> bytes:
    """What a file of ours says of itself."""
    return str(*header(whole)["__metadata__"].values()).encode()


def saying(whole: bytes, text: bytes) -> bytes:
    """The same file, saying something else."""
    [name] = header(whole)["__metadata__"]
    return to_bytes(from_bytes(whole), {name: text.decode(errors="replace")})


def pickled(whole: bytes) -> bytes:
    """The pickle in a file of torch's."""
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        return next(file.read(n) for n in file.namelist() if n.endswith("data.pkl"))


def repacked(whole: bytes, pickle: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """The same with another pickle."""
    made = io.BytesIO()
    old = zipfile.ZipFile(io.BytesIO(whole))
    with old, zipfile.ZipFile(made, "w", method) as new:
        for name in old.namelist():
            own = name.endswith("data.pkl")
            new.writestr(name, pickle if own else old.read(name))
    return made.getvalue()


LETTERS = CharacterTokenizer("abcdef")
MODEL = LMConfig(6, 8, 4, 1, mixer=HyenaConfig(filter="fir"))
SMALL = {"width": 4, "mixer": "gss"}


def save_checkpoint(path: Path) -> None:
    checkpoints.save(path, LanguageModel(MODEL), LETTERS, {"seed": 3, "é": [1.5]})


def load_checkpoint(path: Path) -> None:
    """And let it write."""
    model, tokenizer, notes = checkpoints.load(path)
    assert isinstance(notes, dict)
    if isinstance(tokenizer, CharacterTokenizer) and "a" in tokenizer.alphabet:
        [*_] = sample_text(model, tokenizer, "a", 1, top_k=1)


def make_official(path: Path) -> None:
    config, state = path.parent / "config.json", official_model()[1]
    config.write_text(json.dumps(CONFIG))
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        zipped = path.suffix == ".ckpt"
        torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=zipped)


def load_official(path: Path) -> object:
    return checkpoints.load(path.parent)


def make_run(path: Path) -> None:
    run = begin(model=SMALL, steps=2)
    [*_] = runs.keep(run, path.with_suffix(""), notes={"plan": Plan().fields()})
    path.with_suffix(".csv").unlink()
    path.with_suffix(".run.old").unlink(missing_ok=True)


def load_run(path: Path) -> None:
    runs.resume(begin(model=SMALL, steps=2), path.with_suffix(""))


def make_log(path: Path) -> None:
    log = RunLog(path.with_suffix(""))
    for step in (1, 2, 3):
        log.add(Record(step, 2.5, 1e-3, 0.5, 64 * step, 1e6, 0.1 * step, 3.25))
    log.flush()


def make_timings(path: Path) -> None:
    rows = [
        benchmark.Row("conv", "forward", name, 1, 2, length, (0.5, 1e-3), 64, 3e6)
        for name in ("minihyena", "other")
        for length in (8, 16)
    ]
    benchmark.save(benchmark.run(rows), path)


def make_figure(path: Path) -> None:
    """The authors' numbers, and beside them all that the plot wants."""
    for suite in ("conv", "layer"):
        make_timings(path.with_name(f"{suite}.json"))
    series = {"Hyena": [0.9, 1.5], "attention": [0.4, None]}
    told = {"batch": 64, "ours": "Hyena", "lengths": [8, 16], "series": series}
    path.write_text(json.dumps(told))


def make_race(path: Path) -> None:
    curve = ((1, 0.5, 3.25), (2, 1.0, 3.0))
    race.save([race.Lane("ours", 64, PRESETS["laptop"].fields(), curve)], path)


def read_all(path: Path) -> None:
    """What is sound, or what is left of it."""
    try:
        results.load(path).chosen()
    finally:
        results.rescue(path)


def make_marks(path: Path) -> None:
    lines = ("alice,A1,hand,solid,well said", 'bob,A1,wrap,absent,"a, b"')
    path.write_text("\n".join(["student,assignment,part,level,comment", *lines]))


def make_parameters(path: Path) -> None:
    path.write_text("[A1.routes]\nlengths = [3, 4]\nchannels = 2\n")


def change_parameters(path: Path) -> None:
    """As far as the submissions, of which there are none."""
    options = parser().parse_args(
        ["grade", str(path / "none"), "--parameters", str(path)]
    )
    with suppress(FileNotFoundError):
        command.run_grade(options)


def hand_in(path: Path) -> None:
    """A notebook that would leave a file behind if it were run."""
    trap = f"open({str(path.with_name('it ran'))!r}, 'w')"
    code = f"{trap}\ndef mean(x=[1, 2]):\n    return x[{trap}:]  # é"
    png = base64.b64encode(b"\x89PNG").decode()
    cells = [
        {
            "cell_type": "code",
            "metadata": {"nbgrader": {"grade_id": "a"}},
            "source": [f"{line}\n" for line in code.splitlines()],
            "outputs": [{"data": {"image/png": png}}],
        },
        {"cell_type": "markdown", "id": "b", "source": "written"},
    ]
    about = {"kernelspec": {"language": "python"}, "minihyena": {"assignment": "A1"}}
    text = json.dumps({"cells": cells, "metadata": about, "nbformat": 4})
    path.write_text(code if path.suffix == ".py" else text, "utf-8")


def read_handed_in(path: Path) -> None:
    """Nothing raises: what is wrong is said of this student."""
    made = submission.read(path, "alice")
    assert made.student == "alice"
    assert made.fault or made.cells
    for cell in made.cells:
        cell.source.encode()
    program = made.program(["mean"])
    assert program.text or program.fault or made.fault


def make_text(path: Path) -> None:
    path.write_text("Ein Stück Text, €.\n" * 3, "utf-8-sig")


def make_state(path: Path) -> None:
    model = LanguageModel(MODEL, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.prefill(torch.tensor([[1, 2]]))[1].save(path)


FRAMED = {"unwrap": about, "wrap": saying}
TORCHED = {"unwrap": pickled, "wrap": repacked}
KINDS = {
    "checkpoint": Kind("a.safetensors", save_checkpoint, load_checkpoint, **FRAMED),
    "official config": Kind(
        "config.json",
        lambda path: make_official(path.with_name("weights.safetensors")),
        load_official,
    ),
    "official weights": Kind("model.safetensors", make_official, load_official),
    "official pickle": Kind("weights.ckpt", make_official, load_official, **TORCHED),
    "older pickle": Kind("pytorch_model.bin", make_official, load_official),
    "kept run": Kind("a.run", make_run, load_run, **FRAMED),
    "table of a run": Kind(
        "a.csv", make_log, lambda path: read_log(path.with_suffix(""))
    ),
    "state": Kind("a.pt", make_state, State.load, **TORCHED),
    "task results": Kind("a.json", lambda p: made_results(seeds=1).save(p), read_all),
    "text results": Kind("a.json", lambda p: made_texts(seeds=1).save(p), read_all),
    "timings": Kind("a.json", make_timings, benchmark.load),
    "race": Kind("a.json", make_race, race.load),
    "authors' figure": Kind(
        "authors_figure_4_3.json", make_figure, lambda path: comparisons(path.parent)
    ),
    "marks": Kind("a.csv", make_marks, files.read_marks),
    "parameters": Kind("a.toml", make_parameters, change_parameters),
    "notebook": Kind("a.ipynb", hand_in, read_handed_in),
    "script": Kind("a.py", hand_in, read_handed_in),
    "text": Kind("a.txt", make_text, corpora.load),
}


# Damage

NUMBERS = [
    "-1",
    "0",
    "0.5",
    "1e999",
    "NaN",
    "-Infinity",
    "9" * 30,
    "9" * 400,
    "9" * 5000,
]
VALUES = [*NUMBERS, "null", "true", "[]", "{}", '""', '"x"', '[[1, "a"]]', r'"\ud800"']
PIECES = [
    *(text.encode() for text in VALUES),
    *(b"[" * 30_000, b'{"a":' * 30_000, b"(" * 300, b"x" * 20_000),
    *(b"\0", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b'"', b"'", b"\n", b"\r", b","),
]
VALUE = re.compile(rb'"[^"\n]{0,200}"|-?\d[\d.e+-]*|true|false|null|\[[^][]*\]')

WOUNDS = ["cut", "flip", "drop", "double", "swap", "insert", *3 * ["value"]]


@st.composite
def wounded(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with one to three wounds; most of them small."""
    for _ in range(draw(st.integers(1, 3))):
        places = [draw(st.integers(0, len(content))) for _ in range(3)]
        first, second, third = sorted(places)
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=9))
        values = [found.span() for found in VALUE.finditer(content)]
        match draw(st.sampled_from(WOUNDS)):
            case "cut":
                content = content[:first]
            case "flip" if content:
                at = min(first, len(content) - 1)
                flipped = content[at] ^ 1 << draw(st.integers(0, 7))
                content = content[:at] + bytes([flipped]) + content[at + 1 :]
            case "drop":
                content = content[:first] + content[second:]
            case "double":
                content = content[:second] + content[first:]
            case "swap":
                middle = content[second:third] + content[first:second]
                content = content[:first] + middle + content[third:]
            case "value" if values:
                start, end = draw(st.sampled_from(values))
                content = content[:start] + piece + content[end:]
            case _:
                content = content[:first] + piece + content[first:]
    return content


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each kind a sound file, in a folder of its own."""
    made = {}
    for name, kind in KINDS.items():
        made[name] = tmp_path_factory.mktemp("home") / kind.name
        kind.make(made[name])
        kind.load(made[name])
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def withstands(kind: Kind, path: Path, content: bytes) -> str:
    """What is said of a file of this content, which is put back afterwards."""
    sound, said = path.read_bytes(), ""
    path.write_bytes(content)
    before = contents(path.parent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.load(path)
    except ValueError as error:
        said = str(error)
        assert path.name in said or path.parent.name in said
    finally:
        after = contents(path.parent)
        path.write_bytes(sound)
    assert after == before
    kind.load(path)
    return said


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_by_name_and_that_is_all(
    name: str, homes: dict[str, Path], data: st.DataObject
) -> None:
    kind, path = KINDS[name], homes[name]
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        content = data.draw(wounded(whole))
    else:
        content = kind.wrap(whole, data.draw(wounded(kind.unwrap(whole))))
    withstands(kind, path, content)


# Malice


def saying_with(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """What is said there, changed in place or exchanged."""

    def wound(whole: bytes) -> bytes:
        said = json.loads(about(whole))
        changed = change(said)
        return saying(whole, json.dumps(said if changed is None else changed).encode())

    return wound


def configured(**fields: Any) -> Callable[[bytes], bytes]:
    return saying_with(lambda said: said["config"].update(fields))


def stated(**fields: Any) -> Callable[[bytes], bytes]:
    """JSON with other fields, or, where it has rows, with another first row."""

    def wound(whole: bytes) -> bytes:
        told = json.loads(whole)
        told.get("rows", [told])[0].update(fields)
        return json.dumps(told).encode()

    return wound


def holding(value: Any, **options: Any) -> Callable[[bytes], bytes]:
    """What torch writes of a value."""

    def wound(whole: bytes) -> bytes:
        file = io.BytesIO()
        torch.save(value, file, **options)
        return file.getvalue()

    return wound


def packed(whole: bytes) -> bytes:
    return repacked(whole, b"\x80\x02}." + bytes(10**7), zipfile.ZIP_DEFLATED)


def keeping(name: str, tensor: torch.Tensor) -> Callable[[bytes], bytes]:
    """A run with another tensor in its state, and the digest that belongs to it."""

    def wound(whole: bytes) -> bytes:
        said = json.loads(about(whole)) | {"state": from_bytes(whole) | {name: tensor}}
        del said["sha256"]
        with TemporaryDirectory() as folder:
            write(runs.Kept(**said), Path(folder) / "a")
            return (Path(folder) / "a.run").read_bytes()

    return wound


class Trap:
    """Unpickled by an ordinary reader, it leaves a file in the folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(Path(__file__).with_name("it ran")), "w")


def of_tensor(tensor: torch.Tensor) -> Callable[[bytes], bytes]:
    return holding({"state_dict": {"w": tensor}})


DEEP = b"[" * 100_000
HUGE = 10**9
INFINITY = torch.tensor(math.inf)
ENDLESS = {"kind": "hyena", "filter": {"kind": "ckconv", "depth": HUGE}}
TERABYTES = json.dumps(
    {"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
).encode()
EMPTY = b"cminihyena.mixer\nState\n)R."  # a state of nothing
FEW = "too few for its configuration"
MALICE: list[tuple[str, str, bytes | Callable[[bytes], bytes]]] = [
    ("checkpoint", "incomplete", struct.pack("<Q", len(TERABYTES)) + TERABYTES),
    ("checkpoint", "header", b"\xff" * 8 + b"{}"),
    ("checkpoint", "recursion", lambda whole: saying(whole, DEEP)),
    ("checkpoint", "indices", saying_with(lambda said: [said])),
    ("checkpoint", FEW, configured(depth=HUGE)),
    ("checkpoint", FEW, configured(width=30_000)),
    ("checkpoint", FEW, configured(mlp_ratio=1e6)),
    ("checkpoint", FEW, configured(mixer=ENDLESS)),
    ("checkpoint", "mlp_ratio: inf is no float", configured(mlp_ratio=math.inf)),
    ("checkpoint", "checkpoint: ", configured(vocab_size=10**30)),
    ("checkpoint", "width: True is no int", configured(width=True)),
    ("checkpoint", "not a mapping", saying_with(lambda said: said | {"notes": [1]})),
    (
        "checkpoint",
        "tokenizer knows 2 tokens, its model 6",
        saying_with(lambda said: said["tokenizer"].update(alphabet="ab")),
    ),
    (
        "checkpoint",
        "alphabet: .* is no str",
        saying_with(lambda said: said["tokenizer"].update(alphabet=["a"] * 6)),
    ),
    ("official config", "no JSON", DEEP),
    ("official config", FEW, stated(n_layer=HUGE)),
    ("official config", "numbers from 1; got 16 and 0", stated(d_model=0)),
    ("official config", "numbers from 1; got '16'", stated(d_inner="16")),
    ("official config", "numbers from 1", stated(d_inner=10**400)),
    ("official config", "emb_dim", stated(layer={"emb_dim": "5", "l_max": 9})),
    ("official config", "sine_frequency: 'x'", stated(layer={"w": "x", "l_max": 9})),
    ("official pickle", "which is code", holding({"state_dict": Trap()})),
    ("official pickle", "it is packed", packed),
    ("official pickle", "plain numbers", of_tensor(torch.empty(9, device="meta"))),
    ("official pickle", "plain numbers", of_tensor(torch.eye(3).to_sparse())),
    ("official pickle", "plain numbers", of_tensor(torch.tensor([1, 2]))),
    (
        "older pickle",
        "Unsupported global",
        holding(Trap(), _use_new_zipfile_serialization=False),
    ),
    ("kept run", "not a mapping", saying_with(lambda said: [said])),
    ("kept run", "not a mapping", saying_with(lambda said: 5)),
    ("kept run", "recursion", lambda whole: saying(whole, DEEP)),
    ("kept run", "step: '2'", saying_with(lambda said: said.update(step="2"))),
    ("kept run", "notes: None", saying_with(lambda said: said.update(notes=None))),
    ("kept run", "of another run: cannot convert", keeping("step", INFINITY)),
    ("kept run", "other parameters", keeping("optimizer.0.exp_avg", INFINITY)),
    ("kept run", "of another run", keeping("generator", INFINITY)),
    ("kept run", "of another run", keeping("random.0.cpu", INFINITY)),
    ("table of a run", "no table", b"step,loss\n1,2"),
    ("state", "which is code", holding(Trap())),
    ("state", "it is packed", packed),
    ("state", "holds a int", holding(5)),
    ("state", "holds no state", lambda whole: repacked(whole, EMPTY)),
    ("task results", "curve: .* is no int", stated(curve=[[math.inf, 1]])),
    ("task results", "loss: 1000.* is no float", stated(loss=10**400)),
    ("task results", "seed: True is no int", stated(seed=True)),
    ("task results", "no JSON", b'{"rows": [\n  {"a": ' + DEEP),
    ("task results", "experiment: 5", lambda whole: whole.replace(b'"made_up"', b"5")),
    ("timings", "seconds: 'abc'", stated(seconds="abc")),
    ("timings", "length: '8'", stated(length="8")),
    ("race", "curve: inf", stated(curve=[[math.inf, 1, 1]])),
    ("race", "plan: ", stated(plan=[1])),
    ("authors' figure", "no JSON", DEEP),
    ("authors' figure", "hold the figure", stated(series=[1])),
    ("authors' figure", "'nobody' has no numbers", stated(ours="nobody")),
    ("authors' figure", "too large", stated(series={"a": [10**400, 1]})),
    ("marks", "no table in UTF-8", b"student,assignment,part,level\n\xff"),
    ("marks", "field larger", b"student,assignment,part,level\n" + b"x" * 200_000),
    ("parameters", "A1 is a table", b"A1 = 5"),
    ("parameters", "A1.routes is a table", b"A1.routes = 5"),
    ("parameters", "of type list of str, not", b"A1.routes.lengths = ['a']"),
    ("parameters", "of type list of int and str", b"A1.routes.lengths = [1, 'a']"),
    ("parameters", "of type list, not list of int", b"A1.routes.lengths = []"),
    ("parameters", "not a TOML file", b"A1 = " + DEEP),
    ("parameters", "not a TOML file", b"A1 = " + b"9" * 5000),
    ("text", "not UTF-8", b"\xff\xfe"),
    ("text", "no text", b"\xef\xbb\xbf"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words", "content"), MALICE, ids=[" ".join(case[:2]) for case in MALICE]
)
def test_a_hostile_file_is_refused_with_the_reason(
    name: str,
    words: str,
    content: bytes | Callable[[bytes], bytes],
    homes: dict[str, Path],
) -> None:
    path = homes[name]
    made = content if isinstance(content, bytes) else content(path.read_bytes())
    assert re.search(words, withstands(KINDS[name], path, made))
    assert not Path(__file__).with_name("it ran").exists()


@pytest.mark.parametrize(
    "fields",
    [
        *([], 5, "model training", ["model", "training"]),
        *({}, {"model": 5, "training": {}}, {"model": {}, "training": {}}),
        *(Plan().fields() | {"seed": "0"}, Plan().fields() | {"sed": 0}),
    ],
    ids=lambda fields: f"{fields!r:.40}",
)
def test_fields_that_make_no_plan_are_refused(fields: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Plan.of(fields)
    assert Plan.of(Plan().fields()) == Plan()


@pytest.mark.parametrize(
    "code",
    [
        *("-" * 10**5 + "1", "a" + ".b" * 10**5, "f" + "()" * 10**5, "(" * 10**4),
        *("1" + "+1" * 10**5, "lambda: " * 5000 + "1", "0x" + "f" * 10**4, "9" * 10**4),
        *("f(" + "a=1," * 10**4 + ")", "'\ud800'", "1\0", "'\\N{x}'", "[[" * 90),
    ],
    ids=lambda code: repr(code[:9]),
)
def test_code_that_no_parser_survives_costs_a_student_that_cell_alone(
    code: str, tmp_path: Path
) -> None:
    cells = [
        {"cell_type": "code", "source": text}
        for text in (f"x = {code}", "def mean(x):\n    return 0")
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert "return 0" in submission.read(path, "alice").program(["mean"]).text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"cells": ' + DEEP, "not JSON"),
        (b'{"cells": [' + DEEP[:400] + b"]" * 400 + b"]}", "an empty notebook"),
        (b'{"cells": 9' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"cells": {"a": 1}}', "no list of cells"),
        (b"null", "no list of cells"),
        (b"\xff", "not a text in UTF-8"),
        (b"", "not JSON"),
    ],
)
def test_a_notebook_that_is_none_is_a_fault_of_this_student(
    content: bytes, fault: str, tmp_path: Path
) -> None:
    (tmp_path / "a.ipynb").write_bytes(content)
    [made] = files.find(tmp_path)
    assert made.student == "a"
    assert fault in made.fault
