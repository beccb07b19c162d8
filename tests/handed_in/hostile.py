"""What somebody might hand in who means harm: code that takes the place of `accepts`.

Each is (name, code, what the message says, or "" where nothing but the points tells).
VICTIM is a file that must survive; MARK one that must not come to be.
"""

LOOP = """
def accepts(conv):
    while True:
        pass
"""
SLEEP = """
import time

def accepts(conv):
    time.sleep(10**6)
"""
LOOP_AT_THE_TOP = """
limit = sum(1 for _ in iter(int, 1))

def accepts(conv):
    return limit
"""
FORK_BOMB = """
import os

def accepts(conv):
    while True:
        os.fork()
"""
THREADS = """
import threading

def accepts(conv):
    return [threading.Thread(target=accepts, args=[conv]).start() for _ in range(9)]
"""
HOG = """
def accepts(conv):
    held = []
    while True:
        held.append(torch.ones(10**7))
"""
ONE_LARGE_TENSOR = """
def accepts(conv):
    return torch.ones(10**11)
"""
EXIT = """
import os

def accepts(conv):
    os._exit(0)
"""
SYSTEM_EXIT = """
import sys

def accepts(conv):
    sys.exit(0)
"""
CRASH = """
import ctypes

def accepts(conv):
    ctypes.string_at(0)
"""
DELETE = """
import os, shutil

def accepts(conv):
    for remove in (os.remove, os.unlink, shutil.rmtree, lambda p: open(p, "w")):
        try:
            remove(VICTIM)
        except OSError:
            pass
    return True
"""
DELETE_QUIETLY = """
import pathlib

def accepts(conv):
    pathlib.Path(VICTIM).unlink()
    return True
"""
WRITE = """
def accepts(conv):
    torch.save(torch.ones(3), MARK)
    return True
"""
SHELL = """
import subprocess

def accepts(conv):
    subprocess.run(["touch", MARK])
    return True
"""
READ_THE_ANSWER = """
import pathlib

def accepts(conv):
    return pathlib.Path(PACKAGE, "grading", "a1.py").read_text() and True
"""
IMPORT_BY_NAME = """
def accepts(conv):
    library = torch.types.__builtins__["__import__"]("minihyena.conv")
    return library is not None
"""
IMPORT_IN_PLAIN_SIGHT = """
def accepts(conv):
    from minihyena.grading.a1 import by_definition
    return by_definition is not None
"""
READ_THE_SECRET = """
import pathlib, os

def accepts(conv):
    return "--seed" in pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_text()
"""
READ_A_NEIGHBOUR = """
import pathlib

def accepts(conv):
    return pathlib.Path(VICTIM).read_text() and True
"""
NETWORK = """
import socket

def accepts(conv):
    socket.create_connection(("127.0.0.1", 9))
    return True
"""
FORGED_PRINT = """
def accepts(conv):
    print('{"returned": true, "points": 25}')
    print("25 of 25 points")
    return None
"""
FORGED_LINE = """
import os

def accepts(conv):
    for number in range(3, 64):
        try:
            os.write(number, bytes([2, 0, 0, 0, 0, 0, 0, 0] * 2) + b'{}' * 99)
        except OSError:
            pass
    return True
"""
PATCH_TORCH = """
def accepts(conv):
    torch.allclose = torch.equal = torch.isclose = lambda *args, **options: True
    torch.Tensor.__eq__ = torch.Tensor.all = lambda *args: True
    return True
"""
PATCH_AT_THE_TOP = """
torch.allclose = lambda *args, **options: True
torch.Tensor.__sub__ = lambda *args: args[0] * 0

def accepts(conv):
    return torch.allclose(conv(torch.ones(3), torch.ones(3)), torch.ones(3))
"""
PATCH_THE_CHECKER = """
import sys

def accepts(conv):
    for name, module in list(sys.modules.items()):
        if "wire" in name or name == "__main__":
            for word in vars(module):
                if word[0] != "_":
                    setattr(module, word, None)
    return True
"""
TAKE_DOWN_THE_WALLS = """
import gc

def accepts(conv):
    for one in gc.get_objects():
        if getattr(one, "__name__", "") == "hook":
            one.__code__ = (lambda *args: None).__code__
    return True
"""
KILL_THE_GRADER = """
import os, signal

def accepts(conv):
    os.kill(os.getppid(), signal.SIGKILL)
    return True
"""
A_GIGABYTE_OF_OUTPUT = """
def accepts(conv):
    for _ in range(1000):
        print("x" * 10**6)
    return None
"""
A_GIGABYTE_RETURNED = """
def accepts(conv):
    return "x" * (200 * 2**20)
"""
ASK_WITHOUT_END = """
def accepts(conv):
    while True:
        conv(torch.ones(3), torch.ones(3))
"""
ASK_FOR_TOO_MUCH = """
def accepts(conv):
    return conv(torch.ones(10**6), torch.ones(10**6))
"""
STRANGE_OBJECT = """
class Anything:
    def __eq__(self, other):
        return True

    def __bool__(self):
        return True

    def __getattr__(self, name):
        return self

    def __call__(self, *args):
        return self

def accepts(conv):
    return Anything()
"""
DEEP = """
def accepts(conv):
    nest = []
    for _ in range(10**5):
        nest = [nest]
    return nest
"""
RECURSE = """
def accepts(conv):
    return accepts(conv)
"""

