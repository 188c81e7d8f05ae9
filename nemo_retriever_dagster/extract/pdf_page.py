"""One PDF page as a `Page`: what is read depends on the method and on what is wanted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.extract.bidi import in_reading_order
from nemo_retriever_dagster.extract.charts import chart_from_words, find_charts
from nemo_retriever_dagster.extract.contract import Page
from nemo_retriever_dagster.extract.layout import Looks, lines_of
from nemo_retriever_dagster.extract.layout_gate import may_hold_cells, may_hold_table
from nemo_retriever_dagster.extract.layout_justified import is_filled_column
from nemo_retriever_dagster.extract.layout_margins import margin_numbers
from nemo_retriever_dagster.extract.layout_marks import dots_among, with_drawn_bullets
from nemo_retriever_dagster.extract.layout_order import written_in_columns
from nemo_retriever_dagster.extract.layout_page import Area, Paper, arrange
from nemo_retriever_dagster.extract.pdf_document import (
    PARSE_DPI,
    SCAN_DPI,
    dpi_scale,
    fit_scale,
    load_text,
    render,
    render_part,
)
from nemo_retriever_dagster.extract.pdf_geometry import Drawings, geometry, read_drawings
from nemo_retriever_dagster.extract.pdf_ligatures import misread_ligatures, with_letters
from nemo_retriever_dagster.extract.pdf_pictures import (
    CHART_PARTS,
    LABEL_ROOM,
    grouped_pictures,
    is_drawn,
    is_infographic,
    may_hold_chart,
    may_hold_scale,
    simple_pictures,
)
from nemo_retriever_dagster.extract.pdf_text import is_garbage, repaired_text
from nemo_retriever_dagster.extract.pdf_words import has_invisible_line, page_frame, read_text, read_words
from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN
from nemo_retriever_dagster.extract.tables import find_tables
from nemo_retriever_dagster.extract.tables.formats import render as render_table
from nemo_retriever_dagster.extract.typewriter import is_typewriter, with_line_numbers
from nemo_retriever_dagster.model import Box, Element, Kind, Word

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.layout import Line
    from nemo_retriever_dagster.extract.pdf_document import Render
    from nemo_retriever_dagster.extract.pdf_pictures import Group
    from nemo_retriever_dagster.extract.pdf_words import PageText, PageWords
    from nemo_retriever_dagster.extract.tables import FoundTable
    from nemo_retriever_dagster.limits import Budget
    from nemo_retriever_dagster.model import Picture, Table

NO_NATIVE_TEXT = "The page has no native text: extract_method='pdfium_hybrid' reads what it shows by OCR."
_MORE_IN = 0.5
_WHOLE = 0.8  # of the page: a picture this large is the page, not a picture on it


@dataclass(slots=True, kw_only=True)
class DocumentReader:
    """What is kept from page to page of one document: the options, the budget."""

    options: ExtractOptions
    budget: Budget
    total: int

    @property
    def text_only(self) -> bool:
        """Whether nothing but native text is wanted, so that the page's drawings need no look."""
        o = self.options
        more = o.tables or o.charts or o.infographics or o.images or o.page_as_image or o.render_pages
        return o.text and o.method == "pdfium" and not more

    def read(self, page: Any, number: int) -> Page:
        """Read a pypdfium2 page; ``number`` counts from 1."""
        text_page = load_text(page, number)
        try:
            if self.text_only and not (text := read_text(text_page)).runs_left and not has_invisible_line(text):
                return self._plain(page, text, number)
            words = read_words(page, text_page)
        finally:
            text_page.close()
        self._spend(words.text, number)
        drawings = read_drawings(page, words.frame)
        return PageReader(document=self, page=page, number=number, words=words, drawings=drawings).read()

    def _plain(self, page: Any, read: PageText, number: int) -> Page:
        """Return the page's text as one element, in the order it was written in.

        PDFium needs most of the time of such a page; boxes for every word would double it. A page with an invisible
        line is not read this way, so that the line is told from the rest; white, tiny and off-page text is told only
        where more than text is wanted, as colours and places cost more than the text itself.
        """
        self._spend(read.text, number)
        size = page_frame(page).size
        text = repaired_text(with_letters(read.text, misread_ligatures(read)))
        element = Element(kind=Kind.TEXT, text=text, page=number, box=Box(0.0, 0.0, *size), page_size=size)
        return Page(number=number, size=size, elements=(element,) if text else (), total=self.total)

    def _spend(self, text: str, number: int) -> None:
        self.budget.spend("text_chars", len(text), page=number)


