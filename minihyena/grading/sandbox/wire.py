"""Two processes that call each other's functions and trust each other with nothing.

    peer = Peer(reader, writer, {"add": add})
    peer.call("mean", torch.ones(3))  # the other side's function of that name

A message is its length, a JSON text, and the bytes of its tensors: nothing in it can be
run by reading it. A function travels as a name to call back, so that a student's code
can use an operator without seeing what it is made of.

This file is also read by a process that must not know minihyena: torch and numpy only.
"""

import builtins
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Lost", "Peer", "gradients", "parameters"]

STRANGE = UnicodeError, StopIteration, StopAsyncIteration, BaseExceptionGroup
LARGEST = 64 * 2**20  # bytes of a message
DEEPEST = 20  # lists in lists
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and not str(dtype).startswith("torch.q")
}
LONGEST = 10**5  # of a range
ITEMS = 10**5  # in all lists of a message
HASHED = 2000  # in a set or dict: numbers with one hash take the square of that
CONTAINERS: dict[str, type] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "list": list,
}

Function = Callable[..., Any]


class Lost(BaseException):
    """The other side is gone, or says what cannot be read: nothing more will come.

    No Exception: whoever turns what a function raises into a verdict lets it pass.
    """


def gradients(fn: Function, cotangent: Tensor, *args: Tensor) -> list[Tensor]:
    """The gradients of sum(cotangent * fn(*args)) with respect to each argument.

    Worked out where the function is. Raises ValueError if there is no way back.
    """
    if isinstance(fn, Remote):
        there: list[Tensor] = fn.peer.call(f"gradients {fn.name}", cotangent, *args)
        return there
    leaves = [arg.detach().clone().requires_grad_() for arg in args]
    y = fn(*leaves)
    if not isinstance(y, Tensor) or y.shape != cotangent.shape or not y.requires_grad:
        raise ValueError(
            "the output does not depend on the input by differentiable steps"
        )
    found = torch.autograd.grad(y, leaves, cotangent, allow_unused=True)
    return [
        torch.zeros_like(leaf) if grad is None else grad
        for leaf, grad in zip(leaves, found, strict=True)
    ]


def parameters(model: Any) -> int:
    """How many numbers a module trains, counted where it is."""
    if isinstance(model, Remote):
        return int(model.peer.call(f"parameters {model.name}"))
    return sum(one.numel() for one in model.parameters() if one.requires_grad)


