"""Commands that only read: status, query, doctor; without Dagster, unless ``-f`` names a corpus of it."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from nemo_retriever_dagster.cli.answering import Answer, answering, state_as_json
from nemo_retriever_dagster.cli.corpora import load_corpora, load_corpus, open_ledger, place_option, retriever_of
from nemo_retriever_dagster.cli.shown import console, show_documents, show_hits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nemo_retriever_dagster.doctor import Finding
    from nemo_retriever_dagster.ledger import DocumentState, Ledger
    from nemo_retriever_dagster.model import Receipt, type_json
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.vdb.contract import SearchMode


@click.command()
@click.option("-c", "--corpus", help="Name of the corpus; all that the ledger knows without it.")
@click.option("-d", "--documents", is_flag=True, help="List each document: state, pages, rows, collection, run.")
@place_option
@answering
def status(definitions: Path | None, corpus: str | None, *, documents: bool, answer: Answer) -> None:
    """Count the documents of each corpus by state."""
    found = [_Standing.read(ledger, name) for name, ledger in meant(definitions, corpus)]
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


def meant(definitions: Path | None, corpus: str | None) -> Iterator[tuple[str, Ledger]]:
    """Yield the names of the corpora meant, each with its ledger: the one of its resources, or of the surroundings."""
    if definitions is None:
        from nemo_retriever_dagster.settings import Settings

        with open_ledger(Settings().ledger) as ledger:
            yield from ((name, ledger) for name in _named(ledger, corpus))
        return
    from nemo_retriever_dagster.corpus.resources import STATE, initialized

    for chosen in load_corpora(definitions, [corpus] if corpus is not None else []):
        with initialized(chosen.resources(), STATE) as (state,), open_ledger(state.settings().ledger) as ledger:
            yield chosen.name, ledger


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
@place_option
@click.option("-c", "--corpus", help="With -f: name of the corpus, if there are several.")
@click.option("--collection", help="Without -f.  [default: nv_ingest_collection]")
@click.option("--milvus-uri", help="Without -f: path ending .db, or URL of a server.")
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
    definitions: Path | None,
    corpus: str | None,
    collection: str | None,
    milvus_uri: str | None,
    top_k: int,
    mode: SearchMode,
    explain: bool,
    answer: Answer,
) -> None:
    """Search a collection and show the hits with their sources."""
    from nemo_retriever_dagster.cli.explaining import rank, reasons

    if (definitions is None and corpus) or (definitions is not None and (collection or milvus_uri)):
        raise click.UsageError("Name a corpus with -f (and -c), or a collection with --collection and --milvus-uri.")
    named = retriever_of(load_corpus(definitions, corpus)) if definitions else _retriever(collection, milvus_uri)
    with named as retriever:
        hits = retriever.query(question, top_k=top_k, mode=mode)
        ranks = rank(retriever, question, hits) if explain and hits else []
    answer.text(show_hits, question, hits, list(map(reasons, hits, ranks)))
    more: list[dict[str, type_json]] = [{"ranks": asdict(one)} for one in ranks] or [{}] * len(hits)
    listed = [{**asdict(hit), **one} for hit, one in zip(hits, more, strict=True)]
    answer.json({"question": question, "collection": retriever.collection_name, "mode": mode, "hits": listed})


@contextmanager
def _retriever(collection: str | None, milvus_uri: str | None) -> Iterator[Retriever]:
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.settings import Settings

    uri = milvus_uri or Settings().milvus_uri
    with Retriever(collection or "nv_ingest_collection", milvus_uri=uri) as retriever:
        yield retriever


@click.command()
@answering
def doctor(*, answer: Answer) -> None:
    """Check that engines, stores and optional parts can be used."""
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
