"""One writer for one Milvus Lite path: an operating-system lock beside it that says who holds it.

Milvus Lite admits one process and does not say which one is in. The kernel drops this lock when its process ends,
however it ends, so a crash never leaves a stale lock; the holder's name is for the message only and decides nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
import weakref
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from nemo_retriever_dagster.errors import StoreLockedError, StoreUnavailableError

_POLL_SECONDS = 0.1
_held: weakref.WeakSet[Lease] = weakref.WeakSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lease: process, machine, command, start (ISO 8601, UTC) and, inside a run, the run's id."""

    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    what: str = field(default_factory=lambda: Path(sys.argv[0] if sys.argv else "").name or "python")
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    run_id: str = ""

    def __str__(self) -> str:
        """Return one phrase for a message."""
        run = f", run {self.run_id}" if self.run_id else ""
        return f"process {self.pid} ({self.what}{run}) on {self.host} since {self.since}"


class Lease:
    """An exclusive lock on ``path`` + ".lease", held from `acquire` to `release` or the end of the process."""

    def __init__(self, path: Path, *, wait: float = 10.0, what: str = "", run_id: str = "") -> None:
        """Wait at most ``wait`` seconds for another holder; ``what`` and ``run_id`` are told to those who wait."""
        self.path = path.with_name(path.name + ".lease")
        self._store = path
        self._wait = wait
        self._holder = Holder(what=what, run_id=run_id) if what else Holder(run_id=run_id)
        self._fd = -1
        self.inherited = False
        """Whether the last holder ended without giving it back."""

    def acquire(self) -> Self:
        """Take the lock; raise `StoreLockedError` naming the holder when the wait is over.

        Raises `StoreUnavailableError` where nothing can be written, and keeps no lock then.
        """
        fd = self._open()
        deadline = time.monotonic() + self._wait
        while not _try_lock(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                raise locked(self._store, str(holder(self._store) or "another process"), self._wait)
            time.sleep(_POLL_SECONDS)
        self.inherited = os.fstat(fd).st_size > 0
        try:
            self._sign(fd)
        except OSError as error:
            os.close(fd)
            raise self._cannot_write(error) from error
        self._fd = fd
        _held.add(self)
        return self

    def _sign(self, fd: int) -> None:
        """Write who holds it; never empty in between, or the next would not know that the last holder died."""
        name = json.dumps(asdict(self._holder)).encode()
        os.pwrite(fd, name, 0)
        os.ftruncate(fd, len(name))

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would race with the next holder."""
        if self._fd < 0:
            return
        os.ftruncate(self._fd, 0)
        self.forget()

    def forget(self) -> None:
        """Close the file without a word: in a forked child this leaves the parent's lock alone."""
        fd, self._fd = self._fd, -1
        _held.discard(self)
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"Cannot write beside the vector store {self._store}: {error.strerror or error}.",
            hint="Give milvus_uri a path in a folder that exists, may be written and has space left.",
        )


def holder(store: Path) -> Holder | None:
    """Return who holds the lease on ``store``, None if nobody does or the holder did not write its name yet."""
    try:
        text = store.with_name(store.name + ".lease").read_text()
        return Holder(**json.loads(text)) if text else None
    except (OSError, ValueError, TypeError):
        return None


def foreign_holder(lock_file: Path) -> str:
    """Name the other process that holds an flock on ``lock_file``; "" if none does, or this one itself (Linux)."""
    try:
        fd = os.open(lock_file, os.O_RDWR)
    except OSError:
        return ""
    try:
        if _try_lock(fd):
            return ""
        return _from_proc(os.fstat(fd).st_ino)
    finally:
        os.close(fd)


def locked(store: Path, who: str, waited: float) -> StoreLockedError:
    """Make the error for a store that ``who`` still held after ``waited`` seconds."""
    return StoreLockedError(
        f"The Milvus Lite store {store} is in use by {who}; waited {waited:g} s.",
        hint="Milvus Lite admits one process at a time: wait for the other or stop it, or use a Milvus server.",
    )


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _from_proc(inode: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        for line in Path("/proc/locks").read_text().splitlines():
            parts = line.split()
            if parts[1] == "FLOCK" and parts[5].endswith(f":{inode}"):
                if parts[4] == str(os.getpid()):
                    return ""
                command = Path(f"/proc/{parts[4]}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f"process {parts[4]} ({command.strip()[:120]})"
    return "another process"


def _after_fork() -> None:
    for lease in list(_held):
        lease.forget()


os.register_at_fork(after_in_child=_after_fork)
