"""What a student's code may not do: write, read the answers, fork, talk, or take all.

Three walls, one behind the other. Python's audit hook knows what a call means and says
so; it works on every system, but whoever can write machine code gets round it. On Linux
the kernel stands behind it: Landlock for files, seccomp for processes, signals and
sockets. Limits on memory and time are the system's own.

This file is also read by a process that must not know minihyena.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["close_files", "close_kernel", "close_python", "limit"]

SHUT = {  # what to say, and how the audit events begin that it is said to
    "the network is closed": (
        "socket.",
    ),
    "a part has one process": (
        "os.fork", "os.posix_spawn", "os.exec", "os.spawn", "os.startfile", "os.system",
        "subprocess.", "pty.", "_winapi.",
    ),
    "signals are closed": (
        "os.kill", "signal.", "fcntl.",
    ),
    "machine code is closed": (
        "ctypes.", "mmap.",
    ),
    "the walls stay where they are": (
        "gc.get",
    ),
    "files are closed": (
        "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
        "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr",
        "os.removexattr", "os.chflags", "os.listdrive", "shutil.", "tempfile.",
        "winreg.",
    ),
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def limit(memory: int, seconds: float) -> None:
    """At most so many bytes more than now, and so much time of a processor (Unix)."""
    try:
        import resource
    except ImportError:  # Windows: whoever waits for us looks at the memory
        return
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except OSError:  # macOS has no /proc, and no such limit
        pass
    whole = int(seconds) + 1
    for kind, most in (
        (resource.RLIMIT_CPU, whole),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def close_python(open_modules: Iterable[str], hidden: Iterable[str]) -> None:
    """From here on an audit hook, which nothing can take off, stops forbidden calls.

    open_modules: packages of minihyena's kind that may be imported here; hidden:
    folders whose files may not be read.
    """
    allowed = frozenset(open_modules)
    folders = tuple(os.path.realpath(folder) for folder in hidden)
    shut, writes, realpath, fsdecode = tuple(SHUT.items()), WRITES, _real, os.fsdecode

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            if isinstance(path, int):
                return
            text = isinstance(mode, str) and bool(set(mode) & set("wax+"))
            if text or (isinstance(flags, int) and flags & writes):
                raise PermissionError("files are closed: a part cannot write")
            if realpath(fsdecode(path)).startswith(folders):
                raise PermissionError("these files are closed to this part")
        elif event == "import":
            root = str(args[0]).partition(".")[0]
            if root in ("minihyena", "nbgrader") and root not in allowed:
                raise PermissionError(
                    f"{root} is closed to this part: write it yourself"
                )
        elif event == "object.__setattr__" and args[1] == "__code__":
            raise PermissionError("the walls stay where they are")
        else:
            for words, starts in shut:
                if event.startswith(starts):
                    raise PermissionError(words)

    sys.addaudithook(hook)


def _real(path: str, realpath: Any = os.path.realpath) -> str:
    return str(realpath(path))


# Linux's own walls. Numbers are those of the kernel's headers.

NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # of Landlock
READ = 1 << 0 | 1 << 2 | 1 << 3  # execute (a library), read a file, list a folder
LAST_RIGHT = {1: 12, 2: 13, 3: 14, 4: 14}  # which rights each version knows; later: 15


def close_files(readable: Iterable[str]) -> bool:
    """Landlock: nothing can be written, only these folders read; whether it stands."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = (1 << LAST_RIGHT.get(version, 15) + 1) - 1
    fields = [rights, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    asked = ctypes.create_string_buffer(struct.pack(f"<{len(fields)}Q", *fields))
    size = ctypes.c_size_t(8 * len(fields))  # files; the network; signals to others
    rules = libc.syscall(CREATE_RULESET, asked, size, 0)
    if rules < 0:
        return False
    for folder in readable:
        if not os.path.exists(folder):
            continue
        number = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        kept = READ if os.path.isdir(folder) else READ & ~(1 << 3)
        rule = ctypes.create_string_buffer(struct.pack("<Qi", kept, number), 12)
        libc.syscall(ADD_RULE, rules, 1, rule, 0)
        os.close(number)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    stands: bool = libc.syscall(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return stands


# System calls that are refused although no capability is needed for them.
CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "kill": 62,
            "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
            "pidfd_open": 434, "pidfd_send_signal": 424, "socket": 41, "socketpair": 53,
            "connect": 42, "bind": 49, "ptrace": 101, "process_vm_readv": 310,
            "process_vm_writev": 311, "setrlimit": 160, "unshare": 272,
            "io_uring_setup": 425, "memfd_create": 319, "chmod": 90, "fchmod": 91,
            "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94,
            "fchownat": 260, "utime": 132, "utimes": 235, "futimesat": 261,
            "utimensat": 280, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
            "setxattrat": 463, "removexattr": 197, "lremovexattr": 198,
            "fremovexattr": 199, "removexattrat": 466, "shmget": 29, "msgget": 68,
            "semget": 64, "mq_open": 240, "setpriority": 141, "sched_setaffinity": 203,
            "sched_setscheduler": 144, "sched_setparam": 142, "sched_setattr": 314,
            "ioprio_set": 251, "add_key": 248, "request_key": 249, "keyctl": 250,
        },
        {"clone": 56, "clone3": 435, "tgkill": 234, "prlimit64": 302, "fcntl": 72,
         "ioctl": 16},
    ),
    "aarch64": (
        0xC00000B7,
        {
            "execve": 221, "execveat": 281, "kill": 129, "tkill": 130,
            "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_open": 434,
            "pidfd_send_signal": 424, "socket": 198, "socketpair": 199, "connect": 203,
            "bind": 200, "ptrace": 117, "process_vm_readv": 270,
            "process_vm_writev": 271, "setrlimit": 164, "unshare": 97,
            "io_uring_setup": 425, "memfd_create": 279, "fchmod": 52, "fchmodat": 53,
            "fchmodat2": 452, "fchown": 55, "fchownat": 54, "utimensat": 88,
            "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "setxattrat": 463,
            "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
            "removexattrat": 466, "shmget": 194, "msgget": 186, "semget": 190,
            "mq_open": 180, "setpriority": 140, "sched_setaffinity": 122,
            "sched_setscheduler": 119, "sched_setparam": 118, "sched_setattr": 274,
            "ioprio_set": 30, "add_key": 217, "request_key": 218, "keyctl": 219,
        },
        {"clone": 220, "clone3": 435, "tgkill": 131, "prlimit64": 261, "fcntl": 25,
         "ioctl": 29},
    ),
}  # fmt: skip
CAPABILITIES = {"x86_64": 126, "aarch64": 91}  # capset: all are given back
# Ways to have somebody else sent a signal, or a file's attributes changed.
OWNERS = {"fcntl": (8, 10, 15), "ioctl": (0x8901, 0x8902, 0x40086602)}
THREAD = 0x00010000  # the flag of clone() that makes a thread, not a process
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # the latter with an errno
EPERM, ENOSYS = 1, 38
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, MACHINE, ARGUMENT = 0, 4, 16  # places in what the filter is shown


