"""The chainable `Ingestor` of the NeMo Retriever Library, over the same stages as the Dagster asset.

Methods only note what is wanted and return the ingestor; `Ingestor.ingest` does it. Results come in the order of the
inputs. Where this differs from the original it is to lose nothing: see ``docs/ingestor.md``.

Over 350 lines because the reference's methods are one class's; what they do is in `tasks`, `ingest` and `batch`.
"""

from __future__ import annotations

import asyncio
import traceback
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.batch import BatchOutcome, begin
from nemo_retriever_dagster.equip import engines_for, placed
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract.methods import checked_method
from nemo_retriever_dagster.extract.reading import PAGES_PER_PART
from nemo_retriever_dagster.ingest import Ingest
from nemo_retriever_dagster.inputs import pairs_of, paths_of
from nemo_retriever_dagster.jobs import Jobs
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.options import Amount, Number, checked, expect, make
from nemo_retriever_dagster.pipeline import Pipeline
from nemo_retriever_dagster.reference_options import (
    NOT_NEEDED_TO_CONNECT,
    NOT_NEEDED_TO_INGEST,
    absent,
    check_upload,
    translated,
)
from nemo_retriever_dagster.result_folder import ResultFolder
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.source import Buffers, Source
from nemo_retriever_dagster.tasks import (
    CaptionTask,
    DedupTask,
    EmbedTask,
    ExtractTask,
    FilterTask,
    SaveTask,
    SplitTask,
    StoreTask,
    UploadTask,
)
from nemo_retriever_dagster.vdb.contract import VectorStore
from nemo_retriever_dagster.work import Work

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from concurrent.futures import Future
    from os import PathLike
    from types import TracebackType

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.inputs import Buffer
    from nemo_retriever_dagster.model import Failure
    from nemo_retriever_dagster.results import DocumentResult

_OWN = ("documents", "client", "engines", "store", "settings", "limits", "workers", "storage_options")
_MOST_PAGES_PER_PART = 128  # as in the original
_OWN_TO_INGEST = (
    "show_progress",
    "return_failures",
    "save_to_disk",
    "return_traces",
    "include_parent_trace_ids",
    "concurrency_limit",
)


