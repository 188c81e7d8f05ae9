"""The one HTTP client of all engines: JSON out, validated value in, every failure one typed error."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

import httpx

from nemo_retriever_dagster.engines.addresses import beside, health_url, origin
from nemo_retriever_dagster.engines.caller import Caller
from nemo_retriever_dagster.engines.endpoints import is_hosted
from nemo_retriever_dagster.engines.refusals import in_body, refusal, without
from nemo_retriever_dagster.engines.retries import AttemptFailedError
from nemo_retriever_dagster.errors import (
    EngineReplyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MisuseError,
    RefusedSettingError,
    RetrieverError,
    redact,
)
from nemo_retriever_dagster.tokens import encodable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from nemo_retriever_dagster.engines.endpoints import NimEndpoint

T = TypeVar("T")
_MANY_TOKENS = 10**12  # more is no count: no ledger could add it up
_WORDS, _START, _LOOKED_AT = 500, 100, 4096  # characters: of a reason, of what is no JSON, of a reply that is quoted
_NOT_A_URL = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_TLS = {
    "CERTIFICATE_VERIFY_FAILED": "Name the file with the certificate of who signed its certificate in SSL_CERT_FILE.",
    "WRONG_VERSION_NUMBER": "It speaks no TLS: write http:// before its address.",
}
"""What OpenSSL says, and what to do about it."""


class _Redacted(logging.Filter):
    """Takes the secrets out of what httpx logs: it names every address it calls, with all that stands in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, redacted."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True


logging.getLogger("httpx").addFilter(_Redacted())


