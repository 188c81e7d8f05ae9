"""Carrying out a repair: documents are run again, and those that nobody knows removed, as in any run and removal."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.corpus.materialize import materialize_documents
from nemo_retriever_dagster.corpus.removal import removal_config
from nemo_retriever_dagster.corpus.resources import STATE, STORE, initialized
from nemo_retriever_dagster.equip import image_store
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.planning import check_deletion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg

    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
    from nemo_retriever_dagster.corpus.materialize import DocumentOutcome
    from nemo_retriever_dagster.corpus.resources import MilvusResource
    from nemo_retriever_dagster.settings import Settings
    from nemo_retriever_dagster.verification import Repair


def repair_documents(
    corpus: DocumentCorpus,
    repair: Repair,
    *,
    instance: dg.DagsterInstance,
    resources: Mapping[str, Any] | None = None,
    log_level: str = "INFO",
) -> dict[str, DocumentOutcome]:
    """Carry out ``repair``; return what became of the documents that were run again.

    Raises `MassDeletionError`, before anything is done, if suspiciously many documents would be removed.
    """
    gone, known = len(repair.removed), repair.known
    check_deletion(gone, known, max_deletions=corpus.max_deletions, emptied=gone == known)
    given = corpus.resources(resources)
    with initialized(given, STATE, STORE) as (state, stores):
        settings = state.settings()
        if repair.emptied:
            _empty(corpus, repair.emptied, stores, settings)
        if repair.spoilt:
            _drop_damaged(corpus, repair.spoilt, settings)
    outcomes = {}
    if repair.again:
        outcomes = materialize_documents(
            corpus, repair.again, instance=instance, resources=resources, log_level=log_level
        )
    if repair.removed:
        _remove(corpus, repair.removed, instance, given, log_level)
    return outcomes


def _drop_damaged(corpus: DocumentCorpus, keys: Sequence[str], settings: Settings) -> None:
    images = image_store(corpus.pipeline)
    if images is None:
        return
    with Ledger(settings.ledger) as ledger:
        for receipt in (ledger.receipt(corpus.name, key) for key in keys):
            images.drop_damaged(receipt.images if receipt else ())


def _empty(corpus: DocumentCorpus, keys: Sequence[str], stores: MilvusResource, settings: Settings) -> None:
    run_id = uuid.uuid4().hex
    store = stores.open(corpus.pipeline, settings, what=f"corpus {corpus.name}, repair", run_id=run_id)
    try:
        with Ledger(settings.ledger) as ledger:
            committer = Committer(store=store, ledger=ledger, corpus=corpus.name, run_id=run_id)
            for key in keys:
                committer.clear(key)
    finally:
        store.close()


def _remove(
    corpus: DocumentCorpus,
    keys: Sequence[str],
    instance: dg.DagsterInstance,
    resources: Mapping[str, Any],
    log_level: str,
) -> None:
    config = {**removal_config(keys), "loggers": {"console": {"config": {"log_level": log_level}}}}
    corpus.removal_job.execute_in_process(run_config=config, instance=instance, resources=dict(resources))
