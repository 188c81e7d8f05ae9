"""The last op: one materialization for every good document, one observation for every failed one.

It fails the run if any document failed. That makes the partition grid exact: the bad documents are red, the others
green, and only the bad ones are retried.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.corpus import metadata
from nemo_retriever_dagster.corpus.ops import PLAN
from nemo_retriever_dagster.corpus.recording import record
from nemo_retriever_dagster.corpus.resources import ENGINES, RESOURCES
from nemo_retriever_dagster.corpus.runs import materialized_by, standing
from nemo_retriever_dagster.corpus.session import Plant, ledger_of, settings_of, start, through
from nemo_retriever_dagster.errors import RetrieverError, Stage
from nemo_retriever_dagster.ledger import DocumentState, DocumentStatus, Ledger
from nemo_retriever_dagster.ledger_usage import UsageRow
from nemo_retriever_dagster.model import Document, Failure, Receipt
from nemo_retriever_dagster.shelf import Shelf
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.work import Result, Work, result_from_json

_SHOWN = 20
_Former = Mapping[str, dg.AssetMaterialization]


@dataclass(slots=True)
class Verdict:
    """What becomes of each of a run's partitions."""

    good: dict[str, Work] = field(default_factory=dict)
    carried: dict[str, dg.AssetMaterialization] = field(default_factory=dict)
    bad: dict[str, Failure] = field(default_factory=dict)


def judge(partitions: Sequence[str], results: Mapping[str, Result], former: _Former, run_id: str) -> Verdict:
    """Sort a run's partitions: what the parent run materialized and still stands is carried over."""
    verdict = Verdict()
    for key in partitions:
        result = results.get(key)
        if key in former:
            verdict.carried[key] = former[key]
        elif isinstance(result, Work):
            verdict.good[key] = result
        else:
            verdict.bad[key] = result if result is not None else _not_reached(key, run_id)
    return verdict


def _not_reached(key: str, run_id: str) -> Failure:
    result = start({}, key, run_id)
    assert isinstance(result, Failure)
    return replace(result, cause="The run ended before it came to this document.", hint="Run the partition again.")


def settle_op(plant: Plant, *, preview: bool) -> dg.OpDefinition:
    """Return the op that records what became of each document."""

    @dg.op(
        name=f"{plant.name}__settle",
        description="Reports each document: materialized, or failed with the reason; fails the run if any failed.",
        required_resource_keys=set(RESOURCES),
        ins={"documents": dg.In(list)},
        out=dg.Out(dg.Nothing, is_required=False),
    )
    def settle(context: dg.OpExecutionContext, documents: list[dict[str, Any]]) -> Iterator[dg.Output[None]]:
        # A generator, so that Dagster yields no output, and with it no materialization, of its own accord.
        results = {_key(result): result for result in map(result_from_json, documents)}
        with ledger_of(context) as ledger:
            former, results = _taken_up(context, plant, ledger, results)
            verdict = judge(context.partition_keys, results, former, context.run_id)
            failures = _note(plant, ledger, verdict, context)
        events = materializations(context, plant, context.asset_key, verdict.good.values(), preview=preview)
        parent = context.run.parent_run_id or ""
        events += [metadata.carried_over(event, parent) for event in verdict.carried.values()]
        if not failures and _awaited(context):
            yield dg.Output(None)  # before the events: the latest event of a partition is the one that counts
        record(context, events)
        for failure in failures:
            context.log_event(metadata.observation(context.asset_key, failure))
        if failures:
            raise _failed(failures, len(context.partition_keys))

    return settle


def _awaited(context: dg.OpExecutionContext) -> bool:
    """Whether another asset or check of this run waits for the corpus.

    An output makes Dagster write an empty materialization for every partition, which doubles what recording costs.
    """
    corpus = context.op_handle.path[0]
    return any(context.job_def.dependency_structure.output_to_downstream_inputs_for_node(corpus).values())


def _key(result: Result) -> str:
    return result.document if isinstance(result, Failure) else result.document.key


def _taken_up(
    context: dg.OpExecutionContext, plant: Plant, ledger: Ledger, results: dict[str, Result]
) -> tuple[_Former, dict[str, Result]]:
    """Return what of the parent run still stands, and the results, with those of a resumed run's unfinished documents.

    A resumed run ('from failure') has its parent's results for the steps that it skips: whatever is neither
    materialized nor proven by a receipt goes through the stages again, where what is done is found done.
    """
    said = materialized_by(context.instance, context.run.parent_run_id, context.asset_key)
    resumed = _resumed(context)
    states = ledger.versions(plant.name, [*said, *context.partition_keys]) if said or resumed else {}
    former = standing(said, states)
    if not resumed:
        return former, results
    uploads = plant.pipeline.upload is not None
    todo = [
        partition
        for partition in context.partition_keys
        if partition not in former and not _proven(results.get(partition), states.get(partition), uploads=uploads)
    ]
    context.log.info("taken up from run %s: %d documents tried again", context.run.parent_run_id, len(todo))
    again = through(plant, context, plant.begin(ledger, todo, context.run_id), plant.pipeline.stages()) if todo else []
    return former, results | {_key(result): result for result in again}


