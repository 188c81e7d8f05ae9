"""One disposable parser process, seen from its owner: start it, give it documents one after another, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from nemo_retriever_dagster.errors import ParserCrashError, ParserTimeoutError
from nemo_retriever_dagster.extract import wire
from nemo_retriever_dagster.extract.contract import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nemo_retriever_dagster.extract.worker_main import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONHOME")
_FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONUTF8": "1"}
"""Thread pools and arenas reserve address space by the core, and address space is limited."""
_DIAGNOSTICS_BYTES = 1 << 16  # as much as a pipe holds, at most
_EXIT_SECONDS = 1.0
_START_SECONDS = 60.0  # to boot, on however busy a machine: none of the document's time


class DiedIdleError(Exception):
    """The process was dead before it took the job: not the document's fault."""


@dataclass(slots=True, eq=False)
class ParserProcess:
    """A fresh interpreter that runs `worker_main`, and this side of its sockets.

    ``sound`` is False while a document is being read and stays so when the process must not take another.
    """

    process: subprocess.Popen[bytes]
    work: socket.socket
    lifeline: socket.socket
    diagnostics: int
    documents: int = 0
    sound: bool = True
    confined: bool = False
    ending: threading.Lock = field(default_factory=threading.Lock)
    incoming: wire.Incoming = field(init=False)

    def __post_init__(self) -> None:
        """Read from the socket ``work``."""
        self.incoming = wire.Incoming(self.work)

    @classmethod
    def start(cls) -> Self:
        """Start a process; it boots while this side goes on."""
        work, its_work = socket.socketpair()
        lifeline, its_lifeline = socket.socketpair()
        diagnostics, its_diagnostics = _bounded_pipe()
        inherited = (its_work.fileno(), its_lifeline.fileno())
        with its_work, its_lifeline, its_diagnostics:
            process = subprocess.Popen(  # noqa: S603 -- our own interpreter, our own code
                [sys.executable, "-P", "-c", _BOOT, json.dumps(_import_folders()), *map(str, inherited)],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=its_diagnostics,
                pass_fds=inherited,
                start_new_session=True,
            )
        return cls(process, work, lifeline, diagnostics)

    @property
    def alive(self) -> bool:
        """Whether the process still runs; one that does not is left unreaped, for `kill` to end its group."""
        return self.process.returncode is None and not _is_let_go(self.lifeline)

    def offer(self, job: wire.Job) -> None:
        """Hand over a document; raise `DiedIdleError` when the process does not take it."""
        self.documents += 1
        self.sound = False
        self.last_words()  # those of the document before
        patience = wire.Patience(idle=_START_SECONDS, total=_START_SECONDS)
        try:
            self.work.settimeout(_START_SECONDS)
            wire.send(self.work, job)
            message = self.incoming.receive(patience, at_most=_DIAGNOSTICS_BYTES)
        except (EOFError, OSError, wire.ProtocolError) as error:
            raise DiedIdleError(self.last_words() or repr(error)) from error
        self.confined = isinstance(message, wire.Accepted) and message.confined

    def pages(self, job: wire.Job, patience: wire.Patience) -> Iterator[Page]:
        """Yield the pages of the document that was offered; raise what its parser raised."""
        while isinstance(message := self._next(job, patience), Page):
            yield message
        if not isinstance(message, wire.Finished):
            raise ParserCrashError(f"The {job.options.format} parser broke its protocol.")
        self.sound = message.reusable
        if message.error:
            raise message.error

    def _next(self, job: wire.Job, patience: wire.Patience) -> object:
        parser = f"The {job.options.format} parser"
        try:
            return self.incoming.receive(patience, at_most=job.limits.worker_bytes)
        except TimeoutError:
            spent = "idle_seconds" if patience.total > 0 else "total_seconds"
            allowed = getattr(job.limits, spent)
            raise ParserTimeoutError(f"{parser} was killed after {allowed:g} seconds ({spent}).") from None
        except (EOFError, OSError) as error:
            how = self._ending()
            raise ParserCrashError(f"{parser} died: {how}.") from RuntimeError(self.last_words() or repr(error))
        except wire.ProtocolError as error:
            raise ParserCrashError(f"{parser} broke its protocol: {error}") from error

    def last_words(self) -> str:
        """Return, once, what the process wrote to its standard error while it had this document."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.diagnostics, _DIAGNOSTICS_BYTES).decode("utf-8", "replace").strip()
        return ""

    def _ending(self) -> str:
        """Tell how the process ended, in a word for the error message."""
        ended = self.process.returncode is not None or _is_let_go_soon(self.lifeline)
        self.kill()
        code = self.process.returncode
        if not ended:
            return "it hung up"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process and whatever it started. Once only: after the wait its number may belong to others."""
        with self.ending:
            if self.process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def close(self) -> None:
        """Release everything; the process is gone when this returns."""
        self.kill()
        self.work.close()
        self.lifeline.close()
        os.close(self.diagnostics)


def _import_folders() -> list[str]:
    """Return where a parser looks for modules: where this process does, but for Python's own always at home.

    While another thread imports OpenCV its folder, which has a ``typing`` in it, stands before Python's own.
    """
    return [str(Path(entry).absolute()) for entry in (sysconfig.get_path("stdlib"), *sys.path)]


def _environment() -> dict[str, str]:
    """Return the variables a parser gets: no keys, and no empty entry (the working folder) among those of libraries.

    OpenCV leaves such an entry in this process, and the working folder may hold what others put there.
    """
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _FRUGAL
    libraries = [entry for entry in kept.pop("LD_LIBRARY_PATH", "").split(":") if entry]
    return kept | ({"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {})


def _is_let_go(lifeline: socket.socket) -> bool:
    """Tell whether the process on the other side has ended, without reaping it: its group must be killed first."""
    try:
        return not lifeline.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def _is_let_go_soon(lifeline: socket.socket) -> bool:
    patience = time.monotonic() + _EXIT_SECONDS
    while not (let_go := _is_let_go(lifeline)) and time.monotonic() < patience:
        time.sleep(0.005)
    return let_go


def _bounded_pipe() -> tuple[int, BinaryIO]:
    """Return both ends of a pipe that drops what it has no room for: a parser that floods its standard error waits not.

    Nor does it fill anything, which a file would let it.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    return reading, os.fdopen(writing, "wb", buffering=0)
