"""Re-index without downtime: all rows are made anew in a collection beside the one that serves, then an alias switches.

Readers of "handbook" see all of the former rows until the switch and all of the new ones after it. Until then the build
has a corpus of its own in the ledger ("handbook > handbook_v2"), so a build that broke off is continued where it
stopped, and one for other options is begun anew. The switch happens only when the new collection holds exactly the rows
of its receipts, and every document that the former one holds. Then the receipts become the corpus's own.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.equip import collection_spec, vector_store
from nemo_retriever_dagster.errors import InvalidOptionError, Stage, VerificationError
from nemo_retriever_dagster.inventory import census
from nemo_retriever_dagster.ledger import BUILD_MARK, Ledger
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.vdb.aliases import Beside, next_names, serving, switch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.model import Document, Receipt
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.settings import Settings
    from nemo_retriever_dagster.sidecar import Sidecar
    from nemo_retriever_dagster.vdb.contract import AliasStore, CollectionSpec, VectorStore

_log = logging.getLogger(__name__)
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """A build beside the collections that serve: run the pipeline with ``store`` and ``building``, then `finish`."""

    store: Beside
    ledger: Ledger
    corpus: str
    run_id: str
    documents: frozenset[str]
    """The keys of all documents that belong into it."""

    @property
    def building(self) -> str:
        """The name under which the ledger knows the build."""
        return _corpus_of(self.corpus, self.store.names.values())

    def finish(self, *, gone: Collection[str] = ()) -> dict[str, str]:
        """Switch every alias if the build is complete and right; return the collections that served, by alias.

        ``gone`` are documents that the former collections may hold and the new ones need not. Raise
        `VerificationError`, changing nothing, if a row differs from the receipts or a document is missing.
        """
        self._tidy()
        self._verify()
        self._miss_nothing(set(gone))
        self._undo_nothing()
        before = {alias: switch(self.store.store, alias, name) for alias, name in self.store.names.items()}
        hand_over(self.ledger, self.building, self.corpus)
        _log.info("%s: %s serve now", self.corpus, ", ".join(self.store.names.values()))
        return before

    def _tidy(self) -> None:
        """Remove what an earlier attempt wrote of documents that are no longer asked for."""
        committer = Committer(store=self.store, ledger=self.ledger, corpus=self.building, run_id=self.run_id)
        for key in sorted(set(self.ledger.versions(self.building)) - self.documents):
            committer.clear(key)
            committer.forget(key)

    def _verify(self) -> None:
        receipts = self.ledger.receipts(self.building)
        expected = {receipt.document: {receipt.generation: receipt.rows} for receipt in receipts if receipt.rows}
        found = census(self.store, list(self.store.names))
        wrong = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
        if wrong:
            told = "; ".join(f"{key}: {found.get(key, {})}, expected {expected.get(key, {})}" for key in wrong[:_SHOWN])
            raise self._incomplete(f"the rows of {len(wrong)} documents are not those of their receipts ({told})")

    def _miss_nothing(self, gone: set[str]) -> None:
        there = [alias for alias, name in serving(self.store.store, list(self.store.names)).items() if name]
        done = {receipt.document for receipt in self.ledger.receipts(self.building)}
        missing = sorted(set(census(self.store.store, there)) - done - gone)
        if missing:
            shown = ", ".join(missing[:_SHOWN])
            raise self._incomplete(f"{len(missing)} documents that are searched now are not in it ({shown})")

    def _undo_nothing(self) -> None:
        """Raise if an ordinary run wrote a document anew since it was built: the switch would undo that."""
        built = {receipt.document: receipt for receipt in self.ledger.receipts(self.building)}
        both = ((built[now.document], now) for now in self.ledger.receipts(self.corpus) if now.document in built)
        late = [old.document for old, now in both if now.sha256 != old.sha256 and now.finished_at > old.finished_at]
        if late:
            raise self._incomplete(f"{len(late)} documents were changed since ({', '.join(late[:_SHOWN])})")

    def _incomplete(self, why: str) -> VerificationError:
        names = ", ".join(self.store.names.values())
        return VerificationError(
            f"{names} is not complete: {why}. The former collection still serves.",
            hint="Run it again with all documents: what is done is kept. Those that shall go must be deleted first.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the rows should be: the collections' names and shapes, documents by key, each format's fingerprints."""

    specs: Mapping[str, CollectionSpec]
    documents: Mapping[str, Document]
    prints: Sequence[Mapping[Stage, str]]
    sidecar: Sidecar

    @classmethod
    def of(cls, pipeline: Pipeline, engines: Engines, documents: Sequence[Document]) -> _Wanted:
        task, embedder = pipeline.upload, engines.embedder
        assert task is not None
        if embedder is None:
            raise InvalidOptionError("There is no embedding engine.", hint="Name one: embed(endpoint_url=...).")
        return cls(
            specs={name: collection_spec(name, task, embedder) for name in collections(task)},
            documents={document.key: document for document in documents},
            prints=tuple(pipeline.all_fingerprints(engines).values()),
            sidecar=pipeline.sidecar(),
        )

    def made(self, ledger: Ledger, corpus: str) -> bool:
        """Whether all that ``corpus`` has of the documents was made with these options."""
        receipts = [receipt for receipt in ledger.receipts(corpus) if receipt.document in self.documents]
        return all(self._is_of_now(receipt) for receipt in receipts)

    def _is_of_now(self, receipt: Receipt) -> bool:
        document, made = self.documents[receipt.document], receipt.fingerprints.get(Stage.UPLOAD)
        return any(self.sidecar.marked(one, document)[Stage.UPLOAD] == made for one in self.prints)

    def fits(self, store: VectorStore, names: Mapping[str, str]) -> bool:
        """Whether each collection is there, in the right shape."""
        try:
            for name, found in names.items():
                if not found or not store.exists(found):
                    return False
                store.ensure(replace(self.specs[name], name=found))
        except InvalidOptionError:
            return False
        return True


