"""Commands that change a corpus: plan what an ingest would do, ingest, retry, remove, reindex."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.text import Text

from nemo_retriever_dagster.cli.answering import Answer, answering, named
from nemo_retriever_dagster.cli.corpora import (
    corpus_option,
    definitions_option,
    instance,
    load_corpus,
    materialize,
    quiet_option,
    retriever_of,
)
from nemo_retriever_dagster.cli.failing import named as named_failures
from nemo_retriever_dagster.cli.shown import console, documents_table, short, show_hits, summary
from nemo_retriever_dagster.errors import Category, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.model import type_json
    from nemo_retriever_dagster.planning import Plan

_STAGES = [stage.value for stage in Stage]
_CATEGORIES = [category.value for category in Category]


@click.command()
@definitions_option
@corpus_option
@answering
def plan(definitions: Path, corpus: str | None, *, answer: Answer) -> None:
    """Show what an ingest would do, and ask of engines.

    Lists the documents that are new, changed, unfinished, outdated, failed or vanished; changes nothing.
    """
    from nemo_retriever_dagster.cli.foreseen import foresee, foreseen_as_json, show_foreseen
    from nemo_retriever_dagster.corpus.discovery import look
    from nemo_retriever_dagster.corpus.resources import ENGINES, STATE, initialized
    from nemo_retriever_dagster.ledger import Ledger

    chosen = load_corpus(definitions, corpus)
    with initialized(chosen.resources(), STATE, ENGINES) as (state, engines), Ledger(state.settings().ledger) as ledger:
        asked = engines.engines(chosen.pipeline, state.settings())
        found = look(chosen, ledger, asked)
        due, demands = foresee(chosen, found, ledger, asked)
    answer.text(_show_plan, found)
    answer.text(show_foreseen, due, demands)
    answer.json({"corpus": chosen.name, **_plan_as_json(found), **foreseen_as_json(due, demands)})


def _plan_as_json(found: Plan) -> dict[str, type_json]:
    """Return the documents under each word that is counted, and what was passed over."""
    counts = found.counts()
    words = {word: found.gone if word == "vanished" else getattr(found, word) for word in counts}
    listed = {word: [named(document) for document in documents] for word, documents in words.items()}
    return {"counts": counts, **listed, "passed_over": [asdict(skipped) for skipped in found.passed_over]}


def _show_plan(found: Plan) -> None:
    table = documents_table("what", box=None)
    for word in ("new", "changed", "unfinished", "outdated", "failed"):
        for document in getattr(found, word):
            table.add_row(Text(short(document.uri)), word)
    for vanished in found.gone:
        table.add_row(Text(short(vanished.uri)), "vanished")
    for skipped in found.passed_over:
        if skipped.lost:
            table.add_row(Text(short(skipped.uri)), skipped.reason)
    console.print(table)
    console.print(", ".join(f"{number} {word}" for word, number in found.counts().items()))
    if found.gone:
        console.print("Vanished documents stay searchable until the sensor or `nrd remove` takes them out.")


@click.command()
@definitions_option
@corpus_option
@click.option("--query", "question", help="Ask the collection this afterwards, and show the hits.")
@click.option("--top-k", default=3, show_default=True)
@click.option("--allow-failures", is_flag=True, help="Exit with 0 although documents failed.")
@quiet_option
def ingest(
    definitions: Path, corpus: str | None, question: str | None, *, top_k: int, allow_failures: bool, quiet: bool
) -> None:
    """Materialize all documents of a corpus.

    What is done already is not done again. Prints what became of each; exits with 1 if any failed.
    """
    chosen = load_corpus(definitions, corpus)
    outcomes = materialize(chosen, None, quiet=quiet)
    summary(chosen.name, outcomes, quiet=quiet)
    if question:
        with retriever_of(chosen) as retriever:
            show_hits(question, retriever.query(question, top_k=top_k))
    failed = sum(not outcome.succeeded for outcome in outcomes.values())
    sys.exit(1 if failed and not allow_failures else 0)


@click.command()
@definitions_option
@corpus_option
@click.argument("documents", metavar="[DOCUMENT]...", nargs=-1)
@click.option("--stage", type=click.Choice(_STAGES), help="Only documents that failed at this stage.")
@click.option("--category", type=click.Choice(_CATEGORIES), help="Only failures of this category.")
@quiet_option
def retry(
    definitions: Path,
    corpus: str | None,
    documents: tuple[str, ...],
    *,
    stage: str | None,
    category: str | None,
    quiet: bool,
) -> None:
    """Materialize only the documents that failed.

    With DOCUMENTs (key, path or URI of each) only these of them.
    """
    from nemo_retriever_dagster.corpus.resources import STATE, initialized
    from nemo_retriever_dagster.ledger import Ledger

    chosen = load_corpus(definitions, corpus)
    with initialized(chosen.resources(), STATE) as (state,), Ledger(state.settings().ledger) as ledger:
        failed = named_failures(ledger.failures(chosen.name), documents)
    keys = [
        failure.document
        for failure in failed
        if stage in {None, failure.stage} and category in {None, failure.category}
    ]
    if not keys:
        if not quiet:
            console.print("No failure matches.")
        return
    outcomes = materialize(chosen, keys, quiet=quiet)
    summary(chosen.name, outcomes, quiet=quiet)
    sys.exit(1 if any(not outcome.succeeded for outcome in outcomes.values()) else 0)


@click.command()
@definitions_option
@corpus_option
@quiet_option
def remove(definitions: Path, corpus: str | None, *, quiet: bool) -> None:
    """Remove the documents that are gone from the source.

    Their rows, stored pictures, receipts and partitions are deleted, as by the sensor: none at all where more are
    gone than the corpus's max_deletions.
    """
    from nemo_retriever_dagster.corpus.discovery import look
    from nemo_retriever_dagster.corpus.repair import repair_documents
    from nemo_retriever_dagster.corpus.resources import STATE, initialized
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.verification import Repair

    chosen = load_corpus(definitions, corpus)
    with initialized(chosen.resources(), STATE) as (state,), Ledger(state.settings().ledger) as ledger:
        found = look(chosen, ledger)
    gone = {document.key: document.uri for document in found.gone}
    with instance() as place:
        repair = Repair(removed=tuple(gone), known=len(found.present()) + len(gone), names=gone)
        repair_documents(chosen, repair, instance=place, log_level="CRITICAL")
    if not quiet:
        for uri in gone.values():
            console.print(f"removed {short(uri)}", highlight=False, markup=False)
        console.print(f"{len(gone)} documents removed", highlight=False)


@click.command()
@definitions_option
@corpus_option
@click.option("--drop-former", is_flag=True, help="Drop the collections that served before, after the switch.")
@quiet_option
def reindex(definitions: Path, corpus: str | None, *, drop_former: bool, quiet: bool) -> None:
    """Rebuild the collections beside those that serve, then switch.

    For a new embedder or other options; readers see the old rows until the new ones are complete.
    """
    from nemo_retriever_dagster.corpus.watching import watched

    chosen = load_corpus(definitions, corpus)
    config = {
        "ops": {"reindex": {"config": {"drop_former": drop_former}}},
        "loggers": {"console": {"config": {"log_level": "WARNING"}}},
    }
    with watched(shown=not quiet), instance() as place:
        chosen.reindex_job.execute_in_process(run_config=config, instance=place, resources=chosen.resources())
    if not quiet:
        console.print(f"{chosen.name}: the collections that serve are complete and up to date.")
