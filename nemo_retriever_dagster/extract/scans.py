"""What OCR found on a page or in a picture, as elements: by the same finders as native text."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.charts import find_charts
from nemo_retriever_dagster.extract.geometry import Glyphs, PageGeometry
from nemo_retriever_dagster.extract.layout import Line, Looks, lines_of, sorted_words
from nemo_retriever_dagster.extract.layout_page import Area, Paper, arrange
from nemo_retriever_dagster.extract.tables import find_tables, may_have_tables
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Box, Element, Kind, Origin, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.geometry import Ruling

_FOLLOWING = 0.6  # of the words stand right of the one before: the rest begin lines, or stand higher than it
_STEPS = 4  # type sizes of a scan are told apart by a quarter of the usual height
_INSIDE = 0.5  # of an area in another: more is inside


def elements_from_words(
    words: Sequence[Word],
    size: tuple[float, float],
    *,
    page: int,
    options: ExtractOptions,
    rulings: Sequence[Ruling] = (),
    engine: str = "",
    known: Sequence[Area] = (),
) -> tuple[Element, ...]:
    """Return the text blocks, tables and charts that OCR words make, in reading order, ``origin`` OCR.

    ``words`` may come in any order; their boxes, ``size`` and the boxes of the elements are in pixels. ``rulings`` are
    the straight lines seen on the picture, where something looked for them. A box that holds several words (an engine
    that reads whole lines) is fine. ``known`` are the tables and charts found in the page's own pictures: they take
    their places and their text, and what the words make of the same place is left out.
    """
    kept = [Word(text=word.text, box=Box(*map(float, word.box))) for word in words if word.text.strip()]
    if not kept:
        return tuple(area.element for area in known)
    boxes = np.array([word.box for word in kept], dtype=np.float32).reshape(-1, 4)
    order = sorted_words(boxes)
    by_row = [kept[i] for i in order]
    paper = Paper(number=page, size=size, origin=Origin.OCR, engine=engine, written=False)
    charts = _charts(by_row, paper, options)
    tables = _not_in([*known, *charts], _tables(by_row, paper, rulings, options))
    areas = [*known, *tables, *_not_in(known, charts)]
    if not _line_by_line(order):
        kept, boxes = by_row, boxes[order]
    lines = _even_sizes(lines_of([word.text.strip() for word in kept], boxes, Looks.plain(boxes)))
    return arrange(lines, areas, paper, text=options.text)


def _line_by_line(order: Sequence[int]) -> bool:
    """Whether the words came line by line, of which ``order`` sorts them by rows: then they tell the columns apart.

    A row goes on across a gutter that is hardly wider than a blank; an engine that reads columns has its words apart.
    """
    return sum(after - before == 1 for before, after in pairwise(order)) >= _FOLLOWING * (len(order) - 1)


def _even_sizes(lines: list[Line]) -> list[Line]:
    """Take small differences of height for noise: ascenders make a line of OCR text higher or lower."""
    usual = median(line.size for line in lines)
    step = usual / _STEPS or 1.0
    return [
        Line(text=line.text, box=line.box, size=max(round(line.size / step), 1) * step, order=line.order)
        for line in lines
    ]


def _tables(words: Sequence[Word], paper: Paper, rulings: Sequence[Ruling], options: ExtractOptions) -> list[Area]:
    if not options.tables:
        return []
    glyphs = tuple(glyph for word in words for glyph in _glyphs(word))
    geometry = PageGeometry(size=paper.size, words=glyphs, rulings=tuple(rulings))
    if not may_have_tables(geometry):
        return []
    return [
        _area(
            Element(
                kind=Kind.TABLE,
                text=render(found.table, options.table_format),
                table=found.table,
                table_format=options.table_format,
                page=paper.number,
                box=found.box,
                page_size=paper.size,
                origin=Origin.OCR,
                engine=paper.engine,
                attributes={"ruled": found.ruled, "confidence": round(float(found.confidence), 3)},
            ),
            found.box,
        )
        for found in find_tables(geometry)
    ]


def _charts(words: Sequence[Word], paper: Paper, options: ExtractOptions) -> list[Area]:
    if not options.charts:
        return []
    return [
        _area(
            Element(
                kind=Kind.CHART,
                text=found.text,
                page=paper.number,
                box=found.box,
                page_size=paper.size,
                origin=Origin.OCR,
                engine=paper.engine,
            ),
            found.box,
        )
        for found in find_charts(words)
    ]


def _not_in(taken: Sequence[Area], found: Sequence[Area]) -> list[Area]:
    return [area for area in found if not any(_same_place(area, other) for other in taken)]


def _same_place(found: Area, other: Area) -> bool:
    """Tell whether ``found`` shows what ``other`` shows, or a part of it: the labels of a chart's axes are no table."""
    if found.element.attributes.get("ruled") and other.element.kind is not Kind.TABLE:
        return False  # cells in lines of their own: the numbers under a chart, or a table that was taken for one
    alike = found.element.kind is other.element.kind
    return found.box.covered_by(other.box) > _INSIDE or (alike and other.box.covered_by(found.box) > _INSIDE)


def _area(element: Element, box: Box) -> Area:
    return Area(element=element, box=box)


def _glyphs(word: Word) -> list[Glyphs]:
    """Split a box that holds several words at its blanks, each piece as wide as its share of the letters."""
    text, box = word.text.strip(), word.box
    pieces = text.split()
    if len(pieces) == 1:
        return [Glyphs(text=text, box=box, size=box.height)]
    width, found, start = box.width / len(text), [], 0
    for piece in pieces:
        start = text.index(piece, start)
        left = box.x0 + start * width
        start += len(piece)
        place = Box(left, box.y0, box.x0 + start * width, box.y1)
        found.append(Glyphs(text=piece, box=place, size=box.height))
    return found