@contextmanager
def rebuilding(
    pipeline: Pipeline,
    settings: Settings,
    engines: Engines,
    documents: Sequence[Document],
    *,
    corpus: str,
    run_id: str,
    store: VectorStore | None = None,
) -> Iterator[Rebuild | None]:
    """Hand out the build of ``corpus`` from ``documents``, begun or continued; None if what serves is up to date.

    It is not where nothing serves yet, where the collection has another shape, or where a receipt was made with
    another embedder or other options. The embedder must have been checked: its dimension is part of the shape.
    """
    assert pipeline.upload is not None
    wanted = _Wanted.of(pipeline, engines, documents)
    with ExitStack() as stack:
        if store is None:
            store = stack.enter_context(vector_store(pipeline.upload, settings, what=corpus, run_id=run_id))
        if not store.capabilities.aliases:
            raise InvalidOptionError(f"{store!r} has no aliases, which a re-index needs.", hint="Use recreate=True.")
        ledger = stack.enter_context(Ledger(settings.ledger))
        names = _names(cast("AliasStore", store), ledger, corpus, wanted)
        if not names:
            yield None
            return
        ledger.remember(_corpus_of(corpus, names.values()), documents)
        beside = Beside(cast("AliasStore", store), names)
        yield Rebuild(store=beside, ledger=ledger, corpus=corpus, run_id=run_id, documents=frozenset(wanted.documents))


def _names(store: AliasStore, ledger: Ledger, corpus: str, wanted: _Wanted) -> dict[str, str]:
    """Return the collections to build in, by alias; none where those that serve are up to date."""
    now = serving(store, list(wanted.specs))
    hand_over(ledger, _corpus_of(corpus, now.values()), corpus)  # what a kill between the switch and its end left
    if wanted.fits(store, now) and ledger.receipts(corpus) and wanted.made(ledger, corpus):
        return {}
    return _begun(store, ledger, corpus, wanted) or next_names(store, list(wanted.specs))


def hand_over(ledger: Ledger, building: str, corpus: str) -> None:
    """Make the receipts of a build the corpus's own, one by one: what a kill leaves is handed over the next time."""
    versions = ledger.versions(building)
    written = {receipt.document: receipt.finished_at for receipt in ledger.receipts(corpus)}
    for receipt in ledger.receipts(building):
        if written.get(receipt.document, "") <= receipt.finished_at:  # else a later run has written it anew
            ledger.commit(corpus, receipt, version=versions[receipt.document].committed_version)
        ledger.forget(building, receipt.document)
    for key in ledger.versions(building):  # those that failed
        ledger.forget(building, key)


def _corpus_of(corpus: str, names: Collection[str]) -> str:
    return f"{corpus}{BUILD_MARK}{','.join(names)}"


def _begun(store: AliasStore, ledger: Ledger, corpus: str, wanted: _Wanted) -> dict[str, str]:
    """Return the collections of a build that broke off, if it was for what is wanted now; drop any other build."""
    for building in [name for name in ledger.corpora() if name.startswith(f"{corpus}{BUILD_MARK}")]:
        built = building.removeprefix(f"{corpus}{BUILD_MARK}").split(",")
        names = dict(zip(wanted.specs, built, strict=False))
        if len(built) == len(wanted.specs) and wanted.made(ledger, building) and wanted.fits(store, names):
            return names
        _abandon(store, ledger, building, built)
    return {}


def _abandon(store: AliasStore, ledger: Ledger, building: str, built: Sequence[str]) -> None:
    in_use = {store.alias_target(name.rpartition("_v")[0]) for name in built}
    for name in built:
        if name not in in_use and store.exists(name):
            store.drop(name)
    for key in ledger.versions(building):
        ledger.forget(building, key)
