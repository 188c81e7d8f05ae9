"""Asset checks: whether the rows are exactly what the receipts say, and whether a document silently lost its content.

Launched with a run, they look at that run's documents; on their own, at all of the corpus.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster import verification
from nemo_retriever_dagster.corpus.metadata import DATA_VERSION
from nemo_retriever_dagster.corpus.partitions import PARTITION, RANGE_END, RANGE_START, keys_in
from nemo_retriever_dagster.corpus.resources import RESOURCES, STATE, STORE
from nemo_retriever_dagster.equip import image_store
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Receipt

if TYPE_CHECKING:
    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus

FEWER = 0.5
"""A document with less than this share of its former version's chunks is suspicious."""
_SHOWN = 50
_LOOKED_BACK = 1_000


def checks(corpus: "DocumentCorpus", *, pool: str | None) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a corpus: ``verify`` only where rows are uploaded."""
    return [*([_verify(corpus, pool)] if corpus.pipeline.upload else []), _silent_loss(corpus)]


def _verify(corpus: "DocumentCorpus", pool: str | None) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=corpus.key,
        name="verify",
        description="Every receipt has exactly its rows and stored pictures, and every row has a receipt.",
        required_resource_keys=set(RESOURCES),
        pool=pool,
    )
    def verify(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        settings = getattr(context.resources, STATE).settings()
        what = f"corpus {corpus.name}, verify"
        store = getattr(context.resources, STORE).open(corpus.pipeline, settings, what=what, run_id=context.run.run_id)
        try:
            with Ledger(settings.ledger) as ledger:
                found = verification.verify(
                    corpus.name,
                    corpus.pipeline,
                    ledger,
                    store,
                    images=image_store(corpus.pipeline),
                    only=_keys(corpus, context),
                )
        finally:
            store.close()
        problems = [(problem.uri, problem.what) for problem in found.problems]
        hint = "Run the named partitions again, or `nrd verify --repair`."
        return _result(problems, found.documents, dg.AssetCheckSeverity.ERROR, hint)

    return verify


def _silent_loss(corpus: "DocumentCorpus") -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=corpus.key,
        name="silent_loss",
        description="No document went through without content, without its pages' text, or with far less than before.",
        required_resource_keys={STATE},
    )
    def silent_loss(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        only = _keys(corpus, context)
        with Ledger(getattr(context.resources, STATE).settings().ledger) as ledger:
            receipts = [r for r in ledger.receipts(corpus.name) if only is None or r.document in set(only)]
        latest = sorted(receipts, key=lambda receipt: receipt.finished_at)[-_LOOKED_BACK:]
        (check,) = context.selected_asset_check_keys
        before = {r.document: _chunks_before(check.asset_key, context.instance, r) for r in latest}
        said = ((receipt, _lost(receipt, before.get(receipt.document))) for receipt in receipts)
        problems = [(receipt.uri, what) for receipt, what in said if what]
        hint = "Look at the documents' previews; scanned pages of a PDF take extract_method='pdfium_hybrid'."
        return _result(problems, len(receipts), dg.AssetCheckSeverity.WARN, hint)

    return silent_loss


def _lost(receipt: Receipt, before: int | None) -> str:
    counts = receipt.counts
    chunks, pages = counts.get("chunks", 0), counts.get("pages", 0)
    textless = pages - counts.get("pages_with_text", pages)
    if not chunks:
        return "no text at all"
    said = [f"{textless} of {pages} pages have no text"] if textless > 0 else []
    if before and chunks < before * FEWER:
        said.append(f"{chunks} chunks, its former version had {before}")
    return "; ".join(said)


def _chunks_before(asset: dg.AssetKey, instance: dg.DagsterInstance, receipt: Receipt) -> int | None:
    """Return the chunks of the document's former version, None if there was none."""
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=[receipt.document])
    for record in instance.fetch_materializations(wanted, limit=10).records:
        event = record.asset_materialization
        if event is None or "chunks" not in event.metadata:
            continue
        if (event.tags or {}).get(DATA_VERSION) != receipt.sha256:
            return int(event.metadata["chunks"].value)  # type: ignore[arg-type] # `metadata.success` wrote a number
    return None


def _keys(corpus: "DocumentCorpus", context: dg.AssetCheckExecutionContext) -> list[str] | None:
    """Return the partitions of the run, None if it has none, or if the ends of its range were removed since."""
    tags = context.run.tags
    if PARTITION in tags:
        return [tags[PARTITION]]
    if RANGE_START not in tags:
        return None
    order = list(keys_in(context.instance, corpus.partitions_def))
    if not {tags[RANGE_START], tags[RANGE_END]} <= set(order):
        return None
    return order[order.index(tags[RANGE_START]) : order.index(tags[RANGE_END]) + 1]


def _result(
    problems: Sequence[tuple[str, str]], checked: int, severity: dg.AssetCheckSeverity, hint: str
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not problems,
        severity=severity,
        description=f"{len(problems)} of {checked} documents. {hint}"
        if problems
        else f"{checked} documents are right.",
        metadata={"documents": checked, "problems": len(problems), **({"which": _table(problems)} if problems else {})},
    )


def _table(problems: Sequence[tuple[str, str]]) -> Any:
    return dg.MetadataValue.table([dg.TableRecord({"document": uri, "what": what}) for uri, what in problems[:_SHOWN]])
