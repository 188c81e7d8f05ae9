"""Addresses, keys and surroundings of a NIM that cannot be used, told before a document is blamed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from pydantic import SecretStr

from nemo_retriever_dagster.engines import http
from nemo_retriever_dagster.engines.addresses import beside, health_url, origin
from nemo_retriever_dagster.engines.nim import NimCaptioner, NimEmbedder, NimEndpoint, NimReranker
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.errors import EngineUnavailableError, InvalidOptionError, MisuseError
from nemo_retriever_dagster.testing import NimServer

KEY = "canary-73cf"


def embed(endpoint: NimEndpoint) -> Any:
    async def work() -> Any:
        embedder = NimEmbedder(endpoint)
        try:
            return await embedder.embed([EmbedInput(text="x")])
        finally:
            await embedder.aclose()

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("htp://host/v1", "'htp'"),
        ("http://host:port/v1", "'port'"),
        ("http://host:99999/v1", "0-65535"),
        ("http://[::1/v1", "IPv6"),
        ("http://my host/v1", "names no server"),
        ("http:///v1", "names no server"),
        ("http://good/v1, http://:80", "names no server"),
    ],
)
def test_what_is_no_address_is_refused_when_it_is_named(url: str, why: str) -> None:
    with pytest.raises(InvalidOptionError, match=why) as caught:
        NimEndpoint(urls=url)
    assert "http://" in caught.value.hint


def test_a_scheme_that_this_client_does_not_speak_is_misuse_and_not_tried_again() -> None:
    for call in (embed, lambda endpoint: asyncio.run(NimEmbedder(endpoint).check())):
        with pytest.raises(MisuseError, match="'grpc://'") as caught:
            call(NimEndpoint(urls="grpc://127.0.0.1:1"))
        assert "Given up" not in caught.value.message


def test_nvidias_hosts_are_called_over_tls_where_no_scheme_says_otherwise() -> None:
    assert NimEndpoint(urls="integrate.api.nvidia.com/v1").targets == ("https://integrate.api.nvidia.com/v1",)
    assert NimEndpoint(urls="nim.example.org/v1").targets == ("http://nim.example.org/v1",)


def test_a_query_stays_behind_the_path() -> None:
    embedder = NimEmbedder(NimEndpoint(urls=["http://a/v1?k=1", "http://a/x/embeddings?k=/v1", "http://a?k=1"]))
    assert embedder.http.endpoint.targets == (
        "http://a/v1/embeddings?k=1",
        "http://a/x/embeddings?k=/v1",
        "http://a/v1/embeddings?k=1",
    )
    reranker = NimReranker(NimEndpoint(urls="http://a/v1/rerank?k=1"))
    assert (reranker.dialect, reranker.http.endpoint.targets) == ("cohere", ("http://a/v1/rerank?k=1",))
    captioner = NimCaptioner(NimEndpoint(urls="http://a/v1/?k=1"))
    assert captioner.http.endpoint.targets == ("http://a/v1/chat/completions?k=1",)
    assert health_url("http://a/v1/infer?k=/v1") == "http://a/v1/health/ready?k=/v1"
    assert beside("http://a/x?k=1", "models") == "http://a/x/v1/models?k=1"


def test_an_error_names_an_ipv6_host_as_it_is_written_and_no_user() -> None:
    assert origin("http://user:word@[::1]:9/v1") == "http://[::1]:9"
    with pytest.raises(EngineUnavailableError, match=r"at http://\[::1\]:9 cannot be reached"):
        embed(NimEndpoint(urls="http://[::1]:9", attempts=1))


@pytest.mark.parametrize("around", ["{}\n", " {} \r\n"])
def test_a_key_may_end_with_a_new_line(around: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with NimServer(api_key=KEY) as server:
        endpoint = NimEndpoint(urls=server.url("embedder"), api_key=SecretStr(around.format(KEY)))
        assert embed(endpoint).shape == (1, 2048)
    monkeypatch.setenv("NVIDIA_API_KEY", around.format(KEY))
    hosted = NimEndpoint(urls="https://integrate.api.nvidia.com/v1")
    assert hosted.key_for(hosted.targets[0]) == SecretStr(KEY)


@pytest.mark.parametrize("key", [f"Bearer {KEY}", f"{KEY}\n{KEY}", f"ключ-{KEY}", f"{KEY}\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        NimEndpoint(urls="x", api_key=SecretStr(key))
    assert KEY not in repr(caught.value) + str(caught.value)
    monkeypatch.setenv("NVIDIA_API_KEY", key)
    with pytest.raises(InvalidOptionError):
        embed(NimEndpoint(urls="https://integrate.api.nvidia.com/v1"))


def test_a_blank_key_is_none() -> None:
    assert NimEndpoint(urls="x", api_key=SecretStr(" \n")).key_for("http://x") is None


@pytest.mark.parametrize("address", ["http://user:canary-1@{}", "http://canary-1@{}", "http://{}?x-key=canary-1"])
def test_what_an_address_holds_is_not_logged(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="httpx"), NimServer() as server:
        host = server.url("embedder").removeprefix("http://")
        embed(NimEndpoint(urls=address.format(host)))
    assert "HTTP Request: POST http://" in caplog.text
    assert "***" in caplog.text
    assert "canary-1" not in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5h://127.0.0.1:9"),
        ("HTTP_PROXY", "foo://x"),
        ("NO_PROXY", "[::1]"),
        ("SSL_CERT_FILE", "/none"),
    ],
)
def test_surroundings_that_no_client_can_be_made_in_are_told(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    http._trust.cache_clear()
    try:
        for call in (embed, lambda endpoint: asyncio.run(NimEmbedder(endpoint).check())):
            with pytest.raises(MisuseError, match="cannot be called here") as caught:
                call(NimEndpoint(urls="http://127.0.0.1:9"))
            assert name in caught.value.hint
    finally:
        http._trust.cache_clear()
