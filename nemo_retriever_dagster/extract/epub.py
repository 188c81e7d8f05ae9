"""Books (.epub): one page a chapter, in the order of the spine, read as the web pages they are."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, EncryptedFileError
from nemo_retriever_dagster.extract.archive import open_archive
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.html import decoded_page, html_elements
from nemo_retriever_dagster.extract.image import may_hold_more, read_picture
from nemo_retriever_dagster.extract.ooxml_picture import wanted_elements
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.archive import BoundedArchive
    from nemo_retriever_dagster.limits import Budget

_CONTAINER, _RIGHTS = "META-INF/container.xml", "META-INF/encryption.xml"
_CHAPTERS = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_FONT_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Ways of hiding fonts, which every reader undoes; any other encryption keeps the text from us."""


class EpubExtractor:
    """Reads .epub without rights management."""

    formats: tuple[str, ...] = ("epub",)
    methods: tuple[str, ...] = ()
    version = "2"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield a page for each chapter, then one for the pictures."""
        if not path.stat().st_size:
            raise EmptyFileError
        with open_archive(path, budget) as archive:
            _refuse_protected(archive)
            place = _package_place(archive)
            items = _items(archive.xml(place), posixpath.dirname(place))
            spine = [item for item in items if item[1] in _CHAPTERS]
            if not spine:
                raise CorruptFileError("The book has no chapter that can be read.")
            pictures = [name for name, kind in items if kind in _PICTURES]
            for index, (name, _) in enumerate(spine):
                elements = _chapter(archive, name, options, budget)
                yield Page(number=index + 1, elements=tuple(elements), total=len(spine))
            found = [_picture(archive, name, options, budget) for name in pictures]
            yield Page(elements=tuple(wanted_elements(found, options)), total=len(spine))


def _refuse_protected(archive: BoundedArchive) -> None:
    if _RIGHTS not in archive:
        return
    methods = [node.get("Algorithm", "") for node in archive.xml(_RIGHTS).iter("{*}EncryptionMethod")]
    if any(not method.startswith(_FONT_ONLY) for method in methods):
        raise EncryptedFileError("The book is protected by rights management.")


def _package_place(archive: BoundedArchive) -> str:
    if _CONTAINER not in archive:
        raise CorruptFileError("The archive is no book: it has no META-INF/container.xml.")
    node = next(archive.xml(_CONTAINER).iter("{*}rootfile"), None)
    place = node.get("full-path", "") if node is not None else ""
    if place not in archive:
        raise CorruptFileError("The book's package file is missing.")
    return place


def _items(package: _Element, folder: str) -> list[tuple[str, str]]:
    """Return what the manifest lists, name and media type: the spine's items in its order, then all others."""
    listed = {
        node.get("id", ""): (_resolved(folder, node.get("href", "")), node.get("media-type", ""))
        for node in package.iter("{*}item")
    }
    order = [reference.get("idref", "") for reference in package.iter("{*}itemref")]
    first = [name for name in dict.fromkeys(order) if name in listed]
    rest = [name for name in listed if name not in first and listed[name][1] not in _CHAPTERS]
    return [listed[name] for name in (*first, *rest)]


def _resolved(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, unquote(href))).lstrip("/")


def _chapter(archive: BoundedArchive, name: str, options: ExtractOptions, budget: Budget) -> list[Element]:
    if name not in archive:
        return [Element(kind=Kind.TEXT, warnings=(f"The chapter {name} is missing from the book.",))]
    decoded = decoded_page(archive.read(name), budget, xhtml=True)
    warned = [Element(kind=Kind.TEXT, warnings=decoded.warnings)] if decoded.warnings else []
    return [*html_elements(decoded.text, options, budget), *warned]


def _picture(archive: BoundedArchive, name: str, options: ExtractOptions, budget: Budget) -> Element:
    marks: dict[str, object] = {"name": posixpath.basename(name)}
    if name not in archive:
        return Element(kind=Kind.IMAGE, warnings=(f"The picture {name} is missing from the book.",), attributes=marks)
    data = archive.read(name)
    try:
        picture = read_picture(data, budget)
    except DataError as error:
        return Element(kind=Kind.IMAGE, warnings=(f"The picture {name} cannot be read: {error}",), attributes=marks)
    if may_hold_more(picture) and (options.tables or options.charts or options.infographics):
        marks["look_inside"] = True
    return Element(kind=Kind.IMAGE, picture=picture, attributes=marks)
