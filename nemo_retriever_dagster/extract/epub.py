"""Books (.epub): one page a chapter, in the order of the spine, read as the web pages they are."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nemo_retriever_dagster.dates import Dates, of_iso
from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, EncryptedFileError
from nemo_retriever_dagster.extract.archive import open_archive
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.html import decoded_page, read_page
from nemo_retriever_dagster.extract.html_picture import FindPicture, embedded_pictures
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
_DATE, _META = "{http://purl.org/dc/elements/1.1/}date", "{http://www.idpf.org/2007/opf}meta"
_EVENT = "{http://www.idpf.org/2007/opf}event"
_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_FONT_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Ways of hiding fonts, which every reader undoes; any other encryption keeps the text from us."""


class EpubExtractor:
    """Reads .epub without rights management."""

    formats: tuple[str, ...] = ("epub",)
    methods: tuple[str, ...] = ()
    version = "4"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield a page for each chapter, then one for the pictures that no chapter shows."""
        if not path.stat().st_size:
            raise EmptyFileError
        with open_archive(path, budget) as archive:
            _refuse_protected(archive)
            place = _package_place(archive)
            package = archive.xml(place)
            items = _items(package, posixpath.dirname(place))
            spine = [name for name, kind in items if kind in _CHAPTERS]
            if not spine:
                raise CorruptFileError("The book has no chapter that can be read.")
            pictures = _Pictures(archive, [name for name, kind in items if kind in _PICTURES], options, budget)
            titles, said = _Titles(_title(package)) if options.text else None, _dates(package)
            for index, name in enumerate(spine):
                title, elements = _chapter(archive, name, options, budget, pictures)
                headed = titles.stand_in(title, elements) if titles else elements
                numbered = (replace(element, page=index + 1) for element in headed)
                yield Page(number=index + 1, elements=tuple(numbered), total=len(spine), dates=said)
            yield Page(elements=tuple(pictures.rest()), total=len(spine))


class _Titles:
    """The titles of a book's files, each where no heading stands, and once: many have the book's in all of them."""

    def __init__(self, book: str) -> None:
        """``book`` is the book's own title; it is said before anything else."""
        self._book = book
        self._said = {""}

    def stand_in(self, title: str, elements: list[Element]) -> list[Element]:
        """Return a chapter's elements with the title they lack."""
        if self._book not in self._said:
            self._said.add(self._book)
            if not any(element.text.casefold() == self._book.casefold() for element in elements):
                return [_heading(self._book), *elements]
        if title in self._said or any(element.heading for element in elements):
            return elements
        self._said.add(title)
        return [_heading(title), *elements]


class _Pictures:
    """The pictures of a book, each at the first place that shows it, the rest behind the book."""

    def __init__(self, archive: BoundedArchive, names: list[str], options: ExtractOptions, budget: Budget) -> None:
        """``names`` are the pictures that the book lists."""
        self._archive = archive
        self._left = dict.fromkeys(names)
        self._options = options
        self._budget = budget

    def of_chapter(self, chapter: str) -> FindPicture:
        """Return what finds the pictures that a chapter refers to, in the book or in itself."""
        embedded = embedded_pictures(self._options, self._budget)

        def find(source: str, alt_text: str) -> Element | None:
            name = _resolved(posixpath.dirname(chapter), source.partition("#")[0])
            return self._take(name, alt_text) if name in self._left else embedded(source, alt_text)

        return find

    def rest(self) -> Iterator[Element]:
        """Yield the pictures that no chapter showed."""
        yield from (element for name in list(self._left) if (element := self._take(name, "")))

    def _take(self, name: str, alt_text: str) -> Element | None:
        del self._left[name]
        element = replace(_picture(self._archive, name, self._options, self._budget), alt_text=alt_text)
        return next(wanted_elements([element], self._options), None)


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


def _title(package: _Element) -> str:
    node = next(package.iter("{http://purl.org/dc/elements/1.1/}title"), None)
    return " ".join("".join(node.itertext()).split()) if node is not None else ""


def _dates(package: _Element) -> Dates:
    """Return when a book was published or made, and last changed, in the ways of EPUB 2 and 3."""
    found: dict[str, str] = {}
    for node in package.iter(_DATE, _META):
        event = node.get(_EVENT, "publication") if node.tag == _DATE else node.get("property", "")
        found.setdefault(event, node.text or "")
    created = found.get("creation") or found.get("dcterms:created") or found.get("publication", "")
    return Dates(
        created=of_iso(created), modified=of_iso(found.get("dcterms:modified") or found.get("modification", ""))
    )


def _heading(text: str) -> Element:
    return Element(kind=Kind.TEXT, text=text, heading=1)


def _chapter(
    archive: BoundedArchive, name: str, options: ExtractOptions, budget: Budget, pictures: _Pictures
) -> tuple[str, list[Element]]:
    """Return a chapter's title and elements."""
    if name not in archive:
        return "", [Element(kind=Kind.TEXT, warnings=(f"The chapter {name} is missing from the book.",))]
    decoded = decoded_page(archive.read(name), budget, xhtml=True)
    title, elements = read_page(decoded.text, options, pictures.of_chapter(name))
    warned = [Element(kind=Kind.TEXT, warnings=decoded.warnings)] if decoded.warnings else []
    return title, [*elements, *warned]


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
