"""Commands that only read, without Dagster: status, failures, query, doctor."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from nemo_retriever_dagster.cli.answering import Answer, answering, state_as_json
from nemo_retriever_dagster.cli.shown import console, show_documents, show_failure, show_hits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.doctor import Finding
    from nemo_retriever_dagster.ledger import DocumentState, Ledger
    from nemo_retriever_dagster.model import Failure, Receipt, type_json
    from nemo_retriever_dagster.vdb.contract import SearchMode


@click.command()
@click.option("-c", "--corpus", help="Name of the corpus; all that the ledger knows without it.")
@click.option("-d", "--documents", is_flag=True, help="Show each document: its state, and what is there of it.")
@answering
def status(corpus: str | None, *, documents: bool, answer: Answer) -> None:
    """Count the documents of each corpus by where they stand."""
    with _open_ledger() as ledger:
        found = [_Standing.read(ledger, name) for name in _named(ledger, corpus)]
    for standing in found:
        answer.text(_show_standing, standing, documents=documents)
    answer.json({"corpora": [_standing_as_json(standing, documents=documents) for standing in found]})


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a corpus stands: its documents by path, each with its receipt, and the number of rows of all receipts."""

    corpus: str
    documents: Sequence[tuple[DocumentState, Receipt | None]]
    rows: int

    @classmethod
    def read(cls, ledger: Ledger, corpus: str) -> _Standing:
        states = sorted(ledger.versions(corpus).values(), key=attrgetter("uri"))
        written = {receipt.document: receipt for receipt in ledger.receipts(corpus)}
        rows = sum(receipt.rows for receipt in written.values())
        return cls(corpus, [(state, written.get(state.key)) for state in states], rows)

    @property
    def counts(self) -> dict[str, int]:
        """The number of documents by status; no word where there are none."""
        return Counter(state.status for state, _ in self.documents)


def _show_standing(standing: _Standing, *, documents: bool) -> None:
    if documents:
        show_documents(standing.documents)
    shown = ", ".join(f"{number} {word}" for word, number in sorted(standing.counts.items())) or "no documents"
    console.print(f"{standing.corpus}: {shown}; {standing.rows} rows")


def _standing_as_json(standing: _Standing, *, documents: bool) -> dict[str, type_json]:
    from nemo_retriever_dagster.ledger import DocumentStatus

    counts = dict.fromkeys(DocumentStatus, 0) | standing.counts
    each = [
        {**state_as_json(state), "receipt": asdict(receipt) if receipt else None}
        for state, receipt in standing.documents
    ]
    shown = {"documents": each} if documents else {}
    return {"corpus": standing.corpus, "counts": counts, "rows": standing.rows, **shown}


@click.command()
@click.option("-c", "--corpus", help="Name of the corpus; all that the ledger knows without it.")
@answering
def failures(corpus: str | None, *, answer: Answer) -> None:
    """Show the documents that failed: where, why, what next."""
    with _open_ledger() as ledger:
        found = [(name, failure) for name in _named(ledger, corpus) for failure in ledger.failures(name)]
    answer.text(_show_failures, [failure for _, failure in found])
    answer.json({"failures": [{"corpus": name, **failure.to_json()} for name, failure in found]})


def _show_failures(found: Sequence[Failure]) -> None:
    for failure in found:
        show_failure(failure)
    console.print(f"{len(found)} failed documents" if found else "No failed documents.")


def _open_ledger() -> Ledger:
    """Open the ledger that the surroundings name."""
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.settings import Settings

    place = Settings().ledger
    if Ledger.absent(place):
        raise click.UsageError(f"There is no ledger {place} yet: nothing was ingested here.")
    return Ledger(place)


def _named(ledger: Ledger, corpus: str | None) -> list[str]:
    """Return the corpora meant: all without a name."""
    known = ledger.corpora()
    if corpus in known:
        return [corpus]
    if corpus or not known:
        what = f"no corpus {corpus!r}; it knows {', '.join(known) or 'none'}" if corpus else "no corpus yet"
        raise click.UsageError(f"The ledger {ledger.url} knows {what}.")
    return known


@click.command()
@click.argument("question")
@click.option("--collection", default="nv_ingest_collection", show_default=True)
@click.option("--milvus-uri", default=None, help="Path ending .db, or URL of a server.")
@click.option("--top-k", default=5, show_default=True)
@click.option(
    "--mode",
    type=click.Choice(["dense", "sparse", "hybrid"]),
    default="dense",
    show_default=True,
    help="By meaning, by words, or both.",
)
@click.option("--explain", is_flag=True, help="Say of each hit its ranks, place, source version and run.")  # fmt: skip
@answering
def query(
    question: str,
    *,
    collection: str,
    milvus_uri: str | None,
    top_k: int,
    mode: SearchMode,
    explain: bool,
    answer: Answer,
) -> None:
    """Search a collection and show the hits with their sources."""
    from nemo_retriever_dagster.cli.explaining import rank, reasons
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.settings import Settings

    with Retriever(collection, milvus_uri=milvus_uri or Settings().milvus_uri) as retriever:
        hits = retriever.query(question, top_k=top_k, mode=mode)
        ranks = rank(retriever, question, hits) if explain and hits else []
    answer.text(show_hits, question, hits, list(map(reasons, hits, ranks)))
    more: list[dict[str, type_json]] = [{"ranks": asdict(one)} for one in ranks] or [{}] * len(hits)
    listed = [{**asdict(hit), **one} for hit, one in zip(hits, more, strict=True)]
    answer.json({"question": question, "collection": collection, "mode": mode, "hits": listed})


@click.command()
@answering
def doctor(*, answer: Answer) -> None:
    """Check engines, state folder and the parts that are optional."""
    from nemo_retriever_dagster import doctor as checks

    findings = checks.examine()
    sound = all(finding.ok or finding.optional for finding in findings)
    answer.text(_show_findings, findings)
    answer.json({"sound": sound, "findings": list(map(asdict, findings))})
    sys.exit(0 if sound else 1)


def _show_findings(findings: Sequence[Finding]) -> None:
    table = Table("part", "state", "note", box=None)
    for finding in findings:
        state = "[green]ok" if finding.ok else "[red]no"
        table.add_row(Text(finding.part), state, Text(finding.note))
    console.print(table)
