"""The ledger's tables, and how it talks to SQLite and PostgreSQL.

Every row carries a seal, a checksum over its contents: a byte that rotted on the disk is found out and never believed.
(It does not guard against somebody who means to forge rows.) Tables have no separate index that could disagree with
them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite

from nemo_retriever_dagster.errors import (
    InvalidOptionError,
    LedgerDamagedError,
    MissingDependencyError,
    StorageError,
    StorageFullError,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

VERSION = "1"
"""Of the tables below; a ledger of another version is refused."""

_BUSY_MS = 30_000
_AGAIN_SECONDS = 0.01
_CONNECTIONS = 4
"""To PostgreSQL, of one process: a server lets in 100 in all. A call takes milliseconds, so threads take turns."""
_TURN_SECONDS = 120
_KEYS_AT_ONCE = 500  # SQLite took 999 values in a statement for long
_LOCK = 0x6E7264  # "nrd": PostgreSQL's advisory lock while tables are made

metadata = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    return sa.Table(f"nrd_{name}", metadata, *columns, sqlite_with_rowid=False)


def _sealed(name: str) -> sa.Table:
    """Make a table of one row per corpus and document, its contents in JSON."""
    return _table(
        name,
        sa.Column("corpus", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )


meta = _table("meta", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
documents = _sealed("documents")
receipts = _sealed("receipts")
intents = _sealed("intents")
failures = _sealed("failures")
usage = _table(
    "usage",
    sa.Column("corpus", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("engine", sa.Text, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("retries", sa.BigInteger, nullable=False),
    sa.Column("items", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
)
leases = _table(
    "leases",
    sa.Column("corpus", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("clock", sa.Text, nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
)


def clean(text: str) -> str:
    """Return ``text`` as every database takes it: NUL and lone surrogates written as escapes."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def pack(table: sa.Table, corpus: str, key: str, body: Mapping[str, Any]) -> dict[str, str]:
    """Return a sealed row."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return {"corpus": corpus, "key": key, "body": text, "seal": _seal(table, corpus, key, text)}


def unpack(table: sa.Table, row: sa.Row[Any]) -> dict[str, Any]:
    """Return a row's contents; raise `LedgerDamagedError` if its seal is broken."""
    if row.seal != _seal(table, row.corpus, row.key, row.body):
        raise LedgerDamagedError(f"A row of the ledger's table {table.name} is damaged (document {row.key!r}).")
    body: dict[str, Any] = json.loads(row.body)
    return body


def _seal(table: sa.Table, corpus: str, key: str, body: str) -> str:
    whole = f"{table.name}\x1f{corpus}\x1f{key}\x1f{body}"
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], *, where: Any = None) -> int:
    """Write whole rows by primary key, replacing equal ones; return how many were written.

    ``where``, a condition made once, says which may be replaced; the rows hold the values of its parameters too.
    """
    if not rows:
        return 0
    statement = _upserting(connection.dialect.name, table, where)
    return connection.execute(statement, rows if len(rows) > 1 else rows[0]).rowcount


# Made once: making a statement takes SQLAlchemy longer than a database takes to run it.
@cache
def _upserting(dialect: str, table: sa.Table, where: Any) -> Any:
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key]
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=values, where=where)


def rows_of(connection: sa.Connection, table: sa.Table, corpus: str, key: str | None = None) -> sa.CursorResult[Any]:
    """Read a corpus's rows, or those of one document."""
    asked = {"of_corpus": corpus} if key is None else {"of_corpus": corpus, "of_key": key}
    return connection.execute(_selecting(table, one=key is not None), asked)


def rows_among(connection: sa.Connection, table: sa.Table, corpus: str, keys: Sequence[str]) -> Iterator[sa.Row[Any]]:
    """Read a corpus's rows of some documents."""
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        asked = {"of_corpus": corpus, "of_keys": keys[start : start + _KEYS_AT_ONCE]}
        yield from connection.execute(_selecting_among(table), asked)


def delete(connection: sa.Connection, table: sa.Table, corpus: str, key: str) -> None:
    """Delete a document's rows."""
    connection.execute(_deleting(table), {"of_corpus": corpus, "of_key": key})


@cache
def _selecting(table: sa.Table, *, one: bool) -> sa.Select[Any]:
    return sa.select(table).where(*of_document(table)[: 2 if one else 1])


@cache
def _selecting_among(table: sa.Table) -> sa.Select[Any]:
    among = table.c.key.in_(sa.bindparam("of_keys", expanding=True))
    return sa.select(table).where(of_document(table)[0], among)


@cache
def _deleting(table: sa.Table) -> sa.Delete:
    return table.delete().where(*of_document(table))


