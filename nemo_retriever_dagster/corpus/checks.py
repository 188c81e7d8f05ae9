"""Asset checks: whether the rows are exactly what the receipts say, and whether a document silently lost its content.

Launched with a run, they look at that run's documents; on their own, at all of the corpus.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster.corpus.metadata import DATA_VERSION
from nemo_retriever_dagster.corpus.partitions import RANGE_END, RANGE_START
from nemo_retriever_dagster.corpus.resources import RESOURCES, STATE, STORE
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Receipt
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.vdb.contract import VectorStore

if TYPE_CHECKING:
    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus

FEWER = 0.5
"""A document with less than this share of its former version's chunks is suspicious."""
_SHOWN = 50
_LOOKED_BACK = 1_000
_PARTITION = "dagster/partition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with one document."""

    document: str
    what: str


def checks(corpus: "DocumentCorpus", *, pool: str | None) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a corpus: ``verify`` only where rows are uploaded."""
    return [*([_verify(corpus, pool)] if corpus.pipeline.upload else []), _silent_loss(corpus)]


def _verify(corpus: "DocumentCorpus", pool: str | None) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=corpus.key,
        name="verify",
        description="Every receipt has exactly its rows in the collection, and every row has a receipt.",
        required_resource_keys=set(RESOURCES),
        pool=pool,
    )
    def verify(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        settings = getattr(context.resources, STATE).settings()
        what = f"corpus {corpus.name}, verify"
        store = getattr(context.resources, STORE).open(corpus.pipeline, settings, what=what, run_id=context.run.run_id)
        try:
            with Ledger(settings.ledger) as ledger:
                checked, problems = compare_rows(corpus, ledger, store, _keys(corpus, context))
        finally:
            store.close()
        return _result(problems, checked, dg.AssetCheckSeverity.ERROR, "Run the named partitions again.")

    return verify


def compare_rows(
    corpus: "DocumentCorpus", ledger: Ledger, store: VectorStore, only: Sequence[str] | None
) -> tuple[int, list[Problem]]:
    """Hold receipts against rows; return the number of documents looked at and what is wrong.

    Documents that are being written now are left out. Of rows without a receipt, those of the ledger's other corpora
    are none of this one's business.
    """
    receipts = {receipt.document: receipt for receipt in ledger.receipts(corpus.name)}
    writing = {intent.document for intent in ledger.open_intents(corpus.name)}
    names = list(collections(corpus.pipeline.upload))
    found = (
        _census(store, names) if only is None else {key: _counted(store, names, receipts.get(key), key) for key in only}
    )
    others = {r.document for name in ledger.corpora() if name != corpus.name for r in ledger.receipts(name)}
    wanted = set(found) - others | set(receipts) if only is None else set(only) & (set(receipts) | set(found))
    wanted -= writing
    said = ((key, _compare(receipts.get(key), found.get(key, {}))) for key in sorted(wanted))
    return len(wanted), [Problem(document=_shown(receipts, key), what=what) for key, what in said if what]


def _census(store: VectorStore, names: Sequence[str]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for name in names:
        for document, generations in (store.census(name) if store.exists(name) else {}).items():
            of_document = total.setdefault(document, {})
            for generation, rows in generations.items():
                of_document[generation] = of_document.get(generation, 0) + rows
    return total


def _counted(store: VectorStore, names: Sequence[str], receipt: Receipt | None, key: str) -> dict[str, int]:
    """Count one document's rows: those of its receipt's generation, and any other."""
    there = [name for name in names if store.exists(name)]
    total = sum(store.count(name, key) for name in there)
    right = sum(store.count(name, key, generation=receipt.generation) for name in there) if receipt else 0
    rows = {receipt.generation if receipt else "": right, "another": total - right}
    return {generation: number for generation, number in rows.items() if number}


def _compare(receipt: Receipt | None, rows: Mapping[str, int]) -> str:
    if receipt is None:
        return f"{sum(rows.values())} rows, but no receipt" if rows else ""
    right = rows.get(receipt.generation, 0)
    foreign = sum(rows.values()) - right
    said = [f"{right} rows, the receipt says {receipt.rows}"] if right != receipt.rows else []
    return "; ".join([*said, *([f"{foreign} rows of another generation"] if foreign else [])])


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
        before = {r.document: _chunks_before(corpus, context.instance, r) for r in latest}
        said = ((receipt, _lost(receipt, before.get(receipt.document))) for receipt in receipts)
        problems = [Problem(document=receipt.uri, what=what) for receipt, what in said if what]
        return _result(problems, len(receipts), dg.AssetCheckSeverity.WARN, "Look at the documents' previews.")

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


def _chunks_before(corpus: "DocumentCorpus", instance: dg.DagsterInstance, receipt: Receipt) -> int | None:
    """Return the chunks of the document's former version, None if there was none."""
    wanted = dg.AssetRecordsFilter(corpus.key, asset_partitions=[receipt.document])
    for record in instance.fetch_materializations(wanted, limit=10).records:
        event = record.asset_materialization
        if event is None or "chunks" not in event.metadata:
            continue
        if (event.tags or {}).get(DATA_VERSION) != receipt.sha256:
            return int(event.metadata["chunks"].value)  # type: ignore[arg-type]
    return None


def _keys(corpus: "DocumentCorpus", context: dg.AssetCheckExecutionContext) -> list[str] | None:
    """Return the partitions of the run, None if it has none."""
    tags = context.run.tags
    if _PARTITION in tags:
        return [tags[_PARTITION]]
    if RANGE_START not in tags:
        return None
    order = list(context.instance.get_dynamic_partitions(str(corpus.partitions_def.name)))
    return order[order.index(tags[RANGE_START]) : order.index(tags[RANGE_END]) + 1]


def _shown(receipts: Mapping[str, Receipt], key: str) -> str:
    return receipts[key].uri if key in receipts else key


def _result(
    problems: Sequence[Problem], checked: int, severity: dg.AssetCheckSeverity, hint: str
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not problems,
        severity=severity,
        description=f"{len(problems)} of {checked} documents. {hint}"
        if problems
        else f"{checked} documents are right.",
        metadata={"documents": checked, "problems": len(problems), **({"which": _table(problems)} if problems else {})},
    )


def _table(problems: Iterable[Problem]) -> Any:
    shown = list(problems)[:_SHOWN]
    return dg.MetadataValue.table([dg.TableRecord({"document": p.document, "what": p.what}) for p in shown])
