"""Every error this package raises, as one tree; an error says what failed, why, and what to do next.

::

    RetrieverError
    +-- DataError              the document itself: never retried until its bytes or the options change
    |   +-- UnsupportedFormatError, EmptyFileError, CorruptFileError, EncryptedFileError
    |   +-- LimitExceededError, ParserTimeoutError, ParserCrashError
    |   +-- RejectedInputError (an engine refused this input: a 4xx reply)
    |       +-- RequestTooLargeError (413: what is in it may pass in several requests)
    +-- TransientError         may work if tried again: retried by the HTTP client
    |   +-- EngineBusyError, EngineTimeoutError
    +-- InfrastructureError    a server or store is not usable: retried by the op, then by a person
    |   +-- EngineUnavailableError, EngineReplyError
    |   +-- StoreUnavailableError, StoreLockedError, VerificationError
    |   +-- SourceUnavailableError
    |   |   +-- DocumentGoneError (this one document; it counts as data, so it is not retried)
    |   +-- StorageError (artifacts, images, ledger)
    |       +-- StorageFullError, ArtifactDamagedError, LedgerDamagedError
    +-- MisuseError            the caller: an option, a path, a missing dependency
        +-- UnknownOptionError, InvalidOptionError, SourceNotFoundError, MissingDependencyError
        +-- RefusedSettingError (an engine refused a setting of its endpoint: the model, or an option)
"""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class Stage(StrEnum):
    """The stages a document goes through, in order; also the names of the ops."""

    SOURCE = "source"
    EXTRACT = "extract"
    SPLIT = "split"
    CAPTION = "caption"
    STORE_IMAGES = "store_images"
    EMBED = "embed"
    UPLOAD = "upload"


class Category(StrEnum):
    """Who can mend a failure: the document's owner, time, an operator, or the caller."""

    DATA = "data"
    TRANSIENT = "transient"
    INFRASTRUCTURE = "infrastructure"
    MISUSE = "misuse"


_SECRETS = (
    re.compile(r"(?i)(bearer\s+)[^\s\"',;]+"),
    re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:basic|digest|negotiate|token)\s+)[^\s\"',;]+"),
    # A key of the hub has a digit or a capital among its first characters; an option's name, hf_access_token, has none.
    re.compile(r"()\b(?:nvapi-|sk-|AIza|hf_(?=[a-z_\-.]{0,64}[A-Z0-9]))[A-Za-z0-9_\-.]{6,}"),
    re.compile(
        r"(?i)([?&](?:api[_-]?key|[\w.\-]{1,64}[_\-]key|token|sig|signature|x-amz-[a-z-]+|password)=)[^&\s\"']+"
    ),
    re.compile(
        r"(?i)((?:(?:api|access|secret|account)[_-]?key|secret|token|password)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}]{4,}"
    ),
    re.compile(r"(://[^/\s:@]*:)[^@/\s]+(?=@)"),
    re.compile(r"(?i)(https?://)[^/\s:@]+(?=@)"),
)


def redact(text: str) -> str:
    """Return ``text`` with keys, tokens, passwords and signed URL parameters replaced by ``***``."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text


class RetrieverError(Exception):
    """Something went wrong."""

    category: ClassVar[Category] = Category.INFRASTRUCTURE
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "", page: int = 0) -> None:
        """Keep ``message`` (the cause in plain words), ``hint`` (the next step) and ``page`` (1-based, 0 = none)."""
        self.message = redact(message or (type(self).__doc__ or "").strip())
        self.hint = redact(hint or self.default_hint)
        self.page = page
        super().__init__(self.message)

    def __str__(self) -> str:
        """Return the message, with the hint behind it where there is one."""
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that an error crosses a process boundary whole."""
        return (_rebuild, (type(self), self.message, self.hint, self.page))


def _rebuild(kind: type[RetrieverError], message: str, hint: str, page: int) -> RetrieverError:
    return kind(message, hint=hint, page=page)


class DataError(RetrieverError):
    """The document cannot be processed as it is."""

    category = Category.DATA


class UnsupportedFormatError(DataError):
    """The document's format is not one this package reads."""

    default_hint = "Convert it to a supported format, or name its type with extract(document_type=...)."


class EmptyFileError(DataError):
    """The file has no bytes."""

    default_hint = "Was the upload or the copy interrupted? Put the whole file there; the next run takes it."


