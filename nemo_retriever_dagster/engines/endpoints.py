"""Where a NIM is and how hard it may be pressed: one frozen value an endpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from nemo_retriever_dagster.engines.addresses import problem_with
from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOSTED = (".api.nvidia.com", ".nvcf.nvidia.com")
KEY_VARIABLES = ("NVIDIA_API_KEY", "NGC_API_KEY")
"""Environment variables that hold the key of the hosted endpoints, in order."""


_ENGLISH = "en-US"


def is_hosted(url: str) -> bool:
    """Whether ``url`` is one of NVIDIA's hosted endpoints (they need a key and bound the size of images)."""
    host = "" if problem_with(url) else urlsplit(url).hostname or ""
    return host.endswith(_HOSTED)


def with_scheme(url: str) -> str:
    """Return ``url`` with ``http://`` before it where it names no scheme, ``https://`` where a key goes to NVIDIA."""
    url = url.strip().rstrip("/")
    if "://" in url:
        return url
    return f"https://{url}" if is_hosted(f"https://{url}") else f"http://{url}"


def usable(key: SecretStr | None) -> SecretStr | None:
    """Return a key without what is blank around it (files end with a new line), None for an empty one.

    `InvalidOptionError` for one that no header can carry.
    """
    text = key.get_secret_value().strip() if key is not None else ""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise InvalidOptionError(
            "The key of a NIM endpoint holds a blank, or a character that no key has.",
            hint="Give the key alone, as it was issued, without 'Bearer'.",
        )
    return SecretStr(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NimEndpoint:
    """One NIM (or another server that speaks its protocol), reachable under one URL or several equal ones.

    A URL is the full address that is called, e.g. ``http://localhost:8000/v1/infer``; embeddings also take the ``/v1``
    base, rerankers and chat models the server's address. Times are seconds. ``rate_limit`` is requests a minute, 0 for
    no limit; ``batch`` is inputs a request, 0 for the NIM's own usual number. ``dialect`` names a variant of the
    protocol where URL and model do not tell it. `InvalidOptionError` names a field whose value cannot be.
    """

    urls: str | Sequence[str]
    model: str = ""
    api_key: SecretStr | None = None
    timeout: float = 60.0
    """For one attempt, from the first byte sent to the last byte received."""
    deadline: float = 300.0
    """For one request with all its attempts and waits; time spent in the queue before the first does not count."""
    attempts: int = 5
    concurrency: int = 8
    """Requests in flight at most, all URLs together, for one event loop."""
    batch: int = 0
    rate_limit: float = 0.0
    backoff: float = 0.5
    """Upper bound of the first random wait; it doubles with every attempt."""
    backoff_cap: float = 30.0
    """Longest wait between two attempts; a longer ``Retry-After`` is cut to it."""
    breaker_after: int = 5
    """Failures in a row after which a URL is set aside."""
    breaker_pause: float = 5.0
    """How long before a URL that was set aside is probed; doubles up to ``backoff_cap`` while the probes fail."""
    dialect: str = ""
    dimensions: int = 0
    """Length of the vectors to ask an embedder for; 0 for the model's own."""
    language: str = _ENGLISH
    """Of the speech, for ASR."""
    function_id: str = ""
    """Of a hosted Riva function."""
    prompt: str = ""
    """What a captioner is asked where the call does not say; empty for its usual question."""
    system_prompt: str = ""
    """The same for its system prompt."""

    def __post_init__(self) -> None:
        """Refuse values that could only fail later."""
        if not self.targets:
            raise InvalidOptionError(
                "A NIM endpoint needs a URL.", hint="Give its full address, with http:// or https://."
            )
        for url in self.targets:
            if problem := problem_with(url):
                hint = "Give its full address, with http:// or https://."
                raise InvalidOptionError(f"{url} is not the address of a NIM: {problem}.", hint=hint)
        usable(self.api_key)
        for name in ("timeout", "deadline", "attempts", "concurrency", "breaker_after"):
            self._at_least(name, above=0)
        for name in ("batch", "rate_limit", "backoff", "backoff_cap", "breaker_pause", "dimensions"):
            self._at_least(name, above=-1)

    def _at_least(self, name: str, *, above: int) -> None:
        value = getattr(self, name)
        if (value <= 0) if above == 0 else (value < 0):
            raise InvalidOptionError(
                f"{name}={value} is not possible for a NIM endpoint.", hint="Give a larger number."
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """The URLs, one by one: a string may hold several, separated by commas."""
        urls = self.urls.split(",") if isinstance(self.urls, str) else self.urls
        return tuple(with_scheme(url) for url in urls if url.strip())

    @property
    def language_mark(self) -> str:
        """What the language adds to the name of a transcriber, "" for English: in another one it hears other words."""
        return "" if self.language == _ENGLISH else f"@{self.language}"

    @property
    def hosted(self) -> bool:
        """Whether one of the URLs is NVIDIA's."""
        return any(is_hosted(url) for url in self.targets)

    def key_for(self, url: str) -> SecretStr | None:
        """Return the key to send to ``url``: the given one, else for NVIDIA's own hosts the environment's."""
        if self.api_key is not None or not is_hosted(url):
            return usable(self.api_key)
        found = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), "")
        return usable(SecretStr(found))
