"""The job that makes a corpus's rows anew beside those that serve, and switches when they are complete."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.corpus.partitions import keys_in
from nemo_retriever_dagster.corpus.recording import record
from nemo_retriever_dagster.corpus.resources import ENGINES, RESOURCES, STORE
from nemo_retriever_dagster.corpus.session import ledger_of, settings_of
from nemo_retriever_dagster.corpus.settle import materializations
from nemo_retriever_dagster.corpus.watching import all_through
from nemo_retriever_dagster.equip import equipped, prepare
from nemo_retriever_dagster.model import Document, Failure
from nemo_retriever_dagster.planning import check_deletion
from nemo_retriever_dagster.reindex import Rebuild, rebuilding
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.source_names import Skipped, vanished
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.vdb.aliases import drop_former
from nemo_retriever_dagster.work import Result, Work

if TYPE_CHECKING:
    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus


_DROP = "After the switch, drop the collections that served before."


def reindex_job(corpus: "DocumentCorpus") -> dg.JobDefinition:
    """Return the job; ``drop_former`` in its op's config also drops, after the switch, what served before."""

    @dg.op(
        name=f"{corpus.name}__reindex",
        config_schema={"drop_former": dg.Field(bool, default_value=False, description=_DROP)},
        required_resource_keys=set(RESOURCES),
        description="Builds new collections beside those that serve; the aliases switch when every row was counted.",
    )
    def reindex(context: dg.OpExecutionContext) -> None:
        reindex_documents(corpus, context, drop=context.op_config["drop_former"])

    @dg.job(
        name=f"{corpus.name}_reindex",
        description="Makes all rows anew for changed options, without downtime. Switch sensor and schedule off first.",
        executor_def=dg.in_process_executor,
    )
    def job() -> Any:
        reindex.alias("reindex")()

    return job


def reindex_documents(corpus: "DocumentCorpus", context: dg.OpExecutionContext, *, drop: bool = False) -> None:
    """Build, verify and switch, or raise and leave what serves as it is; up-to-date collections are left alone."""
    settings, pipeline = settings_of(context), corpus.pipeline
    engines = getattr(context.resources, ENGINES).engines(pipeline, settings)
    if engines.embedder is not None:
        portal.run(engines.embedder.check())
    source = corpus.plant.documents()
    documents = source.list()
    what = f"corpus {corpus.name}, reindex"
    store = getattr(context.resources, STORE).open(pipeline, settings, what=what, run_id=context.run_id)
    try:
        with rebuilding(
            pipeline, settings, engines, documents, corpus=corpus.name, run_id=context.run_id, store=store
        ) as rebuild:
            if rebuild is None:
                context.log.info("The rows that serve are up to date: nothing to re-index.")
            else:
                _build(corpus, context, rebuild, documents, source.skipped)
        for alias in collections(pipeline.upload) if drop else ():
            context.log.info("dropped: %s", ", ".join(drop_former(store, alias)) or "nothing")
    finally:
        store.close()


def _build(
    corpus: "DocumentCorpus",
    context: dg.OpExecutionContext,
    rebuild: Rebuild,
    documents: Sequence[Document],
    passed_over: Sequence[Skipped],
) -> None:
    keys = {document.key for document in documents}
    with ledger_of(context) as ledger:
        known = {receipt.document: receipt.uri for receipt in ledger.receipts(corpus.name)}
        gone = vanished(known, keys, passed_over)
        check_deletion(len(gone), len(known), max_deletions=corpus.max_deletions, emptied=not documents)
        ledger.remember(corpus.name, documents)
    done = _run(corpus, context, rebuild, documents)
    for result in done:
        if isinstance(result, Failure):
            context.log.warning(result.message)
    before = rebuild.finish(gone=gone)
    for alias, name in rebuild.store.names.items():
        context.log.info("%s stands for %s now; %s is kept", alias, name, before[alias] or "nothing before it")
    _tell(corpus, context, [result for result in done if isinstance(result, Work)])


def _tell(corpus: "DocumentCorpus", context: dg.OpExecutionContext, done: Sequence[Work]) -> None:
    """Log what serves now: a partition would go on to tell the former rows. The sensor runs those without one."""
    there = set(keys_in(context.instance, corpus.partitions_def)) if context.instance.has_asset_key(corpus.key) else ()
    told = [work for work in done if work.document.key in there]
    record(context, materializations(context, corpus.plant, corpus.key, told, preview=corpus.preview))


def _run(
    corpus: "DocumentCorpus", context: dg.OpExecutionContext, rebuild: Rebuild, documents: Sequence[Document]
) -> list[Result]:
    """Take all documents through the pipeline into the new collections; return what became of each."""
    settings, pipeline, plant = settings_of(context), corpus.pipeline, corpus.plant
    engines = getattr(context.resources, ENGINES).engines(pipeline, settings)
    with equipped(
        pipeline,
        plant.documents(),
        settings,
        corpus=rebuild.building,
        run_id=context.run_id,
        engines=engines,
        store=rebuild.store,
        workers=plant.workers,
        limits=plant.limits,
    ) as equipment:
        runner = Runner(pipeline, equipment, run_id=context.run_id, concurrency=plant.concurrency)
        try:
            portal.run(prepare(pipeline, engines, rebuild.store))
            return all_through(runner, [Work(document=one) for one in documents], pipeline.stages())
        finally:
            runner.close()