def close_kernel() -> bool:
    """seccomp: one process, no sockets, no signals to others; whether it stands."""
    if sys.platform != "linux" or platform.machine() not in CALLS:
        return False
    machine, refused, special = CALLS[platform.machine()]
    thread, own = special["clone"], special["tgkill"]
    program = [
        _step(LOAD, MACHINE),
        _step(EQUAL, machine, 1, 0),
        _step(RETURN, REFUSE | EPERM),  # another machine's calls have other numbers
        _step(LOAD, NUMBER),
    ]
    if machine == CALLS["x86_64"][0]:  # nor those of its 32-bit cousin
        program += [_step(0x35, 0x40000000, 0, 1), _step(RETURN, REFUSE | EPERM)]
    for number in refused.values():
        program += [_step(EQUAL, number, 0, 1), _step(RETURN, REFUSE | EPERM)]
    # clone3 hides its flags from us: without it, libraries take clone
    program += [_step(EQUAL, special["clone3"], 0, 1), _step(RETURN, REFUSE | ENOSYS)]
    for name, orders in OWNERS.items():
        program += [
            _step(EQUAL, special[name], 0, 2 * len(orders) + 2),
            _step(LOAD, ARGUMENT + 8),
        ]
        for order in orders:
            program += [_step(EQUAL, order, 0, 1), _step(RETURN, REFUSE | EPERM)]
        program += [_step(LOAD, NUMBER)]
    program += [
        _step(EQUAL, thread, 0, 3),
        _step(LOAD, ARGUMENT),
        _step(ANY_BIT, THREAD, 1, 0),
        _step(RETURN, REFUSE | EPERM),
        _step(LOAD, NUMBER),
        _step(EQUAL, own, 0, 3),  # abort() signals itself
        _step(LOAD, ARGUMENT),
        _step(EQUAL, os.getpid(), 1, 0),
        _step(RETURN, REFUSE | EPERM),
        _step(LOAD, NUMBER),
        _step(EQUAL, special["prlimit64"], 0, 3),  # asking is allowed, setting is not
        _step(LOAD, ARGUMENT + 16),
        _step(EQUAL, 0, 1, 0),
        _step(RETURN, REFUSE | EPERM),
        _step(RETURN, ALLOW),
    ]
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0), 8)
    libc.syscall(CAPABILITIES[platform.machine()], head, bytes(24))
    code = ctypes.create_string_buffer(b"".join(program))
    filter = _Filter(len(program), ctypes.addressof(code))
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    stands: bool = libc.prctl(SECCOMP, FILTER, ctypes.byref(filter), 0, 0) == 0
    return stands


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_void_p))


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", code, then, otherwise, value)
