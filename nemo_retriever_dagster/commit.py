"""The commit protocol: a kill at any instant loses nothing, doubles nothing and leaves nothing behind.

What is referenced is written before what refers to it: rows before the receipt, the receipt before the materialization.
Rows are upserted under keys that depend on the document and the position alone, marked with the generation they belong
to, counted, and only then are rows of other generations swept. An intent that is still open means: do it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemo_retriever_dagster.codec import digest_row, digest_rows
from nemo_retriever_dagster.document_lease import DocumentHeldError, claimed, taken_over
from nemo_retriever_dagster.errors import (
    DataError,
    InvalidOptionError,
    Stage,
    VerificationError,
)
from nemo_retriever_dagster.ledger import BUILD_MARK
from nemo_retriever_dagster.model import stable_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nemo_retriever_dagster.document_lease import DocumentLease
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.model import Document, Receipt, Record
    from nemo_retriever_dagster.vdb.contract import VectorStore


class SupersededError(DataError):
    """Another run has put a newer version of the document in meanwhile: to try again would not help."""

    default_hint = "Nothing is to be done: what the source has now is in the collection."


class OwnedElsewhereError(InvalidOptionError):
    """Another corpus has this document in the same collection, made with other options."""

    default_hint = (
        "Give one of the two a collection of its own, or both the same options; a re-index takes a collection over."
    )


def generation_of(document: Document, fingerprint: str) -> str:
    """Return the generation of a document's rows: it changes with the bytes and with every option that reaches rows."""
    return stable_id(document.sha256, fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committer:
    """Writes documents into the collections of one corpus; several collections when kinds go to different ones."""

    store: VectorStore
    ledger: Ledger
    corpus: str
    run_id: str
    bulk: Callable[[str, Sequence[Record]], object] | None = None
    """Loads many rows at once, where the store can; used for documents of ``bulk_rows`` and more that have no rows."""
    bulk_rows: int = 1_000
    version_now: Callable[[Document], str] = lambda document: document.version
    """The version that the source has of a document now, "" where it cannot tell."""

    def holds(self, document: Document, collections: Sequence[str], generation: str) -> Receipt | None:
        """Return the receipt if the rows are already exactly there, counted now; None if they must be written.

        Writing that was begun since, even of a version that is gone again, must be finished. A receipt that still holds
        is confirmed for the version at hand, so that a file merely touched, or one that failed meanwhile, is current.
        """
        receipt = self.ledger.receipt(self.corpus, document.key)
        if receipt is None or receipt.generation != generation or receipt.collection != ",".join(collections):
            return None
        if self.ledger.open_intents(self.corpus, document.key):
            return None
        found = sum(self.store.count(name, document.key, generation=generation) for name in collections)
        total = sum(self.store.count(name, document.key) for name in collections)
        if not found == total == receipt.rows:
            return None
        if not self.ledger.settled(self.corpus, document.key, document.version):
            self.ledger.commit(self.corpus, receipt, version=document.version)
        return receipt

    def commit(
        self,
        document: Document,
        rows: Mapping[str, Sequence[Record]],
        draft: Receipt,
        *,
        keep_pictures: Callable[[], object] = lambda: None,
    ) -> Receipt:
        """Write ``rows`` (by collection) as the document's only rows, prove it, and return the receipt.

        ``keep_pictures`` stores what of ``draft.images`` is not there. It is called once the intent names them: from
        then on a removal leaves them, or puts them back. Having written nothing, raises `SupersededError` where the
        rows that are there are of a newer version, `OwnedElsewhereError` where they are another corpus's.
        """
        with claimed(self.ledger, self._corpora(document.key), document.key, self.run_id) as lease:
            others = [corpus for corpus in lease.corpora if corpus != self.corpus]
            try:
                with lease.kept():
                    self._check_version(document)
                    theirs = self._check_owners(document, rows, draft, others)
                    former = self._collections(document.key)
                    self._intend(document, former | set(rows), draft)
                    keep_pictures()
                    self._empty(document.key, former - set(rows) - theirs)
                    self._write(document, rows, draft.generation, lease)
                receipt = _signed(draft, rows, self.run_id)
                if not self.ledger.commit(self.corpus, receipt, version=document.version, owner=self.run_id):
                    raise taken_over()
            except (DocumentHeldError, VerificationError):
                # rows of ours may stand among another run's, which has proven its own: somebody must do it again
                self._intend(document, self._collections(document.key) | set(rows), draft)
                raise
            lease.held.discard(self.corpus)  # given back with the receipt
        return receipt

    def _check_version(self, document: Document) -> None:
        """Refuse to put an older version in the place of one that another run wrote since this one was read.

        Versions have no order, so the source is asked which it has now.
        """
        there = self.ledger.committed_version(self.corpus, document.key)
        if there not in {"", document.version} and self.version_now(document) == there:
            raise SupersededError(f"{document.uri} was changed since it was read, and the new version is in.")

    def _check_owners(
        self, document: Document, names: Iterable[str], draft: Receipt, others: Sequence[str]
    ) -> set[str]:
        """Return the collections in which ``others``, which are corpora, have the document.

        Refuse to sweep rows there that one of them has proven, unless made with the options that this corpus has or
        had: then both follow the source alike. Rows that are gone are nobody's.
        """
        there: set[str] = set()
        before = self.ledger.receipt(self.corpus, document.key)
        ours = {receipt.fingerprints.get(Stage.UPLOAD) for receipt in (draft, before) if receipt is not None}
        for name in others:
            receipt = self.ledger.receipt(name, document.key)
            places = set(receipt.collection.split(",")) - {""} if receipt is not None else set()
            there |= places
            if receipt is None or receipt.fingerprints.get(Stage.UPLOAD) in ours:
                continue
            for place in sorted(places & set(names)):
                if self.store.count(place, document.key, generation=receipt.generation):
                    message = f"{document.uri} is in the collection {place} by the corpus {name!r}, with other options."
                    raise OwnedElsewhereError(message)
        return there

    def _corpora(self, key: str) -> list[str]:
        """Return this corpus and the others that know a document; a build writes where no other corpus does."""
        return [self.corpus, *([] if BUILD_MARK in self.corpus else self.ledger.others(self.corpus, key))]

    def _intend(self, document: Document, collections: set[str], draft: Receipt) -> None:
        details = {"collections": sorted(collections), "images": list(draft.images)}
        self.ledger.intent(self.corpus, document.key, draft.generation, details)

    def _empty(self, key: str, collections: Iterable[str]) -> None:
        for name in collections:
            if self.store.exists(name):
                self.store.delete(name, key)

    def _write(
        self, document: Document, rows: Mapping[str, Sequence[Record]], generation: str, lease: DocumentLease
    ) -> None:
        for name, records in rows.items():
            if records:
                self._put(name, document, records)
        lease.prolong()
        for name, records in rows.items():
            self._prove(name, document, generation, len(records))
            if self.store.count(name, document.key) != len(records):
                lease.prolong()
                self.store.delete(name, document.key, keep_generation=generation)
                self._prove(name, document, None, len(records))

    def _put(self, name: str, document: Document, records: Sequence[Record]) -> None:
        """Write rows; a bulk load inserts and cannot replace, so a document that has rows is upserted."""
        many = self.bulk is not None and len(records) >= self.bulk_rows
        if many and self.bulk is not None and not self.store.count(name, document.key):
            self.bulk(name, records)
        else:
            self.store.upsert(name, records)

    def _collections(self, key: str) -> set[str]:
        """Return where rows of the document may be: by its receipt, and where a broken-off commit was at work."""
        receipt = self.ledger.receipt(self.corpus, key)
        names = set(receipt.collection.split(",")) if receipt else set()
        for intent in self.ledger.open_intents(self.corpus, key):
            names.update(intent.details.get("collections", ()))
        return names - {""}

    def _prove(self, collection: str, document: Document, generation: str | None, expected: int) -> None:
        found = self.store.count(collection, document.key, generation=generation)
        if found != expected:
            message = f"{collection} holds {found} rows of {document.uri} where {expected} were written."
            raise VerificationError(message, hint="Run again: the document is written anew and counted again.")

    def clear(self, key: str, *, collections: Iterable[str] = (), but: Iterable[str] = ()) -> Receipt | None:
        """Delete the document's rows and prove it; return its last receipt, which `forget` then ends.

        ``collections`` are looked through beside those that the ledger names, for rows that it knows nothing of; those
        in ``but``, where the rows are somebody else's, are left alone.
        """
        receipt = self.ledger.receipt(self.corpus, key)
        with claimed(self.ledger, self._corpora(key), key, self.run_id) as lease, lease.kept():
            for name in sorted({*self._collections(key), *collections} - set(but)):
                if not self.store.exists(name):
                    continue
                self.store.delete(name, key)
                left = self.store.count(name, key)
                if left:
                    message = f"{name} still holds {left} rows of {key} after they were deleted."
                    raise VerificationError(message, hint="Run again.")
        return receipt

    def forget(self, key: str) -> None:
        """Remove what the ledger knows of the document: the last step of its deletion."""
        self.ledger.forget(self.corpus, key)


def _signed(draft: Receipt, rows: Mapping[str, Sequence[Record]], run_id: str) -> Receipt:
    return replace(
        draft,
        collection=",".join(rows),
        rows=sum(len(records) for records in rows.values()),
        contents=digest_rows(digest_row(record) for records in rows.values() for record in records),
        run_id=run_id,
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