class HttpClient:
    """Speaks HTTP to the servers of one endpoint; connections are kept per event loop."""

    def __init__(self, endpoint: NimEndpoint, *, name: str) -> None:
        """Prepare the client; nothing is sent yet."""
        self.endpoint = endpoint
        self.name = name
        self._caller = Caller(endpoint, name=name)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def post_json(
        self,
        body: Mapping[str, Any],
        read: Callable[[Any], T],
        *,
        items: int = 1,
        attempts: int = 0,
        patient: bool = True,
    ) -> T:
        """POST ``body`` and return ``read(reply)``; ``read`` raises `EngineReplyError` where the contract is broken.

        ``attempts`` and ``patient``: see `Caller.call`.
        """
        content = await asyncio.to_thread(_encoded, body)
        del body  # pictures are in memory once while the request waits
        headers = {"content-type": "application/json"}

        async def send(url: str) -> httpx.Response:
            return await self._post(url, headers=headers, content=content)

        def understood(reply: httpx.Response) -> tuple[T, int]:
            return self._read(reply, read)

        return await self._caller.call(send, understood, items=items, attempts=attempts, patient=patient)

    async def post_form(self, fields: Mapping[str, str], file: tuple[str, bytes, str], read: Callable[[Any], T]) -> T:
        """POST a multipart form with one file (name, bytes, media type) and return ``read(reply)``."""

        async def send(url: str) -> httpx.Response:
            return await self._post(url, data=dict(fields), files={"file": file})

        return await self._caller.call(send, lambda reply: self._read(reply, read))

    async def check(self) -> None:
        """Raise unless one of the servers is ready; `MisuseError` if it is there and refuses the key."""
        problems = [problem for url in self.endpoint.targets if (problem := await self._problem(url)) is not None]
        if len(problems) == len(self.endpoint.targets):
            raise problems[0]

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def _post(self, url: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
        try:
            response = await self._client().post(url, headers={**self._auth(url), **(headers or {})}, **body)
        except httpx.TimeoutException as cause:
            error: RetrieverError = EngineTimeoutError(f"{self.name} at {url} did not answer in time.")
            raise AttemptFailedError(error, again=True, down=True) from cause
        except _NOT_A_URL as cause:
            raise AttemptFailedError(_no_url(url, cause), again=False) from cause
        except httpx.HTTPError as cause:
            raise AttemptFailedError(self._unreachable(url, cause), again=True, down=True) from cause
        if not response.is_success:
            raise refusal(response, self.name, self.endpoint.key_for(url))
        return response

    def _read(self, response: httpx.Response, read: Callable[[Any], T]) -> tuple[T, int]:
        reply = None
        try:
            reply = read_json(response.content)
            return read(reply), _tokens(reply)
        except EngineReplyError as error:
            said = in_body(reply, ("error", "detail"))
            what = f"{error.message}; it says: {said}" if said else error.message
            raise AttemptFailedError(self._broken(what, response), again=True) from error
        except (ValueError, RecursionError) as error:
            start = self._quoted(response.content[:_LOOKED_AT].decode("utf-8", "replace"), response)[:_START]
            what = f"it is not JSON ({error}) but begins with {start!r}" if start else "it is empty"
            raise AttemptFailedError(self._broken(what, response), again=True) from error

    def _broken(self, what: str, response: httpx.Response) -> EngineReplyError:
        hint = "Is the URL that of the right NIM, in a version this package knows? See docs/nim.md."
        what = self._quoted(what, response)[:_WORDS]
        return EngineReplyError(f"The reply of {self.name} breaks its contract: {what}.", hint=hint)

    def _quoted(self, text: str, response: httpx.Response) -> str:
        """Return a server's words on one line, without the key that it may have echoed."""
        return without(" ".join(text.split()), self.endpoint.key_for(str(response.request.url)))

    def _unreachable(self, url: str, cause: Exception) -> EngineUnavailableError:
        words = f"{type(cause).__name__}: {cause}".rstrip(": ")
        hint = next((hint for sign, hint in _TLS.items() if sign in words), "")
        hint = hint or f"Is the server at {origin(url)} up? Ask {health_url(url)}."
        return EngineUnavailableError(f"{self.name} at {origin(url)} cannot be reached ({words}).", hint=hint)

    def _auth(self, url: str) -> dict[str, str]:
        key = self.endpoint.key_for(url)
        return {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = self._connected()
        return self._clients[loop]

    def _connected(self) -> httpx.AsyncClient:
        many = self.endpoint.concurrency + 2  # health checks pass by
        # Loopback never goes through a proxy that the environment names.
        direct = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
        try:
            return httpx.AsyncClient(
                timeout=self.endpoint.timeout,
                limits=httpx.Limits(max_connections=many, max_keepalive_connections=many),
                headers={"accept": "application/json"},
                verify=_trust(),
                mounts=direct,
            )
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as cause:
            hint = (
                "Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY (an http:// one), NO_PROXY (no brackets), SSL_CERT_FILE "
                "and SSL_CERT_DIR."
            )
            raise MisuseError(f"{self.name} cannot be called here: {str(cause).rstrip('.')}.", hint=hint) from cause

    async def _problem(self, url: str) -> RetrieverError | None:
        """Return why the server behind ``url`` cannot be used, or None."""
        client, patience = self._client(), min(self.endpoint.timeout, 5.0)
        try:
            if not is_hosted(url):
                health = await client.get(health_url(url), headers=self._auth(url), timeout=patience)
                if health.is_success:
                    return None
                if not (health.is_client_error or health.is_redirect):
                    return EngineUnavailableError(
                        f"{self.name} at {origin(url)} is not ready (HTTP {health.status_code})."
                    )
            # No health route for us: an empty body is refused with a 4xx by a server that is there and takes the key.
            probe = await client.post(url, json={}, headers=self._auth(url), timeout=patience)
            if probe.status_code == httpx.codes.INTERNAL_SERVER_ERROR and not is_hosted(url):
                # Some answer an empty body as if it were their own fault (llama.cpp); they list their models.
                probe = await client.get(beside(url, "models"), headers=self._auth(url), timeout=patience)
        except _NOT_A_URL as cause:
            return _no_url(url, cause)
        except httpx.HTTPError as cause:
            return self._unreachable(url, cause)
        if probe.is_success:
            return None
        error = refusal(probe, self.name, self.endpoint.key_for(url)).error
        lacks = isinstance(error, RefusedSettingError)  # of an empty body, some name the settings first
        there = probe.is_client_error and (lacks or not isinstance(error, MisuseError))
        return None if there else error


def _encoded(body: Mapping[str, Any]) -> bytes:
    return encodable(json.dumps(body, ensure_ascii=False, separators=(",", ":"))).encode()


def _no_url(url: str, cause: Exception) -> MisuseError:
    return MisuseError(f"{url} is not a URL: {cause}.", hint="Give its full address, with http:// or https://.")


@cache
def _trust() -> ssl.SSLContext:
    """Return the certificates to trust, read once: that takes as long as many requests."""
    return httpx.create_ssl_context()


def read_json(content: str | bytes) -> Any:
    """Return the value of a reply, its texts without halves of characters: no later stage could write them.

    Raises `EngineReplyError` for NaN and infinity, `ValueError` for what is not JSON.
    """
    if isinstance(content, bytes):
        content = content.decode(json.detect_encoding(content), "surrogatepass")
    value = json.loads(encodable(content), parse_constant=_no_constant)
    if "\\u" in content:  # which can spell a half, too
        value = json.loads(encodable(json.dumps(value, ensure_ascii=False)))
    return value


def _no_constant(name: str) -> NoReturn:
    raise EngineReplyError(f"it holds {name}, which is not a number")


def _tokens(reply: Any) -> int:
    usage = reply.get("usage") if isinstance(reply, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and 0 < total < _MANY_TOKENS else 0
