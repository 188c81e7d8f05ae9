"""``nrd``: plan, ingest, status, failures, retry, reindex, query, doctor, from a terminal.

Commands that only read (status, failures, query) do not import Dagster. Every error is at most four lines: what, why,
what next; ``-v`` adds the traceback.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from nemo_retriever_dagster.errors import RetrieverError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import dagster as dg

    from nemo_retriever_dagster.corpus import DocumentCorpus, DocumentOutcome
    from nemo_retriever_dagster.model import Failure
    from nemo_retriever_dagster.retriever import Hit

_console = Console()
_SHOWN_TEXT = 240


class _Commands(click.Group):
    """Turns our errors into a few lines and an exit code: 1 for a failed document, 2 for a wrong call."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except RetrieverError as error:
            if context.params.get("verbose"):
                raise
            click.echo(f"{error.message}\n{error.hint}".strip(), err=True)
            context.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="nemo-retriever-dagster")
def main(*, verbose: bool) -> None:
    """Keep a Milvus RAG index true to a changing pile of documents."""
    del verbose


_definitions = click.option(
    "-f", "--definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path), default="definitions.py",
    help="The Python file that makes the corpus.", show_default=True,
)  # fmt: skip
_corpus = click.option("-c", "--corpus", default=None, help="Name of the corpus, if the file makes several.")


@main.command()
@_definitions
@_corpus
def plan(definitions: Path, corpus: str | None) -> None:
    """Say what an ingest would do: new, changed, unchanged, vanished documents."""
    from nemo_retriever_dagster.corpus.discovery import look
    from nemo_retriever_dagster.equip import engines_for
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.settings import Settings

    chosen = load_corpus(definitions, corpus)
    settings = Settings()
    with Ledger(settings.ledger) as ledger:
        found = look(chosen, ledger, engines_for(chosen.pipeline, settings))
    table = Table("document", "what", box=None)
    for word in ("new", "changed", "unfinished", "outdated", "failed"):
        for document in getattr(found, word):
            table.add_row(document.uri, word)
    for key in found.vanished:
        table.add_row(key, "vanished")
    _console.print(table)
    _console.print(", ".join(f"{number} {word}" for word, number in found.counts().items()))


@main.command()
@_definitions
@_corpus
@click.option("--query", "question", help="Ask this afterwards and show the hits.")
@click.option("--top-k", default=3, show_default=True)
@click.option("--allow-failures", is_flag=True, help="Exit with 0 although documents failed.")
def ingest(definitions: Path, corpus: str | None, question: str | None, *, top_k: int, allow_failures: bool) -> None:
    """Materialize every document of a corpus, and print what became of them."""
    chosen = load_corpus(definitions, corpus)
    outcomes = _materialize(chosen, None)
    _summary(chosen.name, outcomes)
    if question:
        _ask(chosen, question, top_k)
    failed = sum(not outcome.succeeded for outcome in outcomes.values())
    sys.exit(1 if failed and not allow_failures else 0)


@main.command()
@_definitions
@_corpus
@click.option("--stage", help="Only documents that failed at this stage.")
@click.option("--category", help="Only failures of this category: data, transient, infrastructure, misuse.")
def retry(definitions: Path, corpus: str | None, stage: str | None, category: str | None) -> None:
    """Materialize only the documents that failed."""
    chosen = load_corpus(definitions, corpus)
    keys = [
        failure.document
        for failure in _failures(chosen.name)
        if stage in {None, failure.stage} and category in {None, failure.category}
    ]
    if not keys:
        _console.print("No failure matches.")
        return
    outcomes = _materialize(chosen, keys)
    _summary(chosen.name, outcomes)
    sys.exit(1 if any(not outcome.succeeded for outcome in outcomes.values()) else 0)


@main.command()
@_definitions
@_corpus
@click.option("--drop-former", is_flag=True, help="Drop the collections that served before, after the switch.")
def reindex(definitions: Path, corpus: str | None, *, drop_former: bool) -> None:
    """Build new collections beside those that serve, for a new embedder or options; switch when they are complete."""
    chosen = load_corpus(definitions, corpus)
    config = {
        "ops": {"reindex": {"config": {"drop_former": drop_former}}},
        "loggers": {"console": {"config": {"log_level": "WARNING"}}},
    }
    with _instance() as instance:
        job = chosen.definitions().resolve_job_def(f"{chosen.name}_reindex")
        job.execute_in_process(run_config=config, instance=instance)
    _console.print(f"{chosen.name}: the collections that serve are complete and up to date.")


@main.command()
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
    _console.print(f"{corpus}: {shown}; {sum(receipt.rows for receipt in receipts)} rows")


@main.command()
@click.option("-c", "--corpus", required=True, help="Name of the corpus.")
def failures(corpus: str) -> None:
    """Show the documents that failed: where, why, what next."""
    found = _failures(corpus)
    for failure in found:
        _show_failure(failure)
    _console.print(f"{len(found)} failed documents" if found else "No failed documents.")


