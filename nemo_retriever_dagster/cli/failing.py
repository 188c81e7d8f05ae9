"""``failures``, and which failed documents a command means: by key, or by path or URI as one would type it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nemo_retriever_dagster.cli.answering import Answer, answering
from nemo_retriever_dagster.cli.corpora import place_option
from nemo_retriever_dagster.cli.reading import meant
from nemo_retriever_dagster.cli.shown import console, show_failure, show_whole_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.model import Failure


@click.command()
@click.argument("document", required=False)
@click.option("-c", "--corpus", help="Name of the corpus; all that the ledger knows without it.")
@place_option
@answering
def failures(document: str | None, definitions: Path | None, corpus: str | None, *, answer: Answer) -> None:
    """Show the documents that failed: where, why, what next.

    With DOCUMENT (its key, path or URI) all that is known of its failure, and the command that retries it alone.
    """
    found = [(name, failure) for name, ledger in meant(definitions, corpus) for failure in ledger.failures(name)]
    if document is None:
        answer.text(_show_failures, [failure for _, failure in found])
    else:
        called = {failure.document for failure in named([failure for _, failure in found], [document])}
        found = [(name, failure) for name, failure in found if failure.document in called]
        for name, failure in found:
            answer.text(show_whole_failure, name, failure, _retry(definitions, name, failure))
    answer.json({"failures": [{"corpus": name, **failure.to_json()} for name, failure in found]})


def named(failures: Sequence[Failure], names: Sequence[str]) -> list[Failure]:
    """Return the failures of the documents that ``names`` call, all without; `click.UsageError` for one without."""
    strange = [name for name in names if not any(_calls(name, failure) for failure in failures)]
    if strange:
        raise click.UsageError(f"There is no failure of {', '.join(strange)}; `nrd failures` lists all.")
    return [failure for failure in failures if not names or any(_calls(name, failure) for name in names)]


def _calls(name: str, failure: Failure) -> bool:
    if name in {failure.document, failure.uri}:
        return True
    return "://" not in failure.uri and Path(name).absolute() == Path(failure.uri).absolute()


def _retry(definitions: Path | None, corpus: str, failure: Failure) -> str:
    place = [] if definitions is None else ["-f", str(definitions)]
    return shlex.join(["nrd", "retry", *place, "-c", corpus, failure.document])


def _show_failures(found: Sequence[Failure]) -> None:
    for failure in found:
        show_failure(failure)
    console.print(f"{len(found)} failed documents" if found else "No failed documents.")
