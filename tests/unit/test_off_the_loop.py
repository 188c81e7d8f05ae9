"""What takes its time is done in threads: the event loop, which serves every request of every document, goes on.

The values handed in note which thread looks at them.
"""

from __future__ import annotations

import asyncio
import io
import threading
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from nemo_retriever_dagster.engines.endpoints import NimEndpoint
from nemo_retriever_dagster.engines.http import HttpClient
from nemo_retriever_dagster.engines.nim import NimPageElements, NimTranscriber
from nemo_retriever_dagster.engines.ports import Engines, ParsedBlock, Region
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Picture, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, ItemsView, Sequence

SEEN: set[int] = set()
"""The threads that looked at a value."""


def note() -> None:
    SEEN.add(threading.get_ident())


class Body(dict[str, Any]):
    def items(self) -> ItemsView[str, Any]:
        note()
        return super().items()


class Label(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        note()
        return str.__eq__(self, other)


class Data(bytes):
    def __len__(self) -> int:
        note()
        return super().__len__()


class Rate(int):
    def __round__(self, ndigits: Any = None) -> int:
        note()
        return int(self)


def away_from_the_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what ``work`` returns; it must have had the values looked at, by no other thread than its helpers."""
    SEEN.clear()
    found = asyncio.run(work)
    assert SEEN
    assert threading.get_ident() not in SEEN
    return found


def answered(reply: Reply, call: Callable[[str], Coroutine[Any, Any, Any]]) -> Any:
    async def answer(request: Request) -> Reply:
        return reply

    async def work() -> Any:
        async with await serve(answer) as server:
            return await call(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/infer")

    return away_from_the_loop(work())


def picture() -> Picture:
    out = io.BytesIO()
    Image.new("RGB", (100, 100), "white").save(out, "PNG")
    return Picture(data=out.getvalue(), width=100, height=100)


def post(body: dict[str, Any], read: Callable[[Any], Any]) -> Callable[[str], Coroutine[Any, Any, Any]]:
    async def call(url: str) -> Any:
        client = HttpClient(NimEndpoint(urls=url), name="nim/test")
        try:
            return await client.post_json(body, read)
        finally:
            await client.aclose()

    return call


def test_a_reply_is_read_in_a_thread() -> None:
    assert answered(json_reply({"a": 1}), post({}, lambda reply: note() or reply)) == {"a": 1}


def test_a_request_is_written_in_a_thread() -> None:
    assert answered(json_reply([]), post(Body(a=1), lambda reply: reply)) == []


def test_a_picture_is_made_small_in_a_thread() -> None:
    detector = NimPageElements(NimEndpoint(urls="https://ai.api.nvidia.com/v1/cv/a/b"))
    one = picture()
    url = away_from_the_loop(detector.image(Picture(data=Data(one.data), width=100, height=100)))
    assert url.startswith("data:image/png;base64,iVBOR")


def test_sound_is_packed_in_a_thread() -> None:
    async def call(url: str) -> Any:
        transcriber = NimTranscriber(NimEndpoint(urls=url))
        try:
            return await transcriber.transcribe(b"\1\0" * 80, Rate(16000))
        finally:
            await transcriber.aclose()

    assert [one.text for one in answered(json_reply({"text": "a"}), call)] == ["a"]


class Eyes:
    """Sees one region of a kind on a page, and parts of it."""

    name = "eyes"

    def __init__(self, *labels: str) -> None:
        self.labels = labels

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        return [[Region(label=one, box=Box(0, 0, 100, 100), confidence=0.9) for one in self.labels] for _ in pictures]

    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        return [ParsedBlock(label=Label("Picture"), text="", box=Box(10, 10, 90, 90))]


WORDS = (Word(text="a", box=Box(10, 10, 20, 20)),)
PAGE = Page(number=1, size=(100.0, 100.0), scan=picture(), words=WORDS)
CELLS = Eyes(*map(Label, ("row", "column", "cell")))
AXES = Eyes(Label("chart_title"))


@pytest.mark.parametrize(
    ("engines", "text"),
    [
        (Engines(page_elements=Eyes("table"), table_structure=CELLS), "| a |\n| --- |"),
        (Engines(page_elements=Eyes("chart"), graphic_elements=AXES), "a"),
    ],
)
def test_a_table_or_chart_is_put_together_in_a_thread(engines: Engines, text: str) -> None:
    (found,) = away_from_the_loop(recognise(PAGE, ExtractOptions(format="pdf"), engines))
    assert (found.text, found.engine) == (text, "eyes+eyes")


def test_pictures_of_a_parsed_page_are_cut_out_in_a_thread() -> None:
    options = ExtractOptions(format="pdf", method="nemotron_parse")
    (found,) = away_from_the_loop(recognise(PAGE, options, Engines(page_parser=Eyes())))
    assert (found.picture.width, found.picture.height) == (80, 80)