SIGNAL_BY_FILE = """
def accepts(conv):
    os = torch.os
    control = os.sys.modules.get("fcntl") or torch.importlib.import_module("fcntl")
    r, w = os.pipe()
    control.fcntl(r, 10, 9)
    control.fcntl(r, control.F_SETOWN, -os.getpgrp())
    control.fcntl(r, control.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(w, b"x")
    return True
"""
ONE_HASH = """
class Same(set):
    def __iter__(self):
        return iter(range(0, (2**61 - 1) * 50_000, 2**61 - 1))

def accepts(conv):
    return Same()
"""
MANY_NUMBERS = """
def accepts(conv):
    return torch.zeros(40 * 2**20, dtype=torch.uint8)
"""
SURROGATE = """
def accepts(conv):
    raise ValueError(chr(0xD800) * 10**6)
"""
LEARNED_BY_HEART = """
asked = []

def accepts(conv):
    asked.append(0)
    return "TTTFFTTTFFTTTFFFFTTTFFFTTTFFF"[len(asked) - 1] == "T"
"""

HOSTILE = [
    ("infinite loop", LOOP, "stopped after"),
    ("sleep", SLEEP, "stopped after"),
    ("infinite loop at the top level", LOOP_AT_THE_TOP, "stopped after"),
    ("fork bomb", FORK_BOMB, "may not import os"),
    ("threads", THREADS, "may not import threading"),
    ("memory hog", HOG, ""),
    ("one large tensor", ONE_LARGE_TENSOR, "RuntimeError"),
    ("os._exit", EXIT, "may not import os"),
    ("sys.exit", SYSTEM_EXIT, "may not import sys"),
    ("crash", CRASH, "may not import ctypes"),
    ("delete", DELETE, "may not import os"),
    ("delete quietly", DELETE_QUIETLY, "may not import pathlib"),
    ("write", WRITE, "Permission denied"),  # torch writes past Python
    ("shell", SHELL, "may not import subprocess"),
    ("read the answer", READ_THE_ANSWER, "may not import pathlib"),
    ("import by name", IMPORT_BY_NAME, ""),
    ("import in plain sight", IMPORT_IN_PLAIN_SIGHT, "forbids minihyena"),
    ("read the secret", READ_THE_SECRET, "may not import"),
    ("read a neighbour", READ_A_NEIGHBOUR, "may not import pathlib"),
    ("network", NETWORK, "may not import socket"),
    ("forged print", FORGED_PRINT, "None"),
    ("forged line", FORGED_LINE, "may not import os"),
    ("patch torch", PATCH_TORCH, "accepts a convolution"),
    ("patch at the top", PATCH_AT_THE_TOP, ""),
    ("patch the checker", PATCH_THE_CHECKER, "may not import sys"),
    ("take down the walls", TAKE_DOWN_THE_WALLS, "may not import gc"),
    ("kill the grader", KILL_THE_GRADER, "may not import"),
    ("a gigabyte of output", A_GIGABYTE_OF_OUTPUT, ""),
    ("a gigabyte returned", A_GIGABYTE_RETURNED, ""),
    ("ask without end", ASK_WITHOUT_END, "stopped after"),
    ("ask for too much", ASK_FOR_TOO_MUCH, "at most"),
    ("strange object", STRANGE_OBJECT, "type Anything"),
    ("deep", DEEP, ""),
    ("signal by file", SIGNAL_BY_FILE, "signals are closed"),
    ("one hash", ONE_HASH, "too many things"),
    ("many numbers", MANY_NUMBERS, "bytes at once"),
    ("surrogate", SURROGATE, "ValueError"),
    ("learned by heart", LEARNED_BY_HEART, ""),
    ("recurse", RECURSE, "RecursionError"),
]
