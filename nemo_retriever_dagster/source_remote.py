"""Documents at any fsspec URI (``s3://``, ``gs://``, ``abfs://``, ``memory://`` ...): read from a scratch copy."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from nemo_retriever_dagster import dates
from nemo_retriever_dagster.errors import SourceNotFoundError, SourceUnavailableError
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.source_local import MAGIC, pattern_of, split_pattern
from nemo_retriever_dagster.source_names import Fetched, Listed, Skipped, pass_over, scratch_name, shown
from nemo_retriever_dagster.storage import connect, named, secrets_of

if TYPE_CHECKING:
    import builtins
    import re
    from collections.abc import Iterable, Iterator, Mapping

_BLOCK = 4 << 20
_STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "modified", "created")
"""Where the file systems of fsspec put the word for a version, the surest first."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified")
"""Where they put the time of the last change."""


class RemotePlace:
    """What one URI, folder or pattern of a remote store means."""

    def __init__(self, spec: str, options: Mapping[str, Any], limits: Limits) -> None:
        """Remember ``spec``; no request is made yet."""
        self._fs = connect(spec, options)
        self._base, self._rest = split_pattern(spec) if MAGIC.search(spec) else (spec, "")
        self._spec = spec
        self._secrets = secrets_of(options)
        self._limits = limits

    def list(self, skipped: builtins.list[Skipped]) -> Iterator[Listed]:
        """Yield the files, noting in ``skipped`` what is passed over."""
        with self._named("Listing", shown(self._spec)):
            self._fs.invalidate_cache()
            try:
                yield from self._list(skipped)
            except FileNotFoundError as error:
                raise SourceNotFoundError(f"There is nothing at {shown(self._spec)}: {error}.") from None

    def _list(self, skipped: builtins.list[Skipped]) -> Iterator[Listed]:
        facts, folder = self._info(self._spec), self._spec.endswith("/")
        if facts and facts["type"] == "file" and not folder:
            # Some programs mark a folder by an empty object of its name: below it are the documents.
            below = () if facts.get("size") else tuple(self._find(self._spec, None, skipped))
            yield from below or (_listed(shown(self._spec), facts),)
        elif facts or (folder and not self._rest):
            yield from self._find(self._spec, None, skipped)
        elif self._rest:
            yield from self._find(self._base, pattern_of(self._rest), skipped)
        else:
            raise SourceNotFoundError(
                f"There is nothing at {shown(self._spec)}.", hint="Check it; end a folder with /."
            )

    def owns(self, uri: str) -> bool:
        """Whether ``uri`` lies at or below this place."""
        return uri.startswith(shown(self._base))

    def look(self, uri: str) -> Listed:
        """Return the version and size the file has now."""
        with self._named("Looking up", uri):
            self._fs.invalidate_cache()
            return _listed(uri, self._fs.info(self._path(uri)))

    @contextlib.contextmanager
    def fetch(self, uri: str) -> Iterator[Fetched]:
        """Copy the file to a scratch folder, which goes when the block ends."""
        before = self.look(uri)
        budget = Budget(self._limits)
        budget.check("file_bytes", before.size)
        with tempfile.TemporaryDirectory(prefix="nrd-") as folder:
            path = Path(folder) / scratch_name(uri)
            with self._named("Reading", uri), self._fs.open(self._path(uri), "rb", block_size=_BLOCK) as file:
                digest, size = copy(iter(lambda: file.read(_BLOCK), b""), path, budget)
            if self.look(uri) != before or size != before.size:
                raise SourceUnavailableError(
                    f"{uri} was changed while it was read.", hint="The next try reads the new version."
                )
            yield Fetched(path=path, sha256=digest, size=size, version=before.version, modified=before.modified)

    def _find(self, base: str, pattern: re.Pattern[str] | None, skipped: builtins.list[Skipped]) -> Iterator[Listed]:
        root = self._fs._strip_protocol(base).rstrip("/")  # noqa: SLF001 (fsspec's own seam)
        found = self._fs.find(root, detail=True) if _finds_all(self._fs) else _all_below(self._fs, root)
        # An object store knows no empty folders, but it knows whether it has the bucket.
        if not found and not self._fs.exists(_bucket(root)):
            raise SourceNotFoundError(f"There is no {_bucket(root)!r} to find {shown(self._spec)} in.")
        for path, facts in sorted(found.items()):
            relative = path[len(root) :].removeprefix("/")  # one: a key may begin with another
            if not relative or facts["type"] != "file" or (pattern and not pattern.match(relative)):
                continue
            if relative.endswith("/"):  # what a console writes to show an empty folder
                continue
            uri = f"{shown(base).rstrip('/')}/{relative}"
            reason = pass_over(relative)
            if reason:
                skipped.append(Skipped(uri=uri, reason=reason))
            else:
                yield _listed(uri, facts)

    def _info(self, uri: str) -> Mapping[str, Any] | None:
        try:
            facts: Mapping[str, Any] = self._fs.info(uri)
        except FileNotFoundError:
            return None
        except PermissionError:
            # S3 says so of what is not there, to an account that may list this folder alone; listing it then tells.
            if not (self._rest or uri.endswith("/")):
                raise
            return None
        return facts

    def _path(self, uri: str) -> str:
        base = shown(self._base)
        path: str = self._fs._strip_protocol(self._base + uri[len(base) :] if uri.startswith(base) else uri)  # noqa: SLF001 - fsspec's own seam
        return path

    def _named(self, action: str, uri: str) -> contextlib.AbstractContextManager[None]:
        return named(f"{action} {uri}", SourceUnavailableError, secrets=self._secrets)


