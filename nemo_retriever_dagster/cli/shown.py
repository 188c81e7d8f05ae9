"""What the commands print: tables, failures, hits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from nemo_retriever_dagster.errors import Category

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.corpus import DocumentOutcome
    from nemo_retriever_dagster.hits import Hit
    from nemo_retriever_dagster.ledger import DocumentState
    from nemo_retriever_dagster.model import Failure, Receipt

_UNBOUNDED = 1_000_000


def _console(*, stderr: bool = False) -> Console:
    """Return a console: lines for a pipe or a file are not broken and names not cut, unless COLUMNS asks for it."""
    made = Console(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _UNBOUNDED
    return made


console = _console()
errors = _console(stderr=True)
_SHOWN_TEXT = 240
_TRIED_AGAIN = {
    Category.DATA: "tried again when its bytes, an option, an engine or a limit change",
    Category.TRANSIENT: "tried again by the schedule",
    Category.INFRASTRUCTURE: "tried again by the schedule",
    Category.MISUSE: "tried again by the schedule, in vain until it is corrected",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Also the marks that turn the direction of writing, by which one name can pass for another."""


def short(uri: str) -> str:
    """Return a local path as seen from here, any other URI as it is, without what a terminal would act on."""
    return harmless(uri.removeprefix(f"{Path.cwd()}/"))


def harmless(text: str) -> str:
    """Return text of a document with its control characters replaced: printed, they would act on the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def documents_table(*columns: str, **options: Any) -> Table:
    """Return a table of documents: a name that is too long goes on in the next line."""
    return Table(Column("document", overflow="fold"), *columns, **options)


def summary(name: str, outcomes: Mapping[str, DocumentOutcome], *, quiet: bool = False) -> None:
    """Print what became of each document, only the failures where that is to be ``quiet``."""
    good = [outcome for outcome in outcomes.values() if outcome.succeeded]
    bad = [outcome for outcome in outcomes.values() if not outcome.succeeded]
    if not quiet:
        _show_done(name, good)
    for outcome in bad:
        facts = outcome.metadata
        show_failed(short(outcome.uri), facts.get("stage"), facts.get("cause"), facts.get("hint"))
    if not quiet:
        chunks = sum(outcome.metadata.get("chunks", 0) for outcome in good)
        done = f"{len(outcomes)} documents: {len(good)} done, {len(bad)} failed; {chunks} chunks"
        console.print(done, highlight=False)


def _show_done(name: str, good: Sequence[DocumentOutcome]) -> None:
    table = documents_table("pages", "chunks", "rows", "seconds")
    table.title, table.title_justify = f"corpus {name}", "left"
    for outcome in good:
        facts = outcome.metadata
        numbers = [str(facts.get(field, "")) for field in ("pages", "chunks", "rows")]
        table.add_row(Text(short(outcome.uri)), *numbers, f"{facts.get('seconds/total', 0):.2f}")
    console.print(table)


def show_documents(documents: Sequence[tuple[DocumentState, Receipt | None]]) -> None:
    """Print where each document stands, and what its receipt says of its rows."""
    table = documents_table("state", "pages", "rows", "collection", "written", "run", box=None)
    for state, receipt in documents:
        cells = [Text(short(state.uri)), Text(state.status)]
        if receipt is not None:
            pages, when = str(receipt.counts.get("pages", "")), receipt.finished_at[:19]
            cells += map(Text, (pages, str(receipt.rows), receipt.collection, when, receipt.run_id[:8]))
        table.add_row(*cells)
    console.print(table)


def show_failed(name: str, stage: object, cause: object, hint: object, *, on: Console = console) -> None:
    """Print that a document failed: where, why, what next."""
    on.print("[red]failed[/] ", end="")
    said = harmless(f"{name} at stage {stage}\n  why:  {cause}\n  next: {hint}")
    on.print(said, highlight=False, markup=False)


def show_hits(question: str, hits: Sequence[Hit], reasons: Sequence[Sequence[str]] = ()) -> None:
    """Print the hits of a question with their sources, and below each the lines of its ``reasons``."""
    console.print(f"\n{question}", style="bold", highlight=False, markup=False)
    for n, hit in enumerate(hits, start=1):
        page = f", page {hit.page}" if hit.page and hit.page > 0 else ""
        run = f", run {harmless(hit.run_id[:8])}" if hit.run_id else ""
        line = f"{n}. {short(hit.source)}{page} (score {hit.score:.3f}{run})"
        text = f"   {harmless(' '.join(hit.text.split())[:_SHOWN_TEXT])}"
        why = [f"   {harmless(reason)}" for reason in (reasons[n - 1] if reasons else ())]
        console.print("\n".join([line, text, *why]), highlight=False, markup=False)
    if not hits:
        console.print("No hits.")


def show_failure(failure: Failure) -> None:
    """Print where a document failed, why and what next."""
    where = f" {failure.stage} ({failure.category}, {failure.attempts} attempts)"
    console.print(Text(harmless(failure.uri), style="red").append(where, style="default"))
    console.print(harmless(f"  {failure.cause}\n  {failure.hint}"), highlight=False, markup=False)


def show_whole_failure(corpus: str, failure: Failure, retry: str) -> None:
    """Print all that is known of a failure, a line each, and the command that retries its document alone."""
    console.print(Text(short(failure.uri), style="red"))
    known = {
        "corpus": corpus,
        "document": failure.document,
        "stage": failure.stage,
        "page": failure.page,
        "category": f"{failure.category}: {_TRIED_AGAIN[Category(failure.category)]}",
        "error": failure.kind,
        "cause": failure.cause,
        "hint": failure.hint,
        "attempts": failure.attempts,
        "failed at": failure.failed_at,
        "run": failure.run_id,
        "version": failure.version,
        "retry": retry,
    }
    for name, value in known.items():
        if value:
            console.print(harmless(f"  {name:9} {value}"), highlight=False, markup=False)
