"""From a file to its elements: the parser in its process, the engines beside it, page by page."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_retriever_dagster.dates import Dates
from nemo_retriever_dagster.errors import LimitExceededError
from nemo_retriever_dagster.extract.captions import captioned
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.delegates import ADAPTERS, delegate
from nemo_retriever_dagster.extract.methods import method_for
from nemo_retriever_dagster.recognise import recognise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.extract.contract import Page
    from nemo_retriever_dagster.extract.workers import ParserPool
    from nemo_retriever_dagster.limits import Limits
    from nemo_retriever_dagster.model import Element
    from nemo_retriever_dagster.tasks import ExtractTask

_PAGES_AHEAD = 8
_BATCH_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """The elements of a document in reading order, how many pages it has (0: it has none), its dates."""

    elements: tuple[Element, ...]
    pages: int
    dates: Dates


def options(task: ExtractTask, format_name: str, engines: Engines) -> ExtractOptions:
    """Return what the parser is asked for; pages are rendered where an engine will look at them.

    A method that the format does not know is meant for other documents of the corpus: it gives way to the default.
    """
    return ExtractOptions(
        format=format_name,
        method=method_for(format_name, task.extract_method),
        text=task.extract_text,
        tables=task.extract_tables,
        charts=task.extract_charts,
        infographics=task.extract_infographics,
        images=task.extract_images,
        page_as_image=task.extract_page_as_image,
        table_format=task.table_output_format,
        images_method=task.extract_images_method,
        segment_audio=task.segment_audio,
        password=task.password,
        render_pages=engines.page_elements is not None
        and (task.extract_tables or task.extract_charts or task.extract_infographics),
    )


async def extract(
    path: Path,
    wanted: ExtractOptions,
    *,
    parsers: ParserPool,
    engines: Engines,
    threads: Executor,
    limits: Limits,
) -> Extraction:
    """Extract the file at ``path``; raise a `DataError` where the file is at fault."""
    elements: list[Element] = []
    pages, dates = 0, Dates()
    async for page, found in _recognised(_pages(parsers, path, wanted, threads), wanted, engines):
        elements += found
        pages = max(pages, page.total, page.number)
        dates = page.dates if dates == Dates() else dates
        if len(elements) > limits.elements:
            raise LimitExceededError(f"The document has more than {limits.elements:,} elements.", page=page.number)
    return Extraction(elements=captioned(elements), pages=pages, dates=dates)


async def _recognised(
    pages: AsyncIterator[Page], wanted: ExtractOptions, engines: Engines
) -> AsyncIterator[tuple[Page, Sequence[Element]]]:
    """Yield pages in order, while the engines look at the next ones already."""
    waiting: list[tuple[Page, asyncio.Task[tuple[Element, ...]]]] = []
    try:
        async for page in pages:
            waiting.append((page, asyncio.create_task(recognise(page, wanted, engines))))
            while len(waiting) > _PAGES_AHEAD or (waiting and waiting[0][1].done()):
                first, running = waiting.pop(0)
                yield first, await running
        while waiting:
            first, running = waiting.pop(0)
            yield first, await running
    finally:
        for _, running in waiting:
            running.cancel()


async def _pages(parsers: ParserPool, path: Path, wanted: ExtractOptions, threads: Executor) -> AsyncIterator[Page]:
    loop = asyncio.get_running_loop()
    method = wanted.method or ""
    pages = delegate(method, path, wanted) if method in ADAPTERS else parsers.pages(path, wanted)
    try:
        while batch := await loop.run_in_executor(threads, _take, pages):
            for page in batch:
                yield page
    finally:
        await loop.run_in_executor(threads, pages.close)


def _take(pages: Iterator[Page]) -> list[Page]:
    """Return the pages that come within a moment, at least one unless there are no more: a thread switch costs more."""
    taken: list[Page] = []
    until = time.monotonic() + _BATCH_SECONDS
    for page in pages:
        taken.append(page)
        if time.monotonic() > until:
            break
    return taken
