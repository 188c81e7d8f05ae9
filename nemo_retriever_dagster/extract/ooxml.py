"""An Office Open XML package: its parts, their relationships, their XML, for Word and PowerPoint alike.

Read straight from the package and not through python-docx or python-pptx: those refuse the Strict variant, load every
part at once, and give up on a whole document for one dangling relationship. Nothing outside the package is ever opened.
"""

from __future__ import annotations

import mmap
import posixpath
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

from nemo_retriever_dagster.dates import Dates, of_iso
from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, EncryptedFileError
from nemo_retriever_dagster.extract.archive import open_archive
from nemo_retriever_dagster.extract.xml import safe_xml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.limits import Budget

_SCHEMAS = "http://schemas.openxmlformats.org"
NAMESPACES = {
    "w": f"{_SCHEMAS}/wordprocessingml/2006/main",
    "p": f"{_SCHEMAS}/presentationml/2006/main",
    "s": f"{_SCHEMAS}/spreadsheetml/2006/main",
    "a": f"{_SCHEMAS}/drawingml/2006/main",
    "c": f"{_SCHEMAS}/drawingml/2006/chart",
    "dgm": f"{_SCHEMAS}/drawingml/2006/diagram",
    "pic": f"{_SCHEMAS}/drawingml/2006/picture",
    "wp": f"{_SCHEMAS}/drawingml/2006/wordprocessingDrawing",
    "r": f"{_SCHEMAS}/officeDocument/2006/relationships",
    "m": f"{_SCHEMAS}/officeDocument/2006/math",
    "rel": f"{_SCHEMAS}/package/2006/relationships",
    "mc": f"{_SCHEMAS}/markup-compatibility/2006",
    "dcterms": "http://purl.org/dc/terms/",
    "cx": "http://schemas.microsoft.com/office/drawing/2014/chartex",
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
}
OFF = frozenset({"0", "false", "off"})
"""The values that switch a property off."""
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/([A-Za-z]+)/")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


@cache
def q(name: str) -> str:
    """Turn ``w:p`` into the name lxml uses, ``{namespace}p``."""
    prefix, _, local = name.rpartition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}" if prefix else local


@cache
def short(tag: str) -> str:
    """Turn lxml's ``{namespace}p`` into ``w:p``; an unknown namespace has the prefix ``?``."""
    uri, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    return f"{_PREFIXES.get(uri, '?')}:{local}" if uri else local


@cache
def _steps(path: str) -> str:
    """Turn ``w:pPr/w:rPr`` into the path lxml uses, which it follows twice as fast as one with prefixes."""
    return "/".join(map(q, path.split("/")))


def attribute(node: _Element | None, name: str, default: str = "") -> str:
    """Return the attribute ``name`` (``w:val``) of a node that may be missing."""
    return default if node is None else str(node.get(q(name), default))


def switch(node: _Element | None) -> bool | None:
    """Return whether a property that is on or off (``w:vanish``) is on; None where it is not there."""
    return None if node is None else attribute(node, "w:val", "1") not in OFF


def number(text: str | None, default: int = 0) -> int:
    """Read a whole number from a file that may hold anything in its place."""
    try:
        return int(float(text)) if text else default
    except (ValueError, OverflowError):
        return default


def first(node: _Element | None, path: str) -> _Element | None:
    """Return the first node at a path of prefixed names, or None."""
    return None if node is None else node.find(_steps(path))


def every(node: _Element | None, path: str) -> list[_Element]:
    """Return all nodes at a path of prefixed names."""
    return [] if node is None else list(node.iterfind(_steps(path)))


def children(node: _Element) -> Iterator[_Element]:
    """Yield the children; of alternatives, the branch a current reader shows."""
    for child in node:
        if not isinstance(child.tag, str):
            continue
        if child.tag == q("mc:AlternateContent"):
            branch = first(child, "mc:Choice")
            branch = first(child, "mc:Fallback") if branch is None else branch
            if branch is not None:
                yield from children(branch)
        else:
            yield child


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """A link from one part to another (``target`` is its name), or to the outside (``external``; never followed)."""

    kind: str
    target: str
    external: bool = False


