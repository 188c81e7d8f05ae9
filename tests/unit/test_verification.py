"""What `verify` takes for a corpus's own rows, and what it tells of results; see ``integration/test_verify.py``, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import Ingestor, Pipeline
from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.ledger import BUILD_MARK, Ledger
from nemo_retriever_dagster.model import Chunk, Kind, Receipt, Record
from nemo_retriever_dagster.shelf import Shelf, place_of
from nemo_retriever_dagster.testing import InMemoryStore
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.verification import foreign_documents, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KEY = "a.txt.0123456789"
SHA = "ab" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as made:
        yield made


@pytest.fixture
def store() -> InMemoryStore:
    made = InMemoryStore()
    for name in ("small", "large"):
        made.ensure(CollectionSpec(name=name, dimension=2))
    return made


def put(store: InMemoryStore, collection: str, rows: int, generation: str = "g") -> None:
    store.upsert(
        collection,
        [
            Record(
                id=f"{collection}{n:026x}",
                document=KEY,
                generation=generation,
                text="A valve.",
                vector=[1.0, 0.0],
                source={"source_name": "a.txt", "source_id": "a.txt"},
                content_metadata={"type": "text"},
            )
            for n in range(rows)
        ],
    )


def receipted(ledger: Ledger, corpus: str, collection: str, rows: int, generation: str = "g") -> None:
    facts = {"sha256": "s", "run_id": "r", "finished_at": "t", "uri": "a.txt", "document": KEY}
    ledger.commit(corpus, Receipt(collection=collection, generation=generation, rows=rows, **facts))


def differences(
    ledger: Ledger, store: InMemoryStore, corpus: str, collection: str, only: Sequence[str] | None = None
) -> list[str]:
    pipeline = Ingestor().extract().embed().vdb_upload(collection_name=collection).pipeline
    return [problem.what for problem in verify(corpus, pipeline, ledger, store, only=only).problems]


@pytest.mark.parametrize("only", [None, [KEY]])
def test_rows_that_lost_their_receipt_are_told_though_another_corpus_has_the_document_elsewhere(
    ledger: Ledger, store: InMemoryStore, only: list[str] | None
) -> None:
    put(store, "small", 3)
    put(store, "large", 1)
    receipted(ledger, "b", "large", 1)
    assert differences(ledger, store, "a", "small", only) == ["3 rows, but no receipt"]
    assert differences(ledger, store, "b", "large", only) == []
    assert differences(ledger, store, "a", "large", only) == []  # there they are the other corpus's


@pytest.mark.parametrize("only", [None, [KEY]])
def test_rows_are_looked_for_where_the_receipt_says_when_another_collection_was_chosen_since(
    ledger: Ledger, store: InMemoryStore, only: list[str] | None
) -> None:
    put(store, "small", 3)
    put(store, "large", 1, generation="h")
    receipted(ledger, "a", "small", 3)
    receipted(ledger, "b", "large", 1, generation="h")
    assert differences(ledger, store, "a", "large", only) == []
    store.delete("small", KEY)
    assert differences(ledger, store, "a", "large", only) == ["0 rows, the receipt says 3"]


@pytest.mark.parametrize("only", [None, [KEY]])
def test_rows_that_two_corpora_have_receipts_for_are_looked_at_for_both(
    ledger: Ledger, store: InMemoryStore, only: list[str] | None
) -> None:
    put(store, "small", 3)
    receipted(ledger, "a", "small", 3)
    assert foreign_documents(ledger, "a") == {}, "its own are not another's"
    receipted(ledger, "b", "small", 3)
    assert [differences(ledger, store, corpus, "small", only) for corpus in ("a", "b")] == [[], []]


def test_a_build_beside_has_no_claim_on_the_rows_that_serve(ledger: Ledger, store: InMemoryStore) -> None:
    put(store, "small", 3)
    receipted(ledger, f"a{BUILD_MARK}small_v2", "small", 3)
    assert foreign_documents(ledger, "a") == {}
    assert differences(ledger, store, "a", "small") == ["3 rows, but no receipt"]


@pytest.mark.parametrize("stage", [Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION])
def test_a_document_of_which_a_result_is_gone_is_told_and_is_no_problem(tmp_path: Path, stage: Stage) -> None:
    shelf, ledger = Shelf(Artifacts(tmp_path / "artifacts")), Ledger(f"sqlite:///{tmp_path}/ledger.db")
    prints = {str(one): f"{one}-1" for one in Stage}
    for uri in ("a.txt", "b.txt"):
        receipt = Receipt(
            document=f"{uri}.0123456789",
            uri=uri,
            sha256=SHA if uri == "a.txt" else SHA[::-1],
            collection="",
            generation="g",
            rows=0,
            run_id="r",
            finished_at="",
            fingerprints=prints,
        )
        ledger.commit("c", receipt)
        for one in (Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION):
            place = place_of(one, receipt.sha256, prints[one])
            shelf.put_chunks(place, [Chunk(element=0, position=0, kind=Kind.TEXT, text="text", begins=0)])
            shelf.finish(place, {})
    assert verify("c", Pipeline(), ledger, None, shelf=shelf).remade == ()
    shelf.forget(place_of(stage, SHA, prints[stage]))
    found = verify("c", Pipeline(), ledger, None, shelf=shelf)
    assert (found.documents, found.remade, found.problems) == (2, ("a.txt",), ())
