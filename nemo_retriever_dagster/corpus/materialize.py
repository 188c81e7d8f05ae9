"""Materializing from Python: many documents, one call, and what became of each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster.corpus.partitions import add_keys, keys_in, range_tags, ranges
from nemo_retriever_dagster.corpus.resources import STATE, initialized
from nemo_retriever_dagster.corpus.runs import materialized_by, observed_by
from nemo_retriever_dagster.errors import redact
from nemo_retriever_dagster.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
    from nemo_retriever_dagster.model import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOutcome:
    """What became of one document in one run. ``metadata`` is what the UI shows of it.

    ``key`` is its partition, ``uri`` the path or URL as the source gives it. Of a document that failed, ``metadata``
    has ``stage``, ``category``, ``error``, ``cause``, ``hint`` and ``attempts``.
    """

    key: str
    uri: str
    succeeded: bool
    run_id: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def materialize_documents(
    corpus: DocumentCorpus,
    keys: Sequence[str] | None = None,
    *,
    instance: dg.DagsterInstance | None = None,
    resources: Mapping[str, Any] | None = None,
    log_level: str = "INFO",
) -> dict[str, DocumentOutcome]:
    """Materialize the documents of ``keys`` (None: all that the source has), in ranged runs in this process.

    Returns the outcome of each by key. A failed document does not raise: it is an outcome that did not succeed. Without
    ``instance`` an ephemeral one is used, and the event log is lost; the ledger and the collection are not.
    ``resources`` replace those of the corpus under the same keys (``nrd_engines`` ...). ``log_level`` is that of the
    runs' messages on the console.
    """
    if instance is None:
        with dg.DagsterInstance.ephemeral() as ephemeral:
            return materialize_documents(corpus, keys, instance=ephemeral, resources=resources, log_level=log_level)
    given = corpus.resources(resources)
    documents = {document.key: document for document in corpus.plant.documents().list()}
    wanted = list(documents) if keys is None else list(keys)
    _remember(corpus, given, [documents[key] for key in wanted if key in documents])
    add_keys(instance, corpus.partitions_def, wanted)
    order = keys_in(instance, corpus.partitions_def)
    outcomes: dict[str, DocumentOutcome] = {}
    for group in ranges(wanted, order, corpus.batch_size):
        result = dg.materialize(
            [corpus.asset],
            instance=instance,
            resources=given,
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
            raise_on_error=False,
            tags=range_tags(corpus.name, group),
        )
        outcomes |= _outcomes(corpus, instance, result, group, documents)
    return {key: outcomes[key] for key in wanted}


def _remember(corpus: DocumentCorpus, resources: Mapping[str, Any], documents: Sequence[Document]) -> None:
    """Note the documents that are run, and no others: those are still the sensor's to ask for."""
    with initialized(resources, STATE) as (state,), Ledger(state.settings().ledger) as ledger:
        ledger.remember(corpus.name, documents)


def _outcomes(
    corpus: DocumentCorpus,
    instance: dg.DagsterInstance,
    result: dg.ExecuteInProcessResult,
    keys: Sequence[str],
    documents: Mapping[str, Document],
) -> dict[str, DocumentOutcome]:
    good = materialized_by(instance, result.run_id, corpus.key)
    bad = observed_by(instance, result.run_id, corpus.key)
    broken = _broken_off(result)
    return {
        key: DocumentOutcome(
            key=key,
            uri=documents[key].uri if key in documents else "",
            succeeded=key in good,
            run_id=result.run_id,
            metadata=_values(good.get(key) or bad.get(key)) or broken,
        )
        for key in keys
    }


def _broken_off(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return why a run ended before it could say what became of its documents; empty if it did say."""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            while error.cause is not None:  # the outer ones only say in which op it was
                error = error.cause
            cause = redact(error.message.strip())
            hint = "The run broke off before it came to settle; its log has the whole error."
            return {"stage": event.step_key, "category": "infrastructure", "cause": cause, "hint": hint}
    return {}


def _values(event: dg.AssetMaterialization | dg.AssetObservation | None) -> dict[str, Any]:
    return {name: value.value for name, value in event.metadata.items()} if event is not None else {}