class Ingestor:
    """Collects what is to be done with which documents; `ingest` does it.

    >>> from nemo_retriever_dagster import Ingestor
    >>> results = (
    ...     Ingestor().files("reports/*.pdf").extract().split(chunk_size=256).embed()
    ...     .vdb_upload(collection_name="reports", milvus_uri="reports.db").ingest()
    ... )  # doctest: +SKIP

    ``client`` and the connection options of the original are accepted and not needed: the stages run in this process
    and its parser processes, engines behind URLs are named where they are used.
    """

    def __init__(
        self,
        documents: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None,
        client: object = None,
        *,
        engines: Engines | None = None,
        store: VectorStore | None = None,
        settings: Settings | None = None,
        limits: Limits | None = None,
        workers: int = 0,
        storage_options: Mapping[str, Any] | None = None,
        **reference_options: Any,
    ) -> None:
        """Start with ``documents``, if given (see `files`).

        ``engines`` and ``store`` replace what the options would choose; ``workers`` is the number of parser processes
        (0: one a core); ``storage_options`` go to fsspec when documents are remote.
        """
        expect("Ingestor", reference_options, (*_OWN, *NOT_NEEDED_TO_CONNECT))
        self.client = client
        self._engines, self._store = engines, store
        self._settings = settings
        self._limits = limits or Limits()
        self._workers: int = checked("Ingestor", "workers", Amount, workers)
        self._pages_per_part = PAGES_PER_PART
        wanted = Mapping[str, Any] | None
        self._storage_options = checked("Ingestor", "storage_options", wanted, storage_options, shown=False)
        self._files: list[str] = []
        self._buffers: list[tuple[str, bytes]] = []
        self._options: dict[str, dict[str, Any]] = {}
        self._tasks: dict[str, Any] = {}
        self._save: SaveTask | None = None
        self._folders: list[ResultFolder] = []
        self._outcome: BatchOutcome | None = None
        self._jobs = Jobs()
        self._called_at: traceback.FrameSummary | None = None
        if documents is not None:
            self.files(documents)

    # --- inputs ---

    def files(self, documents: str | PathLike[str] | Iterable[str | PathLike[str]]) -> Self:
        """Add paths, globs (``**`` too), folders or fsspec URIs, one or many. They are looked at by `ingest`."""
        self._files += paths_of(documents)
        return self

    def buffers(self, buffers: tuple[str, Buffer] | Iterable[tuple[str, Buffer]]) -> Self:
        """Add documents held in memory: pairs of a name and bytes, or a binary file or buffer, which is read now.

        The name tells the type where the content does not.
        """
        self._buffers += pairs_of(buffers)
        return self

    def load(self, **storage_options: Any) -> Self:
        """Do nothing: remote documents are fetched when they are read, one at a time.

        ``storage_options`` go to fsspec.
        """
        if storage_options:
            self._storage_options = {**(self._storage_options or {}), **storage_options}
        return self

    # --- tasks ---

    def extract(self, **options: Any) -> Self:
        """Read text, tables, charts, pictures, speech. Options: `nemo_retriever_dagster.tasks.ExtractTask`.

        Called again, later options change the earlier ones.
        """
        options = {**self._options.get("extract", {}), **translated("extract", options)}
        method, kind = options.get("extract_method"), options.get("document_type")
        if all(value is None or isinstance(value, str) for value in (method, kind)):
            options["extract_method"] = checked_method(method, kind)
        return self._add("extract", ExtractTask, options)

    def split(
        self,
        tokenizer: str | None = None,
        chunk_size: int | None = None,
        chunk_overlap: int | None = None,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Cut text into windows of ``chunk_size`` tokens that share ``chunk_overlap``.

        ``params``: ``split_source_types`` (types to cut, e.g. ["pdf", "mp3"]; default all) and ``hf_access_token`` for
        a gated tokenizer. ``sentences=True`` keeps sentences whole where they fit.
        """
        sizes = {"tokenizer": tokenizer, "chunk_size": chunk_size, "chunk_overlap": chunk_overlap}
        return self._add("split", SplitTask, translated("split", {"params": params, **sizes, **options}))

    def caption(self, **options: Any) -> Self:
        """Describe pictures and infographics. Options: `nemo_retriever_dagster.tasks.CaptionTask`."""
        return self._add("caption", CaptionTask, translated("caption", options))

    def embed(self, **options: Any) -> Self:
        """Give every chunk a vector. Options: `nemo_retriever_dagster.tasks.EmbedTask`."""
        return self._add("embed", EmbedTask, translated("embed", options))

    def store(self, **options: Any) -> Self:
        """Store pictures where readers can fetch them. Options: `nemo_retriever_dagster.tasks.StoreTask`."""
        self._add("store", StoreTask, translated("store", options))
        task: StoreTask = self._tasks["store"]
        if not (task.structured or task.images):
            message = "store() stores nothing: both structured and images are False, the reference's defaults."
            warnings.warn(message, stacklevel=2)
        return self

    def dedup(self, **options: Any) -> Self:
        """Leave out repeated pictures and those that are tables or charts: `nemo_retriever_dagster.tasks.DedupTask`."""
        return self._add("dedup", DedupTask, translated("dedup", options))

    def filter(self, **options: Any) -> Self:
        """Leave out pictures too small or narrow to tell anything: `nemo_retriever_dagster.tasks.FilterTask`."""
        return self._add("filter", FilterTask, options)

    def vdb_upload(
        self, purge_results_after_upload: bool = True, vdb_op: str | VectorStore = "milvus", **options: Any
    ) -> Self:
        """Upload the chunks. Options: `nemo_retriever_dagster.tasks.UploadTask`.

        ``vdb_op`` is "milvus" or your own `VectorStore`.

        The original's tuning options of the index are taken too; those of its local BM25 model are not needed.
        """
        options["purge_results_after_upload"] = purge_results_after_upload
        self._add("upload", UploadTask, translated("vdb_upload", options))
        check_upload(self._tasks["upload"], vdb_op)
        self._store = vdb_op if isinstance(vdb_op, VectorStore) else self._store
        return self

    def save_to_disk(
        self,
        output_directory: str | None = None,
        cleanup: bool = True,
        compression: Literal["gzip"] | None = "gzip",
    ) -> Self:
        """Write each document's elements to a JSONL file; `ingest` then returns lists that read them when asked.

        The folder is ``output_directory``, else the environment's, else a temporary one. ``cleanup`` removes it when
        the ``with`` block ends.
        """
        options = {"output_directory": output_directory, "cleanup": cleanup, "compression": compression}
        self._save = make(SaveTask, "save_to_disk", options)
        return self

    def all_tasks(self) -> Self:
        """Extract, dedup, filter, split and embed with defaults: what `ingest` does when nothing was asked for."""
        return self.extract().dedup().filter().split().embed()

    def _add(self, slot: str, task: type[Any], options: Mapping[str, Any]) -> Self:
        options = {**self._options.get(slot, {}), **options}
        self._tasks[slot] = make(task, {"upload": "vdb_upload"}.get(slot, slot), options)
        self._options[slot] = options
        return self

    def pdf_split_config(self, pages_per_chunk: int = PAGES_PER_PART) -> Self:
        """Read longer PDFs in parts of ``pages_per_chunk`` pages (at most 128), by all parser processes that are free.

        The results are the same, however a PDF is cut.
        """
        wanted: int = checked("pdf_split_config", "pages_per_chunk", Number, pages_per_chunk)
        self._pages_per_part = min(wanted, _MOST_PAGES_PER_PART)
        return self

    # --- what the original's server did ---

    def store_embed(self, *_: Any, **__: Any) -> Self:
        """Raise `MisuseError`, which says where the vectors are."""
        raise absent("store_embed")

    def udf(self, *_: Any, **__: Any) -> Self:
        """Raise `MisuseError`, which says what to do instead of sending a function to a server."""
        raise absent("udf")

    @property
    def pipeline(self) -> Pipeline:
        """What was asked for, as a frozen value."""
        return Pipeline(**self._tasks)

    # --- doing it ---

    @overload
    def ingest(
        self, show_progress: bool = ..., return_failures: Literal[False] = ..., **options: Any
    ) -> list[DocumentResult]: ...
    @overload
    def ingest(
        self, show_progress: bool = ..., *, return_failures: Literal[True], **options: Any
    ) -> tuple[list[DocumentResult], list[Failure]]: ...
    def ingest(self, show_progress: bool = False, return_failures: bool = False, **options: Any) -> Any:
        """Do it, and return a list of elements for each document that got through, in the order of the inputs.

        With ``return_failures`` also the list of `Failure`; without it, and with an upload, one failed document raises
        `IngestError` and nothing is uploaded. ``return_traces`` adds the seconds each stage took, by document;
        ``include_parent_trace_ids`` an empty list, as there is no server that gives any. ``concurrency_limit`` (32)
        documents are worked on at once; ``save_to_disk`` is `save_to_disk()` with its defaults.
        """
        return portal.run(self._begun(show_progress, return_failures, options))

    def ingest_async(
        self, *, show_progress: bool = False, return_failures: bool = False, **options: Any
    ) -> Future[Any]:
        """Start `ingest` and return a future of what it returns; `get_status` tells how far it is."""
        future = portal.submit(self._begun(show_progress, return_failures, options))
        future.add_done_callback(lambda _: self._jobs.close())  # one cancelled before it began ends nothing itself
        return future

    def _begun(self, show_progress: bool, return_failures: bool, options: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """Check the options and name the documents now, whenever the work begins."""
        expect("ingest", options, (*_OWN_TO_INGEST, *NOT_NEEDED_TO_INGEST))
        self._called_at = traceback.extract_stack(limit=3)[0]  # the caller of `ingest`, which called this
        self._jobs.name(self._files or [name for name, _ in self._buffers])
        return self._ingest(show_progress, return_failures, options)

    async def _ingest(self, show_progress: bool, return_failures: bool, options: dict[str, Any]) -> Any:
        traces, save_all = options.get("return_traces"), options.get("save_to_disk")
        concurrency = checked("ingest", "concurrency_limit", Number, options.get("concurrency_limit", 32))
        if save_all and self._save is None:
            self.save_to_disk()
        if not self._tasks:
            self.all_tasks()
        with self._jobs.ending():
            outcome = self._outcome = await self._run(show_progress, return_failures, concurrency)
        if outcome.failures and not return_failures:
            shown = "\n".join(failure.message for failure in outcome.failures)
            self._warn(f"{len(outcome.failures)} documents failed and are not in the results:\n{shown}")
        returned: list[Any] = [outcome.kept]
        if return_failures:
            returned.append(outcome.failures)
        if traces:
            returned.append([{str(stage): spent for stage, spent in work.seconds.items()} for work in outcome.works])
        if options.get("include_parent_trace_ids"):
            returned.append([])
        return tuple(returned) if len(returned) > 1 else outcome.kept

    async def _run(self, show_progress: bool, return_failures: bool, concurrency: int) -> BatchOutcome:
        settings = self._settings or Settings()
        pipeline, source = placed(self.pipeline, settings), self._source()
        begun = await asyncio.to_thread(begin, source)
        self._jobs.submit([result.document for result in begun if isinstance(result, Work)], pipeline.stages())
        engines = self._engines or engines_for(pipeline, settings)
        folder = self._folder(settings)
        ingest = Ingest(
            pipeline=pipeline,
            source=source,
            settings=settings,
            engines=engines,
            store=self._store,
            limits=self._limits,
            workers=self._workers,
            pages_per_part=self._pages_per_part,
            concurrency=concurrency,
            warn=self._warn,
        )
        keep = folder.keep if folder else lambda _, elements: elements
        try:
            outcome = await ingest.run(
                begun, self._jobs, keep, all_or_nothing=not return_failures, show_progress=show_progress
            )
        finally:
            if self._engines is None:
                await engines.aclose()
        for result in outcome.results:
            self._jobs.see(result)
        if folder and pipeline.upload is not None and pipeline.upload.purge_results_after_upload:
            folder.purge(outcome.kept)
        return outcome

    def _warn(self, message: str) -> None:
        """Warn at the line that called `ingest`, every time: Python shows the same words at a line once only."""
        assert self._called_at is not None
        place, line = self._called_at.filename, self._called_at.lineno or 0
        warnings.warn_explicit(message, IngestWarning, place, line, registry={})

    def _source(self) -> Source | Buffers:
        if self._buffers and self._files:
            raise InvalidOptionError("files() and buffers() are both given.", hint="Use one ingestor for each.")
        if self._buffers:
            return Buffers(self._buffers)
        return Source(self._files, storage_options=self._storage_options, limits=self._limits)

    # --- results on disk ---

    def _folder(self, settings: Settings) -> ResultFolder | None:
        if self._save is None:
            return None
        self._folders.append(ResultFolder(self._save, settings.save_to_disk_directory))
        return self._folders[-1]

    def __enter__(self) -> Self:
        """Return the ingestor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the results on disk if `save_to_disk` was asked to clean up."""
        for folder in self._folders:
            folder.clean_up()

    # --- counters ---

    def get_status(self) -> dict[str, str]:
        """Return the state of every document of the running or last `ingest`, by source; see `Jobs` for the states."""
        return dict(self._jobs.states)

    def completed_jobs(self) -> int:
        """Return how many documents got through."""
        return self._jobs.count("completed")

    def failed_jobs(self) -> int:
        """Return how many documents failed."""
        return self._jobs.count("failed")

    def cancelled_jobs(self) -> int:
        """Return how many documents an `ingest` that was cancelled or raised an error left unfinished."""
        return self._jobs.count("cancelled")

    def remaining_jobs(self) -> int:
        """Return how many documents of the running `ingest` are not finished; before they are listed, of its paths."""
        return self._jobs.remaining()


class IngestWarning(UserWarning):
    """Documents failed and the caller did not ask for the failures, or a re-index must wait for them."""
