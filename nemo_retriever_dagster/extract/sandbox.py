"""What a parser process gives up before it reads a byte it was not given by us: memory, core dumps, the network.

Linux can take all of it away. Other systems (macOS) have no seccomp and ignore limits of address space; there a parser
gives up core dumps only, and `nrd doctor` says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import io
import os
import platform
import resource
import signal
import struct
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

LINUX = sys.platform == "linux"
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_FILTER = 22, 38, 2
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit architecture, number of socket()
_IO_URING_SETUP = 425
_FIRST_X32_CALL = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES


class _Voice(io.RawIOBase):
    """Standard error that never fails: what the bounded file behind it refuses is dropped."""

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        with contextlib.suppress(OSError):
            os.write(2, data)
        return memoryview(data).nbytes


def quieten() -> None:
    """Let a parser print and log as much as it likes: it must not fail by that."""
    sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(_Voice()), "utf-8", "replace", line_buffering=True)


def limit_memory(size: int) -> None:
    """Let the address space grow to ``size`` bytes at most, on Linux; a larger demand is a `MemoryError`."""
    if not LINUX:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def forbid_core_dumps() -> None:
    """Leave no core file after a crash: it would hold the document's content."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_with(lifeline: int) -> None:
    """End this process group as soon as the other end of the socket ``lifeline`` is closed.

    On Linux even in native code: the kernel raises SIGIO, whose default action is to terminate. PR_SET_PDEATHSIG would
    not do: it fires when the *thread* that started the process ends. Elsewhere SIGIO is ignored, and a thread waits,
    which cannot run while native code holds the interpreter.
    """
    if not LINUX:
        threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def forbid_network() -> bool:
    """Refuse every socket but AF_UNIX to this process and its children; False where the kernel cannot do it."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or not LINUX:
        return False
    program = _socket_filter(*machine)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HL", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, header, 0, 0) == 0)


def _socket_filter(architecture: int, socket_call: int) -> bytes:
    """Return the seccomp program: ``(code, jump if true, jump if false, operand)`` a line."""
    lines = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 0, 7, architecture),
        (_LOAD, 0, 0, 0),  # the call's number
        (_AT_LEAST, 5, 0, _FIRST_X32_CALL),
        (_EQUAL, 4, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 2, socket_call),
        (_LOAD, 0, 0, 16),  # its first argument, the address family
        (_EQUAL, 0, 1, 1),  # AF_UNIX
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
