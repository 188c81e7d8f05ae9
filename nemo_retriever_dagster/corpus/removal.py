"""Deletion, in the reverse order of writing: rows, pictures that nobody refers to, the ledger's entry, the partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.corpus.resources import STORE
from nemo_retriever_dagster.corpus.session import ledger_of, settings_of
from nemo_retriever_dagster.equip import image_store

if TYPE_CHECKING:
    import dagster as dg

    from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.model import Receipt
    from nemo_retriever_dagster.settings import Settings


def remove_documents(corpus: DocumentCorpus, context: dg.OpExecutionContext, keys: list[str]) -> list[str]:
    """Take documents out of the collection; one that is in the source again is left alone. Return what was removed."""
    there = {document.key for document in corpus.plant.documents().list()}
    gone = [key for key in keys if key not in there]
    settings = settings_of(context)
    pipeline = corpus.pipeline
    with ledger_of(context) as ledger:
        if pipeline.upload is None:
            for key in gone:
                ledger.forget(corpus.name, key)
        else:
            store = getattr(context.resources, STORE).open(
                pipeline, settings, what=f"corpus {corpus.name}", run_id=context.run_id
            )
            try:
                committer = Committer(store=store, ledger=ledger, corpus=corpus.name, run_id=context.run_id)
                for key in gone:
                    _remove(corpus, committer, settings, key)
            finally:
                store.close()
    for key in gone:
        context.instance.delete_dynamic_partition(str(corpus.partitions_def.name), key)
    return gone


def _remove(corpus: DocumentCorpus, committer: Committer, settings: Settings, key: str) -> None:
    receipt = committer.clear(key)
    if receipt is not None and corpus.pipeline.store is not None:
        images = image_store(corpus.pipeline.store, settings)
        for digest in _unreferenced(committer.ledger, receipt):
            images.delete(digest)
    committer.forget(key)


def _unreferenced(ledger: Ledger, receipt: Receipt) -> set[str]:
    """Return the pictures of a document that no other document of any corpus refers to."""
    others = (
        other.images
        for corpus in ledger.corpora()
        for other in ledger.receipts(corpus)
        if other.document != receipt.document
    )
    return set(receipt.images).difference(*others)
