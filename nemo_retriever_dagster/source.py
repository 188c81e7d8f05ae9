"""Where documents come from: a path, a list, a pattern with ``**``, a folder, any fsspec URI, or buffers in memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nemo_retriever_dagster.errors import (
    DocumentGoneError,
    InvalidOptionError,
    RetrieverError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from nemo_retriever_dagster.inputs import bytes_of
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Document
from nemo_retriever_dagster.source_local import LocalPlace, to_path
from nemo_retriever_dagster.source_names import KEY_PATTERN, Fetched, Listed, Skipped, partition_key, scratch_name
from nemo_retriever_dagster.source_remote import RemotePlace
from nemo_retriever_dagster.source_web import WebPlace
from nemo_retriever_dagster.storage import is_local, protocol_of

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from nemo_retriever_dagster.inputs import Buffer

__all__ = ["KEY_PATTERN", "Buffers", "Documents", "Fetched", "Skipped", "Source", "partition_key"]

_DEFAULT_LIMITS = Limits()


class Documents(Protocol):
    """What `Source` and `Buffers` have in common."""

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What the last `list` passed over, and why."""
        ...

    def list(self, *, as_given: bool = False) -> builtins.list[Document]:
        """Return the documents."""
        ...

    def fetch(self, document: Document) -> AbstractContextManager[Fetched]:
        """Give the document's bytes on this machine while the block lasts."""
        ...

    def version_now(self, document: Document) -> str:
        """Return the version that the source has of a document now, "" where it cannot tell."""
        ...


class _Place(Protocol):
    def list(self, skipped: builtins.list[Skipped]) -> Iterator[Listed]: ...
    def owns(self, uri: str) -> bool: ...
    def look(self, uri: str) -> Listed: ...
    def fetch(self, uri: str) -> AbstractContextManager[Fetched]: ...


