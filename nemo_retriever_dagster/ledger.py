"""What is known of each document of a corpus: version, receipt or failure, work begun, cost, and who writes it now.

The ledger is a cache of the truth in the vector store and never ahead of it: a receipt is written after the rows were
counted. Lost, it is rebuilt by running the corpus again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa

from nemo_retriever_dagster import ledger_leases, ledger_usage
from nemo_retriever_dagster import ledger_schema as schema
from nemo_retriever_dagster.errors import redact
from nemo_retriever_dagster.ledger_schema import Database, clean, delete, pack, rows_among, rows_of, unpack, upsert
from nemo_retriever_dagster.model import Document, Failure, Receipt, stable_id, type_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from nemo_retriever_dagster.ledger_usage import UsageRow


BUILD_MARK = " > "
"""Stands between the name of a corpus and the collections of a build beside it, which is a corpus of its own."""


class DocumentStatus(StrEnum):
    """Where a document stands."""

    NEW = "new"
    """Known, but nothing of it is in the collection."""
    CURRENT = "current"
    """Its rows are in the collection, made from the version last seen."""
    CHANGED = "changed"
    """Its rows are in the collection, made from an older version."""
    WRITING = "writing"
    """Writing its rows was begun and not finished."""
    FAILED = "failed"
    """The version last seen did not get through; rows of an older one may be in the collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentState:
    """What the ledger knows of a document.

    ``version`` is the one last seen at the source, ``committed_version`` the one the rows were made from, "" for none;
    ``sha256`` and ``fingerprint`` belong to the latter. ``updated_at`` is in UTC, ISO 8601.
    """

    key: str
    uri: str
    version: str
    status: DocumentStatus
    updated_at: str
    size: int = -1
    sha256: str = ""
    fingerprint: str = ""
    committed_version: str = ""
    generation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Work on a document's rows that was begun: to be repeated from the upsert if it is found open."""

    document: str
    generation: str
    started_at: str
    details: Mapping[str, type_json] = field(default_factory=dict)


def fingerprint_of(fingerprints: Mapping[str, str]) -> str:
    """Return one fingerprint for those of all stages: the entry ``pipeline``, or else a hash of all."""
    return fingerprints.get("pipeline") or stable_id(
        *(f"{stage}={value}" for stage, value in sorted(fingerprints.items()))
    )


