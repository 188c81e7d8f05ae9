"""What a reader sees while a live document is ingested again and again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from nemo_retriever_dagster.commit import Committer, generation_of
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Document, Receipt, Record, stable_id
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a.txt.0000000000"
SIZES = (6, 3, 9)


class Reader:
    """Polls all rows of the document at Strong until it is told to stop."""

    def __init__(self, store) -> None:
        self._store, self._stop = store, threading.Event()
        self.thread = threading.Thread(target=self._read)
        self.polls, self.empty, self.twice, self.short = 0, 0, 0, 0
        self.mixed_longest, self.error = 0.0, None

    def _read(self) -> None:
        mixed_since = None
        try:
            while not self._stop.is_set():
                rows = self._store.select("notes", where="document == {document}", values={"document": KEY})
                generations = Counter(row.content_metadata["generation"] for row in rows)
                places = Counter((row.content_metadata["place"], row.content_metadata["generation"]) for row in rows)
                self.polls += 1
                self.empty += not rows
                self.short += len(rows) < min(SIZES)
                self.twice += any(count > 1 for count in places.values())
                self.twice += any(count > 1 for count in Counter(row.id for row in rows).values())
                now = time.monotonic()
                mixed_since = (mixed_since or now) if len(generations) > 1 else None
                self.mixed_longest = max(self.mixed_longest, now - mixed_since if mixed_since else 0.0)
        except Exception as error:  # noqa: BLE001 - told by the test, in its own thread
            self.error = error

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.thread.join()


def _commit(committer: Committer, version: int) -> None:
    document = Document(uri="a.txt", key=KEY, sha256=f"{version:064x}", version=str(version))
    generation = generation_of(document, "f")
    draft = Receipt(
        document=KEY,
        uri="a.txt",
        sha256=document.sha256,
        collection="",
        generation=generation,
        rows=0,
        run_id="",
        finished_at="",
    )
    records = [_record(generation, place) for place in range(SIZES[version % len(SIZES)])]
    committer.commit(document, {"notes": records}, draft)


def _record(generation: str, place: int) -> Record:
    return Record(
        id=stable_id("notes", KEY, place),
        document=KEY,
        generation=generation,
        text=f"{generation} {place}",
        vector=[1.0, float(place)],
        source={},
        content_metadata={"place": place, "generation": generation},
    )


@pytest.mark.parametrize(("kind", "times"), [("memory", 100), ("lite", 100)])
def test_a_live_document_is_never_gone_for_a_reader(kind: str, times: int, tmp_path: Path) -> None:
    store = InMemoryStore() if kind == "memory" else MilvusStore(str(tmp_path / "milvus.db"))
    store.ensure(CollectionSpec(name="notes", dimension=2))
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        committer = Committer(store=store, ledger=ledger, corpus="c", run_id="run")
        _commit(committer, 0)
        with Reader(store) as reader:
            for version in range(1, times + 1):
                _commit(committer, version)
    if isinstance(store, MilvusStore):
        store.close()
    assert reader.error is None
    assert reader.polls > 10
    seen = f"{kind}: {reader.polls} reads during {times} re-ingests, generations mixed {reader.mixed_longest:.3f} s at most"
    print(seen)
    assert (reader.empty, reader.short, reader.twice) == (0, 0, 0), seen