class Source:
    """The documents that paths, folders, patterns and URIs mean.

    Patterns know ``*``, ``?``, ``[...]`` and ``**`` (any depth). A folder is read at every depth. In folders and
    patterns, hidden files and lock files of office programs (``~$...``) are passed over and named in `skipped`; a file
    given by its own path is always taken. A folder that is empty, or a pattern that matches nothing, is no error: the
    list is empty.
    """

    def __init__(
        self,
        spec: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        storage_options: Mapping[str, Any] | None = None,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        """Remember what is meant; nothing is looked at yet.

        ``storage_options`` go to fsspec for remote URIs (`WebPlace` names those of ``http(s)://``). Raises
        `InvalidOptionError` for an empty path or unknown scheme, `MissingDependencyError` where one is not installed.
        """
        self.specs = [os.fspath(spec)] if isinstance(spec, str | os.PathLike) else [os.fspath(item) for item in spec]
        self._options = dict(storage_options or {})
        self._limits = limits
        self._places = [self._place(item) for item in self.specs]
        self._skipped: tuple[Skipped, ...] = ()

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What the last `list` passed over, and why."""
        return self._skipped

    def list(self, *, as_given: bool = False) -> builtins.list[Document]:
        """Return the documents, each once, sorted by URI, or with ``as_given`` in the order of the specs.

        Raises `SourceNotFoundError` for a path without pattern where nothing is, `SourceUnavailableError` if the place
        cannot be read.
        """
        skipped: list[Skipped] = []
        found: dict[str, Listed] = {}
        for place in self._places:
            for listed in sorted(place.list(skipped), key=lambda item: item.uri):
                found.setdefault(_identity(listed.uri), listed)
        documents = _keyed(found.values(), skipped)
        self._skipped = tuple(dict.fromkeys(skipped))
        return documents if as_given else sorted(documents, key=lambda document: document.uri)

    @contextlib.contextmanager
    def fetch(self, document: Document) -> Iterator[Fetched]:
        """Give the document's bytes while the block lasts: a local file in place, any other as a scratch copy.

        Raises `LimitExceededError` above ``limits.file_bytes``, `SourceUnavailableError` if it cannot be read or
        changes meanwhile.
        """
        try:
            with self._place_of(document).fetch(document.uri) as fetched:
                yield fetched
        except SourceNotFoundError as error:
            raise DocumentGoneError(f"{document.uri} has gone since it was listed.") from error
        except SourceUnavailableError as error:
            if isinstance(error.__context__, FileNotFoundError):
                raise DocumentGoneError(f"{document.uri} has gone since it was listed.") from error
            raise

    def version_now(self, document: Document) -> str:
        """Return the version that the source has of a document now, "" where it has none or cannot be read."""
        try:
            return self._place_of(document).look(document.uri).version
        except RetrieverError:
            return ""

    def _place_of(self, document: Document) -> _Place:
        place = next((place for place in self._places if place.owns(document.uri)), None)
        return place or self._place(document.uri)

    def _place(self, spec: str) -> _Place:
        if not spec.strip():
            raise InvalidOptionError("A source is named by an empty path.", hint="'.' is the working folder.")
        if is_local(spec):
            return LocalPlace(spec, self._limits)
        if protocol_of(spec) in {"http", "https"}:
            return WebPlace(spec, self._options, self._limits)
        return RemotePlace(spec, self._options, self._limits)


class Buffers:
    """Documents in memory: pairs of a name and bytes, or a binary buffer that is read from its start and left open."""

    skipped: tuple[Skipped, ...] = ()

    def __init__(self, pairs: Sequence[tuple[str, Buffer]], *, limits: Limits = _DEFAULT_LIMITS) -> None:
        """Take the bytes; raise `InvalidOptionError` where there are none, and where two buffers have one name."""
        self._limits = limits
        self._data: dict[str, bytes] = {}
        keys: set[str] = set()
        for name, buffer in pairs:
            if not name or partition_key(name) in keys:
                hint = "The name is what a document is known by: give each buffer its own."
                raise InvalidOptionError(
                    f"Two buffers are called {name!r}." if name else "A buffer has no name.", hint=hint
                )
            keys.add(partition_key(name))
            self._data[name] = bytes_of(name, buffer)

    def list(self, *, as_given: bool = False) -> builtins.list[Document]:
        """Return the documents sorted by name, or with ``as_given`` in the order of the pairs."""
        documents = [_buffered(name, data) for name, data in self._data.items()]
        return documents if as_given else sorted(documents, key=lambda document: document.uri)

    def version_now(self, document: Document) -> str:
        """Return the document's version: buffers do not change."""
        return document.version

    @contextlib.contextmanager
    def fetch(self, document: Document) -> Iterator[Fetched]:
        """Give the document as a scratch file while the block lasts."""
        data = self._data.get(document.uri)
        if data is None:
            raise SourceUnavailableError(f"No buffer is called {document.uri!r}.")
        Budget(self._limits).check("file_bytes", len(data))
        with tempfile.TemporaryDirectory(prefix="nrd-") as folder:
            path = Path(folder) / scratch_name(document.uri)
            path.write_bytes(data)
            known = _buffered(document.uri, data)
            yield Fetched(path=path, sha256=known.sha256, size=known.size, version=known.version)


def _buffered(name: str, data: bytes) -> Document:
    digest = hashlib.sha256(data).hexdigest()
    return Document(uri=name, key=partition_key(name), size=len(data), sha256=digest, version=digest)


def _identity(uri: str) -> str:
    """Return one name for the ways in which a local path may be written, also as a ``file://`` URI."""
    return os.path.abspath(to_path(uri)) if is_local(uri) else uri  # noqa: PTH100 - takes ".." out


def _keyed(listed: Any, skipped: list[Skipped]) -> list[Document]:
    """Make documents; two URIs of one key (they differ in Unicode form only) would overwrite each other's rows."""
    documents: dict[str, Document] = {}
    for item in listed:
        document = Document(uri=item.uri, key=partition_key(item.uri), size=item.size, version=item.version)
        first = documents.setdefault(document.key, document)
        if first is not document:
            reason = f"has the same partition key as {first.uri}: rename one of them"
            skipped.append(Skipped(uri=item.uri, reason=reason, lost=True))
    return list(documents.values())
