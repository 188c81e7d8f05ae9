"""PowerPoint presentations (.pptx): a page for each slide, its shapes in place, charts' data, notes, comments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.drawingml import picture_links
from nemo_retriever_dagster.extract.ooxml import Package, attribute, every, first, number, q, short
from nemo_retriever_dagster.extract.ooxml_picture import (
    chart_of,
    diagram_text,
    link_attribute,
    picture_element,
    wanted_elements,
)
from nemo_retriever_dagster.extract.pptx_layouts import Layouts
from nemo_retriever_dagster.extract.pptx_notes import comments, notes
from nemo_retriever_dagster.extract.pptx_shapes import EMU_PER_POINT, Shape, read_shapes
from nemo_retriever_dagster.extract.pptx_text import body_text
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Cell, Element, Kind, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.limits import Budget

_HEADINGS = {"title": 1, "ctrTitle": 1, "subTitle": 2}
_OFF = {"0", "false"}
_MOST_SPAN = 1000


class PptxExtractor:
    """Reads .pptx natively (``python_pptx``, the reference's name for it) or through LibreOffice."""

    formats: tuple[str, ...] = ("pptx",)
    methods: tuple[str, ...] = ("python_pptx", "render_as_pdf")
    version = "3"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page a slide, in the order of the show; boxes are in points."""
        if options.method == "render_as_pdf":
            from nemo_retriever_dagster.extract.libreoffice import rendered_pages

            yield from rendered_pages(path, options, budget)
            return
        with Package(path, budget) as package:
            part, root = package.main("p:presentation")
            slides = [attribute(node, "r:id") for node in every(root, "p:sldIdLst/p:sldId")]
            budget.check("pages", len(slides))
            reader = _Reader(package=package, options=options, budget=budget, size=_size(root), show=part)
            said = package.dates()
            for index, link_id in enumerate(slides):
                page = reader.page(link_id, index + 1)
                yield replace(page, total=len(slides), dates=said)


def _size(root: _Element) -> tuple[float, float]:
    node = first(root, "p:sldSz")
    width, height = (number(node.get(name)) if node is not None else 0 for name in ("cx", "cy"))
    return width / EMU_PER_POINT, height / EMU_PER_POINT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slide:
    """Where an element is."""

    part: str
    number: int
    marks: dict[str, object]


class _Reader:
    """Reads the slides of one presentation."""

    def __init__(
        self, *, package: Package, options: ExtractOptions, budget: Budget, size: tuple[float, float], show: str
    ) -> None:
        self._package = package
        self._options = options
        self._budget = budget
        self._size = size
        self._show = show
        self._layouts = Layouts(package=package)

    def page(self, link_id: str, number_: int) -> Page:
        """Read a slide; one that is damaged is a page with a warning, the others are still read."""
        try:
            elements = list(self._slide(link_id, number_))
        except CorruptFileError as error:
            elements = [Element(kind=Kind.TEXT, page=number_, warnings=(f"The slide cannot be read: {error.message}",))]
        return Page(number=number_, size=self._size, elements=tuple(wanted_elements(elements, self._options)))

    def _slide(self, link_id: str, number_: int) -> Iterator[Element]:
        link = self._package.links(self._show).get(link_id)
        if link is None or link.external:
            raise CorruptFileError("its reference leads nowhere.")
        root = self._package.xml(link.target)
        marks: dict[str, object] = {"hidden": True} if root.get("show", "1") in _OFF else {}
        slide = _Slide(part=link.target, number=number_, marks=marks)
        tree = first(root, "p:cSld/p:spTree")
        shapes = [] if tree is None else read_shapes(tree, link.target, self._layouts)
        for shape in shapes:
            yield from self._shape(shape, slide)
        for text, part, more in (*notes(self._package, link.target), *comments(self._package, self._show, link.target)):
            yield Element(kind=Kind.TEXT, text=text, page=number_, attributes={**marks, "part": part, **more})

    def _shape(self, shape: Shape, slide: _Slide) -> Iterator[Element]:
        if shape.hidden:
            slide = replace(slide, marks={"hidden": True})
        if shape.members:
            for member in shape.members:
                yield from self._shape(member, slide)
            return
        found = self._frame(shape, slide) if short(shape.node.tag) == "p:graphicFrame" else self._drawn(shape, slide)
        for element in found:
            yield replace(
                element,
                page=slide.number,
                box=shape.box,
                page_size=self._size,
                attributes={**element.attributes, **slide.marks},
            )

    def _drawn(self, shape: Shape, slide: _Slide) -> Iterator[Element]:
        """Yield the text of a shape and the picture that it is or is filled with."""
        text = "" if shape.role == "sldNum" else body_text(first(shape.node, "p:txBody"), shape.styles)
        if text:
            marks = {"part": "footer"} if shape.is_footer else {}
            yield Element(kind=Kind.TEXT, text=text, heading=_HEADINGS.get(shape.role or "", 0), attributes=marks)
        yield from self._pictures(shape, slide)
        for name in ("a:videoFile", "a:audioFile"):
            if next(shape.node.iter(q(name)), None) is not None:
                yield Element(kind=Kind.TEXT, warnings=(f"A {name[2:7]} on the slide was not read.",))

    def _pictures(self, shape: Shape, slide: _Slide) -> Iterator[Element]:
        links = picture_links(shape.node)
        if not links and short(shape.node.tag) == "p:pic":
            yield Element(kind=Kind.IMAGE, alt_text=shape.alt_text, warnings=("The picture names no image.",))
        for link_id in links:
            yield picture_element(
                self._package,
                slide.part,
                link_id,
                alt_text=shape.alt_text,
                options=self._options,
                budget=self._budget,
            )

    def _frame(self, shape: Shape, slide: _Slide) -> Iterator[Element]:
        """Yield the table, chart, diagram or embedded object of a graphic frame."""
        data = first(shape.node, "a:graphic/a:graphicData")
        for node in data if data is not None else ():
            if node.tag == q("a:tbl"):
                yield from self._table(node)
            elif node.tag in {q("c:chart"), q("cx:chart")}:
                yield self._chart(node, shape, slide)
            elif node.tag == q("dgm:relIds"):
                texts = diagram_text(self._package, slide.part, node.get(link_attribute("dm"), ""))
                if texts:
                    yield Element(kind=Kind.TEXT, text="\n".join(texts), attributes={"part": "diagram"})
            else:
                yield from self._object(shape, slide)

    def _object(self, shape: Shape, slide: _Slide) -> Iterator[Element]:
        program = next((node.get("progId", "") for node in shape.node.iter(q("p:oleObj"))), "")
        yield from self._pictures(shape, slide)
        chart = next(shape.node.iter(q("cx:chart")), None)
        if chart is not None:
            yield self._chart(chart, shape, slide)
        elif program:
            yield Element(kind=Kind.TEXT, warnings=(f"An embedded object ({program}) was not read.",))

    def _chart(self, node: _Element, shape: Shape, slide: _Slide) -> Element:
        link_id = node.get(link_attribute("id"), "")
        return chart_of(self._package, slide.part, link_id, alt_text=shape.alt_text, options=self._options)

    def _table(self, node: _Element) -> Iterator[Element]:
        table = _read_table(node)
        height, width = table.shape
        self._budget.spend("xml_nodes", height * width)  # spans make vast grids of few cells
        if not any(cell.text for cell in table.cells):
            return
        if self._options.tables:
            text = render(table, self._options.table_format)
            yield Element(kind=Kind.TABLE, text=text, table=table, table_format=self._options.table_format)
        else:
            yield Element(kind=Kind.TEXT, text="\n".join(map("\t".join, table.rows())))


def _read_table(node: _Element) -> Table:
    """Return a table (``a:tbl``); the places that a spanning cell covers are written there too, and left out."""
    properties = first(node, "a:tblPr")
    header = properties is not None and properties.get("firstRow", "0") not in _OFF
    cells = [
        Cell(
            row=r,
            column=c,
            text=body_text(first(cell, "a:txBody")),
            row_span=_span(cell.get("rowSpan")),
            column_span=_span(cell.get("gridSpan")),
            header=header and r == 0,
        )
        for r, row in enumerate(every(node, "a:tr"))
        for c, cell in enumerate(every(row, "a:tc"))
        if cell.get("hMerge", "0") in _OFF and cell.get("vMerge", "0") in _OFF
    ]
    return Table(cells=tuple(cells))


def _span(text: str | None) -> int:
    return min(max(number(text, 1), 1), _MOST_SPAN)