class Ledger:
    """The ledger of all corpora in one database. Safe to share between threads, and between processes by its URL.

    Every method is one transaction. Errors: `StorageError` where the database cannot be used, `StorageFullError`,
    `LedgerDamagedError`.
    """

    def __init__(self, url: str) -> None:
        """Open ``sqlite:///path`` or ``postgresql+psycopg2://...``; tables and folders are made as needed."""
        self._database = Database(url)
        self.open()

    @staticmethod
    def absent(url: str) -> bool:
        """Return whether ``url`` names a file that is not there: only to look, it should not be made."""
        return Database(url).absent

    def open(self) -> None:
        """Connect; nothing happens if it is open."""
        self._database.open()

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._database.close()

    def __enter__(self) -> Self:
        """Open."""
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def url(self) -> str:
        """Where it is, without a password."""
        return self._database.shown

    # -- documents -----------------------------------------------------------------------------------------------

    def remember(self, corpus: str, documents: Sequence[Document]) -> None:
        """Note that these documents were seen at the source, in these versions."""
        now = _now()
        with self._database.write(corpus) as connection:
            known = _bodies_among(connection, schema.documents, corpus, [document.key for document in documents])
            rows = {}
            for document in documents:
                seen = {"uri": clean(document.uri), "version": clean(document.version), "size": document.size}
                before = known.get(document.key, {})
                if not seen.items() <= before.items():
                    rows[document.key] = pack(
                        schema.documents, corpus, document.key, {**before, **seen, "updated_at": now}
                    )
            upsert(connection, schema.documents, list(rows.values()))

    def corpora(self) -> list[str]:
        """Return the names of all corpora that the ledger knows documents of, sorted."""
        column = schema.documents.c.corpus
        with self._database.read() as connection:
            return sorted(connection.execute(sa.select(column).distinct()).scalars())

    def others(self, corpus: str, key: str) -> list[str]:
        """Return the names of the other corpora that know a document, sorted; builds are left out."""
        with self._database.read() as connection:
            found = connection.execute(schema.KNOWING, {"of_key": key}).scalars().all()
        return sorted(name for name in found if name != corpus and BUILD_MARK not in name)

    def versions(self, corpus: str, keys: Sequence[str] | None = None) -> dict[str, DocumentState]:
        """Return the state of every document, by key; with ``keys`` of those among them that are known."""
        with self._database.read() as connection:
            known, written, begun, failed = (
                _bodies(connection, table, corpus) if keys is None else _bodies_among(connection, table, corpus, keys)
                for table in (schema.documents, schema.receipts, schema.intents, schema.failures)
            )
        return {
            key: _state(key, body, written.get(key), begun.get(key), failed.get(key)) for key, body in known.items()
        }

    def forget(self, corpus: str, key: str) -> None:
        """Remove what is known of a document, but not what it cost: the last step of its deletion."""
        with self._database.write(corpus, key) as connection:
            for table in (schema.intents, schema.failures, schema.receipts, schema.documents):
                delete(connection, table, corpus, key)

    # -- the commit protocol -------------------------------------------------------------------------------------

    def intent(self, corpus: str, key: str, generation: str, details: Mapping[str, type_json]) -> None:
        """Note that rows of ``generation`` are about to be written; replaces an open intent of the document."""
        body = {"generation": generation, "started_at": _now(), "details": dict(details)}
        with self._database.write(corpus, key) as connection:
            upsert(connection, schema.intents, [pack(schema.intents, corpus, key, body)])

    def open_intents(self, corpus: str, key: str | None = None) -> list[Intent]:
        """Return the work that was begun and not finished, sorted by document; with ``key`` that of one document."""
        with self._database.read() as connection:
            found = _bodies(connection, schema.intents, corpus, key)
        return [Intent(document=key, **_known(Intent, body)) for key, body in sorted(found.items())]

    def commit(self, corpus: str, receipt: Receipt, *, version: str | None = None, owner: str | None = None) -> bool:
        """Write the receipt, clear the intent of its generation and any failure: together or not at all.

        ``version`` is the one the bytes were read in; without it, the one last remembered. The lease that ``owner``
        has on the document is given back with it; where another has taken it since, nothing is written: False.
        """
        key = receipt.document
        with self._database.write(corpus, key) as connection:
            if owner is not None and not ledger_leases.release(connection, corpus, key, owner):
                return False
            known = _bodies(connection, schema.documents, corpus, key).get(key) or _unseen(receipt.uri)
            body = {**asdict(receipt), "version": known["version"] if version is None else clean(version)}
            upsert(connection, schema.documents, [pack(schema.documents, corpus, key, {**known, "updated_at": _now()})])
            upsert(connection, schema.receipts, [pack(schema.receipts, corpus, key, body)])
            delete(connection, schema.failures, corpus, key)
            begun = _bodies(connection, schema.intents, corpus, key).get(key)
            if begun and begun["generation"] == receipt.generation:
                delete(connection, schema.intents, corpus, key)
        return True

    def receipt(self, corpus: str, key: str) -> Receipt | None:
        """Return the document's receipt, or None."""
        with self._database.read() as connection:
            body = _bodies(connection, schema.receipts, corpus, key).get(key)
        return _receipt(body) if body else None

    def committed_version(self, corpus: str, key: str) -> str:
        """Return the version that the document's rows were made from, "" without a receipt."""
        with self._database.read() as connection:
            body = _bodies(connection, schema.receipts, corpus, key).get(key)
        return str(body["version"]) if body else ""

    def settled(self, corpus: str, key: str, version: str) -> bool:
        """Whether the receipt is the last word on a document: made from ``version``, and no failure since."""
        with self._database.read() as connection:
            written = _bodies(connection, schema.receipts, corpus, key).get(key)
            failed = _bodies(connection, schema.failures, corpus, key)
        return written is not None and written["version"] == clean(version) and not failed

    def receipts(self, corpus: str) -> list[Receipt]:
        """Return all receipts, sorted by document."""
        with self._database.read() as connection:
            found = _bodies(connection, schema.receipts, corpus)
        return [_receipt(body) for _, body in sorted(found.items())]

    # -- failures ------------------------------------------------------------------------------------------------

    def fail(self, corpus: str, failure: Failure) -> Failure:
        """Record a failure until a success replaces it; return it with the attempts of all runs added up.

        It is of ``failure.version``, or else of the version last remembered. A run that was late with another one than
        that, whose rows are in meanwhile, says nothing of the document as it is: its failure is not recorded.
        """
        key = failure.document
        with self._database.write(corpus, key) as connection:
            known = _bodies(connection, schema.documents, corpus, key).get(key)
            if known is None:
                known = {**_unseen(failure.uri), "updated_at": _now()}
                upsert(connection, schema.documents, [pack(schema.documents, corpus, key, known)])
            before = _bodies(connection, schema.failures, corpus, key).get(key, {"attempts": 0})
            total = replace(
                failure,
                attempts=before["attempts"] + failure.attempts,
                cause=redact(failure.cause),
                hint=redact(failure.hint),
                version=clean(failure.version) or known["version"],
                failed_at=_now(),
            )
            written = _bodies(connection, schema.receipts, corpus, key).get(key)
            if written and written["version"] == known["version"] != total.version:
                return total
            upsert(connection, schema.failures, [pack(schema.failures, corpus, key, asdict(total))])
        return total

    def failures(self, corpus: str) -> list[Failure]:
        """Return the failures that no success has replaced, sorted by document."""
        with self._database.read() as connection:
            found = _bodies(connection, schema.failures, corpus)
        return [_failure(body) for _, body in sorted(found.items())]

    # -- cost ----------------------------------------------------------------------------------------------------

    def record_usage(self, corpus: str, rows: Sequence[UsageRow]) -> None:
        """Add what stages consumed to what is noted for the same document, run, stage and engine."""
        with self._database.write(corpus) as connection:
            ledger_usage.record(connection, corpus, rows)

    def usage(self, corpus: str) -> list[UsageRow]:
        """Return what was consumed, sorted by document, run, stage and engine; deleted documents included."""
        with self._database.read() as connection:
            return ledger_usage.read(connection, corpus)

    # -- leases --------------------------------------------------------------------------------------------------

    def claim(self, corpus: str, key: str, owner: str, ttl: float) -> bool:
        """Take or prolong the lease on a document for ``ttl`` seconds; False if another owner holds it.

        It is advisory: who writes must claim first and stop when the lease cannot be prolonged. A holder that died
        blocks for ``ttl`` seconds at most, and not beyond a reboot of the machine (SQLite).
        """
        with self._database.write(corpus, key) as connection:
            return ledger_leases.claim(connection, corpus, key, owner, ttl)

    def prolong(self, corpus: str, key: str, owner: str, ttl: float) -> bool:
        """Prolong the lease that ``owner`` has; False if another took it since, even if that one has given it back."""
        with self._database.write(corpus, key) as connection:
            return ledger_leases.prolong(connection, corpus, key, owner, ttl)

    def release(self, corpus: str, key: str, owner: str) -> None:
        """Give the lease back; nothing happens if ``owner`` does not hold it."""
        with self._database.write(corpus, key) as connection:
            ledger_leases.release(connection, corpus, key, owner)

    def holder(self, corpus: str, key: str) -> str | None:
        """Return who holds the lease on a document, or None."""
        with self._database.read() as connection:
            return ledger_leases.holder(connection, corpus, key)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _bodies(
    connection: sa.Connection, table: sa.Table, corpus: str, key: str | None = None
) -> dict[str, dict[str, Any]]:
    """Return the contents of a corpus's rows, or of one, by document."""
    return {row.key: unpack(table, row) for row in rows_of(connection, table, corpus, key)}