class Package:
    """An opened package. Use as a context manager."""

    def __init__(self, path: Path, budget: Budget) -> None:
        """Open the file; raise `EmptyFileError`, `EncryptedFileError` or `CorruptFileError` where it is no package."""
        _refuse_others(path)
        self._archive = open_archive(path, budget)
        self._budget = budget
        self._names = {name.lower(): name for name in self._archive.names()}
        self._links: dict[str, dict[str, Relationship]] = {}

    def __enter__(self) -> Self:
        """Return the package."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._archive.close()

    def __contains__(self, part: str) -> bool:
        """Whether the package has the part."""
        return part.lower() in self._names

    def data(self, part: str) -> bytes:
        """Return a part's bytes; raise `CorruptFileError` where there is no such part."""
        name = self._names.get(part.lower())
        if name is None:
            raise CorruptFileError(f"The file has no part {part!r}.")
        return self._archive.read(name)

    def xml(self, part: str) -> _Element:
        """Return a part's root node, the Strict variant's names turned into the usual ones."""
        data = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/", self.data(part))
        return safe_xml(data, self._budget)

    def links(self, part: str = "") -> Mapping[str, Relationship]:
        """Return a part's relationships by id; "" is the package itself. A part without any has none."""
        if part not in self._links:
            self._links[part] = dict(self._read_links(part))
        return self._links[part]

    def link(self, part: str, kind: str) -> str:
        """Return the target of the first relationship of a kind (``styles``), "" where there is none."""
        found = (link.target for link in self.links(part).values() if link.kind == kind and not link.external)
        return next(found, "")

    def main(self, root: str) -> tuple[str, _Element]:
        """Return the main part and its node, which must be ``root`` (``w:document``)."""
        part = self.link("", "officeDocument")
        if not part:
            raise CorruptFileError("The package names no main document part.")
        node = self.xml(part)
        if short(node.tag) != root:
            raise CorruptFileError(f"The main part is {short(node.tag)}, not {root}: the file is of another type.")
        return part, node

    def dates(self) -> Dates:
        """Return the dates of the core properties; the package stands without them, so damage there says nothing."""
        part = self.link("", "core-properties")
        try:
            root = self.xml(part) if part else None
        except DataError:
            return Dates()
        created, modified = (_text(first(root, name)) for name in ("dcterms:created", "dcterms:modified"))
        return Dates(created=of_iso(created), modified=of_iso(modified))

    def _read_links(self, part: str) -> Iterator[tuple[str, Relationship]]:
        folder, name = posixpath.split(part)
        part_of_links = posixpath.join(folder, "_rels", f"{name}.rels")
        if part_of_links not in self:
            return
        for node in every(self.xml(part_of_links), "rel:Relationship"):
            external = node.get("TargetMode", "") == "External"
            target = node.get("Target", "")
            kind = node.get("Type", "").rpartition("/")[2]
            place = target if external else _resolve(folder, target)
            yield node.get("Id", ""), Relationship(kind=kind, target=place, external=external)


def _text(node: _Element | None) -> str:
    return "" if node is None else node.text or ""


def _resolve(folder: str, target: str) -> str:
    """Return the part name a relationship means; names never leave the package, so '..' above its root is cut."""
    return posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")


def _refuse_others(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(8)
        if not head:
            raise EmptyFileError
        if head == _OLE:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                raise _ole_error(encrypted=whole.find(_ENCRYPTED) >= 0)
    if head.startswith(b"%PDF"):
        hint = "Give it its right extension, or read it with extract(document_type='pdf')."
        raise CorruptFileError("The file is a PDF under the name of an Office document.", hint=hint)
    if not head.startswith(b"PK"):
        raise CorruptFileError("The file is not an Office Open XML package (no zip signature).")


def _ole_error(*, encrypted: bool) -> EncryptedFileError | CorruptFileError:
    if encrypted:
        return EncryptedFileError("The Office document is protected by a password.")
    hint = "Save it as .docx, .pptx or .xlsx."
    return CorruptFileError("The file is in the old binary Office format.", hint=hint)
