"""What the commands of a corpus share: finding it in a Python file, an instance to run it on, running it."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nemo_retriever_dagster.errors import InvalidOptionError, RetrieverError, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dagster as dg

    from nemo_retriever_dagster.corpus import DocumentCorpus, DocumentOutcome

definitions_option = click.option(
    "-f", "--definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path), default="definitions.py",
    help="The Python file that makes the corpus.", show_default=True,
)  # fmt: skip
corpus_option = click.option("-c", "--corpus", default=None, help="Name of the corpus, if the file makes several.")


def load_corpus(path: Path, name: str | None) -> DocumentCorpus:
    """Return the `DocumentCorpus` that the Python file at ``path`` makes or imports; ``name`` chooses among several."""
    found = load_corpora(path, [name] if name is not None else [])
    if len(found) != 1:
        raise _not_one(path, found, hint="Name one with --corpus.")
    return found[0]


def load_corpora(path: Path, names: Sequence[str]) -> list[DocumentCorpus]:
    """Return the corpora of ``names`` that the Python file at ``path`` makes or imports, all without ``names``."""
    from nemo_retriever_dagster.corpus import DocumentCorpus

    sys.path.insert(0, str(path.parent.absolute()))
    made = _made_by(path)
    found = {value.name: value for value in made.values() if isinstance(value, DocumentCorpus)}
    if not found or any(name not in found for name in names):
        raise _not_one(path, list(found.values()), hint="Name one of these, or another file with -f.")
    return [found[name] for name in names or found]


def _made_by(path: Path) -> dict[str, Any]:
    try:
        return runpy.run_path(str(path))
    except RetrieverError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}, line {line}," if line else f"{path}"
        message = f"{where} cannot be run: {type(error).__name__}: {redact(str(error))}."
        raise InvalidOptionError(message, hint="Correct it; `nrd -v COMMAND` shows the traceback.") from error


def _not_one(path: Path, found: Sequence[DocumentCorpus], *, hint: str) -> InvalidOptionError:
    listed = ", ".join(sorted(corpus.name for corpus in found)) or "none"
    return InvalidOptionError(f"{path} makes these corpora: {listed}.", hint=hint)


def materialize(corpus: DocumentCorpus, keys: Sequence[str] | None) -> dict[str, DocumentOutcome]:
    """Materialize the documents of ``keys``, all without; return what became of them."""
    from nemo_retriever_dagster.corpus import materialize_documents
    from nemo_retriever_dagster.corpus.watching import watched

    with watched(), instance() as chosen:
        return materialize_documents(corpus, keys, instance=chosen, log_level="CRITICAL")


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """Hand out the instance of DAGSTER_HOME, or one that is forgotten."""
    import dagster as dg

    with dg.DagsterInstance.get() if "DAGSTER_HOME" in os.environ else dg.DagsterInstance.ephemeral() as chosen:
        yield chosen
