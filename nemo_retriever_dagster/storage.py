"""A place for files, local or on any fsspec store: written whole or not at all, its failures named.

`Storage` is what artifacts and images are kept in; `connect` and `named` also serve the source of documents.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec
from fsspec.core import split_protocol

from nemo_retriever_dagster.errors import (
    InfrastructureError,
    InvalidOptionError,
    MissingDependencyError,
    RetrieverError,
    StorageError,
    StorageFullError,
)

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Mapping

_Failure = TypeVar("_Failure", bound=InfrastructureError)

_LOCAL = {"", "file", "local"}
_WHOLE_OBJECT = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}
"""Stores that make an object visible only when all of it has arrived."""
_EXTRAS = {"gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure", "adl": "azure"}
ASKED_ONE_BY_ONE = 64
"""How many files are looked for one by one; for more, what there is is listed."""
_SECRET_CHARS = 4
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_HANDLES = {errno.EMFILE, errno.ENFILE}


def protocol_of(uri: str) -> str:
    """Return the URI's scheme in lower case, "" for a plain path."""
    return (split_protocol(uri)[0] or "").lower()


def is_local(uri: str) -> bool:
    """Whether ``uri`` is a plain path or a ``file://`` URI."""
    return protocol_of(uri) in _LOCAL


def local_path(uri: str) -> Path:
    """Return the path that a plain path or a ``file://`` URI means."""
    scheme, path = split_protocol(uri)
    return Path(os.path.expanduser(path)) if scheme is None else Path("/" + path.lstrip("/"))  # noqa: PTH111 - leaves an unknown ~user as it is


def secrets_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts in storage options, very short ones left out: none of them may reach a message."""
    found: list[str] = []
    for value in options.values():
        if isinstance(value, dict):
            found += secrets_of(value)
        elif isinstance(value, str) and len(value) >= _SECRET_CHARS and "://" not in value:
            found.append(value)
    return tuple(sorted(found, key=len, reverse=True))


@contextlib.contextmanager
def named(action: str, kind: type[_Failure], *, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn whatever a file system raises inside the block into ``kind``, saying what was being done.

    The libraries behind fsspec raise errors of a dozen families, so all are caught; our own go
    through. A full disk becomes `StorageFullError` where ``kind`` is a `StorageError`.
    """
    try:
        yield
    except RetrieverError:
        raise
    except Exception as error:  # noqa: BLE001 - named, see above
        cause = f"{type(error).__name__}: {error}"
        for secret in secrets:
            cause = cause.replace(secret, "***")
        full = isinstance(error, OSError) and error.errno in _FULL and issubclass(kind, StorageError)
        chosen = StorageFullError if full else kind
        raise chosen(f"{action} failed ({cause}).", hint=chosen.default_hint or _hint(error)) from None


def _hint(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _NO_HANDLES:
        return "Let this process open more files (ulimit -n), then run again."
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return "The file system is read-only: mount it writable, or choose another place."
    if isinstance(error, PermissionError):
        return "Check the credentials and the rights of this account."
    if isinstance(error, FileNotFoundError):
        return "Check the name; a bucket must exist beforehand."
    return "Check the address, the credentials and the network, then run again."


def connect(uri: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return the fsspec file system of ``uri``; no request is made yet.

    Raises `InvalidOptionError` for an unknown scheme or option, `MissingDependencyError` for one that is not installed.
    """
    scheme = protocol_of(uri) or "file"
    try:
        return fsspec.url_to_fs(uri, **dict(options or {}))[0]
    except ImportError as error:
        if extra := _EXTRAS.get(scheme):
            raise MissingDependencyError.of(f"{scheme}://", f"pip install 'nemo-retriever-dagster[{extra}]'") from error
        raise MissingDependencyError(f"{scheme}:// needs something that is not installed.", hint=f"{error}.") from error
    except (TypeError, ValueError) as error:
        secrets = secrets_of(options or {})
        cause = str(error)
        for secret in secrets:
            cause = cause.replace(secret, "***")
        raise InvalidOptionError(
            f"{scheme}:// cannot be opened: {cause}", hint="Check the URI's scheme and storage_options."
        ) from None


class Storage:
    """A folder, local or at any fsspec URI. Names inside it are relative and use ``/``."""

    def __init__(self, uri: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> None:
        """Remember the place; a local folder is made when something is first written to it."""
        self.uri = os.fspath(uri).rstrip("/") or "/"
        self._secrets = secrets_of(storage_options or {})
        self.path: Path | None = None
        """The folder, if it is local."""
        if is_local(self.uri):
            self.path = local_path(self.uri).absolute()
        else:
            self._fs = connect(self.uri, storage_options)
            self._root = self._fs._strip_protocol(self.uri).rstrip("/")  # noqa: SLF001 (fsspec's own seam)

    def put(self, name: str, data: bytes) -> None:
        """Write ``data`` under ``name``: after a crash there is the old file, the new one or none, never a part."""
        with self._named("Writing", name):
            if self.path is not None:
                _put_local(self.path / name, data)
            elif protocol_of(self.uri) in _WHOLE_OBJECT:
                self._fs.pipe_file(self._at(name), data)
            else:
                self._put_by_rename(name, data)

    def get(self, name: str) -> bytes | None:
        """Return the file's bytes, or None if there is none."""
        with self._named("Reading", name):
            try:
                if self.path is not None:
                    return (self.path / name).read_bytes()
                data: bytes = self._fs.cat_file(self._at(name))
            except FileNotFoundError:
                return None
            return data

    def size(self, name: str) -> int | None:
        """Return the file's size in bytes, or None if there is none."""
        with self._named("Looking up", name):
            try:
                if self.path is not None:
                    return (self.path / name).stat().st_size
                self._fs.invalidate_cache()
                return int(self._fs.info(self._at(name))["size"])
            except FileNotFoundError:
                return None

    def list(self, prefix: str = "") -> builtins.list[str]:
        """Return the sorted names of all files in the folder ``prefix``, at any depth, unfinished ones left out."""
        with self._named("Listing", prefix):
            if self.path is not None:
                found = (str(path.relative_to(self.path)) for path in (self.path / prefix).rglob("*") if path.is_file())
            else:
                self._fs.invalidate_cache()
                base = self._at(prefix)
                found = (path[len(self._root) :].lstrip("/") for path in self._fs.find(base))
            return sorted(name for name in found if not name.endswith(".part"))

    def delete(self, name: str) -> None:
        """Delete the file; one that is not there is no error."""
        with self._named("Deleting", name), contextlib.suppress(FileNotFoundError):
            if self.path is not None:
                (self.path / name).unlink()
            else:
                self._fs.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _named(self, action: str, name: str) -> contextlib.AbstractContextManager[None]:
        return named(f"{action} {self.uri}/{name}", StorageError, secrets=self._secrets)

    def _put_by_rename(self, name: str, data: bytes) -> None:
        target = self._at(name)
        part = f"{target}.{os.urandom(6).hex()}.part"
        self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(part, data)
        self._fs.mv(part, target)


def _put_local(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
