"""Whom a status blames: the caller, the document, or nobody; and what is quoted of a reply."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from nemo_retriever_dagster.engines.endpoints import NimEndpoint
from nemo_retriever_dagster.engines.http import HttpClient
from nemo_retriever_dagster.errors import (
    Category,
    EngineReplyError,
    EngineUnavailableError,
    MisuseError,
    RefusedSettingError,
    RejectedInputError,
    RequestTooLargeError,
    RetrieverError,
)
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

KEY = "canary-62bd"


def talk(reply: Reply, call: Callable[[HttpClient], Awaitable[Any]], **changes: Any) -> RetrieverError:
    """Return the error of ``call`` at a server that always answers with ``reply``; tell if it was asked twice."""
    posted = 0

    async def answer(request: Request) -> Reply:
        nonlocal posted
        posted += request.method == "POST"
        return reply

    async def work() -> RetrieverError:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/infer"
            client = HttpClient(NimEndpoint(urls=url, attempts=2, backoff=0.001, **changes), name="nim/test")
            try:
                with pytest.raises(RetrieverError) as caught:
                    await call(client)
            finally:
                await client.aclose()
        assert posted == (2 if isinstance(caught.value, EngineReplyError) else 1)
        return caught.value

    return asyncio.run(work())


def unread(reply: Any) -> Any:
    raise EngineReplyError("it holds no 'data'")


def post(client: HttpClient) -> Awaitable[Any]:
    return client.post_json({}, unread)


@pytest.mark.parametrize("status", [301, 307, 402, 406, 407, 410, 411, 415, 421, 426])
@pytest.mark.parametrize("call", [post, HttpClient.check])
def test_what_no_document_can_help_is_misuse(status: int, call: Any) -> None:
    error = talk(json_reply({"detail": "no"}, status), call)
    assert type(error) is MisuseError
    assert f"HTTP {status}: no" in error.message
    assert error.hint


@pytest.mark.parametrize(
    "words",
    [
        "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
        "Client sent an HTTP request to an HTTPS server.",
    ],
)
@pytest.mark.parametrize("call", [post, HttpClient.check])
def test_a_server_that_wants_tls_blames_no_document(words: str, call: Any) -> None:
    error = talk(Reply(status=400, body=words.encode()), call)
    assert type(error) is MisuseError
    assert "https://" in error.hint


def test_a_redirect_tells_where_to_without_its_secrets() -> None:
    moved = json_reply({}, 308, location="/v2/infer?token=canary")
    error = talk(moved, post)
    assert error.hint.endswith("/v2/infer?token=***")
    assert error.hint.startswith("Give the address it redirects to: http://127.0.0.1:")


def test_a_refused_document_has_a_next_step() -> None:
    error = talk(json_reply({"detail": "odd"}, 422), post)
    assert type(error) is RejectedInputError
    assert "model and dialect" in error.hint


def test_what_is_too_large_says_so() -> None:
    error = talk(json_reply({}, 413), post)
    assert type(error) is RequestTooLargeError
    assert "gateway" in error.hint


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "The model `a/b` does not exist.", "param": None, "code": 400},
        {"error": {"message": "Unknown model: a/b", "type": "invalid_request_error"}},
        {"error": {"message": "no", "param": "model", "code": "model_not_found"}},
        {"message": "no", "param": "dimensions"},
        {"message": 'Model "a/b" does not support matryoshka representation.'},
        {"error": "input_type parameter is required for asymmetric models"},
        {"detail": [{"type": "literal_error", "loc": ["body", "model"], "msg": "Input should be 'c'"}]},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "dimensions"], "input": 4}]},
    ],
)
def test_a_setting_that_is_refused_blames_no_document(status: int, body: Any) -> None:
    error = talk(json_reply(body, status), post)
    assert type(error) is RefusedSettingError
    assert error.category is Category.MISUSE
    assert f"HTTP {status}: " in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"message": "input: the model `a/b` does not exist."},  # a server may quote a document
        {"message": "The model read: token not found", "param": "input"},
        {"message": "This model's maximum context length is 4096 tokens.", "param": "max_tokens"},
        {"detail": [{"loc": ["body", "input", 3], "msg": "too short", "input": "Unknown model"}]},
        {"detail": [{"loc": ["body", "input"]}, {"loc": ["body", "model"]}]},
        {"detail": [{"loc": "model"}, "model", None]},
        {"detail": []},
        {"error": {"param": ["model"]}},
        ["model"],
    ],
)
def test_what_may_be_the_documents_stays_so(body: Any) -> None:
    assert type(talk(json_reply(body, 400), post)) is RejectedInputError


def test_an_empty_probe_may_lack_settings() -> None:
    async def answer(request: Request) -> Reply:
        missing = {"detail": [{"type": "missing", "loc": ["body", "model"]}]}
        return json_reply(missing, 422) if request.method == "POST" else json_reply({}, 404)

    async def work() -> None:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/infer"
            client = HttpClient(NimEndpoint(urls=url), name="nim/test")
            await client.check()
            await client.aclose()

    asyncio.run(work())


def test_a_key_is_not_shown_where_the_quoted_words_are_cut() -> None:
    refused = json_reply({"detail": "x" * 490 + KEY}, 422)
    assert "canary" not in str(talk(refused, post, api_key=SecretStr(KEY)))
    broken = Reply(body=b"y" * 92 + KEY.encode())
    assert "canary" not in str(talk(broken, post, api_key=SecretStr(KEY)))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(body=b"<html>\n <h1>Sign in</h1>"), "begins with '<html> <h1>Sign in</h1>'."),
        (Reply(body=b" \n"), "it is empty."),
        (Reply(status=204), "it is empty."),
        (json_reply({"error": {"message": "out of\nmemory"}}), "it holds no 'data'; it says: out of memory."),
        (json_reply({"detail": "busy"}), "it holds no 'data'; it says: busy."),
        (json_reply(["error"]), "contract: it holds no 'data'."),
    ],
)
def test_a_broken_reply_is_quoted(reply: Reply, words: str) -> None:
    assert f"{words} Given up after 2 requests" in talk(reply, post).message


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS greeting as servers without TLS do."""
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    writer.close()


def hint_at(tls: ssl.SSLContext | None) -> str:
    async def work() -> str:
        async with await asyncio.start_server(plain, "127.0.0.1", 0, ssl=tls) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/infer"
            client = HttpClient(NimEndpoint(urls=url, attempts=1), name="nim/test")
            with pytest.raises(EngineUnavailableError) as caught:
                await post(client)
            await client.aclose()
            return caught.value.hint

    return asyncio.run(work())


def test_a_server_without_tls_has_a_next_step() -> None:
    assert hint_at(None) == "It speaks no TLS: write http:// before its address."


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_nobody_trusts_has_a_next_step(tmp_path: Path) -> None:
    made = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1"
    subprocess.run(["openssl", *made.split()], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert "SSL_CERT_FILE" in hint_at(tls)
