"""What the engines see and hear on a page that the parser could not read by itself.

Native elements pass through; scans, pictures, renders and speech become elements by the engines of the pipeline.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.recognise.frame import Frame
from nemo_retriever_dagster.recognise.inside import look_inside
from nemo_retriever_dagster.recognise.needed import needed
from nemo_retriever_dagster.recognise.parsed import parsed
from nemo_retriever_dagster.recognise.regions import with_regions
from nemo_retriever_dagster.recognise.scan import laid_out, read_scan
from nemo_retriever_dagster.recognise.speech import heard

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
    from nemo_retriever_dagster.model import Element

__all__ = ["recognise"]


async def recognise(page: Page, options: ExtractOptions, engines: Engines) -> tuple[Element, ...]:
    """Return the elements of ``page`` in reading order, what only engines can read included; boxes in the page's unit.

    An engine that is needed and not there raises `MissingDependencyError` with the name of its port. A page on which an
    engine read nothing says so in a warning.
    """
    if options.method == "nemotron_parse" and page.scan is not None:
        return await parsed(page, Frame.of(page, page.scan), options, engines)
    page = replace(page, elements=await look_inside(page.elements, options, engines.ocr))
    if page.sound is not None:
        return (*page.elements, *await heard(page, page.sound, options, needed(engines.transcriber, "transcriber")))
    if page.scan is None:
        return page.elements
    return await _seen(page, Frame.of(page, page.scan), options, engines)


async def _seen(page: Page, frame: Frame, options: ExtractOptions, engines: Engines) -> tuple[Element, ...]:
    """Return the elements of a page with a render, its pictures looked into."""
    if not page.needs_ocr:
        return await with_regions(page.elements, page.words, frame, options, engines)
    ocr = needed(engines.ocr, "ocr")
    frame, words = await read_scan(await asyncio.to_thread(frame.upright), ocr)
    own = frame.own(page.elements)
    elements = await laid_out(words, own, frame, options, ocr)
    elements = await with_regions(elements, words, frame, options, engines)
    elements = await asyncio.to_thread(frame.pictured, elements)
    return frame.as_it_lies(elements, own, page.elements)