def copy(blocks: Iterable[bytes], path: Path, budget: Budget) -> tuple[str, int]:
    """Write ``blocks`` to ``path`` as long as they keep within ``file_bytes``; return their SHA-256 and size."""
    digest = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        for block in blocks:
            budget.spend("file_bytes", len(block))
            digest.update(block)
            size += file.write(block)
    return digest.hexdigest(), size


def _finds_all(fs: Any) -> bool:
    """Whether a file system has a way of its own to find files: fsspec's leaves out the folders it cannot list."""
    if isinstance(fs, AsyncFileSystem):
        return type(fs)._find is not AsyncFileSystem._find  # noqa: SLF001 - fsspec's own seam
    return type(fs).find is not AbstractFileSystem.find


def _all_below(fs: Any, root: str) -> dict[str, Mapping[str, Any]]:
    """Return all files below a folder, none where it is not there; raise if a folder below it cannot be listed."""
    found, folders = {}, [root]
    while folders:
        folder = folders.pop()
        try:
            listing = fs.ls(folder, detail=True)
        except FileNotFoundError:
            if folder == root:
                return {}
            raise SourceUnavailableError(f"The folder {folder} has gone since it was listed.") from None
        for facts in listing:
            if facts["type"] != "directory":
                found[facts["name"]] = facts
            elif facts["name"].rstrip("/") != folder:
                folders.append(facts["name"].rstrip("/"))
    return found


def _bucket(path: str) -> str:
    return path[: len(path) - len(path.lstrip("/"))] + path.lstrip("/").partition("/")[0]


def _listed(uri: str, facts: Mapping[str, Any]) -> Listed:
    size = int(facts.get("size") or 0)
    stamp = next((facts[name] for name in _STAMPS if facts.get(name) is not None), "")
    changed = next((facts[name] for name in _TIMES if facts.get(name) is not None), "")
    return Listed(uri=uri, version=f"{_word(stamp)}-{size}", size=size, modified=_time(changed))


def _time(stamp: Any) -> str:
    """Return the date that a file system tells in one of three ways: as a moment, as seconds, in words."""
    if isinstance(stamp, datetime):
        return dates.of_moment(stamp)
    return dates.of_seconds(stamp) if isinstance(stamp, int | float) else dates.of_iso(str(stamp))


def _word(stamp: Any) -> str:
    """Write times alike: a listing may give seconds where a look-up gives a date."""
    if isinstance(stamp, datetime):
        stamp = stamp.timestamp()
    return f"{stamp:.6f}" if isinstance(stamp, float) else str(stamp).strip('"')
