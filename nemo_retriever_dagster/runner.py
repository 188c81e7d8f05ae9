"""Takes documents through the stages: finds what is done already, does the rest, keeps the result, times it.

Every stage of every document is one call of `Runner.stage`; the `Ingestor` chains them per document, the ops of a
corpus call them one stage at a time. Both get the same answers from the same artifacts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nemo_retriever_dagster import extraction, stages
from nemo_retriever_dagster.commit import generation_of
from nemo_retriever_dagster.engines.ports import Caption, Engines
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import SourceUnavailableError, Stage
from nemo_retriever_dagster.extract.sniff import detect_format
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.model import Failure, Receipt
from nemo_retriever_dagster.shape import Made, to_records
from nemo_retriever_dagster.shelf import Shelf, place_of
from nemo_retriever_dagster.tokens import load_tokenizer
from nemo_retriever_dagster.work import Result, Work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from nemo_retriever_dagster.commit import Committer
    from nemo_retriever_dagster.extract.workers import ParserPool
    from nemo_retriever_dagster.images import ImageStore
    from nemo_retriever_dagster.model import Chunk, Document, Element, Record
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.source import Buffers, Fetched, Source
    from nemo_retriever_dagster.stages import Captions
    from nemo_retriever_dagster.tasks import SplitTask
    from nemo_retriever_dagster.tokens import Tokenizer

_log = logging.getLogger(__name__)
_STORE_TEXT_BYTES = 65_535
_Value = TypeVar("_Value")
Step = tuple[str, bool, Work]
"""The place of a stage's result, whether it was found done, and the work with its counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What a runner works with. ``committer`` is needed for upload, ``images`` for store_images.

    ``workers`` is the number of parser processes: so many documents are extracted at once, and one waits at the door.
    ``models_dir`` and ``tokenizers_dir``: see `load_tokenizer`.
    """

    source: Source | Buffers
    parsers: ParserPool
    shelf: Shelf
    engines: Engines
    committer: Committer | None = None
    images: ImageStore | None = None
    workers: int = 2
    limits: Limits = field(default_factory=Limits)
    models_dir: Path | None = None
    tokenizers_dir: Path | None = None


class Runner:
    """Runs the stages of one pipeline. Safe to use from several tasks of one event loop."""

    def __init__(self, pipeline: Pipeline, equipment: Equipment, *, run_id: str = "", concurrency: int = 32) -> None:
        """Work on at most ``concurrency`` documents at once; ``run_id`` marks rows and failures."""
        self.pipeline = pipeline
        self.equipment = equipment
        self.run_id = run_id
        self._concurrency = concurrency
        self._at_parsers = asyncio.Semaphore(equipment.workers + 1)
        self._threads = ThreadPoolExecutor(max_workers=concurrency + 4, thread_name_prefix="nemo-retriever")
        self._prints: dict[str, dict[str, str]] = {}
        self.busy: dict[str, int] = dict.fromkeys(map(str, pipeline.stages()), 0)
        """How many documents are at each stage now."""
        self._steps: dict[Stage, Callable[[Work], Any]] = {
            Stage.EXTRACT: self._extract,
            Stage.SPLIT: self._split,
            Stage.CAPTION: self._caption,
            Stage.STORE_IMAGES: self._store_images,
            Stage.EMBED: self._embed,
            Stage.UPLOAD: self._upload,
        }

    def close(self) -> None:
        """Let go of the threads; the equipment belongs to the caller."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def stage(self, stage: Stage, work: Work) -> Work:
        """Take ``work`` through ``stage``; raise what went wrong."""
        started = time.perf_counter()
        self.busy[stage] += 1
        try:
            with metered() as meter:
                place, reused, work = await self._steps[stage](work)
        finally:
            self.busy[stage] -= 1
        used = {f"{stage}/{name}": usage for name, usage in meter.totals.items()}
        return work.done(stage, place, time.perf_counter() - started, reused=reused).used(used)

    async def attempt(self, stage: Stage, work: Work) -> Result:
        """Take ``work`` through ``stage``; an error becomes the document's Failure."""
        try:
            return await self.stage(stage, work)
        except Exception as error:  # noqa: BLE001 - one document's error, of whatever kind, must not stop the others
            _log.debug("%s failed at %s", work.document.uri, stage, exc_info=True)
            at = Stage.SOURCE if isinstance(error, SourceUnavailableError) else stage
            return Failure.of(work.document, at, error, run_id=self.run_id)

    async def through(self, result: Result, wanted: Sequence[Stage]) -> Result:
        """Take a document through several stages, as far as it gets; a Failure is handed on as it is."""
        for stage in wanted:
            if isinstance(result, Failure):
                break
            result = await self.attempt(stage, result)
        return result

    async def all_through(
        self,
        results: Sequence[Result],
        wanted: Sequence[Stage],
        then: Callable[[int, Result], Awaitable[None]] | None = None,
    ) -> list[Result]:
        """Take documents through several stages, many at once; return them in the same order.

        ``then`` is awaited with the position and the result of each document as soon as it is through.
        """
        done = list(results)
        waiting = iter(range(len(done)))

        async def work() -> None:
            for i in waiting:  # shared by all workers: a task a document would be held for every one of them
                done[i] = await self.through(done[i], wanted)
                if then is not None:
                    await then(i, done[i])

        await asyncio.gather(*(work() for _ in range(min(self._concurrency, len(done)))))
        return done

    # --- the stages ---

    async def _extract(self, work: Work) -> Step:
        async with self._fetched(work.document) as fetched:
            document = replace(
                work.document,
                sha256=fetched.sha256,
                size=fetched.size,
                version=fetched.version or work.document.version,
            )
            declared = self.pipeline.extract.document_type
            kind = await self._call(detect_format, fetched.path, document.name, declared)
            document = replace(document, format=kind)
            place = self._place(Stage.EXTRACT, document)
            note = await self._call(self.equipment.shelf.note, place)
            reused = note is not None
            if note is None:
                wanted = extraction.options(self.pipeline.extract, kind, self.equipment.engines)
                async with self._at_parsers:
                    found = await extraction.extract(
                        fetched.path,
                        wanted,
                        parsers=self.equipment.parsers,
                        engines=self.equipment.engines,
                        threads=self._threads,
                        limits=self.equipment.limits,
                    )
                note = {"pages": found.pages, "elements": len(found.elements)}
                await self._call(self.equipment.shelf.put_elements, place, found.elements)
                await self._call(self.equipment.shelf.finish, place, note)
        counts = {**work.counts, **note}
        return place, reused, replace(work, document=document, counts=counts, fingerprints=self.fingerprints(document))

    async def _split(self, work: Work) -> Step:
        return await self._step(Stage.SPLIT, work, self._split_new)

    async def _split_new(self, work: Work, place: str) -> dict[str, Any]:
        elements = await self._elements(work)
        return await self._call(self._split_elements, elements, place, work)

    def _split_elements(self, elements: Sequence[Element], place: str, work: Work) -> dict[str, Any]:
        task, longest = self.pipeline.split, self._longest()
        if task is not None and not task.applies_to(work.document.format):
            task = None
        with_context = self.pipeline.embed is not None and self.pipeline.embed.context
        kept = stages.tidy(elements, self.pipeline.dedup, self.pipeline.filter)
        chunks = stages.split(
            elements,
            stages.units(elements, self.pipeline.extract.text_depth, kept, page_texts=self._reads_pages()),
            task,
            self._tokenizer(task),
            fit=self._tokenizer(None),
            max_tokens=longest,
            max_bytes=_STORE_TEXT_BYTES,
            spare=stages.spare_tokens(longest) if with_context else 0,
        )
        self.equipment.shelf.put_chunks(place, chunks)
        return {**stages.counts(elements, chunks, kept), "pages": work.counts.get("pages", 0)}

    def _reads_pages(self) -> bool:
        embed = self.pipeline.embed
        return embed is not None and bool(embed.image_elements_aggregate_page_content)

    def _longest(self) -> int:
        """Return how many tokens the embedder reads, 0 where nothing is embedded or it is not known."""
        embedder = self.equipment.engines.embedder
        return embedder.max_tokens if embedder is not None and self.pipeline.embed is not None else 0

    def _tokenizer(self, task: SplitTask | None) -> Tokenizer:
        token = task.hf_access_token if task is not None else None
        return load_tokenizer(
            task.tokenizer if task is not None else None,
            hf_access_token=token.get_secret_value() if token is not None else None,
            models_dir=self.equipment.models_dir,
            tokenizers_dir=self.equipment.tokenizers_dir,
        )

    async def _caption(self, work: Work) -> Step:
        place, reused, work = await self._step(Stage.CAPTION, work, self._caption_new, counted=False)
        note = await self._call(self.equipment.shelf.note, place) or {}
        return place, reused, replace(work, counts={**work.counts, "captions": len(note)})

    async def _caption_new(self, work: Work, _: str) -> dict[str, Any]:
        assert self.pipeline.caption is not None
        elements, engines = await self._elements(work), self.equipment.engines
        kept = stages.tidy(elements, self.pipeline.dedup, self.pipeline.filter)
        captions = await stages.caption(elements, kept, self.pipeline.caption, engines.captioner, engines.ocr)
        return {str(i): [caption.text, caption.source] for i, caption in captions.items()}

    async def _store_images(self, work: Work) -> Step:
        place, reused, work = await self._step(Stage.STORE_IMAGES, work, self._store_new, counted=False)
        note = await self._call(self.equipment.shelf.note, place) or {}
        return place, reused, replace(work, counts={**work.counts, "stored_images": len(note)})

    async def _store_new(self, work: Work, _: str) -> dict[str, Any]:
        assert self.pipeline.store is not None
        assert self.equipment.images is not None
        elements = await self._elements(work)
        kept = stages.tidy(elements, self.pipeline.dedup, self.pipeline.filter)
        return await self._call(stages.store_pictures, elements, kept, self.pipeline.store, self.equipment.images)

    async def _embed(self, work: Work) -> Step:
        return await self._step(Stage.EMBED, work, self._embed_new)

    async def _embed_new(self, work: Work, place: str) -> dict[str, Any]:
        assert self.pipeline.embed is not None
        chunks, elements = await self._chunks(work), await self._elements(work)
        captions, embedder = await self._captions(work), self.equipment.engines.embedder
        contexts = await self._call(self.contexts, work.document, elements, chunks, captions)
        vectors = await stages.embed(chunks, elements, captions, self.pipeline.embed, embedder, contexts=contexts)
        await self._call(self.equipment.shelf.put_vectors, place, vectors)
        return {"embedded": int(np.isfinite(vectors).all(axis=1).sum())}

    def contexts(
        self, document: Document, elements: Sequence[Element], chunks: Sequence[Chunk], captions: Captions
    ) -> Sequence[str]:
        """Return what each chunk is embedded under; nothing where the pipeline embeds without context."""
        if self.pipeline.embed is None or not self.pipeline.embed.context:
            return ()
        passages = [stages.passage(chunk, elements[chunk.element], captions) for chunk in chunks]
        fit = self._tokenizer(None)
        return stages.contexts(document, elements, chunks, passages, fit=fit, max_tokens=self._longest())

    async def _upload(self, work: Work) -> Step:
        committer = self.equipment.committer
        assert committer is not None
        generation = generation_of(work.document, self.fingerprints(work.document)[Stage.UPLOAD])
        collections = stages.collections(self.pipeline.upload)
        receipt = await self._call(committer.holds, work.document, tuple(collections), generation)
        reused = receipt is not None
        if receipt is None:
            rows = await self._call(self._rows, await self.made(work), generation)
            draft = await self._draft(work, generation)
            commit = partial(committer.commit, keep_pictures=await self._picture_keeper(work))
            receipt = await self._call(commit, work.document, rows, draft)
        counts = {**work.counts, "rows": receipt.rows}
        return f"receipt/{generation}", reused, replace(work, counts=counts, generation=generation)

    async def _picture_keeper(self, work: Work) -> Callable[[], None]:
        images, positions = self.equipment.images, [int(i) for i in await self._links(work)]
        if images is None or not positions:
            return lambda: None
        return partial(stages.keep_pictures, await self._elements(work), positions, images)

    def _rows(self, made: Made, generation: str) -> dict[str, list[Record]]:
        rows = {}
        for name, kinds in stages.collections(self.pipeline.upload).items():
            found = to_records(made, collection=name, generation=generation, run_id=self.run_id)
            rows[name] = [record for record in found if record.content_metadata["kind"] in kinds]
        return rows

    async def _draft(self, work: Work, generation: str) -> Receipt:
        links = await self._links(work)
        return Receipt(
            document=work.document.key,
            uri=work.document.uri,
            sha256=work.document.sha256,
            collection="",
            generation=generation,
            rows=0,
            run_id=self.run_id,
            finished_at="",
            fingerprints=work.fingerprints,
            counts=work.counts,
            seconds=work.seconds,
            images=tuple(sorted({link[2] for link in links.values()})),
        )

    # --- what was made ---

    async def made(self, work: Work) -> Made:
        """Return everything that the stages made of a document so far."""
        links = {int(i): (link[0], link[1]) for i, link in (await self._links(work)).items()}
        place = work.addresses.get(Stage.EMBED)
        elements = await self._elements(work)
        return Made(
            document=work.document,
            elements=elements,
            headings=stages.outline(elements),
            chunks=await self._chunks(work),
            captions=await self._captions(work),
            vectors=await self._call(self.equipment.shelf.vectors, place) if place else None,
            links=links,
            extra=stages.sidecar(self.pipeline.upload, work.document),
            text_depth=self.pipeline.extract.text_depth,
            page_count=work.counts.get("pages", 0),
        )

    async def _elements(self, work: Work) -> tuple[Element, ...]:
        return await self._call(self.equipment.shelf.elements, work.addresses[Stage.EXTRACT])

    async def _chunks(self, work: Work) -> Any:
        return await self._call(self.equipment.shelf.chunks, work.addresses[Stage.SPLIT])

    async def _captions(self, work: Work) -> Captions:
        found = await self._noted(work, Stage.CAPTION)
        return {int(i): Caption(text=text, source=source) for i, (text, source) in found.items()}

    async def _links(self, work: Work) -> dict[str, Any]:
        return await self._noted(work, Stage.STORE_IMAGES)

    async def _noted(self, work: Work, stage: Stage) -> dict[str, Any]:
        if stage not in work.addresses:
            return {}
        return await self._call(self.equipment.shelf.note, work.addresses[stage]) or {}

    # --- common to the stages ---

    def fingerprints(self, document: Document) -> dict[str, str]:
        """Return the fingerprints of the stages for this document's format: one mapping for all of its documents."""
        if document.format not in self._prints:
            made = self.pipeline.fingerprints(document.format, self.equipment.engines)
            self._prints[document.format] = {str(stage): value for stage, value in made.items()}
        return self._prints[document.format]

    def _place(self, stage: Stage, document: Document) -> str:
        fingerprint = self.fingerprints(document)[stage]
        if stage is Stage.EMBED and self.pipeline.embed is not None and self.pipeline.embed.context:
            fingerprint = f"{fingerprint}/{document.name}"  # which is part of what is embedded
        return place_of(stage, document.sha256, fingerprint)

    async def _step(self, stage: Stage, work: Work, make: Callable[[Work, str], Any], *, counted: bool = True) -> Step:
        """Find the stage's result or make it; its note holds counts, unless ``counted`` says otherwise."""
        place = self._place(stage, work.document)
        note = await self._call(self.equipment.shelf.note, place)
        reused = note is not None
        if note is None:
            note = await make(work, place)
            await self._call(self.equipment.shelf.finish, place, note)
        return place, reused, replace(work, counts={**work.counts, **note}) if counted else work

    async def _call(self, function: Callable[..., _Value], *arguments: Any) -> _Value:
        """Run a blocking function in a thread of the runner."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    @asynccontextmanager
    async def _fetched(self, document: Document) -> AsyncIterator[Fetched]:
        entered = self.equipment.source.fetch(document)
        fetched = await self._call(entered.__enter__)
        try:
            yield fetched
        except BaseException as error:
            if not await self._call(entered.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await self._call(entered.__exit__, None, None, None)
