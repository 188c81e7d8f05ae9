"""What every NIM client over HTTP shares: its name, its connection, its life."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

from nemo_retriever_dagster.engines.http import HttpClient
from nemo_retriever_dagster.engines.nim.wire import data_url, fitted
from nemo_retriever_dagster.errors import InvalidOptionError, RequestTooLargeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from nemo_retriever_dagster.engines.endpoints import NimEndpoint
    from nemo_retriever_dagster.model import Picture

T = TypeVar("T")
R = TypeVar("R")


class NimClient:
    """A client of one NIM; subclasses add the payload and the reading of the reply."""

    default_model: ClassVar[str] = ""
    default_batch: ClassVar[int] = 1
    dialects: ClassVar[tuple[str, ...]] = ()
    """Variants of the protocol; which one is meant is told by `guess` where the endpoint does not say."""

    def __init__(self, endpoint: NimEndpoint) -> None:
        """Prepare the client; nothing is sent yet."""
        self.endpoint = endpoint
        self.model = endpoint.model or self.default_model
        self.dialect = endpoint.dialect or self.guess()
        if self.dialects and self.dialect not in self.dialects:
            raise InvalidOptionError(
                f"{type(self).__name__} speaks no dialect {self.dialect!r}.",
                hint=f"Choose of: {', '.join(self.dialects)}.",
            )
        self.http = HttpClient(self.resolved(), name=self.name)
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """``nim/`` and the model's id."""
        return f"nim/{self.model}"

    @property
    def batch(self) -> int:
        """Inputs a request."""
        return self.endpoint.batch or self.default_batch

    @property
    def window(self) -> int:
        """Requests prepared at a time: enough to keep every slot busy, and no more in memory."""
        return 2 * self.endpoint.concurrency

    def guess(self) -> str:
        """Return the dialect that URL and model suggest."""
        return self.dialects[0] if self.dialects else ""

    def resolved(self) -> NimEndpoint:
        """Return the endpoint with the full addresses."""
        return self.endpoint

    async def ask(
        self, body: Callable[[], Awaitable[Mapping[str, Any]]], read: Callable[[Any], T], *, items: int = 1
    ) -> T:
        """POST what ``body`` makes once there is room in the `window`, and return ``read(reply)``.

        A body holds its pictures in base64: of thousands that wait, only those next in turn are made.
        """
        room = self._rooms.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.window))
        async with room:
            return await self.http.post_json(await body(), read, items=items)

    async def image(self, picture: Picture) -> str:
        """Return the picture as a data URL, small enough for the endpoint."""
        return await asyncio.to_thread(_sent, picture, hosted=self.endpoint.hosted)

    async def check(self) -> None:
        """Raise unless the NIM is ready."""
        await self.http.check()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()


def _sent(picture: Picture, *, hosted: bool) -> str:
    return data_url(fitted(picture) if hosted else picture)


def batches(inputs: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut ``inputs`` into runs of ``size``, the last one shorter."""
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


async def halved(request: Callable[[Sequence[T]], Awaitable[Sequence[R]]], batch: Sequence[T]) -> list[R]:
    """Return a row for each input of ``batch``, from as many requests as it takes where one would be too large."""
    try:
        return list(await request(batch))
    except RequestTooLargeError:
        if len(batch) == 1:
            raise
    middle = len(batch) // 2
    return [*await halved(request, batch[:middle]), *await halved(request, batch[middle:])]
