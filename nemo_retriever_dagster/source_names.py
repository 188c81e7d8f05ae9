"""Names of documents: partition keys, what may be shown, and what is passed over."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (dataclass fields are read at run time)
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, urlsplit

from nemo_retriever_dagster.errors import redact

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

KEY_PATTERN = re.compile(r"[a-z0-9._-]{1,96}")
"""What a partition key looks like."""

_DIGITS = 10
_SLUG = 96 - _DIGITS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file that the source holds; ``version`` changes when its bytes do, ``modified`` says when they did, or ""."""

    uri: str
    version: str
    size: int
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document's bytes on this machine: their place, hash and number, the version that was read and when it was made.

    ``modified`` is "" where the source does not tell.
    """

    path: Path
    sha256: str
    size: int
    version: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that the source passed over, and why.

    ``lost`` tells that it is a document: somebody must do something, or it will never be found. ``unseen`` tells that
    nobody knows what is there, or below it: a document of that path has not vanished.
    """

    uri: str
    reason: str
    lost: bool = False
    unseen: bool = False

    def covers(self, uri: str) -> bool:
        """Whether a document of this URI may be there, unseen."""
        return self.unseen and f"{uri}/".startswith(f"{self.uri}/")


def unseen(passed_over: Iterable[Skipped], uris: Iterable[str]) -> set[str]:
    """Return those of ``uris`` that may be there although a source that passed these over has not listed them."""
    blind = [skipped for skipped in passed_over if skipped.unseen]
    return {uri for uri in uris if any(skipped.covers(uri) for skipped in blind)}


def vanished(known: Mapping[str, str], there: Container[str], passed_over: Iterable[Skipped]) -> set[str]:
    """Return the keys of the documents ``known`` (their URIs by key) that a source surely has no more.

    ``there`` are the keys of those it listed, ``passed_over`` is what it did not take.
    """
    missing = {key: uri for key, uri in known.items() if key not in there}
    hidden = unseen(passed_over, missing.values())
    return {key for key, uri in missing.items() if uri not in hidden}


def partition_key(uri: str) -> str:
    """Return the partition key of a document: a readable form of its name, a dot, ten hex digits of its URI's hash.

    Matches ``[a-z0-9._-]{1,96}``, never holds two dots in a row, and is the same on every machine: the URI is brought
    to Unicode form NFC first.
    """
    whole = unicodedata.normalize("NFC", uri)
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    path = urlsplit(whole).path if re.match(r"https?://", whole) else whole
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    slug = re.sub(r"[^a-z0-9._-]+", "-", plain)
    slug = re.sub(r"[.-]{2,}", lambda run: "." if "." in run.group() else "-", slug).strip(".-")
    return f"{_shorten(slug) or 'document'}.{digest[:_DIGITS]}"


def _shorten(slug: str) -> str:
    """Keep the start and the extension."""
    if len(slug) <= _SLUG:
        return slug
    stem, dot, extension = slug.rpartition(".")
    if not dot or len(extension) > 8:  # noqa: PLR2004 (no extension is that long)
        return slug[:_SLUG].rstrip(".-")
    return stem[: _SLUG - len(extension) - 1].rstrip(".-") + dot + extension


def shown(uri: str) -> str:
    """Return a URI without password, token or signature, so that it may be stored and printed; a path as it is."""
    if re.match(r"(?i)https?://", uri):
        address, mark, query = re.sub(r"(?<=://)[^/@]*@", "", uri).partition("?")
        return f"{address}{redact(mark + query)}"
    return re.sub(r"(://[^/\s:@]*):[^/@]*(?=@)", r"\1", uri)


def printable_path(path: str) -> str:
    """Return ``path``, or a percent-encoded ``file://`` URI where it holds control characters or undecodable bytes.

    A URI is absolute: read back, the first part of a relative path would be its host.
    """
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in path):
        whole = os.path.abspath(path)  # noqa: PTH100 (a path that a file has, of which nothing may be resolved)
        return "file://" + quote_from_bytes(whole.encode("utf-8", "surrogateescape"))
    return path


def pass_over(relative: str) -> str:
    """Return why a file found in a folder is not taken ("" = it is). ``relative`` is its path inside the folder."""
    parts = relative.split("/")
    if any(part.startswith(".") for part in parts):
        return "hidden file"
    if parts[-1].startswith("~$"):
        return "lock file of an office program"
    return ""


def scratch_name(uri: str) -> str:
    """Return a file name made of hash digits and a plain extension: nothing of a foreign name reaches the disk."""
    path = urlsplit(uri).path if "://" in uri else uri
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    digest = hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{digest}.{extension.lower()}" if dot and re.fullmatch(r"[A-Za-z0-9]{1,8}", extension) else digest
