"""The partition grid, held against the ledger.

Dagster keeps the states of an asset's partitions and brings them up to date from the events since its last look. A look
that falls between the materializations of one run and the planning of another can count both as seen and have read the
latter only. What was materialized then stays red or grey, until the states are made anew from all events: when the next
partition comes or goes, or here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import stable_id

if TYPE_CHECKING:
    import dagster as dg

    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
    from nemo_retriever_dagster.model import Document
    from nemo_retriever_dagster.planning import Plan

_GREEN, _RED = {"MATERIALIZED", "IN_PROGRESS"}, {"FAILED", "IN_PROGRESS"}


def untold(corpus: DocumentCorpus, instance: dg.DagsterInstance, plan: Plan) -> list[Document]:
    """Return the documents whose partition tells another thing than the ledger, by all events.

    They are the unchanged documents whose partition is not green, and the failed ones whose partition is not red.
    """
    if not _differing(corpus, instance, plan):
        return []
    instance.wipe_asset_cached_status([corpus.key])
    return _differing(corpus, instance, plan)


def refreshed(corpus: DocumentCorpus, instance: dg.DagsterInstance, plan: Plan, former: str) -> str:
    """Have the grid made anew where it tells another thing than the ledger; return what differs as a mark, "" for none.

    With the ``former`` mark nothing is done: the same differed after it was made anew.
    """
    found = _differing(corpus, instance, plan)
    mark = stable_id(*(f"{document.key}={document.version}" for document in found)) if found else ""
    if mark not in {"", former}:
        instance.wipe_asset_cached_status([corpus.key])
    return mark


def _differing(corpus: DocumentCorpus, instance: dg.DagsterInstance, plan: Plan) -> list[Document]:
    keys = [document.key for document in (*plan.unchanged, *plan.failed)]
    found = instance.get_status_by_partition(corpus.key, keys, corpus.partitions_def) or {}
    said = {key: status.value for key, status in found.items() if status is not None}
    return [
        *(document for document in plan.unchanged if said.get(document.key) not in _GREEN),
        *(document for document in plan.failed if said.get(document.key) not in _RED),
    ]
