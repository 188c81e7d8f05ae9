"""Commands that only read, without Dagster: status, failures, query, doctor."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from nemo_retriever_dagster.cli.shown import console, show_documents, show_failure, show_hits

if TYPE_CHECKING:
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.vdb.contract import SearchMode


@click.command()
@click.option("-c", "--corpus", help="Name of the corpus; all that the ledger knows without it.")
@click.option("-d", "--documents", is_flag=True, help="Show each document: its state, and what is there of it.")
def status(corpus: str | None, *, documents: bool) -> None:
    """Count the documents of each corpus by where they stand."""
    with _open_ledger() as ledger:
        for name in _named(ledger, corpus):
            states, receipts = ledger.versions(name), ledger.receipts(name)
            if documents:
                show_documents(list(states.values()), receipts)
            counts = Counter(state.status for state in states.values())
            shown = ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "no documents"
            console.print(f"{name}: {shown}; {sum(receipt.rows for receipt in receipts)} rows")


@click.command()
@click.option("-c", "--corpus", help="Name of the corpus; all that the ledger knows without it.")
def failures(corpus: str | None) -> None:
    """Show the documents that failed: where, why, what next."""
    with _open_ledger() as ledger:
        found = [failure for name in _named(ledger, corpus) for failure in ledger.failures(name)]
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
def query(
    question: str, *, collection: str, milvus_uri: str | None, top_k: int, mode: SearchMode, explain: bool
) -> None:
    """Search a collection and show the hits with their sources."""
    from nemo_retriever_dagster.cli.explaining import reasons
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.settings import Settings

    with Retriever(collection, milvus_uri=milvus_uri or Settings().milvus_uri) as retriever:
        hits = retriever.query(question, top_k=top_k, mode=mode)
        show_hits(question, hits, reasons(retriever, question, hits) if explain and hits else ())


@click.command()
def doctor() -> None:
    """Check engines, state folder and the parts that are optional."""
    from nemo_retriever_dagster import doctor as checks

    table = Table("part", "state", "what to do", box=None)
    findings = checks.examine()
    for finding in findings:
        state = "[green]ok" if finding.ok else "[red]no"
        table.add_row(Text(finding.part), state, Text(finding.note))
    console.print(table)
    sys.exit(0 if all(finding.ok or finding.optional for finding in findings) else 1)
