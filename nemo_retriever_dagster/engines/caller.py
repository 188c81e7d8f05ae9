"""Makes a request to one of several equal servers, with everything that keeps it civil.

The order of things: a slot (bounded concurrency), the pace (requests a minute), the least busy server that is not set
aside, the attempt with its timeout, and after a failure the decision of `retries`. HTTP and gRPC clients share it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from nemo_retriever_dagster.engines.breaker import Breaker
from nemo_retriever_dagster.engines.retries import AttemptFailedError, RetryRules
from nemo_retriever_dagster.engines.usage import record
from nemo_retriever_dagster.errors import EngineTimeoutError, EngineUnavailableError, RetrieverError
from nemo_retriever_dagster.model import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from nemo_retriever_dagster.engines.endpoints import NimEndpoint

T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")
Send: TypeAlias = "Callable[[str], Awaitable[R]]"
Read: TypeAlias = "Callable[[R], tuple[T, int]]"


@dataclass(slots=True)
class Target:
    """One URL: how many requests it holds, whether it asked for a pause, whether it is set aside."""

    url: str
    breaker: Breaker
    in_flight: int = 0
    paused_until: float = 0.0
    turn: int = 0
    """When it was last called, in calls: equally busy ones take turns."""


@dataclass(slots=True)
class _Effort:
    """What one request has cost so far."""

    most: int
    patience: float
    """Seconds to wait for servers that are away."""
    started: float = 0.0
    requests: int = 0
    items: int = 0
    tokens: int = 0
    busy: float = 0.0
    last: AttemptFailedError | None = None

    def elapsed(self) -> float:
        return time.monotonic() - self.started if self.started else 0.0


class Caller:
    """Calls the servers of one endpoint. Safe to use from several event loops; limits hold for each loop."""

    def __init__(self, endpoint: NimEndpoint, *, name: str) -> None:
        """Prepare calls under ``name``, which errors and usage carry."""
        self.endpoint = endpoint
        self.name = name
        self.targets = [Target(url, _breaker(endpoint)) for url in endpoint.targets]
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._turns = itertools.count(1)
        self._next_start = 0.0
        self._rules = RetryRules(
            attempts=endpoint.attempts,
            deadline=endpoint.deadline,
            backoff=endpoint.backoff,
            backoff_cap=endpoint.backoff_cap,
        )

    async def call(
        self, send: Send[R], read: Read[R, T], *, items: int = 1, attempts: int = 0, patient: bool = True
    ) -> T:
        """Return what ``read`` makes of the first good answer of ``send(url)``, or raise the error to give up with.

        ``read`` returns the value and the tokens used. It runs in a thread, as thousands of words or boxes take their
        time, and when the slot is free for the next request already. Both raise `AttemptFailedError`; any other
        exception is a bug and passes through. ``attempts`` 0 is the endpoint's own number. Not ``patient`` is who asks
        a question: it fails at once where all servers are set aside and a probe failed, too.
        """
        effort = _Effort(most=attempts or self.endpoint.attempts, patience=self.endpoint.deadline if patient else 0.0)
        try:
            value = await self._attempts(send, read, effort)
            effort.items = items
        finally:
            usage = Usage(
                requests=effort.requests,
                retries=max(effort.requests - 1, 0),
                items=effort.items,
                tokens=effort.tokens,
                seconds=effort.busy,
            )
            record(self.name, usage)
        return value

    async def _attempts(self, send: Send[R], read: Read[R, T], effort: _Effort) -> T:
        while True:
            try:
                value, effort.tokens = await asyncio.to_thread(read, await self._answer(send, effort))
            except AttemptFailedError as failed:
                effort.last = failed
                again = failed.again and effort.requests < effort.most
                wait = self._rules.wait(effort.requests, effort.elapsed(), failed.wait) if again else None
                if wait is None:
                    raise _given_up(failed.error, effort) from failed.__cause__
            else:
                return value
            await asyncio.sleep(wait)

    async def _answer(self, send: Send[R], effort: _Effort) -> R:
        """Return the answer to one request, made when slot, pace and a target allow it."""
        while True:
            await self._turn(effort)
            async with self._slot():
                await self._pace()
                effort.started = effort.started or time.monotonic()
                picked = self._pick()
                if picked is None:  # another call took the probe meanwhile
                    continue
                return await self._attempt(send, *picked, effort)

    async def _attempt(self, send: Send[R], target: Target, ticket: int, effort: _Effort) -> R:
        begun = time.monotonic()
        effort.requests += 1
        try:
            return await self._watched(send, target, ticket, effort)
        finally:
            effort.busy += time.monotonic() - begun

    async def _watched(self, send: Send[R], target: Target, ticket: int, effort: _Effort) -> R:
        """Send, and tell the target's breaker how it went."""
        target.in_flight += 1
        patience = max(min(self.endpoint.timeout, self.endpoint.deadline - effort.elapsed()), 0.001)
        try:
            async with asyncio.timeout(patience):
                answer = await send(target.url)
        except AttemptFailedError as failed:
            self._blame(target, ticket, failed)
            raise
        except TimeoutError:
            if effort.last is not None and patience < self.endpoint.timeout:
                # The deadline cut this attempt short: what failed before tells more.
                target.breaker.withdrawn(ticket)
                raise AttemptFailedError(effort.last.error, again=False) from None
            late = self._timed_out(target, patience)
            self._blame(target, ticket, late)
            raise late from None
        except BaseException:
            target.breaker.withdrawn(ticket)
            raise
        finally:
            target.in_flight -= 1
        target.breaker.succeeded()
        return answer

    def _timed_out(self, target: Target, patience: float) -> AttemptFailedError:
        message = f"{self.name} at {target.url} did not answer within {patience:g} s."
        hint = "Is it overloaded? Raise the endpoint's timeout or lower its concurrency."
        return AttemptFailedError(EngineTimeoutError(message, hint=hint), again=True, down=True)

    def _blame(self, target: Target, ticket: int, failed: AttemptFailedError) -> None:
        if failed.down:
            target.breaker.failed(ticket)
        else:  # it answered: the server lives
            target.breaker.succeeded()
        if failed.wait:
            wait = min(failed.wait, self.endpoint.backoff_cap)
            target.paused_until = max(target.paused_until, time.monotonic() + wait)

    def _pick(self) -> tuple[Target, int] | None:
        """Return the least busy target that takes calls now, and the call's ticket.

        One whose probe is due comes first, or it never would.
        """
        now = time.monotonic()
        free = [target for target in self.targets if target.paused_until <= now]
        for target in sorted(free, key=lambda t: (not t.breaker.is_open, t.in_flight, t.turn)):
            if ticket := target.breaker.admit():
                target.turn = next(self._turns)
                return target, ticket
        return None

    async def _turn(self, effort: _Effort) -> None:
        """Wait while no target takes calls: all asked for a pause, or were set aside and are being probed.

        A server that starts anew is waited for, as long as one request may take, by who is patient.
        """
        while (wait := self._held_for()) > 0:
            dead = all(0 < target.breaker.down_for() >= effort.patience for target in self.targets)
            late = effort.started and effort.elapsed() + wait >= self.endpoint.deadline
            if dead or late:
                raise _given_up(effort.last.error, effort) if effort.last else self._set_aside(wait)
            await asyncio.sleep(wait)

    def _held_for(self) -> float:
        now = time.monotonic()
        return min(max(target.paused_until - now, target.breaker.opens_in()) for target in self.targets)

    def _set_aside(self, wait: float) -> RetrieverError:
        urls = ", ".join(target.url for target in self.targets)
        message = f"{self.name} is not called: it failed {self.targets[0].breaker.failures} times in a row."
        return EngineUnavailableError(message, hint=f"Is {urls} up? It is probed again in {wait:.1f} s.")

    async def _pace(self) -> None:
        if not self.endpoint.rate_limit:
            return
        now = time.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + 60.0 / self.endpoint.rate_limit
        await asyncio.sleep(start - now)

    def _slot(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop not in self._slots:
            self._slots[loop] = asyncio.Semaphore(self.endpoint.concurrency)
        return self._slots[loop]


def _breaker(endpoint: NimEndpoint) -> Breaker:
    return Breaker(after=endpoint.breaker_after, pause=endpoint.breaker_pause, longest=endpoint.backoff_cap)


def _given_up(error: RetrieverError, effort: _Effort) -> RetrieverError:
    if effort.requests <= 1:
        return error
    message = f"{error.message} Given up after {effort.requests} requests in {effort.elapsed():.1f} s."
    return type(error)(message, hint=error.hint, page=error.page)


async def gather_bounded(work: Callable[[A], Awaitable[T]], inputs: Iterable[A], *, limit: int) -> list[T]:
    """Run ``work`` on every input, ``limit`` at a time, and return the results in order.

    The first error cancels what is still running and is raised: after it, not one more request is sent.
    """
    waiting = list(enumerate(inputs))[::-1]
    results: dict[int, T] = {}

    async def worker() -> None:
        while waiting:
            index, item = waiting.pop()
            results[index] = await work(item)

    workers = [asyncio.ensure_future(worker()) for _ in range(min(limit, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[index] for index in sorted(results)]