@main.command()
@click.argument("question")
@click.option("--collection", default="nv_ingest_collection", show_default=True)
@click.option("--milvus-uri", default=None, help="Path ending .db, or URL of a server.")
@click.option("--top-k", default=5, show_default=True)
def query(question: str, collection: str, milvus_uri: str | None, top_k: int) -> None:
    """Search a collection and show the hits with their sources."""
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.settings import Settings

    with Retriever(collection, milvus_uri=milvus_uri or Settings().milvus_uri) as retriever:
        _show_hits(question, retriever.query(question, top_k=top_k))


@main.command()
def doctor() -> None:
    """Check engines, state folder and the parts that are optional."""
    from nemo_retriever_dagster import doctor as checks

    table = Table("part", "state", "what to do", box=None)
    findings = checks.examine()
    for finding in findings:
        table.add_row(finding.part, "[green]ok" if finding.ok else "[red]no", finding.note)
    _console.print(table)
    sys.exit(0 if all(finding.ok or finding.optional for finding in findings) else 1)


# --- what the commands share ---


def load_corpus(path: Path, name: str | None) -> DocumentCorpus:
    """Return the `DocumentCorpus` that the Python file at ``path`` makes or imports; ``name`` chooses among several."""
    import runpy

    from nemo_retriever_dagster.corpus import DocumentCorpus
    from nemo_retriever_dagster.errors import InvalidOptionError

    sys.path.insert(0, str(path.parent.absolute()))
    made = runpy.run_path(str(path))
    found = {value.name: value for value in made.values() if isinstance(value, DocumentCorpus)}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is None or name not in found:
        listed = ", ".join(sorted(found)) or "none"
        raise InvalidOptionError(f"{path} makes these corpora: {listed}.", hint="Name one with --corpus.")
    return found[name]


def _materialize(corpus: DocumentCorpus, keys: Sequence[str] | None) -> dict[str, DocumentOutcome]:
    from nemo_retriever_dagster.corpus import materialize_documents

    with _instance() as instance:
        return materialize_documents(corpus, keys, instance=instance, log_level="CRITICAL")


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """Hand out the instance of DAGSTER_HOME, or one that is forgotten."""
    import os

    import dagster as dg

    with dg.DagsterInstance.get() if "DAGSTER_HOME" in os.environ else dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _short(uri: str) -> str:
    """Return a local path as seen from here, any other URI as it is."""
    here = f"{Path.cwd()}/"
    return uri.removeprefix(here)


def _summary(name: str, outcomes: Mapping[str, DocumentOutcome]) -> None:
    good = [outcome for outcome in outcomes.values() if outcome.succeeded]
    bad = [outcome for outcome in outcomes.values() if not outcome.succeeded]
    table = Table("document", "pages", "chunks", "rows", "seconds", title=f"corpus {name}", title_justify="left")
    for outcome in good:
        facts = outcome.metadata
        numbers = [str(facts.get(field, "")) for field in ("pages", "chunks", "rows")]
        table.add_row(_short(outcome.uri), *numbers, f"{facts.get('seconds/total', 0):.2f}")
    _console.print(table)
    for outcome in bad:
        facts = outcome.metadata
        _console.print(f"[red]failed[/] {_short(outcome.uri)} at stage {facts.get('stage')}", highlight=False)
        _console.print(f"  why:  {facts.get('cause')}\n  next: {facts.get('hint')}", highlight=False, markup=False)
    chunks = sum(outcome.metadata.get("chunks", 0) for outcome in good)
    _console.print(f"{len(outcomes)} documents: {len(good)} done, {len(bad)} failed; {chunks} chunks", highlight=False)


def _ask(corpus: DocumentCorpus, question: str, top_k: int) -> None:
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.settings import Settings
    from nemo_retriever_dagster.stages import collections

    upload = corpus.pipeline.upload
    uri = (upload.milvus_uri if upload else None) or Settings().milvus_uri
    with Retriever(next(iter(collections(upload))), milvus_uri=uri) as retriever:
        _show_hits(question, retriever.query(question, top_k=top_k))


def _show_hits(question: str, hits: Sequence[Hit]) -> None:
    _console.print(f"\n[bold]{question}[/]", highlight=False)
    for n, hit in enumerate(hits, start=1):
        page = f", page {hit.page}" if hit.page and hit.page > 0 else ""
        _console.print(
            f"{n}. {_short(hit.source)}{page} (score {hit.score:.3f}, run {hit.run_id[:8]})", highlight=False
        )
        _console.print(f"   {' '.join(hit.text.split())[:_SHOWN_TEXT]}", highlight=False, markup=False)
    if not hits:
        _console.print("No hits.")


def _failures(corpus: str) -> list[Failure]:
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.settings import Settings

    with Ledger(Settings().ledger) as ledger:
        return ledger.failures(corpus)


def _show_failure(failure: Failure) -> None:
    _console.print(
        f"[red]{failure.uri}[/] {failure.stage} ({failure.category}, {failure.attempts} attempts)", highlight=False
    )
    _console.print(f"  {failure.cause}\n  {failure.hint}", highlight=False, markup=False)


if __name__ == "__main__":
    main()
