"""One event loop in a thread of its own, so that the synchronous API also works where a loop is running already.

Engines keep connections that belong to a loop; with one loop a process they live as long as the process needs them.
"""

from __future__ import annotations

import asyncio
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

_Result = TypeVar("_Result")
_CLEAN_UP_SECONDS = 60.0


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="nemo-retriever-loop", daemon=True).start()
    return loop


# A forked child (of a web server that loads the application first, say) has the loop, but not the thread that runs it.
os.register_at_fork(after_in_child=_loop.cache_clear)


def submit(coroutine: Coroutine[Any, Any, _Result]) -> Future[_Result]:
    """Start ``coroutine`` on the package's loop and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop())


def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run ``coroutine`` on the package's loop and wait for it; Ctrl-C cancels it and waits for its clean-up.

    So does whatever else interrupts the waiting (Dagster's own word for the end of a run); a second one does not wait.
    """
    ended = threading.Event()

    async def watched() -> _Result:
        try:
            return await coroutine
        finally:
            ended.set()

    future = submit(watched())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        ended.wait(_CLEAN_UP_SECONDS)
        raise
