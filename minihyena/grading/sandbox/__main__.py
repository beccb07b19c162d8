"""The process in which a student's code runs: python -I minihyena/grading/sandbox ...

    FD [LIBRARY]    torch is loaded once; for each job that comes through this socket,
                    with the line to its judge, a copy of this process is made (Unix)
    once [LIBRARY]  one job: the first line of stdin, then the line to the judge

It knows torch and numpy. Of minihyena it knows nothing, but where jobs may use
it: LIBRARY is the folder that it lies in.
"""

import json
import linecache
import os
import random
import signal
import socket
import sys
import time
import types
from functools import partial
from typing import IO, Any

import numpy
import torch
import walls  # type: ignore[import-not-found]
import wire  # type: ignore[import-not-found]


def main() -> None:
    """Wait for jobs as the first argument says."""
    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    leaf = torch.ones(1, requires_grad=True)  # the first gradient loads half of torch
    torch.autograd.grad(torch.fft.rfft(leaf).abs(), leaf)
    torch.func.jacrev(torch.square)(torch.ones(1))
    torch.optim.AdamW([leaf])  # it writes files when it is first used
    torch.ones(1).half().add(1)  # and so on: what asks the system, asks it now
    if sys.argv[2:]:
        sys.path.append(sys.argv[2])
        __import__("minihyena.experiments")
    if sys.argv[1] == "once":
        reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        be_silent()
        work(json.loads(reader.readline()), reader, writer)
    else:
        fork_for_jobs(socket.socket(fileno=int(sys.argv[1])))


def fork_for_jobs(control: socket.socket) -> None:
    """Answer {"kill": pid} and {"job": ...} until the judge hangs up."""
    while True:
        message, numbers, _, _ = socket.recv_fds(control, 2**16, 1)
        if not message:
            return
        asked = json.loads(message)
        if "kill" in asked:
            pid = asked["kill"]
            os.kill(pid, signal.SIGKILL)  # ours until we have waited for it
            os.waitpid(pid, 0)
        else:
            pid = os.fork()
            if pid == 0:
                try:
                    control.close()
                    line = socket.socket(fileno=numbers[0])
                    be_silent()
                    work(asked["job"], line.makefile("rb"), line.makefile("wb"))
                finally:
                    os._exit(0)
            os.close(numbers[0])
        control.sendall(b"%d\n" % pid)


def be_silent() -> None:
    """Whatever is printed goes nowhere: what counts is what functions return."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)


def work(job: dict[str, Any], reader: IO[bytes], writer: IO[bytes]) -> None:
    """Put the walls up, then do what the judge asks."""
    peer = wire.Peer(reader, writer, {})
    peer.known["load"] = partial(load, peer)
    os.chdir(job["folder"])
    walls.limit(job["memory"], time.process_time() + job["seconds"])
    files = walls.close_files(job["readable"])
    kernel = walls.close_kernel()
    peer.known["walls"] = lambda: {"files": files, "kernel": kernel}
    walls.close_python(["minihyena"] if sys.argv[2:] else [], job["hidden"])
    peer.serve()


def load(peer: Any, text: str, names: list[str]) -> None:
    """Run this code as a module; its functions of these names can then be called."""
    torch.manual_seed(0)  # what draws without a generator draws the same each time
    numpy.random.seed(0)
    random.seed(0)
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    lines = text.splitlines(keepends=True)  # where inspect.getsource looks
    linecache.cache["answer.py"] = len(text), None, lines, "answer.py"
    exec(compile(text, "answer.py", "exec"), vars(module))
    peer.known |= {name: getattr(module, name) for name in names}


if __name__ == "__main__":
    main()
