"""What the commands of a corpus share: finding it in a Python file, an instance to run it on, running it."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nemo_retriever_dagster.errors import InvalidOptionError, RetrieverError, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dagster as dg

    from nemo_retriever_dagster.corpus import DocumentCorpus, DocumentOutcome
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.retriever import Retriever

_FILE = "definitions.py"
_PROJECT = ("pyproject.toml", "dg.toml")
"""Files that a Dagster project has in its folder."""


def usual_place() -> str:
    """Return what is loaded where nothing is named: the file, or this folder where that alone is there."""
    return "." if any(Path(name).exists() for name in _PROJECT) and not Path(_FILE).exists() else _FILE


definitions_option = click.option(
    "-f", "--definitions", type=click.Path(exists=True, path_type=Path), default=usual_place,
    help="The Python file that makes the corpus, or the folder of a Dagster project with components.",
    show_default=f"{_FILE}, else the project of this folder",
)  # fmt: skip
place_option = click.option(
    "-f", "--definitions", type=click.Path(exists=True, path_type=Path), default=None,
    help="Use the resources of the corpora in this file or Dagster project, not the environment.",
)  # fmt: skip
corpus_option = click.option("-c", "--corpus", default=None, help="Name of the corpus, if the file makes several.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print failures only: no progress, no table.")


def load_corpus(path: Path, name: str | None) -> DocumentCorpus:
    """Return the `DocumentCorpus` that ``path`` makes, see `load_corpora`; ``name`` chooses among several."""
    found = load_corpora(path, [name] if name is not None else [])
    if len(found) != 1:
        raise _not_one(path, found, hint="Name one with --corpus.")
    return found[0]


def load_corpora(path: Path, names: Sequence[str]) -> list[DocumentCorpus]:
    """Return the corpora of ``names``, all without ``names``, each with the resources that its runs have.

    ``path`` is a Python file that makes or imports them, or a folder in a Dagster project, whose components and
    definitions are loaded as Dagster loads them.
    """
    import dagster as dg

    from nemo_retriever_dagster.corpus import DocumentCorpus
    from nemo_retriever_dagster.corpus.document_corpus import noting

    sys.path[:0] = _roots(path.absolute())
    with noting() as noted, _explained(path):
        made = _project(path) if path.is_dir() else _made_by(path)
    for definitions in (one for one in made if isinstance(one, dg.Definitions)):
        for corpus in noted:
            corpus.join(definitions.resources or {})
    found = {corpus.name: corpus for corpus in (*made, *noted) if isinstance(corpus, DocumentCorpus)}
    if not found or any(name not in found for name in names):
        raise _not_one(path, list(found.values()), hint="Name one of these, or another file or project with -f.")
    return [found[name] for name in names or found]


def _roots(path: Path) -> list[str]:
    """Return from where modules are imported: the file's folder, and its project with what is in ``src``."""
    folder = path if path.is_dir() else path.parent
    projects = (one for one in (folder, *folder.parents) if any((one / name).exists() for name in _PROJECT))
    root = next(projects, folder)
    return list(map(str, (folder, root, root / "src")))


def _project(folder: Path) -> list[Any]:
    """Return the definitions of the Dagster project that ``folder`` is in."""
    import dagster as dg

    return [dg.load_from_defs_folder(path_within_project=folder.absolute())]


def _made_by(path: Path) -> list[Any]:
    """Return what the Python file at ``path`` makes or imports; a function under ``@dg.definitions`` is called."""
    from dagster.components.definitions import LazyDefinitions

    made = runpy.run_path(str(path)).values()
    return [value() if isinstance(value, LazyDefinitions) else value for value in made]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in two lines why ``path`` cannot be loaded, and where in it."""
    try:
        yield
    except RetrieverError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}, line {line}," if line else f"{path}"
        said = redact(str(error)).strip().partition("\n")[0].removesuffix(".")
        message = f"{where} cannot be run: {type(error).__name__}: {said}."
        raise InvalidOptionError(message, hint="Correct it; `nrd -v COMMAND` shows the traceback.") from error


def _not_one(path: Path, found: Sequence[DocumentCorpus], *, hint: str) -> InvalidOptionError:
    listed = ", ".join(sorted(corpus.name for corpus in found)) or "none"
    return InvalidOptionError(f"{path} makes these corpora: {listed}.", hint=hint)


def materialize(corpus: DocumentCorpus, keys: Sequence[str] | None, *, quiet: bool) -> dict[str, DocumentOutcome]:
    """Materialize the documents of ``keys``, all without; return what became of them. ``quiet`` shows no progress."""
    from nemo_retriever_dagster.corpus import materialize_documents
    from nemo_retriever_dagster.corpus.watching import watched

    with watched(shown=not quiet), instance() as chosen:
        return materialize_documents(corpus, keys, instance=chosen, log_level="CRITICAL")


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """Hand out the instance of DAGSTER_HOME, or one that is forgotten."""
    import dagster as dg

    with dg.DagsterInstance.get() if "DAGSTER_HOME" in os.environ else dg.DagsterInstance.ephemeral() as chosen:
        yield chosen


def open_ledger(place: str) -> Ledger:
    """Open the ledger at ``place``, a URL; a wrong call where there is none yet: to look makes nothing."""
    from nemo_retriever_dagster.ledger import Ledger

    if Ledger.absent(place):
        raise click.UsageError(f"There is no ledger {place} yet: nothing was ingested here.")
    return Ledger(place)


@contextmanager
def retriever_of(corpus: DocumentCorpus) -> Iterator[Retriever]:
    """Hand out what searches the first collection of a corpus, in its store and with its embedder."""
    from nemo_retriever_dagster.corpus.resources import ENGINES, STATE, STORE, initialized
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.stages import collections

    if corpus.pipeline.upload is None:
        raise InvalidOptionError(f"The corpus {corpus.name} has no collection.", hint="Give it a vdb_upload().")
    with initialized(corpus.resources(), STATE, STORE, ENGINES) as (state, stores, engines):
        settings, pipeline = state.settings(), corpus.pipeline
        open_ledger(settings.ledger).close()  # before anything was ingested, opening the store would make one
        embedder = engines.engines(pipeline, settings).embedder
        with closing(stores.open(pipeline, settings, what=f"corpus {corpus.name}, query", run_id="")) as store:
            yield Retriever(next(iter(collections(pipeline.upload))), store=store, embedder=embedder)
