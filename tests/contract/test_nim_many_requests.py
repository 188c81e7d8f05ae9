"""Many pictures of one document at once: what waits is not made yet, and after an error nothing goes on."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from nemo_retriever_dagster.engines.nim import NimCaptioner, NimEndpoint, NimOcr, NimPageElements, nim_engines
from nemo_retriever_dagster.engines.ports import CaptionRequest, Engines, Region
from nemo_retriever_dagster.errors import RejectedInputError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Element, Kind, Picture, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.stages.caption import caption
from nemo_retriever_dagster.tasks import CaptionTask
from nemo_retriever_dagster.testing import Fault, FaultKind, NimServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel


def picture(width: int = 64, height: int = 48) -> Picture:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return Picture(data=out.getvalue(), width=width, height=height)


async def refused(work: Awaitable[Any]) -> None:
    with pytest.raises(RejectedInputError):
        await work
    assert asyncio.all_tasks() == {asyncio.current_task()}, "something goes on"


def test_after_a_refused_picture_no_other_of_its_document_is_sent() -> None:
    images = [Element(kind=Kind.IMAGE, page=1, picture=picture()) for _ in range(40)]

    async def work(server: NimServer) -> None:
        captioner = NimCaptioner(NimEndpoint(urls=server.url("captioner"), concurrency=2))
        await refused(caption(images, frozenset(range(40)), CaptionTask(), captioner, None))
        await captioner.aclose()

    with NimServer() as server:
        server.inject(Fault(kind=FaultKind.REJECTED, port="captioner", times=0))
        asyncio.run(work(server))
        assert server.count("captioner") <= 4


class Eyes:
    name = "eyes"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        """See twenty tables below each other."""
        tables = [Region(label="table", box=Box(10, 100 * i, 90, 100 * i + 40), confidence=0.9) for i in range(20)]
        return [tables for _ in pictures]

    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [[] for _ in pictures]


def test_after_a_refused_region_no_other_of_its_page_is_sent() -> None:
    page = Page(number=1, size=(100.0, 2000.0), scan=picture(100, 2000))

    async def work(server: NimServer) -> None:
        ports = {port: NimEndpoint(urls=server.url(port), concurrency=2) for port in ("page_elements", "ocr")}
        engines = nim_engines(ports)
        await refused(recognise(page, ExtractOptions(format="pdf"), engines))
        await engines.aclose()

    with NimServer(Engines(page_elements=Eyes(), ocr=Eyes())) as server:
        server.inject(Fault(kind=FaultKind.REJECTED, port="ocr", times=0))
        asyncio.run(work(server))
        assert server.count("ocr") <= 4


CALLS: dict[type[Any], tuple[str, Callable[[Any], Awaitable[Any]]]] = {
    NimCaptioner: ("captioner", lambda engine: engine.caption(CaptionRequest(picture=picture()))),
    NimPageElements: ("page_elements", lambda engine: engine.detect([picture()])),
    NimOcr: ("ocr", lambda engine: engine.read([picture()])),
}


@pytest.mark.parametrize("client", CALLS)
def test_only_requests_next_in_turn_hold_their_pictures(client: type[Any]) -> None:
    port, call = CALLS[client]
    made: list[Picture] = []

    class Counted(client):  # type: ignore[misc] # one of the clients
        async def image(self, picture: Picture) -> str:
            made.append(picture)
            return str(await super().image(picture))

    async def work(server: NimServer) -> None:
        engine = Counted(NimEndpoint(urls=server.url(port), concurrency=2))
        waiting = asyncio.gather(*(call(engine) for _ in range(50)))
        while server.count(port) < 2:  # noqa: ASYNC110 - the server is in a thread of its own
            await asyncio.sleep(0.005)
        assert len(made) == engine.window == 4
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await engine.aclose()

    with NimServer(Engines(ocr=Eyes())) as server:
        server.inject(Fault(kind=FaultKind.HANG, port=port, times=0))
        asyncio.run(work(server))
