"""Discovery: the sensor that follows the source, the schedule that sets everything right, the job that deletes."""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster.corpus.grid import refreshed, untold
from nemo_retriever_dagster.corpus.partitions import WAITING, add_keys, keys_in, range_tags, ranges, runs_of, taken_on
from nemo_retriever_dagster.corpus.removal import REMOVE, removal_config, remove_documents
from nemo_retriever_dagster.corpus.resources import ENGINES, RESOURCES, STATE
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Document, stable_id
from nemo_retriever_dagster.planning import MassDeletionError, Plan, check_deletion, compare

if TYPE_CHECKING:
    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus

_HOUR = 3600
_SHOWN = 5
_FIRST = {"dagster/priority": "1"}
"""The tag of a removal: what is gone from the source is not searched any longer than it takes."""


def look(corpus: "DocumentCorpus", ledger: Ledger, engines: Engines | None = None) -> Plan:
    """Hold the corpus's source against its ledger; with ``engines``, changed options count too."""
    name, source = corpus.name, corpus.plant.documents()
    documents, states, failures = source.list(), ledger.versions(name), ledger.failures(name)
    if engines is None:
        return compare(documents, states, failures, passed_over=source.skipped)
    return compare(
        documents,
        states,
        failures,
        ledger.receipts(name),
        corpus.pipeline.all_fingerprints(engines),
        sidecar=corpus.pipeline.sidecar(),
        outcome=corpus.plant.outcome_fingerprint(engines),
        passed_over=source.skipped,
    )


