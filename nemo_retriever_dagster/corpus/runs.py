"""What a run left in the event log, read through the public API of the instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from nemo_retriever_dagster.corpus.metadata import DATA_VERSION, GENERATION
from nemo_retriever_dagster.ledger import DocumentStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nemo_retriever_dagster.ledger import DocumentState

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
    """Return the materializations of the asset that a run logged, by partition.

    The implicit ones, which say nothing of the document, are left out.
    """
    if run_id is None:
        return {}
    found = {}
    for record in _records(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = record.asset_materialization
        if event is not None and event.asset_key == key and event.partition and event.metadata:
            found[event.partition] = event
    return found


def standing(
    events: Mapping[str, dg.AssetMaterialization], states: Mapping[str, DocumentState]
) -> dict[str, dg.AssetMaterialization]:
    """Return the materializations that still say how things are.

    No later run wrote the document's rows anew, and no other version of it has been seen since.
    """
    return {key: event for key, event in events.items() if key in states and _stands(event, states[key])}


def _stands(event: dg.AssetMaterialization, state: DocumentState) -> bool:
    generation = event.metadata[GENERATION].value if GENERATION in event.metadata else ""
    said = ((event.tags or {}).get(DATA_VERSION), generation)
    return state.status is DocumentStatus.CURRENT and said == (state.sha256, state.generation)


def observed_by(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey) -> dict[str, dg.AssetObservation]:
    """Return the observations of the asset that a run logged (its failed documents), by partition."""
    found = {}
    for record in _records(instance, run_id, dg.DagsterEventType.ASSET_OBSERVATION):
        event = record.asset_observation
        if event is not None and event.asset_key == key and event.partition:
            found[event.partition] = event
    return found
