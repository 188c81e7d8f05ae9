"""What stages consumed, as the ledger notes it: a row for each document, run, stage and engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from nemo_retriever_dagster import ledger_schema as schema
from nemo_retriever_dagster.model import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST = 2**63 - 1  # that a column holds: a server may report any number
_PLACE = [column.name for column in schema.usage.primary_key]
_THERE = sa.select(schema.usage).where(*(schema.usage.c[name] == sa.bindparam(name) for name in _PLACE))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one stage of one document consumed in one run, by engine ("" for none)."""

    document: str
    run_id: str
    stage: str
    engine: str
    usage: Usage


def record(connection: sa.Connection, corpus: str, rows: Sequence[UsageRow]) -> None:
    """Add ``rows`` to what is noted for the same document, run, stage and engine."""
    totals: dict[tuple[str, ...], Usage] = {}
    for row in rows:
        place = (corpus, row.document, row.run_id, row.stage, row.engine)
        before = totals[place] if place in totals else _noted(connection, place)
        totals[place] = before + row.usage
    noted = [
        dict(zip(_PLACE, place, strict=True)) | {name: min(number, _LARGEST) for name, number in asdict(total).items()}
        for place, total in totals.items()
    ]
    schema.upsert(connection, schema.usage, noted)


def read(connection: sa.Connection, corpus: str) -> list[UsageRow]:
    """Return what a corpus consumed, sorted by document, run, stage and engine."""
    rows = connection.execute(sa.select(schema.usage).where(schema.usage.c.corpus == corpus)).all()
    found = [
        UsageRow(document=row.key, run_id=row.run_id, stage=row.stage, engine=row.engine, usage=_usage(row))
        for row in rows
    ]
    return sorted(found, key=lambda row: (row.document, row.run_id, row.stage, row.engine))


def _noted(connection: sa.Connection, place: Sequence[str]) -> Usage:
    row = connection.execute(_THERE, dict(zip(_PLACE, place, strict=True))).one_or_none()
    return _usage(row) if row else Usage()


def _usage(row: sa.Row[Any]) -> Usage:
    return Usage(requests=row.requests, retries=row.retries, items=row.items, tokens=row.tokens, seconds=row.seconds)
