"""Disposable parser processes: a hostile, endless or crashing document costs itself and nothing else.

Each process is a fresh interpreter that imports only `nemo_retriever_dagster.extract`: no fork, so no half-copied gRPC
state, and the owner's ``__main__`` is never run again. It gets no keys (its environment is a short allow-list), may
open no network socket where the kernel has seccomp, dumps no core, and dies with its owner.
"""

from __future__ import annotations

import contextlib
import queue
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
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page

_STARTS = 2
_DEFAULTS = Limits()


@dataclass(slots=True, eq=False)
class _Place:
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


class ParserPool:
    """At most ``workers`` parser processes, started when first needed, for any number of calling threads.

    ``limits`` bound every document; a process is replaced after ``recycle_after`` documents, and at once when it dies,
    hangs or is abandoned. Use as a context manager, or call `close`.
    """

    def __init__(self, workers: int = 2, limits: Limits = _DEFAULTS, recycle_after: int = 200) -> None:
        """Start nothing yet. Raise `InvalidOptionError` unless ``workers`` and ``recycle_after`` are positive."""
        if workers < 1 or recycle_after < 1:
            raise InvalidOptionError("A ParserPool needs at least 1 worker and recycles after at least 1 document.")
        self.limits = limits
        self._recycle_after = recycle_after
        self._places = tuple(_Place() for _ in range(workers))
        self._free: queue.LifoQueue[_Place] = queue.LifoQueue()
        for place in self._places:
            self._free.put(place)
        self._closed = False

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        self.close()

    def pages(self, path: Path, options: ExtractOptions) -> Iterator[Page]:
        """Yield the pages of the file at ``path`` as a parser process reads them; blocks, thread-safe.

        The process reads ahead of the caller by no more than a socket's buffer. Dropping the generator early ends the
        process. Raise the parser's own `RetrieverError`, `ParserTimeoutError`, `ParserCrashError` or
        `LimitExceededError`; other documents never notice. A thread that iterates several documents at once needs as
        many workers.
        """
        job = self._job(path, options)
        place = self._free.get()
        try:
            self._refuse_if_closed()
            yield from place.offer(job).pages(job)
        except RetrieverError:
            self._refuse_if_closed()
            raise
        finally:
            self._settle(place)
            self._free.put(place)

    def close(self) -> None:
        """End all processes, also those that read a document."""
        self._closed = True
        idle = self._idle()
        for place in idle:
            place.clear()
            self._free.put(place)
        for place in self._places:
            if parser := place.parser:
                parser.kill()  # the thread that reads from it clears the place

    def _idle(self) -> list[_Place]:
        idle = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._free.get_nowait())
        return idle

    def _settle(self, place: _Place) -> None:
        """Leave a process behind that may take the next document, or an empty place."""
        parser = place.parser
        if self._closed:
            place.clear()
        elif parser and not (parser.sound and parser.alive and parser.documents < self._recycle_after):
            with contextlib.suppress(InfrastructureError):  # the next document will say so
                place.refill()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise MisuseError("The ParserPool is closed.")

    def _job(self, path: Path, options: ExtractOptions) -> wire.Job:
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
