from __future__ import annotations

import time
from dataclasses import replace

import pytest

from nemo_retriever_dagster import commit as protocol
from nemo_retriever_dagster.commit import Committer, DocumentHeldError, SupersededError, generation_of
from nemo_retriever_dagster.errors import InfrastructureError, Stage, VerificationError
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Document, Failure, Receipt, Record, stable_id
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.vdb.contract import CollectionSpec


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


@pytest.fixture
def store() -> MortalStore:
    made = MortalStore()
    for name in ("one", "two"):
        made.ensure(CollectionSpec(name=name, dimension=2))
    return made


@pytest.fixture
def committer(store: MortalStore, tmp_path) -> Committer:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    return Committer(store=store, ledger=ledger, corpus="c", run_id="run")


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


def test_a_shrunk_document_leaves_no_stale_rows(committer: Committer, store: MortalStore) -> None:
    commit(committer, document(1), 5)
    receipt = commit(committer, document(2), 3)
    assert texts(store) == ["2/0", "2/1", "2/2"]
    assert receipt.rows == 3
    assert committer.ledger.open_intents("c") == []


def test_what_is_there_is_not_written_again(committer: Committer, store: MortalStore) -> None:
    commit(committer, document(1), 5)
    generation = generation_of(document(1), "f")
    assert committer.holds(document(1), ("one",), generation) is not None
    assert committer.holds(document(2), ("one",), generation_of(document(2), "f")) is None
    store.delete("one", document(1).key)
    assert committer.holds(document(1), ("one",), generation) is None


def test_a_document_that_moves_to_another_collection_leaves_the_first(committer: Committer, store: MortalStore) -> None:
    commit(committer, document(1), 2)
    commit(committer, document(2), 2, name="two")
    assert texts(store) == []
    assert texts(store, "two") == ["2/0", "2/1"]


