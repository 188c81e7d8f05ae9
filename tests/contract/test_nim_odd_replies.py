"""Replies with one value that cannot be: a typed error or a good answer, whatever it is and wherever it stands."""

from __future__ import annotations

import asyncio
import copy
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from nemo_retriever_dagster.engines.nim import NimEmbedder, NimEndpoint, nim_engines
from nemo_retriever_dagster.engines.ports import CaptionRequest, EmbedInput
from nemo_retriever_dagster.errors import EngineReplyError
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.testing.http_server import Reply, Request, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

_FILE = io.BytesIO()
Image.new("RGB", (64, 48), "teal").save(_FILE, "PNG")
PICTURE = Picture(data=_FILE.getvalue(), width=64, height=48)

BOX = {"x_min": 0.1, "y_min": 0.1, "x_max": 0.5, "y_max": 0.5, "confidence": 0.9}
POINTS = [{"x": x, "y": y} for x, y in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5))]
TEXT = {"text_prediction": {"text": "a", "confidence": 0.9}, "bounding_box": {"points": POINTS}}
USAGE = {"total_tokens": 3}
REPLIES: dict[str, Any] = {
    "page_elements": {"data": [{"index": 0, "bounding_boxes": {"table": [BOX]}}]},
    "ocr": {"data": [{"index": 0, "text_detections": [TEXT]}]},
    "captioner": {"choices": [{"message": {"content": "a"}}], "usage": USAGE},
    "embedder": {"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": USAGE},
    "reranker": {"rankings": [{"index": 0, "logit": 0.5}]},
    "transcriber": {"text": "a", "segments": [{"text": "a", "start": 0.0, "end": 1.0}]},
}
PATHS = {
    "captioner": "/v1/chat/completions",
    "transcriber": "/v1/audio/transcriptions",
}
CALL: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
    "page_elements": lambda engine: engine.detect([PICTURE]),
    "ocr": lambda engine: engine.read([PICTURE]),
    "captioner": lambda engine: engine.caption(CaptionRequest(picture=PICTURE)),
    "embedder": lambda engine: engine.embed([EmbedInput(text="a")], purpose="query"),
    "reranker": lambda engine: engine.rank("a", ["a"]),
    "transcriber": lambda engine: engine.transcribe(b"\1\0" * 80, 16000, segments=True),
}
ODD = (True, -1, 10**400, 1e308, 2**70, "x", [1], {"a": 1}, None)


def spoiled(value: Any) -> Iterator[Any]:
    """Yield ``value`` with each odd value in each place, the first of a list standing for all."""
    yield from ODD
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in items:
        for odd in spoiled(inner):
            changed = copy.copy(value)
            changed[key] = odd
            yield changed


@pytest.mark.parametrize("port", REPLIES)
def test_an_odd_value_is_no_bug_of_ours(port: str) -> None:
    sent = [REPLIES[port]]

    async def answer(request: Request) -> Reply:
        return Reply(body=json.dumps(sent[-1]).encode())

    async def work() -> int:
        refused = 0
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATHS.get(port, '/v1/infer')}"
            endpoint = NimEndpoint(urls=url, model="m", attempts=1)
            engine = nim_engines({port: endpoint}).all()[port]
            await CALL[port](engine)
            for reply in spoiled(REPLIES[port]):
                sent.append(reply)
                try:
                    await CALL[port](engine)
                except EngineReplyError:
                    refused += 1
            await engine.aclose()
        return refused

    assert asyncio.run(work()) > len(ODD)


def vector(*values: float, **more: Any) -> dict[str, Any]:
    return {"data": [{"index": 0, "embedding": list(values)}], **more}


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (vector(0.5, 1.0, model="a"), ""),
        (vector(0.0, 1.0), ""),
        (vector(0.0, 1.0, model=7), ""),
        (vector(0.0, -0.0, model="a"), "a vector is all zeros"),
        (vector(0.5, 1.0, model="b"), "it is of the model 'b', and earlier ones were of 'a'"),
    ],
)
def test_vectors_that_would_be_found_by_nothing_or_by_chance_are_not_kept(second: Any, words: str) -> None:
    replies = [vector(1.0, 0.5, model="a"), second]

    async def answer(request: Request) -> Reply:
        return Reply(body=json.dumps(replies.pop(0)).encode())

    async def work() -> Any:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            embedder = NimEmbedder(NimEndpoint(urls=url, model="m", attempts=1))
            try:
                await embedder.embed([EmbedInput(text="a")])
                return (await embedder.embed([EmbedInput(text="b")])).tolist()
            except EngineReplyError as error:
                return error.message
            finally:
                await embedder.aclose()

    found = asyncio.run(work())
    assert (words in found) if words else found == [second["data"][0]["embedding"]]


def test_vectors_without_numbers_are_refused() -> None:
    embedder = NimEmbedder(NimEndpoint(urls="http://a", model="m"))
    with pytest.raises(EngineReplyError, match="all zeros"):
        embedder._vectors(vector(), 1)