def of_document(table: sa.Table) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the conditions that a row is of the corpus ``:of_corpus`` and the document ``:of_key``."""
    return table.c.corpus == sa.bindparam("of_corpus"), table.c.key == sa.bindparam("of_key")


def _corpora_knowing() -> sa.Select[Any]:
    """Return the statement for the corpora that know the document ``:of_key``.

    It looks each corpus up by the primary key, and steps from name to name: the whole table is read for no document.
    """
    column = documents.c.corpus
    names = sa.select(sa.func.min(column).label("name")).cte("names", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > names.c.name).scalar_subquery()
    names = names.union_all(sa.select(following).where(names.c.name.is_not(None)))
    knows = documents.c.key == sa.bindparam("of_key")
    return sa.select(column).join(names, column == names.c.name).where(knows)


KNOWING = _corpora_knowing()
"""Made once, as the statements above are."""


class Database:
    """Connections to the ledger's database, with its errors named."""

    def __init__(self, url: str) -> None:
        """Parse the URL; nothing is connected yet."""
        self.url = _parse(url)
        self._engine: sa.Engine | None = None

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a SQLite file, of one machine."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def absent(self) -> bool:
        """Whether this is a SQLite file that is not there; to open it makes it."""
        return self.is_sqlite and not Path(str(self.url.database)).exists()

    def open(self) -> None:
        """Connect, check what is there, make missing tables."""
        if self._engine is not None:
            return
        with self._named():
            self._engine = _engine(self.url)
        try:
            with self.write() as connection:
                if not self.is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                _check(connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections; the database may be opened again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection for reading."""
        with self._named(), self._connected().connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, corpus: str = "", key: str = "") -> Iterator[sa.Connection]:
        """Give a connection in one transaction, in which nobody else writes this document, or any without ``key``."""
        with self._named(), self._connected().begin() as connection:
            if self.is_sqlite:
                # Locked from the start: a transaction that reads first and writes later could not wait its turn.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif key:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_number(corpus, ""))))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_number(corpus, key))))
            elif corpus:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_number(corpus, ""))))
            yield connection

    def _connected(self) -> sa.Engine:
        self.open()
        assert self._engine is not None
        return self._engine

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise _translated(error, self.shown) from None
        except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise MissingDependencyError.of(self.shown, "pip install 'nemo-retriever-dagster[postgres]'") from error
        except exc.TimeoutError:
            hint = "Another process holds it, or more threads ask than it has connections: run again."
            raise StorageError(f"The ledger {self.shown} gave no connection in time.", hint=hint) from None
        except OSError as error:
            raise StorageError(f"The ledger {self.shown} cannot be opened: {error}.", hint=_UNUSABLE) from None


def _number(corpus: str, key: str) -> int:
    """Return a 63-bit number for PostgreSQL's advisory lock on a document, or without ``key`` on the corpus."""
    return int.from_bytes(hashlib.sha256(f"{corpus}\x1f{key}".encode()).digest()[:8]) >> 1


def _parse(url: str) -> sa.URL:
    hint = "Use sqlite:///path/to/ledger.db or postgresql+psycopg2://user:password@host/database."
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise InvalidOptionError(f"{redact(url)!r} is no database URL.", hint=hint) from None
    if parsed.drivername in {"postgresql", "postgres"}:
        # SQLAlchemy 2.1 would take psycopg 3, which dagster-postgres does not install.
        parsed = parsed.set(drivername="postgresql+psycopg2")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise InvalidOptionError(f"A ledger cannot be kept in {parsed.drivername!r}.", hint=hint)
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise InvalidOptionError("A ledger in memory would be forgotten with the process.", hint=hint)
    return parsed


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        pool = {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_timeout": _TURN_SECONDS, "pool_pre_ping": True}
        return sa.create_engine(url, connect_args={"connect_timeout": 10}, **pool)
    Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Take transactions into our own hands, and make a commit last through a loss of power."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    _keep_a_log(connection)
    connection.execute("PRAGMA synchronous=FULL")


def _keep_a_log(connection: Any) -> None:
    """Switch to a write-ahead log. SQLite does not wait its turn for this: of two that make a ledger one is refused."""
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def _check(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise LedgerDamagedError(f"The ledger's database is damaged: {found}.")
    metadata.create_all(connection)
    kept = connection.execute(sa.select(meta.c.value).where(meta.c.name == "version")).scalar()
    if kept is None:
        connection.execute(meta.insert().values(name="version", value=VERSION))
    elif kept != VERSION:
        hint = "Use the version of this package that wrote it, or move it away and run the corpus again."
        raise StorageError(f"The ledger is of schema version {kept!r}, this package reads {VERSION!r}.", hint=hint)


_UNUSABLE = "Check that the place exists and may be written, or that the server runs and the credentials are right."
_DAMAGED = ("malformed", "not a database", "corrupt", "invalid page")
_FULL = ("disk is full", "no space left", "could not extend file")


def _translated(error: exc.DBAPIError, shown: str) -> StorageError:
    cause = str(error.orig).strip()
    low = cause.lower()
    if any(word in low for word in _DAMAGED):
        return LedgerDamagedError(f"The ledger {shown} is damaged: {cause}.")
    if any(word in low for word in _FULL):
        return StorageFullError(f"The ledger {shown} cannot be written: {cause}.")
    if "locked" in low:
        hint = "Another process holds it for very long: look for one that hangs."
        return StorageError(f"The ledger {shown} stayed locked for {_BUSY_MS // 1000} s.", hint=hint)
    return StorageError(f"The ledger {shown} cannot be used: {cause}.", hint=_UNUSABLE)