def _resumed(context: dg.OpExecutionContext) -> bool:
    """Whether the run has its documents from its parent: it executes some steps, and ``plan`` is not among them."""
    steps = context.run.step_keys_to_execute
    return context.run.parent_run_id is not None and steps is not None and _plan_of(context) not in steps


def _plan_of(context: dg.OpExecutionContext) -> str:
    return f"{context.op_handle.parent}.{PLAN}"


def _proven(result: Result | None, state: DocumentState | None, *, uploads: bool) -> bool:
    """Whether a document got through all stages: where rows are written, a receipt of the same generation says so."""
    if not isinstance(result, Work) or not uploads:
        return isinstance(result, Work)
    return state is not None and state.status is DocumentStatus.CURRENT and state.generation == result.generation


def materializations(
    context: dg.OpExecutionContext, plant: Plant, key: dg.AssetKey, done: Iterable[Work], *, preview: bool
) -> list[dg.AssetMaterialization]:
    """Return what is told of each document that got through, as a partition of the asset ``key``."""
    settings = settings_of(context)
    shelf = Shelf(Artifacts(settings.artifacts, settings.artifacts_options))
    names = list(collections(plant.pipeline.upload))
    return [metadata.success(key, work, names, _preview(shelf, work) if preview else None) for work in done]


def _preview(shelf: Shelf, work: Work) -> str:
    try:
        return metadata.preview(shelf.chunks(work.addresses[Stage.SPLIT]))
    except RetrieverError as error:  # the document is in the collection all the same
        return f"(no preview: {error.message})"


def _note(plant: Plant, ledger: Ledger, verdict: Verdict, context: dg.OpExecutionContext) -> list[Failure]:
    """Write into the ledger what the upload has not: failures, usage, and receipts where nothing is uploaded.

    The versions that were read are noted as seen, or discovery would take a document changed since its last look for
    one that is still to do, and the ledger a failure for one of a run that was late.
    """
    read = [work.document for work in verdict.good.values()]
    ledger.remember(plant.name, [*read, *_failed_now(plant, ledger, verdict.bad)])
    if plant.pipeline.upload is None:
        for key, work in verdict.good.items():
            former = ledger.receipt(plant.name, key)
            receipt = _receipt(work, context.run_id, former.collection if former else "")
            ledger.commit(plant.name, receipt, version=work.document.version)
    ledger.record_usage(plant.name, [row for work in verdict.good.values() for row in _usage(work, context.run_id)])
    if not verdict.bad:
        return []
    engines = getattr(context.resources, ENGINES).engines(plant.pipeline, settings_of(context))
    fingerprint = plant.outcome_fingerprint(engines)
    return [ledger.fail(plant.name, replace(failure, fingerprint=fingerprint)) for failure in verdict.bad.values()]


def _failed_now(plant: Plant, ledger: Ledger, bad: Mapping[str, Failure]) -> list[Document]:
    """Return the documents that failed in a version that the source has now and that the ledger has not heard of."""
    states, source = ledger.versions(plant.name, list(bad)), plant.documents()
    unheard = [
        Document(uri=state.uri, key=key, version=failure.version)
        for key, failure in bad.items()
        if (state := states.get(key)) is not None and failure.version not in {"", state.version}
    ]
    return [document for document in unheard if source.version_now(document) == document.version]


def _usage(work: Work, run_id: str) -> Iterator[UsageRow]:
    for name, usage in work.usage.items():
        stage, _, engine = name.partition("/")
        yield UsageRow(document=work.document.key, run_id=run_id, stage=stage, engine=engine, usage=usage)


def _receipt(work: Work, run_id: str, collection: str) -> Receipt:
    """Return the receipt of a pipeline without upload; ``collection`` still has the rows of one with it, if any."""
    return Receipt(
        document=work.document.key,
        uri=work.document.uri,
        sha256=work.document.sha256,
        collection=collection,
        generation=work.generation,
        rows=0,
        run_id=run_id,
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        fingerprints=work.fingerprints,
        counts=work.counts,
        seconds=work.seconds,
    )


def _failed(failures: Sequence[Failure], total: int) -> dg.Failure:
    shown = "\n".join(f"- {failure.message}" for failure in failures[:_SHOWN])
    more = f"\n... and {len(failures) - _SHOWN} more: see the observations." if len(failures) > _SHOWN else ""
    return dg.Failure(
        description=f"{len(failures)} of {total} documents failed, the others are done.\n{shown}{more}",
        metadata={"failed": dg.MetadataValue.json({f.document: metadata.plain(f) for f in failures})},
        allow_retries=False,
    )
