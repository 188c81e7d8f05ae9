"""Requests to the services behind the deprecated methods: every fault a typed error that names the service."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineReplyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MisuseError,
    RejectedInputError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECONDS = 300.0
_POLL_SECONDS = 1.0
_REFUSED_KEY = (401, 403)
_TOO_MANY, _FAILED, _REJECTED = 429, 500, 400


class Service:
    """One service by its name. Use as a context manager."""

    def __init__(self, name: str, *, headers: dict[str, str] | None = None, seconds: float = _SECONDS) -> None:
        """Open a client that sends ``headers`` with each request and waits at most ``seconds`` for each."""
        self._name = name
        self._seconds = seconds
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(seconds, connect=10.0))

    def __enter__(self) -> Self:
        """Return the service."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Send a request and return its good reply; any other becomes an error that names the service."""
        with self._faults():
            reply = self._client.request(method, url, **request)
        self._judge(reply)
        return reply

    def wait_for(self, ask: Callable[[], Any], status: Callable[[Any], str]) -> Any:
        """Ask again and again until ``status`` of the answer is ``done``; ``failed`` is an error, so is a long wait."""
        end = time.monotonic() + self._seconds
        while True:
            answer = ask()
            match status(answer):
                case "done":
                    return answer
                case "failed":
                    raise RejectedInputError(f"{self._name} could not parse the document.")
            if time.monotonic() > end:
                raise EngineTimeoutError(f"{self._name} did not finish the document in {self._seconds:.0f} seconds.")
            time.sleep(_POLL_SECONDS)

    @contextmanager
    def fields(self) -> Iterator[None]:
        """Turn a reply that lacks what its contract says into `EngineReplyError`."""
        try:
            yield
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, MisuseError):
                raise
            raise EngineReplyError(f"The reply of {self._name} is not what its contract says: {error!r}.") from error

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise EngineTimeoutError(f"{self._name} did not answer in time.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            hint = "Is it running, and is its address right?"
            raise EngineUnavailableError(f"{self._name} cannot be reached: {error}.", hint=hint) from error

    def _judge(self, reply: httpx.Response) -> None:
        code = reply.status_code
        if reply.is_success:
            return
        said = " ".join(reply.text.split())[:200]
        if code in _REFUSED_KEY:
            raise MisuseError(f"{self._name} refuses the key ({code}).", hint="Check the key in the environment.")
        if code == _TOO_MANY:
            raise EngineBusyError(f"{self._name} asks to be called later.")
        if code >= _FAILED:
            raise EngineUnavailableError(f"{self._name} failed with status {code}. {said}")
        if code >= _REJECTED:
            raise RejectedInputError(f"{self._name} refuses the document with status {code}. {said}")
        raise EngineReplyError(f"{self._name} answered with status {code}.")
