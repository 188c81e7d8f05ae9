"""The `NimServer` itself: it refuses what a NIM refuses, keeps to its capacity, and can be started from a shell."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from nemo_retriever_dagster.engines.nim import NimCaptioner, NimEndpoint
from nemo_retriever_dagster.engines.nim.wire import data_url
from nemo_retriever_dagster.engines.ports import CaptionRequest
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.testing import NimServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence


def picture(width: int = 64, height: int = 48) -> Picture:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return Picture(data=out.getvalue(), width=width, height=height)


async def using(client: NimCaptioner, call: Callable[[NimCaptioner], Awaitable[Any]]) -> Any:
    try:
        return await call(client)
    finally:
        await client.aclose()


AS_JPEG = data_url(picture()).replace("image/png", "image/jpeg")
POSTS: Sequence[tuple[str, Any, int]] = [
    ("page_elements", {}, 422),
    ("page_elements", {"input": []}, 422),
    ("page_elements", {"input": [{"type": "image_url", "url": "http://x/y.png"}]}, 422),
    ("page_elements", {"input": [{"type": "image_url", "url": "data:image/png;base64,AAAA"}]}, 422),
    ("page_elements", {"input": [{"type": "image_url", "url": data_url(picture())}] * 9}, 422),
    ("page_elements", {"input": [{"type": "image_url", "url": AS_JPEG}]}, 422),
    ("captioner", {"model": "m", "messages": []}, 422),
    ("captioner", {"messages": [{"role": "user", "content": "x"}]}, 422),
    ("captioner", {"model": "m", "messages": [{"role": "user", "content": "no image"}]}, 400),
    ("embedder", {"model": "m", "input": ["x"]}, 400),
    ("embedder", {"model": "m", "input": [""], "input_type": "query"}, 400),
    ("embedder", {"model": "m", "input": ["x " * 40_000], "input_type": "query"}, 400),
    ("embedder", {"model": "m", "input": ["x"], "input_type": "query", "dimensions": 4096}, 400),
    ("embedder", {"model": "m", "input": [data_url(picture())], "input_type": "query"}, 400),
    ("embedder", {"model": "m-passage", "input": ["x", "y"], "modality": ["text"]}, 400),
    ("embedder", {"model": "m-passage", "input": ["x"], "modality": "sound"}, 400),
    ("embedder", {"model": "m-passage", "input": ["x", "y"], "modality": "text"}, 200),
    ("embedder", {"model": "m-query", "input": ["x"]}, 200),
    ("reranker", {"model": "m", "query": {"text": "x"}, "passages": []}, 422),
    ("reranker", {"model": "m", "query": "x", "passages": [{"text": "x"}]}, 422),
]


@pytest.fixture(scope="module")
def server() -> Iterator[NimServer]:
    with NimServer() as running:
        yield running


@pytest.mark.parametrize(("port", "body", "status"), POSTS)
def test_server_refuses_what_a_nim_refuses(server: NimServer, port: str, body: Any, status: int) -> None:
    reply = httpx.post(server.url(port), json=body, trust_env=False)
    assert reply.status_code == status
    assert (status == 200) or reply.json()["detail"]


def test_server_tells_about_itself(server: NimServer) -> None:
    root = server.url("page_elements").removesuffix("/v1/infer")
    get = {
        path: httpx.get(root + path, trust_env=False).json()
        for path in ("/v1/health/ready", "/v1/metadata", "/v1/models")
    }
    assert get["/v1/health/ready"]["ready"] is True
    assert get["/v1/metadata"]["modelInfo"][0]["shortName"].endswith(":1.8.0")
    assert get["/v1/models"]["object"] == "list"
    assert httpx.get(root + "/v1/health/live", trust_env=False).status_code == 200


def test_capacity_bounds_what_is_worked_on_and_clients_keep_to_their_limit() -> None:
    with NimServer(latency=0.01, capacity=3) as server:
        captioner = NimCaptioner(server.endpoints(concurrency=5)["captioner"])
        request = CaptionRequest(picture=picture())

        async def work(one: NimCaptioner) -> None:
            await asyncio.gather(*(one.caption(request) for _ in range(40)))

        asyncio.run(using(captioner, work))
        assert server.peak("captioner") == 5


def test_command_serves_and_says_how_to_reach_it() -> None:
    command = [sys.executable, "-m", "nemo_retriever_dagster.testing.nim_server", "--simple", "--first-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            urls = {}
            while "VLM_CAPTION_ENDPOINT" not in urls:
                match = re.match(r"export (\w+)=(http://127\.0\.0\.1:\d+/\S+)", process.stdout.readline())
                assert match, process.stderr.read() if process.stderr else ""
                urls[match[1]] = match[2]
            captioner = NimCaptioner(NimEndpoint(urls=urls["VLM_CAPTION_ENDPOINT"]))
            found = asyncio.run(using(captioner, lambda one: one.caption(CaptionRequest(picture=picture()))))
        finally:
            process.terminate()
    assert found.text.startswith("A picture of 64 by 48")


def test_engine_that_was_not_handed_in_is_named(server: NimServer) -> None:
    with pytest.raises(InvalidOptionError, match="'ocr'"):
        server.url("ocr")
