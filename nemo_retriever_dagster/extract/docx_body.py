"""The walk through a Word story (body, header, footnote, comment, text box): blocks in, elements out, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.captions import CAPTION_PART
from nemo_retriever_dagster.extract.docx_fields import Fields
from nemo_retriever_dagster.extract.docx_listings import LISTING, whole_listings
from nemo_retriever_dagster.extract.docx_styles import BULLET
from nemo_retriever_dagster.extract.docx_table import is_continued, is_layout, read_table, row_cells, table_rows
from nemo_retriever_dagster.extract.docx_text import Paragraph, ParagraphReader
from nemo_retriever_dagster.extract.ooxml import Package, children, first, q, short
from nemo_retriever_dagster.extract.ooxml_picture import chart_of, diagram_text, link_attribute, picture_element
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.docx_styles import Numbering, Styles
    from nemo_retriever_dagster.limits import Budget

_CONTAINERS = {"w:sdt", "w:sdtContent", "w:customXml", "w:smartTag", "w:ins", "w:moveTo"}
_BLOCKS = {"w:tbl", "w:altChunk", *_CONTAINERS}
_INDENT = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """One story of the document. ``part`` is where its relationships are; ``marks`` go on each of its elements.

    ``in_cell`` tells that a cell of data is read, where a number may be all that stands in it.
    """

    part: str
    marks: Mapping[str, str]
    reader: ParagraphReader
    in_cell: bool = False


@dataclass(slots=True, kw_only=True)
class DocxWalk:
    """Turns blocks into elements. ``notes`` gives the elements of a footnote, endnote or comment by kind and id."""

    package: Package
    options: ExtractOptions
    budget: Budget
    styles: Styles
    numbering: Numbering
    notes: Callable[[str, str], list[Element]] = lambda _kind, _name: []

    def story(self, root: _Element, *, part: str, marks: Mapping[str, str] | None = None) -> Iterator[Element]:
        """Yield the elements of a story; ``part`` is where its relationships are, ``marks`` go on each element."""
        reader = ParagraphReader(self.styles, Fields(root))
        yield from whole_listings(self._blocks(root, _Story(part=part, marks=marks or {}, reader=reader)))

    def _blocks(self, node: _Element, story: _Story) -> Iterator[Element]:
        found = Paragraph()
        for child in children(node):
            name = short(child.tag)
            if name == "w:p":
                story.reader.read(child, found)
            if found.ended or name in _BLOCKS:
                yield from self._paragraph(found, story)
                found = Paragraph()
            if name in _BLOCKS:
                yield from self._block(child, name, story)
        yield from self._paragraph(found, story)

    def _block(self, node: _Element, name: str, story: _Story) -> Iterator[Element]:
        if name == "w:tbl":
            yield from self._table(node, story)
        elif name == "w:altChunk":
            yield self._text("", story, warnings=("A document embedded as a block (altChunk) was not read.",))
        else:
            yield from self._blocks(node, story)

    def _paragraph(self, found: Paragraph, story: _Story) -> Iterator[Element]:
        properties = found.properties
        heading = self.styles.heading(properties)
        marker = self._marker(found, heading)
        if self._is_line(found, story, heading, marker):
            yield self._text(found.line, story, marks=LISTING)
        elif text := found.text:
            marks = {"part": CAPTION_PART} if self.styles.is_caption(properties) else {}
            yield self._text(f"{marker}{text}", story, heading=heading, marks=marks)
        elif marker.strip(f" {BULLET}") and (found.drawings or story.in_cell):
            yield self._text(marker.rstrip(), story)  # a step that is a picture, a row that is numbered
        yield from self._attached(found, story)

    def _is_line(self, found: Paragraph, story: _Story, heading: int, marker: str) -> bool:
        """Whether a paragraph is a line of a listing; an empty one is, if nothing else hangs on it."""
        if heading or marker or story.marks or story.in_cell or not self.styles.is_listing(found.properties):
            return False
        return bool(found.text) or (found.ended and not found.hidden and not self._ends_unseen(found))

    def _marker(self, found: Paragraph, heading: int) -> str:
        """Count a list item and return what stands before it, indented by its level; a heading is not indented.

        One without text counts as well, but for those whose end is deleted or hidden.
        """
        name, level = self.styles.list_place(found.properties)
        if not name or not (found.text or (found.ended and not self._ends_unseen(found))):
            return ""
        marker = self.numbering.marker(name, level)
        indent = "" if heading else _INDENT * level
        return f"{indent}{marker} " if marker else indent

    def _ends_unseen(self, found: Paragraph) -> bool:
        return self.styles.hides(first(found.properties, "w:rPr"), found.properties)

    def _attached(self, found: Paragraph, story: _Story) -> Iterator[Element]:
        if hidden := found.hidden_text:
            yield self._text(hidden, story, marks={"hidden": True})
        for drawing in found.drawings:
            yield from self._drawing(drawing, story)
        for kind, name in found.notes:
            yield from self.notes(kind, name)

    def _text(
        self,
        text: str,
        story: _Story,
        *,
        heading: int = 0,
        marks: Mapping[str, object] | None = None,
        warnings: tuple[str, ...] = (),
    ) -> Element:
        attributes = {**story.marks, **(marks or {})}
        return Element(kind=Kind.TEXT, text=text, heading=heading, attributes=attributes, warnings=warnings)

    def _table(self, node: _Element, story: _Story) -> Iterator[Element]:
        rows = [list(row_cells(row)) for row in table_rows(node)]
        if [len(row) for row in rows] == [1] or is_layout(rows, self._is_heading):
            for cell in chain.from_iterable(rows):
                yield from self._blocks(cell, story)
            return
        beside: list[Element] = []
        table = read_table(node, lambda cell: self._cell_text(cell, story, beside))
        height, width = table.shape
        self.budget.spend("xml_nodes", height * width)  # spans make vast grids of few cells
        if not any(cell.text for cell in table.cells):
            yield from beside  # a grid that only places pictures
            return
        wanted = self.options.tables
        text = render(table, self.options.table_format) if wanted else "\n".join(map("\t".join, table.rows()))
        yield Element(
            kind=Kind.TABLE if wanted else Kind.TEXT,
            text=text,
            table=table if wanted else None,
            table_format=self.options.table_format if wanted else "",
            attributes=dict(story.marks),
        )
        yield from beside

    def _is_heading(self, paragraph: _Element) -> bool:
        return self.styles.heading(first(paragraph, "w:pPr")) > 0

    def _cell_text(self, cell: _Element, story: _Story, beside: list[Element]) -> str:
        """Return a cell's paragraphs as lines, an inner table as lines too; what is not text goes to ``beside``."""
        lines = []
        for element in self._blocks(cell, replace(story, in_cell=not is_continued(cell))):
            apart = {name for name, value in element.attributes.items() if value != CAPTION_PART} - story.marks.keys()
            if element.kind is Kind.TABLE and element.table is not None:
                lines += [", ".join(filter(None, row)) for row in element.table.rows()]
            elif element.kind is Kind.TEXT and not apart and not element.warnings:
                lines.append(element.text)
            else:
                beside.append(element)
        return "\n".join(lines)

    def _drawing(self, node: _Element, story: _Story) -> Iterator[Element]:
        """Yield what a drawing holds: pictures, charts, diagrams, and the text of its boxes."""
        for child, alt_text in _drawn(node, _alt_text(node)):
            name = short(child.tag)
            if name == "w:txbxContent":
                yield from self.story(child, part=story.part, marks={**story.marks, "part": "textbox"})
            elif name in {"c:chart", "cx:chart"}:
                link_id = child.get(link_attribute("id"), "")
                yield chart_of(self.package, story.part, link_id, alt_text=alt_text, options=self.options)
            elif name == "dgm:relIds":
                for text in diagram_text(self.package, story.part, child.get(link_attribute("dm"), "")):
                    yield self._text(text, story, marks={"part": "diagram"})
            elif name == "o:OLEObject":
                program = child.get("ProgID", "unknown")
                yield self._text("", story, warnings=(f"An embedded object ({program}) was not read.",))
            else:
                yield from self._picture(child, alt_text, story)

    def _picture(self, node: _Element, alt_text: str, story: _Story) -> Iterator[Element]:
        names = (link_attribute("embed"), link_attribute("id"), link_attribute("link"))
        link_id = next((found for name in names if (found := node.get(name))), "")
        if not link_id:
            return
        yield picture_element(
            self.package, story.part, link_id, alt_text=alt_text, options=self.options, budget=self.budget
        )


_DRAWN = {"w:txbxContent", "c:chart", "cx:chart", "dgm:relIds", "a:blip", "v:imagedata", "o:OLEObject"}


def _drawn(node: _Element, alt_text: str) -> Iterator[tuple[_Element, str]]:
    """Yield the nodes that hold content, each with the nearest description around it."""
    for child in children(node):
        here = _alt_text(child) or alt_text
        if short(child.tag) in _DRAWN:
            yield child, here
        else:
            yield from _drawn(child, here)


def _alt_text(node: _Element) -> str:
    """Return the description a drawing, a picture in it, or an old shape carries."""
    for path in ("wp:docPr", "pic:nvPicPr/pic:cNvPr"):
        described = first(node, path)
        if described is not None:
            return str(described.get("descr") or described.get("title") or "").strip()
    return str(node.get("alt", "")).strip() if node.tag == q("v:shape") else ""


def note_text(elements: list[Element], label: str) -> list[Element]:
    """Put ``label`` before the first text of a note, so that a reader sees what it is."""
    for place, element in enumerate(elements):
        if element.kind is Kind.TEXT and element.text:
            return [*elements[:place], replace(element, text=f"{label}: {element.text}"), *elements[place + 1 :]]
    return elements