class Peer:
    """One end of the line. `known` are the functions the other side may call.

    most: how many numbers the other side may hand to one of them; largest: bytes of a
    message from there.
    """

    def __init__(
        self,
        reader: IO[bytes],
        writer: IO[bytes],
        known: Mapping[str, Function],
        most: float = math.inf,
        largest: int = LARGEST,
    ) -> None:
        self.reader, self.writer = reader, writer
        self.most, self.largest, self.items = most, largest, 0
        self.known = dict(known)

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """What the other side's function gives; what it changed in place is changed.

        Raises what it raised, by name and first words, and Lost if it is gone.
        """
        self._send({"call": name}, [list(args), options])
        while True:
            head, value = self._receive()
            if "call" in head:
                self._answer(head, value)
            elif "raised" in head:
                raise _error(*head["raised"])
            elif "returned" in head:
                return self._settle(value, [*_leaves([args, options])])
            else:
                raise Lost("the other side sent neither an answer nor a question")

    def serve(self) -> None:
        """Answer calls until the other side hangs up."""
        while True:
            try:
                head, value = self._receive()
            except Lost:
                return
            self._answer(head, value)

    def remote(self, name: str, kind: str = "function") -> Function:
        """The other side's function as one of ours, of a type that is called so."""
        made: Function = type(str(kind)[:80], (Remote,), {})(self, name)
        return made

    def _answer(self, head: dict[str, Any], value: Any) -> None:
        try:
            args, options = value
            fn = self._known(head["call"])
        except (KeyError, TypeError, ValueError):
            raise Lost("the other side called what is not there") from None
        if _size(value) > self.most:
            error = ValueError(f"at most {self.most:,.0f} numbers may be handed over")
            return self._send({"raised": _words(error)}, None)
        leaves = [*_leaves(value)]
        before = [_copy(leaf) for leaf in leaves]
        try:
            made = fn(*args, **options)
        except Lost:
            raise
        except (Exception, SystemExit) as error:
            return self._send({"raised": _words(error)}, None)
        pairs = enumerate(zip(leaves, before, strict=True))
        changed = {str(i): leaf for i, (leaf, old) in pairs if _differs(leaf, old)}
        try:
            self._send({"returned": True}, [made, changed])
        except (TypeError, RuntimeError) as error:  # it cannot be put on the line
            self._send({"raised": _words(error)}, None)

    def _known(self, name: str) -> Function:
        service, _, of = name.partition(" ")
        if service in SERVICES and of:
            return partial(SERVICES[service], self.known[of])
        return self.known[name]

    @staticmethod
    def _settle(value: Any, mine: list[Any]) -> Any:
        """Write what changed over there into our own arguments."""
        try:
            made, changed = value
            for place, new in changed.items():
                old = mine[int(place)]
                if isinstance(old, Tensor):
                    old.set_(new) if old.shape != new.shape else old.copy_(new)
                else:
                    old.set_state(new.get_state())
        except Exception as error:
            raise Lost("the other side's answer cannot be read") from error
        return made

    # What a value is on the line.

    def _send(self, head: dict[str, Any], value: Any) -> None:
        blobs: list[bytes] = []
        text = json.dumps({**head, "value": self._pack(value, blobs, 0)}).encode()
        body = b"".join(blobs)
        if len(text) + len(body) > LARGEST:
            head = {
                "raised": _words(ValueError(f"an answer of over {LARGEST:,} bytes"))
            }
            text, body = json.dumps({**head, "value": None}).encode(), b""
        try:
            self.writer.write(struct.pack("<QQ", len(text), len(body)) + text + body)
            self.writer.flush()
        except (OSError, ValueError) as error:
            raise Lost("the process is gone") from error

    def _receive(self) -> tuple[dict[str, Any], Any]:
        try:
            size, more = struct.unpack("<QQ", self._read(16))
            if size + more > self.largest:
                raise Lost(f"the other side sent {size + more:,} bytes at once")
            self.items = 0
            head = json.loads(self._read(size))
            return head, self._unpack(head.pop("value"), self._read(more))
        except Lost:
            raise
        except Exception as error:
            raise Lost("what the other side sent cannot be read") from error

    def _read(self, size: int) -> bytes:
        try:
            data = self.reader.read(size)
        except (OSError, ValueError) as error:
            raise Lost("the process is gone") from error
        if data is None or len(data) < size:
            raise Lost("the process is gone")
        return data

    def _pack(self, value: Any, blobs: list[bytes], depth: int) -> Any:
        if depth > DEEPEST:
            return {"other": [type(value).__name__, "too deep"]}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if value is Ellipsis:
            return {"dots": None}
        if type(value) is complex:
            return {"complex": [value.real, value.imag]}
        if type(value) is range and len(value) <= LONGEST:
            return {"range": [value.start, value.stop, value.step]}
        if type(value) is dict:
            value, kind = [list(pair) for pair in value.items()], "dict"
            return {kind: [self._pack(item, blobs, depth + 1) for item in value]}
        if isinstance(value, tuple | list | set | frozenset):
            kind = next(
                name for name in CONTAINERS if isinstance(value, CONTAINERS[name])
            )
            return {kind: [self._pack(item, blobs, depth + 1) for item in value]}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, torch.Generator):
            return {"generator": _bytes(value.get_state(), blobs)}
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
            as_tensor = torch.from_numpy(np.ascontiguousarray(value))
            return {"array": [_bytes(as_tensor, blobs), list(value.shape)]}
        if isinstance(value, Tensor) and value.layout is torch.strided:
            return {"tensor": _bytes(value, blobs)}
        if callable(value):
            if isinstance(value, Remote) and value.peer is self:
                return {"yours": value.name}
            name = f"f{id(value)}"
            self.known[name] = value
            return {"function": [name, type(value).__name__]}
        return {"other": [type(value).__name__, f"{value!r:.80}"]}

    def _unpack(self, value: Any, body: bytes) -> Any:
        if isinstance(value, bool | int | float | str) or value is None:
            return value
        [(kind, inner)] = value.items()
        if kind in CONTAINERS or kind == "dict":
            self.items += len(inner)
            hashed = kind in ("set", "frozenset", "dict") and len(inner) > HASHED
            if self.items > ITEMS or hashed:
                raise Lost("the other side sent too many things at once")
        if kind in CONTAINERS:
            return CONTAINERS[kind]([self._unpack(item, body) for item in inner])
        if kind == "dict":
            pairs = [self._unpack(item, body) for item in inner]
            return dict(pairs)
        if kind == "generator":
            generator = torch.Generator()
            generator.set_state(_tensor(inner, body))
            return generator
        if kind == "array":
            return _tensor(inner[0], body).numpy().reshape(inner[1])[()]
        if kind == "other":
            return _other(*inner)
        makers: dict[str, Function] = {
            "dots": lambda inner: ...,
            "complex": lambda inner: complex(*inner),
            "range": lambda inner: range(*inner)[:LONGEST],
            "dtype": DTYPES.__getitem__,
            "tensor": lambda inner: _tensor(inner, body),
            "function": lambda inner: self.remote(*inner),
            "yours": self.known.__getitem__,
        }
        return makers[kind](inner)


