"""One PDF page as a `Page`: what is read depends on the method and on what is wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.extract.contract import Page
from nemo_retriever_dagster.extract.layout import Looks, lines_of
from nemo_retriever_dagster.extract.layout_page import Area, Paper, arrange
from nemo_retriever_dagster.extract.pdf_document import PARSE_DPI, SCAN_DPI, dpi_scale, fit_scale, render
from nemo_retriever_dagster.extract.pdf_geometry import Drawings, geometry, read_drawings
from nemo_retriever_dagster.extract.pdf_pictures import grouped_pictures, simple_pictures
from nemo_retriever_dagster.extract.pdf_text import is_garbage, repaired_text
from nemo_retriever_dagster.extract.pdf_words import page_frame, page_text, read_words
from nemo_retriever_dagster.extract.tables import find_tables, may_have_tables
from nemo_retriever_dagster.extract.tables.formats import render as render_table
from nemo_retriever_dagster.model import Box, Element, Kind, Word

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.geometry import PageGeometry
    from nemo_retriever_dagster.extract.layout import Line
    from nemo_retriever_dagster.extract.pdf_document import Render
    from nemo_retriever_dagster.extract.pdf_pictures import Group
    from nemo_retriever_dagster.extract.pdf_words import PageWords, Style
    from nemo_retriever_dagster.limits import Budget
    from nemo_retriever_dagster.model import Picture

_WHOLE = 0.8  # of the page: a picture this large is the page, not a picture on it


@dataclass(slots=True, kw_only=True)
class DocumentReader:
    """What is kept from page to page of one document: the options, the budget, what was learnt about its fonts."""

    options: ExtractOptions
    budget: Budget
    total: int
    fonts: dict[int, Style] = field(default_factory=dict)

    @property
    def text_only(self) -> bool:
        """Whether nothing but native text is wanted, so that the page's drawings need no look."""
        o = self.options
        more = o.tables or o.charts or o.infographics or o.images or o.page_as_image or o.render_pages
        return o.method == "pdfium" and not more

    def read(self, page: Any, number: int) -> Page:
        """Read a pypdfium2 page; ``number`` counts from 1."""
        text_page = page.get_textpage()
        try:
            if self.text_only:
                return self._plain(page, text_page, number)
            words = read_words(page, text_page, self.fonts)
        finally:
            text_page.close()
        self._spend(words.text, number)
        reader = PageReader(document=self, page=page, number=number, words=words, drawings=read_drawings(page))
        return reader.read()

    def _plain(self, page: Any, text_page: Any, number: int) -> Page:
        """Return the page's text as one element, in the order it was written in.

        PDFium needs most of the time of such a page; boxes for every word would double it.
        """
        raw = page_text(text_page)
        self._spend(raw, number)
        size = page_frame(page).size
        text = repaired_text(raw)
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

    def read(self) -> Page:
        """Return the page."""
        method = self.document.options.method
        needs_ocr = method == "ocr" or (method == "pdfium_hybrid" and self._is_scan())
        elements = self._pictures_only() if needs_ocr else self._elements()
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

    def _elements(self) -> tuple[Element, ...]:
        options = self.document.options
        found = geometry(self.words, self.drawings)
        tables = self._tables(found) if options.tables else []
        areas = [*tables, *self._pictures([area.box for area in tables])]
        paper = Paper(number=self.number, size=self.size)
        return arrange(self._lines(), areas, paper, text=options.text)

    def _lines(self) -> list[Line]:
        words = self.words
        if not words.words:
            return []
        styles, index = words.styles, words.style
        looks = Looks(
            size=np.array([style.size for style in styles], dtype=np.float32)[index],
            bold=np.array([style.bold for style in styles])[index],
            italic=np.array([style.italic for style in styles])[index],
            hidden=np.array(words.hidden(self.drawings.covers)),
        )
        return lines_of(words.words, words.boxes, looks, [styles[i].font for i in index])

    def _tables(self, found: PageGeometry) -> list[Area]:
        if not may_have_tables(found):
            return []
        table_format = self.document.options.table_format
        return [
            self._area(
                Kind.TABLE,
                item.box,
                text=render_table(item.table, table_format),
                table=item.table,
                table_format=table_format,
                attributes={"ruled": item.ruled, "confidence": round(item.confidence, 3)},
            )
            for item in find_tables(found)
        ]

    def _pictures(self, taken: list[Box]) -> list[Area]:
        options = self.document.options
        if not options.images:
            return []
        return [self._area(Kind.IMAGE, group.box) for group in self._groups(taken)]

    def _groups(self, taken: list[Box]) -> list[Group]:
        if self.document.options.images_method == "simple":
            return simple_pictures(self.drawings, self.size)
        return grouped_pictures(self.drawings, self.size, taken)

    def _area(self, kind: Kind, box: Box, **more: Any) -> Area:
        element = Element(
            kind=kind,
            page=self.number,
            box=box,
            page_size=self.size,
            picture=self._cut(box),
            warnings=self._warnings(),
            **more,
        )
        return Area(element=element, box=box)

    def _warnings(self) -> tuple[str, ...]:
        made = self._render(fit_scale(self.size))
        return (made.note,) if made and made.note else ()

    def _pictures_only(self) -> tuple[Element, ...]:
        """Return the pictures of a page whose text is recognised: those that are not the page itself."""
        areas = self._pictures([])
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
        return tuple(Word(text=repaired_text(text), box=Box(*box)) for text, box in pairs)

    def _cut(self, box: Box) -> Picture | None:
        made = self._render(fit_scale(self.size))
        return made.cut(box) if made else None

    def _render(self, scale: float) -> Render | None:
        if scale not in self._renders:
            self._renders[scale] = render(self.page, self.size, scale, self.document.budget.limits)
        return self._renders[scale]
