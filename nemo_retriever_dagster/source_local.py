"""Documents on this machine's file systems: read where they are, never copied."""
# ruff: noqa: PTH111, PTH116, PTH118 -- plain text: a folder may hold very many files

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from fsspec.utils import glob_translate

from nemo_retriever_dagster import dates
from nemo_retriever_dagster.errors import InvalidOptionError, SourceNotFoundError, SourceUnavailableError
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.source_names import Fetched, Listed, Skipped, pass_over, printable_path
from nemo_retriever_dagster.storage import named

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator

MAGIC = re.compile(r"[*?\[]")
"""What makes a path a pattern."""

_BLOCK = 1 << 20


def split_pattern(spec: str) -> tuple[str, str]:
    """Return the folder that a pattern starts from, and the rest of it."""
    parts = spec.split("/")
    first = next(place for place, part in enumerate(parts) if MAGIC.search(part))
    return "/".join(parts[:first]), "/".join(parts[first:])


def pattern_of(rest: str) -> re.Pattern[str]:
    """Return what matches the paths that a pattern means, relative to its folder."""
    try:
        return re.compile(glob_translate(rest))
    except (ValueError, re.error) as error:
        raise InvalidOptionError(
            f"The pattern {rest!r} cannot be read: {error}", hint="Write ** as a part of its own: a/**/b."
        ) from None


def to_path(uri: str) -> Path:
    """Return the path of a local document; a ``file://`` URI is taken literally first, then percent-decoded."""
    if not uri.lower().startswith("file://"):
        return Path(uri)
    literal = "/" + uri[7:].lstrip("/")
    if os.path.lexists(literal):
        return Path(literal)
    return Path(os.fsdecode(unquote_to_bytes(literal)))


class LocalPlace:
    """What one local path, folder or pattern means. ``~`` is the home folder."""

    def __init__(self, spec: str, limits: Limits) -> None:
        """Remember ``spec``; nothing is looked at yet."""
        scheme, self._spec = (spec[:7], spec[7:]) if spec.lower().startswith("file://") else ("", spec)
        self._scheme = scheme
        if not scheme:
            self._spec = os.path.normpath(os.path.expanduser(spec))
        self._limits = limits

    def list(self, skipped: builtins.list[Skipped]) -> Iterator[Listed]:
        """Yield the files, noting in ``skipped`` what is passed over."""
        path = to_path(self._scheme + self._spec)
        if path.is_dir():
            yield from self._walk(self._spec if path.is_dir() else str(path), None, skipped)
        elif os.path.lexists(path):
            yield self._listed(str(path) if not self._scheme else self._spec)
        elif MAGIC.search(self._spec):
            base, rest = split_pattern(self._spec)
            base = base or ("/" if self._spec.startswith("/") else ".")
            pattern = pattern_of(rest)
            if not to_path(self._scheme + base).is_dir():
                raise SourceNotFoundError(f"There is no folder {base}.", hint=_nearest(Path(base)))
            yield from self._walk(base, pattern, skipped)
        else:
            raise SourceNotFoundError(f"There is nothing at {path}.", hint=_nearest(path))

    def owns(self, uri: str) -> bool:
        """Every local document can be fetched by every local place."""
        return "://" not in uri or uri.lower().startswith("file://")

    def look(self, uri: str) -> Listed:
        """Return the version and size the file has now."""
        with _read(uri):
            return _seen(uri, to_path(uri).stat())

    @contextlib.contextmanager
    def fetch(self, uri: str) -> Iterator[Fetched]:
        """Give the file in place; raise `SourceUnavailableError` if it changes before the block ends."""
        path = to_path(uri)
        with _read(uri):
            before = path.stat()
            if not stat.S_ISREG(before.st_mode):
                raise SourceUnavailableError(f"{uri} is not a regular file.")
            Budget(self._limits).check("file_bytes", before.st_size)
            digest = _hash(path)
        _unchanged(uri, path, before)
        listed = _seen(uri, before)
        try:
            yield Fetched(path=path, sha256=digest, size=listed.size, version=listed.version, modified=listed.modified)
        finally:
            # A parser that fails on a file being overwritten must not blame the file.
            _unchanged(uri, path, before)

    def _listed(self, path: str) -> Listed:
        _same_everywhere(path)
        uri = self._scheme + path if self._scheme else printable_path(path)
        return self.look(uri)

    def _walk(self, base: str, pattern: re.Pattern[str] | None, skipped: builtins.list[Skipped]) -> Iterator[Listed]:
        root = str(to_path(self._scheme + base))
        for relative in _files(root):
            _same_everywhere(relative)
            if pattern and not pattern.match(relative):
                continue
            found = base.rstrip("/") + "/" + relative if base != "." else relative
            uri = printable_path(found if not self._scheme else os.path.join(root, relative))
            if self._scheme and not uri.startswith("file://"):
                uri = self._scheme + base.rstrip("/") + "/" + relative
            hidden = pass_over(relative)
            passed = Skipped(uri=uri, reason=hidden) if hidden else _passed_over(uri, os.path.join(root, relative))
            if passed:
                skipped.append(passed)
            else:
                yield self.look(uri)


def _files(root: str) -> Iterator[str]:
    """Yield every path below ``root`` that is not a folder, relative to it; each folder once, even with links."""
    seen: set[tuple[int, int]] = set()

    def fail(error: OSError) -> None:
        raise SourceUnavailableError(f"The folder {error.filename} cannot be read: {error.strerror}.") from None

    for folder, folders, names in os.walk(root, followlinks=True, onerror=fail):
        try:
            facts = os.stat(folder)
        except FileNotFoundError:  # it went since its parent was listed
            continue
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def _same_everywhere(path: str) -> None:
    """Refuse a name that this process reads otherwise than others do: its document would be another one."""
    if path.isascii() or sys.getfilesystemencoding() == "utf-8":
        return
    raise InvalidOptionError(
        f"Python takes the names of files for {sys.getfilesystemencoding()} here, and {path!a} has more letters.",
        hint="Set PYTHONUTF8=1, or a locale like C.UTF-8: in another one the same file would be another document.",
    )


_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def _passed_over(uri: str, path: str) -> Skipped | None:
    """Return why a path that was listed is not taken; a link may lead to a share that is not mounted now."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in _NOWHERE:
            return Skipped(uri=uri, reason="broken link", unseen=True)
        return Skipped(uri=uri, reason=f"cannot be looked at: {error.strerror}", lost=True, unseen=True)
    return None if stat.S_ISREG(mode) else Skipped(uri=uri, reason="not a regular file")


def _seen(uri: str, facts: os.stat_result) -> Listed:
    version = f"{facts.st_mtime_ns}-{facts.st_size}"
    return Listed(uri=uri, version=version, size=facts.st_size, modified=dates.of_seconds(facts.st_mtime))


def _hash(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _identity(facts: os.stat_result) -> tuple[int, ...]:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _unchanged(uri: str, path: Path, before: os.stat_result) -> None:
    with _read(uri):
        after = path.stat()
    if _identity(after) != _identity(before):
        raise SourceUnavailableError(
            f"{uri} was changed while it was read.", hint="The next try reads the new version."
        )


def _read(uri: str) -> contextlib.AbstractContextManager[None]:
    return named(f"Reading {uri}", SourceUnavailableError)


def _nearest(path: Path) -> str:
    """Say how far the path is right, and what is there."""
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    return f"The nearest folder that exists is {parent.absolute()}."
