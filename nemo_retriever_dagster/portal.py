"""One event loop in a thread of its own, so that the synchronous API also works where a loop is running already.

Engines keep connections that belong to a loop; with one loop a process they live as long as the process needs them.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_retriever_dagster.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

_Result = TypeVar("_Result")
_CLEAN_UP_SECONDS = 60.0


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="nemo-retriever-loop", daemon=True).start()
    return loop


# A forked child (of a web server that loads the application first, say) has the loop, but not the thread that runs it.
os.register_at_fork(after_in_child=_loop.cache_clear)


def _is_here() -> bool:
    try:
        return asyncio.get_running_loop() is _loop()
    except RuntimeError:
        return False


def submit(coroutine: Coroutine[Any, Any, _Result]) -> Future[_Result]:
    """Start ``coroutine`` on the package's loop and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop())


def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run ``coroutine`` on the package's loop and wait for it; Ctrl-C cancels it and waits for its clean-up.

    So does whatever else interrupts the waiting (Dagster's own word for the end of a run); a second one does not wait.
    Raise `MisuseError` where that loop itself would wait (in an engine of the caller's, say), which would be for ever.
    """
    if _is_here():
        coroutine.close()
        raise MisuseError(
            "A synchronous method was called on the event loop that does its work.",
            hint="Call it in a thread: await asyncio.to_thread(...).",
        )
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


@asynccontextmanager
async def entered(
    manager: AbstractContextManager[_Result], call: Callable[..., Awaitable[Any]] = asyncio.to_thread
) -> AsyncIterator[_Result]:
    """Enter a context that blocks (a lock, a database, a download), and leave it, in threads that ``call`` chooses.

    One that is cancelled while it enters is waited for and left again, so that nothing stays locked.
    """
    entering = asyncio.ensure_future(call(manager.__enter__))
    try:
        value = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await call(manager.__exit__, None, None, None)
        raise
    try:
        yield value
    except BaseException as error:
        if not await call(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await call(manager.__exit__, None, None, None)
