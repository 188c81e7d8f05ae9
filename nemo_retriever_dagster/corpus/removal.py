"""Deletion, in the reverse order of writing: rows, pictures that nobody refers to, the ledger's entry, the partition.

Some documents at a time are taken through all of it. A kill leaves the rest to the next removal: until the ledger's
entry is gone the document still counts as vanished, and a partition without one counts as an orphan.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.corpus.partitions import ends_in_use
from nemo_retriever_dagster.corpus.resources import STORE
from nemo_retriever_dagster.corpus.session import ledger_of, settings_of
from nemo_retriever_dagster.equip import image_store
from nemo_retriever_dagster.source_names import vanished
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.verification import foreign_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dagster as dg

    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.model import Receipt

REMOVE = "remove"
"""The removal job's op."""
_AT_ONCE = 200  # documents: the ledger is read through twice for the pictures of so many


def remove_documents(corpus: DocumentCorpus, context: dg.OpExecutionContext, keys: Sequence[str]) -> list[str]:
    """Take documents out of the collection; return what was removed.

    One that is in the source again, or that may be where the source cannot be read now, is left alone.
    A partition that an unfinished run's range begins or ends with stays, or that run could not go on: it is an orphan
    afterwards. Rows that another corpus has a receipt for are that one's.
    """
    with ledger_of(context) as ledger, _committer(corpus, context, ledger) as committer:
        gone = _gone(corpus, ledger, keys)
        pictures = Pictures(corpus, ledger)
        others, names = foreign_documents(ledger, corpus.name), list(collections(corpus.pipeline.upload))
        for start in range(0, len(gone), _AT_ONCE):
            some = gone[start : start + _AT_ONCE]
            receipts = [receipt for key in some if (receipt := ledger.receipt(corpus.name, key)) is not None]
            if committer is not None:
                for key in some:
                    committer.clear(key, collections=names, but=others.get(key, ()))
            pictures.release(receipts)
            needed = ends_in_use(context.instance)
            for key in some:
                ledger.forget(corpus.name, key)
                if key not in needed:
                    context.instance.delete_dynamic_partition(str(corpus.partitions_def.name), key)
    return gone


def removal_config(keys: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of a removal job's run that takes ``keys`` out."""
    return {"ops": {REMOVE: {"config": {"keys": list(keys)}}}}


def _gone(corpus: DocumentCorpus, ledger: Ledger, keys: Sequence[str]) -> list[str]:
    source = corpus.plant.documents()
    there, states = {document.key for document in source.list()}, ledger.versions(corpus.name, keys)
    gone = vanished({key: states[key].uri if key in states else "" for key in keys}, there, source.skipped)
    return [key for key in keys if key in gone]


@contextmanager
def _committer(corpus: DocumentCorpus, context: dg.OpExecutionContext, ledger: Ledger) -> Iterator[Committer | None]:
    if corpus.pipeline.upload is None and not any(receipt.collection for receipt in ledger.receipts(corpus.name)):
        yield None  # and no pipeline that the corpus had before has left rows
        return
    store = getattr(context.resources, STORE).open(
        corpus.pipeline, settings_of(context), what=f"corpus {corpus.name}, removal", run_id=context.run_id
    )
    try:
        yield Committer(store=store, ledger=ledger, corpus=corpus.name, run_id=context.run_id)
    finally:
        store.close()


class Pictures:
    """The stored pictures of a corpus, which its documents, and those of other corpora, may share."""

    def __init__(self, corpus: DocumentCorpus, ledger: Ledger) -> None:
        """Look at nothing yet."""
        self._store = image_store(corpus.pipeline)
        self._corpus, self._ledger = corpus.name, ledger

    def release(self, receipts: Sequence[Receipt]) -> None:
        """Delete the pictures that only these documents refer to.

        Set aside first, and looked at again: a document whose commit began meanwhile may count on one of them, which is
        then restored; one whose commit begins later finds it gone and stores it.
        """
        digests = {digest for receipt in receipts for digest in receipt.images}
        if self._store is None or not digests:
            return
        removed = {receipt.document for receipt in receipts}
        for digest in digests - self._wanted(but=removed):
            self._store.set_aside(digest)
        wanted = self._wanted(but=removed)
        for digest in digests:
            (self._store.restore if digest in wanted else self._store.discard)(digest)

    def _wanted(self, *, but: set[str]) -> set[str]:
        """Return the pictures of all documents but some of this corpus, those that are being committed included."""
        found: set[str] = set()
        for name in self._ledger.corpora():
            own = but if name == self._corpus else set()
            found.update(*(one.images for one in self._ledger.receipts(name) if one.document not in own))
            intents = (one for one in self._ledger.open_intents(name) if one.document not in own)
            found.update(*(one.details.get("images", ()) for one in intents))
        return found
