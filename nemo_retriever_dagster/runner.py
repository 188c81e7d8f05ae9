"""Takes documents through the stages: finds what is done already, does the rest, keeps the result, times it.

Every stage of every document is one call of `Runner.stage`; the `Ingestor` chains them per document, the ops of a
corpus call them one stage at a time. Both get the same answers from the same artifacts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_retriever_dagster import extraction, stages
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import SourceUnavailableError, Stage
from nemo_retriever_dagster.extract.sniff import detect_format
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.portal import entered
from nemo_retriever_dagster.workbench import Step, Workbench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import numpy as np

    from nemo_retriever_dagster.model import Document
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.shape import Made
    from nemo_retriever_dagster.source import Fetched
    from nemo_retriever_dagster.stages import Captions
    from nemo_retriever_dagster.work import Result, Work
    from nemo_retriever_dagster.workbench import Equipment

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class _ReadAs(Exception):  # noqa: N818 - a cover, which `Runner.attempt` takes off
    """What went wrong with a document that was read in this version, which may be another than was listed."""

    def __init__(self, document: Document, cause: Exception) -> None:
        super().__init__(str(cause))
        self.document, self.cause = document, cause


class Runner:
    """Runs the stages of one pipeline. Safe to use from several tasks of one event loop."""

    def __init__(self, pipeline: Pipeline, equipment: Equipment, *, run_id: str = "", concurrency: int = 32) -> None:
        """Work on at most ``concurrency`` documents at once; ``run_id`` marks rows and failures."""
        self.pipeline = pipeline
        self.equipment = equipment
        self.run_id = run_id
        self.bench = Workbench(pipeline, equipment, run_id=run_id)
        self._concurrency = concurrency
        self._at_parsers = asyncio.Semaphore(equipment.workers + 1)
        self._threads = ThreadPoolExecutor(max_workers=concurrency + 4, thread_name_prefix="nemo-retriever")
        self.busy: dict[str, int] = dict.fromkeys(map(str, pipeline.stages()), 0)
        """How many documents are at each stage now."""
        self._steps: dict[Stage, Callable[[Work], Awaitable[Step]]] = {
            Stage.EXTRACT: self._extract,
            Stage.SPLIT: lambda work: self._call(self.bench.split, work),
            Stage.CAPTION: self._caption,
            Stage.STORE_IMAGES: lambda work: self._call(self.bench.store_images, work),
            Stage.EMBED: self._embed,
            Stage.UPLOAD: lambda work: self._call(self.bench.upload, work),
        }

    def close(self) -> None:
        """Let go of the threads; the equipment belongs to the caller."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def stage(self, stage: Stage, work: Work) -> Work:
        """Take ``work`` through ``stage``; raise what went wrong, at its reading under cover of the version read."""
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
            document, cause = (error.document, error.cause) if isinstance(error, _ReadAs) else (work.document, error)
            at = Stage.SOURCE if isinstance(cause, SourceUnavailableError) else stage
            return Failure.of(document, at, cause, run_id=self.run_id)

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

    async def made(self, work: Work) -> Made:
        """Return everything that the stages made of a document so far."""
        return await self._call(self.bench.made, work)

    # --- the stages that ask parsers or engines ---

    async def _extract(self, work: Work) -> Step:
        async with entered(self.equipment.source.fetch(work.document), self._call) as fetched:
            document = replace(
                work.document,
                sha256=fetched.sha256,
                size=fetched.size,
                version=fetched.version or work.document.version,
            )
            try:
                return await self._elements(replace(work, document=document), fetched)
            except Exception as error:
                raise _ReadAs(document, error) from error

    async def _elements(self, work: Work, fetched: Fetched) -> Step:
        declared = self.pipeline.extract.document_type
        kind = await self._call(detect_format, fetched.path, work.document.name, declared)
        document = replace(work.document, format=kind)
        place, note = await self._call(self.bench.look, Stage.EXTRACT, document)
        reused = note is not None
        if note is None:
            found = await self._extracted(fetched, kind)
            note = {"pages": found.pages, "elements": len(found.elements), **asdict(found.dates)}
            await self._call(self.bench.keep_elements, place, found.elements, note)
        created, modified = note.pop("created", ""), note.pop("modified", "")  # a note of formats without may be older
        document = replace(document, created=created, modified=modified or fetched.modified)
        work = replace(work, document=document, fingerprints=self.bench.fingerprints(document))
        return Step(place, reused, work.counted(note))

    async def _extracted(self, fetched: Fetched, kind: str) -> extraction.Extraction:
        equipment = self.equipment
        wanted = extraction.options(self.pipeline.extract, kind, equipment.engines)
        async with self._at_parsers:
            return await extraction.extract(
                fetched.path,
                wanted,
                parsers=equipment.parsers,
                engines=equipment.engines,
                threads=self._threads,
                limits=equipment.limits,
            )

    async def _caption(self, work: Work) -> Step:
        place, note = await self._call(self.bench.look, Stage.CAPTION, work.document)
        reused = note is not None
        if note is None:
            note = await self._call(self.bench.keep_captions, place, await self._captions(work))
        return Step(place, reused, work.counted({"captions": len(note)}))

    async def _captions(self, work: Work) -> Captions:
        assert self.pipeline.caption is not None
        elements, kept = await self._call(self.bench.pictures, work)
        engines = self.equipment.engines
        return await stages.caption(elements, kept, self.pipeline.caption, engines.captioner, engines.ocr)

    async def _embed(self, work: Work) -> Step:
        place, note = await self._call(self.bench.look, Stage.EMBED, work.document)
        reused = note is not None
        if note is None:
            note = await self._call(self.bench.keep_vectors, place, await self._vectors(work))
        return Step(place, reused, work.counted(note))

    async def _vectors(self, work: Work) -> np.ndarray:
        assert self.pipeline.embed is not None
        chunks, elements, captions, contexts = await self._call(self.bench.passages, work)
        embedder = self.equipment.engines.embedder
        return await stages.embed(chunks, elements, captions, self.pipeline.embed, embedder, contexts=contexts)

    # --- common to the stages ---

    async def _call(self, function: Callable[..., _Value], *arguments: Any) -> _Value:
        """Run a blocking function in a thread of the runner."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