def _bodies_among(
    connection: sa.Connection, table: sa.Table, corpus: str, keys: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the contents of a corpus's rows of some documents, by document."""
    return {row.key: unpack(table, row) for row in rows_among(connection, table, corpus, keys)}


def _unseen(uri: str) -> dict[str, Any]:
    return {"uri": clean(uri), "version": "", "size": -1}


def _state(
    key: str,
    body: Mapping[str, Any],
    written: Mapping[str, Any] | None,
    begun: Mapping[str, Any] | None,
    failed: Mapping[str, Any] | None,
) -> DocumentState:
    status = DocumentStatus.NEW
    if failed and failed["version"] == body["version"]:
        status = DocumentStatus.FAILED
    elif begun:
        status = DocumentStatus.WRITING
    elif written:
        same = written["version"] == body["version"]
        status = DocumentStatus.CURRENT if same else DocumentStatus.CHANGED
    state = DocumentState(key=key, status=status, **_known(DocumentState, body))
    if written is None:
        return state
    return replace(
        state,
        sha256=written["sha256"],
        fingerprint=fingerprint_of(written["fingerprints"]),
        committed_version=written["version"],
        generation=written["generation"],
    )


def _receipt(body: Mapping[str, Any]) -> Receipt:
    """Read a receipt; sequences of the model are tuples."""
    known = _known(Receipt, body)
    lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Receipt(**{**known, **lists})


def _failure(body: Mapping[str, Any]) -> Failure:
    return Failure(**_known(Failure, body))


def _known(kind: type[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``kind`` has of ``body``: the ledger adds to it, and so may a newer version of this package."""
    return {name: value for name, value in body.items() if name in _FIELDS[kind]}


_FIELDS = {kind: {one.name for one in fields(kind)} for kind in (DocumentState, Intent, Receipt, Failure)}
