"""What one call of `Ingestor.ingest` works with, put together and given back; a re-index builds beside what serves."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_retriever_dagster.batch import BatchOutcome, run_batch
from nemo_retriever_dagster.equip import equipped, prepare, recreating
from nemo_retriever_dagster.errors import VerificationError
from nemo_retriever_dagster.portal import entered
from nemo_retriever_dagster.progress import progress
from nemo_retriever_dagster.reindex import rebuilding
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.jobs import Jobs
    from nemo_retriever_dagster.limits import Limits
    from nemo_retriever_dagster.model import Document
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.reindex import Rebuild
    from nemo_retriever_dagster.results import DocumentResult, Element
    from nemo_retriever_dagster.settings import Settings
    from nemo_retriever_dagster.source import Buffers, Source
    from nemo_retriever_dagster.vdb.contract import VectorStore
    from nemo_retriever_dagster.work import Result
    from nemo_retriever_dagster.workbench import Equipment


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """What is done with the documents of ``source``, and with what; ``engines`` and ``store`` stay the caller's.

    ``pipeline`` is a `placed` one. ``store`` None is the one that the pipeline names. ``workers`` is the number of
    parser processes (0: one a core), ``pages_per_part`` how many pages of a long PDF one of them reads at a time,
    ``concurrency`` the number of documents that are worked on at once; ``warn`` is told what the caller ought to know.
    """

    pipeline: Pipeline
    source: Source | Buffers
    settings: Settings
    engines: Engines
    store: VectorStore | None
    limits: Limits
    workers: int
    pages_per_part: int
    concurrency: int
    warn: Callable[[str], None]

    async def run(
        self,
        begun: Sequence[Result],
        jobs: Jobs,
        keep: Callable[[Document, list[Element]], DocumentResult],
        *,
        all_or_nothing: bool,
        show_progress: bool,
    ) -> BatchOutcome:
        """Take ``begun`` documents through the pipeline, as `run_batch` does, and note in ``jobs`` how they stand."""
        run_id = uuid.uuid4().hex
        if self._reindexes and self.engines.embedder is not None:
            await self.engines.embedder.check()
        documents = [result.document for result in begun if isinstance(result, Work)]
        async with entered(self._with(documents, run_id)) as (rebuild, equipment):
            runner = Runner(self.pipeline, equipment, run_id=run_id, concurrency=self.concurrency)
            try:
                written_to = equipment.committer.store if equipment.committer else None
                await prepare(self.pipeline, self.engines, written_to)
                with progress(len(begun), shown=show_progress, busy=runner.busy) as observe:
                    outcome = await run_batch(
                        runner,
                        begun,
                        all_or_nothing=all_or_nothing,
                        keep=keep,
                        observe=jobs.seeing(observe),
                        empty=recreating(self.pipeline, self.engines, written_to),
                    )
                if rebuild:
                    await asyncio.to_thread(self._finish, rebuild, outcome)
            finally:
                runner.close()
        return outcome

    @property
    def _reindexes(self) -> bool:
        return self.pipeline.upload is not None and self.pipeline.upload.reindex

    @contextmanager
    def _with(self, documents: Sequence[Document], run_id: str) -> Iterator[tuple[Rebuild | None, Equipment]]:
        """Hand out the build of a re-index, where one is asked for and needed, and what the run works with."""
        corpus = "ingestor:" + ",".join(collections(self.pipeline.upload))
        pipeline, settings, engines = self.pipeline, self.settings, self.engines
        with ExitStack() as stack:
            rebuild = None
            if self._reindexes:
                building = rebuilding(
                    pipeline, settings, engines, documents, corpus=corpus, run_id=run_id, store=self.store
                )
                rebuild = stack.enter_context(building)
            equipment = equipped(
                pipeline,
                self.source,
                settings,
                corpus=rebuild.building if rebuild else corpus,
                run_id=run_id,
                engines=engines,
                store=rebuild.store if rebuild else self.store,
                workers=self.workers,
                pages_per_part=self.pages_per_part,
                limits=self.limits,
            )
            yield rebuild, stack.enter_context(equipment)

    def _finish(self, rebuild: Rebuild, outcome: BatchOutcome) -> None:
        """Switch to the new collection; where failed documents stand in the way, say so and let them be returned."""
        try:
            rebuild.finish()
        except VerificationError as error:
            if not outcome.failures:
                raise
            self.warn(f"{error.message} {len(outcome.failures)} documents failed.")
