"""One thread for an engine that must not block the event loop and cannot work on two things at once."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

INSTALL_LOCAL = "pip install 'nemo-retriever-dagster[local]'"


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Worker:
    """Runs calls one after another on a thread of its own; callers may be on any number of event loops."""

    def __init__(self, name: str) -> None:
        """Start nothing yet; the thread comes with the first call."""
        self._name = name
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, function: Callable[[], T]) -> T:
        """Return what ``function`` returns; a cancelled caller's turn is skipped if it has not begun."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
            future = self._pool.submit(function)
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        """Finish what was asked for and end the thread; a later call starts it again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)
