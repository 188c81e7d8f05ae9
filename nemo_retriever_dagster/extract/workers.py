"""Disposable parser processes: a hostile, endless or crashing document costs itself and nothing else.

Each process is a fresh interpreter that imports only `nemo_retriever_dagster.extract`: no fork, so no half-copied gRPC
state, and the owner's ``__main__`` is never run again. It gets no keys (its environment is a short allow-list), may
open no network socket where the kernel has seccomp, dumps no core, and dies with its owner.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from nemo_retriever_dagster.errors import (
    EmptyFileError,
    InfrastructureError,
    InvalidOptionError,
    MisuseError,
    RetrieverError,
    SourceUnavailableError,
    UnsupportedFormatError,
)
from nemo_retriever_dagster.extract import registry, wire
from nemo_retriever_dagster.extract.parser_process import DiedIdleError, ParserProcess
from nemo_retriever_dagster.extract.reading import PAGES_PER_PART, Loan, Reading
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import TracebackType

    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page

_STARTS = 2
_WAIT_SECONDS = 0.2
_DEFAULTS = Limits()


@dataclass(slots=True, eq=False)
class Place:
    """Room for one parser process; it is filled when a document first needs it, and refilled when the process dies."""

    parser: ParserProcess | None = None

    def offer(self, job: wire.Job) -> ParserProcess:
        """Return a process that has taken the job; one that had died before is not the document's fault."""
        words = ""
        for _ in range(_STARTS):
            if self.parser is None or not self.parser.alive:
                self.refill()
            assert self.parser is not None
            try:
                self.parser.offer(job)
            except DiedIdleError as error:
                words = str(error)
                self.clear()
            else:
                return self.parser
        raise InfrastructureError(f"A parser process does not start: {words}")

    def refill(self) -> None:
        """Put a fresh process here."""
        self.clear()
        try:
            self.parser = ParserProcess.start()
        except OSError as error:
            raise InfrastructureError(f"A parser process cannot be started: {error}.") from error

    def clear(self) -> None:
        """End the process."""
        parser, self.parser = self.parser, None
        if parser:
            parser.close()


class Pages:
    """The pages of one document, one after the other. Any thread may close it, also while another one waits in it."""

    def __init__(self, pool: ParserPool, path: Path, options: ExtractOptions) -> None:
        """Read nothing yet."""
        self.closed = False
        self._reading: Reading | None = None
        self._turn = threading.Lock()
        self._pages = self._read(pool, path, options)

    def __iter__(self) -> Self:
        """Return the iterator itself."""
        return self

    def __next__(self) -> Page:
        """Wait for the next page."""
        with self._turn:
            return next(self._pages)

    def close(self) -> None:
        """Give the document up; a process that has not finished it ends, and so does the wait of another thread."""
        self.closed = True
        while not self._turn.acquire(timeout=_WAIT_SECONDS):
            if reading := self._reading:
                reading.end()
        try:
            self._pages.close()
        finally:
            self._turn.release()

    def _read(self, pool: ParserPool, path: Path, options: ExtractOptions) -> Generator[Page, None, None]:
        job = pool.job(path, options)
        self._reading = Reading(pool, job, pool.take(self))
        try:
            yield from self._reading.pages()
        except RetrieverError as error:
            if pool.closed or self.closed:
                raise _closed("ParserPool" if pool.closed else "document") from error
            raise


def _closed(what: str) -> MisuseError:
    return MisuseError(f"The {what} is closed.")


class ParserPool:
    """At most ``workers`` parser processes, started when first needed, for any number of calling threads.

    ``limits`` bound every document; a process is replaced after ``recycle_after`` documents, and at once when it dies,
    hangs or is abandoned. A PDF of more than ``pages_per_part`` pages is read in parts of so many, by several processes
    where some are free. Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits = _DEFAULTS,
        recycle_after: int = 200,
        pages_per_part: int = PAGES_PER_PART,
    ) -> None:
        """Start nothing yet. Raise `InvalidOptionError` unless all numbers are positive."""
        if min(workers, recycle_after, pages_per_part) < 1:
            raise InvalidOptionError("A ParserPool takes 1 or more for workers, recycle_after and pages_per_part.")
        self.workers, self.limits, self.pages_per_part = workers, limits, pages_per_part
        self._recycle_after = recycle_after
        self._places = tuple(Place() for _ in range(workers))
        self._free: queue.LifoQueue[Place] = queue.LifoQueue()
        for place in self._places:
            self._free.put(place)
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        self.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    def pages(self, path: Path, options: ExtractOptions) -> Pages:
        """Return the pages of the file at ``path``, read by a parser process while they are iterated; thread-safe.

        A process reads ahead of the caller by no more than a socket's buffer, or by the parts of a long PDF that are
        read by others meanwhile (some 64 MB, going by the pages so far). Closing or dropping the iterator early
        ends the process. Iterating raises the parser's own `RetrieverError`, `ParserTimeoutError`, `ParserCrashError`
        or `LimitExceededError`; other documents never notice. A thread that iterates several documents at once needs
        as many workers.
        """
        return Pages(self, path, options)

    def reads_in_parts(self, job: wire.Job) -> bool:
        """Whether several processes may read the document of ``job``, each some of its pages."""
        return self.workers > 1 and job.extractor in registry.IN_PARTS and job.options.pages is None

    def take(self, pages: Pages) -> Loan:
        """Wait for a free place; raise `MisuseError` when the pool or the document is closed before there is one."""
        while not (self.closed or pages.closed):
            with contextlib.suppress(queue.Empty):
                return self._lend(self._free.get(timeout=_WAIT_SECONDS))
        raise _closed("ParserPool" if self.closed else "document")

    def take_free(self) -> Loan | None:
        """Return a place that is free now, None where there is none."""
        with contextlib.suppress(queue.Empty):
            return self._lend(self._free.get_nowait())
        return None

    def _lend(self, place: Place) -> Loan:
        if self.closed:
            self._free.put(place)
            raise queue.Empty
        return Loan(self, place)

    def close(self) -> None:
        """End all processes, also those that read a document."""
        self._closing.set()
        idle = self._idle()
        for place in idle:
            place.clear()
            self._free.put(place)
        for place in self._places:
            if parser := place.parser:
                parser.kill()  # the thread that reads from it clears the place

    def _idle(self) -> list[Place]:
        idle = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._free.get_nowait())
        return idle

    def give_back(self, place: Place) -> None:
        """Free a place, with a process in it that may take the next document, or none."""
        try:
            self._settle(place)
        finally:
            self._free.put(place)

    def _settle(self, place: Place) -> None:
        parser = place.parser
        if self.closed:
            place.clear()
        elif parser and not (parser.sound and parser.alive and parser.documents < self._recycle_after):
            with contextlib.suppress(InfrastructureError):  # the next document will say so
                place.refill()

    def job(self, path: Path, options: ExtractOptions) -> wire.Job:
        """Return the job for a file; raise a `RetrieverError` where no parser is needed to refuse it."""
        try:
            size = path.stat().st_size
        except OSError as error:
            raise SourceUnavailableError(f"The file cannot be read: {error.strerror}.") from error
        if not size:
            raise EmptyFileError
        Budget(self.limits).check("file_bytes", size)
        extractor = registry.EXTRACTORS.get(options.format)
        if extractor is None:
            raise UnsupportedFormatError(f"No extractor reads documents of type {options.format or 'unknown'!r}.")
        return wire.Job(path=str(path.absolute()), options=options, extractor=extractor, limits=self.limits)
