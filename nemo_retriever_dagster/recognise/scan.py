"""A page without usable text of its own: read by OCR, laid out by the finders of native text."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.layout_page import Area
from nemo_retriever_dagster.extract.scans import elements_from_words
from nemo_retriever_dagster.model import STRUCTURED, Element, Kind, Origin
from nemo_retriever_dagster.recognise.order import placed
from nemo_retriever_dagster.recognise.rulings import rulings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Ocr
    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.model import Word
    from nemo_retriever_dagster.recognise.frame import Frame

NOTHING_READ = "OCR read nothing on this page."


async def read_scan(frame: Frame, ocr: Ocr) -> tuple[Frame, tuple[Word, ...]]:
    """Return the page the way up that its words tell, and these words in its unit."""
    (found,) = await ocr.read([frame.picture], merge="word")
    frame, found = await asyncio.to_thread(frame.turned, found)
    return frame, frame.words(found)


async def laid_out(
    words: tuple[Word, ...], own: Sequence[Element], frame: Frame, options: ExtractOptions, ocr: Ocr
) -> tuple[Element, ...]:
    """Return the elements that the words of a page make, and the page's own at their places among them.

    Its own are its pictures and what was found in them: tables and charts that are not taken a second time.
    """
    if not words:
        return (*own, _nothing(frame, ocr))
    known = [Area(element=one, box=one.box) for one in own if one.kind in STRUCTURED and one.box is not None]
    made = await asyncio.to_thread(_elements, words, frame, options, ocr.name, known)
    return placed(made, (one for one in own if one.kind not in STRUCTURED or one.box is None))


def _elements(
    words: tuple[Word, ...], frame: Frame, options: ExtractOptions, engine: str, known: list[Area]
) -> tuple[Element, ...]:
    seen = rulings_of(frame.picture) if options.tables else ()
    rulings = [replace(ruling, box=frame.to_page(ruling.box)) for ruling in seen]
    return elements_from_words(
        words, frame.size, page=frame.number, options=options, rulings=rulings, engine=engine, known=known
    )


def _nothing(frame: Frame, ocr: Ocr) -> Element:
    return Element(
        kind=Kind.TEXT,
        page=frame.number,
        page_size=frame.size,
        origin=Origin.OCR,
        engine=ocr.name,
        warnings=(NOTHING_READ,),
    )