class Remote:
    """A function of the other side."""

    def __init__(self, peer: Peer, name: str) -> None:
        self.peer, self.name = peer, name

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.peer.call(self.name, *args, **options)

    def __deepcopy__(self, memo: Any) -> "Remote":
        return self


SERVICES: dict[str, Function] = {"gradients": gradients, "parameters": parameters}


def _bytes(x: Tensor, blobs: list[bytes]) -> list[Any]:
    """Where among the blobs it will lie, of which type and shape."""
    x = x.detach().cpu().resolve_conj().resolve_neg()
    x = x.clone(memory_format=torch.contiguous_format)  # whatever its strides are
    start = sum(map(len, blobs))
    flat = x.reshape(-1)
    blobs.append(flat.view(torch.uint8).numpy().tobytes() if x.numel() else b"")
    return [str(x.dtype).removeprefix("torch."), list(x.shape), start]


def _tensor(where: list[Any], body: bytes) -> Tensor:
    name, shape, start = where
    dtype, count = DTYPES[name], math.prod(shape)
    if min([0, start, *shape]) < 0 or start + count * dtype.itemsize > len(body):
        raise ValueError("a tensor without its numbers")
    if not count:
        return torch.empty(shape, dtype=dtype)
    raw = bytearray(body[start : start + count * dtype.itemsize])
    return torch.frombuffer(raw, dtype=dtype).reshape(shape)


def _leaves(value: Any) -> Iterator[Any]:
    """The tensors and generators in it, in an order that both sides agree on."""
    if isinstance(value, Tensor | torch.Generator):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from _leaves([*value.values()])


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else None


def _differs(value: Any, old: Any) -> bool:
    if isinstance(value, torch.Generator):
        return True
    if old is None:
        return False
    return value.shape != old.shape or not torch.equal(value.detach(), old)


def _size(value: Any) -> int:
    if isinstance(value, Tensor | np.ndarray):
        return int(np.prod(value.shape))
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    if isinstance(value, list | tuple | set):
        return sum(map(_size, value))
    return len(value) if isinstance(value, range | str) else 1


def _words(error: BaseException) -> list[str]:
    lines = str(error).splitlines()
    return [type(error).__name__, lines[0][:300] if lines else ""]


def _error(name: str, text: str) -> Exception:
    """An exception that is called so; of Python's own if there is one."""
    own: Any = getattr(builtins, str(name), None)
    plain = isinstance(own, type) and issubclass(own, Exception)
    if not plain or issubclass(own, STRANGE):
        own = type(_plain(name)[:80], (Exception,), {})
    error: Exception = own(_plain(text)) if text else own()
    return error


def _other(name: str, text: str) -> Any:
    """What cannot travel: an object of a type of that name, which shows itself so."""
    return type(_plain(name)[:80], (), {"__repr__": lambda self: _plain(text)[:80]})()


def _plain(text: Any) -> str:
    """What can be printed and written everywhere."""
    return str(text)[:300].encode("utf-8", "backslashreplace").decode()
