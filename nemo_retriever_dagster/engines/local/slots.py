"""Programs run beside the event loop, a bounded number at a time, killed when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import EngineTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Slots:
    """So many at a time on each event loop: a semaphore cannot be shared between loops."""

    def __init__(self, number: int) -> None:
        """Allow ``number`` at a time."""
        self._number = number
        self._loops: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def one(self) -> asyncio.Semaphore:
        """Return what to enter for one slot: ``async with slots.one():``."""
        self._loops = {loop: slots for loop, slots in self._loops.items() if not loop.is_closed()}
        return self._loops.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._number))


async def run_program(
    command: Sequence[str],
    data: bytes,
    *,
    timeout: float,  # noqa: ASYNC109 - the program's, not the caller's
    environment: Mapping[str, str] | None = None,
) -> tuple[int, bytes, str]:
    """Feed ``data`` to a program; return its exit code, its output, and the last line of its complaints.

    Raises `EngineTimeoutError` after ``timeout`` seconds. However this ends, the program is dead afterwards.
    """
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, **(environment or {})}
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    try:
        out, error = await asyncio.wait_for(process.communicate(data), timeout)
    except TimeoutError as late:
        raise EngineTimeoutError(f"{Path(command[0]).name} took more than {timeout:.0f} s.") from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    complaints = error.decode("utf-8", "replace").strip().splitlines()
    return process.returncode or 0, out, complaints[-1] if complaints else "it gave no reason"
