"""Waits, for a finite time, until the engines are ready, and says which is not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import EngineUnavailableError, MisuseError, RetrieverError

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import Engine, Engines


async def wait_ready(engines: Engines, *, timeout: float = 60.0, interval: float = 1.0) -> None:  # noqa: ASYNC109 - a bound on many calls
    """Return once every engine's `check` passes; ask again every ``interval`` seconds, for ``timeout`` seconds.

    One that does not answer is not waited for longer either, but for five intervals at least.
    Raise `EngineUnavailableError` that names the ports that are not ready; a `MisuseError` (a refused key, a missing
    package) at once, because waiting cannot mend it.
    """
    until = time.monotonic() + timeout
    waiting: dict[str, Engine] = engines.all()
    while True:
        ports = list(waiting)
        patience = max(until - time.monotonic(), 5 * interval)
        results = await asyncio.gather(*(_problem(waiting[port], patience) for port in ports))
        problems = {port: problem for port, problem in zip(ports, results, strict=True) if problem is not None}
        if not problems:
            return
        if time.monotonic() + interval > until:
            raise _not_ready(problems, timeout)
        waiting = {port: waiting[port] for port in problems}
        await asyncio.sleep(interval)


async def _problem(engine: Engine, patience: float) -> RetrieverError | None:
    try:
        async with asyncio.timeout(patience):
            await engine.check()
    except MisuseError:
        raise
    except RetrieverError as error:
        return error
    except TimeoutError:
        return EngineUnavailableError(f"{engine.name} did not answer.")
    return None


def _not_ready(problems: dict[str, RetrieverError], waited: float) -> EngineUnavailableError:
    words = " ".join(f"{port}: {problem.message}" for port, problem in sorted(problems.items()))
    hint = next((problem.hint for problem in problems.values() if problem.hint), "")
    return EngineUnavailableError(f"Not ready after {waited:g} s: {', '.join(sorted(problems))}. {words}", hint=hint)
