"""Dies where it is told to: every side effect of a process is numbered, and at one of them the process ends.

What is counted needs no change in the code under test: Python's audit events tell of every file that is opened for
writing, renamed or removed below a folder, SQLAlchemy of every transaction, `MortalMilvus` of every call to the store.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nemo_retriever_dagster.model import Record

DEAD = 9
"""The exit status of a process that died at its point."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MOVING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}


class CrashPoints:
    """The side effects of this process below ``folder``, numbered from 0; it dies at number ``at``, if there is one.

    Dying is `os._exit`: no clean-up, no flush, as after SIGKILL. Watching cannot be ended: use a process of its own.
    """

    def __init__(self, folder: Path, at: int | None = None) -> None:
        """Watch nothing yet."""
        self.names: list[str] = []
        self._folder = f"{folder}{os.sep}"
        self._at = at
        self._lock = threading.RLock()
        self._thread = threading.local()

    def watch(self) -> None:
        """Begin to count."""
        sys.addaudithook(self._audit)
        sa.event.listen(sa.Engine, "commit", self._committing)
        sa.event.listen(sa.pool.Pool, "checkin", self._returned)

    def reach(self, name: str) -> None:
        """Count a point of this name, and die if it is the one."""
        with self._lock:
            if len(self.names) == self._at:
                os._exit(DEAD)
            self.names.append(name)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, flags = arguments[0], arguments[2]
            if flags & _WRITING and self._mine(path):
                self.reach(f"before open {self._short(path)}")
        elif event in _MOVING and self._mine(arguments[0]):
            self.reach(f"before {event} {self._short(arguments[0])}")

    def _mine(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._folder)

    def _short(self, path: str | os.PathLike[str]) -> str:
        return os.fspath(path)[len(self._folder) :]

    def _committing(self, _: sa.Connection) -> None:
        self.reach("before commit")
        self._thread.committed = True

    def _returned(self, *_: object) -> None:
        if getattr(self._thread, "committed", False):
            self._thread.committed = False
            self.reach("after commit")


class MortalMilvus(MilvusStore):
    """A `MilvusStore` whose writing calls are points, before and after each; set ``points`` for the whole process."""

    points: ClassVar[CrashPoints]

    def upsert(self, collection: str, records: Sequence[Record]) -> None:
        """Write, between two points."""
        self.points.reach("before upsert")
        super().upsert(collection, records)
        self.points.reach("after upsert")

    def delete(self, collection: str, document: str, *, keep_generation: str | None = None) -> None:
        """Delete, between two points."""
        self.points.reach("before delete")
        super().delete(collection, document, keep_generation=keep_generation)
        self.points.reach("after delete")

    def flush(self, collection: str) -> None:
        """Flush, between two points."""
        self.points.reach("before flush")
        super().flush(collection)
        self.points.reach("after flush")
