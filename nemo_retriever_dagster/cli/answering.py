"""``--json``: what a command found, as text for people or as one JSON document for programs."""

from __future__ import annotations

import functools
import json
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from nemo_retriever_dagster.jsonable import plain
from nemo_retriever_dagster.tokens import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nemo_retriever_dagster.ledger import DocumentState
    from nemo_retriever_dagster.model import Document, type_json


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a command says what it found. ``stream`` takes the JSON document; None where text is wanted."""

    stream: IO[str] | None

    def text(self, show: Callable[..., None], *found: Any, **options: Any) -> None:
        """Show what was found, where text is wanted: ``show`` is called with it."""
        if self.stream is None:
            show(*found, **options)

    def json(self, found: Mapping[str, Any]) -> None:
        """Print the whole answer, where JSON is wanted: one line of ASCII, which any stream takes."""
        if self.stream is not None:
            whole = json.loads(encodable(json.dumps(plain(found), ensure_ascii=False)))
            click.echo(json.dumps(whole), file=self.stream)


def answering(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--json``, and itself an `Answer`, ``answer``.

    With the option, whatever else is printed (by the Python file of the corpus, say) goes to stderr.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for other programs.")
    @functools.wraps(command)
    def answered(*arguments: Any, as_json: bool, **options: Any) -> None:
        answer = Answer(sys.stdout if as_json else None)
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            command(*arguments, answer=answer, **options)

    return answered


def named(document: Document | DocumentState) -> dict[str, type_json]:
    """Return how a document is named: by its key, which is its partition's, and by its URI as the source gives it."""
    return {"document": document.key, "uri": document.uri}


def state_as_json(state: DocumentState) -> dict[str, type_json]:
    """Return all that the ledger knows of a document."""
    fields = asdict(state)
    del fields["key"]
    return {**named(state), **fields}
