"""Single documents at ``http(s)://`` addresses, fetched behind a guard.

An address that resolves to this machine or to a private network is refused unless it is allowed by an option: a list of
links must not become a way to read internal services. The name is resolved once, and the connection goes to the address
that was checked; every redirect passes the same guard.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from nemo_retriever_dagster import dates
from nemo_retriever_dagster.errors import (
    InvalidOptionError,
    SourceNotFoundError,
    SourceUnavailableError,
    UnknownOptionError,
)
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.source_names import Fetched, Listed, Skipped, scratch_name, shown
from nemo_retriever_dagster.source_remote import copy
from nemo_retriever_dagster.storage import named, secrets_of

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Mapping

_OPTIONS = {"allow_private", "headers", "timeout"}
_GONE = {404, 410}
_NO_HEAD = {400, 403, 405, 501}
_DENIED = {401, 403}
_REDIRECTS = 5


class WebPlace:
    """One document at an ``http(s)://`` address.

    Options: ``allow_private`` (bool, default False) admits private and loopback addresses, ``headers`` are sent to this
    server and to none that it redirects to, ``timeout`` is in seconds per network step (default 30).
    """

    def __init__(self, spec: str, options: Mapping[str, Any], limits: Limits) -> None:
        """Check the options; no request is made yet."""
        for name in options:
            if name not in _OPTIONS:
                raise UnknownOptionError.of("storage_options of http(s)://", name, _OPTIONS)
        if "*" in spec:
            raise InvalidOptionError(
                f"{shown(spec)} is a pattern; web servers cannot list.", hint="Name each document."
            )
        self._url = spec
        self._options = options
        self._secrets = secrets_of(options)
        self._limits = limits

    def list(self, skipped: builtins.list[Skipped]) -> Iterator[Listed]:  # noqa: ARG002 (nothing is ever passed over here)
        """Yield the one document; raise `SourceNotFoundError` if the server has none."""
        yield self.look(shown(self._url))

    def owns(self, uri: str) -> bool:
        """Whether ``uri`` is this document."""
        return uri == shown(self._url)

    def look(self, uri: str) -> Listed:
        """Return the version and size the server names now."""
        with self._named("Looking up", uri), self._client() as client:
            reply = client.head(self._url)
            if reply.status_code not in _NO_HEAD:
                return _listed(uri, _checked(reply, uri))
            with client.stream("GET", self._url) as begun:
                return _listed(uri, _checked(begun, uri))

    @contextlib.contextmanager
    def fetch(self, uri: str) -> Iterator[Fetched]:
        """Copy the document to a scratch folder, which goes when the block ends."""
        budget = Budget(self._limits)
        with tempfile.TemporaryDirectory(prefix="nrd-") as folder:
            path = Path(folder) / scratch_name(uri)
            with self._named("Reading", uri), self._client() as client, client.stream("GET", self._url) as reply:
                listed = _listed(uri, _checked(reply, uri))
                budget.check("file_bytes", listed.size)
                digest, size = copy(_in_time(reply, budget), path, budget)
            yield Fetched(path=path, sha256=digest, size=size, version=listed.version, modified=listed.modified)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            transport=GuardedTransport(
                allow_private=bool(self._options.get("allow_private", False)),
                home=httpx.URL(self._url),
                headers=self._options.get("headers", {}),
            ),
            headers={"Accept-Encoding": "identity"},
            timeout=self._options.get("timeout", 30.0),
            follow_redirects=True,
            max_redirects=_REDIRECTS,
            trust_env=False,
        )

    def _named(self, action: str, uri: str) -> contextlib.AbstractContextManager[None]:
        return named(f"{action} {uri}", SourceUnavailableError, secrets=self._secrets)


class GuardedTransport(httpx.BaseTransport):
    """Resolves each request's host once, checks all its addresses, and connects to one that was checked."""

    def __init__(self, *, allow_private: bool, home: httpx.URL, headers: Mapping[str, str]) -> None:
        """Admit private and loopback addresses only with ``allow_private``; send ``headers`` to ``home`` only."""
        self._allow_private = allow_private
        self._home = _origin(home)
        self._headers = headers
        self._inner = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to a checked address, under the host's own name (also for TLS)."""
        host = request.url.host
        pinned = request.url.copy_with(host=self._resolve(host, request.url.port or 0))
        headers = request.headers.copy()
        if _origin(request.url) == self._home:
            headers.update(self._headers)
        extensions = {**request.extensions, "sni_hostname": host}
        return self._inner.handle_request(
            httpx.Request(request.method, pinned, headers=headers, stream=request.stream, extensions=extensions)
        )

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _resolve(self, host: str, port: int) -> str:
        found = [str(facts[4][0]) for facts in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        refused = [address for address in found if not _public(address)]
        if refused and not self._allow_private:
            raise InvalidOptionError(
                f"{host} is at {refused[0]}, an address that is not public: refused.",
                hint="If that server is meant, pass storage_options={'allow_private': True}.",
            )
        return found[0]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _in_time(reply: httpx.Response, budget: Budget) -> Iterator[bytes]:
    """Yield the body as long as it keeps within ``total_seconds``: a server may drip for ever."""
    for block in reply.iter_bytes():
        if time.monotonic() - budget.started > budget.limits.total_seconds:
            raise SourceUnavailableError(
                f"The server needed more than {budget.limits.total_seconds:g} s for one document."
            )
        yield block


def _public(address: str) -> bool:
    number = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(number, ipaddress.IPv6Address):
        # An IPv4 address may travel inside an IPv6 one: mapped, 6to4, Teredo, NAT64.
        inner = number.ipv4_mapped or number.sixtofour or (number.teredo or (None, None))[1]
        if number in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return number.is_global and not number.is_multicast


def _checked(reply: httpx.Response, uri: str) -> httpx.Response:
    if reply.status_code in _GONE:
        raise SourceNotFoundError(f"There is nothing at {uri} (status {reply.status_code}).")
    if reply.status_code in _DENIED:
        hint = "Give the credentials in storage_options={'headers': {...}}."
        raise SourceUnavailableError(f"{uri} may not be read (status {reply.status_code}).", hint=hint)
    if not reply.is_success:
        raise SourceUnavailableError(f"{uri} cannot be read now (status {reply.status_code}).", hint="Try again later.")
    return reply


def _listed(uri: str, reply: httpx.Response) -> Listed:
    length = reply.headers.get("content-length", "")
    size = int(length) if length.isdigit() and "content-encoding" not in reply.headers else -1
    changed = reply.headers.get("last-modified") or ""
    stamp = reply.headers.get("etag") or changed
    # many servers tell the length to one method only: it is no word for a version where there is another
    return Listed(uri=uri, version=stamp.strip('"') or f"-{size}", size=size, modified=dates.of_mail(changed))
