"""What the commands print: tables, failures, hits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.corpus import DocumentOutcome
    from nemo_retriever_dagster.model import Failure
    from nemo_retriever_dagster.retriever import Hit

console = Console()
_SHOWN_TEXT = 240


def short(uri: str) -> str:
    """Return a local path as seen from here, any other URI as it is."""
    return uri.removeprefix(f"{Path.cwd()}/")


def summary(name: str, outcomes: Mapping[str, DocumentOutcome]) -> None:
    """Print what became of each document."""
    good = [outcome for outcome in outcomes.values() if outcome.succeeded]
    bad = [outcome for outcome in outcomes.values() if not outcome.succeeded]
    table = Table("document", "pages", "chunks", "rows", "seconds", title=f"corpus {name}", title_justify="left")
    for outcome in good:
        facts = outcome.metadata
        numbers = [str(facts.get(field, "")) for field in ("pages", "chunks", "rows")]
        table.add_row(short(outcome.uri), *numbers, f"{facts.get('seconds/total', 0):.2f}")
    console.print(table)
    for outcome in bad:
        facts = outcome.metadata
        show_failed(short(outcome.uri), facts.get("stage"), facts.get("cause"), facts.get("hint"))
    chunks = sum(outcome.metadata.get("chunks", 0) for outcome in good)
    console.print(f"{len(outcomes)} documents: {len(good)} done, {len(bad)} failed; {chunks} chunks", highlight=False)


def show_failed(name: str, stage: object, cause: object, hint: object) -> None:
    """Print that a document failed: where, why, what next."""
    console.print("[red]failed[/] ", end="")
    console.print(f"{name} at stage {stage}\n  why:  {cause}\n  next: {hint}", highlight=False, markup=False)


def show_hits(question: str, hits: Sequence[Hit]) -> None:
    """Print the hits of a question with their sources."""
    console.print(f"\n[bold]{question}[/]", highlight=False)
    for n, hit in enumerate(hits, start=1):
        page = f", page {hit.page}" if hit.page and hit.page > 0 else ""
        console.print(f"{n}. {short(hit.source)}{page} (score {hit.score:.3f}, run {hit.run_id[:8]})", highlight=False)
        console.print(f"   {' '.join(hit.text.split())[:_SHOWN_TEXT]}", highlight=False, markup=False)
    if not hits:
        console.print("No hits.")


def show_failure(failure: Failure) -> None:
    """Print where a document failed, why and what next."""
    console.print(
        f"[red]{failure.uri}[/] {failure.stage} ({failure.category}, {failure.attempts} attempts)", highlight=False
    )
    console.print(f"  {failure.cause}\n  {failure.hint}", highlight=False, markup=False)
