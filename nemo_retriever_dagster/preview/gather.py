"""What a preview shows of a document: the same stages as an ingest, short of embedding and uploading."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from operator import itemgetter
from typing import TYPE_CHECKING

from nemo_retriever_dagster import portal, stages
from nemo_retriever_dagster.equip import engines_for, equipped
from nemo_retriever_dagster.errors import InvalidOptionError, RetrieverError, Stage
from nemo_retriever_dagster.model import Failure, Kind
from nemo_retriever_dagster.preview.pictures import page_pictures
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.work import Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.limits import Limits
    from nemo_retriever_dagster.model import Chunk, Document, Element
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.preview.pictures import Shown
    from nemo_retriever_dagster.settings import Settings
    from nemo_retriever_dagster.shape import Made
    from nemo_retriever_dagster.source import Source
    from nemo_retriever_dagster.stages import Captions, Unit
    from nemo_retriever_dagster.workbench import Equipment

_STAGES = (Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION)


class PreviewError(RetrieverError):
    """The document does not get through; ``failure`` is what an ingest would record of it."""

    def __init__(self, failure: Failure) -> None:
        """Keep the failure."""
        super().__init__(failure.cause, hint=failure.hint, page=failure.page)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The part of an element that a chunk has: from ``begin`` to ``end``, shares of its text from 0 to 1."""

    element: int
    begin: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One chunk: ``stretches`` are what it has of elements, ``context`` is what it is embedded under.

    ``passage`` is what is embedded, "" where nothing is.
    """

    chunk: Chunk
    stretches: tuple[Stretch, ...]
    passage: str
    context: str

    @property
    def elements(self) -> tuple[int, ...]:
        """The positions of the elements that it has text of."""
        return tuple(stretch.element for stretch in self.stretches)

    @property
    def pages(self) -> list[int]:
        """The pages that it stands on."""
        return [place.page for place in self.chunk.places]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A document as one configuration cuts it. ``longest`` is how many tokens the embedder reads, 0 for unknown."""

    label: str
    pieces: tuple[Piece, ...]
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that a preview shows. ``pages`` are the first and last that are shown, of ``page_count``."""

    document: Document
    pages: tuple[int, int]
    page_count: int
    elements: Sequence[Element]
    kept: frozenset[int]
    captions: Captions
    cuts: tuple[Cut, ...]
    pictures: Mapping[int, Shown] = field(default_factory=dict)


def look(
    source: Source,
    pipelines: Mapping[str, Pipeline],
    *,
    pages: tuple[int, int],
    settings: Settings,
    limits: Limits,
    engines: Engines | None = None,
    drawn: bool = True,
) -> Look:
    """Take the one document of ``source`` through the first stages of each pipeline, by its label.

    ``drawn`` False leaves the pictures of its pages out. Raises `PreviewError` where an ingest would record a failure,
    `InvalidOptionError` if there is not one document.
    """
    documents = source.list()
    if len(documents) != 1:
        raise InvalidOptionError(f"{source.specs[0]} is {len(documents)} documents.", hint="Name the file of one.")
    plain = {label: replace(one, upload=None, store=None) for label, one in pipelines.items()}
    return portal.run(_look(source, documents[0], plain, pages, settings, limits, engines, drawn=drawn))


async def _look(  # noqa: PLR0917 (only `look` calls it)
    source: Source,
    document: Document,
    pipelines: Mapping[str, Pipeline],
    pages: tuple[int, int],
    settings: Settings,
    limits: Limits,
    engines: Engines | None,
    *,
    drawn: bool,
) -> Look:
    first = next(iter(pipelines.values()))
    chosen = engines or engines_for(first, settings)
    try:
        with equipped(
            first, source, settings, corpus="preview", run_id="preview", engines=chosen, workers=1, limits=limits
        ) as equipment:
            found = [await _cut(label, one, document, equipment, pages) for label, one in pipelines.items()]
            fetched, pictures = found[0].document, {}
            if drawn:
                pictures = await asyncio.to_thread(
                    page_pictures, source, fetched, equipment.parsers, first.extract, found[0].pages
                )
    finally:
        if engines is None:
            await chosen.aclose()
    return replace(found[0], cuts=tuple(one.cuts[0] for one in found), pictures=pictures)


async def _cut(
    label: str, pipeline: Pipeline, document: Document, equipment: Equipment, pages: tuple[int, int]
) -> Look:
    runner = Runner(pipeline, equipment, run_id="preview")
    try:
        wanted = [stage for stage in _STAGES if stage in pipeline.stages()]
        work = await runner.through(Work(document=document), wanted)
        if isinstance(work, Failure):
            raise PreviewError(work)
        made = await runner.made(work)
        under = await asyncio.to_thread(runner.bench.contexts, work.document, made.elements, made.chunks, made.captions)
    finally:
        runner.close()
    embedder, total = equipment.engines.embedder, made.page_count
    if 0 < total < pages[0]:
        raise InvalidOptionError(f"The document has no page {pages[0]:,}.", hint=f"Its pages are 1 to {total:,}.")
    kept = stages.tidy(made.elements, pipeline.dedup, pipeline.filter)
    pieces = _pieces(made, pipeline, kept, under)
    return Look(
        document=work.document,
        pages=(pages[0], min(pages[1], total)) if total else (0, 0),
        page_count=total,
        elements=made.elements,
        kept=kept,
        captions=made.captions,
        cuts=(Cut(label=label, pieces=pieces, longest=embedder.max_tokens if embedder else 0),),
    )


def _pieces(made: Made, pipeline: Pipeline, kept: frozenset[int], under: Sequence[str]) -> tuple[Piece, ...]:
    units = stages.units(made.elements, pipeline.extract.text_depth, kept)
    texts = {unit.pieces[0][2]: unit for unit in units if unit.kind is Kind.TEXT}
    embedded: set[int] = set()
    if pipeline.embed is not None:
        embedded.update(stages.embeddable(made.chunks, made.elements, made.captions, pipeline.embed))
    return tuple(
        Piece(
            chunk=chunk,
            stretches=_stretches(chunk, texts.get(chunk.element) if chunk.kind is Kind.TEXT else None),
            passage=stages.passage(chunk, made.elements[chunk.element], made.captions) if i in embedded else "",
            context=under[i] if under and i in embedded else "",
        )
        for i, chunk in enumerate(made.chunks)
    )


def _stretches(chunk: Chunk, unit: Unit | None) -> tuple[Stretch, ...]:
    """Return what a chunk has of elements: its text is found in its unit, at or behind the element it begins in."""
    if unit is None:
        return (Stretch(element=chunk.element),)
    first = bisect_left(unit.pieces, chunk.begins, key=itemgetter(2))  # elements stand in their order
    begins = unit.pieces[first][0]
    start = max(unit.text.find(chunk.text, begins), begins)
    end = start + len(chunk.text)
    touched = takewhile(lambda piece: piece[0] < end, islice(unit.pieces, first, None))
    return tuple(
        Stretch(
            element=position, begin=max(start - low, 0) / (high - low), end=min(end - low, high - low) / (high - low)
        )
        for low, high, position in touched
        if high > start
    )
