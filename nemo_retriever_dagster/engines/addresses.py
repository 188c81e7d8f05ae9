"""The addresses of a NIM: the one that is called, those of its health and models, and what an error names it by."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

_SCHEMES = {"http", "https", "grpc", "grpcs"}


def problem_with(url: str) -> str:
    """Return why ``url`` cannot be called, "" if it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as cause:
        return str(cause)
    if parts.scheme not in _SCHEMES:
        return f"its scheme is {parts.scheme!r}"
    return "" if parts.hostname and not any(map(str.isspace, parts.netloc)) else "it names no server"


def completed(url: str, route: str, whole: tuple[str, ...] = ()) -> str:
    """Return ``url`` with ``route`` behind its ``/v1``, which is added where it is missing; a query stays at the end.

    An address whose path ends like one of ``whole`` is complete already.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path.endswith(whole):
        return url
    path = path if path.endswith("/v1") else f"{path}/v1"
    return urlunsplit(parts._replace(path=path + route))


def beside(url: str, route: str) -> str:
    """Return the address of another route under the ``/v1`` of the server that ``url`` belongs to."""
    parts = urlsplit(url)
    root = parts.path[: parts.path.rindex("/v1")] if "/v1" in parts.path else parts.path
    return urlunsplit(parts._replace(path=f"{root}/v1/{route}"))


def health_url(url: str) -> str:
    """Return the readiness route of the server that ``url`` belongs to."""
    return beside(url, "health/ready")


def origin(url: str) -> str:
    """Return scheme, host and port: what an error names a server by."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
