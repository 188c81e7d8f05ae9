"""Stage results, kept under the hash of what they were made from: the cache that makes a retry cheap.

An artifact is written whole or not at all and carries a checksum, so one that was cut short or has rotted is found out
and made again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.storage import Storage

if TYPE_CHECKING:
    import builtins
    import os
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"[a-z][a-z0-9_-]{0,31}/([0-9a-f]{2})/(\1[0-9a-f]{14,62})\.[a-z0-9]{1,16}")
_PREFIX = re.compile(r"(?:[a-z][a-z0-9_-]{0,31}(?:/[0-9a-f]{2})?)?")
_MAGIC = b"NRD1"
_HEAD = len(_MAGIC) + hashlib.sha256().digest_size


def address(stage: str, digest: str, suffix: str) -> str:
    """Return the address of a stage's result: ``stage/ab/abcdef....suffix``; ``digest`` is 16 to 64 hex digits."""
    return _checked(f"{stage}/{digest[:2]}/{digest}.{suffix}")


def _checked(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise InvalidOptionError(f"{text!r} is no artifact address.", hint="Addresses are made by artifacts.address().")
    return text


class Artifacts:
    """Artifacts in a local folder or at any fsspec URI. Safe to share between threads and processes."""

    def __init__(self, uri: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> None:
        """Keep artifacts at ``uri``; ``storage_options`` go to fsspec."""
        self._storage = Storage(uri, storage_options)

    @property
    def uri(self) -> str:
        """Where they are kept."""
        return self._storage.uri

    def put(self, address: str, data: bytes) -> None:
        """Store ``data``, replacing what was there; raise `StorageFullError` or `StorageError` if it cannot be kept."""
        self._storage.put(_checked(address), _MAGIC + hashlib.sha256(data).digest() + data)

    def get(self, address: str) -> bytes | None:
        """Return what was stored, or None if it is absent or damaged; damage is logged and removed."""
        kept = self._storage.get(_checked(address))
        if kept is None:
            return None
        data = kept[_HEAD:]
        if kept[:_HEAD] == _MAGIC + hashlib.sha256(data).digest():
            return data
        _log.warning("artifact %s in %s is damaged; it will be made again", address, self.uri)
        self._storage.delete(address)
        return None

    def exists(self, address: str) -> bool:
        """Whether there is an artifact of this address; its checksum is only looked at by `get`."""
        return self._storage.size(_checked(address)) is not None

    def list(self, prefix: str = "") -> builtins.list[str]:
        """Return the sorted addresses of a stage (``"extract"``), of a part of it (``"extract/ab"``) or of all."""
        return [name for name in self._storage.list(_checked_prefix(prefix)) if _ADDRESS.fullmatch(name)]

    def delete(self, prefix: str) -> int:
        """Delete one artifact by its address, or all that `list` finds for ``prefix``; return how many went."""
        whole = _ADDRESS.fullmatch(prefix)
        names = [prefix] * self.exists(prefix) if whole else self.list(prefix)
        for name in names:
            self._storage.delete(name)
        return len(names)


def _checked_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise InvalidOptionError(f"{prefix!r} is no prefix of artifact addresses.", hint="Name a stage, or stage/ab.")
    return prefix
