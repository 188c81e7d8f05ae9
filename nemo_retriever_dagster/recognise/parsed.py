"""Pages that a page parser (Nemotron Parse) reads as a whole."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Element, Kind, Origin
from nemo_retriever_dagster.recognise.inside import look_inside
from nemo_retriever_dagster.recognise.latex import read_table
from nemo_retriever_dagster.recognise.needed import needed
from nemo_retriever_dagster.recognise.scan import laid_out, read_scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Engines, PageParser, ParsedBlock
    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
    from nemo_retriever_dagster.recognise.frame import Frame

_HEADING = re.compile(r"\A(#{1,6})\s+")
_LEVELS = {"Title": 1, "Section-header": 2}
_RAN_DRY = "The page parser read nothing on this page, or not all of it; its text is {}."


async def parsed(page: Page, frame: Frame, options: ExtractOptions, engines: Engines) -> tuple[Element, ...]:
    """Return the parser's blocks as elements; where there are none the native text, else OCR's, with a warning."""
    parser = needed(engines.page_parser, "page_parser")
    blocks = await parser.parse(frame.picture)
    if blocks:
        made = await asyncio.to_thread(_elements, blocks, frame, options, parser)
        return (*made, *(element for element in page.elements if element.kind is Kind.PAGE_IMAGE))
    native = any(element.text for element in page.elements)
    page = replace(page, elements=await look_inside(page.elements, options, engines.ocr))
    if native:
        return tuple(_warned(element, "the native one") for element in page.elements)
    ocr = needed(engines.ocr, "ocr")
    frame, words = await read_scan(frame, ocr)
    own = frame.own(page.elements)
    found = await asyncio.to_thread(frame.pictured, await laid_out(words, own, frame, options, ocr))
    lying = frame.as_it_lies(found, own, page.elements)
    return tuple(_warned(element, "OCR's") for element in lying)


def _warned(element: Element, whose: str) -> Element:
    return replace(element, warnings=(*element.warnings, _RAN_DRY.format(whose)))


def _elements(
    blocks: Sequence[ParsedBlock], frame: Frame, options: ExtractOptions, parser: PageParser
) -> list[Element]:
    return [element for block in blocks if (element := _element(block, frame, options, parser)) is not None]


def _element(block: ParsedBlock, frame: Frame, options: ExtractOptions, parser: PageParser) -> Element | None:
    box = frame.to_page(block.box)
    base = Element(
        kind=Kind.TEXT, page=frame.number, box=box, page_size=frame.size, origin=Origin.PARSE, engine=parser.name
    )
    if block.label == "Table":
        return _table(block, base, frame, options) if options.tables else None
    if block.label == "Picture":
        return replace(base, kind=Kind.IMAGE, picture=frame.cut(box)) if options.images and box.area > 0 else None
    if not options.text or not block.text:
        return None
    mark = _HEADING.match(block.text)
    level = len(mark[1]) if mark else _LEVELS.get(block.label, 0)
    text = block.text[mark.end() :] if mark else block.text
    return replace(base, text=text, heading=level, attributes={"label": block.label})


def _table(block: ParsedBlock, base: Element, frame: Frame, options: ExtractOptions) -> Element:
    """Return the table in the format asked for; the parser's own LaTeX where that cannot be read."""
    picture = frame.cut(frame.to_page(block.box)) if block.box.area > 0 else None
    table = read_table(block.text)
    if table is None:
        return replace(base, kind=Kind.TABLE, text=block.text, table_format="latex", picture=picture)
    text = render(table, options.table_format)
    return replace(base, kind=Kind.TABLE, text=text, table=table, table_format=options.table_format, picture=picture)
