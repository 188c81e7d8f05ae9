"""A gateway before a NIM that bounds the bytes of a request: what does not fit at once is sent in parts."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from nemo_retriever_dagster.engines.nim import NimEndpoint, nim_engines
from nemo_retriever_dagster.engines.nim.base import halved
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import RejectedInputError, RequestTooLargeError
from nemo_retriever_dagster.model import Picture, Usage
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import numpy as np

LENGTH = 400  # characters of a text


def picture(width: int) -> Picture:
    out = io.BytesIO()
    Image.new("RGB", (width, 40), "teal").save(out, "PNG", compress_level=0)
    return Picture(data=out.getvalue(), width=width, height=40)


PICTURES = [picture(40 + i) for i in range(8)]
TEXTS = [f"{i} ".ljust(LENGTH, "x") for i in range(8)]


def read(body: dict[str, Any]) -> dict[str, Any]:
    """Answer with what tells the inputs apart: a picture's width, a text's number."""
    if "passages" in body:
        return {"rankings": [{"index": i, "logit": int(one["text"][0])} for i, one in enumerate(body["passages"])]}
    if isinstance(body["input"][0], str):
        return {"data": [{"index": i, "embedding": [float(one[0]), 1.0]} for i, one in enumerate(body["input"])]}
    seen = [Image.open(io.BytesIO(base64.b64decode(one["url"].partition(",")[2]))).width for one in body["input"]]
    if "merge_levels" in body:
        points = [{"x": 0.1, "y": 0.1}] * 4
        word = [{"bounding_box": {"points": points}, "text_prediction": {"text": str(width)}} for width in seen]
        return {"data": [{"index": i, "text_detections": [one]} for i, one in enumerate(word)]}
    box = {"x_min": 0.0, "y_min": 0.0, "x_max": 1.0, "y_max": 1.0}
    boxes = [{"bounding_boxes": {"cell": [box], "table": [{**box, "x_max": 40 / width}]}} for width in seen]
    return {"data": boxes}


class Gateway:
    def __init__(self, most: int) -> None:
        self.most = most
        self.sizes: list[int] = []

    async def answer(self, request: Request) -> Reply:
        body = request.json()
        self.sizes.append(len(body.get("input") or body["passages"]))
        if len(request.body) > self.most:
            return Reply(status=413, body=b"<html><h1>413 Request Entity Too Large</h1></html>")
        return json_reply(read(body))


def through(most: int, port: str, call: Callable[[Any], Coroutine[Any, Any, Any]]) -> tuple[Any, Usage, list[int]]:
    """Return what ``call`` gets of the NIM behind the gateway, or its error, what it used, and the requests' sizes."""
    gateway = Gateway(most)

    async def work() -> tuple[Any, Usage]:
        async with await serve(gateway.answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            where = NimEndpoint(urls=url if port in {"embedder", "reranker"} else f"{url}/infer", dimensions=2)
            engines = nim_engines({port: where})
            with metered() as meter:
                try:
                    found = await call(engines.all()[port])
                except RejectedInputError as error:
                    found = error
            await engines.aclose()
            return found, sum(meter.totals.values(), Usage())

    return *asyncio.run(work()), gateway.sizes


async def numbers(vectors: Coroutine[Any, Any, np.ndarray]) -> list[float]:
    return [float(vector[0]) for vector in await vectors]


INPUTS = [EmbedInput(text=text) for text in TEXTS]
PIXELS = 3 * len(base64.b64encode(PICTURES[-1].data))
CALLS: dict[str, tuple[str, int, Callable[[Any], Coroutine[Any, Any, Any]], list[Any]]] = {
    "passages": ("embedder", 4 * LENGTH, lambda nim: numbers(nim.embed(INPUTS)), [*range(8)]),
    "queries": ("embedder", 4 * LENGTH, lambda nim: numbers(nim.embed(INPUTS, purpose="query")), [*range(8)]),
    "ranks": ("reranker", 4 * LENGTH, lambda nim: nim.rank("q", TEXTS), [*range(8)]),
    "words": ("ocr", PIXELS, lambda nim: words(nim.read(PICTURES)), [str(40 + i) for i in range(8)]),
    "regions": ("table_structure", PIXELS, lambda nim: widths(nim.detect(PICTURES)), [40.0 + i for i in range(8)]),
}


async def words(read: Coroutine[Any, Any, Any]) -> list[str]:
    return [found[0].text for found in await read]


async def widths(detected: Coroutine[Any, Any, Any]) -> list[float]:
    return [found[0].box.x1 for found in await detected]


@pytest.mark.parametrize("name", CALLS)
def test_what_is_too_large_at_once_is_sent_in_parts_and_comes_back_in_order(name: str) -> None:
    port, most, call, expected = CALLS[name]
    found, used, sizes = through(most, port, call)
    assert found == expected
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert (used.requests, used.retries, used.items) == (7, 0, 8)


def test_one_input_that_is_too_large_is_refused() -> None:
    long = [*INPUTS[:2], EmbedInput(text="9".ljust(9 * LENGTH, "x"))]
    found, _, sizes = through(4 * LENGTH, "embedder", lambda nim: nim.embed(long))
    assert type(found) is RequestTooLargeError
    assert "gateway" in found.hint
    assert sizes == [3, 1, 2, 1, 1]


def test_a_document_with_such_an_input_fails_alone() -> None:
    async def both(nim: Any) -> list[Any]:
        long = [EmbedInput(text="9".ljust(9 * LENGTH, "x"))]
        return await asyncio.gather(nim.embed(INPUTS[:2]), nim.embed(long), return_exceptions=True)

    (vectors, error), _, _ = through(4 * LENGTH, "embedder", both)
    assert [float(vector[0]) for vector in vectors] == [0, 1]
    assert type(error) is RequestTooLargeError


def test_other_errors_of_a_part_are_raised_at_once() -> None:
    asked: list[int] = []

    async def request(batch: Sequence[int]) -> list[int]:
        asked.append(len(batch))
        raise RequestTooLargeError if len(batch) > 2 else RejectedInputError("odd")

    with pytest.raises(RejectedInputError, match="odd"):
        asyncio.run(halved(request, range(8)))
    assert asked == [8, 4, 2]
