"""Fills requests with the inputs of many callers, so that small documents do not each cost a request of their own.

Inputs wait in one queue. A full request is made ready ahead of its slot; one that is not full goes only when a slot is
free and its oldest input has lingered. So nothing waits for company at a server that idles, and a busy one gets full
requests. Every caller gets the rows of its own inputs, in order, or its own error.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from nemo_retriever_dagster.engines.usage import metered, record
from nemo_retriever_dagster.errors import DataError, EngineReplyError, RefusedSettingError, RetrieverError
from nemo_retriever_dagster.model import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nemo_retriever_dagster.engines.usage import Meter

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Send(Protocol[T_contra, R_co]):
    """Makes one request: a row an input, in order; ``attempts`` 0 is the endpoint's own number."""

    async def __call__(self, inputs: Sequence[T_contra], /, *, attempts: int = 0) -> Sequence[R_co]:
        """Return the rows, or raise a `RetrieverError`."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class _Order(Generic[R]):
    """One caller's inputs, on their way."""

    future: asyncio.Future[list[R]]
    rows: dict[int, R] = field(default_factory=dict)
    size: int
    flying: int = 0
    error: BaseException | None = None
    spent: list[tuple[str, Usage]] = field(default_factory=list)

    def landed(self, count: int) -> None:
        """Note that ``count`` inputs are back; tell the caller once none is on its way that it must wait for."""
        self.flying -= count
        if self.future.done():  # the caller was cancelled
            return
        if self.error is not None and not self.flying:
            self.future.set_exception(self.error)
        elif len(self.rows) == self.size:
            self.future.set_result([self.rows[position] for position in range(self.size)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Item(Generic[T, R]):
    order: _Order[R]
    position: int
    value: T
    arrived: float


class SharedRequests(Generic[T, R]):
    """Sends inputs in requests of at most ``size``, about ``width`` in flight. Safe to use from several event loops.

    ``weigh`` tells how much of a request's tokens an input stands for: a server tells only their sum. ``linger`` is the
    seconds an input waits for others at most while a slot is free.
    """

    def __init__(
        self, send: Send[T, R], *, size: int, width: int, weigh: Callable[[T], int], linger: float = 0.005
    ) -> None:
        """Start nothing yet."""
        self._send = send
        self._size, self._width = size, width
        self._weigh, self._linger = weigh, linger
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lane[T, R]] = WeakKeyDictionary()

    async def run(self, inputs: Sequence[T]) -> list[R]:
        """Return the rows of ``inputs``, and record what they used as the caller's own.

        A request that serves several callers and cannot be made, is refused, or answered against its contract, is made
        again for each of them alone: one document's input fails no other document.
        """
        if not inputs:
            return []
        loop = asyncio.get_running_loop()
        order: _Order[R] = _Order(future=loop.create_future(), size=len(inputs))
        lane = self._lanes.setdefault(loop, _Lane(self._send, self._size, self._width, self._weigh, self._linger))
        try:
            lane.add(order, inputs)
            return await order.future
        finally:
            lane.forget(order)
            for name, usage in order.spent:
                record(name, usage)


class _Lane(Generic[T, R]):
    """The queue and the requests of one event loop."""

    def __init__(self, send: Send[T, R], size: int, width: int, weigh: Callable[[T], int], linger: float) -> None:
        self._send, self._size, self._width, self._weigh, self._linger = send, size, width, weigh, linger
        self._waiting: deque[_Item[T, R]] = deque()
        self._requests: dict[asyncio.Task[None], list[_Item[T, R]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, order: _Order[R], inputs: Sequence[T]) -> None:
        """Queue a caller's inputs."""
        now = asyncio.get_running_loop().time()
        items = (_Item(order=order, position=i, value=value, arrived=now) for i, value in enumerate(inputs))
        self._waiting.extend(items)
        self._pump()

    def forget(self, order: _Order[R]) -> None:
        """Drop what a caller that is gone still has here; a request that serves nobody else is cancelled."""
        self._drop(order)
        for request, items in self._requests.items():
            if all(item.order.future.done() for item in items):
                request.cancel()

    def _drop(self, order: _Order[R]) -> None:
        if len(order.rows) + order.flying < order.size:
            self._waiting = deque(item for item in self._waiting if item.order is not order)

    def _pump(self) -> None:
        """Start as many requests as may be."""
        while self._waiting:
            full = len(self._waiting) >= self._size
            if len(self._requests) >= (2 * self._width if full else self._width):
                return
            if not full and (wait := self._lingers()) > 0:
                self._timer = self._timer or asyncio.get_running_loop().call_later(wait, self._rung)
                return
            self._start([self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))])

    def _lingers(self) -> float:
        return self._waiting[0].arrived + self._linger - asyncio.get_running_loop().time()

    def _rung(self) -> None:
        self._timer = None
        self._pump()

    def _start(self, items: list[_Item[T, R]]) -> None:
        for item in items:
            item.order.flying += 1
        request = asyncio.get_running_loop().create_task(self._request(items))
        self._requests[request] = items
        request.add_done_callback(self._ended)

    def _ended(self, request: asyncio.Task[None]) -> None:
        items = self._requests.pop(request)
        if request.cancelled():
            for order, _ in _by_order(items):
                order.future.cancel()
        elif bug := request.exception():
            for order, own in _by_order(items):
                order.error = bug
                order.landed(len(own))
        self._pump()

    async def _request(self, items: list[_Item[T, R]]) -> None:
        shares = _by_order(items)
        error = await self._tried(items)
        if len(shares) > 1 and _may_be_one_inputs(error):
            # What was refused has attempts left; what was tried to the end gets one more, without the others.
            left = 1 if isinstance(error, EngineReplyError) else 0
            errors = await asyncio.gather(*(self._tried(own, attempts=left) for _, own in shares))
        else:
            errors = [_own(error) if len(shares) > 1 else error for _ in shares]
        for (order, own), failed in zip(shares, errors, strict=True):
            if failed is not None:
                order.error = order.error or failed
                self._drop(order)
            order.landed(len(own))

    async def _tried(self, items: list[_Item[T, R]], *, attempts: int = 0) -> BaseException | None:
        """Make one request; put its rows to their orders, or return why there are none."""
        with metered() as meter:
            try:
                rows = await self._send([item.value for item in items], attempts=attempts)
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers wait for it
                return error
            finally:
                self._charge(meter, items)
        for item, row in zip(items, rows, strict=True):
            item.order.rows[item.position] = row
        return None

    def _charge(self, meter: Meter, items: list[_Item[T, R]]) -> None:
        shares = _by_order(items)
        weights = [sum(self._weigh(item.value) for item in own) for _, own in shares]
        for name, usage in meter.totals.items():
            parts = divided(usage, [len(own) for _, own in shares], weights)
            for (order, _), part in zip(shares, parts, strict=True):
                order.spent.append((name, part))


