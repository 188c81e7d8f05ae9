"""Word documents (.docx): headings, paragraphs, lists, tables, boxes, notes, comments, pictures, charts, in order.

A Word file has no pages until it is laid out, so everything is on page 0; ``render_as_pdf`` lays it out with
LibreOffice and has page numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.docx_body import DocxWalk, note_text
from nemo_retriever_dagster.extract.docx_styles import Numbering, Styles
from nemo_retriever_dagster.extract.ooxml import Package, attribute, every, first, q, switch
from nemo_retriever_dagster.extract.ooxml_picture import wanted_elements
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.limits import Budget

_NOTES = {"footnote": "footnotes", "endnote": "endnotes", "comment": "comments"}
_MARGINS = ("w:headerReference", "w:footerReference")
_SEPARATORS = {"separator", "continuationSeparator", "continuationNotice"}


class DocxExtractor:
    """Reads .docx natively (``python_docx``, the reference's name for it) or through LibreOffice."""

    formats: tuple[str, ...] = ("docx",)
    methods: tuple[str, ...] = ("python_docx", "render_as_pdf")
    version = "4"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield the document as one page with number 0, or the pages of its rendering."""
        if options.method == "render_as_pdf":
            from nemo_retriever_dagster.extract.libreoffice import rendered_pages

            yield from rendered_pages(path, options, budget)
            return
        with Package(path, budget) as package:
            elements = _Reader(package, options, budget).elements()
            yield Page(elements=tuple(wanted_elements(elements, options)), dates=package.dates())


class _Reader:
    """One document: its stories and what they share."""

    def __init__(self, package: Package, options: ExtractOptions, budget: Budget) -> None:
        self._package = package
        self._part, self._document = package.main("w:document")
        self._warnings: list[str] = []
        self._notes: dict[str, dict[str, _Element]] = {}
        self._unshown = self._unshown_margins()
        self._open: set[tuple[str, str]] = set()
        self._walk = DocxWalk(
            package=package,
            options=options,
            budget=budget,
            styles=Styles(self._side_part("styles")),
            numbering=Numbering(self._side_part("numbering")),
            notes=self._note,
        )

    def elements(self) -> list[Element]:
        """Return headers, body, footers; a header that several sections share stands once."""
        body = first(self._document, "w:body")
        if body is None:
            raise CorruptFileError("The document has no body.")
        found = [
            *self._margins("header"),
            *self._walk.story(body, part=self._part),
            *self._margins("footer"),
        ]
        if self._warnings:
            found.append(Element(kind=Kind.TEXT, warnings=tuple(self._warnings)))
        return found

    def _side_part(self, kind: str) -> _Element | None:
        """Return a part beside the document; the document stands without it, so damage there is a warning."""
        target = self._package.link(self._part, kind)
        try:
            return self._package.xml(target) if target else None
        except CorruptFileError as error:
            self._warnings.append(f"The part {target} cannot be read: {error.message}")
            return None

    def _margins(self, kind: str) -> Iterator[Element]:
        seen: set[str] = set()
        for name, link in self._package.links(self._part).items():
            if link.kind != kind or link.external or name in self._unshown:
                continue
            try:
                root = self._package.xml(link.target)
            except CorruptFileError as error:
                self._warnings.append(f"A {kind} cannot be read: {error.message}")
                continue
            elements = list(self._walk.story(root, part=link.target, marks={"part": kind}))
            text = "\n".join(element.text for element in elements)
            if text not in seen or any(element.picture for element in elements):
                yield from elements
            seen.add(text)

    def _unshown_margins(self) -> set[str]:
        """Return the links of headers and footers of first or even pages, where no section has its own for these."""
        sections = list(self._document.iter(q("w:sectPr")))
        settings = self._side_part("settings")
        off = set() if any(switch(first(section, "w:titlePg")) for section in sections) else {"first"}
        if settings is not None and not switch(first(settings, "w:evenAndOddHeaders")):
            off.add("even")
        named = [node for section in sections for path in _MARGINS for node in every(section, path)]
        shown = {attribute(node, "r:id") for node in named if attribute(node, "w:type") not in off}
        return {attribute(node, "r:id") for node in named} - shown

    def _note(self, kind: str, name: str) -> list[Element]:
        """Return the elements of a footnote, endnote or comment; one that refers to itself is read once."""
        if kind not in self._notes:
            root = self._side_part(_NOTES[kind])
            nodes = [] if root is None else [node for node in root if isinstance(node.tag, str)]
            self._notes[kind] = {attribute(n, "w:id"): n for n in nodes if attribute(n, "w:type") not in _SEPARATORS}
        node = self._notes[kind].get(name)
        if node is None or (kind, name) in self._open:
            return []
        self._open.add((kind, name))
        marks = {"part": kind, **({"author": attribute(node, "w:author")} if kind == "comment" else {})}
        part = self._package.link(self._part, _NOTES[kind])
        found = list(self._walk.story(node, part=part, marks=marks))
        self._open.discard((kind, name))
        return note_text(found, _label(kind, marks.get("author", "")))


def _label(kind: str, author: str) -> str:
    return f"Comment ({author})" if author else kind.capitalize()
