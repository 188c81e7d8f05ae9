"""The lease of one run on one document, kept in the ledger: who holds it may write the document's rows."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InfrastructureError, RetrieverError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nemo_retriever_dagster.ledger import Ledger

_LEASE_SECONDS = 10.0
_WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.25


class DocumentHeldError(InfrastructureError):
    """Another run is at work on the same document."""


@dataclass(slots=True, kw_only=True)
class DocumentLease:
    """The right of one run to write one document, for a while, in all of ``corpora``, which are sorted.

    Several corpora may have the document in one collection; in one order, no two runs wait for each other.
    """

    ledger: Ledger
    corpora: Sequence[str]
    document: str
    run_id: str
    claimed_at: float = 0.0
    held: set[str] = field(default_factory=set)

    def claim(self) -> bool:
        """Take the lease, or prolong it; return False while another run has it, and once another has had it."""
        now = time.time()
        for corpus in self.corpora:
            ask = self.ledger.prolong if corpus in self.held else self.ledger.claim
            if not ask(corpus, self.document, self.run_id, _LEASE_SECONDS):
                return False
            self.held.add(corpus)
        self.claimed_at = now
        return True

    def release(self) -> None:
        """Give it back."""
        while self.held:
            self.ledger.release(self.held.pop(), self.document, self.run_id)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Prolong the lease while the block lasts, however long it takes."""
        ended = threading.Event()
        thread = threading.Thread(target=self._beat, args=(ended,), name="nemo-retriever-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(_LEASE_SECONDS / 3):
            try:
                if not self.claim():
                    return
            except RetrieverError:  # the ledger may be back for the next beat; if not, `prolong` says so
                continue

    def prolong(self) -> None:
        """See to it that half of the lease is left; a run that was too slow to keep it must not sweep."""
        fresh = 0 <= time.time() - self.claimed_at <= _LEASE_SECONDS / 2
        if not fresh and not self.claim():
            raise taken_over()


@contextmanager
def claimed(ledger: Ledger, corpora: Iterable[str], key: str, run_id: str) -> Iterator[DocumentLease]:
    """Hold the lease on a document in all of ``corpora`` while the block lasts; wait for another run's to end.

    Raises `DocumentHeldError` where it does not end in time.
    """
    until = time.monotonic() + _WAIT_SECONDS
    lease = DocumentLease(ledger=ledger, corpora=sorted(corpora), document=key, run_id=run_id)
    try:
        while not lease.claim():
            lease.release()
            if time.monotonic() > until:
                holders = {ledger.holder(corpus, key) for corpus in lease.corpora} - {None, run_id}
                message = f"Another run ({', '.join(map(str, holders))}) is writing this document."
                raise DocumentHeldError(message, hint="Run it again when the other run has ended.")
            time.sleep(_POLL_SECONDS)
        yield lease
    finally:
        lease.release()


def taken_over() -> DocumentHeldError:
    """Return what to raise once another run has had the lease."""
    return DocumentHeldError("Another run took this document over.", hint="Run it again.")