@dataclass(slots=True, kw_only=True)
class PageReader:
    """One page while it is read; renders are made when they are first needed."""

    document: DocumentReader
    page: Any
    number: int
    words: PageWords
    drawings: Drawings
    _renders: dict[float, Render | None] = field(default_factory=dict)
    _seen_words: PageWords = field(init=False)
    _seen_drawings: Drawings = field(init=False)
    """What lines, tables and their order are found in: a page that is read to the left is seen in a mirror."""

    def __post_init__(self) -> None:
        """Hold the mirror up where it is needed."""
        left = self.words.leftward
        self._seen_words = self.words.mirrored() if left else self.words
        self._seen_drawings = self.drawings.mirrored(self.size[0]) if left else self.drawings

    def read(self) -> Page:
        """Return the page."""
        method = self.document.options.method
        needs_ocr = method == "ocr" or (method == "pdfium_hybrid" and self._is_scan())
        elements = self._pictures_only() if needs_ocr else self._warned(self._elements())
        if self.document.options.page_as_image:
            elements = (*elements, *self._page_image())
        self.document.budget.spend("elements", len(elements), page=self.number)
        return Page(
            number=self.number,
            size=self.size,
            elements=elements,
            scan=self._scan(needs_ocr=needs_ocr),
            needs_ocr=needs_ocr,
            words=self._native_words(),
            total=self.document.total,
        )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        return self.words.frame.size

    def _is_scan(self) -> bool:
        """Tell whether the page shows text but has none that can be used."""
        if is_garbage(self.words.text):
            return True
        return not self.words.words and bool(self.drawings.pictures or self.drawings.drawings)

    def _warned(self, elements: tuple[Element, ...]) -> tuple[Element, ...]:
        """Say on the first picture of a page without native text that what stands there is not read this way."""
        options = self.document.options
        if self.words.words or not elements or not options.text or options.method == "nemotron_parse":
            return elements
        return (replace(elements[0], warnings=(*elements[0].warnings, NO_NATIVE_TEXT)), *elements[1:])

    def _elements(self) -> tuple[Element, ...]:
        options = self.document.options
        found = self._lines()
        margin = margin_numbers(found)
        lines = with_line_numbers([line for line in found if line not in margin] if margin else found)
        tables = self._tables(lines, margin) if options.tables else []
        areas = [*tables, *self._figures([area.box for area in tables])]
        paper = Paper(number=self.number, size=self.size)
        if not self.words.leftward:
            return arrange(self._bulleted(lines, areas), areas, paper, text=options.text, margin=margin)
        areas = [Area(element=self._mirrored(area.element), box=area.box.mirrored(self.size[0])) for area in areas]
        return tuple(
            map(self._mirrored, arrange(self._bulleted(lines, areas), areas, paper, text=options.text, margin=margin))
        )

    def _mirrored(self, element: Element) -> Element:
        return replace(element, box=element.box.mirrored(self.size[0])) if element.box else element

    def _bulleted(self, lines: list[Line], areas: list[Area]) -> list[Line]:
        """Return the lines, those with a drawn bullet before them with a written one; a chart's legend has none."""
        dots = dots_among([*self._seen_drawings.drawings, *self._seen_drawings.fills])
        free = [dot for dot in dots if not any(dot.covered_by(area.box) > _MORE_IN for area in areas)]
        return with_drawn_bullets(lines, free) if free else lines

    def _lines(self) -> list[Line]:
        words = self._seen_words
        if not words.words:
            return []
        styles, of_word = words.styles, words.style
        looks = Looks(
            size=np.array([style.size for style in styles], dtype=np.float32)[of_word],
            bold=np.array([style.bold for style in styles], dtype=np.bool_)[of_word],
            italic=np.array([style.italic for style in styles], dtype=np.bool_)[of_word],
            hidden=words.hidden(self._seen_drawings),
            typewriter=np.array([is_typewriter(style.font) for style in styles], dtype=np.bool_)[of_word],
        )
        join = partial(in_reading_order, leftward=words.leftward) if words.runs_left else " ".join
        return lines_of(words.words, words.boxes, looks, exact=True, join=join)

    def _tables(self, lines: list[Line], margin: list[Line]) -> list[Area]:
        words = self._seen_words.without([line.box for line in margin]) if margin else self._seen_words
        if not may_hold_table(lines, self._seen_drawings.rulings) and not may_hold_cells(words.words, words.boxes):
            return []
        found = find_tables(geometry(words, self._seen_drawings))
        return [self._table(item) for item in found if item.ruled or not _is_prose(lines, item.box)]

    def _table(self, found: FoundTable) -> Area:
        words, table_format = self.words, self.document.options.table_format
        table = _read_cells(found.table, leftward=words.leftward) if words.runs_left else found.table
        return self._area(
            Kind.TABLE,
            found.box.mirrored(self.size[0]) if words.leftward else found.box,
            text=render_table(table, table_format),
            table=table,
            table_format=table_format,
            attributes={"ruled": found.ruled, "confidence": round(float(found.confidence), 3)},
        )

    def _figures(self, taken: list[Box]) -> list[Area]:
        """Return charts, infographics and pictures; each group of drawings is one of them."""
        options = self.document.options
        if not (options.images or options.charts or options.infographics):
            return []
        charts = self._drawn_charts(taken) if options.charts else []
        taken = [*taken, *(area.box for area in charts)]
        groups = [g for g in self._groups(taken) if not any(g.box.covered_by(box) > _MORE_IN for box in taken)]
        areas = [area for area in map(self._figure, groups) if area is not None]
        plots = [area for area in areas if area.element.kind is Kind.CHART]
        return [*charts, *(area for area in areas if not any(_within(area, plot) for plot in plots))]

    def _drawn_charts(self, taken: list[Box]) -> list[Area]:
        """Return the charts whose axes are native text, with something drawn between them."""
        drawn = self.drawings.shapes
        if len(drawn) < CHART_PARTS or not may_hold_scale(self.words):
            return []
        words = self._words_in(Box(0.0, 0.0, *self.size), taken)
        found = [chart for chart in find_charts(words) if is_drawn(chart.box, drawn)]
        return [self._area(Kind.CHART, chart.box, text=chart.text) for chart in found]

    def _figure(self, group: Group) -> Area | None:
        options = self.document.options
        near = self._words_near(group.box)
        text = chart_from_words(near, (group.box.width, group.box.height)) if options.charts else None
        if text is not None:
            return self._area(Kind.CHART, self._around(group.box, near), text=text)
        inside = [word for word in near if word.box.covered_by(group.box) > _MORE_IN]
        if options.infographics and is_infographic(group, len(inside), self.size):
            return self._area(Kind.INFOGRAPHIC, group.box, text=" ".join(word.text for word in inside))
        may_be_chart = options.charts and group.raster and may_hold_chart(group, self.size)
        if not options.images and not may_be_chart:
            return None
        if not may_be_chart:
            return self._area(Kind.IMAGE, group.box)
        # what the picture says is read by OCR, which needs more than the cut from the page's small render
        picture = render_part(self.page, self.size, group.box, self.document.budget.limits)
        marks = {"may_be_chart": True} if options.images else {"may_be_chart": True, "only_as_chart": True}
        return self._area(Kind.IMAGE, group.box, picture=picture, attributes=marks)

    def _words_near(self, box: Box) -> list[Word]:
        """Return the words in a drawing and around it, where the labels of axes stand."""
        left, top, right, bottom = LABEL_ROOM
        return self._words_in(Box(box.x0 - left, box.y0 - top, box.x1 + right, box.y1 + bottom), [])

    def _words_in(self, box: Box, outside: list[Box]) -> list[Word]:
        if not self.words.words:
            return []
        boxes = self.words.boxes
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside = (x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)
        for other in outside:
            inside &= (x < other.x0) | (x > other.x1) | (y < other.y0) | (y > other.y1)
        return [Word(text=self.words.words[i], box=Box(*boxes[i].tolist())) for i in np.flatnonzero(inside).tolist()]

    @staticmethod
    def _around(box: Box, words: list[Word]) -> Box:
        for word in words:
            box = box.union(word.box)
        return box

    def _groups(self, taken: list[Box]) -> list[Group]:
        if self.document.options.images_method == "simple":
            return simple_pictures(self.drawings, self.size)
        return grouped_pictures(self.drawings, self.size, taken)

    def _area(self, kind: Kind, box: Box, *, picture: Picture | None = None, **more: Any) -> Area:
        element = Element(
            kind=kind,
            page=self.number,
            box=box,
            page_size=self.size,
            picture=picture or self._cut(box),
            warnings=self._warnings(),
            **more,
        )
        return Area(element=element, box=box)

    def _warnings(self) -> tuple[str, ...]:
        made = self._render(fit_scale(self.size))
        return (made.note,) if made and made.note else ()

    def _pictures_only(self) -> tuple[Element, ...]:
        """Return the pictures of a page whose text is recognised: those that are not the page itself."""
        areas = self._figures([])
        whole = _WHOLE * self.size[0] * self.size[1]
        return tuple(area.element for area in areas if area.box.area < whole)

    def _page_image(self) -> tuple[Element, ...]:
        made = self._render(fit_scale(self.size))
        if made is None:
            return ()
        whole = Box(0.0, 0.0, *self.size)
        element = Element(
            kind=Kind.PAGE_IMAGE,
            page=self.number,
            box=whole,
            page_size=self.size,
            picture=made.picture(),
            warnings=self._warnings(),
        )
        return (element,)

    def _scan(self, *, needs_ocr: bool) -> Picture | None:
        scale = fit_scale(self.size)
        if needs_ocr:
            scale = dpi_scale(SCAN_DPI)
        elif self.document.options.method == "nemotron_parse":
            scale = dpi_scale(PARSE_DPI)
        elif not self.document.options.render_pages:
            return None
        made = self._render(scale)
        return made.picture() if made else None

    def _native_words(self) -> tuple[Word, ...]:
        options = self.document.options
        if not options.render_pages and options.method != "nemotron_parse":
            return ()
        pairs = zip(self.words.words, self.words.boxes.tolist(), strict=True)
        return tuple(Word(text=text.replace(SOFT_HYPHEN, "-"), box=Box(*box)) for text, box in pairs)

    def _cut(self, box: Box) -> Picture | None:
        made = self._render(fit_scale(self.size))
        return made.cut(box) if made else None

    def _render(self, scale: float) -> Render | None:
        if scale not in self._renders:
            self._renders[scale] = render(self.page, self.size, scale, self.document.budget.limits)
        return self._renders[scale]


def _read_cells(table: Table, *, leftward: bool) -> Table:
    """Return a table of a page with text that runs to the left, the words of its cells as they are read."""

    def read(text: str) -> str:
        return "\n".join(in_reading_order(line.split(" "), leftward=leftward) for line in text.split("\n"))

    return replace(table, cells=tuple(replace(cell, text=read(cell.text)) for cell in table.cells))


def _within(area: Area, other: Area) -> bool:
    return area is not other and area.box.area < other.box.area and area.box.covered_by(other.box) > _MORE_IN


def _is_prose(lines: list[Line], box: Box) -> bool:
    """Tell whether what looks like a table is columns of prose, or one such column with wide blanks."""
    inside = [line for line in lines if line.box.covered_by(box) > _MORE_IN]
    return is_filled_column(inside) or written_in_columns(
        [line.box for line in inside], [line.order for line in inside]
    )
