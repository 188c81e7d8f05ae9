"""The one HTTP client of all engines: JSON out, validated value in, every failure one typed error."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx

from nemo_retriever_dagster.engines.caller import Caller
from nemo_retriever_dagster.engines.endpoints import is_hosted
from nemo_retriever_dagster.engines.retries import AttemptFailedError, retry_after
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineReplyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MisuseError,
    RejectedInputError,
    RetrieverError,
)
from nemo_retriever_dagster.tokens import encodable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from nemo_retriever_dagster.engines.endpoints import NimEndpoint

T = TypeVar("T")
_WORDS = 500  # characters of a server's reply that an error quotes
_BUSY = {425, 429, 503}
_REFUSED = {
    401: ("refuses the key", "Set a valid key: api_key of the endpoint, or NVIDIA_API_KEY for the hosted ones."),
    402: ("has no credits left", "Check the account's credits, or use a self-hosted NIM."),
    403: ("refuses the key", "Is the key entitled to this model? Set a valid one, or use a self-hosted NIM."),
    404: ("knows no such address or model", "Check the endpoint's URL and model name."),
    405: ("does not take this call", "Check the endpoint's URL: it is the full address that is called."),
}


class HttpClient:
    """Speaks HTTP to the servers of one endpoint; connections are kept per event loop."""

    def __init__(self, endpoint: NimEndpoint, *, name: str) -> None:
        """Prepare the client; nothing is sent yet."""
        self.endpoint = endpoint
        self.name = name
        self._caller = Caller(endpoint, name=name)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def post_json(
        self, body: Mapping[str, Any], read: Callable[[Any], T], *, items: int = 1, attempts: int = 0
    ) -> T:
        """POST ``body`` and return ``read(reply)``; ``read`` raises `EngineReplyError` where the contract is broken."""
        content = encodable(json.dumps(body, ensure_ascii=False, separators=(",", ":"))).encode()
        headers = {"content-type": "application/json"}

        async def send(url: str) -> httpx.Response:
            return await self._post(url, headers=headers, content=content)

        return await self._caller.call(send, lambda reply: self._read(reply, read), items=items, attempts=attempts)

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
        except httpx.InvalidURL as cause:
            raise AttemptFailedError(MisuseError(f"{url} is not a URL: {cause}."), again=False) from cause
        except httpx.HTTPError as cause:
            raise AttemptFailedError(self._unreachable(url, cause), again=True, down=True) from cause
        if not response.is_success:
            raise self._refused(response, url)
        return response

    def _read(self, response: httpx.Response, read: Callable[[Any], T]) -> tuple[T, int]:
        try:
            reply = read_json(response.content)
            return read(reply), _tokens(reply)
        except EngineReplyError as error:
            raise AttemptFailedError(self._broken(error.message), again=True) from error
        except (ValueError, RecursionError) as error:
            raise AttemptFailedError(self._broken(f"it is not JSON ({error})"), again=True) from error

    def _broken(self, what: str) -> EngineReplyError:
        hint = "Is the URL that of the right NIM, in a version this package knows? See docs/nim.md."
        return EngineReplyError(f"The reply of {self.name} breaks its contract: {what}.", hint=hint)

    def _unreachable(self, url: str, cause: Exception) -> EngineUnavailableError:
        words = f"{type(cause).__name__}: {cause}".rstrip(": ")
        hint = f"Is the server at {_origin(url)} up? Ask {health_url(url)}."
        return EngineUnavailableError(f"{self.name} at {_origin(url)} cannot be reached ({words}).", hint=hint)

    def _refused(self, response: httpx.Response, url: str) -> AttemptFailedError:
        status, words = response.status_code, self._words(response, url)
        said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
        if status in _BUSY:
            wait = retry_after(response.headers.get("retry-after"))
            busy = EngineBusyError(f"{self.name} is busy ({said}).", hint="Lower the endpoint's concurrency.")
            return AttemptFailedError(busy, again=True, down=status == httpx.codes.SERVICE_UNAVAILABLE, wait=wait)
        if status in {408, 504}:
            late = EngineTimeoutError(f"{self.name} did not answer in time ({said}).")
            return AttemptFailedError(late, again=True, down=True)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            broken = EngineUnavailableError(f"{self.name} failed ({said}).", hint="See the NIM's own log.")
            return AttemptFailedError(broken, again=True, down=True)
        if status in _REFUSED or status < httpx.codes.BAD_REQUEST:
            does, hint = _REFUSED.get(status, ("answers with a redirect", "Give the address it redirects to."))
            return AttemptFailedError(MisuseError(f"{self.name} at {url} {does} ({said}).", hint=hint), again=False)
        return AttemptFailedError(RejectedInputError(f"{self.name} refuses the input ({said})."), again=False)

    def _words(self, response: httpx.Response, url: str) -> str:
        """Return what the server says, in its words, cut, and without the key it may have echoed."""
        text = " ".join(_message(response).split())[:_WORDS]
        key = self.endpoint.key_for(url)
        return text.replace(key.get_secret_value(), "***") if key and key.get_secret_value() else text

    def _auth(self, url: str) -> dict[str, str]:
        key = self.endpoint.key_for(url)
        return {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            many = self.endpoint.concurrency + 2  # health checks pass by
            # Loopback never goes through a proxy that the environment names.
            direct = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
            self._clients[loop] = httpx.AsyncClient(
                timeout=self.endpoint.timeout,
                limits=httpx.Limits(max_connections=many, max_keepalive_connections=many),
                headers={"accept": "application/json"},
                verify=_trust(),
                mounts=direct,
            )
        return self._clients[loop]

    async def _problem(self, url: str) -> RetrieverError | None:
        """Return why the server behind ``url`` cannot be used, or None."""
        client, patience = self._client(), min(self.endpoint.timeout, 5.0)
        try:
            if not is_hosted(url):
                health = await client.get(health_url(url), headers=self._auth(url), timeout=patience)
                if health.is_success:
                    return None
                if health.status_code not in {401, 403, 404, 405}:
                    return EngineUnavailableError(
                        f"{self.name} at {_origin(url)} is not ready (HTTP {health.status_code})."
                    )
            # No health route: an empty body is refused with a 4xx by a server that is there and takes the key.
            probe = await client.post(url, json={}, headers=self._auth(url), timeout=patience)
            if probe.status_code == httpx.codes.INTERNAL_SERVER_ERROR and not is_hosted(url):
                # Some answer an empty body as if it were their own fault (llama.cpp); they list their models.
                probe = await client.get(_v1(url, "models"), headers=self._auth(url), timeout=patience)
        except httpx.HTTPError as cause:
            return self._unreachable(url, cause)
        if probe.is_success or (probe.is_client_error and probe.status_code not in _REFUSED):
            return None
        return self._refused(probe, url).error


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


def health_url(url: str) -> str:
    """Return the readiness route of the server that ``url`` belongs to."""
    return _v1(url, "health/ready")


def _v1(url: str, route: str) -> str:
    root = url[: url.rindex("/v1")] if "/v1" in urlsplit(url).path else url
    return f"{root}/v1/{route}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _no_constant(name: str) -> NoReturn:
    raise EngineReplyError(f"it holds {name}, which is not a number")


def _tokens(reply: Any) -> int:
    usage = reply.get("usage") if isinstance(reply, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total > 0 else 0


def _message(response: httpx.Response) -> str:
    """Find the sentence in an error body: ``detail``, ``error.message``, ``message`` or ``title``, else the text."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    if not isinstance(body, dict):
        return response.text
    found = body.get("detail") or body.get("error") or body.get("message") or body.get("title") or response.text
    found = found.get("message", found) if isinstance(found, dict) else found
    return found if isinstance(found, str) else json.dumps(found)
