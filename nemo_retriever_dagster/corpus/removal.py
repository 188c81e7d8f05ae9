"""Deletion, in the reverse order of writing: rows, pictures that nobody refers to, the ledger's entry, the partition.

Each document is finished before the next is begun. A kill leaves the rest to the next removal: until the ledger's entry
is gone the document still counts as vanished, and a partition without one counts as an orphan.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nemo_retriever_dagster.artifacts import Artifacts, address
from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.corpus.resources import STORE
from nemo_retriever_dagster.corpus.session import ledger_of, settings_of
from nemo_retriever_dagster.equip import image_store
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.shelf import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dagster as dg

    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
    from nemo_retriever_dagster.images import ImageStore
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.model import Receipt


def remove_documents(corpus: DocumentCorpus, context: dg.OpExecutionContext, keys: Sequence[str]) -> list[str]:
    """Take documents out of the collection; one that is in the source again is left alone. Return what was removed."""
    there = {document.key for document in corpus.plant.documents().list()}
    gone = [key for key in keys if key not in there]
    with ledger_of(context) as ledger, _committer(corpus, context, ledger) as committer:
        pictures = Pictures(corpus, context, ledger)
        for key in gone:
            receipt = ledger.receipt(corpus.name, key)
            if committer is not None:
                committer.clear(key)
            if receipt is not None:
                pictures.release(receipt)
            ledger.forget(corpus.name, key)
            context.instance.delete_dynamic_partition(str(corpus.partitions_def.name), key)
    return gone


def orphans(corpus: DocumentCorpus, instance: dg.DagsterInstance, known: set[str]) -> list[str]:
    """Return the partitions of no document: a deletion that was broken off at its last step left them."""
    return [key for key in instance.get_dynamic_partitions(str(corpus.partitions_def.name)) if key not in known]


@contextmanager
def _committer(corpus: DocumentCorpus, context: dg.OpExecutionContext, ledger: Ledger) -> Iterator[Committer | None]:
    if corpus.pipeline.upload is None:
        yield None
        return
    store = getattr(context.resources, STORE).open(
        corpus.pipeline, settings_of(context), what=f"corpus {corpus.name}, removal", run_id=context.run_id
    )
    try:
        yield Committer(store=store, ledger=ledger, corpus=corpus.name, run_id=context.run_id)
    finally:
        store.close()


class Pictures:
    """The stored pictures of all corpora by how many documents refer to them: counted once for a whole removal."""

    def __init__(self, corpus: DocumentCorpus, context: dg.OpExecutionContext, ledger: Ledger) -> None:
        """Count."""
        settings = settings_of(context)
        task = corpus.pipeline.store
        self._store: ImageStore | None = image_store(task, settings) if task is not None else None
        self._artifacts = Artifacts(settings.artifacts, settings.artifacts_options)
        receipts = (receipt for name in ledger.corpora() for receipt in ledger.receipts(name)) if task else ()
        self._references = Counter(digest for receipt in receipts for digest in receipt.images)

    def release(self, receipt: Receipt) -> None:
        """Delete the pictures that only this document referred to."""
        if self._store is None:
            return
        self._forget_stored(receipt)
        for digest in receipt.images:
            self._references[digest] -= 1
            if self._references[digest] <= 0:
                self._store.delete(digest)

    def _forget_stored(self, receipt: Receipt) -> None:
        """Forget that the pictures were stored, or the same document, back again, would link to nothing."""
        made_by = receipt.fingerprints.get(Stage.STORE_IMAGES)
        if made_by:
            stage, _, digest = place_of(Stage.STORE_IMAGES, receipt.sha256, made_by).partition("/")
            self._artifacts.delete(address(stage, digest, "done"))
