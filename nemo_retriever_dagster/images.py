"""Pictures in a folder or bucket under the hash of their bytes, and the links by which a reader opens them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.storage import ASKED_ONE_BY_ONE, Storage, protocol_of

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from nemo_retriever_dagster.model import Picture

_SUFFIXES = ("png", "jpeg")
_ASIDE = ".removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """Where a picture is: ``uri`` in the store, ``url`` for readers, ``path`` on this machine ("" if not local)."""

    sha256: str
    uri: str
    url: str
    path: str = ""


class ImageStore:
    """Pictures at any fsspec URI. Putting one again changes nothing, so a crash leaves nothing to clean up."""

    def __init__(
        self,
        uri: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        public_base_url: str | None = None,
    ) -> None:
        """Keep pictures at ``uri``; ``s3://`` without options takes them from the ``MINIO_*`` variables.

        ``public_base_url`` is the address under which readers see the same folder.
        """
        if storage_options is None and protocol_of(str(uri)) in {"s3", "s3a"}:
            storage_options = Settings().minio_options()
        self._storage = Storage(uri, storage_options)
        self._public = (public_base_url or "").rstrip("/")

    @property
    def uri(self) -> str:
        """Where they are kept."""
        return self._storage.uri

    def put(self, picture: Picture) -> StoredImage:
        """Store the picture unless it is there already; return where it is."""
        digest = picture.sha256
        stored = self.locate(digest, picture.suffix)
        name = _name(digest, picture.suffix)
        if self._storage.size(name) != len(picture.data):
            self._storage.put(name, picture.data)
        return stored

    def locate(self, sha256: str, suffix: str) -> StoredImage:
        """Return where a picture of this hash and type (``png`` or ``jpeg``) is or would be."""
        name = _name(sha256, suffix)
        folder = self._storage.path
        path = str(folder / name) if folder else ""
        uri = (folder / name).as_uri() if folder else f"{self._storage.uri}/{name}"
        return StoredImage(sha256=sha256, uri=uri, url=f"{self._public}/{name}" if self._public else uri, path=path)

    def missing(self, digests: Collection[str]) -> set[str]:
        """Return those of ``digests`` under which no picture is stored; for many, folders are listed instead."""
        if len(digests) <= ASKED_ONE_BY_ONE:
            return {digest for digest in digests if not any(self._has(digest, suffix) for suffix in _SUFFIXES)}
        folders = sorted({digest[:2] for digest in digests})
        stored = {name for folder in folders for name in self._storage.list(folder)}
        return {one for one in digests if not any(_name(one, suffix) in stored for suffix in _SUFFIXES)}

    def damaged(self, digests: Collection[str]) -> set[str]:
        """Return those of ``digests`` under which something else is stored; every picture is read."""
        return {digest for digest in digests if any(self._spoilt(digest, suffix) for suffix in _SUFFIXES)}

    def _spoilt(self, sha256: str, suffix: str) -> bool:
        data = self._storage.get(_name(sha256, suffix))
        return data is not None and hashlib.sha256(data).hexdigest() != sha256

    def drop_damaged(self, digests: Collection[str]) -> None:
        """Delete what is stored under ``digests`` and is not theirs, so that the pictures can be put again."""
        for digest in digests:
            for suffix in _SUFFIXES:
                if self._spoilt(digest, suffix):
                    self._storage.delete(_name(digest, suffix))

    def _has(self, sha256: str, suffix: str) -> bool:
        return self._storage.size(_name(sha256, suffix)) is not None

    def set_aside(self, sha256: str) -> None:
        """Take the picture of this hash from its place, to be brought back by `restore` or deleted by `discard`."""
        for suffix in _SUFFIXES:
            name = _name(sha256, suffix)
            data = self._storage.get(name)
            if data is not None:
                self._storage.put(name + _ASIDE, data)
                self._storage.delete(name)

    def restore(self, sha256: str) -> None:
        """Bring back what was set aside, also by a process that died since; nothing happens where nothing was."""
        for suffix in _SUFFIXES:
            name = _name(sha256, suffix)
            data = self._storage.get(name + _ASIDE)
            if data is not None:
                self._storage.put(name, data)
                self._storage.delete(name + _ASIDE)

    def discard(self, sha256: str) -> None:
        """Delete what was set aside."""
        for suffix in _SUFFIXES:
            self._storage.delete(_name(sha256, suffix) + _ASIDE)


def _name(sha256: str, suffix: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or suffix not in _SUFFIXES:
        raise InvalidOptionError(
            f"A stored picture is PNG or JPEG and named by its SHA-256, not {sha256!r}, {suffix!r}."
        )
    return f"{sha256[:2]}/{sha256}.{suffix}"
