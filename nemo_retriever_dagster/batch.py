"""One call of `Ingestor.ingest`: all documents through all stages, all or nothing where that is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError, RetrieverError, Stage
from nemo_retriever_dagster.model import Document, Failure
from nemo_retriever_dagster.shape import to_json
from nemo_retriever_dagster.source import partition_key
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.work import Result, Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nemo_retriever_dagster.results import DocumentResult, Element
    from nemo_retriever_dagster.runner import Runner
    from nemo_retriever_dagster.source import Documents


class IngestError(RetrieverError, RuntimeError):
    """At least one document failed: before the upload, so nothing was uploaded, or the store failed during it."""

    default_hint = "ingest(return_failures=True) uploads the others and returns the failures."

    def __init__(self, message: str = "", *, hint: str = "", page: int = 0, failures: Sequence[Failure] = ()) -> None:
        """Keep the failures beside the message."""
        super().__init__(message, hint=hint, page=page)
        self.failures = list(failures)

    @classmethod
    def of(cls, failures: Sequence[Failure], total: int, *, uploaded: bool = False) -> IngestError:
        """Say how many of ``total`` documents failed, whether others were ``uploaded``, and show the first few."""
        shown = "\n".join(f"- {failure.message}" for failure in failures[:5])
        more = f"\n... and {len(failures) - 5} more" if len(failures) > 5 else ""  # noqa: PLR2004 - five fit a screen
        rest = "the store failed during the upload, the others are in it" if uploaded else "nothing was uploaded"
        message = f"{len(failures)} of {total} documents failed; {rest}.\n{shown}{more}\n"
        return cls(message, failures=failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of the documents, in the order of the inputs; ``kept`` are the successes' element lists."""

    results: list[Result]
    kept: list[DocumentResult]

    @property
    def failures(self) -> list[Failure]:
        """The documents that failed."""
        return [result for result in self.results if isinstance(result, Failure)]

    @property
    def works(self) -> list[Work]:
        """The documents that got through."""
        return [result for result in self.results if isinstance(result, Work)]


def begin(source: Documents) -> list[Result]:
    """Return the work of a source's documents, in the order given; one that cannot be told from another is a Failure.

    Raises what `Source.list` does.
    """
    begun: list[Result] = [Work(document=document) for document in source.list(as_given=True)]
    for skipped in source.skipped:
        if skipped.lost:
            document = Document(uri=skipped.uri, key=partition_key(skipped.uri))
            begun.append(Failure.of(document, Stage.SOURCE, InvalidOptionError(f"It {skipped.reason}.")))
    return begun


async def run_batch(
    runner: Runner,
    begun: Sequence[Result],
    *,
    all_or_nothing: bool,
    keep: Callable[[Document, list[Element]], DocumentResult],
    observe: Callable[[Result], None] | None = None,
    empty: Callable[[], Awaitable[None]] | None = None,
) -> BatchOutcome:
    """Take ``begun`` documents through the pipeline; a Failure among them stays one.

    With ``all_or_nothing`` the first failure raises `IngestError` before any upload; without, a document is uploaded as
    soon as it is ready. ``empty`` makes the collections anew: it waits until all are ready, and for one that is.
    """
    wanted = runner.pipeline.stages()
    keeper = _Keeper(runner=runner, keep=keep, observe=observe or (lambda _: None))
    if (all_or_nothing or empty) and Stage.UPLOAD in wanted:
        before = [stage for stage in wanted if stage is not Stage.UPLOAD]
        results = await runner.all_through(begun, before, keeper.see)
        if all_or_nothing and (failed := _numbered(results)):
            raise IngestError.of(failed, len(results))
        if empty and any(isinstance(result, Work) for result in results):
            await empty()
        results = await runner.all_through(results, [Stage.UPLOAD])
        if all_or_nothing and (failed := _numbered(results)):
            raise IngestError.of(failed, len(results), uploaded=True)
        await runner.all_through(results, [], keeper.finish)
    else:
        results = await runner.all_through(begun, wanted, keeper.see_and_finish)
    await _flush(runner)
    return BatchOutcome(results=_with_index(results), kept=keeper.in_order())


@dataclass(slots=True, kw_only=True)
class _Keeper:
    """Makes the element lists of documents that got through, while others are still on their way."""

    runner: Runner
    keep: Callable[[Document, list[Element]], DocumentResult]
    observe: Callable[[Result], None]
    kept: dict[int, DocumentResult] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)

    async def see(self, _: int, result: Result) -> None:
        self.observe(result)

    async def finish(self, position: int, result: Result) -> None:
        if not isinstance(result, Work):
            return
        try:
            self.kept[position] = await self._made(result)
        except Exception as error:  # noqa: BLE001 - raised in the end: the other documents are finished first
            self.errors.append(error)

    async def see_and_finish(self, position: int, result: Result) -> None:
        await self.finish(position, result)
        await self.see(position, result)

    async def _made(self, work: Work) -> DocumentResult:
        made = await self.runner.made(work)
        elements = await asyncio.to_thread(lambda: [to_json(made, i) for i in range(len(made.chunks))])
        return await asyncio.to_thread(self.keep, work.document, elements)

    def in_order(self) -> list[DocumentResult]:
        """Return the lists in the order of the inputs; raise what went wrong with one (a full disk, say)."""
        if self.errors:
            raise self.errors[0]
        return [self.kept[position] for position in sorted(self.kept)]


def _with_index(results: Sequence[Result]) -> list[Result]:
    return [replace(r, index=i) if isinstance(r, Failure) else r for i, r in enumerate(results)]


def _numbered(results: Sequence[Result]) -> list[Failure]:
    return [result for result in _with_index(results) if isinstance(result, Failure)]


async def _flush(runner: Runner) -> None:
    committer = runner.equipment.committer
    if committer is not None:
        for name in collections(runner.pipeline.upload):
            await asyncio.to_thread(committer.store.flush, name)
