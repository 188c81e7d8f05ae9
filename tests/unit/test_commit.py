from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from commit_rows import Interrupted, MortalStore, commit, document, draft, make_committer, rows, texts

from nemo_retriever_dagster import document_lease as protocol
from nemo_retriever_dagster.commit import Committer, SupersededError, generation_of
from nemo_retriever_dagster.errors import InfrastructureError, Stage, VerificationError
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.vdb.contract import CollectionSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nemo_retriever_dagster.model import Record


@pytest.fixture
def committer(tmp_path: Path) -> Committer:
    return make_committer(tmp_path)


@pytest.fixture
def store(committer: Committer) -> MortalStore:
    return committer.store


def test_a_shrunk_document_leaves_no_stale_rows(committer: Committer, store: MortalStore) -> None:
    commit(committer, document(1), 5)
    receipt = commit(committer, document(2), 3)
    assert texts(store) == ["2/0", "2/1", "2/2"]
    assert receipt.rows == 3
    assert committer.ledger.open_intents("c") == []


def test_a_receipt_tells_its_time_finely_enough_to_say_which_of_two_is_later(committer: Committer) -> None:
    receipt = commit(committer, document(1), 1)
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.\d{3}\+00:00", receipt.finished_at)


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


def test_rows_elsewhere_or_of_another_generation_beside_them_are_not_there_as_they_should_be(
    committer: Committer, store: MortalStore
) -> None:
    made, other = document(1), document(2)
    commit(committer, made, 2)
    assert committer.holds(made, ("one", "two"), generation_of(made, "f")) is None
    store.upsert("one", rows(other, 3)["one"][2:])
    assert committer.holds(made, ("one",), generation_of(made, "f")) is None


def test_a_receipt_that_is_the_last_word_is_not_written_again(committer: Committer) -> None:
    made = document(1)
    commit(committer, made, 2)
    before = committer.ledger.versions("c")
    assert committer.holds(made, ("one",), generation_of(made, "f")) is not None
    assert committer.ledger.versions("c") == before


def test_many_rows_of_a_document_that_has_none_are_loaded_in_bulk(committer: Committer, store: MortalStore) -> None:
    loaded: list[int] = []

    def load(name: str, records: Sequence[Record]) -> None:
        loaded.append(len(records))
        store.upsert(name, records)

    bulk = replace(committer, bulk=load, bulk_rows=3)
    commit(bulk, document(1), 2)
    commit(bulk, document(2), 3)
    assert loaded == [], "too few, and then rows to be replaced"
    bulk.clear(document(2).key)
    commit(bulk, document(3), 3)
    assert loaded == [3]
    assert texts(store) == ["3/0", "3/1", "3/2"]


def test_a_document_without_rows_is_held_in_its_own_generation_only(committer: Committer) -> None:
    commit(committer, document(1), 0)
    assert committer.holds(document(1), ("one",), generation_of(document(1), "f")) is not None
    assert committer.holds(document(2), ("one",), generation_of(document(2), "f")) is None


def test_just_as_many_rows_of_another_generation_are_not_what_the_receipt_says(
    committer: Committer, store: MortalStore
) -> None:
    made = document(1)
    commit(committer, made, 2)
    store.upsert("one", rows(document(2), 2)["one"])
    assert committer.holds(made, ("one",), generation_of(made, "f")) is None


def test_a_version_that_was_never_listed_is_confirmed_as_the_one_that_was_read(committer: Committer) -> None:
    commit(committer, document(1), 2)
    touched = replace(document(1), version="touched")
    assert committer.holds(touched, ("one",), generation_of(touched, "f")) is not None
    assert committer.ledger.committed_version("c", touched.key) == "touched"


def test_the_rows_of_several_collections_are_one_receipt_s(committer: Committer) -> None:
    made = document(1)
    receipt = committer.commit(made, rows(made, 2) | rows(made, 3, "two"), draft(made))
    assert (receipt.rows, receipt.collection, receipt.run_id) == (5, "one,two", "run")
    assert committer.holds(made, ("one", "two"), receipt.generation) == receipt
    less = document(2)
    receipt = committer.commit(less, rows(less, 1) | {"two": []}, draft(less))
    assert (receipt.rows, receipt.collection) == (1, "one,two")
    assert committer.holds(less, ("one", "two"), receipt.generation) == receipt


def test_a_run_that_waited_asks_for_the_version_once_it_may_write(
    committer: Committer, store: MortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run puts the newer version in while this one waits for its lease."""
    other, key = replace(committer, run_id="another"), document(1).key
    late = replace(committer, version_now=lambda _: "2")
    assert committer.ledger.claim("c", key, "another", 60)
    monkeypatch.setattr(protocol.time, "sleep", lambda _: commit(other, document(2), 2))
    with pytest.raises(SupersededError):
        commit(late, document(1), 1)
    assert texts(store) == ["2/0", "2/1"]


def test_a_collection_is_looked_through_until_a_commit_ends(committer: Committer, store: MortalStore) -> None:
    """Two runs die one after the other: of the first, rows stay in a collection that the second does not write to."""
    store.left = 1
    with pytest.raises(Interrupted):
        commit(committer, document(1), 2, "two")
    store.left = 0
    with pytest.raises(Interrupted):
        commit(committer, document(2), 2)
    store.left = 10**9
    assert texts(store, "two") == ["1/0", "1/1"]
    commit(committer, document(2), 2)
    assert texts(store, "two") == []
    assert texts(store) == ["2/0", "2/1"]


def test_pictures_are_stored_once_the_intent_names_them(committer: Committer) -> None:
    made, named = document(1), []

    def store_them() -> None:
        named.extend(intent.details["images"] for intent in committer.ledger.open_intents("c"))

    committer.commit(made, rows(made, 1), replace(draft(made), images=("a", "b")), keep_pictures=store_them)
    assert named == [["a", "b"]]


def test_a_row_that_stayed_as_it_was_gets_no_receipt(committer: Committer, store: MortalStore) -> None:
    """There are as many rows as were written, but one of them is the former version's."""
    commit(committer, document(1), 3)
    upsert = store.upsert
    store.upsert = lambda name, records: upsert(name, list(records)[1:])
    with pytest.raises(VerificationError, match="holds 2 rows"):
        commit(committer, document(2), 3)
    assert committer.ledger.committed_version("c", document(2).key) == "1"


def test_rows_that_a_store_does_not_delete_are_told(committer: Committer, store: MortalStore) -> None:
    commit(committer, document(1), 3)
    store.delete = lambda *_, **__: None
    with pytest.raises(VerificationError, match=r"holds 3 rows of a\.txt where 1 were written"):
        commit(committer, document(2), 1)
    assert committer.ledger.committed_version("c", document(2).key) == "1"
    with pytest.raises(VerificationError, match="still holds 3 rows"):
        committer.clear(document(1).key)
