"""What an op works with: the runner of its corpus, made from the run's resources and given back when the op ends."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.corpus.resources import ENGINES, STATE, STORE
from nemo_retriever_dagster.corpus.watching import all_through
from nemo_retriever_dagster.equip import equipped, prepare
from nemo_retriever_dagster.errors import DocumentGoneError, RetrieverError, Stage
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Document, Failure
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.source import Source
from nemo_retriever_dagster.source_names import shown
from nemo_retriever_dagster.work import Result, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import dagster as dg

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.ledger import DocumentState
    from nemo_retriever_dagster.limits import Limits
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """The facts of a corpus that its ops need: name, source, pipeline, limits. Frozen; shared by all of its ops."""

    name: str
    source: Any
    storage_options: Mapping[str, Any]
    pipeline: Pipeline
    limits: Limits
    workers: int
    concurrency: int

    @property
    def shown(self) -> str:
        """The source in words, without passwords and tokens."""
        return ", ".join(map(shown, self.documents().specs))

    def documents(self) -> Source:
        """Return the source; nothing is looked at yet."""
        return Source(self.source, storage_options=self.storage_options, limits=self.limits)

    def outcome_fingerprint(self, engines: Engines) -> str:
        """Return the fingerprint of all that decides whether a document gets through."""
        return self.pipeline.outcome_fingerprint(engines, self.limits)

    def begin(self, ledger: Ledger, keys: Sequence[str], run_id: str) -> list[Result]:
        """Return the work of partition keys; a key whose document is nowhere is a Failure from the start."""
        documents = find(self, ledger, keys)
        return [start(documents, key, run_id) for key in keys]


def settings_of(context: dg.OpExecutionContext) -> Settings:
    """Return the surroundings as the run's state resource has them."""
    found: Settings = getattr(context.resources, STATE).settings()
    return found


@contextmanager
def ledger_of(context: dg.OpExecutionContext) -> Iterator[Ledger]:
    """Hand out the corpus's ledger."""
    with Ledger(settings_of(context).ledger) as ledger:
        yield ledger


@contextmanager
def session(plant: Plant, context: dg.OpExecutionContext, stages: Sequence[Stage]) -> Iterator[Runner]:
    """Hand out a runner for ``stages``; what those need is checked first, so that nothing is begun in vain."""
    settings = settings_of(context)
    engines = getattr(context.resources, ENGINES).engines(plant.pipeline, settings)
    getattr(context.resources, ENGINES).await_ready(engines, stages)
    store = None
    if Stage.UPLOAD in stages:
        store = getattr(context.resources, STORE).open(
            plant.pipeline, settings, what=f"corpus {plant.name}", run_id=context.run_id
        )
    try:
        with equipped(
            plant.pipeline,
            plant.documents(),
            settings,
            corpus=plant.name,
            run_id=context.run_id,
            engines=engines,
            store=store,
            workers=plant.workers,
            limits=plant.limits,
        ) as equipment:
            runner = Runner(plant.pipeline, equipment, run_id=context.run_id, concurrency=plant.concurrency)
            try:
                if Stage.EMBED in stages or Stage.UPLOAD in stages:
                    portal.run(prepare(plant.pipeline, engines, store))
                yield runner
            finally:
                runner.close()
    finally:
        if store is not None:
            store.close()


def through(
    plant: Plant, context: dg.OpExecutionContext, begun: Sequence[Result], stages: Sequence[Stage]
) -> list[Result]:
    """Take results through ``stages`` and wait.

    What keeps the stages from beginning at all (an engine that is down, a store that another run holds) is a Failure of
    each document, so that it is told, retried and settled as any other.
    """
    try:
        with session(plant, context, stages) as runner:
            return all_through(runner, begun, stages)
    except RetrieverError as error:
        return [_stopped(result, stages[-1], error, context.run_id) for result in begun]


def _stopped(result: Result, stage: Stage, error: RetrieverError, run_id: str) -> Failure:
    return result if isinstance(result, Failure) else Failure.of(result.document, stage, error, run_id=run_id)


def find(plant: Plant, ledger: Ledger, keys: Sequence[str]) -> dict[str, Document]:
    """Return the documents of partition keys: from the ledger, which discovery fills, else from the source itself.

    A key that neither knows is left out.
    """
    states = ledger.versions(plant.name, keys)
    known = {key: states[key] for key in keys if key in states and _seen(states[key])}
    documents = {k: Document(uri=s.uri, key=k, size=s.size, version=s.version) for k, s in known.items()}
    if len(documents) < len(keys):
        missing = set(keys) - set(documents)
        found = [document for document in plant.documents().list() if document.key in missing]
        ledger.remember(plant.name, found)
        documents.update({document.key: document for document in found})
    return documents


def _seen(state: DocumentState) -> bool:
    """Whether the document was ever seen at the source: a failure is also kept of one that was not."""
    return bool(state.version) or state.size >= 0


def start(documents: Mapping[str, Document], key: str, run_id: str) -> Result:
    """Return the work on one document, or the Failure that it is gone."""
    if key in documents:
        return Work(document=documents[key])
    error = DocumentGoneError("No document of the source has this partition key.")
    return Failure.of(Document(uri=key, key=key), Stage.SOURCE, error, run_id=run_id)
