"""Commands that only read, without Dagster: status, failures, query, doctor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from nemo_retriever_dagster.cli.shown import console, show_failure, show_hits

if TYPE_CHECKING:
    from nemo_retriever_dagster.model import Failure
    from nemo_retriever_dagster.vdb.contract import SearchMode


@click.command()
@click.option("-c", "--corpus", required=True, help="Name of the corpus.")
def status(corpus: str) -> None:
    """Count the documents of a corpus by where they stand."""
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.settings import Settings

    with Ledger(Settings().ledger) as ledger:
        states, receipts = ledger.versions(corpus), ledger.receipts(corpus)
    counts: dict[str, int] = {}
    for state in states.values():
        counts[state.status] = counts.get(state.status, 0) + 1
    shown = ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "no documents"
    console.print(f"{corpus}: {shown}; {sum(receipt.rows for receipt in receipts)} rows")


@click.command()
@click.option("-c", "--corpus", required=True, help="Name of the corpus.")
def failures(corpus: str) -> None:
    """Show the documents that failed: where, why, what next."""
    found = failures_of(corpus)
    for failure in found:
        show_failure(failure)
    console.print(f"{len(found)} failed documents" if found else "No failed documents.")


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


def failures_of(corpus: str) -> list[Failure]:
    """Return the failures of a corpus that no success has replaced."""
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.settings import Settings

    with Ledger(Settings().ledger) as ledger:
        return ledger.failures(corpus)
