"""What an assignment is: parts, each worth points by property, and written parts.

    a1 = assignment("A1")
    a1.check("routes", conv_direct, conv_matrix, conv_fft)  # in the notebook

A property's check is a plain function: it returns None or raises NotAttempted or
Incorrect, as those of `lessons` do. It sees only what the functions return, so it is
the same in a notebook and in a box.
"""

import hashlib
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from minihyena.errors import choose
from minihyena.grading.sandbox.wire import Function, Lost
from minihyena.grading.submission import refused
from minihyena.lessons.exercise import Borrowed, Incorrect, NotAttempted

__all__ = [
    "CONVOLUTIONS",
    "PUBLIC",
    "Assignment",
    "Functions",
    "Parameters",
    "Part",
    "Property",
    "Verdict",
    "Written",
    "parameters_from",
    "seeded",
]

PUBLIC = "public"  # the seed of the notebooks; whoever grades has another
# Names of ready-made convolutions, for parts in which one is to be written.
CONVOLUTIONS = (
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_tbc"),
    *("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "convolution", "convolve"),
    *("fftconvolve", "oaconvolve", "lfilter", "polymul", "correlate"),
)
Functions = Mapping[str, Function]
Parameters = Mapping[str, Any]


class Check(Protocol):
    """Raises NotAttempted or Incorrect, or returns None; draws only from generator.

    It gets the student's functions by name and the part's parameters.
    """

    def __call__(
        self, fns: Functions, parameters: Parameters, generator: torch.Generator, /
    ) -> None: ...


@dataclass(frozen=True)
class Property:
    """One thing a part can have right, in words, and what that is worth."""

    points: int
    says: str
    check: Check


@dataclass(frozen=True)
class Verdict:
    """What came of one property: no message means that it holds."""

    on: Property
    message: str = ""
    attempted: bool = True

    @property
    def points(self) -> int:
        return 0 if self.message else self.on.points


@dataclass(frozen=True)
class Part:
    """Some functions to write, and their properties.

    library: whether they may use minihyena; forbidden: names that would be the answer;
    seconds: of a processor, for all properties together, in a box.
    """

    name: str
    title: str
    functions: tuple[str, ...]
    properties: tuple[Property, ...]
    library: bool = False
    forbidden: tuple[str, ...] = ()
    seconds: float = 10.0

    @property
    def points(self) -> int:
        return sum(p.points for p in self.properties)

    def judge(self, fns: Functions, parameters: Parameters, seed: str) -> list[Verdict]:
        """A verdict for each property; the cases are drawn from the seed."""
        return [self._verdict(p, fns, parameters, seed) for p in self.properties]

    def _verdict(
        self, one: Property, fns: Functions, parameters: Parameters, seed: str
    ) -> Verdict:
        try:
            one.check(fns, parameters, seeded(seed, self.name, one.says))
        except NotAttempted as error:
            return Verdict(one, f"not attempted: {error}", attempted=False)
        except Incorrect as error:
            return Verdict(one, str(error) or "wrong")
        except Lost as error:
            return Verdict(one, f"your code ended before it answered: {error}")
        except Exception as error:  # an answer so odd that the check itself fell over
            reason = f"{type(error).__name__}: {error}"
            return Verdict(one, f"the check itself stopped on this answer ({reason})")
        return Verdict(one)


@dataclass(frozen=True)
class Written:
    """A part that a person reads: a question, answered in the cell of this name."""

    name: str
    title: str
    points: int


@dataclass(frozen=True)
class Assignment:
    """An assignment: "A1", its parts, its written parts, and its parameters by part."""

    id: str
    title: str
    parts: tuple[Part, ...]
    written: tuple[Written, ...]
    parameters: Mapping[str, Parameters] = field(default_factory=dict)

    @property
    def counted(self) -> int:
        """The points that the grader gives; the others are a reader's."""
        return sum(part.points for part in self.parts)

    @property
    def points(self) -> int:
        return self.counted + sum(part.points for part in self.written)

    @cached_property
    def by_name(self) -> dict[str, Part]:
        return {part.name: part for part in self.parts}

    def part(self, name: str) -> Part:
        """The part of this name; ValueError with the known ones if there is none."""
        return self.by_name[choose(f"part of {self.id}", name, self.by_name)]

    def cell(self, part: Part) -> str:
        """The notebook's cell that checks this part, word for word."""
        functions = ", ".join(part.functions)
        return f'{self.id.lower()}.check("{part.name}", {functions})'

    def judge(self, part: Part, fns: Functions, seed: str) -> list[Verdict]:
        """A verdict for each property of this part."""
        return part.judge(fns, self.parameters.get(part.name, {}), f"{seed} {self.id}")

    def check(self, name: str, *functions: object) -> None:
        """Print what holds of these functions and what it is worth; never raises.

        The cases are those of the public seed; grading draws others.
        """
        part = self.part(name)
        fault = _fault(part, functions)
        if fault:
            print(f"✗ {part.title}: 0 of {part.points} points: {fault}")
            return
        fns: Any = dict(zip(part.functions, functions, strict=True))
        begun = time.process_time()
        print(report(part, self.judge(part, fns, PUBLIC)))
        took = time.process_time() - begun
        if took > part.seconds / 2:
            limit = f"a grader stops this part after {part.seconds:g} s"
            print(f"  This took {took:.0f} s of computing here; {limit}.")

    def holds(self, name: str, number: int, *functions: object) -> bool:
        """Whether property `number` of a part holds: for graders that ask singly."""
        part = self.part(name)
        if _fault(part, functions):
            return False
        fns: Any = dict(zip(part.functions, functions, strict=True))
        return not self.judge(part, fns, PUBLIC)[number].message

    def with_parameters(self, changed: Mapping[str, Parameters]) -> "Assignment":
        """The same with other values.

        Raises ValueError for a part or name there is not, and values of other types.
        """
        merged = {name: dict(values) for name, values in self.parameters.items()}
        for name, values in _table(changed, self.id).items():
            part = choose(f"part of {self.id} with parameters", name, merged)
            for key, value in _table(values, f"{self.id}.{part}").items():
                known = merged[part]
                old = known[choose(f"parameter of {self.id}.{part}", key, known)]
                if _type(value) != _type(old):
                    raise ValueError(
                        f"{self.id}.{part}.{key} is {old!r} by default; {value!r} is "
                        f"of type {_type(value)}, not {_type(old)}"
                    )
                known[key] = value
        return replace(self, parameters=merged)


def _table(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is a table, [{name}]; got {value!r:.80}")
    return value


def _type(value: Any) -> str:
    """ "int", "list of int"; an empty list is of nothing."""
    inner = {_type(one) for one in value} if isinstance(value, list) else set()
    return type(value).__name__ + f" of {' and '.join(sorted(inner))}" * bool(inner)


def report(part: Part, verdicts: Sequence[Verdict]) -> str:
    """All that a student is told about one part."""
    made = sum(verdict.points for verdict in verdicts)
    if not any(verdict.attempted for verdict in verdicts):
        return f"○ {part.title}: not attempted, 0 of {part.points} points."
    mark = "✓" if made == part.points else "✗"
    lines = [f"{mark} {part.title}: {made} of {part.points} points."]
    for verdict in verdicts:
        mark = "✗" if verdict.message else "✓"
        points = f"{verdict.points:2} of {verdict.on.points:2}"
        lines.append(f"  {mark} {points}  {verdict.on.says}")
        lines += [f"             {line}" for line in verdict.message.splitlines()]
    return "\n".join(lines)


def seeded(*words: str) -> torch.Generator:
    """A generator for these words: the same on every machine."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def parameters_from(path: Path) -> dict[str, Any]:
    """A small TOML file: a table for each part.

    Raises OSError, and ValueError for what is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from None


def _fault(part: Part, functions: Sequence[object]) -> str:
    """Why these are not the functions of this part, or ""."""
    wanted = ", ".join(part.functions)
    if len(functions) != len(part.functions):
        return f"the check wants {wanted}; got {len(functions)}"
    for name, fn in zip(part.functions, functions, strict=True):
        if isinstance(fn, Borrowed) or not callable(fn):
            return f"{name} is no function of yours: pass it without parentheses"
        module = getattr(fn, "__module__", "") or ""
        if module.partition(".")[0] == "minihyena" and not part.library:
            return f"{name} is the library's own; this part wants yours"
        found = refused(fn, part.library, part.forbidden)
        if found:
            return f"{name}: {found}"
    return ""
