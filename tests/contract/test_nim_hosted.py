"""Hosted endpoints: the environment's key, the probe that tells whether it is taken, and the bound on images.

`NimServer` stands in for the hosts: addresses of the loopback interface are taken for NVIDIA's while a test runs.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from nemo_retriever_dagster.engines import endpoints
from nemo_retriever_dagster.engines.nim import NimCaptioner, NimEmbedder, NimEndpoint, nim_engines, wait_ready
from nemo_retriever_dagster.engines.nim.wire import HOSTED_IMAGE_CHARS
from nemo_retriever_dagster.engines.ports import CaptionRequest, EmbedInput
from nemo_retriever_dagster.errors import MisuseError, RejectedInputError
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.testing import NimServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

KEY = "canary-hosted-51be"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NimServer]:
    monkeypatch.delenv("NVIDIA_API_KEY", raising=False)
    monkeypatch.setenv("NGC_API_KEY", KEY)
    with NimServer(api_key=KEY, image_chars=HOSTED_IMAGE_CHARS) as running:
        yield running


@pytest.fixture
def hosted(server: NimServer, monkeypatch: pytest.MonkeyPatch) -> NimServer:
    monkeypatch.setattr(endpoints, "_HOSTED", (".0.0.1",))
    return server


def using(client: Any, call: Callable[[Any], Awaitable[Any]]) -> Any:
    async def work() -> Any:
        try:
            return await call(client)
        finally:
            await client.aclose()

    return asyncio.run(work())


def noise(side: int) -> Picture:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 255, (side, side, 3), np.uint8)).save(out, "PNG")
    return Picture(data=out.getvalue(), width=side, height=side)


@pytest.mark.parametrize("port", ["embedder", "captioner", "reranker", "page_elements"])
def test_the_key_of_the_environment_is_probed(hosted: NimServer, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hosted.set_ready(False)  # hosts have no health route: it is not asked
    engines = nim_engines({port: NimEndpoint(urls=hosted.url(port))})
    using(engines, lambda found: wait_ready(found, timeout=0))
    monkeypatch.setenv("NVIDIA_API_KEY", "canary-other-90aa")
    with pytest.raises(MisuseError, match="refuses the key") as caught:
        using(engines, lambda found: wait_ready(found, timeout=60))  # at once: waiting cannot mend it
    assert "canary" not in str(caught.value)
    assert "NVIDIA_API_KEY" in caught.value.hint


def test_large_images_are_made_to_fit(hosted: NimServer) -> None:
    captioner = NimCaptioner(NimEndpoint(urls=hosted.url("captioner")))
    assert using(captioner, lambda one: one.caption(CaptionRequest(picture=noise(600)))).text
    embedder = NimEmbedder(NimEndpoint(urls=hosted.url("embedder"), model="nvidia/llama-nemotron-embed-vl-1b-v2"))
    assert using(embedder, lambda one: one.embed([EmbedInput(picture=noise(600))])).shape == (1, 2048)


def test_an_own_server_gets_images_as_they_are_and_no_key(server: NimServer) -> None:
    captioner = NimCaptioner(NimEndpoint(urls=server.url("captioner")))
    with pytest.raises(MisuseError, match="refuses the key"):
        using(captioner, lambda one: one.caption(CaptionRequest(picture=noise(20))))
    with NimServer(image_chars=HOSTED_IMAGE_CHARS) as strict:
        captioner = NimCaptioner(NimEndpoint(urls=strict.url("captioner")))
        with pytest.raises(RejectedInputError, match=f"fewer than {HOSTED_IMAGE_CHARS}"):
            using(captioner, lambda one: one.caption(CaptionRequest(picture=noise(600))))
