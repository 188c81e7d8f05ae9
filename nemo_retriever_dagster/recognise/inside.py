"""Tables and charts that are drawn in pictures: OCR looks where the parser thinks one may be."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.charts import chart_from_words
from nemo_retriever_dagster.extract.scans import elements_from_words
from nemo_retriever_dagster.model import Box, Element, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Ocr
    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.model import Picture, Word

_MARKS = ("look_inside", "may_be_chart", "only_as_chart")
_SAYS = re.compile(r"[^\W_]|[-\u2012-\u2015\u2212]").search  # a dash may be a zero or an empty cell
_TOO_TALL = 2  # usual heights: a sign without letters that is higher is a bar or a frame
_UNSEEN = "It may show a table or a chart; there is no OCR engine to look inside."


async def look_inside(elements: tuple[Element, ...], options: ExtractOptions, ocr: Ocr | None) -> tuple[Element, ...]:
    """Return ``elements`` with the tables and charts in marked pictures behind them, and the marks removed.

    A picture that was handed over only for what it may show is left out. Without an OCR engine the pictures that are
    wanted themselves stay and carry a warning.
    """
    marked = [i for i, one in enumerate(elements) if _is_marked(one)]
    if not marked:
        return elements
    pictures = [picture for i in marked if (picture := elements[i].picture) is not None]
    found = await ocr.read(pictures, merge="word") if ocr is not None else [None] * len(pictures)
    words = dict(zip(marked, found, strict=True))
    shown: list[Element] = []
    for i, element in enumerate(elements):
        if i not in words:
            shown.append(element)
            continue
        shown += _picture(element, options, unseen=words[i] is None)
        if words[i] and ocr is not None:
            shown += await asyncio.to_thread(_contents, element, words[i] or (), options, ocr.name)
    return tuple(shown)


def _is_marked(element: Element) -> bool:
    return element.picture is not None and any(element.attributes.get(mark) for mark in _MARKS)


def _picture(element: Element, options: ExtractOptions, *, unseen: bool) -> list[Element]:
    """Return the picture itself, if it is wanted."""
    if not options.images or element.attributes.get("only_as_chart"):
        return []
    attributes = {name: value for name, value in element.attributes.items() if name not in _MARKS}
    warnings = (*element.warnings, _UNSEEN) if unseen else element.warnings
    return [replace(element, attributes=attributes, warnings=warnings)]


def _contents(element: Element, words: Sequence[Word], options: ExtractOptions, engine: str) -> list[Element]:
    """Return the chart that the picture shows, else its tables; boxes in the unit of the picture's own box."""
    picture = element.picture
    assert picture is not None
    size = (float(picture.width), float(picture.height))
    text = chart_from_words([word for word in words if _SAYS(word.text)], size) if options.charts else None
    if text is not None:
        return [_found(element, Kind.CHART, text, engine)]
    if not options.tables or element.attributes.get("only_as_chart"):
        return []
    wanted = replace(options, text=False, charts=False)
    made = elements_from_words(_written(words), size, page=element.page, options=wanted, engine=engine)
    return [
        replace(one, box=_outward(one.box, element.box, picture), page_size=element.page_size, picture=picture)
        for one in made
        if one.kind is Kind.TABLE
    ]


def _written(words: Sequence[Word]) -> list[Word]:
    """Leave out what OCR takes for signs and is drawn: the bars of a chart come as high blocks and underscores."""
    usual = median(word.box.height for word in words)
    return [word for word in words if _SAYS(word.text) or word.box.height <= _TOO_TALL * usual]


def _found(element: Element, kind: Kind, text: str, engine: str) -> Element:
    return Element(
        kind=kind,
        text=text,
        page=element.page,
        box=element.box,
        page_size=element.page_size,
        picture=element.picture,
        origin=Origin.OCR,
        engine=engine,
        alt_text=element.alt_text,
        warnings=element.warnings,
    )


def _outward(box: Box | None, place: Box | None, picture: Picture) -> Box | None:
    """Take a box from pixels of the picture to where the picture stands."""
    if box is None or place is None:
        return place
    scaled = box.scale(place.width / picture.width, place.height / picture.height)
    return Box(scaled.x0 + place.x0, scaled.y0 + place.y0, scaled.x1 + place.x0, scaled.y1 + place.y0)
