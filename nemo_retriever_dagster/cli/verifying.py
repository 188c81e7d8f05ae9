"""``nrd verify``: is what the receipts say in the store, and if not, what sets it right."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from nemo_retriever_dagster.cli.answering import Answer, answering
from nemo_retriever_dagster.cli.corpora import definitions_option, instance, load_corpora
from nemo_retriever_dagster.cli.shown import console, documents_table, short, summary

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.corpus import DocumentCorpus
    from nemo_retriever_dagster.model import type_json
    from nemo_retriever_dagster.verification import Findings, Repair

_SHOWN = 5


@click.command()
@definitions_option
@click.argument("corpora", metavar="[CORPUS]...", nargs=-1)
@click.option("--contents", is_flag=True, help="Also read all rows and pictures, and compare what is in them.")
@click.option("--repair", is_flag=True, help="Carry the repair plan out, then verify again.")
@answering
def verify(definitions: Path, corpora: tuple[str, ...], *, contents: bool, repair: bool, answer: Answer) -> None:
    """Compare the store with the receipts of what was written.

    Receipts, rows, stored pictures and artifacts are counted and compared, and what would set them right is said; the
    exit code is 1 if anything differs. Without a CORPUS, all corpora of the file are verified.
    """
    chosen = load_corpora(definitions, corpora)
    seen = [_verify(corpus, answer, contents=contents, repair=repair) for corpus in chosen]
    answer.json({"corpora": [_as_json(verified) for verified in seen]})
    sys.exit(0 if all(verified.sound for verified in seen) else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What was found of a corpus, the repair planned where something differs, what was found after it was done."""

    corpus: str
    found: Findings
    repair: Repair | None = None
    after: Findings | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing differs in the end."""
        return not (self.after or self.found).problems


def _verify(corpus: DocumentCorpus, answer: Answer, *, contents: bool, repair: bool) -> _Verified:
    """Verify one corpus, repair it if that is asked for; each step is shown when it is done."""
    found = _look(corpus, contents=contents)
    answer.text(_show, corpus.name, found)
    if not found.problems:
        return _Verified(corpus=corpus.name, found=found)
    planned = _plan(corpus, found)
    answer.text(_show_plan, planned)
    if not repair:
        command = f"nrd verify {corpus.name}{' --contents' * contents} --repair"
        answer.text(_show_command, command)
        return _Verified(corpus=corpus.name, found=found, repair=planned)
    _carry_out(corpus, planned)
    after = _look(corpus, contents=contents)
    answer.text(_show, corpus.name, after)
    return _Verified(corpus=corpus.name, found=found, repair=planned, after=after)


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


def _as_json(verified: _Verified) -> dict[str, type_json]:
    return {
        "corpus": verified.corpus,
        "sound": verified.sound,
        "found": _findings_as_json(verified.found),
        "repair": _repair_as_json(verified.repair) if verified.repair else None,
        "after": _findings_as_json(verified.after) if verified.after else None,
    }


def _findings_as_json(found: Findings) -> dict[str, type_json]:
    return {
        **asdict(found),
        "problems": [{**asdict(problem), "what": problem.what} for problem in found.problems],
        "writing": [{"document": key} for key in found.writing],
        "remade": [{"uri": uri} for uri in found.remade],
        "unread": [{"uri": uri} for uri in found.unread],
    }


def _repair_as_json(repair: Repair) -> dict[str, type_json]:
    """Return the documents of each step, none for a step that is not needed."""
    steps = {name: getattr(repair, name) for name in ("emptied", "spoilt", "again", "removed")}
    return {name: [{"document": key, "uri": repair.names[key]} for key in keys] for name, keys in steps.items()}


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


def _show_command(command: str) -> None:
    console.print(f"`{command}` does this.", highlight=False)


def _show_plan(repair: Repair) -> None:
    console.print("To repair:")
    for number, (what, keys) in enumerate(repair.steps(), start=1):
        console.print(f"  {number}. {what}", highlight=False, markup=False)
        console.print(f"     {_listed([short(repair.names[key]) for key in keys])}", highlight=False, markup=False)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
