"""What Nemotron Parse v1.2 writes: text between tagged corners, also where the model lost the thread."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from nemo_retriever_dagster.engines.nim import NimEndpoint, NimPageParser
from nemo_retriever_dagster.errors import EngineReplyError
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import ParsedBlock

SIZE = (1664, 2048)  # the frame itself: boxes are shares of the picture


def parsed(content: str, *, finish: str = "stop", model: str = "nvidia/nemotron-parse-v1.2") -> list[ParsedBlock]:
    calls = [{"function": {"name": "markdown_bbox", "arguments": content}}]
    said: dict[str, Any] = {"content": content} if "v1.2" in model else {"content": "", "tool_calls": calls}
    file = io.BytesIO()
    Image.new("1", SIZE).save(file, "PNG")

    async def answer(request: Request) -> Reply:
        return json_reply({"choices": [{"message": said, "finish_reason": finish}]})

    async def work() -> list[ParsedBlock]:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            parser = NimPageParser(NimEndpoint(urls=url, model=model, attempts=1))
            try:
                return await parser.parse(Picture(data=file.getvalue(), width=SIZE[0], height=SIZE[1]))
            finally:
                await parser.aclose()

    return asyncio.run(work())


def told(blocks: list[ParsedBlock]) -> list[tuple[Any, ...]]:
    """Return label, text and box in hundredths of the page."""
    scales = (1 / SIZE[0], 1 / SIZE[1])
    return [(one.label, one.text, *(round(100 * share) for share in one.box.scale(*scales))) for one in blocks]


FIRST = "<x_0.10><y_0.10>## First<x_0.90><y_0.20><class_Section-header>"
LAST = "<x_0.10><y_0.30>Last <tbc>one.<x_0.90><y_0.40><class_Text>"
HEAD, TAIL = ("Section-header", "## First", 10, 10, 90, 20), ("Text", "Last one.", 10, 30, 90, 40)


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        (FIRST + "\n" + LAST, [HEAD, TAIL]),
        ("<x_0.10><y_0.20><x_0.30><y_0.40><class_Picture>" + LAST, [("Picture", "", 10, 20, 30, 40), TAIL]),
        (FIRST + "between" + LAST, [HEAD, ("Text", "between", 10, 20, 90, 30), TAIL]),
        ("<x_0.10><y_0.10>No class.<x_0.90><y_0.20>" + LAST, [("Text", "No class.", 10, 10, 90, 20), TAIL]),
        (FIRST + "<x_0.10><y_0.50>No end", [HEAD, ("Text", "No end", 10, 50, 100, 100)]),
        pytest.param(FIRST + "<x_0.10><y_0.10>" * 200_000, [HEAD], id="a model that goes round in circles"),
        ("", []),
    ],
)
def test_no_text_is_lost(content: str, blocks: list[tuple[Any, ...]]) -> None:
    assert told(parsed(content)) == blocks


@pytest.mark.parametrize("content", ["no tag", "<x_0.1><y_0.1>", "<x_0.1><y_7>a<x_0.2><y_8><class_Text>"])
def test_what_holds_no_block_is_refused(content: str) -> None:
    with pytest.raises(EngineReplyError):
        parsed(content)


@pytest.mark.parametrize("model", ["nvidia/nemotron-parse-v1.2", "nvidia/nemotron-parse"])
def test_half_a_page_is_as_good_as_none(model: str) -> None:
    assert parsed(FIRST + "<x_0.10><y_0.50>No e", finish="length", model=model) == []
