"""One document while parser processes read it: one of them, and for a long PDF those besides that are free.

A long PDF is read in parts of some pages each. One process reads part after part and hands over page by page; the parts
behind are read ahead by processes that no other document wants at the moment. Pages come in order all the same.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract import wire
from nemo_retriever_dagster.extract.contract import check_page
from nemo_retriever_dagster.limits import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemo_retriever_dagster.extract.contract import Page
    from nemo_retriever_dagster.extract.workers import ParserPool, Place

PAGES_PER_PART = 32
_AHEAD_BYTES = 64 * 2**20
"""Of pictures and text, how much is read ahead of the caller, going by the mean of the pages so far."""


class Loan:
    """A place of a pool while a document has it. Any thread may end what is read there."""

    def __init__(self, pool: ParserPool, place: Place) -> None:
        """Have ``place`` until `give_back`."""
        self._pool = pool
        self._place: Place | None = place
        self._ended = False
        self._lock = threading.Lock()

    def read(self, job: wire.Job, patience: wire.Patience) -> Iterator[Page]:
        """Yield what a process at this place reads; raise what its parser raised."""
        assert self._place is not None
        parser = self._place.offer(job)
        with self._lock:
            if self._ended:
                parser.kill()
        yield from parser.pages(job, patience)

    def end(self) -> None:
        """Kill the process, unless the place was given back and may be another document's by now."""
        with self._lock:
            self._ended = True
            if self._place and (parser := self._place.parser):
                parser.kill()

    def give_back(self) -> None:
        """Let others have the place."""
        with self._lock:
            place, self._place = self._place, None
        if place:
            self._pool.give_back(place)


class Reading:
    """The reading of one document, at the place that is its own and at those that others leave free."""

    def __init__(self, pool: ParserPool, job: wire.Job, loan: Loan) -> None:
        """Read at the place ``loan``, which is given back at the end."""
        self._pool, self._job, self._loan = pool, job, loan
        self._apart: dict[int, _Apart] = {}
        self._left = job.limits.total_seconds
        self._pages, self._bytes, self._total = 0, 0, 1

    def pages(self) -> Iterator[Page]:
        """Yield the pages in order."""
        try:
            yield from self._in_parts() if self._pool.reads_in_parts(self._job) else self._here(self._job)
        finally:
            for part in self._apart.values():
                part.loan.end()
            for part in self._apart.values():
                part.join()
            self._loan.give_back()

    def end(self) -> None:
        """Kill the processes that read this document, from any thread."""
        for loan in (self._loan, *[part.loan for part in list(self._apart.values())]):
            loan.end()

    def _in_parts(self) -> Iterator[Page]:
        budget = Budget(self._job.limits)
        start = 1
        while start <= self._total:
            for page in self._part(start):
                check_page(page, budget)
                self._pages, self._bytes, self._total = self._pages + 1, self._bytes + _weight(page), page.total
                while self._may_go_on(start) and (loan := self._pool.take_free()):
                    self._read_apart(start, loan)
                yield page
            start += self._pool.pages_per_part

    def _part(self, start: int) -> Iterator[Page]:
        part = self._apart.get(start)
        if part is None:
            yield from self._here(self._job_from(start))
            return
        if part.is_alive() and self._may_go_on(start) and not any(p.loan is self._loan for p in self._apart.values()):
            self._read_apart(start, self._loan)  # rather than have its own place wait for the other
        part.join()
        self._left -= part.waited
        yield from part.pages
        del self._apart[start]
        if part.error:
            raise part.error

    def _here(self, job: wire.Job) -> Iterator[Page]:
        patience = self._patience()
        yield from self._loan.read(job, patience)
        self._left = patience.total

    def _may_go_on(self, start: int) -> bool:
        """Whether there are pages that nobody reads yet, and room for them."""
        room = int(_AHEAD_BYTES * self._pages / (self._pool.pages_per_part * self._bytes))
        return self._following(start) <= self._total and len(self._apart) < min(2 * self._pool.workers, room)

    def _read_apart(self, start: int, loan: Loan) -> None:
        following = self._following(start)
        own = loan is self._loan
        self._apart[following] = _Apart(loan, self._job_from(following), self._patience(), keep=own)

    def _following(self, start: int) -> int:
        return max((start, *self._apart)) + self._pool.pages_per_part

    def _job_from(self, start: int) -> wire.Job:
        last = start + self._pool.pages_per_part - 1
        return replace(self._job, options=replace(self._job.options, pages=(start, last)))

    def _patience(self) -> wire.Patience:
        return wire.Patience(idle=self._job.limits.idle_seconds, total=self._left)


class _Apart(threading.Thread):
    """Reads a part of a document into memory, then gives its place back unless it is to ``keep`` it."""

    def __init__(self, loan: Loan, job: wire.Job, patience: wire.Patience, *, keep: bool) -> None:
        super().__init__(name="nemo-retriever-part", daemon=True)
        self.loan = loan
        self.pages: list[Page] = []
        self.error: Exception | None = None
        self._job, self._patience, self._allowed, self._keep = job, patience, patience.total, keep
        self.start()

    @property
    def waited(self) -> float:
        """The seconds that were spent waiting for the process."""
        return self._allowed - self._patience.total

    def run(self) -> None:
        try:
            for page in self.loan.read(self._job, self._patience):
                self.pages.append(page)  # what came before an error is kept
        except Exception as error:  # noqa: BLE001 -- raised again where the part's turn comes
            self.error = error
        finally:
            if not self._keep:
                self.loan.give_back()


def _weight(page: Page) -> int:
    """Return about how many bytes a page takes up: those of its pictures, and its characters."""
    pictures = [page.scan, *(element.picture for element in page.elements)]
    characters = sum(len(element.text) for element in page.elements)
    return 1 + characters + sum(len(picture.data) for picture in pictures if picture)