@pytest.mark.parametrize("run_id", ["run", ""])
def test_a_document_is_free_after_a_commit_and_after_one_that_failed(
    committer: Committer, store: MortalStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_WAIT_SECONDS", 0.0)
    mine, key = replace(committer, run_id=run_id), document(1).key
    commit(mine, document(1), 2)
    assert committer.ledger.holder("c", key) is None
    store.left = 1
    with pytest.raises(Interrupted):
        commit(mine, document(2), 2)
    assert committer.ledger.holder("c", key) is None
    assert committer.ledger.claim("c", key, "another run", 60)
    with pytest.raises(DocumentHeldError):
        commit(mine, document(3), 2)
    assert committer.ledger.holder("c", key) == "another run"


def test_a_store_that_loses_a_row_gets_no_receipt(committer: Committer, store: MortalStore) -> None:
    class Forgetful(MortalStore):
        def upsert(self, collection, records):
            super().upsert(collection, list(records)[1:])

    forgetful = Forgetful()
    forgetful.ensure(CollectionSpec(name="one", dimension=2))
    with pytest.raises(VerificationError, match="holds 4 rows"):
        commit(replace(committer, store=forgetful), document(1), 5)
    assert committer.ledger.receipt("c", document(1).key) is None


@pytest.mark.parametrize("collection", ["one", "two"])
def test_death_at_any_call_is_mended_by_the_next_run(committer: Committer, store: MortalStore, collection: str) -> None:
    points = 0
    for point in range(100):
        commit(committer, document(1), 5)
        store.left = point
        try:
            commit(committer, document(2 + point), 3, collection)
            reached_the_end = True
        except Interrupted:
            reached_the_end = False
        store.left = 10**9
        if not reached_the_end:
            points += 1
            commit(committer, document(2 + point), 3, collection)
        expected = [f"{2 + point}/{n}" for n in range(3)]
        assert texts(store, collection) == expected
        assert texts(store, "two" if collection == "one" else "one") == []
        assert committer.ledger.open_intents("c") == []
        if reached_the_end:
            break
    assert points >= 5


def test_death_during_a_deletion_is_mended_by_the_next(committer: Committer, store: MortalStore) -> None:
    for point in range(3):
        commit(committer, document(1), 5)
        store.left = point
        with pytest.raises(Interrupted):
            committer.clear(document(1).key)
        store.left = 10**9
        committer.clear(document(1).key)
        committer.forget(document(1).key)
        assert texts(store) == []
        assert committer.ledger.receipt("c", document(1).key) is None


def test_a_commit_begun_and_given_up_is_finished_though_the_old_version_is_back(
    committer: Committer, store: MortalStore
) -> None:
    commit(committer, document(1), 5)
    store.left = 0
    with pytest.raises(Interrupted):
        commit(committer, document(2), 3, name="two")
    store.left = 10**9
    store.upsert("two", rows(document(2), 3, "two")["two"])
    assert committer.holds(document(1), ("one",), generation_of(document(1), "f")) is None
    commit(committer, document(1), 5)
    assert texts(store, "two") == []
    assert committer.ledger.open_intents("c") == []
    assert committer.holds(document(1), ("one",), generation_of(document(1), "f")) is not None


def test_a_receipt_that_still_holds_is_confirmed_for_the_version_at_hand(committer: Committer) -> None:
    ledger, key = committer.ledger, document(1).key
    commit(committer, document(1), 2)
    touched = replace(document(1), version="touched")
    ledger.remember("c", [touched])
    ledger.fail("c", Failure.of(touched, Stage.EMBED, InfrastructureError("The engine is down."), run_id="r"))
    assert ledger.versions("c")[key].status == "failed"
    assert committer.holds(touched, ("one",), generation_of(touched, "f")) is not None
    assert ledger.versions("c")[key].status == "current"
    assert ledger.failures("c") == []


def test_unknown_rows_go_where_their_collection_is_named(committer: Committer, store: MortalStore) -> None:
    made = document(1)
    commit(committer, made, 2)
    committer.forget(made.key)
    committer.clear(made.key)
    assert store.count("one", made.key) == 2
    committer.clear(made.key, collections=["one", "nowhere"])
    assert store.count("one", made.key) == 0


def test_the_lease_is_kept_while_storing_pictures_takes_longer_than_it_lasts(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_LEASE_SECONDS", 0.3)
    other, made, taken = Ledger(committer.ledger.url), document(1), []

    def store_slowly() -> None:
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            taken.append(other.claim("c", made.key, "another run", 0.3))
            time.sleep(0.05)

    committer.commit(made, rows(made, 1), draft(made), keep_pictures=store_slowly)
    assert taken
    assert not any(taken)
    assert other.claim("c", made.key, "another run", 0.3), "and given back at the end"


def test_a_run_that_lost_its_lease_after_writing_leaves_the_document_to_be_written_again(
    committer: Committer, store: MortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, late = document(2), document(1)

    def stopped() -> None:  # the machine stands still; the lease ends, and another run takes a newer version through
        committer.ledger.release("c", late.key, "run")
        commit(replace(committer, run_id="another"), made, 2)
        committer.ledger.claim("c", late.key, "a third", 60)

    monkeypatch.setattr(protocol, "_LEASE_SECONDS", 0.0)
    with pytest.raises(DocumentHeldError):
        committer.commit(late, rows(late, 1), draft(late), keep_pictures=stopped)
    assert [intent.generation for intent in committer.ledger.open_intents("c")] == [generation_of(late, "f")]
    committer.ledger.release("c", late.key, "a third")
    assert committer.holds(made, ["one"], generation_of(made, "f")) is None
    commit(committer, made, 2)
    assert texts(store) == ["2/0", "2/1"]


def test_an_older_version_does_not_replace_a_newer_one(committer: Committer, store: MortalStore) -> None:
    """Run 1 read version 1, then the file was changed and run 2 took version 2 through."""
    first = replace(committer, version_now=lambda _: "2")
    commit(replace(first, run_id="another"), document(2), 2)
    with pytest.raises(SupersededError):
        commit(first, document(1), 1)
    assert texts(store) == ["2/0", "2/1"]
    assert first.ledger.open_intents("c") == []


@pytest.mark.parametrize("now", ["3", "", "1"])
def test_a_version_is_not_older_because_it_is_another(committer: Committer, store: MortalStore, now: str) -> None:
    """The source has a third version, cannot be asked, or has the former one back."""
    commit(committer, document(2), 2)
    commit(replace(committer, version_now=lambda _: now), document(1), 1)
    assert texts(store) == ["1/0"]


def test_rows_that_are_another_corpus_s_are_left(committer: Committer, store: MortalStore) -> None:
    made = document(1)
    commit(committer, made, 2)
    assert committer.clear(made.key, collections=["one", "two"], but=["one"]) is not None
    assert texts(store) == ["1/0", "1/1"]