def _by_order(items: Iterable[_Item[T, R]]) -> list[tuple[_Order[R], list[_Item[T, R]]]]:
    """Return the orders in the items, each with its own items, in the order of the first of them."""
    found: dict[_Order[R], list[_Item[T, R]]] = {}
    for item in items:
        found.setdefault(item.order, []).append(item)
    return list(found.items())


def _may_be_one_inputs(error: BaseException | None) -> bool:
    """Whether one input may be to blame for ``error``, not the server: also for one that is nobody's plan."""
    if isinstance(error, RetrieverError):
        # A picture among texts may ask for what the model cannot do.
        return isinstance(error, DataError | EngineReplyError | RefusedSettingError)
    return error is not None


def _own(error: BaseException | None) -> BaseException | None:
    """Return an error for one of several callers: raising the same one in each would mix up their tracebacks."""
    if not isinstance(error, RetrieverError):
        return error
    copy = type(error)(error.message, hint=error.hint, page=error.page)
    copy.__cause__ = error.__cause__
    return copy


def divided(usage: Usage, counts: Sequence[int], weights: Sequence[int]) -> list[Usage]:
    """Divide what a request used among its callers, of ``counts`` inputs each; the parts add up to the whole.

    Items are each caller's own. Seconds go by items, tokens by ``weights``. The request and its retries, which cannot
    be divided, are the first caller's.
    """
    tokens = _whole_parts(usage.tokens, weights)
    return [
        Usage(
            requests=0 if i else usage.requests,
            retries=0 if i else usage.retries,
            items=count if usage.items else 0,
            tokens=tokens[i],
            seconds=usage.seconds * count / sum(counts),
        )
        for i, count in enumerate(counts)
    ]


def _whole_parts(total: int, weights: Sequence[int]) -> list[int]:
    """Divide ``total`` by weight into whole numbers: each bound between two callers is rounded, not each part."""
    whole, bounds, seen = max(sum(weights), 1), [0], 0
    for weight in weights:
        seen += weight
        bounds.append(round(total * seen / whole))
    bounds[-1] = total
    return [after - before for before, after in itertools.pairwise(bounds)]
