"""What it means that a server answers with another status than 200, and what it says of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx

from nemo_retriever_dagster.engines.retries import AttemptFailedError, retry_after
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MisuseError,
    RefusedSettingError,
    RejectedInputError,
    RequestTooLargeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

_WORDS = 500  # characters of a server's reply that an error quotes
_BUSY = {425, 429, 503}
_LATE = {408, 504}
_OTHER_CALL = ("does not take this call", "Check the endpoint's URL: it is the full address that is called.")
_REFUSED = {
    401: ("refuses the key", "Set a valid key: api_key of the endpoint, or NVIDIA_API_KEY for the hosted ones."),
    402: ("has no credits left", "Check the account's credits, or use a self-hosted NIM."),
    403: ("refuses the key", "Is the key entitled to this model? Set a valid one, or use a self-hosted NIM."),
    404: ("knows no such address or model", "Check the endpoint's URL and model name."),
    407: ("is behind a proxy that wants a password", "Give it in HTTP_PROXY or HTTPS_PROXY, or set NO_PROXY."),
    410: ("serves this model no longer", "Name another model, or another endpoint."),
    **dict.fromkeys((405, 406, 411, 415, 421, 426), _OTHER_CALL),
}
"""Statuses that blame the caller and no document: what the server does, and what to do about it."""
_WANTS_TLS = ("plain HTTP request", "HTTP request to an HTTPS server")  # nginx and Go say so with a 400
_CHECKED = {400, 422}  # the body was looked at, field by field
_OWN_NAMES = ("dimensions", "input_type", "encoding_format", "merge_levels", "response_format", "chat_template_kwargs")
_SETTINGS = frozenset({*_OWN_NAMES, "model", "truncate", "modality", "language", "temperature", "top_p", "stream"})
"""Fields of a request that say how an endpoint is used; the others hold what is a document's."""
_SETTING_REFUSED = re.compile(
    r"\W*(?:error:\s*)?(?:"
    r"(?:unknown|no such|invalid|unsupported|unavailable) model\b"
    r"|(?:the |requested )*model\W+\S{1,200}\s+(?:(?:is |was )?not (?:found|available|loaded|served|supported)"
    rf"|does not (?:exist|support))\b|(?:{'|'.join(_OWN_NAMES)})\b)",
    re.IGNORECASE,
)
"""How servers begin to say that they lack a model, or it an ability; further on they may quote a document."""


def refusal(response: httpx.Response, name: str, key: SecretStr | None) -> AttemptFailedError:
    """Return the error for a reply that is no success, and whether to try again."""
    status, url = response.status_code, str(response.request.url)
    words = said_in(response, key)
    said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if status in _BUSY:
        wait = retry_after(response.headers.get("retry-after"))
        busy = EngineBusyError(f"{name} is busy ({said}).", hint="Lower the endpoint's concurrency.")
        return AttemptFailedError(busy, again=True, down=status == httpx.codes.SERVICE_UNAVAILABLE, wait=wait)
    if status in _LATE:
        late = EngineTimeoutError(f"{name} did not answer in time ({said}).")
        return AttemptFailedError(late, again=True, down=True)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        broken = EngineUnavailableError(f"{name} failed ({said}).", hint="See the NIM's own log.")
        return AttemptFailedError(broken, again=True, down=True)
    if (blamed := _blamed(response, words)) is not None:
        does, hint = blamed
        return AttemptFailedError(MisuseError(f"{name} at {url} {does} ({said}).", hint=hint), again=False)
    if status in _CHECKED and _names_settings(response):
        return AttemptFailedError(RefusedSettingError(f"{name} at {url} refuses how it is used ({said})."), again=False)
    refused = RequestTooLargeError if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE else RejectedInputError
    return AttemptFailedError(refused(f"{name} refuses the input ({said})."), again=False)


def _blamed(response: httpx.Response, words: str) -> tuple[str, str] | None:
    """Return what the server does and what to do about it where the caller is to blame, else None."""
    if response.status_code < httpx.codes.BAD_REQUEST:
        to = response.headers.get("location", "")
        where = f": {response.request.url.join(to)}" if to else ""
        return "answers with a redirect", f"Give the address it redirects to{where}"
    if any(one in words for one in _WANTS_TLS):
        return "is called without TLS", "Write https:// before its address."
    return _REFUSED.get(response.status_code)


def _names_settings(response: httpx.Response) -> bool:
    """Whether all that the server names is settings: in FastAPI's ``loc``, in OpenAI's ``param``, or in words."""
    body = _body(response)
    if not isinstance(body, dict):
        return False
    detail, error = body.get("detail"), body.get("error")
    if isinstance(detail, list):
        return bool(detail) and all(_SETTINGS.intersection(_place(item)) for item in detail)
    params = [one.get("param") for one in (body, error) if isinstance(one, dict)]
    return any(isinstance(one, str) and one in _SETTINGS for one in params) or blames_a_setting(_message(response))


def blames_a_setting(words: str) -> bool:
    """Whether a server's words begin with a setting: it lacks the model, or that cannot do what is asked for."""
    return _SETTING_REFUSED.match(words) is not None


def _place(item: Any) -> list[str]:
    """Return the names on the way to the field that an item of FastAPI's ``detail`` is about."""
    loc = item.get("loc") if isinstance(item, dict) else None
    return [one for one in loc if isinstance(one, str)] if isinstance(loc, list) else []


def said_in(response: httpx.Response, key: SecretStr | None) -> str:
    """Return what the server says, in its words, without the key it may have echoed, and cut."""
    text = " ".join(_message(response).split())
    return without(text, key)[:_WORDS]


def without(text: str, key: SecretStr | None) -> str:
    """Return ``text`` with the key replaced by ``***``."""
    return text.replace(key.get_secret_value(), "***") if key else text


def _message(response: httpx.Response) -> str:
    """Find the sentence in an error body: ``detail``, ``error.message``, ``message`` or ``title``, else the text."""
    return in_body(_body(response), ("detail", "error", "message", "title")) or response.text


def _body(response: httpx.Response) -> object:
    """Return the JSON of a reply, None where it is none."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def in_body(body: object, names: Iterable[str]) -> str:
    """Return the first of the fields of these names that says something, "" where none does."""
    found = next((value for name in names if (value := body.get(name))), "") if isinstance(body, dict) else ""
    found = found.get("message", found) if isinstance(found, dict) else found
    return found if isinstance(found, str) else json.dumps(found)
