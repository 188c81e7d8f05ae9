"""What the tests of the commit protocol write: a store that dies, documents, and rows of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.commit import Committer, generation_of
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Document, Receipt, Record, stable_id
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.vdb.contract import CollectionSpec

if TYPE_CHECKING:
    from pathlib import Path


class Interrupted(BaseException):
    """Stands for the death of the process at this very call."""


class MortalStore(InMemoryStore):
    """Dies at the n-th call that changes or counts rows."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 10**9

    def _step(self) -> None:
        if self.left == 0:
            raise Interrupted
        self.left -= 1

    def upsert(self, collection, records):
        self._step()
        super().upsert(collection, records)
        self._step()

    def delete(self, collection, document, *, keep_generation=None):
        self._step()
        super().delete(collection, document, keep_generation=keep_generation)
        self._step()

    def count(self, collection, document=None, *, generation=None):
        self._step()
        return super().count(collection, document, generation=generation)


def make_committer(root: Path) -> Committer:
    """Return a committer of run "run" with a ledger in ``root``, on the empty collections "one" and "two"."""
    store = MortalStore()
    for name in ("one", "two"):
        store.ensure(CollectionSpec(name=name, dimension=2))
    return Committer(store=store, ledger=Ledger(f"sqlite:///{root}/ledger.db"), corpus="c", run_id="run")


def document(version: int) -> Document:
    return Document(uri="a.txt", key="a.txt.0000000000", sha256=f"{version:064x}", version=str(version))


def rows(made: Document, count: int, name: str = "one") -> dict[str, list[Record]]:
    generation = generation_of(made, "f")
    return {
        name: [
            Record(
                id=stable_id(name, made.key, n, 0),
                document=made.key,
                generation=generation,
                text=f"{made.version}/{n}",
                vector=[1.0, float(n)],
                source={},
                content_metadata={"kind": "text"},
            )
            for n in range(count)
        ]
    }


def draft(made: Document) -> Receipt:
    generation = generation_of(made, "f")
    return Receipt(
        document=made.key, uri=made.uri, sha256=made.sha256, collection="", generation=generation, rows=0, run_id="",
        finished_at="",
    )  # fmt: skip


def commit(committer: Committer, made: Document, count: int, name: str = "one") -> Receipt:
    return committer.commit(made, rows(made, count, name), draft(made))


def texts(store: InMemoryStore, name: str = "one") -> list[str]:
    return sorted(row.text for row in store.select(name, where=""))
