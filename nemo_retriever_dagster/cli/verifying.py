"""``nrd verify``: is what the receipts say in the store, and if not, what sets it right."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import click

from nemo_retriever_dagster.cli.corpora import definitions_option, instance, load_corpora
from nemo_retriever_dagster.cli.shown import console, documents_table, short, summary

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.corpus import DocumentCorpus
    from nemo_retriever_dagster.verification import Findings, Repair

_SHOWN = 5


@click.command()
@definitions_option
@click.argument("corpora", metavar="[CORPUS]...", nargs=-1)
@click.option("--contents", is_flag=True, help="Also read all rows and pictures, and compare what is in them.")
@click.option("--repair", is_flag=True, help="Carry the repair plan out, then verify again.")
def verify(definitions: Path, corpora: tuple[str, ...], *, contents: bool, repair: bool) -> None:
    """Hold receipts against what is in the store.

    Receipts, rows, stored pictures and artifacts are counted and compared, and what would set them right is said; the
    exit code is 1 if anything differs. Without a CORPUS, all corpora of the file are verified.
    """
    chosen = load_corpora(definitions, corpora)
    differing = [corpus for corpus in chosen if not _sound(corpus, contents=contents, repair=repair)]
    sys.exit(1 if differing else 0)


def _sound(corpus: DocumentCorpus, *, contents: bool, repair: bool) -> bool:
    """Verify one corpus, repair it if that is asked for; return whether nothing differs in the end."""
    found = _look(corpus, contents=contents)
    _show(corpus.name, found)
    if not found.problems:
        return True
    planned = _plan(corpus, found)
    _show_plan(planned)
    if not repair:
        command = f"nrd verify {corpus.name}{' --contents' * contents} --repair"
        console.print(f"`{command}` does this.", highlight=False)
        return False
    _carry_out(corpus, planned)
    after = _look(corpus, contents=contents)
    _show(corpus.name, after)
    return not after.problems


def _look(corpus: DocumentCorpus, *, contents: bool) -> Findings:
    from nemo_retriever_dagster import verification
    from nemo_retriever_dagster.artifacts import Artifacts
    from nemo_retriever_dagster.corpus.resources import STATE, STORE, initialized
    from nemo_retriever_dagster.equip import image_store
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.shelf import Shelf

    with initialized(corpus.resources(), STATE, STORE) as (state, stores):
        settings, pipeline = state.settings(), corpus.pipeline
    made = stores.open(pipeline, settings, what=f"corpus {corpus.name}, verify", run_id="") if pipeline.upload else None
    with Ledger(settings.ledger) as ledger, closing(made) if made is not None else nullcontext() as store:
        return verification.verify(
            corpus.name,
            pipeline,
            ledger,
            store,
            images=image_store(pipeline),
            shelf=Shelf(Artifacts(settings.artifacts, settings.artifacts_options)),
            contents=contents,
        )


def _plan(corpus: DocumentCorpus, found: Findings) -> Repair:
    from nemo_retriever_dagster.verification import Repair

    return Repair.of(found.problems, {document.key for document in corpus.plant.documents().list()})


def _carry_out(corpus: DocumentCorpus, repair: Repair) -> None:
    from nemo_retriever_dagster.corpus.repair import repair_documents

    with instance() as chosen:
        outcomes = repair_documents(corpus, repair, instance=chosen, log_level="CRITICAL")
    if outcomes:
        summary(corpus.name, outcomes)


def _show(name: str, found: Findings) -> None:
    verdict = f"[red]{len(found.problems)} differ[/]" if found.problems else "[green]all as the receipts say[/]"
    looked = f"{found.documents} documents, {found.rows} rows, {found.pictures} pictures"
    console.print(f"[bold]{name}[/]: {looked}: {verdict}", highlight=False)
    if found.writing:
        console.print(f"  left out, being written now: {_listed(found.writing)}", highlight=False, markup=False)
    if found.remade:
        console.print(f"  {len(found.remade)} documents: kept results of stages are gone from the artifacts; no fault, "
                      "they are made again when needed", highlight=False)  # fmt: skip
    if found.unread:
        console.print(f"  {len(found.unread)} documents: their receipts, of a former version, do not tell what was in "
                      "the rows, which were only counted; a re-index notes it", highlight=False)  # fmt: skip
    if found.problems:
        table = documents_table("what differs", box=None)
        for problem in found.problems:
            table.add_row(short(problem.uri), problem.what)
        console.print(table, markup=False)


def _show_plan(repair: Repair) -> None:
    console.print("To repair:")
    for number, (what, keys) in enumerate(repair.steps(), start=1):
        console.print(f"  {number}. {what}", highlight=False, markup=False)
        console.print(f"     {_listed([short(repair.names[key]) for key in keys])}", highlight=False, markup=False)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