def discovery_sensor(corpus: "DocumentCorpus") -> dg.SensorDefinition:
    """Return the sensor: new and changed documents are run, vanished ones deleted unless suspiciously many are gone.

    It asks for a version of a document once; whatever then goes wrong is the schedule's to set right, and anyone's who
    launches 'failed and missing'. Documents that got in elsewhere (from Python, by a re-index, before the event log was
    lost) are run too, so that each has its partition: they are found done. Where runs wait, documents that one of them
    takes on are left to it, and others are not asked for beyond ``runs_per_tick`` waiting runs: they would be behind
    those all the same, and come together in fewer runs later.
    """

    @dg.sensor(
        name=f"{corpus.name}_discovery",
        jobs=[corpus.job, corpus.removal_job],
        minimum_interval_seconds=corpus.sensor_interval,
        required_resource_keys={STATE},
        description="Runs new and changed documents, and removes those that are gone from the source.",
    )
    def discover(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        with Ledger(getattr(context.resources, STATE).settings().ledger) as ledger:
            plan = look(corpus, ledger)
            partitions = keys_in(context.instance, corpus.partitions_def)
            waiting = runs_of(context.instance, corpus.name, corpus.key, WAITING)
            coming = taken_on(waiting, partitions)
            wanted = [document for document in _without_run(plan, partitions) if document.key not in coming]
            requests = run_requests(corpus, context.instance, ledger, wanted, waiting=len(waiting))
        context.update_cursor(refreshed(corpus, context.instance, plan, context.cursor or ""))
        _warn(context, plan)
        lost = _lost(plan, partitions)
        known = len(lost) + len(plan.present()) - len(plan.new)
        try:
            check_deletion(len(lost), known, max_deletions=corpus.max_deletions, emptied=not plan.present())
            requests += _removal_requests(corpus, context.instance, lost)
        except MassDeletionError as error:
            context.log.warning(str(error))
            if not requests:
                return dg.SkipReason(str(error))
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason(_words(plan))

    return discover


def _warn(context: dg.SensorEvaluationContext, plan: Plan) -> None:
    for skipped in plan.passed_over:
        if skipped.lost:
            context.log.warning("%s %s", skipped.uri, skipped.reason)
    if plan.held:
        shown = ", ".join(state.uri for state in plan.held[:_SHOWN])
        context.log.warning("%d documents cannot be seen now and stay in the collection: %s", len(plan.held), shown)


def _without_run(plan: Plan, partitions: Sequence[str]) -> list[Document]:
    """Return the new and changed documents, then the others that have no partition."""
    there = {*partitions, *(document.key for document in plan.arrived)}
    return [*plan.arrived, *(document for document in plan.present() if document.key not in there)]


def _lost(plan: Plan, partitions: Sequence[str]) -> dict[str, str]:
    """Return the keys of what is to be taken out, and since when the ledger has them.

    Those of vanished documents, and partitions of none ("" for since when): a deletion that was broken off at its last
    step left them.
    """
    gone = {state.key: state.updated_at for state in plan.gone}
    known = {*gone, *(state.key for state in plan.held), *(document.key for document in plan.present())}
    return gone | dict.fromkeys((key for key in partitions if key not in known), "")


def reconcile_schedule(corpus: "DocumentCorpus") -> dg.ScheduleDefinition:
    """Return the schedule: it runs every document that is not in the collection as source and pipeline want it now.

    And those whose partition tells another thing than the ledger: a run that was killed before its last step, or ran on
    another instance, has not said what became of them. What unfinished runs take on is left to them.
    """

    @dg.schedule(
        name=f"{corpus.name}_reconcile",
        job=corpus.job,
        cron_schedule=corpus.cron,
        required_resource_keys={STATE, ENGINES},
        description="Runs every document that is new, changed, unfinished, or made with other options.",
    )
    def reconcile(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        settings = getattr(context.resources, STATE).settings()
        engines = getattr(context.resources, ENGINES).engines(corpus.pipeline, settings)
        with Ledger(settings.ledger) as ledger:
            plan = look(corpus, ledger, engines)
            order = keys_in(context.instance, corpus.partitions_def)
            busy = taken_on(runs_of(context.instance, corpus.name, corpus.key), order)
            wanted = [*plan.due, *untold(corpus, context.instance, plan)]
            requests = run_requests(
                corpus,
                context.instance,
                ledger,
                [document for document in wanted if document.key not in busy],
                again=str(context.scheduled_execution_time),
            )
        return requests or dg.SkipReason(_words(plan))

    return reconcile


def run_requests(
    corpus: "DocumentCorpus",
    instance: dg.DagsterInstance,
    ledger: Ledger,
    documents: Sequence[Document],
    *,
    again: str = "",
    waiting: int = 0,
) -> list[dg.RunRequest]:
    """Add the documents' partitions and return ranged run requests for them: ``runs_per_tick``, less those ``waiting``.

    Only the documents that are asked for are remembered, so that the next tick finds the rest as new as this one did,
    and one version is asked for once. Dagster drops a run key that it has seen, for ever: a document that was taken out
    and put back must not have its former one, so each tick has its own (``again``, or a random one).
    """
    add_keys(instance, corpus.partitions_def, (document.key for document in documents))
    known = {document.key: document for document in documents}
    order = keys_in(instance, corpus.partitions_def) if known else ()
    tick = again or uuid.uuid4().hex
    groups = ranges(known, order, corpus.batch_size)[: max(0, corpus.runs_per_tick - waiting)]
    ledger.remember(corpus.name, [known[key] for keys in groups for key in keys])
    return [
        dg.RunRequest(
            run_key=stable_id(tick, *keys),
            job_name=f"{corpus.name}_ingest",
            tags=range_tags(corpus.name, keys),
        )
        for keys in groups
    ]


def _removal_requests(
    corpus: "DocumentCorpus", instance: dg.DagsterInstance, lost: Mapping[str, str]
) -> list[dg.RunRequest]:
    """Return the request to delete the documents ``lost``, which are keys and since when the ledger has them.

    A removal that failed is asked for again in the next hour; a document put back and deleted again, at once. Where a
    removal waits in the queue, a later tick asks for all that is lost then: each run is a process.
    """
    job = f"{corpus.name}_remove"
    if not lost or instance.get_runs(dg.RunsFilter(job_name=job, statuses=WAITING), limit=1):
        return []
    run_key = stable_id("remove", int(time.time() // _HOUR), *(f"{key}={since}" for key, since in lost.items()))
    config = removal_config(list(lost))
    return [dg.RunRequest(run_key=run_key, job_name=job, run_config=config, tags=_FIRST)]


def removal_job(corpus: "DocumentCorpus") -> dg.JobDefinition:
    """Return the job that takes documents out: rows, pictures nobody refers to, the ledger's entry, the partition."""

    @dg.op(
        name=f"{corpus.name}__remove",
        config_schema={"keys": dg.Field([str], description="Partition keys; those still in the source stay.")},
        required_resource_keys=set(RESOURCES),
        description="Takes documents that are gone from the source out of the collection.",
    )
    def remove(context: dg.OpExecutionContext) -> None:
        removed = remove_documents(corpus, context, list(context.op_config["keys"]))
        context.log.info("%d documents removed: %s", len(removed), ", ".join(removed))

    @dg.job(
        name=f"{corpus.name}_remove",
        description="Deletes rows, pictures and partitions of documents that are gone from the source.",
        executor_def=dg.in_process_executor,
    )
    def removal() -> Any:
        remove.alias(REMOVE)()

    return removal


def _words(plan: Plan) -> str:
    return ", ".join(f"{number} {word}" for word, number in plan.counts().items() if number) or "the source is empty"
