"""Leases on documents, so that two runs never write one partition at the same time."""

from __future__ import annotations

import time
from pathlib import Path

import sqlalchemy as sa

from nemo_retriever_dagster.ledger_schema import leases, of_document, upsert

_FREE = sa.or_(
    leases.c.owner == sa.bindparam("by_owner"),
    leases.c.expires <= sa.bindparam("at_now"),
    leases.c.clock != sa.bindparam("on_clock"),
)

_IS_MINE = (*of_document(leases), leases.c.owner == sa.bindparam("of_owner"))
_RELEASE = leases.delete().where(*_IS_MINE)
_PROLONG = leases.update().where(*_IS_MINE).values(clock=sa.bindparam("on_clock"), expires=sa.bindparam("until"))


def claim(connection: sa.Connection, corpus: str, key: str, owner: str, ttl: float) -> bool:
    """Take the lease for ``ttl`` seconds, or prolong it; return False if somebody else holds it."""
    clock, now = _now(connection)
    row = {"corpus": corpus, "key": key, "owner": owner, "clock": clock, "expires": now + ttl}
    asked = {"by_owner": owner, "at_now": now, "on_clock": clock}
    return upsert(connection, leases, [{**row, **asked}], where=_FREE) == 1


def prolong(connection: sa.Connection, corpus: str, key: str, owner: str, ttl: float) -> bool:
    """Prolong the lease; return False if somebody else took it since, even if it is free again."""
    clock, now = _now(connection)
    times = {"on_clock": clock, "until": now + ttl}
    return connection.execute(_PROLONG, {**_of(corpus, key, owner), **times}).rowcount == 1


def release(connection: sa.Connection, corpus: str, key: str, owner: str) -> bool:
    """Give the lease back; somebody else's stays. Return whether it was ``owner``'s all the time."""
    return connection.execute(_RELEASE, _of(corpus, key, owner)).rowcount == 1


def _of(corpus: str, key: str, owner: str) -> dict[str, str]:
    return {"of_corpus": corpus, "of_key": key, "of_owner": owner}


def holder(connection: sa.Connection, corpus: str, key: str) -> str | None:
    """Return who holds the lease now, or None."""
    clock, now = _now(connection)
    alive = (leases.c.corpus == corpus, leases.c.key == key, leases.c.clock == clock, leases.c.expires > now)
    return connection.execute(sa.select(leases.c.owner).where(*alive)).scalar()


def _now(connection: sa.Connection) -> tuple[str, float]:
    """Return a clock's name and its seconds: the server's, or on SQLite (one machine) the one that never jumps.

    Seconds since boot mean nothing after the next boot, but then every holder is dead: the name tells.
    """
    if connection.dialect.name == "postgresql":
        return "server", float(connection.execute(sa.text("select extract(epoch from clock_timestamp())")).scalar_one())
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        return boot.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)
    return "wall", time.time()