class CorruptFileError(DataError):
    """The file is damaged or is not what its name says."""

    default_hint = "Open it in its own program and save it again; the next run takes the new bytes."


class EncryptedFileError(DataError):
    """The file is encrypted and no password is known."""

    default_hint = "Remove the password, or put an unprotected copy in its place."


class LimitExceededError(DataError):
    """The document is larger than a limit allows."""

    default_hint = "If the document is trusted, raise the named limit in Limits."


class ParserTimeoutError(DataError):
    """The parser made no progress in the allowed time and was killed."""

    default_hint = "If the document is trusted, raise idle_seconds or total_seconds in Limits."


class ParserCrashError(DataError):
    """The parser process died on this document."""

    default_hint = "The file is damaged or hostile. Open it in its own program and save it again."


class RejectedInputError(DataError):
    """An engine refused this input."""

    default_hint = "Correct what the server names; if no document passes, check the endpoint's model and dialect."


class RequestTooLargeError(RejectedInputError):
    """A request is larger than an engine, or a gateway before it, takes."""

    default_hint = (
        "One input is too large by itself: raise the request limit of the server, or of the gateway before it."
    )


class TransientError(RetrieverError):
    """The attempt failed, another may not."""

    category = Category.TRANSIENT


class EngineBusyError(TransientError):
    """The engine asks to be called later."""


class EngineTimeoutError(TransientError):
    """The engine did not answer in time."""


class InfrastructureError(RetrieverError):
    """A service this stage needs cannot be used."""


class EngineUnavailableError(InfrastructureError):
    """The engine cannot be reached or is not ready."""


class EngineReplyError(InfrastructureError):
    """The engine's answer breaks its contract; nothing of it was stored."""


class StoreUnavailableError(InfrastructureError):
    """The vector store cannot be reached."""


class StoreLockedError(InfrastructureError):
    """Another process holds the vector store."""


class VerificationError(InfrastructureError):
    """The vector store does not hold what was written to it."""


class SourceUnavailableError(InfrastructureError):
    """The source of the documents cannot be read."""


class DocumentGoneError(SourceUnavailableError):
    """The document is not in the source any more."""

    category = Category.DATA
    default_hint = "Was it deleted or renamed? The sensor, or `nrd remove`, takes its rows out of the collection."


class StorageError(InfrastructureError):
    """The storage of artifacts, images or the ledger cannot be read or written."""


class StorageFullError(StorageError):
    """There is no space left where artifacts, images or the ledger are kept."""

    default_hint = "Free some space and run again: finished stages are kept."


class ArtifactDamagedError(StorageError):
    """A stored stage result is incomplete or damaged."""

    default_hint = "Run again: the stage is computed anew."


class LedgerDamagedError(StorageError):
    """The ledger's database is damaged."""

    default_hint = (
        "Move its file away (with -wal and -shm beside it) and run the corpus again: finished stages come from "
        "the artifacts, and rows are written under the same ids."
    )


def as_call(method: str) -> str:
    """Return a method's name as a call, ``split()``; a call already, ``split(params=...)``, is left as it is."""
    return method if method.endswith(")") else f"{method}()"


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """Return a hint that names the known name nearest to ``name``, all of them (``what``) where none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else f"Valid {what}: {', '.join(known)}."


class MisuseError(RetrieverError, ValueError):
    """The call is wrong."""

    category = Category.MISUSE


class UnknownOptionError(MisuseError, TypeError):
    """There is no option of this name."""

    @classmethod
    def of(cls, method: str, name: str, known: Iterable[str]) -> Self:
        """Name the option and the nearest valid one."""
        return cls(f"{as_call(method)} has no option {name!r}.", hint=nearest(name, known, "options"))


class InvalidOptionError(MisuseError):
    """An option has a value that is not allowed."""


class RefusedSettingError(MisuseError):
    """An engine refuses a setting of its endpoint."""

    default_hint = "Check the endpoint's model, its dialect and its options: the documents are not at fault."


class SourceNotFoundError(MisuseError):
    """There is nothing at the given path."""


class MissingDependencyError(MisuseError):
    """An optional dependency is not installed."""

    @classmethod
    def of(cls, feature: str, install: str) -> Self:
        """Say which ``feature`` needs what, and the command that installs it."""
        return cls(f"{feature} needs something that is not installed.", hint=f"Install it: {install}")
