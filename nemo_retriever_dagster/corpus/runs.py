"""What a run left in the event log, read through the public API of the instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = 1_000


def _records(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> Iterator[dg.EventLogRecord]:
    cursor = None
    while True:
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=kind, limit=_PAGE)
        yield from page.records
        cursor = page.cursor
        if not page.has_more:
            return


def materialized_by(
    instance: dg.DagsterInstance, run_id: str | None, key: dg.AssetKey
) -> dict[str, dg.AssetMaterialization]:
    """Return the materializations of the asset that a run logged, by partition; the implicit ones, which say nothing of
    the document, are left out.
    """
    if run_id is None:
        return {}
    found = {}
    for record in _records(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = record.asset_materialization
        if event is not None and event.asset_key == key and event.partition and event.metadata:
            found[event.partition] = event
    return found


def observed_by(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey) -> dict[str, dg.AssetObservation]:
    """Return the observations of the asset that a run logged (its failed documents), by partition."""
    found = {}
    for record in _records(instance, run_id, dg.DagsterEventType.ASSET_OBSERVATION):
        event = record.asset_observation
        if event is not None and event.asset_key == key and event.partition:
            found[event.partition] = event
    return found
